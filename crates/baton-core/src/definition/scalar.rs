//! Plain scalars by YAML 1.2's core schema: `null`, booleans, numbers, else text.
//!
//! YAML 1.1's words (`yes`, `on`, sexagesimals, dates) are text here, as in JSON.

use std::borrow::Cow;

use serde_json::Number;

use super::tree::Tree;

/// What an unquoted scalar stands for. `Err` says why it has no JSON form.
pub(crate) fn plain(text: Cow<'_, str>) -> Result<Tree<'_>, &'static str> {
    let value = match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Tree::Null,
        "true" | "True" | "TRUE" => Tree::Bool(true),
        "false" | "False" | "FALSE" => Tree::Bool(false),
        word => match number(word)? {
            Some(number) => Tree::Number(number),
            None => return Ok(Tree::Text(text)),
        },
    };
    Ok(value)
}

fn number(word: &str) -> Result<Option<Number>, &'static str> {
    let first = word.bytes().next().unwrap_or_default();
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Ok(None);
    }
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(word, ".nan" | ".NaN" | ".NAN") {
        return Err("this number has no JSON form");
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        let digits = word.strip_prefix(prefix).unwrap_or_default();
        if !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)) {
            let number = u64::from_str_radix(digits, radix).map_err(|_| TOO_BIG)?;
            return Ok(Some(number.into()));
        }
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(word).map(Some);
    }
    if !is_float(unsigned) {
        return Ok(None);
    }
    let float: f64 = word.parse().map_err(|_| "this number cannot be read")?;
    Number::from_f64(float).map(Some).ok_or(TOO_BIG)
}

const TOO_BIG: &str = "this number does not fit into 64 bits";

fn integer(word: &str) -> Result<Number, &'static str> {
    let word = word.strip_prefix('+').unwrap_or(word);
    let unsigned = word.parse::<u64>().map(Number::from);
    let signed = || word.parse::<i64>().map(Number::from);
    unsigned.or_else(|_| signed()).map_err(|_| TOO_BIG)
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_fits && digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &str) -> Result<Value, &'static str> {
        plain(text.into()).map(|value| {
            super::super::tree::Node { place: super::super::tree::Place::new(0, 0), value }
                .to_json()
        })
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("False", json!(false)),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("0", json!(0)),
            ("+7", json!(7)),
            ("-7", json!(-7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("1e", json!("1e")),
            ("-", json!("-")),
            (".", json!(".")),
            ("1.2.3", json!("1.2.3")),
            ("12:30", json!("12:30")),
            ("2027-01-15", json!("2027-01-15")),
        ] {
            assert_eq!(read(text), Ok(value), "{text}");
        }
        for text in
            [".inf", "-.INF", ".nan", "18446744073709551616", "1e999", "0xffffffffffffffffff"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
