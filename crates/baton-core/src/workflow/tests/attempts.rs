//! What follows a failed attempt: retry, fallback, effect classes, and calls in doubt.

use super::*;
use crate::workflow::event::CallUndone;
use crate::workflow::{Resume, TaskPhase, Verdict};

const EFFECTS: [Effect; 3] = [Effect::Read, Effect::Idempotent, Effect::Once];

fn running(task: TaskPlan) -> Story {
    given(plan([task])).after([started(0, 1)])
}

/// The pause that a failure leads to, in milliseconds.
#[track_caller]
fn pause_after(story: &Story, attempt: u32, failure: CallFailure) -> u128 {
    let events = story.state.decide(&fail(0, attempt, failure), &story.moment());
    match events.as_deref() {
        Ok([Event::AttemptFailed(AttemptFailed { next: Next::Retry { until, span }, .. })]) => {
            assert_eq!(*until, story.moment().now.plus(*span));
            span.as_millis()
        }
        other => panic!("no retry: {other:?}"),
    }
}

#[test]
fn pauses_double_up_to_the_maximum_and_shrink_by_at_most_a_half() {
    for entropy in 0..50 {
        let mut story = running(tool("a").retry(6, 1, 10));
        story.entropy = entropy * 0x9e37_79b9;
        for (attempt, full) in [(1, 1000), (2, 2000), (3, 4000), (4, 8000), (5, 10_000)] {
            let pause = pause_after(&story, attempt, passing());
            assert!((full / 2..=full).contains(&pause), "{pause} of {full}");
            story = story.does(fail(0, attempt, passing()));
            assert_eq!(story.status_of(0), TaskStatus::Waiting);
            story = story.when(start(0)).then([started(0, attempt + 1)]);
        }
        story.when(fail(0, 6, passing())).then([failed_by(0, AttemptStatus::Failed, passing())]);
    }
}

#[test]
fn pauses_differ() {
    let pause = |entropy| {
        let mut story = running(tool("a").retry(2, 100, 100));
        story.entropy = entropy;
        pause_after(&story, 1, passing())
    };
    let pauses: std::collections::BTreeSet<u128> = (0..20).map(pause).collect();
    assert!(pauses.len() > 10, "{pauses:?}");
}

#[test]
fn the_other_side_may_ask_for_a_longer_pause() {
    let story = running(tool("a").retry(2, 1, 2));
    let retry_after_ms = Some(90_000);
    let later = CallFailure { retry_after_ms, ..passing() };
    assert_eq!(pause_after(&story, 1, later), 90_000);
    let retry_after_ms = Some(1);
    let sooner = CallFailure { retry_after_ms, ..passing() };
    assert!(pause_after(&story, 1, sooner) >= 500);
}

#[test]
fn what_will_not_pass_is_not_retried() {
    running(tool("a").retry(3, 1, 2)).when(fail(0, 1, failure(Happened::No))).then([failed(0)]);
}

#[test]
fn fallbacks_come_in_order_when_nothing_is_left_to_try() {
    let task = tool("a").retry(2, 1, 2).fallback([Effect::Read, Effect::Idempotent]);
    let story = running(task).does(fail(0, 1, passing())).after([started(0, 2)]);
    let next = || Next::Fallback;
    let story = story.when(fail(0, 2, passing())).then([attempt_failed(0, 2, passing(), next())]);
    assert_eq!(
        (story.ready(), story.state.called_tool(Ordinal(0)).map(|(_, effect)| effect)),
        (vec![0], Some(Effect::Read))
    );
    let story = story.after([started(0, 3)]);
    assert!(pause_after(&story, 3, passing()) > 0, "each rung has tries of its own");
    let no = || failure(Happened::No);
    let story = story.when(fail(0, 3, no())).then([attempt_failed(0, 3, no(), next())]);
    let story = story.after([started(0, 4)]);
    story.when(fail(0, 4, no())).then([failed(0)]);
}

/// The table of DESIGN section 5: what is repeated, what waits for word, what has failed.
#[test]
fn effect_classes_decide_what_is_repeated() {
    for status in [
        AttemptStatus::Lost,
        AttemptStatus::TimedOut,
        AttemptStatus::Cancelled,
        AttemptStatus::Failed,
    ] {
        for effect in EFFECTS {
            for happened in [Happened::No, Happened::Yes, Happened::Unknown] {
                let story = running(effectful("a", effect).retry(2, 1, 1));
                let failure = CallFailure { happened, ..passing() };
                let story = story.does(fail_by(0, 1, status, failure));
                let repeated = match &story.state.tasks()[0].phase {
                    TaskPhase::Ready => "at once",
                    TaskPhase::Waiting {
                        on: Waiting::Timer { then: Resume::Retry, .. }, ..
                    } => "later",
                    TaskPhase::Waiting { on: Waiting::InDoubt { .. }, .. } => "in doubt",
                    TaskPhase::Failed { .. } => "never",
                    other => panic!("{other:?}"),
                };
                let expected = match (effect, happened, status) {
                    (Effect::Once, Happened::Unknown, _) => "in doubt",
                    (Effect::Once, Happened::Yes, _) => "never",
                    (_, _, AttemptStatus::Lost) => "at once",
                    _ => "later",
                };
                assert_eq!(repeated, expected, "{status} {effect} {happened}");
            }
        }
    }
}

#[test]
fn fallback_of_a_once_call_needs_certainty_that_it_did_not_happen() {
    for (happened, next) in [
        (Happened::No, Some(Next::Fallback)),
        (Happened::Unknown, Some(Next::InDoubt)),
        (Happened::Yes, None),
    ] {
        let story = running(once("a").fallback([Effect::Read]));
        let failure = failure(happened);
        let event = match next {
            Some(next) => attempt_failed(0, 1, failure.clone(), next),
            None => failed_by(0, AttemptStatus::Failed, failure.clone()),
        };
        story.when(fail(0, 1, failure)).then([event]);
    }
}

#[test]
fn a_lost_attempt_uses_up_no_try_and_is_repeated_a_bounded_number_of_times() {
    let mut story = running(tool("a").retry(2, 1, 1));
    for attempt in 1..=super::super::decide::LOST_ATTEMPTS_MAX {
        story = story.does(fail_by(0, attempt, AttemptStatus::Lost, unknown()));
        assert_eq!(story.status_of(0), TaskStatus::Ready, "attempt {attempt}");
        story = story.after([started(0, attempt + 1)]);
    }
    let last = super::super::decide::LOST_ATTEMPTS_MAX + 1;
    story = story.does(fail_by(0, last, AttemptStatus::Lost, unknown()));
    assert_eq!(story.status_of(0), TaskStatus::Waiting, "a retry, with its pause");
    story = story.after([started(0, last + 1)]);
    story = story.does(fail_by(0, last + 1, AttemptStatus::Lost, unknown()));
    assert_eq!(story.status_of(0), TaskStatus::Failed);
}

fn in_doubt() -> Story {
    running(once("a")).does(fail_by(0, 1, AttemptStatus::Lost, unknown()))
}

#[test]
fn settled_as_happened_completes_with_the_result() {
    let verdict = Verdict::Happened(body(json!(0)));
    let settle = Command::Settle { task: Ordinal(0), verdict };
    let story = in_doubt().when(settle.clone()).then([done(0)]);
    story.finishes().when(settle).refused(Refusal::AlreadyEnded);
}

#[test]
fn settled_as_not_happened_makes_it_ready() {
    let settle = Command::Settle { task: Ordinal(0), verdict: Verdict::DidNotHappen };
    let story = in_doubt().when(settle.clone());
    let story = story.then([CallUndone { task: Ordinal(0) }.into()]);
    let story = story.when(settle).refused(Refusal::NotWaiting);
    story.when(start(0)).then([started(0, 2)]);
}

#[test]
fn only_what_is_in_doubt_is_settled() {
    let settle = || Command::Settle { task: Ordinal(0), verdict: Verdict::DidNotHappen };
    let story = running(once("a")).when(settle()).refused(Refusal::NotWaiting);
    let story = story.after([waited(0, person())]);
    story.when(settle()).refused(Refusal::NotWaiting);
}

#[test]
fn a_call_in_doubt_holds_the_end_of_a_failing_run() {
    let story = given(plan([once("a"), tool("b")])).after([started(0, 1), started(1, 1)]);
    let story = story.does(fail_by(0, 1, AttemptStatus::TimedOut, unknown()));
    let story = story.does(fail(1, 1, failure(Happened::No)));
    let story = story.when(finish()).refused(Refusal::NotSettled);
    let verdict = Verdict::DidNotHappen;
    let settle = Command::Settle { task: Ordinal(0), verdict };
    let story = story.when(settle).then([cancelled(0)]);
    story.finishes();
}

#[test]
fn late_and_double_answers_are_stale() {
    let story = running(tool("a").retry(3, 1, 1));
    let story = story.when(complete(0, 2)).refused(Refusal::StaleAttempt);
    let story = story.does(fail(0, 1, passing()));
    let story = story.when(complete(0, 1)).refused(Refusal::StaleAttempt);
    let story = story.when(fail(0, 1, passing())).refused(Refusal::StaleAttempt);
    let story = story.after([started(0, 2)]);
    let story = story.when(complete(0, 1)).refused(Refusal::StaleAttempt);
    let story = story.when(complete(0, 2)).then([done(0)]);
    let story = story.when(complete(0, 2)).refused(Refusal::StaleAttempt);
    let story = story.when(suspend(0, 2, person())).refused(Refusal::StaleAttempt);
    story.when(complete(7, 1)).refused(Refusal::NoSuchTask);
}

#[test]
fn a_lost_call_that_did_not_happen_uses_up_no_try() {
    let undone = || Command::Settle { task: Ordinal(0), verdict: Verdict::DidNotHappen };
    for (doubt, tries) in
        [(unknown(), 0), (CallFailure { kind: FailureKind::TimedOut, ..unknown() }, 1)]
    {
        let story = given(plan([once("a").retry(2, 1, 1)])).after([started(0, 1)]);
        let story = story.does(fail_by(0, 1, AttemptStatus::Lost, doubt)).does(undone());
        assert_eq!((story.ready(), story.state.tasks()[0].tries), (vec![0], tries));
    }
}
