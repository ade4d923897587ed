//! What an edit changes of a plan, by the keys of its tasks: for whoever looks at it.
//!
//! It compares what is written, not what tools and agents are looked up to be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::written::written;
use crate::plan::Plan;

/// What differs between a plan and the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Keys of new tasks, in the order of the plan.
    pub added: Vec<String>,
    /// Keys of tasks that are there no more.
    pub removed: Vec<String>,
    /// Keys of tasks that do something else, or stand in another stage.
    pub changed: Vec<String>,
    /// Fields of the definition that differ beside its tasks: `stages` where stages are others or the
    /// tasks have another order.
    pub fields: Vec<String>,
}

/// What leads from one plan to the other.
pub fn changes(before: &Plan, after: &Plan) -> Changes {
    let (before, after) = (Parts::of(before), Parts::of(after));
    let keys = |from: &Parts, without: &Parts| {
        let keys = from.order.iter().filter(|key| !without.tasks.contains_key(*key));
        keys.cloned().collect::<Vec<String>>()
    };
    let is_other = |key: &&String| {
        let old = before.tasks.get(*key);
        old.is_some() && old != after.tasks.get(*key)
    };
    let mut fields: Vec<String> = Vec::new();
    for name in before.head.keys().chain(after.head.keys()) {
        if before.head.get(name) != after.head.get(name) && !fields.contains(name) {
            fields.push(name.clone());
        }
    }
    let kept = |one: &Parts, other: &Parts| {
        let kept = one.order.iter().filter(|key| other.tasks.contains_key(*key));
        kept.cloned().collect::<Vec<String>>()
    };
    let reordered = kept(&before, &after) != kept(&after, &before);
    if before.stages != after.stages || reordered {
        fields.push("stages".to_owned());
    }
    Changes {
        added: keys(&after, &before),
        removed: keys(&before, &after),
        changed: after.order.iter().filter(is_other).cloned().collect(),
        fields,
    }
}

/// A definition taken apart.
struct Parts {
    head: BTreeMap<String, Value>,
    /// Each without its tasks.
    stages: Vec<Value>,
    /// By key, with the name of the stage.
    tasks: BTreeMap<String, (String, Value)>,
    order: Vec<String>,
}

impl Parts {
    fn of(plan: &Plan) -> Self {
        let mut parts = Self {
            head: BTreeMap::new(),
            stages: Vec::new(),
            tasks: BTreeMap::new(),
            order: Vec::new(),
        };
        let Value::Object(fields) = written(plan) else { return parts };
        for (name, value) in fields {
            if name == "stages" {
                let stages = value.as_array().cloned().unwrap_or_default();
                stages.into_iter().for_each(|stage| parts.stage(stage));
            } else {
                parts.head.insert(name, value);
            }
        }
        parts
    }

    fn stage(&mut self, mut stage: Value) {
        let name = stage.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(Value::Array(tasks)) = stage.get_mut("tasks").map(Value::take) {
            for task in tasks {
                let key = task.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.order.push(key.clone());
                self.tasks.insert(key, (name.clone(), task));
            }
        }
        self.stages.push(stage);
    }
}
