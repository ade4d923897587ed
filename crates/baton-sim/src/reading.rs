//! What checks and people read of the store: through the views that every reader has.
//!
//! A store in memory is always readable; what it does not have reads as nothing.

use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::WorkflowId;
use baton_core::words::WorkflowStatus;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{ConversationFilter, Filter, Store, Views};
use baton_store::memory::MemoryStore;

/// Every workflow, oldest first.
pub fn rows(store: &MemoryStore) -> Vec<(WorkflowCard, WorkflowRow)> {
    let filter = Filter { limit: u32::MAX, ..Filter::default() };
    let mut rows = store.views().list(&filter).unwrap_or_default();
    rows.sort_by_key(|(card, _)| card.number);
    rows
}

/// One workflow.
pub fn row(store: &MemoryStore, number: u64) -> Option<(WorkflowCard, WorkflowRow)> {
    let mut views = store.views();
    let id = views.id_of(number).ok()??;
    views.workflow(id).ok()?
}

/// How far the workflow with this id is.
pub fn status(store: &MemoryStore, id: WorkflowId) -> Option<WorkflowStatus> {
    store.views().workflow(id).ok()?.map(|(_, row)| row.status)
}

/// Every conversation, oldest first.
pub fn conversations(store: &MemoryStore) -> Vec<ConversationRow> {
    let filter = ConversationFilter { limit: u32::MAX, ..ConversationFilter::default() };
    let mut rows = store.views().conversations(&filter).unwrap_or_default();
    rows.sort_by_key(|row| row.number);
    rows
}

/// The rows of a workflow's tasks.
pub fn tasks(store: &MemoryStore, number: u64) -> Vec<TaskRow> {
    store.views().tasks(number).unwrap_or_default()
}

/// The position of the newest event.
pub fn position(store: &MemoryStore) -> u64 {
    store.clone().head().map_or(0, |head| head.position)
}
