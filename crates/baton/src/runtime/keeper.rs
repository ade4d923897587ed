//! Keeps what models say in a log beside the journal, on a thread of its own: many pieces together,
//! and in nobody's way.
//!
//! What it cannot keep is not kept: nothing waits for it, and the journal has the answer in the end.

use std::sync::Arc;
use std::thread::JoinHandle;

use baton_engine::chunks::{Chunk, ChunkLog};
use baton_engine::store::StoreError;
use serde_json::json;

use super::reports::Reports;
use super::speech::{Group, Speech};
use crate::log::{Level, log};

/// The thread; when this is dropped, it keeps what was said last and ends.
pub(super) struct Keeper {
    reports: Arc<Reports>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Takes back what was kept of turns that run still, and begins to keep.
    pub(super) fn start(
        reports: &Arc<Reports>,
        mut chunks: Box<dyn ChunkLog>,
        runs: impl FnMut(&Chunk) -> bool,
    ) -> Self {
        match chunks.chunks() {
            Ok(kept) => reports.speech.restore(kept, runs),
            Err(fault) => warn("what models had said cannot be read; the answers are not", &fault),
        }
        let of = Arc::clone(reports);
        let work = move || keep(&of.speech, chunks.as_mut());
        let spawned = std::thread::Builder::new().name("keeper".to_owned()).spawn(work);
        // Without a thread nothing is kept.
        Self { reports: Arc::clone(reports), thread: spawned.ok() }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.reports.speech.close();
        if let Some(thread) = self.thread.take() {
            // Whether it panicked changes nothing any more.
            let _ = thread.join();
        }
    }
}

fn keep(speech: &Speech, chunks: &mut dyn ChunkLog) {
    let mut is_well = true;
    while let Some(Group { over, more }) = speech.next_group() {
        if over.is_empty() && more.is_empty() {
            continue;
        }
        let kept = chunks.keep(&over, &more);
        if let (true, Err(fault)) = (is_well, &kept) {
            warn("what models say cannot be kept until they have answered; they go on", fault);
        }
        is_well = kept.is_ok();
    }
}

fn warn(sentence: &str, fault: &StoreError) {
    log(Level::Warn, sentence, &[("fault", json!(fault.to_string()))]);
}
