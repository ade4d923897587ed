//! The two clocks and the entropy of a moment, read from the system.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use baton_core::time::{Moment, Timestamp};
use baton_engine::engine::Now;

/// Reads the wall clock, the steady clock and the system's entropy.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    seed: RandomState,
    readings: u64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now(), seed: RandomState::new(), readings: 0 }
    }
}

impl SystemClock {
    /// The present moment.
    pub fn now(&mut self) -> Now {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let uptime = self.started.elapsed();
        self.readings += 1;
        // SipHash of a counter under the process's random key: unpredictable from outside.
        let mut hasher = self.seed.build_hasher();
        hasher.write_u64(self.readings);
        hasher.write_u128(since_epoch.as_nanos());
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Now { moment: Moment::new(Timestamp::from_millis(millis), hasher.finish()), uptime }
    }
}
