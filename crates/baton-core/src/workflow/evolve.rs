//! Applies what happened. Total: history is never refused, and nothing here decides anything.
//!
//! Counters and sets are kept in step with the tasks' phases through one door, [`enter`], in time
//! of the changed task's dependents; [`reindex`] computes them anew from the phases alone.
//!
//! [`enter`]: super::enter
//! [`reindex`]: WorkflowState::reindex

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Account, TurnEnd};
use super::edits::Edits;
use super::event::{
    Admitted, AttemptFailed, Event, QuestionAnswered, QuestionAsked, QuestionWithdrawn,
    TaskExpanded,
};
use super::graph::Graph;
use super::state::{
    BlockOf, Ended, Items, Next, PauseCause, Phase, Resume, Tally, Task, TaskPhase, Waiting,
    WorkflowState,
};
use crate::agent::Spending;
use crate::codes::Code;
use crate::ids::Ordinal;
use crate::plan::{Plan, Work};
use crate::time::Timestamp;
use crate::words::FailureKind;

impl WorkflowState {
    /// The state a workflow has after its first event.
    pub fn admitted(event: &Admitted, plan: Arc<Plan>, graph: Arc<Graph>, at: Timestamp) -> Self {
        let tasks = (0..u32::try_from(plan.tasks.len()).unwrap_or(u32::MAX))
            .map(|n| Task::new(Ordinal(n)))
            .collect();
        let mut state = Self {
            id: event.id,
            conversation: event.conversation,
            origin: event.origin,
            priority: event.priority,
            parent: event.parent,
            project: event.project,
            hops: event.hops,
            reports_to: event.reports_to,
            folder: event.folder.clone(),
            user: event.user.clone(),
            plan,
            graph,
            inputs: event.inputs.clone(),
            run: 1,
            revision: 1,
            phase: if event.review { Phase::PendingReview } else { Phase::Queued },
            created_at: at,
            started_at: None,
            updated_at: at,
            edits: Edits::default(),
            used: Duration::ZERO,
            account: Account::default(),
            granted_above: BTreeMap::new(),
            spent: Spending::default(),
            tally: Tally::default(),
            tasks,
            items: Vec::new(),
            stage_open: Vec::new(),
            stage_counts: Vec::new(),
            barrier: 0,
            broken: None,
            executing: BTreeSet::new(),
            waiting: BTreeSet::new(),
            waiting_people: 0,
            ready: 0,
            changed: Vec::new(),
            newly_ready: Vec::new(),
            doomed: BTreeSet::new(),
            gathered: BTreeSet::new(),
        };
        for kept in &event.kept {
            if let Some(task) = state.tasks.get_mut(kept.task.index()) {
                task.phase = TaskPhase::Completed { at, output: kept.output.clone() };
            }
        }
        state.reindex();
        state
    }

    /// Applies an event that happened at `at`. Of one that names a [new plan](Event::new_plan), that is
    /// [taken](Self::replan) before.
    // Long because it has one arm for each event.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        if self.is_busy() {
            self.used += at.since(self.updated_at);
        }
        self.updated_at = at;
        self.revision += 1;
        if let Some(spending) = self.booking(event).map(|booking| booking.spending()) {
            self.spent += spending;
        }
        match event {
            Event::Admitted(_)
            | Event::DefinitionRegistered(_)
            | Event::Purged(_)
            | Event::BatchPurged(_)
            | Event::DefinitionRemoved(_)
            | Event::EventReceived(_)
            | Event::TriggerFired(_)
            | Event::TokenCreated(_)
            | Event::TokenRevoked(_)
            | Event::ServerReleased(_)
            | Event::Conversation(_) => {}
            Event::Approved(_) => self.phase = Phase::Queued,
            Event::SentBack(sent) => self.phase = Phase::Draft { comments: sent.comments.clone() },
            Event::Started(_) => {
                self.phase = Phase::Running { failing: None };
                self.started_at.get_or_insert(at);
            }
            Event::Paused(paused) => {
                self.phase = Phase::Paused { cause: paused.cause, failing: self.failing() }
            }
            Event::Resumed(_) => self.resume(),
            Event::CancelRequested(cancel) => {
                self.phase = Phase::Cancelling { reason: cancel.reason.clone() }
            }
            Event::Finished(finished) => {
                self.end_open_tasks(at);
                self.phase = Phase::Ended(Ended { at, outcome: finished.outcome.clone() });
            }
            Event::ClockSet(set) => self.set_clock(set.ahead_ms),
            Event::PlanEdited(edited) => self.note_edit(edited),
            Event::EditUndone(_) => self.note_undo(),
            Event::Retried(retried) => self.reopen(retried.run, &retried.tasks, at),
            Event::TaskStarted(started) => {
                self.begin(started.task, started.attempt, at);
                self.ask_agent(started.task, started.input.as_ref());
                self.book_start(started);
                let lease = started.lease.clone();
                self.enter(started.task, TaskPhase::Executing { since: at, lease });
            }
            Event::TaskWaited(waited) => {
                self.enter(waited.task, TaskPhase::Waiting { since: at, on: waited.on.clone() });
            }
            Event::TaskExpanded(expanded) => self.expand(expanded, at),
            Event::TaskCompleted(done) => {
                self.enter(done.task, TaskPhase::Completed { at, output: done.output.clone() });
            }
            Event::AttemptFailed(failed) => self.fall_back(failed, at),
            Event::TaskFailed(failed) => {
                self.book_end(failed.task, &failed.failure.happened.into());
                self.enter(
                    failed.task,
                    TaskPhase::Failed { at, failure: Arc::new(failed.failure.clone()) },
                );
            }
            Event::TaskSkipped(skipped) => {
                self.enter(skipped.task, TaskPhase::Skipped { at, cause: skipped.cause })
            }
            Event::TaskCancelled(cancelled) => {
                self.book_end(cancelled.task, &TurnEnd::CutOff);
                self.enter(cancelled.task, TaskPhase::Cancelled { at })
            }
            Event::CallUndone(undone) => self.undo_call(undone.task),
            Event::TaskEmitted(_) => {}
            Event::TaskAnswered(answered) => self.take_answer(answered, at),
            Event::CallApproved(approved) => {
                if let Some(task) = self.tasks.get_mut(approved.task.index()) {
                    task.approved = Some(approved.digest);
                }
                self.enter(approved.task, TaskPhase::Ready);
            }
            Event::BudgetRaised(raised) => self.raise_budget(raised),
            Event::ModelChanged(changed) => self.change_model(changed.task, changed.model),
            Event::TranscriptCompacted(compacted) => self.compact(compacted),
            Event::QuestionAsked(asked) => self.hold(asked, at),
            Event::QuestionAnswered(QuestionAnswered { task, .. })
            | Event::QuestionWithdrawn(QuestionWithdrawn { task, .. }) => {
                self.enter(*task, TaskPhase::Executing { since: at, lease: None });
            }
        }
    }

    fn failing(&self) -> Option<Ordinal> {
        match &self.phase {
            Phase::Running { failing } | Phase::Paused { failing, .. } => *failing,
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => None,
        }
    }

    /// What the wall clock took or gave is no time that was used.
    fn set_clock(&mut self, ahead_ms: i64) {
        let by = Duration::from_millis(ahead_ms.unsigned_abs());
        self.used = match ahead_ms {
            0.. => self.used.saturating_sub(by),
            _ => self.used.saturating_add(by),
        };
    }

    fn resume(&mut self) {
        if matches!(self.phase, Phase::Paused { cause: PauseCause::TimeBudget, .. }) {
            self.used = Duration::ZERO;
        }
        self.phase = Phase::Running { failing: self.failing() };
    }

    fn begin(&mut self, ordinal: Ordinal, attempt: u32, at: Timestamp) {
        if let Some(task) = self.tasks.get_mut(ordinal.index()) {
            task.attempts = attempt;
            task.tries += 1;
            task.asked.in_attempt = 0;
            task.started_at.get_or_insert(at);
        }
    }

    /// A call asks a person something, and waits.
    fn hold(&mut self, asked: &QuestionAsked, at: Timestamp) {
        let QuestionAsked { task: ordinal, number, question, .. } = asked;
        if let Some(task) = self.tasks.get_mut(ordinal.index()) {
            task.asked.newest = *number;
            task.asked.in_attempt += 1;
        }
        let on = Waiting::Question { number: *number, question: question.clone() };
        self.enter(*ordinal, TaskPhase::Waiting { since: at, on });
    }

    fn fall_back(&mut self, failed: &AttemptFailed, at: Timestamp) {
        self.book_end(failed.task, &failed.failure.happened.into());
        if let Some(task) = self.tasks.get_mut(failed.task.index()) {
            match failed.next {
                // A lost attempt says nothing about the task: it does not use up its tries.
                Next::Repeat => {
                    task.tries = task.tries.saturating_sub(1);
                    task.lost += 1;
                }
                Next::Model => {}
                Next::Fallback => (task.rung, task.tries) = (task.rung + 1, 0),
                Next::Retry { .. } | Next::InDoubt => {}
            }
        }
        if let (Next::Model, Some(run)) = (&failed.next, self.agent_run(failed.task)) {
            self.change_model(failed.task, run.model + 1);
        }
        let waiting = |on| TaskPhase::Waiting { since: at, on };
        let phase = match &failed.next {
            Next::Repeat | Next::Model | Next::Fallback => TaskPhase::Ready,
            Next::Retry { until, span } => {
                waiting(Waiting::Timer { until: *until, span: Some(*span), then: Resume::Retry })
            }
            Next::InDoubt => waiting(Waiting::InDoubt { failure: failed.failure.clone() }),
        };
        self.enter(failed.task, phase);
    }

    /// A call that did not happen because its attempt was lost used up none of the task's tries.
    fn undo_call(&mut self, ordinal: Ordinal) {
        if let Some(task) = self.tasks.get_mut(ordinal.index())
            && let TaskPhase::Waiting { on: Waiting::InDoubt { failure }, .. } = &task.phase
            && failure.kind == FailureKind::Lost
        {
            task.tries = task.tries.saturating_sub(1);
        }
        self.enter(ordinal, TaskPhase::Ready);
    }

    fn expand(&mut self, expanded: &TaskExpanded, at: Timestamp) {
        let TaskExpanded { task: parent, first, count, list } = expanded;
        self.enter(*parent, TaskPhase::Expanded { since: at });
        if let Some(task) = self.tasks.get_mut(parent.index()) {
            task.started_at.get_or_insert(at);
        }
        let stage = self.stage_of(*parent);
        self.count(stage, |tally, stage| {
            tally.total = tally.total + count - 1;
            tally.open = tally.open + count - 1;
            stage.total = stage.total + count - 1;
        });
        let (first, count, list) = (*first, *count, list.clone());
        self.items.push(Items {
            parent: *parent,
            first,
            count,
            open: count,
            failed: 0,
            running: 0,
            of: BlockOf::Each { list },
            superseded: false,
        });
        for item in first.0..first.0.saturating_add(count) {
            let task = Task { of: *parent, ..Task::new(Ordinal(item)) };
            self.tasks.push(task);
            self.enter(Ordinal(item), TaskPhase::Ready);
        }
        if count == 0 {
            self.gathered.insert(*parent);
        }
    }

    /// Ends what is open. Rows change where there are any: tasks that never began have none, unless
    /// an earlier run left them one.
    fn end_open_tasks(&mut self, at: Timestamp) {
        let may_have_rows = self.run > 1;
        let plan = Arc::clone(&self.plan);
        // An agent's turn, or a call it asks for, may have waited before its first attempt.
        let is_agents =
            |task: &Task| matches!(plan.task(task.of).map(|of| &of.work), Some(Work::Agent(_)));
        for (task, n) in self.tasks.iter_mut().zip(0..) {
            if !task.phase.status().is_terminal() {
                let began =
                    task.started_at.is_some() || matches!(task.phase, TaskPhase::Expanded { .. });
                if began || may_have_rows || is_agents(task) {
                    self.changed.push(Ordinal(n));
                }
                task.phase = TaskPhase::Cancelled { at };
            }
        }
        for items in &mut self.items {
            items.open = 0;
        }
        self.tally.open = 0;
        self.ready = 0;
        self.stage_open.fill(0);
        self.barrier = u32::try_from(self.stage_open.len()).unwrap_or(u32::MAX);
        self.newly_ready.clear();
        self.doomed.clear();
        self.gathered.clear();
    }

    fn reopen(&mut self, run: u32, tasks: &[Ordinal], at: Timestamp) {
        self.run = run;
        self.phase = Phase::Running { failing: None };
        self.used = Duration::ZERO;
        self.account = Account::default();
        self.granted_above.clear();
        self.changed.extend_from_slice(tasks);
        for ordinal in tasks {
            self.supersede_items(*ordinal, at);
            if let Some(task) = self.tasks.get_mut(ordinal.index()) {
                let (of, attempts, asked) = (task.of, task.attempts, task.asked);
                *task = Task { of, attempts, asked, ..Task::new(*ordinal) };
            }
            let parent = self.item(*ordinal).map(|(items, _)| items.parent);
            self.changed.extend(parent);
            if let Some(task) = parent.and_then(|parent| self.tasks.get_mut(parent.index())) {
                task.phase = TaskPhase::Expanded { since: at };
            }
        }
        self.reindex();
    }

    /// A task that is done again makes its items anew: the list may be another one.
    fn supersede_items(&mut self, parent: Ordinal, at: Timestamp) {
        for items in
            self.items.iter_mut().filter(|items| items.parent == parent && !items.superseded)
        {
            items.superseded = true;
            // What follows from the end of a run needs no row while that is the run.
            self.changed.extend(items.range());
            // What an agent had done stays done; its next run asks anew.
            if !items.is_each() {
                continue;
            }
            let range = items.first.index()..items.first.index() + items.count as usize;
            for task in self.tasks.get_mut(range).into_iter().flatten() {
                task.phase = TaskPhase::Cancelled { at };
            }
        }
    }
}
