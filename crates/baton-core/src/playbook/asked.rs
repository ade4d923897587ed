//! What a request is about, as terms; the values in it are left to those who fill inputs in.
//!
//! Texts of definitions are read the same way, so that both can be compared.

use std::collections::HashSet;

use super::dates::{self, Day};
use super::reading::{self, Look, Token};
use super::{numbers, paths, terms};

/// A term of a request.
#[derive(Debug)]
pub(super) struct Asked {
    /// What it has in common with its other forms.
    pub stem: String,
    /// As it was said, in lower case.
    pub word: String,
    /// Whether a definition without it covers less of the request.
    pub is_needed: bool,
}

/// The terms of a request, each once. What is a value (quoted text, paths, dates, numbers) says nothing
/// of what is wanted, unless nothing else is there; the ending of a file's name may.
pub(super) fn asked(request: &str) -> Vec<Asked> {
    let mut asked = wanted(reading::bounded(request));
    if asked.is_empty() {
        let words = terms::words(reading::bounded(request));
        asked = words
            .into_iter()
            .filter(|word| !terms::is_stop(word))
            .map(|word| needed_if(word, true))
            .collect();
    }
    let mut seen = HashSet::new();
    asked.retain(|asked| seen.insert(asked.stem.clone()));
    asked
}

fn wanted(request: &str) -> Vec<Asked> {
    let tokens = reading::tokens(request);
    let mut asked = Vec::new();
    let mut read = 0;
    while let Some(token) = tokens.get(read) {
        // Which days the phrases name does not matter here.
        if let Some(when) = dates::phrase(&tokens, read, Day::default()) {
            read += when.length;
            continue;
        }
        let before = read.checked_sub(1).and_then(|before| tokens.get(before));
        let behind = tokens.get(read + 1);
        read += 1;
        match token.look {
            Look::Quoted | Look::Address => {}
            Look::Number => {
                let unit = behind.and_then(|unit| numbers::unit(&unit.stem));
                read += usize::from(unit.is_some());
            }
            Look::Path | Look::FileName => {
                let ending = token.lower.rsplit_once('.').map(|(_, ending)| ending);
                let ending = ending.filter(|ending| !ending.is_empty() && !ending.contains('/'));
                asked.extend(ending.map(|word| needed_if(word.to_owned(), false)));
            }
            // Written to the name of an input.
            Look::Word if token.text.contains('=') => {}
            Look::Word => {
                let is_value = is_value(before, token);
                let words = terms::words(&token.text).into_iter();
                let words = words.filter(|word| !terms::is_stop(word));
                asked.extend(words.map(|word| needed_if(word, !is_value)));
            }
        }
    }
    asked
}

/// Whether a word is a value more likely than not: the noun of "this repository", or `HEAD` in "from
/// HEAD". It counts where a definition has it.
fn is_value(before: Option<&Token>, token: &Token) -> bool {
    let Some(before) = before else { return false };
    let is_place = before.lower == "this" && paths::is_place(token);
    let is_upper = token.text.len() > 1 && token.text.bytes().all(|byte| byte.is_ascii_uppercase());
    is_place || (is_upper && dates::end_of(&before.lower).is_some())
}

/// A word with a digit in it is a value more often than not, too.
fn needed_if(word: String, is_needed: bool) -> Asked {
    let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
    Asked { stem: terms::stem(&word), word, is_needed: is_needed && !has_digit }
}
