//! The models a Baton can ask, behind one port: providers over the network, and scripts of answers.
//!
//! It decides nothing about an agent's loop: one request in, one answer or one failure out. Repeating
//! is the engine's, as it is journaled.

mod anthropic;
mod config;
mod exchange;
mod failure;
mod gathering;
mod gemini;
mod limiter;
mod names;
#[cfg(test)]
mod native_tests;
mod network;
mod openai;
mod protocol;
mod provider;
mod responses;
mod schema;
mod set;
mod sse;
mod stream;
mod turns;

pub use config::{Known, Limit, ModelsConfig, Protocol, ProviderConfig};
pub use provider::Environment;
pub use set::{ModelSet, ModelsFault};
