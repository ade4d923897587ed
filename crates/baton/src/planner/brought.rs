//! What the model that plans brings in the end: the result of the one call that ended its task.
//!
//! It stands in the journal as that call's output, so its shape is only added to.

use std::collections::BTreeMap;

use baton_core::conversation::Clarification;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a planner's task ended with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brought {
    /// Questions, checked.
    Ask(Vec<Clarification>),
    /// A plan, checked when it was proposed.
    ProposePlan(Box<Proposed>),
    /// A definition, found when it was named.
    StartDefinition(Named),
    /// An answer.
    Answer(String),
    /// A person is needed, for this reason.
    Escalate(String),
}

/// A plan as a model writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// What it does, in a line.
    pub title: String,
    /// A definition; its name and version may be left out.
    pub plan: Map<String, Value>,
    /// What it runs on.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// What it takes for granted.
    #[serde(default)]
    pub assumptions: Vec<String>,
    /// What it will not do.
    #[serde(default)]
    pub will_not: Vec<String>,
    /// Why a task is there, by its id.
    #[serde(default)]
    pub why: BTreeMap<String, String>,
}

/// A definition by its name, with what it runs on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// The definition's name.
    pub name: String,
    /// What it runs on.
    #[serde(default)]
    pub inputs: Map<String, Value>,
}
