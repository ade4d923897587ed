//! Families: a workflow whose budget covers its children, and theirs. Who belongs to which, and what a
//! family had used before it was taken up, as its journal tells.
//!
//! The accounts are the [`ledger`](crate::ledger)'s; what a shortage leads to is the machine's to say.

use std::sync::Arc;

use baton_core::agent::Spending;
use baton_core::ids::WorkflowId;
use baton_core::plan::{Plan, Work};
use baton_core::workflow::usage::UsageRow;
use baton_core::workflow::{Account, Event, TaskWaited, Waiting, WorkflowState};

use crate::engine::Engine;
use crate::ledger::amount;
use crate::live::{fold, read_event};
use crate::store::{Record, Store, StoreError};

/// Whether a workflow's budget covers others beside itself.
fn is_head(plan: &Plan) -> bool {
    let has_children = || plan.tasks.iter().any(|task| matches!(task.work, Work::Workflow(_)));
    !plan.budget.is_none() && has_children()
}

fn parent_of(state: &WorkflowState) -> Option<WorkflowId> {
    state.parent.and_then(|task| task.split()).map(|(parent, _)| parent)
}

/// The children that a workflow's present run has begun.
fn children(records: &[Record]) -> Result<Vec<WorkflowId>, StoreError> {
    let mut children = Vec::new();
    for record in records {
        let event = read_event(record)?;
        if let Event::TaskWaited(TaskWaited { on: Waiting::Child { child }, .. }) = event {
            children.push(child);
        } else if matches!(event, Event::Retried(_)) {
            children.clear();
        }
    }
    Ok(children)
}

impl Engine {
    /// The families of a workflow that is new.
    pub(crate) fn families_of_new(&mut self, state: &WorkflowState) -> Arc<[WorkflowId]> {
        let mut heads = Vec::new();
        if is_head(&state.plan) {
            self.ledger.open_family(state.id, state.plan.budget, Account::default());
            heads.push(state.id);
        }
        heads.extend(
            parent_of(state).and_then(|parent| self.families_here(parent)).iter().flatten(),
        );
        Arc::from(heads)
    }

    fn families_here(&self, id: WorkflowId) -> Option<Vec<WorkflowId>> {
        let live = self.ids.get(&id).and_then(|number| self.lives.get(number));
        live.map(|live| live.families.to_vec())
    }

    /// The families of a workflow that is taken up; what they have used is read where nobody knows it.
    pub(crate) fn families_of(
        &mut self,
        (number, state): (u64, &WorkflowState),
        store: &mut dyn Store,
    ) -> Result<Arc<[WorkflowId]>, StoreError> {
        let mut heads = Vec::new();
        if is_head(&state.plan) {
            self.know_family((number, state), store)?;
            heads.push(state.id);
        }
        let mut next = parent_of(state);
        while let Some(id) = next {
            if let Some(known) = self.families_here(id) {
                heads.extend(known);
                break;
            }
            let Some((number, parent, _)) = self.read(id, store)? else { break };
            // What has ended bounds nothing any more.
            if parent.ended().is_some() {
                break;
            }
            if is_head(&parent.plan) {
                self.know_family((number, &parent), store)?;
                heads.push(id);
            }
            next = parent_of(&parent);
        }
        Ok(Arc::from(heads))
    }

    /// A workflow as its events tell it, and those; `None` where they were purged.
    fn read(
        &mut self,
        id: WorkflowId,
        store: &mut dyn Store,
    ) -> Result<Option<(u64, WorkflowState, Vec<Record>)>, StoreError> {
        let Some(number) = store.number_of(id)? else { return Ok(None) };
        let records = store.stream(number)?;
        let folded = fold(&records, u64::MAX, &mut |hash| self.load_plan(hash, store))?;
        Ok(folded.map(|(state, ..)| (number, state, records)))
    }

    /// Opens the account of a family with what its head and all of its children have used.
    fn know_family(
        &mut self,
        (number, head): (u64, &WorkflowState),
        store: &mut dyn Store,
    ) -> Result<(), StoreError> {
        if self.ledger.has_family(head.id) {
            return Ok(());
        }
        let mut account = *head.account();
        let mut look =
            if head.ended().is_none() { children(&store.stream(number)?)? } else { Vec::new() };
        while let Some(id) = look.pop() {
            let nothing = Account::default();
            if let Some((_, child, records)) = self.read(id, store)? {
                account.follow(&nothing, child.account());
                look.extend(children(&records)?);
            } else if let Some(number) = store.number_of(id)? {
                // It was purged: of what it used, the books are left.
                let spent: Spending = store.usage(number)?.iter().map(UsageRow::spending).sum();
                account.follow(&nothing, &Account { used: amount(&spent), ..nothing });
            }
        }
        self.ledger.open_family(head.id, head.plan.budget, account);
        Ok(())
    }
}
