//! The state of a workflow: variants that carry exactly what is valid in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::graph::Graph;
use crate::body::Body;
use crate::codes;
use crate::failure::CallFailure;
use crate::ids::{ConversationId, Ordinal, TaskId, WorkflowId};
use crate::plan::{Plan, TaskPlan, ToolCall, Work};
use crate::time::Timestamp;
use crate::words::{Origin, SkipCause, TaskStatus, WaitReason, WorkflowStatus};

/// Everything known of a workflow: the fold of its events.
#[derive(Clone, Debug)]
pub struct WorkflowState {
    /// Its id.
    pub id: WorkflowId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// How it came to be.
    pub origin: Origin,
    /// 0 to 9.
    pub priority: u8,
    /// The task whose child it is.
    pub parent: Option<TaskId>,
    /// The caller's folder, where relative paths of its tools start.
    pub folder: Option<Arc<str>>,
    /// What it runs.
    pub plan: Arc<Plan>,
    /// The plan's edges, turned round.
    pub graph: Arc<Graph>,
    /// The validated inputs.
    pub inputs: Body,
    /// The number of the present run, from 1.
    pub run: u32,
    /// How many events it has: the version of its stream, its revision to readers.
    pub revision: u64,
    /// Where the run stands.
    pub phase: Phase,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When its first run started.
    pub started_at: Option<Timestamp>,
    /// When the last event happened.
    pub updated_at: Timestamp,
    /// Time the present run has used, without what it spent waiting for people.
    pub(super) used: Duration,
    /// Counts over its tasks.
    pub(super) tally: Tally,
    pub(super) tasks: Vec<Task>,
    pub(super) items: Vec<Items>,
    pub(super) stage_open: Vec<u32>,
    pub(super) stage_counts: Vec<StageCount>,
    /// Stages before this one are done.
    pub(super) barrier: u32,
    /// The first stage in which a task broke what comes after it.
    pub(super) broken: Option<u32>,
    pub(super) executing: BTreeSet<Ordinal>,
    pub(super) waiting: BTreeSet<Ordinal>,
    /// How many of them wait for people.
    pub(super) waiting_people: u32,
    /// How many tasks may start.
    pub(super) ready: u32,
    /// Whose rows changed since the engine last took them.
    pub(super) changed: Vec<Ordinal>,
    /// Became ready since the engine last took them.
    pub(super) newly_ready: Vec<Ordinal>,
    /// Can no longer be done; to be skipped by the next `Advance`.
    pub(super) doomed: BTreeSet<Ordinal>,
    /// `each` tasks whose last item has ended, to be closed by the next `Advance`.
    pub(super) gathered: BTreeSet<Ordinal>,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Being written; the comments of the last review.
    Draft {
        /// What the reviewer said.
        comments: String,
    },
    /// Offered for review.
    PendingReview,
    /// Admitted; nothing has started.
    Queued,
    /// Tasks run.
    Running {
        /// The task whose failure lets nothing more start.
        failing: Option<Ordinal>,
    },
    /// Nothing starts.
    Paused {
        /// Why.
        cause: PauseCause,
        /// The task whose failure ends the run when what runs has ended.
        failing: Option<Ordinal>,
    },
    /// What runs was told to stop.
    Cancelling {
        /// What the actor said.
        reason: Option<String>,
    },
    /// Over.
    Ended(Ended),
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// How a run ended, with its cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every task completed, or was skipped by its `when`.
    Completed {
        /// The plan's output.
        output: Body,
    },
    /// Every task ended and some failed where the plan tolerates it.
    CompletedWithErrors {
        /// The plan's output.
        output: Body,
        /// How many failed.
        failed: u32,
    },
    /// A task failed that the plan cannot do without, or the output could not be made.
    Failed {
        /// The task, unless it was the output.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<Ordinal>,
        /// Why.
        failure: CallFailure,
    },
    /// Stopped by an actor.
    Cancelled {
        /// What they said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Outcome {
    /// The public word of it.
    pub fn status(&self) -> WorkflowStatus {
        match self {
            Self::Completed { .. } => WorkflowStatus::Completed,
            Self::CompletedWithErrors { .. } => WorkflowStatus::CompletedWithErrors,
            Self::Failed { .. } => WorkflowStatus::Failed,
            Self::Cancelled { .. } => WorkflowStatus::Cancelled,
        }
    }

    /// The plan's output, if the run got that far.
    pub fn output(&self) -> Option<&Body> {
        match self {
            Self::Completed { output } | Self::CompletedWithErrors { output, .. } => Some(output),
            Self::Failed { .. } | Self::Cancelled { .. } => None,
        }
    }
}

codes! {
    /// Why a workflow is paused.
    pub enum PauseCause: "pause_cause" {
        /// An actor asked for it.
        Actor = 0 "actor",
        /// The time budget is used up; `resume` grants as much again.
        TimeBudget = 1 "time_budget",
    }
}

/// One task of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The task of the plan it is, or is an item of.
    pub of: Ordinal,
    /// Needs not met yet.
    pub(super) unmet: u32,
    /// Attempts over all runs: the newest attempt's number.
    pub attempts: u32,
    /// Attempts of the present run on the present rung that count against `retry`.
    pub(super) tries: u32,
    /// Attempts of the present run that were lost and repeated.
    pub(super) lost: u32,
    /// 0 is the work itself, `n` its `n`th fallback.
    pub rung: u32,
    /// When its present run's first attempt started.
    pub started_at: Option<Timestamp>,
    /// Where it stands.
    pub phase: TaskPhase,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskPhase {
    /// Needs are open.
    Pending,
    /// May start.
    Ready,
    /// An attempt runs.
    Executing {
        /// Since when.
        since: Timestamp,
    },
    /// Its items run.
    Expanded {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing runs.
    Waiting {
        /// Since when.
        since: Timestamp,
        /// What for.
        on: Waiting,
    },
    /// Ended with its output.
    Completed {
        /// When.
        at: Timestamp,
        /// What it brought.
        output: Output,
    },
    /// Ended without.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        failure: Arc<CallFailure>,
    },
    /// Not to be done.
    Skipped {
        /// When.
        at: Timestamp,
        /// Why.
        cause: SkipCause,
    },
    /// Ended with its workflow.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

impl TaskPhase {
    /// The public word of it.
    pub fn status(&self) -> TaskStatus {
        match self {
            Self::Pending => TaskStatus::Pending,
            Self::Ready => TaskStatus::Ready,
            Self::Executing { .. } | Self::Expanded { .. } => TaskStatus::Executing,
            Self::Waiting { .. } => TaskStatus::Waiting,
            Self::Completed { .. } => TaskStatus::Completed,
            Self::Failed { .. } => TaskStatus::Failed,
            Self::Skipped { .. } => TaskStatus::Skipped,
            Self::Cancelled { .. } => TaskStatus::Cancelled,
        }
    }
}

/// What a completed task brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A JSON value.
    Value(Body),
    /// The outputs of its items, in order: read from them, never stored twice.
    Items {
        /// The ordinal of the first.
        first: Ordinal,
        /// How many.
        count: u32,
    },
}

impl Output {
    /// The body it carries itself.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Self::Value(body) => Some(body),
            Self::Items { .. } => None,
        }
    }
}

/// What a waiting task waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// A person's answer.
    Person {
        /// The question.
        ask: String,
    },
    /// A moment.
    Timer {
        /// When, by the clock at the time of asking.
        until: Timestamp,
        /// How long that was then, where a span was asked for and not a moment: a clock that
        /// jumps does not change it.
        #[serde(default, with = "millis_or_none", skip_serializing_if = "Option::is_none")]
        span: Option<Duration>,
        /// What the moment brings.
        then: Resume,
    },
    /// An event.
    Event {
        /// Its type; `*` stands for any run of characters.
        pattern: String,
        /// After which the task fails.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Word of whether the call happened.
    InDoubt {
        /// What is known of the call's end.
        failure: CallFailure,
    },
    /// The end of a child workflow.
    Child {
        /// Which.
        child: WorkflowId,
    },
}

codes! {
    /// What the end of a wait for time brings.
    pub enum Resume: "resume" {
        /// The task completes.
        Complete = 0 "complete",
        /// The task is tried again.
        Retry = 1 "retry",
    }
}

/// What follows a failed attempt when something is left to try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// The same call again, at once.
    Repeat,
    /// The same call again, later.
    Retry {
        /// When.
        until: Timestamp,
        /// How long that is from now.
        #[serde(with = "millis")]
        span: Duration,
    },
    /// The next fallback, at once.
    Fallback,
    /// Nothing until somebody says whether the call happened.
    InDoubt,
}

/// The item tasks of one `each`.
#[derive(Clone, Debug, PartialEq)]
pub struct Items {
    /// The task with `each`.
    pub parent: Ordinal,
    /// The first item.
    pub first: Ordinal,
    /// How many.
    pub count: u32,
    /// How many have not ended.
    pub open: u32,
    /// How many failed.
    pub failed: u32,
    /// How many execute or wait.
    pub running: u32,
    /// The list.
    pub list: Body,
    /// Made anew by a later run; these count no more.
    pub superseded: bool,
}

/// Counts over the tasks of a workflow. `each` counts its items instead of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that count.
    pub total: u32,
    /// Ended with their output.
    pub completed: u32,
    /// Ended without.
    pub failed: u32,
    /// Counted and not ended.
    pub open: u32,
}

/// The same for one stage, for stage-weighted progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCount {
    /// All that count.
    pub total: u32,
    /// Ended with their output.
    pub completed: u32,
}

impl Waiting {
    /// The public word of it.
    pub fn reason(&self) -> WaitReason {
        match self {
            Self::Person { .. } => WaitReason::Person,
            Self::Timer { .. } => WaitReason::Timer,
            Self::Event { .. } => WaitReason::Event,
            Self::InDoubt { .. } => WaitReason::InDoubt,
            Self::Child { .. } => WaitReason::Child,
        }
    }

    /// Whether it is a person who must act.
    pub fn is_for_people(&self) -> bool {
        matches!(self, Self::Person { .. } | Self::InDoubt { .. })
    }
}

impl WorkflowState {
    /// Every task, in the order of ordinals.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The task at `ordinal`.
    pub fn task(&self, ordinal: Ordinal) -> Option<&Task> {
        self.tasks.get(ordinal.index())
    }

    /// What the plan says of the task at `ordinal`, which may be an item.
    pub fn task_plan(&self, ordinal: Ordinal) -> Option<&TaskPlan> {
        self.plan.task(self.task(ordinal)?.of)
    }

    /// The call the task's present rung makes, if it is a tool call.
    pub fn call(&self, ordinal: Ordinal) -> Option<&ToolCall> {
        let plan = self.task_plan(ordinal)?;
        match self.task(ordinal)?.rung.checked_sub(1) {
            Some(fallback) => plan.fallback.get(fallback as usize),
            None => match &plan.work {
                Work::Tool(call) => Some(call),
                Work::Human(_) | Work::Wait(_) | Work::Emit(_) | Work::Workflow(_) => None,
            },
        }
    }

    /// The items block an ordinal belongs to, and its index there.
    pub fn item(&self, ordinal: Ordinal) -> Option<(&Items, u32)> {
        let at = self.items.partition_point(|items| items.first <= ordinal).checked_sub(1)?;
        let items = self.items.get(at)?;
        let index = ordinal.0.checked_sub(items.first.0)?;
        (index < items.count).then_some((items, index))
    }

    /// The items of an `each` task that was expanded.
    pub fn items_of(&self, parent: Ordinal) -> Option<&Items> {
        self.items.iter().rev().find(|items| items.parent == parent && !items.superseded)
    }

    /// Counts over its tasks.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What executes now.
    pub fn executing(&self) -> impl Iterator<Item = Ordinal> + '_ {
        self.executing.iter().copied()
    }

    /// What waits now.
    pub fn waiting(&self) -> impl Iterator<Item = (Ordinal, &Waiting)> + '_ {
        self.waiting.iter().filter_map(|ordinal| match &self.task(*ordinal)?.phase {
            TaskPhase::Waiting { on, .. } => Some((*ordinal, on)),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        })
    }

    /// Takes the tasks that became ready since the last call.
    pub fn take_ready(&mut self) -> Vec<Ordinal> {
        std::mem::take(&mut self.newly_ready)
    }

    /// Takes the tasks whose rows changed since the last call.
    pub fn take_changed(&mut self) -> Vec<Ordinal> {
        std::mem::take(&mut self.changed)
    }

    /// Whether tasks may start now.
    pub fn may_start(&self) -> bool {
        matches!(self.phase, Phase::Running { failing: None })
    }

    /// Whether the run is over but for its output: nothing runs or waits, and nothing can start.
    pub fn is_settled(&self) -> bool {
        if !self.executing.is_empty() || !self.waiting.is_empty() || !self.gathered.is_empty() {
            return false;
        }
        match &self.phase {
            Phase::Running { failing } | Phase::Paused { failing, .. } => {
                failing.is_some() || self.tally.open == 0
            }
            Phase::Cancelling { .. } => true,
            Phase::Draft { .. } | Phase::PendingReview | Phase::Queued | Phase::Ended(_) => false,
        }
    }

    /// Whether the run ended.
    pub fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Running { .. }
            | Phase::Paused { .. }
            | Phase::Cancelling { .. } => None,
        }
    }

    /// The public word of where the run stands.
    pub fn status(&self) -> WorkflowStatus {
        match &self.phase {
            Phase::Draft { .. } => WorkflowStatus::Draft,
            Phase::PendingReview => WorkflowStatus::PendingReview,
            Phase::Queued => WorkflowStatus::Queued,
            Phase::Running { .. } => WorkflowStatus::Running,
            Phase::Paused { .. } => WorkflowStatus::Paused,
            Phase::Cancelling { .. } => WorkflowStatus::Cancelling,
            Phase::Ended(ended) => ended.outcome.status(),
        }
    }

    /// Time the present run has used up to `now`, without what it spent waiting for people.
    pub fn time_used(&self, now: Timestamp) -> Duration {
        if self.is_busy() { self.used + now.since(self.updated_at) } else { self.used }
    }

    /// How many tasks may start and have not.
    pub fn ready(&self) -> u32 {
        self.ready
    }

    /// How many tasks wait for a person.
    pub fn waiting_people(&self) -> u32 {
        self.waiting_people
    }

    /// Counts over the tasks of each stage.
    pub fn stage_counts(&self) -> &[StageCount] {
        &self.stage_counts
    }

    /// The earliest stage that is not done.
    pub fn current_stage(&self) -> Option<String> {
        Some(self.plan.stages.get(self.barrier as usize)?.name.clone())
    }

    /// A task's key; an item's has its index behind it: `scan[3]`.
    pub fn key_of(&self, ordinal: Ordinal) -> String {
        let key = self.task_plan(ordinal).map_or("?", |plan| plan.key.as_str());
        match self.item(ordinal) {
            Some((_, index)) => format!("{key}[{index}]"),
            None => key.to_owned(),
        }
    }

    /// Whether time counts against the budget: something runs, or could.
    pub fn is_busy(&self) -> bool {
        match self.phase {
            Phase::Running { .. } | Phase::Cancelling { .. } => {
                let waiting_people = self.waiting_people as usize;
                !self.executing.is_empty() || self.ready > 0 || self.waiting.len() > waiting_people
            }
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Paused { .. }
            | Phase::Ended(_) => false,
        }
    }
}

mod millis_or_none {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
