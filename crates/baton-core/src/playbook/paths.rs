//! Paths in a request, for slots that are files or folders.
//!
//! Whether anything is there, and whether it may be read, is for others to find out.

use std::ops::Range;

use super::fill::Fit;
use super::find::{Found, Request};
use super::reading::{self, Look, Token};
use super::roles::Role;
use super::terms;

/// What "this" and "the current" may be said of, the folder that a person is in.
const PLACES: [&str; 6] = ["repository", "folder", "project", "workspace", "checkout", "codebase"];

/// A path that a request names.
struct Named<'t> {
    tokens: Range<usize>,
    path: &'t str,
    /// The noun of "this repository".
    place: Option<&'t Token>,
}

/// The candidates of a slot that is a file or a folder.
pub(super) fn find(found: &mut Found<'_, '_, '_>) {
    let request = found.request;
    for named in (0..request.tokens.len()).filter_map(|at| named(request, at)) {
        if let Some(fit) = fit(found, &named) {
            found.add(named.tokens, named.path, fit);
        }
    }
}

fn named<'t>(request: &'t Request<'_>, at: usize) -> Option<Named<'t>> {
    let token = request.token(at)?;
    let one = |path| Some(Named { tokens: at..at + 1, path, place: None });
    match token.look {
        Look::Path | Look::FileName => one(&token.text),
        Look::Quoted if reading::is_path(&token.text) => one(&token.text),
        Look::Word if token.lower == "here" => one("."),
        Look::Word if matches!(token.lower.as_str(), "this" | "current" | "the") => {
            let next = request.token(at + 1)?;
            let (noun, length) = match next.lower.as_str() {
                "current" | "git" => (request.token(at + 2)?, 3),
                _ => (next, 2),
            };
            let is_here = token.lower != "the" || next.lower == "current";
            (is_here && is_place(noun)).then_some(Named {
                tokens: at..at + length,
                path: ".",
                place: Some(noun),
            })
        }
        Look::Word | Look::Quoted | Look::Address | Look::Number => None,
    }
}

/// Whether a word means the folder that a person is in, once "this" stands before it.
pub(super) fn is_place(noun: &Token) -> bool {
    terms::has_any([&noun.stem], &PLACES)
}

fn fit(found: &Found<'_, '_, '_>, named: &Named<'_>) -> Option<Fit> {
    let wanted = found.wanted;
    let is_file_slot = terms::has_any(wanted.name.iter().chain(&wanted.title), &["file"]);
    let is_folder = matches!(named.path, "." | ".." | "~") || named.path.ends_with('/');
    let last = named.path.rsplit('/').next().unwrap_or_default();
    let is_file = !is_folder && last.trim_start_matches('.').contains('.');
    let refused = match wanted.role {
        Role::Folder => is_file,
        Role::Source | Role::Target => is_folder && is_file_slot,
        Role::Day(_)
        | Role::Number(_)
        | Role::Flag(_)
        | Role::Choice
        | Role::Address
        | Role::Question
        | Role::Text(_)
        | Role::Other => true,
    };
    if refused {
        return None;
    }
    let by_place = named.place.and_then(|noun| {
        let by_title = wanted.title.contains(&noun.stem).then_some(Fit::Title);
        if wanted.name.contains(&noun.stem) { Some(Fit::Name) } else { by_title }
    });
    let near = found.request.near(&named.tokens, wanted).max(by_place);
    match (wanted.role == Role::Target, is_written(found.request, named.tokens.start)) {
        (true, true) => Some(Fit::Name),
        // "clean a.csv" names what is read, although both titles speak of a file.
        (true, false) => near.filter(|fit| *fit == Fit::Name),
        (false, true) => Some(near.unwrap_or(Fit::Weak)),
        (false, false) => Some(near.unwrap_or(Fit::Kind)),
    }
}

/// Whether the words before a path say that it is written: "to", "into", "as", "save".
fn is_written(request: &Request<'_>, at: usize) -> bool {
    const SKIPPED: [&str; 8] = ["the", "a", "an", "file", "folder", "called", "named", "it"];
    const WORDS: [&str; 3] = ["to", "into", "as"];
    const VERBS: [&str; 6] = ["write", "save", "export", "create", "produce", "output"];
    request.before_skipping(at, &SKIPPED).is_some_and(|(_, token)| {
        WORDS.contains(&token.lower.as_str()) || terms::has_any([&token.stem], &VERBS)
    })
}
