//! Fan-out over a list, and its join.

use super::*;
use crate::progress::progress;

fn fan(on_failure: OnFailure, count: u32) -> Story {
    let each = tool("each").each(None).on_failure(on_failure);
    let story = given(plan([each, tool("after").needs([0])]));
    story.after([expanded(0, 2, count)])
}

fn items_failed(task: u32, failed: u32, count: u32) -> Event {
    let message = format!("{failed} of {count} items failed");
    gave_up(task, CallFailure::refused(FailureKind::Items, message))
}

#[test]
fn a_list_becomes_tasks_behind_those_of_the_plan() {
    let story = given(plan([tool("each").each(None), tool("after").needs([0])]));
    let story = story.when(expand(0, 3)).then([expanded(0, 2, 3)]);
    assert_eq!(story.ready(), [2, 3, 4]);
    assert_eq!(story.state.key_of(Ordinal(3)), "each[1]");
    assert_eq!(progress(&story.state).total, 4, "three items and `after`");
    story.when(expand(0, 3)).refused(Refusal::NotReady);
}

#[test]
fn the_join_comes_after_the_last_item() {
    let story = fan(OnFailure::Fail, 2).after([started(3, 1), done(3), started(2, 1)]);
    let story = story.when(Command::Advance).then([]);
    let story = story.after([done(2)]);
    let story = story.when(Command::Advance).then([gathered(0, 2, 2)]);
    assert_eq!(story.ready(), [1]);
    assert_eq!(progress(&story.state).completed, 2);
}

#[test]
fn an_empty_list_is_joined_at_once() {
    let story = fan(OnFailure::Fail, 0);
    let story = story.when(Command::Advance).then([gathered(0, 2, 0)]);
    assert_eq!(story.ready(), [1]);
    assert_eq!(progress(&story.state).total, 1, "`after` alone");
}

#[test]
fn under_fail_the_other_items_are_skipped_and_the_run_fails() {
    let story = fan(OnFailure::Fail, 3).after([started(2, 1), started(3, 1), failed(2)]);
    let story = story.when(start(4)).refused(Refusal::NotReady);
    let story = story.when(Command::Advance).then([skipped(4, SkipCause::Dependency)]);
    let story = story.after([done(3)]);
    let story = story.when(Command::Advance).then([items_failed(0, 1, 3)]);
    let story = story.finishes();
    assert_eq!(story.statuses(), ["failed", "cancelled", "failed", "completed", "skipped"]);
    assert!(matches!(story.outcome(), Outcome::Failed { task: Some(Ordinal(0)), .. }));
}

#[test]
fn under_continue_the_join_has_failed_and_the_rest_goes_on() {
    let story = fan(OnFailure::Continue, 2);
    let story = story.after([started(2, 1), failed(2), started(3, 1), done(3)]);
    let story = story.when(Command::Advance).then([items_failed(0, 1, 2)]);
    assert_eq!(story.ready(), [1]);
    let story = story.after([started(1, 1), done(1)]).finishes();
    assert!(matches!(story.outcome(), Outcome::CompletedWithErrors { failed: 1, .. }));
}

#[test]
fn under_skip_dependents_what_needs_the_join_is_skipped() {
    let story = fan(OnFailure::SkipDependents, 2);
    let story = story.after([started(2, 1), failed(2), started(3, 1), done(3)]).settled();
    assert_eq!(story.statuses(), ["failed", "skipped", "failed", "completed"]);
}

#[test]
fn an_item_may_be_left_out_by_its_when() {
    let story =
        fan(OnFailure::Fail, 2).after([skipped(2, SkipCause::When), started(3, 1), done(3)]);
    let story = story.when(Command::Advance).then([gathered(0, 2, 2)]);
    assert_eq!(progress(&story.state).total, 2, "one item and `after`");
}

#[test]
fn concurrency_bounds_what_runs_or_waits() {
    let story = given(plan([tool("each").each(Some(2)).retry(2, 1, 1)]));
    let story = story.after([expanded(0, 1, 4), started(1, 1), started(2, 1)]);
    assert!(!story.state.item_may_start(Ordinal(3)));
    let story = story.after([done(1)]);
    assert!(story.state.item_may_start(Ordinal(3)));
}

#[test]
fn an_item_that_pauses_before_its_next_attempt_keeps_its_own_place() {
    let story = given(plan([tool("each").each(Some(1)).retry(2, 1, 1)]));
    let story = story.after([expanded(0, 1, 2), started(1, 1)]);
    let story = story.does(fail(1, 1, passing()));
    assert!(!story.state.item_may_start(Ordinal(2)), "the place is taken");
    assert!(story.state.item_may_start(Ordinal(1)), "by this one");
}

#[test]
fn items_that_were_cancelled_cancel_the_join() {
    let story = fan(OnFailure::Fail, 2).after([started(2, 1), done(2), started(3, 1)]);
    let story = story.after([cancel_requested()]);
    let story = story.when(fail(3, 1, failure(Happened::No))).then([cancelled(3)]);
    story.when(Command::Advance).then([cancelled(0)]);
}

#[test]
fn a_list_too_long_for_a_workflow_is_refused() {
    let story = given(plan([tool("each").each(None)]));
    let count = u32::try_from(crate::plan::WORKFLOW_TASKS_MAX).expect("it fits");
    story.when(expand(0, count)).refused(Refusal::TooManyTasks);
}
