//! A whole Baton in one thread: an engine and its store, the world its effects go to, two clocks,
//! and an owner that may die between any two steps.
//!
//! The write loop is the owner's own: a fault is followed by a look at the head.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{Effect as EffectClass, FailureKind};
use baton_core::workflow::{Event, TaskStarted, Verdict};
use baton_engine::attempt_status;
use baton_engine::engine::{Engine, Now, Settings, TakeUp};
use baton_engine::exchange::{
    Call, CallResult, Declined, Effect, Input, JobKey, Prepare, Reply, Token, Turn,
};
use baton_engine::live::{read_blob, read_event};
use baton_engine::queue::Limits;
use baton_engine::rates::Rate;
use baton_engine::scope::{render, render_output};
use baton_engine::store::{Commit, Store, StoreError};
use baton_store::memory::MemoryStore;

use crate::check;
use crate::fault::FaultyStore;
use crate::ledger::{Ledger, Violation, violation};
use crate::reading;
use crate::rng::Rng;
use crate::tools;

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

struct Owner {
    engine: Engine,
    store: FaultyStore,
}

struct Running {
    key: String,
    class: EffectClass,
    /// The effect is still to come.
    pending: bool,
}

enum Happening {
    Effect(JobKey),
    Answer(JobKey, CallResult),
    Arrives(Input),
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
    /// Answers since they were last taken.
    pub answers: Vec<(Token, Result<Reply, Declined>)>,
    settings: Settings,
    owner: Option<Owner>,
    draining: bool,
    inbox: Vec<Input>,
    agenda: BTreeMap<(u64, u64), Happening>,
    running: BTreeMap<JobKey, Running>,
    /// How often each call was made, by its key.
    calls: BTreeMap<String, u64>,
    /// When tasks of a rate started lately.
    rated: Vec<u64>,
    sequence: u64,
    uptime: u64,
    wall: i64,
    has_jumped: bool,
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
            answers: Vec::new(),
            settings,
            owner: None,
            draining: false,
            inbox: Vec::new(),
            agenda: BTreeMap::new(),
            running: BTreeMap::new(),
            calls: BTreeMap::new(),
            rated: Vec::new(),
            sequence: 0,
            uptime: 0,
            wall: 1_800_000_000_000,
            has_jumped: false,
        }
    }

    /// The same world under these rates.
    pub fn under_rates(mut self, rates: BTreeMap<String, Rate>) -> Self {
        self.settings.rates = rates;
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

    fn now(&mut self) -> Now {
        let moment = Moment::new(Timestamp::from_millis(self.wall), self.rng.next());
        let uptime = Duration::from_millis(self.uptime);
        Now { moment, uptime }
    }

    fn pass(&mut self, millis: u64) {
        self.uptime += millis;
        self.wall += i64::try_from(millis).unwrap_or(0);
    }

    fn plan_ahead(&mut self, millis: u64, happening: Happening) {
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
                self.inbox.push(Input::Called { job, result });
                Ok(())
            }
            Happening::Arrives(input) => {
                self.inbox.push(input);
                Ok(())
            }
        }
    }

    fn has_effect(&mut self, job: JobKey) -> Result<(), Violation> {
        match self.running.get_mut(&job) {
            Some(running) if running.pending => {
                running.pending = false;
                self.ledger.happen(job, running.class, &running.key)
            }
            _ => Ok(()),
        }
    }

    /// The store as one sees it for whom it fails now and then.
    fn faulty_store(&mut self) -> FaultyStore {
        let rng = Rng::new(self.rng.next());
        let store = FaultyStore::new(self.store.clone(), rng, self.weather.store);
        store.failing_reads(self.weather.reads)
    }

    /// Opens the store; nobody owns it where it cannot be read just now.
    fn open(&mut self) -> Result<(), Violation> {
        let mut store = self.faulty_store();
        let now = self.now();
        match Engine::open(&mut store, self.settings.clone(), TakeUp::All, now) {
            Ok(engine) => self.owner = Some(Owner { engine, store }),
            Err(StoreError::Unavailable(_)) => self.pass(1000),
            Err(fault) => return violation(format!("the store cannot be opened: {fault}")),
        }
        Ok(())
    }

    /// The owner's process ends: what was under way has happened by now, or never does.
    fn die(&mut self, cut: Cut) -> Result<(), Violation> {
        self.deaths += 1;
        self.owner = None;
        self.draining = false;
        let jobs: Vec<JobKey> = self.running.keys().copied().collect();
        for job in jobs {
            let happens = match cut {
                Cut::Unanswered => true,
                Cut::Undone => false,
                Cut::Unwritten | Cut::Unreleased => self.rng.chance(500),
            };
            if happens {
                self.has_effect(job)?;
            }
        }
        self.running.clear();
        self.agenda.clear();
        self.inbox.clear();
        self.pass(1000);
        Ok(())
    }

    /// Another owner takes over while this one still runs: its next commit must be refused.
    fn take_over(&mut self) -> Result<(), Violation> {
        let Some(mut zombie) = self.owner.take() else {
            return Ok(());
        };
        let mut late: Vec<Input> = std::mem::take(&mut self.inbox);
        for (_, happening) in std::mem::take(&mut self.agenda) {
            match happening {
                Happening::Answer(job, result) => late.push(Input::Called { job, result }),
                Happening::Arrives(input) => late.push(input),
                Happening::Effect(_) => {}
            }
        }
        self.die(Cut::Unwritten)?;
        self.open()?;
        let now = self.now();
        let turn = zombie.engine.turn(&mut zombie.store, now, late);
        zombie.store.permille = 0;
        if turn.commit.is_empty() || turn.fault.is_some() {
            return self.turn(Vec::new());
        }
        match zombie.store.commit(&turn.commit) {
            Err(StoreError::Conflict(_) | StoreError::Unavailable(_)) => self.turn(Vec::new()),
            other => violation(format!("an owner that was replaced committed: {other:?}")),
        }
    }

    fn turn(&mut self, inputs: Vec<Input>) -> Result<(), Violation> {
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
            self.answers.push((token, answer));
        }
        match cut {
            Some(cut) => self.die(cut),
            None => Ok(()),
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

    /// What must hold after each commit.
    fn judge(&mut self, commit: &Commit) -> Result<(), Violation> {
        for row in &commit.workflows {
            let state = check::rows_are_derived(&mut self.store, row.number)?;
            if let (Some(owner), Some(state)) = (&self.owner, state) {
                check::memory_is_the_fold(&owner.engine, row.number, &state)?;
            }
        }
        match &self.owner {
            Some(owner) => check::limits_hold(&owner.engine, self.settings.limits),
            None => Ok(()),
        }
    }

    /// No window holds more starts of a rate than it says: two in ten seconds, in storms. Between
    /// two owners the wall clock is believed, so nothing is promised where it jumps.
    fn judge_rate(&mut self, commit: &Commit, at: u64) -> Result<(), Violation> {
        if self.settings.rates.is_empty() || self.weather.jump > 0 || self.has_jumped {
            return Ok(());
        }
        for record in &commit.records {
            let Ok(Event::TaskStarted(TaskStarted { task, .. })) = read_event(record) else {
                continue;
            };
            let (state, _) = check::folded(&mut self.store, record.stream)?;
            if state.task_plan(task).is_some_and(|plan| plan.rate_key.is_some()) {
                self.rated.push(at);
            }
        }
        let full = self.rated.windows(3).find(|three| matches!(three, [a, _, c] if c - a < 10_000));
        full.map_or(Ok(()), |starts| violation(format!("the rate was exceeded: {starts:?}")))
    }

    /// MP1: what is answered stands in the journal.
    fn is_durable(&self, answer: &Result<Reply, Declined>) -> Result<(), Violation> {
        let Ok(Reply::Workflow { number, revision, position, .. }) = answer else {
            return Ok(());
        };
        let row = reading::row(&self.store, *number);
        let stored = row.map_or(0, |(_, row)| row.revision);
        if stored >= *revision && reading::position(&self.store) >= *position {
            return Ok(());
        }
        violation(format!("{answer:?} was said, and revision {stored} stands"))
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Call(call) => self.call(&call),
            Effect::Cancel(job) => self.cancel(job),
            Effect::Prepare(job) => {
                let mut store = self.faulty_store();
                let result = render(&job, &mut |hash| read_blob(hash, &mut store));
                let (number, task, run) = (job.number, job.task, job.run);
                self.later(Input::Prepared { number, task, run, result });
                Ok(())
            }
            Effect::Conclude(job) => {
                let mut store = self.faulty_store();
                let mut read = |hash| read_blob(hash, &mut store);
                let result = render_output(&job.loaded.program, &job.ingredients, &mut read);
                let number = job.number;
                self.later(Input::Concluded { number, result });
                Ok(())
            }
            Effect::Probe(job) => {
                self.probe(&job);
                Ok(())
            }
        }
    }

    fn later(&mut self, input: Input) {
        let millis = match self.weather.tools {
            true => self.rng.below(20_000),
            false => 1,
        };
        self.plan_ahead(millis, Happening::Arrives(input));
    }

    /// CH6: the start of an attempt is durable before its call is made.
    fn call(&mut self, call: &Call) -> Result<(), Violation> {
        let JobKey { number, task, attempt } = call.job;
        let stream = self.store.stream(number).map_err(check::unread)?;
        let started = stream.iter().rev().any(|record| {
            let event = read_event(record);
            matches!(event, Ok(Event::TaskStarted(TaskStarted { task: t, attempt: a, .. }))
                if t == task && a == attempt)
        });
        if !started {
            return violation(format!("ch6: {:?} was called, its start is not durable", call.job));
        }
        let run = reading::row(&self.store, number).map_or(0, |(_, row)| row.run);
        let key = call.idempotency_key.clone();
        self.ledger.called(call.job, run, call.rung, &key)?;
        let before = self.calls.entry(key.clone()).or_default();
        let course = match self.weather.tools {
            true => tools::wild(call, &mut self.rng),
            false => tools::calm(call, *before),
        };
        *before += 1;
        let class = tools::effect_of(call);
        let pending = course.effect.is_some();
        self.running.insert(call.job, Running { key, class, pending });
        if let Some(at) = course.effect {
            self.plan_ahead(at, Happening::Effect(call.job));
        }
        for (at, answer) in course.answers {
            self.plan_ahead(at, Happening::Answer(call.job, answer));
        }
        Ok(())
    }

    /// A call is told to end: it does, or never answers again. Its effect has happened, or never does.
    fn cancel(&mut self, job: JobKey) -> Result<(), Violation> {
        if !self.running.contains_key(&job) {
            return Ok(());
        }
        if self.rng.chance(300) {
            self.has_effect(job)?;
        }
        self.running.remove(&job);
        let of_job =
            |happening: &Happening| matches!(happening, Happening::Answer(of, _) if *of == job);
        self.agenda.retain(|_, happening| !of_job(happening));
        if self.rng.chance(700) {
            let failure = CallFailure::in_doubt(FailureKind::Cancelled, "told to stop");
            let answer = Err((attempt_status(&failure), failure));
            self.plan_ahead(100, Happening::Answer(job, answer));
        }
        Ok(())
    }

    /// A probe looks now and answers later. Some do not know.
    fn probe(&mut self, job: &Prepare) {
        let (number, task) = (job.number, job.task);
        let id = reading::row(&self.store, number).map(|(card, row)| (card.id, row.run));
        let verdict = id.filter(|_| !self.rng.chance(300)).map(|(id, run)| {
            let key = idempotency_key(id, task, run, job.rung);
            self.truth(&key, job)
        });
        self.later(Input::Probed { number, task, verdict });
    }

    fn truth(&self, key: &str, job: &Prepare) -> (Verdict, Option<baton_core::body::Blob>) {
        if !self.ledger.has_happened(key) {
            return (Verdict::DidNotHappen, None);
        }
        let plan = job.loaded.plan.task(job.of);
        let (body, blob) = tools::output(plan.map_or("", |plan| plan.key.as_str()), job.rung);
        (Verdict::Happened(body), blob)
    }

    /// What must hold of everything in the store.
    pub fn judge_all(&mut self) -> Result<(), Violation> {
        for (card, _) in reading::rows(&self.store) {
            check::rows_are_derived(&mut self.store, card.number)?;
        }
        Ok(())
    }
}

/// The key an attempt of this task calls under: as the engine makes it.
pub fn idempotency_key(
    id: baton_core::ids::WorkflowId,
    task: baton_core::ids::Ordinal,
    run: u32,
    rung: u32,
) -> String {
    format!("{}:{run}:{rung}", id.task(task))
}
