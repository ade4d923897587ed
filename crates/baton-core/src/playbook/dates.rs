//! Dates in a request: written ones, and ones that count from today.
//!
//! Days only: of a phrase in hours or minutes, what is kept is the phrase.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

use super::numbers;
use super::reading::{Look, Token};
use crate::time::Timestamp;

/// A day of the calendar: what "today" means to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Day(Date);

impl Day {
    /// A year from -9999 to 9999, a month from 1, a day of the month from 1; `None` where the calendar
    /// has no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self)
    }

    /// The day of a moment, in UTC; 1970-01-01 where the calendar does not reach.
    pub fn of(at: Timestamp) -> Self {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        Self(at.to_zoned(jiff::tz::TimeZone::UTC).date())
    }
}

/// Writes `2026-11-21`.
impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which end of a period a phrase names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// "since", "from", "after".
    Start,
    /// "until", "to", "before".
    Stop,
}

/// The end of a period that a word before a value announces, or that the name of an input has.
pub(super) fn end_of(word: &str) -> Option<End> {
    match word {
        "since" | "from" | "after" | "start" | "starting" | "begin" | "beginning" => {
            Some(End::Start)
        }
        "until" | "till" | "to" | "before" | "end" | "ending" | "through" => Some(End::Stop),
        _ => None,
    }
}

/// A phrase that names a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// The day; `None` for a phrase of less than a day.
    pub day: Option<Day>,
    /// `7 days ago`, where it counts back.
    pub ago: Option<String>,
    /// How many tokens it takes.
    pub length: usize,
    /// The end of the period it names by itself: "the last 30 days" begin then.
    pub end: Option<End>,
}

impl When {
    fn on(day: Date, length: usize) -> Self {
        Self { day: Some(Day(day)), ago: None, length, end: None }
    }
}

/// The phrase that begins at a token.
pub(super) fn phrase(tokens: &[Token], at: usize, today: Day) -> Option<When> {
    let tokens = tokens.get(at..)?;
    let first = tokens.first().filter(|token| token.look != Look::Quoted)?;
    match first.lower.as_str() {
        "today" => Some(When::on(today.0, 1)),
        "tomorrow" => Some(When::on(today.0.tomorrow().ok()?, 1)),
        "yesterday" => back(1, "day", 1, today),
        "last" | "past" | "previous" => last(tokens, today),
        "this" => this(tokens.get(1)?, today),
        _ => written(first).or_else(|| ago(tokens, today)).or_else(|| weekday(first, 1, today)),
    }
}

/// `2026-11-21`, also with a time of day, which is dropped.
fn written(token: &Token) -> Option<When> {
    let day = token.text.split(['T', 't']).next()?;
    (day.len() == 10).then_some(())?;
    Some(When::on(day.parse().ok()?, 1))
}

/// "90 days ago", "a week ago".
fn ago(tokens: &[Token], today: Day) -> Option<When> {
    let count = count(tokens.first()?)?;
    let unit = unit(tokens.get(1)?)?;
    (tokens.get(2)?.lower == "ago").then_some(())?;
    back(count, unit, 3, today)
}

/// "last week", "the past 30 days", "last Monday".
fn last(tokens: &[Token], today: Day) -> Option<When> {
    let second = tokens.get(1)?;
    let found = match (unit(second), count(second)) {
        (Some(unit), _) => back(1, unit, 2, today),
        (None, Some(count)) => back(count, unit(tokens.get(2)?)?, 3, today),
        (None, None) => weekday(second, 2, today),
    };
    found.map(|when| When { end: Some(End::Start), ..when })
}

/// "this week": its first day.
fn this(token: &Token, today: Day) -> Option<When> {
    let today = today.0;
    let day = match unit(token)? {
        "week" => today.checked_sub(today.weekday().to_monday_zero_offset().days()).ok()?,
        "month" => today.first_of_month(),
        "year" => today.first_of_year(),
        _ => return None,
    };
    Some(When { end: Some(End::Start), ..When::on(day, 2) })
}

/// The day of that name before today.
fn weekday(token: &Token, length: usize, today: Day) -> Option<When> {
    let day = match token.lower.as_str() {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    };
    Some(When::on(today.0.nth_weekday(-1, day).ok()?, length))
}

fn back(count: u32, unit: &str, length: usize, today: Day) -> Option<When> {
    let plural = if count == 1 { "" } else { "s" };
    let ago = Some(format!("{count} {unit}{plural} ago"));
    let span = match unit {
        "day" => Span::new().try_days(count),
        "week" => Span::new().try_weeks(count),
        "month" => Span::new().try_months(count),
        "year" => Span::new().try_years(count),
        _ => return Some(When { day: None, ago, length, end: None }),
    };
    let day = today.0.checked_sub(span.ok()?).ok()?;
    Some(When { day: Some(Day(day)), ago, length, end: None })
}

fn count(token: &Token) -> Option<u32> {
    let number = numbers::in_words(&token.lower);
    number.or_else(|| token.text.parse().ok()).filter(|count| (1..=100_000).contains(count))
}

fn unit(token: &Token) -> Option<&'static str> {
    const UNITS: [&str; 6] = ["minute", "hour", "day", "week", "month", "year"];
    let singular = token.lower.strip_suffix('s').unwrap_or(&token.lower);
    UNITS.into_iter().find(|unit| *unit == singular)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::reading;

    #[test]
    fn phrases_are_days() {
        // A Saturday.
        let today = Day::new(2026, 11, 21).unwrap();
        for (text, day, ago) in [
            ("2026-01-31", Some("2026-01-31"), None),
            ("2026-01-31T10:00:00Z", Some("2026-01-31"), None),
            ("2026-02-30", None, None),
            ("today", Some("2026-11-21"), None),
            ("Yesterday", Some("2026-11-20"), Some("1 day ago")),
            ("tomorrow", Some("2026-11-22"), None),
            ("90 days ago", Some("2026-08-23"), Some("90 days ago")),
            ("a week ago", Some("2026-11-14"), Some("1 week ago")),
            ("two months ago", Some("2026-09-21"), Some("2 months ago")),
            ("3 hours ago", None, Some("3 hours ago")),
            ("last week", Some("2026-11-14"), Some("1 week ago")),
            ("past 30 days", Some("2026-10-22"), Some("30 days ago")),
            ("last Monday", Some("2026-11-16"), None),
            ("Saturday", Some("2026-11-14"), None),
            ("this week", Some("2026-11-16"), None),
            ("this year", Some("2026-01-01"), None),
            ("this repository", None, None),
            ("last commits", None, None),
            ("99999999999 days ago", None, None),
            ("100000 years ago", None, None),
        ] {
            let found = phrase(&reading::tokens(text), 0, today);
            let shown = found.as_ref().and_then(|when| when.day).map(|day| day.to_string());
            assert_eq!(shown.as_deref(), day, "{text}");
            assert_eq!(found.and_then(|when| when.ago).as_deref(), ago, "{text}");
        }
    }

    #[test]
    fn the_day_of_a_moment_is_its_day_in_utc() {
        let day = |at: &str| Day::of(at.parse().unwrap()).to_string();
        assert_eq!(day("2026-11-21T23:59:59Z"), "2026-11-21");
        assert_eq!(Day::of(Timestamp::from_millis(i64::MAX)).to_string(), "1970-01-01");
        assert_eq!(Day::new(2026, 2, 29), None);
    }
}
