//! `git.diff`: what differs between two commits, or a commit or the index and the working tree.

use std::collections::BTreeSet;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::FailureKind;
use serde::{Deserialize, Serialize};

use super::{Git, Repository, beneath, plain, whole};
use crate::child::Guarded;
use crate::config::Limits;
use crate::schema::{integer, object, optional, required, text, word};
use crate::tool::{Scope, Tool, bounded, invalid, reads};

/// Bytes of a patch that are returned when the call does not say.
const PATCH_BYTES: usize = 256 << 10;

/// `git.diff`.
pub(crate) struct Diff {
    git: Git,
}

impl Diff {
    pub(crate) fn under(guarded: &Guarded) -> Self {
        let git = Git::under(guarded);
        Self { git }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffInput {
    repo: String,
    from: Option<String>,
    to: Option<String>,
    path: Option<String>,
    detail: Option<Detail>,
    max_bytes: Option<u64>,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Detail {
    /// Files and numbers.
    #[default]
    Stat,
    /// The patch as well.
    Patch,
}

#[derive(Debug, Serialize)]
pub(crate) struct DiffOutput {
    files: Vec<FileDiff>,
    insertions: u64,
    deletions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    /// Whether the patch was cut; the files are always all there.
    truncated: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct FileDiff {
    path: String,
    insertions: u64,
    deletions: u64,
    binary: bool,
}

impl Tool for Diff {
    type Input = DiffInput;
    type Output = DiffOutput;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.output_bytes_max;
        reads(
            "git.diff",
            "Compares two commits, or one with the working tree; returns `{files: [{path, \
             insertions, deletions, binary}], insertions, deletions, patch, truncated}`.",
            object([
                required("repo", text("A folder in the repository.")),
                optional("from", text("A commit; the index.")),
                optional("to", text("A commit, with `from`; the working tree.")),
                optional("path", text("Only beneath it; from the repository's top.")),
                optional("detail", word(&["stat", "patch"], "`patch` gives the patch; `stat`.")),
                optional("max_bytes", integer(1, max, "A longer patch is cut; 256 KiB.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: DiffInput) -> Result<DiffOutput, CallFailure> {
        let limit = scope.limits().output_bytes_max;
        let bytes_max = bounded("max_bytes", input.max_bytes, PATCH_BYTES, limit)?;
        let repository = Repository::find(scope, &input.repo)?;
        let settings = self.git.without_filters(scope, &repository)?;
        let ask = |form: &[&str]| {
            let arguments = arguments(&input, form)?.into_iter().map(Into::into).collect();
            let asked = self.git.ask(scope, &repository, arguments, &settings)?;
            asked.map_err(|failed| failed.into_failure(scope, &repository))
        };
        let numbers = whole(scope, ask(&["--raw", "--numstat", "-z", "--no-renames"])?)?;
        let files = files(&numbers.text()).ok_or_else(|| {
            let message = "git.diff: git printed something else than numbers";
            CallFailure::refused(FailureKind::InvalidOutput, message)
        })?;
        let mut output = DiffOutput {
            insertions: files.iter().map(|file| file.insertions).sum(),
            deletions: files.iter().map(|file| file.deletions).sum(),
            files,
            patch: None,
            truncated: false,
        };
        if input.detail == Some(Detail::Patch) {
            let patch = ask(&["--patch", "--no-renames"])?;
            let mut text = without_bare_headings(&patch.text());
            let end = text.floor_char_boundary(bytes_max);
            output.truncated = patch.truncated || end < text.len();
            text.truncate(end);
            output.patch = Some(text);
        }
        Ok(output)
    }
}

fn arguments(input: &DiffInput, form: &[&str]) -> Result<Vec<String>, CallFailure> {
    let fixed = "--no-pager diff --no-ext-diff --no-textconv --no-color --no-relative \
                 --ignore-submodules=all --submodule=short --src-prefix=a/ --dst-prefix=b/";
    let fixed = fixed.split_whitespace().chain(form.iter().copied());
    let mut arguments: Vec<String> = fixed.map(str::to_owned).collect();
    arguments.push("--end-of-options".to_owned());
    if input.from.is_none() && input.to.is_some() {
        return Err(invalid("`to` needs a `from`"));
    }
    for (name, revision) in [("from", &input.from), ("to", &input.to)] {
        if let Some(revision) = revision {
            arguments.push(plain(name, revision)?.to_owned());
        }
    }
    arguments.push("--".to_owned());
    if let Some(path) = &input.path {
        arguments.push(beneath("path", path)?.to_owned());
    }
    Ok(arguments)
}

/// First `:mode mode hash hash letter NUL path NUL` for each file, then `insertions TAB deletions
/// TAB path NUL`, with `-` for both numbers of a binary file.
fn files(text: &str) -> Option<Vec<FileDiff>> {
    let mut edited = BTreeSet::new();
    let mut files = Vec::new();
    let mut records = text.split('\0').filter(|record| !record.is_empty());
    while let Some(record) = records.next() {
        if let Some(raw) = record.strip_prefix(':') {
            let path = records.next()?;
            let mut fields = raw.split(' ');
            if fields.next() == fields.next() && fields.nth(2) == Some("M") {
                edited.insert(path);
            }
            continue;
        }
        let mut parts = record.splitn(3, '\t');
        let (insertions, deletions, path) = (parts.next()?, parts.next()?, parts.next()?);
        // Same mode, no line: only the file's time has changed since git last looked.
        if (insertions, deletions) == ("0", "0") && edited.contains(path) {
            continue;
        }
        files.push(FileDiff {
            path: path.to_owned(),
            binary: insertions == "-",
            insertions: insertions.parse().unwrap_or(0),
            deletions: deletions.parse().unwrap_or(0),
        });
    }
    Some(files)
}

/// The patch without the files of which it has nothing but the heading: see [`files`].
fn without_bare_headings(patch: &str) -> String {
    let is_heading = |line: &&str| line.starts_with("diff --git ");
    let mut lines = patch.split_inclusive('\n').peekable();
    let mut kept = String::with_capacity(patch.len());
    while let Some(line) = lines.next() {
        // Lines of content start with a sign, so that none can look like a heading.
        if !is_heading(&line) || lines.peek().is_some_and(|next| !is_heading(next)) {
            kept.push_str(line);
        }
    }
    kept
}
