//! Conversations in their owner's memory: what is asked of them, what follows from their events, and
//! what they are told of the workflows that run for them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::conversation::rows::{ConversationRow, conversation_row};
use baton_core::conversation::{
    Caller, Closing, Command, ConversationState, Decision, Opened, Planning, ReviewEnd, Step,
    TITLE_CHARS_MAX,
};
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::words::{Origin, Role, WorkflowStatus};
use baton_core::workflow::{Admitted, Command as Order, ConversationEvent, Event, Phase};

use crate::conversing::{Decided, Heard, Next, Opening, PlanJob, Proposal, Thought, Word, spoken};
use crate::engine::{Admission, Engine};
use crate::exchange::{Declined, Effect, Reply, Split};
use crate::live::{Live, read_event};
use crate::loaded::Loaded;
use crate::request::Answer;
use crate::staging::Place;
use crate::store::{Record, Store, StoreError};

/// So many conversations at which nothing is being done stay in memory.
const RESTING_MAX: usize = 256;
/// Among workflows, those of conversations are neither urgent nor not.
const PRIORITY: u8 = 5;

/// A conversation in its owner's memory.
#[derive(Debug)]
pub(crate) struct Talk {
    pub state: ConversationState,
    /// The position of its newest event.
    pub head: u64,
    /// Whether a planner was asked that has not said anything yet: what comes unasked is not taken.
    pub thinks: bool,
}

/// What a conversation is told of one of its workflows.
#[derive(Clone, Debug)]
enum News {
    /// The review of its plan is over.
    Reviewed(ReviewEnd),
    /// It runs again.
    RunsAgain,
    /// Its run has ended.
    Ended,
}

/// Every conversation in memory, and what they are still to be told in this turn.
#[derive(Debug, Default)]
pub(crate) struct Talks {
    by_number: HashMap<u64, Talk>,
    numbers: HashMap<ConversationId, u64>,
    changed: Vec<u64>,
    /// By the numbers of workflows, which stay in memory as long as there is something to tell.
    news: VecDeque<(u64, News)>,
}

impl Talks {
    /// The rows of what has changed in this turn.
    pub fn rows(&mut self) -> Vec<ConversationRow> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        let row = |number: &u64| {
            let talk = self.by_number.get(number)?;
            Some(conversation_row(&talk.state, *number, talk.head))
        };
        let rows = changed.iter().filter_map(row).collect();
        if self.by_number.len() > RESTING_MAX {
            self.by_number.retain(|_, talk| talk.state.is_busy());
            let kept = &self.by_number;
            self.numbers.retain(|_, number| kept.contains_key(number));
        }
        rows
    }

    fn insert(&mut self, number: u64, talk: Talk) {
        self.numbers.insert(talk.state.id, number);
        self.by_number.insert(number, talk);
    }
}

/// Folds the stream of a conversation; `None` where it is not one.
pub fn fold_conversation(
    records: &[Record],
) -> Result<Option<(ConversationState, u64)>, StoreError> {
    let Some((first, rest)) = records.split_first() else {
        return Ok(None);
    };
    let Event::Conversation(ConversationEvent::Opened(opened)) = read_event(first)? else {
        return Ok(None);
    };
    let mut state = ConversationState::opened(&opened, first.at);
    let mut head = first.position;
    for record in rest {
        let Event::Conversation(event) = read_event(record)? else {
            let place = format!("the event at position {}", record.position);
            return Err(StoreError::Corrupt(format!("{place} is none of a conversation")));
        };
        state.evolve(&event, record.at);
        head = record.position;
    }
    Ok(Some((state, head)))
}

impl Engine {
    /// Every conversation in memory, by the number of its stream, for checks against the journal.
    pub fn conversations(&self) -> impl Iterator<Item = (u64, &ConversationState)> + Clone + '_ {
        self.talks.by_number.iter().map(|(number, talk)| (*number, &talk.state))
    }

    /// Opens a conversation.
    pub(crate) fn open_talk(
        &mut self,
        opening: Opening,
        caller: &Caller,
        store: &mut dyn Store,
    ) -> Answer {
        if self.draining {
            return Err(Declined::Draining);
        }
        let Opening { id, title, project, folder, message } = opening;
        let id = id.unwrap_or_else(|| self.new_conversation());
        let unread = |e: StoreError| Declined::Store(e.to_string());
        if self.talks.numbers.contains_key(&id)
            || store.conversation_number(id).map_err(unread)?.is_some()
        {
            return Err(Declined::ConversationExists(id));
        }
        let title = title.trim().chars().take(TITLE_CHARS_MAX).collect();
        let opened = Opened { id, by: caller.actor.clone(), title, project, folder };
        let now = self.now.moment.now;
        let state = ConversationState::opened(&opened, now);
        let first = message.map(|text| Word::Say { text }.obeyed().command());
        if let Some((command, _)) = &first {
            // Refused before anything is written: there would be a conversation without it.
            state.decide(command, caller).map_err(Declined::Conversation)?;
        }
        let (number, actor) = (self.staging.open_stream(), self.actor(&caller.actor));
        let event = Event::Conversation(opened.into());
        let place = Place { stream: number, version: 1, previous: 0 };
        let head = self.staging.append(place, &event, 0, actor, now);
        self.talks.insert(number, Talk { state, head, thinks: false });
        self.talks.changed.push(number);
        if let Some((command, blob)) = first {
            self.staging.offer(blob);
            self.apply_to_talk(number, &command, caller).map_err(Declined::Conversation)?;
        }
        self.settle(store);
        self.talk_reply(number)
    }

    /// Decides what somebody asks of a conversation.
    pub(crate) fn converse(
        &mut self,
        id: ConversationId,
        word: Word,
        caller: &Caller,
        store: &mut dyn Store,
    ) -> Answer {
        let number = self.find_talk(id, store)?.ok_or(Declined::NoSuchConversation(id))?;
        let (command, blob) = word.obeyed().command();
        self.staging.offer(blob);
        self.apply_to_talk(number, &command, caller).map_err(Declined::Conversation)?;
        self.settle(store);
        self.talk_reply(number)
    }

    /// Takes a conversation up, and everything that runs for it.
    pub(crate) fn attend(&mut self, id: ConversationId, store: &mut dyn Store) -> Answer {
        let number = self.find_talk(id, store)?.ok_or(Declined::NoSuchConversation(id))?;
        let talk = self.talks.by_number.get(&number);
        let open = talk.map(|talk| talk.state.open.clone()).unwrap_or_default();
        for workflow in open {
            self.find(workflow, store)?;
        }
        self.settle(store);
        self.talk_reply(number)
    }

    /// The number of a conversation, brought into memory if it is not there; `None` where it has no
    /// stream.
    pub(crate) fn find_talk(
        &mut self,
        id: ConversationId,
        store: &mut dyn Store,
    ) -> Result<Option<u64>, Declined> {
        if let Some(number) = self.talks.numbers.get(&id) {
            return Ok(Some(*number));
        }
        let unread = |e: StoreError| Declined::Store(e.to_string());
        let Some(number) = store.conversation_number(id).map_err(unread)? else {
            return Ok(None);
        };
        self.bring_back(number, store).map_err(unread)?;
        Ok(Some(number))
    }

    /// Brings back every conversation for which something is to be done.
    pub(crate) fn take_up_talks(&mut self, store: &mut dyn Store) -> Result<(), StoreError> {
        for number in store.busy_conversations()? {
            self.bring_back(number, store)?;
        }
        Ok(())
    }

    /// Brings a conversation into memory whole: one that is half taken up would wait for what never
    /// comes.
    fn bring_back(&mut self, number: u64, store: &mut dyn Store) -> Result<(), StoreError> {
        if self.talks.by_number.contains_key(&number) {
            return Ok(());
        }
        self.load_talk(number, store)?;
        self.take_talk_up(number, store).inspect_err(|fault| self.fault(fault.clone()))
    }

    fn load_talk(&mut self, number: u64, store: &mut dyn Store) -> Result<(), StoreError> {
        let Some((state, head)) = fold_conversation(&store.stream(number)?)? else {
            let lost = format!("the stream {number} does not begin with a conversation");
            return Err(StoreError::Corrupt(lost));
        };
        self.talks.insert(number, Talk { state, head, thinks: false });
        Ok(())
    }

    /// Asks its planner again, whose answer was lost with the owner before.
    fn take_talk_up(&mut self, number: u64, store: &mut dyn Store) -> Result<(), StoreError> {
        let planning = self.talks.by_number.get(&number).and_then(|talk| talk.state.planning);
        match planning {
            None => self.advance_talk(number),
            Some(Planning { workflow: None, .. }) => self.ask_planner(number, None),
            Some(Planning { workflow: Some(workflow), .. }) => {
                let found = match self.find(workflow, store) {
                    Ok(found) => found,
                    Err(Declined::Store(detail)) => return Err(StoreError::Unavailable(detail)),
                    // Purged: what it brought is gone, so it is planned anew.
                    Err(_) => {
                        self.ask_planner(number, None);
                        return Ok(());
                    }
                };
                self.planner_ended(number, found);
            }
        }
        Ok(())
    }

    fn talk_reply(&self, number: u64) -> Answer {
        let talk = self.talks.by_number.get(&number);
        let state =
            &talk.ok_or_else(|| Declined::Store("a conversation is gone".to_owned()))?.state;
        let (id, revision, message) = (state.id, state.revision, state.messages);
        let position = self.staging.head().position;
        Ok(Reply::Conversation { id, number, revision, message, position })
    }

    /// Decides a command of a conversation and stages what follows from it.
    pub(crate) fn apply_to_talk(
        &mut self,
        number: u64,
        command: &Command,
        caller: &Caller,
    ) -> Result<(), baton_core::conversation::Refusal> {
        let Some(talk) = self.talks.by_number.get(&number) else {
            return Ok(());
        };
        let events = talk.state.decide(command, caller)?;
        let actor = self.actor(&caller.actor);
        for event in events {
            self.record_of_talk(number, event, actor);
        }
        self.advance_talk(number);
        Ok(())
    }

    /// What follows by itself. An owner that drains leaves it to the next.
    fn advance_talk(&mut self, number: u64) {
        if self.draining {
            return;
        }
        let (Some(talk), caller) = (self.talks.by_number.get(&number), system()) else {
            return;
        };
        let events = talk.state.decide(&Command::Advance, &caller).unwrap_or_default();
        let actor = self.actor(&caller.actor);
        for event in events {
            self.record_of_talk(number, event, actor);
        }
    }

    fn record_of_talk(&mut self, number: u64, event: ConversationEvent, actor: u32) {
        let Some(talk) = self.talks.by_number.get_mut(&number) else {
            return;
        };
        let now = self.now.moment.now;
        let planner = talk.state.planning.and_then(|planning| planning.workflow);
        let open = talk.state.open.clone();
        talk.state.evolve(&event, now);
        let place = Place { stream: number, version: talk.state.revision, previous: talk.head };
        let event = Event::Conversation(event);
        talk.head = self.staging.append(place, &event, 0, actor, now);
        self.talks.changed.push(number);
        let Event::Conversation(event) = event else {
            return;
        };
        match &event {
            ConversationEvent::PlanningStarted(_) => self.ask_planner(number, None),
            ConversationEvent::PlannerAdmitted(_) => self.hush(number),
            ConversationEvent::PlanningEnded(_) => {
                self.hush(number);
                // Where it plans still, or somebody had it run again.
                let planner = planner.filter(|workflow| self.ids.contains_key(workflow));
                planner
                    .into_iter()
                    .for_each(|workflow| self.call_off(workflow, "it plans no more"));
            }
            ConversationEvent::Stopped(_) => {
                open.into_iter()
                    .for_each(|workflow| self.call_off(workflow, "its conversation was stopped"));
            }
            ConversationEvent::PlanReviewed(reviewed) => match &reviewed.end {
                ReviewEnd::Approved => {}
                ReviewEnd::SentBack { .. } => self.call_off(reviewed.workflow, "it was sent back"),
                ReviewEnd::Withdrawn => {
                    self.call_off(reviewed.workflow, "another plan took its place");
                }
            },
            ConversationEvent::Opened(_)
            | ConversationEvent::MessageAdded(_)
            | ConversationEvent::ClarificationAsked(_)
            | ConversationEvent::ClarificationAnswered(_)
            | ConversationEvent::PlanProposed(_)
            | ConversationEvent::WorkflowLinked(_)
            | ConversationEvent::WorkflowEnded(_)
            | ConversationEvent::ContextShifted(_)
            | ConversationEvent::Escalated(_)
            | ConversationEvent::Claimed(_)
            | ConversationEvent::Released(_)
            | ConversationEvent::Closed(_) => {}
        }
    }

    /// Cancels a workflow; one that has ended stays as it is.
    fn call_off(&mut self, workflow: WorkflowId, reason: &str) {
        self.called_off.push_back((workflow, reason.to_owned()));
    }

    /// Tells conversations what has happened to their workflows; whether there was anything.
    pub(crate) fn tell_talks(&mut self, store: &mut dyn Store) -> bool {
        if let Some((number, news)) = self.talks.news.pop_front() {
            self.hear(number, news, store).unwrap_or_else(|fault| self.fault(fault));
            return true;
        }
        let Some((workflow, reason)) = self.called_off.pop_front() else {
            return false;
        };
        match self.find(workflow, store) {
            Ok(number) => {
                // Refused where it has ended.
                let _ = self.apply_own(number, &Order::Cancel { reason: Some(reason) });
            }
            // What was to be stopped must not run on.
            Err(Declined::Store(detail)) => self.fault(StoreError::Unavailable(detail)),
            Err(_) => {}
        }
        true
    }

    /// Tells the conversation of a workflow what has happened to it.
    fn hear(&mut self, number: u64, news: News, store: &mut dyn Store) -> Result<(), StoreError> {
        let reports = |live: &Live| Some((live.state.reports_to?, live.state.id));
        let Some((talk, workflow)) = self.lives.get(&number).and_then(reports) else {
            return Ok(());
        };
        self.bring_back(talk, store)?;
        let command = match news {
            News::Reviewed(end) => Command::Reviewed { workflow, end },
            News::Ended if self.plans_for(talk, workflow) => {
                self.planner_ended(talk, number);
                return Ok(());
            }
            // Planning is no work of the conversation's.
            News::RunsAgain if self.plans_for(talk, workflow) => return Ok(()),
            News::RunsAgain => Command::Link { workflow },
            News::Ended => match self.lives.get(&number).map(|live| Closing::of(&live.state)) {
                Some(closing) => self.ending(&closing),
                None => return Ok(()),
            },
        };
        // A refusal means that the conversation has moved on: there is nothing to tell.
        let _ = self.apply_to_talk(talk, &command, &system());
        Ok(())
    }

    fn ending(&mut self, closing: &Closing) -> Command {
        let (workflow, status) = (closing.workflow, closing.status);
        let text = Json::from_serialize(closing).unwrap_or_else(|_| Json::null());
        let (closing, blob) = Body::split(text);
        self.staging.offer(blob);
        Command::WorkflowEnded { workflow, status, closing }
    }

    /// Tells a conversation that the review of one of its plans is over.
    pub(crate) fn report_review(&mut self, number: u64, end: ReviewEnd) {
        self.report(number, News::Reviewed(end));
    }

    /// Tells a conversation that one of its workflows runs again.
    pub(crate) fn report_retry(&mut self, number: u64) {
        self.report(number, News::RunsAgain);
    }

    fn report(&mut self, number: u64, news: News) {
        if self.lives.get(&number).is_some_and(|live| live.state.reports_to.is_some()) {
            self.talks.news.push_back((number, news));
        }
    }

    /// Tells a conversation that the run of one of its workflows has ended, or its planner's.
    pub(crate) fn report_end(&mut self, number: u64) {
        self.report(number, News::Ended);
    }

    fn plans_for(&self, talk: u64, workflow: WorkflowId) -> bool {
        let planning = self.talks.by_number.get(&talk).and_then(|talk| talk.state.planning);
        planning.is_some_and(|planning| planning.workflow == Some(workflow))
    }

    /// A model's planning has ended, if it has. One that was cancelled is over: a planner might have
    /// it begin again.
    fn planner_ended(&mut self, talk: u64, workflow: u64) {
        let Some(heard) = self.lives.get(&workflow).and_then(|live| heard(&live.state)) else {
            return;
        };
        if heard.status != WorkflowStatus::Cancelled {
            return self.ask_planner(talk, Some(heard));
        }
        let state = self.talks.by_number.get(&talk).map(|talk| &talk.state);
        let Some(planning) = state.and_then(|state| state.planning) else {
            return;
        };
        let (text, blob) =
            spoken("The planning was cancelled. Say it again to have me try once more.");
        self.staging.offer(blob);
        let decision = Decision { text: Some(text), focus: None, step: Step::Fail };
        let planned = Command::Planned { planning: planning.number, decision };
        let _ = self.apply_to_talk(talk, &planned, &system());
    }

    /// Nobody is waited for who thinks.
    fn hush(&mut self, number: u64) {
        if let Some(talk) = self.talks.by_number.get_mut(&number) {
            talk.thinks = false;
        }
    }

    /// An owner that drains leaves it to the next.
    fn ask_planner(&mut self, number: u64, heard: Option<Heard>) {
        if self.draining {
            return;
        }
        let Some(talk) = self.talks.by_number.get_mut(&number).filter(|talk| !talk.thinks) else {
            return;
        };
        let Some(planning) = talk.state.planning else {
            return;
        };
        talk.thinks = true;
        let state = talk.state.clone();
        let job = PlanJob { number, planning: planning.number, state, heard };
        self.effect(Effect::Plan(Box::new(job)));
    }

    /// Takes in what a planner brings. One that comes too late brings nothing.
    pub(crate) fn planned(
        &mut self,
        number: u64,
        planning: u32,
        thought: Thought,
        store: &mut dyn Store,
    ) {
        let is_awaited = |talk: &Talk| {
            let current = talk.state.planning.map(|planning| planning.number);
            talk.thinks && current == Some(planning)
        };
        if self.draining || !self.talks.by_number.get(&number).is_some_and(is_awaited) {
            return;
        }
        match thought {
            Thought::Model { loaded, inputs } => {
                let workflow = self.new_id();
                let command = Command::AdmitPlanner { planning, workflow };
                if self.apply_to_talk(number, &command, &system()).is_ok() {
                    self.admit_for(number, workflow, (loaded, inputs), Review::Waived);
                }
            }
            Thought::Decided(decided) => self.decided(number, planning, decided),
        }
        self.settle(store);
    }

    fn decided(&mut self, number: u64, planning: u32, decided: Decided) {
        let Decided { text, focus, next } = decided;
        let text = text.map(|(text, blob)| {
            self.staging.offer(blob);
            text
        });
        let focus = focus.map(|focus| *focus);
        let mut admission = None;
        let step = match next {
            Next::Answer => Step::Answer,
            Next::Fail => Step::Fail,
            Next::Ask(questions) => Step::Ask(questions),
            Next::Escalate { reason } => Step::Escalate { reason },
            Next::Start(Proposal { loaded, inputs, .. }) => {
                let workflow = self.new_id();
                admission = Some((workflow, (loaded, inputs), Review::Waived));
                Step::Start { workflow }
            }
            Next::Propose(Proposal { loaded, inputs, assumptions, will_not }) => {
                let workflow = self.new_id();
                admission = Some((workflow, (loaded, inputs), Review::Asked));
                Step::Propose { workflow, assumptions, will_not }
            }
        };
        let command = Command::Planned { planning, decision: Decision { text, focus, step } };
        // Refused where it was stopped meanwhile; not taken where there is no place for a plan more.
        let is_taken = |engine: &Self, workflow| {
            let talk = engine.talks.by_number.get(&number);
            talk.is_some_and(|talk| talk.state.open.contains(&workflow))
        };
        if self.apply_to_talk(number, &command, &system()).is_ok()
            && let Some((workflow, what, review)) = admission
            && is_taken(self, workflow)
        {
            self.admit_for(number, workflow, what, review);
        }
    }

    fn admit_for(
        &mut self,
        number: u64,
        workflow: WorkflowId,
        (loaded, (inputs, blob)): (Arc<Loaded>, Split),
        review: Review,
    ) {
        let Some(talk) = self.talks.by_number.get(&number) else {
            return;
        };
        let (state, cause) = (&talk.state, talk.head);
        let event = Admitted {
            id: workflow,
            conversation: state.id,
            origin: Origin::Chat,
            priority: PRIORITY,
            plan: loaded.blob.hash,
            inputs,
            review: review == Review::Asked,
            parent: None,
            project: state.project,
            hops: 0,
            folder: state.folder.clone(),
            user: Some(state.originator.clone()),
            reports_to: Some(number),
            fork_of: None,
            fork_position: None,
            kept: Vec::new(),
        };
        self.staging.offer(blob);
        let system = self.actor(&Actor::system());
        self.admit(loaded, Admission { event, cause }, system);
    }
}

/// Whether a person looks at a plan before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Review {
    Asked,
    Waived,
}

/// Baton itself.
fn system() -> Caller {
    Caller { actor: Actor::system(), role: Role::Admin }
}

/// How a planner's workflow ended; `None` while it runs.
fn heard(state: &baton_core::workflow::WorkflowState) -> Option<Heard> {
    let Phase::Ended(ended) = &state.phase else {
        return None;
    };
    let output = ended.outcome.output().cloned();
    Some(Heard { workflow: state.id, status: state.status(), output })
}
