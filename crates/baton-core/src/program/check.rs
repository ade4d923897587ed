//! Whether a template or expression may be used at all, decided before a run.
//!
//! It compiles, its statements and filters are known, and it does not multiply texts without bound.
//! Which names it may read is the definition reader's business.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::limits::{self, EXPRESSIONS, STATEMENTS, TEMPLATE_BYTES_MAX};
use super::scan::{self, Block, Piece, Reference, Token};
use super::template::compile_expression;

/// A template or expression that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadTemplate {
    /// What is wrong with it.
    pub message: String,
    /// The bytes at fault, as far as they are known.
    pub range: Option<Range<usize>>,
}

impl BadTemplate {
    /// With the bytes at fault, as far as they are known.
    pub fn new(message: impl Into<String>, range: Option<Range<usize>>) -> Self {
        let message = message.into();
        Self { message, range }
    }

    /// What the template library says.
    pub fn of(error: &minijinja::Error) -> Self {
        let message = match error.detail() {
            Some(detail) => detail.to_owned(),
            None => error.kind().to_string(),
        };
        Self::new(message, error.range())
    }
}

/// The names a template reads, once it is known to compile and to stay within its bounds.
pub(crate) fn check(source: &str, words: &mut Words) -> Result<Vec<Reference>, BadTemplate> {
    bound(source)?;
    EXPRESSIONS.template_from_str(source).map_err(|error| BadTemplate::of(&error))?;
    let blocks = scan::blocks(source);
    let mut set = BTreeSet::new();
    for block in &blocks {
        check_block(block, words)?;
        check_growth(block, &mut set)?;
    }
    Ok(scan::references(&blocks))
}

/// The names a bare expression reads, once it is known to compile.
pub(crate) fn check_expression(
    source: &str,
    words: &mut Words,
) -> Result<Vec<Reference>, BadTemplate> {
    bound(source)?;
    if scan::is_template(source) {
        let message = "this is a bare expression: write it without `{{ }}`";
        return Err(BadTemplate::new(message, None));
    }
    compile_expression(source)?;
    let tokens = scan::expression(source);
    check_words(&tokens, words)?;
    Ok(scan::expression_references(&tokens))
}

fn bound(source: &str) -> Result<(), BadTemplate> {
    if source.len() > TEMPLATE_BYTES_MAX {
        let message = format!("a template may have at most {TEMPLATE_BYTES_MAX} bytes");
        return Err(BadTemplate::new(message, None));
    }
    Ok(())
}

fn check_block(block: &Block<'_>, words: &mut Words) -> Result<(), BadTemplate> {
    if let (false, Some((Piece::Name(statement), range))) = (
        block.is_expression,
        block.tokens.iter().find(|(piece, _)| matches!(piece, Piece::Name(_))),
    ) {
        let captures = *statement == "set"
            && !block.tokens.iter().any(|(piece, _)| *piece == Piece::Sign("="));
        if captures || !STATEMENTS.contains(statement) {
            let message = format!("the statement `{statement}` is not supported in this form");
            return Err(BadTemplate::new(message, Some(range.clone())));
        }
    }
    check_words(&block.tokens, words)
}

/// A name that is set from names that were set, twice in one statement, doubles with each line.
fn check_growth<'s>(block: &Block<'s>, set: &mut BTreeSet<&'s str>) -> Result<(), BadTemplate> {
    let [(Piece::Name("set" | "with"), _), rest @ ..] = block.tokens.as_slice() else {
        return Ok(());
    };
    if block.is_expression {
        return Ok(());
    }
    let used = rest.iter().skip_while(|(piece, _)| *piece != Piece::Sign("="));
    let mut used =
        used.filter(|(piece, _)| matches!(piece, Piece::Name(name) if set.contains(name)));
    if let (Some(_), Some((Piece::Name(name), range))) = (used.next(), used.next()) {
        let message = format!(
            "`{name}` is the second name here that is itself set in the template; write the value out"
        );
        return Err(BadTemplate::new(message, Some(range.clone())));
    }
    scan::bind(&block.tokens, set);
    Ok(())
}

/// A literal text may be repeated, but not by any number.
fn check_repetition(tokens: &[Token<'_>]) -> Result<(), BadTemplate> {
    for triple in tokens.windows(3) {
        let [(left, _), (Piece::Sign("*"), range), (right, _)] = triple else {
            continue;
        };
        let number = match (left, right) {
            (Piece::Text(_), Piece::Number(number)) | (Piece::Number(number), Piece::Text(_)) => {
                number.parse::<u32>().ok()
            }
            (Piece::Text(_), _) | (_, Piece::Text(_)) => None,
            (Piece::Name(_) | Piece::Number(_) | Piece::Sign(_), _) => continue,
        };
        if number.is_none_or(|number| number > limits::REPEAT_MAX) {
            let most = limits::REPEAT_MAX;
            let message =
                format!("a text may be repeated by a number up to {most} that is written out");
            return Err(BadTemplate::new(message, Some(range.clone())));
        }
    }
    Ok(())
}

/// Filters and tests must exist: the library finds out only when it gets there.
fn check_words(tokens: &[Token<'_>], words: &mut Words) -> Result<(), BadTemplate> {
    check_repetition(tokens)?;
    for pair in tokens.windows(3) {
        let (kind, word, range) = match pair {
            [(Piece::Sign("|"), _), (Piece::Name(word), range), _] => ("filter", word, range),
            [(Piece::Name("is"), _), (Piece::Name("not"), _), (Piece::Name(word), range)] => {
                ("test", word, range)
            }
            [(Piece::Name("is"), _), (Piece::Name(word), range), _] if *word != "not" => {
                ("test", word, range)
            }
            _ => continue,
        };
        words.exists(kind, word, range)?;
    }
    match tokens {
        [.., (Piece::Sign("|"), _), (Piece::Name(word), range)] => {
            words.exists("filter", word, range)
        }
        [.., (Piece::Name("is"), _), (Piece::Name(word), range)] => {
            words.exists("test", word, range)
        }
        _ => Ok(()),
    }
}

/// The filters and tests that were asked for, and whether they are there.
#[derive(Default)]
pub(crate) struct Words(HashMap<(&'static str, String), bool>);

impl Words {
    fn exists(
        &mut self,
        kind: &'static str,
        word: &str,
        range: &Range<usize>,
    ) -> Result<(), BadTemplate> {
        let known = self.0.entry((kind, word.to_owned())).or_insert_with(|| {
            EXPRESSIONS
                .compile_expression_owned(format!("'{word}' is {kind}"))
                .and_then(|expression| expression.eval(()))
                .is_ok_and(|value| value.is_true())
        });
        if *known {
            return Ok(());
        }
        let message = format!("there is no {kind} `{word}`");
        Err(BadTemplate::new(message, Some(range.clone())))
    }
}
