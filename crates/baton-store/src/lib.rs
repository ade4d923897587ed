//! Baton's stores: memory, SQLite and PostgreSQL behind the engine's one port.
//!
//! A store writes what it is given and reads it back as plain values. It matches on no state,
//! command or event: what they mean is core's business, and which may follow is the machines'.

mod chain;
pub mod chunks;
#[cfg(test)]
mod conformance;
mod conversation;
mod listing;
pub mod memory;
pub mod postgres;
mod rows;
mod sound;
pub mod sqlite;
mod steps;
mod sums;
mod url;
mod usage;
mod vocabulary;

pub use url::{NotAStoreUrl, StoreUrl, begin_repair, chunks_of, open, open_audit, open_views};

/// How many of the low bits of a task's key are its ordinal; the rest is its workflow's number.
const ORDINAL_BITS: u32 = 20;

const _: () = assert!(baton_core::plan::WORKFLOW_TASKS_MAX <= 1 << ORDINAL_BITS);
