//! Events on their way: what came from outside or was emitted reaches every task that waits for it at
//! that moment, and every trigger. Nothing is kept for those who come later; the journal has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::body::{Body, Json};
use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;
use baton_core::workflow::{Command, EventReceived, FiringCause, TaskEmitted};
use serde_json::{Map, Value};

use crate::engine::Engine;
use crate::exchange::Split;
use crate::live::read_blob;
use crate::scope::{Ingredients, Unrendered};
use crate::store::Store;
use crate::triggers::Firing;

/// An event, wherever it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// Unique for the source.
    pub id: String,
    /// Where it comes from.
    pub source: String,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    pub time: Timestamp,
    /// Its other attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its data.
    pub data: Body,
    /// Its position in the journal.
    pub position: u64,
    /// How many firings of triggers led to it.
    pub hops: u8,
    /// The number of the actor behind it.
    pub actor: u32,
}

impl Happening {
    /// An event from outside, without its position.
    pub fn received(event: &EventReceived, actor: u32, now: Timestamp) -> Self {
        let mut attributes = event.extensions.clone();
        let more = [("subject", &event.subject), ("datacontenttype", &event.datacontenttype)];
        for (name, value) in more {
            attributes.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
        }
        Self {
            id: event.id.clone(),
            source: event.source.clone(),
            event_type: event.event_type.clone(),
            time: event.time.unwrap_or(now),
            attributes,
            data: event.data.clone(),
            position: 0,
            hops: 0,
            actor,
        }
    }

    /// As templates see it.
    fn value(&self, data: Value) -> Value {
        let attributes = self.attributes.iter();
        let mut fields: Map<String, Value> =
            attributes.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        for (name, value) in [
            ("id", self.id.as_str().into()),
            ("source", self.source.as_str().into()),
            ("type", self.event_type.as_str().into()),
            ("time", self.time.to_string().into()),
            ("data", data),
        ] {
            fields.insert(name.to_owned(), value);
        }
        Value::Object(fields)
    }
}

/// An event on its way to the tasks and triggers that look for its type.
#[derive(Debug)]
pub(crate) struct Arrival {
    what: Happening,
    listeners: Vec<(u64, Ordinal)>,
    triggers: Vec<(String, usize)>,
}

impl Engine {
    /// Notes an event that a task emitted.
    pub(crate) fn emitted(&mut self, number: u64, emitted: &TaskEmitted) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let what = Happening {
            id: live.head.to_string(),
            source: format!("/workflows/{}", live.state.id),
            event_type: emitted.event_type.clone(),
            time: self.now.moment.now,
            attributes: BTreeMap::new(),
            data: emitted.data.clone(),
            position: live.head,
            hops: live.state.hops,
            actor: 0,
        };
        let actor = self.own_actor();
        self.happened(Happening { actor, ..what });
    }

    /// Notes an event for every task and trigger that looks for its type.
    pub(crate) fn happened(&mut self, what: Happening) {
        let waiting = self.listeners.iter();
        let fits = waiting.filter(|(_, _, pattern)| matches_type(pattern, &what.event_type));
        let listeners: Vec<_> = fits.map(|(number, task, _)| (*number, *task)).collect();
        let triggers = self.triggers.listening(&what.event_type);
        if !listeners.is_empty() || !triggers.is_empty() {
            self.arrivals.push_back(Arrival { what, listeners, triggers });
        }
    }

    /// Delivers what happened to those whose `when` is true of it.
    pub(crate) fn deliver_all(&mut self, store: &mut dyn Store) {
        while let Some(Arrival { what, listeners, triggers }) = self.arrivals.pop_front() {
            let value = match self.value_of(&what, store) {
                Ok(value) => Arc::new(value),
                // What is damaged matches nothing.
                Err(Unrendered::Failed(_)) => continue,
                // It comes once: it must not be written without its deliveries.
                Err(Unrendered::Unread(fault)) => return self.fault(fault),
            };
            let text = Json::of(&value);
            for (number, task) in listeners {
                match self.fitting_event((number, task), &text, store) {
                    Ok(Some((event, blob))) => {
                        self.staging.offer(blob);
                        let _ = self.apply_own(number, &Command::Deliver { task, event });
                    }
                    // A `when` that fails on this event does not match it.
                    Ok(None) | Err(Unrendered::Failed(_)) => {}
                    Err(Unrendered::Unread(fault)) => self.fault(fault),
                }
            }
            for (definition, trigger) in triggers {
                let (position, hops, actor) = (what.position, what.hops, what.actor);
                let (source, id) = (what.source.clone(), what.id.clone());
                let cause = FiringCause::Event { position, source, id };
                let what = Arc::clone(&value);
                let firing = Firing { definition, trigger, cause, position, what, hops, actor };
                self.fire_if_meant(&firing);
            }
        }
    }

    fn value_of(&self, what: &Happening, store: &mut dyn Store) -> Result<Value, Unrendered> {
        let data = match &what.data {
            Body::Inline(json) => json.clone(),
            Body::Blob { hash, .. } => {
                self.staging.offered(*hash).map_or_else(|| read_blob(*hash, store), Ok)?
            }
        };
        Ok(what.value(data.value()))
    }

    fn fitting_event(
        &self,
        (number, task): (u64, Ordinal),
        event: &Json,
        store: &mut dyn Store,
    ) -> Result<Option<Split>, Unrendered> {
        let Some(live) = self.lives.get(&number) else {
            return Ok(None);
        };
        let Some(of) = live.state.task(task).map(|facts| facts.of) else {
            return Ok(None);
        };
        let ingredients = Ingredients::gather(&live.state, live.loaded.program.references(of));
        let scope = ingredients
            .with_event(Body::Inline(event.clone()))
            .resolve(&mut |hash| read_blob(hash, store))?;
        let matches = live.loaded.program.event_matches(of, &scope)?;
        Ok(matches.then(|| Body::split(event.clone())))
    }
}

/// Whether an event's type fits a pattern, in which `*` stands for any run of characters.
pub fn matches_type(pattern: &str, event_type: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == event_type;
    };
    let Some(mut left) = event_type.strip_prefix(prefix) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        let Some(at) = left.find(part) else {
            return false;
        };
        left = left.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches_type;

    #[test]
    fn stars_stand_for_any_run() {
        for (pattern, event_type, fits) in [
            ("repo.*", "repo.push", true),
            ("repo.*", "repos.push", false),
            ("*.done", "a.b.done", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("*", "", true),
        ] {
            assert_eq!(matches_type(pattern, event_type), fits, "{pattern} {event_type}");
        }
    }
}
