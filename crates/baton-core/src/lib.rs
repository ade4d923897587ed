//! Baton's core: what may happen, and what did.
//!
//! Words, ids, plans, machines, validation and progress, as pure functions of values. It knows no
//! clock, no randomness, no file, no network and no thread; [`time::Moment`] brings in the first two.

pub mod actor;
pub mod agent;
pub mod base64;
pub mod body;
pub mod codes;
pub mod conversation;
pub mod definition;
pub mod envelope;
pub mod fact;
pub mod failure;
pub mod ids;
pub mod patch;
pub mod plan;
pub mod playbook;
pub mod program;
pub mod progress;
pub mod schedule;
pub mod spoken;
pub mod time;
pub mod words;
pub mod workflow;
