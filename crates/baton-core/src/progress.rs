//! Progress: the one function that says how far a workflow is.
//!
//! Completed of all tasks. A task skipped by its `when` leaves the total; one skipped with what it
//! needs, failed or cancelled stays in it; `each` counts its items instead of itself; a child
//! counts as one. Rounded half up, and at most 99 while something is open.

use serde::{Deserialize, Serialize};

use crate::words::ProgressMethod;
use crate::workflow::{StageCount, WorkflowState};

/// How far a workflow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Tasks that ended with their output.
    pub completed: u32,
    /// Tasks that count.
    pub total: u32,
    /// 0 to 100.
    pub percentage: u8,
    /// How it was counted.
    pub method: ProgressMethod,
}

/// How far a workflow is.
pub fn progress(state: &WorkflowState) -> Progress {
    let tally = state.tally();
    let method = state.plan.progress;
    let (part, whole) = match method {
        ProgressMethod::AgentBased => (u128::from(tally.completed), u128::from(tally.total)),
        ProgressMethod::StageWeighted => weighted(state),
    };
    let rounded = (part * 200 + whole).checked_div(whole * 2).unwrap_or(0);
    let most = if tally.open > 0 { 99 } else { 100 };
    let percentage = u8::try_from(rounded.min(most)).unwrap_or(100);
    Progress { completed: tally.completed, total: tally.total, percentage, method }
}

/// The weighted mean over stages that have tasks, as a fraction in billionths.
fn weighted(state: &WorkflowState) -> (u128, u128) {
    const ONE: u128 = 1_000_000_000;
    let counted = state.plan.stages.iter().zip(state.stage_counts());
    counted.filter(|(_, count)| count.total > 0).fold((0, 0), |(part, whole), (stage, count)| {
        let StageCount { total, completed } = *count;
        let weight = u128::from(stage.weight);
        (part + weight * u128::from(completed) * ONE / u128::from(total), whole + weight * ONE)
    })
}
