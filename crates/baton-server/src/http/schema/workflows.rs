//! How workflows, and what is listed with them, look: stages, events, what needs people.

use utoipa::ToSchema;

use super::usage::{ForecastSchema, SpentSchema, UsageSchema};
use super::{
    Any, AtLimitWord, HumanKindWord, OriginWord, ProgressMethodWord, StageStatusWord,
    WorkflowStatusWord,
};

/// A workflow.
#[derive(ToSchema)]
#[schema(as = Workflow)]
pub(in crate::http) struct WorkflowSchema {
    /// Its id.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// The same.
    #[schema(format = "uuid")]
    id: String,
    /// The definition's name.
    name: String,
    /// What it is for; not in lists.
    description: Option<String>,
    /// What kind of plan it is.
    r#type: String,
    /// How it came to be.
    origin: OriginWord,
    /// The number of its run, from 1.
    run: u32,
    /// Where the run stands.
    status: WorkflowStatusWord,
    /// The earliest stage that is not done.
    current_stage: Option<String>,
    /// Higher starts sooner.
    #[schema(minimum = 0, maximum = 9)]
    priority: u8,
    /// How far it is.
    #[schema(minimum = 0, maximum = 100)]
    progress_percentage: u8,
    /// The same.
    #[schema(minimum = 0, maximum = 100)]
    progress: u8,
    /// Tasks that completed.
    agents_completed: u32,
    /// Tasks that count.
    agents_total: u32,
    /// How progress is counted.
    progress_calculation_method: ProgressMethodWord,
    /// When it was last computed.
    #[schema(format = DateTime)]
    progress_updated_at: String,
    /// Tasks that failed.
    tasks_failed: u32,
    /// Tasks that wait for a person.
    tasks_waiting_for_people: u32,
    /// The conversation it belongs to.
    #[schema(format = "uuid")]
    conversation_id: String,
    /// The project it belongs to.
    #[schema(format = "uuid")]
    project_id: Option<String>,
    /// Whether some agent may ask a model that answers from a file: such answers are no model's.
    scripted: bool,
    /// What its calls pass on as W3C trace id: its own id, 32 hexadecimal digits.
    trace_id: String,
    /// What it has used so far.
    usage: UsageSchema,
    /// What it may use in a run, where the plan has a bound, and what is gone of that; not in lists.
    budget: Option<BudgetSchema>,
    /// What it will probably use, of a plan in review; not in lists.
    forecast: Option<ForecastSchema>,
    /// How many events it has; it grows with each.
    revision: u64,
    /// When it was admitted.
    #[schema(format = DateTime)]
    created_at: String,
    /// When its first run started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When anything last happened.
    #[schema(format = DateTime)]
    updated_at: String,
    /// When the run ended.
    #[schema(format = DateTime)]
    completed_at: Option<String>,
    /// When its events, tasks and output were purged.
    #[schema(format = DateTime)]
    purged_at: Option<String>,
    /// What the run brought; not in lists.
    output: Option<Any>,
    /// Why it did not complete; not in lists.
    error: Option<String>,
}

/// What a run may use; what is absent is not bounded.
#[derive(ToSchema)]
#[schema(as = Budget)]
struct BudgetSchema {
    /// How long it may take, without the time it waits for people: `10m`.
    #[schema(nullable = false)]
    time: Option<String>,
    /// Tokens of its agents, read and written.
    #[schema(nullable = false)]
    tokens: Option<u64>,
    /// US dollars, as far as prices are known.
    #[schema(nullable = false, pattern = "^[0-9]+\\.[0-9]+$")]
    usd: Option<String>,
    /// Calls of models and of the tools that they ask for.
    #[schema(nullable = false)]
    calls: Option<u32>,
    /// What happens where the next call may not fit; absent where time alone is bounded.
    #[schema(nullable = false)]
    at_limit: Option<AtLimitWord>,
    /// What is gone of it up to the newest event; absent where that is not known.
    #[schema(nullable = false)]
    used: Option<BudgetUseSchema>,
    /// What is held for calls of models that run; absent where that is not known.
    #[schema(nullable = false)]
    reserved: Option<BudgetShareSchema>,
    /// What people granted beyond it; absent where they granted nothing.
    #[schema(nullable = false)]
    granted: Option<BudgetShareSchema>,
}

/// What is gone of a budget.
#[derive(ToSchema)]
#[schema(as = BudgetUse)]
struct BudgetUseSchema {
    /// Tokens. A call that was cut off counts with all that was held for it.
    tokens: u64,
    /// What they cost in US dollars, as far as prices are known.
    #[schema(pattern = "^[0-9]+\\.[0-9]+$")]
    usd: String,
    /// Calls, those that run among them.
    calls: u32,
    /// Milliseconds, without those it waited for people.
    time_ms: u64,
}

/// A part of a budget.
#[derive(ToSchema)]
#[schema(as = BudgetShare)]
struct BudgetShareSchema {
    /// Tokens.
    tokens: u64,
    /// US dollars.
    #[schema(pattern = "^[0-9]+\\.[0-9]+$")]
    usd: String,
    /// Calls.
    calls: u32,
}

/// A stage.
#[derive(ToSchema)]
#[schema(as = Stage)]
pub(in crate::http) struct StageSchema {
    /// Its name.
    name: String,
    /// Where it stands.
    status: StageStatusWord,
    /// Its share of stage-weighted progress.
    weight: u32,
    /// Tasks of the plan in it.
    tasks_total: u32,
    /// Those that completed.
    tasks_completed: u32,
    /// Those that failed.
    tasks_failed: u32,
    /// When its first task started.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When its last task ended, if all have.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// What its tasks used of models, over all runs; absent where they called none.
    #[schema(nullable = false)]
    usage: Option<SpentSchema>,
    /// What is reached on the way.
    milestones: Vec<MilestoneSchema>,
}

/// A part of a workflow's time.
#[derive(ToSchema)]
#[schema(as = Span)]
pub(in crate::http) struct SpanSchema {
    /// 16 hexadecimal digits, unique in the trace, whose id is the workflow's `trace_id`.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    span_id: String,
    /// The span it is part of; none of the workflow's own.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    parent_span_id: Option<String>,
    /// The workflow's name, or the task's key.
    name: String,
    /// The task.
    #[schema(format = "uuid")]
    task_id: Option<String>,
    /// The number of the attempt, from 1.
    attempt: Option<u32>,
    /// The tool it called, if it called one.
    tool: Option<String>,
    /// The workflow's status, or that of the attempt.
    status: String,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Why it failed.
    error: Option<String>,
}

/// A milestone.
#[derive(ToSchema)]
#[schema(as = Milestone)]
pub(in crate::http) struct MilestoneSchema {
    /// Unique in the plan.
    id: String,
    /// For people.
    title: String,
    /// Whether its tasks have ended.
    reached: bool,
}

/// An event: a CloudEvent.
#[derive(ToSchema)]
#[schema(as = Event)]
pub(in crate::http) struct EventSchema {
    /// The version of CloudEvents.
    #[schema(pattern = r"^1\.0$", example = "1.0")]
    specversion: String,
    /// Its position in the journal; unique with the source.
    #[schema(pattern = "^[0-9]+$")]
    id: String,
    /// The path of the workflow, or of the server whose tool was called; `/api/v1` of an event of
    /// the store.
    #[schema(format = "uri-reference")]
    source: String,
    /// Such as `task.completed`, or `tool.fs.read.completed`.
    r#type: String,
    /// What it is about: a task's or a workflow's id, or a name.
    #[schema(nullable = false)]
    subject: Option<String>,
    /// When it happened.
    #[schema(format = DateTime)]
    time: String,
    /// Of the data: always JSON.
    #[schema(example = "application/json")]
    datacontenttype: String,
    /// The conversation of the workflow.
    #[schema(format = "uuid", nullable = false)]
    conversationid: Option<String>,
    /// The workflow; none of an event of the store.
    #[schema(format = "uuid", nullable = false)]
    correlationid: Option<String>,
    /// The position of the event that led to it, where no command did.
    #[schema(pattern = "^[0-9]+$", nullable = false)]
    causationid: Option<String>,
    /// Who is behind it, such as `user:ada`.
    #[schema(nullable = false)]
    actor: Option<String>,
    /// W3C trace context: the trace is the workflow.
    #[schema(nullable = false)]
    traceparent: Option<String>,
    /// The key of the task it is about; an item's has its index behind it.
    #[schema(nullable = false)]
    task: Option<String>,
    /// What happened: of a task's or workflow's event its body as it is stored; of a tool's `{tool,
    /// server_id, arguments, result or error, duration_ms, attempt}`.
    data: Any,
}

/// Something that needs a person.
#[derive(ToSchema)]
#[schema(as = InboxItem)]
pub(in crate::http) struct InboxItemSchema {
    /// The workflow.
    #[schema(format = "uuid")]
    workflow_id: String,
    /// The definition's name.
    name: String,
    /// The task; none where the plan itself is to be reviewed.
    #[schema(format = "uuid")]
    task_id: Option<String>,
    /// Its key.
    task: Option<String>,
    /// `review`, or what the task waits for.
    needs: String,
    /// What is asked.
    ask: String,
    /// The shape of the answer, where a task asks for one.
    kind: Option<HumanKindWord>,
    /// `choice`: the options.
    options: Vec<String>,
    /// `form`: a JSON Schema object of the answer.
    form: Option<Any>,
    /// The tool, with its server before it, where a running call asks.
    tool: Option<String>,
    /// The number of its question: what an answer may name, to be for no other.
    question: Option<u32>,
    /// An address it sends the person to; they approve once they were there.
    url: Option<String>,
    /// The agent's task, where a call that an agent asked for needs the person.
    #[schema(format = "uuid")]
    call_of: Option<String>,
    /// Of the very call that waits for an approval: what an answer may name as `{"approved": true,
    /// "digest": …}`, to be for no other.
    digest: Option<String>,
    /// The workflow's revision: what an approval of its plan names.
    revision: u64,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
}
