//! Every rule of a workflow: what a command leads to in a state, or why it is refused.
//!
//! Pure: it reads the state and the moment, and changes nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::command::{Command, Refusal, Verdict};
use super::event::{
    Approved, AttemptFailed, CallUndone, CancelRequested, ClockSet, Event, Finished, Paused,
    Resumed, Retried, SentBack, Started, TaskCancelled, TaskCompleted, TaskEmitted, TaskExpanded,
    TaskFailed, TaskSkipped, TaskStarted, TaskWaited,
};
use super::state::{
    Next, Outcome, Output, PauseCause, Phase, Resume, TaskPhase, Waiting, WorkflowState,
};
use crate::body::{Body, Json};
use crate::failure::CallFailure;
use crate::ids::{Ordinal, WorkflowId};
use crate::plan::{Human, Retry, WORKFLOW_TASKS_MAX, Work};
use crate::time::Moment;
use crate::words::{AttemptStatus, Effect, FailureKind, Happened, HumanKind, OnFailure, SkipCause};

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
            Command::Pause { cause } => self.pause(*cause),
            Command::Resume => self.go_on(),
            Command::Cancel { reason } => self.cancel(reason.as_ref()),
            Command::Retry { tasks } => self.retry(tasks),
            Command::NoteClock { ahead_ms } => self.note_clock(*ahead_ms),
            Command::StartTask { task, input } => self.start(*task, input.as_ref()),
            Command::Suspend { task, attempt, on } => {
                self.executing_attempt(*task, *attempt)?;
                Ok(one(TaskWaited { task: *task, on: on.clone() }))
            }
            Command::SkipTask { task } => {
                self.startable(*task)?;
                Ok(one(TaskSkipped { task: *task, cause: SkipCause::When }))
            }
            Command::ExpandTask { task, count, list } => self.expand_task(*task, *count, list),
            Command::RefuseTask { task, failure } => self.refuse(*task, failure, moment),
            Command::Complete { task, attempt, output } => {
                self.executing_attempt(*task, *attempt)?;
                Ok(one(completed(*task, output.clone())))
            }
            Command::Emit { task, attempt, event_type, data } => {
                self.executing_attempt(*task, *attempt)?;
                let emitted =
                    TaskEmitted { task: *task, event_type: event_type.clone(), data: data.clone() };
                Ok(vec![emitted.into(), completed(*task, Body::null()).into()])
            }
            Command::Fail { task, attempt, status, failure } => {
                self.executing_attempt(*task, *attempt)?;
                Ok(vec![self.after_failure(*task, *attempt, *status, failure, moment)])
            }
            Command::Respond { task, value, by } => self.respond(*task, value, by),
            Command::Settle { task, verdict } => self.settle(*task, verdict),
            Command::Elapse { task } => self.elapse(*task),
            Command::Deliver { task, event } => self.deliver(*task, event),
            Command::ChildEnded { task, child, outcome } => {
                self.child_ended(*task, *child, outcome, moment)
            }
            Command::Advance => Ok(self.advance()),
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

    fn retry(&self, tasks: &[Ordinal]) -> Decision {
        let Some(ended) = self.ended() else {
            return Err(Refusal::NotEnded);
        };
        let gone = |task: &Ordinal| self.task(*task).is_none() || self.is_superseded(*task);
        if tasks.iter().any(gone) {
            return Err(Refusal::NoSuchTask);
        }
        let again = match (tasks, &ended.outcome) {
            ([], Outcome::Completed { .. }) => return Err(Refusal::NothingToRetry),
            ([], _) => self.unfinished(),
            (some, _) => self.with_dependents(some),
        };
        if again.is_empty() {
            return Err(Refusal::NothingToRetry);
        }
        Ok(one(Retried { run: self.run + 1, tasks: again.into_iter().collect() }))
    }

    /// Every task that did not complete; of an expanded task, its items that did not.
    fn unfinished(&self) -> BTreeSet<Ordinal> {
        let open = |ordinal: &Ordinal| {
            let Some(task) = self.task(*ordinal) else {
                return false;
            };
            let done = matches!(task.phase, TaskPhase::Completed { .. });
            !done && !self.is_superseded(*ordinal) && self.items_of(*ordinal).is_none()
        };
        self.ordinals().filter(open).collect()
    }

    /// These tasks, and everything that needs them.
    fn with_dependents(&self, tasks: &[Ordinal]) -> BTreeSet<Ordinal> {
        let mut again: BTreeSet<Ordinal> = tasks.iter().copied().collect();
        let mut open: Vec<Ordinal> =
            tasks.iter().map(|task| self.task(*task).map_or(*task, |t| t.of)).collect();
        let first_stage = open.iter().filter_map(|task| Some(self.plan.task(*task)?.stage)).min();
        while let Some(task) = open.pop() {
            open.extend(
                self.graph.dependents(task).iter().filter(|dependent| again.insert(**dependent)),
            );
        }
        for stage in
            first_stage.map_or(u32::MAX, |stage| stage.saturating_add(1))..self.stage_count()
        {
            let mut open: Vec<Ordinal> = self.graph.at_barrier(stage).to_vec();
            while let Some(task) = open.pop() {
                if again.insert(task) {
                    open.extend(self.graph.dependents(task));
                }
            }
        }
        again.extend(self.unfinished());
        // An `each` that is done again makes its items anew.
        let anew: Vec<Ordinal> = again
            .iter()
            .copied()
            .filter(|task| self.item(*task).is_some_and(|(items, _)| again.contains(&items.parent)))
            .collect();
        for item in anew {
            again.remove(&item);
        }
        again
    }

    /// Whether this is an item that a later run made anew.
    fn is_superseded(&self, ordinal: Ordinal) -> bool {
        self.item(ordinal).is_some_and(|(items, _)| items.superseded)
    }

    fn stage_count(&self) -> u32 {
        u32::try_from(self.plan.stages.len()).unwrap_or(u32::MAX)
    }

    fn ordinals(&self) -> impl Iterator<Item = Ordinal> + use<> {
        (0..u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)).map(Ordinal)
    }

    /// Whether a task may start now: it is ready, or its pause before the next attempt is over.
    fn startable(&self, ordinal: Ordinal) -> Result<(), Refusal> {
        let task = self.task(ordinal).ok_or(Refusal::NoSuchTask)?;
        if !self.may_start() || self.doomed.contains(&ordinal) {
            return Err(Refusal::NotReady);
        }
        match &task.phase {
            TaskPhase::Ready => Ok(()),
            TaskPhase::Waiting { on: Waiting::Timer { then: Resume::Retry, .. }, .. } => Ok(()),
            TaskPhase::Pending
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => Err(Refusal::NotReady),
        }
    }

    fn start(&self, ordinal: Ordinal, input: Option<&Body>) -> Decision {
        self.startable(ordinal)?;
        let attempt = self.task(ordinal).map_or(0, |task| task.attempts) + 1;
        Ok(one(TaskStarted { task: ordinal, attempt, input: input.cloned() }))
    }

    fn expand_task(&self, task: Ordinal, count: u32, list: &Body) -> Decision {
        self.startable(task)?;
        if self.tasks.len() + count as usize > WORKFLOW_TASKS_MAX {
            return Err(Refusal::TooManyTasks);
        }
        let first = Ordinal(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
        Ok(one(TaskExpanded { task, first, count, list: list.clone() }))
    }

    /// What a task's templates that fail on the data lead to. The work's own are the definition's
    /// fault and end the task. A fallback's are a failure of that rung, whose attempt ends before
    /// its call is made: the next rung is tried.
    fn refuse(&self, ordinal: Ordinal, failure: &CallFailure, moment: &Moment) -> Decision {
        self.startable(ordinal)?;
        let (rung, attempt) = self.task(ordinal).map_or((0, 0), |task| (task.rung, task.attempts));
        let (status, attempt) = (AttemptStatus::Failed, attempt + 1);
        // No later try renders otherwise: nothing a template sees can change any more.
        let failure = CallFailure { happened: Happened::No, retryable: false, ..failure.clone() };
        let next = match rung {
            0 => None,
            _ => self.next_try(ordinal, status, &failure, moment),
        };
        let Some(next) = next else {
            return Ok(one(TaskFailed { task: ordinal, status: None, failure }));
        };
        let begun = TaskStarted { task: ordinal, attempt, input: None };
        let failed = AttemptFailed { task: ordinal, attempt, status, failure, next };
        Ok(vec![begun.into(), failed.into()])
    }

    fn executing_attempt(&self, ordinal: Ordinal, attempt: u32) -> Result<(), Refusal> {
        let task = self.task(ordinal).ok_or(Refusal::NoSuchTask)?;
        let current = task.attempts == attempt && matches!(task.phase, TaskPhase::Executing { .. });
        if current { Ok(()) } else { Err(Refusal::StaleAttempt) }
    }

    /// What a failed attempt leads to: the rules of effect classes, retry and fallback.
    fn after_failure(
        &self,
        ordinal: Ordinal,
        attempt: u32,
        status: AttemptStatus,
        failure: &CallFailure,
        moment: &Moment,
    ) -> Event {
        let effect = self.call(ordinal).map_or(Effect::Idempotent, |call| call.effect);
        let next = match (effect, failure.happened) {
            (Effect::Once, Happened::Unknown) => Some(Next::InDoubt),
            (Effect::Once, Happened::Yes) => None,
            (Effect::Once, Happened::No) | (Effect::Read | Effect::Idempotent, _) => {
                self.next_try(ordinal, status, failure, moment)
            }
        };
        match (next, &self.phase) {
            (Some(next), _) => {
                AttemptFailed { task: ordinal, attempt, status, failure: failure.clone(), next }
                    .into()
            }
            (None, Phase::Cancelling { .. }) => TaskCancelled { task: ordinal }.into(),
            (None, _) => {
                TaskFailed { task: ordinal, status: Some(status), failure: failure.clone() }.into()
            }
        }
    }

    fn next_try(
        &self,
        ordinal: Ordinal,
        status: AttemptStatus,
        failure: &CallFailure,
        moment: &Moment,
    ) -> Option<Next> {
        let (task, plan) = (self.task(ordinal)?, self.task_plan(ordinal)?);
        let drains = match &self.phase {
            Phase::Running { failing } | Phase::Paused { failing, .. } => failing.is_some(),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => true,
        };
        let beside_a_failure = self
            .item(ordinal)
            .is_some_and(|(items, _)| items.failed > 0 && plan.on_failure == OnFailure::Fail);
        if drains || beside_a_failure {
            return None;
        }
        if status == AttemptStatus::Lost && task.lost < LOST_ATTEMPTS_MAX {
            return Some(Next::Repeat);
        }
        if failure.retryable && task.tries < plan.retry.attempts_max {
            let salt = (u64::from(ordinal.0) << 32) | u64::from(task.attempts);
            let span = pause_before(&plan.retry, task.tries, moment.draw(salt))
                .max(failure.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX));
            return Some(Next::Retry { until: moment.now.plus(span), span });
        }
        ((task.rung as usize) < plan.fallback.len()).then_some(Next::Fallback)
    }

    fn waiting_on(&self, ordinal: Ordinal) -> Result<&Waiting, Refusal> {
        match &self.task(ordinal).ok_or(Refusal::NoSuchTask)?.phase {
            TaskPhase::Waiting { on, .. } => Ok(on),
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => Err(Refusal::NotWaiting),
        }
    }

    fn respond(&self, ordinal: Ordinal, value: &Value, by: &str) -> Decision {
        let (Waiting::Person { .. }, Some(plan)) =
            (self.waiting_on(ordinal)?, self.task_plan(ordinal))
        else {
            return Err(Refusal::NotWaiting);
        };
        let Work::Human(human) = &plan.work else {
            return Err(Refusal::NotWaiting);
        };
        if value.to_string().len() > ANSWER_BYTES_MAX {
            return Err(Refusal::InvalidAnswer);
        }
        match answer(human, value, by)? {
            Answer::Output(output) => Ok(one(completed(ordinal, Body::Inline(Json::of(&output))))),
            Answer::No(failure) => Ok(one(TaskFailed { task: ordinal, status: None, failure })),
        }
    }

    fn settle(&self, ordinal: Ordinal, verdict: &Verdict) -> Decision {
        let Waiting::InDoubt { .. } = self.waiting_on(ordinal)? else {
            return Err(Refusal::NotWaiting);
        };
        Ok(match (verdict, &self.phase) {
            (Verdict::Happened(result), _) => one(completed(ordinal, result.clone())),
            (
                Verdict::DidNotHappen,
                Phase::Cancelling { .. } | Phase::Running { failing: Some(_) },
            ) => one(TaskCancelled { task: ordinal }),
            (Verdict::DidNotHappen, _) => one(CallUndone { task: ordinal }),
        })
    }

    fn elapse(&self, ordinal: Ordinal) -> Decision {
        match self.waiting_on(ordinal)? {
            Waiting::Timer { then: Resume::Complete, .. } => {
                Ok(one(completed(ordinal, Body::null())))
            }
            Waiting::Event { pattern, until: Some(_) } => {
                let message = format!("no event of the type `{pattern}` came in time");
                let failure = CallFailure::refused(FailureKind::NoEvent, message);
                Ok(one(TaskFailed { task: ordinal, status: None, failure }))
            }
            Waiting::Timer { then: Resume::Retry, .. }
            | Waiting::Event { until: None, .. }
            | Waiting::Person { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Child { .. } => Err(Refusal::NotWaiting),
        }
    }

    fn deliver(&self, ordinal: Ordinal, event: &Body) -> Decision {
        match self.waiting_on(ordinal)? {
            Waiting::Event { .. } => Ok(one(completed(ordinal, event.clone()))),
            Waiting::Timer { .. }
            | Waiting::Person { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Child { .. } => Err(Refusal::NotWaiting),
        }
    }

    fn child_ended(
        &self,
        ordinal: Ordinal,
        child: WorkflowId,
        outcome: &Outcome,
        moment: &Moment,
    ) -> Decision {
        match self.waiting_on(ordinal)? {
            Waiting::Child { child: awaited } if *awaited == child => {}
            Waiting::Child { .. }
            | Waiting::Timer { .. }
            | Waiting::Person { .. }
            | Waiting::Event { .. }
            | Waiting::InDoubt { .. } => return Err(Refusal::NotWaiting),
        }
        let message = match outcome {
            Outcome::Completed { output } | Outcome::CompletedWithErrors { output, .. } => {
                return Ok(one(completed(ordinal, output.clone())));
            }
            Outcome::Failed { failure, .. } => {
                format!("the child workflow {child} failed: {}", failure.message)
            }
            Outcome::Cancelled { .. } => format!("the child workflow {child} was cancelled"),
        };
        let failure = CallFailure::passing(FailureKind::Child, message);
        let attempt = self.task(ordinal).map_or(0, |task| task.attempts);
        Ok(vec![self.after_failure(ordinal, attempt, AttemptStatus::Failed, &failure, moment)])
    }

    fn advance(&self) -> Vec<Event> {
        match &self.phase {
            Phase::Queued => one(Started {}),
            Phase::Running { failing: None } | Phase::Paused { failing: None, .. } => {
                let mut events = self.gather();
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
                let mut events = self.gather();
                let idle = self.waiting().filter(|(_, on)| self.ends_with_run(on));
                events.extend(idle.map(|(task, _)| Event::from(TaskCancelled { task })));
                events
            }
            Phase::Draft { .. } | Phase::PendingReview | Phase::Ended(_) => Vec::new(),
        }
    }

    /// Whether a wait is over once nothing more starts. A call in doubt is never dropped, and a
    /// child ends by itself.
    fn ends_with_run(&self, on: &Waiting) -> bool {
        match on {
            Waiting::Person { .. } | Waiting::Timer { .. } | Waiting::Event { .. } => true,
            Waiting::InDoubt { .. } | Waiting::Child { .. } => false,
        }
    }

    fn gather(&self) -> Vec<Event> {
        let close = |parent: &Ordinal| {
            let items = self.items_of(*parent)?;
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

    /// Whether an `each` may start this item. One that pauses before its next attempt has its place.
    pub fn item_may_start(&self, ordinal: Ordinal) -> bool {
        if self.waiting.contains(&ordinal) {
            return true;
        }
        let (Some((items, _)), Some(plan)) = (self.item(ordinal), self.task_plan(ordinal)) else {
            return true;
        };
        let most = plan.each.as_ref().and_then(|each| each.concurrency);
        most.is_none_or(|most| items.running < most)
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

/// `backoff * 2^(tries-1)`, at most `max`, and of that a random share between a half and all.
fn pause_before(retry: &Retry, tries: u32, random: u128) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = retry.backoff.0.saturating_mul(factor).min(retry.max.0);
    let share = u32::try_from(random % 500).unwrap_or(0) + 500;
    full.saturating_mul(share) / 1000
}

enum Answer {
    Output(Value),
    No(CallFailure),
}

fn answer(human: &Human, value: &Value, by: &str) -> Result<Answer, Refusal> {
    match human.kind {
        HumanKind::Approval => approval(value, by),
        HumanKind::Choice => {
            let is_option = |choice: &str| human.options.iter().any(|option| option == choice);
            if value.as_str().is_some_and(is_option) {
                Ok(Answer::Output(value.clone()))
            } else {
                Err(Refusal::InvalidAnswer)
            }
        }
        HumanKind::Form => {
            let schema = human.form.as_ref().ok_or(Refusal::InvalidAnswer)?;
            let valid =
                jsonschema::validator_for(schema).is_ok_and(|validator| validator.is_valid(value));
            if valid { Ok(Answer::Output(value.clone())) } else { Err(Refusal::InvalidAnswer) }
        }
    }
}

fn approval(value: &Value, by: &str) -> Result<Answer, Refusal> {
    let approved = value
        .as_bool()
        .or_else(|| value.get("approved")?.as_bool())
        .ok_or(Refusal::InvalidAnswer)?;
    let comment = value.get("comment").and_then(Value::as_str).unwrap_or_default();
    if approved {
        return Ok(Answer::Output(
            serde_json::json!({ "approved": true, "by": by, "comment": comment }),
        ));
    }
    let said = if comment.is_empty() { String::new() } else { format!(": {comment}") };
    Ok(Answer::No(CallFailure::refused(FailureKind::Rejected, format!("rejected by {by}{said}"))))
}
