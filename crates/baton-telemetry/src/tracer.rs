//! Events of the journal, in their order, become the spans that they end.
//!
//! A function of the journal: who comes in the middle of a run reads what was before. It sends nothing
//! and knows no clock.

use std::collections::HashMap;
use std::sync::Arc;

use baton_core::codes::Code;
use baton_core::workflow::{Admitted, Event, EventKind};
use baton_engine::live::read_event;
use baton_engine::store::{Record, SYSTEM_STREAM, StoreError, Views};
use baton_engine::wording::Wordings;

use crate::content::{Content, Telling};
use crate::span::Span;
use crate::story::Story;

/// How many workflows are followed before those that were seen are looked up anew.
const STORIES_MAX: usize = 10_000;

/// Makes spans of events.
#[derive(Debug, Default)]
pub struct Tracer {
    content: Content,
    wordings: Arc<Wordings>,
    stories: HashMap<u64, Story>,
}

impl Tracer {
    /// With or without what was said.
    pub fn new(content: Content) -> Self {
        Self { content, ..Self::default() }
    }

    /// The spans that an event ends, what is inside before what holds it. After an error the same
    /// event may be seen again; of a workflow that was purged there is nothing to tell.
    pub fn see(&mut self, record: &Record, views: &mut dyn Views) -> Result<Vec<Span>, StoreError> {
        if record.stream == SYSTEM_STREAM {
            return Ok(Vec::new());
        }
        let event = read_event(record)?;
        // Its stream is no workflow's: nothing of it runs, and its workflows tell of themselves.
        if matches!(event, Event::Conversation(_)) {
            return Ok(Vec::new());
        }
        if !self.stories.contains_key(&record.stream) {
            let Some(story) = self.recall(record, &event, views)? else { return Ok(Vec::new()) };
            if self.stories.len() >= STORIES_MAX {
                self.stories.clear();
            }
            self.stories.insert(record.stream, story);
        }
        let Some(story) = self.stories.get_mut(&record.stream) else { return Ok(Vec::new()) };
        let mut telling = Telling { content: self.content, views };
        let spans = story.see(record.at, &event, &mut telling);
        if let Event::Finished(_) = event {
            self.stories.remove(&record.stream);
        }
        Ok(spans)
    }

    /// Lets go of everything that was seen, as what comes next is not what follows it.
    pub fn forget(&mut self) {
        self.stories.clear();
    }

    /// The story of an event's workflow up to before it.
    fn recall(
        &self,
        record: &Record,
        event: &Event,
        views: &mut dyn Views,
    ) -> Result<Option<Story>, StoreError> {
        if let Event::Admitted(admitted) = event {
            return self.admitted(admitted, record, views);
        }
        let before = views.stream(record.stream)?;
        let mut before = before.iter().take_while(|known| known.position < record.position);
        let first = before.next().filter(|first| first.kind == EventKind::Admitted.code());
        let Some(first) = first else { return Ok(None) };
        let Event::Admitted(admitted) = read_event(first)? else { return Ok(None) };
        let Some(mut story) = self.admitted(&admitted, first, views)? else { return Ok(None) };
        for known in before {
            // Told by whoever saw it; nothing of it is told again.
            let mut quiet = Telling { content: Content::Off, views };
            story.see(known.at, &read_event(known)?, &mut quiet);
        }
        Ok(Some(story))
    }

    fn admitted(
        &self,
        admitted: &Admitted,
        record: &Record,
        views: &mut dyn Views,
    ) -> Result<Option<Story>, StoreError> {
        let Some((card, row)) = views.workflow(admitted.id)? else { return Ok(None) };
        if row.purged_at().is_some() {
            return Ok(None);
        }
        let wording = self.wordings.of(admitted.plan, views)?;
        Ok(Some(Story::new(admitted, record.at, (card.name, card.version), wording)))
    }
}
