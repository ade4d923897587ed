//! Trials of recovery: a definition is run in child processes of this very binary, each is killed,
//! the store is taken up again, and a judge says what was lost or done twice.
//!
//! What was done is read from a log that the children sync before and after every call, never from
//! the journal that is on trial. Nothing here knows how Baton recovers.

mod child;
mod effect_log;
mod ground;
mod outcome;
pub mod report;
mod trial;
mod verdict;

pub use effect_log::{EffectLog, LoggedTools, Truth};
pub use ground::{COPY_BYTES_MAX, COPY_FILES_MAX, Ground};
pub use trial::{Kill, Site, Subject, Trial, Trialled};
pub use verdict::{Reference, Verdict};
