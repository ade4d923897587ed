//! The closing message of a workflow: what was done, what failed and what it cost, from its state alone.

use serde::{Deserialize, Serialize};

use crate::agent::Spending;
use crate::codes::Code;
use crate::failure::CallFailure;
use crate::ids::{Ordinal, TaskId, WorkflowId};
use crate::progress::progress;
use crate::words::{TaskStatus, WorkflowStatus};
use crate::workflow::{TaskPhase, WorkflowState};

/// So many tasks are named; of more, those that failed come first.
const TASKS_MAX: usize = 50;
/// The longest cause, in characters.
const CAUSE_CHARS_MAX: usize = 300;

/// What came of a workflow's run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// Which.
    pub workflow: WorkflowId,
    /// Its definition's name.
    pub name: String,
    /// How it ended.
    pub status: WorkflowStatus,
    /// How many of its tasks completed.
    pub completed: u32,
    /// Of how many.
    pub total: u32,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What its agents used.
    #[serde(default, skip_serializing_if = "Spending::is_none")]
    pub spent: Spending,
    /// The tasks behind it, in the plan's order; those that failed, where there are many.
    pub tasks: Vec<ClosingTask>,
}

/// A task as its closing message names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClosingTask {
    /// Its id.
    pub task: TaskId,
    /// Its key.
    pub key: String,
    /// How it ended.
    pub status: TaskStatus,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Closing {
    /// What came of a run that has ended.
    pub fn of(state: &WorkflowState) -> Self {
        let progress = progress(state);
        let planned = (0..).map(Ordinal).take(state.plan.tasks.len());
        let told = planned.filter_map(|task| ClosingTask::of(state, task));
        let mut tasks: Vec<ClosingTask> = told.collect();
        if tasks.len() > TASKS_MAX {
            tasks.sort_by_key(|task| task.status != TaskStatus::Failed);
            tasks.truncate(TASKS_MAX);
        }
        let since = state.started_at.unwrap_or(state.created_at);
        let took = state.updated_at.since(since);
        Self {
            workflow: state.id,
            name: state.plan.name.clone(),
            status: state.status(),
            completed: progress.completed,
            total: progress.total,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            spent: state.spent(),
            tasks,
        }
    }

    /// It in words.
    pub fn text(&self) -> String {
        let ended = match self.status {
            WorkflowStatus::Completed => "is done",
            WorkflowStatus::CompletedWithErrors => "is done, with errors",
            WorkflowStatus::Failed => "has failed",
            WorkflowStatus::Cancelled => "was cancelled",
            WorkflowStatus::Draft
            | WorkflowStatus::PendingReview
            | WorkflowStatus::Queued
            | WorkflowStatus::Running
            | WorkflowStatus::Paused
            | WorkflowStatus::Cancelling => self.status.word(),
        };
        let mut text = format!("{} {ended}: {} of {} tasks", self.name, self.completed, self.total);
        if !self.spent.is_none() {
            let cost = match self.spent.known_cost() {
                Some(cost) => format!("${cost}"),
                None => "cost unknown".to_owned(),
            };
            text.push_str(&format!(", {} tokens, {cost}", self.spent.usage.tokens()));
        }
        text.push('.');
        for task in self.tasks.iter().filter(|task| task.status == TaskStatus::Failed) {
            let cause = task.cause.as_deref().unwrap_or("no cause is known");
            text.push_str(&format!("\n{} failed: {cause}", task.key));
        }
        text
    }
}

impl ClosingTask {
    fn of(state: &WorkflowState, ordinal: Ordinal) -> Option<Self> {
        let task = state.task(ordinal)?;
        let cause = match &task.phase {
            TaskPhase::Failed { failure, .. } => Some(short(failure)),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        };
        Some(Self {
            task: state.id.task(ordinal),
            key: state.key_of(ordinal),
            status: task.phase.status(),
            cause,
        })
    }
}

fn short(failure: &CallFailure) -> String {
    failure.message.chars().take(CAUSE_CHARS_MAX).collect()
}
