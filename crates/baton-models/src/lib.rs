//! The models a Baton can ask, behind one port: providers over the network, and scripts of answers.
//!
//! It decides nothing about an agent's loop: one request in, one answer or one failure out. Repeating
//! is the engine's, as it is journaled.

mod config;
mod set;

pub use config::{Known, Limit, ModelsConfig, Protocol, ProviderConfig};
pub use set::{ModelSet, ModelsFault};
