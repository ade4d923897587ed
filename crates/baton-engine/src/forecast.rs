//! What a plan will probably use: the median and the range of what the same tasks used before.
//!
//! The history are the newest completed workflows of the same definition. It guesses nothing: without
//! a history it says so, and a cost that was not known then is not known now.

use std::collections::BTreeSet;
use std::time::Duration;

use baton_core::agent::{Cost, Spending};
use baton_core::plan::Plan;
use baton_core::spoken::{grouped, many, span};
use baton_core::words::{UsageBy, WorkflowStatus};
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use serde::{Deserialize, Serialize};

use crate::store::{Filter, StoreError, UsageFilter, UsageKey, Views};
use crate::wording::Wording;

/// How many earlier runs are looked at.
const RUNS_MAX: usize = 20;
/// Among how many of the newest completed workflows with such a name they are looked for.
const SEARCHED_MAX: u32 = 500;

/// What a plan will probably use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// What it is made of: `12 earlier runs`, or `no history`.
    pub basis: String,
    /// How many earlier runs there are to learn from; nothing else is said where there is none.
    pub runs: u32,
    /// All tokens of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Range<u64>>,
    /// What a run costs; absent where no cost was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Range<Cost>>,
    /// Whether the cost of some earlier run is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_is_partial: bool,
    /// How long a run takes, with the time it waits for people, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<Range<u64>>,
    /// The same for each task of the plan that asks models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskForecast>,
}

/// What a task will probably use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskForecast {
    /// Its key in the plan.
    pub key: String,
    /// In how many of the earlier runs it asked a model.
    pub runs: u32,
    /// All tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Range<u64>>,
    /// What it costs; absent where no cost was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Range<Cost>>,
    /// Whether the cost of some earlier run is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_is_partial: bool,
}

/// A figure of earlier runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range<T> {
    /// Half of them were not above it. One that was, of two.
    pub median: T,
    /// The least.
    pub min: T,
    /// The most.
    pub max: T,
}

impl<T: Copy + Ord> Range<T> {
    fn of(mut figures: Vec<T>) -> Option<Self> {
        figures.sort_unstable();
        let median = *figures.get(figures.len() / 2)?;
        Some(Self { median, min: *figures.first()?, max: *figures.last()? })
    }

    /// `12,000 tokens (8,000..20,000)`.
    fn line(&self, unit: &str, shown: impl Fn(T) -> String) -> String {
        let median = shown(self.median);
        match self.min == self.max {
            true => format!("{median}{unit}"),
            false => format!("{median}{unit} ({}..{})", shown(self.min), shown(self.max)),
        }
    }
}

/// What one earlier run used.
struct Past {
    time: Option<Duration>,
    /// Of the tasks that the plan has as well, by key.
    tasks: Vec<(String, Spending)>,
}

/// The forecast for a plan that nobody has submitted.
pub fn forecast_of(plan: &Plan, views: &mut dyn Views) -> Result<Forecast, StoreError> {
    forecast((&plan.name, None), &Wording::of(plan).agents(), views)
}

/// The forecast for a plan of the definition of this name, whose tasks with these keys ask models.
/// The workflow itself is not its own history.
pub fn forecast(
    (name, own): (&str, Option<u64>),
    agents: &[&str],
    views: &mut dyn Views,
) -> Result<Forecast, StoreError> {
    let keys: BTreeSet<&str> = agents.iter().copied().collect();
    let mut past = Vec::new();
    for (card, row) in history(name, own, views)? {
        past.push(look_back(&card, &row, &keys, views)?);
    }
    if past.is_empty() {
        return Ok(Forecast::without_history());
    }
    let of_run = |past: &Past| past.tasks.iter().map(|(_, spending)| *spending).sum::<Spending>();
    let whole: Vec<Spending> = past.iter().map(of_run).collect();
    let times = past.iter().filter_map(|past| past.time);
    let times = times.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let (cost_usd, cost_is_partial) = costs(&whole);
    let runs = u32::try_from(past.len()).unwrap_or(u32::MAX);
    let (tokens, time_ms) = (Range::of(tokens(&whole)), Range::of(times.collect()));
    let tasks = agents.iter().map(|key| of_task(key, &past)).collect();
    let basis = many(u64::from(runs), "earlier run");
    Ok(Forecast { basis, runs, tokens, cost_usd, cost_is_partial, time_ms, tasks })
}

/// The newest completed workflows of the definition.
fn history(
    name: &str,
    own: Option<u64>,
    views: &mut dyn Views,
) -> Result<Vec<(WorkflowCard, WorkflowRow)>, StoreError> {
    let filter = Filter {
        statuses: vec![WorkflowStatus::Completed],
        name: Some(name.to_owned()),
        limit: SEARCHED_MAX,
        ..Filter::default()
    };
    let mut found = views.list(&filter)?;
    found.retain(|(card, _)| card.name == name && Some(card.number) != own);
    found.truncate(RUNS_MAX);
    Ok(found)
}

fn look_back(
    card: &WorkflowCard,
    row: &WorkflowRow,
    keys: &BTreeSet<&str>,
    views: &mut dyn Views,
) -> Result<Past, StoreError> {
    let (by, workflows) = (Some(UsageBy::Task), vec![card.number]);
    let sums =
        views.usage(&UsageFilter { by, workflows, limit: u32::MAX, ..UsageFilter::default() })?;
    let known = |(key, spending)| match key {
        UsageKey::Name(key) if keys.contains(key.as_str()) => Some((key, spending)),
        UsageKey::Name(_) | UsageKey::Number(_) | UsageKey::Id(_) => None,
    };
    let time = row.started_at.zip(row.ended_at).map(|(started, ended)| ended.since(started));
    Ok(Past { time, tasks: sums.into_iter().filter_map(known).collect() })
}

fn of_task(key: &str, past: &[Past]) -> TaskForecast {
    let own = |past: &Past| past.tasks.iter().find(|(own, _)| own == key).map(|(_, sum)| *sum);
    let sums: Vec<Spending> = past.iter().filter_map(own).collect();
    let runs = u32::try_from(sums.len()).unwrap_or(u32::MAX);
    let (cost_usd, cost_is_partial) = costs(&sums);
    let tokens = Range::of(tokens(&sums));
    TaskForecast { key: key.to_owned(), runs, tokens, cost_usd, cost_is_partial }
}

fn tokens(sums: &[Spending]) -> Vec<u64> {
    sums.iter().map(|sum| sum.usage.tokens()).collect()
}

/// Of those whose cost is known to the last call; and whether there are others.
fn costs(sums: &[Spending]) -> (Option<Range<Cost>>, bool) {
    let known: Vec<Cost> =
        sums.iter().filter(|sum| !sum.is_partial()).map(|sum| sum.cost).collect();
    let is_partial = known.len() < sums.len();
    (Range::of(known), is_partial)
}

impl Forecast {
    /// Where there is no earlier run.
    pub fn without_history() -> Self {
        Self { basis: "no history".to_owned(), ..Self::default() }
    }

    /// In a line: `about 12,000 tokens (8,000..20,000), $0.04, 30 s from 12 earlier runs`.
    pub fn line(&self) -> String {
        if self.runs == 0 {
            return self.basis.clone();
        }
        let mut parts = Vec::new();
        if !self.tasks.is_empty() {
            parts.extend(self.tokens.map(|tokens| tokens.line(" tokens", grouped)));
            parts.push(match self.cost_usd {
                Some(cost) => cost.line("", |cost| format!("${cost}")),
                None => "cost unknown".to_owned(),
            });
        }
        let spoken = |ms| span(Duration::from_millis(ms));
        parts.extend(self.time_ms.map(|time| time.line("", spoken)));
        let unknown = self.tasks.iter().filter(|task| task.runs == 0).count() as u64;
        let without = match unknown {
            0 => String::new(),
            unknown => format!(", without {} that no earlier run had", many(unknown, "task")),
        };
        format!("about {} from {}{without}", parts.join(", "), self.basis)
    }
}

impl TaskForecast {
    /// In a line: `about 12,000 tokens (8,000..20,000), $0.04 in 2 of 12 runs`; of so many runs.
    pub fn line(&self, runs: u32) -> String {
        let Some(tokens) = self.tokens.filter(|_| self.runs > 0) else {
            return "no history".to_owned();
        };
        let cost = match self.cost_usd {
            Some(cost) => cost.line("", |cost| format!("${cost}")),
            None => "cost unknown".to_owned(),
        };
        let of = many(u64::from(runs), "run");
        format!("about {}, {cost} in {} of {of}", tokens.line(" tokens", grouped), self.runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(tokens: u64, cost: Option<u64>) -> Spending {
        let used = baton_core::agent::Usage { input_tokens: tokens, ..Default::default() };
        Spending::of_call(Some(used), cost.map(|cents| Cost::pico(cents * 10_000_000_000)))
    }

    #[test]
    fn the_median_is_one_of_the_figures() {
        assert_eq!(Range::<u64>::of(vec![]), None);
        assert_eq!(Range::of(vec![9]), Some(Range { median: 9, min: 9, max: 9 }));
        assert_eq!(Range::of(vec![5, 1, 9]), Some(Range { median: 5, min: 1, max: 9 }));
        assert_eq!(Range::of(vec![8, 1, 9, 2]), Some(Range { median: 8, min: 1, max: 9 }));
    }

    #[test]
    fn a_cost_that_was_not_known_is_in_no_range() {
        let (range, is_partial) = costs(&[used(1, Some(4)), used(1, None), used(1, Some(2))]);
        let cents = |cents: u64| Cost::pico(cents * 10_000_000_000);
        let expected = Range { median: cents(4), min: cents(2), max: cents(4) };
        assert_eq!((range, is_partial), (Some(expected), true));
        assert_eq!(costs(&[used(1, None)]), (None, true));
    }

    #[test]
    fn it_is_told_in_a_line() {
        let mut forecast = Forecast {
            basis: "12 earlier runs".to_owned(),
            runs: 12,
            tokens: Range::of(vec![8_000, 12_000, 20_000]),
            cost_usd: Range::of(vec![Cost::pico(40_000_000_000)]),
            time_ms: Range::of(vec![30_000]),
            tasks: vec![of_task("a", &[])],
            ..Forecast::default()
        };
        let line = "about 12,000 tokens (8,000..20,000), $0.04, 30 s from 12 earlier runs";
        let without = ", without 1 task that no earlier run had";
        assert_eq!(forecast.line(), format!("{line}{without}"));
        (forecast.cost_usd, forecast.tasks) =
            (None, vec![TaskForecast { runs: 1, ..of_task("a", &[]) }]);
        let unknown =
            "about 12,000 tokens (8,000..20,000), cost unknown, 30 s from 12 earlier runs";
        assert_eq!(forecast.line(), unknown);
        forecast.tasks.clear();
        assert_eq!(forecast.line(), "about 30 s from 12 earlier runs", "it asks no model");
        assert_eq!(Forecast::without_history().line(), "no history");
    }

    #[test]
    fn a_task_is_told_with_the_runs_in_which_it_asked() {
        let past = Past { time: None, tasks: vec![("a".to_owned(), used(1_200, Some(4)))] };
        let task = of_task("a", &[past]);
        assert_eq!(task.line(12), "about 1,200 tokens, $0.04 in 1 of 12 runs");
        assert_eq!(of_task("b", &[]).line(12), "no history");
    }
}
