//! The one door through which a task changes its phase, and what that means for the others: who may
//! start, who is doomed, which stage opens, which `each` is gathered.
//!
//! It costs time in the number of the task's dependents. What happened is [`evolve`](super::evolve)'s.

use std::sync::Arc;

use super::state::{Phase, Resume, StageCount, Tally, Task, TaskPhase, Waiting, WorkflowState};
use crate::codes::Code;
use crate::ids::Ordinal;
use crate::words::{OnFailure, SkipCause};

/// What the end of a task means for those that need it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Met,
    Broken,
    /// The whole workflow fails; dependents are ended with it.
    Fatal,
}

impl WorkflowState {
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
                // An `each` is counted by its items.
                let of_items =
                    matches!(old, TaskPhase::Expanded { .. }) && self.items_of(ordinal).is_some();
                let counted = !of_items && !task.is_call;
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
            TaskPhase::Expanded { .. } => {
                self.gathered.remove(&ordinal);
            }
            TaskPhase::Pending
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
        // Its agent is told.
        if task.is_call {
            return OnFailure::Continue;
        }
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
        let (parent, first, range) = (items.parent, items.first, items.range());
        let (is_each, is_last) = (items.is_each(), ended && items.open == 0);
        let fails = is_fatal && items.failed > 0;
        if is_last && is_each {
            self.gathered.insert(parent);
        } else if is_last {
            self.close_calls(parent, first);
        } else if fails && failed {
            range.for_each(|item| self.doom(item));
        } else if fails {
            self.doom(ordinal);
        }
    }
}
