//! Reading: a request cut into tokens, each with its place.
//!
//! It tells quoted text, paths, addresses and numbers from plain words. What they are good for is
//! not decided here.

use super::REQUEST_CHARS_MAX;
use super::terms;

/// One piece of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// As it stands, without quotation marks and the punctuation around it.
    pub text: String,
    /// In lower case, letters and digits only where it is a plain word.
    pub lower: String,
    /// What the word has in common with its other forms.
    pub stem: String,
    /// How it looks.
    pub look: Look,
    /// Where it begins in the request, in bytes.
    pub start: usize,
    /// Where it ends in the request, in bytes.
    pub end: usize,
    /// The first punctuation mark right behind it that ends a clause.
    pub mark: Option<char>,
}

/// How a token looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A word, or anything that is nothing else.
    Word,
    /// In quotation marks.
    Quoted,
    /// A path with a folder in it: `.`, `./x`, `/x`, `~/x`, `a/b`.
    Path,
    /// The name of a file without a folder: `notes.md`.
    FileName,
    /// With a scheme, or an e-mail address.
    Address,
    /// Begins with a digit, or a sign and a digit.
    Number,
}

/// The part of a request that is read.
pub(super) fn bounded(request: &str) -> &str {
    let end = request.char_indices().nth(REQUEST_CHARS_MAX).map(|(at, _)| at);
    end.and_then(|end| request.get(..end)).unwrap_or(request)
}

/// The tokens of a request that is bounded already.
pub(super) fn tokens(request: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut unclosed: Vec<char> = Vec::new();
    let mut at = 0;
    while let Some(rest) = request.get(at..).filter(|rest| !rest.is_empty()) {
        let skipped = rest.len() - rest.trim_start_matches(is_gap).len();
        if skipped > 0 {
            at += skipped;
            continue;
        }
        if let Some((inner, length)) = quoted(rest, &mut unclosed) {
            let mark = rest.get(length..).and_then(|tail| tail.chars().next()).filter(is_mark);
            found.push(token(inner, Look::Quoted, at, at + length, mark));
            at += length;
            continue;
        }
        let length = bare_length(rest);
        let raw = rest.get(..length).unwrap_or(rest);
        found.extend(bare(raw, at));
        at += length.max(1);
    }
    found
}

/// Whether a character only separates: spaces, controls, and marks of writing direction.
pub(super) fn is_gap(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_mark(letter: &char) -> bool {
    matches!(letter, ',' | ';' | ':' | '.' | '!' | '?')
}

/// The mark that closes what `opener` opens.
fn closer(opener: char) -> Option<char> {
    match opener {
        '"' | '\'' | '`' | '”' => Some(opener),
        '“' => Some('”'),
        '„' => Some('“'),
        '‘' => Some('’'),
        '«' => Some('»'),
        '»' => Some('«'),
        _ => None,
    }
}

/// The text in quotation marks that a rest begins with, and its length with the marks. An opener whose
/// closer is nowhere is remembered, so that the rest is not searched again for each of its kind.
fn quoted<'r>(rest: &'r str, unclosed: &mut Vec<char>) -> Option<(&'r str, usize)> {
    let opener = rest.chars().next()?;
    let close = closer(opener)?;
    if unclosed.contains(&opener) {
        return None;
    }
    let body = rest.get(opener.len_utf8()..)?;
    // An apostrophe is a closing mark only where no letter follows.
    let ends = |at: usize| {
        let after = body.get(at + close.len_utf8()..).and_then(|tail| tail.chars().next());
        close == '"' || !after.is_some_and(char::is_alphanumeric)
    };
    let Some((at, _)) = body.match_indices(close).find(|(at, _)| ends(*at)) else {
        unclosed.push(opener);
        return None;
    };
    Some((body.get(..at)?, opener.len_utf8() + at + close.len_utf8()))
}

/// Up to the next gap, or a quotation mark after `=` or `:`.
fn bare_length(rest: &str) -> usize {
    let mut before = ' ';
    for (at, letter) in rest.char_indices() {
        let opens = matches!(before, '=' | ':') && matches!(letter, '"' | '“' | '\'' | '`');
        if is_gap(letter) || (opens && at > 0) {
            return at;
        }
        before = letter;
    }
    rest.len()
}

fn bare(raw: &str, start: usize) -> Option<Token> {
    let opening = |letter: char| "([{<,;:!?\"'`“”„‘’«»*".contains(letter);
    let inner = raw.trim_start_matches(opening);
    let start = start + (raw.len() - inner.len());
    let closing = |letter: char| ")]}>,;:!?\"'`“”„‘’«»*…".contains(letter);
    let mut text = inner.trim_end_matches(closing);
    if text.ends_with("...") {
        text = text.trim_end_matches('.');
    }
    while let Some(shorter) = without_full_stop(text) {
        text = shorter.trim_end_matches(closing);
    }
    if text.is_empty() {
        return None;
    }
    let mark = inner.get(text.len()..).and_then(|tail| tail.chars().find(is_mark));
    Some(token(text, look(text), start, start + text.len(), mark))
}

/// Without the full stop of a sentence; the dots of `.`, `..` and `a/..` are no such.
fn without_full_stop(text: &str) -> Option<&str> {
    let shorter = text.strip_suffix('.')?;
    let ends = ["/.", "/..", "=.", "=.."];
    let is_path = text == "." || text == ".." || ends.iter().any(|end| text.ends_with(end));
    (!is_path).then_some(shorter)
}

fn token(text: &str, look: Look, start: usize, end: usize, mark: Option<char>) -> Token {
    let lower = match look {
        Look::Word => terms::normalised(text),
        Look::Quoted | Look::Path | Look::FileName | Look::Address | Look::Number => {
            text.to_lowercase()
        }
    };
    let stem = terms::stem(&lower);
    Token { text: text.to_owned(), lower, stem, look, start, end, mark }
}

fn look(text: &str) -> Look {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text.contains("://") || is_email(text) {
        Look::Address
    } else if digits.starts_with(|first: char| first.is_ascii_digit()) && !has_folders(text) {
        Look::Number
    } else if is_path(text) {
        Look::Path
    } else if is_file_name(text) {
        Look::FileName
    } else {
        Look::Word
    }
}

/// By its look; whether it exists is another question.
pub(super) fn is_path(text: &str) -> bool {
    let rooted = ["./", "../", "~/"].iter().any(|root| text.starts_with(root));
    matches!(text, "." | ".." | "~") || rooted || has_folders(text)
}

/// `a/b`, `/a` or `a/`, and none of the short forms that are written with a stroke.
fn has_folders(text: &str) -> bool {
    const STROKES: [&str; 7] = ["and/or", "n/a", "w/o", "yes/no", "y/n", "ci/cd", "i/o"];
    let fits = |letter: char| letter.is_alphanumeric() || "/._-~+@ ".contains(letter);
    let has_letter = text.contains(char::is_alphabetic);
    let names = text.split('/').filter(|part| !part.is_empty()).count();
    let lower = text.to_lowercase();
    text.contains('/')
        && has_letter
        && names > 0
        && text.chars().all(fits)
        && !STROKES.contains(&lower.as_str())
}

/// A name and an ending of up to five letters and digits, at least one a letter.
fn is_file_name(text: &str) -> bool {
    let Some((name, ending)) = text.rsplit_once('.') else { return false };
    let fits = |letter: char| letter.is_alphanumeric() || "._-+".contains(letter);
    let short = (1..=5).contains(&ending.len());
    let plain = ending.chars().all(|letter| letter.is_ascii_alphanumeric());
    let has_letter = ending.contains(|letter: char| letter.is_ascii_alphabetic());
    let abbreviated = name.chars().count() < 2 && ending.len() < 2;
    !name.is_empty() && name.chars().all(fits) && short && plain && has_letter && !abbreviated
}

fn is_email(text: &str) -> bool {
    let Some((person, host)) = text.split_once('@') else { return false };
    !person.is_empty() && host.contains('.') && !text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_their_look() {
        let shown = |text: &str| -> Vec<(String, Look)> {
            tokens(text).into_iter().map(|token| (token.text, token.look)).collect()
        };
        for (text, look) in [
            (".", Look::Path),
            ("..", Look::Path),
            ("./src", Look::Path),
            ("/etc/hosts", Look::Path),
            ("~/code", Look::Path),
            ("src/lib.rs", Look::Path),
            ("docs/", Look::Path),
            ("2026/notes.md", Look::Path),
            ("notes.md", Look::FileName),
            ("v1.2.0", Look::Word),
            ("e.g", Look::Word),
            ("and/or", Look::Word),
            ("12/11/2026", Look::Number),
            ("-5%", Look::Number),
            ("https://example.org/a", Look::Address),
            ("ada@example.org", Look::Address),
            ("^(a+)+$", Look::Word),
        ] {
            assert_eq!(shown(text), [(text.to_owned(), look)], "{text}");
        }
        assert_eq!(shown("Look (at src/).").last(), Some(&("src/".to_owned(), Look::Path)));
        assert_eq!(shown("«a b», “c” `d`").len(), 3);
        assert_eq!(shown("don't 'do it'").last(), Some(&("do it".to_owned(), Look::Quoted)));
        assert_eq!(shown("name=\"a b\"").first(), Some(&("name=".to_owned(), Look::Word)));
        assert_eq!(shown("... ?! \u{202e}\u{0}"), []);
    }

    #[test]
    fn places_lead_back_to_the_request() {
        let request = "Ärger, “in dem” src/x.rs?";
        let at = |token: &Token| request.get(token.start..token.end).map(str::to_owned);
        let shown: Vec<_> = tokens(request).iter().filter_map(at).collect();
        assert_eq!(shown, ["Ärger", "“in dem”", "src/x.rs"]);
    }

    #[test]
    fn a_request_is_bounded_by_characters() {
        assert_eq!(bounded(&"ä".repeat(1_000_000)).chars().count(), REQUEST_CHARS_MAX);
        assert_eq!(bounded("short"), "short");
    }
}
