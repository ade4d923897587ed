//! The stages of a workflow as they are shown: derived from its tasks, never stored.

use baton_core::codes::Code;
use baton_core::plan::{Plan, Stage};
use baton_core::time::Timestamp;
use baton_core::words::{OnFailure, StageStatus, TaskStatus};
use serde::Serialize;

use crate::store::UsageOfTask;
use crate::usage::Spent;
use crate::view::{TaskView, used_by};

/// A stage as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageView {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub status: StageStatus,
    /// Its share of stage-weighted progress.
    pub weight: u32,
    /// Tasks of the plan in it.
    pub tasks_total: u32,
    /// Those that completed.
    pub tasks_completed: u32,
    /// Those that failed.
    pub tasks_failed: u32,
    /// When its first task started.
    pub started_at: Option<Timestamp>,
    /// When its last task ended, if all have.
    pub ended_at: Option<Timestamp>,
    /// What its tasks used of models, over all runs; absent where they called none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Spent>,
    /// What is reached on the way.
    pub milestones: Vec<MilestoneView>,
}

/// A milestone as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MilestoneView {
    /// Unique in the plan.
    pub id: String,
    /// For people.
    pub title: String,
    /// Whether its tasks have ended.
    pub reached: bool,
}

/// The stages of a plan, in order; `tasks` as [`all_tasks`](crate::view::all_tasks) gives them.
pub fn stage_views(plan: &Plan, tasks: &[TaskView], usage: &[UsageOfTask]) -> Vec<StageView> {
    let mut of_stage: Vec<Vec<&TaskView>> = plan.stages.iter().map(|_| Vec::new()).collect();
    for (planned, task) in plan.tasks.iter().zip(tasks) {
        if let Some(stage) = of_stage.get_mut(planned.stage as usize) {
            stage.push(task);
        }
    }
    let shown = plan.stages.iter().zip(&of_stage).zip(0..);
    let spent = used_by(usage, |used| plan.task(used.of).map(|task| task.stage));
    let view = |((stage, own), index): ((&Stage, &Vec<&TaskView>), u32)| {
        let usage = spent.get(&index).map(|sum| Spent::from(*sum));
        StageView { usage, ..stage_view(plan, stage, own, tasks) }
    };
    shown.map(view).collect()
}

fn stage_view(plan: &Plan, stage: &Stage, own: &[&TaskView], all: &[TaskView]) -> StageView {
    let count = |status| own.iter().filter(|task| task.status == status).count() as u32;
    let over = own.iter().all(|task| task.status.is_terminal());
    let reached = |task: &baton_core::ids::Ordinal| {
        all.get(task.index()).is_some_and(|task| task.status.is_terminal())
    };
    let milestones = stage.milestones.iter().map(|milestone| MilestoneView {
        id: milestone.id.clone(),
        title: milestone.title.clone(),
        reached: milestone.tasks.iter().all(reached),
    });
    StageView {
        name: stage.name.clone(),
        status: status_of(plan, own),
        weight: stage.weight,
        tasks_total: own.len() as u32,
        tasks_completed: count(TaskStatus::Completed),
        tasks_failed: count(TaskStatus::Failed),
        started_at: own.iter().filter_map(|task| task.started_at).min(),
        ended_at: own.iter().filter_map(|task| task.ended_at).max().filter(|_| over),
        usage: None,
        milestones: milestones.collect(),
    }
}

fn status_of(plan: &Plan, own: &[&TaskView]) -> StageStatus {
    let any = |status| own.iter().any(|task| task.status == status);
    let is_fatal = |task: &&&TaskView| {
        let planned = plan.task(task.ordinal);
        task.status == TaskStatus::Failed
            && planned.is_some_and(|planned| planned.on_failure == OnFailure::Fail)
    };
    let waits = |task: &&TaskView| matches!(task.status, TaskStatus::Pending | TaskStatus::Ready);
    if own.iter().all(|task| task.status == TaskStatus::Skipped) {
        StageStatus::Skipped
    } else if own.iter().all(waits) {
        StageStatus::Pending
    } else if !own.iter().all(|task| task.status.is_terminal()) {
        StageStatus::Running
    } else if own.iter().any(|task| is_fatal(&task)) {
        StageStatus::Failed
    } else if any(TaskStatus::Cancelled) {
        StageStatus::Cancelled
    } else if any(TaskStatus::Failed) {
        StageStatus::CompletedWithErrors
    } else {
        StageStatus::Completed
    }
}
