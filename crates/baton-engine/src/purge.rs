//! Purging: one event of the system stream, with a tombstone for each, takes the place of the
//! events of ended workflows.
//!
//! Their rows stay, with no events behind them; their tasks, events and uses of blobs go, the plan's
//! among them. What may be purged and when is the caller's policy, except that nothing goes that is
//! still needed.

use std::collections::{BTreeMap, BTreeSet};

use baton_core::body::{BlobHash, Body, Json};
use baton_core::workflow::rows::{Tombstone, workflow_card, workflow_row};
use baton_core::workflow::tombstones::Tombstones;
use baton_core::workflow::usage::UsageRow;
use baton_core::workflow::{BatchPurged, Event, Refusal, Waiting};

use crate::engine::Engine;
use crate::exchange::{Burial, Declined, Reply};
use crate::live::{fold, read_event};
use crate::request::Answer;
use crate::store::{Record, Store, StoreError};

impl Engine {
    /// Purges all of these or, where one cannot be, none. Those already purged are passed over.
    pub(crate) fn purge(
        &mut self,
        workflows: &[Burial],
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        let mut numbers = BTreeSet::new();
        for Burial { workflow, revision } in workflows {
            match self.find(*workflow, store) {
                Ok(number) => {
                    self.require_over(number, *revision, store)?;
                    numbers.insert(number);
                }
                Err(Declined::Purged(_)) => {}
                Err(declined) => return Err(declined),
            }
        }
        let (mut released, mut usage) = (BTreeMap::new(), Vec::new());
        for number in &numbers {
            let records = store.stream(*number).map_err(unread)?;
            count_uses(&records, &mut released)?;
            // Its books stay: a rebuild finds them with its tombstone.
            if self.lives.get(number).is_some_and(|live| !live.state.spent().is_none()) {
                usage.extend(store.usage(*number).map_err(unread)?);
            }
        }
        self.bury(&numbers, &usage, actor).map_err(unwritten)?;
        self.staging.released.extend(released);
        Ok(Reply::Purged(u32::try_from(numbers.len()).unwrap_or(u32::MAX)))
    }

    /// Refuses what has not ended on disk, and what a parent has yet to hear of.
    fn require_over(
        &mut self,
        number: u64,
        revision: Option<u64>,
        store: &mut dyn Store,
    ) -> Result<(), Declined> {
        let Some(live) = self.lives.get(&number) else {
            return Err(Declined::Refused(Refusal::NotEnded));
        };
        // An end of this very turn is not on disk yet, and its events would outlive the purge.
        if live.state.ended().is_none() || self.staging.touches(number) {
            return Err(Declined::Refused(Refusal::NotEnded));
        }
        if revision.is_some_and(|revision| revision != live.state.revision) {
            return Err(Declined::Refused(Refusal::StaleRevision));
        }
        let (workflow, parent) = (live.state.id, live.state.parent);
        let Some((parent, _)) = parent.and_then(|task| task.split()) else {
            return Ok(());
        };
        // A parent in memory heard of the end in the commit that made it.
        if self.ids.contains_key(&parent) {
            return Ok(());
        }
        let records = match store.number_of(parent).map_err(unread)? {
            Some(number) => store.stream(number).map_err(unread)?,
            None => return Ok(()),
        };
        let mut load = |hash| self.load_plan(hash, store);
        let waits =
            fold(&records, u64::MAX, &mut load).map_err(unread)?.is_some_and(|(state, _, _)| {
                let child =
                    |on: &Waiting| matches!(on, Waiting::Child { child } if *child == workflow);
                state.waiting().any(|(_, on)| child(on))
            });
        if waits {
            return Err(Declined::StillNeeded { workflow, parent });
        }
        Ok(())
    }

    fn bury(
        &mut self,
        numbers: &BTreeSet<u64>,
        usage: &[UsageRow],
        actor: u32,
    ) -> Result<(), serde_json::Error> {
        let tombstones: Vec<_> =
            numbers.iter().filter_map(|number| self.tombstone(*number)).collect();
        if tombstones.is_empty() {
            return Ok(());
        }
        let events = tombstones.iter().map(|tombstone| tombstone.row.revision).sum();
        let rows: Vec<_> = tombstones.iter().map(|tombstone| tombstone.row.clone()).collect();
        let (tombstones, blob) = Body::split(Json::from_serialize(&Tombstones(tombstones))?);
        self.staging.offer(blob);
        let usage = match usage {
            [] => None,
            rows => {
                let (body, blob) = Body::split(Json::from_serialize(&rows)?);
                self.staging.offer(blob);
                Some(body)
            }
        };
        let now = self.now.moment.now;
        let event = Event::from(BatchPurged { events, tombstones, usage });
        self.staging.append_system(&event, 0, actor, now);
        for row in rows {
            // Whatever this turn still asks of it must find it gone.
            self.forget(row.number);
            self.staging.purge(row.purged(now));
        }
        Ok(())
    }

    fn tombstone(&self, number: u64) -> Option<Tombstone> {
        let live = self.lives.get(&number)?;
        let plan = live.loaded.blob.hash;
        let card = workflow_card(&live.state, number, plan);
        Some(Tombstone { plan, card, row: workflow_row(&live.state, number, live.head) })
    }
}

fn unwritten(fault: serde_json::Error) -> Declined {
    Declined::Store(format!("what stays of the workflows cannot be written: {fault}"))
}

fn unread(fault: StoreError) -> Declined {
    Declined::Store(fault.to_string())
}

fn count_uses(records: &[Record], uses: &mut BTreeMap<BlobHash, u32>) -> Result<(), Declined> {
    for record in records {
        let event = read_event(record).map_err(unread)?;
        event.blobs(&mut |hash| *uses.entry(hash).or_default() += 1);
    }
    Ok(())
}
