//! The hub: tells whoever follows a stream that something was committed, and up to where.
//!
//! It carries positions, not events: a follower reads the store from where it was, so that a slow
//! one costs nothing and misses nothing.

use std::sync::{Mutex, PoisonError};

use baton_engine::store::Record;

type News = Box<dyn FnMut(u64) -> bool + Send>;

/// Tells followers of commits.
#[derive(Default)]
pub struct Hub {
    followers: Mutex<Vec<(Option<u64>, News)>>,
}

impl Hub {
    /// Calls `news` with the newest position after each commit that touched the stream (any, where
    /// none is given), on the owner's thread, until it returns `false`.
    pub fn follow(&self, stream: Option<u64>, news: News) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push((stream, news));
    }

    /// Tells of what was just committed.
    pub fn publish(&self, records: &[Record]) {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(newest) = records.last().map(|record| record.position) else {
            return;
        };
        followers.retain_mut(|(stream, news)| {
            let touched =
                stream.is_none_or(|stream| records.iter().any(|record| record.stream == stream));
            !touched || news(newest)
        });
    }

    /// Lets every follower go.
    pub fn close(&self) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
