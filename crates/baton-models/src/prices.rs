//! What models cost and hold: a dated table in the binary, and what `[models.known]` says better.
//!
//! A model that neither knows has no price and no window: unknown is never zero. Nothing is fetched.

use std::collections::BTreeMap;

use baton_core::agent::{Cost, NoCost, Price};
use baton_core::plan::ModelSpec;
use serde::Deserialize;

use crate::config::Known;

/// Made by `cargo xtask prices`; its head says of what, and under which licence.
const TABLE: &str = include_str!("prices.json");

/// How often a price per million tokens holds picodollars per token: one dollar is 10¹² of them.
const MILLION: u64 = 1_000_000;

/// Prices and windows by the names of models.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Prices {
    /// The day on which the table was made, `2026-11-21`.
    pub date: String,
    /// By provider.
    providers: BTreeMap<String, Vec<Row>>,
}

/// What is known of the models of one family.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Row {
    /// Patterns of their names: `*` at either end stands for anything, `#` for a digit.
    names: Vec<String>,
    /// Patterns of names that are not of it all the same.
    not: Vec<String>,
    /// Tokens of request and answer.
    window: Option<u64>,
    /// A request of more tokens than this costs more than these prices.
    up_to: Option<u64>,
    /// In the order of their days; the first has none.
    prices: Vec<Dated>,
}

/// A price from a day on, in picodollars per token.
#[derive(Clone, Debug, Deserialize)]
struct Dated {
    from: Option<String>,
    #[serde(flatten)]
    price: Price,
}

impl Prices {
    /// The table in the binary; empty, should it not be readable.
    pub fn table() -> Self {
        serde_json::from_str(TABLE).unwrap_or_default()
    }

    /// What the table knows of `provider/name` on a day (`2026-11-21`).
    ///
    /// Where long requests cost more, the window ends before them, so that the price is exact.
    pub fn spec(&self, model: &str, day: &str) -> ModelSpec {
        let mut spec = ModelSpec::named(model);
        let Some(row) = self.row(model) else {
            return spec;
        };
        spec.window_tokens = match (row.window, row.up_to) {
            (Some(window), Some(up_to)) => Some(window.min(up_to)),
            (window, up_to) => window.or(up_to),
        };
        let holds = |dated: &&Dated| dated.from.as_deref().is_none_or(|from| from <= day);
        spec.price = row.prices.iter().rev().find(holds).map(|dated| dated.price);
        spec
    }

    /// The row whose pattern says the most of the name.
    fn row(&self, model: &str) -> Option<&Row> {
        let (provider, name) = model.split_once('/')?;
        let name = name.to_ascii_lowercase();
        let rows = self.providers.get(provider)?;
        let is_meant = |row: &&Row| !row.not.iter().any(|pattern| matches(pattern, &name));
        let suits = rows.iter().filter(is_meant).filter_map(|row| {
            let patterns = row.names.iter().filter(|pattern| matches(pattern, &name));
            Some((patterns.map(String::len).max()?, row))
        });
        suits.max_by_key(|(length, _)| *length).map(|(_, row)| row)
    }
}

/// Whether a pattern is of this name.
fn matches(pattern: &str, name: &str) -> bool {
    let (open_start, pattern) = match pattern.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (open_end, pattern) = match pattern.strip_suffix('*') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let is = |part: &[u8]| {
        let mut pairs = pattern.iter().zip(part);
        pairs.all(|(wants, has)| wants == has || (*wants == b'#' && has.is_ascii_digit()))
    };
    let mut windows = name.windows(pattern.len().max(1));
    match (open_start, open_end) {
        (false, false) => name.len() == pattern.len() && is(name),
        (false, true) => windows.next().is_some_and(is),
        (true, false) => windows.next_back().is_some_and(is),
        (true, true) => windows.any(is),
    }
}

/// The price that is declared of a model, if one is. The fault says which field is no sum.
pub(crate) fn price_of(known: &Known) -> Result<Option<Price>, String> {
    let read = |name: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let price = per_token(text);
        price.map(Some).map_err(|why| format!("`{name}` is `{text}`, which is not {why}"))
    };
    let (input, output) = (read("input", &known.input)?, read("output", &known.output)?);
    let (cached, cache_write) =
        (read("cached", &known.cached)?, read("cache_write", &known.cache_write)?);
    match (input, output) {
        (Some(input), Some(output)) => Ok(Some(Price { input, output, cached, cache_write })),
        (None, None) if cached.is_none() && cache_write.is_none() => Ok(None),
        (_, _) => Err("a price needs both `input` and `output`".to_owned()),
    }
}

/// Picodollars per token of dollars per million tokens.
fn per_token(text: &str) -> Result<u64, String> {
    let cost: Cost = text.parse().map_err(|why: NoCost| why.to_string())?;
    let pico = cost.as_pico();
    if pico.is_multiple_of(MILLION) {
        Ok(pico / MILLION)
    } else {
        Err("a sum of dollars with at most six decimals".to_owned())
    }
}

#[cfg(test)]
#[path = "prices_tests.rs"]
mod tests;
