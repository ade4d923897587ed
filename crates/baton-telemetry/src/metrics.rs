//! What is counted, as OTLP has it: calls of models, and what `/metrics` says of the owner.
//!
//! The names are those of `/metrics` in the manner of OpenTelemetry, so that a collector that writes for
//! Prometheus arrives at the same. All of it is cumulative since the process began.

use std::sync::atomic::Ordering;

use baton_core::codes::Code;
use baton_core::time::Timestamp;
use baton_engine::meters::{BOUNDS_MICROS, Histogram as Metered, Meters};

use crate::names;
use crate::otlp::{attributes, nanos};
use crate::span::Value;
use crate::tally::{Histogram, Tally};
use crate::wire::{self, CUMULATIVE, HistogramPoint, Metric, NumberPoint, Points};

const PROGRESS: &str = "From an arrival to its progress on disk.";
const LIVE: &str = "Workflows that have not ended.";
const MISMATCH: &str = "Rows that the self-check found to differ from their events.";
/// Microseconds of a second.
const MICROS: f64 = 1e6;

/// What was counted, and from when to when.
#[derive(Clone, Copy)]
pub struct Figures<'f> {
    pub meters: &'f Meters,
    pub tally: &'f Tally,
    pub began: Timestamp,
    pub now: Timestamp,
}

impl Figures<'_> {
    /// Everything there is to tell.
    pub fn all(&self) -> Vec<Metric> {
        let Self { meters, tally, .. } = self;
        let load = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let (depth, leases) = (load(&meters.queue_depth), load(&meters.leases));
        let mut all = vec![
            self.seconds("baton.commit", "Writing a commit.", &meters.commit),
            self.seconds("baton.step", "A step's call.", &meters.step),
            self.seconds("baton.progress", PROGRESS, &meters.progress),
            self.gauge(("baton.queue.depth", "{task}"), "Tasks that wait for a place.", depth),
            self.gauge(("baton.leases", "{task}"), "Tasks that workers outside hold.", leases),
            self.gauge(("baton.workflows.live", "{workflow}"), LIVE, load(&meters.live)),
        ];
        let mismatches = self.point(load(&meters.mismatches), Vec::new());
        all.push(sum(("baton.progress.mismatch", "{row}"), MISMATCH, vec![mismatches]));
        let calls = meters.calls().into_iter().map(|(tool, outcome, count)| {
            let labels = [("tool", Value::name(tool)), ("outcome", Value::name(outcome.word()))];
            self.point(count, attributes(&labels))
        });
        let calls: Vec<NumberPoint> = calls.collect();
        if !calls.is_empty() {
            all.push(sum(
                ("baton.tool.calls", "{call}"),
                "Ended calls by tool and outcome.",
                calls,
            ));
        }
        all.extend(self.counted((names::TOKEN_USAGE, "{token}"), &tally.tokens));
        all.extend(self.counted((names::OPERATION_DURATION, "s"), &tally.durations));
        all
    }

    fn seconds(&self, name: &str, help: &str, metered: &Metered) -> Metric {
        let (below, sum_micros) = metered.read();
        let mut before = 0;
        let buckets = below.iter().map(|count| {
            let own = count.saturating_sub(before);
            before = *count;
            own
        });
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / MICROS);
        let sum = sum_micros as f64 / MICROS;
        let point = self.buckets(buckets.collect(), bounds.collect(), sum, Vec::new());
        histogram((name, "s"), help, vec![point])
    }

    fn counted(&self, name: (&str, &str), counted: &Histogram) -> Option<Metric> {
        let bounds = counted.bounds();
        let points = counted.series().map(|(labels, distribution)| {
            let buckets = distribution.buckets.clone();
            self.buckets(buckets, bounds.to_vec(), distribution.sum, attributes(labels))
        });
        let points: Vec<HistogramPoint> = points.collect();
        (!points.is_empty()).then(|| histogram(name, "Calls of models.", points))
    }

    fn buckets(
        &self,
        bucket_counts: Vec<u64>,
        explicit_bounds: Vec<f64>,
        sum: f64,
        attributes: Vec<wire::KeyValue>,
    ) -> HistogramPoint {
        HistogramPoint {
            start_time_unix_nano: nanos(self.began),
            time_unix_nano: nanos(self.now),
            count: bucket_counts.iter().sum(),
            sum: Some(sum),
            bucket_counts,
            explicit_bounds,
            attributes,
        }
    }

    fn point(&self, count: u64, attributes: Vec<wire::KeyValue>) -> NumberPoint {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        NumberPoint {
            start_time_unix_nano: nanos(self.began),
            time_unix_nano: nanos(self.now),
            value: Some(wire::Number::Whole(count)),
            attributes,
        }
    }

    fn gauge(&self, name: (&str, &str), help: &str, count: u64) -> Metric {
        let points = vec![self.point(count, Vec::new())];
        metric(name, help, Points::Gauge(wire::Gauge { points }))
    }
}

fn histogram(name: (&str, &str), help: &str, points: Vec<HistogramPoint>) -> Metric {
    metric(name, help, Points::Histogram(wire::Histogram { points, temporality: CUMULATIVE }))
}

fn sum(name: (&str, &str), help: &str, points: Vec<NumberPoint>) -> Metric {
    let sum = wire::Sum { points, temporality: CUMULATIVE, is_monotonic: true };
    metric(name, help, Points::Sum(sum))
}

fn metric((name, unit): (&str, &str), help: &str, data: Points) -> Metric {
    let (name, unit, description) = (name.to_owned(), unit.to_owned(), help.to_owned());
    Metric { name, description, unit, data: Some(data) }
}
