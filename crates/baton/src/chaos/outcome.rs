//! What a store says of its workflows after a run, in the form the judge compares.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A place in the journal and what is said to stand there.
pub type Told = (u64, String);

/// A workflow as `show --events --json` tells it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its definition.
    pub name: String,
    /// How it came to be.
    pub origin: String,
    /// Where its run stands.
    pub status: String,
    /// What the run brought.
    pub output: Value,
    /// Its tasks by key.
    pub tasks: BTreeMap<String, SeenTask>,
    /// Its events.
    pub events: BTreeSet<Told>,
}

/// A task of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenTask {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub status: String,
    /// What it brought: inline, or the hash of a large one.
    pub output: Value,
}

fn text(value: &Value, field: &str) -> String {
    let text = value.get(field).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// The position and the type of an event: of a line that a run told, or as it was shown later.
pub fn told(event: &Value, word: &str) -> Option<Told> {
    let told = event.get("position").and_then(Value::as_u64);
    let shown = || event.get("id").and_then(Value::as_str)?.parse().ok();
    Some((told.or_else(shown)?, text(event, word)))
}

impl Seen {
    /// Reads what `show --events --json` printed.
    pub fn of(shown: &Value) -> Self {
        let workflow = shown.get("workflow").unwrap_or(&Value::Null);
        let status_of = |task: &Value| {
            let (id, status) = (text(task, "id"), text(task, "status"));
            let output = Value::Null;
            (text(task, "key"), SeenTask { id, status, output })
        };
        let mut tasks: BTreeMap<String, SeenTask> = list(shown, "tasks").map(status_of).collect();
        for event in list(shown, "events") {
            let completed = text(event, "type") == "task.completed";
            let task = tasks.get_mut(&text(event, "task"));
            if let (Some(task), Some(data), true) = (task, event.get("data"), completed) {
                task.output = output_of(data);
            }
        }
        Self {
            id: text(workflow, "id"),
            name: text(workflow, "name"),
            origin: text(workflow, "origin"),
            status: text(workflow, "status"),
            output: workflow.get("output").cloned().unwrap_or_default(),
            tasks,
            events: list(shown, "events").filter_map(|event| told(event, "type")).collect(),
        }
    }
}

/// A task's output; of a list of items only how many, as their numbers depend on who was first.
fn output_of(data: &Value) -> Value {
    let output = data.get("output").unwrap_or(&Value::Null);
    match output.get("items").and_then(|items| items.get("count")) {
        Some(count) => count.clone(),
        None => output.get("value").cloned().unwrap_or_default(),
    }
}
