//! Applies what happened. Total: history is never refused, and nothing here decides anything.
//!
//! Counters and sets are kept in step with the tasks' phases through one door, [`enter`], in time
//! of the changed task's dependents; [`reindex`] computes them anew from the phases alone.
//!
//! [`enter`]: WorkflowState::enter
//! [`reindex`]: WorkflowState::reindex

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Admitted, AttemptFailed, Event, TaskExpanded};
use super::graph::Graph;
use super::state::{
    Ended, Items, Next, Output, PauseCause, Phase, Resume, StageCount, Tally, Task, TaskPhase,
    Waiting, WorkflowState,
};
use crate::codes::Code;
use crate::ids::Ordinal;
use crate::plan::Plan;
use crate::time::Timestamp;
use crate::words::{FailureKind, OnFailure, SkipCause};

/// What the end of a task means for those that need it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Met,
    Broken,
    /// The whole workflow fails; dependents are ended with it.
    Fatal,
}

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
            folder: event.folder.clone(),
            plan,
            graph,
            inputs: event.inputs.clone(),
            run: 1,
            revision: 1,
            phase: if event.review { Phase::PendingReview } else { Phase::Queued },
            created_at: at,
            started_at: None,
            updated_at: at,
            used: Duration::ZERO,
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

    /// Applies an event that happened at `at`.
    // Long because it has one arm for each event.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        if self.is_busy() {
            self.used += at.since(self.updated_at);
        }
        self.updated_at = at;
        self.revision += 1;
        match event {
            Event::Admitted(_) | Event::DefinitionRegistered(_) | Event::Purged(_) => {}
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
            Event::Retried(retried) => self.reopen(retried.run, &retried.tasks, at),
            Event::TaskStarted(started) => {
                self.begin(started.task, started.attempt, at);
                self.enter(started.task, TaskPhase::Executing { since: at });
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
                self.enter(
                    failed.task,
                    TaskPhase::Failed { at, failure: Arc::new(failed.failure.clone()) },
                );
            }
            Event::TaskSkipped(skipped) => {
                self.enter(skipped.task, TaskPhase::Skipped { at, cause: skipped.cause })
            }
            Event::TaskCancelled(cancelled) => {
                self.enter(cancelled.task, TaskPhase::Cancelled { at })
            }
            Event::CallUndone(undone) => self.undo_call(undone.task),
            Event::TaskEmitted(_) => {}
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
            task.started_at.get_or_insert(at);
        }
    }

    fn fall_back(&mut self, failed: &AttemptFailed, at: Timestamp) {
        if let Some(task) = self.tasks.get_mut(failed.task.index()) {
            match failed.next {
                // A lost attempt says nothing about the task: it does not use up its tries.
                Next::Repeat => {
                    task.tries = task.tries.saturating_sub(1);
                    task.lost += 1;
                }
                Next::Fallback => (task.rung, task.tries) = (task.rung + 1, 0),
                Next::Retry { .. } | Next::InDoubt => {}
            }
        }
        let waiting = |on| TaskPhase::Waiting { since: at, on };
        let phase = match &failed.next {
            Next::Repeat | Next::Fallback => TaskPhase::Ready,
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
            list,
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
        for (task, n) in self.tasks.iter_mut().zip(0..) {
            if !task.phase.status().is_terminal() {
                let began =
                    task.started_at.is_some() || matches!(task.phase, TaskPhase::Expanded { .. });
                if began || may_have_rows {
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
        self.changed.extend_from_slice(tasks);
        for ordinal in tasks {
            self.supersede_items(*ordinal, at);
            if let Some(task) = self.tasks.get_mut(ordinal.index()) {
                *task = Task { of: task.of, attempts: task.attempts, ..Task::new(*ordinal) };
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
            let range = items.first.index()..items.first.index() + items.count as usize;
            self.changed.extend((items.first.0..items.first.0 + items.count).map(Ordinal));
            for task in self.tasks.get_mut(range).into_iter().flatten() {
                task.phase = TaskPhase::Cancelled { at };
            }
        }
    }

    pub(super) fn stage_of(&self, ordinal: Ordinal) -> u32 {
        self.task_plan(ordinal).map_or(0, |plan| plan.stage)
    }

    pub(super) fn count(&mut self, stage: u32, change: impl FnOnce(&mut Tally, &mut StageCount)) {
        if let Some(stage) = self.stage_counts.get_mut(stage as usize) {
            change(&mut self.tally, stage);
        }
    }

    /// The one door through which a task changes its phase.
    pub(super) fn enter(&mut self, ordinal: Ordinal, phase: TaskPhase) {
        let has_no_row = self.run == 1 || ordinal.index() >= self.plan.tasks.len();
        let Some(task) = self.tasks.get_mut(ordinal.index()) else {
            return;
        };
        let old = std::mem::replace(&mut task.phase, phase);
        // A task that was only pending has no row: readers know that it is ready from its needs.
        // One that a retry opened again kept its row, which must follow.
        let opens = matches!((&old, &task.phase), (TaskPhase::Pending, TaskPhase::Ready));
        if !(opens && has_no_row) {
            self.changed.push(ordinal);
        }
        self.leave(ordinal, &old);
        let Some(task) = self.tasks.get(ordinal.index()) else {
            return;
        };
        match &task.phase {
            TaskPhase::Pending | TaskPhase::Expanded { .. } => {}
            TaskPhase::Ready => {
                self.ready += 1;
                self.newly_ready.push(ordinal);
            }
            TaskPhase::Executing { .. } => {
                self.executing.insert(ordinal);
            }
            TaskPhase::Waiting { on, .. } => {
                self.waiting_people += u32::from(on.is_for_people());
                self.waiting.insert(ordinal);
            }
            TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => {
                let counted = !matches!(old, TaskPhase::Expanded { .. });
                self.task_ended(ordinal, counted);
            }
        }
        if ordinal.index() >= self.plan.tasks.len() {
            self.note_item(ordinal, &old);
        }
    }

    fn leave(&mut self, ordinal: Ordinal, old: &TaskPhase) {
        match old {
            TaskPhase::Ready => self.ready = self.ready.saturating_sub(1),
            TaskPhase::Executing { .. } => {
                self.executing.remove(&ordinal);
            }
            TaskPhase::Waiting { on, .. } => {
                self.waiting.remove(&ordinal);
                self.waiting_people -= u32::from(on.is_for_people());
            }
            TaskPhase::Pending
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => {}
        }
    }

    fn task_ended(&mut self, ordinal: Ordinal, counted: bool) {
        let Some(task) = self.task(ordinal) else {
            return;
        };
        let (need, on_failure) = (self.need(task), self.on_failure(task));
        let completed = matches!(task.phase, TaskPhase::Completed { .. });
        let failed = matches!(task.phase, TaskPhase::Failed { .. });
        let left_out = matches!(task.phase, TaskPhase::Skipped { cause: SkipCause::When, .. });
        let stage = self.stage_of(ordinal);
        self.doomed.remove(&ordinal);
        self.gathered.remove(&ordinal);
        if counted {
            self.count(stage, |tally, stage| {
                tally.open = tally.open.saturating_sub(1);
                tally.total -= u32::from(left_out);
                stage.total -= u32::from(left_out);
                tally.completed += u32::from(completed);
                stage.completed += u32::from(completed);
                tally.failed += u32::from(failed);
            });
        }
        if ordinal.index() < self.plan.tasks.len() {
            if failed && on_failure == OnFailure::Fail {
                self.mark_failing(ordinal);
            }
            self.tell_dependents(ordinal, need);
            self.close_in_stage(stage, need);
        }
    }

    fn mark_failing(&mut self, ordinal: Ordinal) {
        if let Phase::Running { failing } | Phase::Paused { failing, .. } = &mut self.phase {
            failing.get_or_insert(ordinal);
        }
    }

    pub(super) fn on_failure(&self, task: &Task) -> OnFailure {
        self.plan.task(task.of).map_or(OnFailure::Fail, |plan| plan.on_failure)
    }

    pub(super) fn need(&self, task: &Task) -> Need {
        match &task.phase {
            TaskPhase::Completed { .. } | TaskPhase::Skipped { cause: SkipCause::When, .. } => {
                Need::Met
            }
            TaskPhase::Skipped { cause: SkipCause::Dependency, .. } => Need::Broken,
            TaskPhase::Failed { .. } => match self.on_failure(task) {
                OnFailure::Continue => Need::Met,
                OnFailure::SkipDependents => Need::Broken,
                OnFailure::Fail => Need::Fatal,
            },
            TaskPhase::Cancelled { .. }
            | TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. } => Need::Fatal,
        }
    }

    pub(super) fn tell_dependents(&mut self, ordinal: Ordinal, need: Need) {
        let graph = Arc::clone(&self.graph);
        for dependent in graph.dependents(ordinal) {
            match need {
                Need::Met => self.meet(*dependent),
                Need::Broken => self.doom(*dependent),
                Need::Fatal => {}
            }
        }
    }

    fn meet(&mut self, ordinal: Ordinal) {
        let Some(task) = self.tasks.get_mut(ordinal.index()) else {
            return;
        };
        task.unmet = task.unmet.saturating_sub(1);
        if task.unmet == 0 && !self.doomed.contains(&ordinal) {
            self.let_start(ordinal);
        }
    }

    /// A task whose needs are met is ready; of one that was expanded in an earlier run, the items
    /// that are done again.
    pub(super) fn let_start(&mut self, ordinal: Ordinal) {
        let phase = self.task(ordinal).map(|task| &task.phase);
        if phase == Some(&TaskPhase::Pending) {
            self.enter(ordinal, TaskPhase::Ready);
        } else if matches!(phase, Some(TaskPhase::Expanded { .. })) {
            for item in self.pending_items(ordinal) {
                self.enter(item, TaskPhase::Ready);
            }
        }
    }

    fn pending_items(&self, parent: Ordinal) -> Vec<Ordinal> {
        let range =
            self.items_of(parent).map_or(0..0, |items| items.first.0..items.first.0 + items.count);
        let is_pending = |task: &Task| task.phase == TaskPhase::Pending;
        range.map(Ordinal).filter(|item| self.task(*item).is_some_and(is_pending)).collect()
    }

    pub(super) fn doom(&mut self, ordinal: Ordinal) {
        let then = Resume::Retry;
        let not_running = |task: &Task| match &task.phase {
            TaskPhase::Pending | TaskPhase::Ready => true,
            TaskPhase::Waiting { on, .. } => {
                matches!(on, Waiting::Timer { then: next, .. } if *next == then)
            }
            TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => false,
        };
        if self.task(ordinal).is_some_and(not_running) {
            self.doomed.insert(ordinal);
        }
        let items = self.pending_items(ordinal);
        self.doomed.extend(items);
    }

    fn close_in_stage(&mut self, stage: u32, need: Need) {
        if need == Need::Broken {
            self.broken = Some(self.broken.map_or(stage, |broken| broken.min(stage)));
        }
        if let Some(open) = self.stage_open.get_mut(stage as usize) {
            *open = open.saturating_sub(1);
        }
        self.open_barriers();
    }

    pub(super) fn open_barriers(&mut self) {
        while self.stage_open.get(self.barrier as usize) == Some(&0) {
            self.barrier += 1;
            self.open_stage(self.barrier);
        }
    }

    pub(super) fn open_stage(&mut self, stage: u32) {
        let graph = Arc::clone(&self.graph);
        let broken = self.broken.is_some_and(|broken| broken < stage);
        for ordinal in graph.at_barrier(stage) {
            if broken { self.doom(*ordinal) } else { self.meet(*ordinal) }
        }
    }

    /// Keeps the block of an item in step, and closes it after its last item.
    fn note_item(&mut self, ordinal: Ordinal, old: &TaskPhase) {
        let runs = |phase: &TaskPhase| {
            matches!(phase, TaskPhase::Executing { .. } | TaskPhase::Waiting { .. })
        };
        let Some(task) = self.tasks.get(ordinal.index()) else {
            return;
        };
        let (ended, failed) =
            (task.phase.status().is_terminal(), matches!(task.phase, TaskPhase::Failed { .. }));
        let started = u32::from(runs(&task.phase));
        let is_fatal = self.on_failure(task) == OnFailure::Fail;
        let Some(at) = self.items.partition_point(|items| items.first <= ordinal).checked_sub(1)
        else {
            return;
        };
        let Some(items) = self.items.get_mut(at) else {
            return;
        };
        items.running = (items.running + started).saturating_sub(u32::from(runs(old)));
        items.open -= u32::from(ended);
        items.failed += u32::from(failed);
        let (parent, range) = (items.parent, items.first.0..items.first.0 + items.count);
        let fails = is_fatal && items.failed > 0;
        if ended && items.open == 0 {
            self.gathered.insert(parent);
        } else if fails && failed {
            range.for_each(|item| self.doom(Ordinal(item)));
        } else if fails {
            self.doom(ordinal);
        }
    }
}

impl Task {
    fn new(of: Ordinal) -> Self {
        Self {
            of,
            unmet: 0,
            attempts: 0,
            tries: 0,
            lost: 0,
            rung: 0,
            started_at: None,
            phase: TaskPhase::Pending,
        }
    }

    /// What it brought, if it completed.
    pub fn output(&self) -> Option<&Output> {
        match &self.phase {
            TaskPhase::Completed { output, .. } => Some(output),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        }
    }
}
