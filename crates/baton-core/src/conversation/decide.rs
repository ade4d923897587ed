//! Every rule of a conversation: a command against the state, giving events or a refusal.

use super::clarification::{Answer, Clarification, Given};
use super::command::{Caller, Command, Decision, Refusal, Step};
use super::event::{
    Claimed, ClarificationAnswered, ClarificationAsked, Closed, ContextShifted, Escalated,
    MessageAdded, PlanProposed, PlanReviewed, PlannerAdmitted, PlanningEnded, PlanningStarted,
    Released, ReviewEnd, Stopped, WorkflowEnded, WorkflowLinked,
};
use super::state::{ConversationState, MESSAGE_BYTES_MAX, OPEN_MAX, ROUNDS_MAX};
use crate::body::{Body, Json};
use crate::ids::WorkflowId;
use crate::words::{ActorKind, ConversationStatus, PlanningEnd, Role, Speaker};
use crate::workflow::ConversationEvent as Event;

type Decided = Result<Vec<Event>, Refusal>;

/// Said where a planner asks again and again.
const ASKS_FOR_EVER: &str = "I have asked as often as I may and still cannot make a plan of it. \
                             Please say it in other words, or name the workflow to run.";
/// Said where a plan would be one too many.
const TOO_MUCH_RUNS: &str = "I have a plan, but as many workflows as may run for one conversation \
                             have not ended. Say it again once some have, or begin another \
                             conversation.";

impl ConversationState {
    /// What a command leads to.
    pub fn decide(&self, command: &Command, caller: &Caller) -> Decided {
        match command {
            Command::Say { text } => {
                self.writable(caller)?;
                self.say(text)
            }
            Command::Answer { answers } => {
                self.writable(caller)?;
                self.answer(answers)
            }
            Command::Shift { focus } => {
                self.writable(caller)?;
                Ok(vec![ContextShifted { focus: focus.clone() }.into()])
            }
            Command::Stop => {
                self.writable(caller)?;
                self.stop()
            }
            Command::Escalate { reason } => {
                self.writable(caller)?;
                Ok(self.escalate(reason))
            }
            Command::Close => {
                self.writable(caller)?;
                self.close()
            }
            Command::Claim => self.claim(caller),
            Command::Release => self.release(caller),
            Command::Advance => Ok(self.advance()),
            Command::Planned { planning, decision } => self.planned(*planning, decision),
            Command::AdmitPlanner { planning, workflow } => {
                self.is_planning(*planning)?;
                let (planning, workflow) = (*planning, *workflow);
                Ok(vec![PlannerAdmitted { planning, workflow }.into()])
            }
            Command::Reviewed { workflow, end } => self.reviewed(*workflow, end),
            Command::Link { workflow } => {
                self.writable(caller)?;
                self.link(*workflow, caller)
            }
            Command::WorkflowEnded { workflow, status, closing } => {
                if self.proposal == Some(*workflow) {
                    return self.reviewed(*workflow, &ReviewEnd::Withdrawn);
                }
                if !self.open.contains(workflow) {
                    return Err(Refusal::NotProposed);
                }
                let (workflow, status, closing) = (*workflow, *status, closing.clone());
                let number = self.messages + 1;
                Ok(vec![WorkflowEnded { workflow, status, number, closing }.into()])
            }
        }
    }

    /// Who may write: by this one rule, in this one place. Baton itself always may.
    fn writable(&self, caller: &Caller) -> Result<(), Refusal> {
        if caller.actor.kind == ActorKind::System || self.may_write(&caller.actor) {
            return Ok(());
        }
        let writers = [Some(&self.originator), self.claimant.as_ref()];
        Err(Refusal::NotYours { writers: writers.into_iter().flatten().cloned().collect() })
    }

    fn say(&self, text: &Body) -> Decided {
        if matches!(text, Body::Inline(json) if json.value().as_str().is_none_or(|text| text.trim().is_empty()))
        {
            return Err(Refusal::Empty);
        }
        if matches!(text, Body::Blob { size, .. } if *size > MESSAGE_BYTES_MAX) {
            return Err(Refusal::TooLong { bytes_max: MESSAGE_BYTES_MAX });
        }
        let begins = self.request.message == 0 || self.request.settled;
        Ok(vec![self.message(Speaker::User, text, begins)])
    }

    fn message(&self, speaker: Speaker, text: &Body, begins: bool) -> Event {
        MessageAdded { number: self.messages + 1, speaker, text: text.clone(), begins }.into()
    }

    fn answer(&self, answers: &[Answer]) -> Decided {
        let mut seen = Vec::new();
        for Answer { key, given } in answers {
            let question = self.questions.iter().find(|question| question.key == *key);
            let Some(question) = question.filter(|_| !seen.contains(&key)) else {
                let asked = self.questions.iter().map(|question| question.key.clone()).collect();
                return Err(Refusal::NoSuchQuestion { key: key.clone(), asked });
            };
            seen.push(key);
            if let Given::Value(value) = given {
                let fault = |fault: super::ClarificationFault| fault.to_string();
                let check = question.check(value).map_err(fault);
                check.map_err(|detail| Refusal::InvalidAnswer { detail })?;
            }
        }
        if answers.is_empty() {
            return Err(Refusal::Empty);
        }
        Ok(vec![ClarificationAnswered { answers: answers.to_vec() }.into()])
    }

    fn stop(&self) -> Decided {
        let is_idle = self.planning.is_none() && self.open.is_empty() && self.questions.is_empty();
        // What was said to an owner that leaves is still to be planned.
        if is_idle && !self.unplanned {
            return Err(Refusal::NothingToStop);
        }
        Ok(self.end_planning(PlanningEnd::Stopped).chain([Stopped {}.into()]).collect())
    }

    fn escalate(&self, reason: &str) -> Vec<Event> {
        let end = self.end_planning(PlanningEnd::Escalated);
        end.chain([Escalated { reason: reason.to_owned() }.into()]).collect()
    }

    fn close(&self) -> Decided {
        if self.status == ConversationStatus::Closed {
            return Err(Refusal::AlreadyClosed);
        }
        Ok(self.end_planning(PlanningEnd::Stopped).chain([Closed {}.into()]).collect())
    }

    fn end_planning(&self, end: PlanningEnd) -> impl Iterator<Item = Event> {
        let planning = self.planning.map(|planning| planning.number);
        planning.into_iter().map(move |planning| PlanningEnded { planning, end }.into())
    }

    fn claim(&self, caller: &Caller) -> Decided {
        match caller.role {
            Role::Admin | Role::Operator => {}
            Role::Viewer | Role::Worker => return Err(Refusal::NotAllowed),
        }
        match &self.claimant {
            Some(by) if *by == caller.actor => Ok(Vec::new()),
            Some(by) => Err(Refusal::AlreadyClaimed { by: by.clone() }),
            None => Ok(vec![Claimed { by: caller.actor.clone() }.into()]),
        }
    }

    fn release(&self, caller: &Caller) -> Decided {
        match &self.claimant {
            None => Err(Refusal::NotClaimed),
            Some(by) if *by == caller.actor || caller.role == Role::Admin => {
                Ok(vec![Released {}.into()])
            }
            Some(by) => Err(Refusal::AlreadyClaimed { by: by.clone() }),
        }
    }

    fn advance(&self) -> Vec<Event> {
        let next = self.wants_planning().then_some(self.plannings + 1);
        next.into_iter().map(|planning| PlanningStarted { planning }.into()).collect()
    }

    fn is_planning(&self, number: u32) -> Result<(), Refusal> {
        match self.planning {
            Some(planning) if planning.number == number => Ok(()),
            Some(_) | None => Err(Refusal::StalePlanning),
        }
    }

    fn planned(&self, planning: u32, decision: &Decision) -> Decided {
        self.is_planning(planning)?;
        let Decision { text, focus, step } = decision;
        let shifted = focus.iter().filter(|focus| self.focus.as_ref() != Some(*focus));
        let shifted = shifted.map(|focus| ContextShifted { focus: focus.clone() }.into());
        let said = text.iter().map(|text| self.message(Speaker::Assistant, text, false));
        let mut events: Vec<Event> = shifted.chain(said).collect();
        let mut ended = |end| events.push(PlanningEnded { planning, end }.into());
        match step {
            Step::Answer => ended(PlanningEnd::Answered),
            Step::Fail => ended(PlanningEnd::Failed),
            Step::Ask(questions) => {
                let questions = self.unknown(questions);
                if questions.is_empty() || self.request.rounds >= ROUNDS_MAX {
                    return Ok(self.gives_up(planning, ASKS_FOR_EVER));
                }
                ended(PlanningEnd::Asked);
                let round = self.request.rounds + 1;
                events.push(ClarificationAsked { round, questions }.into());
            }
            Step::Propose { .. } | Step::Start { .. } if self.is_full() => {
                return Ok(self.gives_up(planning, TOO_MUCH_RUNS));
            }
            Step::Propose { workflow, assumptions, will_not } => {
                ended(PlanningEnd::Proposed);
                let earlier = self.proposal.into_iter();
                events.extend(
                    earlier.map(|workflow| {
                        PlanReviewed { workflow, end: ReviewEnd::Withdrawn }.into()
                    }),
                );
                let (assumptions, will_not) = (assumptions.clone(), will_not.clone());
                let workflow = *workflow;
                events.push(PlanProposed { workflow, assumptions, will_not }.into());
            }
            Step::Start { workflow } => {
                ended(PlanningEnd::Started);
                events.push(WorkflowLinked { workflow: *workflow }.into());
            }
            Step::Escalate { reason } => {
                ended(PlanningEnd::Escalated);
                events.push(Escalated { reason: reason.clone() }.into());
            }
        }
        Ok(events)
    }

    /// A workflow runs for it. One that runs again had its place before, and is not refused.
    fn link(&self, workflow: WorkflowId, caller: &Caller) -> Decided {
        if self.open.contains(&workflow) {
            return Ok(Vec::new());
        }
        if caller.actor.kind != ActorKind::System && self.open.len() >= OPEN_MAX {
            return Err(Refusal::TooManyOpen { open_max: OPEN_MAX });
        }
        Ok(vec![WorkflowLinked { workflow }.into()])
    }

    /// Whether no plan more may run or wait, but in the place of the one that waits for its review.
    fn is_full(&self) -> bool {
        self.open.len() - usize::from(self.proposal.is_some()) >= OPEN_MAX
    }

    /// The questions of which no answer is known, each key once: nothing is asked twice. A default of
    /// `null` is none, as which it is read back.
    fn unknown(&self, questions: &[Clarification]) -> Vec<Clarification> {
        let mut new: Vec<Clarification> = Vec::new();
        for question in questions {
            let is_asked = new.iter().any(|other| other.key == question.key);
            if !is_asked && !self.request.known.contains_key(&question.key) {
                let default = question.default.clone().filter(|default| !default.is_null());
                new.push(Clarification { default, ..question.clone() });
            }
        }
        new
    }

    /// What is said where nothing can come of what a planner brings.
    fn gives_up(&self, planning: u32, text: &str) -> Vec<Event> {
        let text = Body::Inline(Json::of(&serde_json::Value::String(text.to_owned())));
        let end = PlanningEnded { planning, end: PlanningEnd::Failed };
        vec![self.message(Speaker::Assistant, &text, false), end.into()]
    }

    fn reviewed(&self, workflow: WorkflowId, end: &ReviewEnd) -> Decided {
        if self.proposal != Some(workflow) {
            return Err(Refusal::NotProposed);
        }
        Ok(vec![PlanReviewed { workflow, end: end.clone() }.into()])
    }
}
