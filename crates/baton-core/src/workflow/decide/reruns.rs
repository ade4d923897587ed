//! The next run of a workflow: what is done again. Nothing here looks at a run that has not ended.

use std::collections::BTreeSet;

use super::{Decision, one};
use crate::ids::Ordinal;
use crate::workflow::command::Refusal;
use crate::workflow::event::Retried;
use crate::workflow::state::{Outcome, TaskPhase, WorkflowState};

impl WorkflowState {
    pub(super) fn retry(&self, tasks: &[Ordinal]) -> Decision {
        let Some(ended) = self.ended() else {
            return Err(Refusal::NotEnded);
        };
        let gone = |ordinal: &Ordinal| {
            self.task(*ordinal).is_none_or(|task| task.is_call) || self.is_superseded(*ordinal)
        };
        if tasks.iter().any(gone) {
            return Err(Refusal::NoSuchTask);
        }
        let again = match (tasks, &ended.outcome) {
            ([], Outcome::Completed { .. }) => return Err(Refusal::NothingToRetry),
            ([], _) => self.unfinished(),
            (some, _) => self.with_dependents(some),
        };
        if again.is_empty() {
            return Err(Refusal::NothingToRetry);
        }
        Ok(one(Retried { run: self.run + 1, tasks: again.into_iter().collect() }))
    }

    /// Every task that did not complete; of an expanded task, its items that did not.
    fn unfinished(&self) -> BTreeSet<Ordinal> {
        let open = |ordinal: &Ordinal| {
            let Some(task) = self.task(*ordinal) else {
                return false;
            };
            let done = matches!(task.phase, TaskPhase::Completed { .. });
            !done
                && !task.is_call
                && !self.is_superseded(*ordinal)
                && self.items_of(*ordinal).is_none()
        };
        self.ordinals().filter(open).collect()
    }

    /// These tasks, and everything that needs them.
    fn with_dependents(&self, tasks: &[Ordinal]) -> BTreeSet<Ordinal> {
        let mut again: BTreeSet<Ordinal> = tasks.iter().copied().collect();
        let mut open: Vec<Ordinal> =
            tasks.iter().map(|task| self.task(*task).map_or(*task, |t| t.of)).collect();
        let first_stage = open.iter().filter_map(|task| Some(self.plan.task(*task)?.stage)).min();
        while let Some(task) = open.pop() {
            open.extend(
                self.graph.dependents(task).iter().filter(|dependent| again.insert(**dependent)),
            );
        }
        for stage in
            first_stage.map_or(u32::MAX, |stage| stage.saturating_add(1))..self.stage_count()
        {
            let mut open: Vec<Ordinal> = self.graph.at_barrier(stage).to_vec();
            while let Some(task) = open.pop() {
                if again.insert(task) {
                    open.extend(self.graph.dependents(task));
                }
            }
        }
        again.extend(self.unfinished());
        // An `each` that is done again makes its items anew.
        let anew: Vec<Ordinal> = again
            .iter()
            .copied()
            .filter(|task| self.item(*task).is_some_and(|(items, _)| again.contains(&items.parent)))
            .collect();
        for item in anew {
            again.remove(&item);
        }
        again
    }

    /// Whether this is an item that a later run made anew.
    fn is_superseded(&self, ordinal: Ordinal) -> bool {
        self.item(ordinal).is_some_and(|(items, _)| items.superseded)
    }

    fn stage_count(&self) -> u32 {
        u32::try_from(self.plan.stages.len()).unwrap_or(u32::MAX)
    }

    fn ordinals(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)).map(Ordinal)
    }
}
