//! Runs git on a repository nobody vouches for.
//!
//! A repository's configuration may name commands (monitors, filters, external diffs, hooks,
//! pagers, signature checkers, transports) and places outside it; here each of them is off, and a
//! `.git` that leads out of the roots is refused. What the tools ask of git is in `git/`.
//!
//! Not covered: `objects/info/alternates` may borrow objects from elsewhere, for whoever knows
//! their hashes.

mod diff;
mod log;
mod repository;
mod status;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::Path;

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;

use crate::child::{Captured, Guarded, Program, find_program, inherited};
use crate::tool::{Scope, invalid};

pub(crate) use diff::Diff;
pub(crate) use log::Log;
use repository::Repository;
pub(crate) use status::Status;

/// Settings that override whatever the repository says; git takes them from its environment.
const SETTINGS: [(&str, &str); 12] = [
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.attributesFile", "/dev/null"),
    ("core.quotePath", "false"),
    ("diff.external", ""),
    // It would write the index, whatever GIT_OPTIONAL_LOCKS says; `diff.rs` does without.
    ("diff.autoRefreshIndex", "false"),
    ("log.showSignature", "false"),
    ("log.mailmap", "false"),
    ("protocol.allow", "never"),
    ("safe.bareRepository", "explicit"),
    ("submodule.recurse", "false"),
];

/// The rest of git's environment; nothing is inherited but `PATH`.
const ENVIRONMENT: [(&str, &str); 14] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "/bin/false"),
    ("GIT_PAGER", "cat"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_LITERAL_PATHSPECS", "1"),
    // A path in the configuration may start with `~`; without a HOME git would fail on it.
    ("HOME", "/dev/null"),
    ("XDG_CONFIG_HOME", "/dev/null"),
    ("LC_ALL", "C"),
    ("TZ", "UTC"),
];

/// Filters a repository may declare; each costs settings in git's environment.
const FILTERS_MAX: usize = 100;

/// Git, under guard.
#[derive(Clone)]
pub(crate) struct Git {
    guarded: Guarded,
}

/// How a git command ended that did not do what it was asked.
struct Failed {
    code: Option<i32>,
    words: String,
}

impl Git {
    pub(crate) fn under(guarded: &Guarded) -> Self {
        let guarded = guarded.clone();
        Self { guarded }
    }

    /// What git prints, or why it did not; `settings` come on top of [`SETTINGS`].
    fn ask(
        &self,
        scope: &Scope<'_>,
        repository: &Repository,
        arguments: Vec<OsString>,
        settings: &[(OsString, OsString)],
    ) -> Result<Result<Captured, Failed>, CallFailure> {
        let mut environment = repository.environment();
        let fixed = SETTINGS.map(|(name, value)| (name.into(), value.into()));
        let trusted = self.trusted(scope, repository)?;
        let all: Vec<_> = fixed.iter().chain(&trusted).chain(settings).collect();
        environment.push(("GIT_CONFIG_COUNT".into(), all.len().to_string().into()));
        for (at, (name, value)) in all.into_iter().enumerate() {
            environment.push((format!("GIT_CONFIG_KEY_{at}").into(), name.clone()));
            environment.push((format!("GIT_CONFIG_VALUE_{at}").into(), value.clone()));
        }
        environment.extend(ENVIRONMENT.map(|(name, value)| (name.into(), value.into())));
        self.run(scope, &repository.folder, arguments, environment)
    }

    /// Settings that take the commands out of the filters a repository declares: whoever compares
    /// the working tree would run them. Their names are free, so git is asked for them.
    fn without_filters(
        &self,
        scope: &Scope<'_>,
        repository: &Repository,
    ) -> Result<Vec<(OsString, OsString)>, CallFailure> {
        let ask = ["config", "--list", "--includes", "-z", "--name-only"];
        let arguments = ask.into_iter().map(OsString::from).collect();
        let listed = self.ask(scope, repository, arguments, &[])?;
        let listed = listed.map_err(|failed| failed.into_failure(scope, repository))?;
        let names = whole(scope, listed)?.text();
        let names: BTreeSet<&str> = names
            .split('\0')
            .filter_map(|key| key.strip_prefix("filter.")?.rsplit_once('.'))
            .map(|(name, _)| name)
            .collect();
        if names.len() > FILTERS_MAX {
            let message = format!("{} declares more than {FILTERS_MAX} filters", repository.shown);
            return Err(CallFailure::refused(FailureKind::TooLarge, message));
        }
        let off = [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")];
        let settings = names.into_iter().flat_map(|name| {
            off.map(|(key, value)| (format!("filter.{name}.{key}").into(), value.into()))
        });
        Ok(settings.collect())
    }

    fn run(
        &self,
        scope: &Scope<'_>,
        folder: &OwnedFd,
        arguments: Vec<OsString>,
        mut environment: Vec<(OsString, OsString)>,
    ) -> Result<Result<Captured, Failed>, CallFailure> {
        environment.extend(inherited("PATH"));
        let ended = self.guarded.run(
            scope,
            &Program {
                program: find_program("git")?,
                arguments,
                environment,
                folder,
                input: &[],
                output_bytes_max: scope.limits().output_bytes_max,
            },
        );
        // Git is only asked to read: whatever became of it, nothing has happened.
        let ended = ended.map_err(|failure| CallFailure::passing(failure.kind, failure.message))?;
        if let Some(kind) = ended.cut {
            scope.check()?;
            return Err(CallFailure::refused(kind, scope.stopped(kind)));
        }
        Ok(match ended.status.success() {
            true => Ok(ended.stdout),
            false => Err(Failed { code: ended.status.code(), words: ended.stderr.tail() }),
        })
    }

    /// The operator's `safe.directory` entries, which git takes from no repository. They are only
    /// needed, and only read, for a repository of another user's.
    fn trusted(
        &self,
        scope: &Scope<'_>,
        repository: &Repository,
    ) -> Result<Vec<(OsString, OsString)>, CallFailure> {
        let mut trusted = Vec::new();
        if repository.is_own() {
            return Ok(trusted);
        }
        for level in ["--system", "--global"] {
            let names = ["HOME", "XDG_CONFIG_HOME"];
            let environment = names.into_iter().filter_map(inherited).collect();
            let ask = ["config", level, "--includes", "-z", "--type=path"];
            let ask = ask.into_iter().chain(["--get-all", "safe.directory"]);
            let arguments = ask.map(OsString::from).collect();
            // A level that does not exist is no fault.
            if let Ok(listed) = self.run(scope, &repository.folder, arguments, environment)? {
                let text = listed.text();
                let values = text.split('\0').filter(|value| !value.is_empty());
                trusted.extend(values.map(|value| ("safe.directory".into(), value.into())));
            }
        }
        Ok(trusted)
    }
}

impl Failed {
    fn into_failure(self, scope: &Scope<'_>, repository: &Repository) -> CallFailure {
        let Self { code, words } = self;
        let unknown = ["unknown revision", "bad revision", "Needed a single revision"];
        let kind = match unknown.iter().any(|sign| words.contains(sign)) {
            true => FailureKind::NotFound,
            false => FailureKind::Refused,
        };
        let code = code.map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        let (tool, shown) = (scope.tool, &repository.shown);
        CallFailure::refused(kind, format!("{tool}: git ended {code} in {shown}: {words}"))
    }
}

/// Output that must be whole to be read.
fn whole(scope: &Scope<'_>, output: Captured) -> Result<Captured, CallFailure> {
    if !output.truncated {
        return Ok(output);
    }
    let max = scope.limits().output_bytes_max;
    let message = format!(
        "git prints more than {max} bytes (`[tools.limits] output_bytes_max`); ask for less"
    );
    Err(CallFailure::refused(FailureKind::TooLarge, message))
}

/// A value from outside that becomes part of a command line.
fn plain<'a>(name: &str, value: &'a str) -> Result<&'a str, CallFailure> {
    if value.starts_with('-') || value.contains('\0') || value.is_empty() {
        let message = format!("`{name}` is `{value}`; it must not be empty or start with `-`");
        return Err(invalid(message));
    }
    Ok(value)
}

/// A path below the repository's top, as git is told it.
fn beneath<'a>(name: &str, path: &'a str) -> Result<&'a str, CallFailure> {
    let leaves = |part| {
        use std::path::Component::{CurDir, Normal, ParentDir, Prefix, RootDir};
        match part {
            CurDir | Normal(_) => false,
            ParentDir | RootDir | Prefix(_) => true,
        }
    };
    if path.is_empty() || path.contains('\0') || Path::new(path).components().any(leaves) {
        let message = format!("`{name}` is `{path}`; it must lie beneath the repository's top");
        return Err(invalid(message));
    }
    Ok(path)
}
