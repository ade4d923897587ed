//! Leases: workers outside take tasks, say that they live, and answer.
//!
//! A lease is answered after its start is on disk. Heartbeats are not journaled: what is lost with
//! an owner is granted again, a whole span from then. Rules of attempts are the core's.

use std::sync::Arc;
use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, TaskId};
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, FailureKind};
use baton_core::workflow::{Command, Lease as Term, Phase, Refusal, RoomFor, TaskPhase};
use serde_json::Value;

use crate::engine::Engine;
use crate::exchange::{Declined, Parts, Reply, Split, Token};
use crate::queue::Taken;
use crate::request::Answer;
use crate::scope::Ready;
use crate::start::attempt_status;
use crate::store::Store;
use crate::workers::{BATCH_MAX, Held, Holding, Lease, LeaseAsk, Waiter};

impl Engine {
    /// A worker asks for tasks: it waits, and the end of the turn looks for some.
    pub(crate) fn lease(
        &mut self,
        token: Token,
        actor: u32,
        mut ask: LeaseAsk,
    ) -> Result<(), Declined> {
        if self.draining {
            return Err(Declined::Draining);
        }
        ask.max = ask.max.clamp(1, BATCH_MAX);
        let until = self.now.uptime + ask.wait;
        let waiter = Waiter { token, actor, ask, until, granted: Vec::new() };
        if self.workers.wait(waiter) { Ok(()) } else { Err(Declined::TooManyWaiting) }
    }

    /// Offers a task for a type of worker; its limits are asked when somebody takes it.
    pub(crate) fn offer(&mut self, number: u64, task: Ordinal, ready: Ready) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let (Some(call), Some(plan)) = (live.state.worker_call(task), live.state.task_plan(task))
        else {
            return;
        };
        let priority = plan.priority.unwrap_or(live.state.priority);
        let offer = (ready, priority, self.now.uptime);
        self.workers.offer((number, task), &call.worker_type, offer);
    }

    /// Gives what is offered to those who wait, first come first. `true` where it did anything.
    pub(crate) fn hand_out(&mut self, store: &mut dyn Store) -> bool {
        let mut did = false;
        while let Some((worker_type, waiter)) = self.workers.next_match() {
            let full = |waiter: &Waiter| waiter.granted.len() >= waiter.ask.max as usize;
            match self.workers.waiter(waiter) {
                Some(found) if found.ask.asker.strong_count() > 0 && !full(found) => {}
                Some(_) | None => {
                    self.dismiss(waiter);
                    continue;
                }
            }
            if self.queue.is_full() {
                break;
            }
            let Some(((number, task), ready)) = self.workers.take(&worker_type, self.now.uptime)
            else {
                continue;
            };
            did = true;
            self.lease_to(waiter, (number, task), &worker_type, ready);
            self.settle(store);
        }
        did
    }

    /// Lets those go who have their tasks, have waited long enough, or have left.
    pub(crate) fn dismiss_workers(&mut self) {
        for waiter in std::mem::take(&mut self.served) {
            self.dismiss(waiter);
        }
        while let Some(waiter) = self.workers.overdue(self.now.uptime) {
            self.dismiss(waiter);
        }
        if self.draining {
            for waiter in self.workers.everybody() {
                self.dismiss(waiter);
            }
        }
    }

    fn dismiss(&mut self, waiter: u64) {
        if let Some(gone) = self.workers.dismiss(waiter) {
            self.answer(gone.token, Ok(Reply::Leased(gone.granted)));
        }
    }

    fn lease_to(
        &mut self,
        waiter: u64,
        (number, task): (u64, Ordinal),
        worker_type: &Arc<str>,
        ready: Ready,
    ) {
        if !self.has_place(number, task) || !self.is_let_through(number, task, &ready) {
            return;
        }
        let Ready { parts: Parts::Worker(input), key, rate: _ } = ready else {
            return;
        };
        let keyed = key.is_some();
        match self.start_lease(waiter, (number, task), worker_type, (input, key)) {
            Some(lease) => {
                if let Some(found) = self.workers.waiter(waiter) {
                    found.granted.push(lease);
                    self.served.insert(waiter);
                }
            }
            None if keyed => self.queue.end(number, task, self.now.uptime),
            None => {}
        }
    }

    /// Whether the limits let a task start; where they do not, it asks again later.
    fn has_place(&mut self, number: u64, task: Ordinal) -> bool {
        let Some(live) = self.lives.get(&number) else {
            return false;
        };
        if !live.state.item_may_start(task) {
            self.park(number, task);
            return false;
        }
        if !self.queue.has_room(number) {
            self.enqueue(number, &[task]);
            return false;
        }
        true
    }

    fn start_lease(
        &mut self,
        waiter: u64,
        (number, task): (u64, Ordinal),
        worker_type: &Arc<str>,
        ((body, blob), key): (Split, Option<String>),
    ) -> Option<Lease> {
        let found = self.workers.waiter(waiter)?;
        let (worker, span, actor) = (Arc::clone(&found.ask.worker), found.ask.span, found.actor);
        let term = Term { worker: Arc::clone(&worker), span, key: key.map(Arc::from) };
        let live = self.lives.get(&number)?;
        let constant = live.loaded.program.is_constant(live.state.task(task)?.of);
        let stated = (!constant).then(|| body.clone());
        if !constant {
            self.staging.offer(blob.clone());
        }
        let start =
            Command::StartTask { task, input: stated, lease: Some(term), room: RoomFor::default() };
        // A refusal means that the task may not start any more.
        self.apply(number, &start, actor).ok()?;
        self.queue.begin(number, task);
        let live = self.lives.get(&number)?;
        let (state, facts) = (&live.state, live.state.task(task)?);
        let (attempt, rung, run) = (facts.attempts, facts.rung, state.run);
        let timeout = state.task_plan(task)?.timeout;
        let (id, workflow) = (state.id.task(task), state.id);
        let ends = timeout.map(|timeout| self.now.uptime + timeout.0);
        let until = self.now.uptime + span;
        let until = ends.map_or(until, |ends| ends.min(until));
        let held = Held { attempt, worker, span, until, ends, progress: None };
        self.workers.hold((number, task), held);
        Some(Lease {
            task: id,
            workflow,
            token: attempt,
            worker_type: Arc::clone(worker_type),
            input: (body, blob),
            idempotency_key: format!("{id}:{run}:{rung}"),
            until: self.wall_at(until),
        })
    }

    /// What the wall clock will say when the steady clock says this.
    fn wall_at(&self, uptime: Duration) -> Timestamp {
        self.wall.plus(uptime.saturating_sub(self.now.uptime))
    }

    /// What an earlier owner gave out is held for a whole span from now.
    pub(crate) fn hold_again(&mut self, number: u64, task: Ordinal, attempt: u32, term: &Term) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let began = match live.state.task(task).map(|facts| &facts.phase) {
            Some(TaskPhase::Executing { since, .. }) => *since,
            Some(_) | None => return,
        };
        let (timeout, priority) =
            (live.state.task_plan(task).and_then(|plan| plan.timeout), live.state.priority);
        let used = self.now.moment.now.since(began);
        let ends = timeout.map(|most| self.now.uptime + most.0.saturating_sub(used));
        let until = self.now.uptime + term.span;
        let until = ends.map_or(until, |ends| ends.min(until));
        let (worker, span) = (Arc::clone(&term.worker), term.span);
        let held = Held { attempt, worker, span, until, ends, progress: None };
        self.workers.hold((number, task), held);
        self.queue.begin(number, task);
        if let Some(key) = &term.key {
            let taken = self.queue.take_key(key.to_string(), number, task, priority);
            debug_assert_eq!(taken, Taken::Yes, "one task of a key executes at a time");
        }
    }

    /// A worker says that it lives, and perhaps how far it is.
    pub(crate) fn heartbeat(
        &mut self,
        (id, token): (TaskId, u32),
        progress: Option<Value>,
        store: &mut dyn Store,
    ) -> Answer {
        let (number, task) = self.place_of(id, store)?;
        self.holds_attempt(number, task, token)?;
        let until = self.workers.extend((number, task), self.now.uptime, progress);
        let until = until.ok_or(Declined::Refused(Refusal::StaleAttempt))?;
        let phase = self.lives.get(&number).map(|live| &live.state.phase);
        let cancelled = matches!(phase, Some(Phase::Cancelling { .. }));
        Ok(Reply::Alive { lease_until: self.wall_at(until), cancelled })
    }

    /// A worker brings the output. Brought twice under the same token, it is answered the same.
    pub(crate) fn complete_lease(
        &mut self,
        (id, token): (TaskId, u32),
        actor: u32,
        (output, blob): Split,
        store: &mut dyn Store,
    ) -> Answer {
        let (number, task) = self.place_of(id, store)?;
        if let Err(stale) = self.holds_attempt(number, task, token) {
            let facts = self.lives.get(&number).and_then(|live| live.state.task(task));
            let completed = facts.is_some_and(|facts| {
                facts.attempts == token && matches!(facts.phase, TaskPhase::Completed { .. })
            });
            return if completed { self.answered(number, id, task) } else { Err(stale) };
        }
        self.staging.offer(blob);
        let command = Command::Complete { task, attempt: token, output };
        self.answer_attempt((number, id, task), &command, actor, store)
    }

    /// A worker says why it failed, and whether trying again may help.
    pub(crate) fn fail_lease(
        &mut self,
        (id, token): (TaskId, u32),
        actor: u32,
        failure: CallFailure,
        store: &mut dyn Store,
    ) -> Answer {
        let (number, task) = self.place_of(id, store)?;
        if let Err(stale) = self.holds_attempt(number, task, token) {
            let facts = self.lives.get(&number).and_then(|live| live.state.task(task));
            let told = facts.is_some_and(|facts| {
                let same = matches!(&facts.phase, TaskPhase::Failed { failure: known, .. } if **known == failure);
                facts.attempts == token && same
            });
            // Where it is tried again, the state keeps no failure.
            let told = told || self.workers.has_said((number, task), token, &failure);
            return if told { self.answered(number, id, task) } else { Err(stale) };
        }
        let status = attempt_status(&failure);
        let said = failure.clone();
        let command = Command::Fail { task, attempt: token, status, failure };
        let answer = self.answer_attempt((number, id, task), &command, actor, store)?;
        self.workers.remember((number, task), token, said);
        Ok(answer)
    }

    fn answer_attempt(
        &mut self,
        (number, id, task): (u64, TaskId, Ordinal),
        command: &Command,
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        self.apply(number, command, actor).map_err(Declined::Refused)?;
        let answer = self.answered(number, id, task);
        self.settle(store);
        answer
    }

    fn answered(&self, number: u64, id: TaskId, task: Ordinal) -> Answer {
        let facts = self.lives.get(&number).and_then(|live| live.state.task(task));
        let status = facts.map(|facts| facts.phase.status());
        let status = status.ok_or(Declined::Refused(Refusal::NoSuchTask))?;
        Ok(Reply::Answered { task: id, status })
    }

    fn place_of(&mut self, id: TaskId, store: &mut dyn Store) -> Result<(u64, Ordinal), Declined> {
        let (workflow, task) = id.split().ok_or(Declined::Refused(Refusal::NoSuchTask))?;
        Ok((self.find(workflow, store)?, task))
    }

    fn holds_attempt(&self, number: u64, task: Ordinal, token: u32) -> Result<(), Declined> {
        let live = self.lives.get(&number).ok_or(Declined::Refused(Refusal::NoSuchTask))?;
        let facts = live.state.task(task).ok_or(Declined::Refused(Refusal::NoSuchTask))?;
        let is_held = facts.attempts == token && live.state.lease(task).is_some();
        if is_held { Ok(()) } else { Err(Declined::Refused(Refusal::StaleAttempt)) }
    }

    /// Every lease that is held.
    pub(crate) fn holdings(&self) -> Vec<Holding> {
        let holding = |((number, task), held): ((u64, Ordinal), &Held)| {
            let id = self.lives.get(&number)?.state.id.task(task);
            Some(Holding {
                task: id,
                token: held.attempt,
                worker: Arc::clone(&held.worker),
                until: self.wall_at(held.until),
                progress: held.progress.clone(),
            })
        };
        self.workers.held().filter_map(holding).collect()
    }

    /// Leases nobody kept alive are lost.
    pub(crate) fn expire_leases(&mut self, store: &mut dyn Store) {
        while let Some(((number, task), held)) = self.workers.expired(self.now.uptime) {
            let overran = held.ends.is_some_and(|ends| ends <= self.now.uptime);
            let command = if overran { overrun(task, &held) } else { lost(task, &held) };
            // Refused where it has ended meanwhile.
            let _ = self.apply_own(number, &command);
            self.settle(store);
        }
    }
}

fn lost(task: Ordinal, held: &Held) -> Command {
    let (worker, span) = (&held.worker, baton_core::time::Span(held.span));
    let message = format!("the worker `{worker}` said nothing for {span}");
    let failure = CallFailure::in_doubt(FailureKind::Lost, message);
    Command::Fail { task, attempt: held.attempt, status: AttemptStatus::Lost, failure }
}

fn overrun(task: Ordinal, held: &Held) -> Command {
    let message = format!("the worker `{}` did not end in the task's time", held.worker);
    let failure = CallFailure::in_doubt(FailureKind::TimedOut, message);
    Command::Fail { task, attempt: held.attempt, status: AttemptStatus::TimedOut, failure }
}
