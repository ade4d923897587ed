//! A whole Baton inside the benchmark's process: a real store in a scratch folder, the real owner
//! and executor, the built-in no-op tool. Nothing is left out but the command line.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use baton_core::actor::Actor;
use baton_core::body::{Blob, BlobHash, Body, Json};
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::{Budget, Each, Human, Plan, Stage, TaskPlan, ToolCall, Work};
use baton_core::words::{
    Effect, FactKind, HumanKind, OnFailure, Origin, Permission, ProgressMethod,
};
use baton_core::workflow::Outcome;
use baton_core::workflow::usage::UsageRow;
use baton_engine::engine::{Settings, TakeUp};
use baton_engine::exchange::{Gone, Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Door, Models, Tools};
use baton_engine::store::{
    Commit, DefinitionRow, FactRow, Head, Housekeeping, Record, Store, StoreError, Tail,
};
use baton_server::local::{LocalServer, Owner as Local};
use baton_store::{StoreUrl, open, open_views};

use crate::runtime::{Bounds, Handle, Owner, Parts};
use baton_engine::conversing::NoPlanner;

/// A running Baton on a scratch store.
pub struct Rig {
    owner: Option<Owner>,
    handle: Handle,
    url: StoreUrl,
    calls: Arc<AtomicU64>,
    actor: Actor,
    tools: Arc<dyn Tools>,
}

impl Rig {
    /// Opens a store and takes everything in it up.
    pub fn open(url: &StoreUrl) -> anyhow::Result<Self> {
        Self::open_with(url, Arc::new(baton_models::ModelSet::new(Default::default())?))
    }

    /// The same, with agents that ask these models.
    pub fn open_with(url: &StoreUrl, models: Arc<dyn Models>) -> anyhow::Result<Self> {
        let config = baton_adapters::ToolsConfig::default();
        Self::open_among(url, Arc::new(baton_adapters::BuiltinTools::new(config)?), models)
    }

    /// The same, with these tools.
    pub fn open_among(
        url: &StoreUrl,
        tools: Arc<dyn Tools>,
        models: Arc<dyn Models>,
    ) -> anyhow::Result<Self> {
        let store = open(url).context("the benchmark's store")?;
        let views = open_views(url).context("the benchmark's reader")?;
        let calls = Arc::new(AtomicU64::new(0));
        let parts = Parts {
            store: Box::new(Counting { store, calls: Arc::clone(&calls) }),
            views,
            check_views: open_views(url).context("the benchmark's second reader")?,
            chunks: baton_store::chunks_of(url),
            tools: Arc::clone(&tools),
            models,
            planner: Arc::new(NoPlanner),
            settings: Settings::default(),
            bounds: Bounds::default(),
            take_up: TakeUp::All,
            death: None,
        };
        let owner = Owner::start(parts)?;
        let handle = owner.handle().clone();
        Ok(Self {
            owner: Some(owner),
            handle,
            url: url.clone(),
            calls,
            actor: Actor::user("bench"),
            tools,
        })
    }

    /// Serves others on a local socket.
    pub fn serve(&self, socket: &Path) -> anyhow::Result<LocalServer> {
        let door = Arc::new(self.handle.clone());
        let owner = Local { door, tools: self.tools(), live: self.handle.live() };
        Ok(LocalServer::start(socket, owner)?)
    }

    /// The way in.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What can be called.
    pub fn tools(&self) -> Arc<dyn Tools> {
        Arc::clone(&self.tools)
    }

    /// Waits for the end of a workflow.
    pub fn wait(&self, workflow: WorkflowId) -> anyhow::Result<()> {
        self.handle.call(&self.actor, Request::AwaitEnd { workflow })?;
        Ok(())
    }

    /// How often the engine has asked anything of its store.
    pub fn store_calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// What the store takes on disk after everything was carried over from its log.
    pub fn bytes_on_disk(&self) -> anyhow::Result<u64> {
        match &self.url {
            StoreUrl::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path)?;
                connection.busy_timeout(Duration::from_secs(10))?;
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
                Ok(std::fs::metadata(path)?.len())
            }
            StoreUrl::Postgres(url) => {
                Ok(baton_store::postgres::PostgresViews::open(url)?.bytes_on_disk()?)
            }
        }
    }

    /// Lets what runs end and closes the store.
    pub fn close(mut self) -> anyhow::Result<()> {
        self.handle.drain();
        if let Some(owner) = self.owner.take() {
            owner.join()?;
        }
        Ok(())
    }

    /// Runs `count` workflows of a plan, `at_once` of them at a time; returns how long each took
    /// and how long all took.
    pub fn run_many(
        &self,
        loaded: &Arc<Loaded>,
        count: usize,
        at_once: usize,
    ) -> anyhow::Result<(Vec<Duration>, Duration)> {
        let (sender, receiver) = channel();
        let began = Instant::now();
        let mut started = VecDeque::new();
        let mut times = Vec::with_capacity(count);
        for _ in 0..at_once.min(count) {
            started.push_back(());
            self.run_one(loaded, &sender);
        }
        let mut left = count.saturating_sub(at_once);
        while times.len() < count {
            times.push(next(&receiver)?);
            if left > 0 {
                left -= 1;
                self.run_one(loaded, &sender);
            }
        }
        Ok((times, began.elapsed()))
    }

    /// Submits one workflow and reports when it has ended.
    fn run_one(&self, loaded: &Arc<Loaded>, done: &Sender<anyhow::Result<Duration>>) {
        let began = Instant::now();
        let (handle, actor, done) = (self.handle.clone(), self.actor.clone(), done.clone());
        let then = move |answer: Result<Reply, Gone>| {
            let id = match answer {
                Ok(Reply::Workflow { id, .. }) => id,
                other => return report(&done, Err(anyhow::anyhow!("not admitted: {other:?}"))),
            };
            let ended = move |answer: Result<Reply, Gone>| {
                report(&done, verdict(answer).map(|()| began.elapsed()))
            };
            handle.ask(&actor, Request::AwaitEnd { workflow: id }, Box::new(ended));
        };
        self.handle.ask(&self.actor, Request::Submit(Box::new(submission(loaded))), Box::new(then));
    }

    /// Admits a workflow and returns its id.
    pub fn submit(&self, loaded: &Arc<Loaded>) -> anyhow::Result<WorkflowId> {
        let request = Request::Submit(Box::new(submission(loaded)));
        let reply = self.handle.call(&self.actor, request)?;
        let Reply::Workflow { id, .. } = reply else { bail!("not admitted: {reply:?}") };
        Ok(id)
    }
}

impl Rig {
    /// Admits a workflow that asks a person once everything before is done, and waits for that.
    pub fn submit_and_wait_for_question(&self, loaded: &Arc<Loaded>) -> anyhow::Result<()> {
        let id = self.submit(loaded)?;
        let mut views = open_views(&self.url)?;
        let began = Instant::now();
        while views.workflow(id)?.is_none_or(|(_, row)| row.waiting_people == 0) {
            ensure!(began.elapsed() < Duration::from_secs(120), "nobody was asked in two minutes");
            // sleep: a reader of the store is told nothing, and what is measured comes later.
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// A store that counts what is asked of it.
struct Counting {
    store: Box<dyn Store + Send>,
    calls: Arc<AtomicU64>,
}

impl Counting {
    fn counted(&mut self) -> &mut dyn Store {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.store.as_mut()
    }
}

impl Store for Counting {
    fn take_over(&mut self) -> Result<Head, StoreError> {
        self.counted().take_over()
    }
    fn head(&mut self) -> Result<Head, StoreError> {
        self.counted().head()
    }
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.counted().commit(commit)
    }
    fn live(&mut self) -> Result<Vec<u64>, StoreError> {
        self.counted().live()
    }
    fn number_of(&mut self, id: WorkflowId) -> Result<Option<u64>, StoreError> {
        self.counted().number_of(id)
    }
    fn conversation_number(&mut self, id: ConversationId) -> Result<Option<u64>, StoreError> {
        self.counted().conversation_number(id)
    }
    fn busy_conversations(&mut self) -> Result<Vec<u64>, StoreError> {
        self.counted().busy_conversations()
    }
    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.counted().stream(number)
    }
    fn tail(&mut self, number: u64) -> Result<Tail, StoreError> {
        self.counted().tail(number)
    }
    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.counted().blob(hash)
    }
    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        self.counted().definition(name, version)
    }
    fn triggered(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.counted().triggered()
    }
    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        self.counted().fact(kind, key)
    }
    fn usage(&mut self, number: u64) -> Result<Vec<UsageRow>, StoreError> {
        self.counted().usage(number)
    }
    fn actors(&mut self) -> Result<Vec<(u32, Actor)>, StoreError> {
        self.counted().actors()
    }
    fn idle(&mut self) -> Result<Housekeeping, StoreError> {
        self.counted().idle()
    }
}

fn report(done: &Sender<anyhow::Result<Duration>>, result: anyhow::Result<Duration>) {
    // The benchmark stops listening at its first error.
    let _ = done.send(result);
}

fn next(receiver: &Receiver<anyhow::Result<Duration>>) -> anyhow::Result<Duration> {
    receiver
        .recv_timeout(Duration::from_secs(120))
        .context("no workflow ended within two minutes")?
}

fn verdict(answer: Result<Reply, Gone>) -> anyhow::Result<()> {
    let reply = answer?;
    let completed = matches!(reply, Reply::Ended { outcome: Outcome::Completed { .. }, .. });
    ensure!(completed, "the workflow did not complete: {reply:?}");
    Ok(())
}

fn submission(loaded: &Arc<Loaded>) -> Submit {
    Submit {
        loaded: Arc::clone(loaded),
        inputs: (Body::Inline(Json::of(&serde_json::json!({}))), None),
        origin: Origin::Cli,
        priority: 5,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    }
}

/// One no-op task after the other.
pub fn chain(length: u32) -> anyhow::Result<Arc<Loaded>> {
    let tasks = (0..length)
        .map(|n| noop(format!("step-{n}"), n.checked_sub(1).map(Ordinal).into_iter().collect()));
    load("chain", tasks.collect())
}

/// A no-op task, `width` no-op tasks that need it, and one that needs them all.
pub fn fan(width: u32) -> anyhow::Result<Arc<Loaded>> {
    let first = std::iter::once(noop("first".to_owned(), Vec::new()));
    let middle = (0..width).map(|n| noop(format!("leaf-{n}"), vec![Ordinal(0)]));
    let last = std::iter::once(noop("last".to_owned(), (1..=width).map(Ordinal).collect()));
    load("fan", first.chain(middle).chain(last).collect())
}

/// A chain whose first task waits for a person: it lives and does nothing.
pub fn parked(length: u32) -> anyhow::Result<Arc<Loaded>> {
    let mut tasks: Vec<TaskPlan> = (0..length)
        .map(|n| noop(format!("step-{n}"), n.checked_sub(1).map(Ordinal).into_iter().collect()))
        .collect();
    if let Some(first) = tasks.first_mut() {
        first.work = approval();
    }
    load("parked", tasks)
}

/// A no-op for each element of a list, then a person is asked.
pub fn parked_items(count: u32) -> anyhow::Result<Arc<Loaded>> {
    let mut items = noop("item".to_owned(), Vec::new());
    items.each = Some(Each { list: (0..count).collect(), concurrency: None });
    let mut last = noop("last".to_owned(), vec![Ordinal(0)]);
    last.work = approval();
    load("parked-items", vec![items, last])
}

fn approval() -> Work {
    Work::Human(Human { kind: HumanKind::Approval, ask: None, form: None, options: Vec::new() })
}

/// A task that does nothing.
pub fn noop(key: String, needs: Vec<Ordinal>) -> TaskPlan {
    let call = ToolCall {
        tool: "core.noop".to_owned(),
        with: serde_json::json!({}),
        effect: Effect::Read,
    };
    TaskPlan {
        key,
        title: None,
        stage: 0,
        needs: Some(needs),
        when: None,
        each: None,
        on_failure: OnFailure::Fail,
        retry: baton_core::plan::Retry::default(),
        timeout: None,
        concurrency_key: None,
        rate_key: None,
        priority: None,
        permission: Permission::ReadOnly,
        work: Work::Tool(call),
        fallback: Vec::new(),
        probe: None,
    }
}

/// A plan of one stage, ready to run.
pub fn load(name: &str, tasks: Vec<TaskPlan>) -> anyhow::Result<Arc<Loaded>> {
    let plan = Plan {
        triggers: Vec::new(),
        name: name.to_owned(),
        version: 1,
        description: None,
        examples: Vec::new(),
        inputs: None,
        time_max: None,
        budget: Budget::default(),
        progress: ProgressMethod::AgentBased,
        stages: vec![Stage { name: "all".to_owned(), weight: 1, milestones: Vec::new() }],
        tasks,
        output: None,
    };
    Ok(Arc::new(Loaded::new(plan)?))
}
