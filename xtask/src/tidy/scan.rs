//! Tells code, comments and string literals of Rust apart, line by line.
//!
//! It is a lexer for exactly that and nothing else: no syntax tree, no macro is expanded. Text that
//! is not Rust gives some answer and never a panic.

/// One line of a Rust source.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The line without comments and without what is inside string and character literals.
    pub code: String,
    /// The text of the comments on it, with their slashes.
    pub comment: String,
    /// The insides of the string literals that begin on it, escapes as written.
    pub literals: Vec<String>,
}

/// Splits a source into its lines. There is always one more than there are line ends.
pub fn scan(text: &str) -> Vec<Line> {
    let mut scanner = Scanner { rest: text, done: Vec::new(), line: Line::default() };
    while !scanner.rest.is_empty() {
        scanner.token();
    }
    scanner.done.push(scanner.line);
    scanner.done
}

struct Scanner<'a> {
    rest: &'a str,
    done: Vec<Line>,
    line: Line,
}

impl<'a> Scanner<'a> {
    fn token(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            let comment = self.take(end);
            self.line.comment.push_str(comment);
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if let Some((opening, hashes)) = raw_string_opening(self.rest) {
            self.raw_string(opening, hashes);
        } else if self.rest.starts_with('"') {
            self.string();
        } else if self.rest.starts_with('\'') {
            self.character_or_lifetime();
        } else {
            self.word();
        }
    }

    /// An identifier as a whole, so that an `r` at its end opens no raw string, or one character.
    fn word(&mut self) {
        let identifier = self.rest.find(|c: char| !is_identifier(c));
        let first = self.rest.chars().next().map_or(0, char::len_utf8);
        let end = identifier.unwrap_or(self.rest.len()).max(first);
        let code = self.take(end);
        if code == "\n" {
            self.end_line();
        } else {
            self.line.code.push_str(code);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                let mark = self.take(2);
                self.line.comment.push_str(mark);
            } else if self.rest.starts_with("*/") {
                depth = depth.saturating_sub(1);
                let mark = self.take(2);
                self.line.comment.push_str(mark);
                if depth == 0 {
                    return;
                }
            } else if let Some(c) = self.take_char() {
                if c == '\n' {
                    self.end_line();
                } else {
                    self.line.comment.push(c);
                }
            }
        }
    }

    fn string(&mut self) {
        self.take(1);
        let mut escaped = false;
        let end = self.rest.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let inside = self.take(end.unwrap_or(self.rest.len()));
        self.literal(inside);
        self.take(1);
    }

    fn raw_string(&mut self, opening: usize, hashes: usize) {
        self.take(opening);
        let closing = format!("\"{}", "#".repeat(hashes));
        let end = self.rest.find(&closing).unwrap_or(self.rest.len());
        let inside = self.take(end);
        self.literal(inside);
        self.take(closing.len());
    }

    /// Records a literal where it begins, and leaves its quotes in the code.
    fn literal(&mut self, inside: &str) {
        self.line.literals.push(inside.to_owned());
        self.line.code.push('"');
        for _ in inside.matches('\n') {
            self.end_line();
        }
        self.line.code.push('"');
    }

    fn character_or_lifetime(&mut self) {
        self.take(1);
        self.line.code.push('\'');
        let mut ahead = self.rest.char_indices().skip(1);
        let end = match (self.rest.chars().next(), ahead.next()) {
            // What follows the backslash is part of the escape, also when it is a quote.
            (Some('\\'), _) => ahead.find(|(_, c)| *c == '\'').map(|(at, _)| at),
            (Some(_), Some((at, '\''))) => Some(at),
            _ => None,
        };
        if let Some(end) = end {
            self.take(end + 1);
            self.line.code.push('\'');
        }
    }

    fn end_line(&mut self) {
        self.done.push(std::mem::take(&mut self.line));
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_char(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.take(c.len_utf8());
        Some(c)
    }
}

/// Whether a character can be part of a name.
pub fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of `r#"` and its kin at the start of a text, and the number of hashes.
fn raw_string_opening(text: &str) -> Option<(usize, usize)> {
    let unprefixed = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let after_r = unprefixed.strip_prefix('r')?;
    let quoted = after_r.trim_start_matches('#');
    let hashes = after_r.len() - quoted.len();
    let inside = quoted.strip_prefix('"')?;
    Some((text.len() - inside.len(), hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Line {
        let mut lines = scan(text);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    #[test]
    fn a_comment_is_not_code_and_a_string_is_neither() {
        let line = only(r#"let a = "x // y"; // why "so""#);
        assert_eq!(line.code, r#"let a = ""; "#);
        assert_eq!(line.comment, r#"// why "so""#);
        assert_eq!(line.literals, ["x // y"]);
    }

    #[test]
    fn escapes_do_not_end_a_literal() {
        let line = only(r#"f("a\"b", "c\\", '"', '\'', '\u{1F600}', "d")"#);
        assert_eq!(line.literals, [r#"a\"b"#, r"c\\", "d"]);
        assert_eq!(line.code, r#"f("", "", '', '', '', "")"#);
    }

    #[test]
    fn a_raw_string_ends_with_its_own_hashes() {
        let line = only(r###"f(r#"a"b"#, br"c\", r##"d"#e"##, for_r"f")"###);
        assert_eq!(line.literals, ["a\"b", "c\\", "d\"#e", "f"]);
    }

    #[test]
    fn a_raw_identifier_and_a_lifetime_are_code() {
        let line = only("fn r#type<'a>(x: &'a str) -> &'a str { 'b: loop {} }");
        assert_eq!(line.code, "fn r#type<'a>(x: &'a str) -> &'a str { 'b: loop {} }");
        assert!(line.literals.is_empty());
    }

    #[test]
    fn literals_and_comments_over_several_lines_keep_the_count() {
        let lines = scan("a \"one\ntwo\" b\n/* c /* d\n*/ e */ f");
        let code: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
        assert_eq!(code, ["a \"", "\" b", "", " f"]);
        assert_eq!(lines.first().unwrap().literals, ["one\ntwo"]);
    }

    #[test]
    fn text_that_is_not_rust_ends_too() {
        for text in ["\"", "'", "'\\", "r#\"", "/*", "é'é", "\\\"'\n\"'"] {
            assert!(!scan(text).is_empty());
        }
    }
}
