//! Workers outside, on the real engine: waiting, fairness, heartbeats, lost leases, owners that change.

use std::sync::Arc;
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::TaskId;
use baton_core::plan::{Each, Plan, TaskPlan, Work, WorkerCall};
use baton_core::words::{Effect, FailureKind, TaskStatus, WorkflowStatus};
use baton_core::workflow::{Command, Refusal};
use baton_engine::engine::Engine;
use baton_engine::exchange::{Declined, Input, Reply, Request, Token};
use baton_engine::queue::Limits;
use baton_engine::workers::{Holding, Lease, LeaseAsk};
use serde_json::json;

use crate::people::submit_with;
use crate::plans::{plan, task};
use crate::world::{Cut, Happening, Weather, World};

type Answer = Result<Reply, Declined>;

fn work(n: u32, effect: Effect) -> TaskPlan {
    let worker_type = "gpu".to_owned();
    let call = WorkerCall { worker_type, with: json!({ "n": n }), effect };
    task(format!("t{n}"), 0, Work::Worker(call))
}

fn wide(tasks: u32, effect: Effect) -> Plan {
    plan("wide", (0..tasks).map(|n| work(n, effect)).collect())
}

/// A world without faults, and workers that ask it.
struct Bench {
    world: World,
    newest: Token,
    /// Kept: the workers still wait for their answers.
    here: Arc<()>,
}

impl Bench {
    fn new() -> Self {
        Self::within(Limits::default())
    }

    fn within(limits: Limits) -> Self {
        let mut world = World::new(1, Weather::default(), limits);
        world.step().expect("an empty store opens");
        Self { world, newest: 1_000, here: Arc::new(()) }
    }

    fn admit(&mut self, plan: Plan) {
        submit_with(&mut self.world, plan, false, 5).expect("the plan is valid");
        self.world.step().expect("it is admitted");
    }

    fn send(&mut self, request: Request) -> Token {
        self.newest += 1;
        let (token, actor) = (self.newest, Actor::user("worker"));
        self.world.send(Input::Request { token, actor, request });
        token
    }

    fn ask(&mut self, request: Request) -> Answer {
        let token = self.send(request);
        self.world.step().expect("the laws hold");
        self.answer(token).expect("it is answered in the turn")
    }

    fn answer(&self, token: Token) -> Option<Answer> {
        let mut answers = self.world.answers.iter();
        answers.find(|(of, _)| *of == token).map(|(_, answer)| answer.clone())
    }

    fn leasing(&self, max: u32, wait: u64) -> LeaseAsk {
        LeaseAsk {
            types: vec!["gpu".to_owned(), "tpu".to_owned()],
            worker: "ada".into(),
            max,
            wait: Duration::from_secs(wait),
            span: Duration::from_secs(30),
            asker: Arc::downgrade(&self.here),
        }
    }

    fn waits(&mut self, max: u32, wait: u64) -> Token {
        let ask = self.leasing(max, wait);
        self.send(Request::Lease(Box::new(ask)))
    }

    fn leases(&mut self, max: u32) -> Vec<Lease> {
        let token = self.waits(max, 0);
        self.world.step().expect("the laws hold");
        self.leased(token).expect("it is answered in the turn")
    }

    fn leased(&self, token: Token) -> Option<Vec<Lease>> {
        self.answer(token).map(|answer| match answer {
            Ok(Reply::Leased(leases)) => leases,
            other => panic!("{other:?}"),
        })
    }

    fn beats(&mut self, lease: &Lease) -> Answer {
        let progress = Some(json!({ "percent": 40 }));
        self.ask(Request::Heartbeat { task: lease.task, token: lease.token, progress })
    }

    fn completes(&mut self, lease: &Lease) -> Answer {
        let output = (Body::Inline(Json::of(&json!("done"))), None);
        self.ask(Request::Complete { task: lease.task, token: lease.token, output })
    }

    fn fails(&mut self, lease: &Lease, failure: CallFailure) -> Answer {
        self.ask(Request::FailWork { task: lease.task, token: lease.token, failure })
    }

    /// Time passes until this reading of the steady clock.
    fn until(&mut self, millis: u64) {
        let nothing = Input::Snapshot { number: 0, row: None };
        let left = millis.saturating_sub(self.world.uptime());
        self.world.plan_ahead(left, Happening::Arrives(nothing));
        while self.world.uptime() < millis {
            self.world.step().expect("the laws hold");
        }
    }

    fn status(&self) -> WorkflowStatus {
        let rows = crate::reading::rows(&self.world.store);
        rows.first().expect("a workflow").1.status
    }

    fn engine(&self) -> &Engine {
        self.world.engine().expect("somebody owns the store")
    }

    fn crash(&mut self) {
        self.world.die(Cut::Undone).expect("it dies");
        self.world.answers.clear();
        self.world.step().expect("another takes over");
    }
}

fn completed(task: TaskId) -> Answer {
    Ok(Reply::Answered { task, status: TaskStatus::Completed })
}

fn stale() -> Answer {
    Err(Declined::Refused(Refusal::StaleAttempt))
}

#[test]
fn a_worker_takes_up_to_what_it_asked_for_and_completes() {
    let mut bench = Bench::new();
    bench.admit(wide(3, Effect::Idempotent));
    let two = bench.leases(2);
    let inputs: Vec<&Body> = two.iter().map(|lease| &lease.input.0).collect();
    let expected = [json!({ "n": 0 }), json!({ "n": 1 })].map(|n| Body::Inline(Json::of(&n)));
    assert_eq!(inputs, expected.iter().collect::<Vec<_>>());
    assert_eq!((two[0].token, &*two[0].worker_type), (1, "gpu"));
    assert_eq!(two[0].idempotency_key, format!("{}:1:0", two[0].task));
    let rest = bench.leases(2);
    assert_eq!((rest.len(), bench.leases(2).len()), (1, 0), "what is leased is not offered");
    for lease in two.iter().chain(&rest) {
        assert_eq!(bench.completes(lease), completed(lease.task));
    }
    assert_eq!(bench.status(), WorkflowStatus::Completed);
    assert_eq!(bench.completes(&two[0]), completed(two[0].task), "twice, also after the end");
    let other = Lease { token: 2, ..two[0].clone() };
    assert_eq!(bench.completes(&other), stale());
}

#[test]
fn who_waits_is_answered_when_something_is_offered_first_come_first() {
    let mut bench = Bench::new();
    let (first, second) = (bench.waits(1, 60), bench.waits(1, 60));
    let third = bench.waits(1, 20);
    bench.world.step().expect("they wait");
    assert_eq!(bench.leased(first), None);
    bench.admit(wide(2, Effect::Idempotent));
    let got = |token| bench.leased(token).map(|leases| leases.len());
    assert_eq!((got(first), got(second), got(third)), (Some(1), Some(1), None));
    bench.until(20_000);
    assert_eq!(bench.leased(third), Some(Vec::new()), "it has waited long enough");
}

#[test]
fn nothing_is_leased_to_whoever_has_left() {
    let mut bench = Bench::new();
    bench.waits(5, 60);
    bench.world.step().expect("it waits");
    bench.here = Arc::new(());
    bench.admit(wide(2, Effect::Once));
    assert_eq!(bench.leases(5).len(), 2);
}

#[test]
fn a_lease_nobody_keeps_alive_is_given_again_and_its_late_answer_is_stale() {
    let mut bench = Bench::new();
    bench.admit(wide(1, Effect::Idempotent));
    let [lease] = &bench.leases(1)[..] else { panic!("one") };
    bench.until(20_000);
    let alive = bench.beats(lease);
    assert!(matches!(alive, Ok(Reply::Alive { cancelled: false, .. })), "{alive:?}");
    let Ok(Reply::Leases(held)) = bench.ask(Request::Leases) else { panic!("leases") };
    let [Holding { progress, worker, .. }] = &held[..] else { panic!("one") };
    assert_eq!((progress, &**worker), (&Some(json!({ "percent": 40 })), "ada"));
    bench.until(45_000);
    assert_eq!(bench.leases(1).len(), 0, "its heartbeat keeps it");
    bench.until(51_000);
    let [again] = &bench.leases(1)[..] else { panic!("given again") };
    assert_eq!((again.task, again.token), (lease.task, 2));
    assert_eq!(again.idempotency_key, lease.idempotency_key);
    assert_eq!(bench.completes(lease), stale());
    assert_eq!(bench.beats(lease), stale());
    assert_eq!(bench.completes(again), completed(again.task));
}

#[test]
fn what_must_happen_once_is_in_doubt_when_its_lease_is_lost() {
    let mut bench = Bench::new();
    bench.admit(wide(1, Effect::Once));
    let [lease] = &bench.leases(1)[..] else { panic!("one") };
    bench.until(31_000);
    assert_eq!(bench.leases(1).len(), 0);
    assert_eq!(bench.completes(lease), stale());
    let waits = bench.engine().states().any(|(_, state)| state.waiting_people() == 1);
    assert!(waits, "somebody must say whether it happened");
}

#[test]
fn a_worker_that_fails_says_whether_to_try_again() {
    let mut bench = Bench::new();
    bench.admit(wide(1, Effect::Idempotent));
    let [lease] = &bench.leases(1)[..] else { panic!("one") };
    let busy = CallFailure::passing(FailureKind::Unavailable, "no memory");
    let waiting = Ok(Reply::Answered { task: lease.task, status: TaskStatus::Waiting });
    assert_eq!(bench.fails(lease, busy.clone()), waiting);
    bench.until(5_000);
    let [again] = &bench.leases(1)[..] else { panic!("again") };
    let broken = CallFailure::refused(FailureKind::Refused, "no such file");
    let failed = Ok(Reply::Answered { task: lease.task, status: TaskStatus::Failed });
    assert_eq!(bench.fails(again, broken.clone()), failed);
    assert_eq!(bench.fails(again, broken), failed, "twice is once");
    assert_eq!(bench.fails(again, busy), stale());
    assert_eq!(bench.status(), WorkflowStatus::Failed);
}

#[test]
fn a_restart_grants_every_lease_its_span_again() {
    let mut bench = Bench::new();
    bench.admit(wide(2, Effect::Once));
    let leases = bench.leases(2);
    bench.until(29_000);
    bench.crash();
    assert_eq!(bench.leases(2).len(), 0, "they are held");
    bench.until(50_000);
    assert_eq!(bench.completes(&leases[0]), completed(leases[0].task));
    bench.until(62_000);
    assert_eq!(bench.completes(&leases[1]), stale(), "after a whole span it is lost");
}

#[test]
fn a_cancelled_workflow_is_told_by_the_next_heartbeat_and_given_up_at_the_deadline() {
    let mut bench = Bench::new();
    bench.admit(wide(2, Effect::Idempotent));
    let [lease] = &bench.leases(1)[..] else { panic!("one") };
    let command = Box::new(Command::Cancel { reason: None });
    let cancel = Request::Command { workflow: lease.workflow, command, blob: None };
    bench.ask(cancel).expect("it is cancelled");
    assert_eq!(bench.leases(1).len(), 0, "nothing more is offered");
    let told = bench.beats(lease);
    assert!(matches!(told, Ok(Reply::Alive { cancelled: true, .. })), "{told:?}");
    bench.until(11_000);
    assert_eq!(bench.status(), WorkflowStatus::Cancelled);
    assert_eq!(bench.completes(lease), stale());
}

#[test]
fn limits_hold_for_what_is_leased() {
    let mut bench = Bench::within(Limits { executing_max: 8, executing_per_workflow_max: 2 });
    let mut items = work(0, Effect::Idempotent);
    items.each = Some(Each { list: json!([1, 2, 3]), concurrency: Some(1) });
    let mut keyed = [work(1, Effect::Idempotent), work(2, Effect::Idempotent)];
    keyed.iter_mut().for_each(|task| task.concurrency_key = Some("key".to_owned()));
    bench.admit(plan("items", vec![items]));
    bench.admit(plan("keyed", keyed.into()));
    bench.admit(wide(4, Effect::Idempotent));
    let mut done = 0;
    for _ in 0..20 {
        for lease in bench.leases(9) {
            assert_eq!(bench.completes(&lease), completed(lease.task));
            done += 1;
        }
    }
    assert_eq!(done, 3 + 2 + 4, "all of them, and the world judges every limit after each commit");
}

#[test]
fn a_key_stays_taken_over_a_restart() {
    let mut bench = Bench::new();
    let mut keyed = [work(0, Effect::Idempotent), work(1, Effect::Idempotent)];
    keyed.iter_mut().for_each(|task| task.concurrency_key = Some("key".to_owned()));
    bench.admit(plan("keyed", keyed.into()));
    let [lease] = &bench.leases(9)[..] else { panic!("one at a time") };
    bench.crash();
    assert_eq!(bench.leases(9).len(), 0);
    assert_eq!(bench.completes(lease), completed(lease.task));
    assert_eq!(bench.leases(9).len(), 1);
}

#[test]
fn pausing_withdraws_what_is_offered_and_leaves_what_is_held() {
    let mut bench = Bench::new();
    bench.admit(wide(2, Effect::Idempotent));
    let [lease] = &bench.leases(1)[..] else { panic!("one") };
    let workflow = lease.workflow;
    let cause = baton_core::workflow::PauseCause::Actor;
    let tell = |command| Request::Command { workflow, command: Box::new(command), blob: None };
    bench.ask(tell(Command::Pause { cause })).expect("paused");
    assert_eq!(bench.leases(1).len(), 0);
    assert_eq!(bench.completes(lease), completed(lease.task));
    bench.ask(tell(Command::Resume)).expect("resumed");
    assert_eq!(bench.leases(2).len(), 1);
}

#[test]
fn an_owner_that_drains_leaves_leases_to_the_next() {
    let mut bench = Bench::new();
    bench.admit(wide(2, Effect::Idempotent));
    let [lease] = &bench.leases(1)[..] else { panic!("one") };
    bench.world.send(Input::Drain);
    bench.world.step().expect("it drains");
    assert!(bench.engine().is_quiet(), "what is held outside does not keep it");
    let ask = bench.leasing(1, 60);
    assert_eq!(bench.ask(Request::Lease(Box::new(ask))), Err(Declined::Draining));
    bench.crash();
    assert_eq!(bench.completes(lease), completed(lease.task));
    assert_eq!(bench.leases(9).len(), 1);
}
