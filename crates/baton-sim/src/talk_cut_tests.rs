//! Conversations cut at every commit in every way, and stopped at every step: what people see in the end
//! is what they would have seen without it.

use baton_core::conversation::rows::ConversationRow;
use baton_core::conversation::{Answer, Closing, Given, ReviewEnd};
use baton_core::ids::WorkflowId;
use baton_core::words::{ConversationStatus, PlanningEnd, Speaker, WorkflowStatus};
use baton_core::workflow::{Command, ConversationEvent};
use baton_engine::conversing::Word;
use baton_engine::exchange::Request;
use baton_engine::queue::Limits;
use baton_engine::store::{Store, Views};

use crate::people::answer_all;
use crate::planner::{Then, Wish};
use crate::reading;
use crate::talk_check::events;
use crate::talkers::{ask_as, given, open, tell};
use crate::world::{CUTS, Cut, Weather, World};

/// So many steps a conversation takes at most.
const STEPS_MAX: usize = 3_000;

/// Two rounds of questions, then a plan.
const PLAN: Wish = Wish { rounds: 2, then: Then::Propose, seed: 0 };
/// A round of questions, then a plan that a model makes.
const MODEL: Wish = Wish { rounds: 1, then: Then::Model, seed: 0 };

/// A conversation of one person that does what there is to be done, seen from its store alone: what was
/// lost with an owner is said again.
struct Talk {
    world: World,
    wish: Wish,
}

impl Talk {
    fn new(wish: Wish, cut: Option<(u64, Cut)>) -> Self {
        let mut world = World::new(9, Weather::default(), Limits::default());
        world.snapshot_every(1);
        world.step().expect("an empty store opens");
        world.cut = cut;
        Self { world, wish }
    }

    fn row(&self) -> Option<ConversationRow> {
        reading::conversations(&self.world.store).into_iter().next()
    }

    fn events(&mut self) -> Vec<ConversationEvent> {
        let Some(row) = self.row() else {
            return Vec::new();
        };
        let records = self.world.store.stream(row.number).expect("it is readable");
        events(&records).expect("it is a conversation")
    }

    fn count(&mut self, is_it: impl Fn(&ConversationEvent) -> bool) -> usize {
        self.events().iter().filter(|event| is_it(event)).count()
    }

    /// Until nothing is due any more.
    fn rest(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.world.step().expect("the laws hold") {
                return;
            }
        }
        panic!("it never rests");
    }

    /// What the person does next; `false` when nothing is left to do.
    fn act(&mut self) -> bool {
        let Some(row) = self.row() else {
            open(&mut self.world, "ann", Some(self.wish.text()));
            return true;
        };
        if let Some(question) = row.face.questions.first() {
            // The first of each round gets an answer, then one is passed over or left to Baton.
            let which = match (row.face.questions.len(), row.face.round) {
                (2.., _) => 0,
                (_, 1) => 5,
                (_, _) => 6,
            };
            let given = given(question, which);
            let answers = vec![Answer { key: question.key.clone(), given }];
            tell(&mut self.world, &row, "ann", Word::Answer { answers });
            return true;
        }
        if answer_all(&mut self.world) {
            return true;
        }
        let ended = self.count(|event| matches!(event, ConversationEvent::WorkflowEnded(_)));
        match row.face.proposal {
            Some(plan) => self.review(plan),
            None if ended == 1 && row.status == ConversationStatus::Active => {
                tell(&mut self.world, &row, "ann", Word::Close);
            }
            None => return false,
        }
        true
    }

    /// Sends the first plan back, and approves the second.
    fn review(&mut self, workflow: WorkflowId) {
        let plans = self.count(|event| matches!(event, ConversationEvent::PlanProposed(_)));
        let command = match plans {
            1 => Command::SendBack { comments: "smaller".to_owned() },
            _ => {
                let row = self.world.store.views().workflow(workflow).expect("it is readable");
                let revision = row.map_or(0, |(_, row)| row.revision);
                Command::Approve { revision }
            }
        };
        let command = Box::new(command);
        ask_as(&mut self.world, "ann", Request::Command { workflow, command, blob: None });
    }

    fn lived_out(mut self) -> Self {
        self.rest();
        while self.act() {
            self.rest();
        }
        self.world.judge_all().expect("the laws hold at the end");
        self
    }

    /// What a reader sees, without what differs from run to run.
    fn told(&mut self) -> Vec<String> {
        let events = self.events();
        let mut text: Vec<String> = events.iter().map(without_times).collect();
        let mut workflows = Vec::new();
        for (card, _) in reading::rows(&self.world.store) {
            workflows.push(card.id.to_string());
        }
        for (id, n) in workflows.iter().zip(1..) {
            text.iter_mut().for_each(|line| *line = line.replace(id, &format!("w{n}")));
        }
        let id = self.row().map(|row| row.id.to_string()).unwrap_or_default();
        text.into_iter().map(|line| line.replace(&id, "it")).collect()
    }

    /// What really happened, and how each workflow ended.
    fn done(&mut self) -> (usize, Vec<(String, WorkflowStatus)>) {
        let rows = reading::rows(&self.world.store);
        let ended = rows.iter().map(|(card, row)| (card.name.clone(), row.status));
        (self.world.ledger.paid(), ended.collect())
    }
}

/// An event without how long something took.
fn without_times(event: &ConversationEvent) -> String {
    if let ConversationEvent::WorkflowEnded(ended) = event
        && let baton_core::body::Body::Inline(json) = &ended.closing
    {
        let closing: Closing = serde_json::from_str(json.as_str()).expect("it is a closing");
        let Closing { workflow, status, completed, total, tasks, .. } = closing;
        let tasks = tasks.into_iter().map(|task| format!("{} {:?}", task.key, task.status));
        let tasks: Vec<String> = tasks.collect();
        let what = format!("{workflow} {status:?}, {completed} of {total}: {tasks:?}");
        return format!("message {}: {what}", ended.number);
    }
    format!("{event:?}")
}

/// Cuts a conversation everywhere; returns how many cuts were made.
fn cut_everywhere(wish: Wish) -> u64 {
    let mut whole = Talk::new(wish, None).lived_out();
    let (told, done, commits) = (whole.told(), whole.done(), whole.world.commits);
    let mut cuts = 0;
    for at in 0..commits {
        for way in CUTS {
            let mut resumed = Talk::new(wish, Some((at, way))).lived_out();
            assert_eq!(resumed.world.deaths, 1, "cut at {at}, {way:?}");
            assert_eq!(resumed.told(), told, "cut at {at}, {way:?}");
            assert_eq!(resumed.done(), done, "cut at {at}, {way:?}");
            cuts += 1;
        }
    }
    cuts
}

/// Two rounds of questions, a plan that is sent back, one that is approved, and its end.
#[test]
fn ch3_a_conversation_cut_everywhere_is_the_same_in_the_end() {
    let mut whole = Talk::new(PLAN, None).lived_out();
    let asked = whole.count(|event| matches!(event, ConversationEvent::ClarificationAsked(_)));
    assert_eq!(asked, 2, "{:#?}", whole.told());
    let (paid, workflows) = whole.done();
    let expected = [("first", WorkflowStatus::Cancelled), ("smaller", WorkflowStatus::Completed)];
    assert_eq!(workflows, expected.map(|(name, status)| (name.to_owned(), status)));
    assert_eq!(paid, 1, "the plan that was approved ran once, the other never");
    let delegated = whole.count(|event| {
        matches!(event, ConversationEvent::ClarificationAnswered(answered)
            if answered.answers.iter().any(|answer| answer.given == Given::Delegated))
    });
    assert_eq!(delegated, 1);
    assert!(cut_everywhere(PLAN) > 60);
}

/// The world says where a finished turn is asked for again.
#[test]
fn a_conversation_whose_planner_is_a_model_is_cut_everywhere() {
    let mut whole = Talk::new(MODEL, None).lived_out();
    let planned = whole.count(|event| matches!(event, ConversationEvent::PlannerAdmitted(_)));
    assert_eq!(planned, 2, "{:#?}", whole.told());
    assert!(cut_everywhere(MODEL) > 100);
}

/// Lives so many steps, stops, and lets come what still comes.
fn stopped_after(wish: Wish, steps: usize, cut: Option<Cut>) -> Option<Talk> {
    let mut talk = Talk::new(wish, None);
    for _ in 0..steps {
        let goes_on = talk.world.step().expect("the laws hold");
        if !goes_on && !talk.act() {
            return None;
        }
    }
    talk.world.step().expect("the laws hold");
    let Some(row) = talk.row() else {
        return Some(talk);
    };
    tell(&mut talk.world, &row, "ann", Word::Stop);
    talk.world.cut = cut.map(|cut| (talk.world.commits, cut));
    talk.rest();
    // What died with its owner is said again; what was stopped already says so.
    if let Some(row) = talk.row() {
        tell(&mut talk.world, &row, "ann", Word::Stop);
    }
    talk.world.cut = None;
    talk.rest();
    // What may have happened as it was stopped is for a person to say.
    while answer_all(&mut talk.world) {
        talk.rest();
    }
    Some(talk)
}

fn is_at_rest(talk: &mut Talk, place: &str) {
    let Some(row) = talk.row() else {
        return;
    };
    let face = &row.face;
    assert!(!row.busy && !face.planning && face.questions.is_empty(), "{place}: {row:?}");
    assert!(face.proposal.is_none() && face.open.is_empty(), "{place}: {row:?}");
    let live = talk.world.store.live().expect("it is readable");
    assert_eq!(live, Vec::<u64>::new(), "{place}: something runs on");
    let events = talk.events();
    let stopped = events.iter().position(|it| matches!(it, ConversationEvent::Stopped(_)));
    let after = events.iter().skip(stopped.unwrap_or(events.len()));
    for event in after {
        let may_follow = matches!(event, ConversationEvent::Stopped(_))
            || matches!(event, ConversationEvent::WorkflowEnded(_))
            || matches!(event, ConversationEvent::PlanReviewed(it) if it.end == ReviewEnd::Withdrawn);
        assert!(may_follow, "{place}: {event:?} follows the stop");
    }
}

/// Stop means stop, wherever it falls; and the next message is planned for.
#[test]
fn stop_means_stop_at_every_step() {
    for wish in [PLAN, MODEL, Wish { rounds: 0, then: Then::Start, seed: 0 }] {
        let (mut points, mut stops) = (0, 0);
        while let Some(mut talk) = stopped_after(wish, points, None) {
            let place = format!("{wish:?} stopped after {points} steps");
            is_at_rest(&mut talk, &place);
            stops += talk.count(|event| matches!(event, ConversationEvent::Stopped(_)));
            if let Some(row) = talk.row() {
                let answer = Wish { rounds: 0, then: Then::Answer, seed: 0 };
                tell(&mut talk.world, &row, "ann", Word::Say { text: answer.text() });
                talk.rest();
                assert_eq!(
                    talk.row().and_then(|row| row.face.planned),
                    Some(PlanningEnd::Answered)
                );
            }
            points += 1;
        }
        assert!(points > 5 && stops > 3, "{wish:?}: {points} points, {stops} stops");
    }
}

/// The same where the owner dies with the stop, in each way.
#[test]
fn stop_means_stop_where_its_owner_dies() {
    for wish in [PLAN, MODEL] {
        for cut in CUTS {
            let mut points = 0;
            while let Some(mut talk) = stopped_after(wish, points, Some(cut)) {
                is_at_rest(&mut talk, &format!("{wish:?} stopped after {points} steps, {cut:?}"));
                points += 1;
            }
        }
    }
}

/// Nothing is said twice by anybody: neither by a person nor by who plans.
#[test]
fn every_message_of_a_cut_conversation_is_there_once() {
    let mut whole = Talk::new(PLAN, None).lived_out();
    let said = |of: Speaker| move |event: &ConversationEvent| matches!(event, ConversationEvent::MessageAdded(message) if message.speaker == of);
    assert_eq!(whole.count(said(Speaker::User)), 1);
    assert_eq!(whole.count(said(Speaker::Assistant)), 2, "{:#?}", whole.told());
}
