//! A file as the rules see it.
//!
//! It knows which lines are test code and where a word stands; what is good or bad is the rules'.

use super::Finding;
use super::scan::{Line, is_identifier, scan};

/// A file with its text taken apart.
pub struct Source {
    /// From the workspace's root, with `/`.
    pub path: String,
    /// As it is on the disk.
    pub text: String,
    /// Taken apart, when it is Rust; else empty.
    pub lines: Vec<Line>,
    /// The code of all lines, for what spans several of them.
    pub code: String,
    tests: Vec<std::ops::Range<usize>>,
}

impl Source {
    /// Takes a text apart.
    pub fn new(path: &str, text: &str) -> Self {
        let lines = if path.ends_with(".rs") { scan(text) } else { Vec::new() };
        let codes: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
        let code = codes.join("\n");
        let tests = if is_test_file(path) {
            std::iter::once(0..code.len()).collect()
        } else {
            test_items(&code)
        };
        Self { path: path.to_owned(), text: text.to_owned(), lines, code, tests }
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        !self.lines.is_empty()
    }

    /// Whether this place in the code belongs to tests alone.
    pub fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// The line, from one, of this place in the code.
    pub fn line_at(&self, at: usize) -> usize {
        let before = self.code.get(..at).unwrap_or(&self.code);
        before.matches('\n').count() + 1
    }

    /// Where the code names this word or path, and not a longer one.
    pub fn named<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words(&self.code, word)
    }

    /// The string literals with their lines, from one, those of tests left out.
    pub fn shipped_literals(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        let starts = self.lines.iter().map(move |line| {
            let start = at;
            at += line.code.len() + 1;
            start
        });
        let numbered = self.lines.iter().zip(starts).enumerate();
        let shipped = numbered.filter(|(_, (_, start))| !self.is_test(*start));
        shipped.flat_map(|(index, (line, _))| {
            let texts = line.literals.iter();
            texts.map(move |text| (index + 1, text.as_str()))
        })
    }

    /// A finding in this file.
    pub fn finding(&self, line: usize, what: impl Into<String>, mend: &'static str) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into(), mend }
    }
}

/// Where a text has this word with no letter, digit or `_` on either side.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text.get(..*at).and_then(|head| head.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|tail| tail.chars().next());
        !before.is_some_and(is_identifier) && !after.is_some_and(is_identifier)
    })
}

/// Where the bracket that opens at `open` closes; nothing when it does not.
pub fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in code.get(open..)?.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(open + at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the item that begins at `start` has its body, and ends: its `{` and `}`, or its `;` twice.
pub fn body(code: &str, start: usize) -> Option<(usize, usize)> {
    let mut at = start;
    loop {
        let found = at + code.get(at..)?.find(['(', '[', '{', ';'])?;
        if code.get(found..)?.starts_with(';') {
            return Some((found, found));
        }
        let close = closing(code, found)?;
        if code.get(found..)?.starts_with('{') {
            return Some((found, close));
        }
        at = close + 1;
    }
}

fn is_test_file(path: &str) -> bool {
    let in_folder = path.contains("/tests/") || path.contains("/benches/");
    in_folder || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// The items under `#[cfg(test)]`.
fn test_items(code: &str) -> Vec<std::ops::Range<usize>> {
    let attribute = "#[cfg(test)]";
    let starts = code.match_indices(attribute);
    starts
        .map(|(start, _)| {
            let end = body(code, start + attribute.len());
            start..end.map_or(code.len(), |(_, end)| end + 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_part_of_a_longer_one() {
        let found: Vec<usize> = words("rand brand rand_core (rand)", "rand").collect();
        assert_eq!(found, [0, 22]);
    }

    #[test]
    fn only_the_item_under_the_attribute_is_test_code() {
        let text = "fn a() {}\n#[cfg(test)]\n#[expect(x)]\nmod t {\n fn b() { }\n}\nfn c() {}\n";
        let source = Source::new("crates/x/src/lib.rs", text);
        let is_test = |word| source.is_test(source.named(word).next().unwrap());
        assert!(!is_test("a"));
        assert!(is_test("b"));
        assert!(!is_test("c"));
    }

    #[test]
    fn a_file_of_tests_is_test_code_from_end_to_end() {
        for path in ["crates/x/tests/a.rs", "crates/x/src/machine/tests.rs"] {
            assert!(Source::new(path, "fn a() {}").is_test(3));
        }
    }

    #[test]
    fn literals_of_tests_are_left_out() {
        let text = "const A: &str = \"a\";\n#[cfg(test)]\nmod t {\n const B: &str = \"b\";\n}\n";
        let source = Source::new("crates/x/src/lib.rs", text);
        assert_eq!(source.shipped_literals().collect::<Vec<_>>(), [(1, "a")]);
    }
}
