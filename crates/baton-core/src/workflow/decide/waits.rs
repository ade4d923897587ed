//! What ends a wait: an answer, a verdict, time, an event, a child. Whoever waits for something else
//! is not touched by it.

use serde_json::Value;

use super::{ANSWER_BYTES_MAX, Decision, completed, one};
use crate::body::{Body, Json};
use crate::failure::CallFailure;
use crate::ids::{Ordinal, WorkflowId};
use crate::plan::{Human, Work};
use crate::time::Moment;
use crate::words::{AttemptStatus, FailureKind, HumanKind};
use crate::workflow::command::{Refusal, Verdict};
use crate::workflow::event::{CallUndone, TaskCancelled, TaskFailed};
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
    ) -> Decision {
        let (on, Some(plan)) = (self.waiting_on(ordinal)?, self.task_plan(ordinal)) else {
            return Err(Refusal::NotWaiting);
        };
        if let Waiting::Question { .. } = on {
            return self.answer_question(ordinal, value, question);
        }
        let (Waiting::Person { .. }, None) = (on, question) else {
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

    pub(super) fn elapse(&self, ordinal: Ordinal) -> Decision {
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
            | Waiting::Question { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Child { .. } => Err(Refusal::NotWaiting),
        }
    }

    pub(super) fn deliver(&self, ordinal: Ordinal, event: &Body) -> Decision {
        match self.waiting_on(ordinal)? {
            Waiting::Event { .. } => Ok(one(completed(ordinal, event.clone()))),
            Waiting::Timer { .. }
            | Waiting::Person { .. }
            | Waiting::Question { .. }
            | Waiting::InDoubt { .. }
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
