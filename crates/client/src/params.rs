//! Parameters of SQL statements.

/// A parameter or a returned value, as JSON.
pub use serde_json::Value;

/// Parameters in order: integers, floats, booleans, strings, options of them, and [`bytes()`].
///
/// A float that JSON cannot express (NaN, infinity) becomes null.
///
/// ```
/// let params = handfast_client::params![100, "alice", true, None::<i64>];
/// assert_eq!(params[0], 100);
/// assert!(params[3].is_null());
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::Value::from($value)),*]
    };
}

/// A parameter that is what a branch before has put out: `branch`, or `branch.path.to.field`.
///
/// ```
/// let params = handfast_client::params![handfast_client::output("book.id")];
/// assert_eq!(params[0]["output"], "book.id");
/// ```
pub fn output(path: &str) -> Value {
    serde_json::json!({ "output": path })
}

/// A parameter of bytes, as the wire writes it: `{"bytes": "<base64>"}`.
///
/// ```
/// let params = handfast_client::params![handfast_client::bytes(b"hi")];
/// assert_eq!(params[0]["bytes"], "aGk=");
/// ```
pub fn bytes(bytes: &[u8]) -> Value {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { DIGITS[index as usize].into() } else { '=' });
        }
    }
    serde_json::json!({ "bytes": text })
}
