//! Events between workflows: what was emitted reaches every task that waits for it at that moment.
//! Nothing is kept for those who come later; the journal has it.

use baton_core::body::{Body, Json};
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::workflow::{Command, TaskEmitted};

use crate::engine::Engine;
use crate::exchange::Split;
use crate::live::read_blob;
use crate::scope::{Ingredients, Unrendered};
use crate::store::Store;

impl Engine {
    /// Notes an event for every task that waits for one of its type.
    pub(crate) fn emitted(&mut self, number: u64, emitted: &TaskEmitted) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let (source, position) = (live.state.id, live.head);
        let fits = self
            .listeners
            .iter()
            .filter(|(_, _, pattern)| matches_type(pattern, &emitted.event_type));
        let arrivals = fits.map(|(listener, task, _)| Arrival {
            listener: *listener,
            task: *task,
            source,
            position,
            event_type: emitted.event_type.clone(),
            data: emitted.data.clone(),
        });
        self.arrivals.extend(arrivals);
    }

    /// Delivers what was emitted to those whose `when` is true of it.
    pub(crate) fn deliver_all(&mut self, store: &mut dyn Store) {
        while let Some(arrival) = self.arrivals.pop_front() {
            let (number, task) = (arrival.listener, arrival.task);
            match self.fitting_event(&arrival, store) {
                Ok(Some((event, blob))) => {
                    self.staging.offer(blob);
                    let _ = self.apply_own(number, &Command::Deliver { task, event });
                }
                // A `when` that fails on this event does not match it.
                Ok(None) | Err(Unrendered::Failed(_)) => {}
                // It comes once: the emission must not be written without its deliveries.
                Err(Unrendered::Unread(fault)) => self.fault(fault),
            }
        }
    }

    fn fitting_event(
        &self,
        arrival: &Arrival,
        store: &mut dyn Store,
    ) -> Result<Option<Split>, Unrendered> {
        let Some(live) = self.lives.get(&arrival.listener) else {
            return Ok(None);
        };
        let Some(of) = live.state.task(arrival.task).map(|facts| facts.of) else {
            return Ok(None);
        };
        let data = match &arrival.data {
            Body::Inline(json) => json.clone(),
            Body::Blob { hash, .. } => {
                self.staging.offered(*hash).map_or_else(|| read_blob(*hash, store), Ok)?
            }
        };
        let event = Json::of(&serde_json::json!({
            "id": arrival.position.to_string(),
            "source": format!("/workflows/{}", arrival.source),
            "type": arrival.event_type,
            "time": self.now.moment.now,
            "data": data.value(),
        }));
        let ingredients = Ingredients::gather(&live.state, live.loaded.program.references(of));
        let scope = ingredients
            .with_event(Body::Inline(event.clone()))
            .resolve(&mut |hash| read_blob(hash, store))?;
        Ok(live.loaded.program.event_matches(of, &scope)?.then(|| Body::split(event)))
    }
}

/// An event on its way to a task that waits for one of its type.
#[derive(Debug)]
pub(crate) struct Arrival {
    listener: u64,
    task: Ordinal,
    source: WorkflowId,
    position: u64,
    event_type: String,
    data: Body,
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
