//! Finds the repository a path belongs to, beneath the roots.
//!
//! Git's own discovery would leave the roots: upwards, and through `.git` files and links.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use rustix::fs::{CWD, Mode, OFlags};

use crate::beneath::{FOLDER, READING, regular};
use crate::tool::Scope;

/// Bytes of a `.git`, `commondir` or `gitdir` file; each holds one path.
const POINTER_BYTES_MAX: u64 = 8 << 10;

/// A repository's top folder, open.
pub(crate) struct Repository {
    pub(super) folder: OwnedFd,
    /// For messages.
    pub(super) shown: String,
    top: PathBuf,
    git: PathBuf,
}

impl Repository {
    /// The innermost repository that holds the folder `path`.
    pub(super) fn find(scope: &Scope<'_>, path: &str) -> Result<Self, CallFailure> {
        let place = scope.roots.place(path)?;
        let asked = place.folder()?;
        let real = std::fs::read_link(format!("/proc/self/fd/{}", asked.as_raw_fd()))
            .map_err(|cause| denied(format!("{} cannot be named: {cause}", place.shown())))?;
        let shown = place.shown();
        let within = real.ancestors().take_while(|folder| scope.roots.contain(folder));
        let mut tops = within.filter(|folder| folder.join(".git").symlink_metadata().is_ok());
        let Some(top) = tops.next() else {
            let message = format!(
                "{shown} is in no git repository whose top is in the roots; \
                 name the repository's top in `[tools] roots` if it lies above"
            );
            return Err(CallFailure::refused(FailureKind::NotFound, message));
        };
        let folder = rustix::fs::openat(CWD, top, FOLDER | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|errno| place.failed(errno))?;
        Ok(Self { git: git_folder(scope, top)?, folder, shown, top: top.to_owned() })
    }

    /// What keeps git at this repository.
    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        let above = self.top.parent().unwrap_or(Path::new("/"));
        vec![
            ("GIT_CEILING_DIRECTORIES".into(), above.into()),
            // Against a `core.worktree` elsewhere.
            ("GIT_WORK_TREE".into(), self.top.clone().into()),
        ]
    }

    /// Whether all of it is this user's, so that git does not ask for `safe.directory`.
    pub(super) fn is_own(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        let parts = [self.top.clone(), self.top.join(".git"), self.git.clone()];
        let owner = |path: &PathBuf| path.symlink_metadata().map(|found| found.uid());
        parts.iter().all(|path| owner(path).is_ok_and(|owner| owner == user))
    }
}

/// Where the repository's own files are: in the roots, or where a worktree's owner put them.
fn git_folder(scope: &Scope<'_>, top: &Path) -> Result<PathBuf, CallFailure> {
    let dot = top.join(".git");
    let found = dot.symlink_metadata();
    let found = found.map_err(|cause| denied(format!("{}: {cause}", dot.display())))?;
    if found.is_symlink() {
        return Err(denied(format!("{} is a link", dot.display())));
    }
    let git = if found.is_dir() {
        dot.clone()
    } else {
        let target = pointer(&dot).and_then(|text| {
            let path = text.strip_prefix("gitdir:")?.trim().to_owned();
            top.join(path).canonicalize().ok()
        });
        target.ok_or_else(|| denied(format!("{} names no folder", dot.display())))?
    };
    if !scope.roots.contain(&git) {
        // A linked worktree's repository names it back; nobody else can make it do so.
        let back = pointer(&git.join("gitdir"))
            .and_then(|path| Path::new(path.trim()).canonicalize().ok());
        if back.as_deref() == Some(dot.as_path()) {
            return Ok(git);
        }
        return Err(denied(format!("{} leads out of the roots", dot.display())));
    }
    stays(scope, &git)?;
    Ok(git)
}

/// Refuses a git folder in the roots that takes its objects and settings from outside.
fn stays(scope: &Scope<'_>, git: &Path) -> Result<(), CallFailure> {
    if let Some(common) = pointer(&git.join("commondir")) {
        let common = git.join(common.trim()).canonicalize();
        if !common.is_ok_and(|common| scope.roots.contain(&common)) {
            return Err(denied(format!("{}/commondir leads out of the roots", git.display())));
        }
    }
    let entries = std::fs::read_dir(git).into_iter().flatten().flatten();
    for entry in entries {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let inside = |path: PathBuf| scope.roots.contain(&path);
        if is_link && !entry.path().canonicalize().is_ok_and(inside) {
            return Err(denied(format!("{} leads out of the roots", entry.path().display())));
        }
    }
    Ok(())
}

/// The text of a small regular file that holds a path.
fn pointer(path: &Path) -> Option<String> {
    let file = rustix::fs::openat(CWD, path, READING | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let (file, _) = regular(file).ok()?;
    let mut text = String::new();
    file.take(POINTER_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

fn denied(message: String) -> CallFailure {
    let help = "git may read nothing outside `[tools] roots`";
    CallFailure::refused(FailureKind::Denied, format!("{message}; {help}"))
}
