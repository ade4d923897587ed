//! Agents: a turn is an attempt, a call it asks for is a task, and nothing of it counts as progress.

use super::*;
use crate::progress::progress;
use crate::workflow::{CallEnd, Entry, ModelChanged, TaskPhase, Verdict};

/// An agent whose first turn is under way.
fn thinking() -> Story {
    thinking_of(agent("a"))
}

fn thinking_of(task: TaskPlan) -> Story {
    let first = Command::StartTask {
        task: Ordinal(0),
        input: Some(prompt("Well?")),
        lease: None,
        room: RoomFor::default(),
    };
    given(plan([task])).does(first)
}

fn turn(story: &Story) -> (u32, u32) {
    let run = story.state.agent_run(Ordinal(0)).expect("it is an agent's");
    (run.turns, run.calls)
}

fn model(story: &Story) -> Option<&str> {
    story.state.model_of(Ordinal(0)).map(|model| model.name.as_str())
}

#[test]
fn an_answer_without_calls_is_the_output() {
    let story = thinking().does(answer(0, 1, says([])));
    assert_eq!((story.status_of(0), turn(&story)), (TaskStatus::Completed, (1, 0)));
    let usage = story.state.agent_run(Ordinal(0)).map(|run| run.usage.tokens());
    assert_eq!(usage, Some(110));
}

#[test]
fn calls_are_tasks_beside_one_another_and_the_agent_goes_on_after_the_last() {
    let story = thinking().does(answer(0, 1, says([wants("x"), wants("y")])));
    assert_eq!(story.statuses(), ["executing", "ready", "ready"]);
    assert_eq!(story.state.key_of(Ordinal(2)), "a(2)");
    assert_eq!(progress(&story.state).total, 1, "calls are not progress");
    let story = story.does(start(1)).does(start(2)).does(complete(2, 1));
    assert_eq!(story.statuses(), ["executing", "executing", "completed"]);
    let story = story.does(complete(1, 1));
    assert_eq!(story.ready(), [0]);
    let run = story.state.agent_run(Ordinal(0)).expect("it runs");
    assert_eq!(run.transcript.last(), Some(&Entry::Results { first: Ordinal(1), count: 2 }));
    let ends: Vec<CallEnd> =
        story.state.results(Ordinal(1)).into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, [CallEnd::Output(body(json!(1))), CallEnd::Output(body(json!(2)))]);
    let story = story.does(start(0)).does(answer(0, 2, says([]))).finishes();
    assert!(matches!(story.outcome(), Outcome::Completed { .. }));
}

#[test]
fn a_failed_call_is_told_to_the_agent_and_fails_nothing() {
    let story = thinking().does(answer(0, 1, says([wants("x")]))).does(start(1));
    let story = story.does(fail(1, 1, passing()));
    assert_eq!((story.ready(), story.status_of(1)), (vec![0], TaskStatus::Failed));
    let (_, told) = story.state.results(Ordinal(1)).remove(0);
    assert_eq!(told, CallEnd::Error("busy".to_owned()));
    assert_eq!(story.state.tally().failed, 0);
}

#[test]
fn a_call_that_must_not_be_made_never_starts() {
    let no = AskedCall { refused: Some("there is no tool `rm`".to_owned()), ..wants("x") };
    let story = thinking().does(answer(0, 1, says([no, wants("y")])));
    assert_eq!(story.statuses(), ["executing", "failed", "ready"]);
    story.when(start(1)).refused(Refusal::NotReady);
    let no = AskedCall { refused: Some("there is no tool `rm`".to_owned()), ..wants("x") };
    let alone = thinking().does(answer(0, 1, says([no])));
    assert_eq!(alone.ready(), [0], "where none is made, the next turn comes at once");
}

/// One call answered and one cut off: exactly the missing one is made again, and the turn before
/// them is not paid again.
#[test]
fn what_was_cut_off_is_all_that_is_done_again() {
    let once = AskedCall { tool: "mail.send".to_owned(), effect: Effect::Once, ..wants("z") };
    let story = thinking().does(answer(0, 1, says([wants("x"), wants("y"), once])));
    let story = story.does(start(1)).does(start(2)).does(start(3)).does(complete(1, 1));
    let lost = |task, attempt| fail_by(task, attempt, AttemptStatus::Lost, unknown());
    let story = story.does(lost(2, 1)).does(lost(3, 1));
    assert_eq!(story.statuses(), ["executing", "completed", "ready", "waiting"]);
    assert_eq!(turn(&story), (1, 3));
    let settle =
        Command::Settle { task: Ordinal(3), verdict: Verdict::Happened(body(json!("sent"))) };
    let story = story.does(start(2)).does(complete(2, 2)).does(settle);
    assert_eq!(story.ready(), [0]);
}

#[test]
fn a_turn_that_was_cut_off_is_made_again_and_booked() {
    let story = thinking().does(fail_by(0, 1, AttemptStatus::Lost, unknown()));
    assert_eq!(story.ready(), [0]);
    let run = story.state.agent_run(Ordinal(0)).expect("it runs");
    assert_eq!((run.turns, run.cut_off, run.transcript.len()), (0, 1, 1));
    let before = story.state.agent_run(Ordinal(0)).map(|run| run.digest);
    let story = story.does(start(0));
    assert_eq!(story.state.agent_run(Ordinal(0)).map(|run| run.digest), before, "asked the same");
}

#[test]
fn mp3_a_model_that_fails_for_good_gives_way_to_the_next() {
    let story = thinking_of(agent("a").retry(2, 1, 2)).does(fail(0, 1, passing())).does(start(0));
    let next = attempt_failed(0, 2, passing(), Next::Model);
    let story = story.when(fail(0, 2, passing())).then([next]);
    assert_eq!(model(&story), Some("scripted/two"));
    let story = story.does(start(0)).does(answer(0, 3, says([wants("x")])));
    let story = story.does(start(1)).does(complete(1, 1)).does(start(0));
    assert_eq!(model(&story), Some("scripted/two"), "it stays with that");
    let story = story.does(fail(0, 4, failure(Happened::No)));
    assert_eq!(story.status_of(0), TaskStatus::Failed);
    assert_eq!(turn(&story), (1, 1), "what was finished stays finished");
}

#[test]
fn mp3_a_model_that_cannot_be_asked_gives_way_to_a_later_one_and_to_no_other() {
    let use_model = |model| Command::UseModel { task: Ordinal(0), model };
    thinking().when(use_model(1)).refused(Refusal::NotReady);
    let mut story =
        thinking().does(answer(0, 1, says([wants("x")]))).does(start(1)).does(complete(1, 1));
    for not_later in [0, 2] {
        story = story.when(use_model(not_later)).refused(Refusal::NotReady);
    }
    let changed = ModelChanged { task: Ordinal(0), model: 1 };
    let story = story.when(use_model(1)).then([changed.into()]);
    assert_eq!((model(&story), story.ready()), (Some("scripted/two"), vec![0]));
    assert_eq!(turn(&story), (1, 1), "it goes on where it was");
}

#[test]
fn an_answer_that_does_not_fit_is_asked_again_and_then_fails() {
    let misfit = || TurnAnswer { output: Err("/score: no".to_owned()), ..says([]) };
    let story = thinking().does(answer(0, 1, misfit()));
    assert_eq!(story.ready(), [0]);
    let run = story.state.agent_run(Ordinal(0)).expect("it runs");
    let Some(Entry::User(told)) = run.transcript.last() else { panic!("it is told") };
    assert!(format!("{told:?}").contains("/score: no"), "{told:?}");
    let story = story.does(start(0)).does(answer(0, 2, misfit()));
    assert_eq!(model(&story), Some("scripted/two"), "another may do better");
    let story = story.does(start(0)).does(answer(0, 3, misfit()));
    let Some(TaskPhase::Failed { failure, .. }) =
        story.state.task(Ordinal(0)).map(|task| &task.phase)
    else {
        panic!("it has failed")
    };
    assert_eq!(failure.kind, FailureKind::InvalidOutput);
}

#[test]
fn an_agent_that_repeats_itself_is_stopped() {
    let mut story = thinking();
    for n in 1..=4 {
        let call = story.state.tasks().len() as u32;
        story = story.does(answer(0, n, says([wants("x")])));
        if n == 4 {
            break;
        }
        let output = body(json!("the same"));
        let same = Command::Complete { task: Ordinal(call), attempt: 1, output };
        story = story.does(start(call)).does(same).does(start(0));
    }
    let Some(TaskPhase::Failed { failure, .. }) =
        story.state.task(Ordinal(0)).map(|task| &task.phase)
    else {
        panic!("it has failed")
    };
    assert_eq!(failure.kind, FailureKind::Loop);
    assert!(failure.message.contains("fs.read"), "{failure:?}");
}

#[test]
fn turns_and_calls_are_bounded() {
    let many = |count: u32| says((0..count).map(|n| wants(&n.to_string())));
    let story = thinking().does(answer(0, 1, many(10)));
    assert_eq!(story.status_of(0), TaskStatus::Failed, "ten calls, and nine are allowed");
    let mut story = thinking();
    for n in 1..=6 {
        let call = story.state.tasks().len() as u32;
        story = story.does(answer(0, n, says([wants(&n.to_string())])));
        if n < 6 {
            story = story.does(start(call)).does(complete(call, 1)).does(start(0));
        }
    }
    assert_eq!((story.status_of(0), turn(&story)), (TaskStatus::Failed, (6, 5)));
}

#[test]
fn a_retry_asks_anew_and_keeps_what_was_done() {
    let story = thinking().does(answer(0, 1, says([wants("x")]))).does(start(1));
    let story = story.does(complete(1, 1)).does(start(0)).does(fail(0, 2, failure(Happened::No)));
    // The second model fails as well.
    let story = story.does(start(0)).does(fail(0, 3, failure(Happened::No)));
    let story = story.finishes().does(retry([]));
    assert_eq!(story.statuses(), ["ready", "completed"]);
    assert!(story.state.agent_run(Ordinal(0)).is_none());
    story.when(retry([1])).refused(Refusal::NotEnded);
}

#[test]
fn agents_of_an_each_have_calls_of_their_own() {
    let story = given(plan([agent("a").each(Some(1))])).does(expand(0, 2));
    let story = story.does(start(1)).does(answer(1, 1, says([wants("x"), wants("y")])));
    assert_eq!(story.state.key_of(Ordinal(4)), "a[0](2)");
    assert!(story.state.item_may_start(Ordinal(4)), "calls are not held by the items' bound");
    let story = story.does(start(3)).does(start(4)).does(complete(3, 1)).does(complete(4, 1));
    let story = story.does(start(1)).does(answer(1, 2, says([])));
    let story = story.does(start(2)).does(answer(2, 1, says([])));
    assert_eq!(story.statuses()[..3], ["completed", "completed", "completed"]);
}

#[test]
fn cancelling_ends_calls_and_agent() {
    let story = thinking().does(answer(0, 1, says([wants("x"), wants("y")]))).does(start(1));
    let story =
        story.does(cancel()).does(fail_by(1, 1, AttemptStatus::Cancelled, failure(Happened::No)));
    let story = story.finishes();
    assert_eq!(story.statuses(), ["cancelled", "cancelled", "cancelled"]);
}
