//! Edits of a plan in review: what they may change, what undoes them, and that all of it is the fold
//! of the journal.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::codes::Code;
use crate::workflow::Phase;
use crate::workflow::edits::{EDITS_MAX, EditStatus, EditUndone, PlanEdit, PlanEdited};
use crate::workflow::event::SentBack;

fn hash(plan: &Plan) -> BlobHash {
    BlobHash::of(serde_json::to_string(plan).expect("written").as_bytes())
}

fn in_review(plan: Plan) -> Story {
    admitted(plan, |event| event.review = true)
}

fn one() -> Plan {
    plan([tool("a")])
}

fn two() -> Plan {
    plan([tool("a"), tool("b").needs([0])])
}

/// The edit to this plan, written against the state as it is.
fn edit(state: &WorkflowState, plan: Plan) -> PlanEdit {
    PlanEdit {
        revision: state.revision,
        hash: hash(&plan),
        plan: Arc::new(plan),
        before: hash(&state.plan),
        inputs: state.inputs.clone(),
    }
}

fn to(story: &Story, plan: Plan) -> Command {
    Command::EditPlan(Box::new(edit(&story.state, plan)))
}

impl Story {
    /// Applies events of which some may name a plan; `known` has it.
    fn replanned(mut self, events: Vec<Event>, known: &BTreeMap<BlobHash, Plan>) -> Self {
        for event in events {
            if let Some(hash) = event.new_plan() {
                let plan = known.get(&hash).expect("it is kept").clone();
                let graph = Arc::new(Graph::of(&plan));
                self.state.replan(Arc::new(plan), graph);
            }
            self = self.after([event]);
        }
        self
    }

    #[track_caller]
    fn edits(self, command: Command) -> Self {
        let known = [one(), two()].map(|plan| (hash(&plan), plan)).into();
        let events = self.state.decide(&command, &self.moment()).expect("it is not refused");
        self.replanned(events, &known)
    }
}

fn undo(edit: u32) -> Command {
    Command::UndoEdit { edit }
}

#[test]
fn an_edit_takes_the_place_of_the_plan_and_raises_the_revision() {
    let story = in_review(one());
    let (plan, before) = (hash(&two()), hash(&one()));
    let edited = PlanEdited { edit: 1, plan, before, inputs: None };
    let decision = story.state.decide(&to(&story, two()), &story.moment());
    assert_eq!(decision, Ok(vec![edited.into()]));
    let story = story.clone().edits(to(&story, two()));
    assert_eq!((story.state.revision, story.state.tasks().len()), (2, 2));
    assert_eq!(story.state.edits().newest(), Some((1, before)));
    story.clone().when(Command::Approve { revision: 1 }).refused(Refusal::StaleRevision);
    let runs = story.does(Command::Approve { revision: 2 });
    assert_eq!(runs.ready(), [0], "the second task needs the first");
    runs.clone().when(to(&runs, one())).refused(Refusal::NotInReview);
    runs.when(undo(1)).refused(Refusal::NotInReview);
}

#[test]
fn of_two_edits_at_once_the_second_is_stale() {
    let story = in_review(one());
    let both = to(&story, two());
    let story = story.edits(both.clone());
    story.when(both).refused(Refusal::StaleRevision);
}

#[test]
fn what_was_sent_back_is_offered_again_once_it_is_edited() {
    let story = in_review(one()).after([SentBack { comments: "smaller".to_owned() }.into()]);
    assert!(matches!(story.state.phase, Phase::Draft { .. }));
    let story = story.clone().edits(to(&story, two()));
    assert_eq!(story.state.phase, Phase::PendingReview);
}

#[test]
fn the_newest_edit_alone_is_undone_and_only_once() {
    let story = in_review(one());
    story.clone().when(undo(1)).refused(Refusal::NoSuchEdit);
    story.clone().when(undo(0)).refused(Refusal::NoSuchEdit);
    let story = story.clone().edits(to(&story, two()));
    let story = story.clone().edits(to(&story, one()));
    story.clone().when(undo(1)).refused(Refusal::NotNewestEdit);
    let back = EditUndone { edit: 2, plan: hash(&two()) };
    assert_eq!(story.state.decide(&undo(2), &story.moment()), Ok(vec![back.into()]));
    let story = story.edits(undo(2));
    assert_eq!(*story.state.plan, two());
    story.clone().when(undo(2)).refused(Refusal::NotNewestEdit);
    let story = story.edits(undo(1));
    assert_eq!((story.state.plan.as_ref(), story.state.edits().newest()), (&one(), None));
    let again = story.clone().edits(to(&story, two()));
    assert_eq!(again.state.edits().newest(), Some((3, hash(&one()))), "numbers are not used again");
}

#[test]
fn an_edit_that_is_none_is_refused() {
    let story = in_review(one());
    story.clone().when(to(&story, one())).refused(Refusal::NothingChanged);
    let renamed = Plan { name: "other".to_owned(), ..two() };
    story.clone().when(to(&story, renamed)).refused(Refusal::OtherDefinition);
    let newer = Plan { version: 9, ..two() };
    story.clone().when(to(&story, newer)).refused(Refusal::OtherDefinition);
    let mut story = story;
    for n in 0..EDITS_MAX {
        let next = if n % 2 == 0 { two() } else { one() };
        story = story.clone().edits(to(&story, next));
    }
    story.clone().when(to(&story, two())).refused(Refusal::TooManyEdits);
}

#[test]
fn the_inputs_follow_the_plan_and_come_back_with_it() {
    let story = in_review(one());
    let more = PlanEdit { inputs: body(json!({ "n": 1 })), ..edit(&story.state, two()) };
    let story = story.edits(Command::EditPlan(Box::new(more)));
    assert_eq!(story.state.inputs, body(json!({ "n": 1 })));
    assert_eq!(story.edits(undo(1)).state.inputs, body(json!({})));
}

#[test]
fn both_stands_of_an_edit_have_their_word() {
    let words = EditStatus::ALL.iter().map(|status| status.word());
    assert_eq!(words.collect::<Vec<_>>(), ["applied", "undone"]);
}

/// What of a state an edit and its undoing leave as it was.
fn besides_edits(state: &WorkflowState) -> String {
    let mut whole = state.clone();
    (whole.revision, whole.updated_at) = (0, second(0));
    whole.edits = crate::workflow::edits::Edits::default();
    whole.phase = Phase::PendingReview;
    (whole.changed, whole.newly_ready) = (Vec::new(), Vec::new());
    format!("{whole:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn edits_and_undoings_are_the_fold_of_their_journal(
        plans in proptest::collection::vec(laws::random_plan(), 2..5),
        steps in proptest::collection::vec((0..8_u8, any::<u8>()), 1..24),
    ) {
        let known: BTreeMap<BlobHash, Plan> =
            plans.iter().map(|plan| (hash(plan), plan.clone())).collect();
        let first = in_review(plans[0].clone());
        let (mut story, mut journal, mut stands) = (first.clone(), Vec::new(), Vec::new());
        for (kind, which) in steps {
            let chosen = plans[usize::from(which) % plans.len()].clone();
            let newest = story.state.edits().newest().map_or(0, |(edit, _)| edit);
            let command = match kind {
                0..=3 => to(&story, chosen),
                4..=5 => undo(newest),
                6 => Command::SendBack { comments: String::new() },
                _ => Command::Approve { revision: story.state.revision - u64::from(which % 2) },
            };
            let Ok(events) = story.state.decide(&command, &story.moment()) else { continue };
            let (before, revision) = (besides_edits(&story.state), story.state.revision);
            story = story.replanned(events.clone(), &known);
            journal.extend(events.into_iter().map(|event| (event, second(story.clock))));
            prop_assert_eq!(story.state.revision, revision + 1);
            match &command {
                Command::EditPlan(_) => stands.push(before),
                Command::UndoEdit { .. } => {
                    prop_assert_eq!(Some(besides_edits(&story.state)), stands.pop());
                }
                _ => {}
            }
            let mut anew = story.state.clone();
            anew.reindex();
            prop_assert_eq!(besides_edits(&anew), besides_edits(&story.state));
            prop_assert_eq!(story.state.plan.tasks.len(), story.state.tasks().len());
        }
        let mut folded = first;
        for (event, _) in &journal {
            let stored = Event::read(event.kind(), &event.body().expect("written")).expect("read");
            folded = folded.replanned(vec![stored], &known);
        }
        prop_assert_eq!(besides_edits(&folded.state), besides_edits(&story.state));
        prop_assert_eq!(folded.state.edits(), story.state.edits());
        let snapshot = story.state.snapshot(hash(&story.state.plan));
        let bytes = snapshot.pack().expect("written");
        let snapshot = super::super::Snapshot::unpack(&bytes).expect("read");
        let (plan, graph) = (Arc::clone(&story.state.plan), Arc::clone(&story.state.graph));
        let again = WorkflowState::restored(snapshot, plan, graph).expect("it fits");
        prop_assert_eq!(again.edits(), story.state.edits());
        prop_assert_eq!(besides_edits(&again), besides_edits(&story.state));
    }
}
