//! One command's access to a store: as its owner, through its owner, or by reading alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use baton_core::actor::Actor;
use baton_core::ids::{Ordinal, TaskId, WorkflowId};
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::engine::TakeUp;
use baton_engine::exchange::Declined;
use baton_engine::ports::{Door, Tools};
use baton_engine::store::{Filter, Views};
use baton_server::client::LocalClient;
use baton_server::local::{LocalServer, answer, request_of};
use baton_server::wire::{Answer, Ask, Said};

use crate::chaos::LoggedTools;
use crate::cli::{Common, Trial};
use crate::config::Config;
use crate::exit::Failed;
use crate::place::{Lock, Owned, Place};
use crate::runtime::{Death, Handle, Owner, OwnerEnded, OwnerReport, Parts};
use crate::text::{clean, cut};
use crate::toolbox::Toolbox;

/// What a command comes to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Have work done.
    Work,
    /// Tell a workflow something; start nothing.
    Tell,
}

/// Among how many of the newest workflows the one is looked for that was probably meant.
const SUGGESTED_FROM_MAX: u32 = 1_000;
/// From how many characters on the beginning of an id is taken for one.
const SUGGESTED_CHARS_MIN: usize = 6;

/// A command's access to a store.
pub struct Session {
    /// Who commands.
    pub actor: Actor,
    place: Place,
    access: Access,
}

enum Access {
    Owner(Box<Owning>),
    Client(Box<LocalClient>),
}

struct Owning {
    owner: Owner,
    tools: Arc<dyn Tools>,
    // Dropped in this order: nobody may come in any more, then the lock is free.
    server: LocalServer,
    lock: Lock,
}

/// The person at this terminal.
pub fn local_actor() -> Actor {
    let name = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    Actor::user(name.as_deref().filter(|name| !name.is_empty()).unwrap_or("local"))
}

/// The tools as configured, confined where a trial of recovery asks for it.
pub fn tools(common: &Common, config: &Config) -> anyhow::Result<Toolbox> {
    let mut builtin = config.tools.clone();
    if let Some(root) = &common.trial.root {
        builtin.roots = vec![root.clone()];
    }
    Toolbox::new(builtin, &config.servers)
}

/// The same, logged where a trial of recovery asks for it.
fn trial_tools(tools: Toolbox, trial: &Trial) -> anyhow::Result<Arc<dyn Tools>> {
    Ok(match &trial.effect_log {
        Some(path) => Arc::new(LoggedTools::to(path, tools)?),
        None => Arc::new(tools),
    })
}

impl Session {
    /// Owns the store, or reaches its owner.
    pub fn open(common: &Common, config: &Config, purpose: Purpose) -> anyhow::Result<Self> {
        Self::open_with(common, config, purpose, tools(common, config)?)
    }

    /// Like [`Session::open`], with tools that are at hand already.
    pub fn open_with(
        common: &Common,
        config: &Config,
        purpose: Purpose,
        tools: Toolbox,
    ) -> anyhow::Result<Self> {
        let place = Place::new(common)?;
        if purpose == Purpose::Tell && !place.has_store() {
            bail!(Failed::no_store(&place));
        }
        let actor = local_actor();
        let owned = place.own_or_reach(&actor).map_err(Failed::unreachable)?;
        let access = match owned {
            Owned::Elsewhere(client) => Access::Client(client),
            Owned::Here(lock) => {
                let tools = trial_tools(tools, &common.trial)?;
                let settings = (config, purpose, common.trial.die);
                Access::Owner(Box::new(own(&place, lock, tools, settings)?))
            }
        };
        Ok(Self { actor, place, access })
    }

    /// Whether this process owns the store.
    pub fn is_owner(&self) -> bool {
        matches!(self.access, Access::Owner(_))
    }

    /// Asks the owner.
    pub fn ask(&mut self, ask: Ask) -> anyhow::Result<Answer> {
        let answered = match &mut self.access {
            Access::Client(client) => client.call(ask).map_err(Failed::owner_left)?,
            Access::Owner(owning) => match request_of(ask, &self.actor) {
                Ok(request) => {
                    let reply = owning.owner.handle().call(&self.actor, request);
                    answer(reply)
                }
                Err(declined) => declined,
            },
        };
        if let Answer::Declined { code, message } = answered {
            // An owner of our own that has ended says why, which tells more than that it has.
            if let Some(cause) = self.own_end() {
                return Err(Failed::unreachable(cause.clone()).into());
            }
            return Err(Failed::declined(&code, message).into());
        }
        Ok(answered)
    }

    fn own_end(&self) -> Option<&OwnerEnded> {
        match &self.access {
            Access::Owner(owning) => owning.owner.cause(),
            Access::Client(_) => None,
        }
    }

    /// A signal for each commit that touches a stream (any, where none is given); it ends with the
    /// owner.
    pub fn follow(&mut self, stream: Option<u64>) -> anyhow::Result<Receiver<u64>> {
        let (sender, receiver) = sync_channel(1);
        match &mut self.access {
            Access::Owner(owning) => {
                let said = sparingly(sender.clone());
                let news = move |position| signal(&sender, position);
                owning.owner.handle().follow(stream, Box::new(news));
                owning.owner.handle().live().follow(None, Box::new(said));
            }
            Access::Client(_) => {
                let mut follower =
                    match self.place.own_or_reach(&self.actor).map_err(Failed::unreachable)? {
                        Owned::Elsewhere(client) => client,
                        // The owner has just ended, and with it its news.
                        Owned::Here(_) => return Ok(receiver),
                    };
                follower.send(Ask::Follow { stream }).map_err(Failed::unreachable)?;
                std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
                    while let Ok(said) = follower.read() {
                        match said {
                            Said::News { position, .. } if signal(&sender, position) => {}
                            Said::News { .. } => return,
                            Said::Answer { .. } => {}
                        }
                    }
                })?;
            }
        }
        Ok(receiver)
    }

    /// The tools that the owner calls, where it is this process.
    pub fn tools(&self) -> Option<&Arc<dyn Tools>> {
        match &self.access {
            Access::Owner(owning) => Some(&owning.tools),
            Access::Client(_) => None,
        }
    }

    /// Where the store is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A reader of the store.
    pub fn views(&self) -> anyhow::Result<Box<dyn Views>> {
        views(&self.place)
    }

    /// Starts nothing more, lets what runs end, and releases the store.
    pub fn close(self) -> anyhow::Result<OwnerReport> {
        let Access::Owner(owning) = self.access else {
            return Ok(OwnerReport::default());
        };
        let Owning { owner, server, lock, tools: _ } = *owning;
        owner.handle().drain();
        let report = owner.join().map_err(Failed::unreachable);
        drop(server);
        drop(lock);
        report.map_err(Into::into)
    }

    /// The owner, where it is this process.
    pub fn owner(&self) -> Option<&Handle> {
        match &self.access {
            Access::Owner(owning) => Some(owning.owner.handle()),
            Access::Client(_) => None,
        }
    }
}

/// Whether the follower is still there. One signal that was not looked at yet stands for all.
fn signal(sender: &SyncSender<u64>, position: u64) -> bool {
    !matches!(sender.try_send(position), Err(std::sync::mpsc::TrySendError::Disconnected(_)))
}

fn own(
    place: &Place,
    lock: Lock,
    tools: Arc<dyn Tools>,
    (config, purpose, death): (&Config, Purpose, Option<Death>),
) -> anyhow::Result<Owning> {
    let mut settings = config.settings();
    if purpose == Purpose::Tell {
        settings.limits.executing_max = 0;
    }
    let parts = Parts {
        store: baton_store::open(place.store()).map_err(Failed::unreachable)?,
        views: views(place)?,
        check_views: views(place)?,
        tools: Arc::clone(&tools),
        settings,
        bounds: config.bounds(),
        take_up: TakeUp::Asked,
        death,
    };
    let owner = Owner::start(parts).map_err(Failed::unreachable)?;
    let door: Arc<dyn Door> = Arc::new(owner.handle().clone());
    let listening = LocalServer::start(&lock.socket, door);
    let server =
        listening.with_context(|| format!("no socket can be made at {}", lock.socket.display()))?;
    Ok(Owning { owner, tools, server, lock })
}

fn views(place: &Place) -> anyhow::Result<Box<dyn Views>> {
    Ok(baton_store::open_views(place.store()).map_err(Failed::unreachable)?)
}

/// A reader of the store in the data folder, without asking its owner.
pub fn read(common: &Common) -> anyhow::Result<Box<dyn Views>> {
    views(&require_store(common)?)
}

/// The data folder, in which there must be a store.
pub fn require_store(common: &Common) -> anyhow::Result<Place> {
    let place = Place::new(common)?;
    if !place.has_store() {
        bail!(Failed::no_store(&place));
    }
    Ok(place)
}

/// The workflow that a person names: by its id, by one of its tasks' ids, or `last`.
pub fn find_workflow(
    views: &mut dyn Views,
    named: &str,
) -> anyhow::Result<(WorkflowCard, WorkflowRow)> {
    let (named, _) = named.split_once('/').unwrap_or((named, ""));
    if named == "last" {
        let newest = views.list(&Filter { limit: 1, ..Filter::default() })?.pop();
        return newest.ok_or_else(|| Failed::usage("there is no workflow yet").into());
    }
    let id =
        match (named.parse::<TaskId>().ok().and_then(TaskId::split), named.parse::<WorkflowId>()) {
            (Some((workflow, _)), _) => workflow,
            (None, Ok(workflow)) => workflow,
            (None, Err(_)) => bail!(Failed::usage(no_id(named, views)?)),
        };
    let found = views.workflow(id)?;
    found.ok_or_else(|| {
        Failed::usage(format!("there is no workflow {id}; `baton list` shows those there are"))
            .into()
    })
}

/// What to say of something that is no id: the workflow that was probably meant.
fn no_id(named: &str, views: &mut dyn Views) -> anyhow::Result<String> {
    let newest = views.list(&Filter { limit: SUGGESTED_FROM_MAX, ..Filter::default() })?;
    let is_meant = |card: &WorkflowCard| {
        let is_part = named.len() >= SUGGESTED_CHARS_MIN && card.id.to_string().starts_with(named);
        is_part || card.name == named
    };
    let shown = clean(&cut(named, 60));
    Ok(match newest.iter().find(|(card, _)| is_meant(card)) {
        Some((card, row)) => {
            let (name, id, status) = (clean(&card.name), card.id, row.status);
            format!("`{shown}` is no id; did you mean {id}, the newest `{name}` ({status})?")
        }
        None => format!(
            "`{shown}` is no id; `baton list` shows the ids of workflows, `baton inbox` those of tasks"
        ),
    })
}

/// The task that a person names: by its id, or as `WORKFLOW/KEY`. `None` where they name a whole
/// workflow.
pub fn find_task(
    views: &mut dyn Views,
    named: &str,
) -> anyhow::Result<(WorkflowCard, WorkflowRow, Option<Ordinal>)> {
    let (card, row) = find_workflow(views, named)?;
    if let Some((_, ordinal)) = named.parse::<TaskId>().ok().and_then(TaskId::split) {
        return Ok((card, row, Some(ordinal)));
    }
    let Some((_, key)) = named.split_once('/') else {
        return Ok((card, row, None));
    };
    if row.purged_at().is_some() {
        return Err(Failed::usage(Declined::Purged(card.id).to_string()).into());
    }
    let plan = baton_engine::view::plan_of(&card, views)?;
    let rows = views.tasks(card.number)?;
    let tasks = baton_engine::view::task_views(&card, &row, &plan, &rows);
    let task = tasks.iter().find(|task| task.key == key);
    let task = task.ok_or_else(|| {
        Failed::usage(format!(
            "the workflow `{}` has no task `{key}`; `baton show {}` lists them",
            card.name, card.id
        ))
    })?;
    Ok((card, row, Some(task.ordinal)))
}

/// The same for what calls say of themselves, which may be a lot: one signal for all that is said
/// within [`SAID_PAUSE`].
fn sparingly(sender: SyncSender<u64>) -> impl FnMut() -> bool + Send {
    let mut last: Option<Instant> = None;
    move || {
        if last.is_some_and(|last| last.elapsed() < SAID_PAUSE) {
            return true;
        }
        last = Some(Instant::now());
        signal(&sender, 0)
    }
}

/// The least time between two looks at what calls say of themselves.
const SAID_PAUSE: Duration = Duration::from_millis(250);

/// How long nothing may be heard of a workflow before it is looked at anyway.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The folder the command was called in.
pub fn caller_folder() -> Option<String> {
    std::env::current_dir()
        .ok()
        .map(PathBuf::into_os_string)
        .and_then(|folder| folder.into_string().ok())
}
