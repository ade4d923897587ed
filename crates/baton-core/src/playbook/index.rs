//! The index of a shelf: which definitions a term stands in, and how much it says there (BM25).
//!
//! It ranks and measures. What is certain, unsure or nothing at all is the shelf's to say.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::asked::{self, Asked};
use super::roles::{Role, Wanted};
use super::{Playbook, slot, terms};

/// BM25: how soon more of the same term says nothing more (Robertson and Zaragoza, 2009).
const K1: f64 = 1.2;
/// BM25: how much the length of a definition's texts counts.
const B: f64 = 0.75;
/// Definitions that are assumed beside those on the shelf, none with a word of theirs: without them
/// each word of the only definition would count as a common one.
const OTHERS: f64 = 50.0;
/// The longest part of a text that is indexed, in characters.
const TEXT_CHARS_MAX: usize = 1_000;
/// The most examples of a definition that are indexed.
const EXAMPLES_MAX: usize = 100;
/// How many definitions are measured, the best by BM25.
const MEASURED_MAX: usize = 50;

/// Where in a definition a term stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Example,
    Name,
    Description,
    /// A value that an input may have, or the name of a yes or no: part of a request about the
    /// definition, and no reason to take a request for one.
    Value,
}

impl Field {
    /// How often a term counts in BM25.
    fn weight(self) -> f64 {
        match self {
            Self::Example => 3.0,
            Self::Name => 2.0,
            Self::Description => 1.0,
            Self::Value => 0.25,
        }
    }

    /// How much of a request's term is covered; a value neither covers nor is it left uncovered.
    fn share(self) -> f64 {
        match self {
            Self::Example => 1.0,
            Self::Name => 0.95,
            Self::Description => 0.85,
            Self::Value => 0.0,
        }
    }
}

#[derive(Debug)]
struct Posting {
    entry: usize,
    /// How often the term stands there, weighed by field.
    count: f64,
    /// The best share of the fields it stands in.
    share: f64,
}

#[derive(Debug)]
struct Entry {
    name: String,
    /// The length of its texts in terms, weighed by field.
    length: f64,
    /// The terms of each example, of the name and of the description, each once.
    texts: Vec<Vec<usize>>,
    /// How much a word counts against it that it does not have.
    unknown_share: f64,
}

/// What the index knows of a definition under a request.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Its place in the index.
    pub entry: usize,
    /// From 0 to 1; see [`Index::measure`].
    pub score: f64,
    /// The words of the request that it has, in their order.
    pub words: Vec<String>,
}

/// What of a request a definition has.
#[derive(Default)]
struct Covered {
    /// The weight of the terms in its texts, by the share of their fields.
    covered: f64,
    /// The weight of the terms that it has or should have.
    asked: f64,
    words: Vec<String>,
}

/// Terms, and the definitions they stand in.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
    terms: HashMap<String, usize>,
    postings: Vec<Vec<Posting>>,
    /// Examples and names, normalised.
    exact: HashMap<String, Vec<usize>>,
    length_mean: f64,
}

impl Index {
    pub fn of<'a>(playbooks: impl IntoIterator<Item = Playbook<'a>>) -> Self {
        let mut index = Self::default();
        for playbook in playbooks {
            index.add(&playbook);
        }
        let total: f64 = index.entries.iter().map(|entry| entry.length).sum();
        index.length_mean = total / (index.entries.len().max(1) as f64);
        index
    }

    pub fn name(&self, entry: usize) -> &str {
        self.entries.get(entry).map_or("", |entry| &entry.name)
    }

    /// The definitions of which the whole request is an example, or the name.
    pub fn exact(&self, request: &str) -> &[usize] {
        self.exact.get(&terms::normalised(request)).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, playbook: &Playbook<'_>) {
        let place = self.entries.len();
        let examples = playbook.examples.iter().take(EXAMPLES_MAX).map(|text| start(text));
        let mut fields: Vec<(Field, Vec<String>)> = Vec::new();
        for example in examples {
            self.name_exactly(example, place);
            fields.push((Field::Example, stems(example)));
        }
        self.name_exactly(playbook.name, place);
        fields.push((Field::Name, terms::stems(playbook.name)));
        fields.push((Field::Description, stems(start(playbook.description))));
        let texts = fields.len();
        fields.push((Field::Value, playbook.inputs.map(values).unwrap_or_default()));

        let mut found: BTreeMap<usize, Posting> = BTreeMap::new();
        let mut entry = Entry {
            name: playbook.name.to_owned(),
            length: 0.0,
            texts: Vec::new(),
            unknown_share: playbook.inputs.map_or(1.0, unknown_share),
        };
        for (field, stems) in fields {
            let mut text: Vec<usize> = stems.into_iter().map(|stem| self.term(stem)).collect();
            entry.length += field.weight() * text.len() as f64;
            for term in &text {
                let none = Posting { entry: place, count: 0.0, share: 0.0 };
                let posting = found.entry(*term).or_insert(none);
                posting.count += field.weight();
                posting.share = posting.share.max(field.share());
            }
            text.sort_unstable();
            text.dedup();
            entry.texts.push(text);
        }
        entry.texts.truncate(texts);
        self.entries.push(entry);
        for (term, posting) in found {
            self.postings.get_mut(term).into_iter().for_each(|all| all.push(posting_of(&posting)));
        }
    }

    fn name_exactly(&mut self, text: &str, entry: usize) {
        let text = terms::normalised(text);
        if text.is_empty() {
            return;
        }
        let entries = self.exact.entry(text).or_default();
        if entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }

    fn term(&mut self, stem: String) -> usize {
        let next = self.postings.len();
        let term = *self.terms.entry(stem).or_insert(next);
        if term == next {
            self.postings.push(Vec::new());
        }
        term
    }

    fn postings(&self, term: usize) -> &[Posting] {
        self.postings.get(term).map_or(&[], Vec::as_slice)
    }

    /// What a term says: the rarer, the more. A word that no definition has counts as one that a
    /// single definition has.
    fn weight(&self, term: Option<usize>) -> f64 {
        let having = term.map_or(1, |term| self.postings(term).len().max(1)) as f64;
        let all = self.entries.len() as f64 + OTHERS;
        (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
    }

    /// The definitions that have a word of the request, best first, at most [`MEASURED_MAX`].
    ///
    /// A score is the share of the request's weight that a definition covers, lessened where the
    /// request covers little of any of its texts, and where others are better by BM25:
    /// `covered / asked × (0.5 + 0.3 × covered of the nearest text + 0.2 × BM25 / best BM25)`.
    pub fn measure(&self, asked: &[Asked]) -> Vec<Measured> {
        let known: Vec<(Option<usize>, &Asked)> =
            asked.iter().map(|asked| (self.terms.get(&asked.stem).copied(), asked)).collect();
        let ranked = self.ranked(known.iter().filter_map(|(term, _)| *term));
        let Some((_, best)) = ranked.first().copied() else { return Vec::new() };
        let measured = ranked.into_iter().map(|(entry, rank)| {
            let Covered { covered, asked, words } = self.covered(entry, &known);
            let cover = if covered > 0.0 { covered / asked } else { 0.0 };
            let nearest = self.nearest(entry, &known);
            let score = cover * (0.5 + 0.3 * nearest + 0.2 * rank / best);
            Measured { entry, score: score.clamp(0.0, 1.0), words }
        });
        let mut measured: Vec<Measured> =
            measured.filter(|measured| measured.score > 0.0).collect();
        measured.sort_by(|one, other| {
            let by_name = || self.name(one.entry).cmp(self.name(other.entry));
            let by_score = other.score.total_cmp(&one.score);
            by_score.then_with(by_name).then(one.entry.cmp(&other.entry))
        });
        measured
    }

    /// The best by BM25.
    fn ranked(&self, terms: impl Iterator<Item = usize>) -> Vec<(usize, f64)> {
        let mut ranks: HashMap<usize, f64> = HashMap::new();
        for term in terms {
            let weight = self.weight(Some(term));
            for posting in self.postings(term) {
                let length = self.entries.get(posting.entry).map_or(0.0, |entry| entry.length);
                let long = K1 * (1.0 - B + B * length / self.length_mean.max(1.0));
                let rank = weight * posting.count * (K1 + 1.0) / (posting.count + long);
                *ranks.entry(posting.entry).or_default() += rank;
            }
        }
        let mut ranked: Vec<(usize, f64)> = ranks.into_iter().collect();
        let order = |one: &(usize, f64), other: &(usize, f64)| {
            let by_name = || self.name(one.0).cmp(self.name(other.0));
            other.1.total_cmp(&one.1).then_with(by_name).then(one.0.cmp(&other.0))
        };
        if ranked.len() > MEASURED_MAX {
            ranked.select_nth_unstable_by(MEASURED_MAX, order);
            ranked.truncate(MEASURED_MAX);
        }
        ranked.sort_by(order);
        ranked
    }

    fn covered(&self, entry: usize, known: &[(Option<usize>, &Asked)]) -> Covered {
        let mut all = Covered::default();
        let unknown_share = self.entries.get(entry).map_or(1.0, |entry| entry.unknown_share);
        for (term, asked) in known {
            let weight = self.weight(*term);
            let postings = term.map_or(&[][..], |term| self.postings(term));
            let at = postings.binary_search_by_key(&entry, |posting| posting.entry);
            match at.ok().and_then(|at| postings.get(at)) {
                Some(posting) => {
                    all.covered += weight * posting.share;
                    all.asked += if posting.share > 0.0 { weight } else { 0.0 };
                    all.words.push(asked.word.clone());
                }
                None if asked.is_needed => all.asked += weight * unknown_share,
                None => {}
            }
        }
        all
    }

    /// How much of the text that is nearest to the request stands in it.
    fn nearest(&self, entry: usize, known: &[(Option<usize>, &Asked)]) -> f64 {
        let texts = self.entries.get(entry).map_or(&[][..], |entry| &entry.texts);
        let shares = texts.iter().map(|text| {
            let mass: f64 = text.iter().map(|term| self.weight(Some(*term))).sum();
            let asked = known.iter().filter_map(|(term, _)| *term);
            let shared = asked.filter(|term| text.binary_search(term).is_ok());
            let shared: f64 = shared.map(|term| self.weight(Some(term))).sum();
            if mass > 0.0 { shared / mass } else { 0.0 }
        });
        shares.fold(0.0, f64::max)
    }
}

fn posting_of(posting: &Posting) -> Posting {
    Posting { entry: posting.entry, count: posting.count, share: posting.share }
}

/// The part of a text that is indexed.
fn start(text: &str) -> &str {
    let end = text.char_indices().nth(TEXT_CHARS_MAX).map(|(at, _)| at);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn stems(text: &str) -> Vec<String> {
    asked::asked(text).into_iter().map(|asked| asked.stem).collect()
}

/// Where an input takes the request itself, the request may be about anything: words that are strange
/// to the definition count half against it.
fn unknown_share(inputs: &Value) -> f64 {
    let slots = slot::slots(inputs);
    let mut roles = slots.iter().map(|slot| Wanted::of(slot).role);
    if roles.any(|role| role == Role::Question) { 0.5 } else { 1.0 }
}

/// The values that the inputs may have, and the names of those that are a yes or no.
fn values(inputs: &Value) -> Vec<String> {
    let of_slot = |slot: slot::Slot| match slot.kind {
        slot::SlotKind::Choice(choices) => choices,
        slot::SlotKind::YesNo => vec![slot.name],
        slot::SlotKind::Text | slot::SlotKind::File | slot::SlotKind::Number { .. } => Vec::new(),
    };
    let values = slot::slots(inputs).into_iter().flat_map(of_slot);
    values.flat_map(|value| terms::stems(start(&value))).collect()
}
