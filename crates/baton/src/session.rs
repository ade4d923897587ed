//! One command's access to workflows: to a store as its owner, through its owner or by reading alone,
//! or to a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use baton_core::actor::Actor;
use baton_core::ids::{ConversationId, WorkflowId};
use baton_core::plan::Plan;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::WorkflowState;
use baton_engine::chunks::{Chunk, ChunkLog};
use baton_engine::engine::TakeUp;
use baton_engine::ledger::Used;
use baton_engine::ports::{Door, Tools};
use baton_engine::recall::NoMemory;
use baton_engine::said::Said as SaidOfTask;
use baton_engine::store::Views;
use baton_models::ModelSet;
use baton_server::client::LocalClient;
use baton_server::local::{LocalServer, Owner as Local, answer, request_of};
use baton_server::wire::{Answer, Ask, Said};
use baton_telemetry::Exporter;

use crate::chaos::LoggedTools;
use crate::cli::{Common, Trial};
use crate::config::Config;
use crate::exit::Failed;
use crate::follow::{Feed, Going, Pages, has_children};
use crate::place::{Lock, Owned, Place};
use crate::planner::{ChatPlanner, ChatTools, Library};
use crate::reading::{Reading, StoreReading};
use crate::remote::Remote;
use crate::runtime::{Death, Handle, Owner, OwnerEnded, OwnerReport, Parts, SystemClock};
use crate::speaking;
use crate::telemetry;
use crate::toolbox::Toolbox;

/// What a session through a server cannot do.
const ONLY_ON_THE_STORE: &str =
    "that works on the store itself; call it where the store is, without a server";

/// What a command comes to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Have work done.
    Work,
    /// Tell a workflow something; start nothing.
    Tell,
}

/// Where a workflow stands after something was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Which.
    pub id: WorkflowId,
    /// Where its run stands.
    pub status: WorkflowStatus,
    /// Its revision.
    pub revision: u64,
}

/// A command's access to workflows.
pub struct Session {
    access: Access,
}

enum Access {
    Owner(Box<Owning>),
    Client(Box<Attached>),
    Remote(Box<Remote>),
}

/// Access through the store's owner.
struct Attached {
    client: LocalClient,
    place: Place,
    actor: Actor,
    chunks: Box<dyn ChunkLog>,
}

struct Owning {
    place: Place,
    actor: Actor,
    owner: Owner,
    tools: Arc<dyn Tools>,
    // Dropped in this order: nobody may come in any more, then the lock is free.
    server: LocalServer,
    lock: Lock,
    /// What tells a collector of the owner, where there is one.
    exporter: Option<Exporter>,
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
    /// Owns the store, or reaches its owner, or the server that was named.
    pub fn open(common: &Common, purpose: Purpose) -> anyhow::Result<Self> {
        if let Some(remote) = Remote::named(common)? {
            return Ok(Self::remote(remote));
        }
        let config = Config::of(common)?;
        let tools = tools(common, &config)?;
        Self::open_with(common, &config, purpose, tools)
    }

    /// Through a server.
    pub fn remote(remote: Remote) -> Self {
        Self { access: Access::Remote(Box::new(remote)) }
    }

    /// Owns the store or reaches its owner, with tools that are at hand already.
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
            Owned::Elsewhere(client) => {
                let chunks = baton_store::chunks_of(place.store());
                Access::Client(Box::new(Attached { client: *client, place, actor, chunks }))
            }
            Owned::Here(lock) => {
                let tools = trial_tools(tools, &common.trial)?;
                let settings = (config, purpose, common.trial.die);
                Access::Owner(Box::new(own((place, actor), lock, tools, settings)?))
            }
        };
        Ok(Self { access })
    }

    /// Whether this process owns the store.
    pub fn is_owner(&self) -> bool {
        matches!(self.access, Access::Owner(_))
    }

    /// Asks the owner of the store.
    pub fn ask(&mut self, ask: Ask) -> anyhow::Result<Answer> {
        let answered = match &mut self.access {
            Access::Remote(_) => return Err(Failed::usage(ONLY_ON_THE_STORE).into()),
            Access::Client(attached) => attached.client.call(ask).map_err(Failed::owner_left)?,
            Access::Owner(owning) => match request_of(ask, &owning.actor) {
                Ok(request) => {
                    let reply = owning.owner.handle().call(&owning.actor, request);
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

    /// Has something done to one workflow, or one made.
    pub fn change(&mut self, ask: Ask) -> anyhow::Result<Stand> {
        if let Access::Remote(remote) = &mut self.access {
            return remote.change(ask);
        }
        match self.ask(ask)? {
            Answer::Workflow { id, status, revision, .. } => Ok(Stand { id, status, revision }),
            other @ (Answer::Hello { .. }
            | Answer::Conversation { .. }
            | Answer::Ended { .. }
            | Answer::Count(_)
            | Answer::Servers(_)
            | Answer::Said(_)
            | Answer::Done
            | Answer::Declined { .. }) => {
                let message = format!("the owner answered with something else: {other:?}");
                Err(Failed::unreachable(anyhow::anyhow!(message)).into())
            }
        }
    }

    /// The server that was named, where it is one.
    pub fn server(&self) -> Option<&Remote> {
        match &self.access {
            Access::Remote(remote) => Some(remote),
            Access::Owner(_) | Access::Client(_) => None,
        }
    }

    /// Opens a conversation, tells it something, or takes it up.
    pub fn converse(&mut self, ask: Ask) -> anyhow::Result<ConversationId> {
        if let Access::Remote(remote) = &mut self.access {
            return remote.converse(ask);
        }
        match self.ask(ask)? {
            Answer::Conversation { id, .. } => Ok(id),
            other @ (Answer::Hello { .. }
            | Answer::Workflow { .. }
            | Answer::Ended { .. }
            | Answer::Count(_)
            | Answer::Servers(_)
            | Answer::Said(_)
            | Answer::Done
            | Answer::Declined { .. }) => {
                let message = format!("the owner answered with something else: {other:?}");
                Err(Failed::unreachable(anyhow::anyhow!(message)).into())
            }
        }
    }

    /// Has everything taken up that has not ended; a server has done so by itself.
    pub fn take_up_all(&mut self) -> anyhow::Result<()> {
        match &self.access {
            Access::Remote(_) => Ok(()),
            Access::Owner(_) | Access::Client(_) => self.ask(Ask::TakeUpAll).map(drop),
        }
    }

    fn own_end(&self) -> Option<&OwnerEnded> {
        match &self.access {
            Access::Owner(owning) => owning.owner.cause(),
            Access::Client(_) | Access::Remote(_) => None,
        }
    }

    /// The events of a workflow of this plan, as they are committed.
    pub fn feed(&mut self, id: WorkflowId, plan: &Plan) -> anyhow::Result<Box<dyn Feed>> {
        if let Access::Remote(remote) = &self.access {
            return Ok(remote.feed(id));
        }
        let number = self.views()?.workflow(id)?.map(|(card, _)| card.number);
        // What its children do is news as well.
        let news = self.news(number.filter(|_| !has_children(plan)))?;
        Ok(Box::new(Pages::new(self.reading()?, id, Some(news))))
    }

    /// What the models say that speak in a workflow, where that does not come with its events: all of
    /// it, or as much as was kept last.
    pub fn texts(&mut self, state: &WorkflowState) -> Vec<Chunk> {
        match &mut self.access {
            Access::Owner(owning) => owning.owner.handle().live().texts(Some(state.id), u64::MAX),
            // What cannot be read is not shown; the answers are events.
            Access::Client(attached) => speaking::turns(state)
                .flat_map(|turn| attached.chunks.newest(turn, PIECES_MAX).unwrap_or_default())
                .collect(),
            Access::Remote(_) => Vec::new(),
        }
    }

    /// What is said of a workflow's tasks just now; nothing where nobody tells.
    pub fn said(&mut self, id: WorkflowId) -> Vec<SaidOfTask> {
        match &mut self.access {
            Access::Owner(owning) => owning.owner.handle().live().of(id),
            Access::Client(attached) => said_by(&mut attached.client, id),
            Access::Remote(remote) => {
                let tasks = remote.reading().tasks(id).unwrap_or_default();
                tasks.into_iter().filter_map(|task| task.live).collect()
            }
        }
    }

    /// How long nothing may be heard of a workflow before it is looked at anyway. What another process
    /// keeps of what models say gives no signal.
    pub fn patience(&self, state: &WorkflowState) -> Duration {
        let is_kept = matches!(self.access, Access::Client(_));
        let reads = is_kept && speaking::turns(state).next().is_some();
        if reads { SAID_PAUSE } else { LOOK_AGAIN }
    }

    /// A signal for each commit that touches a stream (any, where none is given); it ends with the
    /// owner.
    pub fn news(&mut self, stream: Option<u64>) -> anyhow::Result<Receiver<u64>> {
        let (sender, receiver) = sync_channel(1);
        match &mut self.access {
            // Its news come with its events.
            Access::Remote(_) => {}
            Access::Owner(owning) => {
                let said = sparingly(sender.clone());
                let news = move |position| signal(&sender, position);
                owning.owner.handle().follow(stream, Box::new(news));
                owning.owner.handle().live().follow(None, Box::new(said));
            }
            Access::Client(attached) => {
                let reached = attached.place.own_or_reach(&attached.actor);
                let mut follower = match reached.map_err(Failed::unreachable)? {
                    Owned::Elsewhere(client) => client,
                    // The owner has just ended, and with it its news.
                    Owned::Here(_) => return Ok(receiver),
                };
                if follower.send(Ask::Follow { stream }).is_err() {
                    // It left between two words: so have its news.
                    return Ok(receiver);
                }
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

    /// Waits until something of a conversation is new, at most for [`LOOK_AGAIN`]; whether the owner
    /// is still there.
    pub fn await_news(
        &mut self,
        news: &Receiver<u64>,
        (id, revision): (ConversationId, u64),
    ) -> anyhow::Result<Going> {
        if let Access::Remote(remote) = &self.access {
            return remote.await_conversation(id, revision, LOOK_AGAIN).map(|()| Going::On);
        }
        Ok(match news.recv_timeout(LOOK_AGAIN) {
            Ok(_) | Err(RecvTimeoutError::Timeout) => Going::On,
            Err(RecvTimeoutError::Disconnected) => Going::Over,
        })
    }

    /// The tools that the owner calls, where it is this process.
    pub fn tools(&self) -> Option<&Arc<dyn Tools>> {
        match &self.access {
            Access::Owner(owning) => Some(&owning.tools),
            Access::Client(_) | Access::Remote(_) => None,
        }
    }

    /// A reader of the store.
    pub fn views(&self) -> anyhow::Result<Box<dyn Views>> {
        match &self.access {
            Access::Owner(owning) => views(&owning.place),
            Access::Client(attached) => views(&attached.place),
            Access::Remote(_) => Err(Failed::usage(ONLY_ON_THE_STORE).into()),
        }
    }

    /// A reader of the workflows.
    pub fn reading(&self) -> anyhow::Result<Box<dyn Reading>> {
        match &self.access {
            Access::Remote(remote) => Ok(remote.reading()),
            Access::Owner(_) | Access::Client(_) => Ok(Box::new(StoreReading::new(self.views()?))),
        }
    }

    /// Starts nothing more, lets what runs end, and releases the store.
    pub fn close(self) -> anyhow::Result<OwnerReport> {
        let Access::Owner(owning) = self.access else {
            return Ok(OwnerReport::default());
        };
        let Owning { owner, server, lock, exporter, .. } = *owning;
        owner.handle().drain();
        let report = owner.join().map_err(Failed::unreachable);
        drop(server);
        drop(lock);
        if let Some(exporter) = exporter {
            exporter.close(telemetry::CLOSE_MAX);
        }
        report.map_err(Into::into)
    }

    /// The owner, where it is this process.
    pub fn owner(&self) -> Option<&Handle> {
        match &self.access {
            Access::Owner(owning) => Some(owning.owner.handle()),
            Access::Client(_) | Access::Remote(_) => None,
        }
    }
}

/// Whether the follower is still there. One signal that was not looked at yet stands for all.
fn signal(sender: &SyncSender<u64>, position: u64) -> bool {
    !matches!(sender.try_send(position), Err(std::sync::mpsc::TrySendError::Disconnected(_)))
}

fn own(
    (place, actor): (Place, Actor),
    lock: Lock,
    tools: Arc<dyn Tools>,
    (config, purpose, death): (&Config, Purpose, Option<Death>),
) -> anyhow::Result<Owning> {
    let mut settings = config.settings();
    if purpose == Purpose::Tell {
        settings.limits.executing_max = 0;
    }
    let models =
        ModelSet::new(config.models.clone()).map_err(|fault| Failed::usage(fault.to_string()))?;
    let telemetry_to = telemetry::settings(&config.telemetry)?;
    // First, as it makes the store where there is none.
    let store = baton_store::open(place.store()).map_err(Failed::unreachable)?;
    let mut reader = views(&place)?;
    settings.used =
        Used::of(&settings.budgets, SystemClock::default().now().moment.now, reader.as_mut())
            .map_err(Failed::unreachable)?;
    let (models, store_url) = (Arc::new(models), place.store().clone());
    let library = Arc::new(Library::new(Arc::clone(&tools), config.clone(), store_url));
    let planner = ChatPlanner::new(Arc::clone(&library), Arc::clone(&models));
    let called = ChatTools::beside(Arc::clone(&tools), library, Arc::new(NoMemory));
    let parts = Parts {
        models,
        planner: Arc::new(planner),
        store,
        views: reader,
        check_views: views(&place)?,
        chunks: baton_store::chunks_of(place.store()),
        tools: Arc::new(called),
        settings,
        bounds: config.bounds(),
        take_up: TakeUp::Asked,
        death,
    };
    let owner = Owner::start(parts).map_err(Failed::unreachable)?;
    let exporter = telemetry::start(telemetry_to, owner.handle(), || views(&place))?;
    let door: Arc<dyn Door> = Arc::new(owner.handle().clone());
    let listening = LocalServer::start(
        &lock.socket,
        Local { door, tools: Arc::clone(&tools), live: owner.handle().live() },
    );
    let server =
        listening.with_context(|| format!("no socket can be made at {}", lock.socket.display()))?;
    Ok(Owning { place, actor, owner, tools, server, lock, exporter })
}

fn views(place: &Place) -> anyhow::Result<Box<dyn Views>> {
    Ok(baton_store::open_views(place.store()).map_err(Failed::unreachable)?)
}

/// A reader of the workflows, of the server that was named or in the data folder, without asking the
/// store's owner.
pub fn read(common: &Common) -> anyhow::Result<Box<dyn Reading>> {
    match Remote::named(common)? {
        Some(remote) => Ok(remote.reading()),
        None => Ok(Box::new(StoreReading::new(read_store(common)?))),
    }
}

/// What the owner of the store in the data folder, if it has one, says of a workflow's tasks just now.
pub fn said_here(common: &Common, id: WorkflowId) -> anyhow::Result<Vec<SaidOfTask>> {
    // Where nobody owns the store, nobody says anything.
    let client = Place::new(common)?.reach(&local_actor()).ok();
    Ok(client.map(|mut client| said_by(&mut client, id)).unwrap_or_default())
}

fn said_by(client: &mut LocalClient, id: WorkflowId) -> Vec<SaidOfTask> {
    let Ok(Answer::Said(said)) = client.call(Ask::Said { workflow: id }) else {
        return Vec::new();
    };
    said.into_iter().map(|(task, attempt, said)| SaidOfTask { task, attempt, ..said }).collect()
}

/// A reader of the store in the data folder, without asking its owner.
pub fn read_store(common: &Common) -> anyhow::Result<Box<dyn Views>> {
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

/// How many pieces of a text are read at a time, the newest: more than are kept between two looks.
const PIECES_MAX: u32 = 16;

/// How long nothing may be heard of a workflow before it is looked at anyway.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The folder the command was called in.
pub fn caller_folder() -> Option<String> {
    std::env::current_dir()
        .ok()
        .map(PathBuf::into_os_string)
        .and_then(|folder| folder.into_string().ok())
}
