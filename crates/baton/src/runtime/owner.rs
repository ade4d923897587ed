//! The owner's thread: takes what has arrived, has it decided, writes, and only then lets it out.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use baton_core::ids::WorkflowId;
use baton_core::words::TaskStatus;
use baton_core::workflow::rows::TaskRow;
use baton_engine::check::SelfCheck;
use baton_engine::chunks::{Chunk, ChunkLog};
use baton_engine::engine::{Engine, Settings, TakeUp};
use baton_engine::exchange::{Input, Turn};
use baton_engine::meters::Meters;
use baton_engine::ports::{Models, Planner, Tools};
use baton_engine::store::{Commit, Head, Housekeeping, Store, StoreError, Views};
use serde_json::json;

use crate::log::{Level, is_on, log};

use super::clock::SystemClock;
use super::death::{Death, DeathPoint};
use super::executor::{Bounds, Executor, Wires};
use super::handle::{Desk, Handle};
use super::hub::Hub;
use super::inbox::Inbox;
use super::keeper::Keeper;

/// After a sync longer than this, the owner waits a little for the answers to what it released.
const SLOW_SYNC: Duration = Duration::from_millis(1);
/// How often a commit that did not go through is tried again.
const COMMIT_TRIES_MAX: u32 = 6;
/// The pause before the second try; it doubles each time.
const COMMIT_PAUSE: Duration = Duration::from_millis(50);
/// After this long with the store out of reach, the owner ends.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(15);
/// How often the self-check looks while there are commits.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long an owner that leaves lets its store tidy up.
const TIDY_UP_MAX: Duration = Duration::from_secs(20);
/// How long calls that are cut off have to end by themselves.
const CUT_OFF_MAX: Duration = Duration::from_secs(1);
/// After this long without anything to do, the store may tidy up.
const IDLE_AFTER: Duration = Duration::from_millis(200);

/// What an owner is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Box<dyn Store + Send>,
    /// A reader for what the executor needs.
    pub views: Box<dyn Views>,
    /// A reader for the continuous self-check.
    pub check_views: Box<dyn Views>,
    /// Where the text of running turns is kept.
    pub chunks: Box<dyn ChunkLog>,
    /// What can be called.
    pub tools: Arc<dyn Tools>,
    /// Who can be asked.
    pub models: Arc<dyn Models>,
    /// Who plans what is asked for in conversations.
    pub planner: Arc<dyn Planner>,
    /// The engine's settings.
    pub settings: Settings,
    /// The executor's bounds.
    pub bounds: Bounds,
    /// What is taken up at once.
    pub take_up: TakeUp,
    /// When it kills its own process; only trials of recovery set it.
    pub death: Option<Death>,
}

/// Why an owner ended other than by draining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerEnded(pub StoreError);

impl fmt::Display for OwnerEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for OwnerEnded {}

/// What an owner has to say at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerReport {
    /// The workflows that have not ended and go on when somebody takes the store up.
    pub interrupted: Vec<WorkflowId>,
    /// The tasks whose calls were cut off, by workflow and key; only an owner that was told not to
    /// wait for them has any.
    pub cut_off: Vec<(WorkflowId, String)>,
}

/// The thread that owns a store.
pub struct Owner {
    thread: JoinHandle<Result<OwnerReport, OwnerEnded>>,
    handle: Handle,
    cause: Arc<OnceLock<OwnerEnded>>,
}

/// Lets everybody go who waits for an owner, however it ends: a panic must not leave them waiting.
struct Doors(Handle);

impl Drop for Doors {
    fn drop(&mut self) {
        self.0.desk.close();
        self.0.hub.close();
        self.0.reports.close();
    }
}

impl Owner {
    /// Takes the store over and starts to work.
    pub fn start(parts: Parts) -> Result<Self, StoreError> {
        let handle = Handle {
            inbox: Arc::new(Inbox::default()),
            desk: Arc::new(Desk::open()),
            hub: Arc::new(Hub::default()),
            abandoned: Arc::default(),
            reports: Arc::default(),
            meters: Arc::default(),
        };
        let Parts {
            mut store,
            views,
            mut check_views,
            chunks,
            tools,
            models,
            planner,
            settings,
            bounds,
            take_up,
            death,
        } = parts;
        let mut clock = SystemClock::default();
        let engine = Engine::open(store.as_mut(), settings, take_up, clock.now())?;
        let engine = engine.with_models(Arc::clone(&models));
        let runs = |chunk: &Chunk| ran(chunk, check_views.as_mut());
        let keeper = Keeper::start(&handle.reports, chunks, runs);
        let (inbox, reports) = (Arc::clone(&handle.inbox), Arc::clone(&handle.reports));
        let wires = Wires { inbox, reports, meters: handle.meters() };
        let executor = Executor::start((tools, models, planner), views, bounds, wires);
        let owned = handle.clone();
        let owned_meters = handle.meters();
        let cause = Arc::new(OnceLock::new());
        let told = Arc::clone(&cause);
        let work = move || {
            let _doors = Doors(owned.clone());
            let mut work = Work {
                store,
                engine,
                clock,
                executor,
                handle: owned,
                drains: false,
                check: Check::new(check_views, owned_meters),
                death,
                commits: 0,
                _keeper: keeper,
            };
            let ended = work.until_drained();
            if let Err(why) = &ended {
                // It is set once, here.
                let _ = told.set(why.clone());
            }
            ended
        };
        let spawned = std::thread::Builder::new().name("owner".to_owned()).spawn(work);
        let thread = spawned
            .map_err(|e| StoreError::Unavailable(format!("no thread can be started: {e}")))?;
        Ok(Self { thread, handle, cause })
    }

    /// The way in.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Why it has ended, other than by draining.
    pub fn cause(&self) -> Option<&OwnerEnded> {
        self.cause.get()
    }

    /// Waits for the end of the owner, which `drain` asks for.
    pub fn join(self) -> Result<OwnerReport, OwnerEnded> {
        let panicked =
            || OwnerEnded(StoreError::Unavailable("the owner's thread panicked".to_owned()));
        self.thread.join().unwrap_or_else(|_| Err(panicked()))
    }
}

/// Whether the turn of a piece ran when the store was last written. What cannot be read did not.
fn ran(chunk: &Chunk, views: &mut dyn Views) -> bool {
    let Some((_, ordinal)) = chunk.turn.task.split() else { return false };
    let is_it = |row: &TaskRow| {
        let at = (row.ordinal, row.attempts, row.status);
        at == (ordinal, chunk.turn.attempt, TaskStatus::Executing)
    };
    views.tasks(chunk.stream).is_ok_and(|rows| rows.iter().any(is_it))
}

struct Work {
    store: Box<dyn Store + Send>,
    engine: Engine,
    clock: SystemClock,
    executor: Executor,
    handle: Handle,
    drains: bool,
    check: Check,
    death: Option<Death>,
    /// Commits of this process.
    commits: u64,
    /// Ends with this.
    _keeper: Keeper,
}

/// The continuous self-check: after commits, every few seconds, a few workflows and conversations.
struct Check {
    views: Box<dyn Views>,
    round: SelfCheck,
    last: Instant,
    commits: u32,
    meters: Arc<Meters>,
}

impl Check {
    fn new(views: Box<dyn Views>, meters: Arc<Meters>) -> Self {
        Self { views, round: SelfCheck::default(), last: Instant::now(), commits: 0, meters }
    }

    /// Compares what is in memory with the rows, if it is time; raises an alarm on any difference.
    fn look(&mut self, engine: &Engine) {
        if self.commits == 0 || self.last.elapsed() < CHECK_EVERY {
            return;
        }
        (self.last, self.commits) = (Instant::now(), 0);
        match self.round.step(engine, self.views.as_mut()) {
            Ok(differences) => {
                for difference in differences {
                    self.meters.mismatches.fetch_add(1, Ordering::Relaxed);
                    let facts = [("difference", json!(difference))];
                    log(
                        Level::Error,
                        "ALARM: a row is not what its events say; run `baton doctor`",
                        &facts,
                    );
                }
            }
            Err(fault) => log(
                Level::Warn,
                "the self-check cannot read the store",
                &[("fault", json!(fault.to_string()))],
            ),
        }
    }
}

impl Work {
    fn until_drained(&mut self) -> Result<OwnerReport, OwnerEnded> {
        let mut inputs = Vec::new();
        loop {
            self.drains |= inputs.iter().any(|input| matches!(input, Input::Drain));
            inputs = self.turn(inputs)?;
            if self.handle.is_abandoned() {
                self.executor.cut_off(CUT_OFF_MAX);
                return Ok(self.report());
            }
            if self.drains && inputs.is_empty() && self.engine.is_quiet() {
                self.tidy_up()?;
                return Ok(self.report());
            }
            if inputs.is_empty() {
                inputs = self.wait()?;
            }
        }
    }

    fn report(&self) -> OwnerReport {
        let mut interrupted: Vec<_> = self.engine.live_ids().collect();
        interrupted.sort_unstable();
        let states = self.engine.states().map(|(_, state)| state);
        let mut cut_off: Vec<_> = states
            .flat_map(|state| {
                // What a worker outside holds goes on without its owner.
                let here = state.executing().filter(|task| state.lease(*task).is_none());
                here.map(|task| (state.id, state.key_of(task)))
            })
            .collect();
        cut_off.extend(self.engine.cut_off());
        cut_off.sort_unstable();
        OwnerReport { interrupted, cut_off }
    }

    /// Lets the store finish its housekeeping, within reason: what is left waits for the next owner.
    fn tidy_up(&mut self) -> Result<(), OwnerEnded> {
        let began = Instant::now();
        while began.elapsed() < TIDY_UP_MAX && !self.handle.is_abandoned() {
            if self.store.idle().map_err(OwnerEnded)? == Housekeeping::Done {
                break;
            }
        }
        Ok(())
    }

    /// One turn; returns what arrived while it was written.
    fn turn(&mut self, inputs: Vec<Input>) -> Result<Vec<Input>, OwnerEnded> {
        let began = Instant::now();
        let now = self.clock.now();
        let Turn { commit, answers, effects, fault } =
            self.engine.turn(self.store.as_mut(), now, inputs);
        if let Some(fault) = fault {
            return Err(OwnerEnded(fault));
        }
        let mut took = Duration::ZERO;
        let writes = !commit.is_empty();
        if writes {
            self.commits += 1;
            self.may_die(DeathPoint::BeforeCommit);
            let before = Instant::now();
            self.write(&commit)?;
            took = before.elapsed();
            self.check.commits += 1;
            log_commit(&commit, took);
            self.may_die(DeathPoint::BeforeRelease);
            // Whoever hears of the commit finds it counted.
            self.count(began.elapsed(), took);
            self.handle.meters.booked(&commit.usage);
            let running = |stream, turn| self.engine.is_running(stream, turn);
            self.handle.reports.speech.committed(&commit.records, running);
            self.handle.hub.publish(&commit.records);
        }
        // A call brings its result, and whoever is answered often asks for the next thing.
        let expected = effects.len() + answers.len();
        self.executor.carry_out(effects);
        self.handle.desk.answer(answers);
        self.check.look(&self.engine);
        if writes {
            self.may_die(DeathPoint::AfterRelease);
        }
        let patience = if took > SLOW_SYNC { took / 8 } else { Duration::ZERO };
        Ok(self.handle.inbox.take_at_least(expected.max(1), Some(patience)))
    }

    /// Counts a turn that wrote: how long it took, and how much of that the commit.
    fn count(&self, turn: Duration, commit: Duration) {
        let meters = &self.handle.meters;
        meters.commit.observe(commit);
        meters.progress.observe(turn);
        meters.queue_depth.store(self.engine.depth() as u64, Ordering::Relaxed);
        meters.leases.store(self.engine.leases() as u64, Ordering::Relaxed);
        meters.live.store(self.engine.live() as u64, Ordering::Relaxed);
    }

    fn may_die(&self, point: DeathPoint) {
        if let Some(death) = self.death {
            death.strike(point, self.commits);
        }
    }

    /// Waits until something arrives or is due; looks after itself meanwhile, and lets the store tidy up meanwhile.
    fn wait(&mut self) -> Result<Vec<Input>, OwnerEnded> {
        let rest = self.engine.rest(self.clock.now());
        let short = rest.map_or(IDLE_AFTER, |rest| rest.min(IDLE_AFTER));
        let inputs = self.handle.inbox.take(Some(short));
        if !inputs.is_empty() || rest.is_some_and(|rest| rest <= IDLE_AFTER) {
            return Ok(inputs);
        }
        self.check.look(&self.engine);
        if self.store.idle().map_err(OwnerEnded)? == Housekeeping::More {
            return Ok(Vec::new());
        }
        Ok(self.handle.inbox.take(rest.map(|rest| rest.saturating_sub(short))))
    }

    /// Writes a commit. After a fault the head says whether it was applied; only one that was not
    /// is written again. A lasting fault ends the owner, and with it everything it had staged.
    fn write(&mut self, commit: &Commit) -> Result<(), OwnerEnded> {
        let mut pause = COMMIT_PAUSE;
        let began = Instant::now();
        let mut tries = 0;
        loop {
            let Err(fault) = self.store.commit(commit) else {
                return Ok(());
            };
            tries += 1;
            log_fault(commit, &fault, tries);
            let may_pass = matches!(fault, StoreError::Unavailable(_))
                && tries < COMMIT_TRIES_MAX
                && began.elapsed() < COMMIT_WAIT_MAX;
            match outcome(commit, self.store.head()) {
                Outcome::Applied => return Ok(()),
                Outcome::Not | Outcome::Unknown if may_pass => {}
                Outcome::Not | Outcome::Unknown => return Err(OwnerEnded(fault)),
                Outcome::Lost(why) => return Err(OwnerEnded(why)),
            }
            // sleep: a passing fault of the store gives no signal when it has passed.
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
}

/// What became of a commit that did not go through.
enum Outcome {
    /// It is there.
    Applied,
    /// It is not.
    Not,
    /// The store does not say.
    Unknown,
    /// It never will be: somebody else has written, or the store is damaged.
    Lost(StoreError),
}

/// Where the journal ends says what became of a commit.
fn outcome(commit: &Commit, head: Result<Head, StoreError>) -> Outcome {
    let at = |head: &Head| (head.position, head.epoch);
    match head {
        Ok(head) if at(&head) == at(&commit.head) => Outcome::Applied,
        Ok(head) if at(&head) == at(&commit.after) => Outcome::Not,
        Ok(_) => Outcome::Lost(StoreError::Conflict("the head has moved on".to_owned())),
        Err(StoreError::Unavailable(_)) => Outcome::Unknown,
        Err(lasting) => Outcome::Lost(lasting),
    }
}

/// The last try's fault is the owner's end, which is told to whoever waits for it.
fn log_fault(commit: &Commit, fault: &StoreError, tries: u32) {
    let facts = [("position", json!(commit.head.position)), ("fault", json!(fault.to_string()))];
    log(
        if tries == 1 { Level::Warn } else { Level::Info },
        "a commit did not go through; the head says whether it is there",
        &facts,
    );
}

/// Each commit can be followed: its position, streams and duration.
fn log_commit(commit: &Commit, took: Duration) {
    if !is_on(Level::Debug) {
        return;
    }
    let mut streams: Vec<u64> = commit.records.iter().map(|record| record.stream).collect();
    streams.sort_unstable();
    streams.dedup();
    let facts = [
        ("position", json!(commit.head.position)),
        ("events", json!(commit.records.len())),
        ("streams", json!(streams)),
        ("ms", json!(took.as_secs_f64() * 1e3)),
    ];
    log(Level::Debug, "committed", &facts);
}
