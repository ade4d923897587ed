//! What is sent again under its key is done once: wherever the owner dies meanwhile, and for a day.

use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Body, Json};
use baton_core::ids::WorkflowId;
use baton_core::plan::Work;
use baton_core::words::{Effect, Origin};
use baton_engine::exchange::{Declined, Input, OnceKey, Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::queue::Limits;
use serde_json::json;

use crate::plans::{call, plan, task};
use crate::reading;
use crate::world::{CUTS, Cut, Weather, World};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// How many different keys there are.
const KEYS: usize = 4;

fn keyed(key: &str, body: &str) -> Request {
    let work = Work::Tool(call(Effect::Read, json!({})));
    let plan = plan("keyed", vec![task("t0".to_owned(), 0, work)]);
    let submit = Submit {
        project: None,
        loaded: Arc::new(Loaded::new(plan).expect("a plan")),
        inputs: Body::split(Json::of(&json!({ "text": body }))),
        origin: Origin::Api,
        priority: 5,
        review: false,
        conversation: None,
        folder: None,
    };
    let once = OnceKey { key: key.to_owned(), body: BlobHash::of(body.as_bytes()) };
    Request::Once { once, request: Box::new(Request::Submit(Box::new(submit))) }
}

fn opened() -> World {
    let mut world = World::new(1, Weather::default(), Limits::default());
    world.step().expect("an empty store opens");
    world
}

/// The answer to a request of always the same caller, sent again after each death of the owner.
fn tell(world: &mut World, request: impl Fn() -> Request) -> Result<WorkflowId, Declined> {
    loop {
        let deaths = world.deaths;
        world.answers.clear();
        let (token, actor) = (world.rng.next(), Actor::user("client"));
        world.send(Input::Request { token, actor, request: request() });
        while world.answers.is_empty() && world.deaths == deaths {
            world.step().expect("the laws hold");
        }
        if world.deaths != deaths {
            world.step().expect("it opens");
            continue;
        }
        let reply = world.answers.remove(0).1?;
        let Reply::Workflow { id, .. } = reply else { panic!("{reply:?}") };
        return Ok(id);
    }
}

fn workflows(world: &World) -> Vec<WorkflowId> {
    reading::rows(&world.store).iter().map(|(card, _)| card.id).collect()
}

/// Each key is sent twice.
fn live_through(cut: Option<(u64, Cut)>) -> World {
    let mut world = opened();
    world.cut = cut.map(|(at, way)| (world.commits + at, way));
    let mut told = Vec::new();
    for n in 0..KEYS {
        let request = || keyed(&format!("key-{n}"), "body");
        let first = tell(&mut world, request).expect("it is started");
        assert_eq!(tell(&mut world, request), Ok(first));
        told.push(first);
    }
    let mut found = workflows(&world);
    told.sort();
    found.sort();
    assert_eq!(found, told, "{cut:?}");
    world
}

#[test]
fn a_key_starts_one_workflow_wherever_the_owner_dies() {
    let whole = live_through(None);
    for at in 0..whole.commits {
        for way in CUTS {
            live_through(Some((at, way)));
        }
    }
}

#[test]
fn a_key_is_remembered_for_a_day_and_for_its_own_body() {
    let mut world = opened();
    let first = tell(&mut world, || keyed("key", "body")).expect("it is started");
    world.set_clock(24 * HOUR - MINUTE);
    assert_eq!(tell(&mut world, || keyed("key", "body")), Ok(first));
    assert_eq!(tell(&mut world, || keyed("key", "other")), Err(Declined::KeyReused));
    assert_eq!(workflows(&world), [first]);
    world.set_clock(2 * MINUTE);
    let next = tell(&mut world, || keyed("key", "other")).expect("the key is free again");
    assert_ne!(next, first);
    assert_eq!(tell(&mut world, || keyed("key", "other")), Ok(next));
    assert_eq!(workflows(&world).len(), 2);
}
