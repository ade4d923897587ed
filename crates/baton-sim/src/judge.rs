//! When the world is judged, and by what: after each commit, at each answer, at the end. The checks
//! themselves are beside.

use baton_core::workflow::{Event, TaskStarted};
use baton_engine::exchange::{Declined, Reply};
use baton_engine::live::read_event;
use baton_engine::store::Commit;

use crate::check;
use crate::ledger::{Violation, violation};
use crate::reading;
use crate::world::World;

impl World {
    /// What must hold after each commit.
    pub(crate) fn judge(&mut self, commit: &Commit) -> Result<(), Violation> {
        let mut states = Vec::new();
        for row in &commit.workflows {
            let Some(state) = check::rows_are_derived(&mut self.store, row.number)? else {
                continue;
            };
            if let Some(owner) = &self.owner {
                check::memory_is_the_fold(&owner.engine, row.number, &state)?;
            }
            states.push((row.number, state));
        }
        self.judge_talks(commit, &states)?;
        match &self.owner {
            Some(owner) => check::limits_hold(&owner.engine, self.settings.limits),
            None => Ok(()),
        }
    }

    /// No window holds more starts of a rate than it says: two in ten seconds, in storms. Between
    /// two owners the wall clock is believed, so nothing is promised where it jumps.
    pub(crate) fn judge_rate(&mut self, commit: &Commit, at: u64) -> Result<(), Violation> {
        if self.settings.rates.is_empty() || self.weather.jump > 0 || self.has_jumped {
            return Ok(());
        }
        for record in &commit.records {
            let Ok(Event::TaskStarted(TaskStarted { task, .. })) = read_event(record) else {
                continue;
            };
            let (state, _) = check::folded(&mut self.store, record.stream)?;
            let is_rated = state.task_plan(task).is_some_and(|plan| plan.rate_key.is_some());
            if is_rated && state.asked_call(task).is_none() {
                self.rated.push(at);
            }
        }
        let full = self.rated.windows(3).find(|three| matches!(three, [a, _, c] if c - a < 10_000));
        full.map_or(Ok(()), |starts| violation(format!("the rate was exceeded: {starts:?}")))
    }

    /// MP1: what is answered stands in the journal.
    pub(crate) fn is_durable(&self, answer: &Result<Reply, Declined>) -> Result<(), Violation> {
        let Ok(Reply::Workflow { number, revision, position, .. }) = answer else {
            return Ok(());
        };
        let row = reading::row(&self.store, *number);
        let stored = row.map_or(0, |(_, row)| row.revision);
        if stored >= *revision && reading::position(&self.store) >= *position {
            return Ok(());
        }
        violation(format!("{answer:?} was said, and revision {stored} stands"))
    }

    /// What must hold of everything in the store.
    pub fn judge_all(&mut self) -> Result<(), Violation> {
        for (card, _) in reading::rows(&self.store) {
            check::rows_are_derived(&mut self.store, card.number)?;
        }
        for row in reading::conversations(&self.store) {
            self.judge_talk(row.number)?;
        }
        Ok(())
    }
}
