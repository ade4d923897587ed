//! Conversations at a server: what is told them, and when to look at them again.

use std::time::Duration;

use baton_core::conversation::Given;
use baton_core::ids::ConversationId;
use baton_engine::conversations::ConversationView;
use baton_engine::conversing::{Opening, Word};
use baton_server::wire::Ask;
use serde_json::{Value, json};

use super::Remote;
use super::answers::Fault;
use super::client::Sending;
use crate::exit::Failed;

impl Remote {
    /// Opens a conversation, or tells it something.
    pub fn converse(&mut self, ask: Ask) -> anyhow::Result<ConversationId> {
        let (path, body) = match ask {
            Ask::Open(opening) => {
                let Opening { title, message, project, .. } = *opening;
                let body = json!({ "title": title, "message": message, "project_id": project });
                ("/conversations".to_owned(), body)
            }
            Ask::Converse { conversation, word } => told(conversation, word),
            // A server works on everything by itself.
            Ask::Attend { conversation } => {
                let path = format!("/conversations/{conversation}");
                let shown: Result<ConversationView, Fault> = self.client.get(&path);
                return Ok(shown.map_err(|fault| self.failed(fault))?.id);
            }
            Ask::Hello
            | Ask::Submit(_)
            | Ask::Edit(_)
            | Ask::UndoEdit { .. }
            | Ask::Command { .. }
            | Ask::AwaitEnd { .. }
            | Ask::Fork { .. }
            | Ask::TakeUpAll
            | Ask::TakeUp { .. }
            | Ask::Define(_)
            | Ask::Purge { .. }
            | Ask::CreateToken { .. }
            | Ask::RevokeToken { .. }
            | Ask::Servers
            | Ask::Said { .. }
            | Ask::ReleaseServer { .. }
            | Ask::Follow { .. } => {
                return Err(Failed::usage("that is nothing to tell a conversation").into());
            }
        };
        let text = body.to_string();
        let sending = Sending { kind: "application/json", text: &text };
        let shown: Result<ConversationView, Fault> = self.client.post(&path, sending)?;
        Ok(shown.map_err(|fault| self.failed(fault))?.id)
    }

    /// Waits until a conversation has changed behind a revision, at most so long.
    pub fn await_conversation(
        &self,
        id: ConversationId,
        revision: u64,
        wait: Duration,
    ) -> anyhow::Result<()> {
        let (next, wait) = (revision + 1, wait.as_secs().max(1));
        let path = format!("/conversations/{id}?revision={next}&wait={wait}s");
        let shown: Result<ConversationView, Fault> = self.client.get(&path);
        match shown {
            Ok(_) => Ok(()),
            // It has not changed.
            Err(Fault::Refused(problem)) if problem.status == 504 => Ok(()),
            Err(fault) => Err(self.failed(fault)),
        }
    }
}

/// Where what a person tells a conversation is posted, and as what.
fn told(conversation: ConversationId, word: Word) -> (String, Value) {
    let to = |word: &str| format!("/conversations/{conversation}/{word}");
    match word {
        Word::Say { text } => (to("messages"), json!({ "text": text })),
        Word::Answer { answers } => {
            let answer = |answer: baton_core::conversation::Answer| match answer.given {
                Given::Value(value) => json!({ "key": answer.key, "value": value }),
                Given::Skipped => json!({ "key": answer.key, "skip": true }),
                Given::Delegated => json!({ "key": answer.key, "decide": true }),
            };
            let answers: Vec<Value> = answers.into_iter().map(answer).collect();
            (to("answers"), json!({ "answers": answers }))
        }
        Word::Shift { focus } => (to("context"), json!(focus)),
        Word::Stop => (to("stop"), json!({})),
        Word::Escalate { reason } => (to("escalate"), json!({ "reason": reason })),
        Word::Claim => (to("claim"), json!({})),
        Word::Release => (to("release"), json!({})),
        Word::Close => (to("close"), json!({})),
    }
}
