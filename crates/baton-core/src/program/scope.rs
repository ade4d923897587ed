//! What templates may read, as concrete plain data, and how a path through it is followed.
//!
//! Whoever evaluates builds a scope of exactly what [`super::Program::references`] names; nothing
//! here looks anything up elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use minijinja::value::{Object, Serde, Value as Rendered};
use serde_json::Value;

use super::scan::{Reference, Step};
use crate::ids::{Ordinal, WorkflowId};
use crate::words::TaskStatus;

/// What is known of a task that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFacts {
    /// How it ended.
    pub status: TaskStatus,
    /// Its output; `null` for a task that brought none.
    pub output: Arc<Value>,
}

/// The workflow a template is rendered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowFacts {
    /// Its id.
    pub id: WorkflowId,
    /// Its definition's name.
    pub name: String,
    /// The number of its run, from 1.
    pub run: u32,
}

/// Everything the templates of one task may read.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The workflow's inputs, an object.
    pub inputs: Arc<Value>,
    /// The tasks that [`super::Program::references`] names.
    pub tasks: BTreeMap<Ordinal, TaskFacts>,
    /// The index and element of an item of an `each`.
    pub item: Option<(u32, Arc<Value>)>,
    /// The workflow.
    pub workflow: WorkflowFacts,
    /// The event that a `wait` or a trigger looks at; in a trigger with a schedule, what is known of its
    /// moment, under the name `schedule`. A definition names the one of the two that is there.
    pub event: Option<Arc<Value>>,
    /// The output of a probe's call.
    pub output: Option<Arc<Value>>,
}

/// A scope with the keys its tasks are named by.
#[derive(Debug)]
pub(crate) struct View {
    pub scope: Scope,
    pub keys: Arc<HashMap<Box<str>, Ordinal>>,
}

impl View {
    fn facts(&self, key: &str) -> Option<&TaskFacts> {
        let ordinal = self.keys.get(key)?;
        self.scope.tasks.get(ordinal)
    }

    /// The value a root stands for; tasks are followed by [`Self::follow`] alone.
    fn root(&self, name: &str) -> Option<Value> {
        let scope = &self.scope;
        match name {
            "inputs" => Some(scope.inputs.as_ref().clone()),
            "item" => scope.item.as_ref().map(|(_, item)| item.as_ref().clone()),
            "index" => scope.item.as_ref().map(|(index, _)| (*index).into()),
            "workflow" => Some(serde_json::json!({
                "id": scope.workflow.id.to_string(),
                "name": scope.workflow.name,
                "run": scope.workflow.run,
            })),
            "event" | "schedule" => scope.event.as_deref().cloned(),
            "output" => scope.output.as_deref().cloned(),
            _ => None,
        }
    }

    /// Follows a reference. `Err` says what is missing.
    pub fn follow(&self, reference: &Reference) -> Result<Value, String> {
        let missing = || format!("`{}` is undefined", reference.root);
        let scope = &self.scope;
        match reference.root.as_str() {
            "tasks" => self.follow_task(reference),
            "inputs" => descend(&scope.inputs, reference, 0),
            "item" => {
                let (_, item) = scope.item.as_ref().ok_or_else(missing)?;
                descend(item, reference, 0)
            }
            "event" | "schedule" => {
                descend(scope.event.as_ref().ok_or_else(missing)?, reference, 0)
            }
            "output" => descend(scope.output.as_ref().ok_or_else(missing)?, reference, 0),
            other => descend(&self.root(other).ok_or_else(missing)?, reference, 0),
        }
    }

    fn follow_task(&self, reference: &Reference) -> Result<Value, String> {
        let Some(Step::Key(key)) = reference.steps.first() else {
            return Err("`tasks` alone is not a value; name a task".to_owned());
        };
        let facts = self.facts(key).ok_or_else(|| format!("the task `{key}` is not known here"))?;
        match reference.steps.get(1) {
            Some(Step::Key(field)) if &**field == "output" => descend(&facts.output, reference, 2),
            Some(Step::Key(field)) if &**field == "status" => {
                descend(&Value::from(facts.status.to_string()), reference, 2)
            }
            None => {
                Ok(serde_json::json!({ "status": facts.status, "output": facts.output.as_ref() }))
            }
            Some(other) => Err(format!("a task has no `{other}`; it has `output` and `status`")),
        }
    }
}

fn descend(from: &Value, reference: &Reference, skip: usize) -> Result<Value, String> {
    let mut value = from;
    for (at, step) in reference.steps.iter().enumerate().skip(skip) {
        value = get(value, step).ok_or_else(|| {
            let parent = Reference {
                steps: reference.steps.iter().take(at).cloned().collect(),
                ..reference.clone()
            };
            format!("`{parent}{step}` is undefined: {}", describe(&parent, value, step))
        })?;
    }
    Ok(value.clone())
}

fn get<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match step {
        Step::Key(key) => value.get(&**key),
        Step::Index(index) => {
            let list = value.as_array()?;
            let index = match usize::try_from(*index) {
                Ok(index) => index,
                Err(_) => list.len().checked_add_signed(isize::try_from(*index).ok()?)?,
            };
            list.get(index)
        }
    }
}

fn describe(parent: &Reference, value: &Value, step: &Step) -> String {
    match value {
        Value::Object(object) if object.is_empty() => format!("`{parent}` is an empty object"),
        Value::Object(object) => {
            let known: Vec<&str> = object.keys().take(8).map(String::as_str).collect();
            format!("`{parent}` has {}", known.join(", "))
        }
        Value::Array(list) => format!("`{parent}` is a list of {}", list.len()),
        Value::Null => format!("`{parent}` is null"),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("`{parent}` is no object that could have `{step}`")
        }
    }
}

/// The root of every evaluation: looks up lazily, so that an evaluation pays for what it reads.
#[derive(Debug)]
pub(crate) struct Context(pub Arc<View>);

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Rendered) -> Option<Rendered> {
        match key.as_str()? {
            "tasks" => Some(Rendered::from_object(Tasks(Arc::clone(&self.0)))),
            name => self.0.root(name).map(|value| Rendered::from(Serde(value))),
        }
    }
}

#[derive(Debug)]
struct Tasks(Arc<View>);

impl Object for Tasks {
    fn get_value(self: &Arc<Self>, key: &Rendered) -> Option<Rendered> {
        let facts = self.0.facts(key.as_str()?)?.clone();
        Some(Rendered::from_object(Task(facts)))
    }
}

#[derive(Debug)]
struct Task(TaskFacts);

impl Object for Task {
    fn get_value(self: &Arc<Self>, key: &Rendered) -> Option<Rendered> {
        match key.as_str()? {
            "output" => Some(Rendered::from(Serde(self.0.output.as_ref()))),
            "status" => Some(Rendered::from(self.0.status.to_string())),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> minijinja::value::Enumerator {
        minijinja::value::Enumerator::Str(&["status", "output"])
    }
}
