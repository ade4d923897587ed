//! Cancel, pause, resume, the time budget, and forks.

use super::*;
use crate::progress::progress;
use crate::workflow::event::ClockSet;
use crate::workflow::{Resume, Verdict};

#[test]
fn what_has_not_started_is_cancelled_at_once() {
    let outcome = || Outcome::Cancelled { reason: None };
    let queued = admitted(plan([tool("a")]), |_| {});
    let story = queued.when(cancel()).then([finished(outcome())]);
    assert_eq!(story.statuses(), ["cancelled"]);
    let reviewed = admitted(plan([tool("a")]), |event| event.review = true);
    reviewed.when(cancel()).then([finished(outcome())]);
}

#[test]
fn what_runs_may_end_and_nothing_starts() {
    let story =
        given(plan([tool("a"), tool("b"), tool("c")])).after([started(0, 1), started(1, 1)]);
    let story = story.when(cancel()).then([cancel_requested()]);
    let story = story.when(cancel()).refused(Refusal::AlreadyCancelling);
    let story = story.when(pause()).refused(Refusal::NotRunning);
    let story = story.when(start(2)).refused(Refusal::NotReady);
    let story = story.when(complete(0, 1)).then([done(0)]);
    let story = story.when(finish()).refused(Refusal::NotSettled);
    let story = story.when(fail(1, 1, passing())).then([cancelled(1)]).finishes();
    assert_eq!(story.statuses(), ["completed", "cancelled", "cancelled"]);
    let story = story.when(cancel()).refused(Refusal::AlreadyEnded);
    story.when(complete(0, 1)).refused(Refusal::AlreadyEnded);
}

#[test]
fn a_call_in_doubt_keeps_the_run_cancelling_until_it_is_settled() {
    let story = given(plan([once("a"), human(HumanKind::Approval)]));
    let story = story.after([started(0, 1), started(1, 1), waited(1, person())]);
    let story = story.does(cancel());
    assert_eq!(story.status_of(1), TaskStatus::Cancelled, "nobody is asked any more");
    let overrun = CallFailure::in_doubt(FailureKind::Cancelled, "told to stop");
    let story = story.does(fail_by(0, 1, AttemptStatus::Cancelled, overrun));
    let story = story.when(finish()).refused(Refusal::NotSettled);
    assert_eq!(story.state.status().to_string(), "cancelling");
    let verdict = Verdict::Happened(body(json!(0)));
    let settle = |verdict| Command::Settle { task: Ordinal(0), verdict };
    let happened = story.clone().when(settle(verdict)).then([done(0)]).finishes();
    assert_eq!(*happened.outcome(), Outcome::Cancelled { reason: None });
    let story = story.when(settle(Verdict::DidNotHappen)).then([cancelled(0)]);
    story.finishes();
}

#[test]
fn a_pause_lets_running_tasks_end_and_starts_none() {
    let story = given(plan([tool("a"), tool("b").needs([0])])).after([started(0, 1)]);
    let story = story.when(pause()).then([paused()]);
    let story = story.when(pause()).refused(Refusal::NotRunning);
    let story = story.when(complete(0, 1)).then([done(0)]).settled();
    let story = story.when(start(1)).refused(Refusal::NotReady);
    let story = story.when(Command::Resume).then([resumed()]);
    let story = story.when(Command::Resume).refused(Refusal::NotPaused);
    story.when(start(1)).then([started(1, 1)]);
}

#[test]
fn the_last_running_task_ends_a_paused_run() {
    let story = given(plan([tool("a")])).after([started(0, 1), paused(), done(0)]);
    let output = Body::null();
    story.when(finish()).then([finished(Outcome::Completed { output })]);
    let story = given(plan([tool("a"), tool("b")])).after([started(0, 1), paused(), failed(0)]);
    assert!(matches!(story.finishes().outcome(), Outcome::Failed { .. }));
}

#[test]
fn a_paused_run_can_be_cancelled() {
    let story = given(plan([tool("a")])).after([paused()]).does(cancel());
    assert_eq!(*story.finishes().outcome(), Outcome::Cancelled { reason: None });
}

#[test]
fn time_counts_while_something_runs_and_not_while_people_are_waited_for() {
    let story = given(plan([human(HumanKind::Approval), tool("b").needs([0])]));
    let used = |story: &Story, at| story.state.time_used(second(at)).as_secs();
    assert_eq!(used(&story, 11), 10, "something could start");
    let story = story.after([started(0, 1), waited(0, person())]);
    assert_eq!(used(&story, 1000), 2);
    let story = story.after([done(0)]);
    assert_eq!(used(&story, 14), 12, "`b` is ready");
    let story = story.after([paused()]);
    assert_eq!(used(&story, 1000), 3);
    let story = story.after([resumed()]);
    assert_eq!(used(&story, 6), 3, "a pause of an actor's gives nothing back");
}

#[test]
fn resuming_after_the_time_budget_grants_as_much_again() {
    let cause = PauseCause::TimeBudget;
    let story = given(plan([tool("a")])).after([started(0, 1)]);
    let story = story.when(Command::Pause { cause }).then([Paused { cause }.into()]);
    assert_ne!(story.state.time_used(second(9)), Duration::ZERO);
    let story = story.when(Command::Resume).then([resumed()]);
    assert_eq!(story.state.time_used(second(story.clock)), Duration::ZERO);
}

#[test]
fn a_wait_for_time_counts_against_the_budget() {
    let on = Waiting::Timer { until: second(50), span: None, then: Resume::Complete };
    let story = given(plan([wait_for(5)])).after([started(0, 1), waited(0, on)]);
    assert_eq!(story.state.time_used(second(20)).as_secs(), 19);
}

#[test]
fn what_setting_the_clock_took_or_gave_is_no_time_used() {
    let budgeted = || Plan { time_max: Some(Span(Duration::from_secs(60))), ..plan([tool("a")]) };
    for (ahead_ms, used) in [(8_000, 1), (-3_600_000, 3_609), (i64::MAX, 0)] {
        let mut story = given(budgeted()).after([started(0, 1)]);
        story.clock += 7;
        let set = Event::from(ClockSet { ahead_ms });
        let story = story.when(Command::NoteClock { ahead_ms }).then([set]);
        let now = second(story.clock);
        assert_eq!(story.state.time_used(now).as_secs(), used, "{ahead_ms}");
    }
}

#[test]
fn the_clock_is_noted_where_a_time_budget_runs_alone() {
    let note = || Command::NoteClock { ahead_ms: 5_000 };
    given(plan([tool("a")])).when(note()).refused(Refusal::NotRunning);
    let time_max = Some(Span(Duration::from_secs(60)));
    let budgeted = Plan { time_max, ..plan([human(HumanKind::Approval)]) };
    let story = given(budgeted).after([started(0, 1), waited(0, person())]);
    story.when(note()).refused(Refusal::NotRunning);
}

#[test]
fn a_fork_keeps_what_was_completed() {
    let graph = stages([vec![tool("a"), tool("b")], vec![tool("c")]]);
    let story = admitted(graph, |event| event.kept = vec![kept(0)]);
    assert_eq!(story.statuses(), ["completed", "ready", "pending"]);
    assert_eq!(progress(&story.state).percentage, 33);
    let story = story.settled().does(start(1)).does(complete(1, 1));
    assert_eq!(story.ready(), [2]);
}

#[test]
fn a_fork_that_keeps_everything_completes() {
    let story = admitted(plan([tool("a")]), |event| event.kept = vec![kept(0)]);
    let story = story.settled().finishes();
    assert!(matches!(story.outcome(), Outcome::Completed { .. }));
    assert_eq!(progress(&story.state).percentage, 100);
}
