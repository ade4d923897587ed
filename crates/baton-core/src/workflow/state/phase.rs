//! Where runs and tasks stand: variants that carry exactly what is valid in them.
//!
//! What leads from one to the other is not here: [`decide`](super::super::decide) has the rules.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::agent::AgentRun;
use crate::body::{BlobHash, Body};
use crate::codes;
use crate::failure::CallFailure;
use crate::ids::{Ordinal, WorkflowId};
use crate::time::Timestamp;
use crate::words::{SkipCause, TaskStatus, WaitReason, WorkflowStatus};
use crate::workflow::question::{Asked, Question};
use crate::workflow::spending::{Amount, BudgetScope};

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub(in crate::workflow) unmet: u32,
    /// Attempts over all runs: the newest attempt's number.
    pub attempts: u32,
    /// Attempts of the present run on the present rung that count against `retry`.
    pub(in crate::workflow) tries: u32,
    /// Attempts of the present run that were lost and repeated.
    pub(in crate::workflow) lost: u32,
    /// 0 is the work itself, `n` its `n`th fallback.
    pub rung: u32,
    /// Whether it is a call that an agent asked for; `of` is the agent's task then.
    pub is_call: bool,
    /// The call that a person approved, by its digest.
    pub approved: Option<BlobHash>,
    /// What its agent has done in the present run.
    pub agent: Option<Box<AgentRun>>,
    /// Questions that its calls have asked.
    pub asked: Asked,
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
        /// The worker outside that has it, where one has.
        lease: Option<Lease>,
    },
    /// Its items run, or the calls that its agent asked for.
    Expanded {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing runs, but a call that asks a person something.
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

impl Task {
    /// One that waits for its needs.
    pub(in crate::workflow) fn new(of: Ordinal) -> Self {
        Self {
            of,
            unmet: 0,
            attempts: 0,
            tries: 0,
            lost: 0,
            rung: 0,
            is_call: false,
            approved: None,
            agent: None,
            asked: Asked::default(),
            started_at: None,
            phase: TaskPhase::Pending,
        }
    }

    /// What it brought, if it completed.
    pub fn output(&self) -> Option<&Output> {
        match &self.phase {
            TaskPhase::Completed { output, .. } => Some(output),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        }
    }
}

/// A worker outside has a task, and says within each span that it still works on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker's own name.
    pub worker: Arc<str>,
    /// After this long without a word the attempt counts as lost.
    #[serde(with = "millis")]
    pub span: Duration,
    /// The concurrency key it occupies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
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
    /// A person's answer to what its running call asks.
    Question {
        /// The number of the question.
        number: u32,
        /// What it asks.
        question: Question,
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
    /// The approval of the call that its agent asked for.
    Approval {
        /// Of the tool and its arguments.
        digest: BlobHash,
        /// The call, for people.
        ask: String,
        /// After which it counts as denied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Room in a budget.
    Budget {
        /// Whose.
        scope: BudgetScope,
        /// What is missing, for people.
        ask: String,
        /// What is granted by a plain yes: as much again as the budget has.
        more: Amount,
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
    /// The same with the agent's next model, at once.
    Model,
    /// The next fallback, at once.
    Fallback,
    /// Nothing until somebody says whether the call happened.
    InDoubt,
}

impl Waiting {
    /// The public word of it.
    pub fn reason(&self) -> WaitReason {
        match self {
            Self::Person { .. } | Self::Question { .. } => WaitReason::Person,
            Self::Timer { .. } => WaitReason::Timer,
            Self::Event { .. } => WaitReason::Event,
            Self::InDoubt { .. } => WaitReason::InDoubt,
            Self::Approval { .. } => WaitReason::Approval,
            Self::Budget { .. } => WaitReason::Budget,
            Self::Child { .. } => WaitReason::Child,
        }
    }

    /// Whether it is a person who must act.
    pub fn is_for_people(&self) -> bool {
        self.reason().is_for_people()
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
