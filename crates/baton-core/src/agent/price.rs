//! What calls of models cost: prices per token and sums of money, exact.
//!
//! Money is counted in whole picodollars (10⁻¹² USD): the smallest price per token in use is a few
//! hundred of them, so that sums are exact and roll up without rounding. A price that is not known is
//! absent here, and never zero. Where prices come from is not its business.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Usage;

/// Picodollars of one dollar.
const PICO: u64 = 1_000_000_000_000;
/// Decimals of a dollar that a picodollar is.
const DECIMALS: usize = 12;

/// A sum of money in US dollars. In JSON it is a decimal string: `"0.0042"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

/// What a token of each kind costs, in picodollars: that is, in micro-USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// A token that is read.
    pub input: u64,
    /// A token that is written, reasoning among them.
    pub output: u64,
    /// A token that the provider had in its cache; as `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// A token that the provider puts into its cache; as `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
}

impl Price {
    /// What this usage costs. A sum past `u64` stays at its end.
    pub fn of(&self, usage: &Usage) -> Cost {
        let plain = usage
            .input_tokens
            .saturating_sub(usage.cached_tokens)
            .saturating_sub(usage.cache_write_tokens);
        let parts = [
            (plain, self.input),
            (usage.cached_tokens, self.cached.unwrap_or(self.input)),
            (usage.cache_write_tokens, self.cache_write.unwrap_or(self.input)),
            (usage.output_tokens, self.output),
        ];
        Cost(
            parts.iter().fold(0, |sum: u64, (tokens, price)| {
                sum.saturating_add(tokens.saturating_mul(*price))
            }),
        )
    }

    /// The most that so many tokens of each kind can cost, whatever the cache does.
    pub fn at_most(&self, input_tokens: u64, output_tokens: u64) -> Cost {
        let dearest = [self.input, self.cached.unwrap_or(0), self.cache_write.unwrap_or(0)];
        let input = dearest.into_iter().max().unwrap_or(self.input);
        let read = input_tokens.saturating_mul(input);
        Cost(read.saturating_add(output_tokens.saturating_mul(self.output)))
    }
}

impl Cost {
    /// So many picodollars.
    pub const fn pico(pico: u64) -> Self {
        Self(pico)
    }

    /// In picodollars.
    pub const fn as_pico(self) -> u64 {
        self.0
    }

    /// What is left without the other; nothing where that is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Both together; a sum past the largest stays there.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = self.plus(other);
    }
}

impl fmt::Display for Cost {
    /// All decimals that are not zero, at least two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:012}", self.0 % PICO);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / PICO, decimals.get(..kept).unwrap_or_default())
    }
}

/// A text is no sum of dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCost;

impl fmt::Display for NoCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sum of dollars like \"0.50\", with at most twelve decimals")
    }
}

impl std::error::Error for NoCost {}

impl FromStr for Cost {
    type Err = NoCost;

    fn from_str(text: &str) -> Result<Self, NoCost> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || decimals.len() > DECIMALS || !digits(whole) || !digits(decimals) {
            return Err(NoCost);
        }
        let whole: u64 = whole.parse().map_err(|_| NoCost)?;
        let decimals: u64 = format!("{decimals:0<DECIMALS$}").parse().map_err(|_| NoCost)?;
        let pico = whole.checked_mul(PICO).and_then(|pico| pico.checked_add(decimals));
        pico.map(Self).ok_or(NoCost)
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(NoCost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_read_back() {
        for (text, shown) in [
            ("0.5", "0.50"),
            ("12", "12.00"),
            ("0.000000000001", "0.000000000001"),
            ("3.0375", "3.0375"),
        ] {
            let cost: Cost = text.parse().expect("a sum");
            assert_eq!(cost.to_string(), shown);
            assert_eq!(shown.parse(), Ok(cost));
        }
        for wrong in ["", ".5", "-1", "1e3", "0.0000000000001", "1,5", "99999999999"] {
            assert_eq!(wrong.parse::<Cost>(), Err(NoCost), "{wrong}");
        }
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let price = Price {
            input: 3_000_000,
            output: 15_000_000,
            cached: Some(300_000),
            cache_write: Some(3_750_000),
        };
        let usage = Usage {
            input_tokens: 1_000,
            cached_tokens: 600,
            cache_write_tokens: 100,
            output_tokens: 10,
            reasoning_tokens: 4,
        };
        let expected = 300 * 3_000_000 + 600 * 300_000 + 100 * 3_750_000 + 10 * 15_000_000;
        assert_eq!(price.of(&usage), Cost::pico(expected));
        assert!(price.of(&usage) <= price.at_most(usage.input_tokens, usage.output_tokens));
        let bare = Price { cached: None, cache_write: None, ..price };
        assert_eq!(bare.of(&usage), Cost::pico(1_000 * 3_000_000 + 10 * 15_000_000));
    }
}
