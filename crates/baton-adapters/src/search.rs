//! `fs.search`: lines that match a regular expression, in files beneath a root.
//!
//! It reads what `.gitignore` does not exclude and what is text; it never changes anything.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::config::Limits;
use crate::schema::{flag, integer, object, optional, required, text};
use crate::tool::{Scope, Tool, bounded, invalid, reads};
use crate::walk::{Depth, Globs, walk};

/// Matches that are returned when the call does not say.
const MATCHES: usize = 1_000;
/// Characters of a matching line that are returned.
const LINE_CHARS_MAX: usize = 500;
/// A file with a NUL among its first bytes is taken for binary, as git and grep do.
const BINARY_LOOK_BYTES: usize = 8_000;
/// Memory that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 4 << 20;

/// `fs.search`.
pub(crate) struct Search;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchInput {
    path: String,
    pattern: String,
    glob: Option<String>,
    ignore_case: Option<bool>,
    max_matches: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct SearchOutput {
    matches: Vec<Hit>,
    files_searched: u64,
    /// Files that are larger than the bound or binary.
    files_skipped: u64,
    truncated: bool,
}

#[derive(Serialize)]
struct Hit {
    path: String,
    /// From 1.
    line: u64,
    /// In bytes, from 1.
    column: usize,
    text: String,
}

impl Tool for Search {
    type Input = SearchInput;
    type Output = SearchOutput;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.search_matches_max;
        reads(
            "fs.search",
            "Searches the text files beneath a root, without what `.gitignore` excludes; returns \
             `{matches: [{path, line, column, text}], files_searched, files_skipped, truncated}`.",
            object([
                required(
                    "path",
                    text("A file or a folder, relative to the first root or absolute in any."),
                ),
                required("pattern", text("A regular expression, in the syntax of Rust's regex.")),
                optional("glob", text("Only files that match, as in `.gitignore`: `*.rs`.")),
                optional("ignore_case", flag("Whether `a` finds `A`; false.")),
                optional("max_matches", integer(1, max, "Matching lines; then it stops; 1000.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: SearchInput) -> Result<SearchOutput, CallFailure> {
        let limit = scope.limits().search_matches_max;
        let mut searcher = Searcher {
            pattern: compile(&input)?,
            matches_max: bounded("max_matches", input.max_matches, MATCHES, limit)?,
            bytes_max: scope.limits().file_bytes_max,
            bytes: Vec::new(),
            output: SearchOutput {
                matches: Vec::new(),
                files_searched: 0,
                files_skipped: 0,
                truncated: false,
            },
        };
        let globs = Globs::new(input.glob.as_deref())?;
        let place = scope.place(&input.path)?;
        if let Ok((file, length)) = place.file() {
            let _ = searcher.file(scope, (file, length), || place.shown())?;
            return Ok(searcher.output);
        }
        walk(scope, &place, (&globs, Depth::All), &mut |found| {
            let opened = found.kind.is_file().then(|| found.open()).flatten();
            let Some(opened) = opened else {
                return Ok(ControlFlow::Continue(()));
            };
            searcher.file(scope, opened, || place.join(found.path).shown())
        })?;
        Ok(searcher.output)
    }
}

fn compile(input: &SearchInput) -> Result<Regex, CallFailure> {
    RegexBuilder::new(&input.pattern)
        .multi_line(true)
        .crlf(true)
        .case_insensitive(input.ignore_case.unwrap_or(false))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|fault| invalid(format!("`pattern` is no regular expression: {fault}")))
}

struct Searcher {
    pattern: Regex,
    matches_max: usize,
    bytes_max: usize,
    /// The file at hand; kept to be filled again.
    bytes: Vec<u8>,
    output: SearchOutput,
}

impl Searcher {
    fn file(
        &mut self,
        scope: &Scope<'_>,
        (file, length): (File, u64),
        shown: impl Fn() -> String,
    ) -> Result<ControlFlow<()>, CallFailure> {
        self.bytes.clear();
        let max = self.bytes_max as u64;
        let fits = length <= max
            && file.take(max).read_to_end(&mut self.bytes).is_ok()
            && !self.bytes.iter().take(BINARY_LOOK_BYTES).any(|byte| *byte == 0);
        if !fits {
            self.output.files_skipped += 1;
            return Ok(ControlFlow::Continue(()));
        }
        self.output.files_searched += 1;
        self.lines(scope, shown)
    }

    /// Goes from matching line to matching line.
    fn lines(
        &mut self,
        scope: &Scope<'_>,
        shown: impl Fn() -> String,
    ) -> Result<ControlFlow<()>, CallFailure> {
        let (mut line, mut counted) = (1_u64, 0_usize);
        let mut next = Some(0);
        while let Some(found) = next.and_then(|from| self.pattern.find_at(&self.bytes, from)) {
            if self.output.matches.len() == self.matches_max {
                self.output.truncated = true;
                return Ok(ControlFlow::Break(()));
            }
            scope.check()?;
            let (before, after) = self.bytes.split_at(found.start());
            let skipped = before.get(counted..).unwrap_or_default();
            line += skipped.iter().filter(|byte| **byte == b'\n').count() as u64;
            counted = before.len();
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let end = after.iter().position(|byte| *byte == b'\n').map(|at| before.len() + at);
            let whole = self.bytes.get(start..end.unwrap_or(self.bytes.len()));
            self.output.matches.push(Hit {
                path: shown(),
                line,
                column: found.start() - start + 1,
                text: line_text(whole.unwrap_or_default()),
            });
            next = end.map(|end| end + 1).filter(|from| *from < self.bytes.len());
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn line_text(line: &[u8]) -> String {
    // Four bytes are the longest character; what is beyond cannot be shown anyway.
    let head = line.get(..LINE_CHARS_MAX * 4).unwrap_or(line);
    let text = String::from_utf8_lossy(head);
    text.trim_end_matches('\r').chars().take(LINE_CHARS_MAX).collect()
}
