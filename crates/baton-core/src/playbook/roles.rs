//! Roles: what the name, title and schema of a slot say of the values that a request has for it.
//!
//! It judges single slots. Which of several takes a value is decided where values are filled in.

use std::collections::HashSet;

use super::dates::{self, End};
use super::numbers;
use super::slot::{Slot, SlotKind};
use super::terms;

/// What a slot looks for in a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    /// A folder that is read.
    Folder,
    /// A file or folder that is read.
    Source,
    /// A file or folder that is written.
    Target,
    /// A day, or the end of a period.
    Day(Option<End>),
    /// A number, in a unit of so many milliseconds where it has one.
    Number(Option<f64>),
    /// A yes or no; `false` where the name itself says no.
    Flag(Polarity),
    /// One of its choices.
    Choice,
    /// An address of the web, or an e-mail address.
    Address,
    /// What was asked, in its own words.
    Question,
    /// A text, which may be the end of a range.
    Text(Option<End>),
    /// What cannot be read from a request.
    Other,
}

/// What a name like `with_tests` or `skip_tests` says when it is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Polarity {
    /// With it.
    With,
    /// Without it.
    Without,
}

impl Polarity {
    /// The value that says `said` of the thing.
    pub fn value(self, said: Self) -> bool {
        self == said
    }
}

const FOLDERS: [&str; 7] =
    ["folder", "repository", "root", "workspace", "checkout", "worktree", "project"];
const TARGETS: [&str; 11] = [
    "target",
    "output",
    "destination",
    "dest",
    "write",
    "written",
    "save",
    "goes",
    "report",
    "result",
    "export",
];
const DAYS: [&str; 6] = ["since", "until", "date", "day", "deadlin", "period"];
const ADDRESSES: [&str; 7] = ["url", "link", "address", "endpoint", "website", "uri", "email"];
const QUESTIONS: [&str; 2] = ["question", "request"];
const WITH: [&str; 9] =
    ["with", "include", "includes", "including", "enable", "use", "is", "should", "add"];
const WITHOUT: [&str; 10] =
    ["without", "no", "not", "skip", "exclude", "excluding", "disable", "ignore", "except", "omit"];

/// Whether a word says that what follows is wanted, or that it is not.
pub(super) fn polarity(word: &str) -> Option<Polarity> {
    if WITH.contains(&word) {
        return Some(Polarity::With);
    }
    let refuses = WITHOUT.contains(&word) || matches!(word, "don't" | "dont" | "never");
    refuses.then_some(Polarity::Without)
}

/// A slot with what it looks for.
#[derive(Debug)]
pub(super) struct Wanted<'s> {
    pub slot: &'s Slot,
    pub role: Role,
    /// The stems of its name.
    pub name: HashSet<String>,
    /// The stems of its title.
    pub title: HashSet<String>,
    /// The words of a flag's name, without those that say with or without.
    pub flag: Vec<String>,
    /// Whether it takes "7 days ago", which its default shows.
    pub is_relative: bool,
}

impl<'s> Wanted<'s> {
    pub fn of(slot: &'s Slot) -> Self {
        let words = terms::words(&slot.name);
        let name: HashSet<String> = words.iter().map(|word| terms::stem(word)).collect();
        let title = slot.title.as_deref().map(terms::words).unwrap_or_default();
        let title: HashSet<String> = title.iter().map(|word| terms::stem(word)).collect();
        let thing: Vec<String> =
            words.iter().filter(|word| polarity(word).is_none()).cloned().collect();
        let default = slot.default.as_ref().and_then(serde_json::Value::as_str);
        Self {
            slot,
            role: role(slot, &words, &name, &title),
            flag: thing.iter().map(|word| terms::stem(word)).collect(),
            is_relative: default.is_some_and(|default| default.trim_end().ends_with(" ago")),
            name,
            title,
        }
    }
}

fn role(slot: &Slot, words: &[String], name: &HashSet<String>, title: &HashSet<String>) -> Role {
    let says = |known: &[&str]| terms::has_any(name, known);
    let titled = |known: &[&str]| terms::has_any(title, known);
    let end = || words.iter().find_map(|word| dates::end_of(word));
    match &slot.kind {
        SlotKind::Choice(_) => Role::Choice,
        SlotKind::YesNo => Role::Flag(flag(words)),
        SlotKind::Number { .. } => {
            let unit = words.iter().find_map(|word| numbers::unit(&terms::stem(word)));
            Role::Number(unit.or_else(|| title.iter().find_map(|word| numbers::unit(word))))
        }
        SlotKind::File if says(&TARGETS) => Role::Target,
        SlotKind::File if says(&FOLDERS) => Role::Folder,
        SlotKind::File if titled(&TARGETS) => Role::Target,
        SlotKind::File if titled(&FOLDERS) => Role::Folder,
        SlotKind::File => Role::Source,
        SlotKind::Text if !matches!(slot.declared_type(), Some("string") | None) => Role::Other,
        SlotKind::Text => match slot.format() {
            Some("date" | "date-time") => Role::Day(end()),
            Some("uri" | "uri-reference" | "iri" | "email") => Role::Address,
            Some(_) => Role::Other,
            None if says(&ADDRESSES) => Role::Address,
            None if says(&QUESTIONS) => Role::Question,
            None if says(&DAYS) || titled(&DAYS) => Role::Day(end()),
            None => Role::Text(end()),
        },
    }
}

fn flag(words: &[String]) -> Polarity {
    let says = |word: &String| polarity(word) == Some(Polarity::Without);
    if words.iter().any(says) { Polarity::Without } else { Polarity::With }
}
