//! What the four protocols have in common: a request of ours becomes one of theirs, and the events of
//! a stream become an answer.
//!
//! The clients are our own, and thin. A library (genai 0.7.2) was looked at for each of the four, and
//! for each something that is required is out of its reach: it reads lines and error bodies of any
//! length into memory, tells text, reasoning and calls apart from the order in which they came (a
//! signature of Gemini's then no longer stands at its part), drops the words of a refusal, does not
//! say why a response was incomplete, skips events that it cannot read, and rewrites schemas so that
//! optional values have to be invented. Nothing here sends: that is `exchange.rs`.

use baton_core::agent::{Piece, ToolAnswer};
use baton_core::body::Json;
use baton_engine::ports::ModelRequest;
use serde_json::{Value, json};

use crate::config::Protocol;
use crate::gathering::{Broken, Gathering};
use crate::provider::{Dialect, Key, Provider};
use crate::{anthropic, gemini, openai, responses, schema};

/// A request of ours on its way.
pub(crate) struct Asked<'r> {
    pub(crate) provider: &'r Provider,
    /// The model's name at its provider.
    pub(crate) name: &'r str,
    pub(crate) request: &'r ModelRequest,
}

/// The same as its protocol has it.
pub(crate) struct Wire {
    /// Below the provider's base.
    pub(crate) path: Vec<String>,
    pub(crate) query: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It goes on.
    More,
    /// It is whole.
    Whole,
}

/// Makes an answer of a protocol's events.
pub(crate) trait Reader {
    /// Takes one event in.
    fn read(&mut self, event: &Value, answer: &mut Gathering<'_>) -> Result<Step, Broken>;

    /// The stream has ended: whether the answer is whole.
    fn end(&mut self, answer: &mut Gathering<'_>) -> Result<Step, Broken>;
}

impl Asked<'_> {
    /// As its protocol has it.
    pub(crate) fn wire(&self, key: Option<&Key>) -> Wire {
        match self.provider.protocol {
            Protocol::Openai => openai::wire(self, key),
            Protocol::OpenaiResponses => responses::wire(self, key),
            Protocol::Anthropic => anthropic::wire(self, key),
            Protocol::Gemini => gemini::wire(self, key),
        }
    }

    /// Who reads what comes back.
    pub(crate) fn reader(&self) -> Box<dyn Reader> {
        match self.provider.protocol {
            Protocol::Openai => Box::<openai::ChatReader>::default(),
            Protocol::OpenaiResponses => Box::<responses::ResponseReader>::default(),
            Protocol::Anthropic => Box::<anthropic::MessageReader>::default(),
            Protocol::Gemini => Box::<gemini::ContentReader>::default(),
        }
    }

    /// Whether the endpoint is the protocol's inventor's.
    pub(crate) fn is_native(&self) -> bool {
        self.provider.dialect == Dialect::Native
    }

    /// What the model is told beforehand; the schema of its answer too, where nobody enforces it.
    pub(crate) fn instructions(&self, enforced: Option<&Value>) -> Option<String> {
        let unenforced = self.request.output.as_ref().filter(|_| enforced.is_none());
        let told = unenforced.map(schema::told);
        let all: Vec<&str> = [self.request.instructions.as_deref(), told.as_deref()]
            .into_iter()
            .flatten()
            .filter(|text| !text.trim().is_empty())
            .collect();
        (!all.is_empty()).then(|| all.join("\n\n"))
    }

    /// The format of the answer as OpenAI's two protocols have it, without its `type`.
    pub(crate) fn openai_format(&self) -> Option<Value> {
        let wanted = self.request.output.as_ref()?;
        if !self.is_native() {
            // Other servers constrain each token, calls of tools included: an agent with tools
            // would never call one.
            let is_free = self.request.tools.is_empty();
            return is_free.then(|| json!({ "name": "answer", "strict": true, "schema": wanted }));
        }
        if let Some(strict) = schema::strict(wanted, schema::Strict::Openai) {
            return Some(json!({ "name": "answer", "strict": true, "schema": strict }));
        }
        let is_object = wanted.get("type") == Some(&json!("object"));
        is_object.then(|| json!({ "name": "answer", "strict": false, "schema": wanted }))
    }
}

/// What a model said, up to its last words or call: reasoning that led to nothing, as in an answer
/// that was cut off, is refused by those who want reasoning back.
pub(crate) fn up_to_words(pieces: &[Piece]) -> &[Piece] {
    let last = pieces.iter().rposition(|piece| match piece {
        Piece::Text(text) => !text.trim().is_empty(),
        Piece::Call { .. } => true,
        Piece::Reasoning(_) => false,
    });
    pieces.get(..last.map_or(0, |last| last + 1)).unwrap_or_default()
}

/// What came of a call, as a text.
pub(crate) fn result_text(answer: &ToolAnswer) -> String {
    match (&answer.output, &answer.error) {
        (Some(output), _) => text_of(output),
        (None, Some(error)) => json!({ "error": error }).to_string(),
        (None, None) => "null".to_owned(),
    }
}

/// JSON as a text for a model: a text as it is.
pub(crate) fn text_of(json: &Json) -> String {
    match json.value() {
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            json.as_str().to_owned()
        }
    }
}

/// The text at this place of an event; empty where there is none.
pub(crate) fn text_at<'v>(event: &'v Value, pointer: &str) -> &'v str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The count at this place of an event; 0 where there is none.
pub(crate) fn count_at(event: &Value, pointer: &str) -> u64 {
    event.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

/// The list at this place of an event; empty where there is none.
pub(crate) fn list_at<'v>(event: &'v Value, pointer: &str) -> &'v [Value] {
    event.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The header of a key that is a bearer token.
pub(crate) fn bearer(key: Option<&Key>) -> Vec<(&'static str, String)> {
    key.map(|key| ("authorization", format!("Bearer {}", key.secret()))).into_iter().collect()
}
