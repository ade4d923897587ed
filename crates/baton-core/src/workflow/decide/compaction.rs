//! Compaction: what is left out of a transcript that outgrows its model's window. All of it stays in
//! the journal.
//!
//! An estimate decides when; the model's own refusal corrects it. What is left out first is what can be
//! fetched again: the oldest results of calls.

use crate::agent::RequestHead;
use crate::body::Body;
use crate::ids::Ordinal;
use crate::words::Compaction;
use crate::workflow::event::TranscriptCompacted;
use crate::workflow::state::{AgentRun, Entry, WorkflowState};

/// Bytes of text that a token is, about, where its model has not counted yet.
const TOKEN_BYTES: u64 = 3;
/// How full a window is after a compaction, in percent of what the request may take.
const FULL_PERCENT: u64 = 60;
/// What stands for a result that is left out, in bytes.
const LEFT_OUT_BYTES: u64 = 80;

impl WorkflowState {
    /// What must be left out before an agent's next turn, if its model's window is known and the
    /// request would not fit.
    pub(super) fn compaction(
        &self,
        ordinal: Ordinal,
        prompt: Option<&Body>,
        head: &RequestHead<'_>,
    ) -> Option<TranscriptCompacted> {
        let window = self.model_of(ordinal)?.window_tokens?;
        let room = window.saturating_sub(u64::from(head.output_tokens_max));
        let run = self.agent_run(ordinal)?;
        let (known, from) = run.counted.unwrap_or((head.bytes() / TOKEN_BYTES, 0));
        let new = run.transcript.get(from as usize..).unwrap_or_default();
        let new: u64 = new.iter().map(|entry| self.entry_bytes(entry)).sum();
        let asked = prompt.map_or(0, Body::size);
        let estimate = known + (new + asked) / TOKEN_BYTES;
        if estimate <= room {
            return None;
        }
        let target = self.transcript_bytes(run) * room * FULL_PERCENT / 100 / estimate.max(1);
        self.leave_out(ordinal, target)
    }

    /// What is left out after the model said that the request is too long: half of it.
    pub(super) fn compaction_after_refusal(&self, ordinal: Ordinal) -> Option<TranscriptCompacted> {
        let target = self.transcript_bytes(self.agent_run(ordinal)?) / 2;
        self.leave_out(ordinal, target)
    }

    fn transcript_bytes(&self, run: &AgentRun) -> u64 {
        run.transcript.iter().map(|entry| self.entry_bytes(entry)).sum()
    }

    /// How long an entry of a transcript is.
    pub(super) fn entry_bytes(&self, entry: &Entry) -> u64 {
        match entry {
            Entry::User(body) | Entry::Assistant(body) => body.size(),
            Entry::Results { first, .. } => self.ends_from(*first).map(|end| end.size()).sum(),
            Entry::LeftOut { count, .. } => LEFT_OUT_BYTES * u64::from(*count),
        }
    }

    /// The oldest results, then the oldest turns, until no more than this is left; never the newest
    /// turn. `None` where there is nothing to leave out.
    fn leave_out(&self, task: Ordinal, target: u64) -> Option<TranscriptCompacted> {
        let agent = self.agent_call(task)?;
        match agent.compaction {
            Compaction::DropOldest => {}
            Compaction::Fail => return None,
        }
        let run = self.agent_run(task)?;
        let mut bytes = self.transcript_bytes(run);
        let is_results = |entry: &&Entry| matches!(entry, Entry::Results { .. });
        let results: Vec<&Entry> = run.transcript.iter().filter(is_results).collect();
        let (mut left_out, mut dropped) = (0, 0);
        for entry in results.iter().rev().skip(1).rev() {
            if bytes <= target {
                break;
            }
            bytes = bytes.saturating_sub(self.entry_bytes(entry).saturating_sub(LEFT_OUT_BYTES));
            left_out += 1;
        }
        for (turn, left) in run.turns_of_transcript().iter().rev().skip(1).rev().zip(0_u32..) {
            if bytes <= target {
                break;
            }
            let is_left_out = left < left_out;
            let of_entry = |entry: &Entry| match (entry, is_left_out) {
                (Entry::Results { count, .. }, true) => LEFT_OUT_BYTES * u64::from(*count),
                (_, _) => self.entry_bytes(entry),
            };
            bytes = bytes.saturating_sub(turn.iter().map(of_entry).sum());
            dropped += 1;
        }
        let does = left_out + dropped > 0;
        does.then_some(TranscriptCompacted { task, left_out, dropped })
    }
}
