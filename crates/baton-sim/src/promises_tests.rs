//! Promises of the ledger, each shown on a whole engine over a store.

use baton_core::ids::Ordinal;
use baton_core::plan::{Plan, TaskPlan, Work};
use baton_core::words::{Effect, TaskStatus};
use baton_core::workflow::WorkflowState;
use baton_engine::questions::OPEN_MAX;
use baton_engine::queue::Limits;
use baton_engine::store::{Store, Views};
use serde_json::json;

use crate::people::submit;
use crate::plans::{call, fixed, plan, task};
use crate::reading;
use crate::run::settle;
use crate::world::{Cut, Weather, World};

fn tool(key: &str, needs: &[u32]) -> TaskPlan {
    TaskPlan {
        needs: Some(needs.iter().copied().map(Ordinal).collect()),
        ..task(key.to_owned(), 0, Work::Tool(call(Effect::Read, json!({ "key": key }))))
    }
}

/// A world in which this plan has just been submitted.
fn submitted(plan: Plan) -> World {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    submit(&mut world, plan, false).expect("the plan is valid");
    world.step().expect("it is admitted");
    world
}

fn state(world: &World) -> WorkflowState {
    let engine = world.engine().expect("somebody owns the store");
    engine.states().next().expect("a workflow lives").1.clone()
}

fn executing(world: &World) -> Vec<u32> {
    state(world).executing().map(|task| task.0).collect()
}

#[test]
fn ch5_every_task_whose_needs_are_met_starts_in_the_same_turn() {
    let wide = (0..40).map(|n| tool(&format!("t{n}"), &[])).collect();
    let world = submitted(plan("wide", wide));
    assert_eq!(executing(&world).len(), 40);
    assert_eq!(world.commits, 1, "admission and all forty starts are one commit");

    let tasks = vec![tool("a", &[]), tool("b", &[0]), tool("c", &[0]), tool("d", &[1, 2])];
    let mut world = submitted(plan("diamond", tasks));
    assert_eq!(executing(&world), [0]);
    while executing(&world) == [0] {
        world.step().expect("it goes on");
    }
    assert_eq!(executing(&world), [1, 2], "both in the commit that ended `a`");
    assert_eq!(world.commits, 2);
}

#[test]
fn so_many_calls_wait_for_people_at_a_time_and_the_others_go_on_unanswered() {
    let asks = |n: usize| {
        let work = Work::Tool(call(Effect::Read, json!({ "asks": 1 })));
        task(format!("t{n}"), 0, work)
    };
    let mut world = submitted(plan("asking", (0..OPEN_MAX + 6).map(asks).collect()));
    while world.step().expect("it goes on") {}
    let state = state(&world);
    assert_eq!(state.waiting_people() as usize, OPEN_MAX);
    assert_eq!(state.tally().completed, 6);
    settle(&mut world).expect("people answer");
}

#[test]
fn ch5_the_order_of_events_is_total_and_the_same_for_every_reader() {
    let mut world = submitted(fixed().remove(1));
    settle(&mut world).expect("it ends");
    let all = world.store.views().events(0, None, u32::MAX).expect("readable");
    let positions: Vec<u64> = all.iter().map(|record| record.position).collect();
    let dense: Vec<u64> = (1..=positions.len() as u64).collect();
    assert_eq!(positions, dense);
    for half in [1, positions.len() as u64 / 2] {
        let rest = world.store.views().events(half, None, u32::MAX).expect("readable");
        assert_eq!(rest, all[half as usize..], "a late reader sees the same");
    }
}

#[test]
fn ch6_executing_is_durable_and_shown_before_the_work_begins() {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    // The owner dies with the start on disk and the call not yet made.
    world.cut = Some((0, Cut::Unreleased));
    submit(&mut world, plan("one", vec![tool("a", &[])]), false).expect("valid");
    world.step().expect("it is admitted");
    assert!(world.engine().is_none(), "the owner died");
    assert_eq!(world.ledger.count(), 0);
    let (card, _) = reading::rows(&world.store).remove(0);
    let task = reading::tasks(&world.store, card.number).remove(0);
    assert_eq!(task.status, TaskStatus::Executing);
    assert!(task.started_at.is_some());
}

#[test]
fn ch4_every_end_has_its_time_in_the_row() {
    for plan in fixed() {
        let mut world = submitted(plan);
        settle(&mut world).expect("it ends");
        for (card, row) in reading::rows(&world.store) {
            assert!(row.ended_at.is_some(), "{row:?}");
            let tasks = reading::tasks(&world.store, card.number);
            assert!(tasks.iter().all(|task| task.ended_at.is_some()), "{tasks:?}");
        }
    }
}

#[test]
fn mp2_every_event_has_the_actor_behind_it() {
    let mut world = submitted(fixed().remove(2));
    settle(&mut world).expect("it ends");
    let actors = world.store.actors().expect("readable");
    let name =
        |number| actors.iter().find(|(n, _)| *n == number).map(|(_, actor)| actor.to_string());
    let all = world.store.views().events(0, None, u32::MAX).expect("readable");
    let names: Vec<String> =
        all.iter().map(|record| name(record.actor).expect("nobody acts without a name")).collect();
    assert!(names.iter().any(|name| name.starts_with("user:person-")), "{names:?}");
    assert!(names.iter().any(|name| name == "system:baton"), "{names:?}");
}

#[test]
fn mp9_a_commit_is_all_or_nothing() {
    for plan in fixed() {
        for at in 0..4 {
            let mut world = World::new(3, Weather::default(), Limits::default());
            world.step().expect("an empty store opens");
            world.cut = Some((at, Cut::Unwritten));
            submit(&mut world, plan.clone(), false).expect("valid");
            let alone = |world: &World| world.engine().is_none();
            while !alone(&world) && world.step().expect("the laws hold") {}
            // Neither a row without its event nor an event without its row is left behind.
            world.judge_all().expect("rows are what the journal makes of them");
            assert_eq!(reading::rows(&world.store).is_empty(), at == 0);
        }
    }
}
