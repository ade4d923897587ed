//! Reads again what the store did not give: its faults are no task's failure.
//!
//! What was to be rendered waits in memory and is tried again after a growing pause. A fault that
//! lasts ends the owner, as one of a commit does: nothing new can be done on such a store.

use std::time::Duration;

use crate::engine::Engine;
use crate::live::Reading;
use crate::store::{Store, StoreError};
use crate::timers::Due;

/// How often in a row the same thing may not be readable before the fault counts as lasting.
const READ_TRIES_MAX: u32 = 8;
/// The pause before the second try; it doubles with each. All of them take about a minute.
const READ_PAUSE: Duration = Duration::from_millis(500);

impl Engine {
    /// Plans another try to read, or ends the owner after the last one.
    pub(crate) fn read_later(&mut self, number: u64, reading: Reading, fault: StoreError) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let tries = live.unread.entry(reading).or_default();
        *tries += 1;
        if *tries >= READ_TRIES_MAX {
            return self.fault(fault);
        }
        let pause = READ_PAUSE.saturating_mul(1 << (*tries - 1));
        self.timers.after(self.now.uptime + pause, Due::Read(number, reading));
    }

    /// Tries again. What has moved on meanwhile does not start: that is asked when it would.
    pub(crate) fn read_again(&mut self, number: u64, reading: Reading, store: &mut dyn Store) {
        match reading {
            Reading::Task(task) => self.enqueue(number, &[task]),
            Reading::Output => {
                let Some(live) = self.lives.get_mut(&number) else {
                    return;
                };
                live.concluding = false;
                if live.state.is_settled() {
                    self.conclude(number, store);
                }
            }
        }
    }
}
