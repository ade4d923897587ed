//! Timers in memory, rebuilt from state: when something is due, by two clocks.
//!
//! A span is measured by the steady clock, so that a jump of the wall clock neither shortens nor
//! lengthens it; a moment follows the wall clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use baton_core::ids::Ordinal;
use baton_core::time::Timestamp;

use crate::live::Reading;

/// How often the wall clock is looked at while something waits for a moment: a clock that was set
/// forward is noticed within this.
const WALL_CHECK: Duration = Duration::from_secs(15);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A waiting task's moment, or its pause before the next attempt.
    Task(u64, Ordinal, u32),
    /// The deadline of the cancellation of a workflow's run.
    CancelDeadline(u64, u32),
    /// A look at a workflow's time budget.
    Budget(u64),
    /// A rate lets somebody start.
    Rates,
    /// A schedule.
    Schedules,
    /// Another try to read what a workflow's templates name.
    Read(u64, Reading),
}

/// Everything that is due later.
#[derive(Debug, Default)]
pub struct Timers {
    steady: BinaryHeap<Reverse<(Duration, Due)>>,
    wall: BinaryHeap<Reverse<(Timestamp, Due)>>,
}

impl Timers {
    /// Due at this reading of the steady clock.
    pub fn after(&mut self, uptime: Duration, due: Due) {
        self.steady.push(Reverse((uptime, due)));
    }

    /// Due at this reading of the wall clock.
    pub fn at(&mut self, moment: Timestamp, due: Due) {
        self.wall.push(Reverse((moment, due)));
    }

    /// Takes the next thing that is due by now.
    pub fn pop(&mut self, uptime: Duration, now: Timestamp) -> Option<Due> {
        if self.steady.peek().is_some_and(|Reverse((at, _))| *at <= uptime) {
            return self.steady.pop().map(|Reverse((_, due))| due);
        }
        if self.wall.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            return self.wall.pop().map(|Reverse((_, due))| due);
        }
        None
    }

    /// How long from now nothing is due; `None` when nothing ever is.
    pub fn rest(&self, uptime: Duration, now: Timestamp) -> Option<Duration> {
        let steady = self.steady.peek().map(|Reverse((at, _))| at.saturating_sub(uptime));
        let wall = self.wall.peek().map(|Reverse((at, _))| at.since(now).min(WALL_CHECK));
        steady.into_iter().chain(wall).min()
    }
}
