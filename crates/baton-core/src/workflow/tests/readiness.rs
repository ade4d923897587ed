//! When a task may start: `needs`, and stages as barriers.

use super::*;

#[test]
fn a_task_is_ready_when_all_it_needs_have_ended_well() {
    let story = given(plan([tool("a"), tool("b"), tool("c").needs([0, 1])]));
    assert_eq!(story.ready(), [0, 1]);
    let story = story.after([started(0, 1), done(0)]);
    assert_eq!(story.ready(), [1], "one of two needs is still open");
    let story = story.after([started(1, 1), done(1)]);
    assert_eq!(story.ready(), [2]);
}

#[test]
fn a_stage_starts_when_every_stage_before_it_is_done() {
    let story = given(stages([vec![tool("a"), tool("b")], vec![tool("c")], vec![tool("d")]]));
    let story = story.after([started(0, 1), done(0), started(1, 1)]);
    assert_eq!(story.ready(), [0; 0]);
    assert_eq!(story.state.current_stage().as_deref(), Some("stage-0"));
    let story = story.after([done(1)]);
    assert_eq!(story.ready(), [2]);
    assert_eq!(story.state.current_stage().as_deref(), Some("stage-1"));
    let story = story.after([started(2, 1), done(2)]);
    assert_eq!(story.ready(), [3]);
}

#[test]
fn a_task_with_needs_does_not_wait_for_the_barrier() {
    let story = given(stages([
        vec![tool("a"), tool("slow")],
        vec![tool("b").needs([0]), tool("c").needs([]), tool("d")],
    ]));
    assert_eq!(story.ready(), [0, 1, 3], "`needs: []` starts at once");
    let story = story.after([started(0, 1), done(0)]);
    assert_eq!(story.ready(), [1, 2, 3]);
}

#[test]
fn a_stage_without_tasks_holds_nobody_up() {
    let story = given(stages([vec![], vec![tool("a")], vec![], vec![tool("b")]]));
    assert_eq!(story.ready(), [0]);
    let story = story.after([started(0, 1), done(0)]);
    assert_eq!(story.ready(), [1]);
}

#[test]
fn a_plan_without_tasks_completes() {
    let story = given(plan([])).finishes();
    let output = Body::null();
    assert_eq!(*story.outcome(), Outcome::Completed { output });
}

#[test]
fn what_is_not_ready_does_not_start() {
    let story = given(plan([tool("a"), tool("b").needs([0])]));
    let story = story.when(start(1)).refused(Refusal::NotReady);
    let story = story.when(start(9)).refused(Refusal::NoSuchTask);
    let story = story.when(start(0)).then([started(0, 1)]);
    story.when(start(0)).refused(Refusal::NotReady);
}

#[test]
fn nothing_starts_before_the_run() {
    let story = admitted(plan([tool("a")]), |_| {});
    story.when(start(0)).refused(Refusal::NotReady);
}

/// WF3: what a run's stage is ends with the run, however it ended.
#[test]
fn wf3_an_ended_run_has_no_current_stage() {
    let story = given(stages([vec![tool("a"), tool("b")]])).after([started(0, 1), failed(0)]);
    assert_eq!(story.state.current_stage().as_deref(), Some("stage-0"));
    assert_eq!(story.finishes().state.current_stage(), None);
}
