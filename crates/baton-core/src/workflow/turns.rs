//! How an agent's loop follows from its events: its transcript grows, and its calls become tasks.

use std::sync::Arc;

use super::accounts::TurnEnd;
use super::decide::out_of_turns;
use super::event::{TaskAnswered, TranscriptCompacted};
use super::state::{
    AgentRun, AskedCall, BlockOf, CallEnd, Entry, Items, Output, Task, TaskPhase, WorkflowState,
};
use crate::agent::{Digest, offered};
use crate::body::Body;
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::plan::{Ends, ModelSpec};
use crate::time::Timestamp;
use crate::words::FailureKind;

impl WorkflowState {
    /// What the task's agent has done in the present run.
    pub fn agent_run(&self, ordinal: Ordinal) -> Option<&AgentRun> {
        self.task(ordinal)?.agent.as_deref()
    }

    /// Whether a task is an agent's whose last turn was answered, and whose calls run or whose next turn
    /// is to come. It keeps its concurrency key meanwhile.
    pub fn is_between_turns(&self, ordinal: Ordinal) -> bool {
        let has_answer = self.agent_run(ordinal).is_some_and(|run| run.turns > 0);
        has_answer
            && self.task(ordinal).is_some_and(|task| match task.phase {
                TaskPhase::Expanded { .. } => true,
                // One that failed since, or was lost, gave its key back.
                TaskPhase::Ready => (task.tries, task.lost) == (0, 0),
                TaskPhase::Pending
                | TaskPhase::Executing { .. }
                | TaskPhase::Waiting { .. }
                | TaskPhase::Completed { .. }
                | TaskPhase::Failed { .. }
                | TaskPhase::Skipped { .. }
                | TaskPhase::Cancelled { .. } => false,
            })
    }

    /// The model that the task's agent uses now.
    pub fn model_of(&self, ordinal: Ordinal) -> Option<&ModelSpec> {
        let index = self.agent_run(ordinal).map_or(0, |run| run.model);
        self.agent_call(ordinal)?.models.get(index as usize)
    }

    /// What came of the calls of the answer whose first call this task is.
    pub fn results(&self, first: Ordinal) -> Vec<(AskedCall, CallEnd)> {
        let calls = self.calls_from(first);
        let calls = calls.iter().flat_map(|calls| calls.iter().cloned());
        calls.zip(self.ends_from(first)).collect()
    }

    /// The calls of the answer whose first call this task is.
    pub fn calls_from(&self, first: Ordinal) -> Option<Arc<[AskedCall]>> {
        match &self.item(first)?.0.of {
            BlockOf::Calls(calls) => Some(Arc::clone(calls)),
            BlockOf::Each { .. } => None,
        }
    }

    /// How each of them ended, in their order.
    pub fn ends_from(&self, first: Ordinal) -> impl Iterator<Item = CallEnd> {
        let calls = self.item(first).filter(|(block, _)| !block.is_each());
        let tasks = calls.into_iter().flat_map(|(block, _)| block.range());
        tasks.map(|ordinal| self.call_end(ordinal))
    }

    fn call_end(&self, ordinal: Ordinal) -> CallEnd {
        match self.task(ordinal).map(|task| &task.phase) {
            Some(TaskPhase::Completed { output: Output::Value(body), .. }) => {
                CallEnd::Output(body.clone())
            }
            Some(TaskPhase::Failed { failure, .. }) => CallEnd::Error(failure.message.clone()),
            Some(
                TaskPhase::Completed { output: Output::Items { .. }, .. }
                | TaskPhase::Pending
                | TaskPhase::Ready
                | TaskPhase::Executing { .. }
                | TaskPhase::Expanded { .. }
                | TaskPhase::Waiting { .. }
                | TaskPhase::Skipped { .. }
                | TaskPhase::Cancelled { .. },
            )
            | None => CallEnd::Error("it was not made".to_owned()),
        }
    }

    pub(super) fn agent_mut(&mut self, ordinal: Ordinal) -> Option<&mut AgentRun> {
        self.tasks.get_mut(ordinal.index())?.agent.as_deref_mut()
    }

    /// The first turn says what is asked.
    pub(super) fn ask_agent(&mut self, ordinal: Ordinal, prompt: Option<&Body>) {
        if self.agent_call(ordinal).is_none() {
            return;
        }
        if let Some(task) = self.tasks.get_mut(ordinal.index()) {
            let run = task.agent.get_or_insert_default();
            if let Some(prompt) = prompt {
                run.ask(prompt.clone());
            }
        }
    }

    pub(super) fn take_answer(&mut self, answered: &TaskAnswered, at: Timestamp) {
        let ordinal = answered.task;
        let used = self.amount_of(ordinal, &answered.usage);
        self.book_end(ordinal, &TurnEnd::Answered(used));
        if let Some(task) = self.tasks.get_mut(ordinal.index()) {
            // Each turn has its tries of its own.
            (task.tries, task.lost) = (0, 0);
        }
        let Some(run) = self.agent_mut(ordinal) else {
            return;
        };
        run.turns += 1;
        run.usage += answered.usage;
        run.hear(answered.message.clone());
        run.note_count(&answered.usage);
        if let Some(again) = &answered.again {
            run.asked_again += 1;
            run.ask(again.clone());
            self.enter(ordinal, TaskPhase::Ready);
        } else if let Some(first) = answered.first {
            run.calls += u32::try_from(answered.calls.len()).unwrap_or(u32::MAX);
            self.open_calls(ordinal, first, &answered.calls, at);
        }
    }

    /// The calls of an answer become tasks; one that is refused has failed already.
    fn open_calls(&mut self, parent: Ordinal, first: Ordinal, calls: &[AskedCall], at: Timestamp) {
        let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        self.enter(parent, TaskPhase::Expanded { since: at });
        let of = self.task(parent).map_or(parent, |task| task.of);
        self.items.push(Items {
            parent,
            first,
            count,
            open: count,
            failed: 0,
            running: 0,
            of: BlockOf::Calls(Arc::from(calls)),
            superseded: false,
        });
        let ordinals = (first.0..first.0.saturating_add(count)).map(Ordinal);
        for ordinal in ordinals.clone() {
            self.tasks.push(Task { is_call: true, ..Task::new(of) });
            debug_assert_eq!(
                self.tasks.len(),
                ordinal.index() + 1,
                "calls follow the tasks there are"
            );
        }
        for (ordinal, call) in ordinals.zip(calls) {
            match &call.refused {
                None => self.enter(ordinal, TaskPhase::Ready),
                Some(why) => {
                    let failure = CallFailure::refused(FailureKind::Refused, why.clone());
                    self.enter(ordinal, TaskPhase::Failed { at, failure: Arc::new(failure) });
                }
            }
        }
    }

    /// It goes on with another of its models, which counts tokens its own way.
    pub(super) fn change_model(&mut self, ordinal: Ordinal, model: u32) {
        if let Some(task) = self.tasks.get_mut(ordinal.index()) {
            task.tries = 0;
            let run = task.agent.get_or_insert_default();
            (run.model, run.counted) = (model, None);
        }
    }

    /// Less of its transcript is sent from now on.
    pub(super) fn compact(&mut self, compacted: &TranscriptCompacted) {
        let TranscriptCompacted { task, left_out, dropped } = *compacted;
        if let Some(run) = self.agent_mut(task) {
            run.compact(left_out, dropped);
        }
        let chain = |digest: Digest, entry: &Entry| match entry {
            Entry::User(body) => digest.then("user", [body]),
            Entry::Assistant(body) => digest.then("assistant", [body]),
            Entry::Results { first, .. } => digest.with_results(&self.results(*first)),
            Entry::LeftOut { first, .. } => digest.with_left_out(&self.results(*first)),
        };
        let entries = self.agent_run(task).map(|run| run.transcript.as_slice()).unwrap_or_default();
        let digest = entries.iter().fold(Digest::default(), chain);
        if let Some(run) = self.agent_mut(task) {
            run.digest = digest;
        }
    }

    /// The last call of an answer has ended: the agent goes on with what they brought, or ends.
    pub(super) fn close_calls(&mut self, parent: Ordinal, first: Ordinal) {
        let results = self.results(first);
        if let Some(run) = self.agent_mut(parent) {
            run.take_results(first, &results);
        }
        if self.end_of_agent(parent).is_some() {
            self.gathered.insert(parent);
        } else {
            self.enter(parent, TaskPhase::Ready);
        }
    }

    /// How an agent's task ends with the calls of its last answer, once all of them have ended: with
    /// what the first brought that ends the task, or because it may not have another turn.
    pub(super) fn end_of_agent(&self, parent: Ordinal) -> Option<Result<Body, CallFailure>> {
        let agent = self.agent_call(parent)?;
        let is_last = |block: &&Items| block.parent == parent && !block.superseded;
        let block = self.items.iter().rev().find(is_last).filter(|block| block.open == 0)?;
        let BlockOf::Calls(calls) = &block.of else { return None };
        let ends = |call: &AskedCall| {
            offered(agent, &call.tool).is_some_and(|tool| tool.ends == Ends::Task)
        };
        let brought =
            calls.iter().zip(self.ends_from(block.first)).find_map(|(call, end)| match end {
                CallEnd::Output(body) if ends(call) => Some(body),
                CallEnd::Output(_) | CallEnd::Error(_) => None,
            });
        let turns = self.agent_run(parent).map_or(0, |run| run.turns);
        let too_many = || (turns >= agent.limits.turns_max).then(|| Err(out_of_turns(agent)));
        brought.map(Ok).or_else(too_many)
    }
}
