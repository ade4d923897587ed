//! The templates of triggers: read over what happened, before there is a workflow.
//!
//! Whether the type of an event fits, and when a schedule is due, is judged elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::template::{Expr, Form};
use super::{Program, Scope};
use crate::failure::CallFailure;
use crate::plan::Occasion;

/// The templates of one trigger; fields without templates are `None`.
#[derive(Debug)]
pub(crate) struct TriggerForms {
    pub when: Option<Arc<Expr>>,
    pub inputs: Option<Form>,
}

impl Program {
    /// Whether the trigger at `index` fires on this event, whose type fits.
    pub fn trigger_fires(&self, index: usize, event: &Arc<Value>) -> Result<bool, CallFailure> {
        let when = self.triggers.get(index).and_then(|forms| forms.when.as_ref());
        self.holds("when", when, &self.happened(event))
    }

    /// The inputs of the workflow that the trigger at `index` starts, before its defaults: an object.
    /// `what` is the event, or `{due}` of a schedule.
    pub fn trigger_inputs(&self, index: usize, what: &Arc<Value>) -> Result<Value, CallFailure> {
        let written = self.plan.triggers.get(index).and_then(|trigger| trigger.inputs.as_ref());
        let Some(written) = written else {
            return Ok(Value::Object(self.declared_of(what)));
        };
        let form = self.triggers.get(index).and_then(|forms| forms.inputs.as_ref());
        self.render("inputs", form, written, &self.view(&self.happened(what)))
    }

    /// The fields of an event's data that the definition declares.
    fn declared_of(&self, event: &Value) -> Map<String, Value> {
        let schema = self.plan.inputs.as_ref();
        let known = schema.and_then(|schema| schema.get("properties")?.as_object());
        let data = event.get("data").and_then(Value::as_object);
        let fields = data.into_iter().flatten();
        let declared = |name: &String| known.is_some_and(|known| known.contains_key(name));
        let kept = fields.filter(|(name, _)| declared(name));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn happened(&self, what: &Arc<Value>) -> Scope {
        Scope {
            tasks: BTreeMap::new(),
            event: Some(Arc::clone(what)),
            ..self.empty_scope().clone()
        }
    }
}

/// The expression of a trigger that has one.
pub(crate) fn when(on: &Occasion) -> Option<&str> {
    match on {
        Occasion::Event { when, .. } => when.as_deref(),
        Occasion::Schedule { .. } => None,
    }
}
