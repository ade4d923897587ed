//! An example of each event of a conversation, with every field filled in, for the golden files.

use super::*;
use crate::actor::Actor;
use crate::conversation::{
    self, AnswerKind, Claimed, Clarification, ClarificationAnswered, ClarificationAsked, Closed,
    ContextShifted, Escalated, Focus, Given, MessageAdded, Opened, PlanProposed, PlanReviewed,
    PlannerAdmitted, PlanningEnded, PlanningStarted, Released, ReviewEnd, Stopped, WorkflowEnded,
    WorkflowLinked,
};
use crate::ids::ProjectId;
use crate::words::{FocusKind, PlanningEnd, Speaker, WorkflowStatus};
use crate::workflow::{ConversationEvent, EventKind};

/// An event of the kind, which is a conversation's.
// Long because it has one example for each event.
pub(super) fn example(kind: EventKind) -> Event {
    let story = admitted(plan([tool("a")]), |_| {});
    let workflow = story.state.id;
    let blob = Body::Blob { hash: BlobHash::of(b"a large body"), size: 4096 };
    let event: ConversationEvent = match kind {
        EventKind::Opened => Opened {
            id: story.state.conversation,
            by: Actor::user("ada"),
            title: "Compare two offers".to_owned(),
            project: Some(ProjectId::from_bytes([5; 16])),
            folder: Some("/srv/ada".into()),
        }
        .into(),
        EventKind::MessageAdded => {
            MessageAdded { number: 3, speaker: Speaker::User, text: blob, begins: true }.into()
        }
        EventKind::PlanningStarted => PlanningStarted { planning: 2 }.into(),
        EventKind::PlannerAdmitted => PlannerAdmitted { planning: 2, workflow }.into(),
        EventKind::PlanningEnded => {
            PlanningEnded { planning: 2, end: PlanningEnd::Proposed }.into()
        }
        EventKind::ClarificationAsked => {
            ClarificationAsked { round: 2, questions: questions() }.into()
        }
        EventKind::ClarificationAnswered => ClarificationAnswered { answers: answers() }.into(),
        EventKind::PlanProposed => PlanProposed {
            workflow,
            assumptions: vec!["prices are net".to_owned()],
            will_not: vec!["order anything".to_owned()],
        }
        .into(),
        EventKind::PlanReviewed => {
            let end = ReviewEnd::SentBack { comments: "smaller".to_owned() };
            PlanReviewed { workflow, end }.into()
        }
        EventKind::WorkflowLinked => WorkflowLinked { workflow }.into(),
        EventKind::WorkflowEnded => {
            let status = WorkflowStatus::CompletedWithErrors;
            WorkflowEnded { workflow, status, number: 4, closing: blob }.into()
        }
        EventKind::ContextShifted => ContextShifted {
            focus: Focus {
                kind: FocusKind::Document,
                id: "offers/one.pdf".to_owned(),
                title: "one.pdf".to_owned(),
                summary: "An offer of May.".to_owned(),
            },
        }
        .into(),
        EventKind::Stopped => Stopped {}.into(),
        EventKind::Escalated => Escalated { reason: "it costs too much".to_owned() }.into(),
        EventKind::Claimed => Claimed { by: Actor::user("grace") }.into(),
        EventKind::Released => Released {}.into(),
        EventKind::Closed => Closed {}.into(),
        other => panic!("{other} is not a conversation's"),
    };
    Event::Conversation(event)
}

/// A question of each kind.
fn questions() -> Vec<Clarification> {
    let question = |key: &str, kind, default| Clarification {
        key: key.to_owned(),
        question: format!("Which {key}?"),
        reason: "It decides what is compared.".to_owned(),
        kind,
        default,
    };
    let choices = vec!["price".to_owned(), "date".to_owned()];
    let number = AnswerKind::Number { min: Some(1.0), max: Some(2.5), integer: true };
    vec![
        question("goal", AnswerKind::Text, None),
        question("order", AnswerKind::Choice { choices }, Some(json!("price"))),
        question("net", AnswerKind::YesNo, Some(json!(true))),
        question("file", AnswerKind::File, None),
        question("count", number, Some(json!(2))),
        question("any", AnswerKind::Number { min: None, max: None, integer: false }, None),
    ]
}

fn answers() -> Vec<conversation::Answer> {
    let answer = |key: &str, given| conversation::Answer { key: key.to_owned(), given };
    vec![
        answer("goal", Given::Value(Json::of(&json!("the cheaper one")))),
        answer("order", Given::Skipped),
        answer("net", Given::Delegated),
    ]
}

/// The other ends of a review are read for ever as well.
#[test]
fn every_end_of_a_review_is_written_as_it_ever_was() {
    let workflow = admitted(plan([tool("a")]), |_| {}).state.id;
    for (end, golden) in [
        (
            ReviewEnd::Approved,
            include_str!("../../../tests/golden/conversation.plan_reviewed.approved.json"),
        ),
        (
            ReviewEnd::Withdrawn,
            include_str!("../../../tests/golden/conversation.plan_reviewed.withdrawn.json"),
        ),
    ] {
        let event = Event::Conversation(PlanReviewed { workflow, end }.into());
        assert_eq!(event.body().expect("it is written"), golden.trim());
        let read = Event::read(EventKind::PlanReviewed, golden.trim());
        assert_eq!(read.expect("what was stored is readable"), event);
    }
}

/// A workflow that tells a conversation of its end says so in its first event.
#[test]
fn an_admission_for_a_conversation_is_written_as_it_ever_was() {
    let golden = include_str!("../../../tests/golden/workflow.admitted.reporting.json").trim();
    let reporting = admitted(plan([tool("a")]), |event| event.reports_to = Some(7));
    assert_eq!(reporting.state.reports_to, Some(7));
    let Event::Admitted(event) = Event::read(EventKind::Admitted, golden).expect("readable") else {
        panic!("it is read as something else");
    };
    assert_eq!(event.reports_to, Some(7));
    assert_eq!(Event::Admitted(event).body().expect("it is written"), golden);
}
