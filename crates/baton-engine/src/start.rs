//! Starts what may start, and takes in what came of it.
//!
//! Constant inputs start at once; templates over small values are rendered in the turn; others are
//! rendered beside the owner's thread and start one commit later.

use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Body, Json};
use baton_core::definition::input_faults;
use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::plan::{Plan, TaskPlan, Work};
use baton_core::words::{AttemptStatus, FailureKind, Origin};
use baton_core::workflow::{Admitted, Command, Refusal, Resume, RoomFor, TaskPhase, Waiting};

use crate::engine::{Admission, Engine};
use crate::exchange::{Call, CallResult, Effect, JobKey, Parts, Prepare, Split};
use crate::live::{Live, Reading};
use crate::queue::Taken;
use crate::rates::Pace;
use crate::scope::{Ingredients, Ready, Unrendered, render};
use crate::store::{Store, StoreError};
use crate::timers::Due;

impl Engine {
    /// Starts everything that the limits allow.
    pub(crate) fn start_ready(&mut self, store: &mut dyn Store) {
        while !self.draining {
            match self.queue.pop(self.now.uptime) {
                Some((number, task)) => {
                    self.start_task(number, task, store);
                    self.settle(store);
                }
                None if self.queue.unpark_rated(self.now.uptime) => {}
                None if self.hand_out(store) => {}
                None => break,
            }
        }
        let due = self.queue.rates.next(self.now.uptime);
        if let Some(at) = due.filter(|_| due != self.rates_due) {
            self.rates_due = due;
            self.timers.after(at, Due::Rates);
        }
    }

    fn start_task(&mut self, number: u64, task: Ordinal, store: &mut dyn Store) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let Some(facts) = live.state.task(task) else {
            return;
        };
        let (of, rung) = (facts.of, facts.rung);
        if !matches!(facts.phase, TaskPhase::Ready | TaskPhase::Waiting { .. }) {
            return;
        }
        if self.workers.is_offered(number, task) {
            return;
        }
        if !live.state.may_start() || live.preparing.get(&task) == Some(&live.state.run) {
            return;
        }
        if !live.state.item_may_start(task) {
            self.park(number, task);
            return;
        }
        if facts.is_call {
            return self.start_call(number, task, None);
        }
        let goes_on = facts.agent.as_ref().is_some_and(|run| run.has_begun())
            && live.state.agent_call(task).is_some();
        // Whoever has a key or a rate renders it anew: an attempt that failed gave its key back.
        if goes_on && is_free(&live.loaded.plan, of) {
            if self.may_ask(number, task) {
                self.start_turn(number, task, None);
            }
            return;
        }
        let loaded = Arc::clone(&live.loaded);
        if rung == 0 && loaded.program.is_constant(of) && is_plain_call(&loaded.plan, of) {
            self.start_call(number, task, None);
            return;
        }
        let item = match live.item(task, store) {
            Ok(item) => item,
            Err(fault) => return self.rendered(number, task, Err(fault.into())),
        };
        let ingredients =
            Ingredients::gather(&live.state, loaded.program.references(of)).with_item(item);
        let folder = live.state.folder.clone();
        let is_for_workers = live.state.worker_call(task).is_some();
        let job =
            Prepare { number, task, run: live.state.run, of, rung, loaded, folder, ingredients };
        if job.ingredients.is_small() {
            let ready = render(&job, &mut |hash| Err(not_inline(hash)));
            self.rendered(number, task, ready);
        } else {
            live.preparing.insert(task, live.state.run);
            // Its place is taken now: limits hold for what is prepared as well. A worker's task takes
            // its place when it is leased; two that are prepared by turns would keep it from each other.
            if !is_for_workers {
                self.queue.begin(number, task);
            }
            self.effect(Effect::Prepare(job));
        }
    }

    pub(crate) fn park(&mut self, number: u64, task: Ordinal) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        if let Some((items, _)) = live.state.item(task) {
            self.queue.park_item(number, items.parent, task, live.state.priority);
        }
    }

    /// Takes in what was rendered beside the owner's thread.
    pub(crate) fn prepared(
        &mut self,
        number: u64,
        (task, run): (Ordinal, u32),
        result: Result<Ready, Unrendered>,
    ) {
        let wanted = match self.lives.get_mut(&number) {
            Some(live) => takes(live, task, run) && !self.draining,
            None => false,
        };
        let has_place = |live: &Live| live.state.item_may_start(task);
        if wanted && self.lives.get(&number).is_some_and(has_place) {
            self.rendered(number, task, result);
        } else if wanted {
            self.park(number, task);
        }
        if !self.lives.get(&number).is_some_and(|live| executes(live, task)) {
            self.queue.end(number, task, self.now.uptime);
        }
    }

    fn rendered(&mut self, number: u64, task: Ordinal, result: Result<Ready, Unrendered>) {
        if !matches!(result, Err(Unrendered::Unread(_)))
            && let Some(live) = self.lives.get_mut(&number)
        {
            live.unread.remove(&Reading::Task(task));
        }
        match result {
            Ok(ready) => self.proceed(number, task, ready),
            Err(Unrendered::Failed(failure)) => self.refuse(number, task, failure),
            Err(Unrendered::Unread(fault)) => {
                self.read_later(number, Reading::Task(task), fault);
            }
        }
    }

    /// A task whose templates fail on the data at hand has failed.
    fn refuse(&mut self, number: u64, task: Ordinal, failure: CallFailure) {
        // A refusal of the refusal means that the task may not start any more.
        let _ = self.apply_own(number, &Command::RefuseTask { task, failure });
    }

    /// Whether neither the task's rate nor its concurrency key holds it back. Its key is looked at
    /// last: what waits for a rate must not keep a key from others.
    pub(crate) fn is_let_through(&mut self, number: u64, task: Ordinal, ready: &Ready) -> bool {
        let priority = self.lives.get(&number).map_or(0, |live| live.state.priority);
        let uptime = self.now.uptime;
        if let Some(rate) = &ready.rate {
            match self.queue.rates.pace(rate, uptime) {
                Pace::Free => {}
                Pace::Held => {
                    self.queue.rates.park(rate, (number, task, priority));
                    return false;
                }
                Pace::Undeclared => {
                    self.refuse(number, task, undeclared(rate));
                    return false;
                }
            }
        }
        if let Some(key) = &ready.key
            && self.queue.take_key(key.clone(), number, task, priority) == Taken::Parked
        {
            return false;
        }
        if let Some(rate) = &ready.rate {
            self.queue.rates.take(rate, uptime);
        }
        true
    }

    fn proceed(&mut self, number: u64, task: Ordinal, ready: Ready) {
        if matches!(ready.parts, Parts::Worker(_)) {
            return self.offer(number, task, ready);
        }
        // What is held back must not keep a key from others.
        if matches!(ready.parts, Parts::Agent(_)) && !self.may_ask(number, task) {
            return;
        }
        if !self.is_let_through(number, task, &ready) {
            return;
        }
        let keyed = ready.key.is_some();
        match ready.parts {
            Parts::Skip => drop(self.apply_own(number, &Command::SkipTask { task })),
            Parts::Expand { list, values } => self.expand(number, task, list, values),
            Parts::Tool(input) => self.start_call(number, task, Some(input)),
            Parts::Agent(prompt) => self.start_turn(number, task, Some(prompt)),
            Parts::Ask(ask) => self.start_wait(number, task, Waiting::Person { ask }),
            Parts::WaitUntil(until) => {
                self.start_wait(
                    number,
                    task,
                    Waiting::Timer { until, span: None, then: Resume::Complete },
                );
            }
            Parts::WaitFor(span) => {
                let until = self.now.moment.now.plus(span);
                self.start_wait(
                    number,
                    task,
                    Waiting::Timer { until, span: Some(span), then: Resume::Complete },
                );
            }
            Parts::WaitEvent { pattern, timeout } => {
                let until = timeout.map(|timeout| self.now.moment.now.plus(timeout));
                self.start_wait(number, task, Waiting::Event { pattern, until });
            }
            Parts::Emit { event_type, data } => self.emit(number, task, event_type, data),
            Parts::Child(inputs) => self.start_child(number, task, &inputs),
            // Offered above.
            Parts::Worker(_) => {}
        }
        if keyed && !self.lives.get(&number).is_some_and(|live| executes(live, task)) {
            self.queue.end(number, task, self.now.uptime);
        }
    }

    fn expand(&mut self, number: u64, task: Ordinal, list: Split, values: Arc<[Json]>) {
        let (list, blob) = list;
        self.staging.offer(blob);
        let count = u32::try_from(values.len()).unwrap_or(u32::MAX);
        if let Some(live) = self.lives.get_mut(&number) {
            live.lists.insert(task, values);
        }
        if let Err(refusal) = self.apply_own(number, &Command::ExpandTask { task, count, list }) {
            let message = format!("a list of {count} items cannot be expanded: {refusal}");
            self.refuse(number, task, CallFailure::refused(FailureKind::TooLarge, message));
        }
    }

    /// What bounds a task beside what its workflow knows, where it is an agent's, or a call of one.
    fn room_for(&mut self, number: u64, task: Ordinal) -> RoomFor {
        let Some(live) = self.lives.get(&number) else {
            return RoomFor::default();
        };
        let counted = live.count_of(task);
        let is_agents =
            live.state.agent_call(task).is_some() || live.state.asked_call(task).is_some();
        if !is_agents || !self.ledger.is_needed() {
            return RoomFor { counted, ..RoomFor::default() };
        }
        let payer = live.payer();
        let above = self.ledger.above(&payer, self.now.moment.now);
        RoomFor { above, family: self.ledger.family(payer.workflow), counted }
    }

    /// Records the start of an attempt and returns its number; `None` when it may not start.
    pub(crate) fn begin(
        &mut self,
        number: u64,
        task: Ordinal,
        input: Option<Body>,
    ) -> Result<u32, Refusal> {
        let room = self.room_for(number, task);
        let started =
            self.apply_own(number, &Command::StartTask { task, input, lease: None, room });
        let live = self.lives.get_mut(&number).ok_or(Refusal::NotReady)?;
        if started == Err(Refusal::NoRoom) {
            live.without_room.push(task);
        }
        started?;
        // It may wait for an approval or for a budget instead.
        let facts = live.state.task(task).filter(|_| executes(live, task));
        facts.map(|facts| facts.attempts).ok_or(Refusal::NotReady)
    }

    fn start_call(&mut self, number: u64, task: Ordinal, input: Option<Split>) {
        let (input, blob) = input.map_or((None, None), |(body, blob)| (Some(body), blob));
        self.staging.offer(blob);
        let Ok(attempt) = self.begin(number, task, input.clone()) else {
            return;
        };
        self.queue.begin(number, task);
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let Some(facts) = live.state.task(task) else {
            return;
        };
        let (of, rung) = (facts.of, facts.rung);
        let (id, run) = (live.state.id.task(task), live.state.run);
        let asked = live.state.asked_call(task);
        let call = Call {
            job: JobKey { number, task, attempt },
            loaded: Arc::clone(&live.loaded),
            of,
            rung,
            asked: asked.as_ref().map(|asked| Arc::from(asked.tool.as_str())),
            input: asked.map(|asked| asked.input.clone()).or(input),
            folder: live.state.folder.clone(),
            idempotency_key: format!("{id}:{run}:{rung}"),
            workflow: live.state.id,
            conversation: live.state.conversation,
            timeout: live.state.task_plan(task).and_then(|plan| plan.timeout).map(|span| span.0),
        };
        self.effect(Effect::Call(call));
    }

    fn start_wait(&mut self, number: u64, task: Ordinal, on: Waiting) {
        if let Ok(attempt) = self.begin(number, task, None) {
            // Just started, it cannot be refused.
            let _ = self.apply_own(number, &Command::Suspend { task, attempt, on });
        }
    }

    fn emit(&mut self, number: u64, task: Ordinal, event_type: String, data: Split) {
        let (data, blob) = data;
        self.staging.offer(blob);
        if let Ok(attempt) = self.begin(number, task, None) {
            // Just started, it cannot be refused.
            let _ = self.apply_own(number, &Command::Emit { task, attempt, event_type, data });
        }
    }

    fn start_child(&mut self, number: u64, task: Ordinal, inputs: &Json) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let Some(plan) = live.state.task_plan(task) else {
            return;
        };
        let Some(child) = live.loaded.children.get(&plan.key).cloned() else {
            return;
        };
        let inputs = match input_faults(&child.plan, &inputs.value()) {
            Ok(inputs) => inputs,
            Err(faults) => {
                let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
                let message = format!("the inputs of `{}`: {}", child.plan.name, said.join("; "));
                let failure = CallFailure::refused(FailureKind::InvalidInput, message);
                return self.refuse(number, task, failure);
            }
        };
        let (conversation, priority) = (live.state.conversation, live.state.priority);
        let (hops, project) = (live.state.hops, live.state.project);
        let user = live.state.user.clone();
        let (parent, folder) = (live.state.id.task(task), live.state.folder.clone());
        let Ok(attempt) = self.begin(number, task, None) else {
            return;
        };
        let cause = self.lives.get(&number).map_or(0, |live| live.head);
        let id = self.new_id();
        let (inputs, blob) = Body::split(Json::of(&inputs));
        self.staging.offer(blob);
        let event = Admitted {
            reports_to: None,
            hops,
            project,
            id,
            conversation,
            origin: Origin::Parent,
            priority,
            plan: child.blob.hash,
            inputs,
            review: false,
            parent: Some(parent),
            folder,
            user,
            fork_of: None,
            fork_position: None,
            kept: Vec::new(),
        };
        let system = self.actor(&Actor::system());
        self.admit(child, Admission { event, cause }, system);
        // Just started, it cannot be refused.
        let _ = self.apply_own(
            number,
            &Command::Suspend { task, attempt, on: Waiting::Child { child: id } },
        );
    }

    /// Takes in how a call ended. A late or double answer is refused and changes nothing.
    pub(crate) fn called(&mut self, job: JobKey, result: CallResult) {
        let JobKey { number, task, attempt } = job;
        let command = match result {
            Ok((output, blob)) => {
                self.staging.offer(blob);
                Command::Complete { task, attempt, output }
            }
            Err((status, failure)) => Command::Fail { task, attempt, status, failure },
        };
        let _ = self.apply_own(number, &command);
    }
}

fn executes(live: &Live, task: Ordinal) -> bool {
    let executing = |phase: &TaskPhase| matches!(phase, TaskPhase::Executing { .. });
    live.state.task(task).is_some_and(|facts| executing(&facts.phase))
}

/// Whether what was rendered for this run is still wanted; it is taken in once.
fn takes(live: &mut Live, task: Ordinal, run: u32) -> bool {
    live.preparing.get(&task) == Some(&run) && live.preparing.remove(&task).is_some()
}

fn is_plain_call(plan: &Plan, of: Ordinal) -> bool {
    let plain = |task: &TaskPlan| {
        matches!(task.work, Work::Tool(_)) && task.when.is_none() && task.each.is_none()
    };
    is_free(plan, of) && plan.task(of).is_some_and(plain)
}

/// Whether neither a key nor a rate holds the task back.
fn is_free(plan: &Plan, of: Ordinal) -> bool {
    let free = |task: &TaskPlan| task.concurrency_key.is_none() && task.rate_key.is_none();
    plan.task(of).is_some_and(free)
}

fn undeclared(rate: &str) -> CallFailure {
    let message = format!(
        "no rate is declared for the `rate_key` {rate:?}; add a line like `{rate:?} = \"10/1s\"` to \
         `[limits.rates]` in baton.toml"
    );
    CallFailure::refused(FailureKind::InvalidInput, message)
}

fn not_inline(hash: BlobHash) -> StoreError {
    StoreError::Corrupt(format!("the blob {hash} was not expected here"))
}

/// The status an attempt ends with when its call failed like this.
pub fn attempt_status(failure: &CallFailure) -> AttemptStatus {
    match failure.kind {
        FailureKind::TimedOut => AttemptStatus::TimedOut,
        FailureKind::Cancelled => AttemptStatus::Cancelled,
        FailureKind::Lost => AttemptStatus::Lost,
        FailureKind::InvalidInput
        | FailureKind::Template
        | FailureKind::NotFound
        | FailureKind::Denied
        | FailureKind::TooLarge
        | FailureKind::Unavailable
        | FailureKind::Refused
        | FailureKind::InvalidOutput
        | FailureKind::Panicked
        | FailureKind::Child
        | FailureKind::Items
        | FailureKind::Rejected
        | FailureKind::NoEvent
        | FailureKind::RateLimited
        | FailureKind::UsageLimit
        | FailureKind::ContextTooLong
        | FailureKind::Loop
        | FailureKind::Budget => AttemptStatus::Failed,
    }
}
