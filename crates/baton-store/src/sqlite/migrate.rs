//! Brings a file up to this version: vocabularies first, then numbered steps, all or nothing.
//!
//! It never takes a step back, and refuses a file that a newer version wrote.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::fault::Fault;
use crate::steps::{self, Numbered, Step};
use crate::vocabulary::{Member, Vocabulary, missing, vocabularies};

/// "Bato": marks the file as a Baton store for SQLite's `application_id`.
const APPLICATION: i64 = 0x4261_746f;

/// The steps, in order; a released one never changes.
static STEPS: [Step; 7] = [
    Step { name: "first", sql: include_str!("migrations/0001_first.sql") },
    Step { name: "snapshot", sql: include_str!("migrations/0002_snapshot.sql") },
    Step { name: "fact", sql: include_str!("migrations/0003_fact.sql") },
    Step { name: "project", sql: include_str!("migrations/0004_project.sql") },
    Step { name: "usage", sql: include_str!("migrations/0005_usage.sql") },
    Step { name: "shown", sql: include_str!("migrations/0006_shown.sql") },
    Step { name: "conversation", sql: include_str!("migrations/0007_conversation.sql") },
];

/// Brings the file up to this version.
pub(crate) fn run(connection: &mut Connection) -> Result<(), Fault> {
    let behavior = TransactionBehavior::Deferred;
    let read = Transaction::new_unchecked(connection, behavior)?;
    let done = is_current(&read)?;
    read.finish()?;
    if done {
        return Ok(());
    }
    let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    if !is_current(&write)? {
        bring_up(&write)?;
    }
    write.commit()?;
    Ok(())
}

/// Refuses a file that is not at this version, without changing it.
pub(crate) fn require_current(connection: &Connection) -> Result<(), Fault> {
    if is_current(connection)? {
        return Ok(());
    }
    Err(Fault::unavailable(
        "the store was not brought up to this version yet; open it once with a command that \
         works on it, such as `baton run` or `baton resume`",
    ))
}

/// Whether nothing is to be done; refuses what is not ours or newer than us.
fn is_current(connection: &Connection) -> Result<bool, Fault> {
    let version = pragma(connection, "user_version")?;
    if version == 0 {
        return refuse_strangers(connection).map(|()| false);
    }
    if pragma(connection, "application_id")? != APPLICATION {
        return Err(Fault::unavailable(
            "the file is a database of another program; name another path",
        ));
    }
    if !steps_to_take(connection)?.is_empty() {
        return Ok(false);
    }
    for vocabulary in vocabularies() {
        if !lacking(connection, &vocabulary)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn refuse_strangers(connection: &Connection) -> Result<(), Fault> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(());
    }
    Err(Fault::unavailable("the file is a database of another program; name another path"))
}

/// The steps that the file has not gone through.
fn steps_to_take(connection: &Connection) -> Result<Vec<Numbered<'static>>, Fault> {
    let mut stored = connection.prepare("SELECT number, checksum FROM migration")?;
    let stored = stored.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let stored = stored.collect::<Result<Vec<(i64, String)>, _>>()?;
    steps::lacking(&STEPS, pragma(connection, "user_version")?, &stored).map_err(Fault::unavailable)
}

fn bring_up(transaction: &Transaction<'_>) -> Result<(), Fault> {
    for vocabulary in vocabularies() {
        fill(transaction, &vocabulary)?;
    }
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration \
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT;",
    )?;
    for (number, step) in steps_to_take(transaction)? {
        transaction.execute_batch(step.sql)?;
        transaction.execute(
            "INSERT INTO migration (number, name, checksum) VALUES (?1, ?2, ?3)",
            (number, step.name, step.checksum()),
        )?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    Ok(())
}

/// Makes a vocabulary's table and adds the members it lacks.
fn fill(transaction: &Transaction<'_>, vocabulary: &Vocabulary) -> Result<(), Fault> {
    let name = vocabulary.name;
    transaction.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {name} (code INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE, \
         terminal INTEGER NOT NULL) STRICT;"
    ))?;
    let lacking = lacking(transaction, vocabulary)?;
    let mut insert = transaction
        .prepare(&format!("INSERT INTO {name} (code, word, terminal) VALUES (?1, ?2, ?3)"))?;
    for member in lacking {
        insert.execute((member.code, member.word, member.terminal))?;
    }
    Ok(())
}

fn lacking(connection: &Connection, vocabulary: &Vocabulary) -> Result<Vec<Member>, Fault> {
    let name = vocabulary.name;
    let mut stored = connection.prepare(&format!("SELECT code, word, terminal FROM {name}"))?;
    let member = |row: &rusqlite::Row<'_>| {
        Ok(Member { code: row.get(0)?, word: row.get(1)?, terminal: row.get(2)? })
    };
    let stored = stored.query_map([], member)?.collect::<Result<Vec<_>, _>>()?;
    missing(vocabulary, &stored).map_err(Fault::unavailable)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}
