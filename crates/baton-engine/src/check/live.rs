//! The continuous self-check: a few live workflows and conversations at a time, in memory against the
//! rows.
//!
//! It does not read the journal, so that an owner can afford it on a timer; `check` does.

use std::collections::BinaryHeap;

use baton_core::codes::Code;
use baton_core::conversation::ConversationState;
use baton_core::conversation::rows::conversation_row;
use baton_core::words::TaskStatus;
use baton_core::workflow::WorkflowState;
use baton_core::workflow::rows::{TaskRow, WorkflowRow, task_row, workflow_row};

use super::Difference;
use super::workflows::Counts;
use crate::engine::Engine;
use crate::store::{StoreError, UsageFilter, Views};

/// Goes round all live workflows, and all conversations in memory, a few of each at each step.
#[derive(Clone, Copy, Debug)]
pub struct SelfCheck {
    /// The workflow looked at last.
    last: u64,
    /// The conversation looked at last.
    last_talk: u64,
    workflows_max: usize,
    tasks_max: usize,
}

impl Default for SelfCheck {
    fn default() -> Self {
        Self::new(8, 2_000)
    }
}

impl SelfCheck {
    /// Looks at this many workflows and conversations at each step, and task by task only at those with at most this
    /// many tasks; of larger ones the counts and the row are compared.
    pub fn new(workflows_max: usize, tasks_max: usize) -> Self {
        Self { last: 0, last_talk: 0, workflows_max, tasks_max }
    }

    /// Compares the next few workflows and conversations. Call it between a commit and the next turn,
    /// when memory holds exactly what is written.
    pub fn step(
        &mut self,
        engine: &Engine,
        views: &mut dyn Views,
    ) -> Result<Vec<Difference>, StoreError> {
        let mut differences = Vec::new();
        let next = self.next(self.last, engine.states().map(|(number, _)| number));
        for (number, state) in engine.states().filter(|(n, _)| next.binary_search(n).is_ok()) {
            self.compare(number, state, views, &mut differences)?;
        }
        self.last = next.last().copied().unwrap_or(0);
        let talks = engine.conversations();
        let next = self.next(self.last_talk, talks.clone().map(|(number, _)| number));
        for (number, state) in talks.filter(|(n, _)| next.binary_search(n).is_ok()) {
            compare_talk(number, state, views, &mut differences)?;
        }
        self.last_talk = next.last().copied().unwrap_or(0);
        Ok(differences)
    }

    /// The smallest few numbers after the last one, ascending; the smallest of all after the greatest.
    fn next(&self, last: u64, numbers: impl Iterator<Item = u64> + Clone) -> Vec<u64> {
        let after = |last: u64| {
            let mut smallest = BinaryHeap::with_capacity(self.workflows_max + 1);
            for number in numbers.clone().filter(|number| *number > last) {
                smallest.push(number);
                if smallest.len() > self.workflows_max {
                    smallest.pop();
                }
            }
            smallest.into_sorted_vec()
        };
        let next = after(last);
        if next.is_empty() { after(0) } else { next }
    }

    fn compare(
        &self,
        number: u64,
        state: &WorkflowState,
        views: &mut dyn Views,
        differences: &mut Vec<Difference>,
    ) -> Result<(), StoreError> {
        let name = format!("workflow {number} (`{}`, {})", state.plan.name, state.id);
        let what = format!("{name}: its counts");
        let (kept, anew) = (Counts::kept(state), Counts::anew(state));
        differences.extend(Difference::of_fields(&what, &kept, &anew));
        let Some((_, stored)) = views.workflow(state.id)? else {
            differences.push(Difference::fault(name, "no row", "a row"));
            return Ok(());
        };
        let row = WorkflowRow { head: stored.head, ..workflow_row(state, number, stored.head) };
        differences.extend(Difference::of_fields(&name, &stored, &row));
        // The state keeps the sum in step; the rows are added up anew.
        if !state.spent().is_none() {
            compare_books(&name, number, state, views, differences)?;
        }
        if state.tasks().len() <= self.tasks_max {
            compare_tasks(&name, state, &views.tasks(number)?, differences);
        }
        Ok(())
    }
}

/// Compares the row of a conversation.
fn compare_talk(
    number: u64,
    state: &ConversationState,
    views: &mut dyn Views,
    differences: &mut Vec<Difference>,
) -> Result<(), StoreError> {
    let name = format!("conversation {number} (`{}`, {})", state.title, state.id);
    let Some(stored) = views.conversation(state.id)? else {
        differences.push(Difference::fault(name, "no row", "a row"));
        return Ok(());
    };
    let row = conversation_row(state, number, stored.head);
    differences.extend(Difference::of_fields(&name, &stored, &row));
    Ok(())
}

/// Compares what the rows of the books add up to with the sum that the state keeps.
fn compare_books(
    name: &str,
    number: u64,
    state: &WorkflowState,
    views: &mut dyn Views,
    differences: &mut Vec<Difference>,
) -> Result<(), StoreError> {
    let of_it = UsageFilter { workflows: vec![number], limit: 1, ..UsageFilter::default() };
    let stored = views.usage(&of_it)?.first().map(|(_, sum)| *sum).unwrap_or_default();
    let what = format!("{name}: its usage");
    differences.extend(Difference::of_fields(&what, &stored, &state.spent()));
    Ok(())
}

/// Compares the stored rows of tasks; a task that has none must not have begun.
fn compare_tasks(
    name: &str,
    state: &WorkflowState,
    stored: &[TaskRow],
    differences: &mut Vec<Difference>,
) {
    for old in stored {
        let what = format!("{name}: task {}", old.ordinal.0);
        match task_row(state, old.number, old.ordinal, old.position) {
            Some(new) => differences.extend(Difference::of_fields(&what, old, &new)),
            None => differences.push(Difference::fault(what, "a row", "no such task")),
        }
    }
    let begun = (0..).map(baton_core::ids::Ordinal).zip(state.tasks()).filter(|(_, task)| {
        !matches!(
            task.phase.status(),
            TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Cancelled
        )
    });
    for (ordinal, task) in begun {
        if stored.binary_search_by_key(&ordinal, |row| row.ordinal).is_err() {
            let what = format!("{name}: task {}", ordinal.0);
            let status = task.phase.status().word();
            differences.push(Difference::fault(what, "no row", status));
        }
    }
}
