//! Looking after real stores with real histories.

mod archives;
mod doctoring;
mod driver;
mod history;
mod purging;
