//! Carries pages from the write-ahead log into the file, beside the owner and not in its way.
//!
//! A thread with its own connection copies the bulk; the owner then copies what was committed
//! meanwhile, so that the log is wholly carried over at one instant and starts over. Without that
//! second step a log under steady writing would grow for ever. No commit's durability rests on
//! this: the log is synced by the commit itself.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use baton_engine::store::StoreError;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use super::fault::{Fault, Place};
use super::open;

/// The log is carried over each time it has grown by this many pages of 4 KiB.
const PAGES_BETWEEN: u32 = 4_096;
/// Beyond this many pages a commit waits for a copy under way, so that the log stays bounded.
const PAGES_MAX: u32 = 2 * PAGES_BETWEEN;
/// An idle store leaves a log of at most this many pages.
const PAGES_IDLE_MAX: u32 = 1_024;
/// How long cutting the log waits for readers; the owner cannot commit meanwhile.
const IN_THE_WAY_MAX: Duration = Duration::from_millis(20);

#[derive(Clone, Copy)]
enum Order {
    /// Copy what can be copied without being in anybody's way.
    Copy,
    /// Copy everything and cut the log to nothing.
    Cut,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    ended: Condvar,
}

#[derive(Default)]
struct Work {
    /// An order is under way.
    ordered: bool,
    /// A copy has ended and the owner has not followed it up.
    copied: bool,
    /// Why the last one failed.
    failed: Option<StoreError>,
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> MutexGuard<'_, Work> {
        let under_way = |work: &mut Work| work.ordered;
        let waited = self.ended.wait_while(self.work(), under_way);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that carries pages over.
pub(crate) struct Checkpointer {
    log: Arc<AtomicU32>,
    /// The length of the log at which the next copy is ordered.
    next: u32,
    /// The longest the log has been since it was cut: its file is as long, though it starts over.
    longest: u32,
    shared: Arc<Shared>,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread for the store at this path.
    pub fn start(path: &Path) -> Result<Self, StoreError> {
        let (orders, inbox) = channel();
        let log = Arc::new(AtomicU32::new(0));
        let shared = Arc::new(Shared::default());
        let worker =
            Worker { path: path.to_path_buf(), log: Arc::clone(&log), shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || worker.run(&inbox))
            .map_err(|error| {
                StoreError::Unavailable(format!(
                    "no thread could be started for the store's upkeep: {error}; \
                     raise the limit of threads or processes"
                ))
            })?;
        let next = PAGES_BETWEEN;
        Ok(Self { log, next, longest: 0, shared, orders: Some(orders), thread: Some(thread) })
    }

    /// Where the owner's connection counts the log's pages.
    pub fn log(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.log)
    }

    /// Whether a copy has ended since the last time this was asked; waits for one under way when
    /// the log has become too long.
    pub fn take_copied(&self) -> bool {
        let too_long = self.log.load(Ordering::Acquire) >= PAGES_MAX;
        let mut work = if too_long { self.shared.wait() } else { self.shared.work() };
        std::mem::take(&mut work.copied)
    }

    /// Orders a copy when the log has grown enough.
    pub fn after_commit(&mut self) {
        let pages = self.log.load(Ordering::Acquire);
        self.longest = self.longest.max(pages);
        if pages < PAGES_BETWEEN {
            self.next = PAGES_BETWEEN;
        } else if pages >= self.next && self.order(Order::Copy) {
            // A reader may keep the log from starting over: do not copy at every commit then.
            self.next = pages.saturating_add(PAGES_BETWEEN);
        }
    }

    /// Leaves a short log behind, and says what went wrong in the background.
    pub fn idle(&mut self) -> Result<(), StoreError> {
        let long = self.longest.max(self.log.load(Ordering::Acquire));
        if long > PAGES_IDLE_MAX && self.order(Order::Cut) {
            self.longest = 0;
        }
        self.shared.work().failed.take().map_or(Ok(()), Err)
    }

    /// Orders that everything is carried over; whether that could be ordered now.
    pub fn cut(&mut self) -> bool {
        self.order(Order::Cut)
    }

    /// Waits until no order is under way.
    #[cfg(test)]
    pub fn wait(&self) {
        drop(self.shared.wait());
    }

    /// Gives an order unless one is under way; whether it was given.
    fn order(&self, order: Order) -> bool {
        let mut work = self.shared.work();
        let free = !work.ordered;
        if free {
            work.ordered = self.orders.as_ref().is_some_and(|to| to.send(order).is_ok());
        }
        free && work.ordered
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been reported by the runtime already.
            let _ = thread.join();
        }
    }
}

/// Carries over what was committed since the last copy, on the owner's own connection.
pub(crate) fn copy_rest(connection: &Connection) -> Result<(), Fault> {
    checkpoint(connection, CheckpointMode::PASSIVE).map(|_| ())
}

/// Carries everything over that an earlier owner left in the log, before anything is added to it.
///
/// If that owner ended because a sync failed, what it wrote last may be in the system's cache and
/// not on the disk, and no later sync of the log would write it: a commit behind it would be on
/// the disk and still be lost with the power, because a log is read up to its first gap.
pub(crate) fn start_over(connection: &Connection) -> Result<(), Fault> {
    checkpoint(connection, CheckpointMode::PASSIVE)?;
    connection.busy_timeout(IN_THE_WAY_MAX)?;
    let cut = checkpoint(connection, CheckpointMode::TRUNCATE);
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    cut.map(|_| ())
}

/// The pages in the log, unless another connection was in the way.
fn checkpoint(connection: &Connection, mode: CheckpointMode) -> Result<Option<u32>, Fault> {
    match connection.wal_checkpoint_v2(None::<&str>, mode) {
        Ok((pages, _)) => Ok(u32::try_from(pages).ok()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
        Err(error) => Err(Fault::from(error)),
    }
}

struct Worker {
    path: PathBuf,
    log: Arc<AtomicU32>,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(&self, inbox: &Receiver<Order>) {
        let mut connection = None;
        while let Ok(order) = inbox.recv() {
            let outcome = self.carry_out(order, &mut connection);
            let mut work = self.shared.work();
            work.ordered = false;
            match outcome {
                Ok(()) => work.copied |= matches!(order, Order::Copy),
                Err(fault) => {
                    work.failed = Some(Place::of(&self.path).of_fault(fault));
                    connection = None;
                }
            }
            self.shared.ended.notify_all();
        }
    }

    fn carry_out(&self, order: Order, kept: &mut Option<Connection>) -> Result<(), Fault> {
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let connection = open::owner(&self.path)?;
                connection.busy_timeout(IN_THE_WAY_MAX)?;
                kept.insert(connection)
            }
        };
        match order {
            Order::Copy => {
                checkpoint(connection, CheckpointMode::PASSIVE)?;
            }
            Order::Cut => {
                // The bulk first, without a lock: what is left for the locked part is little.
                checkpoint(connection, CheckpointMode::PASSIVE)?;
                if let Some(pages) = checkpoint(connection, CheckpointMode::TRUNCATE)? {
                    self.log.store(pages, Ordering::Release);
                }
            }
        }
        Ok(())
    }
}
