//! How far a running call or a worker says it is: bounded, made harmless, and never written down.
//!
//! Who keeps it, and for how long, is the business of [`Live`](crate::ports::Live).

use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ports::Progress;

/// The longest message that is kept, in characters; longer ones are cut.
pub const MESSAGE_CHARS_MAX: usize = 200;

/// What was said last of a task that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The task; whoever reads it back takes it from where it stands.
    #[serde(skip, default = "nobody")]
    pub task: TaskId,
    /// The attempt that says it.
    #[serde(skip)]
    pub attempt: u32,
    /// How much is done, in the unit of whoever says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// How much there is in all, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// For people: one line without control characters, of at most [`MESSAGE_CHARS_MAX`] characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why the task does not start, where it could: then nothing runs, and nothing else is said. One
    /// line, as a message is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// When it was said.
    pub at: Timestamp,
}

fn nobody() -> TaskId {
    WorkflowId::from_bytes([0; 16]).task(Ordinal(0))
}

impl Said {
    /// What a tool reports of the call that an attempt makes.
    pub fn by_tool(of: (TaskId, u32), progress: &Progress, at: Timestamp) -> Self {
        let message = progress.message.as_deref();
        Self::of(of, (Some(progress.done), progress.total, message), at)
    }

    /// What a worker says with a heartbeat: a number, a text, or an object of `progress`, `total` and
    /// `message`. Other JSON says nothing to those who watch.
    pub fn by_worker(of: (TaskId, u32), value: &Value, at: Timestamp) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_f64);
        let (done, total, message) = match value {
            Value::Number(number) => (number.as_f64(), None, None),
            Value::String(text) => (None, None, Some(text.as_str())),
            Value::Object(_) => {
                let message = value.get("message").and_then(Value::as_str);
                (number("progress"), number("total"), message)
            }
            Value::Null | Value::Bool(_) | Value::Array(_) => return None,
        };
        let said = Self::of(of, (done, total, message), at);
        (said.progress.is_some() || said.message.is_some()).then_some(said)
    }

    fn of(
        (task, attempt): (TaskId, u32),
        (done, total, message): (Option<f64>, Option<f64>, Option<&str>),
        at: Timestamp,
    ) -> Self {
        let progress = done.filter(|done| done.is_finite() && *done >= 0.0);
        let total = total.filter(|total| total.is_finite() && *total > 0.0);
        let message = message.map(harmless).filter(|message| !message.is_empty());
        Self { task, attempt, progress, total, message, held: None, at }
    }

    /// A task is held back after this attempt of it.
    pub fn held((task, attempt): (TaskId, u32), why: &str, at: Timestamp) -> Self {
        let held = Some(harmless(why));
        Self { task, attempt, progress: None, total: None, message: None, held, at }
    }

    /// How much of the whole is done, 0 to 100, where both are known.
    pub fn percentage(&self) -> Option<u8> {
        let share = (self.progress? / self.total? * 100.0).clamp(0.0, 100.0);
        (0..=100).rev().find(|percent| f64::from(*percent) <= share)
    }

    /// For people, in a line: the message and the share, or the bare number.
    pub fn line(&self) -> String {
        if let Some(why) = &self.held {
            return format!("held: {why}");
        }
        let share = match (self.percentage(), self.progress) {
            (Some(percent), _) => Some(format!("{percent} %")),
            (None, Some(done)) => Some(done.to_string()),
            (None, None) => None,
        };
        let parts: Vec<String> = self.message.clone().into_iter().chain(share).collect();
        parts.join(" · ")
    }
}

/// A text of somebody else's on one line: what controls a terminal or turns the direction of writing
/// is left out.
fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let plain = spaced.filter(|c| !c.is_control() && !turns(*c));
    plain.take(MESSAGE_CHARS_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn by_worker(value: &Value) -> Option<Said> {
        let task = WorkflowId::from_bytes([0; 16]).task(Ordinal(0));
        Said::by_worker((task, 1), value, Timestamp::from_millis(0))
    }

    fn line(value: &Value) -> Option<String> {
        by_worker(value).map(|said| said.line())
    }

    #[test]
    fn what_workers_say_is_read_in_each_of_its_forms() {
        assert_eq!(line(&json!(3)).as_deref(), Some("3"));
        assert_eq!(line(&json!("half of it")).as_deref(), Some("half of it"));
        let whole = json!({ "progress": 1, "total": 3, "message": "pages", "more": [1] });
        assert_eq!(line(&whole).as_deref(), Some("pages · 33 %"));
        for nothing in [json!(null), json!(true), json!([1]), json!({}), json!("\u{7}"), json!(-1)]
        {
            assert_eq!(line(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_share_stays_within_the_whole() {
        for (done, total, percent) in [(5, 4, Some(100)), (0, 4, Some(0)), (1, 0, None)] {
            let said = by_worker(&json!({ "progress": done, "total": total })).unwrap();
            assert_eq!(said.percentage(), percent, "{done} of {total}");
        }
    }

    #[test]
    fn a_message_is_one_bounded_line_that_controls_nothing() {
        let hostile = format!("\u{1b}[2J<b>\u{202e}one\ntwo{}", "x".repeat(1_000));
        let message = by_worker(&json!(hostile)).unwrap().message.unwrap();
        assert!(message.starts_with("[2J<b>one two"), "{message}");
        assert_eq!(message.chars().count(), MESSAGE_CHARS_MAX);
    }
}
