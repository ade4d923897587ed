//! The two clocks beside each other: how far the journal's time, which follows the wall clock, has
//! gone ahead of the steady one since a workflow was looked at.
//!
//! Events carry the wall clock's time, as people expect of a journal, and a workflow's used time is
//! counted from them. What setting the clock took or gave is therefore recorded as an event of each
//! workflow with a time budget. Between two owners nobody looks: there the wall clock is believed.

use baton_core::workflow::Command;

use crate::engine::{Engine, Now};
use crate::live::Live;

/// What the clocks may differ by unrecorded, in milliseconds.
const AHEAD_MIN: u64 = 1_000;
/// And the share of its time budget that a workflow's may: one of so many.
const AHEAD_SHARE: u64 = 100;

/// How far a workflow's journal time has gone ahead, and when that was last looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead {
    seen: i64,
    ahead: i64,
}

impl Ahead {
    /// Looked at now for the first time.
    pub fn from(offset: i64) -> Self {
        Self { seen: offset, ahead: 0 }
    }

    /// What the clocks did since the last look counts while the workflow was busy.
    fn look(&mut self, offset: i64, is_busy: bool) {
        if is_busy {
            self.ahead += offset - self.seen;
        }
        self.seen = offset;
    }
}

/// The journal's time less the steady clock's, in milliseconds; it changes when the clock is set.
pub fn offset(now: &Now) -> i64 {
    now.moment.now.as_millis() - i64::try_from(now.uptime.as_millis()).unwrap_or(i64::MAX)
}

impl Live {
    /// Looks at the clocks, before anything changes whether the workflow is busy.
    pub(crate) fn look_at_clock(&mut self, now: &Now) {
        self.clock.look(offset(now), self.state.is_busy());
    }

    /// The run begins its count anew.
    pub(crate) fn reset_clock(&mut self, now: &Now) {
        self.clock = Ahead::from(offset(now));
    }

    /// Time the present run has used, by the steady clock.
    pub(crate) fn time_used(&mut self, now: &Now) -> std::time::Duration {
        self.look_at_clock(now);
        let by = std::time::Duration::from_millis(self.clock.ahead.unsigned_abs());
        let used = self.state.time_used(now.moment.now);
        match self.clock.ahead {
            0.. => used.saturating_sub(by),
            _ => used.saturating_add(by),
        }
    }

    fn is_worth_noting(&self) -> bool {
        let budget = self
            .state
            .plan
            .time_max
            .map_or(u64::MAX, |most| u64::try_from(most.0.as_millis()).unwrap_or(u64::MAX));
        self.clock.ahead.unsigned_abs() >= AHEAD_MIN.max(budget / AHEAD_SHARE)
    }
}

impl Engine {
    /// Records what the clocks did, where it matters: at once, so that a crash does not lose it.
    pub(crate) fn note_clock(&mut self) {
        let offset = offset(&self.now);
        if offset.abs_diff(self.offset) < AHEAD_MIN {
            return;
        }
        self.offset = offset;
        let mut numbers: Vec<u64> = self
            .lives
            .values_mut()
            .filter(|live| live.state.plan.time_max.is_some())
            .filter_map(|live| {
                live.look_at_clock(&self.now);
                live.is_worth_noting().then_some(live.number)
            })
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            let ahead_ms = self.lives.get(&number).map_or(0, |live| live.clock.ahead);
            // Refused where it is no longer busy: the next time it is, it is noted.
            if self.apply_own(number, &Command::NoteClock { ahead_ms }).is_ok()
                && let Some(live) = self.lives.get_mut(&number)
            {
                live.reset_clock(&self.now);
            }
        }
    }
}
