//! `git.status`: the branch, and what differs from its last commit.

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::FailureKind;
use serde::{Deserialize, Serialize};

use super::{Git, Repository, whole};
use crate::child::Guarded;
use crate::config::Limits;
use crate::schema::{object, required, text};
use crate::tool::{Scope, Tool, reads};

/// `git.status`.
pub(crate) struct Status {
    git: Git,
}

impl Status {
    pub(crate) fn under(guarded: &Guarded) -> Self {
        let git = Git::under(guarded);
        Self { git }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusInput {
    repo: String,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct StatusOutput {
    /// Null when no branch is checked out.
    branch: Option<String>,
    /// Null before the first commit.
    head: Option<String>,
    upstream: Option<String>,
    ahead: Option<u64>,
    behind: Option<u64>,
    clean: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    path: String,
    kind: &'static str,
    /// Git's letter for index against commit: `.`, `M`, `A`, `D`, `R`, `C`, `T`, `U`, `?`.
    index: char,
    /// Git's letter for working tree against index.
    worktree: char,
    /// What a renamed or copied file was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

impl Tool for Status {
    type Input = StatusInput;
    type Output = StatusOutput;

    fn spec(&self, _: &Limits) -> ToolSpec {
        reads(
            "git.status",
            "Tells the branch and what is not committed; returns `{branch, head, upstream, ahead, \
             behind, clean, entries: [{path, kind, index, worktree, from}]}`.",
            object([required("repo", text("A folder in the repository."))]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: StatusInput) -> Result<StatusOutput, CallFailure> {
        let repository = Repository::find(scope, &input.repo)?;
        let settings = self.git.without_filters(scope, &repository)?;
        let ask = "--no-pager status --porcelain=v2 --branch -z --untracked-files=normal \
                   --ignore-submodules=all --find-renames";
        let arguments = ask.split_whitespace().map(Into::into).collect();
        let output = self.git.ask(scope, &repository, arguments, &settings)?;
        let output = output.map_err(|failed| failed.into_failure(scope, &repository))?;
        let status = read(&whole(scope, output)?.text()).ok_or_else(|| {
            let message = "git.status: git printed something else than a status";
            CallFailure::refused(FailureKind::InvalidOutput, message)
        })?;
        let (count, max) = (status.entries.len(), scope.limits().list_entries_max);
        if count > max {
            let message =
                format!("{count} entries are more than {max} (`[tools.limits] list_entries_max`)");
            return Err(CallFailure::refused(FailureKind::TooLarge, message));
        }
        Ok(status)
    }
}

/// Reads porcelain format v2 with `-z`; see git-status(1).
fn read(text: &str) -> Option<StatusOutput> {
    let mut status = StatusOutput::default();
    let mut records = text.split('\0').filter(|record| !record.is_empty());
    while let Some(record) = records.next() {
        let (sign, rest) = record.split_once(' ')?;
        match sign {
            "#" => status.header(rest),
            "1" => status.entries.push(entry(rest, 6, "changed")?),
            "2" => {
                let mut renamed = entry(rest, 7, "renamed")?;
                renamed.from = Some(records.next()?.to_owned());
                status.entries.push(renamed);
            }
            "u" => status.entries.push(entry(rest, 8, "unmerged")?),
            "?" => status.entries.push(Entry {
                path: rest.to_owned(),
                kind: "untracked",
                index: '?',
                worktree: '?',
                from: None,
            }),
            _ => return None,
        }
    }
    status.clean = status.entries.is_empty();
    Some(status)
}

impl StatusOutput {
    fn header(&mut self, line: &str) {
        let known = |value: &str| Some(value.to_owned()).filter(|value| !value.starts_with('('));
        match line.split_once(' ') {
            Some(("branch.oid", hash)) => self.head = known(hash),
            Some(("branch.head", name)) => self.branch = known(name),
            Some(("branch.upstream", name)) => self.upstream = Some(name.to_owned()),
            Some(("branch.ab", counts)) => {
                let mut counts = counts.split(' ').map(|count| count.get(1..)?.parse().ok());
                self.ahead = counts.next().flatten();
                self.behind = counts.next().flatten();
            }
            // Headers that later versions of git may add.
            Some(_) | None => {}
        }
    }
}

/// `XY`, then `skipped` fields that say nothing to us, then the path.
fn entry(rest: &str, skipped: usize, kind: &'static str) -> Option<Entry> {
    let mut fields = rest.splitn(skipped + 2, ' ');
    let mut letters = fields.next()?.chars();
    Some(Entry {
        index: letters.next()?,
        worktree: letters.next()?,
        path: fields.nth(skipped)?.to_owned(),
        kind,
        from: None,
    })
}
