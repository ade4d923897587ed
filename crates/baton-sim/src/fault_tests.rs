//! A store that cannot be read is not the fault of the task that wanted to read.

use baton_core::ids::Ordinal;
use baton_core::plan::{Each, Plan, TaskPlan, Work};
use baton_core::words::{Effect, TaskStatus, WorkflowStatus};
use baton_engine::queue::Limits;
use serde_json::{Value, json};

use crate::people::submit;
use crate::plans::{call, plan, task};
use crate::reading;
use crate::run::settle;
use crate::world::{Cut, Weather, World};

/// A tool after the one before it; the output of `t1` is a blob.
fn tool(n: u32, with: Value) -> TaskPlan {
    let needs = n.checked_sub(1).map(|need| vec![Ordinal(need)]);
    let work = Work::Tool(call(Effect::Once, with));
    TaskPlan { needs, ..task(format!("t{n}"), 0, work) }
}

/// `t2` and the workflow's output read what is a blob; the items of `t3` read their list.
fn reading_plan() -> Plan {
    let whole = json!({ "before": "{{ tasks.t1.output }}" });
    let mut items = tool(3, json!({ "item": "{{ item }}" }));
    items.each = Some(Each { list: json!(["a", "b", "c"]), concurrency: Some(1) });
    let tasks = vec![tool(0, json!({})), tool(1, json!({})), tool(2, whole), items];
    Plan { output: Some(json!("{{ tasks.t1.output }}")), ..plan("reading", tasks) }
}

/// Runs the plan until `done` holds.
fn until(world: &mut World, done: impl Fn(&World) -> bool) {
    for _ in 0..200 {
        if done(world) {
            return;
        }
        world.step().expect("the laws hold");
    }
    panic!("it never comes to that");
}

fn status_of(world: &World, task: u32) -> Option<TaskStatus> {
    let rows = reading::tasks(&world.store, 1);
    rows.into_iter().find(|row| row.ordinal == Ordinal(task)).map(|row| row.status)
}

fn completed(world: &World, task: u32) -> bool {
    status_of(world, task) == Some(TaskStatus::Completed)
}

fn begun() -> World {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    submit(&mut world, reading_plan(), false).expect("the plan is valid");
    world
}

fn ends_well(mut world: World) -> World {
    settle(&mut world).expect("it ends");
    let (_, row) = reading::rows(&world.store).remove(0);
    assert_eq!(row.status, WorkflowStatus::Completed, "{row:?}");
    world
}

#[test]
fn a_blob_that_cannot_be_read_for_a_moment_is_read_again() {
    let mut world = begun();
    until(&mut world, |world| completed(world, 0));
    world.fail_reads(1000);
    for _ in 0..5 {
        world.step().expect("the laws hold");
    }
    assert_eq!(status_of(&world, 2), None, "it is ready still, and has not started");
    let world = ends_well(world);
    assert_eq!(world.deaths, 0, "the owner waited for it");
}

#[test]
fn an_output_that_cannot_be_read_for_a_moment_is_made_later() {
    let mut world = begun();
    until(&mut world, |world| completed(world, 5));
    world.fail_reads(1000);
    for _ in 0..5 {
        world.step().expect("the laws hold");
    }
    assert_eq!(reading::rows(&world.store)[0].1.status, WorkflowStatus::Running);
    assert_eq!(ends_well(world).deaths, 0);
}

#[test]
fn the_list_of_an_each_that_cannot_be_read_for_a_moment_is_read_again() {
    let mut world = begun();
    until(&mut world, |world| completed(world, 4));
    // The next owner has no list in memory.
    world.cut = Some((world.commits, Cut::Unwritten));
    until(&mut world, |world| world.engine().is_none());
    world.step().expect("another takes up");
    world.fail_reads(1000);
    ends_well(world);
}

#[test]
fn mp1_a_store_that_stays_unreadable_ends_the_owner_and_fails_no_task() {
    let mut world = begun();
    until(&mut world, |world| completed(world, 0));
    world.fail_reads(1000);
    until(&mut world, |world| world.engine().is_none());
    assert_eq!(status_of(&world, 2), None, "nothing is said about the task");
    ends_well(world);
}
