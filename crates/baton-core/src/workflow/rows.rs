//! How a state looks to readers: rows as functions of state, shared by every store, by rebuilding
//! and by the self-check. A store writes them and matches on nothing.

use serde::{Deserialize, Serialize};

use super::accounts::Account;
use super::state::{TaskPhase, WorkflowState};
use crate::body::BlobHash;
use crate::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use crate::progress::{Progress, progress};
use crate::time::Timestamp;
use crate::words::{Origin, TaskStatus, WaitReason, WorkflowStatus};

/// What never changes of a workflow's row, but for its plan: an edit in review replaces that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowCard {
    /// The store's number of it.
    pub number: u64,
    /// Its id.
    pub id: WorkflowId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The task whose child it is.
    pub parent: Option<TaskId>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// The plan's blob.
    pub plan: BlobHash,
    /// How it came to be.
    pub origin: Origin,
    /// 0 to 9.
    pub priority: u8,
    /// Whether some agent may ask a model that answers from a file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scripted: bool,
    /// When it was admitted.
    pub created_at: Timestamp,
}

/// What changes of a workflow's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRow {
    /// The store's number of it.
    pub number: u64,
    /// Where the run stands.
    pub status: WorkflowStatus,
    /// The number of the run.
    pub run: u32,
    /// The version of its stream.
    pub revision: u64,
    /// The position of its newest event; 0 once its events were purged.
    pub head: u64,
    /// The earliest stage that is not done.
    pub current_stage: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// How many tasks failed.
    pub failed: u32,
    /// How many tasks wait for a person.
    pub waiting_people: u32,
    /// When its first run started.
    pub started_at: Option<Timestamp>,
    /// When anything last happened; of a purged one, when it was purged.
    pub updated_at: Timestamp,
    /// When the run ended.
    pub ended_at: Option<Timestamp>,
    /// What the run has used of its plan's budget; none where the plan bounds nothing, or of a purged
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRow>,
}

/// What a run has used of its plan's budget, up to its newest event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRow {
    /// Of its agents.
    pub account: Account,
    /// How long it took, without the time it waited for people, in milliseconds.
    pub time_ms: u64,
}

impl WorkflowRow {
    /// What stays of it once its events were purged at that moment.
    pub fn purged(self, at: Timestamp) -> Self {
        Self { head: 0, updated_at: at, budget: None, ..self }
    }

    /// When its events were purged, if they were. Tombstones of the first shape did not keep the
    /// moment: of those it is when anything last happened.
    pub fn purged_at(&self) -> Option<Timestamp> {
        (self.head == 0).then_some(self.updated_at)
    }
}

/// A task's row. A task that has none is pending, or ready, or was ended with its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskRow {
    /// The store's number of its workflow.
    pub number: u64,
    /// Its place there.
    pub ordinal: Ordinal,
    /// The task of the plan it is, or is an item of.
    pub of: Ordinal,
    /// Where it stands.
    pub status: TaskStatus,
    /// What it waits for.
    pub waits_for: Option<WaitReason>,
    /// Attempts so far.
    pub attempts: u32,
    /// When its first attempt of the run started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The first and the number of its items, if it was expanded.
    pub items: Option<(Ordinal, u32)>,
    /// The position of the event that last changed it.
    pub position: u64,
}

/// What the journal keeps of a purged workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its plan's blob.
    pub plan: BlobHash,
    /// Its card.
    pub card: WorkflowCard,
    /// Its final row.
    pub row: WorkflowRow,
}

/// The card of a workflow.
pub fn workflow_card(state: &WorkflowState, number: u64, plan: BlobHash) -> WorkflowCard {
    WorkflowCard {
        number,
        id: state.id,
        conversation: state.conversation,
        parent: state.parent,
        project: state.project,
        name: state.plan.name.clone(),
        version: state.plan.version,
        plan,
        origin: state.origin,
        priority: state.priority,
        scripted: state.plan.is_scripted(),
        created_at: state.created_at,
    }
}

/// The row of a workflow whose newest event stands at `head`.
pub fn workflow_row(state: &WorkflowState, number: u64, head: u64) -> WorkflowRow {
    WorkflowRow {
        number,
        status: state.status(),
        run: state.run,
        revision: state.revision,
        head,
        current_stage: state.current_stage(),
        progress: progress(state),
        failed: state.tally().failed,
        waiting_people: state.waiting_people(),
        started_at: state.started_at,
        updated_at: state.updated_at,
        ended_at: state.ended().map(|ended| ended.at),
        budget: budget_row(state),
    }
}

fn budget_row(state: &WorkflowState) -> Option<BudgetRow> {
    if state.plan.time_max.is_none() && state.plan.budget.is_none() {
        return None;
    }
    let used = state.time_used(state.updated_at);
    let time_ms = u64::try_from(used.as_millis()).unwrap_or(u64::MAX);
    Some(BudgetRow { account: *state.account(), time_ms })
}

/// The row of a task that was last changed by the event at `position`.
pub fn task_row(
    state: &WorkflowState,
    number: u64,
    ordinal: Ordinal,
    position: u64,
) -> Option<TaskRow> {
    let task = state.task(ordinal)?;
    let (waits_for, ended_at) = match &task.phase {
        TaskPhase::Pending
        | TaskPhase::Ready
        | TaskPhase::Executing { .. }
        | TaskPhase::Expanded { .. } => (None, None),
        TaskPhase::Waiting { on, .. } => (Some(on.reason()), None),
        TaskPhase::Completed { at, .. }
        | TaskPhase::Failed { at, .. }
        | TaskPhase::Skipped { at, .. }
        | TaskPhase::Cancelled { at } => (None, Some(*at)),
    };
    Some(TaskRow {
        number,
        ordinal,
        of: task.of,
        status: task.phase.status(),
        waits_for,
        attempts: task.attempts,
        started_at: task.started_at,
        ended_at,
        items: state
            .task_plan(ordinal)
            .is_some_and(|plan| plan.each.is_some())
            .then(|| state.items_of(ordinal))
            .flatten()
            .map(|items| (items.first, items.count)),
        position,
    })
}
