//! Waiting for one's turn at a model that has a limit. What the limit is, and whose turn it is, is
//! `limiter.rs`.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::Limit;
use crate::limiter::{Limiter, Ticket, Turn};

/// The queues of all models that have a limit.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_model: BTreeMap<String, Arc<Queue>>,
}

/// The queue before one model.
#[derive(Debug)]
pub(crate) struct Queue {
    limiter: Mutex<Limiter>,
    /// Somebody took, left or settled.
    changed: Notify,
}

/// A turn that was taken; it is settled when it is known what it used.
pub(crate) struct Taken {
    queue: Arc<Queue>,
    ticket: Ticket,
}

/// A place in the queue; who drops it leaves.
struct Waiting<'q> {
    queue: &'q Queue,
    ticket: Ticket,
}

impl Queues {
    /// One per limit.
    pub(crate) fn new(limits: &BTreeMap<String, Limit>) -> Self {
        let queue = |limit: &Limit| Queue {
            limiter: Mutex::new(Limiter::new(*limit)),
            changed: Notify::new(),
        };
        let by_model =
            limits.iter().map(|(model, limit)| (model.clone(), Arc::new(queue(limit)))).collect();
        Self { by_model }
    }

    /// Waits until a call of about so many tokens may be made. Where that takes longer than
    /// `patience`, `Err` says at once how long: a thread that waits is one less for others.
    pub(crate) async fn turn(
        &self,
        model: &str,
        tokens: impl FnOnce() -> u64,
        patience: Duration,
    ) -> Result<Option<Taken>, Duration> {
        let Some(queue) = self.by_model.get(model) else {
            return Ok(None);
        };
        let (tokens, ticket) = (tokens(), queue.limiter().queue());
        let waiting = Waiting { queue, ticket };
        let deadline = Instant::now() + patience;
        loop {
            let mut changed = pin!(queue.changed.notified());
            changed.as_mut().enable();
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let turn = queue.limiter().take(waiting.ticket, tokens, now);
            match turn {
                Turn::Now => return Ok(Some(Taken { queue: Arc::clone(queue), ticket })),
                Turn::After(pause) if pause > left => return Err(pause),
                Turn::After(pause) => {
                    let _ = tokio::time::timeout(pause, changed).await;
                }
                Turn::Queued => {
                    // Who is first knows how long; behind it, it is not known.
                    if tokio::time::timeout(left, changed).await.is_err() {
                        return Err(Duration::from_secs(60));
                    }
                }
            }
        }
    }
}

impl Queue {
    fn limiter(&self) -> MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// What the call really used.
    pub(crate) fn settle(self, tokens: u64) {
        self.queue.limiter().settle(self.ticket, tokens);
        self.queue.changed.notify_waiters();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.limiter().leave(self.ticket);
        self.queue.changed.notify_waiters();
    }
}
