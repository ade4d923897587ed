//! Work for workers outside, in memory: what is offered, who waits for some, who holds what.
//!
//! Bookkeeping only: what may be leased and what becomes of it, [`lease`](crate::lease) says. After a
//! restart offers are made anew and held leases come from the journal; who waited asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::time::Timestamp;
use serde_json::Value;

use crate::exchange::{Split, Token};
use crate::queue::{Limits, Queue};
use crate::rates::Rates;
use crate::scope::Ready;

/// The most lease requests that may wait at a time.
pub const WAITING_MAX: usize = 10_000;
/// The most tasks one request may lease.
pub const BATCH_MAX: u32 = 1_000;

/// A worker asks for tasks.
#[derive(Debug)]
pub struct LeaseAsk {
    /// The types of worker it is.
    pub types: Vec<String>,
    /// Its own name, for people.
    pub worker: Arc<str>,
    /// How many it takes at most.
    pub max: u32,
    /// How long it waits for the first.
    pub wait: Duration,
    /// How long a lease lasts without a heartbeat.
    pub span: Duration,
    /// Gone when nobody waits for the answer any more: then nothing is leased.
    pub asker: Weak<()>,
}

/// A task that a worker has from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// Which.
    pub task: TaskId,
    /// Its workflow.
    pub workflow: WorkflowId,
    /// Its attempt: the fencing token.
    pub token: u32,
    /// The type of worker it is for.
    pub worker_type: Arc<str>,
    /// The rendered input.
    pub input: Split,
    /// Stable over every repetition.
    pub idempotency_key: String,
    /// Until when it is the worker's without a heartbeat.
    pub until: Timestamp,
}

/// A lease that is held, for those who look.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// The task.
    pub task: TaskId,
    /// Its attempt.
    pub token: u32,
    /// The worker's own name.
    pub worker: Arc<str>,
    /// Until when it is the worker's without a heartbeat.
    pub until: Timestamp,
    /// What the worker last said of how far it is.
    pub progress: Option<Value>,
}

/// A lease request that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub token: Token,
    pub actor: u32,
    pub ask: LeaseAsk,
    /// When it has waited long enough, by the steady clock.
    pub until: Duration,
    pub granted: Vec<Lease>,
}

/// A lease that is held.
#[derive(Debug)]
pub(crate) struct Held {
    pub attempt: u32,
    pub worker: Arc<str>,
    pub span: Duration,
    /// When it is lost, by the steady clock.
    pub until: Duration,
    /// When the attempt has run for as long as it may.
    pub ends: Option<Duration>,
    pub progress: Option<Value>,
}

type Place = (u64, Ordinal);

/// What is offered for one type of worker.
#[derive(Debug)]
struct Shelf {
    order: Queue,
    /// Who waits for it, first come first.
    waiters: BTreeSet<u64>,
    offers: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        // What limits there are is asked when a task is leased.
        let limits = Limits { executing_max: u32::MAX, executing_per_workflow_max: u32::MAX };
        let order = Queue::new(limits, Rates::default());
        Self { order, waiters: BTreeSet::new(), offers: 0 }
    }
}

/// How many failures are remembered for those who say them again.
const FAILED_MAX: usize = 10_000;

/// Offers, those who wait for some, and what is held.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    shelves: BTreeMap<Arc<str>, Shelf>,
    offers: BTreeMap<Place, (Arc<str>, Ready)>,
    waiters: BTreeMap<u64, Waiter>,
    waits: BTreeSet<(Duration, u64)>,
    held: BTreeMap<Place, Held>,
    expiry: BTreeSet<(Duration, u64, Ordinal)>,
    failed: BTreeMap<Place, (u32, CallFailure)>,
    newest: u64,
}

impl Workers {
    /// Offers a task whose input is rendered.
    pub fn offer(
        &mut self,
        (number, task): Place,
        worker_type: &str,
        (ready, priority, uptime): (Ready, u8, Duration),
    ) {
        let worker_type = match self.shelves.get_key_value(worker_type) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(worker_type),
        };
        if self.offers.insert((number, task), (Arc::clone(&worker_type), ready)).is_none() {
            let shelf = self.shelves.entry(worker_type).or_default();
            shelf.offers += 1;
            shelf.order.push(number, task, priority, uptime);
        }
    }

    pub fn is_offered(&self, number: u64, task: Ordinal) -> bool {
        self.offers.contains_key(&(number, task))
    }

    /// Somebody waits from now on; `false` where there are too many already.
    pub fn wait(&mut self, waiter: Waiter) -> bool {
        if self.waiters.len() >= WAITING_MAX {
            return false;
        }
        self.newest += 1;
        for name in &waiter.ask.types {
            let shelf = self.shelves.entry(Arc::from(name.as_str())).or_default();
            shelf.waiters.insert(self.newest);
        }
        self.waits.insert((waiter.until, self.newest));
        self.waiters.insert(self.newest, waiter);
        true
    }

    /// A type of which something is offered and somebody waits for it: the first of them.
    pub fn next_match(&self) -> Option<(Arc<str>, u64)> {
        if self.waiters.is_empty() || self.offers.is_empty() {
            return None;
        }
        let wanted = self.shelves.iter().filter(|(_, shelf)| shelf.offers > 0);
        wanted
            .filter_map(|(name, shelf)| Some((Arc::clone(name), *shelf.waiters.first()?)))
            .min_by_key(|(_, waiter)| *waiter)
    }

    pub fn waiter(&mut self, waiter: u64) -> Option<&mut Waiter> {
        self.waiters.get_mut(&waiter)
    }

    /// Takes the next task off a shelf.
    pub fn take(&mut self, worker_type: &str, uptime: Duration) -> Option<(Place, Ready)> {
        let shelf = self.shelves.get_mut(worker_type)?;
        while let Some(place) = shelf.order.pop(uptime) {
            let fits = |offer: &(Arc<str>, Ready)| *offer.0 == *worker_type;
            if self.offers.get(&place).is_some_and(fits)
                && let Some((_, ready)) = self.offers.remove(&place)
            {
                shelf.offers -= 1;
                return Some((place, ready));
            }
        }
        // Nothing is left but what was withdrawn.
        shelf.offers = 0;
        None
    }

    /// Whoever waits no longer, with what it got.
    pub fn dismiss(&mut self, waiter: u64) -> Option<Waiter> {
        let gone = self.waiters.remove(&waiter)?;
        self.waits.remove(&(gone.until, waiter));
        for name in &gone.ask.types {
            if let Some(shelf) = self.shelves.get_mut(name.as_str()) {
                shelf.waiters.remove(&waiter);
                if shelf.waiters.is_empty() && shelf.offers == 0 {
                    self.shelves.remove(name.as_str());
                }
            }
        }
        Some(gone)
    }

    /// The next of those who have waited long enough.
    pub fn overdue(&self, uptime: Duration) -> Option<u64> {
        self.waits.first().filter(|(until, _)| *until <= uptime).map(|(_, waiter)| *waiter)
    }

    /// Everybody who waits.
    pub fn everybody(&self) -> Vec<u64> {
        self.waiters.keys().copied().collect()
    }

    /// A lease is held from now on.
    pub fn hold(&mut self, (number, task): Place, held: Held) {
        self.failed.remove(&(number, task));
        self.expiry.insert((held.until, number, task));
        self.held.insert((number, task), held);
    }

    /// Remembers how the holder of an attempt failed, until the next one begins, so that whoever did
    /// not hear the answer can say it again. A restart forgets it.
    pub fn remember(&mut self, place: Place, attempt: u32, failure: CallFailure) {
        if self.failed.len() >= FAILED_MAX {
            self.failed.pop_first();
        }
        self.failed.insert(place, (attempt, failure));
    }

    /// Whether the holder of this attempt said just this.
    pub fn has_said(&self, place: Place, attempt: u32, failure: &CallFailure) -> bool {
        self.failed.get(&place).is_some_and(|(of, said)| *of == attempt && said == failure)
    }

    /// The holder is alive: its lease lasts a whole span again.
    pub fn extend(
        &mut self,
        (number, task): Place,
        uptime: Duration,
        progress: Option<Value>,
    ) -> Option<Duration> {
        let held = self.held.get_mut(&(number, task))?;
        self.expiry.remove(&(held.until, number, task));
        let until = uptime + held.span;
        held.until = held.ends.map_or(until, |ends| ends.min(until));
        held.progress = progress.or_else(|| held.progress.take());
        self.expiry.insert((held.until, number, task));
        Some(held.until)
    }

    /// Takes the next lease that is lost by now.
    pub fn expired(&mut self, uptime: Duration) -> Option<(Place, Held)> {
        let (_, number, task) = *self.expiry.first().filter(|(until, ..)| *until <= uptime)?;
        self.let_go(number, task).map(|held| ((number, task), held))
    }

    /// A task is neither offered nor held any more.
    pub fn let_go(&mut self, number: u64, task: Ordinal) -> Option<Held> {
        if let Some((name, _)) = self.offers.remove(&(number, task)) {
            self.unshelve(&name);
        }
        let held = self.held.remove(&(number, task))?;
        self.expiry.remove(&(held.until, number, task));
        Some(held)
    }

    /// Nothing of a workflow is offered any more; what is held stays so.
    pub fn withdraw(&mut self, number: u64) {
        self.shelves.values_mut().for_each(|shelf| shelf.order.forget(number));
        let first = (number, Ordinal(0));
        let of_it = self.offers.range(first..=(number, Ordinal(u32::MAX)));
        let offers: Vec<Place> = of_it.map(|(place, _)| *place).collect();
        for place in offers {
            if let Some((name, _)) = self.offers.remove(&place) {
                self.unshelve(&name);
            }
        }
    }

    fn unshelve(&mut self, name: &str) {
        if let Some(shelf) = self.shelves.get_mut(name) {
            shelf.offers = shelf.offers.saturating_sub(1);
            if shelf.offers == 0 && shelf.waiters.is_empty() {
                self.shelves.remove(name);
            }
        }
    }

    /// How many leases are held.
    pub fn holds(&self) -> usize {
        self.held.len()
    }

    pub fn held(&self) -> impl Iterator<Item = (Place, &Held)> + '_ {
        self.held.iter().map(|(place, held)| (*place, held))
    }

    /// When something is due next, by the steady clock.
    pub fn next_due(&self) -> Option<Duration> {
        let lost = self.expiry.first().map(|(until, ..)| *until);
        let waited = self.waits.first().map(|(until, _)| *until);
        lost.into_iter().chain(waited).min()
    }
}
