//! Brings a file up to this version: vocabularies first, then numbered steps, all or nothing.
//!
//! It never takes a step back, and refuses a file that a newer version wrote.

use baton_core::body::BlobHash;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::fault::Fault;
use crate::vocabulary::{Member, Vocabulary, missing, vocabularies};

/// "Bato": marks the file as a Baton store for SQLite's `application_id`.
const APPLICATION: i64 = 0x4261_746f;

/// The steps, in order; a released one never changes.
const STEPS: [(&str, &str); 1] = [("first", include_str!("migrations/0001_first.sql"))];

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
    let newest = STEPS.len();
    if usize::try_from(version).map_or(true, |version| version > newest) {
        return Err(Fault::unavailable(format!(
            "the store has version {version} and this Baton knows versions up to {newest}; \
             use the newer Baton that wrote it"
        )));
    }
    check_steps(connection)?;
    if usize::try_from(version) != Ok(newest) {
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
    Err(Fault::unavailable(
        "the file is a database of another program; name another path",
    ))
}

/// Compares the steps the file went through with ours.
fn check_steps(connection: &Connection) -> Result<(), Fault> {
    let mut stored = connection.prepare("SELECT number, checksum FROM migration")?;
    let mut rows = stored.query([])?;
    while let Some(row) = rows.next()? {
        let (number, checksum): (usize, String) = (row.get(0)?, row.get(1)?);
        let ours = number.checked_sub(1).and_then(|at| STEPS.get(at));
        if ours.is_none_or(|(_, sql)| checksum_of(sql) != checksum) {
            return Err(Fault::unavailable(format!(
                "step {number} of the store's version is not the one this Baton knows; \
                 use the Baton that wrote it"
            )));
        }
    }
    Ok(())
}

fn bring_up(transaction: &Transaction<'_>) -> Result<(), Fault> {
    for vocabulary in vocabularies() {
        fill(transaction, &vocabulary)?;
    }
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration \
         (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT;",
    )?;
    let version = pragma(transaction, "user_version")?;
    for (number, (name, sql)) in (1_i64..).zip(STEPS).filter(|(number, _)| *number > version) {
        transaction.execute_batch(sql)?;
        transaction.execute(
            "INSERT INTO migration (number, name, checksum) VALUES (?1, ?2, ?3)",
            (number, name, checksum_of(sql)),
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
    let mut insert = transaction.prepare(&format!(
        "INSERT INTO {name} (code, word, terminal) VALUES (?1, ?2, ?3)"
    ))?;
    for member in lacking {
        insert.execute((member.code, member.word, member.terminal))?;
    }
    Ok(())
}

fn lacking(connection: &Connection, vocabulary: &Vocabulary) -> Result<Vec<Member>, Fault> {
    let name = vocabulary.name;
    let mut stored = connection.prepare(&format!("SELECT code, word, terminal FROM {name}"))?;
    let member = |row: &rusqlite::Row<'_>| {
        Ok(Member {
            code: row.get(0)?,
            word: row.get(1)?,
            terminal: row.get(2)?,
        })
    };
    let stored = stored
        .query_map([], member)?
        .collect::<Result<Vec<_>, _>>()?;
    missing(vocabulary, &stored).map_err(Fault::unavailable)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, name, |row| row.get(0))?)
}

fn checksum_of(sql: &str) -> String {
    BlobHash::of(sql.as_bytes()).to_string()
}
