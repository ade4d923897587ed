//! A plan: the validated graph a workflow runs, as plain data.
//!
//! A plan is made by the definition reader (or by a planner) and admitted whole; it never changes
//! under a running workflow, but another may take its place while it is in review. Templates stand here as their source; [`crate::program`] compiles them.
//! Its JSON is what a store keeps, content-addressed: fields are only ever added, with defaults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::{Cost, Price};
use crate::ids::Ordinal;
use crate::time::Span;
use crate::words::{
    AtLimit, Compaction, Effect, HumanKind, Missed, OnFailure, Permission, ProgressMethod,
};

/// The provider whose models answer from a file: what their names begin with.
pub const SCRIPTED: &str = "scripted";

/// The most tasks a plan may have before `each` expands anything.
pub const PLAN_TASKS_MAX: usize = 200_000;
/// The most tasks a workflow may have, items of `each` included.
pub const WORKFLOW_TASKS_MAX: usize = 1_000_000;

/// A validated graph of tasks in stages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The definition's name.
    pub name: String,
    /// The definition's version.
    pub version: u32,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Requests it answers, by which chat finds it without a model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// A JSON Schema object of the inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
    /// How long a run may take, without the time it waits for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_max: Option<Span>,
    /// What its agents may use.
    #[serde(default, skip_serializing_if = "Budget::is_none")]
    pub budget: Budget,
    /// How progress is counted.
    pub progress: ProgressMethod,
    /// The barriers, in order.
    pub stages: Vec<Stage>,
    /// Every task, stage by stage in the order written; its index is its ordinal.
    pub tasks: Vec<TaskPlan>,
    /// A template of the workflow's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What starts a workflow of the definition once it is registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Trigger>,
}

impl Plan {
    /// Whether some agent may ask a model that answers from a file.
    pub fn is_scripted(&self) -> bool {
        self.tasks.iter().any(|task| match &task.work {
            Work::Agent(call) => call.models.iter().any(ModelSpec::is_scripted),
            Work::Tool(_)
            | Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_) => false,
        })
    }
}

/// Starts a workflow of a registered definition each time something happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// What must happen.
    pub on: Occasion,
    /// Templates of the workflow's inputs over what happened, an object. Where there are none, those
    /// fields of an event's data that the definition declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
}

/// What a trigger looks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// An event, from outside or emitted by a task.
    Event {
        /// Its type; `*` stands for any run of characters.
        event: String,
        /// An expression over `event`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<String>,
    },
    /// The moments of a cron expression.
    Schedule {
        /// The expression.
        cron: String,
        /// The IANA name of the zone its times are in.
        zone: String,
        /// What becomes of moments that passed while nobody was there.
        missed: Missed,
    },
}

/// A barrier: it starts when the stages before it are done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Unique in the plan.
    pub name: String,
    /// Its share of stage-weighted progress, at least 1.
    pub weight: u32,
    /// What is reached when certain tasks have ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<Milestone>,
}

/// Reached when its tasks have ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Milestone {
    /// Unique in the plan.
    pub id: String,
    /// For people.
    pub title: String,
    /// The tasks that must have ended.
    pub tasks: Vec<Ordinal>,
}

/// One node of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskPlan {
    /// The `id` written in the definition; unique in the plan.
    pub key: String,
    /// For people; the key where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The index of its stage.
    pub stage: u32,
    /// What must have ended before it starts; `None` means every earlier stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<Ordinal>>,
    /// A bare expression; false skips the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Fan-out over a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// What its failure does to the workflow.
    pub on_failure: OnFailure,
    /// How often and how fast it is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// How long one attempt may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// At most one task with the same key executes at a time, in the whole workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// The declared rate at which tasks of this key may start, in the whole workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_key: Option<String>,
    /// 0 to 9; the workflow's where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// What its tools may do.
    pub permission: Permission,
    /// What is done.
    pub work: Work,
    /// Tried in order when the work has failed for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<ToolCall>,
    /// Asks the world whether a call in doubt happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// Fan-out: one item task for each element of a list; the output is their outputs in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Each {
    /// A template that yields the list.
    pub list: Value,
    /// How many items may execute at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// Retry policy: attempt `n` waits `backoff * 2^(n-1)`, at most `max`, with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// The pause before the second attempt.
    pub backoff: Span,
    /// The longest pause.
    pub max: Span,
}

impl Retry {
    /// Of an agent's turns where nothing is declared: models are busy often, and what was paid for the
    /// turns before would be lost.
    pub fn of_turns() -> Self {
        Self { attempts_max: 5, ..Self::default() }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 1,
            backoff: Span(std::time::Duration::from_secs(1)),
            max: Span(std::time::Duration::from_secs(30)),
        }
    }
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Calls a tool.
    Tool(ToolCall),
    /// Asks a person.
    Human(Human),
    /// Waits for time or an event.
    Wait(Wait),
    /// Emits an event.
    Emit(Emit),
    /// Runs a child workflow to its end.
    Workflow(Child),
    /// Is leased by a worker outside.
    Worker(WorkerCall),
    /// Has an agent work until its answer fits.
    Agent(AgentCall),
}

/// What agents may use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_max: Option<u64>,
    /// Money. A model without a known price is not called under such a bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<Cost>,
    /// Calls of models and of the tools that they ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_max: Option<u32>,
    /// What happens where there is no room.
    pub at_limit: AtLimit,
}

impl Budget {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A model in a loop with tools, as its configuration stood when the plan was admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentCall {
    /// Its name in the configuration.
    pub agent: String,
    /// The models it may use, in the order in which they are tried; at least one.
    pub models: Vec<ModelSpec>,
    /// What a model is told beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// A template of what it is asked.
    pub prompt: String,
    /// What it may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<OfferedTool>,
    /// A JSON Schema of its output; any text is good where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// How far it may go.
    #[serde(default)]
    pub limits: AgentLimits,
    /// What becomes of a transcript that outgrows its model's window.
    #[serde(default)]
    pub compaction: Compaction,
    /// The agents whose models stand in for its own; those are among `models`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
}

/// A model, with what was known of it when the plan was admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// `provider/name`.
    pub name: String,
    /// How many tokens its window holds, request and answer; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u64>,
    /// What its tokens cost; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

impl ModelSpec {
    /// Of which nothing but the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), window_tokens: None, price: None }
    }

    /// Whether it answers from a file.
    pub fn is_scripted(&self) -> bool {
        self.name.split_once('/').is_some_and(|(provider, _)| provider == SCRIPTED)
    }
}

/// A tool that an agent is offered, with what its registry said of it when the plan was admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferedTool {
    /// `server.tool`.
    pub name: String,
    /// One sentence for the model.
    pub description: String,
    /// A JSON Schema object of its input.
    pub input: Value,
    /// What repeating a call would do.
    pub effect: Effect,
    /// Whether a person approves each call first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What a call that completes ends.
    #[serde(default, skip_serializing_if = "Ends::is_call")]
    pub ends: Ends,
}

/// What a call of a tool ends when it completes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// Itself: its agent goes on with the result.
    #[default]
    Call,
    /// The task of its agent as well: the result is its output, whatever schema the agent's own
    /// answers have.
    Task,
}

impl Ends {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_call(&self) -> bool {
        *self == Self::Call
    }
}

/// A person approves a call before it is made: this very call, with these arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// How long the question stands; the call counts as denied after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}

/// How far an agent may go in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentLimits {
    /// Answers of the model.
    pub turns_max: u32,
    /// Tool calls.
    pub calls_max: u32,
    /// How often an answer that does not fit is asked again.
    pub asks_max: u32,
    /// Tokens of one answer.
    pub output_tokens_max: u32,
    /// Tokens in all, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_max: Option<u64>,
    /// Money in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<Cost>,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self {
            turns_max: 50,
            calls_max: 200,
            asks_max: 3,
            output_tokens_max: 4_096,
            tokens_max: None,
            cost_max: None,
        }
    }
}

/// Work that programs outside take on lease and answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerCall {
    /// Which workers may take it.
    #[serde(rename = "type")]
    pub worker_type: String,
    /// Templates of its input, an object.
    pub with: Value,
    /// What doing it again would do.
    pub effect: Effect,
}

/// A call of a tool, with what its registry said of it when the plan was admitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// `server.tool`.
    pub tool: String,
    /// Templates of its input, an object.
    pub with: Value,
    /// What repeating it would do.
    pub effect: Effect,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Human {
    /// The shape of the answer.
    pub kind: HumanKind,
    /// A template of the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// `form`: a JSON Schema object of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    /// `choice`: the options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// What a `wait` waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// A span from the moment the task starts.
    For(Span),
    /// A moment: a template that yields RFC 3339.
    Until(String),
    /// An event.
    Event {
        /// Its type; `*` stands for any run of characters.
        event: String,
        /// An expression over `event` and the usual names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<String>,
        /// After which the task fails with `no_event`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Span>,
    },
}

/// An event to emit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emit {
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// A template of its data.
    pub data: Value,
}

/// A child workflow, pinned to the definition it was admitted with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    /// The definition's name.
    pub name: String,
    /// Its version when the plan was admitted.
    pub version: u32,
    /// Templates of its inputs, an object.
    pub with: Value,
    /// The child's plan.
    pub plan: Box<Plan>,
}

/// A read-only call that tells whether a call in doubt happened: it completes if so, with the
/// result, and fails with `not_found` if not; any other failure leaves it to a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The call.
    pub call: ToolCall,
    /// An expression over `output`; true means it happened. Without it, completing means so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<String>,
}

/// An agent as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSpec {
    /// The models it may use, in the order in which they are tried.
    pub models: Vec<ModelSpec>,
    /// What a model is told beforehand.
    pub instructions: Option<String>,
    /// What it may call: names of tools, or `server.*`.
    pub tools: Vec<String>,
    /// Which of these a person approves, each call anew: names, or `server.*`.
    pub approve: Vec<String>,
    /// How long such a question stands.
    pub approve_within: Option<Span>,
    /// The highest permission a task of it may ask for. A task that asks for none has `read_only`.
    pub permission: Permission,
    /// How far it may go.
    pub limits: AgentLimits,
    /// What becomes of a transcript that outgrows its model's window.
    pub compaction: Compaction,
}

/// What a catalogue knows of the tools, agents and definitions a plan may name.
pub trait Catalog {
    /// The tool of this name.
    fn tool(&self, name: &str) -> Option<&ToolSpec>;
    /// Why a tool that may well exist is not at hand, for people.
    fn tool_trouble(&self, _name: &str) -> Option<String> {
        None
    }
    /// Every tool's name, for suggestions.
    fn tool_names(&self) -> Vec<&str>;
    /// The agent of this name; `Err` says why it cannot be used.
    fn agent(&self, _name: &str) -> Option<Result<AgentSpec, String>> {
        None
    }
    /// Every agent's name, for suggestions.
    fn agent_names(&self) -> Vec<&str> {
        Vec::new()
    }
    /// The newest plan of this name; `Err` says why it cannot be used.
    fn definition(&self, name: &str) -> Option<Result<Plan, String>>;
    /// The highest permission a task may ask for.
    fn permission_max(&self) -> Permission;
}

/// What a tool says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// `server.tool`, for example `fs.read`.
    pub name: String,
    /// One sentence for people and models.
    pub description: String,
    /// What repeating a call would do.
    pub effect: Effect,
    /// What a task needs to call it.
    pub permission: Permission,
    /// A JSON Schema object of its input.
    pub input: Value,
    /// A JSON Schema of its output, where it promises one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Bounded computation without I/O: a batch of such calls shares one thread.
    #[serde(default)]
    pub quick: bool,
}

impl Plan {
    /// The task at `ordinal`, which must be one of the plan's.
    pub fn task(&self, ordinal: Ordinal) -> Option<&TaskPlan> {
        self.tasks.get(ordinal.index())
    }

    /// Ordinals by key.
    pub fn keys(&self) -> BTreeMap<&str, Ordinal> {
        let numbered = (0_u32..).map(Ordinal);
        self.tasks.iter().map(|task| task.key.as_str()).zip(numbered).collect()
    }
}
