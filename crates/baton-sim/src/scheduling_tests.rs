//! Who starts next: priorities that age, turns between workflows, limits under load.

use baton_core::plan::{Each, Plan, TaskPlan, Work};
use baton_core::words::Effect;
use baton_core::workflow::Event;
use baton_engine::live::read_event;
use baton_engine::queue::Limits;
use baton_engine::store::Views;
use serde_json::json;

use crate::people::submit_with;
use crate::plans::{call, plan, task};
use crate::rng::Rng;
use crate::run::settle;
use crate::world::{Weather, World};

fn tool(n: u32) -> TaskPlan {
    task(format!("t{n}"), 0, Work::Tool(call(Effect::Read, json!({}))))
}

/// A plan of this many tasks that may all start at once.
fn wide(tasks: u32) -> Plan {
    plan("wide", (0..tasks).map(tool).collect())
}

/// A world in which so many tasks may execute.
fn room_for(executing_max: u32) -> World {
    let limits = Limits { executing_max, executing_per_workflow_max: executing_max };
    let mut world = World::new(1, Weather::default(), limits);
    world.step().expect("an empty store opens");
    world
}

/// Submits and waits until it is admitted.
fn admit(world: &mut World, plan: Plan, priority: u8) {
    submit_with(world, plan, false, priority).expect("the plan is valid");
    world.step().expect("it is admitted");
}

/// The workflows of all tasks that started, in order.
fn starts(world: &World) -> Vec<u64> {
    let all = world.store.views().events(0, None, u32::MAX).expect("readable");
    let started = |event: &Event| matches!(event, Event::TaskStarted(_));
    let starts = all.iter().filter(|record| read_event(record).is_ok_and(|e| started(&e)));
    starts.map(|record| record.stream).collect()
}

#[test]
fn an_urgent_workflow_overtakes_those_that_wait() {
    let mut world = room_for(1);
    for _ in 0..4 {
        admit(&mut world, wide(3), 2);
    }
    admit(&mut world, wide(2), 7);
    settle(&mut world).expect("it ends");
    let starts = starts(&world);
    assert_eq!(starts[..3], [1, 5, 5], "after the one that ran already: {starts:?}");
}

#[test]
fn what_is_least_urgent_is_not_starved_by_what_is_most() {
    let mut world = room_for(1);
    admit(&mut world, wide(1), 9);
    admit(&mut world, wide(1), 0);
    // From now on there is always something more urgent that wants to start.
    while !starts(&world).contains(&2) {
        admit(&mut world, wide(1), 9);
        let behind = world.engine().map_or(0, |engine| engine.depth());
        while world.engine().map_or(0, |engine| engine.depth()) >= behind.max(2) {
            world.step().expect("the laws hold");
        }
        assert!(world.uptime() < 92_000, "it waits since {} ms", world.uptime());
    }
    assert!(world.uptime() > 85_000, "nine steps of ten seconds each: {}", world.uptime());
}

#[test]
fn a_workflow_of_ten_thousand_ready_tasks_does_not_hold_back_one_of_one() {
    let mut world = room_for(4);
    admit(&mut world, wide(10_000), 5);
    admit(&mut world, wide(1), 5);
    while starts(&world).len() < 6 {
        world.step().expect("the laws hold");
    }
    let starts = starts(&world);
    assert!(starts.contains(&2), "after the four that ran already: {starts:?}");
}

#[test]
fn workflows_take_turns() {
    let mut world = room_for(1);
    for _ in 0..3 {
        admit(&mut world, wide(4), 5);
    }
    settle(&mut world).expect("it ends");
    let starts = starts(&world);
    assert_eq!(starts[1..10], [1, 2, 3, 1, 2, 3, 1, 2, 3], "after the one that ran: {starts:?}");
}

/// A plan with an `each`, keyed tasks and plain ones, all of which may start at once.
fn crowd(rng: &mut Rng) -> Plan {
    let mut tasks: Vec<TaskPlan> = (0..8).map(tool).collect();
    for task in &mut tasks {
        if rng.chance(300) {
            let concurrency = Some(1 + u32::try_from(rng.below(3)).unwrap_or(0));
            task.each = Some(Each { list: json!([1, 2, 3, 4, 5]), concurrency });
        } else if rng.chance(300) {
            task.concurrency_key = Some("key".to_owned());
        }
    }
    plan("crowd", tasks)
}

/// The world judges every limit after every commit; here it is also seen that they are reached.
#[test]
fn every_limit_is_held_and_used_up_under_a_random_load() {
    for seed in 0..24 {
        let mut rng = Rng::new(seed);
        let mut most = || 1 + u32::try_from(rng.below(7)).unwrap_or(0);
        let (executing_max, executing_per_workflow_max) = (most(), most());
        let limits = Limits { executing_max, executing_per_workflow_max };
        let mut world = World::new(seed, Weather::default(), limits);
        world.step().expect("an empty store opens");
        for _ in 0..4 {
            let priority = u8::try_from(rng.below(10)).unwrap_or(5);
            submit_with(&mut world, crowd(&mut rng), false, priority).expect("valid");
        }
        let mut seen = 0;
        while world.step().unwrap_or_else(|broken| panic!("seed {seed}: {broken}")) {
            let executing = |engine: &baton_engine::engine::Engine| {
                engine.states().map(|(_, state)| state.executing().count()).sum::<usize>()
            };
            seen = seen.max(world.engine().map_or(0, executing));
        }
        settle(&mut world).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        let room = executing_max.min(4 * executing_per_workflow_max) as usize;
        assert!(seen >= room.min(4), "seed {seed}: {seen} of {room} places were used");
    }
}
