//! Work for workers outside: it starts on lease alone, and an answer counts for its attempt only.

use super::*;
use crate::workflow::TaskPhase;

#[test]
fn it_starts_on_lease_and_nothing_else_does() {
    let story = given(plan([worker("a", Effect::Idempotent), tool("b")]));
    let story = story.when(start(0)).refused(Refusal::NotReady);
    let story = story.when(lease(1)).refused(Refusal::NotReady);
    let story = story.when(lease(0)).then([leased(0, 1)]);
    assert_eq!(story.state.lease(Ordinal(0)), Some(&by_ada()));
    let phase = &story.state.task(Ordinal(0)).expect("it exists").phase;
    assert!(matches!(phase, TaskPhase::Executing { lease: Some(_), .. }));
    let story = story.when(lease(0)).refused(Refusal::NotReady);
    let story = story.when(complete(0, 1)).then([done(0)]);
    assert_eq!(story.state.lease(Ordinal(0)), None);
}

#[test]
fn a_lost_lease_is_given_again_and_the_late_answer_refused() {
    let story = given(plan([worker("a", Effect::Idempotent)])).does(lease(0));
    let lost = fail_by(0, 1, AttemptStatus::Lost, unknown());
    let story = story.does(lost);
    assert_eq!(story.ready(), [0]);
    let story = story.when(lease(0)).then([leased(0, 2)]);
    let story = story.when(complete(0, 1)).refused(Refusal::StaleAttempt);
    let story = story.when(complete(0, 2)).then([done(0)]);
    story.when(complete(0, 2)).refused(Refusal::StaleAttempt);
}

#[test]
fn a_lost_lease_of_what_must_happen_once_is_in_doubt() {
    let story = given(plan([worker("a", Effect::Once)])).does(lease(0));
    let story = story.does(fail_by(0, 1, AttemptStatus::Lost, unknown()));
    assert_eq!(story.status_of(0), TaskStatus::Waiting);
    let story = story.when(lease(0)).refused(Refusal::NotReady);
    let verdict = crate::workflow::Verdict::DidNotHappen;
    let story = story.does(Command::Settle { task: Ordinal(0), verdict });
    story.when(lease(0)).then([leased(0, 2)]);
}

#[test]
fn a_worker_says_whether_trying_again_may_help() {
    let story = given(plan([worker("a", Effect::Idempotent).retry(2, 1, 1)])).does(lease(0));
    let again = story.clone().does(fail(0, 1, passing()));
    assert_eq!(again.status_of(0), TaskStatus::Waiting);
    let over = story.does(fail(0, 1, failure(Happened::No)));
    assert_eq!(over.status_of(0), TaskStatus::Failed);
}
