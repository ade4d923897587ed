//! Playbooks: which definition a request is about, and what of its inputs the request says already.
//!
//! Nothing but arithmetic on words: no model is asked. Where two readings fit equally well it takes
//! neither, so that a person is asked instead. It starts nothing and knows of no store.

mod answer;
mod asked;
mod dates;
mod fill;
mod find;
mod index;
mod numbers;
mod paths;
mod reading;
mod roles;
mod shelf;
mod slot;
mod terms;
mod told;

#[cfg(test)]
mod tests;

pub use answer::read_answer;
pub use dates::Day;
pub use fill::{Filled, fill};
pub use shelf::{CERTAIN_SCORE_MIN, Choice, MATCHES_MAX, Match, RIVAL_SHARE, SCORE_MIN, Shelf};
pub use slot::{CHOICES_MAX, SLOTS_MAX, Slot, SlotKind, slots};

use serde_json::Value;

/// The longest part of a request that is read, in characters; what follows is not looked at.
pub const REQUEST_CHARS_MAX: usize = 8_000;

/// A definition as a shelf sees it.
#[derive(Clone, Copy, Debug)]
pub struct Playbook<'a> {
    /// The definition's name.
    pub name: &'a str,
    /// What it is for, in a sentence; empty where nobody says.
    pub description: &'a str,
    /// Requests that it answers.
    pub examples: &'a [String],
    /// The JSON Schema object of its inputs.
    pub inputs: Option<&'a Value>,
}

impl<'a> From<&'a crate::plan::Plan> for Playbook<'a> {
    fn from(plan: &'a crate::plan::Plan) -> Self {
        Self {
            name: &plan.name,
            description: plan.description.as_deref().unwrap_or_default(),
            examples: &plan.examples,
            inputs: plan.inputs.as_ref(),
        }
    }
}
