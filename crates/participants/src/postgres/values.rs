//! Values on their way to PostgreSQL and back.
//!
//! Parameters travel as text and the server reads them as the types it inferred, so every type
//! works. Results travel in binary, because the driver asks for it; the common types are decoded
//! here into what PostgreSQL itself would print, in UTC.

use std::{
    error::Error,
    fmt::{self, Write},
};

use bytes::{BufMut, BytesMut};
use handfast_core::work::{Param, Real};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

type Failure = Box<dyn Error + Sync + Send>;

/// A parameter to bind.
pub(super) struct Bound<'a>(pub(super) &'a Param);

impl Bound<'_> {
    /// What it is, if the server's type cannot take it. Text goes for every type: it is how
    /// decimals, dates and the like are written, and the server checks it.
    pub(super) fn misfit(&self, wanted: &Type) -> Option<&'static str> {
        let wanted = base(wanted);
        let (name, fits) = match self.0 {
            Param::Null | Param::Text(_) => ("text", true),
            Param::Bool(_) => ("a truth value", *wanted == Type::BOOL),
            Param::Int(_) => ("a whole number", is_whole(wanted) || is_real(wanted)),
            Param::Real(_) => ("a floating-point number", is_real(wanted)),
            Param::Bytes(_) => ("bytes", *wanted == Type::BYTEA),
            // The runtime puts the value in its place before the branch is called.
            Param::Output(_) => ("an output that is not known", false),
        };
        (!fits).then_some(name)
    }
}

/// Values never reach a log, which the driver writes with this.
impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self.0 {
            Param::Null => return Ok(IsNull::Yes),
            Param::Bool(truth) => write!(out, "{truth}")?,
            Param::Int(number) => write!(out, "{number}")?,
            // The `Debug` form is the shortest that reads back as the same number.
            Param::Real(number) => write!(out, "{:?}", f64::from(*number))?,
            Param::Text(text) => out.put_slice(text.as_bytes()),
            Param::Bytes(bytes) => out.put_slice(bytes),
            Param::Output(name) => return Err(format!("the output `{name}` is not known").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if matches!(self.0, Param::Bytes(_)) { Format::Binary } else { Format::Text }
    }

    to_sql_checked!();
}

/// A returned value.
pub(super) struct Returned(pub(super) Param);

impl<'a> FromSql<'a> for Returned {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        decode(base(ty), raw).map(Self).ok_or_else(|| "malformed value".into())
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(Param::Null))
    }

    fn accepts(ty: &Type) -> bool {
        is_returned(ty)
    }
}

/// Whether values of this type can be handed back.
pub(super) fn is_returned(ty: &Type) -> bool {
    let ty = base(ty);
    is_whole(ty) || is_real(ty) || is_text(ty) || is_other_returned(ty)
}

fn is_whole(ty: &Type) -> bool {
    [Type::INT8, Type::INT4, Type::INT2, Type::OID].contains(ty)
}

fn is_real(ty: &Type) -> bool {
    [Type::NUMERIC, Type::FLOAT8, Type::FLOAT4].contains(ty)
}

/// Types whose binary form is their text.
fn is_text(ty: &Type) -> bool {
    let texts = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::JSON, Type::XML];
    texts.contains(ty)
        || *ty == Type::UNKNOWN
        || *ty == Type::VOID
        || ty.name() == "citext"
        || matches!(ty.kind(), Kind::Enum(_))
}

fn is_other_returned(ty: &Type) -> bool {
    let others = [Type::BOOL, Type::BYTEA, Type::UUID, Type::JSONB];
    let times = [Type::DATE, Type::TIME, Type::TIMESTAMP, Type::TIMESTAMPTZ];
    others.contains(ty) || times.contains(ty)
}

/// The type that a domain is over.
fn base(mut ty: &Type) -> &Type {
    while let Kind::Domain(under) = ty.kind() {
        ty = under;
    }
    ty
}

fn decode(ty: &Type, raw: &[u8]) -> Option<Param> {
    let value = match *ty {
        Type::BOOL => Param::Bool(raw != [0]),
        Type::INT2 => Param::Int(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => Param::Int(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => Param::Int(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => Param::Int(u32::from_be_bytes(raw.try_into().ok()?).into()),
        // By way of text, so that 0.1 stays 0.1 and does not become 0.10000000149.
        Type::FLOAT4 => {
            let text = f32::from_be_bytes(raw.try_into().ok()?).to_string();
            Param::Real(Real::from(text.parse::<f64>().ok()?))
        }
        Type::FLOAT8 => Param::Real(Real::from(f64::from_be_bytes(raw.try_into().ok()?))),
        Type::NUMERIC => Param::Text(decimal(raw)?),
        Type::BYTEA => Param::Bytes(raw.into()),
        Type::UUID => Param::Text(uuid(u128::from_be_bytes(raw.try_into().ok()?))),
        // The first byte is the version of the form; the only one is 1.
        Type::JSONB => Param::Text(String::from_utf8(raw.strip_prefix(&[1])?.into()).ok()?),
        Type::DATE => Param::Text(date(i32::from_be_bytes(raw.try_into().ok()?))),
        Type::TIME => Param::Text(time(i64::from_be_bytes(raw.try_into().ok()?))),
        Type::TIMESTAMP => Param::Text(timestamp(i64::from_be_bytes(raw.try_into().ok()?), "")),
        Type::TIMESTAMPTZ => {
            Param::Text(timestamp(i64::from_be_bytes(raw.try_into().ok()?), "+00"))
        }
        _ => Param::Text(String::from_utf8(raw.into()).ok()?),
    };
    Some(value)
}

/// A `numeric`: digits of base 10,000, the first of which counts 10,000 to the power `weight`.
fn decimal(raw: &[u8]) -> Option<String> {
    let (header, digits) = raw.split_at_checked(8)?;
    let field = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (weight, sign, scale) = (field(2) as i16, field(4), usize::from(field(6)));
    let mut text = match sign {
        0x0000 => String::new(),
        0x4000 => "-".into(),
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => return None,
    };
    let digit = |power: i32| {
        let at = usize::try_from(i32::from(weight) - power).ok()?.checked_mul(2)?;
        Some(u16::from_be_bytes([*digits.get(at)?, *digits.get(at + 1)?]))
    };
    let whole: String = (0..=i32::from(weight))
        .rev()
        .map(|power| format!("{:04}", digit(power).unwrap_or(0)))
        .collect();
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let groups = i32::try_from(scale.div_ceil(4)).ok()?;
        let fraction: String =
            (1..=groups).map(|place| format!("{:04}", digit(-place).unwrap_or(0))).collect();
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}

fn uuid(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

const DAY_MICROS: i64 = 86_400_000_000;

fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".into(),
        i32::MIN => "-infinity".into(),
        days => {
            let (year, month, day) = civil(days.into());
            dated(year, format!("{month:02}-{day:02}"))
        }
    }
}

fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".into(),
        i64::MIN => "-infinity".into(),
        micros => {
            let (year, month, day) = civil(micros.div_euclid(DAY_MICROS));
            let time = time(micros.rem_euclid(DAY_MICROS));
            dated(year, format!("{month:02}-{day:02} {time}{zone}"))
        }
    }
}

fn time(micros: i64) -> String {
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if micros == 0 {
        return clock;
    }
    format!("{clock}.{micros:06}").trim_end_matches('0').into()
}

/// Puts the year before the rest; the year 0 of the calculation is 1 BC.
fn dated(year: i64, rest: String) -> String {
    if year > 0 { format!("{year:04}-{rest}") } else { format!("{:04}-{rest} BC", 1 - year) }
}

/// Year, month and day of the Gregorian calendar, from days since 2000-01-01.
///
/// Counts in years that begin in March, so that the leap day comes last, and in cycles of 400
/// years, which all have the same number of days.
fn civil(days: i64) -> (i64, i64, i64) {
    // 2000-03-01, where a cycle of 400 years begins, is day 60.
    let since = days - 60;
    let (cycle, of_cycle) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    // Months from March have 31, 30, 31, 30, 31 days over and over: 153 in five.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (2000 + 400 * cycle + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let table = [
            (0, "2000-01-01"),
            (59, "2000-02-29"),
            (60, "2000-03-01"),
            (-1, "1999-12-31"),
            (9_190, "2025-02-28"),
            (9_191, "2025-03-01"),
            (36_583, "2100-02-28"),
            (36_584, "2100-03-01"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
        ];
        for (days, text) in table {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn no_bytes_from_the_server_panic() {
        for length in 0..24 {
            for fill in [0u8, 1, 0x7f, 0xff] {
                let raw = vec![fill; length];
                for ty in [Type::NUMERIC, Type::JSONB, Type::DATE, Type::TIMESTAMPTZ, Type::TIME] {
                    let _ = decode(&ty, &raw);
                }
            }
        }
    }
}
