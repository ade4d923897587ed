//! What an operator should know of, handed on to whoever keeps the log.
//!
//! It writes nothing: where the log is, the binary knows.

use std::fmt;
use std::sync::Arc;

/// Takes a sentence and what is known of its cause.
type Take = dyn Fn(&str, &str) + Send + Sync;

/// Hands on what does not work as it should, though the server goes on; cheap to clone.
#[derive(Clone)]
pub struct Report(Arc<Take>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report")
    }
}

impl Report {
    /// To whoever takes it. It must return at once.
    pub fn to(take: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    /// Says what may soon not work, and the cause.
    pub(super) fn warn(&self, sentence: &str, cause: &dyn fmt::Display) {
        (self.0)(sentence, &cause.to_string());
    }
}
