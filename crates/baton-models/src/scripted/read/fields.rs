//! Fields of an object are read by name and kind, and what is wrong with one is noted.
//!
//! It knows no field's meaning.

use std::str::FromStr;
use std::time::Duration;

use baton_core::codes::{Code, UnknownWord};
use baton_core::definition::Wrong;
use baton_core::time::Span;
use serde_json::{Map, Value};

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) wrongs: Vec<Wrong>,
}

impl Walk {
    pub(super) fn wrong(&mut self, at: &str, message: impl Into<String>, help: impl Into<String>) {
        let help = Some(help.into());
        self.wrongs.push(Wrong { pointer: at.to_owned(), message: message.into(), help });
    }
}

/// The fields of one object.
pub(super) struct Fields<'v> {
    map: &'v Map<String, Value>,
    at: String,
}

/// Each element of a list, with its JSON pointer.
type Elements<'v> = Vec<(String, &'v Value)>;

impl<'v> Fields<'v> {
    /// Those of an object that may have these and no others.
    pub(super) fn of(walk: &mut Walk, value: &'v Value, at: &str, known: &[&str]) -> Option<Self> {
        let names = known.join("`, `");
        let Value::Object(map) = value else {
            walk.wrong(at, "this must be an object", format!("its fields are `{names}`"));
            return None;
        };
        let fields = Self { map, at: at.to_owned() };
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let message = format!("there is no field `{key}` here");
            walk.wrong(&fields.at(key), message, format!("its fields are `{names}`"));
        }
        Some(fields)
    }

    /// The JSON pointer of a field.
    pub(super) fn at(&self, key: &str) -> String {
        format!("{}/{}", self.at, key.replace('~', "~0").replace('/', "~1"))
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, walk: &mut Walk, key: &str) -> Option<String> {
        let value = self.get(key)?;
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            walk.wrong(&self.at(key), format!("`{key}` must be a string"), "put it into quotes");
        }
        text
    }

    pub(super) fn truth(&self, walk: &mut Walk, key: &str) -> bool {
        let Some(value) = self.get(key) else { return false };
        value.as_bool().unwrap_or_else(|| {
            walk.wrong(&self.at(key), format!("`{key}` must be true or false"), "write `true`");
            false
        })
    }

    /// A whole number from 0 to `most`.
    pub(super) fn whole(&self, walk: &mut Walk, key: &str, most: u64) -> Option<u64> {
        let number = self.get(key)?.as_u64().filter(|number| *number <= most);
        if number.is_none() {
            let message = format!("`{key}` must be a whole number of at most {most}");
            walk.wrong(&self.at(key), message, "write it in digits, without quotes");
        }
        number
    }

    pub(super) fn span(&self, walk: &mut Walk, key: &str) -> Option<Duration> {
        let text = self.text(walk, key)?;
        let span: Result<Span, _> = text.parse();
        span.map(|span| span.0)
            .map_err(|why| walk.wrong(&self.at(key), why.to_string(), "a number and its unit"))
            .ok()
    }

    /// A word of a vocabulary.
    pub(super) fn word<W>(&self, walk: &mut Walk, key: &str) -> Option<W>
    where
        W: Code + FromStr<Err = UnknownWord>,
    {
        let text = self.text(walk, key)?;
        let known = || W::ALL.iter().map(|word| word.word()).collect::<Vec<_>>().join("`, `");
        text.parse()
            .map_err(|_| {
                let message = format!("`{key}` cannot be `{text}`");
                walk.wrong(&self.at(key), message, format!("known are `{}`", known()));
            })
            .ok()
    }

    /// The elements of a list.
    pub(super) fn list(&self, walk: &mut Walk, key: &str) -> Option<Elements<'v>> {
        let value = self.get(key)?;
        let Value::Array(items) = value else {
            walk.wrong(&self.at(key), format!("`{key}` must be a list"), "begin each with `- `");
            return None;
        };
        let at = self.at(key);
        Some(
            items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect(),
        )
    }
}
