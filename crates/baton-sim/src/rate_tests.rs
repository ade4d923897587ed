//! A declared rate is never exceeded, and holds nobody else back.

use std::collections::BTreeMap;

use baton_core::plan::{TaskPlan, Work};
use baton_core::words::{Effect, WorkflowStatus};
use baton_core::workflow::{Event, TaskPhase};
use baton_engine::live::read_event;
use baton_engine::queue::Limits;
use baton_engine::store::{Store, Views};
use serde_json::json;

use crate::check;
use crate::people::submit;
use crate::plans::{call, plan, task};
use crate::reading;
use crate::run::settle;
use crate::world::{Cut, Weather, World};

/// A tool of the rate `key`, or of none.
fn tool(n: u32, key: Option<&str>) -> TaskPlan {
    let work = Work::Tool(call(Effect::Read, json!({})));
    TaskPlan { rate_key: key.map(str::to_owned), ..task(format!("t{n}"), 0, work) }
}

/// Twelve tasks of the rate `api`, and one of none, at two starts in ten seconds.
fn submitted() -> World {
    let rates = BTreeMap::from([("api".to_owned(), "2/10s".parse().expect("a rate"))]);
    let mut world = World::new(1, Weather::default(), Limits::default()).under_rates(rates);
    world.step().expect("an empty store opens");
    let tasks = (0..13).map(|n| tool(n, (n < 12).then_some("api"))).collect();
    submit(&mut world, plan("rated", tasks), false).expect("the plan is valid");
    world.step().expect("it is admitted");
    world
}

/// When the tasks of the rate started, in milliseconds.
fn starts(world: &World) -> Vec<i64> {
    let all = world.store.views().events(0, None, u32::MAX).expect("readable");
    let rated = |event: &Event| matches!(event, Event::TaskStarted(start) if start.task.0 < 12);
    let starts = all.iter().filter(|record| read_event(record).is_ok_and(|event| rated(&event)));
    starts.map(|record| record.at.as_millis()).collect()
}

fn assert_no_window_is_too_full(starts: &[i64]) {
    for window in starts.windows(3) {
        assert!(window[2] - window[0] >= 10_000, "{starts:?}");
    }
}

#[test]
fn a_rate_is_kept_and_holds_back_nobody_else() {
    let mut world = submitted();
    let (_, state) = world.engine().expect("an owner").states().next().expect("it lives");
    let executing: Vec<u32> = state.executing().map(|task| task.0).collect();
    assert_eq!(executing, [0, 1, 12], "two of the rate, and the one of none");
    assert!(state.tasks()[2..12].iter().all(|task| task.phase == TaskPhase::Ready));
    settle(&mut world).expect("it ends");
    let starts = starts(&world);
    assert_eq!(starts.len(), 12);
    assert_no_window_is_too_full(&starts);
    assert!(starts[11] - starts[0] <= 50_100, "and is used up: {starts:?}");
}

#[test]
fn no_window_is_too_full_when_the_owner_dies_in_it() {
    for way in [Cut::Unwritten, Cut::Unreleased, Cut::Unanswered] {
        for at in 1..6 {
            let mut world = submitted();
            world.cut = Some((at, way));
            settle(&mut world).expect("it ends");
            assert_eq!(world.deaths, 1, "{way:?} at {at}");
            assert_no_window_is_too_full(&starts(&world));
            assert_eq!(reading::rows(&world.store)[0].1.status, WorkflowStatus::Completed);
        }
    }
}

#[test]
fn an_undeclared_rate_says_which_line_to_add() {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    submit(&mut world, plan("rated", vec![tool(0, Some("api"))]), false).expect("it is valid");
    settle(&mut world).expect("it ends");
    let number = world.store.stream(1).map(|_| 1).expect("it is there");
    let (state, _) = check::folded(&mut world.store, number).expect("readable");
    let TaskPhase::Failed { failure, .. } = &state.tasks()[0].phase else {
        panic!("{:?}", state.tasks()[0].phase);
    };
    assert!(failure.message.contains(r#"`"api" = "10/1s"` to `[limits.rates]`"#), "{failure:?}");
}
