//! A whole Baton in one thread from one seed: engine, store, tools, people and clocks, all of them
//! simulated but the engine, with every fault the product promises to survive.
//!
//! It is never shipped, and knows nothing of threads, files, sockets or real time.

#[cfg(test)]
mod agent_tests;
mod asking;
mod books;
#[cfg(test)]
mod budget_tests;
mod check;
#[cfg(test)]
mod clock_tests;
mod cut;
mod effects;
mod fault;
#[cfg(test)]
mod fault_tests;
mod judge;
mod ledger;
mod models;
#[cfg(test)]
mod once_tests;
mod owners;
mod people;
mod planner;
mod plans;
#[cfg(test)]
mod probes_tests;
#[cfg(test)]
mod promises_tests;
#[cfg(test)]
mod rate_tests;
mod reading;
mod rng;
mod run;
#[cfg(test)]
mod scheduling_tests;
mod talk_check;
#[cfg(test)]
mod talk_cut_tests;
mod talkers;
#[cfg(test)]
mod tests;
mod tools;
#[cfg(test)]
mod trigger_tests;
#[cfg(test)]
mod worker_tests;
mod workers;
mod world;

pub use cut::everywhere;
pub use ledger::Violation;
pub use run::{Survived, run};
