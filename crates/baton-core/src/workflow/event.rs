//! What has happened to a workflow: every event type, its stored kind and its body.
//!
//! Bodies are additive for ever: a golden file per shape stands in `tests/golden`, and a field is
//! only ever added with a default. Positions, times and actors are the journal's, not the event's.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::accounts::{Amount, BudgetScope};
use super::edits::{EditUndone, PlanEdited};
use super::question::{Answer, Question, Withdrawal};
use super::state::{AskedCall, Lease, Next, Outcome, Output, PauseCause, Waiting};
use super::system::{
    BatchPurged, DefinitionRegistered, DefinitionRemoved, EventReceived, Purged, ServerReleased,
    TokenCreated, TokenRevoked, TriggerFired,
};
use crate::actor::Actor;
use crate::agent::{Cost, Usage};
use crate::body::{BlobHash, Body};
use crate::codes;
use crate::codes::Code;
use crate::conversation;
use crate::failure::CallFailure;
use crate::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use crate::words::{AttemptStatus, Origin, SkipCause};

/// The shape every body is written in today; a store keeps it with each event.
pub const SHAPE: u8 = 1;

/// Declares the event enum, its vocabulary of stored kinds, and reading and writing of bodies.
macro_rules! events {
    (
        $( $(#[$meta:meta])* $name:ident = $code:literal $word:literal, )+
        => conversation { $( $(#[$talk_meta:meta])* $talk:ident = $talk_code:literal $talk_word:literal, )+ }
    ) => {
        /// Something that happened: to a workflow, a conversation, or the store as a whole.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event {
            $( $(#[$meta])* $name($name), )+
            /// Something happened to a conversation. In its own stream.
            Conversation(ConversationEvent),
        }

        /// Something that happened to a conversation.
        #[derive(Clone, Debug, PartialEq)]
        pub enum ConversationEvent {
            $( $(#[$talk_meta])* $talk(conversation::$talk), )+
        }

        codes! {
            /// The stored kind of an event, and its public word.
            pub enum EventKind: "event_kind" {
                $( $(#[$meta])* $name = $code $word, )+
                $( $(#[$talk_meta])* $talk = $talk_code $talk_word, )+
            }
        }

        impl ConversationEvent {
            /// Its stored kind.
            pub fn kind(&self) -> EventKind {
                match self { $( Self::$talk(_) => EventKind::$talk, )+ }
            }

            /// Its body as JSON.
            pub fn body(&self) -> Result<String, serde_json::Error> {
                match self { $( Self::$talk(body) => serde_json::to_string(body), )+ }
            }
        }

        impl Event {
            /// Its stored kind.
            pub fn kind(&self) -> EventKind {
                match self {
                    $( Self::$name(_) => EventKind::$name, )+
                    Self::Conversation(event) => event.kind(),
                }
            }

            /// Its body as JSON.
            pub fn body(&self) -> Result<String, serde_json::Error> {
                match self {
                    $( Self::$name(body) => serde_json::to_string(body), )+
                    Self::Conversation(event) => event.body(),
                }
            }

            /// The event that was stored with this kind and body.
            pub fn read(kind: EventKind, body: &str) -> Result<Self, UnreadableEvent> {
                let unreadable = |cause| UnreadableEvent { kind, cause };
                Ok(match kind {
                    $( EventKind::$name => Self::$name(serde_json::from_str(body).map_err(unreadable)?), )+
                    $( EventKind::$talk => Self::Conversation(ConversationEvent::$talk(
                        serde_json::from_str(body).map_err(unreadable)?,
                    )), )+
                })
            }
        }

        $( impl From<$name> for Event {
            fn from(body: $name) -> Self {
                Self::$name(body)
            }
        } )+

        $( impl From<conversation::$talk> for ConversationEvent {
            fn from(body: conversation::$talk) -> Self {
                Self::$talk(body)
            }
        } )+
    };
}

events! {
    /// A validated plan became a workflow.
    Admitted = 1 "workflow.admitted",
    /// A person approved the plan.
    Approved = 2 "workflow.approved",
    /// A person sent the plan back with comments.
    SentBack = 3 "workflow.sent_back",
    /// The run began.
    Started = 4 "workflow.started",
    /// Nothing starts any more, for now.
    Paused = 5 "workflow.paused",
    /// Tasks start again.
    Resumed = 6 "workflow.resumed",
    /// What runs was told to stop.
    CancelRequested = 7 "workflow.cancel_requested",
    /// The run ended.
    Finished = 8 "workflow.finished",
    /// The next run began, keeping what was finished.
    Retried = 9 "workflow.retried",
    /// The wall clock was set: the time budget does not follow it.
    ClockSet = 10 "workflow.clock_set",
    /// The plan was replaced by an edited one.
    PlanEdited = 11 "workflow.plan_edited",
    /// The newest edit of the plan was undone.
    EditUndone = 12 "workflow.edit_undone",
    /// An attempt is about to run.
    TaskStarted = 20 "task.started",
    /// The task let go of its executor until something happens.
    TaskWaited = 21 "task.waited",
    /// A list became item tasks.
    TaskExpanded = 22 "task.expanded",
    /// The task ended with its output.
    TaskCompleted = 23 "task.completed",
    /// An attempt failed and something is left to try.
    AttemptFailed = 24 "task.attempt_failed",
    /// The task failed for good.
    TaskFailed = 25 "task.failed",
    /// The task will not be done.
    TaskSkipped = 26 "task.skipped",
    /// The task was ended with its workflow.
    TaskCancelled = 27 "task.cancelled",
    /// Somebody said that a call in doubt did not happen.
    CallUndone = 28 "task.call_not_happened",
    /// The task emitted an event for others.
    TaskEmitted = 29 "task.emitted",
    /// A running call asks a person something.
    QuestionAsked = 30 "task.question_asked",
    /// A person answered what a running call asked.
    QuestionAnswered = 31 "task.question_answered",
    /// Nobody is asked any more what a call asked.
    QuestionWithdrawn = 32 "task.question_withdrawn",
    /// A model answered: an agent's turn is over.
    TaskAnswered = 33 "task.answered",
    /// A person approved a call that an agent asked for.
    CallApproved = 34 "task.call_approved",
    /// A budget has room again: a person granted more than it has, or its day is over.
    BudgetRaised = 35 "task.budget_raised",
    /// An agent goes on with another of its models.
    ModelChanged = 36 "task.model_changed",
    /// An agent's transcript was compacted.
    TranscriptCompacted = 37 "task.transcript_compacted",
    /// A definition stands under its name and version. In the system stream.
    DefinitionRegistered = 100 "definition.registered",
    /// A workflow's events and tasks were removed. In the system stream; read, but not written any
    /// more.
    Purged = 101 "workflow.purged",
    /// The events and tasks of some workflows were removed. In the system stream.
    BatchPurged = 102 "workflows.purged",
    /// No version of a definition stands under its name any more. In the system stream.
    DefinitionRemoved = 103 "definition.removed",
    /// An event came from outside. In the system stream.
    EventReceived = 104 "event.received",
    /// A trigger of a definition fired. In the system stream.
    TriggerFired = 105 "trigger.fired",
    /// A token lets somebody in from now on. In the system stream.
    TokenCreated = 106 "token.created",
    /// A token lets nobody in any more. In the system stream.
    TokenRevoked = 107 "token.revoked",
    /// A server that was left alone may be called again. In the system stream.
    ServerReleased = 108 "server.released",
    => conversation {
        /// A conversation began.
        Opened = 60 "conversation.opened",
        /// Somebody said something.
        MessageAdded = 61 "conversation.message_added",
        /// What a person asked for is being planned.
        PlanningStarted = 62 "conversation.planning_started",
        /// A model plans it: a workflow of its own.
        PlannerAdmitted = 63 "conversation.planner_admitted",
        /// The planning is over.
        PlanningEnded = 64 "conversation.planning_ended",
        /// A person is asked what must be known first.
        ClarificationAsked = 65 "conversation.clarification_asked",
        /// They answered, skipped, or left it to Baton.
        ClarificationAnswered = 66 "conversation.clarification_answered",
        /// A plan is proposed: a workflow of its own.
        PlanProposed = 67 "conversation.plan_proposed",
        /// The review of a proposed plan is over.
        PlanReviewed = 68 "conversation.plan_reviewed",
        /// A workflow started for the conversation, without a review.
        WorkflowLinked = 69 "conversation.workflow_linked",
        /// The run of one of its workflows ended.
        WorkflowEnded = 70 "conversation.workflow_ended",
        /// What the conversation is about changed.
        ContextShifted = 71 "conversation.context_shifted",
        /// What was being done for it was stopped.
        Stopped = 72 "conversation.stopped",
        /// A person is needed who can do more.
        Escalated = 73 "conversation.escalated",
        /// Somebody took it over.
        Claimed = 74 "conversation.claimed",
        /// Whoever had taken it over let go of it.
        Released = 75 "conversation.released",
        /// It is over, until somebody says something.
        Closed = 76 "conversation.closed",
    }
}

/// A validated plan became a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Admitted {
    /// The workflow's id.
    pub id: WorkflowId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// How it came to be.
    pub origin: Origin,
    /// 0 to 9.
    pub priority: u8,
    /// The plan's blob.
    pub plan: BlobHash,
    /// The inputs, validated, defaults filled in.
    pub inputs: Body,
    /// Whether a person approves the plan first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub review: bool,
    /// The task whose child it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
    /// How many firings of triggers in a row led to it: 0 where none did.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hops: u8,
    /// The caller's folder, where relative paths of its tools start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Arc<str>>,
    /// Who started it, or the workflow whose child it is; written where its plan may call models, or come
    /// to do so by an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Actor>,
    /// The stream of the conversation that is told of its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports_to: Option<u64>,
    /// The workflow it is a fork of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_of: Option<WorkflowId>,
    /// The position it was forked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_position: Option<u64>,
    /// What a fork keeps of its original, in the order of ordinals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(hops: &u8) -> bool {
    *hops == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_first(rung: &u32) -> bool {
    *rung == 0
}

/// A finished task that a fork takes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Which.
    pub task: Ordinal,
    /// Its output there.
    pub output: Output,
}

/// A person approved the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approved {}

/// A person sent the plan back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SentBack {
    /// What they said.
    pub comments: String,
}

/// The run began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Started {}

/// Nothing starts any more, for now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// Why.
    pub cause: PauseCause,
}

/// Tasks start again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resumed {}

/// What runs was told to stop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CancelRequested {
    /// What the actor said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// How.
    pub outcome: Outcome,
}

/// The next run began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retried {
    /// Its number, from 1.
    pub run: u32,
    /// The tasks that are done again; all others keep what they have.
    pub tasks: Vec<Ordinal>,
}

/// The wall clock was set while the workflow was busy. Between this event and the one before, the
/// journal's time went by this much more, or less where it is negative, than the steady clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockSet {
    /// By how much, in milliseconds.
    pub ahead_ms: i64,
}

/// An attempt is about to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// Which task.
    pub task: Ordinal,
    /// Which attempt, from 1, over all runs: its fencing token.
    pub attempt: u32,
    /// The rendered input; absent when the plan's own text is the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Body>,
    /// Who outside does it, and for how long without a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// 0 is the work itself, `n` its `n`th fallback.
    #[serde(default, skip_serializing_if = "is_first")]
    pub rung: u32,
    /// The model that is called, of an agent's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelCall>,
}

/// A call of a model: with the transcript up to here, what it is asked can be rebuilt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCall {
    /// `provider/name`.
    pub model: String,
    /// How many messages of the transcript it sees.
    pub messages: u32,
    /// Of the whole request: the messages, the model, its instructions, tools and bounds.
    pub digest: BlobHash,
    /// What it may use at most, request and answer: it is held until the turn has ended.
    #[serde(default)]
    pub tokens_max: u64,
    /// What that costs, where the price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_max: Option<Cost>,
}

/// A person approved a call that an agent asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallApproved {
    /// The call's task.
    pub task: Ordinal,
    /// Of the tool and its arguments.
    pub digest: BlobHash,
}

/// A person granted more than a budget has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetRaised {
    /// The task that asked.
    pub task: Ordinal,
    /// Whose budget.
    pub scope: BudgetScope,
    /// By how much; by nothing where a new day has a budget of its own.
    pub by: Amount,
}

/// An agent goes on with another of its models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelChanged {
    /// Which task.
    pub task: Ordinal,
    /// The model's place in its list.
    pub model: u32,
}

/// A transcript outgrew its model's window: the next request has less of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranscriptCompacted {
    /// Which task.
    pub task: Ordinal,
    /// So many results of calls, the oldest, are left out.
    pub left_out: u32,
    /// So many turns, the oldest, are left out wholly.
    pub dropped: u32,
}

/// A model answered: an agent's turn is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskAnswered {
    /// Which task.
    pub task: Ordinal,
    /// Which attempt.
    pub attempt: u32,
    /// What it said: a message of the transcript.
    pub message: Body,
    /// What the call used.
    pub usage: Usage,
    /// The task of the first call it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Ordinal>,
    /// The calls it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<AskedCall>,
    /// What it is told where its answer does not fit: a message of the transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Body>,
}

/// The task let go of its executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskWaited {
    /// Which task.
    pub task: Ordinal,
    /// What it waits for.
    pub on: Waiting,
}

/// A list became item tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskExpanded {
    /// The task with `each`.
    pub task: Ordinal,
    /// The ordinal of its first item.
    pub first: Ordinal,
    /// How many items.
    pub count: u32,
    /// The list.
    pub list: Body,
}

/// The task ended with its output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCompleted {
    /// Which task.
    pub task: Ordinal,
    /// What it brought.
    pub output: Output,
}

/// An attempt failed and something is left to try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptFailed {
    /// Which task.
    pub task: Ordinal,
    /// Which attempt.
    pub attempt: u32,
    /// How the attempt ended.
    pub status: AttemptStatus,
    /// Why.
    pub failure: CallFailure,
    /// What comes next.
    pub next: Next,
}

/// The task failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFailed {
    /// Which task.
    pub task: Ordinal,
    /// How its last attempt ended; absent when none ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<AttemptStatus>,
    /// Why.
    pub failure: CallFailure,
}

/// The task will not be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSkipped {
    /// Which task.
    pub task: Ordinal,
    /// Why.
    pub cause: SkipCause,
}

/// The task was ended with its workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCancelled {
    /// Which task.
    pub task: Ordinal,
}

/// Somebody said that a call in doubt did not happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallUndone {
    /// Which task; it is ready again.
    pub task: Ordinal,
}

/// The task emitted an event for others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEmitted {
    /// Which task.
    pub task: Ordinal,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its data.
    pub data: Body,
}

/// A running call asks a person something; its time stands still until the question is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionAsked {
    /// Which task.
    pub task: Ordinal,
    /// Which attempt asks.
    pub attempt: u32,
    /// The number of the question, from 1, over all attempts of the task.
    pub number: u32,
    /// `server.tool`, where the call of a tool asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it asks.
    pub question: Question,
}

/// A person answered. The actor of the event is who.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionAnswered {
    /// Which task.
    pub task: Ordinal,
    /// Which attempt asked.
    pub attempt: u32,
    /// Which question.
    pub number: u32,
    /// What they said.
    pub answer: Answer,
}

/// A question is over without an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuestionWithdrawn {
    /// Which task.
    pub task: Ordinal,
    /// Which attempt asked.
    pub attempt: u32,
    /// Which question.
    pub number: u32,
    /// Why.
    pub cause: Withdrawal,
}

/// An event whose stored body cannot be read by this version.
#[derive(Debug)]
pub struct UnreadableEvent {
    /// Its kind.
    pub kind: EventKind,
    /// What the reader said.
    pub cause: serde_json::Error,
}

impl fmt::Display for UnreadableEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of kind {} cannot be read: {}", self.kind.word(), self.cause)
    }
}

impl std::error::Error for UnreadableEvent {}

impl Event {
    /// The task it is about, if it is about one.
    pub fn task(&self) -> Option<Ordinal> {
        match self {
            Self::TaskStarted(TaskStarted { task, .. })
            | Self::TaskWaited(TaskWaited { task, .. })
            | Self::TaskExpanded(TaskExpanded { task, .. })
            | Self::TaskCompleted(TaskCompleted { task, .. })
            | Self::AttemptFailed(AttemptFailed { task, .. })
            | Self::TaskFailed(TaskFailed { task, .. })
            | Self::TaskSkipped(TaskSkipped { task, .. })
            | Self::TaskCancelled(TaskCancelled { task })
            | Self::CallUndone(CallUndone { task })
            | Self::TaskEmitted(TaskEmitted { task, .. })
            | Self::QuestionAsked(QuestionAsked { task, .. })
            | Self::QuestionAnswered(QuestionAnswered { task, .. })
            | Self::QuestionWithdrawn(QuestionWithdrawn { task, .. })
            | Self::TaskAnswered(TaskAnswered { task, .. })
            | Self::CallApproved(CallApproved { task, .. })
            | Self::BudgetRaised(BudgetRaised { task, .. })
            | Self::ModelChanged(ModelChanged { task, .. })
            | Self::TranscriptCompacted(TranscriptCompacted { task, .. }) => Some(*task),
            Self::Admitted(_)
            | Self::Approved(_)
            | Self::SentBack(_)
            | Self::Started(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::CancelRequested(_)
            | Self::Finished(_)
            | Self::Retried(_)
            | Self::ClockSet(_)
            | Self::PlanEdited(_)
            | Self::EditUndone(_)
            | Self::DefinitionRegistered(_)
            | Self::Purged(_)
            | Self::BatchPurged(_)
            | Self::DefinitionRemoved(_)
            | Self::EventReceived(_)
            | Self::TriggerFired(_)
            | Self::TokenCreated(_)
            | Self::TokenRevoked(_)
            | Self::ServerReleased(_)
            | Self::Conversation(_) => None,
        }
    }

    /// How it ends the attempt of its task, if it does: with what status, and why where it failed.
    pub fn attempt_end(&self) -> Option<(AttemptStatus, Option<&CallFailure>)> {
        match self {
            Self::TaskCompleted(_) | Self::TaskAnswered(_) => {
                Some((AttemptStatus::Completed, None))
            }
            Self::AttemptFailed(failed) => Some((failed.status, Some(&failed.failure))),
            Self::TaskFailed(failed) => {
                Some((failed.status.unwrap_or(AttemptStatus::Failed), Some(&failed.failure)))
            }
            Self::TaskCancelled(_) => Some((AttemptStatus::Cancelled, None)),
            Self::TaskWaited(TaskWaited { on: Waiting::InDoubt { failure }, .. }) => {
                Some((AttemptStatus::Lost, Some(failure)))
            }
            Self::TaskWaited(_)
            | Self::Admitted(_)
            | Self::Approved(_)
            | Self::SentBack(_)
            | Self::Started(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::CancelRequested(_)
            | Self::Finished(_)
            | Self::Retried(_)
            | Self::ClockSet(_)
            | Self::PlanEdited(_)
            | Self::EditUndone(_)
            | Self::TaskStarted(_)
            | Self::TaskExpanded(_)
            | Self::TaskSkipped(_)
            | Self::CallUndone(_)
            | Self::TaskEmitted(_)
            | Self::QuestionAsked(_)
            | Self::QuestionAnswered(_)
            | Self::QuestionWithdrawn(_)
            | Self::CallApproved(_)
            | Self::BudgetRaised(_)
            | Self::ModelChanged(_)
            | Self::TranscriptCompacted(_)
            | Self::DefinitionRegistered(_)
            | Self::DefinitionRemoved(_)
            | Self::EventReceived(_)
            | Self::TriggerFired(_)
            | Self::TokenCreated(_)
            | Self::TokenRevoked(_)
            | Self::ServerReleased(_)
            | Self::Conversation(_)
            | Self::Purged(_)
            | Self::BatchPurged(_) => None,
        }
    }

    /// Every blob its body names, once for each time it is named.
    pub fn blobs(&self, each: &mut dyn FnMut(BlobHash)) {
        let mut body = |body: &Body| body.hash().into_iter().for_each(&mut *each);
        match self {
            Self::Admitted(admitted) => {
                body(&admitted.inputs);
                admitted.kept.iter().filter_map(|kept| kept.output.body()).for_each(&mut body);
                each(admitted.plan);
            }
            Self::PlanEdited(edited) => {
                edited.inputs.iter().for_each(&mut body);
                each(edited.plan);
                each(edited.before);
            }
            Self::EditUndone(undone) => each(undone.plan),
            Self::TaskStarted(started) => started.input.iter().for_each(body),
            Self::TaskExpanded(expanded) => body(&expanded.list),
            Self::TaskCompleted(completed) => completed.output.body().into_iter().for_each(body),
            Self::TaskEmitted(emitted) => body(&emitted.data),
            Self::TaskAnswered(answered) => {
                body(&answered.message);
                answered.calls.iter().for_each(|call| body(&call.input));
                answered.again.iter().for_each(body);
            }
            Self::Finished(finished) => finished.outcome.output().into_iter().for_each(body),
            Self::DefinitionRegistered(definition) => {
                each(definition.plan);
                definition.source.into_iter().for_each(each);
            }
            Self::EventReceived(received) => body(&received.data),
            Self::Conversation(event) => event.bodies(&mut body),
            Self::Purged(purged) => each(purged.tombstone.plan),
            Self::BatchPurged(purged) => {
                body(&purged.tombstones);
                purged.usage.iter().for_each(body);
            }
            Self::Approved(_)
            | Self::SentBack(_)
            | Self::Started(_)
            | Self::Paused(_)
            | Self::Resumed(_)
            | Self::CancelRequested(_)
            | Self::Retried(_)
            | Self::ClockSet(_)
            | Self::TaskWaited(_)
            | Self::AttemptFailed(_)
            | Self::TaskFailed(_)
            | Self::TaskSkipped(_)
            | Self::TaskCancelled(_)
            | Self::CallUndone(_)
            | Self::QuestionAsked(_)
            | Self::QuestionAnswered(_)
            | Self::QuestionWithdrawn(_)
            | Self::CallApproved(_)
            | Self::BudgetRaised(_)
            | Self::ModelChanged(_)
            | Self::TranscriptCompacted(_)
            | Self::DefinitionRemoved(_)
            | Self::TriggerFired(_)
            | Self::TokenCreated(_)
            | Self::TokenRevoked(_)
            | Self::ServerReleased(_) => {}
        }
    }
}
