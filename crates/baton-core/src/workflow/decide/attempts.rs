//! Attempts: what may start, and what a failed one leads to by effect class, retry and fallback.
//! What a task waits for between attempts is not decided here.

use std::time::Duration;

use super::{Decision, LOST_ATTEMPTS_MAX, RETRY_AFTER_MAX, one};
use crate::body::Body;
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::plan::{Retry, WORKFLOW_TASKS_MAX};
use crate::time::Moment;
use crate::words::{AttemptStatus, Effect, FailureKind, Happened, OnFailure};
use crate::workflow::accounts::RoomFor;
use crate::workflow::command::Refusal;
use crate::workflow::event::{
    AttemptFailed, Event, ModelChanged, TaskCancelled, TaskExpanded, TaskFailed, TaskStarted,
    TaskWaited,
};
use crate::workflow::state::{
    AskedCall, Lease, Next, Phase, Resume, TaskPhase, Waiting, WorkflowState,
};

/// Arguments up to this many bytes stand in the question itself; whoever wants to see longer ones looks
/// at the call's task.
const ARGUMENTS_SHOWN_MAX: usize = 500;

impl WorkflowState {
    /// Whether a task may start now: it is ready, or its pause before the next attempt is over.
    pub(super) fn startable(&self, ordinal: Ordinal) -> Result<(), Refusal> {
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

    pub(super) fn start(
        &self,
        ordinal: Ordinal,
        input: Option<&Body>,
        (lease, room): (Option<&Lease>, &RoomFor),
        moment: &Moment,
    ) -> Decision {
        self.startable(ordinal)?;
        if self.worker_call(ordinal).is_some() != lease.is_some() {
            return Err(Refusal::NotReady);
        }
        let (rung, attempts) = self.task(ordinal).map_or((0, 0), |task| (task.rung, task.attempts));
        if let Some(wait) = self.approval_of(ordinal, moment) {
            return Ok(one(TaskWaited { task: ordinal, on: wait }));
        }
        let model = match self.next_turn(ordinal, input, room) {
            Ok(model) => model,
            Err(instead) => return instead,
        };
        let (input, lease) = (input.cloned(), lease.cloned());
        let started =
            TaskStarted { task: ordinal, attempt: attempts + 1, input, lease, rung, model };
        // Nothing runs for what a person is asked: its attempt waits from its beginning.
        let asked = self.asked_call(ordinal).and_then(|call| call.asks.as_ref());
        let waited = asked.map(|human| {
            let ask = human.ask.clone().unwrap_or_default();
            Event::from(TaskWaited { task: ordinal, on: Waiting::Person { ask } })
        });
        Ok([started.into()].into_iter().chain(waited).collect())
    }

    /// The approval that a call waits for before it is made, unless it has it.
    fn approval_of(&self, ordinal: Ordinal, moment: &Moment) -> Option<Waiting> {
        let call = self.asked_call(ordinal)?;
        let rule = call.approval?;
        let digest = call.digest();
        let until = rule.within.map(|within| moment.now.plus(within.0));
        let is_approved = self.task(ordinal)?.approved == Some(digest);
        (!is_approved).then(|| Waiting::Approval { digest, ask: approval_question(call), until })
    }

    pub(super) fn expand_task(&self, task: Ordinal, count: u32, list: &Body) -> Decision {
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
    pub(super) fn refuse(
        &self,
        ordinal: Ordinal,
        failure: &CallFailure,
        moment: &Moment,
    ) -> Decision {
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
        let model = None;
        let begun = TaskStarted { task: ordinal, attempt, input: None, lease: None, rung, model };
        let failed = AttemptFailed { task: ordinal, attempt, status, failure, next };
        Ok(vec![begun.into(), failed.into()])
    }

    /// An agent goes down the list of its models, and never up again.
    pub(super) fn use_model(&self, task: Ordinal, model: u32) -> Decision {
        self.startable(task)?;
        let used = self.agent_run(task).map_or(0, |run| run.model);
        let models = self.agent_call(task).map_or(0, |agent| agent.models.len());
        if model <= used || model as usize >= models {
            return Err(Refusal::NotReady);
        }
        Ok(one(ModelChanged { task, model }))
    }

    pub(super) fn executing_attempt(&self, ordinal: Ordinal, attempt: u32) -> Result<(), Refusal> {
        let task = self.task(ordinal).ok_or(Refusal::NoSuchTask)?;
        let current = task.attempts == attempt && matches!(task.phase, TaskPhase::Executing { .. });
        if current { Ok(()) } else { Err(Refusal::StaleAttempt) }
    }

    /// The same, and what is left out of the transcript where it was too long for the model.
    pub(super) fn after_attempt(
        &self,
        task: Ordinal,
        attempt: u32,
        status: AttemptStatus,
        failure: &CallFailure,
        moment: &Moment,
    ) -> Vec<Event> {
        let compacted = match (failure.kind, &self.phase) {
            (FailureKind::ContextTooLong, Phase::Running { failing: None }) => {
                self.compaction_after_refusal(task)
            }
            (_, _) => None,
        };
        let Some(compacted) = compacted else {
            return vec![self.after_failure(task, attempt, status, failure, moment)];
        };
        let failure = failure.clone();
        let failed = AttemptFailed { task, attempt, status, failure, next: Next::Repeat };
        vec![failed.into(), compacted.into()]
    }

    /// What a failed attempt leads to: the rules of effect classes, retry and fallback.
    pub(super) fn after_failure(
        &self,
        ordinal: Ordinal,
        attempt: u32,
        status: AttemptStatus,
        failure: &CallFailure,
        moment: &Moment,
    ) -> Event {
        let next = match (self.effect(ordinal), failure.happened) {
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
        let beside_a_failure = self.item(ordinal).is_some_and(|(items, _)| {
            items.is_each() && items.failed > 0 && plan.on_failure == OnFailure::Fail
        });
        if drains || beside_a_failure {
            return None;
        }
        if status == AttemptStatus::Lost && task.lost < LOST_ATTEMPTS_MAX {
            return Some(Next::Repeat);
        }
        // What becomes of a failed call is for its agent to say.
        if task.is_call {
            return None;
        }
        if failure.retryable && task.tries < plan.retry.attempts_max {
            let salt = (u64::from(ordinal.0) << 32) | u64::from(task.attempts);
            let span = pause_before(&plan.retry, task.tries, moment.draw(salt))
                .max(failure.retry_after().unwrap_or_default().min(RETRY_AFTER_MAX));
            return Some(Next::Retry { until: moment.now.plus(span), span });
        }
        if self.has_next_model(ordinal, failure) {
            return Some(Next::Model);
        }
        ((task.rung as usize) < plan.fallback.len()).then_some(Next::Fallback)
    }

    /// Whether an `each` may start this item. One that pauses before its next attempt has its place.
    pub fn item_may_start(&self, ordinal: Ordinal) -> bool {
        if self.waiting.contains(&ordinal) {
            return true;
        }
        let (Some((items, _)), Some(plan)) = (self.item(ordinal), self.task_plan(ordinal)) else {
            return true;
        };
        let each = plan.each.as_ref().filter(|_| items.is_each());
        let most = each.and_then(|each| each.concurrency);
        most.is_none_or(|most| items.running < most)
    }
}

/// What a person is asked before a call is made.
fn approval_question(call: &AskedCall) -> String {
    let with = match &call.input {
        Body::Inline(json) if json.as_str().len() <= ARGUMENTS_SHOWN_MAX => {
            json.as_str().to_owned()
        }
        Body::Inline(_) | Body::Blob { .. } => format!("{} bytes of arguments", call.input.size()),
    };
    format!("Call `{}` with {with}?", call.tool)
}

/// `backoff * 2^(tries-1)`, at most `max`, and of that a random share between a half and all.
fn pause_before(retry: &Retry, tries: u32, random: u128) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    let full = retry.backoff.0.saturating_mul(factor).min(retry.max.0);
    let share = u32::try_from(random % 500).unwrap_or(0) + 500;
    full.saturating_mul(share) / 1000
}
