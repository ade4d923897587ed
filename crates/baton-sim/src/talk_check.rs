//! What must hold of conversations after every commit and turn, judged from the store alone and from the
//! owner's memory.

use std::collections::BTreeSet;

use baton_core::codes::Code;
use baton_core::conversation::ConversationState;
use baton_core::conversation::rows::conversation_row;
use baton_core::ids::WorkflowId;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::{ConversationEvent, Event, WorkflowState};
use baton_engine::engine::Engine;
use baton_engine::exchange::Input;
use baton_engine::live::read_event;
use baton_engine::store::{Commit, Record, Store};
use baton_engine::talks::fold_conversation;

use crate::check::unread;
use crate::ledger::{Violation, violation};
use crate::reading;
use crate::world::{Happening, World};

/// What happened in a conversation, oldest first.
pub fn events(records: &[Record]) -> Result<Vec<ConversationEvent>, Violation> {
    let mut events = Vec::new();
    for record in records {
        let event = read_event(record).map_err(unread)?;
        let Event::Conversation(event) = event else {
            return violation(format!("{event:?} is none of a conversation"));
        };
        events.push(event);
    }
    Ok(events)
}

/// The workflows whose agents planned.
fn planners(events: &[ConversationEvent]) -> BTreeSet<WorkflowId> {
    let planner = |event: &ConversationEvent| {
        let ConversationEvent::PlannerAdmitted(admitted) = event else {
            return None;
        };
        Some(admitted.workflow)
    };
    events.iter().filter_map(planner).collect()
}

/// Messages and plannings are numbered without a hole, each planning ends once, and each plan is
/// proposed once.
fn each_once(events: &[ConversationEvent]) -> Result<(), Violation> {
    let (mut messages, mut plannings, mut current) = (0, 0, None);
    let mut proposed = BTreeSet::new();
    for event in events {
        let is_next = if let ConversationEvent::MessageAdded(message) = event {
            messages += 1;
            message.number == messages
        } else if let ConversationEvent::WorkflowEnded(ended) = event {
            messages += 1;
            ended.number == messages
        } else if let ConversationEvent::PlanningStarted(started) = event {
            plannings += 1;
            current.replace(plannings).is_none() && started.planning == plannings
        } else if let ConversationEvent::PlanningEnded(ended) = event {
            current.take() == Some(ended.planning)
        } else if let ConversationEvent::PlanProposed(plan) = event {
            proposed.insert(plan.workflow)
        } else {
            true
        };
        if !is_next {
            return violation(format!("{event:?} comes twice, or leaves a hole"));
        }
    }
    Ok(())
}

/// CH3: within a request nothing that is known is asked, and no key twice in a round.
fn nothing_is_asked_twice(events: &[ConversationEvent]) -> Result<(), Violation> {
    let mut known = BTreeSet::new();
    for event in events {
        if let ConversationEvent::MessageAdded(message) = event {
            if message.begins {
                known.clear();
            }
        } else if let ConversationEvent::ClarificationAsked(asked) = event {
            let mut keys = known.clone();
            let again = asked.questions.iter().find(|question| !keys.insert(question.key.clone()));
            if let Some(question) = again {
                return violation(format!("ch3: {} is asked again", question.key));
            }
        } else if let ConversationEvent::ClarificationAnswered(answered) = event {
            let again = answered.answers.iter().find(|answer| !known.insert(answer.key.clone()));
            if let Some(answer) = again {
                return violation(format!("ch3: {} was answered twice", answer.key));
            }
        }
    }
    Ok(())
}

impl World {
    /// What must hold of conversations after each commit.
    pub(crate) fn judge_talks(
        &mut self,
        commit: &Commit,
        states: &[(u64, WorkflowState)],
    ) -> Result<(), Violation> {
        for row in &commit.conversations {
            self.judge_talk(row.number)?;
        }
        for (number, state) in states {
            if let Some(talk) = state.reports_to {
                self.is_told(talk, (*number, state), commit)?;
            }
        }
        Ok(())
    }

    /// The row and the owner's memory are the fold, and history is sound.
    pub(crate) fn judge_talk(&mut self, number: u64) -> Result<(), Violation> {
        let (state, events) = self.folded_talk(number)?;
        each_once(&events)?;
        nothing_is_asked_twice(&events)?;
        let known = |key| state.request.known.contains_key(key);
        if let Some(question) = state.questions.iter().find(|question| known(&question.key)) {
            return violation(format!("ch3: {question:?} is known"));
        }
        let owner = self.owner.as_ref();
        let memory = owner.and_then(|owner| in_memory(&owner.engine, number));
        if memory.is_some_and(|memory| *memory != state) {
            return violation(format!("in memory {memory:?}\nin the journal {state:?}"));
        }
        for workflow in &state.open {
            let status = reading::status(&self.store, *workflow);
            if status.is_none_or(WorkflowStatus::is_terminal) {
                return violation(format!("{workflow} is open, and is {status:?}"));
            }
        }
        let reviewed = state.proposal.and_then(|plan| reading::status(&self.store, plan));
        if reviewed.is_some_and(|status| status != WorkflowStatus::PendingReview) {
            return violation(format!("the plan to be reviewed is {reviewed:?}"));
        }
        Ok(())
    }

    fn folded_talk(
        &mut self,
        number: u64,
    ) -> Result<(ConversationState, Vec<ConversationEvent>), Violation> {
        let records = self.store.stream(number).map_err(unread)?;
        let mut previous = 0;
        for (record, version) in records.iter().zip(1..) {
            if record.version != version || record.previous != previous {
                return violation(format!("{record:?} is not version {version} after {previous}"));
            }
            previous = record.position;
        }
        let Some((state, head)) = fold_conversation(&records).map_err(unread)? else {
            return violation(format!("{number} is no conversation"));
        };
        let row = conversation_row(&state, number, head);
        let stored =
            reading::conversations(&self.store).into_iter().find(|row| row.number == number);
        if stored.as_ref() != Some(&row) {
            return violation(format!("the row is {stored:?}, the journal says {row:?}"));
        }
        Ok((state, events(&records)?))
    }

    /// A conversation knows which of its workflows have not ended, and hears of an end in its commit.
    fn is_told(
        &mut self,
        talk: u64,
        (number, state): (u64, &WorkflowState),
        commit: &Commit,
    ) -> Result<(), Violation> {
        let (conversation, events) = self.folded_talk(talk)?;
        let (is_open, has_ended) = (conversation.open.contains(&state.id), state.ended().is_some());
        if planners(&events).contains(&state.id) {
            return Ok(());
        }
        if is_open == has_ended {
            let what = format!("{} of conversation {talk}, {}", state.id, state.status());
            return violation(format!("{what}: open are {:?}", conversation.open));
        }
        let mut ends = false;
        let mut told = Vec::new();
        for record in &commit.records {
            let event = read_event(record).map_err(unread)?;
            ends |= record.stream == number && matches!(event, Event::Finished(_));
            if record.stream == talk
                && let Event::Conversation(event) = event
            {
                told.push(event);
            }
        }
        let names = |event: &ConversationEvent| {
            matches!(event, ConversationEvent::WorkflowEnded(it) if it.workflow == state.id)
                || matches!(event, ConversationEvent::PlanReviewed(it) if it.workflow == state.id)
        };
        if ends && has_ended && !told.iter().any(names) {
            return violation(format!("conversation {talk} was not told that {} ended", state.id));
        }
        Ok(())
    }

    /// Between two turns nobody waits for a planner that was never asked, and all for which something is
    /// to be done is in memory. An owner that leaves leaves it to the next.
    pub(crate) fn every_planning_has_its_planner(&mut self) -> Result<(), Violation> {
        let busy = self.store.busy_conversations().map_err(unread)?;
        let Some(owner) = self.owner.as_ref().filter(|_| !self.draining) else {
            return Ok(());
        };
        let lost = busy.iter().find(|number| in_memory(&owner.engine, **number).is_none());
        if let Some(number) = lost {
            return violation(format!("conversation {number} is busy, and not in memory"));
        }
        for (number, state) in owner.engine.conversations() {
            if state.wants_planning() {
                return violation(format!("nobody plans for conversation {number}"));
            }
            let Some(planning) = state.planning else {
                continue;
            };
            let is_its = |input: &Input| {
                matches!(input, Input::Planned { number: of, planning: which, .. }
                    if *of == number && *which == planning.number)
            };
            let arrives = |happening: &Happening| matches!(happening, Happening::Arrives(input) if is_its(input));
            let thinks = self.inbox.iter().any(is_its) || self.agenda.values().any(arrives);
            let runs = |state: &WorkflowState| {
                Some(state.id) == planning.workflow && state.ended().is_none()
            };
            if !thinks && !owner.engine.states().any(|(_, state)| runs(state)) {
                return violation(format!("{planning:?} of conversation {number} waits for ever"));
            }
        }
        Ok(())
    }
}

fn in_memory(engine: &Engine, number: u64) -> Option<&ConversationState> {
    engine.conversations().find(|(other, _)| *other == number).map(|(_, state)| state)
}
