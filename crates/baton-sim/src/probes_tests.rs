//! A probe's answer speaks of the attempt it was asked about, however late it comes.

use std::sync::Arc;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{Probe, Work};
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{Effect as Class, FailureKind, Origin, TaskStatus};
use baton_core::workflow::{Command, Verdict};
use baton_engine::attempt_status;
use baton_engine::engine::{Engine, Now, Settings, TakeUp};
use baton_engine::exchange::{Effect, Input, JobKey, Request, Submit, Turn};
use baton_engine::loaded::Loaded;
use baton_engine::store::Store;
use baton_store::memory::MemoryStore;
use serde_json::json;

use crate::plans::{call, plan, task};

fn now() -> Now {
    Now {
        moment: Moment::new(Timestamp::from_millis(1_800_000_000_000), 1),
        uptime: Duration::ZERO,
    }
}

struct Bench {
    store: MemoryStore,
    engine: Engine,
}

impl Bench {
    fn open(mut store: MemoryStore) -> Self {
        let opened = Engine::open(&mut store, Settings::default(), TakeUp::All, now());
        let engine = opened.expect("it opens");
        Self { store, engine }
    }

    fn turn(&mut self, input: Option<Input>) -> Turn {
        let turn = self.engine.turn(&mut self.store, now(), input);
        if !turn.commit.is_empty() {
            self.store.commit(&turn.commit).expect("it is written");
        }
        turn
    }

    fn ask(&mut self, request: Request) -> Turn {
        let actor = Actor::user("ada");
        let token = 1;
        self.turn(Some(Input::Request { token, actor, request }))
    }

    fn status(&self) -> Option<TaskStatus> {
        let (_, state) = self.engine.states().next()?;
        Some(state.task(Ordinal(0))?.phase.status())
    }

    fn id(&self) -> WorkflowId {
        self.engine.states().next().expect("a workflow lives").1.id
    }
}

fn submission() -> Request {
    let mut pay = task("pay".to_owned(), 0, Work::Tool(call(Class::Once, json!({}))));
    pay.probe = Some(Probe { call: call(Class::Read, json!({})), happened: None });
    let loaded = Loaded::new(plan("paid", vec![pay])).expect("the plan is valid");
    Request::Submit(Box::new(Submit {
        loaded: Arc::new(loaded),
        inputs: Body::split(Json::of(&json!({}))),
        origin: Origin::Cli,
        priority: 5,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    }))
}

fn probed(verdict: Verdict) -> Option<Input> {
    let (number, task) = (1, Ordinal(0));
    let verdict = Some((verdict, None));
    Some(Input::Probed { number, task, verdict })
}

fn probes(turn: &Turn) -> usize {
    let is_probe = |effect: &&Effect| matches!(effect, Effect::Probe(_));
    turn.effects.iter().filter(is_probe).count()
}

#[test]
fn a_late_probe_does_not_settle_a_later_attempt() {
    let mut first = Bench::open(MemoryStore::new());
    first.ask(submission());
    let mut bench = Bench::open(first.store.clone());
    let turn = bench.turn(None);
    assert_eq!((bench.status(), probes(&turn)), (Some(TaskStatus::Waiting), 1));

    // A person is faster than the probe, and the second attempt is in doubt as well.
    let (workflow, verdict) = (bench.id(), Verdict::DidNotHappen);
    let task = Ordinal(0);
    let command = Box::new(Command::Settle { task, verdict });
    bench.ask(Request::Command { workflow, command, blob: None });
    assert_eq!(bench.status(), Some(TaskStatus::Executing));
    let failure = CallFailure::in_doubt(FailureKind::TimedOut, "too slow");
    let job = JobKey { number: 1, task, attempt: 2 };
    let result = Err((attempt_status(&failure), failure));
    bench.turn(Some(Input::Called { job, result }));
    assert_eq!(bench.status(), Some(TaskStatus::Waiting));

    // What the first probe saw is not true of the second attempt: another one is asked.
    let turn = bench.turn(probed(Verdict::DidNotHappen));
    assert_eq!((bench.status(), probes(&turn)), (Some(TaskStatus::Waiting), 1));
    let turn = bench.turn(probed(Verdict::Happened(Body::null())));
    assert!(!turn.commit.is_empty());
    assert_eq!(bench.status(), None, "the run has ended");
    let turn = bench.turn(probed(Verdict::DidNotHappen));
    assert!(turn.commit.is_empty(), "a doubled answer changes nothing");
}
