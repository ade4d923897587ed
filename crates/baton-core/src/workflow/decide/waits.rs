//! What ends a wait: an answer, a verdict, time, an event, a child. Whoever waits for something else
//! is not touched by it.

use serde_json::Value;

use super::{ANSWER_BYTES_MAX, Decision, completed, one};
use crate::body::{BlobHash, Body, Json};
use crate::failure::CallFailure;
use crate::ids::{Ordinal, WorkflowId};
use crate::plan::{Human, Work};
use crate::time::{DAY_MS, Moment, Timestamp};
use crate::words::{AttemptStatus, FailureKind, HumanKind};
use crate::workflow::accounts::{Amount, BudgetScope};
use crate::workflow::command::{Refusal, Verdict};
use crate::workflow::event::{BudgetRaised, CallApproved, CallUndone, TaskCancelled, TaskFailed};
use crate::workflow::question;
use crate::workflow::state::{Outcome, Phase, Resume, TaskPhase, Waiting, WorkflowState};

impl WorkflowState {
    pub(super) fn waiting_on(&self, ordinal: Ordinal) -> Result<&Waiting, Refusal> {
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

    pub(super) fn respond(
        &self,
        ordinal: Ordinal,
        (value, by): (&Value, &str),
        question: Option<u32>,
        moment: &Moment,
    ) -> Decision {
        let (on, Some(plan)) = (self.waiting_on(ordinal)?, self.task_plan(ordinal)) else {
            return Err(Refusal::NotWaiting);
        };
        if let Waiting::Question { .. } = on {
            return self.answer_question(ordinal, value, question);
        }
        if question.is_some() {
            return Err(Refusal::NotWaiting);
        }
        if value.to_string().len() > ANSWER_BYTES_MAX {
            return Err(Refusal::InvalidAnswer);
        }
        let of_agent = self.asked_call(ordinal).and_then(|call| call.asks.as_ref());
        let answered = match (on, &plan.work) {
            (Waiting::Person { .. }, Work::Agent(_)) if let Some(human) = of_agent => {
                reply(human, value, by)?
            }
            // Its time is over also where nobody was there to see it pass.
            (Waiting::Approval { until: Some(until), .. }, _) if moment.now >= *until => {
                return Err(Refusal::NotWaiting);
            }
            (Waiting::Approval { digest, .. }, _) => {
                return self.approve_call(ordinal, *digest, (value, by));
            }
            (Waiting::Budget { scope, more, .. }, _) => {
                return grant(ordinal, (*scope, *more), (value, by));
            }
            (Waiting::Person { .. }, Work::Human(human)) => answer(human, value, by)?,
            // An agent's task that was handed over: its output is checked as the agent's would be.
            (Waiting::Person { .. }, Work::Agent(agent)) => match &agent.output {
                Some(schema) => form(schema, value)?,
                None => Answer::Output(value.clone()),
            },
            (_, _) => return Err(Refusal::NotWaiting),
        };
        match answered {
            Answer::Output(output) => Ok(one(completed(ordinal, Body::Inline(Json::of(&output))))),
            Answer::No(failure) => Ok(one(TaskFailed { task: ordinal, status: None, failure })),
        }
    }

    /// A person's word on one exact call. An approval names the digest it was given for, where it
    /// wants to be sure; a denial is told to the agent.
    fn approve_call(
        &self,
        task: Ordinal,
        digest: BlobHash,
        (value, by): (&Value, &str),
    ) -> Decision {
        let named = value.get("digest").and_then(Value::as_str);
        if named.is_some_and(|named| named != digest.to_string()) {
            return Err(Refusal::InvalidAnswer);
        }
        match approval(value, by)? {
            Answer::Output(_) => Ok(one(CallApproved { task, digest })),
            Answer::No(failure) => Ok(one(TaskFailed { task, status: None, failure })),
        }
    }

    pub(super) fn settle(&self, ordinal: Ordinal, verdict: &Verdict) -> Decision {
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

    pub(super) fn elapse(&self, ordinal: Ordinal, moment: &Moment) -> Decision {
        match self.waiting_on(ordinal)? {
            Waiting::Timer { then: Resume::Complete, .. } => {
                Ok(one(completed(ordinal, Body::null())))
            }
            Waiting::Event { pattern, until: Some(_) } => {
                let message = format!("no event of the type `{pattern}` came in time");
                let failure = CallFailure::refused(FailureKind::NoEvent, message);
                Ok(one(TaskFailed { task: ordinal, status: None, failure }))
            }
            Waiting::Approval { until: Some(_), .. } => {
                let message = "nobody approved the call in time";
                let failure = CallFailure::refused(FailureKind::Rejected, message);
                Ok(one(TaskFailed { task: ordinal, status: None, failure }))
            }
            // A new day has a new budget: nothing must be granted.
            Waiting::Budget {
                scope: scope @ (BudgetScope::User | BudgetScope::Workspace), ..
            } if self.next_day(ordinal).is_some_and(|next| moment.now >= next) => {
                let by = Amount::default();
                Ok(one(BudgetRaised { task: ordinal, scope: *scope, by }))
            }
            Waiting::Timer { then: Resume::Retry, .. }
            | Waiting::Approval { until: None, .. }
            | Waiting::Budget { .. }
            | Waiting::Event { until: None, .. }
            | Waiting::Person { .. }
            | Waiting::Question { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Child { .. } => Err(Refusal::NotWaiting),
        }
    }

    /// When the first day begins (UTC) after that on which a task began to wait.
    pub fn next_day(&self, ordinal: Ordinal) -> Option<Timestamp> {
        match self.task(ordinal)?.phase {
            TaskPhase::Waiting { since, .. } => {
                Some(Timestamp::from_millis(since.day().saturating_add(1).saturating_mul(DAY_MS)))
            }
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => None,
        }
    }

    pub(super) fn deliver(&self, ordinal: Ordinal, event: &Body) -> Decision {
        match self.waiting_on(ordinal)? {
            Waiting::Event { .. } => Ok(one(completed(ordinal, event.clone()))),
            Waiting::Timer { .. }
            | Waiting::Person { .. }
            | Waiting::Question { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Approval { .. }
            | Waiting::Budget { .. }
            | Waiting::Child { .. } => Err(Refusal::NotWaiting),
        }
    }

    pub(super) fn child_ended(
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
            | Waiting::Question { .. }
            | Waiting::Event { .. }
            | Waiting::Approval { .. }
            | Waiting::Budget { .. }
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
}

/// A person grants more, as much again or as much as they say, or does not.
fn grant(
    task: Ordinal,
    (scope, more): (BudgetScope, Amount),
    (value, by): (&Value, &str),
) -> Decision {
    let by_amount: Option<Amount> = match value {
        Value::Object(fields) if !fields.contains_key("approved") => {
            let amount = serde_json::from_value(value.clone());
            Some(amount.map_err(|_| Refusal::InvalidAnswer)?)
        }
        Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_) => None,
    };
    if let Some(by) = by_amount {
        let is_nothing = by == Amount::default();
        let raised = BudgetRaised { task, scope, by };
        return if is_nothing { Err(Refusal::InvalidAnswer) } else { Ok(one(raised)) };
    }
    match approval(value, by)? {
        Answer::Output(_) => Ok(one(BudgetRaised { task, scope, by: more })),
        Answer::No(refused) => {
            let failure = CallFailure { kind: FailureKind::Budget, ..refused };
            Ok(one(TaskFailed { task, status: None, failure }))
        }
    }
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
            form(schema, value)
        }
    }
}

/// What a person says to what an agent asks. A no is none of the answers, and is told as one.
fn reply(human: &Human, value: &Value, by: &str) -> Result<Answer, Refusal> {
    match question::answered(human, value) {
        Ok(answer) => Ok(Answer::Output(answer)),
        Err(_) if question::is_rejection(value) => approval(value, by),
        Err(_) => Err(Refusal::InvalidAnswer),
    }
}

fn form(schema: &Value, value: &Value) -> Result<Answer, Refusal> {
    let valid = jsonschema::validator_for(schema).is_ok_and(|validator| validator.is_valid(value));
    if valid { Ok(Answer::Output(value.clone())) } else { Err(Refusal::InvalidAnswer) }
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
