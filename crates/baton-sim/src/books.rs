//! CH8 in the simulator: after every commit the books hold what the journal tells, and every sum of
//! them is the same.

use baton_core::agent::Spending;
use baton_core::body::BlobHash;
use baton_core::codes::Code;
use baton_core::words::UsageBy;
use baton_core::workflow::usage::{UsageRow, usage_row};
use baton_core::workflow::{Event, WorkflowState};
use baton_engine::live::read_event;
use baton_engine::loaded::Loaded;
use baton_engine::store::{Record, Store, UsageFilter, Views};
use baton_store::memory::MemoryStore;

use crate::check::unread;
use crate::ledger::{Violation, violation};

/// The rows of a workflow are those that follow from its events, and add up to what its state keeps.
pub fn books_are_kept(
    store: &mut MemoryStore,
    number: u64,
    (records, state): (&[Record], &WorkflowState),
) -> Result<(), Violation> {
    let told = told(store, number, records)?;
    let kept = store.usage(number).map_err(unread)?;
    if told != kept {
        return violation(format!("ch8: booked is {kept:?}, the journal says {told:?}"));
    }
    let of_rows: Spending = kept.iter().map(UsageRow::spending).sum();
    if of_rows != state.spent() {
        return violation(format!("ch8: the rows are {of_rows:?}, the state {:?}", state.spent()));
    }
    let mut views = store.views();
    let tasks = views.usage_of_tasks(number).map_err(unread)?;
    let of_tasks: Spending = tasks.iter().map(|task| task.spending).sum();
    if of_tasks != of_rows {
        return violation(format!("ch8: the tasks are {of_tasks:?}, the workflow {of_rows:?}"));
    }
    for by in UsageBy::ALL.iter().copied().map(Some).chain([None]) {
        let workflows = vec![number];
        let all = UsageFilter { by, workflows, limit: u32::MAX, ..UsageFilter::default() };
        let sums = views.usage(&all).map_err(unread)?;
        let sum: Spending = sums.iter().map(|(_, sum)| *sum).sum();
        if sum != of_rows {
            return violation(format!("ch8: by {by:?} it is {sum:?}, the workflow {of_rows:?}"));
        }
    }
    Ok(())
}

/// The rows that the events of a workflow lead to.
fn told(
    store: &mut MemoryStore,
    number: u64,
    records: &[Record],
) -> Result<Vec<UsageRow>, Violation> {
    let mut state: Option<WorkflowState> = None;
    let mut rows = Vec::new();
    for record in records {
        let event = read_event(record).map_err(unread)?;
        if let Some(state) = &mut state {
            rows.extend(usage_row(state, number, &event, (record.position, record.at)));
            if let Some(plan) = event.new_plan() {
                let Loaded { plan, graph, .. } = loaded(store, plan)?;
                state.replan(plan, graph);
            }
            state.evolve(&event, record.at);
        } else if let Event::Admitted(admitted) = &event {
            let Loaded { plan, graph, .. } = loaded(store, admitted.plan)?;
            state = Some(WorkflowState::admitted(admitted, plan, graph, record.at));
        }
    }
    Ok(rows)
}

fn loaded(store: &mut MemoryStore, plan: BlobHash) -> Result<Loaded, Violation> {
    let blob = store.blob(plan).map_err(unread)?;
    let loaded = blob.and_then(|blob| Loaded::from_blob(blob).ok());
    loaded.ok_or_else(|| Violation("there is no plan".to_owned()))
}
