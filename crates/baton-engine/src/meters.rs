//! What a running Baton counts of itself: fed beside the work, read by whoever shows metrics.
//!
//! Everything is cheap enough for the path of a step, and nothing depends on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use baton_core::agent::Spending;
use baton_core::words::AttemptStatus;
use baton_core::workflow::usage::UsageRow;

/// How many tools, and how many models, are counted each by its name; those beyond are counted
/// together.
const TOOLS_MAX: usize = 1_000;
/// The name they are counted under.
const OTHER_TOOLS: &str = "other";

/// The upper bounds of the buckets of every histogram, in microseconds.
pub const BOUNDS_MICROS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 10_000_000];

/// How long something took, by buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One for each bound, and one for what is above all.
    buckets: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one span.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The spans up to each bound, with those below it, then all; and their sum in microseconds.
    pub fn read(&self) -> (Vec<u64>, u64) {
        let mut below = 0;
        let counts = self.buckets.iter().map(|bucket| {
            below += bucket.load(Ordering::Relaxed);
            below
        });
        (counts.collect(), self.sum_micros.load(Ordering::Relaxed))
    }
}

/// What calls of one model used, each token under one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelMeter {
    /// What they used together.
    pub spending: Spending,
}

impl ModelMeter {
    /// Tokens by kind; no token is in two of them.
    pub fn tokens(&self) -> [(&'static str, u64); 5] {
        let used = &self.spending.usage;
        let plain = used.input_tokens.saturating_sub(used.cached_tokens + used.cache_write_tokens);
        [
            ("input", plain),
            ("cached", used.cached_tokens),
            ("cache_write", used.cache_write_tokens),
            ("output", used.output_tokens.saturating_sub(used.reasoning_tokens)),
            ("reasoning", used.reasoning_tokens),
        ]
    }
}

type Calls = BTreeMap<String, BTreeMap<AttemptStatus, u64>>;

/// The counts of one owner.
#[derive(Debug, Default)]
pub struct Meters {
    /// Writing a commit, until it is on disk.
    pub commit: Histogram,
    /// A step's call, from its start to its result.
    pub step: Histogram,
    /// From the taking up of what has arrived until the progress that follows is on disk.
    pub progress: Histogram,
    /// Rows that the self-check found to differ from their events.
    pub mismatches: AtomicU64,
    /// Tasks that wait for a place to execute.
    pub queue_depth: AtomicU64,
    /// Tasks that are leased to workers outside.
    pub leases: AtomicU64,
    /// Workflows that have not ended.
    pub live: AtomicU64,
    calls: Mutex<Calls>,
    models: Mutex<BTreeMap<String, ModelMeter>>,
}

impl Meters {
    /// Counts a call's end.
    pub fn called(&self, tool: &str, outcome: AttemptStatus) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = calls.contains_key(tool);
        let name = if is_known || calls.len() < TOOLS_MAX { tool } else { OTHER_TOOLS };
        if !calls.contains_key(name) {
            calls.insert(name.to_owned(), BTreeMap::new());
        }
        if let Some(outcomes) = calls.get_mut(name) {
            *outcomes.entry(outcome).or_default() += 1;
        }
    }

    /// Counts calls of models that were booked.
    pub fn booked(&self, rows: &[UsageRow]) {
        if rows.is_empty() {
            return;
        }
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let is_known = models.contains_key(&row.model) || models.len() < TOOLS_MAX;
            let name = if is_known { row.model.as_str() } else { OTHER_TOOLS };
            models.entry(name.to_owned()).or_default().spending += row.spending();
        }
    }

    /// What was used, by model.
    pub fn models(&self) -> Vec<(String, ModelMeter)> {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.iter().map(|(name, meter)| (name.clone(), *meter)).collect()
    }

    /// Calls by tool and outcome.
    pub fn calls(&self) -> Vec<(String, AttemptStatus, u64)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(tool, outcomes): (&String, &BTreeMap<AttemptStatus, u64>)| {
            let tool = tool.clone();
            let outcomes: Vec<_> = outcomes.iter().map(|(o, n)| (tool.clone(), *o, *n)).collect();
            outcomes
        };
        calls.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_counted_by_bounds_that_hold_them() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 9_999_999, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (counts, sum) = histogram.read();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5]);
        assert_eq!(sum, 20_000_201);
    }

    #[test]
    fn tools_without_number_are_counted_together() {
        let meters = Meters::default();
        for n in 0..2 * TOOLS_MAX {
            meters.called(&format!("t{n:04}"), AttemptStatus::Completed);
        }
        let calls = meters.calls();
        assert!(calls.len() <= TOOLS_MAX + 1);
        assert_eq!(calls.iter().map(|(_, _, n)| n).sum::<u64>(), 2 * TOOLS_MAX as u64);
        assert!(calls.contains(&(OTHER_TOOLS.to_owned(), AttemptStatus::Completed, 1_000)));
    }
}
