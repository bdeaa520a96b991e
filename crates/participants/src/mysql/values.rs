//! Values on their way to the server and back.

use handfast_core::{
    vote::{Cause::Request, Refusal},
    work::{Param, Real},
};
use mysql_async::{Column, Params, Row, Value, consts::ColumnType};

use crate::refusal::{self, refusal};

/// The character set of bytes that are not text.
const BINARY: u16 = 63;

/// Parameters as the driver binds them.
pub(super) fn bound(params: &[Param]) -> Result<Params, Refusal> {
    if params.is_empty() {
        return Ok(Params::Empty);
    }
    params.iter().map(value).collect::<Result<_, _>>().map(Params::Positional)
}

fn value(param: &Param) -> Result<Value, Refusal> {
    Ok(match param {
        Param::Null => Value::NULL,
        Param::Bool(truth) => Value::Int((*truth).into()),
        Param::Int(number) => Value::Int(*number),
        Param::Real(number) => Value::Double((*number).into()),
        Param::Text(text) => Value::Bytes(text.clone().into_bytes()),
        Param::Bytes(bytes) => Value::Bytes(bytes.clone()),
        // The runtime puts the value in its place before the branch is called.
        Param::Output(name) => {
            let message = format!("the output `{name}` is not known");
            return Err(refusal(refusal::SQL_PARAMETER, Request, message));
        }
    })
}

/// The values of a row, and how many bytes they take.
pub(super) fn returned(row: Row) -> Result<(Vec<Param>, usize), Refusal> {
    let columns = row.columns();
    let values = row.unwrap_raw().into_iter();
    let mut size = 0;
    let mut params = Vec::with_capacity(columns.len());
    for (column, value) in columns.iter().zip(values) {
        let param = param(column, value.unwrap_or(Value::NULL))?;
        size += match &param {
            Param::Text(text) => text.len(),
            Param::Bytes(bytes) => bytes.len(),
            _ => 0,
        } + size_of::<Param>();
        params.push(param);
    }
    Ok((params, size))
}

fn param(column: &Column, value: Value) -> Result<Param, Refusal> {
    Ok(match value {
        Value::NULL => Param::Null,
        Value::Int(number) => Param::Int(number),
        // Beyond i64 only text holds it exactly.
        Value::UInt(number) => {
            i64::try_from(number).map_or_else(|_| Param::Text(number.to_string()), Param::Int)
        }
        // Through text, so that 0.1 stays 0.1.
        Value::Float(number) => {
            let shortest = number.to_string().parse::<f64>().unwrap_or_else(|_| number.into());
            Param::Real(Real::from(shortest))
        }
        Value::Double(number) => Param::Real(number.into()),
        Value::Bytes(bytes) => bytes_or_text(column, bytes)?,
        Value::Date(year, month, day, hour, minute, second, micro) => {
            let mut text = format!("{year:04}-{month:02}-{day:02}");
            if column.column_type() != ColumnType::MYSQL_TYPE_DATE {
                text += &format!(" {hour:02}:{minute:02}:{second:02}{}", fraction(micro));
            }
            Param::Text(text)
        }
        Value::Time(negative, days, hours, minutes, seconds, micro) => {
            let sign = if negative { "-" } else { "" };
            let hours = u64::from(days) * 24 + u64::from(hours);
            let fraction = fraction(micro);
            Param::Text(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"))
        }
    })
}

/// Decimals and JSON come with the binary character set, but are text.
fn bytes_or_text(column: &Column, bytes: Vec<u8>) -> Result<Param, Refusal> {
    use ColumnType::{
        MYSQL_TYPE_BIT, MYSQL_TYPE_DECIMAL, MYSQL_TYPE_GEOMETRY, MYSQL_TYPE_JSON,
        MYSQL_TYPE_NEWDECIMAL,
    };
    let is_bytes = match column.column_type() {
        MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL | MYSQL_TYPE_JSON => false,
        MYSQL_TYPE_BIT | MYSQL_TYPE_GEOMETRY => true,
        _ => column.character_set() == BINARY,
    };
    if is_bytes {
        return Ok(Param::Bytes(bytes));
    }
    String::from_utf8(bytes).map(Param::Text).map_err(|_| {
        let message = format!("column `{}` holds text that is not UTF-8", column.name_str());
        refusal(refusal::RESULT_TYPE, Request, message)
    })
}

fn fraction(micro: u32) -> String {
    if micro == 0 { String::new() } else { format!(".{micro:06}") }
}
