//! How a connection to the file is set up: durability, log, caches.
//!
//! What the file holds is the migrator's.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;

/// How long a connection waits for another process before it gives up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long until what another process was in the way of is tried again; nobody would tell.
const BETWEEN_TRIES: Duration = Duration::from_millis(5);
/// More than the number of different statements of one connection.
const STATEMENTS_KEPT: usize = 96;
/// The log is cut to this many bytes when it starts over.
const LOG_BYTES_KEPT: u64 = 32 << 20;

/// The owner's connection.
pub(crate) fn owner(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if connection.is_readonly("main")? {
        return Err(Fault::unavailable(
            "the file may only be read; give this user the right to write it, or use another disk",
        ));
    }
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if pages == 0 {
        // Before the log, whose first use already writes the first page; and not again later,
        // because setting it takes the lock of a writer.
        connection.execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL;")?;
    }
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; \
         PRAGMA temp_store = MEMORY; \
         PRAGMA mmap_size = 0; \
         PRAGMA cache_size = -16384; \
         PRAGMA journal_size_limit = {LOG_BYTES_KEPT}; \
         PRAGMA wal_autocheckpoint = 0;"
    ))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// Does again what another process was in the way of, for as long as a connection would wait:
/// SQLite itself does not wait where a file is switched to its log, or where a log is recovered.
pub(crate) fn patiently<T>(mut work: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    let started = Instant::now();
    loop {
        match work() {
            Err(fault) if fault.is_busy() && started.elapsed() < BUSY_TIMEOUT => {
                // sleep: a lock of another process gives no signal when it is free.
                std::thread::sleep(BETWEEN_TRIES);
            }
            outcome => return outcome,
        }
    }
}

/// A connection that can only read.
pub(crate) fn reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(
        "PRAGMA query_only = ON; \
         PRAGMA temp_store = MEMORY; \
         PRAGMA mmap_size = 0; \
         PRAGMA cache_size = -4096;",
    )?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// Lets a connection say after each of its commits how many pages the log has.
///
/// This takes the place of SQLite's own automatic checkpoint, which would run inside a commit.
pub(crate) fn count_log_pages(
    connection: &mut Connection,
    log: Arc<AtomicU32>,
) -> Result<(), Fault> {
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
        log.store(u32::try_from(pages).unwrap_or(0), Ordering::Release);
        Ok(())
    }))?;
    Ok(())
}
