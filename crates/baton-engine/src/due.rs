//! What happens when something is due: waits end, pauses are over, deadlines and budgets pass. When
//! that is, the timers know.

use std::time::Duration;

use baton_core::failure::CallFailure;
use baton_core::ids::Ordinal;
use baton_core::words::{AttemptStatus, FailureKind};
use baton_core::workflow::{Command, PauseCause, Phase, Resume, TaskPhase, Waiting};

use crate::engine::Engine;
use crate::store::Store;
use crate::timers::Due;

/// A budget is looked at no more often than this while its workflow waits for people.
const BUDGET_CHECK_MIN: Duration = Duration::from_millis(250);

impl Engine {
    pub(crate) fn count_anew(&mut self, number: u64) {
        if let Some(live) = self.lives.get_mut(&number) {
            live.reset_clock(&self.now);
        }
    }

    pub(crate) fn watch_budget(&mut self, number: u64) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        if let Some(most) = live.state.plan.time_max {
            let left = most.0.saturating_sub(live.time_used(&self.now));
            self.timers.after(self.now.uptime + left.max(BUDGET_CHECK_MIN), Due::Budget(number));
        }
    }

    /// Fires everything that is due.
    pub(crate) fn fire_timers(&mut self, store: &mut dyn Store) {
        while let Some(due) = self.timers.pop(self.now.uptime, self.wall) {
            match due {
                Due::Task(number, task, attempt) => self.fire_task(number, task, attempt),
                Due::CancelDeadline(number, run) => self.give_up_calls(number, run),
                Due::Budget(number) => self.check_budget(number),
                // Whoever may start now is let in at the end of the turn.
                Due::Rates => self.rates_due = None,
                Due::Schedules => self.fire_schedules(),
                Due::Read(number, reading) => self.read_again(number, reading, store),
            }
            self.settle(store);
        }
    }

    fn fire_task(&mut self, number: u64, task: Ordinal, attempt: u32) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        let Some(facts) = live.state.task(task).filter(|facts| facts.attempts == attempt) else {
            return;
        };
        match &facts.phase {
            TaskPhase::Waiting { on: Waiting::Timer { then: Resume::Retry, .. }, .. } => {
                self.enqueue(number, &[task]);
            }
            TaskPhase::Waiting { .. } => {
                // Refused when what it waits for is not time: the timer is an old one.
                let _ = self.apply_own(number, &Command::Elapse { task });
            }
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Completed { .. }
            | TaskPhase::Failed { .. }
            | TaskPhase::Skipped { .. }
            | TaskPhase::Cancelled { .. } => {}
        }
    }

    /// What did not end by the deadline of a cancellation is not waited for any longer.
    fn give_up_calls(&mut self, number: u64, run: u32) {
        let Some(live) = self.lives.get(&number) else {
            return;
        };
        if live.state.run != run || !matches!(live.state.phase, Phase::Cancelling { .. }) {
            return;
        }
        let state = &live.state;
        let overdue = state.executing().filter_map(|task| Some((task, state.task(task)?.attempts)));
        let commands: Vec<_> =
            overdue.map(|(task, attempt)| (number, overrun(task, attempt))).collect();
        self.follow_ups.extend(commands);
    }

    fn check_budget(&mut self, number: u64) {
        let Some(live) = self.lives.get_mut(&number) else {
            return;
        };
        let Some(most) = live.state.plan.time_max else {
            return;
        };
        let used = live.time_used(&self.now);
        if used >= most.0 {
            // Refused where the workflow is paused or ending already.
            let _ = self.apply_own(number, &Command::Pause { cause: PauseCause::TimeBudget });
        } else {
            self.watch_budget(number);
        }
    }
}

fn overrun(task: Ordinal, attempt: u32) -> Command {
    let failure = CallFailure::in_doubt(
        FailureKind::Cancelled,
        "told to stop, it did not end by the deadline",
    );
    Command::Fail { task, attempt, status: AttemptStatus::Cancelled, failure }
}
