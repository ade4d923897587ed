//! What an agent's task has done in its run, as far as its next turn depends on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::{Digest, Usage};
use serde_json::json;

use crate::body::{BlobHash, Body, Json};
use crate::ids::Ordinal;
use crate::plan::{Approval, Human};
use crate::words::Effect;
use crate::workflow::accounts::{Account, Amount};

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
    /// How often its transcript was compacted.
    pub compactions: u32,
    /// Against its own budget.
    pub account: Account,
    /// What is held for its turn that runs.
    pub(in crate::workflow) held: Option<Amount>,
    /// How many tokens its model counted last, and for how many entries of the transcript: the
    /// answer is among them.
    pub(in crate::workflow) counted: Option<(u64, u32)>,
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
    /// The same, without what they brought: it would not fit any more.
    LeftOut {
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
    /// Whether a person approves it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What a person is asked, where that is what the call does; no tool is called then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Human>,
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
    /// How long it is.
    pub fn size(&self) -> u64 {
        match self {
            Self::Output(body) => body.size(),
            Self::Error(message) => message.len() as u64,
        }
    }

    /// What a transcript's digest counts of it.
    pub fn body(&self) -> Body {
        match self {
            Self::Output(body) => body.clone(),
            Self::Error(message) => Body::Inline(Json::of(&json!({ "error": message }))),
        }
    }
}

impl Digest {
    /// With what came of calls.
    pub(in crate::workflow) fn with_results(self, results: &[(AskedCall, CallEnd)]) -> Self {
        let one = |digest: Self, (call, end): &(AskedCall, CallEnd)| {
            digest.then(&call.id, [&call.input, &end.body()])
        };
        results.iter().fold(self, one)
    }

    /// With calls of which the results are left out.
    pub(in crate::workflow) fn with_left_out(self, results: &[(AskedCall, CallEnd)]) -> Self {
        let one =
            |digest: Self, (call, _): &(AskedCall, CallEnd)| digest.then(&call.id, [&call.input]);
        results.iter().fold(self.then("left_out", []), one)
    }
}

impl AgentRun {
    /// Whether it has been asked anything.
    pub fn has_begun(&self) -> bool {
        !self.transcript.is_empty()
    }

    /// How many of its turns are not in its transcript any more.
    pub fn turns_left_out(&self) -> u32 {
        let is_answer = |entry: &&Entry| matches!(entry, Entry::Assistant(_));
        let kept = self.transcript.iter().filter(is_answer).count();
        self.turns.saturating_sub(u32::try_from(kept).unwrap_or(u32::MAX))
    }

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

    /// How many tokens its model counted for all of that.
    pub(in crate::workflow) fn note_count(&mut self, usage: &Usage) {
        let entries = u32::try_from(self.transcript.len()).unwrap_or(u32::MAX);
        self.counted = (usage.input_tokens > 0).then(|| (usage.tokens(), entries));
    }

    /// What came of calls.
    pub(in crate::workflow) fn take_results(
        &mut self,
        first: Ordinal,
        results: &[(AskedCall, CallEnd)],
    ) {
        self.digest = self.digest.with_results(results);
        for (call, end) in results {
            let result = end.body();
            let result = result.content_hash();
            let last = self.results.entry(call.digest()).or_insert(Repeated { result, times: 0 });
            let times = if last.result == result { last.times + 1 } else { 1 };
            *last = Repeated { result, times };
        }
        let count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        self.transcript.push(Entry::Results { first, count });
    }

    /// The turns of the transcript: what it said, and what came of that.
    pub(in crate::workflow) fn turns_of_transcript(&self) -> Vec<&[Entry]> {
        let begins = |entry: &Entry| matches!(entry, Entry::Assistant(_));
        let starts: Vec<usize> = (0..self.transcript.len())
            .filter(|at| self.transcript.get(*at).is_some_and(begins))
            .collect();
        let ends = starts.iter().skip(1).copied().chain([self.transcript.len()]);
        starts.iter().zip(ends).filter_map(|(from, to)| self.transcript.get(*from..to)).collect()
    }

    /// Leaves out what the first `left_out` results brought, and the first `dropped` turns wholly.
    pub(in crate::workflow) fn compact(&mut self, left_out: u32, dropped: u32) {
        let results = self.transcript.iter_mut().filter_map(|entry| match entry {
            Entry::Results { first, count } => Some((*first, *count, entry)),
            Entry::User(_) | Entry::Assistant(_) | Entry::LeftOut { .. } => None,
        });
        for (first, count, entry) in results.take(left_out as usize) {
            *entry = Entry::LeftOut { first, count };
        }
        let gone: usize =
            self.turns_of_transcript().iter().take(dropped as usize).map(|it| it.len()).sum();
        let begins = |entry: &Entry| matches!(entry, Entry::Assistant(_));
        if let Some(from) = self.transcript.iter().position(begins) {
            let to = (from + gone).min(self.transcript.len());
            self.transcript.drain(from..to);
        }
        self.compactions += 1;
        self.counted = None;
    }

    /// How often in a row this very call brought the same.
    pub(in crate::workflow) fn repeats(&self, call: &AskedCall) -> u32 {
        self.results.get(&call.digest()).map_or(0, |last| last.times)
    }
}

impl AskedCall {
    /// Of the tool and its arguments.
    pub fn digest(&self) -> BlobHash {
        BlobHash::of(&[self.tool.as_bytes(), &[0], &self.input.content_hash().0].concat())
    }
}
