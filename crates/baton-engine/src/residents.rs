//! Which workflows are in memory: loaded from the journal when somebody needs them, forgotten when
//! their run has ended. What they do there is not decided here.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use baton_core::body::BlobHash;
use baton_core::ids::WorkflowId;

use crate::engine::Engine;
use crate::exchange::Declined;
use crate::live::Live;
use crate::loaded::Loaded;
use crate::snapshot::take_up;
use crate::store::{Store, StoreError};

impl Engine {
    /// Brings back everything that has not ended and is not in memory.
    pub(crate) fn take_up_all(&mut self, store: &mut dyn Store) -> Result<u32, StoreError> {
        let mut numbers: Vec<u64> = store.live()?;
        numbers.retain(|number| !self.lives.contains_key(number));
        numbers.sort_unstable();
        let mut taken = Vec::new();
        for number in numbers {
            if self.load(number, store)? {
                taken.push(number);
            }
        }
        for number in &taken {
            self.revive_or_end(*number, store)?;
        }
        Ok(u32::try_from(taken.len()).unwrap_or(u32::MAX))
    }

    /// Forgets a workflow whose run has ended and nobody waits for.
    pub(crate) fn retire(&mut self, number: u64) {
        let over = self.lives.get(&number).is_some_and(|live| live.state.ended().is_some());
        if over {
            self.forget(number);
        }
    }

    /// Takes a workflow out of memory.
    pub(crate) fn forget(&mut self, number: u64) {
        if let Some(live) = self.lives.remove(&number) {
            self.ids.remove(&live.state.id);
            self.ledger.close_family(live.state.id);
            self.queue.forget(number);
        }
    }

    /// Takes a workflow up whole. One that is half taken up would wait for what never comes.
    pub(crate) fn revive_or_end(
        &mut self,
        number: u64,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        self.revive(number, store).inspect_err(|fault| self.fault(fault.clone()))
    }

    pub(crate) fn in_memory_or_load(&mut self, number: u64, store: &mut dyn Store) -> bool {
        if self.lives.contains_key(&number) {
            return true;
        }
        self.load(number, store).unwrap_or_else(|fault| {
            self.fault(fault);
            false
        })
    }

    /// Brings a workflow into memory; `false` where its events have been purged.
    pub(crate) fn load(&mut self, number: u64, store: &mut dyn Store) -> Result<bool, StoreError> {
        if self.staging.purges(number) {
            return Ok(false);
        }
        let programs = &mut self.programs;
        let mut load = |hash, store: &mut dyn Store| load_plan(programs, hash, store);
        let (taken, mark) = take_up(number, store, &mut load)?;
        let Some((mut state, loaded, head, calling)) = taken else {
            return Ok(false);
        };
        state.take_changed();
        let families = self.families_of((number, &state), store)?;
        self.ids.insert(state.id, number);
        let live = Live::new((number, head), state, loaded, &self.now);
        self.lives.insert(number, Live { mark, calling, families, ..live });
        Ok(true)
    }

    /// The plan of a hash, shared with every workflow that runs it.
    pub(crate) fn load_plan(
        &mut self,
        hash: BlobHash,
        store: &mut dyn Store,
    ) -> Result<Arc<Loaded>, StoreError> {
        // One that was admitted in this very turn is not in the store yet.
        let known = self.programs.get(&hash).is_some_and(|known| known.strong_count() > 0);
        if let Some(blob) = self.staging.offered_blob(hash).filter(|_| !known) {
            let staged = Loaded::from_blob(blob);
            return staged.map(Arc::new).map_err(|e| StoreError::Corrupt(e.to_string()));
        }
        load_plan(&mut self.programs, hash, store)
    }

    /// The number of a workflow, brought into memory if it is not there.
    pub(crate) fn find(&mut self, id: WorkflowId, store: &mut dyn Store) -> Result<u64, Declined> {
        if let Some(number) = self.ids.get(&id) {
            return Ok(*number);
        }
        let unread = |e: StoreError| Declined::Store(e.to_string());
        let number = store.number_of(id).map_err(unread)?.ok_or(Declined::NoSuchWorkflow(id))?;
        if self.load(number, store).map_err(unread)? {
            // It may have ended: then it is forgotten at the end of the turn.
            self.staging.workflows.push(number);
            if self.lives.get(&number).is_some_and(|live| live.state.ended().is_none()) {
                self.revive_or_end(number, store).map_err(unread)?;
                self.settle(store);
            }
            return Ok(number);
        }
        Err(Declined::Purged(id))
    }
}

fn load_plan(
    programs: &mut HashMap<BlobHash, Weak<Loaded>>,
    hash: BlobHash,
    store: &mut dyn Store,
) -> Result<Arc<Loaded>, StoreError> {
    if let Some(loaded) = programs.get(&hash).and_then(Weak::upgrade) {
        return Ok(loaded);
    }
    let blob = store
        .blob(hash)?
        .ok_or_else(|| StoreError::Corrupt(format!("the plan {hash} is missing")))?;
    let loaded = Loaded::from_blob(blob).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let loaded = Arc::new(loaded);
    programs.insert(hash, Arc::downgrade(&loaded));
    Ok(loaded)
}
