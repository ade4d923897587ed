//! Schedules: a cron expression in a time zone, and the moments it is due at.
//!
//! Where clocks are set forward, what falls into the gap is due at its end; where they are set back, what
//! comes twice is due once. Zones are those compiled in, so that a schedule means the same on every machine.
//! It knows no clock: whoever asks says from when.

use std::fmt;
use std::sync::LazyLock;

use croner::Cron;
use croner::parser::{CronParser, Seconds};
use jiff::Zoned;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time::Timestamp;

/// The zone of a schedule that names none.
pub const ZONE_DEFAULT: &str = "UTC";
/// The longest cron expression, in bytes.
pub const CRON_BYTES_MAX: usize = 200;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// Why a text is no cron expression, or one that is never due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCron(String);

impl fmt::Display for BadCron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadCron {}

/// A name that no zone has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownZone;

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the name of a time zone")
    }
}

impl std::error::Error for UnknownZone {}

/// The zone of an IANA name, such as `Europe/Berlin`.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    ZONES.get(name).map_err(|_| UnknownZone)
}

impl Schedule {
    /// Reads a cron expression of five fields, or of six with seconds first.
    pub fn read(expression: &str, zone: TimeZone) -> Result<Self, BadCron> {
        if expression.len() > CRON_BYTES_MAX {
            return Err(BadCron(format!("longer than {CRON_BYTES_MAX} bytes")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let cron = parser.parse(expression).map_err(|fault| BadCron(fault.to_string()))?;
        let schedule = Self { cron, zone };
        match schedule.after(Timestamp::default()) {
            Some(_) => Ok(schedule),
            None => Err(BadCron("it is never due".to_owned())),
        }
    }

    /// The first moment after this one at which it is due.
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let from = self.zoned(moment)?;
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    /// The moments at which it was due after `from` up to and with `until`, oldest first: the newest
    /// `most` of them. It takes time in their number alone.
    pub fn between(&self, from: Timestamp, until: Timestamp, most: usize) -> Vec<Timestamp> {
        let mut due = Vec::new();
        let (mut at, mut inclusive) = (self.zoned(until), true);
        while let Some(end) = at.filter(|_| due.len() < most) {
            let Ok(before) = self.cron.find_previous_occurrence(&end, inclusive) else {
                break;
            };
            let moment = Timestamp::from_millis(before.timestamp().as_millisecond());
            if moment <= from {
                break;
            }
            due.push(moment);
            (at, inclusive) = (Some(before), false);
        }
        due.reverse();
        due
    }

    fn zoned(&self, moment: Timestamp) -> Option<Zoned> {
        // To the second, as cron counts: the rest of a second is behind what was due at its begin.
        let second = moment.as_millis().div_euclid(1_000);
        let at = jiff::Timestamp::from_second(second).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(cron: &str) -> Schedule {
        Schedule::read(cron, zone("Europe/Berlin").expect("a zone")).expect("a schedule")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn days(cron: &str, from: &str, until: &str) -> Vec<String> {
        let due = berlin(cron).between(at(from), at(until), 100);
        due.iter().map(ToString::to_string).collect()
    }

    /// In 2027, Berlin sets its clocks forward on 28 March and back on 31 October, at 01:00 UTC.
    #[test]
    fn what_falls_into_a_gap_is_due_at_its_end_and_what_comes_twice_is_due_once() {
        let spring =
            ["2027-03-27T01:30:00.000Z", "2027-03-28T01:00:00.000Z", "2027-03-29T00:30:00.000Z"];
        assert_eq!(days("30 2 * * *", "2027-03-26T12:00:00Z", "2027-03-29T12:00:00Z"), spring);
        let autumn =
            ["2027-10-30T00:30:00.000Z", "2027-10-31T00:30:00.000Z", "2027-11-01T01:30:00.000Z"];
        assert_eq!(days("30 2 * * *", "2027-10-29T12:00:00Z", "2027-11-01T12:00:00Z"), autumn);
    }

    #[test]
    fn forward_and_backward_name_the_same_moments() {
        for cron in ["30 2 * * *", "*/20 * * * *", "0 6 * * 1", "15 30 2 * * *", "0 12 L * *"] {
            let schedule = berlin(cron);
            for (from, until) in [
                ("2027-03-27T20:00:00Z", "2027-03-28T06:00:00Z"),
                ("2027-10-30T20:00:00Z", "2027-10-31T06:00:00Z"),
            ] {
                let (from, until) = (at(from), at(until));
                let mut forward = Vec::new();
                let mut next = schedule.after(from);
                while let Some(moment) = next.filter(|moment| *moment <= until) {
                    forward.push(moment);
                    next = schedule.after(moment);
                }
                assert_eq!(schedule.between(from, until, 1_000), forward, "{cron}");
                let newest = forward.len().saturating_sub(2);
                assert_eq!(schedule.between(from, until, 2), forward[newest..], "{cron}");
            }
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let utc = || zone(ZONE_DEFAULT).expect("a zone");
        for bad in ["", "* * *", "61 * * * *", "a b c d e", "0 0 30 2 *", &"*".repeat(300)] {
            assert!(Schedule::read(bad, utc()).is_err(), "{bad}");
        }
        assert_eq!(zone("Europe/Berlim").err(), Some(UnknownZone));
    }
}
