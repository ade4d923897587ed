//! Brings a schema up to this version, one process at a time.
//!
//! It never takes a step back, and refuses a schema that a newer version wrote.

use std::fmt::Write as _;

use super::fault::Fault;
use super::link::Link;
use super::read::RowCells;
use crate::rows::Cells;
use crate::steps::{self, Numbered, Step};
use crate::vocabulary::{Member, Vocabulary, missing, vocabularies};

/// "Bato": the advisory lock under which stores of this server are brought up.
const LOCK: i64 = 0x4261_746f;

/// The steps, in order; a released one never changes.
static STEPS: [Step; 8] = [
    Step { name: "first", sql: include_str!("migrations/0001_first.sql") },
    Step { name: "snapshot", sql: include_str!("migrations/0002_snapshot.sql") },
    Step { name: "fact", sql: include_str!("migrations/0003_fact.sql") },
    Step { name: "project", sql: include_str!("migrations/0004_project.sql") },
    Step { name: "usage", sql: include_str!("migrations/0005_usage.sql") },
    Step { name: "chunk", sql: include_str!("migrations/0006_chunk.sql") },
    Step { name: "shown", sql: include_str!("migrations/0007_shown.sql") },
    Step { name: "conversation", sql: include_str!("migrations/0008_conversation.sql") },
];

/// What a schema lacks.
struct Lacks {
    steps: Vec<Numbered<'static>>,
    words: Vec<(Vocabulary, Vec<Member>)>,
}

impl Lacks {
    fn nothing(&self) -> bool {
        self.steps.is_empty() && self.words.iter().all(|(_, members)| members.is_empty())
    }
}

/// Brings the schema up to this version.
pub(crate) fn run(link: &mut Link) -> Result<(), Fault> {
    if lacks(link)?.nothing() {
        return Ok(());
    }
    // In a message of its own, and so before the transaction and not in it: only a transaction's
    // start makes a session notice what others did to the catalogue.
    link.batch(&format!("SELECT pg_advisory_lock({LOCK})"))?;
    link.batch("BEGIN")?;
    let schema = link.target().schema.clone();
    let brought_up = bring_up(link, &schema);
    let end = if brought_up.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = link.batch(&format!("{end}; SELECT pg_advisory_unlock({LOCK})"));
    brought_up.and(ended)?;
    // A transaction that had failed answers `COMMIT` with success.
    require_current(link)
}

/// Refuses a schema that is not at this version, without changing it.
pub(crate) fn require_current(link: &mut Link) -> Result<(), Fault> {
    if lacks(link)?.nothing() {
        return Ok(());
    }
    Err(Fault::unavailable(
        "the store was not brought up to this version yet; open it once with a command that \
         works on it, such as `baton run` or `baton resume`",
    ))
}

/// Whether the schema holds a store, of whatever version.
pub(crate) fn is_there(link: &mut Link) -> Result<bool, Fault> {
    exists(link, "migration")
}

fn bring_up(link: &mut Link, schema: &str) -> Result<(), Fault> {
    // Another process may have been faster: what is lacking is asked again, under the lock.
    let lacks = lacks(link)?;
    let mut sql = format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE IF NOT EXISTS migration \
         (number int8 PRIMARY KEY, name text NOT NULL, checksum text NOT NULL);"
    );
    for (Vocabulary { name, .. }, members) in &lacks.words {
        // Writing to a string does not fail. Words are Baton's own: letters, `_`, `-` and `.`.
        let _ = write!(
            sql,
            "CREATE TABLE IF NOT EXISTS {name} (code int2 PRIMARY KEY, word text NOT NULL UNIQUE, \
             terminal bool NOT NULL);"
        );
        for Member { code, word, terminal } in members {
            let _ = write!(sql, "INSERT INTO {name} VALUES ({code}, '{word}', {terminal});");
        }
    }
    for (number, step) in &lacks.steps {
        let Step { name, sql: body } = step;
        let checksum = step.checksum();
        let _ = write!(sql, "{body};");
        let _ = write!(sql, "INSERT INTO migration VALUES ({number}, '{name}', '{checksum}');");
    }
    link.batch(&sql)
}

fn lacks(link: &mut Link) -> Result<Lacks, Fault> {
    let stored = if exists(link, "migration")? {
        let rows = link.once("SELECT number, checksum FROM migration", &[])?;
        let step = |row| {
            let mut cells = RowCells::of(row);
            Ok((cells.take()?, cells.take()?))
        };
        rows.iter().map(step).collect::<Result<Vec<_>, Fault>>()?
    } else {
        Vec::new()
    };
    let version = stored.iter().map(|(number, _)| *number).max().unwrap_or(0);
    let steps = steps::lacking(&STEPS, version, &stored).map_err(Fault::unavailable)?;
    let mut words = Vec::new();
    for vocabulary in vocabularies() {
        let stored = members(link, &vocabulary)?;
        let lacking = missing(&vocabulary, &stored).map_err(Fault::unavailable)?;
        words.push((vocabulary, lacking));
    }
    Ok(Lacks { steps, words })
}

fn members(link: &mut Link, Vocabulary { name, .. }: &Vocabulary) -> Result<Vec<Member>, Fault> {
    if !exists(link, name)? {
        return Ok(Vec::new());
    }
    let rows = link.once(&format!("SELECT code, word, terminal FROM {name}"), &[])?;
    let member = |row| {
        let mut cells = RowCells::of(row);
        Ok(Member { code: cells.number()?, word: cells.take()?, terminal: cells.take()? })
    };
    rows.iter().map(member).collect()
}

fn exists(link: &mut Link, table: &str) -> Result<bool, Fault> {
    let rows = link.once("SELECT to_regclass($1) IS NOT NULL", &[&table])?;
    rows.first().map_or(Ok(false), |row| RowCells::of(row).take())
}
