//! Walks a folder as git would: what `.gitignore` excludes is not entered, `.git` never.
//!
//! Hidden files are part of a project and are walked. Links are seen but not followed. Every step
//! opens by descriptor, so that nothing swapped meanwhile leads out of the root; ignore files that
//! are no regular files are not read. It honours `.gitignore` without a repository too; the user's
//! global excludes are not read, so that a definition finds the same files everywhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

use crate::beneath::{FOLDER, Place, READING, regular};
use crate::tool::{Scope, invalid};

/// How deep a walk goes; deeper trees are refused, not cut.
const DEPTH_MAX: usize = 512;
/// Entries of one folder; it is sorted in memory.
const FOLDER_ENTRIES_MAX: usize = 1_000_000;
/// Bytes of one ignore file that are read.
const IGNORE_BYTES_MAX: u64 = 1 << 20;

/// Something a walk came by.
pub(crate) struct Found<'a> {
    folder: BorrowedFd<'a>,
    name: &'a OsStr,
    /// Beneath the folder the walk started at.
    pub(crate) path: &'a Path,
    /// What it is; links are not followed.
    pub(crate) kind: FileType,
}

impl Found<'_> {
    /// Opens it if it is (still) a regular file; gives its length too.
    pub(crate) fn open(&self) -> Option<(File, u64)> {
        open_regular(self.folder, Path::new(self.name))
    }

    /// Its length and the time it was changed, in milliseconds since 1970.
    pub(crate) fn stat(&self) -> Option<(u64, i64)> {
        let stat = rustix::fs::statat(self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        let millis = stat.st_mtime.saturating_mul(1_000).saturating_add(nanos / 1_000_000);
        Some((u64::try_from(stat.st_size).unwrap_or(0), millis))
    }
}

/// Which of the files a walk visits.
pub(crate) struct Globs(Option<Gitignore>);

impl Globs {
    /// A pattern with the rules of a `.gitignore` line: `*.rs` at any depth, `src/**/*.rs` from
    /// the start of the walk. None means everything.
    pub(crate) fn new(glob: Option<&str>) -> Result<Self, CallFailure> {
        let Some(glob) = glob else {
            return Ok(Self(None));
        };
        if glob.starts_with(['!', '#']) || glob.trim().is_empty() {
            return Err(invalid(format!("`{glob}` is no pattern such as `*.rs`")));
        }
        let mut builder = GitignoreBuilder::new("/");
        let built = builder.add_line(None, glob).map(|_| ()).and_then(|()| builder.build());
        built
            .map(|matcher| Self(Some(matcher)))
            .map_err(|fault| invalid(format!("`glob` is no pattern: {fault}")))
    }

    fn take(&self, path: &Path) -> bool {
        let matches =
            |globs: &Gitignore| globs.matched(Path::new("/").join(path), false).is_ignore();
        self.0.as_ref().is_none_or(matches)
    }
}

/// How far a walk goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The folder's own entries.
    One,
    /// Everything beneath.
    All,
}

struct Level {
    folder: OwnedFd,
    /// Beneath the start.
    path: PathBuf,
    entries: std::vec::IntoIter<(OsString, FileType)>,
    rules: Gitignore,
}

/// Visits what is beneath `place`, each folder's entries in the order of their names.
///
/// Folders are visited only when there is no glob; files and links when the glob takes them.
pub(crate) fn walk(
    scope: &Scope<'_>,
    place: &Place<'_>,
    (globs, depth): (&Globs, Depth),
    visit: &mut dyn FnMut(&Found<'_>) -> Result<ControlFlow<()>, CallFailure>,
) -> Result<(), CallFailure> {
    let start = place.folder()?;
    let base = place.absolute();
    let above = rules_above(place);
    let mut levels = vec![level(start, PathBuf::new(), &base)?];
    while let Some(top) = levels.last_mut() {
        let Some((name, kind)) = top.entries.next() else {
            levels.pop();
            continue;
        };
        scope.check()?;
        let path = top.path.join(&name);
        if name == ".git" || is_ignored(&levels, &above, &base.join(&path), kind) {
            continue;
        }
        let Some(top) = levels.last() else { break };
        let found = Found { folder: top.folder.as_fd(), name: &name, path: &path, kind };
        let wanted = match kind.is_dir() {
            true => globs.0.is_none(),
            false => globs.take(&path),
        };
        if wanted && visit(&found)?.is_break() {
            break;
        }
        if kind.is_dir() && depth == Depth::All {
            // A folder that is gone or closed to us is no reason to fail the walk.
            if let Ok(folder) =
                rustix::fs::openat(&top.folder, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
            {
                within(levels.len(), DEPTH_MAX, "folders deep", &path)?;
                levels.push(level(folder, path, &base)?);
            }
        }
    }
    Ok(())
}

fn within(count: usize, max: usize, what: &str, path: &Path) -> Result<(), CallFailure> {
    if count < max {
        return Ok(());
    }
    let message = format!("{} is more than {max} {what}; walk a part of it", path.display());
    Err(CallFailure::refused(FailureKind::TooLarge, message))
}

fn level(folder: OwnedFd, path: PathBuf, base: &Path) -> Result<Level, CallFailure> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(&folder).into_iter().flatten() {
        let Ok(entry) = entry else { break };
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        within(entries.len(), FOLDER_ENTRIES_MAX, "entries in one folder", &path)?;
        entries.push((name.to_owned(), kind(&folder, name, entry.file_type())));
    }
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let rules = rules_of(folder.as_fd(), &base.join(&path));
    Ok(Level { folder, path, entries: entries.into_iter(), rules })
}

/// Some file systems do not say in the listing what an entry is.
fn kind(folder: &OwnedFd, name: &OsStr, listed: FileType) -> FileType {
    if listed != FileType::Unknown {
        return listed;
    }
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_or(listed, |stat| FileType::from_raw_mode(stat.st_mode))
}

fn is_ignored(levels: &[Level], above: &[Gitignore], path: &Path, kind: FileType) -> bool {
    let here = levels.iter().rev().map(|level| &level.rules);
    for rules in here.chain(above) {
        match rules.matched(path, kind.is_dir()) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
    }
    false
}

/// The rules a folder itself declares, for paths that start with `at`.
fn rules_of(folder: BorrowedFd<'_>, at: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(at);
    // Later lines win, and git gives `.gitignore` the last word.
    for name in [".git/info/exclude", ".gitignore"] {
        let mut text = String::new();
        let Some((file, _)) = open_regular(folder, Path::new(name)) else {
            continue;
        };
        if file.take(IGNORE_BYTES_MAX).read_to_string(&mut text).is_ok() {
            for line in text.lines() {
                // git passes over a line it cannot read, and so does this.
                let _ = builder.add_line(None, line);
            }
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The rules of the folders above the start: up to the repository's top, else up to the root.
fn rules_above(place: &Place<'_>) -> Vec<Gitignore> {
    let start = place.absolute();
    let is_top = |folder: &Path| folder.join(".git").symlink_metadata().is_ok();
    let top = start.ancestors().find(|folder| is_top(folder));
    let last = top.unwrap_or(place.root());
    let above = start.ancestors().skip(1);
    above
        .take_while(|folder| folder.starts_with(last))
        .filter_map(|folder| {
            let opened = rustix::fs::openat(CWD, folder, FOLDER, Mode::empty()).ok()?;
            Some(rules_of(opened.as_fd(), folder))
        })
        .collect()
}

fn open_regular(folder: BorrowedFd<'_>, name: &Path) -> Option<(File, u64)> {
    let file = rustix::fs::openat(folder, name, READING | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    regular(file).ok()
}
