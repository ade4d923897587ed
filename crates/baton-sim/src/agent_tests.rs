//! What agents did is shown from the journal alone: their calls as events and tasks, their turns, and
//! every byte of what their models were asked.

use std::collections::BTreeMap;

use baton_core::body::{BlobHash, Body};
use baton_core::ids::{Ordinal, TaskId};
use baton_core::words::{AttemptStatus, TaskStatus};
use baton_core::workflow::rows::WorkflowCard;
use baton_core::workflow::{Event, WorkflowState};
use baton_engine::events::Showing;
use baton_engine::exchange::JobKey;
use baton_engine::live::read_event;
use baton_engine::prompt::{PromptFault, prompt, prompt_in};
use baton_engine::queue::Limits;
use baton_engine::stages::stage_views;
use baton_engine::store::{Record, Store, StoreError, Views};
use baton_engine::transcript::{Transcript, agent_of};
use baton_engine::turn_view::{TurnView, Whose, agent_view, turn_views};
use baton_engine::view::all_tasks;
use serde_json::Value;

use crate::check;
use crate::people::submit;
use crate::plans::fixed;
use crate::reading;
use crate::run::{live, settle};
use crate::world::{Cut, Weather, World};

/// Storms that are lived through: about every other has agents in it.
const SEEDS: u64 = 12;

/// A world in which the agents of the fixed plan have ended, perhaps with a new owner in between.
fn agents(cut: Option<(u64, Cut)>) -> World {
    let mut world = World::new(11, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    let plan = fixed().into_iter().find(|plan| plan.name == "agents").expect("the plan");
    submit(&mut world, plan, false).expect("it is valid");
    world.cut = cut;
    settle(&mut world).expect("it ends");
    world
}

/// What the store has of each workflow: its card, its events, and the state they make.
fn workflows(world: &mut World) -> Vec<(WorkflowCard, Vec<Record>, WorkflowState)> {
    let rows = reading::rows(&world.store).into_iter();
    let kept: Vec<_> = rows.filter(|(_, row)| row.purged_at().is_none()).collect();
    let read = |(card, _): (WorkflowCard, _)| {
        let records = world.store.stream(card.number).expect("readable");
        let state = check::folded(&mut world.store, card.number).expect("a sound stream").0;
        (card, records, state)
    };
    kept.into_iter().map(read).collect()
}

/// What these records are told as: the name in streams, and the message.
fn told(world: &World, records: &[Record]) -> Vec<(&'static str, Value)> {
    let (mut showing, mut views) = (Showing::default(), world.store.views());
    let mut told = Vec::new();
    for record in records {
        let shown = showing.show(record, &mut views).expect("it can be shown");
        let json = |view| serde_json::to_value(view).expect("JSON");
        told.extend(shown.messages().map(|(name, view)| (name.word(), json(view))));
    }
    told
}

/// Every attempt at a call that an agent asked for, by the position of its beginning.
fn begun(records: &[Record], state: &WorkflowState) -> BTreeMap<u64, (Ordinal, Value)> {
    let started = records.iter().filter_map(|record| {
        let Event::TaskStarted(started) = read_event(record).expect("readable") else {
            return None;
        };
        let Body::Inline(input) = &state.asked_call(started.task)?.input else {
            panic!("the simulated models write little");
        };
        Some((record.position, (started.task, input.value())))
    });
    started.collect()
}

/// OR9 for the calls that agents asked for; how many were begun.
fn calls_are_told_once(world: &mut World) -> usize {
    let mut calls = 0;
    for (_, records, state) in workflows(world) {
        let begun = begun(&records, &state);
        let mut times: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for (name, message) in told(world, &records) {
            let at = match name {
                "tool.called" => &message["id"],
                "tool.completed" | "tool.failed" => &message["causationid"],
                _ => continue,
            };
            let at = at.as_str().and_then(|at| at.parse().ok()).expect("a position");
            let Some((task, input)) = begun.get(&at) else { continue };
            let tool = &state.asked_call(*task).expect("a call").tool;
            assert_eq!(message["data"]["tool"], **tool);
            assert_eq!(message["data"]["arguments"], *input, "{message}");
            let (called, ended) = times.entry(at).or_default();
            *if name == "tool.called" { called } else { ended } += 1;
        }
        let once = begun.keys().map(|at| (*at, (1, 1))).collect();
        assert_eq!(times, once, "every attempt, and no call that was refused");
        calls += begun.len();
    }
    calls
}

/// Events and lists name tasks by the machine's keys, and say of them what it says.
fn tasks_are_listed(world: &mut World) {
    for (card, records, state) in workflows(world) {
        for (_, message) in told(world, &records) {
            let subject = message["subject"].as_str().and_then(|subject| subject.parse().ok());
            if let Some((_, task)) = subject.and_then(TaskId::split) {
                assert_eq!(message["task"], state.key_of(task), "{message}");
            }
        }
        let (_, row) = reading::row(&world.store, card.number).expect("a row");
        let rows = reading::tasks(&world.store, card.number);
        let mut views = world.store.views();
        let tasks = all_tasks((&card, &row), &state.plan, &rows, &mut views).expect("tasks");
        assert!(tasks.is_sorted_by_key(|task| task.ordinal));
        for task in &tasks {
            assert_eq!(task.key, state.key_of(task.ordinal));
            let tool = state.asked_call(task.ordinal).map(|call| call.tool.clone());
            assert_eq!(task.call_of.is_some(), tool.is_some(), "{task:?}");
            assert!(tool.is_none() || (task.kind, &task.tool) == ("tool", &tool));
            let status = state.task(task.ordinal).expect("there").phase.status();
            assert_eq!(task.status, status, "{task:?}");
        }
        let calls = state.tasks().iter().filter(|task| task.is_call).count();
        assert_eq!(tasks.iter().filter(|task| task.call_of.is_some()).count(), calls);
        let stages = stage_views(&state.plan, &tasks);
        let counted: u32 = stages.iter().map(|stage| stage.tasks_total).sum();
        assert_eq!(counted as usize, state.plan.tasks.len(), "calls count in no stage");
    }
}

/// Every prompt is rebuilt as it was sent; how many there were.
fn prompts_are_rebuilt(world: &mut World) -> usize {
    let sent = std::mem::take(&mut world.prompts);
    for (JobKey { number, task, attempt }, sent) in &sent {
        // What was purged is asked for no more.
        if reading::row(&world.store, *number).is_some_and(|(_, row)| row.purged_at().is_some()) {
            continue;
        }
        let mut views = world.store.views();
        let shown = prompt(*number, (*task, *attempt), &mut views).expect("it can be rebuilt");
        assert_eq!(shown.request.as_str(), sent.as_str());
        let messages = sent.value()["messages"].as_array().map(Vec::len);
        assert_eq!(messages, Some(shown.messages as usize));
    }
    sent.len()
}

/// What an agent of a workflow did.
struct Shown {
    task: Ordinal,
    transcript: Transcript,
    turns: Vec<TurnView>,
}

/// What every agent of a workflow did that has had a turn.
fn shown(world: &World, card: &WorkflowCard, state: &WorkflowState) -> Vec<Shown> {
    let mut views = world.store.views();
    let tasks = (0..).map(Ordinal).zip(state.tasks()).filter(|(_, task)| !task.is_call);
    let mut all = Vec::new();
    for (task, facts) in tasks {
        let Some(agent) = agent_of(&state.plan, facts.of) else { continue };
        let transcript = Transcript::read(card.number, task, &mut views).expect("readable");
        let key = state.key_of(task);
        let whose = Whose { workflow: card.id, key: &key, agent };
        let every = (0, usize::MAX);
        let page = turn_views(whose, &transcript.turns, every, &mut views).expect("turns");
        assert_eq!(page.1, None);
        all.push(Shown { task, transcript, turns: page.0 });
    }
    all.retain(|shown| !shown.turns.is_empty());
    all
}

/// Transcripts say of turns and calls what the machine says.
fn transcripts_are_told(world: &mut World) {
    for (card, _, state) in workflows(world) {
        for Shown { task, turns, .. } in shown(world, &card, &state) {
            assert!(turns.iter().all(|turn| turn.ended_at.is_some()), "{turns:?}");
            for call in turns.iter().flat_map(|turn| &turn.calls) {
                let (_, ordinal) = call.task_id.split().expect("a task");
                assert_eq!(call.key, state.key_of(ordinal));
                let status = state.task(ordinal).expect("there").phase.status();
                assert_eq!(call.status, status, "{call:?}");
                let ended = (call.output.is_some(), call.error.is_some());
                let completed = (status == TaskStatus::Completed, status == TaskStatus::Failed);
                assert_eq!(ended, completed, "{call:?}");
            }
            let Some(run) = state.agent_run(task) else { continue };
            let newest = turns.last().map(|turn| turn.run);
            let used = turns.iter().filter(|turn| Some(turn.run) == newest);
            let used: Vec<u64> = used.filter_map(|turn| Some(turn.usage?.tokens())).collect();
            assert_eq!(used.len(), run.turns as usize);
            assert_eq!(used.iter().sum::<u64>(), run.usage.tokens());
        }
    }
}

#[test]
fn or9_or10_what_agents_did_is_shown_after_every_storm() {
    let (mut calls, mut prompts) = (0, 0);
    // A storm that breaks a law is another test's to tell of.
    for mut world in (1..=SEEDS).filter_map(|seed| live(seed).ok()) {
        calls += calls_are_told_once(&mut world);
        prompts += prompts_are_rebuilt(&mut world);
        tasks_are_listed(&mut world);
        transcripts_are_told(&mut world);
    }
    assert!(calls > 20 && prompts > 20, "{calls} calls and {prompts} prompts show little");
}

#[test]
fn or9_each_call_an_agent_asked_for_is_told_once_as_begun_and_once_as_ended() {
    let mut world = agents(None);
    assert_eq!(calls_are_told_once(&mut world), 9, "three agents with three calls each");
    tasks_are_listed(&mut world);
}

#[test]
fn or9_a_reader_that_comes_late_is_told_the_same_of_agents_calls() {
    let world = agents(None);
    let records = world.store.views().events(0, None, u32::MAX).expect("readable");
    let whole = told(&world, &records);
    for late in 1..records.len() {
        let rest = told(&world, &records[late..]);
        assert_eq!(rest, whole[whole.len() - rest.len()..], "from position {late}");
    }
}

#[test]
fn or10_every_byte_a_model_was_asked_is_rebuilt_from_the_journal() {
    let whole = agents(None);
    for at in 0..whole.commits {
        let mut world = agents(Some((at, Cut::Unanswered)));
        assert!(prompts_are_rebuilt(&mut world) >= 9, "three agents with three turns each");
    }
}

#[test]
fn or10_a_prompt_that_the_journal_does_not_hold_any_more_is_an_error() {
    let mut world = agents(None);
    let records = world.store.stream(1).expect("readable");
    let last = (Ordinal(0), 3);
    let mut views = world.store.views();
    let rebuilt = |records: &[Record], views: &mut dyn Views| {
        prompt_in(records, last, &mut |hash| views.blob(hash))
    };
    let sound = rebuilt(&records, &mut views).expect("it can be rebuilt");
    assert!(sound.request.as_str().contains("One more."), "{}", sound.request.as_str());

    // One word of an earlier answer is another one.
    let mut changed = records.clone();
    for record in &mut changed {
        record.body = record.body.replace("One more.", "One less.").into();
    }
    let fault = rebuilt(&changed, &mut views).expect_err("it is not what was asked");
    assert!(matches!(fault, PromptFault::Changed { call: 3, .. }), "{fault:?}");
    assert!(fault.to_string().contains(&sound.digest), "{fault}");

    // A blob is gone: what it held is part of the prompt, or is the plan.
    let mut named = Vec::new();
    let mut keep = |hash: BlobHash| {
        named.push(hash);
        views.blob(hash)
    };
    prompt_in(&records, last, &mut keep).expect("it can be rebuilt");
    for gone in named {
        let mut stored = |hash| if hash == gone { Ok(None) } else { views.blob(hash) };
        let fault = prompt_in(&records, last, &mut stored);
        assert!(matches!(fault, Err(PromptFault::Store(StoreError::Corrupt(_)))), "{fault:?}");
    }
    let none = prompt_in(&records, (Ordinal(0), 99), &mut |hash| views.blob(hash));
    assert_eq!(none, Err(PromptFault::NoSuchCall(99)));
}

#[test]
fn ch6_a_turn_that_was_cut_off_is_possibly_billed_and_no_finished_one_is_made_again() {
    let (mut cut_off, mut restarted) = (0, 0);
    let whole = agents(None);
    for at in 1..whole.commits {
        let mut world = agents(Some((at, Cut::Unanswered)));
        transcripts_are_told(&mut world);
        let (card, _, state) = workflows(&mut world).remove(0);
        for Shown { task, transcript, turns } in shown(&world, &card, &state) {
            let lost = |turn: &TurnView| turn.status == AttemptStatus::Lost;
            for turn in turns.iter().filter(|turn| lost(turn)) {
                assert!(turn.possibly_billed && turn.usage.is_none() && turn.cost_usd.is_none());
            }
            if let Some(last) = turns.iter().position(lost) {
                let (before, after) = turns.split_at(last + 1);
                assert!(before.iter().all(|turn| turn.restarts == 0), "{before:?}");
                assert!(after.iter().all(|turn| turn.restarts == 1), "{after:?}");
                restarted += after.len();
                cut_off += 1;
            }
            let of = state.task(task).expect("there").of;
            let sum = agent_view(&transcript, agent_of(&state.plan, of).expect("an agent"));
            assert_eq!(
                sum.possibly_billed as usize,
                turns.iter().filter(|turn| lost(turn)).count()
            );
            assert_eq!((sum.turns, sum.calls), (3, 3), "nothing is asked or made twice");
            assert_eq!(sum.cost_usd, None, "nobody knows what simulated models cost");
        }
    }
    assert!(cut_off > 0 && restarted > 0, "{cut_off} cut off, {restarted} after a restart");
}

#[test]
fn pages_of_a_transcript_leave_nothing_out() {
    let mut world = agents(None);
    let (card, _, state) = workflows(&mut world).remove(0);
    let Shown { transcript, turns, .. } = shown(&world, &card, &state).remove(0);
    let agent = agent_of(&state.plan, Ordinal(0)).expect("an agent");
    let whose = Whose { workflow: card.id, key: "t0", agent };
    let mut views = world.store.views();
    let (mut seen, mut from) = (Vec::new(), Some(0));
    while let Some(skipped) = from {
        let page = turn_views(whose, &transcript.turns, (skipped, 2), &mut views).expect("turns");
        seen.extend(page.0);
        from = page.1;
    }
    assert_eq!(seen, turns);
}
