//! Tokens and blocks of a template's source.
//!
//! It follows the template library's lexer as far as places and names need it, and is applied to
//! sources the library has already compiled.

use std::ops::Range;

/// A piece of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece<'s> {
    /// An identifier or keyword.
    Name(&'s str),
    /// A string, unescaped only when it holds no escapes.
    Text(&'s str),
    /// A number.
    Number(&'s str),
    /// An operator or bracket.
    Sign(&'s str),
}

/// A piece with its range of bytes.
pub(crate) type Token<'s> = (Piece<'s>, Range<usize>);

/// A block of a template.
#[derive(Debug)]
pub(crate) struct Block<'s> {
    /// `{{ … }}`, not `{% … %}`.
    pub is_expression: bool,
    /// Its bytes, delimiters included.
    pub range: Range<usize>,
    /// Its tokens.
    pub tokens: Vec<Token<'s>>,
}

/// Whether a text is a template at all.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The blocks of a template; comments and raw blocks are left out.
pub(crate) fn blocks(source: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = next_open(source, from) {
        let kind = source.as_bytes().get(open + 1).copied().unwrap_or_default();
        if kind == b'#' {
            let end = find(source, open + 2, "#}").map_or(source.len(), |at| at + 2);
            from = end;
            continue;
        }
        let close = if kind == b'{' { "}}" } else { "%}" };
        let (tokens, end) = tokens(source, open + 2, Some(close));
        let is_raw = matches!(tokens.as_slice(), [(Piece::Name("raw"), _)]);
        from = end;
        if is_raw && kind == b'%' {
            from = end_of_raw(source, end);
            continue;
        }
        found.push(Block { is_expression: kind == b'{', range: open..end, tokens });
    }
    found
}

/// The tokens of a bare expression.
pub(crate) fn expression(source: &str) -> Vec<Token<'_>> {
    tokens(source, 0, None).0
}

fn next_open(source: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at = find(source, at, "{")?;
        match source.as_bytes().get(at + 1) {
            Some(b'{' | b'%' | b'#') => return Some(at),
            _ => at += 1,
        }
    }
}

fn find(source: &str, from: usize, what: &str) -> Option<usize> {
    source.get(from..)?.find(what).map(|at| from + at)
}

fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(open) = find(source, at, "{%") {
        let (tokens, end) = tokens(source, open + 2, Some("%}"));
        if matches!(tokens.as_slice(), [(Piece::Name("endraw"), _)]) {
            return end;
        }
        at = open + 2;
    }
    source.len()
}

/// Tokens up to `close` outside of brackets (or the end), and the byte after `close`.
fn tokens<'s>(source: &'s str, from: usize, close: Option<&str>) -> (Vec<Token<'s>>, usize) {
    let mut found: Vec<Token<'s>> = Vec::new();
    let (mut at, mut depth) = (from, 0_usize);
    // Directly after the delimiter these control white space.
    if close.is_some() && source.get(from..).is_some_and(|rest| rest.starts_with(['-', '+'])) {
        at += 1;
    }
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some(close) = close
            && depth == 0
        {
            let inner = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if inner.starts_with(close) {
                return (found, source.len() - inner.len() + close.len());
            }
        }
        let after_dot = matches!(found.last(), Some((Piece::Sign("."), _)));
        let (piece, length) = lex(rest, after_dot);
        if let Some(piece) = piece {
            match piece {
                Piece::Sign("(" | "[" | "{") => depth += 1,
                Piece::Sign(")" | "]" | "}") => depth = depth.saturating_sub(1),
                Piece::Sign(_) | Piece::Name(_) | Piece::Text(_) | Piece::Number(_) => {}
            }
            found.push((piece, at..at + length));
        }
        at += length;
    }
    (found, source.len())
}

/// One token and its length in bytes, at least 1; `None` for white space.
fn lex(rest: &str, after_dot: bool) -> (Option<Piece<'_>>, usize) {
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if first == '"' || first == '\'' {
        let length = string_length(rest, first);
        let inner = rest.get(1..length.saturating_sub(1)).unwrap_or_default();
        return (Some(Piece::Text(inner)), length);
    }
    if first == '_' || first.is_ascii_alphabetic() {
        let length =
            rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        return (rest.get(..length).map(Piece::Name), length);
    }
    if first.is_ascii_digit() {
        let length = number_length(rest, after_dot);
        return (rest.get(..length).map(Piece::Number), length);
    }
    let double = ["==", "!=", "<=", ">=", "//", "**"];
    let length = match double.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => sign.len(),
        None => first.len_utf8(),
    };
    (rest.get(..length).map(Piece::Sign), length)
}

fn string_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn number_length(rest: &str, after_dot: bool) -> usize {
    let digits = |text: &str| {
        text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
    };
    let whole = digits(rest);
    let fraction = rest.get(whole..).and_then(|tail| tail.strip_prefix('.'));
    match fraction {
        Some(tail) if !after_dot && tail.starts_with(|first: char| first.is_ascii_digit()) => {
            whole + 1 + digits(tail)
        }
        Some(_) | None => whole,
    }
}
