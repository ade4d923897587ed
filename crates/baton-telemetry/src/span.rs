//! A span as it is told: what of a trace has ended, with its place and its attributes.
//!
//! How it is written on the wire is not its business.

use baton_core::time::Timestamp;

/// The longest text of an attribute that is no content, in bytes: names come from definitions and
/// models.
const NAME_BYTES_MAX: usize = 256;

/// A part of a trace that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace: the workflow's id.
    pub trace: [u8; 16],
    /// The span; that of an attempt is what the attempt's calls pass on.
    pub id: u64,
    /// The span it is part of; none of a run's own.
    pub parent: Option<u64>,
    /// What led to it in another trace: its trace and span.
    pub link: Option<([u8; 16], u64)>,
    /// What it is, of few values.
    pub name: String,
    /// Whether it waits for somebody else.
    pub kind: Kind,
    /// When it began, by the journal.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What is known of it, by the names of the conventions.
    pub attributes: Vec<(&'static str, Value)>,
    /// That it failed, and why where that may be told; empty where it may not.
    pub failed: Option<String>,
}

/// Whether a span waits for somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is work of our own, or the whole of others.
    Internal,
    /// It is a call of somebody outside.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Whole(i64),
}

impl Value {
    /// A name, cut where it is longer than any name needs to be.
    pub fn name(text: impl ToString) -> Self {
        Self::Text(short(text.to_string()))
    }

    /// A count; one past the largest stays there.
    pub fn count(count: u64) -> Self {
        Self::Whole(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

impl Span {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.attributes.iter().find_map(|(known, value)| (*known == name).then_some(value))
    }
}

/// A name, cut where it is longer than any name needs to be.
pub(crate) fn short(name: String) -> String {
    cut(name, NAME_BYTES_MAX)
}

/// At most so many bytes of a text, and whole characters.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
