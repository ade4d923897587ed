//! The broadcaster: reads what was committed once and gives it to all who follow.
//!
//! Its one thread follows the hub. A subscriber's line is bounded; one that is full is closed, and
//! its subscriber reads what it missed from the journal. Nobody's slowness holds up anybody else,
//! and while nobody follows nothing is read.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver as Bell, RecvTimeoutError, TrySendError as Rung, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use baton_core::ids::WorkflowId;
use baton_engine::chunks::{Chunk, TurnId};
use baton_engine::events::Showing;
use baton_engine::ports::{Door, Live};
use baton_engine::store::{Record, StoreError, Views};
use baton_engine::wording::Wordings;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;

use super::batch::{Batch, source_of};
use super::scope::{Scope, Source};
use crate::http::Report;

/// How many batches may wait for one subscriber.
const LINE_MAX: usize = 32;
/// How many events are read at a time.
const BATCH_MAX: u32 = 256;
/// How much of what models say may wait for events that stand before it, in bytes.
const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The pause before a store that could not be read is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Gives events to subscribers. Clones are of the same one.
#[derive(Clone)]
pub struct Broadcaster(Arc<Shared>);

/// The thread behind a [`Broadcaster`]; it ends, and every stream with it, when this is dropped.
#[derive(Debug)]
pub struct Broadcasting {
    broadcaster: Broadcaster,
    ring: Ring,
    thread: Option<JoinHandle<()>>,
}

type Ring = std::sync::mpsc::SyncSender<()>;

/// What the hub holds: when it lets go, there is no owner any more.
struct Following {
    ring: Ring,
    newest: Arc<AtomicU64>,
    broadcaster: Broadcaster,
}

struct Shared {
    registry: Mutex<Registry>,
    /// What reads again for subscribers that come late.
    showing: Mutex<Showing>,
    live: Arc<dyn Live>,
    lagged: AtomicU64,
    /// Why nothing can be read at the moment.
    fault: Mutex<Option<String>>,
    over: watch::Sender<bool>,
}

/// Who follows what. Sorted, so that those of one scope stand together.
#[derive(Default)]
struct Registry {
    /// Up to here, events have been or are being given out.
    position: u64,
    newest_id: u64,
    lines: BTreeMap<(Scope, u64), Sender<Arc<Batch>>>,
}

/// A subscriber's line; it leaves the broadcaster when this is dropped.
pub(super) struct Line {
    shared: Arc<Shared>,
    key: (Scope, u64),
    /// Everything behind this position comes by the line.
    pub from: u64,
    batches: Receiver<Arc<Batch>>,
}

/// Who gets what of some streams.
#[derive(Default)]
struct Followed {
    /// Who.
    scopes: HashSet<Scope>,
    /// The streams of which somebody gets something.
    streams: HashSet<u64>,
}

impl std::fmt::Debug for Broadcaster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Broadcaster({} subscribers)", self.subscribers())
    }
}

impl Broadcaster {
    /// Begins to follow an owner and what its calls say; `views` is the broadcaster's own reader, and
    /// what it cannot read is reported.
    pub fn start(
        door: &dyn Door,
        live: Arc<dyn Live>,
        mut views: Box<dyn Views>,
        report: Report,
    ) -> io::Result<Broadcasting> {
        let (ring, bell) = sync_channel(1);
        let newest = Arc::new(AtomicU64::new(0));
        let wordings = Arc::new(Wordings::default());
        let broadcaster = Self(Arc::new(Shared {
            registry: Mutex::default(),
            showing: Mutex::new(Showing::with(Arc::clone(&wordings))),
            live: Arc::clone(&live),
            lagged: AtomicU64::new(0),
            fault: Mutex::default(),
            over: watch::Sender::new(false),
        }));
        let following = Following {
            ring: ring.clone(),
            newest: Arc::clone(&newest),
            broadcaster: broadcaster.clone(),
        };
        // Followed first: what is committed before the head is read is told of in vain.
        door.follow(None, Box::new(move |position| following.tell(position)));
        let said = ring.clone();
        live.follow(None, Box::new(move || wake(&said)));
        broadcaster.0.registry().position = views.head().map_err(io::Error::other)?.position;
        let showing = Showing::with(wordings);
        // What is said from now on waits here until it is told.
        let spoken = live.spoken();
        let shared = broadcaster.clone();
        let mut work = Work { shared, views, showing, newest, live, report, spoken };
        let thread = std::thread::Builder::new()
            .name("broadcaster".to_owned())
            .spawn(move || work.follow(&bell))?;
        Ok(Broadcasting { broadcaster, ring, thread: Some(thread) })
    }

    /// How many follow now.
    pub fn subscribers(&self) -> usize {
        self.0.registry().lines.len()
    }

    /// How often a subscriber's line was full.
    pub fn lagged(&self) -> u64 {
        self.0.lagged.load(Ordering::Relaxed)
    }

    /// Why what is committed cannot be read at the moment; it is tried again and again.
    pub fn fault(&self) -> Option<String> {
        self.0.fault().clone()
    }

    /// Whether no more events will come.
    pub fn is_over(&self) -> bool {
        *self.0.over.borrow()
    }

    /// Waits until no more events will come.
    pub async fn over(&self) {
        // An error says that nobody is left who could say it.
        let _ = self.0.over.subscribe().wait_for(|over| *over).await;
    }

    /// Ends every stream, now and later.
    pub fn close(&self) {
        let mut registry = self.0.registry();
        self.0.over.send_replace(true);
        registry.lines.clear();
    }

    /// Makes a line for the events of a scope.
    pub(super) fn line(&self, scope: Scope) -> Line {
        let (sender, batches) = channel(LINE_MAX);
        let mut registry = self.0.registry();
        registry.newest_id += 1;
        let key = (scope, registry.newest_id);
        if !self.is_over() {
            registry.lines.insert(key, sender);
        }
        Line { shared: Arc::clone(&self.0), key, from: registry.position, batches }
    }

    /// The text of the turns that had begun at a position, such as where a line begins: what is said
    /// behind it comes by the line, and so does all that is said in other turns.
    pub(super) fn texts(&self, workflow: Option<WorkflowId>, until: u64) -> Vec<Chunk> {
        self.0.live.texts(workflow, until)
    }

    /// Whether a turn runs.
    pub(super) fn is_running(&self, turn: TurnId) -> bool {
        self.0.live.is_running(turn)
    }

    /// Shows events to those who come late, with what is known of their workflows.
    pub(super) fn showing(&self) -> MutexGuard<'_, Showing> {
        // What it remembers is whole between any two events.
        self.0.showing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The next batch; `None` when the line was closed: it was full, or all is over.
    pub async fn next(&mut self) -> Option<Arc<Batch>> {
        self.batches.recv().await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.registry().lines.remove(&self.key);
    }
}

impl Broadcasting {
    /// What subscribers are made of.
    pub fn broadcaster(&self) -> &Broadcaster {
        &self.broadcaster
    }
}

impl Drop for Broadcasting {
    fn drop(&mut self) {
        self.broadcaster.close();
        wake(&self.ring);
        if let Some(thread) = self.thread.take() {
            // Whether it panicked changes nothing any more.
            let _ = thread.join();
        }
    }
}

impl Following {
    fn tell(&self, position: u64) -> bool {
        self.newest.store(position, Ordering::Release);
        wake(&self.ring)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.broadcaster.close();
        wake(&self.ring);
    }
}

/// Whether the thread is still there. One ring that it has not answered yet stands for all.
fn wake(ring: &Ring) -> bool {
    !matches!(ring.try_send(()), Err(Rung::Disconnected(())))
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        // It is whole between any two statements.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> MutexGuard<'_, Option<String>> {
        // It is whole between any two statements.
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what is not in the journal to all who follow its source and have room for it.
    fn mention(&self, batch: &Arc<Batch>, source: Source) {
        let registry = self.registry();
        for scope in source.scopes() {
            for (_, line) in registry.lines.range((scope, 0)..=(scope, u64::MAX)) {
                // Who is behind with events misses nothing that lasts.
                let _ = line.try_send(Arc::clone(batch));
            }
        }
    }

    /// Gives a batch to all who follow something of it.
    fn give(&self, batch: &Arc<Batch>, scopes: &HashSet<Scope>) {
        let mut registry = self.registry();
        let mut gone = Vec::new();
        for scope in scopes.iter().copied() {
            for (key, line) in registry.lines.range((scope, 0)..=(scope, u64::MAX)) {
                match line.try_send(Arc::clone(batch)) {
                    Ok(()) => {}
                    Err(TrySendError::Closed(_)) => gone.push(*key),
                    Err(TrySendError::Full(_)) => {
                        self.lagged.fetch_add(1, Ordering::Relaxed);
                        gone.push(*key);
                    }
                }
            }
        }
        for key in gone {
            registry.lines.remove(&key);
        }
    }
}

/// The thread's side.
struct Work {
    shared: Broadcaster,
    views: Box<dyn Views>,
    showing: Showing,
    newest: Arc<AtomicU64>,
    report: Report,
    live: Arc<dyn Live>,
    /// What models said behind events that are not told yet.
    spoken: Vec<(u64, Chunk)>,
}

impl Work {
    /// Follows until the owner ends or everything is over.
    fn follow(&mut self, bell: &Bell<()>) {
        let mut again = None;
        loop {
            let rung = match again {
                Some(wait) => bell.recv_timeout(wait),
                None => bell.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if rung == Err(RecvTimeoutError::Disconnected) || self.shared.is_over() {
                return self.shared.close();
            }
            // Subscribers wait meanwhile: they miss nothing, and their own reads say what is wrong.
            // In this order: what was said behind an event is told behind it.
            let newest = self.newest.load(Ordering::Acquire);
            self.spoken.extend(self.live.spoken());
            let caught_up = self.catch_up(newest);
            again = match &caught_up {
                Ok(()) => self.tell_live(),
                Err(_) => {
                    self.hold_within_bounds();
                    Some(RETRY)
                }
            };
            self.tell(caught_up.err());
        }
    }

    /// Keeps what went wrong for those who ask, and reports it once.
    fn tell(&self, fault: Option<StoreError>) {
        let fault = fault.map(|fault| fault.to_string());
        let before = std::mem::replace(&mut *self.shared.0.fault(), fault.clone());
        if let (None, Some(fault)) = (before, fault) {
            let sentence = "the events for streams cannot be read; it is tried again";
            self.report.warn(sentence, &fault);
        }
    }

    /// Gives out everything that was committed up to a position, and what models said meanwhile.
    fn catch_up(&mut self, newest: u64) -> Result<(), StoreError> {
        while let Some(from) = self.next(newest) {
            let records = self.views.events(from, None, BATCH_MAX)?;
            let Some(last) = records.last() else { break };
            let through = last.position;
            let spoken = self.spoken_until(through);
            if let Err(fault) = self.tell_events(&records, &spoken, through) {
                // They read it themselves, then.
                self.shared.0.registry().lines.clear();
                return Err(fault);
            }
        }
        let position = self.shared.0.registry().position;
        let spoken = self.spoken_until(position);
        self.tell_texts(spoken)
    }

    /// Tells events, and what models said between them, to those who follow them.
    fn tell_events(
        &mut self,
        records: &[Record],
        spoken: &[(u64, Chunk)],
        through: u64,
    ) -> Result<(), StoreError> {
        // Who comes from now on reads these events from the journal.
        self.shared.0.registry().position = through;
        let texts = spoken.iter().map(|(_, chunk)| chunk.stream);
        let followed = self.followed(records.iter().map(|record| record.stream).chain(texts))?;
        let wanted = |stream| followed.streams.contains(&stream);
        let (showing, views) = (&mut self.showing, self.views.as_mut());
        let batch = Batch::of(records, spoken, through, &wanted, showing, views)?;
        self.shared.0.give(&Arc::new(batch), &followed.scopes);
        Ok(())
    }

    /// While nothing can be read, what models say waits. Where that is too much, subscribers read anew
    /// what they missed.
    fn hold_within_bounds(&mut self) {
        let held: usize = self.spoken.iter().map(|(_, chunk)| chunk.text.len()).sum();
        if held > HELD_BYTES_MAX {
            self.spoken.clear();
            self.shared.0.registry().lines.clear();
        }
    }

    /// What was said behind a position at most, taken out of what waits to be told.
    fn spoken_until(&mut self, position: u64) -> Vec<(u64, Chunk)> {
        self.spoken.extract_if(.., |(behind, _)| *behind <= position).collect()
    }

    /// Tells what models say between two commits.
    fn tell_texts(&mut self, spoken: Vec<(u64, Chunk)>) -> Result<(), StoreError> {
        let followed = self.followed(spoken.iter().map(|(_, chunk)| chunk.stream))?;
        if followed.scopes.is_empty() {
            return Ok(());
        }
        let mut chunks = Vec::new();
        for (_, chunk) in spoken {
            let source = source_of(chunk.stream, &mut self.showing, self.views.as_mut())?;
            chunks.push((source, chunk));
        }
        self.shared.0.give(&Arc::new(Batch::of_texts(&chunks)?), &followed.scopes);
        Ok(())
    }

    /// Tells what calls and workers say of themselves, after the events that began them. After how
    /// long there is more.
    fn tell_live(&mut self) -> Option<Duration> {
        if self.shared.0.registry().lines.is_empty() {
            return None;
        }
        let (news, rest) = self.live.news();
        for said in &news {
            // Where the store cannot say whose it is, the next news will be told.
            if let Ok(Some(stream)) = self.views.workflow_of(said.task)
                && let Ok(source) = source_of(stream, &mut self.showing, self.views.as_mut())
                && let Some(batch) = Batch::live(source, said)
            {
                self.shared.0.mention(&Arc::new(batch), source);
            }
        }
        rest
    }

    /// From where on to read, if there is anything to read and anybody to read it for.
    fn next(&self, newest: u64) -> Option<u64> {
        let mut registry = self.shared.0.registry();
        if registry.lines.is_empty() {
            registry.position = registry.position.max(newest);
        }
        (registry.position < newest).then_some(registry.position)
    }

    /// Who follows something of some streams. Conversations are looked up only where somebody follows
    /// one: who comes later reads the journal.
    fn followed(&mut self, streams: impl Iterator<Item = u64>) -> Result<Followed, StoreError> {
        let streams: HashSet<u64> = streams.collect();
        let by_conversation = self.shared.0.registry().has_conversations();
        let mut followed = Followed::default();
        for stream in streams {
            let source = if by_conversation {
                source_of(stream, &mut self.showing, self.views.as_mut())?
            } else {
                Source { stream, conversation: None }
            };
            let registry = self.shared.0.registry();
            let scopes = source.scopes().filter(|scope| registry.follows(*scope));
            for scope in scopes {
                followed.scopes.insert(scope);
                followed.streams.insert(stream);
            }
        }
        Ok(followed)
    }
}

impl Registry {
    /// Whether somebody follows this.
    fn follows(&self, scope: Scope) -> bool {
        self.lines.range((scope, 0)..=(scope, u64::MAX)).next().is_some()
    }

    /// Whether somebody follows a conversation: those stand last.
    fn has_conversations(&self) -> bool {
        let last = self.lines.last_key_value().map(|((scope, _), _)| *scope);
        matches!(last, Some(Scope::Conversation(_)))
    }
}
