//! Times and numbers as people read them. `live.js` says ages in the same words between two renderings.
//!
//! Nothing here reads a clock.

use std::time::Duration;

use baton_core::time::Timestamp;

/// A moment as a page shows it: how long ago, and exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Age {
    /// `4 min`.
    pub text: String,
    /// RFC 3339, for `<time>`.
    pub iso: String,
}

impl Age {
    /// How long ago `at` was.
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        Self { text: coarse(now.since(at)), iso: at.to_string() }
    }

    /// `4 min ago`.
    pub fn ago(&self) -> String {
        if self.text == "now" { "just now".to_owned() } else { format!("{} ago", self.text) }
    }
}

/// A span in its largest unit, as lists show it.
pub fn coarse(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..5 => "now".to_owned(),
        5..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A duration as accurately as one reads it.
pub fn exact(span: Duration) -> String {
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

/// `1 task`, `2 tasks`, with thousands apart.
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

/// A text cut to a number of characters, marked where it was.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_said_in_their_largest_unit() {
        let now = Timestamp::from_millis(1_000_000_000);
        let ages = [
            (0, "now"),
            (5, "5 s"),
            (59, "59 s"),
            (240, "4 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
        ];
        for (seconds, text) in ages {
            let at = Timestamp::from_millis(now.as_millis() - seconds * 1000);
            assert_eq!(Age::of(at, now).text, text);
        }
        let later = Timestamp::from_millis(now.as_millis() + 60_000);
        assert_eq!(Age::of(later, now).text, "now", "a clock that is behind shows no negative age");
    }

    #[test]
    fn durations_and_numbers_read_well() {
        let spans =
            [(3, "3 ms"), (1_500, "1.5 s"), (75_000, "1 min 15 s"), (90_000_000, "1 d 1 h")];
        for (millis, text) in spans {
            assert_eq!(exact(Duration::from_millis(millis)), text);
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
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
