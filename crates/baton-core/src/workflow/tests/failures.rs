//! What a task's failure, or its `when`, does to the others.

use super::*;
use crate::progress::progress;

fn outcome_of_failure(task: u32) -> Outcome {
    Outcome::Failed { task: Some(Ordinal(task)), failure: failure(Happened::No) }
}

#[test]
fn fail_lets_running_tasks_end_and_starts_nothing_more() {
    let story = given(plan([tool("a"), tool("b"), tool("c"), tool("d").needs([0])]));
    let story = story.after([started(0, 1), started(1, 1)]);
    let story = story.when(fail(0, 1, failure(Happened::No))).then([failed(0)]);
    let story = story.when(start(2)).refused(Refusal::NotReady);
    let story = story.when(finish()).refused(Refusal::NotSettled);
    let story = story.when(complete(1, 1)).then([done(1)]).settled();
    let story = story.when(finish()).then([finished(outcome_of_failure(0))]);
    assert_eq!(story.statuses(), ["failed", "completed", "cancelled", "cancelled"]);
}

#[test]
fn the_first_fatal_failure_is_the_cause() {
    let story = given(plan([tool("a"), tool("b")])).after([started(0, 1), started(1, 1)]);
    let story = story.after([failed(1), failed(0)]);
    assert_eq!(*story.finishes().outcome(), outcome_of_failure(1));
}

#[test]
fn after_a_fatal_failure_no_attempt_is_tried_again() {
    let story = given(plan([tool("a"), tool("b").retry(5, 1, 9).fallback([Effect::Read])]));
    let story = story.after([started(0, 1), started(1, 1), failed(0)]);
    story.when(fail(1, 1, passing())).then([failed_by(1, AttemptStatus::Failed, passing())]);
}

#[test]
fn after_a_fatal_failure_waits_for_people_time_and_events_end() {
    let event = Waiting::Event { pattern: "x".to_owned(), until: None };
    let story = given(plan([tool("a"), human(HumanKind::Approval), tool("e")])).after([
        started(0, 1),
        started(1, 1),
        waited(1, person()),
        started(2, 1),
        waited(2, event),
        failed(0),
    ]);
    let story = story.when(Command::Advance).then([cancelled(1), cancelled(2)]);
    assert_eq!(*story.finishes().outcome(), outcome_of_failure(0));
}

#[test]
fn continue_meets_the_need() {
    let story = given(stages([
        vec![tool("a").on_failure(OnFailure::Continue)],
        vec![tool("b"), tool("c").needs([0])],
    ]));
    let story = story.after([started(0, 1), failed(0)]).settled();
    assert_eq!(story.ready(), [1, 2]);
    let story = story.after([started(1, 1), done(1), started(2, 1), done(2)]);
    let output = Body::null();
    let tolerated = Outcome::CompletedWithErrors { output, failed: 1 };
    story.when(finish()).then([finished(tolerated)]);
}

#[test]
fn skip_dependents_skips_by_needs_and_by_barrier_and_what_follows_them() {
    let story = given(stages([
        vec![tool("a").on_failure(OnFailure::SkipDependents), tool("free")],
        vec![tool("by-needs").needs([0]), tool("by-barrier"), tool("other").needs([1])],
        vec![tool("later")],
    ]));
    let story = story.after([started(0, 1), failed(0)]);
    let dependency = SkipCause::Dependency;
    let story = story.when(Command::Advance).then([skipped(2, dependency)]);
    let story = story.after([started(1, 1), done(1)]);
    let story = story.when(Command::Advance).then([skipped(3, dependency)]);
    let story = story.after([started(4, 1), done(4)]);
    let story = story.when(Command::Advance).then([skipped(5, dependency)]);
    assert_eq!(story.state.tally().failed, 1);
    assert_eq!(progress(&story.state).total, 6, "what is skipped so stays in the total");
    assert!(matches!(story.finishes().outcome(), Outcome::CompletedWithErrors { failed: 1, .. }));
}

#[test]
fn a_doomed_task_does_not_start() {
    let story =
        given(plan([tool("a").on_failure(OnFailure::SkipDependents), tool("b").needs([0])]));
    let story = story.after([started(0, 1), failed(0)]);
    story.when(start(1)).refused(Refusal::NotReady);
}

#[test]
fn a_false_when_meets_the_need_and_leaves_the_total() {
    let story = given(plan([tool("a"), tool("b").needs([0])]));
    let skip = Command::SkipTask { task: Ordinal(0) };
    let story = story.when(skip.clone()).then([skipped(0, SkipCause::When)]);
    assert_eq!(story.ready(), [1]);
    assert_eq!(progress(&story.state).total, 1);
    let story = story.when(skip).refused(Refusal::NotReady);
    let story = story.after([started(1, 1), done(1)]);
    let output = Body::null();
    let story = story.when(finish()).then([finished(Outcome::Completed { output })]);
    assert_eq!(progress(&story.state).percentage, 100);
}

#[test]
fn templates_that_fail_on_the_data_fail_the_task() {
    let broken = CallFailure::refused(FailureKind::Template, "no such key");
    let refuse = Command::RefuseTask { task: Ordinal(0), failure: broken.clone() };
    let story = given(plan([tool("a")]));
    let story = story.when(refuse.clone()).then([gave_up(0, broken)]);
    story.when(refuse).refused(Refusal::NotReady);
}

#[test]
fn an_output_that_cannot_be_made_fails_the_run() {
    let broken = CallFailure::refused(FailureKind::Template, "no such key");
    let story = given(plan([tool("a")])).after([started(0, 1), done(0)]);
    let command = Command::Finish { output: Err(broken.clone()) };
    let outcome = Outcome::Failed { task: None, failure: broken };
    story.when(command).then([finished(outcome)]);
}

/// CH4: an end cannot be told without its time and its cause.
#[test]
fn ch4_every_end_carries_its_time_and_cause() {
    let story = given(plan([tool("a")])).after([started(0, 1), failed(0)]).finishes();
    let ended = story.state.ended().expect("it ended");
    assert_eq!(ended.at, second(story.clock));
    assert_eq!(ended.outcome, outcome_of_failure(0));
    let row = super::super::rows::task_row(&story.state, 1, Ordinal(0), 1).expect("a row");
    assert_eq!(row.ended_at, Some(second(3)));
    let row = super::super::rows::workflow_row(&story.state, 1, 1);
    assert_eq!(row.ended_at, Some(second(story.clock)));
}

#[test]
fn a_fallback_whose_templates_fail_is_a_failed_rung_and_the_next_is_tried() {
    let broken = CallFailure::refused(FailureKind::Template, "no such key");
    let refuse = Command::RefuseTask { task: Ordinal(0), failure: broken.clone() };
    let story = given(plan([tool("a").fallback([Effect::Read, Effect::Once])]));
    let story = story.after([started(0, 1)]).does(fail(0, 1, failure(Happened::No)));
    let next = attempt_failed(0, 2, broken.clone(), Next::Fallback);
    let story = story.when(refuse.clone()).then([started_on(1, 0, 2), next]);
    assert_eq!((story.ready(), story.state.tasks()[0].rung), (vec![0], 2));
    // After the last rung nothing is left to try.
    story.clone().when(refuse).then([gave_up(0, broken)]);
    let story = story.does(start(0)).does(complete(0, 3)).finishes();
    assert!(matches!(story.outcome(), Outcome::Completed { .. }));
}

#[test]
fn the_next_rung_is_not_tried_beside_a_fatal_failure() {
    let broken = CallFailure::refused(FailureKind::Template, "no such key");
    let two = tool("a").fallback([Effect::Read, Effect::Read]);
    let story = given(plan([two, tool("b")])).after([started(0, 1), started(1, 1)]);
    let story = story.does(fail(0, 1, failure(Happened::No))).after([failed(1)]);
    let refuse = Command::RefuseTask { task: Ordinal(0), failure: broken };
    story.when(refuse).refused(Refusal::NotReady);
}
