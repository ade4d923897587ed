//! The owner's inbox: many hands put in, one takes all there is at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A queue whose taker gets everything that has arrived.
#[derive(Debug)]
pub struct Inbox<T> {
    arrived: Mutex<Vec<T>>,
    bell: Condvar,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { arrived: Mutex::new(Vec::new()), bell: Condvar::new() }
    }
}

impl<T> Inbox<T> {
    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A poisoned queue is whole: pushes and takes do not panic half-way.
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one thing in.
    pub fn push(&self, thing: T) {
        let mut arrived = self.lock();
        arrived.push(thing);
        drop(arrived);
        self.bell.notify_one();
    }

    /// Puts many things in at once.
    pub fn extend(&self, things: Vec<T>) {
        if things.is_empty() {
            return;
        }
        let mut arrived = self.lock();
        arrived.extend(things);
        drop(arrived);
        self.bell.notify_one();
    }

    /// Takes everything, waiting for the first at most this long; for ever without a limit.
    pub fn take(&self, wait: Option<Duration>) -> Vec<T> {
        self.take_at_least(1, wait)
    }

    /// Takes everything once `count` things are there, or this much time has passed.
    pub fn take_at_least(&self, count: usize, wait: Option<Duration>) -> Vec<T> {
        let deadline = wait.map(|wait| Instant::now() + wait);
        let mut arrived = self.lock();
        while arrived.len() < count {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    let (guard, _) = self
                        .bell
                        .wait_timeout(arrived, left)
                        .unwrap_or_else(PoisonError::into_inner);
                    arrived = guard;
                }
                None => arrived = self.bell.wait(arrived).unwrap_or_else(PoisonError::into_inner),
            }
        }
        std::mem::take(&mut *arrived)
    }
}
