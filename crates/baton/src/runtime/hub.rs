//! The hub: tells whoever follows a stream that something was committed, and up to where.
//!
//! It carries positions, not events: a follower reads the store from where it was, so that a slow
//! one costs nothing and misses nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use baton_engine::store::Record;

type News = Box<dyn FnMut(u64) -> bool + Send>;

/// Tells followers of commits.
pub struct Hub {
    /// None from the owner's end on.
    followers: Mutex<Option<Followers>>,
}

type Followers = Vec<(Option<u64>, News)>;

impl Default for Hub {
    fn default() -> Self {
        Self { followers: Mutex::new(Some(Vec::new())) }
    }
}

impl Hub {
    fn followers(&self) -> MutexGuard<'_, Option<Followers>> {
        // It is whole between any two statements.
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `news` with the newest position after each commit that touched the stream (any, where
    /// none is given), on the owner's thread, until it returns `false`.
    pub fn follow(&self, stream: Option<u64>, news: News) {
        if let Some(followers) = self.followers().as_mut() {
            followers.push((stream, news));
        }
    }

    /// Tells of what was just committed.
    pub fn publish(&self, records: &[Record]) {
        let mut followers = self.followers();
        let (Some(followers), Some(newest)) = (followers.as_mut(), records.last()) else {
            return;
        };
        let newest = newest.position;
        followers.retain_mut(|(stream, news)| {
            let touched =
                stream.is_none_or(|stream| records.iter().any(|record| record.stream == stream));
            !touched || news(newest)
        });
    }

    /// Lets every follower go, now and later.
    pub fn close(&self) {
        *self.followers() = None;
    }
}
