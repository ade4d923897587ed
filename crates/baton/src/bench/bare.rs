//! What the disk can do: one small row a commit, with the store's own durability.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// A table of small rows and nothing else.
pub struct Bare {
    connection: Connection,
}

impl Bare {
    /// A fresh database in `folder`: WAL, `synchronous = FULL`.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(folder.join("bare.db"))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE IF NOT EXISTS row (id INTEGER PRIMARY KEY, text TEXT NOT NULL);",
        )?;
        Ok(Self { connection })
    }

    /// Commits this many rows one by one; how long each took.
    pub fn commits(&mut self, count: usize) -> anyhow::Result<Vec<Duration>> {
        let mut insert = self.connection.prepare_cached("INSERT INTO row (text) VALUES (?1)")?;
        let text = "x".repeat(100);
        let one = |_| {
            let began = Instant::now();
            insert.execute([&text])?;
            Ok(began.elapsed())
        };
        (0..count).map(one).collect()
    }
}
