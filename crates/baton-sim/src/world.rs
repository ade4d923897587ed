//! A whole Baton in one thread: an engine and its store, the world its effects go to, two clocks,
//! and an owner that may die between any two steps.
//!
//! The write loop is the owner's own: a fault is followed by a look at the head.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::body::Json;
use baton_core::time::{Moment, Timestamp};
use baton_core::words::Effect as EffectClass;
use baton_engine::engine::{Engine, Now, Settings};
use baton_engine::exchange::{CallResult, Declined, Input, JobKey, Reply, Token, Turn};
#[cfg(test)]
use baton_engine::ledger::Budgets;
use baton_engine::queue::Limits;
use baton_engine::rates::Rate;
use baton_engine::store::{Commit, Store, StoreError};
use baton_store::memory::MemoryStore;

use crate::asking::Held;
use crate::check;
use crate::fault::FaultyStore;
use crate::ledger::{Ledger, Violation, violation};
use crate::rng::Rng;
use crate::workers::TYPE;

/// What may go wrong, in so many of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Commits that fail.
    pub store: u64,
    /// Commits that take their time, in which more arrives for the next.
    pub slow: u64,
    /// Readings of the store that fail.
    pub reads: u64,
    /// Turns in which the owner dies.
    pub crash: u64,
    /// Turns before which another owner takes over.
    pub take_over: u64,
    /// Turns before which the owner is asked to leave.
    pub drain: u64,
    /// Turns before which the wall clock jumps.
    pub jump: u64,
    /// Snapshots that are lost between two owners.
    pub snapshots: u64,
    /// Whether tools misbehave.
    pub tools: bool,
}

/// Where in a turn the owner dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before the commit is written.
    Unwritten,
    /// After it, before anything is released.
    Unreleased,
    /// After the effects were released; those under way do not happen any more.
    Undone,
    /// After the effects have happened, before any answer.
    Unanswered,
}

/// Every place of a cut.
pub const CUTS: [Cut; 4] = [Cut::Unwritten, Cut::Unreleased, Cut::Undone, Cut::Unanswered];

/// The longest a slow commit takes, in milliseconds.
const SLOW_COMMIT_MAX: u64 = 8_000;
/// How often a commit is tried before the owner gives up.
const COMMIT_TRIES_MAX: u32 = 6;

pub(crate) struct Owner {
    pub(crate) engine: Engine,
    pub(crate) store: FaultyStore,
}

pub(crate) struct Running {
    pub(crate) key: String,
    pub(crate) class: EffectClass,
    /// The effect is still to come.
    pub(crate) pending: bool,
}

pub(crate) enum Happening {
    Effect(JobKey),
    /// A call asks people, or takes back what it asked, if it still runs.
    Wishes(JobKey, Input),
    Answer(JobKey, CallResult),
    Arrives(Input),
    /// What a worker outside says, whoever owns the store then.
    Says(Input),
}

/// The world.
pub struct World {
    /// Where chance comes from.
    pub rng: Rng,
    /// What may go wrong.
    pub weather: Weather,
    /// The next commit at which the owner dies, and how.
    pub cut: Option<(u64, Cut)>,
    /// The store.
    pub store: MemoryStore,
    /// What really happened.
    pub ledger: Ledger,
    /// How many commits were written.
    pub commits: u64,
    /// How often an owner died or was replaced.
    pub deaths: u64,
    /// How many snapshots new owners have found whole.
    pub snapshots: u64,
    /// What models were asked, as it was put together for each call.
    pub prompts: Vec<(JobKey, Json)>,
    /// Answers since they were last taken.
    pub answers: Vec<(Token, Result<Reply, Declined>)>,
    pub(crate) settings: Settings,
    pub(crate) owner: Option<Owner>,
    pub(crate) draining: bool,
    pub(crate) inbox: Vec<Input>,
    pub(crate) agenda: BTreeMap<(u64, u64), Happening>,
    pub(crate) running: BTreeMap<JobKey, Running>,
    /// The calls that wait for people: the ticket they wait for, how often they will ask again, and
    /// what they do then.
    pub(crate) asking: BTreeMap<JobKey, (u32, u32, Held)>,
    /// How often each call was made, by its key.
    pub(crate) calls: BTreeMap<String, u64>,
    /// When tasks of a rate started lately.
    pub(crate) rated: Vec<u64>,
    sequence: u64,
    uptime: u64,
    wall: i64,
    pub(crate) has_jumped: bool,
    /// Held for the workers that still wait.
    pub(crate) here: Arc<()>,
}

impl World {
    /// An empty store and nobody who owns it.
    pub fn new(seed: u64, weather: Weather, limits: Limits) -> Self {
        let settings = Settings { limits, ..Settings::default() };
        Self {
            rng: Rng::new(seed),
            weather,
            cut: None,
            store: MemoryStore::new(),
            ledger: Ledger::default(),
            commits: 0,
            deaths: 0,
            snapshots: 0,
            prompts: Vec::new(),
            answers: Vec::new(),
            settings,
            owner: None,
            draining: false,
            inbox: Vec::new(),
            agenda: BTreeMap::new(),
            running: BTreeMap::new(),
            asking: BTreeMap::new(),
            calls: BTreeMap::new(),
            rated: Vec::new(),
            sequence: 0,
            uptime: 0,
            wall: 1_800_000_000_000,
            has_jumped: false,
            here: Arc::new(()),
        }
    }

    /// The same world under these rates.
    pub fn under_rates(mut self, rates: BTreeMap<String, Rate>) -> Self {
        self.settings.rates = rates;
        self
    }

    /// The same world under these budgets above workflows.
    #[cfg(test)]
    pub fn under_budgets(mut self, budgets: Budgets) -> Self {
        self.settings.budgets = budgets;
        self
    }

    /// The owner's engine, while somebody owns the store.
    pub fn engine(&self) -> Option<&Engine> {
        self.owner.as_ref().map(|owner| &owner.engine)
    }

    /// Puts something into the owner's inbox.
    pub fn send(&mut self, input: Input) {
        self.inbox.push(input);
    }

    /// How many events lie at least between two snapshots.
    pub fn snapshot_every(&mut self, events: u64) {
        self.settings.snapshot_events_min = events;
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&mut self) {
        self.weather = Weather::default();
        if let Some(owner) = &mut self.owner {
            (owner.store.permille, owner.store.reads) = (0, 0);
        }
    }

    /// Sets the wall clock forward, or back.
    #[cfg(test)]
    pub fn set_clock(&mut self, by_millis: i64) {
        self.wall += by_millis;
    }

    /// The steady clock, in milliseconds since the beginning of the world.
    #[cfg(test)]
    pub fn uptime(&self) -> u64 {
        self.uptime
    }

    /// The wall clock.
    #[cfg(test)]
    pub fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.wall)
    }

    /// From now on this many of a thousand readings of the store fail.
    #[cfg(test)]
    pub fn fail_reads(&mut self, permille: u64) {
        self.weather.reads = permille;
        if let Some(owner) = &mut self.owner {
            owner.store.reads = permille;
        }
    }

    /// Takes back what was sent and not yet taken in.
    pub fn take_inbox(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.inbox)
    }

    pub(crate) fn now(&mut self) -> Now {
        let moment = Moment::new(Timestamp::from_millis(self.wall), self.rng.next());
        let uptime = Duration::from_millis(self.uptime);
        Now { moment, uptime }
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.uptime += millis;
        self.wall += i64::try_from(millis).unwrap_or(0);
    }

    pub(crate) fn plan_ahead(&mut self, millis: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((self.uptime + millis, self.sequence), happening);
    }

    /// One step: a turn if there is anything to take in, else time passes to the next thing due.
    /// `false` when nothing is due ever.
    pub fn step(&mut self) -> Result<bool, Violation> {
        if self.rng.chance(self.weather.jump) {
            let hours = i64::try_from(self.rng.below(8)).unwrap_or(0) - 4;
            self.wall += hours * 3_600_000;
            self.has_jumped = true;
        }
        if self.owner.is_none() {
            self.open()?;
            return self.turn(Vec::new()).map(|()| true);
        }
        if self.rng.chance(self.weather.take_over) {
            self.take_over()?;
        }
        if self.rng.chance(self.weather.drain) && !self.draining {
            self.draining = true;
            self.inbox.push(Input::Drain);
        }
        if !self.inbox.is_empty() {
            let inputs = std::mem::take(&mut self.inbox);
            return self.turn(inputs).map(|()| true);
        }
        if self.draining && self.engine().is_some_and(Engine::is_quiet) {
            // Nothing runs: leaving decides nothing about any call.
            return self.die(Cut::Undone).map(|()| true);
        }
        let now = self.now();
        let rest = self.engine().and_then(|engine| engine.rest(now));
        let rest = rest.map(|rest| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX) + 1);
        let due = self.agenda.keys().next().map(|(at, _)| at.saturating_sub(self.uptime));
        let Some(next) = rest.into_iter().chain(due).min() else {
            return Ok(false);
        };
        self.live_through(next)?;
        let inputs = std::mem::take(&mut self.inbox);
        self.turn(inputs).map(|()| true)
    }

    /// Time passes, and what is due in it happens.
    fn live_through(&mut self, millis: u64) -> Result<(), Violation> {
        self.pass(millis);
        while let Some(entry) =
            self.agenda.first_entry().filter(|entry| entry.key().0 <= self.uptime)
        {
            let happening = entry.remove();
            self.happens(happening)?;
        }
        Ok(())
    }

    fn happens(&mut self, happening: Happening) -> Result<(), Violation> {
        match happening {
            Happening::Effect(job) => self.has_effect(job),
            Happening::Answer(job, result) => {
                self.running.remove(&job);
                self.asking.remove(&job);
                self.inbox.push(Input::Called { job, result });
                Ok(())
            }
            Happening::Wishes(job, _) if !self.running.contains_key(&job) => Ok(()),
            Happening::Wishes(_, input) | Happening::Arrives(input) | Happening::Says(input) => {
                self.inbox.push(input);
                Ok(())
            }
        }
    }

    pub(crate) fn has_effect(&mut self, job: JobKey) -> Result<(), Violation> {
        match self.running.get_mut(&job) {
            Some(running) if running.pending => {
                running.pending = false;
                self.ledger.happen(job, running.class, &running.key)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn turn(&mut self, inputs: Vec<Input>) -> Result<(), Violation> {
        let now = self.now();
        let Some(owner) = &mut self.owner else {
            return Ok(());
        };
        let turn = owner.engine.turn(&mut owner.store, now, inputs);
        let Turn { commit, answers, effects, fault } = turn;
        if fault.is_some() {
            return self.die(Cut::Unwritten);
        }
        let at = self.uptime;
        let cut = self.cut_now(&commit);
        if cut == Some(Cut::Unwritten) {
            return self.die(Cut::Unwritten);
        }
        if !commit.is_empty() {
            let before = self.store.head().map_err(check::unread)?;
            check::commit_is_dense(&commit, before)?;
            if !self.write(&commit)? {
                return self.die(Cut::Unreleased);
            }
            self.commits += 1;
            self.judge(&commit)?;
            self.judge_rate(&commit, at)?;
        }
        if cut == Some(Cut::Unreleased) {
            return self.die(Cut::Unreleased);
        }
        for effect in effects {
            self.carry_out(effect)?;
        }
        for (token, answer) in answers {
            self.is_durable(&answer)?;
            if let Ok(Reply::Leased(leases)) = &answer {
                for lease in leases.iter().filter(|lease| &*lease.worker_type == TYPE) {
                    self.works(lease)?;
                }
            }
            self.answers.push((token, answer));
        }
        match cut {
            Some(cut) => self.die(cut),
            None => {
                self.no_question_is_orphaned()?;
                self.every_planning_has_its_planner()
            }
        }
    }

    /// Whether, and where, the owner dies in this turn.
    fn cut_now(&mut self, commit: &Commit) -> Option<Cut> {
        if commit.is_empty() {
            return None;
        }
        if let Some((at, cut)) = self.cut
            && at == self.commits
        {
            self.cut = None;
            return Some(cut);
        }
        let dies = self.rng.chance(self.weather.crash);
        let drawn = self.rng.pick(&CUTS).copied();
        drawn.filter(|_| dies)
    }

    /// Writes as an owner does. `false` when it gave up.
    fn write(&mut self, commit: &Commit) -> Result<bool, Violation> {
        if self.rng.chance(self.weather.slow) {
            let millis = self.rng.below(SLOW_COMMIT_MAX);
            self.live_through(millis)?;
        }
        for tries in 0..COMMIT_TRIES_MAX {
            let Some(owner) = &mut self.owner else {
                return Ok(false);
            };
            match owner.store.commit(commit) {
                Ok(()) => return Ok(true),
                Err(StoreError::Unavailable(_)) => {}
                // A try before this one was applied, and neither it nor the head could say so.
                Err(StoreError::Conflict(_)) if tries > 0 => {}
                Err(fault) => return violation(format!("an owner was refused: {fault}")),
            }
            if owner.store.head().is_ok_and(|head| head == commit.head) {
                return Ok(true);
            }
            self.pass(50);
        }
        Ok(false)
    }
}
