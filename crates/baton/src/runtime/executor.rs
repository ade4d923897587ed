//! The executor: carries effects out beside the owner's thread and brings their results back.
//!
//! Bounded computation shares one thread, a batch at a time; everything that may block gets a
//! thread of its own from a pool. A panic harms its own call only, and so does a hang: a call that
//! does not end in its time is reported as such, and its thread is written off.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use baton_core::failure::CallFailure;
use baton_core::ids::TaskId;
use baton_core::words::{AttemptStatus, FailureKind};
use baton_engine::asking::{Asking, Heard, Wish};
use baton_engine::attempt_status;
use baton_engine::chunks::TurnId;
use baton_engine::conversing::Thought;
use baton_engine::exchange::{Call, CallResult, Effect, Input, JobKey};
use baton_engine::meters::Meters;
use baton_engine::ports::{Control, Hearer, Live, Models, Planner, Tools};
use baton_engine::scope::{render, render_output};
use baton_engine::store::Views;
use baton_engine::turns::{self, ModelTurn};

use super::calls::{Caller, caught, tool_of};
use super::inbox::Inbox;
use super::reports::Reports;

/// The executor's bounds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Threads for calls that may block.
    pub threads_max: usize,
    /// How long a call may run where its task says nothing.
    pub timeout: Duration,
    /// How long a call that was told to end may take to do so.
    pub grace: Duration,
    /// The largest output of a call, in bytes of JSON.
    pub output_bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            threads_max: 256,
            timeout: Duration::from_secs(600),
            grace: Duration::from_secs(3),
            output_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// How long a thread of the pool waits for work before it ends.
const THREAD_IDLE: Duration = Duration::from_secs(10);

/// How a model's turn ended.
type Turned = Result<ModelTurn, (AttemptStatus, CallFailure)>;

/// Carries effects out.
pub struct Executor {
    shared: Arc<Shared>,
    quick: Arc<Inbox<Effect>>,
}

/// What of the owner's the executor shares.
pub struct Wires {
    /// Where results go.
    pub inbox: Arc<Inbox<Input>>,
    /// How far calls are.
    pub reports: Arc<Reports>,
    /// Counts of calls.
    pub meters: Arc<Meters>,
}

struct Shared {
    caller: Caller,
    planner: Arc<dyn Planner>,
    quick_tools: HashSet<String>,
    bounds: Bounds,
    inbox: Arc<Inbox<Input>>,
    reports: Arc<Reports>,
    meters: Arc<Meters>,
    pool: Mutex<Pool>,
    work: Condvar,
    overseer: Condvar,
    /// A call has ended while the executor does.
    ended: Condvar,
}

#[derive(Default)]
struct Pool {
    waiting: VecDeque<Effect>,
    threads: usize,
    idle: usize,
    running: HashMap<JobKey, Running>,
    over: bool,
}

struct Running {
    what: Called,
    task: TaskId,
    control: Control,
    deadline: Instant,
    told: bool,
}

/// What is called.
enum Called {
    Tool(String),
    Model,
}

impl Running {
    /// When it is looked at next; never while it waits for a person.
    fn due(&self) -> Option<Instant> {
        if self.told {
            return Some(self.deadline);
        }
        let asking = &self.control.asking;
        let is_told = self.control.is_cancelled();
        let waited = if is_told { Duration::ZERO } else { asking.waited() };
        (is_told || !asking.is_open()).then(|| self.deadline + waited)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Starts the thread for bounded computation and the one that watches over the others.
    pub fn start(
        (tools, models, planner): (Arc<dyn Tools>, Arc<dyn Models>, Arc<dyn Planner>),
        views: Box<dyn Views>,
        bounds: Bounds,
        wires: Wires,
    ) -> Self {
        let quick_tools =
            tools.specs().iter().filter(|spec| spec.quick).map(|spec| spec.name.clone()).collect();
        let shared = Arc::new(Shared {
            caller: Caller::new((tools, models), views, bounds.output_bytes_max),
            planner,
            quick_tools,
            bounds,
            inbox: wires.inbox,
            reports: wires.reports,
            meters: wires.meters,
            pool: Mutex::default(),
            work: Condvar::new(),
            overseer: Condvar::new(),
            ended: Condvar::new(),
        });
        let quick = Arc::new(Inbox::default());
        let (lane, queue) = (Arc::clone(&shared), Arc::clone(&quick));
        spawn("quick", move || lane.quick_lane(&queue));
        let watched = Arc::clone(&shared);
        spawn("overseer", move || watched.oversee());
        Self { shared, quick }
    }

    /// Carries effects out; results come to the inbox.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        let mut quick = Vec::new();
        let mut slow = Vec::new();
        for effect in effects {
            match &effect {
                Effect::Cancel(job) => self.shared.tell_to_end(*job),
                Effect::TellHeld(held) => self.shared.reports.hold(held),
                Effect::Answer { job, ticket, heard } => {
                    self.shared.tell_answer(*job, *ticket, heard.clone());
                }
                Effect::Prepare(_) | Effect::Conclude(_) => quick.push(effect),
                Effect::Call(call) if self.shared.is_quick(call) => quick.push(effect),
                Effect::Call(_)
                | Effect::Ask(_)
                | Effect::Count(_)
                | Effect::Probe(_)
                | Effect::Plan(_)
                | Effect::Snapshot(_) => {
                    slow.push(effect);
                }
            }
        }
        self.quick.extend(quick);
        if !slow.is_empty() {
            Shared::give_to_pool(&self.shared, slow);
        }
    }
}

impl Executor {
    /// Starts nothing more and tells what runs to end, and waits at most this long until it has.
    /// Nobody gets the results.
    pub fn cut_off(&self, patience: Duration) {
        self.end();
        let pool = lock(&self.shared.pool);
        let runs = |pool: &mut Pool| !pool.running.is_empty();
        // What has not ended by then, the end of this process ends.
        let _ = self.shared.ended.wait_timeout_while(pool, patience, runs);
    }

    fn end(&self) {
        let mut pool = lock(&self.shared.pool);
        pool.over = true;
        pool.waiting.clear();
        for running in pool.running.values() {
            running.control.cancel();
        }
        drop(pool);
        self.shared.work.notify_all();
        self.shared.overseer.notify_all();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.end();
        self.quick.push(Effect::Cancel(JobKey {
            number: 0,
            task: baton_core::ids::Ordinal(0),
            attempt: 0,
        }));
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).is_ok()
}

impl Shared {
    fn is_quick(&self, call: &Call) -> bool {
        let tool = tool_of(call);
        tool.is_some_and(|tool| self.quick_tools.contains(tool))
    }

    /// Bounded computation: a whole batch, then all of its results at once.
    fn quick_lane(&self, queue: &Inbox<Effect>) {
        loop {
            let batch = queue.take(None);
            if lock(&self.pool).over {
                return;
            }
            let results: Vec<Input> =
                batch.into_iter().filter_map(|effect| self.carry_out(effect)).collect();
            self.inbox.extend(results);
        }
    }

    fn give_to_pool(shared: &Arc<Self>, effects: Vec<Effect>) {
        let mut pool = lock(&shared.pool);
        pool.waiting.extend(effects);
        let missing = pool.waiting.len().saturating_sub(pool.idle);
        let room = shared.bounds.threads_max.saturating_sub(pool.threads);
        for _ in 0..missing.min(room) {
            let worker = Arc::clone(shared);
            if spawn("worker", move || worker.work_off()) {
                pool.threads += 1;
            }
        }
        drop(pool);
        shared.work.notify_all();
    }

    fn work_off(&self) {
        while let Some(effect) = self.next_effect() {
            if let Some(result) = self.carry_out(effect) {
                self.inbox.push(result);
            }
        }
    }

    fn next_effect(&self) -> Option<Effect> {
        let mut pool = lock(&self.pool);
        loop {
            if pool.over {
                return None;
            }
            if let Some(effect) = pool.waiting.pop_front() {
                return Some(effect);
            }
            pool.idle += 1;
            let (guard, waited) =
                self.work.wait_timeout(pool, THREAD_IDLE).unwrap_or_else(PoisonError::into_inner);
            pool = guard;
            pool.idle -= 1;
            if waited.timed_out() && pool.waiting.is_empty() {
                pool.threads -= 1;
                return None;
            }
        }
    }

    fn carry_out(&self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Call(call) => {
                let job = call.job;
                self.call(&call).map(|result| Input::Called { job, result })
            }
            Effect::Ask(asking) => {
                let job = asking.job;
                self.ask(&asking).map(|result| Input::Answered { job, result })
            }
            Effect::Count(asking) => {
                let tokens = caught(|| Ok::<_, CallFailure>(self.caller.count(&asking)));
                Some(Input::Counted { job: asking.job, tokens: tokens.ok().flatten() })
            }
            Effect::Prepare(job) => {
                let result = caught(|| render(&job, &mut |hash| self.caller.blob(hash)));
                Some(Input::Prepared { number: job.number, task: job.task, run: job.run, result })
            }
            Effect::Conclude(job) => {
                let result = caught(|| {
                    render_output(&job.loaded.program, &job.ingredients, &mut |hash| {
                        self.caller.blob(hash)
                    })
                });
                Some(Input::Concluded { number: job.number, result })
            }
            Effect::Probe(job) => {
                let verdict = caught(|| self.caller.probe(&job, self.bounds.timeout)).ok();
                Some(Input::Probed { number: job.number, task: job.task, verdict })
            }
            Effect::Plan(job) => {
                let (number, planning) = (job.number, job.planning);
                let thought = caught(|| Ok::<_, CallFailure>(self.planner.think(&job)));
                let thought =
                    Box::new(thought.unwrap_or_else(|failure| Thought::failed(&failure.message)));
                Some(Input::Planned { number, planning, thought })
            }
            Effect::Snapshot(job) => {
                let packed = caught(|| Ok::<_, CallFailure>(job.row()));
                Some(Input::Snapshot { number: job.number, row: packed.ok().flatten() })
            }
            Effect::Cancel(_) | Effect::Answer { .. } | Effect::TellHeld(_) => None,
        }
    }

    /// Makes a call; `None` when it was given up meanwhile and its result is not wanted any more.
    fn call(&self, call: &Call) -> Option<CallResult> {
        let timeout = call.timeout.unwrap_or(self.bounds.timeout);
        let quick = self.is_quick(call);
        let mut control = Control::new(timeout);
        if !quick {
            control = control.heard_by(self.hearer(call));
            control.asking = self.line_of(call.job);
            let deadline = Instant::now() + control.timeout;
            let what = Called::Tool(tool_of(call).unwrap_or_default().to_owned());
            let task = call.workflow.task(call.job.task);
            let running = Running { what, task, control: control.clone(), deadline, told: false };
            self.watch_over(call.job, running);
        }
        let began = Instant::now();
        let result = caught(|| self.caller.make(call, &control));
        control.asking.close("the call has ended");
        if !quick && !self.strike_off(call.job, call.workflow.task(call.job.task)) {
            return None;
        }
        let outcome = result.as_ref().map_or_else(attempt_status, |_| AttemptStatus::Completed);
        self.meters.called(tool_of(call).unwrap_or_default(), outcome);
        self.meters.step.observe(began.elapsed());
        Some(result.map_err(|failure| (attempt_status(&failure), failure)))
    }

    /// Has a model take its turn; `None` when it was given up meanwhile.
    fn ask(&self, asking: &turns::Asking) -> Option<Turned> {
        let control = Control::new(asking.timeout.unwrap_or(self.bounds.timeout));
        let (job, task) = (asking.job, asking.context.task);
        let deadline = Instant::now() + control.timeout;
        let (what, told) = (Called::Model, false);
        self.watch_over(job, Running { what, task, control: control.clone(), deadline, told });
        let began = Instant::now();
        let turn = TurnId { task, attempt: job.attempt };
        self.reports.speech.begin(job.number, turn);
        let mut told = |text: &str| self.reports.tell(turn, text);
        let result = caught(|| self.caller.ask(asking, &control, &mut told));
        if !self.strike_off(job, task) {
            return None;
        }
        self.meters.step.observe(began.elapsed());
        Some(result.map_err(|failure| (attempt_status(&failure), failure)))
    }

    fn watch_over(&self, job: JobKey, running: Running) {
        lock(&self.pool).running.insert(job, running);
        self.overseer.notify_one();
    }

    /// Listens to what a call says of itself, from now until it has ended.
    fn hearer(&self, call: &Call) -> Hearer {
        let (task, attempt) = (call.workflow.task(call.job.task), call.job.attempt);
        self.reports.begin(task, attempt);
        let reports = Arc::clone(&self.reports);
        Arc::new(move |progress| reports.hear(task, attempt, progress))
    }

    /// What a call asks goes to the engine, which asks people.
    fn line_of(&self, job: JobKey) -> Asking {
        let inbox = Arc::clone(&self.inbox);
        Asking::through(Box::new(move |wish| {
            inbox.push(match wish {
                Wish::Ask { ticket, question } => Input::Asked { job, ticket, question },
                Wish::TakeBack { ticket } => Input::TakenBack { job, ticket },
            });
        }))
    }

    /// A call hears what came of its question, and its time goes on.
    fn tell_answer(&self, job: JobKey, ticket: u32, heard: Heard) {
        let control = lock(&self.pool).running.get(&job).map(|running| running.control.clone());
        if let Some(control) = control {
            control.asking.hear(ticket, heard);
            self.overseer.notify_one();
        }
    }

    /// Whether the call was still waited for.
    fn strike_off(&self, job: JobKey, task: TaskId) -> bool {
        let mut pool = lock(&self.pool);
        let waited_for = pool.running.remove(&job).is_some();
        self.reports.end(task, job.attempt);
        if pool.over {
            self.ended.notify_all();
        }
        waited_for
    }

    fn tell_to_end(&self, job: JobKey) {
        let mut pool = lock(&self.pool);
        let deadline = Instant::now();
        if let Some(running) = pool.running.get_mut(&job) {
            running.control.cancel();
            running.deadline = deadline;
        }
        pool.waiting.retain(|effect| match effect {
            Effect::Call(call) => call.job != job,
            Effect::Ask(asking) => asking.job != job,
            Effect::Count(_)
            | Effect::TellHeld(_)
            | Effect::Cancel(_)
            | Effect::Answer { .. }
            | Effect::Prepare(_)
            | Effect::Conclude(_)
            | Effect::Probe(_)
            | Effect::Plan(_)
            | Effect::Snapshot(_) => true,
        });
        drop(pool);
        self.overseer.notify_one();
    }

    /// Tells calls that are out of time to end, and gives up those that do not.
    fn oversee(&self) {
        let mut pool = lock(&self.pool);
        while !pool.over {
            let now = Instant::now();
            let grace = self.bounds.grace;
            let mut given_up = Vec::new();
            for (job, running) in &mut pool.running {
                if !running.told && !running.is_due(now) {
                    continue;
                }
                if !running.told {
                    running.control.cancel();
                    running.told = true;
                    running.deadline = now + grace;
                } else if running.deadline <= now {
                    given_up.push(*job);
                }
            }
            for job in given_up {
                let Some(running) = pool.running.remove(&job) else { continue };
                self.reports.end(running.task, job.attempt);
                // Its thread may never come back: another may take its place.
                pool.threads = pool.threads.saturating_sub(1);
                let message = "the call did not end in its time, nor when it was told to";
                let failure = CallFailure::in_doubt(FailureKind::TimedOut, message);
                let failed = (attempt_status(&failure), failure);
                self.inbox.push(match running.what {
                    Called::Tool(tool) => {
                        self.meters.called(&tool, AttemptStatus::TimedOut);
                        Input::Called { job, result: Err(failed) }
                    }
                    Called::Model => Input::Answered { job, result: Err(failed) },
                });
            }
            let next = pool.running.values().filter_map(Running::due).min();
            pool = match next {
                None => self.overseer.wait(pool).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.overseer.wait_timeout(pool, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
