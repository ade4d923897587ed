//! What a request writes to the name of an input: `repo=.`, `subject: a page for the inbox`.
//!
//! Only names of inputs are looked for; any other `name=value` is text like the rest.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use super::answer;
use super::fill::{Candidate, Fit};
use super::find::{self, Request};
use super::reading::{self, Look, Token};
use super::roles::{Role, Wanted};
use super::terms;

/// A name in a request, with what is written behind its mark.
struct Told {
    slot: usize,
    /// The token that the name stands in.
    at: usize,
    /// What stands in the same token behind the mark; where nothing does, the next token counts.
    rest: Option<String>,
    /// Whether the mark is a colon, behind which a text goes on to the end of its line.
    is_colon: bool,
}

/// The candidates that are written to the names of their slots.
pub(super) fn candidates(request: &Request<'_>, open: &[Wanted<'_>]) -> Vec<Candidate> {
    let names: HashMap<Vec<String>, usize> = open
        .iter()
        .zip(0..)
        .map(|(wanted, slot)| (terms::words(&wanted.slot.name), slot))
        .collect();
    let all = request.tokens.iter().enumerate();
    let told: Vec<Told> = all.filter_map(|(at, token)| told(token, at, &names)).collect();
    let ends = told.iter().skip(1).map(|next| next.at).chain([request.tokens.len()]);
    let read = told.iter().zip(ends).filter_map(|(told, end)| {
        let wanted = open.get(told.slot)?;
        let (text, tokens) = text(request, told, end, wanted)?;
        let value = value(request, wanted, &text, &tokens)?;
        Some(Candidate { slot: told.slot, tokens, value, fit: Fit::Told })
    });
    read.collect()
}

fn told(token: &Token, at: usize, names: &HashMap<Vec<String>, usize>) -> Option<Told> {
    if token.look == Look::Quoted {
        return None;
    }
    let slot = |name: &str| names.get(&terms::words(name)).copied();
    if let Some((name, rest)) = token.text.split_once('=') {
        let rest = Some(rest).filter(|rest| !rest.is_empty()).map(str::to_owned);
        return Some(Told { slot: slot(name)?, at, rest, is_colon: false });
    }
    (token.mark == Some(':')).then_some(())?;
    Some(Told { slot: slot(&token.text)?, at, rest: None, is_colon: true })
}

/// The text and the tokens that it stands in, the name's included.
fn text(
    request: &Request<'_>,
    told: &Told,
    end: usize,
    wanted: &Wanted<'_>,
) -> Option<(String, Range<usize>)> {
    if let Some(rest) = &told.rest {
        return Some((rest.clone(), told.at..told.at + 1));
    }
    let next = request.token(told.at + 1).filter(|_| told.at + 1 < end)?;
    let goes_on = told.is_colon && next.look != Look::Quoted;
    if !goes_on || !matches!(wanted.role, Role::Text(_) | Role::Question) {
        return Some((next.text.clone(), told.at..told.at + 2));
    }
    let last = (told.at + 1..end).find(|at| request.ends_line(*at)).map_or(end, |at| at + 1);
    let text = request.words(&(told.at + 1..last)).trim_matches(reading::is_gap);
    Some((text.to_owned(), told.at..last))
}

fn value(
    request: &Request<'_>,
    wanted: &Wanted<'_>,
    text: &str,
    tokens: &Range<usize>,
) -> Option<Value> {
    let when = matches!(wanted.role, Role::Day(_)).then(|| request.day_in(tokens)).flatten();
    match when {
        Some(when) => find::day_value(wanted, when).map(Value::String),
        None => answer::read_answer(wanted.slot, text).ok(),
    }
}
