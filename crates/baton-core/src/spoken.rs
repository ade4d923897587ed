//! Numbers and spans as people read them, on pages and in a terminal alike.
//!
//! Nothing here reads a clock, or makes foreign text harmless: who shows it does that.

use std::time::Duration;

use crate::workflow::Amount;

/// A duration as accurately as one reads it: `3 ms`, `1.5 s`, `1 min 15 s`, `1 d 1 h`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..10 => format!("{:.1} s", span.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A number of things: `1 task`, `2,000 tasks`.
pub fn many(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(count))
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount of what budgets bound: `5,000 tokens and $0.50`.
pub fn amount(amount: &Amount) -> String {
    let tokens = (amount.tokens > 0).then(|| many(amount.tokens, "token"));
    let cost = (amount.cost.as_pico() > 0).then(|| format!("${}", amount.cost));
    let calls = (amount.calls > 0).then(|| many(u64::from(amount.calls), "call"));
    let parts: Vec<String> = [tokens, cost, calls].into_iter().flatten().collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(" and ") }
}

/// A text of at most so many characters, the last of them a mark where it was cut.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_read_well() {
        let spans =
            [(3, "3 ms"), (1_500, "1.5 s"), (75_000, "1 min 15 s"), (90_000_000, "1 d 1 h")];
        for (millis, text) in spans {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
        let numbers = [
            (1, "1 task"),
            (999, "999 tasks"),
            (1_000, "1,000 tasks"),
            (1_234_567, "1,234,567 tasks"),
        ];
        for (count, text) in numbers {
            assert_eq!(many(count, "task"), text);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "ä…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
