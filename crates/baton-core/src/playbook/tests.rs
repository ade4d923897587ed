//! Tests of the playbooks: what is chosen, what is filled in, what an answer stands for.

mod answers;
mod examples;
mod fills;
mod hostile;
mod shelves;

use serde_json::{Map, Value};

use super::{Day, Filled, fill};

/// A Saturday.
pub(super) fn today() -> Day {
    Day::new(2026, 11, 21).unwrap()
}

/// What a request fills in where nothing was given.
pub(super) fn filled(inputs: &Value, request: &str) -> Filled {
    fill(inputs, request, today(), &Map::new())
}
