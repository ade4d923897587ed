//! What a workflow can be asked to do, and the facts it refuses with.

use crate::agent::Usage;
use crate::body::Body;
use crate::codes;
use crate::failure::CallFailure;
use crate::ids::{Ordinal, WorkflowId};
use crate::words::AttemptStatus;

use super::accounts::RoomFor;
use super::edits::PlanEdit;
use super::question::Question;
use super::state::{AskedCall, Lease, Outcome, PauseCause, Waiting};

/// Something to decide. People's commands and the world's answers come through the same door.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A person approves the plan as it stood at this revision.
    Approve {
        /// What they looked at.
        revision: u64,
    },
    /// A person sends the plan back.
    SendBack {
        /// What they say.
        comments: String,
    },
    /// A person replaces the plan that is in review, or was sent back, by an edited one.
    EditPlan(Box<PlanEdit>),
    /// A person takes the newest edit back.
    UndoEdit {
        /// Its number.
        edit: u32,
    },
    /// Start nothing more, let running attempts end.
    Pause {
        /// Why.
        cause: PauseCause,
    },
    /// Go on after a pause.
    Resume,
    /// Stop what runs and end.
    Cancel {
        /// What the actor says.
        reason: Option<String>,
    },
    /// Open the next run: do again what did not complete, or exactly these and what depends on them.
    Retry {
        /// Which; empty means all that did not complete.
        tasks: Vec<Ordinal>,
    },
    /// Record that an attempt is about to run.
    StartTask {
        /// Which task.
        task: Ordinal,
        /// Its rendered input, unless the plan's text is the input.
        input: Option<Body>,
        /// The worker that takes it; work for workers starts in no other way.
        lease: Option<Lease>,
        /// What bounds an agent's turn beside its workflow.
        room: RoomFor,
    },
    /// An attempt began and found that it must wait.
    Suspend {
        /// Which task.
        task: Ordinal,
        /// Its attempt.
        attempt: u32,
        /// What for.
        on: Waiting,
    },
    /// The task's `when` is false.
    SkipTask {
        /// Which task.
        task: Ordinal,
    },
    /// The task's `each` yielded a list.
    ExpandTask {
        /// Which task.
        task: Ordinal,
        /// How many items.
        count: u32,
        /// The list.
        list: Body,
    },
    /// The wall clock was set while the workflow is busy, and its time budget must not follow.
    NoteClock {
        /// By how much the journal's time went ahead of the steady clock, in milliseconds.
        ahead_ms: i64,
    },
    /// A ready task cannot start: its templates failed on the data at hand. On a fallback this is a
    /// failure of that rung, after which the next one is tried.
    RefuseTask {
        /// Which task.
        task: Ordinal,
        /// Why.
        failure: CallFailure,
    },
    /// An agent's model cannot be asked where it runs now: its next turn is a later model's.
    UseModel {
        /// Which task.
        task: Ordinal,
        /// The place of that model in the agent's list.
        model: u32,
    },
    /// The attempt brought its output.
    Complete {
        /// Which task.
        task: Ordinal,
        /// Its attempt: the fencing token.
        attempt: u32,
        /// The output.
        output: Body,
    },
    /// The attempt, a turn of an agent, brought a model's answer.
    Answer {
        /// Which task.
        task: Ordinal,
        /// Its attempt: the fencing token.
        attempt: u32,
        /// What the model said.
        answer: TurnAnswer,
    },
    /// The attempt emitted an event, which completes it.
    Emit {
        /// Which task.
        task: Ordinal,
        /// Its attempt.
        attempt: u32,
        /// The event's type.
        event_type: String,
        /// Its data.
        data: Body,
    },
    /// The attempt failed, or its end is unknown.
    Fail {
        /// Which task.
        task: Ordinal,
        /// Its attempt: the fencing token.
        attempt: u32,
        /// How it ended.
        status: AttemptStatus,
        /// Why.
        failure: CallFailure,
    },
    /// A person answers.
    Respond {
        /// Which task.
        task: Ordinal,
        /// The answer.
        value: serde_json::Value,
        /// Who, for the output.
        by: String,
        /// The number of the question of a running call that is answered; the one that is open
        /// where none is given.
        question: Option<u32>,
    },
    /// A person will not answer what a running call asks.
    Decline {
        /// Which task.
        task: Ordinal,
        /// As with [`Command::Respond`].
        question: Option<u32>,
    },
    /// A running call asks a person something.
    Ask {
        /// Which task.
        task: Ordinal,
        /// Its attempt: the fencing token.
        attempt: u32,
        /// What.
        question: Question,
    },
    /// Who asked does not want to know any more.
    TakeBack {
        /// Which task.
        task: Ordinal,
        /// Its attempt.
        attempt: u32,
    },
    /// Somebody says whether the call in doubt happened.
    Settle {
        /// Which task.
        task: Ordinal,
        /// What they say: the result if it happened.
        verdict: Verdict,
    },
    /// The awaited moment has come.
    Elapse {
        /// Which task.
        task: Ordinal,
    },
    /// The awaited event has come.
    Deliver {
        /// Which task.
        task: Ordinal,
        /// The event.
        event: Body,
    },
    /// The child workflow ended.
    ChildEnded {
        /// Which task.
        task: Ordinal,
        /// The child.
        child: WorkflowId,
        /// How.
        outcome: Outcome,
    },
    /// Draw the next consequence of what has happened; nothing when there is none.
    Advance,
    /// End the run: every task has ended, and this is the output (or why there is none).
    Finish {
        /// The rendered output of the plan.
        output: Result<Body, CallFailure>,
    },
}

/// What a model said.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnAnswer {
    /// The message, as the transcript keeps it.
    pub message: Body,
    /// What the call used.
    pub usage: Usage,
    /// The calls it asks for, each looked at: one that must not be made says why.
    pub calls: Vec<AskedCall>,
    /// Where it asks for none: the task's output, or why what it said is none, for the model.
    pub output: Result<Body, String>,
}

/// What somebody says of a call in doubt.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It happened, with this result.
    Happened(Body),
    /// It did not: the task may start again.
    DidNotHappen,
}

codes! {
    /// Why a command was refused. A refusal changes nothing.
    pub enum Refusal: "refusal" {
        /// The run has ended.
        AlreadyEnded = 0 "already_ended",
        /// The run has not ended.
        NotEnded = 1 "not_ended",
        /// The workflow is not offered for review.
        NotInReview = 2 "not_in_review",
        /// The plan was looked at at another revision.
        StaleRevision = 3 "stale_revision",
        /// The workflow is not running.
        NotRunning = 4 "not_running",
        /// The workflow is not paused.
        NotPaused = 5 "not_paused",
        /// It is being cancelled already.
        AlreadyCancelling = 6 "already_cancelling",
        /// There is no such task.
        NoSuchTask = 7 "no_such_task",
        /// The attempt is over; its answer came too late or twice.
        StaleAttempt = 8 "stale_attempt",
        /// The task cannot start now.
        NotReady = 9 "not_ready",
        /// The task does not wait for that.
        NotWaiting = 10 "not_waiting",
        /// The answer does not fit the question.
        InvalidAnswer = 11 "invalid_answer",
        /// Everything completed; there is nothing to do again.
        NothingToRetry = 12 "nothing_to_retry",
        /// The tasks have not all ended.
        NotSettled = 13 "not_settled",
        /// The workflow would have more tasks than it may.
        TooManyTasks = 14 "too_many_tasks",
        /// A budget has no room while other calls run.
        NoRoom = 15 "no_room",
        /// A budget may have room: the tokens of the request must be counted.
        NotCounted = 16 "not_counted",
        /// An edit changes what a plan does, not which definition it is of.
        OtherDefinition = 17 "other_definition",
        /// The edited plan is the plan as it is.
        NothingChanged = 18 "nothing_changed",
        /// The plan was edited as often as it may be.
        TooManyEdits = 19 "too_many_edits",
        /// There is no such edit.
        NoSuchEdit = 20 "no_such_edit",
        /// Later edits stand on it, or it was undone.
        NotNewestEdit = 21 "not_newest_edit",
    }
}

impl std::error::Error for Refusal {}
