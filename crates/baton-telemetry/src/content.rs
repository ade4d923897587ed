//! What people, models and tools said: whether it is told, and in which form.
//!
//! Nothing of it leaves unless an operator asked for it. That holds for the messages of failures too,
//! as a tool may write anything into them.

use baton_core::agent::{Message, Part, Piece};
use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_engine::store::Views;
use serde_json::{Value as JsonValue, json};

use crate::span::cut;

/// The most of one text that is told, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Whether content is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Names, numbers and times only.
    #[default]
    Off,
    /// Messages, arguments, results and the texts of failures too.
    On,
}

/// Reads what may be told.
pub(crate) struct Telling<'v> {
    pub content: Content,
    pub views: &'v mut dyn Views,
}

impl Telling<'_> {
    /// The JSON of a body, where it may be told and can be read.
    fn json(&mut self, body: &Body) -> Option<Json> {
        match (self.content, body) {
            (Content::Off, _) => None,
            (Content::On, Body::Inline(json)) => Some(json.clone()),
            (Content::On, Body::Blob { hash, .. }) => {
                // What cannot be read just now is left out: the journal has it.
                self.views.blob(*hash).ok().flatten()?.unpack().ok()
            }
        }
    }

    /// A body as JSON, cut where it is long.
    pub fn text(&mut self, body: &Body) -> Option<String> {
        self.json(body).map(|json| cut(json.as_str().to_owned(), TEXT_BYTES_MAX))
    }

    /// A message of a transcript, as the conventions have messages.
    pub fn message(&mut self, body: &Body) -> Option<String> {
        let message: Message = serde_json::from_str(self.json(body)?.as_str()).ok()?;
        Some(cut(json!([shaped(&message)]).to_string(), TEXT_BYTES_MAX))
    }

    /// Why something failed; an empty text where that may not be told.
    pub fn failure(&self, failure: Option<&CallFailure>) -> String {
        match (self.content, failure) {
            (Content::On, Some(failure)) => cut(failure.message.clone(), TEXT_BYTES_MAX),
            (Content::Off, _) | (Content::On, None) => String::new(),
        }
    }
}

/// A message with its role and parts. What a provider wants back unseen is left out.
fn shaped(message: &Message) -> JsonValue {
    let (role, parts): (&str, Vec<JsonValue>) = match message {
        Message::User(parts) => ("user", parts.iter().map(asked).collect()),
        Message::Assistant(pieces) => ("assistant", pieces.iter().filter_map(said).collect()),
        Message::Tool(answers) => {
            let part = |answer: &baton_core::agent::ToolAnswer| {
                json!({ "type": "tool_call_response", "id": answer.id,
                        "response": answer.output.as_ref().map(Json::value) })
            };
            ("tool", answers.iter().map(part).collect())
        }
    };
    json!({ "role": role, "parts": parts })
}

fn asked(part: &Part) -> JsonValue {
    match part {
        Part::Text(text) => json!({ "type": "text", "content": text }),
        // An image is as large as all the rest of a trace.
        Part::Image { media_type, .. } => {
            json!({ "type": "blob", "modality": "image", "mime_type": media_type, "content": "" })
        }
    }
}

fn said(piece: &Piece) -> Option<JsonValue> {
    match piece {
        Piece::Text(text) => Some(json!({ "type": "text", "content": text })),
        Piece::Reasoning(_) => None,
        Piece::Call { id, tool, arguments } => Some(
            json!({ "type": "tool_call", "id": id, "name": tool, "arguments": arguments.value() }),
        ),
    }
}
