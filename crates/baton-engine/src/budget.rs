//! How a workflow's budget is shown: what a run may use, what is gone of it, held and granted.
//!
//! It bounds nothing: the core does. The budgets above workflows are not told here.

use std::time::Duration;

use baton_core::agent::Cost;
use baton_core::plan;
use baton_core::spoken::{grouped, span};
use baton_core::time::Span;
use baton_core::words::AtLimit;
use baton_core::workflow::Amount;
use baton_core::workflow::rows::BudgetRow;
use serde::{Deserialize, Serialize};

/// What a run may use, under the names that definitions have for it; what is absent is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// How long it may take, without the time it waits for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// Tokens of its agents, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, as far as prices are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<Cost>,
    /// Calls of models and of the tools that they ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u32>,
    /// What happens where the next call may not fit; absent where time alone is bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_limit: Option<AtLimit>,
    /// What is gone of it up to the newest event; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<BudgetUse>,
    /// What is held for calls of models that run; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<BudgetShare>,
    /// What people granted beyond it; absent where they granted nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<BudgetShare>,
}

/// What is gone of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUse {
    /// Tokens. A call that was cut off counts with all that was held for it.
    pub tokens: u64,
    /// What they cost, as far as prices are known.
    pub usd: Cost,
    /// Calls, those that run among them.
    pub calls: u32,
    /// Milliseconds, without those it waited for people.
    pub time_ms: u64,
}

/// A part of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetShare {
    /// Tokens.
    pub tokens: u64,
    /// Money.
    pub usd: Cost,
    /// Calls.
    pub calls: u32,
}

impl From<Amount> for BudgetShare {
    fn from(Amount { tokens, cost, calls }: Amount) -> Self {
        Self { tokens, usd: cost, calls }
    }
}

impl Budget {
    /// What a plan bounds, and how its run stands; none where it bounds nothing.
    pub fn of(
        (time, bound): (Option<Span>, &plan::Budget),
        row: Option<&BudgetRow>,
    ) -> Option<Self> {
        if time.is_none() && bound.is_none() {
            return None;
        }
        let plan::Budget { tokens_max, cost_max, calls_max, at_limit } = *bound;
        let is_of_agents = tokens_max.is_some() || cost_max.is_some() || calls_max.is_some();
        let used = row.map(|row| {
            let gone = row.account.gone();
            let (tokens, usd, calls) = (gone.tokens, gone.cost, gone.calls);
            BudgetUse { tokens, usd, calls, time_ms: row.time_ms }
        });
        let granted = row.map(|row| row.account.granted);
        Some(Self {
            time,
            tokens: tokens_max,
            usd: cost_max,
            calls: calls_max,
            at_limit: is_of_agents.then_some(at_limit),
            used,
            reserved: row.map(|row| row.account.reserved.into()),
            granted: granted.filter(|by| *by != Amount::default()).map(Into::into),
        })
    }

    /// In a line: `9,050 of 10,000 tokens, 2 of 10 calls; at the limit: ask`.
    pub fn line(&self) -> String {
        let granted = self.granted.unwrap_or_default();
        let (used, held) = (self.used, self.reserved.unwrap_or_default());
        let mut parts = Vec::new();
        if let Some(most) = self.tokens {
            let parted = Parted::new(used.map(|used| used.tokens), held.tokens, granted.tokens);
            parts.push(parted.line(most.saturating_add(granted.tokens), grouped, " tokens"));
        }
        if let Some(most) = self.usd {
            let parted = Parted::new(used.map(|used| used.usd), held.usd, granted.usd);
            parts.push(parted.line(most.plus(granted.usd), |cost| format!("${cost}"), ""));
        }
        if let Some(most) = self.calls {
            let parted = Parted::new(used.map(|used| used.calls), held.calls, granted.calls);
            let most = most.saturating_add(granted.calls);
            parts.push(parted.line(most, |calls| grouped(calls.into()), " calls"));
        }
        if let Some(most) = self.time {
            let used = used.map(|used| Duration::from_millis(used.time_ms));
            parts.push(Parted::new(used, Duration::ZERO, Duration::ZERO).line(most.0, span, ""));
        }
        let at_limit = self.at_limit.map(|word| format!("; at the limit: {word}"));
        format!("{}{}", parts.join(", "), at_limit.unwrap_or_default())
    }
}

/// How one bound stands.
struct Parted<T> {
    used: Option<T>,
    held: Option<T>,
    granted: Option<T>,
}

impl<T: Copy + Default + PartialEq> Parted<T> {
    fn new(used: Option<T>, held: T, granted: T) -> Self {
        let some = |amount: T| Some(amount).filter(|amount| *amount != T::default());
        Self { used, held: some(held), granted: some(granted) }
    }

    /// `9,050 of 20,000 tokens (500 reserved, 10,000 granted)`.
    fn line(&self, most: T, shown: impl Fn(T) -> String, unit: &str) -> String {
        let used = self.used.map(|used| format!("{} of ", shown(used))).unwrap_or_default();
        let held = self.held.map(|held| format!("{} reserved", shown(held)));
        let granted = self.granted.map(|granted| format!("{} granted", shown(granted)));
        let beside: Vec<String> = held.into_iter().chain(granted).collect();
        let beside = match beside.as_slice() {
            [] => String::new(),
            parts => format!(" ({})", parts.join(", ")),
        };
        format!("{used}{}{unit}{beside}", shown(most))
    }
}

#[cfg(test)]
mod tests {
    use baton_core::workflow::Account;

    use super::*;

    fn amount(tokens: u64, cents: u64, calls: u32) -> Amount {
        Amount { tokens, cost: Cost::pico(cents * 10_000_000_000), calls }
    }

    fn bound(tokens: Option<u64>) -> plan::Budget {
        plan::Budget { tokens_max: tokens, ..plan::Budget::default() }
    }

    #[test]
    fn what_is_not_bounded_is_not_told() {
        assert_eq!(Budget::of((None, &bound(None)), None), None);
        let time = Some(Span(Duration::from_secs(600)));
        let budget = Budget::of((time, &bound(None)), None).expect("time is bounded");
        assert_eq!(serde_json::to_value(budget).expect("json"), serde_json::json!({"time": "10m"}));
        assert_eq!(budget.line(), "10 min 0 s");
    }

    #[test]
    fn it_tells_what_is_gone_held_and_granted() {
        let account = Account {
            used: amount(9_000, 1, 2),
            possibly: amount(50, 0, 0),
            reserved: amount(500, 1, 0),
            granted: amount(10_000, 0, 0),
        };
        let plan = plan::Budget {
            cost_max: Some(amount(0, 50, 0).cost),
            calls_max: Some(200),
            at_limit: AtLimit::Stop,
            ..bound(Some(10_000))
        };
        let time = Some(Span(Duration::from_secs(600)));
        let row = BudgetRow { account, time_ms: 12_000 };
        let budget = Budget::of((time, &plan), Some(&row)).expect("it is bounded");
        let line = "9,050 of 20,000 tokens (500 reserved, 10,000 granted), \
                    $0.01 of $0.50 ($0.01 reserved), 2 of 200 calls, 12 s of 10 min 0 s; \
                    at the limit: stop";
        assert_eq!(budget.line(), line);
        let json = serde_json::to_value(budget).expect("json");
        assert_eq!(json["used"]["tokens"], 9_050, "what may have been billed is gone");
        assert_eq!((&json["usd"], &json["at_limit"]), (&"0.50".into(), &"stop".into()));
        assert_eq!(serde_json::from_value::<Budget>(json).expect("read"), budget);
    }
}
