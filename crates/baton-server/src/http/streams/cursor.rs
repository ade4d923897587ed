//! A place in a stream: the `id` of a message, and what a client says to go on behind it.
//!
//! An event is told as one message or, where it begins or ends the call of a tool, as two. Each has a
//! place of its own, so that who was cut off between them misses neither and hears neither twice.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Everything up to a position, and so many messages of the event behind it: `41`, or `41.1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Everything up to here was told.
    pub position: u64,
    /// And so many messages of the next event.
    pub more: u8,
}

impl Cursor {
    /// The place of a message: the `part`th (from 0) of `parts` of the event at a position.
    pub fn of(position: u64, part: u8, parts: u8) -> Self {
        let told = part + 1;
        if told < parts {
            Self { position: position.saturating_sub(1), more: told }
        } else {
            Self { position, more: 0 }
        }
    }
}

impl From<u64> for Cursor {
    fn from(position: u64) -> Self {
        Self { position, more: 0 }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.more {
            0 => write!(f, "{}", self.position),
            more => write!(f, "{}.{more}", self.position),
        }
    }
}

/// A text that is no place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACursor;

impl fmt::Display for NotACursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no `id` of a message, such as `41` or `41.1`")
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (position, more) = text.split_once('.').unwrap_or((text, "0"));
        let position = position.parse().map_err(|_| NotACursor)?;
        Ok(Self { position, more: more.parse().map_err(|_| NotACursor)? })
    }
}

impl<'de> Deserialize<'de> for Cursor {
    /// From the text of a query, or from a number or a text of JSON.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)) => other.to_string(),
        };
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_in_which_messages_are_told() {
        let places = [Cursor::of(41, 0, 1), Cursor::of(42, 0, 2), Cursor::of(42, 1, 2)];
        assert!(places.is_sorted());
        assert_eq!(places.map(|place| place.to_string()), ["41", "41.1", "42"]);
        for place in places {
            assert_eq!(place.to_string().parse(), Ok(place));
            let json = format!("[{place}, \"{place}\"]");
            assert_eq!(serde_json::from_str::<[Cursor; 2]>(&json).unwrap(), [place, place]);
        }
        for wrong in ["", "x", "-1", "1.", "1.x", "1.999"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong}");
        }
    }
}
