//! A shelf of definitions, and the choice of the one that a request is about.
//!
//! Scores are comparable between shelves: what is near enough does not depend on what else is there.

use super::Playbook;
use super::asked;
use super::index::{Index, Measured};
use super::reading;

/// The most matches that are told.
pub const MATCHES_MAX: usize = 5;
/// Under this score a request is about something else.
pub const SCORE_MIN: f64 = 0.4;
/// From this score on a match without rivals is certain.
pub const CERTAIN_SCORE_MIN: f64 = 0.55;
/// What has this share of the best score is a rival of it.
pub const RIVAL_SHARE: f64 = 0.8;
/// The most that anything scores but an example word for word.
const INEXACT_SCORE_MAX: f64 = 0.99;

/// A definition that a request may be about.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The definition's name.
    pub name: String,
    /// From 0, nothing in common, to 1, an example or the name word for word.
    pub score: f64,
    /// The words of the request that it was found by, in lower case, in their order.
    pub words: Vec<String>,
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// This definition.
    Certain(Match),
    /// One of these, best first: a person says which.
    Unsure(Vec<Match>),
    /// Nothing on the shelf. These have something in common with it, if any.
    Nothing(Vec<Match>),
}

/// Definitions by the words of their examples, names and descriptions.
#[derive(Debug)]
pub struct Shelf {
    index: Index,
}

impl Shelf {
    /// Indexes definitions. Each name should be there once: of doubles, each is a match of its own.
    pub fn of<'a>(playbooks: impl IntoIterator<Item = Playbook<'a>>) -> Self {
        Self { index: Index::of(playbooks) }
    }

    /// The definitions nearest to a request, best first and then by name, at most [`MATCHES_MAX`].
    pub fn matches(&self, request: &str) -> Vec<Match> {
        let request = reading::bounded(request);
        let mut matches = self.measured(request);
        matches.truncate(MATCHES_MAX);
        matches
    }

    /// Which definition a request is about.
    pub fn choose(&self, request: &str) -> Choice {
        let matches = self.matches(request);
        let Some(best) = matches.first() else { return Choice::Nothing(matches) };
        if best.score < SCORE_MIN {
            return Choice::Nothing(matches);
        }
        // An example word for word has no rival but another one.
        let least =
            if best.score > INEXACT_SCORE_MAX { best.score } else { best.score * RIVAL_SHARE };
        let near = |rival: &&Match| rival.score >= least.max(SCORE_MIN);
        let rivals: Vec<Match> = matches.iter().filter(near).cloned().collect();
        match <[Match; 1]>::try_from(rivals) {
            Ok([only]) if only.score >= CERTAIN_SCORE_MIN => Choice::Certain(only),
            Ok([only]) => Choice::Unsure(vec![only]),
            Err(rivals) => Choice::Unsure(rivals),
        }
    }

    /// What is word for word comes first.
    fn measured(&self, request: &str) -> Vec<Match> {
        let exact = self.index.exact(request);
        let all: Vec<Measured> = self.index.measure(&asked::asked(request));
        let (mut first, rest): (Vec<Measured>, Vec<Measured>) =
            all.into_iter().partition(|measured| exact.contains(&measured.entry));
        // A request of nothing but common words may still be somebody's example.
        let found: Vec<usize> = first.iter().map(|measured| measured.entry).collect();
        let others = exact.iter().filter(|entry| !found.contains(entry)).take(MATCHES_MAX);
        first.extend(others.map(|&entry| Measured { entry, score: 1.0, words: Vec::new() }));
        first.sort_by_key(|measured| self.index.name(measured.entry));
        let certain = first.into_iter().map(|measured| Measured { score: 1.0, ..measured });
        let less = |measured: Measured| {
            let score = measured.score.min(INEXACT_SCORE_MAX);
            Measured { score, ..measured }
        };
        let told = |measured: Measured| {
            let name = self.index.name(measured.entry).to_owned();
            Match { name, score: measured.score, words: measured.words }
        };
        certain.chain(rest.into_iter().map(less)).map(told).collect()
    }
}
