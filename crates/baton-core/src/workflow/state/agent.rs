//! What an agent's task has done in its run, as far as its next turn depends on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::{Digest, Usage};
use serde_json::json;

use crate::body::{BlobHash, Body, Json};
use crate::ids::Ordinal;
use crate::words::Effect;

/// An agent's loop between two of its turns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentRun {
    /// What was said, in order.
    pub transcript: Vec<Entry>,
    /// Of the transcript.
    pub digest: Digest,
    /// Answers so far.
    pub turns: u32,
    /// Calls it asked for.
    pub calls: u32,
    /// How often its answer did not fit and was asked again.
    pub asked_again: u32,
    /// Which of its models it uses.
    pub model: u32,
    /// What its finished turns used.
    pub usage: Usage,
    /// Turns that were cut off: what they used is not known.
    pub cut_off: u32,
    /// The attempt that was answered last; 0 before the first answer.
    #[serde(default)]
    pub answered: u32,
    /// What each call brought last and how often in a row, by the call's digest.
    pub(in crate::workflow) results: BTreeMap<BlobHash, Repeated>,
}

/// A result that a call brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeated {
    /// Of the result.
    pub result: BlobHash,
    /// How often in a row.
    pub times: u32,
}

/// A message of a transcript.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// What the model is asked.
    User(Body),
    /// What it said.
    Assistant(Body),
    /// What came of the calls it asked for: their tasks have it.
    Results {
        /// The task of the first call.
        first: Ordinal,
        /// How many.
        count: u32,
    },
}

/// A call that an agent asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedCall {
    /// The provider's id of it.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub tool: String,
    /// What repeating it would do.
    pub effect: Effect,
    /// Its arguments, an object.
    pub input: Body,
    /// Why it is not made, where it is not: for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// How a call that an agent asked for ended, as its model is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// What it brought.
    Output(Body),
    /// Why it brought nothing.
    Error(String),
}

impl CallEnd {
    fn body(&self) -> Body {
        match self {
            Self::Output(body) => body.clone(),
            Self::Error(message) => Body::Inline(Json::of(&json!({ "error": message }))),
        }
    }
}

impl AgentRun {
    /// What it is asked first.
    pub(in crate::workflow) fn ask(&mut self, message: Body) {
        self.digest = self.digest.then("user", [&message]);
        self.transcript.push(Entry::User(message));
    }

    /// What it answered.
    pub(in crate::workflow) fn hear(&mut self, message: Body) {
        self.digest = self.digest.then("assistant", [&message]);
        self.transcript.push(Entry::Assistant(message));
    }

    /// What came of calls.
    pub(in crate::workflow) fn take_results(
        &mut self,
        first: Ordinal,
        results: &[(AskedCall, CallEnd)],
    ) {
        for (call, end) in results {
            let result = end.body();
            self.digest = self.digest.then(&call.id, [&call.input, &result]);
            let result = result.content_hash();
            let last = self.results.entry(call.digest()).or_insert(Repeated { result, times: 0 });
            let times = if last.result == result { last.times + 1 } else { 1 };
            *last = Repeated { result, times };
        }
        let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        self.transcript.push(Entry::Results { first, count });
    }

    /// How often in a row this very call brought the same.
    pub(in crate::workflow) fn repeats(&self, call: &AskedCall) -> u32 {
        self.results.get(&call.digest()).map_or(0, |last| last.times)
    }
}

impl AskedCall {
    /// Of the tool and its arguments.
    fn digest(&self) -> BlobHash {
        BlobHash::of(&[self.tool.as_bytes(), &[0], &self.input.content_hash().0].concat())
    }
}
