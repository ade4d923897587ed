//! What people have said since a request began.

use baton_core::words::Speaker;
use baton_core::workflow::{ConversationEvent, Event};
use baton_engine::conversing::PlanJob;
use baton_engine::live::read_event;
use baton_engine::store::{StoreError, Views};
use baton_engine::view::text_of;

/// The messages of people since a request began, oldest first; never empty.
pub struct Said {
    messages: Vec<String>,
}

impl Said {
    /// Reads them from the journal.
    pub fn read(job: &PlanJob, views: &mut dyn Views) -> Result<Self, StoreError> {
        let mut messages = Vec::new();
        for record in views.stream(job.number)? {
            let Event::Conversation(ConversationEvent::MessageAdded(message)) =
                read_event(&record)?
            else {
                continue;
            };
            if message.speaker == Speaker::User && message.number >= job.state.request.message {
                let text = text_of(&message.text, views)?;
                messages.push(serde_json::from_str(text.as_str()).unwrap_or_default());
            }
        }
        if messages.is_empty() {
            messages.push(String::new());
        }
        Ok(Self { messages })
    }

    /// What the request began with.
    pub fn first(&self) -> &str {
        self.messages.first().map_or("", String::as_str)
    }

    /// What was said last.
    pub fn last(&self) -> &str {
        self.messages.last().map_or("", String::as_str)
    }

    /// All of it.
    pub fn all(&self) -> String {
        self.messages.join("\n")
    }
}
