//! Stories and laws of conversations.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::actor::Actor;
use crate::body::{Body, Json};
use crate::codes::Code;
use crate::ids::{ConversationId, WorkflowId};
use crate::time::{Moment, Timestamp};
use crate::words::{ConversationStatus, FocusKind, Role, WorkflowStatus};
use crate::workflow::{ConversationEvent as Event, EventKind};

fn moment() -> Moment {
    Moment::new(Timestamp::from_millis(1_800_000_000_000), 7)
}

fn workflow(salt: u64) -> WorkflowId {
    WorkflowId::new(&moment(), salt)
}

fn ada() -> Caller {
    Caller { actor: Actor::user("ada"), role: Role::Operator }
}

fn bob() -> Caller {
    Caller { actor: Actor::user("bob"), role: Role::Operator }
}

fn system() -> Caller {
    Caller { actor: Actor::system(), role: Role::Admin }
}

fn text(said: &str) -> Body {
    Body::split(Json::of(&json!(said))).0
}

fn say(said: &str) -> Command {
    Command::Say { text: text(said) }
}

fn question(key: &str) -> Clarification {
    Clarification {
        key: key.to_owned(),
        question: format!("{key}?"),
        reason: "it must be known".to_owned(),
        kind: AnswerKind::Text,
        default: None,
    }
}

fn ask(keys: &[&str]) -> Decision {
    let questions = keys.iter().map(|key| question(key)).collect();
    Decision { text: None, focus: None, step: Step::Ask(questions) }
}

fn propose(workflow: WorkflowId) -> Decision {
    let step = Step::Propose { workflow, assumptions: Vec::new(), will_not: Vec::new() };
    Decision { text: Some(text("this is my plan")), focus: None, step }
}

/// A conversation with what happened in it.
struct Story {
    state: ConversationState,
    events: Vec<Event>,
}

impl Story {
    fn begin() -> Self {
        let id = ConversationId::new(&moment(), 0);
        let by = ada().actor;
        let opened = Opened { id, by, title: "a story".to_owned(), project: None, folder: None };
        Self { state: ConversationState::opened(&opened, moment().now), events: Vec::new() }
    }

    fn tell(&mut self, command: &Command, caller: &Caller) -> Result<(), Refusal> {
        let events = self.state.decide(command, caller)?;
        let follows = |story: &Self| story.state.decide(&Command::Advance, &system());
        self.take(events);
        let events = follows(self)?;
        self.take(events);
        Ok(())
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            self.state.evolve(&event, moment().now);
            self.events.push(event);
        }
    }

    fn plan(&mut self, decision: Decision) -> Result<(), Refusal> {
        let planning = self.state.planning.expect("somebody plans").number;
        self.tell(&Command::Planned { planning, decision }, &system())
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.kind().word()).collect()
    }
}

fn value(key: &str, value: serde_json::Value) -> Answer {
    Answer { key: key.to_owned(), given: Given::Value(Json::of(&value)) }
}

/// CH3: what was answered is known, is not asked again, and rounds are bounded.
#[test]
fn ch3_what_was_answered_is_not_asked_again() {
    let mut story = Story::begin();
    story.tell(&say("review it"), &ada()).expect("it is said");
    story.plan(ask(&["repo", "since"])).expect("it is asked");
    let half = Command::Answer { answers: vec![value("repo", json!("."))] };
    story.tell(&half, &ada()).expect("one is answered");
    assert!(story.state.planning.is_none(), "the other is still open");
    assert!(matches!(story.tell(&half, &ada()), Err(Refusal::NoSuchQuestion { .. })));
    let rest = vec![Answer { key: "since".to_owned(), given: Given::Delegated }];
    story.tell(&Command::Answer { answers: rest }, &ada()).expect("the rest is left to Baton");
    assert_eq!(story.state.request.known.len(), 2);
    story.plan(ask(&["repo", "depth"])).expect("the new one is asked");
    let open: Vec<&str> = story.state.questions.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(open, ["depth"]);
    let skip = vec![Answer { key: "depth".to_owned(), given: Given::Skipped }];
    story.tell(&Command::Answer { answers: skip }, &ada()).expect("it is passed over");
    // Nothing new: whoever asks the same for ever is told so, and the person is not asked.
    story.plan(ask(&["repo", "since", "depth"])).expect("it is over");
    assert!(story.state.questions.is_empty() && story.state.planning.is_none());
    assert!(story.state.request.settled);
}

#[test]
fn ch3_rounds_are_bounded() {
    let mut story = Story::begin();
    story.tell(&say("do it"), &ada()).expect("it is said");
    for round in 1..=ROUNDS_MAX {
        let key = format!("key{round}");
        story.plan(ask(&[&key])).expect("it is asked");
        assert_eq!(story.state.request.rounds, round);
        let answers = vec![value(&key, json!("x"))];
        story.tell(&Command::Answer { answers }, &ada()).expect("it is answered");
    }
    story.plan(ask(&["one more"])).expect("it is over");
    assert!(story.state.questions.is_empty() && story.state.request.settled);
    // Another request has rounds of its own, and knows nothing of the last.
    story.tell(&say("something else"), &ada()).expect("it is said");
    assert!(story.state.request.known.is_empty() && story.state.request.rounds == 0);
    story.plan(ask(&["key1"])).expect("it is asked");
    assert_eq!(story.state.questions.len(), 1);
}

/// HO2: the originator and whoever took it over may write; nobody else; by one rule.
#[test]
fn ho2_the_originator_and_the_claimant_may_write() {
    let mut story = Story::begin();
    let stranger = story.tell(&say("mine now"), &bob());
    assert!(matches!(stranger, Err(Refusal::NotYours { .. })));
    let viewer = Caller { role: Role::Viewer, ..bob() };
    assert_eq!(story.tell(&Command::Claim, &viewer), Err(Refusal::NotAllowed));
    story.tell(&Command::Claim, &bob()).expect("an operator may");
    story.tell(&say("I take over"), &bob()).expect("who has it may write");
    story.tell(&say("thanks"), &ada()).expect("who began it still may");
    assert_eq!(story.state.originator, ada().actor);
    let eve = Caller { actor: Actor::user("eve"), role: Role::Operator };
    assert!(matches!(story.tell(&Command::Claim, &eve), Err(Refusal::AlreadyClaimed { .. })));
    assert!(story.tell(&Command::Release, &eve).is_err());
    story.tell(&Command::Release, &bob()).expect("who has it may let go");
    assert!(matches!(story.tell(&say("still here"), &bob()), Err(Refusal::NotYours { .. })));
}

/// Two rounds, a plan that is sent back, one that is approved, and its end.
#[test]
fn a_plan_is_sent_back_and_another_approved() {
    let mut story = Story::begin();
    story.tell(&say("review it"), &ada()).expect("it is said");
    story.plan(propose(workflow(1))).expect("it is proposed");
    assert_eq!(story.state.proposal, Some(workflow(1)));
    let end = ReviewEnd::SentBack { comments: "smaller".to_owned() };
    story.tell(&Command::Reviewed { workflow: workflow(1), end }, &system()).expect("sent back");
    assert_eq!(story.state.request.comments.as_deref(), Some("smaller"));
    assert!(story.state.open.is_empty() && story.state.planning.is_some());
    story.plan(propose(workflow(2))).expect("it is proposed");
    let approved = Command::Reviewed { workflow: workflow(2), end: ReviewEnd::Approved };
    story.tell(&approved, &system()).expect("approved");
    assert_eq!((story.state.proposal, story.state.open.as_slice()), (None, &[workflow(2)][..]));
    let (status, closing) = (WorkflowStatus::Completed, text("{}"));
    let ended = Command::WorkflowEnded { workflow: workflow(2), status, closing };
    story.tell(&ended, &system()).expect("ended");
    assert!(story.state.open.is_empty() && !story.state.is_busy());
    // The draft that was sent back ends later, and nobody is told of it.
    let closing = text("{}");
    let late = Command::WorkflowEnded {
        workflow: workflow(1),
        status: WorkflowStatus::Cancelled,
        closing,
    };
    assert_eq!(story.tell(&late, &system()), Err(Refusal::NotProposed));
}

#[test]
fn another_plan_takes_the_place_of_one_that_waits() {
    let mut story = Story::begin();
    story.tell(&say("review it"), &ada()).expect("it is said");
    story.plan(propose(workflow(1))).expect("it is proposed");
    story.tell(&say("rather the other folder"), &ada()).expect("it is said");
    assert!(!story.events.iter().any(|event| matches!(event, Event::MessageAdded(message) if message.begins && message.number > 1)));
    story.plan(propose(workflow(2))).expect("it is proposed");
    assert_eq!(story.state.proposal, Some(workflow(2)));
    assert_eq!(story.state.open, [workflow(2)]);
    assert!(!story.state.request.settled, "what is said of the second plan belongs to the request");
}

/// What is said of a plan while the next is being made is known when it is planned again.
#[test]
fn comments_made_during_a_planning_are_for_the_next() {
    let mut story = Story::begin();
    story.tell(&say("review it"), &ada()).expect("it is said");
    story.plan(propose(workflow(1))).expect("it is proposed");
    story.tell(&say("rather the other folder"), &ada()).expect("it is said");
    let end = ReviewEnd::SentBack { comments: "smaller".to_owned() };
    story.tell(&Command::Reviewed { workflow: workflow(1), end }, &system()).expect("sent back");
    story.plan(propose(workflow(2))).expect("it is proposed");
    assert_eq!(story.state.plannings, 3);
    assert_eq!(story.state.request.comments.as_deref(), Some("smaller"));
    story.plan(propose(workflow(3))).expect("it is proposed");
    assert_eq!(story.state.request.comments, None);
}

/// A default of `null` is read back as none, and a key is asked once in a round.
#[test]
fn ch3_questions_are_what_the_journal_gives_back() {
    let mut story = Story::begin();
    story.tell(&say("review it"), &ada()).expect("it is said");
    let null = Clarification { default: Some(json!(null)), ..question("repo") };
    let questions = vec![null, question("repo"), question("since")];
    story
        .plan(Decision { text: None, focus: None, step: Step::Ask(questions) })
        .expect("it is asked");
    let asked = &story.state.questions;
    assert_eq!(asked.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["repo", "since"]);
    let read: Vec<Clarification> =
        serde_json::from_value(json!(asked)).expect("what was written is readable");
    assert_eq!(&read, asked);
}

#[test]
fn no_more_workflows_than_so_many_are_open() {
    let mut story = Story::begin();
    let link = |salt| Command::Link { workflow: workflow(salt) };
    for salt in 0..OPEN_MAX as u64 {
        story.tell(&link(salt), &ada()).expect("there is room");
    }
    story.tell(&link(0), &ada()).expect("it is linked already");
    assert_eq!(story.state.open.len(), OPEN_MAX);
    let full = Err(Refusal::TooManyOpen { open_max: OPEN_MAX });
    assert_eq!(story.tell(&link(1_000), &ada()), full);
    story.tell(&say("one more"), &ada()).expect("it is said");
    story.plan(propose(workflow(1_000))).expect("it is told that there is no room");
    assert_eq!((story.state.proposal, story.state.planning), (None, None));
    story.tell(&link(1_000), &system()).expect("what runs again had its place before");
}

/// Stop means stop: also while somebody plans, and what comes of that is not wanted any more.
#[test]
fn stop_means_stop() {
    let mut story = Story::begin();
    assert_eq!(story.tell(&Command::Stop, &ada()), Err(Refusal::NothingToStop));
    story.tell(&say("review it"), &ada()).expect("it is said");
    let planning = story.state.planning.expect("somebody plans").number;
    story.tell(&Command::Stop, &ada()).expect("it stops");
    let late = Command::Planned { planning, decision: propose(workflow(1)) };
    assert_eq!(story.tell(&late, &system()), Err(Refusal::StalePlanning));
    assert!(!story.state.is_busy() && story.state.proposal.is_none());
}

/// What is said while somebody plans is not lost: it is planned for next.
#[test]
fn what_is_said_meanwhile_is_planned_for_next() {
    let mut story = Story::begin();
    story.tell(&say("review it"), &ada()).expect("it is said");
    story.tell(&say("and be quick"), &ada()).expect("it is said");
    assert_eq!(story.state.plannings, 1);
    story
        .plan(Decision { text: Some(text("well")), focus: None, step: Step::Answer })
        .expect("answered");
    assert_eq!(story.state.plannings, 2);
    assert!(story.state.planning.is_some());
}

/// CH2: a planner's shift of the context is of the same decision as what it brought, and is told once.
#[test]
fn ch2_a_planner_shifts_the_context_with_what_it_brings() {
    let focus = Focus {
        kind: FocusKind::Project,
        id: "p1".to_owned(),
        title: "One project".to_owned(),
        summary: "of many".to_owned(),
    };
    let answer =
        || Decision { text: Some(text("well")), focus: Some(focus.clone()), step: Step::Answer };
    let mut story = Story::begin();
    story.tell(&say("look at that one"), &ada()).expect("it is said");
    story.plan(answer()).expect("answered");
    assert_eq!(story.state.focus.as_ref(), Some(&focus));
    story.tell(&say("and again"), &ada()).expect("it is said");
    story.plan(answer()).expect("answered");
    let shifts =
        story.kinds().iter().filter(|kind| **kind == "conversation.context_shifted").count();
    assert_eq!(shifts, 1, "{:?}", story.kinds());
    story.tell(&say("stop"), &ada()).expect("it is said");
    let late = Command::Planned { planning: 1, decision: answer() };
    assert_eq!(story.tell(&late, &system()), Err(Refusal::StalePlanning));
}

#[test]
fn a_closed_conversation_opens_with_the_next_message() {
    let mut story = Story::begin();
    story.tell(&Command::Close, &ada()).expect("it closes");
    assert_eq!(story.tell(&Command::Close, &ada()), Err(Refusal::AlreadyClosed));
    assert_eq!(story.state.status, ConversationStatus::Closed);
    story.tell(&say("one more"), &ada()).expect("it is said");
    assert_eq!(story.state.status, ConversationStatus::Active);
    assert!(story.state.planning.is_some());
}

/// CH2: a context shift is an event of the conversation, and its state has it.
#[test]
fn ch2_a_context_shift_is_an_event() {
    let mut story = Story::begin();
    let focus = Focus {
        kind: FocusKind::Project,
        id: "apollo".to_owned(),
        title: "Apollo".to_owned(),
        summary: "to the moon".to_owned(),
    };
    story.tell(&Command::Shift { focus: focus.clone() }, &ada()).expect("it shifts");
    assert_eq!(story.state.focus, Some(focus));
    assert_eq!(story.kinds(), [EventKind::ContextShifted.word()]);
}

#[test]
fn answers_must_fit_their_questions() {
    let number = AnswerKind::Number { min: Some(1.0), max: Some(5.0), integer: true };
    let choice = AnswerKind::Choice { choices: vec!["a".to_owned(), "b".to_owned()] };
    for (kind, fits, does_not) in [
        (AnswerKind::Text, json!("x"), json!(1)),
        (AnswerKind::File, json!("a/b"), json!("  ")),
        (AnswerKind::YesNo, json!(false), json!("no")),
        (choice, json!("a"), json!("c")),
        (number.clone(), json!(5), json!(6)),
        (number, json!(1), json!(1.5)),
    ] {
        let question = Clarification { kind, ..question("key") };
        assert!(question.check(&Json::of(&fits)).is_ok(), "{fits}");
        assert!(question.check(&Json::of(&does_not)).is_err(), "{does_not}");
    }
}

fn commands() -> impl Strategy<Value = (Command, Caller)> {
    let keys = prop::sample::select(vec!["a", "b", "c"]);
    let person = prop_oneof![
        Just(say("something")),
        keys.clone().prop_map(|key| Command::Answer { answers: vec![value(key, json!("x"))] }),
        keys.clone().prop_map(|key| Command::Answer {
            answers: vec![Answer { key: key.to_owned(), given: Given::Skipped }],
        }),
        Just(Command::Stop),
        Just(Command::Close),
        Just(Command::Escalate { reason: "help".to_owned() }),
        Just(Command::Claim),
        Just(Command::Release),
    ];
    let decision = prop_oneof![
        prop::collection::vec(keys, 0..3).prop_map(|keys| ask(&keys)),
        (0..4_u64).prop_map(|salt| propose(workflow(salt))),
        Just(Decision { text: Some(text("so")), focus: None, step: Step::Answer }),
        (4..6_u64).prop_map(|salt| Decision {
            text: None,
            focus: None,
            step: Step::Start { workflow: workflow(salt) },
        }),
    ];
    let planned = (1..6_u32, decision)
        .prop_map(|(planning, decision)| Command::Planned { planning, decision });
    let news = (0..6_u64, any::<bool>()).prop_map(|(salt, approved)| {
        let comments = "no".to_owned();
        let end = if approved { ReviewEnd::Approved } else { ReviewEnd::SentBack { comments } };
        Command::Reviewed { workflow: workflow(salt), end }
    });
    let ended = (0..6_u64).prop_map(|salt| {
        let (status, closing) = (WorkflowStatus::Completed, text("{}"));
        Command::WorkflowEnded { workflow: workflow(salt), status, closing }
    });
    prop_oneof![
        4 => (person, prop_oneof![3 => Just(ada()), 1 => Just(bob())]),
        4 => (prop_oneof![3 => planned, 1 => news, 1 => ended], Just(system())),
    ]
}

proptest! {
    /// Whatever happens: a refusal changes nothing, a message has the next number, nothing known is
    /// asked, who plans is one, and nothing waits that should be planned.
    #[test]
    fn laws(history in prop::collection::vec(commands(), 0..40)) {
        let mut story = Story::begin();
        for (command, caller) in history {
            let (before, revision) = (story.state.clone(), story.state.revision);
            let told = story.events.len();
            match story.tell(&command, &caller) {
                Err(_) => prop_assert_eq!(&story.state, &before),
                Ok(()) => {
                    let events = story.events.len() - told;
                    prop_assert_eq!(story.state.revision, revision + events as u64);
                }
            }
            let state = &story.state;
            prop_assert!(!state.wants_planning(), "it would have begun");
            prop_assert!(state.request.rounds <= ROUNDS_MAX);
            let known = |one: &Clarification| state.request.known.contains_key(&one.key);
            prop_assert!(!state.questions.iter().any(known), "asked again");
            prop_assert!(state.proposal.is_none_or(|plan| state.open.contains(&plan)));
        }
        let number = |event: &Event| {
            let ended = || if let Event::WorkflowEnded(it) = event { Some(it.number) } else { None };
            if let Event::MessageAdded(it) = event { Some(it.number) } else { ended() }
        };
        let numbers: Vec<u32> = story.events.iter().filter_map(number).collect();
        prop_assert!(numbers.iter().zip(1..).all(|(number, next)| *number == next));
    }
}
