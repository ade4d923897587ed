//! How the edits of a plan look.

use utoipa::ToSchema;

use super::EditStatusWord;

/// An edit of the plan of a workflow.
#[derive(ToSchema)]
#[schema(as = Edit)]
pub(in crate::http) struct EditSchema {
    /// Its number, from 1.
    edit: u32,
    /// Where it stands.
    status: EditStatusWord,
    /// Who made it.
    by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The revision that it brought the workflow to.
    revision: u64,
    /// Who undid it.
    undone_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    undone_at: Option<String>,
    /// What it changes of the plan before it.
    changes: ChangesSchema,
}

/// What differs between a plan and the one before it.
#[derive(ToSchema)]
#[schema(as = Changes)]
struct ChangesSchema {
    /// Keys of new tasks, in the order of the plan.
    added: Vec<String>,
    /// Keys of tasks that are there no more.
    removed: Vec<String>,
    /// Keys of tasks that do something else, or stand in another stage.
    changed: Vec<String>,
    /// Fields of the definition that differ beside its tasks: `stages` where stages are others or the
    /// tasks have another order.
    fields: Vec<String>,
}
