//! The text of running turns on PostgreSQL: an unlogged table, written by a connection of its own
//! and so never in the way of a commit.
//!
//! Nothing fences it: an owner that was cut off may leave pieces behind. Nobody shows them, as their
//! turns do not run, and the next owner drops them.

use baton_core::ids::TaskId;
use baton_engine::chunks::{Chunk, ChunkLog, TurnId};
use baton_engine::store::StoreError;

use super::fault::Fault;
use super::link::{Link, Purpose};
use super::read::{self, RowCells};
use crate::rows::Cells;
use crate::sound::integer;

/// Forgets the turns of the first two columns and keeps the pieces of the others. Text is bytes: a
/// model may say a character that a `text` cannot hold (U+0000).
const KEEP: &str = "WITH over AS (
        DELETE FROM chunk USING unnest($1::bytea[], $2::int8[]) AS over (task, attempt)
        WHERE chunk.task = over.task AND chunk.attempt = over.attempt
    ) INSERT INTO chunk (task, attempt, start, stream, text)
    SELECT * FROM unnest($3::bytea[], $4::int8[], $5::int8[], $6::int8[], $7::bytea[])
    ON CONFLICT (task, attempt, start) DO UPDATE SET text = excluded.text";

/// The pieces in a store on PostgreSQL.
pub struct PostgresChunks {
    url: String,
    /// There from the first use on.
    link: Option<Link>,
}

impl PostgresChunks {
    /// Of the store at this URL. Nothing is opened yet.
    pub fn of(url: &str) -> Self {
        Self { url: url.to_owned(), link: None }
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Link) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.url, Purpose::Write, Ok)?,
        };
        self.link.insert(link).with(work)
    }
}

impl ChunkLog for PostgresChunks {
    fn chunks(&mut self) -> Result<Vec<Chunk>, StoreError> {
        self.with(|link| {
            let sql = "SELECT task, attempt, start, stream, text FROM chunk \
                       ORDER BY task, attempt, start";
            read::all(&link.read(sql, &[])?, chunk)
        })
    }

    fn newest(&mut self, turn: TurnId, most: u32) -> Result<Vec<Chunk>, StoreError> {
        self.with(|link| {
            let sql = "SELECT task, attempt, start, stream, text FROM chunk \
                       WHERE task = $1 AND attempt = $2 ORDER BY start DESC LIMIT $3";
            let task = turn.task.as_bytes().as_slice();
            let (attempt, most) = (i64::from(turn.attempt), i64::from(most));
            let mut newest = read::all(&link.read(sql, &[&task, &attempt, &most])?, chunk)?;
            newest.reverse();
            Ok(newest)
        })
    }

    fn keep(&mut self, over: &[TurnId], more: &[Chunk]) -> Result<(), StoreError> {
        let attempt = |turn: &TurnId| i64::from(turn.attempt);
        let over_tasks: Vec<&[u8]> = over.iter().map(|turn| &turn.task.as_bytes()[..]).collect();
        let over_attempts: Vec<i64> = over.iter().map(attempt).collect();
        let tasks: Vec<&[u8]> = more.iter().map(|chunk| &chunk.turn.task.as_bytes()[..]).collect();
        let attempts: Vec<i64> = more.iter().map(|chunk| attempt(&chunk.turn)).collect();
        let starts: Vec<i64> = more.iter().map(|chunk| integer(chunk.offset)).collect();
        let streams: Vec<i64> = more.iter().map(|chunk| integer(chunk.stream)).collect();
        let texts: Vec<&[u8]> = more.iter().map(|chunk| chunk.text.as_bytes()).collect();
        self.with(|link| {
            link.once(
                KEEP,
                &[&over_tasks, &over_attempts, &tasks, &attempts, &starts, &streams, &texts],
            )?;
            Ok(())
        })
    }
}

fn chunk(cells: &mut RowCells<'_>) -> Result<Chunk, Fault> {
    let task: &[u8] = cells.take()?;
    let task = task.try_into().map_err(|_| Fault::corrupt("a task's id has not 16 bytes"))?;
    let turn = TurnId { task: TaskId::from_bytes(task), attempt: cells.number()? };
    let (offset, stream) = (cells.number()?, cells.number()?);
    let text = std::str::from_utf8(cells.take()?).map_err(Fault::corrupt)?.to_owned();
    Ok(Chunk { stream, turn, offset, text })
}
