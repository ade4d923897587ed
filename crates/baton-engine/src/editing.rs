//! Edits of plans in review: the edited plan is made ready and takes the place of the one before,
//! together with all that follows from a plan.
//!
//! What may be edited, and when, is the machine's to say; how edits are shown is in `edits`.

use std::sync::Arc;

use baton_core::ids::WorkflowId;
use baton_core::workflow::edits::PlanEdit;
use baton_core::workflow::rows::workflow_card;
use baton_core::workflow::{Command, Event, Refusal};

use crate::engine::Engine;
use crate::exchange::{Declined, Edit};
use crate::loaded::Loaded;
use crate::request::Answer;
use crate::store::{Replanned, Store, StoreError};

impl Engine {
    /// Replaces the plan of a workflow in review.
    pub(crate) fn edit_plan(&mut self, edit: Edit, actor: u32, store: &mut dyn Store) -> Answer {
        let Edit { workflow, revision, loaded, inputs: (inputs, blob) } = edit;
        let number = self.find(workflow, store)?;
        let gone = Declined::Refused(Refusal::AlreadyEnded);
        let before = self.lives.get(&number).ok_or(gone)?.loaded.blob.hash;
        let (plan, hash) = (Arc::clone(&loaded.plan), loaded.blob.hash);
        let edit = PlanEdit { revision, plan, hash, before, inputs };
        let events = self.decided_edit(number, &Command::EditPlan(Box::new(edit)))?;
        self.staging.offer(blob);
        self.staging.offer(Some(loaded.blob.clone()));
        self.programs.insert(loaded.blob.hash, Arc::downgrade(&loaded));
        self.replan(number, loaded);
        self.record_edit(number, &events, actor, store)
    }

    /// Brings the plan back that was there before the newest edit.
    pub(crate) fn undo_edit(
        &mut self,
        (workflow, edit): (WorkflowId, u32),
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        let number = self.find(workflow, store)?;
        let events = self.decided_edit(number, &Command::UndoEdit { edit })?;
        let unread = |fault: StoreError| Declined::Store(fault.to_string());
        for hash in events.iter().filter_map(Event::new_plan) {
            let loaded = self.load_plan(hash, store).map_err(unread)?;
            self.replan(number, loaded);
        }
        self.record_edit(number, &events, actor, store)
    }

    fn decided_edit(&self, number: u64, command: &Command) -> Result<Vec<Event>, Declined> {
        let live = self.lives.get(&number).ok_or(Declined::Refused(Refusal::AlreadyEnded))?;
        live.state.decide(command, &self.now.moment).map_err(Declined::Refused)
    }

    /// Puts a plan in the place of a workflow's own, right before the event that tells of it.
    fn replan(&mut self, number: u64, loaded: Arc<Loaded>) {
        // Taken out, as its families are the engine's to work out.
        let Some(mut live) = self.lives.remove(&number) else {
            return;
        };
        live.state.replan(Arc::clone(&loaded.plan), Arc::clone(&loaded.graph));
        // What wanted to start were tasks of the plan before.
        self.queue.clear(number);
        self.ledger.close_family(live.state.id);
        live.families = self.families_of_new(&live.state);
        let card = workflow_card(&live.state, number, loaded.blob.hash);
        self.staging.replan(Replanned { number, plan: card.plan, scripted: card.scripted });
        live.loaded = loaded;
        self.lives.insert(number, live);
    }

    fn record_edit(
        &mut self,
        number: u64,
        events: &[Event],
        actor: u32,
        store: &mut dyn Store,
    ) -> Answer {
        for event in events {
            self.record(number, event, actor, 0);
        }
        self.settle(store);
        self.reply(number)
    }
}
