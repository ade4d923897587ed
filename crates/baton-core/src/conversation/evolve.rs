//! What happened, applied to the state. It refuses nothing: history is what it is.

use super::clarification::Answer;
use super::event::{MessageAdded, Opened, PlanReviewed, ReviewEnd};
use super::state::{ConversationState, Known, Planning, Request};
use crate::ids::WorkflowId;
use crate::time::Timestamp;
use crate::words::{ConversationStatus, PlanningEnd, Speaker};
use crate::workflow::ConversationEvent as Event;

impl ConversationState {
    /// The state a conversation has after its first event.
    pub fn opened(event: &Opened, at: Timestamp) -> Self {
        Self {
            id: event.id,
            title: event.title.clone(),
            originator: event.by.clone(),
            claimant: None,
            escalated: None,
            status: ConversationStatus::Active,
            focus: None,
            project: event.project,
            folder: event.folder.clone(),
            messages: 0,
            request: Request::default(),
            questions: Vec::new(),
            planning: None,
            plannings: 0,
            planned: None,
            unplanned: false,
            proposal: None,
            open: Vec::new(),
            revision: 1,
            created_at: at,
            updated_at: at,
        }
    }

    /// Applies an event after the first.
    pub fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.revision += 1;
        self.updated_at = at;
        match event {
            Event::Opened(_) => {}
            Event::MessageAdded(message) => self.said(message),
            Event::PlanningStarted(started) => {
                self.plannings = started.planning;
                self.planning = Some(Planning { number: started.planning, workflow: None });
                self.unplanned = false;
            }
            Event::PlannerAdmitted(admitted) => {
                if let Some(planning) = &mut self.planning {
                    planning.workflow = Some(admitted.workflow);
                }
            }
            Event::PlanningEnded(ended) => {
                self.planning = None;
                self.planned = Some(ended.end);
                // What was said of a plan meanwhile is for the planning that comes.
                if !self.unplanned {
                    self.request.comments = None;
                }
                self.request.settled = settles(ended.end);
            }
            Event::ClarificationAsked(asked) => {
                self.request.rounds = asked.round;
                self.questions.clone_from(&asked.questions);
            }
            Event::ClarificationAnswered(answered) => {
                answered.answers.iter().for_each(|answer| self.answered(answer));
                self.unplanned = self.questions.is_empty();
            }
            Event::PlanProposed(proposed) => {
                self.proposal = Some(proposed.workflow);
                self.open.push(proposed.workflow);
                // The plan whose place it took had settled the request.
                self.request.settled = false;
            }
            Event::PlanReviewed(reviewed) => self.reviewed_as(reviewed),
            Event::WorkflowLinked(linked) => self.open.push(linked.workflow),
            Event::WorkflowEnded(ended) => {
                self.messages = ended.number;
                self.let_go(ended.workflow);
            }
            Event::ContextShifted(shifted) => self.focus = Some(shifted.focus.clone()),
            Event::Stopped(_) => self.rest(),
            Event::Escalated(escalated) => self.escalated = Some(escalated.reason.clone()),
            Event::Claimed(claimed) => self.claimant = Some(claimed.by.clone()),
            Event::Released(_) => {
                self.claimant = None;
                self.escalated = None;
            }
            Event::Closed(_) => {
                self.rest();
                self.status = ConversationStatus::Closed;
            }
        }
    }

    fn said(&mut self, message: &MessageAdded) {
        self.messages = message.number;
        match message.speaker {
            Speaker::Assistant => {}
            Speaker::User => {
                self.status = ConversationStatus::Active;
                self.unplanned = true;
                // What was asked meanwhile is asked anew, if it still must be known.
                self.questions.clear();
                if message.begins {
                    let text = Some(message.text.clone());
                    self.request = Request { message: message.number, text, ..Request::default() };
                }
            }
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let at = self.questions.iter().position(|question| question.key == answer.key);
        if let Some(at) = at {
            let question = self.questions.remove(at);
            let known = Known { question, given: answer.given.clone() };
            self.request.known.insert(answer.key.clone(), known);
        }
    }

    fn reviewed_as(&mut self, reviewed: &PlanReviewed) {
        self.proposal = None;
        match &reviewed.end {
            ReviewEnd::Approved => self.request.settled = true,
            ReviewEnd::Withdrawn => {
                self.let_go(reviewed.workflow);
                self.request.settled = true;
            }
            ReviewEnd::SentBack { comments } => {
                self.let_go(reviewed.workflow);
                self.request.settled = false;
                self.request.comments = Some(comments.clone());
                self.unplanned = true;
            }
        }
    }

    fn let_go(&mut self, workflow: WorkflowId) {
        self.open.retain(|open| *open != workflow);
    }

    /// Nothing is asked and nothing is to be planned any more.
    fn rest(&mut self) {
        self.questions.clear();
        self.unplanned = false;
        self.request.settled = true;
    }
}

/// Whether a request is over once it was planned so.
fn settles(end: PlanningEnd) -> bool {
    match end {
        PlanningEnd::Answered
        | PlanningEnd::Started
        | PlanningEnd::Escalated
        | PlanningEnd::Failed
        | PlanningEnd::Stopped => true,
        PlanningEnd::Asked | PlanningEnd::Proposed => false,
    }
}
