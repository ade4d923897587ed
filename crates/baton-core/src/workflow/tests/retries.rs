//! The next run of a workflow: what is done again, and what keeps what it has.

use super::*;
use crate::workflow::event::Retried;

fn retried(run: u32, tasks: impl IntoIterator<Item = u32>) -> Event {
    let tasks = tasks.into_iter().map(Ordinal).collect();
    Retried { run, tasks }.into()
}

/// Stage 0: `a`, `b`; stage 1: `c` needs `a`, and `d` at the barrier. `b` failed.
fn failed_run() -> Story {
    let graph = stages([vec![tool("a"), tool("b")], vec![tool("c").needs([0]), tool("d")]]);
    let events = [started(0, 1), done(0), started(2, 1), done(2), started(1, 1), failed(1)];
    given(graph).after(events).finishes()
}

#[test]
fn a_retry_does_again_what_did_not_complete() {
    let story = failed_run().when(retry([])).then([retried(2, [1, 3])]);
    assert_eq!(story.statuses(), ["completed", "ready", "completed", "pending"]);
    let story = story.when(start(1)).then([started(1, 2)]);
    let story = story.when(complete(1, 1)).refused(Refusal::StaleAttempt);
    let story = story.does(complete(1, 2)).does(start(3)).does(complete(3, 1)).finishes();
    assert!(matches!(story.outcome(), Outcome::Completed { .. }));
    story.when(retry([])).refused(Refusal::NothingToRetry);
}

#[test]
fn named_tasks_are_done_again_with_everything_that_needs_them() {
    let story = failed_run().when(retry([0])).then([retried(2, [0, 1, 2, 3])]);
    assert_eq!(story.statuses(), ["ready", "ready", "pending", "pending"]);
}

#[test]
fn only_an_ended_run_is_retried() {
    given(plan([tool("a")])).when(retry([])).refused(Refusal::NotEnded);
    failed_run().when(retry([17])).refused(Refusal::NoSuchTask);
}

#[test]
fn a_completed_run_is_done_again_by_name() {
    let story = given(plan([tool("a"), tool("b")]));
    let story = story.after([started(0, 1), done(0), started(1, 1), done(1)]).finishes();
    let story = story.when(retry([1])).then([retried(2, [1])]);
    assert_eq!(story.statuses(), ["completed", "ready"]);
}

#[test]
fn a_retry_starts_the_retry_policy_anew() {
    let story = given(plan([tool("a").fallback([Effect::Read])]));
    let story = story.after([started(0, 1)]).does(fail(0, 1, failure(Happened::No)));
    let story = story.after([started(0, 2)]).does(fail(0, 2, failure(Happened::No))).finishes();
    let story = story.does(retry([]));
    let task = &story.state.tasks()[0];
    assert_eq!((task.rung, task.tries, task.attempts), (0, 0, 2));
}

/// `list` fans out into three items of which the second failed; `join` needs it.
fn fanned(on_failure: OnFailure) -> Story {
    let graph = plan([
        tool("make"),
        tool("list").needs([0]).each(None).on_failure(on_failure),
        tool("join").needs([1]),
    ]);
    let story = given(graph).after([started(0, 1), done(0), expanded(1, 3, 3)]);
    let story = story.after([started(3, 1), done(3), started(4, 1), started(5, 1), done(5)]);
    let mut story = story.does(fail(4, 1, failure(Happened::No)));
    if on_failure == OnFailure::Continue {
        story = story.does(start(2)).does(complete(2, 1));
    }
    story.finishes()
}

#[test]
fn of_an_each_only_the_items_that_failed_are_done_again() {
    let story = fanned(OnFailure::Fail).when(retry([])).then([retried(2, [2, 4])]);
    assert_eq!(story.status_of(1), TaskStatus::Executing, "its items run");
    assert_eq!(story.ready(), [4]);
    let story = story.does(start(4)).does(complete(4, 2));
    assert_eq!(story.status_of(1), TaskStatus::Completed);
    let story = story.does(start(2)).does(complete(2, 1)).finishes();
    assert!(matches!(story.outcome(), Outcome::Completed { .. }));
}

#[test]
fn an_each_that_is_done_again_makes_its_items_anew() {
    let story = fanned(OnFailure::Continue).when(retry([0])).then([retried(2, [0, 1, 2])]);
    assert_eq!(
        story.statuses(),
        ["ready", "pending", "pending", "cancelled", "cancelled", "cancelled"]
    );
    assert_eq!(story.state.tally().total, 3, "superseded items count no more");
    let story = story.does(start(0)).does(complete(0, 2));
    let story = story.when(expand(1, 1)).then([expanded(1, 6, 1)]);
    let story = story.does(start(6)).does(complete(6, 1)).does(start(2)).does(complete(2, 2));
    let story = story.finishes();
    story.clone().when(retry([])).refused(Refusal::NothingToRetry);
    story.clone().when(retry([4])).refused(Refusal::NoSuchTask);
    story.when(retry([6])).then([retried(3, [2, 6])]);
}

#[test]
fn an_item_named_with_its_each_is_not_done_for_itself() {
    let story = fanned(OnFailure::Continue).when(retry([1, 3])).then([retried(2, [1, 2])]);
    assert_eq!(story.ready(), [1]);
}
