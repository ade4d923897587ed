//! Answers: what a person types when a slot is asked for.
//!
//! A refusal says what is expected. Whether a path leads anywhere is not looked at.

use serde_json::Value;

use super::REQUEST_CHARS_MAX;
use super::numbers;
use super::slot::{Slot, SlotKind};
use super::terms;
use crate::definition;

const YES: [&str; 8] = ["y", "yes", "true", "on", "1", "yep", "sure", "ok"];
const NO: [&str; 7] = ["n", "no", "false", "off", "0", "nope", "none"];
/// How many choices a refusal lists.
const LISTED_MAX: usize = 20;

/// The value that a typed answer stands for; `Err` says what is expected, for people.
///
/// Nothing typed takes the default, where there is one. A choice is taken by its text, by its number
/// from 1, or by the beginning of its text where no other begins so.
pub fn read_answer(slot: &Slot, text: &str) -> Result<Value, String> {
    let text = text.trim();
    if text.chars().nth(REQUEST_CHARS_MAX).is_some() {
        return Err(format!("an answer may have at most {REQUEST_CHARS_MAX} characters"));
    }
    if text.is_empty() {
        return slot.default.clone().ok_or_else(|| expected(slot));
    }
    let value = match &slot.kind {
        SlotKind::Text => written(slot, text)?,
        SlotKind::Choice(_) => choice(slot, text).ok_or_else(|| expected(slot))?,
        SlotKind::YesNo => yes_no(text).map(Value::Bool).ok_or_else(|| expected(slot))?,
        SlotKind::File => path(text).map(Value::String)?,
        SlotKind::Number { min, max, integer } => {
            let amount = number(slot, text).ok_or_else(|| expected(slot))?;
            let fits = min.is_none_or(|min| amount >= min) && max.is_none_or(|max| amount <= max);
            let is_whole = !integer || amount.fract() == 0.0;
            let number = numbers::value(amount).filter(|_| fits && is_whole);
            number.ok_or_else(|| expected(slot))?
        }
    };
    slot.check(&value).map(|()| value)
}

/// What a slot takes, for people.
fn expected(slot: &Slot) -> String {
    match &slot.kind {
        SlotKind::Text => match slot.format() {
            Some("date") => "type a date like 2026-11-21".to_owned(),
            Some("date-time") => "type a time like 2026-11-21T09:30:00Z".to_owned(),
            Some(_) | None => format!("type a text for {}", slot.shown()),
        },
        SlotKind::Choice(choices) => {
            let numbered = (1..).zip(choices).take(LISTED_MAX);
            let listed: Vec<String> =
                numbered.map(|(at, shown)| format!("{at}) {shown}")).collect();
            let more = choices.len().saturating_sub(LISTED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("type one of {}{more}, or its number", listed.join(", "))
        }
        SlotKind::YesNo => "type yes or no".to_owned(),
        SlotKind::File => "type the path of a file or folder, like . or src/main.rs".to_owned(),
        SlotKind::Number { min, max, integer } => {
            let what = if *integer { "a whole number" } else { "a number" };
            let bounds = match (min, max) {
                (Some(min), Some(max)) => format!(" from {min} to {max}"),
                (Some(min), None) => format!(" of at least {min}"),
                (None, Some(max)) => format!(" of at most {max}"),
                (None, None) => String::new(),
            };
            format!("type {what}{bounds}")
        }
    }
}

fn written(slot: &Slot, text: &str) -> Result<Value, String> {
    let of_format = match slot.format() {
        Some("date") => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
        Some(_) | None => true,
    };
    if !of_format {
        return Err(expected(slot));
    }
    let schema =
        serde_json::json!({ "properties": { &*slot.name: { "type": slot.declared_type() } } });
    let value = definition::value_from_text(Some(&schema), &slot.name, text);
    let is_list = slot.declared_type() == Some("array") && value.is_string();
    // A list may be typed as people write one.
    let listed = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Ok(if is_list { listed().map(Value::from).collect() } else { value })
}

fn choice(slot: &Slot, text: &str) -> Option<Value> {
    let choices = slot.choices();
    let said = terms::normalised(text);
    let of = |fits: &dyn Fn(&str) -> bool| {
        let mut fitting = choices.iter().filter(|(shown, _)| fits(shown));
        let first = fitting.next();
        first.filter(|_| fitting.next().is_none()).map(|(_, value)| value.clone())
    };
    let by_number = || {
        let number: usize = text.trim_end_matches(['.', ')']).parse().ok()?;
        choices.get(number.checked_sub(1)?).map(|(_, value)| value.clone())
    };
    let by_words = || of(&|shown| !said.is_empty() && terms::normalised(shown) == said);
    let by_start = || of(&|shown| !said.is_empty() && terms::normalised(shown).starts_with(&said));
    of(&|shown| shown == text).or_else(by_words).or_else(by_number).or_else(by_start)
}

fn yes_no(text: &str) -> Option<bool> {
    let said = terms::normalised(text);
    let is = |words: &[&str]| words.contains(&said.as_str());
    if is(&YES) { Some(true) } else { is(&NO).then_some(false) }
}

/// A number, in the slot's unit of time where both name one.
fn number(slot: &Slot, text: &str) -> Option<f64> {
    let amount = numbers::amount(text)?;
    let words = terms::words(&slot.name).into_iter().chain(terms::words(slot.shown()));
    let unit = words.map(|word| terms::stem(&word)).find_map(|stem| numbers::unit(&stem));
    match (amount.unit, unit) {
        (Some(said), Some(unit)) => Some(amount.number * said / unit),
        (Some(_), None) => None,
        (None, _) => Some(amount.number),
    }
}

fn path(text: &str) -> Result<String, String> {
    let unquoted = ['"', '\'', '`'].iter().find_map(|mark| {
        text.strip_prefix(*mark)?.strip_suffix(*mark).filter(|inner| !inner.is_empty())
    });
    let text = unquoted.unwrap_or(text);
    if text.contains(|letter: char| letter.is_control()) {
        return Err("a path has no control characters and is on one line".to_owned());
    }
    let said = terms::normalised(text);
    let is_here = matches!(
        said.as_str(),
        "here"
            | "this folder"
            | "this directory"
            | "this repository"
            | "this repo"
            | "this project"
    );
    Ok(if is_here { ".".to_owned() } else { text.to_owned() })
}
