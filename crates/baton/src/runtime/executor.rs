//! The executor: carries effects out beside the owner's thread and brings their results back.
//!
//! Bounded computation shares one thread, a batch at a time; everything that may block gets a
//! thread of its own from a pool. A panic harms its own call only, and so does a hang: a call that
//! does not end in its time is reported as such, and its thread is written off.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use baton_core::body::{BlobHash, Body, Json};
use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use baton_core::workflow::Verdict;
use baton_engine::attempt_status;
use baton_engine::exchange::{Call, CallResult, Effect, Input, JobKey, Prepare, Split};
use baton_engine::live::text_of;
use baton_engine::ports::{self, Control, Tools};
use baton_engine::scope::{Unrendered, render, render_output};
use baton_engine::store::{StoreError, Views};

use super::inbox::Inbox;

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

/// How often the input of a call is read while the store does not answer.
const READ_TRIES_MAX: u32 = 5;
/// The pause before the second reading; it doubles with each.
const READ_PAUSE: Duration = Duration::from_millis(50);

/// Carries effects out.
pub struct Executor {
    shared: Arc<Shared>,
    quick: Arc<Inbox<Effect>>,
}

struct Shared {
    tools: Arc<dyn Tools>,
    quick_tools: HashSet<String>,
    views: Mutex<Box<dyn Views>>,
    bounds: Bounds,
    inbox: Arc<Inbox<Input>>,
    pool: Mutex<Pool>,
    work: Condvar,
    overseer: Condvar,
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
    control: Control,
    deadline: Instant,
    told: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these guard is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Starts the thread for bounded computation and the one that watches over the others.
    pub fn start(
        tools: Arc<dyn Tools>,
        views: Box<dyn Views>,
        bounds: Bounds,
        inbox: Arc<Inbox<Input>>,
    ) -> Self {
        let quick_tools =
            tools.specs().iter().filter(|spec| spec.quick).map(|spec| spec.name.clone()).collect();
        let shared = Arc::new(Shared {
            tools,
            quick_tools,
            views: Mutex::new(views),
            bounds,
            inbox,
            pool: Mutex::default(),
            work: Condvar::new(),
            overseer: Condvar::new(),
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
                Effect::Prepare(_) | Effect::Conclude(_) => quick.push(effect),
                Effect::Call(call) if self.shared.is_quick(call) => quick.push(effect),
                Effect::Call(_) | Effect::Probe(_) => slow.push(effect),
            }
        }
        self.quick.extend(quick);
        if !slow.is_empty() {
            Shared::give_to_pool(&self.shared, slow);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let mut pool = lock(&self.shared.pool);
        pool.over = true;
        pool.waiting.clear();
        for running in pool.running.values() {
            running.control.cancel();
        }
        drop(pool);
        self.shared.work.notify_all();
        self.shared.overseer.notify_all();
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
            Effect::Prepare(job) => {
                let result = caught(|| render(&job, &mut |hash| self.blob(hash)));
                Some(Input::Prepared { number: job.number, task: job.task, run: job.run, result })
            }
            Effect::Conclude(job) => {
                let result = caught(|| {
                    render_output(&job.loaded.program, &job.ingredients, &mut |hash| {
                        self.blob(hash)
                    })
                });
                Some(Input::Concluded { number: job.number, result })
            }
            Effect::Probe(job) => {
                let verdict = caught(|| self.probe(&job)).ok();
                Some(Input::Probed { number: job.number, task: job.task, verdict })
            }
            Effect::Cancel(_) => None,
        }
    }

    /// Makes a call; `None` when it was given up meanwhile and its result is not wanted any more.
    fn call(&self, call: &Call) -> Option<CallResult> {
        let control = Control::new(call.timeout.unwrap_or(self.bounds.timeout));
        let quick = self.is_quick(call);
        if !quick {
            let deadline = Instant::now() + control.timeout;
            let running = Running { control: control.clone(), deadline, told: false };
            lock(&self.pool).running.insert(call.job, running);
            self.overseer.notify_one();
        }
        let result = caught(|| self.make_call(call, &control));
        if !quick && lock(&self.pool).running.remove(&call.job).is_none() {
            return None;
        }
        Some(result.map_err(|failure| (attempt_status(&failure), failure)))
    }

    fn make_call(&self, call: &Call, control: &Control) -> Result<Split, CallFailure> {
        let tool = tool_of(call).ok_or_else(|| refused("the plan has no such call"))?;
        let input = match &call.input {
            Some(Body::Inline(json)) => json.clone(),
            Some(Body::Blob { hash, .. }) => self.patient_blob(*hash).map_err(unread)?,
            None => {
                let constant = call.loaded.program.constant_input(call.of);
                constant.cloned().ok_or_else(|| refused("the call has no input"))?
            }
        };
        let port_call = ports::Call {
            tool: tool.to_owned(),
            input,
            folder: call.folder.clone(),
            idempotency_key: call.idempotency_key.clone(),
        };
        let output = self.tools.call(&port_call, control)?;
        let (size, most) = (output.as_str().len(), self.bounds.output_bytes_max);
        if size > most {
            let message = format!(
                "the output of `{tool}` has {size} bytes, at most {most} are kept (limits.output_bytes)"
            );
            return Err(CallFailure {
                happened: baton_core::words::Happened::Yes,
                ..CallFailure::refused(FailureKind::TooLarge, message)
            });
        }
        Ok(Body::split(output))
    }

    fn probe(
        &self,
        job: &Prepare,
    ) -> Result<(Verdict, Option<baton_core::body::Blob>), CallFailure> {
        let mut scope = job.ingredients.resolve(&mut |hash| self.blob(hash)).map_err(unread)?;
        let program = &job.loaded.program;
        let call =
            program.probe(job.of, &scope)?.ok_or_else(|| refused("the task has no probe"))?;
        let port_call = ports::Call {
            tool: call.tool,
            input: call.input,
            folder: job.folder.clone(),
            idempotency_key: String::new(),
        };
        match self.tools.call(&port_call, &Control::new(self.bounds.timeout)) {
            Ok(output) => {
                scope.output = Some(Arc::new(output.value()));
                if !program.probe_happened(job.of, &scope)? {
                    return Ok((Verdict::DidNotHappen, None));
                }
                let (body, blob) = Body::split(output);
                Ok((Verdict::Happened(body), blob))
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {
                Ok((Verdict::DidNotHappen, None))
            }
            Err(failure) => Err(failure),
        }
    }

    fn blob(&self, hash: BlobHash) -> Result<Json, StoreError> {
        text_of(hash, lock(&self.views).blob(hash)?)
    }

    /// The input of a call that has been promised: it may wait a little for the store.
    fn patient_blob(&self, hash: BlobHash) -> Result<Json, StoreError> {
        let mut pause = READ_PAUSE;
        for _ in 1..READ_TRIES_MAX {
            match self.blob(hash) {
                Err(StoreError::Unavailable(_)) => {}
                read => return read,
            }
            // sleep: a passing fault of the store gives no signal when it has passed.
            std::thread::sleep(pause);
            pause *= 2;
        }
        self.blob(hash)
    }

    fn tell_to_end(&self, job: JobKey) {
        let mut pool = lock(&self.pool);
        let deadline = Instant::now();
        if let Some(running) = pool.running.get_mut(&job) {
            running.control.cancel();
            running.deadline = deadline;
        }
        pool.waiting.retain(|effect| !matches!(effect, Effect::Call(call) if call.job == job));
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
                if running.deadline <= now && !running.told {
                    running.control.cancel();
                    running.told = true;
                    running.deadline = now + grace;
                } else if running.deadline <= now {
                    given_up.push(*job);
                }
            }
            for job in given_up {
                pool.running.remove(&job);
                // Its thread may never come back: another may take its place.
                pool.threads = pool.threads.saturating_sub(1);
                let message = "the call did not end in its time, nor when it was told to";
                let failure = CallFailure::in_doubt(FailureKind::TimedOut, message);
                self.inbox
                    .push(Input::Called { job, result: Err((attempt_status(&failure), failure)) });
            }
            let next = pool.running.values().map(|running| running.deadline).min();
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

fn tool_of(call: &Call) -> Option<&str> {
    let plan = call.loaded.plan.task(call.of)?;
    match call.rung.checked_sub(1) {
        Some(fallback) => plan.fallback.get(fallback as usize).map(|call| call.tool.as_str()),
        None => match &plan.work {
            baton_core::plan::Work::Tool(call) => Some(&call.tool),
            baton_core::plan::Work::Human(_)
            | baton_core::plan::Work::Wait(_)
            | baton_core::plan::Work::Emit(_)
            | baton_core::plan::Work::Workflow(_) => None,
        },
    }
}

fn refused(message: &str) -> CallFailure {
    CallFailure::refused(FailureKind::InvalidInput, message)
}

/// A call whose input cannot be read is not made. Where the store does not answer just now, the
/// attempt is lost and repeated, and uses up none of the task's tries.
fn unread(fault: StoreError) -> CallFailure {
    match Unrendered::from(fault) {
        Unrendered::Failed(failure) => failure,
        Unrendered::Unread(fault) => CallFailure::passing(FailureKind::Lost, fault.to_string()),
    }
}

/// The result of a computation; a panic in it is a failure like another.
fn caught<T, E: From<CallFailure>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(ToString::to_string);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let message = format!("the tool panicked: {said}");
        Err(CallFailure::in_doubt(FailureKind::Panicked, message).into())
    })
}
