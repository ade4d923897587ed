//! Triggers fire once for their cause: wherever the owner dies, however the clock is set, whoever sends an
//! event twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::body::Body;
use baton_core::plan::{Emit, Occasion, Plan, Trigger, Wait, Work};
use baton_core::time::Timestamp;
use baton_core::words::{Effect, Missed, Origin, WorkflowStatus};
use baton_core::workflow::{Event, EventReceived, FiringCause, TriggerFired};
use baton_engine::exchange::{Declined, Reply, Request};
use baton_engine::live::read_event;
use baton_engine::loaded::Loaded;
use baton_engine::queue::Limits;
use baton_engine::store::Views;
use serde_json::{Value, json};

use crate::people::{ask, submit};
use crate::plans::{call, plan, task};
use crate::reading;
use crate::world::{CUTS, Cut, Weather, World};

const HOUR: i64 = 3_600_000;

/// A definition of one call with these triggers.
fn triggered(name: &str, triggers: Vec<Trigger>) -> Plan {
    let work = Work::Tool(call(Effect::Read, json!({})));
    let inputs = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let tasks = vec![task("t0".to_owned(), 0, work)];
    Plan { triggers, inputs: Some(inputs), ..plan(name, tasks) }
}

fn on_event(pattern: &str, when: Option<&str>) -> Trigger {
    let (event, when) = (pattern.to_owned(), when.map(str::to_owned));
    let inputs = Some(json!({ "n": "{{ event.data.n }}" }));
    Trigger { on: Occasion::Event { event, when }, inputs }
}

fn on_schedule(cron: &str, zone: &str, missed: Missed) -> Trigger {
    let on = Occasion::Schedule { cron: cron.to_owned(), zone: zone.to_owned(), missed };
    Trigger { on, inputs: None }
}

fn define(plan: Plan) -> Request {
    Request::Define { loaded: Arc::new(Loaded::new(plan).expect("a plan")), source: None }
}

fn event(id: &str, event_type: &str, data: Value) -> Request {
    let (data, blob) = Body::split(baton_core::body::Json::of(&data));
    let event = EventReceived {
        source: "/ci".to_owned(),
        id: id.to_owned(),
        event_type: event_type.to_owned(),
        subject: None,
        time: None,
        datacontenttype: None,
        extensions: BTreeMap::new(),
        data,
        encoding: None,
    };
    Request::Publish { event: Box::new(event), blob }
}

/// A world in which somebody serves.
fn serving() -> World {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    serve(&mut world);
    world
}

fn serve(world: &mut World) {
    tell(world, Request::KeepTime).expect("it is taken");
}

/// Asks and takes the answer.
fn tell(world: &mut World, request: Request) -> Result<Reply, Declined> {
    world.answers.clear();
    ask(world, request);
    while world.answers.is_empty() {
        world.step().expect("the laws hold");
    }
    world.answers.remove(0).1
}

fn firings(world: &World) -> Vec<TriggerFired> {
    let all = world.store.views().events(0, None, u32::MAX).expect("readable");
    let fired = all.iter().filter_map(|record| match read_event(record) {
        Ok(Event::TriggerFired(fired)) => Some(fired),
        Ok(_) | Err(_) => None,
    });
    fired.collect()
}

fn dues(world: &World) -> Vec<String> {
    let due = |fired: TriggerFired| match fired.cause {
        FiringCause::Schedule { due } => Some(due.to_string()),
        FiringCause::Event { .. } => None,
    };
    firings(world).into_iter().filter_map(due).collect()
}

/// Lives on until the wall clock shows this.
fn live_until(world: &mut World, text: &str) {
    let end: Timestamp = text.parse().expect("a moment");
    while world.wall() < end {
        if !world.step().expect("the laws hold") {
            return;
        }
    }
}

fn set_clock(world: &mut World, text: &str) {
    let to: Timestamp = text.parse().expect("a moment");
    world.set_clock(to.as_millis() - world.wall().as_millis());
}

/// Every firing has its own cause, and its workflow is there and no other.
fn judge(world: &World) {
    let fired = firings(world);
    let mut causes: Vec<String> =
        fired.iter().map(|it| format!("{} {} {:?}", it.definition, it.trigger, it.cause)).collect();
    causes.sort();
    let count = causes.len();
    causes.dedup();
    assert_eq!(causes.len(), count, "something fired twice: {causes:#?}");
    let started: Vec<_> = fired.iter().filter_map(|fired| fired.workflow).collect();
    let rows = reading::rows(&world.store);
    let by_trigger = rows.iter().filter(|(card, _)| card.origin == Origin::Trigger);
    let mut there: Vec<_> = by_trigger.map(|(card, _)| card.id).collect();
    there.sort();
    let mut expected = started;
    expected.sort();
    assert_eq!(there, expected);
}

/// Events and a schedule; what got no answer is sent again, as any sender would.
fn live_through(cut: Option<(u64, Cut)>) -> World {
    let mut world = serving();
    let triggers = vec![
        on_event("repo.*", Some("event.data.n > 1")),
        on_schedule("* * * * *", "UTC", Missed::All),
    ];
    tell(&mut world, define(triggered("review", triggers))).expect("it is registered");
    world.cut = cut.map(|(at, way)| (world.commits + at, way));
    for n in 0..6_u64 {
        let request = || event(&format!("e{}", n / 2), "repo.push", json!({ "n": n / 2 }));
        loop {
            let deaths = world.deaths;
            world.answers.clear();
            ask(&mut world, request());
            while world.answers.is_empty() && world.deaths == deaths {
                world.step().expect("the laws hold");
            }
            if world.deaths == deaths {
                break;
            }
            world.step().expect("it opens");
            serve(&mut world);
        }
    }
    while dues(&world).len() < 3
        || !reading::rows(&world.store).iter().all(|(_, row)| row.ended_at.is_some())
    {
        let deaths = world.deaths;
        world.step().expect("the laws hold");
        if world.deaths != deaths {
            world.step().expect("it opens");
            serve(&mut world);
        }
    }
    judge(&world);
    world
}

#[test]
fn a_firing_happens_once_wherever_the_owner_dies() {
    let whole = live_through(None);
    let expected = (firings(&whole).len(), dues(&whole));
    // Of three events sent twice each, one has `n > 1`.
    assert_eq!(expected.0, 1 + expected.1.len());
    for at in 0..whole.commits - 2 {
        for way in CUTS {
            let world = live_through(Some((at, way)));
            assert_eq!((firings(&world).len(), dues(&world)), expected, "cut at {at}, {way:?}");
        }
    }
}

#[test]
fn an_event_is_taken_in_once_and_says_what_it_started() {
    let mut world = serving();
    tell(&mut world, define(triggered("review", vec![on_event("repo.*", None)]))).expect("defined");
    // Larger than what stands in an event itself.
    let data = json!({ "n": 7, "text": "x".repeat(5_000) });
    let first = tell(&mut world, event("1", "repo.push", data.clone())).expect("it is taken in");
    let Reply::Published { position, duplicate: false, started } = first else {
        panic!("{first:?}")
    };
    assert_eq!(started.len(), 1);
    let again = tell(&mut world, event("1", "other.type", json!(null))).expect("it is taken in");
    assert_eq!(again, Reply::Published { position, duplicate: true, started: vec![] });
    let other = tell(&mut world, event("2", "repos.push", data)).expect("it is taken in");
    assert!(
        matches!(other, Reply::Published { duplicate: false, ref started, .. } if started.is_empty())
    );
    judge(&world);
}

#[test]
fn what_cannot_start_says_why() {
    let mut world = serving();
    tell(&mut world, define(triggered("review", vec![on_event("*", None)]))).expect("defined");
    for (id, data) in [("1", json!({ "n": "seven" })), ("2", json!({ "m": 1 }))] {
        let reply = tell(&mut world, event(id, "a", data)).expect("it is taken in");
        assert!(
            matches!(reply, Reply::Published { ref started, .. } if started.is_empty()),
            "{reply:?}"
        );
    }
    let faults: Vec<_> = firings(&world).into_iter().filter_map(|fired| fired.fault).collect();
    assert!(
        faults.len() == 2 && faults[0].contains('n') && faults[1].contains("undefined"),
        "{faults:?}"
    );
}

#[test]
fn the_newest_version_alone_is_armed_until_it_is_removed() {
    let mut world = serving();
    let versions = |version| Plan { version, ..triggered("review", vec![on_event("a", None)]) };
    for version in [2, 1] {
        tell(&mut world, define(versions(version))).expect("defined");
    }
    let fire = |world: &mut World, id: &str| {
        tell(world, event(id, "a", json!({ "n": 1 }))).expect("it is taken in");
        firings(world).last().map(|fired| fired.version)
    };
    assert_eq!(fire(&mut world, "1"), Some(2));
    tell(&mut world, define(versions(3))).expect("defined");
    assert_eq!(fire(&mut world, "2"), Some(3));
    // A restart finds the same.
    world.cut = Some((world.commits, Cut::Unreleased));
    ask(&mut world, event("3", "a", json!({ "n": 1 })));
    while world.deaths == 0 {
        world.step().expect("the laws hold");
    }
    world.step().expect("it opens");
    assert_eq!(fire(&mut world, "4"), Some(3));
    let without = Plan { version: 4, ..triggered("review", vec![]) };
    tell(&mut world, define(without)).expect("defined");
    fire(&mut world, "5");
    assert_eq!(firings(&world).len(), 4);
    let name = "review".to_owned();
    tell(&mut world, define(versions(5))).expect("defined");
    assert_eq!(
        tell(&mut world, Request::RemoveDefinition { name: name.clone() }),
        Ok(Reply::Removed)
    );
    fire(&mut world, "6");
    assert_eq!(firings(&world).len(), 4);
    let gone = tell(&mut world, Request::RemoveDefinition { name: name.clone() });
    assert_eq!(gone, Err(Declined::NoSuchDefinition(name)));
    judge(&world);
}

#[test]
fn one_event_reaches_who_waits_and_who_is_triggered() {
    let mut world = serving();
    tell(&mut world, define(triggered("review", vec![on_event("go", None)]))).expect("defined");
    let wait = Wait::Event {
        event: "g*".to_owned(),
        when: Some("event.data.n == 2".to_owned()),
        timeout: None,
    };
    submit(&mut world, plan("waits", vec![task("w".to_owned(), 0, Work::Wait(wait))]), false)
        .expect("valid");
    world.step().expect("it is admitted");
    for n in [1, 2] {
        tell(&mut world, event(&n.to_string(), "go", json!({ "n": n }))).expect("it is taken in");
        let waits = reading::rows(&world.store).into_iter().find(|(card, _)| card.name == "waits");
        let status = waits.map(|(_, row)| row.status);
        let expected = if n == 2 { WorkflowStatus::Completed } else { WorkflowStatus::Running };
        assert_eq!(status, Some(expected));
    }
    assert_eq!(firings(&world).len(), 2);
}

#[test]
fn a_trigger_that_sets_itself_off_ends() {
    let mut world = serving();
    let emit = Work::Emit(Emit { event_type: "again".to_owned(), data: json!({ "n": 1 }) });
    let circle = Plan {
        triggers: vec![on_event("again", None)],
        ..plan("circle", vec![task("e".to_owned(), 0, emit)])
    };
    let inputs = Some(json!({ "type": "object", "properties": { "n": {} } }));
    tell(&mut world, define(Plan { inputs, ..circle })).expect("defined");
    tell(&mut world, event("1", "again", json!({ "n": 1 }))).expect("it is taken in");
    while world.step().expect("the laws hold") {}
    let fired = firings(&world);
    assert_eq!(fired.len(), 17);
    assert!(fired[16].fault.as_ref().is_some_and(|fault| fault.contains("in a row")));
    judge(&world);
}

#[test]
fn clocks_that_are_set_forward_or_back_for_summer_skip_and_repeat_nothing() {
    for (from, until, expected) in [
        (
            "2027-03-27T12:00:00Z",
            "2027-03-29T12:00:00Z",
            ["2027-03-28T01:00:00.000Z", "2027-03-29T00:30:00.000Z"],
        ),
        (
            "2027-10-30T12:00:00Z",
            "2027-11-01T12:00:00Z",
            ["2027-10-31T00:30:00.000Z", "2027-11-01T01:30:00.000Z"],
        ),
    ] {
        let mut world = serving();
        set_clock(&mut world, from);
        let trigger = on_schedule("30 2 * * *", "Europe/Berlin", Missed::All);
        tell(&mut world, define(triggered("nightly", vec![trigger]))).expect("defined");
        live_until(&mut world, until);
        assert_eq!(dues(&world), expected);
        judge(&world);
    }
}

#[test]
fn what_passed_while_nobody_was_there_is_made_up_for_as_declared() {
    for (missed, away, expected) in [
        (Missed::Skip, 5, vec![]),
        (Missed::Once, 5, vec!["2027-01-15T13:00:00.000Z"]),
        (Missed::All, 2, vec!["2027-01-15T09:00:00.000Z", "2027-01-15T10:00:00.000Z"]),
    ] {
        let mut world = serving();
        // It is 08:00 and a few seconds; half an hour later than a full hour it comes back.
        let trigger = on_schedule("0 * * * *", "UTC", missed);
        tell(&mut world, define(triggered("hourly", vec![trigger]))).expect("defined");
        world.cut = Some((world.commits, Cut::Unreleased));
        ask(&mut world, event("1", "a", json!(null)));
        while world.deaths == 0 {
            world.step().expect("the laws hold");
        }
        world.set_clock(away * HOUR + HOUR / 2);
        world.step().expect("it opens");
        serve(&mut world);
        for _ in 0..20 {
            world.step().expect("the laws hold");
        }
        assert_eq!(dues(&world), expected, "{missed}");
        judge(&world);
    }
}

#[test]
fn at_most_a_hundred_missed_moments_fire() {
    let mut world = serving();
    let trigger = on_schedule("* * * * *", "UTC", Missed::All);
    tell(&mut world, define(triggered("often", vec![trigger]))).expect("defined");
    world.set_clock(1_000 * HOUR);
    let soon = world.wall().plus(Duration::from_secs(30)).to_string();
    live_until(&mut world, &soon);
    assert_eq!(dues(&world).len(), 100);
    judge(&world);
}

#[test]
fn a_clock_that_is_set_back_does_not_make_a_moment_come_twice() {
    let mut world = serving();
    let trigger = on_schedule("0 * * * *", "UTC", Missed::All);
    tell(&mut world, define(triggered("hourly", vec![trigger]))).expect("defined");
    live_until(&mut world, "2027-01-15T10:30:00Z");
    world.set_clock(-2 * HOUR);
    live_until(&mut world, "2027-01-15T11:30:00Z");
    let hours = ["09", "10", "11"].map(|hour| format!("2027-01-15T{hour}:00:00.000Z"));
    assert_eq!(dues(&world), hours);
    judge(&world);
}
