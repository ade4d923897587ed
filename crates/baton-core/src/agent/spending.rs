//! What calls of models used together, added up exactly.
//!
//! A call whose price is not known, and one of which nobody knows what it used, make a sum partial:
//! they are counted, and never taken for free.

use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::{Cost, Usage};

/// A sum over calls of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// All calls.
    pub calls: u64,
    /// Of these, calls that were cut off: what they used is in no sum.
    pub possibly_billed: u64,
    /// Of all calls, those that are not in `cost`: cut off, or of a model without a price.
    pub unpriced: u64,
    /// Tokens, as providers counted them.
    pub usage: Usage,
    /// What the others cost.
    pub cost: Cost,
    /// What the calls that were cut off may have used at most, as far as that is known.
    pub at_most: AtMost,
}

/// What was reserved for calls that were cut off: more was not billed for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtMost {
    /// Tokens, read and written.
    pub tokens: u64,
    /// What these cost, where the price is known.
    pub cost: Cost,
    /// How many calls are in `cost`.
    pub priced: u64,
}

impl Spending {
    /// One call: what it used, where that is known, and what that costs, where that is.
    pub fn of_call(used: Option<Usage>, cost: Option<Cost>) -> Self {
        Self {
            calls: 1,
            possibly_billed: u64::from(used.is_none()),
            unpriced: u64::from(cost.is_none()),
            usage: used.unwrap_or_default(),
            cost: cost.unwrap_or_default(),
            at_most: AtMost::default(),
        }
    }

    /// The same call, for which this much was reserved: what matters where it was cut off.
    #[must_use]
    pub fn with_reserved(self, tokens: Option<u64>, cost: Option<Cost>) -> Self {
        if self.possibly_billed == 0 {
            return self;
        }
        let (tokens, priced) = (tokens.unwrap_or_default(), u64::from(cost.is_some()));
        Self { at_most: AtMost { tokens, cost: cost.unwrap_or_default(), priced }, ..self }
    }

    /// What the calls that were cut off cost at most; `None` where none was, or the price of one is
    /// not known.
    pub fn possible_cost(&self) -> Option<Cost> {
        let is_known = self.possibly_billed > 0 && self.at_most.priced == self.possibly_billed;
        is_known.then_some(self.at_most.cost)
    }

    /// Whether nothing was called.
    pub fn is_none(&self) -> bool {
        self.calls == 0
    }

    /// What is known of the cost: `None` where something was called and nothing of it is known.
    pub fn known_cost(&self) -> Option<Cost> {
        (self.unpriced < self.calls || self.calls == 0).then_some(self.cost)
    }

    /// Whether the cost of some call is not known.
    pub fn is_partial(&self) -> bool {
        self.unpriced > 0
    }
}

impl AddAssign for Spending {
    fn add_assign(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.possibly_billed = self.possibly_billed.saturating_add(other.possibly_billed);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.usage += other.usage;
        self.cost += other.cost;
        self.at_most.tokens = self.at_most.tokens.saturating_add(other.at_most.tokens);
        self.at_most.cost += other.at_most.cost;
        self.at_most.priced = self.at_most.priced.saturating_add(other.at_most.priced);
    }
}

impl Sum for Spending {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            sum += part;
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_never_zero() {
        let used = Usage { input_tokens: 9, output_tokens: 1, ..Usage::default() };
        let priced = Spending::of_call(Some(used), Some(Cost::pico(7)));
        let unpriced = Spending::of_call(Some(used), None);
        let cut_off = Spending::of_call(None, None);
        let of = |calls: &[Spending]| {
            let sum: Spending = calls.iter().copied().sum();
            (sum.known_cost(), sum.is_partial(), sum.usage.tokens(), sum.possibly_billed)
        };
        assert_eq!(of(&[]), (Some(Cost::default()), false, 0, 0), "nothing costs nothing");
        assert_eq!(of(&[priced, priced]), (Some(Cost::pico(14)), false, 20, 0));
        assert_eq!(of(&[priced, cut_off]), (Some(Cost::pico(7)), true, 10, 1));
        assert_eq!(of(&[unpriced]), (None, true, 10, 0));
        assert_eq!(of(&[cut_off]), (None, true, 0, 1));
    }

    #[test]
    fn what_was_reserved_bounds_what_may_have_been_billed() {
        let used = Usage { input_tokens: 9, ..Usage::default() };
        let answered = Spending::of_call(Some(used), Some(Cost::pico(7)));
        let answered = answered.with_reserved(Some(100), Some(Cost::pico(900)));
        let cut_off = |cost| Spending::of_call(None, None).with_reserved(Some(100), cost);
        let (priced, unpriced) = (cut_off(Some(Cost::pico(900))), cut_off(None));
        let of = |calls: &[Spending]| {
            let sum: Spending = calls.iter().copied().sum();
            (sum.at_most.tokens, sum.possible_cost())
        };
        assert_eq!(of(&[answered]), (0, None), "it was billed with what it used");
        assert_eq!(of(&[answered, priced, priced]), (200, Some(Cost::pico(1_800))));
        assert_eq!(of(&[priced, unpriced]), (200, None), "one may have cost anything");
    }
}
