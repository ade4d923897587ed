//! Concurrency keys of agents over a change of owner: between two turns, and while its calls run, an
//! agent keeps the key that its first turn took. No event says which: it is rendered again.

use std::sync::Arc;

use baton_core::ids::Ordinal;
use baton_core::plan::TaskPlan;

use crate::engine::Engine;
use crate::exchange::Prepare;
use crate::live::read_blob;
use crate::scope::{Ingredients, Unrendered, render};
use crate::store::{Store, StoreError};

impl Engine {
    /// Gives the agents of a workflow that is taken up the keys they have.
    pub(crate) fn take_agents_keys(
        &mut self,
        number: u64,
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        let Some(live) = self.lives.get(&number) else {
            return Ok(());
        };
        let (state, priority) = (&live.state, live.state.priority);
        let is_keyed = |plan: &TaskPlan| plan.concurrency_key.is_some();
        if !state.plan.tasks.iter().any(is_keyed) {
            return Ok(());
        }
        let tasks = (0..).map(Ordinal).zip(state.tasks()).map(|(task, _)| task);
        let keyed = tasks.filter(|task| {
            state.is_between_turns(*task) && state.task_plan(*task).is_some_and(is_keyed)
        });
        for task in keyed.collect::<Vec<_>>() {
            if let Some(key) = self.key_again(number, task, store)? {
                // Taken where somebody began with it before this workflow was taken up: then both have it.
                let _ = self.queue.take_key(key, number, task, priority);
            }
        }
        Ok(())
    }

    /// The key of a task, as it was rendered before; what cannot be rendered any more has none.
    fn key_again(
        &mut self,
        number: u64,
        task: Ordinal,
        store: &mut dyn Store,
    ) -> Result<Option<String>, StoreError> {
        let Some(live) = self.lives.get_mut(&number) else {
            return Ok(None);
        };
        let item = live.item(task, store)?;
        let Some(facts) = live.state.task(task) else {
            return Ok(None);
        };
        let (of, rung, loaded) = (facts.of, facts.rung, Arc::clone(&live.loaded));
        let ingredients = Ingredients::gather(&live.state, loaded.program.references(of));
        let (ingredients, folder) = (ingredients.with_item(item), live.state.folder.clone());
        let run = live.state.run;
        let job = Prepare { number, task, run, of, rung, loaded, folder, ingredients };
        match render(&job, &mut |hash| read_blob(hash, store)) {
            Ok(ready) => Ok(ready.key),
            Err(Unrendered::Failed(_)) => Ok(None),
            Err(Unrendered::Unread(fault)) => Err(fault),
        }
    }
}
