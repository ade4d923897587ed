//! What comes from outside: people's answers, reviews, events, time, children.

use super::*;
use crate::workflow::decide::ANSWER_BYTES_MAX;
use crate::workflow::event::{SentBack, TaskEmitted};
use crate::workflow::{Phase, Resume};

fn asks(kind: HumanKind) -> Story {
    given(plan([human(kind)])).does(start(0)).does(suspend(0, 1, person()))
}

fn brought(value: Value) -> Event {
    let output = Output::Value(body(value));
    TaskCompleted { task: Ordinal(0), output }.into()
}

#[test]
fn an_approval_is_yes_or_no_with_a_comment() {
    let yes = || brought(json!({ "approved": true, "by": "ada", "comment": "" }));
    asks(HumanKind::Approval).when(respond(0, json!(true))).then([yes()]);
    let value = json!({ "approved": true, "comment": "fine" });
    let output = json!({ "approved": true, "by": "ada", "comment": "fine" });
    asks(HumanKind::Approval).when(respond(0, value)).then([brought(output)]);
    let no = CallFailure::refused(FailureKind::Rejected, "rejected by ada: too early");
    let value = json!({ "approved": false, "comment": "too early" });
    asks(HumanKind::Approval).when(respond(0, value)).then([gave_up(0, no)]);
    asks(HumanKind::Approval).when(respond(0, json!("yes"))).refused(Refusal::InvalidAnswer);
}

#[test]
fn a_choice_is_one_of_its_options() {
    asks(HumanKind::Choice).when(respond(0, json!("left"))).then([brought(json!("left"))]);
    asks(HumanKind::Choice).when(respond(0, json!("up"))).refused(Refusal::InvalidAnswer);
    asks(HumanKind::Choice).when(respond(0, json!(1))).refused(Refusal::InvalidAnswer);
}

#[test]
fn a_form_fits_its_schema() {
    asks(HumanKind::Form).when(respond(0, json!({ "n": 3 }))).then([brought(json!({ "n": 3 }))]);
    asks(HumanKind::Form).when(respond(0, json!({ "n": "three" }))).refused(Refusal::InvalidAnswer);
    asks(HumanKind::Form).when(respond(0, json!({}))).refused(Refusal::InvalidAnswer);
    let long = json!({ "n": 3, "x": "x".repeat(ANSWER_BYTES_MAX) });
    asks(HumanKind::Form).when(respond(0, long)).refused(Refusal::InvalidAnswer);
}

#[test]
fn a_question_is_answered_once() {
    let story = asks(HumanKind::Choice).after([brought(json!("left"))]);
    story.when(respond(0, json!("left"))).refused(Refusal::NotWaiting);
    let story = given(plan([tool("a")])).after([started(0, 1)]);
    story.when(respond(0, json!(true))).refused(Refusal::NotWaiting);
}

#[test]
fn a_plan_is_approved_at_the_revision_that_was_looked_at() {
    let story = || admitted(plan([tool("a")]), |event| event.review = true);
    let approve = |revision| Command::Approve { revision };
    assert_eq!(story().when(Command::Advance).then([]).status(), "pending_review");
    story().when(approve(2)).refused(Refusal::StaleRevision);
    let approved = story().when(approve(1)).then([approved()]);
    let approved = approved.when(Command::Advance).then([Started {}.into()]);
    approved.when(approve(3)).refused(Refusal::NotInReview);
    story().when(start(0)).refused(Refusal::NotReady);
}

#[test]
fn a_plan_is_sent_back_with_comments() {
    let story = admitted(plan([tool("a")]), |event| event.review = true);
    let comments = "smaller steps".to_owned();
    let command = Command::SendBack { comments: comments.clone() };
    let story = story.when(command.clone()).then([SentBack { comments: comments.clone() }.into()]);
    assert_eq!(story.state.phase, Phase::Draft { comments });
    let story = story.when(command).refused(Refusal::NotInReview);
    story.when(Command::Approve { revision: 2 }).refused(Refusal::NotInReview);
}

#[test]
fn an_emitted_event_completes_its_task() {
    let story = given(plan([emit()])).after([started(0, 1)]);
    let command = Command::Emit {
        task: Ordinal(0),
        attempt: 1,
        event_type: "design.requested".to_owned(),
        data: body(json!({ "job": 1 })),
    };
    let emitted = TaskEmitted {
        task: Ordinal(0),
        event_type: "design.requested".to_owned(),
        data: body(json!({ "job": 1 })),
    };
    let output = Output::Value(Body::null());
    let done = TaskCompleted { task: Ordinal(0), output };
    let story = story.when(command.clone()).then([emitted.into(), done.into()]);
    story.when(command).refused(Refusal::StaleAttempt);
}

fn waiting(on: Waiting) -> Story {
    given(plan([wait_for(5)])).does(start(0)).does(suspend(0, 1, on))
}

#[test]
fn an_awaited_event_completes_with_itself_or_fails_in_time() {
    let on = |until| Waiting::Event { pattern: "design.*".to_owned(), until };
    let event = body(json!({ "type": "design.ready" }));
    let deliver = Command::Deliver { task: Ordinal(0), event: event.clone() };
    let done = TaskCompleted { task: Ordinal(0), output: Output::Value(event) };
    let story = waiting(on(None)).when(deliver.clone()).then([done.into()]);
    story.when(deliver).refused(Refusal::NotWaiting);
    let elapse = Command::Elapse { task: Ordinal(0) };
    waiting(on(None)).when(elapse.clone()).refused(Refusal::NotWaiting);
    let message = "no event of the type `design.*` came in time";
    let late = CallFailure::refused(FailureKind::NoEvent, message);
    waiting(on(Some(second(9)))).when(elapse).then([gave_up(0, late)]);
}

#[test]
fn an_awaited_moment_completes() {
    let timer = |then| Waiting::Timer { until: second(9), span: None, then };
    let elapse = Command::Elapse { task: Ordinal(0) };
    let output = Output::Value(Body::null());
    let done = TaskCompleted { task: Ordinal(0), output };
    waiting(timer(Resume::Complete)).when(elapse.clone()).then([done.into()]);
    waiting(timer(Resume::Retry)).when(elapse).refused(Refusal::NotWaiting);
}

#[test]
fn a_child_brings_its_output_or_its_failure() {
    let id = |salt| WorkflowId::new(&Moment::new(second(0), 1), salt);
    let story = || {
        let story = given(plan([child().retry(2, 1, 1)])).does(start(0));
        story.does(suspend(0, 1, Waiting::Child { child: id(5) }))
    };
    let ended = |child, outcome| Command::ChildEnded { task: Ordinal(0), child, outcome };
    let output = body(json!(0));
    let completed = Outcome::Completed { output: output.clone() };
    story().when(ended(id(5), completed.clone())).then([done(0)]);
    let with_errors = Outcome::CompletedWithErrors { output, failed: 1 };
    story().when(ended(id(5), with_errors)).then([done(0)]);
    story().when(ended(id(6), completed.clone())).refused(Refusal::NotWaiting);
    let failed = Outcome::Failed { task: None, failure: failure(Happened::No) };
    let again = story().does(ended(id(5), failed.clone()));
    assert_eq!(again.status_of(0), TaskStatus::Waiting, "a child may be tried again");
    let again = again.does(start(0)).does(suspend(0, 2, Waiting::Child { child: id(7) }));
    let again = again.when(ended(id(5), completed)).refused(Refusal::NotWaiting);
    let over = again.does(ended(id(7), failed));
    assert_eq!(over.status_of(0), TaskStatus::Failed);
    let cancelled = Outcome::Cancelled { reason: None };
    let story = story().after([cancel_requested()]);
    story.when(ended(id(5), cancelled)).then([super::cancelled(0)]);
}

impl Story {
    fn status(&self) -> String {
        self.state.status().to_string()
    }
}
