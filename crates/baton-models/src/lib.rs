//! The models a Baton can ask, behind one port: providers over the network, and scripts of answers.
//!
//! It decides nothing about an agent's loop: one request in, one answer or one failure out. Repeating
//! is the engine's, as it is journaled.

mod choice;
mod config;
mod discover;
mod prices;
mod scripted;
mod set;

pub use choice::script_file;
pub use config::{Known, Limit, ModelsConfig, Protocol, ProviderConfig};
pub use discover::{Found, Standing, discover};
pub use prices::Prices;
pub use scripted::{PROVIDER as SCRIPTED, Script, model_of as scripted_name};
pub use set::{ModelSet, ModelsFault};
