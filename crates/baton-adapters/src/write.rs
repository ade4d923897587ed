//! `fs.write`, and how every file of ours is written: whole or not at all.
//!
//! There is no appending: a second append would write twice, and these tools are `idempotent`.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::fd::OwnedFd;
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
                required(
                    "path",
                    text("Relative to the first root, or absolute in any."),
                ),
                required("text", text("The file's whole content.")),
                optional("mode", word(&["overwrite", "create"], mode)),
                optional(
                    "create_dirs",
                    flag("Whether to make missing folders; false."),
                ),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: WriteInput) -> Result<Written, CallFailure> {
        let place = scope.roots.place(&input.path)?;
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
    let written = Written {
        path: place.shown(),
        bytes: bytes.len(),
    };
    let (parent, name) = place.split()?;
    let folder = parent.folder()?;
    let fail = |errno| place.failed(errno);
    let permissions = match rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(fail(errno)),
        Ok(found) if !FileType::from_raw_mode(found.st_mode).is_file() => {
            return Err(fail(Errno::ISDIR));
        }
        Ok(_) if mode == WriteMode::Create => return same(scope, place, bytes).map(|()| written),
        Ok(found) => Some(Mode::from_raw_mode(found.st_mode)),
    };
    let draft = draft_name(scope.key, &name);
    let flags = match mode {
        WriteMode::Create => RenameFlags::NOREPLACE,
        WriteMode::Overwrite => RenameFlags::empty(),
    };
    let filled = fill(&folder, &draft, bytes, permissions);
    let moved = filled.and_then(|()| {
        scope.check().map_err(Fault::Call)?;
        rustix::fs::renameat_with(&folder, &draft, &folder, &name, flags).map_err(Fault::Kernel)
    });
    if let Err(fault) = moved {
        // It is ours and of no use; a failure to remove it changes nothing of what is told.
        let _ = rustix::fs::unlinkat(&folder, &draft, AtFlags::empty());
        return Err(match fault {
            Fault::Kernel(Errno::EXIST) => exists(place),
            Fault::Kernel(errno) => fail(errno),
            Fault::Call(failure) => failure,
        });
    }
    // The new name is durable only when the folder is.
    rustix::fs::fsync(&folder).map_err(|errno| {
        CallFailure::in_doubt(
            FailureKind::Unavailable,
            format!("{}: {errno}", place.shown()),
        )
    })?;
    Ok(written)
}

enum Fault {
    Kernel(Errno),
    Call(CallFailure),
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
) -> Result<(), Fault> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, draft, flags, Mode::from_raw_mode(0o666));
    let opened = match open() {
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, draft, AtFlags::empty()).map_err(Fault::Kernel)?;
            open()
        }
        opened => opened,
    };
    let mut file = File::from(opened.map_err(Fault::Kernel)?);
    if let Some(permissions) = permissions {
        rustix::fs::fchmod(&file, permissions).map_err(Fault::Kernel)?;
    }
    let synced = file.write_all(bytes).and_then(|()| file.sync_all());
    synced.map_err(|cause| Fault::Kernel(Errno::from_io_error(&cause).unwrap_or(Errno::IO)))
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
