//! What a template's source says of itself, found without running it: its blocks and the names it reads.
//!
//! The template library tells which names a template reads, but misses some (it does not look into
//! what is sliced) and gives no places. This scanner reads tokens, not grammar: it is applied to
//! sources the library has already compiled, and where it is in doubt it reports a name too many.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

pub(crate) use super::lex::{Block, Piece, Token, blocks, expression, is_template};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A key of an object.
    Key(Box<str>),
    /// An index of a list, from the end when negative.
    Index(i64),
}

/// A name that is read, with the constant path after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The name.
    pub root: String,
    /// What is read of it, as far as it is constant.
    pub steps: Vec<Step>,
    /// Whether the path goes on with a subscript that is not constant.
    pub dynamic: bool,
    /// `-x-y` directly after the path: likely a key with dashes.
    pub tail: String,
    /// The bytes of root and path.
    pub range: Range<usize>,
}

/// Every name a template reads that it does not bind itself.
pub(crate) fn references(blocks: &[Block<'_>]) -> Vec<Reference> {
    let mut bound = BTreeSet::new();
    for block in blocks.iter().filter(|block| !block.is_expression) {
        bind(&block.tokens, &mut bound);
    }
    let mut found = Vec::new();
    for block in blocks {
        let skip = usize::from(!block.is_expression);
        collect(block.tokens.get(skip..).unwrap_or_default(), &bound, &mut found);
    }
    found
}

/// Every name a bare expression reads.
pub(crate) fn expression_references(tokens: &[Token<'_>]) -> Vec<Reference> {
    let mut found = Vec::new();
    collect(tokens, &BTreeSet::new(), &mut found);
    found
}

/// The names a statement binds: `for` targets, and what stands before `=` in `set` and `with`.
pub(crate) fn bind<'s>(tokens: &[Token<'s>], bound: &mut BTreeSet<&'s str>) {
    let Some((Piece::Name(keyword), _)) = tokens.first() else {
        return;
    };
    let rest = tokens.get(1..).unwrap_or_default();
    match *keyword {
        "for" => {
            bound.insert("loop");
            bound.insert("recursive");
            let targets = rest.iter().take_while(|(piece, _)| *piece != Piece::Name("in"));
            bound.extend(targets.filter_map(|(piece, _)| name(piece)));
        }
        "set" => {
            let targets = rest.iter().take_while(|(piece, _)| *piece != Piece::Sign("="));
            bound.extend(targets.filter_map(|(piece, _)| name(piece)));
        }
        "with" => {
            for pair in rest.windows(2) {
                if let [(Piece::Name(target), _), (Piece::Sign("="), _)] = pair {
                    bound.insert(target);
                }
            }
        }
        _ => {}
    }
}

fn name<'s>(piece: &Piece<'s>) -> Option<&'s str> {
    match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) | Piece::Number(_) | Piece::Sign(_) => None,
    }
}

/// Words that are no names inside of an expression. The library takes `if` and `else` for names
/// where nothing else fits; such a name is undefined at run time.
pub(crate) const KEYWORDS: [&str; 13] = [
    "and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None",
];

fn collect(tokens: &[Token<'_>], bound: &BTreeSet<&str>, found: &mut Vec<Reference>) {
    let sign = |at: Option<usize>, what: &str| {
        let piece = at.and_then(|at| tokens.get(at)).map(|(piece, _)| piece);
        matches!(piece, Some(Piece::Sign(sign)) if *sign == what)
    };
    let word = |at: Option<usize>, what: &str| {
        let piece = at.and_then(|at| tokens.get(at)).map(|(piece, _)| piece);
        matches!(piece, Some(Piece::Name(word)) if *word == what)
    };
    for (at, (piece, range)) in tokens.iter().enumerate() {
        let Some(root) = name(piece) else { continue };
        let before = at.checked_sub(1);
        let is_test = word(before, "is")
            || (word(before, "not") && word(before.and_then(|at| at.checked_sub(1)), "is"));
        let is_key = sign(before, ".") || sign(before, "|");
        let is_target = sign(Some(at + 1), "=");
        if is_test || is_key || is_target || KEYWORDS.contains(&root) || bound.contains(root) {
            continue;
        }
        found.push(path(root, range.clone(), tokens.get(at + 1..).unwrap_or_default()));
    }
}

fn path(root: &str, range: Range<usize>, mut rest: &[Token<'_>]) -> Reference {
    let mut reference = Reference {
        root: root.to_owned(),
        steps: Vec::new(),
        dynamic: false,
        tail: String::new(),
        range,
    };
    loop {
        let (step, end, tail) = match rest {
            // A call of a method: the name is no key.
            [(Piece::Sign("."), _), (Piece::Name(_), _), (Piece::Sign("("), _), ..] => break,
            [(Piece::Sign("."), _), (Piece::Name(key), at), tail @ ..] => {
                (Some(Step::Key((*key).into())), at.end, tail)
            }
            [(Piece::Sign("."), _), (Piece::Number(number), at), tail @ ..] => {
                (number.parse().ok().map(Step::Index), at.end, tail)
            }
            [(Piece::Sign("["), _), (Piece::Text(key), _), (Piece::Sign("]"), at), tail @ ..] => {
                let plain = !key.contains('\\');
                (plain.then(|| Step::Key((*key).into())), at.end, tail)
            }
            [
                (Piece::Sign("["), _),
                (Piece::Number(number), _),
                (Piece::Sign("]"), at),
                tail @ ..,
            ] => (number.parse().ok().map(Step::Index), at.end, tail),
            [(Piece::Sign("["), _), ..] => (None, 0, rest),
            _ => break,
        };
        let Some(step) = step else {
            reference.dynamic = true;
            break;
        };
        reference.steps.push(step);
        reference.range.end = end;
        rest = tail;
    }
    reference.tail = dashed(reference.range.end, rest);
    reference
}

/// `-x-y` that follows `end` without a space.
fn dashed(mut end: usize, mut rest: &[Token<'_>]) -> String {
    let mut tail = String::new();
    while let [
        (Piece::Sign("-"), dash),
        (Piece::Name(word) | Piece::Number(word), at),
        after @ ..,
    ] = rest
    {
        if dash.start != end || at.start != dash.end {
            break;
        }
        tail.push('-');
        tail.push_str(word);
        end = at.end;
        rest = after;
    }
    tail
}

/// The one reference an expression consists of, if there is nothing else in it.
pub(crate) fn sole_reference(tokens: &[Token<'_>]) -> Option<Reference> {
    let found = expression_references(tokens);
    let [reference] = found.as_slice() else {
        return None;
    };
    let whole = tokens.first()?.1.start..tokens.last()?.1.end;
    (reference.range == whole && !reference.dynamic).then(|| reference.clone())
}

/// The inner source of a template that is exactly one `{{ expression }}`.
pub(crate) fn sole_expression<'s>(source: &'s str, blocks: &[Block<'_>]) -> Option<&'s str> {
    let [block] = blocks else { return None };
    if !block.is_expression || block.range != (0..source.len()) {
        return None;
    }
    let inner = source.get(2..source.len().checked_sub(2)?)?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner).trim())
}

/// A reference as it is written in messages.
impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.root)?;
        self.steps.iter().try_for_each(|step| write!(f, "{step}"))
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) if is_word(key) => write!(f, ".{key}"),
            Self::Key(key) => write!(f, "[{:?}]", Cow::from(key.as_ref())),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn is_word(key: &str) -> bool {
    !key.starts_with(|first: char| first.is_ascii_digit())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        let found = references(&blocks(source));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_found_wherever_they_are_read() {
        for (source, expected) in [
            ("{{ tasks.log.output[:3] }}", vec!["tasks.log.output"]),
            ("{{ tasks[\"my-task\"].output }}", vec!["tasks[\"my-task\"].output"]),
            ("{{ a.b | join(sep=inputs.x) }}", vec!["a.b", "inputs.x"]),
            (
                "{% for item in inputs.list %}{{ item.x }}{{ loop.index }}{% endfor %}",
                vec!["inputs.list"],
            ),
            ("{% set x = tasks.a.output %}{{ x.y }}", vec!["tasks.a.output"]),
            ("{# tasks.a #}{% raw %}{{ tasks.b }}{% endraw %}{{ tasks.c }}", vec!["tasks.c"]),
            ("{{ {'a': {'b': inputs.x}} }}", vec!["inputs.x"]),
            ("{{ '}} tasks.x' ~ y }}", vec!["y"]),
            ("{{ x is defined and y is not none }}", vec!["x", "y"]),
            ("{{ tasks.a.output.items() }}", vec!["tasks.a.output"]),
            ("{{ a.1.0 + 1.5 }}", vec!["a[1][0]"]),
            ("{{- a -}} {%- if b -%}{% endif %}", vec!["a", "b"]),
            ("{%- for x in a recursive -%}{{ x }}{%- endfor -%}{{ set }}", vec!["a", "set"]),
        ] {
            assert_eq!(names(source), expected, "{source}");
        }
    }

    #[test]
    fn dynamic_and_dashed_names_are_marked() {
        let tokens = expression("tasks[x].output + tasks.my-task.output");
        let found = expression_references(&tokens);
        assert!(found.iter().any(|found| found.root == "tasks" && found.dynamic));
        assert!(found.iter().any(|found| found.tail == "-task"));
    }

    #[test]
    fn one_expression_alone_is_told_from_text() {
        for (source, sole) in [
            ("{{ a }}", Some("a")),
            ("{{- a -}}", Some("a")),
            ("{{ a }} ", None),
            ("{{ a }}{{ b }}", None),
            ("{% if a %}{% endif %}", None),
            ("{{ '}}' }}", Some("'}}'")),
        ] {
            assert_eq!(sole_expression(source, &blocks(source)), sole, "{source}");
        }
    }
}
