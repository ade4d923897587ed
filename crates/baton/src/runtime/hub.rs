//! The hub: hands newly committed events to whoever follows them.
//!
//! Bounded: a follower that is too slow is told so once, and reads what it missed from the store.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_engine::store::Record;

/// How many batches a follower may be behind before it has to read from the store.
const BACKLOG_MAX: usize = 256;

/// What a follower receives.
#[derive(Clone, Debug)]
pub enum News {
    /// Events just committed, in order.
    Records(Arc<[Record]>),
    /// Nothing came in the given time.
    Quiet,
    /// Some were left out: read the store from the last position seen.
    Behind,
    /// The owner has ended; nothing more will come from it.
    Over,
}

struct Follower {
    stream: Option<u64>,
    sender: SyncSender<Arc<[Record]>>,
    behind: Arc<Mutex<bool>>,
}

/// Hands events to followers.
#[derive(Default)]
pub struct Hub {
    followers: Mutex<Vec<Follower>>,
}

/// One follower's end.
#[derive(Debug)]
pub struct Subscription {
    receiver: Receiver<Arc<[Record]>>,
    behind: Arc<Mutex<bool>>,
}

impl Hub {
    /// Follows one stream, or all.
    pub fn subscribe(&self, stream: Option<u64>) -> Subscription {
        let (sender, receiver) = sync_channel(BACKLOG_MAX);
        let behind = Arc::new(Mutex::new(false));
        let follower = Follower {
            stream,
            sender,
            behind: Arc::clone(&behind),
        };
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(follower);
        Subscription { receiver, behind }
    }

    /// Hands out what was just committed.
    pub fn publish(&self, records: Vec<Record>) {
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if followers.is_empty() || records.is_empty() {
            return;
        }
        let all: Arc<[Record]> = records.into();
        followers.retain(|follower| follower.hand(&all));
    }

    /// Tells every follower that nothing more will come.
    pub fn close(&self) {
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Follower {
    /// Whether it is still there.
    fn hand(&self, all: &Arc<[Record]>) -> bool {
        let batch = match self.stream {
            None => Arc::clone(all),
            Some(stream) => all
                .iter()
                .filter(|record| record.stream == stream)
                .cloned()
                .collect(),
        };
        if batch.is_empty() {
            return true;
        }
        match self.sender.try_send(batch) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = true;
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Subscription {
    /// What comes next, within this time.
    pub fn next(&self, wait: Duration) -> News {
        if std::mem::take(&mut *self.behind.lock().unwrap_or_else(PoisonError::into_inner)) {
            while self.receiver.try_recv().is_ok() {}
            return News::Behind;
        }
        match self.receiver.recv_timeout(wait) {
            Ok(records) => News::Records(records),
            Err(RecvTimeoutError::Timeout) => News::Quiet,
            Err(RecvTimeoutError::Disconnected) => News::Over,
        }
    }
}
