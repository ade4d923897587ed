//! Schedules: when each is due next, and what becomes of moments that passed unseen.
//!
//! A moment is fired for once, however the wall clock is set: what was looked at is not looked at again. How
//! far each came is a fact that follows from its firings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::fact::{LastDue, schedule_key};
use baton_core::plan::{Occasion, Plan};
use baton_core::schedule::{Schedule, zone};
use baton_core::time::Timestamp;
use baton_core::words::{FactKind, Missed};
use baton_core::workflow::FiringCause;
use serde_json::json;

use crate::engine::Engine;
use crate::loaded::Loaded;
use crate::store::{DefinitionRow, Store, StoreError};
use crate::timers::Due;
use crate::triggers::Firing;

/// The most moments of one schedule that fire at once.
pub const MISSED_MAX: usize = 100;
/// A moment that is seen this late was not missed: a busy or restarting owner is not away.
pub const LATE_MAX: Duration = Duration::from_secs(60);

/// One schedule as it goes on.
#[derive(Debug)]
pub(crate) struct Clockwork {
    schedule: Schedule,
    missed: Missed,
    /// Up to this moment everything was looked at.
    seen: Timestamp,
    /// When it is due next.
    due: Option<Timestamp>,
}

impl Clockwork {
    fn new(schedule: Schedule, missed: Missed, seen: Timestamp) -> Self {
        let due = schedule.after(seen);
        Self { schedule, missed, seen, due }
    }

    /// The moments to fire for, now that it is so late, oldest first.
    fn take(&mut self, now: Timestamp) -> Vec<Timestamp> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        let late = i64::try_from(LATE_MAX.as_millis()).unwrap_or(i64::MAX);
        let edge = Timestamp::from_millis(now.as_millis().saturating_sub(late)).max(self.seen);
        let in_time = self.schedule.between(edge, now, MISSED_MAX);
        let most = match self.missed {
            Missed::Skip => 0,
            Missed::Once => usize::from(in_time.is_empty()),
            Missed::All => MISSED_MAX - in_time.len(),
        };
        let mut moments = self.schedule.between(self.seen, edge, most);
        moments.extend(in_time);
        self.seen = now;
        self.due = self.schedule.after(now);
        moments
    }
}

/// The schedule of a trigger that has one; a plan whose schedule this version cannot read has none.
pub fn schedule_of(plan: &Plan, trigger: usize) -> Option<(Schedule, Missed)> {
    match &plan.triggers.get(trigger)?.on {
        Occasion::Event { .. } => None,
        Occasion::Schedule { cron, zone: name, missed } => {
            Some((Schedule::read(cron, zone(name).ok()?).ok()?, *missed))
        }
    }
}

impl Engine {
    /// The schedules of a definition, each from where it came to.
    pub(crate) fn clockworks(
        &self,
        row: &DefinitionRow,
        loaded: &Loaded,
        store: &mut dyn Store,
    ) -> Result<BTreeMap<usize, Clockwork>, StoreError> {
        let mut clockworks = BTreeMap::new();
        for index in 0..loaded.plan.triggers.len() {
            let Some((schedule, missed)) = schedule_of(&loaded.plan, index) else {
                continue;
            };
            let key = schedule_key(&row.name, u32::try_from(index).unwrap_or(u32::MAX));
            let staged = self.staging.fact(FactKind::Schedule, &key).cloned();
            let fact = match staged {
                Some(fact) => Some(fact),
                None => store.fact(FactKind::Schedule, &key)?,
            };
            let last = fact.and_then(|fact| LastDue::read(&fact.value));
            // What was due before this version was registered is not its own.
            let seen = match last {
                Some(last) if last.version == row.version => last.due.max(row.at),
                Some(_) | None => row.at,
            };
            clockworks.insert(index, Clockwork::new(schedule, missed, seen));
        }
        Ok(clockworks)
    }

    /// From now on, starts what schedules ask for.
    pub(crate) fn keep_time(&mut self) {
        self.triggers.keeps_time = true;
        self.watch_schedules();
    }

    /// Sets the timer for the schedule that is due next.
    pub(crate) fn watch_schedules(&mut self) {
        if !self.triggers.keeps_time {
            return;
        }
        let armed = self.triggers.armed.values();
        let due = armed.flat_map(|armed| armed.clockworks.values().filter_map(|it| it.due)).min();
        if let Some(due) = due.filter(|due| self.triggers.timer.is_none_or(|set| *due < set)) {
            self.triggers.timer = Some(due);
            self.timers.at(due, Due::Schedules);
        }
    }

    /// Fires what is due; nothing while nothing new may start, and then it is made up for.
    pub(crate) fn fire_schedules(&mut self) {
        self.triggers.timer = None;
        if self.draining {
            return;
        }
        let actor = self.own_actor();
        let mut firings = Vec::new();
        for (name, armed) in &mut self.triggers.armed {
            for (trigger, clockwork) in &mut armed.clockworks {
                firings.extend(clockwork.take(self.wall).into_iter().map(|due| Firing {
                    definition: name.clone(),
                    trigger: *trigger,
                    cause: FiringCause::Schedule { due },
                    position: 0,
                    what: Arc::new(json!({ "due": due })),
                    hops: 0,
                    actor,
                }));
            }
        }
        for firing in &firings {
            self.fire(firing);
        }
        self.watch_schedules();
    }
}
