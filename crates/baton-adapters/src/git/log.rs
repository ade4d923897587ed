//! `git.log`: commits with what they changed in numbers.

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::time::Timestamp;
use baton_core::words::FailureKind;
use serde::{Deserialize, Serialize};

use super::{Git, Repository, beneath, plain, whole};
use crate::child::Guarded;
use crate::config::Limits;
use crate::schema::{integer, object, optional, required, text};
use crate::tool::{Scope, Tool, bounded, reads};

/// Commits that are returned when the call does not say.
const COMMITS: usize = 1_000;

/// Each field ends with a NUL, which no commit can contain, and `-z` ends the record with one more.
const FORMAT: &str = "--format=tformat:%H%x00%an%x00%ae%x00%at%x00%s%x00%b%x00";

/// `git.log`.
pub(crate) struct Log {
    git: Git,
}

impl Log {
    pub(crate) fn under(guarded: &Guarded) -> Self {
        let git = Git::under(guarded);
        Self { git }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogInput {
    repo: String,
    since: Option<String>,
    until: Option<String>,
    revisions: Option<String>,
    path: Option<String>,
    max_count: Option<u64>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Commit {
    hash: String,
    author: String,
    email: String,
    at: Timestamp,
    subject: String,
    body: String,
    files_changed: u64,
    insertions: u64,
    deletions: u64,
}

impl Tool for Log {
    type Input = LogInput;
    type Output = Vec<Commit>;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.log_entries_max;
        reads(
            "git.log",
            "Lists commits, newest first: `{hash, author, email, at, subject, body, \
             files_changed, insertions, deletions}`; merges count no changes.",
            object([
                required("repo", text("A folder in the repository.")),
                optional("since", text("Only later ones: `90 days ago`, `2026-01-31`.")),
                optional("until", text("Only earlier ones.")),
                optional("revisions", text("`v1.0..HEAD`, a branch, a tag; HEAD.")),
                optional("path", text("Only those that touch it; from the repository's top.")),
                optional("max_count", integer(1, max, "How many at most; 1000.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: LogInput) -> Result<Vec<Commit>, CallFailure> {
        let limit = scope.limits().log_entries_max;
        let max = bounded("max_count", input.max_count, COMMITS, limit)?;
        let repository = Repository::find(scope, &input.repo)?;
        let arguments = arguments(&input, max)?.into_iter().map(Into::into).collect();
        match self.git.ask(scope, &repository, arguments, &[])? {
            Ok(output) => commits(&whole(scope, output)?.text()).ok_or_else(|| {
                let message = "git.log: git printed something else than commits";
                CallFailure::refused(FailureKind::InvalidOutput, message)
            }),
            Err(failed) if failed.words.contains("does not have any commits yet") => Ok(vec![]),
            Err(failed) => Err(failed.into_failure(scope, &repository)),
        }
    }
}

fn arguments(input: &LogInput, max: usize) -> Result<Vec<String>, CallFailure> {
    let fixed = "--no-pager log -z --no-show-signature --no-notes --no-mailmap --no-ext-diff \
                 --no-textconv --no-color --diff-merges=off --ignore-submodules=all \
                 --find-renames --encoding=UTF-8 --shortstat";
    let mut arguments: Vec<String> = fixed.split_whitespace().map(str::to_owned).collect();
    arguments.push(FORMAT.to_owned());
    arguments.push(format!("--max-count={max}"));
    if let Some(since) = &input.since {
        arguments.push(format!("--since={}", plain("since", since)?));
    }
    if let Some(until) = &input.until {
        arguments.push(format!("--until={}", plain("until", until)?));
    }
    arguments.push("--end-of-options".to_owned());
    if let Some(revisions) = &input.revisions {
        arguments.push(plain("revisions", revisions)?.to_owned());
    }
    arguments.push("--".to_owned());
    if let Some(path) = &input.path {
        arguments.push(beneath("path", path)?.to_owned());
    }
    Ok(arguments)
}

/// Reads `FORMAT` with `-z --shortstat`: the numbers of a commit stand before the next one's hash.
fn commits(text: &str) -> Option<Vec<Commit>> {
    let mut commits: Vec<Commit> = Vec::new();
    let mut fields = text.split('\0');
    while let Some(first) = fields.next() {
        let (numbers, hash) = match first.rsplit_once('\n') {
            Some((numbers, hash)) => (numbers, hash),
            None => ("", first),
        };
        if let Some(commit) = commits.last_mut() {
            commit.count(numbers);
        }
        if hash.is_empty() {
            break;
        }
        let mut next = || fields.next().map(str::to_owned);
        commits.push(Commit {
            hash: hash.to_owned(),
            author: next()?,
            email: next()?,
            at: Timestamp::from_millis(next()?.parse::<i64>().ok()?.saturating_mul(1_000)),
            subject: next()?,
            body: next()?.trim_end().to_owned(),
            ..Commit::default()
        });
        // The record's own end.
        fields.next().filter(|end| end.is_empty())?;
    }
    Some(commits)
}

impl Commit {
    /// ` 3 files changed, 10 insertions(+), 2 deletions(-)`, each part only where it is not zero.
    fn count(&mut self, numbers: &str) {
        for part in numbers.trim().split(", ") {
            let mut words = part.split(' ');
            let number = words.next().and_then(|number| number.parse().ok());
            let (Some(number), Some(what)) = (number, words.next()) else {
                continue;
            };
            match what.get(..4) {
                Some("file") => self.files_changed = number,
                Some("inse") => self.insertions = number,
                Some("dele") => self.deletions = number,
                _ => {}
            }
        }
    }
}
