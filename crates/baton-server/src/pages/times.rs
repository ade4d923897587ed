//! Ages as people read them. `pages.js` says them in the same words between two renderings.
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
}
