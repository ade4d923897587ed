//! The thread that follows the journal and sends what has ended to the collector.
//!
//! The journal is its queue: while the collector is away it stops reading, so that it holds one batch
//! and no more, whatever happens meanwhile. Nobody waits for it but who closes it, and that in a bound.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel,
};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use baton_core::time::Timestamp;
use baton_engine::meters::Meters;
use baton_engine::ports::Door;
use baton_engine::store::{StoreError, Views};

use crate::metrics::Figures;
use crate::otlp;
use crate::sender::{Sender, Sent};
use crate::settings::Settings;
use crate::span::Span;
use crate::tally::Tally;
use crate::tracer::Tracer;

/// How many spans are sent at a time.
const BATCH: usize = 512;
/// How long spans wait for others to go with them.
const LINGER: Duration = Duration::from_secs(1);
/// How many events are read at a time.
const EVENTS_AT_ONCE: u32 = 256;
/// How far it may be behind the journal, in events, before what lies between is left out.
const BEHIND_MAX: u64 = 1_000_000;
/// How often figures are sent.
const FIGURES_EVERY: Duration = Duration::from_secs(60);
/// How long one message may take.
const SEND_MAX: Duration = Duration::from_secs(10);
/// The pause before the second try; it doubles each time.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, whatever the collector asks for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often a message is tried at the end: a connection that was kept may have been closed.
const LAST_TRIES: u32 = 2;

/// Takes what an operator should know: a sentence and its cause. It must return at once.
pub type Warn = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// What is followed.
pub struct Source<'d> {
    /// The owner, for news of its commits.
    pub door: &'d dyn Door,
    /// What it counts.
    pub meters: Arc<Meters>,
    /// A reader of its store, for nobody else.
    pub views: Box<dyn Views>,
}

/// Sends traces and metrics of an owner. Dropped without [`Exporter::close`], it stops when the owner
/// has ended, and leaves what it has not sent.
pub struct Exporter {
    shared: Arc<Shared>,
    ring: SyncSender<()>,
    over: Receiver<()>,
    warn: Warn,
}

#[derive(Default)]
struct Shared {
    newest: AtomicU64,
    /// Until when it may go on.
    closing: OnceLock<Instant>,
}

impl Exporter {
    /// Begins to follow: what is committed from now on is sent. An error says that there is no thread
    /// or that the store cannot be read.
    pub fn start(settings: Settings, source: Source<'_>, warn: Warn) -> io::Result<Self> {
        let Source { door, meters, mut views } = source;
        let (ring, bell) = sync_channel(1);
        let (held, over) = channel();
        let shared = Arc::new(Shared::default());
        let (told, rung) = (Arc::clone(&shared), ring.clone());
        // Followed first: what is committed before the head is read is told of in vain.
        door.follow(None, Box::new(move |position| told.tell(position, &rung)));
        let position = views.head().map_err(io::Error::other)?.position;
        let mut work = Work {
            shared: Arc::clone(&shared),
            views,
            tracer: Tracer::new(settings.content),
            tally: Tally::default(),
            meters,
            sender: Sender::new(settings),
            warn: Arc::clone(&warn),
            position,
            pending: Vec::new(),
            linger_until: None,
            away: None,
            is_told: false,
            figures_due: Instant::now() + FIGURES_EVERY,
            began: now(),
        };
        std::thread::Builder::new().name("telemetry".to_owned()).spawn(move || {
            work.follow(&bell);
            // Whoever closes it hears that it is over.
            drop(held);
        })?;
        Ok(Self { shared, ring, over, warn })
    }

    /// Sends what is left, and stops. To be called when nothing is committed any more; it returns within
    /// the time given, and says of what was not taken that it was not.
    pub fn close(self, within: Duration) {
        // It is set once, as this is consumed.
        let _ = self.shared.closing.set(Instant::now() + within);
        wake(&self.ring);
        if self.over.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
            let cause = "the collector takes too long to answer";
            (self.warn)("not all spans were delivered; the journal has what they say", cause);
        }
    }
}

impl Shared {
    fn tell(&self, position: u64, ring: &SyncSender<()>) -> bool {
        self.newest.store(position, Ordering::Release);
        wake(ring)
    }
}

/// Whether the thread is still there. One ring that it has not answered yet stands for all.
fn wake(ring: &SyncSender<()>) -> bool {
    !matches!(ring.try_send(()), Err(TrySendError::Disconnected(())))
}

/// The thread's side.
struct Work {
    shared: Arc<Shared>,
    views: Box<dyn Views>,
    tracer: Tracer,
    tally: Tally,
    meters: Arc<Meters>,
    sender: Sender,
    warn: Warn,
    /// Everything up to here has become spans.
    position: u64,
    /// Spans that the collector has not taken.
    pending: Vec<Span>,
    /// Until when these wait for others.
    linger_until: Option<Instant>,
    /// Set while the collector, or the store, is out of reach.
    away: Option<Away>,
    /// Whether an operator was told that nothing can be delivered, since something last was.
    is_told: bool,
    figures_due: Instant,
    began: Timestamp,
}

/// When to try again.
#[derive(Clone, Copy)]
struct Away {
    until: Instant,
    pause: Duration,
}

impl Work {
    /// Follows until it is closed.
    fn follow(&mut self, bell: &Receiver<()>) {
        loop {
            let rung = bell.recv_timeout(self.rest());
            let closing = self.shared.closing.get().copied();
            if rung == Err(RecvTimeoutError::Disconnected) && closing.is_none() {
                return;
            }
            let reached = self.catch_up().and_then(|()| self.deliver(closing));
            let reached = reached.and_then(|()| self.tell_figures(closing));
            if closing.is_some() {
                return self.part(reached.err());
            }
            match reached {
                Err(cause) => self.step_back(&cause),
                // There is nothing to try again.
                Ok(()) if self.pending.is_empty() => self.away = None,
                Ok(()) => {}
            }
        }
    }

    /// How long there is nothing to do unless somebody rings.
    fn rest(&self) -> Duration {
        let next = match (self.away, self.linger_until) {
            (Some(away), _) => Some(away.until),
            (None, linger) => linger,
        };
        let next = next.map_or(self.figures_due, |next| next.min(self.figures_due));
        next.saturating_duration_since(Instant::now())
    }

    /// Makes spans of what was committed, up to about a batch of them.
    fn catch_up(&mut self) -> Result<(), Cause> {
        while self.pending.len() < BATCH {
            let newest = self.shared.newest.load(Ordering::Acquire);
            if self.position >= newest {
                break;
            }
            if newest - self.position > BEHIND_MAX {
                self.tracer.forget();
                (self.warn)("spans are left out", "the collector was away for too many events");
                self.position = newest;
                break;
            }
            self.read(newest).map_err(|fault| Cause::of_store(&fault))?;
        }
        if !self.pending.is_empty() && self.linger_until.is_none() {
            self.linger_until = Some(Instant::now() + LINGER);
        }
        Ok(())
    }

    fn read(&mut self, newest: u64) -> Result<(), StoreError> {
        let records = self.views.events(self.position, None, EVENTS_AT_ONCE)?;
        if records.first().is_none_or(|first| first.position > newest) {
            // What lay between was purged.
            self.position = newest;
        }
        // What lies behind may be another owner's, who tells of it.
        for record in records.iter().take_while(|record| record.position <= newest) {
            match self.tracer.see(record, self.views.as_mut()) {
                Ok(spans) => {
                    spans.iter().for_each(|span| self.tally.count(span));
                    self.pending.extend(spans);
                }
                // What cannot be understood now never will be.
                Err(StoreError::Corrupt(why)) => (self.warn)("an event has no span", &why),
                Err(fault @ (StoreError::Unavailable(_) | StoreError::Conflict(_))) => {
                    return Err(fault);
                }
            }
            self.position = record.position;
        }
        Ok(())
    }

    /// Sends batches that are full or have waited; at the end all there is.
    fn deliver(&mut self, closing: Option<Instant>) -> Result<(), Cause> {
        while !self.pending.is_empty() {
            let now = Instant::now();
            let waited = self.linger_until.is_some_and(|until| until <= now);
            let is_due = closing.is_some() || self.pending.len() >= BATCH || waited;
            let is_held = closing.is_none() && self.away.is_some_and(|away| away.until > now);
            if !is_due || is_held {
                break;
            }
            let count = self.pending.len().min(BATCH);
            let batch = self.pending.get(..count).unwrap_or_default();
            let message = otlp::traces(self.sender.settings(), batch);
            self.send("/v1/traces", &message, closing)?;
            self.pending.drain(..count);
            self.linger_until = None;
            self.catch_up()?;
        }
        Ok(())
    }

    /// Sends what is counted, when it is time.
    fn tell_figures(&mut self, closing: Option<Instant>) -> Result<(), Cause> {
        if closing.is_none() && Instant::now() < self.figures_due {
            return Ok(());
        }
        self.figures_due = Instant::now() + FIGURES_EVERY;
        let (meters, tally, began) = (&self.meters, &self.tally, self.began);
        let all = Figures { meters, tally, began, now: now() }.all();
        let message = otlp::metrics(self.sender.settings(), all);
        self.send("/v1/metrics", &message, closing)
    }

    /// Sends a message. What the collector will never take is let go of.
    fn send(
        &mut self,
        path: &str,
        message: &impl prost::Message,
        closing: Option<Instant>,
    ) -> Result<(), Cause> {
        let tries = if closing.is_some() { LAST_TRIES } else { 1 };
        let mut cause = Cause { why: "there was no time left".to_owned(), after: None };
        for _ in 0..tries {
            let left = closing.map(|until| until.saturating_duration_since(Instant::now()));
            let within = left.map_or(SEND_MAX, |left| left.min(SEND_MAX));
            if within.is_zero() {
                break;
            }
            let trouble = match self.sender.send(path, message, within) {
                Sent::Taken(trouble) => trouble,
                Sent::Refused(why) => Some(why),
                Sent::Later(why, after) => {
                    cause = Cause { why, after };
                    continue;
                }
            };
            (self.away, self.is_told) = (None, false);
            if let Some(why) = trouble {
                (self.warn)(&format!("not all of it was taken: {path}"), &why);
            }
            return Ok(());
        }
        Err(cause)
    }

    /// Waits before the next try, longer each time; says so once.
    fn step_back(&mut self, cause: &Cause) {
        let pause = match self.away {
            Some(away) => (away.pause * 2).min(PAUSE_MAX),
            None => PAUSE,
        };
        if !self.is_told {
            self.is_told = true;
            let sentence = "telemetry cannot be delivered; it is tried again";
            (self.warn)(sentence, &self.explained(cause));
        }
        let wait = pause.max(cause.after.unwrap_or_default()).min(PAUSE_MAX);
        self.away = Some(Away { until: Instant::now() + wait, pause });
    }

    /// Says what was not delivered.
    fn part(&self, cause: Option<Cause>) {
        let is_behind = self.position < self.shared.newest.load(Ordering::Acquire);
        if let Some(cause) = cause.filter(|_| is_behind || !self.pending.is_empty()) {
            let sentence = "not all spans were delivered; the journal has what they say";
            (self.warn)(sentence, &self.explained(&cause));
        }
    }

    fn explained(&self, cause: &Cause) -> String {
        format!("{}: {}", self.sender.settings().endpoint(), cause.why)
    }
}

/// Why something has to be tried again, and after which pause at the earliest.
struct Cause {
    why: String,
    after: Option<Duration>,
}

impl Cause {
    fn of_store(fault: &StoreError) -> Self {
        Self { why: fault.to_string(), after: None }
    }
}

/// The time by this machine's clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
