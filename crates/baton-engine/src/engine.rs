//! The engine: one synchronous turn after the other.
//!
//! A turn takes what has arrived, decides it against the state in memory, and builds one commit
//! with the answers and effects that may be released once it is written. It writes nothing itself,
//! and reads the store only to load what is not in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::body::BlobHash;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::{Plan, Work};
use baton_core::time::{Moment, Timestamp};
use baton_core::workflow::rows::{task_row, workflow_card, workflow_row};
use baton_core::workflow::usage::usage_row;
use baton_core::workflow::{Admitted, Command, Event, Kept, Refusal, WorkflowState};

use crate::clock::offset;
use crate::deliver::Arrival;
use crate::exchange::{Declined, Effect, Input, Reply, Token, Turn};
use crate::ledger::{Budgets, Ledger, Used};
use crate::live::Live;
use crate::loaded::Loaded;
use crate::ports::Models;
use crate::questions::Questions;
use crate::queue::{Limits, Queue};
use crate::rates::{Rate, Rates};
use crate::staging::{Place, Staging};
use crate::store::{Store, StoreError};
use crate::talks::Talks;
use crate::timers::Timers;
use crate::triggers::Triggers;
use crate::workers::Workers;

/// What the engine is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much may execute at a time.
    pub limits: Limits,
    /// How often tasks of a `rate_key` may start.
    pub rates: BTreeMap<String, Rate>,
    /// How long what runs has to end after a cancellation.
    pub cancel_deadline: Duration,
    /// How many events of a workflow there are at least between two snapshots of it; more where its
    /// state is large. At 1, it is always enough.
    pub snapshot_events_min: u64,
    /// What agents may use over several workflows.
    pub budgets: Budgets,
    /// What they had used before.
    pub used: Used,
}

/// Below this many events, folding them costs less than reading a snapshot is worth.
const SNAPSHOT_EVENTS_MIN: u64 = 4_096;

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            rates: BTreeMap::new(),
            cancel_deadline: Duration::from_secs(10),
            snapshot_events_min: SNAPSHOT_EVENTS_MIN,
            budgets: Budgets::default(),
            used: Used::default(),
        }
    }
}

/// What an owner takes up of what has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeUp {
    /// Everything, at once.
    All,
    /// A workflow once somebody asks something of it; the others rest as they are.
    Asked,
}

/// When a turn happens, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The wall clock, and entropy.
    pub moment: Moment,
    /// The steady clock: time since some fixed point of this process.
    pub uptime: Duration,
}

/// Decides for every workflow of a store that it owns.
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) now: Now,
    /// What the wall clock says: moments follow it even while the journal's time stands still.
    pub(crate) wall: Timestamp,
    /// By how much the clocks differed when that was last noted.
    pub(crate) offset: i64,
    pub(crate) lives: HashMap<u64, Live>,
    pub(crate) ids: HashMap<WorkflowId, u64>,
    pub(crate) queue: Queue,
    /// When the timer for those that wait for a rate is due.
    pub(crate) rates_due: Option<Duration>,
    pub(crate) timers: Timers,
    pub(crate) staging: Staging,
    pub(crate) workers: Workers,
    /// Those of them who wait and have got something in this turn.
    pub(crate) served: BTreeSet<u64>,
    pub(crate) listeners: Vec<(u64, Ordinal, String)>,
    pub(crate) draining: bool,
    pub(crate) questions: Questions,
    pub(crate) ledger: Ledger,
    /// Who says which models can be asked here; where nobody does, all can.
    pub(crate) models: Option<Arc<dyn Models>>,
    pub(crate) unsettled: VecDeque<u64>,
    pub(crate) follow_ups: VecDeque<(u64, Command)>,
    pub(crate) arrivals: VecDeque<Arrival>,
    pub(crate) talks: Talks,
    /// Workflows that a conversation wants no more, and why.
    pub(crate) called_off: VecDeque<(WorkflowId, String)>,
    pub(crate) triggers: Triggers,
    /// The workflows that triggers started, each with the position of its cause.
    pub(crate) fired: Vec<(u64, WorkflowId)>,
    pub(crate) turn: Turn,
    pub(crate) programs: HashMap<BlobHash, Weak<Loaded>>,
    actors: HashMap<Actor, u32>,
    salt: u64,
}

impl Engine {
    /// Takes a store over and brings back what has not ended.
    ///
    /// What must be written about it (attempts that were lost, for example) is in the first turn.
    pub fn open(
        store: &mut dyn Store,
        settings: Settings,
        take_up: TakeUp,
        now: Now,
    ) -> Result<Self, StoreError> {
        let head = store.take_over()?;
        let wall = now.moment.now;
        let rates = Rates::new(&settings.rates, now.uptime, wall.since(head.at));
        let now = Now { moment: now.moment.not_before(head.at), ..now };
        let mut engine = Self {
            queue: Queue::new(settings.limits, rates),
            ledger: Ledger::new(settings.budgets, settings.used.clone()),
            settings,
            now,
            wall,
            offset: offset(&now),
            lives: HashMap::new(),
            ids: HashMap::new(),
            rates_due: None,
            timers: Timers::default(),
            staging: Staging::new(head),
            workers: Workers::default(),
            served: BTreeSet::new(),
            listeners: Vec::new(),
            draining: false,
            questions: Questions::default(),
            models: None,
            unsettled: VecDeque::new(),
            follow_ups: VecDeque::new(),
            arrivals: VecDeque::new(),
            talks: Talks::default(),
            called_off: VecDeque::new(),
            triggers: Triggers::default(),
            fired: Vec::new(),
            turn: Turn::default(),
            programs: HashMap::new(),
            actors: store.actors()?.into_iter().map(|(number, actor)| (actor, number)).collect(),
            salt: 0,
        };
        engine.arm_all(store)?;
        if take_up == TakeUp::All {
            engine.take_up_all(store)?;
            engine.take_up_talks(store)?;
        }
        Ok(engine)
    }

    /// Has these say which models can be asked here, whenever an agent's turn would start.
    #[must_use]
    pub fn with_models(self, models: Arc<dyn Models>) -> Self {
        Self { models: Some(models), ..self }
    }

    /// One turn: takes what has arrived, fires what is due, starts what may start.
    pub fn turn(
        &mut self,
        store: &mut dyn Store,
        now: Now,
        inputs: impl IntoIterator<Item = Input>,
    ) -> Turn {
        let moment = now.moment.not_before(self.staging.head().at);
        self.wall = now.moment.now;
        self.now = Now { moment, uptime: now.uptime.max(self.now.uptime) };
        self.note_clock();
        for input in inputs {
            self.take(input, store);
            self.settle(store);
        }
        self.fire_timers(store);
        self.expire_leases(store);
        self.settle(store);
        self.start_ready(store);
        self.dismiss_workers();
        self.finish_turn()
    }

    /// How long nothing is due; `None` when nothing ever is.
    pub fn rest(&self, now: Now) -> Option<Duration> {
        let workers = self.workers.next_due().map(|at| at.saturating_sub(now.uptime));
        self.timers.rest(now.uptime, now.moment.now).into_iter().chain(workers).min()
    }

    /// Whether nothing executes here: an owner that drains may leave now. What workers outside hold
    /// goes on without it.
    pub fn is_quiet(&self) -> bool {
        self.queue.executing() as usize <= self.workers.holds()
    }

    /// The workflows that have not ended, by id.
    pub fn live_ids(&self) -> impl Iterator<Item = WorkflowId> + '_ {
        self.ids.keys().copied()
    }

    /// How many workflows have not ended.
    pub fn live(&self) -> usize {
        self.ids.len()
    }

    /// How many tasks wait for a place to execute.
    pub fn depth(&self) -> usize {
        self.queue.depth()
    }

    /// How many tasks are leased to workers outside.
    pub fn leases(&self) -> usize {
        self.workers.held().count()
    }

    /// Every live state, for checks against the journal.
    pub fn states(&self) -> impl Iterator<Item = (u64, &WorkflowState)> + Clone + '_ {
        self.lives.values().map(|live| (live.number, &live.state))
    }

    fn finish_turn(&mut self) -> Turn {
        let mut rows = std::mem::take(&mut self.staging.tasks);
        rows.sort_unstable();
        let mut changed = std::mem::take(&mut self.staging.workflows);
        changed.sort_unstable();
        changed.dedup();
        let mut commit = self.staging.finish();
        // The newest position of each task is the last of its run of equal keys.
        let newest = rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).filter_map(|same| same.last());
        let task = |(number, ordinal, position): &(u64, Ordinal, u64)| {
            task_row(&self.lives.get(number)?.state, *number, *ordinal, *position)
        };
        commit.tasks = newest.filter_map(task).collect();
        let workflow = |number: &u64| {
            self.lives.get(number).map(|live| workflow_row(&live.state, *number, live.head))
        };
        commit.workflows.extend(changed.iter().filter_map(workflow));
        for number in changed {
            self.snapshot(number, &mut commit);
            self.retire(number);
        }
        commit.conversations = self.talks.rows();
        self.fired.clear();
        Turn { commit, ..std::mem::take(&mut self.turn) }
    }

    /// Gives an answer once the turn is written.
    pub(crate) fn answer(&mut self, token: Token, reply: Result<Reply, Declined>) {
        self.turn.answers.push((token, reply));
    }

    /// Ends the owner: a decision could not be finished for want of what the store has.
    pub(crate) fn fault(&mut self, fault: StoreError) {
        self.turn.fault.get_or_insert(fault);
    }

    /// Asks the world for something once the turn is written.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.turn.effects.push(effect);
    }

    /// The number of an actor; a new one is named in the same commit.
    pub(crate) fn actor(&mut self, actor: &Actor) -> u32 {
        if let Some(number) = self.actors.get(actor) {
            return *number;
        }
        let number = self.actors.values().max().map_or(1, |newest| newest + 1);
        self.actors.insert(actor.clone(), number);
        self.staging.name_actor(number, actor.clone());
        number
    }

    fn actor_of(&self, number: u32) -> Option<&Actor> {
        self.actors.iter().find(|(_, other)| **other == number).map(|(actor, _)| actor)
    }

    /// Decides a command and stages what follows from it.
    pub(crate) fn apply(
        &mut self,
        number: u64,
        command: &Command,
        actor: u32,
    ) -> Result<(), Refusal> {
        let Some(live) = self.lives.get(&number) else {
            return Err(Refusal::AlreadyEnded);
        };
        let events = live.state.decide(command, &self.now.moment)?;
        for event in events {
            self.record(number, &event, actor, 0);
        }
        self.unsettled.push_back(number);
        Ok(())
    }

    /// Decides a command of Baton's own.
    pub(crate) fn apply_own(&mut self, number: u64, command: &Command) -> Result<(), Refusal> {
        let system = self.actor(&Actor::system());
        self.apply(number, command, system)
    }

    /// Applies an event to the state in memory and stages it.
    pub(crate) fn record(&mut self, number: u64, event: &Event, actor: u32, cause: u64) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        live.look_at_clock(&self.now);
        let before = *live.state.account();
        let settled = (self.staging.head().position + 1, self.now.moment.now);
        self.staging.usage.extend(usage_row(&live.state, number, event, settled));
        live.state.evolve(event, self.now.moment.now);
        // The next run has an account of its own; what this one used stays used.
        if matches!(event, Event::Retried(_)) && self.ledger.has_family(live.state.id) {
            let (head, bound) = (live.state.id, live.state.plan.budget);
            self.ledger.open_family(head, bound, *live.state.account());
        } else if self.ledger.is_needed() && !matches!(event, Event::Retried(_)) {
            let after = live.state.account();
            self.ledger.follow(&live.payer(), &before, after, self.now.moment.now);
        }
        let place = Place { stream: number, version: live.state.revision, previous: live.head };
        let position = self.staging.head().position + 1;
        let cause = live.calling.see(&live.state, event, position).unwrap_or(cause);
        let position = self.staging.append(place, event, cause, actor, self.now.moment.now);
        live.head = position;
        self.staging.workflows.push(number);
        let changed = live.state.take_changed();
        self.staging.tasks.extend(changed.into_iter().map(|task| (number, task, position)));
        let ready = live.state.take_ready();
        self.enqueue(number, &ready);
        self.react(number, event);
    }

    /// Puts tasks that became ready into the queue.
    pub(crate) fn enqueue(&mut self, number: u64, tasks: &[Ordinal]) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        for task in tasks {
            let own = live.state.task_plan(*task).and_then(|plan| plan.priority);
            self.queue.push(number, *task, own.unwrap_or(live.state.priority), self.now.uptime);
        }
    }

    /// Draws all consequences of what has happened in this turn.
    pub(crate) fn settle(&mut self, store: &mut dyn Store) {
        loop {
            if let Some((number, command)) = self.follow_ups.pop_front() {
                if self.in_memory_or_load(number, store) {
                    // A refusal means that the state has moved on: there is nothing left to do.
                    let _ = self.apply_own(number, &command);
                }
            } else if let Some(number) = self.unsettled.pop_front() {
                self.advance(number, store);
            } else if !self.arrivals.is_empty() {
                self.deliver_all(store);
            } else if !self.tell_talks(store) {
                return;
            }
        }
    }

    fn advance(&mut self, number: u64, store: &mut dyn Store) {
        let system = self.actor(&Actor::system());
        loop {
            let Some(live) = self.lives.get(&number) else {
                return;
            };
            let cause = live.head;
            let events = live.state.decide(&Command::Advance, &self.now.moment).unwrap_or_default();
            if events.is_empty() {
                break;
            }
            for event in events {
                self.record(number, &event, system, cause);
            }
        }
        if self.lives.get(&number).is_some_and(|live| live.state.is_settled() && !live.concluding) {
            self.conclude(number, store);
        }
    }

    /// Admits a validated plan as a new workflow and returns its number.
    pub(crate) fn admit(&mut self, loaded: Arc<Loaded>, admission: Admission, actor: u32) -> u64 {
        let number = self.staging.open_stream();
        let Admission { mut event, cause } = admission;
        event.plan = loaded.blob.hash;
        // A plan in review may be edited to one that calls models.
        if event.user.is_none() && (event.review || may_call_models(&loaded.plan)) {
            event.user = self.actor_of(actor).cloned();
        }
        self.staging.offer(Some(loaded.blob.clone()));
        self.programs.insert(loaded.blob.hash, Arc::downgrade(&loaded));
        let (plan, graph) = (Arc::clone(&loaded.plan), Arc::clone(&loaded.graph));
        let mut state = WorkflowState::admitted(&event, plan, graph, self.now.moment.now);
        let id = state.id;
        let ready = state.take_ready();
        let changed: Vec<Ordinal> = event.kept.iter().map(|kept| kept.task).collect();
        let event = Event::Admitted(event);
        let place = Place { stream: number, version: 1, previous: 0 };
        let position = self.staging.append(place, &event, cause, actor, self.now.moment.now);
        self.staging.cards.push(workflow_card(&state, number, loaded.blob.hash));
        self.staging.workflows.push(number);
        self.staging.tasks.extend(changed.into_iter().map(|task| (number, task, position)));
        let families = self.families_of_new(&state);
        let live = Live::new((number, position), state, loaded, &self.now);
        self.lives.insert(number, Live { families, ..live });
        self.ids.insert(id, number);
        self.enqueue(number, &ready);
        self.unsettled.push_back(number);
        number
    }

    /// A new workflow's id.
    pub(crate) fn new_id(&mut self) -> WorkflowId {
        self.salt += 1;
        WorkflowId::new(&self.now.moment, self.salt)
    }

    /// A new conversation's id.
    pub(crate) fn new_conversation(&mut self) -> ConversationId {
        self.salt += 1;
        ConversationId::new(&self.now.moment, self.salt)
    }
}

/// Whether what it uses of models, itself or by children, is somebody's.
fn may_call_models(plan: &Plan) -> bool {
    plan.tasks.iter().any(|task| matches!(task.work, Work::Agent(_) | Work::Workflow(_)))
}

/// How a workflow comes to be.
pub(crate) struct Admission {
    /// The first event; its plan is filled in.
    pub event: Admitted,
    /// The position of the event that led to it; 0 where a command did.
    pub cause: u64,
}

impl Admission {
    /// What a fork keeps.
    pub fn keeping(mut self, kept: Vec<Kept>) -> Self {
        self.event.kept = kept;
        self
    }
}
