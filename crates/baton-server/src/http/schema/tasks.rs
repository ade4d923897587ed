//! How tasks, their attempts and the tools they call look.

use utoipa::ToSchema;

use super::turns::AgentSchema;
use super::usage::SpentSchema;
use super::{
    Any, AttemptStatusWord, EffectWord, HumanKindWord, PermissionWord, TaskStatusWord,
    WaitReasonWord,
};

/// A task.
#[derive(ToSchema)]
#[schema(as = Task)]
pub(in crate::http) struct TaskSchema {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// Its key; an item's has its index behind it, a call's its number.
    key: String,
    /// For people.
    title: Option<String>,
    /// The stage it belongs to.
    stage: String,
    /// What it does.
    kind: String,
    /// The tool, if it calls one; the type of worker, if it is for one; the name of its agent.
    tool: Option<String>,
    /// The agent's task that asked for it, of a call that an agent asked for.
    #[schema(format = "uuid")]
    call_of: Option<String>,
    /// Where it stands.
    status: TaskStatusWord,
    /// What it waits for.
    waits_for: Option<WaitReasonWord>,
    /// Attempts so far.
    attempts: u32,
    /// When its first attempt of the run started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// The position of the event that last changed it; 0 where none has.
    position: u64,
    /// What it used of models, with its items and over all runs; absent where it called none.
    #[schema(nullable = false)]
    usage: Option<SpentSchema>,
    /// How far its running attempt says it is, or why it is held back; absent where nothing was said. It is
    /// kept in memory only.
    #[schema(nullable = false)]
    live: Option<SaidSchema>,
}

/// What a running call or a worker says of itself.
#[derive(ToSchema)]
#[schema(as = Said)]
struct SaidSchema {
    /// How much is done, in the unit of whoever says it.
    #[schema(nullable = false)]
    progress: Option<f64>,
    /// How much there is in all, in the same unit.
    #[schema(nullable = false)]
    total: Option<f64>,
    /// For people: one line.
    #[schema(max_length = 200, nullable = false)]
    message: Option<String>,
    /// Why the task, which is ready, does not start: what is missing for it where Baton runs. Then
    /// nothing else is said.
    #[schema(max_length = 200, nullable = false)]
    held: Option<String>,
    /// When it was said.
    #[schema(format = DateTime)]
    at: String,
}

/// A task with its attempts.
#[derive(ToSchema)]
#[schema(as = TaskDetail)]
pub(in crate::http) struct TaskDetailSchema {
    #[schema(inline)]
    #[serde(flatten)]
    task: TaskSchema,
    /// Its workflow.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// What a person is asked, while the task waits for one.
    ask: Option<String>,
    /// The shape of their answer.
    answer: Option<HumanKindWord>,
    /// `choice`: the options.
    options: Vec<String>,
    /// `form`: a JSON Schema object of the answer.
    form: Option<Any>,
    /// What the task brought; of an `each`, its items have it.
    output: Option<Any>,
    /// Why it failed.
    failure: Option<FailureSchema>,
    /// What its agent did in sum, where it has one: `…/transcript` tells it turn by turn.
    agent: Option<AgentSchema>,
    /// Its attempts over all runs, oldest first.
    calls: Vec<CallSchema>,
}

/// One attempt.
#[derive(ToSchema)]
#[schema(as = Call)]
pub(in crate::http) struct CallSchema {
    /// Its number, from 1, over all runs.
    attempt: u32,
    /// The tool it called, if it called one.
    tool: Option<String>,
    /// The model it called, if it called one: `provider/name`.
    model: Option<String>,
    /// What the tool was given.
    input: Option<Any>,
    /// How it ended, or that it has not.
    status: AttemptStatusWord,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Why it failed.
    failure: Option<FailureSchema>,
}

/// Why a call failed.
#[derive(ToSchema)]
#[schema(as = Failure)]
pub(in crate::http) struct FailureSchema {
    /// Why.
    kind: String,
    /// What happened, where, and what to do.
    message: String,
    /// Whether the call had its effect: `no`, `yes`, `unknown`.
    happened: String,
    /// Whether the same call may go well later.
    retryable: bool,
    /// How long the other side asked to wait.
    retry_after_ms: Option<u64>,
}

/// A tool.
#[derive(ToSchema)]
#[schema(as = Tool)]
pub(in crate::http) struct ToolSchema {
    /// `server.tool`.
    name: String,
    /// In one sentence.
    description: String,
    /// What repeating a call would do.
    effect: EffectWord,
    /// What a task needs to call it.
    permission: PermissionWord,
    /// A JSON Schema object of its input.
    input: Any,
    /// A JSON Schema of its output, where it promises one.
    output: Option<Any>,
    /// Bounded computation without I/O.
    quick: bool,
}
