//! The table is what its source says, and its rules find today's names.

use super::*;

/// A day on which the table holds.
const DAY: &str = "2026-11-21";

fn spec(model: &str) -> ModelSpec {
    Prices::table().spec(model, DAY)
}

/// Input and output of a million tokens, in micro-dollars.
fn price(model: &str) -> Option<(u64, u64)> {
    spec(model).price.map(|price| (price.input, price.output))
}

#[test]
fn the_table_is_readable_dated_and_attributed() {
    let table: serde_json::Value = serde_json::from_str(TABLE).expect("it is JSON");
    for field in ["source", "licence", "unit"] {
        assert!(table.get(field).is_some_and(|said| said.is_string()), "{field}");
    }
    let read = Prices::table();
    assert_eq!(read.date.len(), DAY.len());
    for (provider, rows) in &read.providers {
        assert!(!rows.is_empty(), "{provider}");
        for row in rows {
            let first = row.prices.first().expect("a row has a price");
            assert!(first.from.is_none(), "{:?}", row.names);
            assert!(row.prices.is_sorted_by_key(|dated| dated.from.clone()), "{:?}", row.names);
            assert!(row.names.iter().all(|name| *name == name.to_lowercase()), "{:?}", row.names);
        }
    }
}

#[test]
fn names_with_dates_are_of_their_family() {
    for (model, of) in [
        ("anthropic/claude-opus-5-5-20261014", "anthropic/claude-opus-5-5"),
        ("anthropic/claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"),
        ("openai/gpt-5-2025-08-07", "openai/gpt-5"),
        ("openai/gpt-6.1-sol-2026-11-01", "openai/gpt-6.1-sol"),
        ("openai/GPT-5-mini", "openai/gpt-5-mini"),
        ("gemini/gemini-3.8-flash-001", "gemini/gemini-flash-latest"),
        ("xai/grok-4.7-20261101", "xai/grok-4.7"),
    ] {
        assert!(price(model).is_some(), "{model}");
        assert_eq!(price(model), price(of), "{model}");
    }
}

#[test]
fn what_is_alike_is_told_apart() {
    assert_eq!(price("anthropic/claude-opus-5"), Some((5_000_000, 25_000_000)));
    assert_eq!(price("anthropic/claude-opus-5-5"), Some((4_000_000, 20_000_000)));
    assert_eq!(price("openai/gpt-5"), Some((1_250_000, 10_000_000)));
    assert_eq!(price("openai/gpt-5-nano"), Some((50_000, 400_000)));
    assert_ne!(price("gemini/gemini-2.5-pro-tts"), price("gemini/gemini-2.5-pro"));
    assert_ne!(price("openai/gpt-4o-2024-05-13"), price("openai/gpt-4o-2024-08-06"));
}

#[test]
fn what_nobody_knows_has_no_price() {
    for model in [
        "openai/gpt-5-of-my-own",
        "openai/gpt-6.1-sol-20261101x",
        "anthropic/claude-opus-5-6-20270101",
        "gemini/gemini-3.8-flash-tts-2027",
        "ollama/gpt-5",
        "anthropic",
        "anthropic/",
        "",
    ] {
        assert_eq!(spec(model), ModelSpec::named(model), "{model}");
    }
}

#[test]
fn a_window_ends_where_requests_begin_to_cost_more() {
    assert_eq!(spec("anthropic/claude-opus-5").window_tokens, Some(1_000_000));
    assert_eq!(spec("anthropic/claude-haiku-5-5").window_tokens, Some(100_000));
}

#[test]
fn a_price_holds_from_its_day() {
    let (before, after) = (
        Prices::table().spec("gemini/gemini-4-argon", DAY),
        Prices::table().spec("gemini/gemini-4-argon", "2026-12-01"),
    );
    let input = |spec: ModelSpec| spec.price.map(|price| price.input);
    assert_eq!((input(before), input(after)), (Some(2_000_000), Some(4_000_000)));
}

#[test]
fn the_cache_has_prices_of_its_own() {
    let price = spec("anthropic/claude-opus-5").price.expect("it is known");
    assert_eq!((price.cached, price.cache_write), (Some(500_000), Some(6_250_000)));
}

#[test]
fn patterns_are_open_where_they_say() {
    for (pattern, name, suits) in [
        ("a-b", "a-b", true),
        ("a-b", "a-bc", false),
        ("a-*", "a-bc", true),
        ("a-*", "ba-bc", false),
        ("*-b", "a-b", true),
        ("*-b", "a-bc", false),
        ("*b*", "abc", true),
        ("a-##", "a-12", true),
        ("a-##", "a-1x", false),
        ("a-#*", "a-1x", true),
        ("abc*", "ab", false),
    ] {
        assert_eq!(matches(pattern, name), suits, "{pattern} {name}");
    }
}

#[test]
fn a_declared_price_needs_both_its_sides() {
    let known = |input: Option<&str>, output: Option<&str>| Known {
        input: input.map(str::to_owned),
        output: output.map(str::to_owned),
        ..Known::default()
    };
    let both = price_of(&known(Some("3"), Some("0.075"))).expect("sums").expect("a price");
    assert_eq!((both.input, both.output), (3_000_000, 75_000));
    assert_eq!(price_of(&known(None, None)), Ok(None));
    assert!(price_of(&known(Some("3"), None)).is_err());
}
