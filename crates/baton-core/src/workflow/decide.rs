//! Every rule of a workflow: what a command leads to in a state, or why it is refused.
//!
//! Pure: it reads the state and the moment, and changes nothing. The rules of a run are here, those of
//! attempts, waits and the next run in the files beside.

mod attempts;
mod compaction;
mod questions;
mod reruns;
mod room;
mod turns;
mod waits;

pub(super) use turns::out_of_turns;

use std::time::Duration;

use super::command::{Command, Refusal};
use super::event::{
    Approved, CancelRequested, ClockSet, Event, Finished, Paused, Resumed, SentBack, Started,
    TaskCancelled, TaskCompleted, TaskEmitted, TaskFailed, TaskSkipped, TaskWaited,
};
use super::question::Withdrawal;
use super::state::{Outcome, Output, PauseCause, Phase, TaskPhase, Waiting, WorkflowState};
use crate::body::Body;
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::time::Moment;
use crate::words::{AttemptStatus, FailureKind, SkipCause};

/// How many attempts of a run a task may lose to crashes and have repeated at once: a task that
/// kills its executor each time must not do so for ever.
pub const LOST_ATTEMPTS_MAX: u32 = 20;

/// The longest pause that the other side of a call may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// The longest answer a person may give, in bytes of JSON; it stands in the event itself.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

type Decision = Result<Vec<Event>, Refusal>;

impl WorkflowState {
    /// What follows from a command now.
    // Long because it has one arm for each command and no rule of its own.
    pub fn decide(&self, command: &Command, moment: &Moment) -> Decision {
        if self.ended().is_some() && !matches!(command, Command::Retry { .. } | Command::Advance) {
            return Err(Refusal::AlreadyEnded);
        }
        match command {
            Command::Approve { revision } => self.approve(*revision),
            Command::SendBack { comments } => self.send_back(comments),
            Command::EditPlan(edit) => self.edit_plan(edit),
            Command::UndoEdit { edit } => self.undo_edit(*edit),
            Command::Pause { cause } => self.pause(*cause),
            Command::Resume => self.go_on(),
            Command::Cancel { reason } => self.cancel(reason.as_ref()),
            Command::Retry { tasks } => self.retry(tasks),
            Command::NoteClock { ahead_ms } => self.note_clock(*ahead_ms),
            Command::StartTask { task, input, lease, room } => {
                self.start(*task, input.as_ref(), (lease.as_ref(), room), moment)
            }
            Command::Suspend { task, attempt, on } => {
                self.executing_attempt(*task, *attempt)?;
                // A model that was called answers or fails: until then its turn may be billed.
                if self.agent_call(*task).is_some() {
                    return Err(Refusal::NotReady);
                }
                Ok(one(TaskWaited { task: *task, on: on.clone() }))
            }
            Command::SkipTask { task } => {
                self.startable(*task)?;
                Ok(one(TaskSkipped { task: *task, cause: SkipCause::When }))
            }
            Command::ExpandTask { task, count, list } => self.expand_task(*task, *count, list),
            Command::RefuseTask { task, failure } => self.refuse(*task, failure, moment),
            Command::UseModel { task, model } => self.use_model(*task, *model),
            Command::Complete { task, attempt, output } => {
                let mut events = self.end_attempt(*task, *attempt, Withdrawal::CallEnded)?;
                events.push(completed(*task, output.clone()).into());
                Ok(events)
            }
            Command::Answer { task, attempt, answer } => {
                self.answer(*task, *attempt, answer, moment)
            }
            Command::Emit { task, attempt, event_type, data } => {
                self.executing_attempt(*task, *attempt)?;
                let emitted =
                    TaskEmitted { task: *task, event_type: event_type.clone(), data: data.clone() };
                Ok(vec![emitted.into(), completed(*task, Body::null()).into()])
            }
            Command::Fail { task, attempt, status, failure } => {
                let cause = match status {
                    AttemptStatus::Lost => Withdrawal::CallLost,
                    AttemptStatus::Executing
                    | AttemptStatus::Completed
                    | AttemptStatus::Failed
                    | AttemptStatus::TimedOut
                    | AttemptStatus::Cancelled => Withdrawal::CallEnded,
                };
                let mut events = self.end_attempt(*task, *attempt, cause)?;
                events.extend(self.after_attempt(*task, *attempt, *status, failure, moment));
                Ok(events)
            }
            Command::Respond { task, value, by, question } => {
                self.respond(*task, (value, by), *question, moment)
            }
            Command::Decline { task, question } => self.decline(*task, *question),
            Command::Ask { task, attempt, question } => self.ask(*task, *attempt, question),
            Command::TakeBack { task, attempt } => self.take_back(*task, *attempt),
            Command::Settle { task, verdict } => self.settle(*task, verdict),
            Command::Elapse { task } => self.elapse(*task, moment),
            Command::Deliver { task, event } => self.deliver(*task, event),
            Command::ChildEnded { task, child, outcome } => {
                self.child_ended(*task, *child, outcome, moment)
            }
            Command::Advance => Ok(self.advance(moment)),
            Command::Finish { output } => self.finish(output),
        }
    }

    fn approve(&self, revision: u64) -> Decision {
        match self.phase {
            Phase::PendingReview if self.revision == revision => Ok(one(Approved {})),
            Phase::PendingReview => Err(Refusal::StaleRevision),
            Phase::Draft { .. }
            | Phase::Queued
            | Phase::Running { .. }
            | Phase::Paused { .. }
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => Err(Refusal::NotInReview),
        }
    }

    fn send_back(&self, comments: &str) -> Decision {
        match self.phase {
            Phase::PendingReview => Ok(one(SentBack { comments: comments.to_owned() })),
            Phase::Draft { .. }
            | Phase::Queued
            | Phase::Running { .. }
            | Phase::Paused { .. }
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => Err(Refusal::NotInReview),
        }
    }

    fn pause(&self, cause: PauseCause) -> Decision {
        match self.phase {
            Phase::Running { .. } => Ok(one(Paused { cause })),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Paused { .. }
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => Err(Refusal::NotRunning),
        }
    }

    fn go_on(&self) -> Decision {
        match self.phase {
            Phase::Paused { .. } => Ok(one(Resumed {})),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Running { .. }
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => Err(Refusal::NotPaused),
        }
    }

    fn cancel(&self, reason: Option<&String>) -> Decision {
        match self.phase {
            Phase::Draft { .. } | Phase::PendingReview | Phase::Queued => {
                Ok(one(Finished { outcome: Outcome::Cancelled { reason: reason.cloned() } }))
            }
            Phase::Running { .. } | Phase::Paused { .. } => {
                Ok(one(CancelRequested { reason: reason.cloned() }))
            }
            Phase::Cancelling { .. } => Err(Refusal::AlreadyCancelling),
            Phase::Ended(_) => Err(Refusal::AlreadyEnded),
        }
    }

    fn note_clock(&self, ahead_ms: i64) -> Decision {
        match self.plan.time_max {
            Some(_) if self.is_busy() => Ok(one(ClockSet { ahead_ms })),
            Some(_) | None => Err(Refusal::NotRunning),
        }
    }

    fn advance(&self, moment: &Moment) -> Vec<Event> {
        match &self.phase {
            Phase::Queued => one(Started {}),
            Phase::Running { failing: None } | Phase::Paused { failing: None, .. } => {
                let mut events = self.gather(moment);
                let doomed = self
                    .doomed
                    .iter()
                    .map(|task| TaskSkipped { task: *task, cause: SkipCause::Dependency });
                events.extend(doomed.map(Event::from));
                events
            }
            Phase::Running { failing: Some(_) }
            | Phase::Paused { failing: Some(_), .. }
            | Phase::Cancelling { .. } => {
                let mut events = self.gather(moment);
                let idle = self.waiting().filter(|(_, on)| self.ends_with_run(on));
                events.extend(idle.map(|(task, _)| Event::from(TaskCancelled { task })));
                events.extend(self.unasked());
                events
            }
            Phase::Draft { .. } | Phase::PendingReview | Phase::Ended(_) => Vec::new(),
        }
    }

    /// Whether a wait is over once nothing more starts. A call in doubt is never dropped; a child,
    /// and a call that asks, end by themselves.
    fn ends_with_run(&self, on: &Waiting) -> bool {
        match on {
            Waiting::Person { .. }
            | Waiting::Timer { .. }
            | Waiting::Event { .. }
            | Waiting::Approval { .. }
            | Waiting::Budget { .. } => true,
            Waiting::InDoubt { .. } | Waiting::Child { .. } | Waiting::Question { .. } => false,
        }
    }

    /// Closes what was expanded and is done.
    fn gather(&self, moment: &Moment) -> Vec<Event> {
        let close = |parent: &Ordinal| {
            let Some(items) = self.items_of(*parent) else {
                return self.end_agent(*parent, moment);
            };
            let range = items.first.index()..items.first.index() + items.count as usize;
            let ended_so = |ends: fn(&TaskPhase) -> bool| {
                let tasks = self.tasks.get(range.clone()).unwrap_or_default();
                tasks.iter().any(|task| ends(&task.phase))
            };
            if ended_so(|phase| matches!(phase, TaskPhase::Cancelled { .. })) {
                return Some(TaskCancelled { task: *parent }.into());
            }
            if items.failed == 0 && !ended_so(is_skipped_as_dependent) {
                let output = Output::Items { first: items.first, count: items.count };
                return Some(TaskCompleted { task: *parent, output }.into());
            }
            let message = format!("{} of {} items failed", items.failed, items.count);
            let failure = CallFailure::refused(FailureKind::Items, message);
            Some(TaskFailed { task: *parent, status: None, failure }.into())
        };
        self.gathered.iter().filter_map(close).collect()
    }

    fn finish(&self, output: &Result<Body, CallFailure>) -> Decision {
        if !self.is_settled() {
            return Err(Refusal::NotSettled);
        }
        let outcome = match (&self.phase, output) {
            (Phase::Cancelling { reason }, _) => Outcome::Cancelled { reason: reason.clone() },
            (
                Phase::Running { failing: Some(task) } | Phase::Paused { failing: Some(task), .. },
                _,
            ) => Outcome::Failed { task: Some(*task), failure: self.failure_of(*task) },
            (_, Err(failure)) => Outcome::Failed { task: None, failure: failure.clone() },
            (_, Ok(output)) if self.tally.failed > 0 => {
                Outcome::CompletedWithErrors { output: output.clone(), failed: self.tally.failed }
            }
            (_, Ok(output)) => Outcome::Completed { output: output.clone() },
        };
        Ok(one(Finished { outcome }))
    }

    fn failure_of(&self, ordinal: Ordinal) -> CallFailure {
        match self.task(ordinal).map(|task| &task.phase) {
            Some(TaskPhase::Failed { failure, .. }) => CallFailure::clone(failure),
            Some(
                TaskPhase::Pending
                | TaskPhase::Ready
                | TaskPhase::Executing { .. }
                | TaskPhase::Expanded { .. }
                | TaskPhase::Waiting { .. }
                | TaskPhase::Completed { .. }
                | TaskPhase::Skipped { .. }
                | TaskPhase::Cancelled { .. },
            )
            | None => {
                CallFailure::refused(FailureKind::Lost, "the failed task has no failure on record")
            }
        }
    }
}

fn is_skipped_as_dependent(phase: &TaskPhase) -> bool {
    let cause = SkipCause::Dependency;
    matches!(phase, TaskPhase::Skipped { cause: skipped, .. } if *skipped == cause)
}

fn one(event: impl Into<Event>) -> Vec<Event> {
    vec![event.into()]
}

fn completed(task: Ordinal, output: Body) -> TaskCompleted {
    TaskCompleted { task, output: Output::Value(output) }
}
