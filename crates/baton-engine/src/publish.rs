//! Events from outside: taken in once for each source and id.
//!
//! Whether they are well-formed was judged where they came in; who they reach is in `deliver`.

use baton_core::body::Blob;
use baton_core::fact::event_key;
use baton_core::words::FactKind;
use baton_core::workflow::{Event, EventReceived};

use crate::deliver::Happening;
use crate::engine::Engine;
use crate::exchange::{Declined, Reply};
use crate::request::Answer;
use crate::store::Store;

impl Engine {
    /// Records an event and draws all its consequences, in one commit.
    pub(crate) fn publish(
        &mut self,
        event: EventReceived,
        blob: Option<Blob>,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        if self.draining {
            return Err(Declined::Draining);
        }
        let key = event_key(&event.source, &event.id);
        let seen = self.fact(FactKind::EventSeen, &key, store)?;
        if let Some(position) = seen.map(|fact| fact.position) {
            return Ok(Reply::Published { position, duplicate: true, started: Vec::new() });
        }
        self.staging.offer(blob);
        let now = self.now.moment.now;
        let happening = Happening::received(&event, actor, now);
        let position = self.staging.append_system(&Event::from(event), 0, actor, now);
        self.fired.clear();
        self.happened(Happening { position, ..happening });
        self.settle(store);
        let fired = self.fired.iter().filter(|(cause, _)| *cause == position);
        let started = fired.map(|(_, id)| *id).collect();
        Ok(Reply::Published { position, duplicate: false, started })
    }
}
