//! Time as a value: a millisecond timestamp, and the moment a decision is taken at.
//!
//! Nothing here reads a clock or a random source; the engine's caller does, and passes the result in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many milliseconds a day has, in UTC.
pub const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970-01-01T00:00:00Z; RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }
    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }
    /// The day it is in, in days since 1970 (UTC).
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }
    /// This moment and `span` more, saturating.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
    /// How long from `earlier` to this; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{} ms since 1970", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|at| Self(at.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// When a decision is taken, and the entropy it may use.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Never earlier than any event already in the journal.
    pub now: Timestamp,
    entropy: u64,
}

impl Moment {
    /// A moment at `now` with 64 bits of entropy.
    pub const fn new(now: Timestamp, entropy: u64) -> Self {
        Self { now, entropy }
    }

    /// The same moment, not before `earliest`.
    pub fn not_before(self, earliest: Timestamp) -> Self {
        Self { now: self.now.max(earliest), ..self }
    }

    /// 128 bits drawn from the moment's entropy; the same `salt` draws the same bits.
    pub fn draw(&self, salt: u64) -> u128 {
        let seed = self.entropy.wrapping_add(salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (u128::from(mix(seed)) << 64) | u128::from(mix(seed ^ 0xd1b5_4a32_d192_ed03))
    }
}

/// SplitMix64's finalizer (Steele, Lea, Flood 2014): spreads a counter over 64 bits.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A span of time in the contract's notation (`250ms`, `10s`, `5m`, `1h30m`, `2d`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// A text that is no span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotASpan;

impl fmt::Display for NotASpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a span of time; write it like `250ms`, `10s`, `5m`, `1h30m` or `2d`")
    }
}

impl std::error::Error for NotASpan {}

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Span {
    type Err = NotASpan;
    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let mut rest = text.trim();
        let mut millis = 0_u64;
        if rest.is_empty() {
            return Err(NotASpan);
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotASpan)?.1;
            let number: u64 = number.parse().map_err(|_| NotASpan)?;
            millis =
                number.checked_mul(scale).and_then(|ms| millis.checked_add(ms)).ok_or(NotASpan)?;
            rest = tail;
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, scale) in UNITS {
            if millis >= scale {
                write!(f, "{}{unit}", millis / scale)?;
                millis %= scale;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_they_are_written() {
        for text in ["250ms", "10s", "5m", "1h30m", "2d", "1d2h3m4s5ms"] {
            assert_eq!(text.parse::<Span>().map(|span| span.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "5", "m", "5 m", "-5m", "5y", "99999999999999999999d"] {
            assert_eq!(text.parse::<Span>(), Err(NotASpan), "{text}");
        }
    }

    #[test]
    fn timestamps_are_rfc_3339() {
        let at = Timestamp::from_millis(1_800_000_000_123);
        assert_eq!(at.to_string(), "2027-01-15T08:00:00.123Z");
        assert_eq!(at.to_string().parse::<Timestamp>().ok(), Some(at));
    }
}
