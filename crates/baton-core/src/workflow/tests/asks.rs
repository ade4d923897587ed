//! Agents that ask people, and tools that end the task of the agent which calls them.

use super::*;
use crate::progress::progress;
use crate::workflow::{CallEnd, Entry, TaskPhase};

/// An agent that may end by a call, and has said this in its first turn.
fn said(calls: impl IntoIterator<Item = AskedCall>) -> Story {
    said_by(may_end(agent("a")), calls)
}

fn said_by(task: TaskPlan, calls: impl IntoIterator<Item = AskedCall>) -> Story {
    let first = Command::StartTask {
        task: Ordinal(0),
        input: Some(prompt("Well?")),
        lease: None,
        room: RoomFor::default(),
    };
    given(plan([task])).does(first).does(answer(0, 1, says(calls)))
}

/// An agent whose call `a(1)` asks a person.
fn asking() -> Story {
    said([wants_answer("How large?")]).does(start(1))
}

fn told(story: &Story, call: u32) -> CallEnd {
    let (_, end) = story.state.results(Ordinal(call)).remove(0);
    end
}

fn decline(question: Option<u32>) -> Command {
    Command::Decline { task: Ordinal(1), question }
}

fn failure_of(story: &Story) -> &CallFailure {
    let Some(TaskPhase::Failed { failure, .. }) = story.state.task(Ordinal(0)).map(|it| &it.phase)
    else {
        panic!("it has failed: {:?}", story.statuses())
    };
    failure
}

#[test]
fn a_question_waits_for_its_person_from_its_beginning_and_costs_no_time() {
    let waits = waited(1, Waiting::Person { ask: "How large?".to_owned() });
    let story = said([wants_answer("How large?")]);
    let story = story.when(start(1)).then([started(1, 1), waits]);
    assert_eq!(story.statuses(), ["executing", "waiting"]);
    assert_eq!((story.state.waiting_people(), story.state.is_busy()), (1, false));
    assert_eq!(story.state.key_of(Ordinal(1)), "a(1)");
    story.when(start(1)).refused(Refusal::NotReady);
}

#[test]
fn the_answer_is_what_the_call_brought() {
    let story = asking();
    let story = story.when(respond(1, json!({ "size": "no" }))).refused(Refusal::InvalidAnswer);
    let story = story.when(respond(1, json!("left"))).refused(Refusal::InvalidAnswer);
    let story = story.does(respond(1, json!({ "size": 3 })));
    assert_eq!(told(&story, 1), CallEnd::Output(body(json!({ "size": 3 }))));
    assert_eq!(story.ready(), [0], "it goes on with that");
    story.when(respond(1, json!({ "size": 4 }))).refused(Refusal::NotWaiting);
}

#[test]
fn a_choice_takes_its_options_and_a_text_stands_for_itself() {
    let asks = |arguments: serde_json::Value| AskedCall {
        tool: PERSON_ASK.to_owned(),
        asks: Some(asked_of_person(&arguments).expect("it can be asked")),
        ..wants("x")
    };
    let choice = asks(json!({ "question": "Where?", "choices": ["left", "right"] }));
    let text = asks(json!({ "question": "Why?" }));
    let story = said([choice, text]).does(start(1)).does(start(2));
    let story = story.when(respond(1, json!("up"))).refused(Refusal::InvalidAnswer);
    let story = story.does(respond(1, json!("left"))).does(respond(2, json!("because")));
    let ends: Vec<CallEnd> =
        story.state.results(Ordinal(1)).into_iter().map(|(_, end)| end).collect();
    let answer = CallEnd::Output(body(json!({ "answer": "because" })));
    assert_eq!(ends, [CallEnd::Output(body(json!("left"))), answer]);
}

#[test]
fn a_no_is_told_to_the_agent() {
    let no = json!({ "approved": false, "comment": "ask Bob" });
    let story = asking().does(respond(1, no));
    let CallEnd::Error(why) = told(&story, 1) else { panic!("it is told as one") };
    assert!(why.starts_with("rejected by ") && why.ends_with(": ask Bob"), "{why}");
    assert_eq!(story.ready(), [0]);
    let story = asking().when(decline(Some(1))).refused(Refusal::NotWaiting);
    let story = story.does(decline(None));
    let declined = CallEnd::Error("the person who was asked declined to answer".to_owned());
    assert_eq!(told(&story, 1), declined);
    assert_eq!((story.ready(), story.state.tally().failed), (vec![0], 0));
}

#[test]
fn nobody_declines_what_no_agent_asks() {
    let story =
        given(plan([human(HumanKind::Choice)])).does(start(0)).does(suspend(0, 1, person()));
    let of_plan = Command::Decline { task: Ordinal(0), question: None };
    story.when(of_plan).refused(Refusal::NotWaiting);
}

#[test]
fn a_question_ends_with_its_run() {
    let story = asking().does(cancel()).finishes();
    assert_eq!(story.statuses(), ["cancelled", "cancelled"]);
    assert_eq!(story.state.waiting_people(), 0);
    let again = story.does(retry([]));
    assert_eq!(again.statuses(), ["ready", "cancelled"], "it is asked by the next run, if at all");
}

#[test]
fn a_call_that_ends_the_task_gives_its_output_and_no_turn_follows() {
    let mut task = may_end(agent("a"));
    if let Work::Agent(agent) = &mut task.work {
        agent.output = Some(json!({ "type": "string" }));
    }
    let story = said_by(task, [wants_end("p")]).does(start(1));
    let story = story.when(complete(1, 1)).then([done(1)]).does(Command::Advance);
    assert_eq!(story.statuses(), ["completed", "completed"]);
    let output = story.state.task(Ordinal(0)).and_then(|task| task.output()).cloned();
    assert_eq!(output, Some(Output::Value(body(json!(1)))), "whatever the schema of its answers");
    let run = story.state.agent_run(Ordinal(0)).expect("it ran");
    assert_eq!(
        (run.turns, run.transcript.last()),
        (1, Some(&Entry::Results { first: Ordinal(1), count: 1 }))
    );
    assert_eq!((progress(&story.state).completed, progress(&story.state).total), (1, 1));
    assert!(matches!(story.finishes().outcome(), Outcome::Completed { .. }));
}

#[test]
fn of_several_calls_the_first_by_order_that_ends_the_task_gives_the_output() {
    let calls = [wants("x"), wants_end("p"), wants_end("q")];
    let story = said(calls).does(start(1)).does(start(2)).does(start(3));
    let story = story.does(complete(3, 1)).does(complete(2, 1)).does(Command::Advance);
    assert_eq!(story.statuses()[0], "executing", "all calls of the turn end first");
    let story = story.does(complete(1, 1)).does(Command::Advance);
    let output = story.state.task(Ordinal(0)).and_then(|task| task.output()).cloned();
    assert_eq!(output, Some(Output::Value(body(json!(2)))));
}

#[test]
fn a_call_that_would_end_the_task_and_fails_goes_back_to_the_model() {
    let story = said([wants_end("p")]).does(start(1)).does(fail(1, 1, failure(Happened::No)));
    assert_eq!(story.does(Command::Advance).ready(), [0]);
    let no = AskedCall { refused: Some("no".to_owned()), ..wants_end("p") };
    assert_eq!(said([no]).does(Command::Advance).ready(), [0]);
}

#[test]
fn the_last_turn_may_end_the_task_by_a_call_and_go_no_further() {
    let mut task = may_end(agent("a"));
    if let Work::Agent(agent) = &mut task.work {
        agent.limits.turns_max = 1;
    }
    let story = said_by(task.clone(), [wants_end("p")]).does(start(1)).does(complete(1, 1));
    assert_eq!(story.does(Command::Advance).status_of(0), TaskStatus::Completed);
    let failed = said_by(task.clone(), [wants_end("p")]).does(start(1));
    let failed = failed.does(fail(1, 1, failure(Happened::No))).does(Command::Advance);
    assert_eq!(failure_of(&failed).kind, FailureKind::Loop);
    let other = said_by(task, [wants("x")]);
    assert_eq!(failure_of(&other).kind, FailureKind::Loop);
}

#[test]
fn where_the_last_turn_did_not_end_it_a_fallback_is_tried() {
    let mut task = may_end(agent("a")).fallback(vec![Effect::Read]);
    if let Work::Agent(agent) = &mut task.work {
        agent.limits.turns_max = 1;
    }
    let story = said_by(task, [wants_end("p")]).does(start(1));
    let story = story.does(fail(1, 1, failure(Happened::No))).does(Command::Advance);
    assert_eq!(story.ready(), [0]);
    let story = story.does(start(0)).does(complete(0, 2)).finishes();
    assert!(matches!(story.outcome(), Outcome::Completed { .. }));
}

#[test]
fn agents_of_an_each_end_by_calls_as_well() {
    let story = given(plan([may_end(agent("a")).each(None)])).does(expand(0, 2));
    let story = story.does(start(1)).does(answer(1, 1, says([wants_end("p")])));
    let story = story.does(start(2)).does(answer(2, 1, says([])));
    let story = story.does(start(3)).does(complete(3, 1)).does(Command::Advance);
    let story = story.does(Command::Advance);
    assert_eq!(story.statuses(), ["completed"; 4]);
    assert_eq!((story.state.tally().completed, story.state.tally().total), (2, 2));
}
