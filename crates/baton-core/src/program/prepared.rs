//! What rendering a task yields: plain data, ready to be journaled and carried out.

use std::time::Duration;

use serde_json::Value;

use crate::body::Json;
use crate::time::Timestamp;
use crate::words::{Effect, HumanKind};

/// What is to be done with a task whose turn has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Prepared {
    /// Its `when` is false.
    Skip,
    /// One item task for each element.
    Expand(Vec<Json>),
    /// Its work.
    Work(Rendered),
}

/// A call of a tool with its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `server.tool`.
    pub tool: String,
    /// What repeating it would do.
    pub effect: Effect,
    /// An object.
    pub input: Json,
}

/// A task's work with every template rendered.
#[derive(Clone, Debug, PartialEq)]
pub enum Rendered {
    /// Calls a tool.
    Tool(Call),
    /// Asks a person.
    Human {
        /// The shape of the answer.
        kind: HumanKind,
        /// The question.
        ask: Option<String>,
        /// `form`: a JSON Schema object of the answer.
        form: Option<Value>,
        /// `choice`: the options.
        options: Vec<String>,
    },
    /// Waits for a moment.
    WaitUntil(Timestamp),
    /// Waits for a span from now.
    WaitFor(Duration),
    /// Waits for an event; [`super::Program::event_matches`] tells whether one fits.
    WaitEvent {
        /// Its type; `*` stands for any run of characters.
        event: String,
        /// After which the task fails with `no_event`.
        timeout: Option<Duration>,
    },
    /// Emits an event.
    Emit {
        /// Its type.
        event_type: String,
        /// Its data.
        data: Json,
    },
    /// Runs a child workflow; its plan stands in the task's plan.
    Child {
        /// Its inputs, an object, before its own defaults.
        inputs: Json,
    },
    /// Is offered to workers outside.
    Worker {
        /// Its input, an object.
        input: Json,
    },
    /// Has an agent work.
    Agent {
        /// What it is asked: a text, or anything that `Message::asked` takes.
        prompt: Value,
    },
}
