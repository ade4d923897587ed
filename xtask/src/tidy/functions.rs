//! Where functions begin and end.
//!
//! Function types, and functions without a body, are not functions here.

use super::scan::is_identifier;
use super::source::{Source, body};

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The place of its `fn` in the code.
    pub at: usize,
    /// The line of its `fn`, from one.
    pub first_line: usize,
    /// The line of its last brace.
    pub last_line: usize,
}

impl Function {
    /// From `fn` to the last brace, both included.
    pub fn length(&self) -> usize {
        self.last_line - self.first_line + 1
    }
}

/// Every function of a source, nested ones too.
pub fn functions(source: &Source) -> Vec<Function> {
    let found = source.named("fn").filter_map(|at| {
        let after = source.code.get(at + "fn".len()..)?;
        let signature = after.trim_start();
        let end =
            signature.find(|c| !is_identifier(c) && c != '$' && c != '#').filter(|end| *end > 0)?;
        let (open, close) = body(&source.code, at)?;
        (open < close).then(|| Function {
            name: signature.get(..end).unwrap_or_default().to_owned(),
            at,
            first_line: source.line_at(at),
            last_line: source.line_at(close),
        })
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Vec<(String, usize)> {
        let source = Source::new("crates/x/src/lib.rs", text);
        let found = functions(&source);
        found.iter().map(|function| (function.name.clone(), function.length())).collect()
    }

    #[test]
    fn a_function_is_counted_from_fn_to_its_last_brace() {
        let text = "/// fn no() {}\npub fn a(\n    x: [u8; 3],\n) {\n    \"}\";\n}\nfn b() {}\n";
        assert_eq!(lengths(text), [("a".to_owned(), 5), ("b".to_owned(), 1)]);
    }

    #[test]
    fn what_has_no_body_is_not_counted() {
        let text = "trait T {\n fn a(&self) -> [u8; 2];\n}\ntype F = fn(u8) -> u8;\nstruct S {}\n";
        assert_eq!(lengths(text), []);
    }

    #[test]
    fn nested_functions_are_found() {
        let text = "fn a() {\n fn b() {\n }\n}\n";
        assert_eq!(lengths(text), [("a".to_owned(), 4), ("b".to_owned(), 2)]);
    }
}
