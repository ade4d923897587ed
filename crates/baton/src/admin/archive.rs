//! Archives: finished workflows as JSON Lines that a person can read, on disk before they are purged.
//!
//! The first line names the format; each workflow is followed by its events in order, each large
//! body once, before the first event that names it; the last line counts, so that a cut file shows.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Json};
use baton_core::codes::Code;
use baton_core::ids::WorkflowId;
use baton_core::time::Timestamp;
use baton_core::workflow::EventKind;
use baton_core::workflow::rows::{WorkflowCard, WorkflowRow};
use baton_engine::live::read_event;
use baton_engine::store::{Record, StoreError, Views};
use serde::Serialize;

use super::purge::{PurgeReport, bury};
use super::selection::{Selected, Selection};
use super::{AdminError, Purger, bytes, now};
use baton_core::spoken::many;

/// The name of the format, in the first line.
pub const FORMAT: &str = "baton-archive";
/// Its version: raised when a reader of the one before could misunderstand.
pub const FORMAT_VERSION: u32 = 1;

/// What was archived, and what was purged after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ArchiveReport {
    /// The file; `None` when nothing was selected and none was written.
    pub file: Option<PathBuf>,
    /// Its size in bytes.
    pub bytes: u64,
    /// What it holds.
    pub counts: Counts,
    /// What was purged then.
    pub purge: PurgeReport,
}

/// What an archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Workflows.
    pub workflows: u64,
    /// Their events.
    pub events: u64,
    /// Large bodies.
    pub blobs: u64,
}

impl ArchiveReport {
    /// The report as text.
    pub fn render(&self) -> String {
        let Some(file) = &self.file else {
            return "nothing to archive: no finished workflow is selected\n".to_owned();
        };
        let Counts { workflows, events, .. } = self.counts;
        format!(
            "archived {} with {} in {} ({})\n{}",
            many(workflows, "workflow"),
            many(events, "event"),
            file.display(),
            bytes(self.bytes),
            self.purge.render()
        )
    }
}

/// A line of an archive.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Format {
        format: &'static str,
        version: u32,
        written_at: Timestamp,
    },
    Workflow {
        workflow: &'a WorkflowCard,
        row: &'a WorkflowRow,
    },
    Blob {
        blob: BlobHash,
        content: Json,
    },
    Event {
        position: u64,
        workflow_id: WorkflowId,
        version: u64,
        #[serde(rename = "type")]
        kind: &'static str,
        at: Timestamp,
        actor: Actor,
        cause: u64,
        shape: u8,
        data: Json,
    },
    End {
        end: Counts,
    },
}

/// Writes what is selected to `file`, which must not exist, and purges it once that is on disk.
///
/// When a workflow changes meanwhile, it stays; the archive then holds a copy too many. An error
/// before the file is whole leaves no file and purges nothing.
pub fn archive(
    selection: &Selection,
    file: &Path,
    views: &mut dyn Views,
    purger: &mut dyn Purger,
) -> Result<ArchiveReport, AdminError> {
    let selected = selection.resolve(views, now())?;
    if selected.is_empty() {
        return Ok(ArchiveReport::default());
    }
    let partial = partial_of(file);
    let written = write_file(&partial, &selected, views)
        .and_then(|counts| publish(&partial, file).map(|()| counts));
    let counts = match written {
        Ok(counts) => counts,
        Err(error) => {
            // What is left of it is of no use; that it cannot be removed changes nothing.
            let _ = std::fs::remove_file(&partial);
            return Err(error);
        }
    };
    let size = std::fs::metadata(file).map_err(|e| AdminError::file(file, e))?;
    Ok(ArchiveReport {
        file: Some(file.to_owned()),
        bytes: size.len(),
        counts,
        purge: bury(&selected, purger)?,
    })
}

fn partial_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    file.with_file_name(name)
}

/// Gives the file its name for good: never over another one, and on disk when this returns.
fn publish(partial: &Path, file: &Path) -> Result<(), AdminError> {
    std::fs::hard_link(partial, file).map_err(|e| {
        if e.kind() == io::ErrorKind::AlreadyExists {
            AdminError::file(file, "the file exists already; name another one")
        } else {
            AdminError::file(file, e)
        }
    })?;
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    std::fs::remove_file(partial)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|e| AdminError::file(folder, e))
}

fn write_file(
    path: &Path,
    selected: &[Selected],
    views: &mut dyn Views,
) -> Result<Counts, AdminError> {
    let failed = |e: io::Error| AdminError::file(path, e);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path).map_err(failed)?;
    let mut writer = Writer {
        path,
        out: BufWriter::new(file),
        counts: Counts::default(),
        blobs: HashSet::new(),
    };
    writer.line(&Line::Format { format: FORMAT, version: FORMAT_VERSION, written_at: now() })?;
    for (card, row) in selected {
        writer.workflow(card, row, views)?;
    }
    let counts = writer.counts;
    writer.line(&Line::End { end: counts })?;
    let file = writer.out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(counts)
}

struct Writer<'a> {
    path: &'a Path,
    out: BufWriter<File>,
    counts: Counts,
    blobs: HashSet<BlobHash>,
}

impl Writer<'_> {
    fn line(&mut self, line: &Line<'_>) -> Result<(), AdminError> {
        let path = self.path;
        serde_json::to_writer(&mut self.out, line)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(|e| AdminError::file(path, e))
    }

    fn workflow(
        &mut self,
        card: &WorkflowCard,
        row: &WorkflowRow,
        views: &mut dyn Views,
    ) -> Result<(), AdminError> {
        self.line(&Line::Workflow { workflow: card, row })?;
        self.counts.workflows += 1;
        for record in views.stream(card.number)? {
            self.bodies(&record, views)?;
            self.event(card.id, &record, views)?;
        }
        Ok(())
    }

    fn bodies(&mut self, record: &Record, views: &mut dyn Views) -> Result<(), AdminError> {
        let mut named = Vec::new();
        read_event(record)?.blobs(&mut |hash| named.push(hash));
        for hash in named {
            if self.blobs.insert(hash) {
                let missing = || StoreError::Corrupt(format!("the blob {hash} is missing"));
                let blob = views.blob(hash)?.ok_or_else(missing)?;
                let damaged = |e: baton_core::body::BlobDamaged| StoreError::Corrupt(e.to_string());
                let content = blob.unpack().map_err(damaged)?;
                self.line(&Line::Blob { blob: hash, content })?;
                self.counts.blobs += 1;
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        workflow_id: WorkflowId,
        record: &Record,
        views: &mut dyn Views,
    ) -> Result<(), AdminError> {
        let at_position = |what: String| {
            StoreError::Corrupt(format!("the event at position {}: {what}", record.position))
        };
        let kind = EventKind::from_code(record.kind)
            .ok_or_else(|| at_position("its kind is not known".to_owned()))?;
        let data = Json::parse(record.body.to_string()).map_err(|e| at_position(e.to_string()))?;
        let actor = views
            .actor(record.actor)?
            .ok_or_else(|| at_position("its actor is not known".to_owned()))?;
        self.counts.events += 1;
        self.line(&Line::Event {
            position: record.position,
            workflow_id,
            version: record.version,
            kind: kind.word(),
            at: record.at,
            actor,
            cause: record.cause,
            shape: record.shape,
            data,
        })
    }
}
