//! Numbers as people write them, and the units of time behind them.
//!
//! It reads one number; which input it belongs to is not decided here.

use serde_json::{Number, Value};

/// Units of time by the stems of their names and short forms, in milliseconds.
const UNITS: [(&str, f64); 18] = [
    ("ms", 1.0),
    ("millisecond", 1.0),
    ("s", 1e3),
    ("sec", 1e3),
    ("second", 1e3),
    ("min", 6e4),
    ("minut", 6e4),
    ("h", 3.6e6),
    ("hr", 3.6e6),
    ("hour", 3.6e6),
    ("d", 8.64e7),
    ("day", 8.64e7),
    ("week", 6.048e8),
    ("month", 2.592e9),
    ("quarter", 7.776e9),
    ("yr", 3.1536e10),
    ("year", 3.1536e10),
    ("w", 6.048e8),
];

/// A number and the unit of time written to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Amount {
    /// The number.
    pub number: f64,
    /// Its unit in milliseconds, where it is written right behind: `5s`.
    pub unit: Option<f64>,
}

/// The unit of time that a stem names, in milliseconds.
pub(super) fn unit(stem: &str) -> Option<f64> {
    UNITS.iter().find(|(name, _)| *name == stem).map(|(_, millis)| *millis)
}

/// A small number written as a word.
pub(super) fn in_words(lower: &str) -> Option<u32> {
    const WORDS: [&str; 12] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    if matches!(lower, "a" | "an") {
        return Some(1);
    }
    (1..).zip(WORDS).find(|(_, word)| *word == lower).map(|(number, _)| number)
}

/// `12`, `-1.5`, `1,000`, `20%`, `5s`, `three`.
pub(super) fn amount(text: &str) -> Option<Amount> {
    let text = text.trim();
    let lower = text.to_lowercase();
    if let Some(number) = in_words(&lower).filter(|_| lower.len() > 2) {
        return Some(Amount { number: f64::from(number), unit: None });
    }
    let end = text.rfind(|letter: char| letter.is_ascii_digit())? + 1;
    let (digits, suffix) = text.split_at_checked(end)?;
    let unit = match suffix.trim() {
        "" | "%" => None,
        suffix => Some(unit(&super::terms::stem(&suffix.to_lowercase()))?),
    };
    Some(Amount { number: plain(digits)?, unit })
}

/// Digits, with one point, and commas or underscores between groups of three.
fn plain(digits: &str) -> Option<f64> {
    const DIGITS_MAX: usize = 40;
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let fits = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".,_".contains(&byte));
    let starts = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let whole = unsigned.split('.').next().unwrap_or_default();
    let mut groups = whole.split([',', '_']);
    let first = groups.next().map_or(0, str::len);
    let grouped =
        groups.all(|group| group.len() == 3) && (first <= 3 || !whole.contains([',', '_']));
    let fraction_is_plain = !unsigned.get(whole.len()..)?.contains([',', '_']);
    if digits.len() > DIGITS_MAX || !fits || !starts || !grouped || !fraction_is_plain {
        return None;
    }
    let number: f64 = digits.replace([',', '_'], "").parse().ok()?;
    number.is_finite().then_some(number)
}

/// The JSON number: whole where it is.
pub(super) fn value(number: f64) -> Option<Value> {
    /// Up to here every whole number is a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        // The shortest writing of a whole double is its digits.
        return format!("{number:.0}").parse::<i64>().ok().map(Value::from);
    }
    Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_as_written() {
        for (text, number, unit) in [
            ("12", json!(12), None),
            ("-1.5", json!(-1.5), None),
            ("+3", json!(3), None),
            ("1,000", json!(1000), None),
            ("1_000_000", json!(1_000_000), None),
            ("20%", json!(20), None),
            ("5s", json!(5), Some(1e3)),
            ("250ms", json!(250), Some(1.0)),
            ("10 minutes", json!(10), Some(6e4)),
            ("Three", json!(3), None),
            ("-0", json!(0), None),
        ] {
            let amount = amount(text);
            assert_eq!(amount.and_then(|amount| value(amount.number)), Some(number), "{text}");
            assert_eq!(amount.and_then(|amount| amount.unit), unit, "{text}");
        }
        for text in ["", "x", "1,00", "10,0000", "1.2.3", "12-11", "1e400", "5 apples", "a", "NaN"]
        {
            assert_eq!(amount(text), None, "{text}");
        }
        assert_eq!(amount(&"9".repeat(1_000_000)), None);
    }
}
