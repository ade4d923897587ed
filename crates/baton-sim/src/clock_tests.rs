//! Spans follow the steady clock and moments the wall clock, however the wall clock is set.

use std::time::Duration;

use baton_core::ids::Ordinal;
use baton_core::plan::{Plan, TaskPlan, Wait, Work};
use baton_core::time::Span;
use baton_core::words::{TaskStatus, WorkflowStatus};
use baton_engine::queue::Limits;

use crate::people::submit;
use crate::plans::{plan, task};
use crate::reading;
use crate::world::{Cut, Weather, World};

const HOUR: i64 = 3_600_000;

/// Waits of so many seconds, one after the other.
fn waits(spans: &[u64]) -> Vec<TaskPlan> {
    let wait = |(n, seconds): (u32, &u64)| {
        let work = Work::Wait(Wait::For(Span(Duration::from_secs(*seconds))));
        let needs = n.checked_sub(1).map(|need| vec![Ordinal(need)]);
        TaskPlan { needs, ..task(format!("w{n}"), 0, work) }
    };
    (0..).zip(spans).map(wait).collect()
}

/// Such waits under a time budget of thirty seconds.
fn budgeted(spans: &[u64]) -> Plan {
    let time_max = Some(Span(Duration::from_secs(30)));
    Plan { time_max, ..plan("budgeted", waits(spans)) }
}

/// A world in which this plan's first task waits.
fn waiting(plan: Plan) -> World {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    submit(&mut world, plan, false).expect("the plan is valid");
    world.step().expect("it is admitted");
    assert_eq!(status_of(&world, 0), Some(TaskStatus::Waiting));
    world
}

fn status(world: &World) -> WorkflowStatus {
    reading::rows(&world.store)[0].1.status
}

fn status_of(world: &World, task: u32) -> Option<TaskStatus> {
    let rows = reading::tasks(&world.store, 1);
    rows.into_iter().find(|row| row.ordinal == Ordinal(task)).map(|row| row.status)
}

/// Lives on until `done` holds, and says when that was, in whole seconds of the steady clock.
fn until(world: &mut World, done: impl Fn(&World) -> bool) -> u64 {
    for _ in 0..10_000 {
        if done(world) {
            return world.uptime() / 1000;
        }
        world.step().expect("the laws hold");
    }
    panic!("it never comes to that: {}", status(world));
}

fn the_owner_dies(world: &mut World) {
    world.cut = Some((world.commits, Cut::Unreleased));
    until(world, |world| world.engine().is_none());
}

#[test]
fn a_clock_set_forward_does_not_eat_the_time_budget() {
    let mut world = waiting(budgeted(&[20, 5]));
    world.set_clock(HOUR);
    let at = until(&mut world, |world| status(world) != WorkflowStatus::Running);
    assert_eq!((status(&world), at), (WorkflowStatus::Completed, 25));
}

#[test]
fn a_clock_set_back_does_not_stretch_the_time_budget() {
    let mut world = waiting(budgeted(&[20, 40]));
    world.set_clock(-HOUR);
    let at = until(&mut world, |world| status(world) != WorkflowStatus::Running);
    assert_eq!((status(&world), at), (WorkflowStatus::Paused, 30));
}

#[test]
fn what_the_clock_did_is_not_forgotten_by_the_next_owner() {
    for by in [HOUR, -HOUR] {
        let mut world = waiting(budgeted(&[5, 5, 40]));
        world.set_clock(by);
        until(&mut world, |world| status_of(world, 0) == Some(TaskStatus::Completed));
        the_owner_dies(&mut world);
        assert_eq!(world.uptime() / 1000, 11, "between two commits, and a second for the death");
        let at = until(&mut world, |world| status(world) != WorkflowStatus::Running);
        assert_eq!(status(&world), WorkflowStatus::Paused);
        // While nobody owned the store only the wall clock went; set back, it stands still there.
        assert!((30..=32).contains(&at), "{by}: after {at} s");
    }
}

#[test]
fn a_span_takes_its_time_however_the_clock_is_set() {
    for by in [HOUR, -HOUR] {
        let mut world = waiting(plan("span", waits(&[20, 10])));
        world.set_clock(by);
        let first = until(&mut world, |world| status_of(world, 0) == Some(TaskStatus::Completed));
        let end = until(&mut world, |world| status(world) == WorkflowStatus::Completed);
        assert_eq!((first, end), (20, 30), "{by}");
    }
}

/// A wait until the wall clock shows two hours more.
fn in_two_hours() -> World {
    let probe = World::new(1, Weather::default(), Limits::default());
    let until = probe.wall().plus(Duration::from_secs(7200));
    let work = Work::Wait(Wait::Until(until.to_string()));
    waiting(plan("moment", vec![task("w0".to_owned(), 0, work)]))
}

#[test]
fn a_moment_follows_the_clock_as_it_is_set() {
    let completed = |world: &World| status(world) == WorkflowStatus::Completed;
    assert_eq!(until(&mut in_two_hours(), completed), 7200);
    let mut forward = in_two_hours();
    forward.set_clock(2 * HOUR);
    assert!(until(&mut forward, completed) <= 16, "it is noticed within a quarter of a minute");
    let mut back = in_two_hours();
    back.set_clock(-HOUR);
    assert_eq!(until(&mut back, completed), 10_800);
}
