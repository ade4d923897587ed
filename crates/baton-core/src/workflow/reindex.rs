//! The counters and sets of a workflow, computed anew from its tasks' phases.
//!
//! It changes no phase but that a task whose needs are met becomes ready. What happens one event at
//! a time is [`evolve`](super::evolve)'s, and agrees with this at every revision.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::enter::Need;
use super::state::{Items, StageCount, Tally, Task, TaskPhase, WorkflowState};
use crate::codes::Code;
use crate::ids::Ordinal;
use crate::words::{OnFailure, SkipCause};

impl WorkflowState {
    /// Computes every counter and set anew from the tasks' phases.
    pub(super) fn reindex(&mut self) {
        self.reset_counts();
        for n in 0..u32::try_from(self.tasks.len()).unwrap_or(u32::MAX) {
            self.recount(Ordinal(n));
        }
        let over = |items: &&Items| {
            let ends = || items.is_each() || self.end_of_agent(items.parent).is_some();
            items.open == 0 && !items.superseded && ends()
        };
        let gathered = self.items.iter().filter(over);
        let gathered: BTreeSet<Ordinal> = gathered.map(|items| items.parent).collect();
        let is_expanded = |task: &Task| matches!(task.phase, TaskPhase::Expanded { .. });
        self.gathered = gathered
            .into_iter()
            .filter(|parent| self.task(*parent).is_some_and(is_expanded))
            .collect();
        self.doom_items();
        let graph = Arc::clone(&self.graph);
        for n in 0..u32::try_from(self.plan.tasks.len()).unwrap_or(u32::MAX) {
            let ordinal = Ordinal(n);
            let Some(task) = self.tasks.get(ordinal.index()) else {
                continue;
            };
            let (ended, need) = (task.phase.status().is_terminal(), self.need(task));
            if ended {
                self.tell_dependents(ordinal, need);
                if need == Need::Broken {
                    let stage = self.stage_of(ordinal);
                    self.broken = Some(self.broken.map_or(stage, |broken| broken.min(stage)));
                }
            } else if graph.needs(ordinal) == 0 {
                self.let_start(ordinal);
            }
        }
        self.open_stage(0);
        self.open_barriers();
    }

    /// Items beside one that failed are not to be done where that is fatal.
    fn doom_items(&mut self) {
        let fatal = self.items.iter().filter(|items| {
            let plan = self.plan.task(items.parent);
            items.is_each()
                && items.failed > 0
                && items.open > 0
                && plan.is_none_or(|plan| plan.on_failure == OnFailure::Fail)
        });
        let blocks: Vec<(Ordinal, u32)> = fatal.map(|items| (items.first, items.count)).collect();
        for (first, count) in blocks {
            (first.0..first.0 + count).for_each(|item| self.doom(Ordinal(item)));
        }
    }

    fn reset_counts(&mut self) {
        let graph = Arc::clone(&self.graph);
        for (task, n) in self.tasks.iter_mut().zip(0..) {
            task.unmet =
                if task.of == Ordinal(n) && !task.is_call { graph.needs(Ordinal(n)) } else { 0 };
        }
        for items in &mut self.items {
            (items.open, items.failed, items.running) = (0, 0, 0);
        }
        self.tally = Tally::default();
        self.stage_open = vec![0; self.plan.stages.len()];
        self.stage_counts = vec![StageCount::default(); self.plan.stages.len()];
        (self.barrier, self.broken, self.ready, self.waiting_people) = (0, None, 0, 0);
        self.executing.clear();
        self.waiting.clear();
        self.newly_ready.clear();
        self.doomed.clear();
        self.gathered.clear();
    }

    fn recount(&mut self, ordinal: Ordinal) {
        let Some(task) = self.tasks.get(ordinal.index()) else {
            return;
        };
        let phase = task.phase.clone();
        let ended = phase.status().is_terminal();
        let stage = self.stage_of(ordinal);
        let is_item = ordinal.index() >= self.plan.tasks.len();
        if !ended
            && !is_item
            && let Some(open) = self.stage_open.get_mut(stage as usize)
        {
            *open += 1;
        }
        // An expanded task is counted by its items, also when it has ended.
        let counted = match self.item(ordinal) {
            Some((items, _)) => items.is_each() && !items.superseded,
            None => self.items_of(ordinal).is_none(),
        };
        if counted && !matches!(phase, TaskPhase::Skipped { cause: SkipCause::When, .. }) {
            let completed = u32::from(matches!(phase, TaskPhase::Completed { .. }));
            let failed = u32::from(matches!(phase, TaskPhase::Failed { .. }));
            self.count(stage, |tally, stage| {
                tally.total += 1;
                stage.total += 1;
                tally.completed += completed;
                stage.completed += completed;
                tally.failed += failed;
                tally.open += u32::from(!ended);
            });
        }
        self.recount_place(ordinal, &phase, is_item);
    }

    fn recount_place(&mut self, ordinal: Ordinal, phase: &TaskPhase, is_item: bool) {
        let ended = phase.status().is_terminal();
        if is_item {
            let at = self.items.partition_point(|items| items.first <= ordinal).checked_sub(1);
            if let Some(items) = at.and_then(|at| self.items.get_mut(at)) {
                items.open += u32::from(!ended);
                items.failed += u32::from(matches!(phase, TaskPhase::Failed { .. }));
                let runs = matches!(phase, TaskPhase::Executing { .. } | TaskPhase::Waiting { .. });
                items.running += u32::from(runs);
            }
        }
        match phase {
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
            TaskPhase::Pending
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => {}
        }
    }
}
