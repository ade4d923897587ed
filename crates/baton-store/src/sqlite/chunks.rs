//! The text of running turns in a file of its own beside the store's, so that it is never in the way
//! of a commit: SQLite has one writer a file.
//!
//! It is not part of the store: what it holds may be lost, and so may the file. It is made when
//! something is first kept, and syncs only when its log is carried over.

use std::path::{Path, PathBuf};

use baton_core::ids::TaskId;
use baton_engine::chunks::{Chunk, ChunkLog, TurnId};
use baton_engine::store::StoreError;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::fault::{Fault, Place};
use super::open;
use crate::sound::integer;

/// "Batc": marks the file for SQLite's `application_id`.
const APPLICATION: i64 = 0x4261_7463;
/// The shape of the table.
const SHAPE: i64 = 1;
/// The log is cut to this many bytes when it starts over.
const LOG_BYTES_KEPT: u64 = 4 << 20;

const TABLE: &str = "CREATE TABLE chunk (
    task BLOB NOT NULL CHECK (length(task) = 16),
    attempt INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (task, attempt, start)
) STRICT, WITHOUT ROWID;";

/// The file of pieces beside an embedded store.
pub struct SqliteChunks {
    path: PathBuf,
    connection: Option<Connection>,
}

impl SqliteChunks {
    /// Of the store at this path: `STORE.chunks`. Nothing is opened yet.
    pub fn beside(store: impl AsRef<Path>) -> Self {
        let mut path = store.as_ref().as_os_str().to_owned();
        path.push(".chunks");
        Self { path: path.into(), connection: None }
    }

    /// Pieces; none where nothing was ever kept.
    fn read(
        &mut self,
        which: &'static str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Chunk>, StoreError> {
        if self.connection.is_none() && !self.path.exists() {
            return Ok(Vec::new());
        }
        self.with(|connection| {
            let sql = format!("SELECT task, attempt, start, stream, text FROM chunk {which}");
            let mut rows = connection.prepare_cached(&sql)?;
            let chunk = |row: &rusqlite::Row<'_>| {
                let turn = TurnId { task: TaskId::from_bytes(row.get(0)?), attempt: row.get(1)? };
                Ok(Chunk { turn, offset: row.get(2)?, stream: row.get(3)?, text: row.get(4)? })
            };
            Ok(rows.query_map(parameters, chunk)?.collect::<Result<_, _>>()?)
        })
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let place = Place::of(&self.path);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open::patiently(|| connect(&self.path)).map_err(|e| place.opening(e))?,
        };
        let done = work(&mut connection);
        let spoilt = done.as_ref().is_err_and(Fault::spoils_the_connection);
        self.connection = (!spoilt).then_some(connection);
        done.map_err(|fault| place.of_fault(fault))
    }
}

impl ChunkLog for SqliteChunks {
    fn chunks(&mut self) -> Result<Vec<Chunk>, StoreError> {
        self.read("ORDER BY task, attempt, start", ())
    }

    fn newest(&mut self, turn: TurnId, most: u32) -> Result<Vec<Chunk>, StoreError> {
        let which = "WHERE task = ?1 AND attempt = ?2 ORDER BY start DESC LIMIT ?3";
        let mut newest = self.read(which, (turn.task.as_bytes(), turn.attempt, most))?;
        newest.reverse();
        Ok(newest)
    }

    fn keep(&mut self, over: &[TurnId], more: &[Chunk]) -> Result<(), StoreError> {
        self.with(|connection| {
            let behavior = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let sql = "DELETE FROM chunk WHERE task = ?1 AND attempt = ?2";
            for turn in over {
                let mut delete = transaction.prepare_cached(sql)?;
                delete.execute((turn.task.as_bytes(), turn.attempt))?;
            }
            let sql = "INSERT OR REPLACE INTO chunk (task, attempt, start, stream, text) \
                       VALUES (?1, ?2, ?3, ?4, ?5)";
            for Chunk { stream, turn, offset, text } in more {
                let mut insert = transaction.prepare_cached(sql)?;
                let place = (integer(*offset), integer(*stream));
                let task = turn.task.as_bytes();
                insert.execute((task, turn.attempt, place.0, place.1, text))?;
            }
            Ok(transaction.commit()?)
        })
    }
}

fn connect(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; \
         PRAGMA synchronous = NORMAL; \
         PRAGMA mmap_size = 0; \
         PRAGMA cache_size = -2048; \
         PRAGMA journal_size_limit = {LOG_BYTES_KEPT};"
    ))?;
    make(&mut connection)?;
    Ok(connection)
}

/// Makes the table in a new file; what another version or program made is refused.
fn make(connection: &mut Connection) -> Result<(), Fault> {
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior)?;
    let pragma = |name| transaction.pragma_query_value::<i64, _>(None, name, |row| row.get(0));
    let found = (pragma("application_id")?, pragma("user_version")?);
    if found == (APPLICATION, SHAPE) {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM sqlite_schema";
    if found != (0, 0) || transaction.query_row(sql, [], |row| row.get::<_, i64>(0))? > 0 {
        return Err(Fault::unavailable(
            "the file is another program's or another version's; where it is Baton's, remove it \
             while no baton runs: it holds nothing that lasts",
        ));
    }
    transaction.execute_batch(TABLE)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SHAPE)?;
    Ok(transaction.commit()?)
}
