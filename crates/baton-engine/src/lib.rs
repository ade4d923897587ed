//! Baton's engine: makes it happen, in synchronous turns, through ports.
//!
//! It decides nothing itself (the core does) and touches nothing outside: what it needs comes in as
//! arguments, what it wants goes out as a commit, answers and effects.

pub mod asking;
pub mod budget;
mod calling;
pub mod check;
pub mod chunks;
mod clock;
mod conclude;
pub mod conversations;
pub mod conversing;
pub mod cursor;
mod define;
mod deliver;
mod due;
pub mod engine;
pub mod events;
pub mod exchange;
mod family;
pub mod forecast;
mod held;
pub mod inbox;
mod keys;
mod lease;
pub mod ledger;
pub mod live;
pub mod loaded;
mod made;
pub mod meters;
mod naming;
mod once;
pub mod ports;
pub mod prompt;
mod publish;
mod purge;
pub mod questions;
pub mod queue;
pub mod rates;
mod react;
pub mod recall;
mod request;
mod reread;
mod residents;
pub mod said;
pub mod schedules;
pub mod scope;
pub mod snapshot;
pub mod stages;
mod staging;
mod start;
pub mod store;
pub mod talks;
mod timers;
mod tokens;
mod tool_events;
pub mod trace;
pub mod transcript;
mod triggers;
pub mod turn_view;
pub mod turns;
pub mod usage;
pub mod view;
pub mod wording;
pub mod workers;

pub use start::attempt_status;
