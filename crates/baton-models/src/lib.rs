//! The models a Baton can ask, behind one port: providers over the network, and scripts of answers.
//!
//! It decides nothing about an agent's loop: one request in, one answer or one failure out. Repeating
//! is the engine's, as it is journaled.

mod anthropic;
mod choice;
mod config;
mod discover;
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
mod prices;
mod protocol;
mod provider;
mod responses;
mod schema;
mod scripted;
mod set;
mod sse;
mod stream;
mod turns;

pub use choice::script_file;
pub use config::{Known, Limit, ModelsConfig, Protocol, ProviderConfig};
pub use discover::{Found, Standing, discover, usual_models};
pub use prices::Prices;
pub use provider::Environment;
pub use scripted::{PROVIDER as SCRIPTED, Script, model_of as scripted_name};
pub use set::{ModelSet, ModelsFault};
