//! SPDX licence expressions, as far as packages of cargo use them.
//!
//! It says whether one could choose, in an expression, only licences from a list. It does not know
//! which licences there are: a name is a name. Grammar: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>;
//! beside it the old `MIT/Apache-2.0` of cargo, which means `OR`.

use std::iter::Peekable;
use std::vec::IntoIter;

/// Parentheses may nest this deep, so that no expression exhausts the stack.
const DEPTH_MAX: u32 = 16;

/// Why an expression cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It ends where a licence or a `)` is missing.
    EndsEarly,
    /// This word stands where it cannot.
    Unexpected(String),
    /// Parentheses nest more than 16 deep.
    TooDeep,
}

/// Whether the licences in `allowed` satisfy the expression.
///
/// A licence with an exception is allowed only as a whole, as in `Apache-2.0 WITH LLVM-exception`.
pub fn satisfied(expression: &str, allowed: &[&str]) -> Result<bool, Malformed> {
    let mut reader = Reader { words: words(expression).into_iter().peekable(), allowed };
    let answer = reader.any_of(DEPTH_MAX)?;
    match reader.words.next() {
        None => Ok(answer),
        Some(word) => Err(Malformed::Unexpected(word)),
    }
}

fn words(expression: &str) -> Vec<String> {
    expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

struct Reader<'a> {
    words: Peekable<IntoIter<String>>,
    allowed: &'a [&'a str],
}

impl Reader<'_> {
    /// `a OR b OR …`, which binds least.
    fn any_of(&mut self, depth: u32) -> Result<bool, Malformed> {
        let mut answer = self.all_of(depth)?;
        while self.take("OR") {
            answer |= self.all_of(depth)?;
        }
        Ok(answer)
    }

    /// `a AND b AND …`.
    fn all_of(&mut self, depth: u32) -> Result<bool, Malformed> {
        let mut answer = self.one(depth)?;
        while self.take("AND") {
            answer &= self.one(depth)?;
        }
        Ok(answer)
    }

    /// A licence, with its exception where it has one, or an expression in parentheses.
    fn one(&mut self, depth: u32) -> Result<bool, Malformed> {
        if self.take("(") {
            let inner = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
            let answer = self.any_of(inner)?;
            return match self.words.next() {
                Some(word) if word == ")" => Ok(answer),
                Some(word) => Err(Malformed::Unexpected(word)),
                None => Err(Malformed::EndsEarly),
            };
        }
        let mut licence = self.name()?;
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.name()?);
        }
        Ok(self.allowed.contains(&licence.as_str()))
    }

    fn name(&mut self) -> Result<String, Malformed> {
        let word = self.words.next().ok_or(Malformed::EndsEarly)?;
        match word.as_str() {
            "AND" | "OR" | "WITH" | "(" | ")" => Err(Malformed::Unexpected(word)),
            _ => Ok(word),
        }
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.words.next_if(|word| word == wanted).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: &[&str] = &["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"];

    fn yes(expression: &str) -> bool {
        satisfied(expression, ALLOWED).unwrap()
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(yes("MIT"));
        assert!(yes("GPL-3.0 OR MIT"));
        assert!(yes("Unlicense/MIT"));
        assert!(!yes("GPL-3.0"));
        assert!(!yes("GPL-3.0/AGPL-3.0"));
    }

    #[test]
    fn every_part_of_a_conjunction_must_be_allowed() {
        assert!(yes("MIT AND ISC"));
        assert!(!yes("MIT AND OpenSSL"));
    }

    #[test]
    fn and_binds_more_than_or_and_parentheses_more_than_both() {
        assert!(yes("MIT OR GPL-3.0 AND OpenSSL"));
        assert!(!yes("(MIT OR GPL-3.0) AND OpenSSL"));
        assert!(yes("(MIT OR GPL-3.0) AND (OpenSSL OR ISC)"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(yes("Apache-2.0 WITH LLVM-exception"));
        assert!(!yes("Apache-2.0"));
        assert!(!yes("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(satisfied("", ALLOWED), Err(Malformed::EndsEarly));
        assert_eq!(satisfied("MIT OR", ALLOWED), Err(Malformed::EndsEarly));
        assert_eq!(satisfied("(MIT", ALLOWED), Err(Malformed::EndsEarly));
        let unexpected = |word: &str| Err(Malformed::Unexpected(word.to_owned()));
        assert_eq!(satisfied("MIT ISC", ALLOWED), unexpected("ISC"));
        assert_eq!(satisfied("OR MIT", ALLOWED), unexpected("OR"));
        assert_eq!(satisfied("MIT)", ALLOWED), unexpected(")"));
        let deep = "(".repeat(100_000);
        assert_eq!(satisfied(&deep, ALLOWED), Err(Malformed::TooDeep));
    }
}
