//! Filling in: which value of a request belongs to which input.
//!
//! Every candidate says how well it fits. The best are taken first; where two fit equally, neither is.
//! Defaults are not filled in: they hold where nothing is asked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use serde_json::{Map, Value};

use super::dates::Day;
use super::find::{self, Request};
use super::roles::Wanted;
use super::slot::{Slot, slots};
use crate::definition;

/// What a request says of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filled {
    /// Values that fit the schemas of their inputs, without those that were given before.
    pub values: Map<String, Value>,
    /// By input: the words of the request that its value was read from.
    pub from: BTreeMap<String, String>,
    /// What must be asked: inputs that are required, without a default, and said nowhere.
    pub missing: Vec<Slot>,
}

/// How well a value fits a slot; the greatest is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Nothing speaks against it.
    Weak,
    /// It is of the slot's kind.
    Kind,
    /// The words around it are in the slot's title.
    Title,
    /// The words around it are the slot's name, or say its role.
    Name,
    /// It is written to the slot's name.
    Told,
}

/// A value that a slot may take.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Which of the slots.
    pub slot: usize,
    /// The tokens that it was read from.
    pub tokens: Range<usize>,
    /// The value.
    pub value: Value,
    /// How well it fits.
    pub fit: Fit,
}

/// Reads the inputs from a request. `inputs` is the JSON Schema object that the definition declares,
/// `today` what "last week" counts from, `given` what is known already and not read again.
pub fn fill(inputs: &Value, request: &str, today: Day, given: &Map<String, Value>) -> Filled {
    let slots = slots(inputs);
    let open: Vec<Wanted<'_>> =
        slots.iter().filter(|slot| !given.contains_key(&slot.name)).map(Wanted::of).collect();
    let request = Request::of(request, today);
    let candidates = fitting(&open, find::candidates(&request, &open));
    let mut filled = Filled::default();
    for candidate in taken(candidates) {
        let Some(wanted) = open.get(candidate.slot) else { continue };
        let name = &wanted.slot.name;
        filled.from.insert(name.clone(), request.words(&candidate.tokens).to_owned());
        filled.values.insert(name.clone(), candidate.value);
    }
    let known = |name: &str| given.contains_key(name) || filled.values.contains_key(name);
    let required = inputs.get("required").and_then(Value::as_array);
    let required: HashSet<&str> =
        required.into_iter().flatten().filter_map(Value::as_str).collect();
    let is_missing = |slot: &Slot| {
        required.contains(slot.name.as_str()) && slot.default.is_none() && !known(&slot.name)
    };
    filled.missing = slots.iter().filter(|slot| is_missing(slot)).cloned().collect();
    filled
}

/// The candidates whose values the schemas of their slots accept.
fn fitting(open: &[Wanted<'_>], candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut validators = HashMap::new();
    let mut fits = |candidate: &Candidate| {
        let validator = validators.entry(candidate.slot).or_insert_with(|| {
            let wanted = open.get(candidate.slot)?;
            definition::validator(&wanted.slot.schema).ok()
        });
        validator.as_ref().is_some_and(|validator| validator.is_valid(&candidate.value))
    };
    candidates.into_iter().filter(|candidate| fits(candidate)).collect()
}

/// One candidate at most for each slot and each token, the best fits first.
fn taken(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.fit));
    let mut all = Vec::new();
    let (mut slots, mut tokens) = (HashSet::new(), HashSet::new());
    for level in candidates.chunk_by(|one, other| one.fit == other.fit) {
        let is_free = |candidate: &&Candidate| {
            let mut read = candidate.tokens.clone();
            !slots.contains(&candidate.slot) && !read.any(|token| tokens.contains(&token))
        };
        let free: Vec<&Candidate> = level.iter().filter(is_free).collect();
        let rivals = Rivals::of(&free);
        for candidate in free {
            let is_first = slots.insert(candidate.slot);
            tokens.extend(candidate.tokens.clone());
            if is_first && !rivals.has(candidate) {
                all.push(candidate.clone());
            }
        }
    }
    all
}

/// Who wants what at one level of fit.
struct Rivals<'c> {
    values: HashMap<usize, Vec<&'c Value>>,
    slots: HashMap<usize, HashSet<usize>>,
}

impl<'c> Rivals<'c> {
    fn of(candidates: &[&'c Candidate]) -> Self {
        let mut rivals = Self { values: HashMap::new(), slots: HashMap::new() };
        for candidate in candidates {
            let values = rivals.values.entry(candidate.slot).or_default();
            if !values.contains(&&candidate.value) {
                values.push(&candidate.value);
            }
            for token in candidate.tokens.clone() {
                rivals.slots.entry(token).or_default().insert(candidate.slot);
            }
        }
        rivals
    }

    /// Whether its slot may as well take another value, or another slot this one.
    fn has(&self, candidate: &Candidate) -> bool {
        let several = self.values.get(&candidate.slot).is_some_and(|values| values.len() > 1);
        let mut tokens = candidate.tokens.clone();
        several || tokens.any(|token| self.slots.get(&token).is_some_and(|slots| slots.len() > 1))
    }
}
