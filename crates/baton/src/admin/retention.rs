//! `[retention]` of `baton.toml`: how long finished workflows stay.
//!
//! Nothing goes without it. When it is applied is the caller's.

use std::path::PathBuf;

use baton_core::time::Span;
use baton_engine::store::Views;
use serde::{Deserialize, Serialize};

use super::archive::{ArchiveReport, archive};
use super::purge::{PurgeReport, purge};
use super::selection::Selection;
use super::{AdminError, Purger, now};

/// How long finished workflows stay, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// `keep`: how long after its end a workflow stays whole.
    pub keep: Span,
    /// `archive_to`: the folder that gets an archive of what goes; without it, it just goes.
    #[serde(default)]
    pub archive_to: Option<PathBuf>,
}

/// What a policy did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retired {
    /// What went, went into an archive first.
    Archived(ArchiveReport),
    /// What went is gone.
    Purged(PurgeReport),
}

impl Retired {
    /// The report as text.
    pub fn render(&self) -> String {
        match self {
            Self::Archived(report) => report.render(),
            Self::Purged(report) => report.render(),
        }
    }
}

impl Retention {
    /// Lets go of what has been over for long enough.
    pub fn apply(
        &self,
        views: &mut dyn Views,
        purger: &mut dyn Purger,
    ) -> Result<Retired, AdminError> {
        let selection = Selection::older_than(self.keep);
        let Some(folder) = &self.archive_to else {
            return purge(&selection, views, purger).map(Retired::Purged);
        };
        std::fs::create_dir_all(folder).map_err(|e| AdminError::file(folder, e))?;
        let stamp = now().to_string().replace([':', '.'], "-");
        let file = folder.join(format!("baton-{stamp}.jsonl"));
        archive(&selection, &file, views, purger).map(Retired::Archived)
    }
}
