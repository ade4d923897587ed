//! A whole Baton inside the benchmark's process: a real store in a scratch folder, the real owner
//! and executor, the built-in no-op tool. Nothing is left out but the command line.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::ids::{Ordinal, WorkflowId};
use baton_core::plan::{Plan, Stage, TaskPlan, ToolCall, Work};
use baton_core::words::{Effect, OnFailure, Origin, Permission, ProgressMethod, WorkflowStatus};
use baton_core::workflow::Outcome;
use baton_engine::engine::{Settings, TakeUp};
use baton_engine::exchange::{Gone, Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::Door;
use baton_store::sqlite::{SqliteStore, SqliteViews};

use crate::runtime::{Bounds, Handle, Owner, Parts};

/// A running Baton on a scratch store.
pub struct Rig {
    owner: Option<Owner>,
    /// The way in.
    pub handle: Handle,
    /// The store's file.
    pub path: PathBuf,
    actor: Actor,
}

impl Rig {
    /// Opens the store at `folder` and takes everything up.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("baton.db");
        let store = SqliteStore::open(&path).context("the benchmark's store")?;
        let views = SqliteViews::open(&path).context("the benchmark's reader")?;
        let tools = baton_adapters::BuiltinTools::new(baton_adapters::ToolsConfig::default())?;
        let parts = Parts {
            store: Box::new(store),
            views: Box::new(views),
            tools: Arc::new(tools),
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
            path,
            actor: Actor::user("bench"),
        })
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
        self.handle.ask(
            &self.actor,
            Request::Submit(Box::new(submission(loaded))),
            Box::new(then),
        );
    }

    /// Admits a workflow and returns its id.
    pub fn submit(&self, loaded: &Arc<Loaded>) -> anyhow::Result<WorkflowId> {
        match self
            .handle
            .call(&self.actor, Request::Submit(Box::new(submission(loaded))))?
        {
            Reply::Workflow { id, .. } => Ok(id),
            other => bail!("not admitted: {other:?}"),
        }
    }

    /// Waits until a workflow has completed.
    pub fn wait(&self, workflow: WorkflowId) -> anyhow::Result<()> {
        verdict(
            self.handle
                .call(&self.actor, Request::AwaitEnd { workflow }),
        )
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
    match answer? {
        Reply::Ended {
            outcome: Outcome::Completed { .. },
            ..
        } => Ok(()),
        Reply::Workflow {
            status: WorkflowStatus::Completed,
            ..
        } => Ok(()),
        other => bail!("the workflow did not complete: {other:?}"),
    }
}

fn submission(loaded: &Arc<Loaded>) -> Submit {
    Submit {
        loaded: Arc::clone(loaded),
        inputs: (Body::Inline(Json::of(&serde_json::json!({}))), None),
        origin: Origin::Cli,
        priority: 5,
        review: false,
        conversation: None,
        folder: None,
    }
}

/// One no-op task after the other.
pub fn chain(length: u32) -> anyhow::Result<Arc<Loaded>> {
    let tasks = (0..length).map(|n| {
        noop(
            format!("step-{n}"),
            n.checked_sub(1).map(Ordinal).into_iter().collect(),
        )
    });
    load("chain", tasks.collect())
}

/// A no-op task, `width` no-op tasks that need it, and one that needs them all.
pub fn fan(width: u32) -> anyhow::Result<Arc<Loaded>> {
    let first = std::iter::once(noop("first".to_owned(), Vec::new()));
    let middle = (0..width).map(|n| noop(format!("leaf-{n}"), vec![Ordinal(0)]));
    let last = std::iter::once(noop("last".to_owned(), (1..=width).map(Ordinal).collect()));
    load("fan", first.chain(middle).chain(last).collect())
}

fn noop(key: String, needs: Vec<Ordinal>) -> TaskPlan {
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
        priority: None,
        permission: Permission::ReadOnly,
        work: Work::Tool(call),
        fallback: Vec::new(),
        probe: None,
    }
}

fn load(name: &str, tasks: Vec<TaskPlan>) -> anyhow::Result<Arc<Loaded>> {
    let plan = Plan {
        name: name.to_owned(),
        version: 1,
        description: None,
        inputs: None,
        time_max: None,
        progress: ProgressMethod::AgentBased,
        stages: vec![Stage {
            name: "all".to_owned(),
            weight: 1,
            milestones: Vec::new(),
        }],
        tasks,
        output: None,
    };
    Ok(Arc::new(Loaded::new(plan)?))
}
