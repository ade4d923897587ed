//! `fs.write`, and how every file of ours is written: whole or not at all.
//!
//! There is no appending: a second append would write twice, and these tools are `idempotent`.

use std::ffi::OsStr;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, FailureKind};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::beneath::{FOLDER, Place};
use crate::config::Limits;
use crate::fs::read_at_most;
use crate::schema::{flag, object, optional, required, text, word};
use crate::tool::{Scope, Tool, writes};

/// Names that no path written to may have in it, beneath its root.
const KEPT: [&str; 2] = [".git", ".baton"];

/// `fs.write`.
pub(crate) struct Write;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteInput {
    path: String,
    text: String,
    mode: Option<WriteMode>,
    create_dirs: Option<bool>,
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WriteMode {
    /// It is replaced.
    #[default]
    Overwrite,
    /// The call fails, unless the file holds these very bytes: then it was this call's repetition.
    Create,
}

#[derive(Serialize)]
pub(crate) struct Written {
    pub(crate) path: String,
    pub(crate) bytes: usize,
}

impl Tool for Write {
    type Input = WriteInput;
    type Output = Written;

    fn spec(&self, _: &Limits) -> ToolSpec {
        let mode = "`create` fails where another file is; `overwrite`.";
        writes(
            Effect::Idempotent,
            "fs.write",
            "Writes a text file beneath a root, whole or not at all; returns `{path, bytes}`.",
            object([
                required("path", text("Relative to the first root, or absolute in any.")),
                required("text", text("The file's whole content.")),
                optional("mode", word(&["overwrite", "create"], mode)),
                optional("create_dirs", flag("Whether to make missing folders; false.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: WriteInput) -> Result<Written, CallFailure> {
        let place = scope.place(&input.path)?;
        if input.create_dirs == Some(true) {
            create_folders(&place)?;
        }
        let mode = input.mode.unwrap_or_default();
        write_whole(scope, &place, input.text.as_bytes(), mode)
    }
}

/// Makes a file hold exactly these bytes, durably, or leaves what was there.
pub(crate) fn write_whole(
    scope: &Scope<'_>,
    place: &Place<'_>,
    bytes: &[u8],
    mode: WriteMode,
) -> Result<Written, CallFailure> {
    let max = scope.limits().file_bytes_max;
    if bytes.len() > max {
        let count = bytes.len();
        let message =
            format!("{count} bytes are more than {max} (`[tools.limits] file_bytes_max`)");
        return Err(CallFailure::refused(FailureKind::TooLarge, message));
    }
    let (parent, name) = place.split()?;
    let folder = parent.folder()?;
    if is_kept(place.root(), &folder, &name) {
        let message = format!("{} is git's or Baton's own; it is not written to", place.shown());
        return Err(CallFailure::refused(FailureKind::Denied, message));
    }
    let target = Target { place, folder, draft: draft_name(scope.key, &name), name };
    let moved = match target.permissions()? {
        Some(_) if mode == WriteMode::Create => same(scope, place, bytes),
        permissions => target.replace(scope, bytes, (mode, permissions)),
    };
    moved.map(|()| Written { path: place.shown(), bytes: bytes.len() })
}

/// Whether a file belongs to a repository or a store; by the folder's real path, whatever links the
/// call came through. A hook or a setting in there would be a way to run something later.
fn is_kept(root: &Path, folder: &OwnedFd, name: &Path) -> bool {
    let real = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let path = real.unwrap_or_default().join(name);
    let is_kept = |part: &OsStr| KEPT.iter().any(|kept| part.eq_ignore_ascii_case(kept));
    path.strip_prefix(root).unwrap_or(&path).iter().any(is_kept)
}

struct Target<'a> {
    place: &'a Place<'a>,
    folder: OwnedFd,
    name: PathBuf,
    draft: PathBuf,
}

impl Target<'_> {
    /// Those of the file that is there; a failure when it is no regular file.
    fn permissions(&self) -> Result<Option<Mode>, CallFailure> {
        match rustix::fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode).is_file() => {
                Ok(Some(Mode::from_raw_mode(found.st_mode)))
            }
            Ok(_) => Err(self.place.failed(Errno::ISDIR)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.place.failed(errno)),
        }
    }

    fn replace(
        &self,
        scope: &Scope<'_>,
        bytes: &[u8],
        (mode, permissions): (WriteMode, Option<Mode>),
    ) -> Result<(), CallFailure> {
        let flags = match mode {
            WriteMode::Create => RenameFlags::NOREPLACE,
            WriteMode::Overwrite => RenameFlags::empty(),
        };
        let (folder, draft) = (&self.folder, &self.draft);
        let failed = |errno| match errno {
            Errno::EXIST => exists(self.place),
            errno => self.place.failed(errno),
        };
        let filled = fill(folder, draft, bytes, permissions).map_err(failed);
        let moved = filled.and_then(|()| scope.check()).and_then(|()| {
            rustix::fs::renameat_with(folder, draft, folder, &self.name, flags).map_err(failed)
        });
        if moved.is_err() {
            // It is ours and of no use; failing to remove it changes nothing of what is told.
            let _ = rustix::fs::unlinkat(folder, draft, AtFlags::empty());
            return moved;
        }
        // The new name is durable only when the folder is.
        rustix::fs::fsync(folder).map_err(|errno| {
            let message = format!("{}: {errno}", self.place.shown());
            CallFailure::in_doubt(FailureKind::Unavailable, message)
        })
    }
}

/// One name per call, so that a repetition after a kill clears its own leftovers.
fn draft_name(key: &str, name: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (key, name).hash(&mut hasher);
    PathBuf::from(format!(".baton-{:016x}.tmp", hasher.finish()))
}

fn fill(
    folder: &OwnedFd,
    draft: &Path,
    bytes: &[u8],
    permissions: Option<Mode>,
) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, draft, flags, Mode::from_raw_mode(0o666));
    let opened = match open() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, draft, AtFlags::empty())?;
            open()
        }
        opened => opened,
    };
    let mut file = File::from(opened?);
    if let Some(permissions) = permissions {
        rustix::fs::fchmod(&file, permissions)?;
    }
    let synced = file.write_all(bytes).and_then(|()| file.sync_all());
    synced.map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))
}

/// A repetition of a call that created the file finds its own bytes.
fn same(scope: &Scope<'_>, place: &Place<'_>, bytes: &[u8]) -> Result<(), CallFailure> {
    let (found, more) = read_at_most(scope, place, place.file()?.0, bytes.len())?;
    if found == bytes && !more {
        return Ok(());
    }
    Err(exists(place))
}

fn exists(place: &Place<'_>) -> CallFailure {
    CallFailure::refused(
        FailureKind::Refused,
        format!(
            "{} exists and holds something else; choose another path or `mode: overwrite`",
            place.shown()
        ),
    )
}

/// Makes the folders that lead to a place, each beneath the root.
fn create_folders(place: &Place<'_>) -> Result<(), CallFailure> {
    let (parent, _) = place.split()?;
    for folder in parent.way() {
        match folder.open_raw(FOLDER, Mode::empty()) {
            Ok(_) => {}
            Err(Errno::NOENT) => {
                let (above, name) = folder.split()?;
                let made = rustix::fs::mkdirat(above.folder()?, &name, Mode::from_raw_mode(0o777));
                // Another call may have made it meanwhile.
                if let Err(errno) = made
                    && errno != Errno::EXIST
                {
                    return Err(folder.failed(errno));
                }
            }
            Err(errno) => return Err(folder.failed(errno)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_of_a_killed_call_does_not_stand_in_the_way_of_its_repetition() {
        let folder = tempfile::tempdir().unwrap();
        let name = draft_name("key", Path::new("a"));
        std::fs::write(folder.path().join(&name), "half of a longer text").unwrap();
        let fd = rustix::fs::openat(rustix::fs::CWD, folder.path(), FOLDER, Mode::empty()).unwrap();
        fill(&fd, &name, b"whole", None).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join(&name)).unwrap(), "whole");
        assert_ne!(name, draft_name("other key", Path::new("a")));
    }
}
