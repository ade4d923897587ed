//! `fs.read` and `fs.list`: what is beneath a root.
//!
//! Writing is `write.rs`, searching is `search.rs`; nothing here changes anything.

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;

use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::time::Timestamp;
use baton_core::words::FailureKind;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use crate::base64;
use crate::beneath::Place;
use crate::config::Limits;
use crate::schema::{flag, integer, object, optional, required, text, word};
use crate::tool::{Scope, Tool, bounded, reads};
use crate::walk::{Depth, Globs, walk};

/// Bytes that `fs.read` returns when it is not told.
const READ_BYTES: usize = 1 << 20;
/// Entries that `fs.list` returns when it is not told.
const LIST_ENTRIES: usize = 10_000;
/// How much is read between two looks at the clock.
const PIECE_BYTES: u64 = 1 << 20;

/// `fs.read`.
pub(crate) struct Read;

/// `fs.list`.
pub(crate) struct List;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadInput {
    path: String,
    max_bytes: Option<u64>,
    encoding: Option<Encoding>,
}

/// How bytes become a JSON string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Encoding {
    /// As they are; they must be UTF-8.
    #[default]
    Text,
    /// Base64, whatever they are.
    Base64,
}

#[derive(Serialize)]
pub(crate) struct ReadOutput {
    path: String,
    text: String,
    encoding: Encoding,
    /// The file's length, whatever was returned of it.
    bytes: u64,
    truncated: bool,
}

impl Tool for Read {
    type Input = ReadInput;
    type Output = ReadOutput;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.file_bytes_max;
        reads(
            "fs.read",
            "Reads a regular file beneath a root; \
             returns `{path, text, encoding, bytes, truncated}`.",
            object([
                required("path", text("Relative to the first root, or absolute in any.")),
                optional("max_bytes", integer(1, max, "What is beyond is cut; 1 MiB.")),
                optional("encoding", word(&["text", "base64"], "`text` must be UTF-8.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: ReadInput) -> Result<ReadOutput, CallFailure> {
        let limit = scope.limits().file_bytes_max;
        let bytes_max = bounded("max_bytes", input.max_bytes, READ_BYTES, limit)?;
        let place = scope.place(&input.path)?;
        let (file, length) = place.file()?;
        let (bytes, truncated) = read_at_most(scope, &place, file, bytes_max)?;
        let encoding = input.encoding.unwrap_or_default();
        Ok(ReadOutput {
            path: place.shown(),
            text: encoded(&place, bytes, (encoding, truncated))?,
            encoding,
            bytes: length,
            truncated,
        })
    }
}

/// The first bytes of a file, and whether there were more.
pub(crate) fn read_at_most(
    scope: &Scope<'_>,
    place: &Place<'_>,
    mut file: File,
    bytes_max: usize,
) -> Result<(Vec<u8>, bool), CallFailure> {
    let mut bytes = Vec::new();
    while bytes.len() <= bytes_max {
        scope.check()?;
        let read = (&mut file).take(PIECE_BYTES).read_to_end(&mut bytes);
        let read = read.map_err(|cause| {
            let message = format!("{} cannot be read: {cause}", place.shown());
            CallFailure::passing(FailureKind::Unavailable, message)
        })?;
        if read == 0 {
            return Ok((bytes, false));
        }
    }
    bytes.truncate(bytes_max);
    Ok((bytes, true))
}

/// The whole of a file that may have at most `[tools.limits] file_bytes_max` bytes.
pub(crate) fn read_whole(scope: &Scope<'_>, place: &Place<'_>) -> Result<Vec<u8>, CallFailure> {
    let max = scope.limits().file_bytes_max;
    let (bytes, truncated) = read_at_most(scope, place, place.file()?.0, max)?;
    if truncated {
        return Err(CallFailure::refused(
            FailureKind::TooLarge,
            format!(
                "{} has more than {max} bytes (`[tools.limits] file_bytes_max`)",
                place.shown()
            ),
        ));
    }
    Ok(bytes)
}

fn encoded(
    place: &Place<'_>,
    bytes: Vec<u8>,
    (encoding, truncated): (Encoding, bool),
) -> Result<String, CallFailure> {
    if encoding == Encoding::Base64 {
        return Ok(base64::encode(&bytes));
    }
    String::from_utf8(bytes).or_else(|fault| {
        let cause = fault.utf8_error();
        let mut bytes = fault.into_bytes();
        // A character that only the cut has split is left out.
        if truncated && cause.error_len().is_none() {
            bytes.truncate(cause.valid_up_to());
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        let at = cause.valid_up_to();
        let message = format!(
            "{} is no UTF-8 text (byte {at}); read it with `encoding: base64`",
            place.shown()
        );
        Err(CallFailure::refused(FailureKind::Refused, message))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListInput {
    path: String,
    glob: Option<String>,
    recursive: Option<bool>,
    max_entries: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Listed {
    path: String,
    kind: &'static str,
    bytes: u64,
    modified: Timestamp,
}

impl Tool for List {
    type Input = ListInput;
    type Output = Vec<Listed>;

    fn spec(&self, limits: &Limits) -> ToolSpec {
        let max = limits.list_entries_max;
        reads(
            "fs.list",
            "Lists a folder beneath a root, without what `.gitignore` excludes; \
             returns a list of `{path, kind, bytes, modified}` in the order of the paths.",
            object([
                required("path", text("A folder, relative to the first root or absolute in any.")),
                optional("glob", text("Only files that match, as in `.gitignore`: `*.rs`.")),
                optional("recursive", flag("Whether to enter folders; true.")),
                optional("max_entries", integer(1, max, "More is a failure; 10000.")),
            ]),
        )
    }

    fn run(&self, scope: &Scope<'_>, input: ListInput) -> Result<Vec<Listed>, CallFailure> {
        let limit = scope.limits().list_entries_max;
        let max = bounded("max_entries", input.max_entries, LIST_ENTRIES, limit)?;
        let place = scope.place(&input.path)?;
        let globs = Globs::new(input.glob.as_deref())?;
        let depth = match input.recursive {
            Some(false) => Depth::One,
            Some(true) | None => Depth::All,
        };
        let mut listed = Vec::new();
        walk(scope, &place, (&globs, depth), &mut |found| {
            if listed.len() == max {
                return Err(too_many(&place, max));
            }
            if let Some((bytes, modified)) = found.stat() {
                listed.push(Listed {
                    path: place.join(found.path).shown(),
                    kind: word_of(found.kind),
                    bytes: if found.kind.is_file() { bytes } else { 0 },
                    modified: Timestamp::from_millis(modified),
                });
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(listed)
    }
}

fn too_many(place: &Place<'_>, max: usize) -> CallFailure {
    CallFailure::refused(
        FailureKind::TooLarge,
        format!(
            "{} has more than {max} entries; narrow `path` or `glob`, or raise `max_entries`",
            place.shown()
        ),
    )
}

fn word_of(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "file",
        FileType::Directory => "folder",
        FileType::Symlink => "link",
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => "other",
    }
}
