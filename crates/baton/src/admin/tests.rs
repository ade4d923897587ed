//! Looking after real stores with real histories.

mod agents;
mod archives;
mod desk;
mod doctoring;
mod driver;
mod history;
mod models;
mod purging;
