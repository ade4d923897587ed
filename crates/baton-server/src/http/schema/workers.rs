//! How leases, and what workers are answered, look.

use utoipa::ToSchema;

use super::{Any, TaskStatusWord};

/// A task that a worker has from now on.
#[derive(ToSchema)]
#[schema(as = Lease)]
pub(in crate::http) struct LeaseSchema {
    /// The task.
    #[schema(format = "uuid")]
    task_id: String,
    /// Its workflow.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// Its attempt: what the worker's answers carry.
    token: u32,
    /// The type of worker it is for.
    r#type: String,
    /// The rendered input.
    input: Any,
    /// The same for every attempt.
    idempotency_key: String,
    /// Until when it is the worker's without a heartbeat.
    #[schema(format = DateTime)]
    lease_until: String,
}

/// The answer to a heartbeat.
#[derive(ToSchema)]
#[schema(as = Alive)]
pub(in crate::http) struct AliveSchema {
    /// Until when the task is the worker's without another.
    #[schema(format = DateTime)]
    lease_until: String,
    /// Whether the worker should stop: the workflow is being cancelled.
    cancelled: bool,
}

/// Where a task stands by a worker's answer.
#[derive(ToSchema)]
#[schema(as = Answered)]
pub(in crate::http) struct AnsweredSchema {
    /// The task.
    #[schema(format = "uuid")]
    task_id: String,
    /// Where it stands.
    status: TaskStatusWord,
}

/// A lease that is held.
#[derive(ToSchema)]
#[schema(as = Holding)]
pub(in crate::http) struct HoldingSchema {
    /// The task.
    #[schema(format = "uuid")]
    task_id: String,
    /// Its attempt.
    token: u32,
    /// The worker's own name.
    worker: String,
    /// Until when it is the worker's without a heartbeat.
    #[schema(format = DateTime)]
    lease_until: String,
    /// What the worker last said of how far it is.
    progress: Option<Any>,
}

/// The leases that are held.
#[derive(ToSchema)]
#[schema(as = HoldingPage)]
pub(in crate::http) struct HoldingPageSchema {
    items: Vec<HoldingSchema>,
    /// Always null: they are all there.
    next_cursor: Option<String>,
}
