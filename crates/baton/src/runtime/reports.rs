//! What running calls say of themselves, for those who watch. Nothing of it is written down.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use baton_core::ids::Ordinal;
use baton_engine::exchange::JobKey;
use baton_engine::ports::{Control, Live, Progress};

/// The lines to the calls that run just now.
#[derive(Default)]
pub(super) struct Reports {
    calls: Mutex<HashMap<(u64, Ordinal), (u32, Control)>>,
}

impl Reports {
    fn calls(&self) -> MutexGuard<'_, HashMap<(u64, Ordinal), (u32, Control)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins; an earlier attempt of its task is not asked any more.
    pub(super) fn begin(&self, job: JobKey, control: &Control) {
        self.calls().insert((job.number, job.task), (job.attempt, control.clone()));
    }

    /// A call has ended, or is not waited for any more.
    pub(super) fn end(&self, job: JobKey) {
        let mut calls = self.calls();
        let place = (job.number, job.task);
        if calls.get(&place).is_some_and(|(attempt, _)| *attempt == job.attempt) {
            calls.remove(&place);
        }
    }
}

impl Live for Reports {
    fn progress(&self, workflow: u64, task: Ordinal) -> Option<Progress> {
        self.calls().get(&(workflow, task)).and_then(|(_, control)| control.progress())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_call_says_is_seen_until_it_ends_and_a_late_end_takes_nothing_from_the_next_attempt() {
        let reports = Reports::default();
        let job = |attempt| JobKey { number: 1, task: Ordinal(2), attempt };
        let (first, second) =
            (Control::new(Duration::from_secs(1)), Control::new(Duration::from_secs(1)));
        reports.begin(job(1), &first);
        assert_eq!(reports.progress(1, Ordinal(2)), None);
        first.report(Progress { done: 1.0, total: Some(2.0), message: None });
        assert_eq!(reports.progress(1, Ordinal(2)).map(|said| said.done), Some(1.0));
        reports.begin(job(2), &second);
        second.report(Progress { done: 0.5, total: None, message: Some("again".to_owned()) });
        reports.end(job(1));
        assert_eq!(reports.progress(1, Ordinal(2)).map(|said| said.done), Some(0.5));
        reports.end(job(2));
        assert_eq!(reports.progress(1, Ordinal(2)), None);
    }
}
