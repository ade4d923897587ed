//! Finding: the candidates that a request holds for each slot.
//!
//! It looks at one slot at a time, and leaves to the caller which candidate is taken.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use super::dates::{self, Day, End, When};
use super::fill::{Candidate, Fit};
use super::numbers;
use super::paths;
use super::reading::{self, Look, Token};
use super::roles::{self, Polarity, Role, Wanted};
use super::terms;

/// The most candidates of one slot; what follows in the request is not looked at.
const CANDIDATES_MAX: usize = 64;

/// A request that is cut into tokens.
pub(super) struct Request<'r> {
    text: &'r str,
    pub tokens: Vec<Token>,
    /// Phrases that name days, by the tokens they begin at.
    days: Vec<(usize, When)>,
    /// The words of every token that may be said, with its place among the tokens.
    spoken: Vec<Spoken>,
    /// Places in `spoken`, by stem.
    by_stem: HashMap<String, Vec<usize>>,
}

struct Spoken {
    lower: String,
    stem: String,
    token: usize,
}

impl<'r> Request<'r> {
    pub fn of(text: &'r str, today: Day) -> Self {
        let text = reading::bounded(text);
        let tokens = reading::tokens(text);
        let mut spoken = Vec::new();
        for (token, is) in tokens.iter().enumerate() {
            if matches!(is.look, Look::Word | Look::Quoted | Look::Number) {
                let words = terms::words(&is.text).into_iter();
                let said = |lower: String| Spoken { stem: terms::stem(&lower), lower, token };
                spoken.extend(words.map(said));
            }
        }
        let mut by_stem: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, word) in spoken.iter().enumerate() {
            by_stem.entry(word.stem.clone()).or_default().push(at);
        }
        let days = (0..tokens.len())
            .filter_map(|at| Some((at, dates::phrase(&tokens, at, today)?)))
            .take(CANDIDATES_MAX)
            .collect();
        Self { text, tokens, days, spoken, by_stem }
    }

    /// The part of the request that tokens stand in; all of it where there are none.
    pub fn words(&self, tokens: &Range<usize>) -> &str {
        let read = self.tokens.get(tokens.clone()).unwrap_or_default();
        let ends = read.first().zip(read.last());
        let part = ends.and_then(|(first, last)| self.text.get(first.start..last.end));
        part.unwrap_or_else(|| self.text.trim_matches(reading::is_gap))
    }

    /// The phrase that names a day within some tokens.
    pub fn day_in(&self, tokens: &Range<usize>) -> Option<&When> {
        let within = |at: usize, when: &When| tokens.start <= at && at + when.length <= tokens.end;
        self.days.iter().find(|(at, when)| within(*at, when)).map(|(_, when)| when)
    }

    /// Whether a token is the last of its line, or of what a semicolon ends.
    pub fn ends_line(&self, at: usize) -> bool {
        let Some(token) = self.token(at) else { return true };
        let gap = self.token(at + 1).and_then(|next| self.text.get(token.end..next.start));
        token.mark == Some(';') || gap.is_none_or(|gap| gap.contains('\n'))
    }

    pub fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    /// The token before, unless a clause ends with it.
    pub fn before(&self, at: usize) -> Option<&Token> {
        let before = self.tokens.get(at.checked_sub(1)?)?;
        before.mark.is_none_or(|mark| mark == ':').then_some(before)
    }

    /// The last word before that is none of these.
    pub fn before_skipping(&self, at: usize, skipped: &[&str]) -> Option<(usize, &Token)> {
        const FAR: usize = 3;
        let reach = (at.saturating_sub(FAR)..at).rev();
        let mut words = reach.map_while(|at| Some((at, self.before(at + 1)?)));
        words.find(|(_, token)| !skipped.contains(&token.lower.as_str()))
    }

    /// How well the words around a value fit a slot: its name or its title right before or behind.
    pub fn near(&self, tokens: &Range<usize>, wanted: &Wanted<'_>) -> Option<Fit> {
        let says = |token: &Token| {
            let is_said = token.look == Look::Word;
            let titled = is_said && !terms::is_stop(&token.lower);
            match (is_said && wanted.name.contains(&token.stem), titled) {
                (true, _) => Some(Fit::Name),
                (false, true) => wanted.title.contains(&token.stem).then_some(Fit::Title),
                (false, false) => None,
            }
        };
        let right_before = self.before(tokens.start).and_then(says);
        let reach = (tokens.start.saturating_sub(3)..tokens.start).rev();
        let mut words = reach.map_while(|at| self.before(at + 1));
        let before = words.find(|token| !terms::is_stop(&token.lower)).and_then(says);
        let last = tokens.end.checked_sub(1).and_then(|last| self.token(last));
        let goes_on = last.is_some_and(|last| last.mark.is_none());
        let behind = self.token(tokens.end).filter(|_| goes_on).and_then(says);
        right_before.max(before).max(behind)
    }

    /// The end of a period or range that the words before a value announce, and where they begin.
    fn end_before(&self, at: usize) -> Option<(usize, End)> {
        const SKIPPED: [&str; 6] = ["the", "tag", "version", "commit", "revision", "release"];
        let (place, token) = self.before_skipping(at, &SKIPPED)?;
        Some((place, dates::end_of(&token.lower)?))
    }

    /// Where a phrase of stems is said, as ranges of `spoken`.
    fn said(&self, stems: &[String]) -> Vec<Range<usize>> {
        let places = stems.first().and_then(|first| self.by_stem.get(first));
        let is_said = |at: &&usize| {
            let words = self.spoken.get(**at..**at + stems.len()).unwrap_or_default();
            words.len() == stems.len()
                && words.iter().zip(stems).all(|(word, stem)| word.stem == *stem)
        };
        let places = places.into_iter().flatten().filter(is_said);
        places.take(CANDIDATES_MAX).map(|at| *at..*at + stems.len()).collect()
    }

    /// Whether the word before says with or without, and where it stands.
    fn polarity_before(&self, at: usize) -> Option<(usize, Polarity)> {
        const SKIPPED: [&str; 6] = ["any", "the", "its", "all", "running", "a"];
        let reach = (at.saturating_sub(3)..at).rev();
        let mut words = reach.filter_map(|at| Some((at, self.spoken.get(at)?)));
        let (place, word) = words.find(|(_, word)| !SKIPPED.contains(&word.lower.as_str()))?;
        // "don't" is cut at its apostrophe.
        let refused = word.lower == "t";
        let said = roles::polarity(&word.lower).or(refused.then_some(Polarity::Without))?;
        Some((place, said))
    }

    /// The tokens that words were cut from.
    fn tokens_of(&self, spoken: &Range<usize>) -> Range<usize> {
        let read = self.spoken.get(spoken.clone()).unwrap_or_default();
        let ends = read.first().zip(read.last());
        ends.map_or(0..0, |(first, last)| first.token..last.token + 1)
    }
}

/// Every candidate of every slot, as far as the slots' names, kinds and roles tell.
pub(super) fn candidates(request: &Request<'_>, open: &[Wanted<'_>]) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (slot, wanted) in open.iter().enumerate() {
        let mut found = Found { request, wanted, slot, candidates: Vec::new() };
        match wanted.role {
            Role::Folder | Role::Source | Role::Target => paths::find(&mut found),
            Role::Day(end) => days(&mut found, end),
            Role::Number(unit) => amounts(&mut found, unit),
            Role::Flag(polarity) => flags(&mut found, polarity),
            Role::Choice => choices(&mut found),
            Role::Address => addresses(&mut found),
            Role::Question => question(&mut found),
            Role::Text(end) => texts(&mut found, end),
            Role::Other => {}
        }
        all.append(&mut found.candidates);
    }
    all.extend(super::told::candidates(request, open));
    all
}

/// The candidates of one slot.
pub(super) struct Found<'f, 'r, 's> {
    pub request: &'f Request<'r>,
    pub wanted: &'f Wanted<'s>,
    slot: usize,
    candidates: Vec<Candidate>,
}

impl Found<'_, '_, '_> {
    pub fn add(&mut self, tokens: Range<usize>, value: impl Into<Value>, fit: Fit) {
        if self.candidates.len() < CANDIDATES_MAX {
            let value = value.into();
            self.candidates.push(Candidate { slot: self.slot, tokens, value, fit });
        }
    }

    fn near(&self, tokens: &Range<usize>) -> Option<Fit> {
        self.request.near(tokens, self.wanted)
    }
}

fn days(found: &mut Found<'_, '_, '_>, end: Option<End>) {
    for (at, when) in &found.request.days {
        let announced = found.request.end_before(*at);
        let said = announced.map(|(_, end)| end).or(when.end);
        let start = announced.map_or(*at, |(start, _)| start);
        let tokens = start..*at + when.length;
        let fit = match (end, said) {
            (Some(end), Some(said)) if end == said => Some(Fit::Name),
            (Some(_), Some(_)) => None,
            (Some(_) | None, _) => Some(found.near(&tokens).unwrap_or(Fit::Kind)),
        };
        if let Some((fit, value)) = fit.zip(day_value(found.wanted, when)) {
            found.add(tokens, value, fit);
        }
    }
}

/// The phrase as the slot takes it.
pub(super) fn day_value(wanted: &Wanted<'_>, when: &When) -> Option<String> {
    let day = when.day.map(|day| day.to_string());
    match wanted.slot.format() {
        Some("date") => day,
        Some("date-time") => day.map(|day| format!("{day}T00:00:00Z")),
        Some(_) | None if wanted.is_relative => when.ago.clone().or(day),
        Some(_) | None => day.or_else(|| when.ago.clone()),
    }
}

fn amounts(found: &mut Found<'_, '_, '_>, unit: Option<f64>) {
    let is_asked = found.wanted.slot.default.is_none();
    for (at, token) in found.request.tokens.iter().enumerate() {
        if !matches!(token.look, Look::Number | Look::Word) {
            continue;
        }
        let Some(amount) = numbers::amount(&token.text) else { continue };
        let behind = found.request.token(at + 1).filter(|_| token.mark.is_none());
        let behind = behind.filter(|token| token.look == Look::Word);
        let behind_unit = behind.and_then(|token| numbers::unit(&token.stem));
        let length = if amount.unit.is_none() && behind_unit.is_some() { 2 } else { 1 };
        let near = found.near(&(at..at + 1));
        let has_noun = behind.is_some_and(|token| !terms::is_stop(&token.lower));
        let (number, fit) = match (unit, amount.unit.or(behind_unit)) {
            (Some(unit), Some(said)) => (amount.number * said / unit, Some(Fit::Name)),
            (None, Some(_)) => (amount.number, near.filter(|fit| *fit >= Fit::Name)),
            // What is counted is something else, unless the slot is called so.
            (_, None) if has_noun => (amount.number, near),
            (_, None) => (amount.number, near.or(is_asked.then_some(Fit::Kind))),
        };
        if let Some((fit, value)) = fit.zip(numbers::value(number)) {
            found.add(at..at + length, value, fit);
        }
    }
}

fn flags(found: &mut Found<'_, '_, '_>, polarity: Polarity) {
    let wanted = found.wanted;
    for range in found.request.said(&wanted.flag) {
        let said = found.request.polarity_before(range.start);
        let start = said.map_or(range.start, |(start, _)| start);
        // A name of several words is not said by chance.
        let by_name = (wanted.flag.len() > 1).then_some(Polarity::With);
        if let Some(said) = said.map(|(_, said)| said).or(by_name) {
            let tokens = found.request.tokens_of(&(start..range.end));
            found.add(tokens, polarity.value(said), Fit::Name);
        }
    }
}

fn choices(found: &mut Found<'_, '_, '_>) {
    let mut said: Vec<(Range<usize>, Value, Fit)> = Vec::new();
    for (shown, value) in found.wanted.slot.choices() {
        let words = terms::words(&shown);
        let stems: Vec<String> = words.iter().map(|word| terms::stem(word)).collect();
        // "a", "all", "no": said in any sentence.
        let is_common = words.iter().all(|word| word.chars().count() < 2 || terms::is_stop(word));
        for range in found.request.said(&stems) {
            let before = found.request.polarity_before(range.start);
            let near = found.near(&found.request.tokens_of(&range));
            let is_refused = before.is_some_and(|(_, said)| said == Polarity::Without);
            if !(is_refused || is_common && near.is_none()) {
                let fit = near.map_or(Fit::Title, |_| Fit::Name);
                said.push((range, value.clone(), fit));
            }
        }
    }
    said.truncate(CANDIDATES_MAX);
    for (range, value, fit) in &said {
        // "red" is not said by "dark red" where that is a choice too.
        let holds = |other: &Range<usize>| {
            other != range && other.start <= range.start && range.end <= other.end
        };
        if !said.iter().any(|(other, ..)| holds(other)) {
            found.add(found.request.tokens_of(range), value.clone(), *fit);
        }
    }
}

fn addresses(found: &mut Found<'_, '_, '_>) {
    let is_email =
        found.wanted.slot.format() == Some("email") || found.wanted.name.contains("email");
    for (at, token) in found.request.tokens.iter().enumerate() {
        if token.look == Look::Address && token.text.contains("://") != is_email {
            let fit = found.near(&(at..at + 1)).unwrap_or(Fit::Title);
            found.add(at..at + 1, token.text.clone(), fit);
        }
    }
}

fn question(found: &mut Found<'_, '_, '_>) {
    quoted(found);
    let words = found.request.words(&(0..0));
    let is_question = words.contains('?') || !found.wanted.name.contains("question");
    if is_question && !words.is_empty() {
        let words = words.to_owned();
        found.add(0..0, words, Fit::Weak);
    }
}

fn texts(found: &mut Found<'_, '_, '_>, end: Option<End>) {
    quoted(found);
    for (at, token) in found.request.tokens.iter().enumerate() {
        if token.look == Look::Quoted || !is_literal(token) {
            continue;
        }
        let announced = found.request.end_before(at).filter(|(_, said)| Some(*said) == end);
        let is_named = found.request.before(at).is_some_and(|before| {
            before.look == Look::Word && found.wanted.name.contains(&before.stem)
        });
        if announced.is_some() || is_named {
            let start = announced.map_or(at, |(start, _)| start);
            found.add(start..at + 1, token.text.clone(), Fit::Name);
        }
    }
}

fn quoted(found: &mut Found<'_, '_, '_>) {
    for (at, token) in found.request.tokens.iter().enumerate() {
        if token.look == Look::Quoted && !token.text.trim().is_empty() {
            let fit = found.near(&(at..at + 1)).unwrap_or(Fit::Kind);
            found.add(at..at + 1, token.text.clone(), fit);
        }
    }
}

/// What is no word of the language: `v1.2.0`, `1.2.0`, `HEAD`, `3f2a9c1`.
fn is_literal(token: &Token) -> bool {
    let has = |fits: fn(char) -> bool| token.text.contains(fits);
    match token.look {
        Look::Word => {
            let is_upper = token.text.chars().count() > 1 && !has(|c| !c.is_ascii_uppercase());
            is_upper || has(|c| c.is_ascii_digit())
        }
        Look::Number => has(|c| c == '.' || c.is_ascii_alphabetic()),
        Look::FileName => true,
        Look::Quoted | Look::Path | Look::Address => false,
    }
}
