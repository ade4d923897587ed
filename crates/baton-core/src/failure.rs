//! How a call fails: its kind, what is known of its effect, and whether trying again may help.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::words::{FailureKind, Happened};

/// The longest message a failure carries, in characters; longer ones are cut.
pub const MESSAGE_CHARS_MAX: usize = 2_000;
/// The longest message of a failure that lists faults to be mended, in characters.
pub const FAULTS_CHARS_MAX: usize = 8_000;

/// A call that did not bring its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailure {
    /// Why.
    pub kind: FailureKind,
    /// What happened, where, and what to do: for people.
    pub message: String,
    /// Whether the call had its effect.
    pub happened: Happened,
    /// Whether the same call may go well later.
    pub retryable: bool,
    /// How long the other side asked us to wait, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl CallFailure {
    /// A failure that is certain not to have had an effect and will not go away by itself.
    pub fn refused(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: cut(message.into(), MESSAGE_CHARS_MAX),
            happened: Happened::No,
            retryable: false,
            retry_after_ms: None,
        }
    }

    /// A refusal that lists every fault of what was asked for, so that all of them can be mended at once.
    pub fn faulty(message: impl Into<String>) -> Self {
        let message = cut(message.into(), FAULTS_CHARS_MAX);
        Self { message, ..Self::refused(FailureKind::InvalidInput, String::new()) }
    }

    /// A passing failure that is certain not to have had an effect.
    pub fn passing(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { retryable: true, ..Self::refused(kind, message) }
    }

    /// A failure after which nobody knows whether the call had its effect.
    pub fn in_doubt(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { happened: Happened::Unknown, ..Self::passing(kind, message) }
    }

    /// The pause the other side asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

fn cut(message: String, chars_max: usize) -> String {
    match message.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message,
    }
}
