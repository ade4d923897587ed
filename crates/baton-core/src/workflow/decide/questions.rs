//! Questions of running calls: who may ask, what answers, and when a question is over without one.
//!
//! The attempt that asks is still one: it goes on with the answer, and ends as any other.

use serde_json::Value;

use super::{Decision, one};
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::words::FailureKind;
use crate::workflow::command::Refusal;
use crate::workflow::event::{
    Event, QuestionAnswered, QuestionAsked, QuestionWithdrawn, TaskFailed,
};
use crate::workflow::question::{Answer, QUESTIONS_MAX, Question, Withdrawal};
use crate::workflow::state::{Phase, TaskPhase, Waiting, WorkflowState};

impl WorkflowState {
    /// A call asks one thing at a time. Where the run only ends, nobody is asked any more.
    pub(super) fn ask(&self, task: Ordinal, attempt: u32, question: &Question) -> Decision {
        self.executing_attempt(task, attempt)?;
        let asked = self.task(task).map(|task| task.asked).unwrap_or_default();
        let goes_on = match &self.phase {
            Phase::Running { failing } | Phase::Paused { failing, .. } => failing.is_none(),
            Phase::Draft { .. }
            | Phase::PendingReview
            | Phase::Queued
            | Phase::Cancelling { .. }
            | Phase::Ended(_) => false,
        };
        if !goes_on {
            return Err(Refusal::NotRunning);
        }
        if asked.in_attempt >= QUESTIONS_MAX || self.lease(task).is_some() {
            return Err(Refusal::NotReady);
        }
        let (number, question) = (asked.newest + 1, question.clone());
        let tool = self.called_tool(task).map(|(tool, _)| tool.to_owned());
        Ok(one(QuestionAsked { task, attempt, number, tool, question }))
    }

    pub(super) fn take_back(&self, task: Ordinal, attempt: u32) -> Decision {
        let events = self.end_attempt(task, attempt, Withdrawal::TakenBack)?;
        if events.is_empty() { Err(Refusal::NotWaiting) } else { Ok(events) }
    }

    pub(super) fn answer_question(
        &self,
        task: Ordinal,
        value: &Value,
        number: Option<u32>,
    ) -> Decision {
        let (number, question) = self.open_question(task, number)?;
        let answer = question.answer(value).map_err(|_| Refusal::InvalidAnswer)?;
        Ok(one(self.answered(task, number, answer)))
    }

    /// Who declines what an agent's call asks has it told to the agent; a running call hears it itself.
    pub(super) fn decline(&self, task: Ordinal, number: Option<u32>) -> Decision {
        let is_of_agent = self.asked_call(task).is_some_and(|call| call.asks.is_some());
        let waits = matches!(self.waiting_on(task)?, Waiting::Person { .. });
        if is_of_agent && waits && number.is_none() {
            let message = "the person who was asked declined to answer";
            let failure = CallFailure::refused(FailureKind::Rejected, message);
            return Ok(one(TaskFailed { task, status: None, failure }));
        }
        let (number, _) = self.open_question(task, number)?;
        Ok(one(self.answered(task, number, Answer::Declined)))
    }

    fn answered(&self, task: Ordinal, number: u32, answer: Answer) -> QuestionAnswered {
        let attempt = self.task(task).map_or(0, |task| task.attempts);
        QuestionAnswered { task, attempt, number, answer }
    }

    /// The question a task waits for, which must be the one that is meant: a person who looked at an
    /// earlier one did not answer this.
    fn open_question(
        &self,
        task: Ordinal,
        meant: Option<u32>,
    ) -> Result<(u32, &Question), Refusal> {
        match self.waiting_on(task)? {
            Waiting::Question { number, question }
                if meant.is_none_or(|meant| meant == *number) =>
            {
                Ok((*number, question))
            }
            Waiting::Question { .. }
            | Waiting::Person { .. }
            | Waiting::Timer { .. }
            | Waiting::Event { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Approval { .. }
            | Waiting::Budget { .. }
            | Waiting::Child { .. } => Err(Refusal::NotWaiting),
        }
    }

    /// What the end of an attempt means for the question it may have left open.
    pub(super) fn end_attempt(
        &self,
        ordinal: Ordinal,
        attempt: u32,
        cause: Withdrawal,
    ) -> Decision {
        let task = self.task(ordinal).ok_or(Refusal::NoSuchTask)?;
        match &task.phase {
            TaskPhase::Waiting { on: Waiting::Question { number, .. }, .. }
                if task.attempts == attempt =>
            {
                Ok(one(QuestionWithdrawn { task: ordinal, attempt, number: *number, cause }))
            }
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => {
                self.executing_attempt(ordinal, attempt).map(|()| Vec::new())
            }
        }
    }

    /// A run that ends asks nobody any more; the calls go on without an answer.
    pub(super) fn unasked(&self) -> impl Iterator<Item = Event> + '_ {
        let open = self.waiting().filter_map(|(task, on)| match on {
            Waiting::Question { number, .. } => Some((task, *number)),
            Waiting::Person { .. }
            | Waiting::Timer { .. }
            | Waiting::Event { .. }
            | Waiting::InDoubt { .. }
            | Waiting::Approval { .. }
            | Waiting::Budget { .. }
            | Waiting::Child { .. } => None,
        });
        open.map(|(task, number)| {
            let attempt = self.task(task).map_or(0, |task| task.attempts);
            QuestionWithdrawn { task, attempt, number, cause: Withdrawal::RunEnds }.into()
        })
    }
}
