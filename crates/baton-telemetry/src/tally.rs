//! What calls of models took, counted by model: the histograms that the conventions ask for.
//!
//! Fed with spans, since its process began; how it is written on the wire is not its business.

use std::collections::BTreeMap;

use crate::names;
use crate::span::{Span, Value};

/// Bounds of `gen_ai.client.token.usage`, as the conventions advise.
pub const TOKEN_BOUNDS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Bounds of `gen_ai.client.operation.duration` in seconds, as the conventions advise.
pub const DURATION_BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// How many sets of attributes are counted apart; what is beyond is counted under no model.
const SERIES_MAX: usize = 1_000;

/// What sets a series apart.
pub type Labels = Vec<(&'static str, Value)>;

/// How often a value lay between which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// One more than there are bounds: the last is for what is above all.
    pub buckets: Vec<u64>,
    /// Of all values.
    pub sum: f64,
}

/// Series of one histogram, by what sets them apart.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    series: BTreeMap<Labels, Distribution>,
}

/// The histograms of calls of models.
#[derive(Debug)]
pub struct Tally {
    /// Tokens of each call, read and written apart.
    pub tokens: Histogram,
    /// Seconds of each call.
    pub durations: Histogram,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, series: BTreeMap::new() }
    }

    fn count(&mut self, mut labels: Labels, value: f64) {
        if !self.series.contains_key(&labels) && self.series.len() >= SERIES_MAX {
            labels.retain(|(name, _)| ![names::REQUEST_MODEL, names::PROVIDER].contains(name));
        }
        let bounds = self.bounds;
        let empty = || Distribution { buckets: vec![0; bounds.len() + 1], sum: 0.0 };
        let distribution = self.series.entry(labels).or_insert_with(empty);
        let at = bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = distribution.buckets.get_mut(at) {
            *bucket += 1;
        }
        distribution.sum += value;
    }

    /// The upper bounds of the buckets.
    pub fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// Every series.
    pub fn series(&self) -> impl Iterator<Item = (&Labels, &Distribution)> {
        self.series.iter()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self { tokens: Histogram::new(&TOKEN_BOUNDS), durations: Histogram::new(&DURATION_BOUNDS) }
    }
}

impl Tally {
    /// Counts a span, if it is a call of a model.
    pub fn count(&mut self, span: &Span) {
        if span.attribute(names::OPERATION) != Some(&Value::name(names::CHAT)) {
            return;
        }
        let kept = [names::OPERATION, names::PROVIDER, names::REQUEST_MODEL];
        let of = |kept: &[&str]| -> Labels {
            let known = span.attributes.iter().filter(|(name, _)| kept.contains(name));
            known.cloned().collect()
        };
        for (name, word) in [(names::INPUT_TOKENS, "input"), (names::OUTPUT_TOKENS, "output")] {
            if let Some(Value::Whole(tokens)) = span.attribute(name) {
                let mut labels = of(&kept);
                labels.push((names::TOKEN_TYPE, Value::name(word)));
                self.tokens.count(labels, *tokens as f64);
            }
        }
        let labels = of(&[&kept[..], &[names::ERROR_TYPE]].concat());
        self.durations.count(labels, span.ended.since(span.began).as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use baton_core::time::Timestamp;

    use super::*;
    use crate::span::Kind;

    fn chat(model: &str, tokens: i64, millis: i64) -> Span {
        Span {
            trace: [1; 16],
            id: 2,
            parent: None,
            link: None,
            name: "chat".to_owned(),
            kind: Kind::Client,
            began: Timestamp::from_millis(0),
            ended: Timestamp::from_millis(millis),
            attributes: vec![
                (names::OPERATION, Value::name(names::CHAT)),
                (names::PROVIDER, Value::name("openai")),
                (names::REQUEST_MODEL, Value::name(model)),
                (names::INPUT_TOKENS, Value::Whole(tokens)),
                (names::TASK_ID, Value::name("of no series")),
            ],
            failed: None,
        }
    }

    #[test]
    fn calls_are_counted_by_model_between_bounds_that_hold_them() {
        let mut tally = Tally::default();
        for (tokens, millis) in [(1, 10), (2, 11), (70_000_000, 100_000)] {
            tally.count(&chat("one", tokens, millis));
        }
        tally.count(&chat("two", 1, 1));
        let (labels, tokens) = tally.tokens.series().next().unwrap();
        let words = labels.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        let apart = [names::OPERATION, names::PROVIDER, names::REQUEST_MODEL, names::TOKEN_TYPE];
        assert_eq!(words, apart);
        assert_eq!((tokens.buckets[0], tokens.buckets[1], tokens.buckets[14]), (1, 1, 1));
        assert_eq!(tokens.sum, 70_000_003.0);
        let (_, seconds) = tally.durations.series().next().unwrap();
        assert_eq!((seconds.buckets[0], seconds.buckets[1], seconds.buckets[14]), (1, 1, 1));
        assert_eq!((tally.tokens.series().count(), tally.durations.series().count()), (2, 2));
    }

    #[test]
    fn models_without_number_are_counted_together() {
        let mut tally = Tally::default();
        for n in 0..2 * SERIES_MAX {
            tally.count(&chat(&n.to_string(), 1, 1));
        }
        let calls: u64 = tally.durations.series().map(|(_, one)| one.buckets[0]).sum();
        assert_eq!(calls, 2 * SERIES_MAX as u64);
        assert!(tally.durations.series().count() <= SERIES_MAX + 1);
    }
}
