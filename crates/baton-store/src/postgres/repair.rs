//! Mends read models on PostgreSQL in one transaction, fencing off whoever owns the store; and what
//! the server says of itself.
//!
//! What is wrong and what would be right is the caller's finding; the journal is never touched.

use baton_core::codes::Code;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::check::{Mend, Repair};
use baton_engine::store::{DefinitionRow, FactRow, Head, StoreError};

use super::fault::Fault;
use super::link::{Link, Parameters, Purpose};
use super::write::{Columns, NEW_TASK, NEW_USAGE, NEW_WORKFLOW, usage_rows};
use super::{claim, conversation, migrate, read};
use crate::rows::Cells;
use crate::sound::{integer, task_key};

/// One transaction that holds the head row, and with it every commit back.
pub struct PostgresRepair {
    link: Link,
    mends: u64,
}

impl PostgresRepair {
    /// Keeps everybody else from writing to the store at this URL until this is over.
    ///
    /// `Unavailable` where there is no store, and while another process owns it.
    pub fn begin(url: &str) -> Result<Self, StoreError> {
        Link::open(url, Purpose::Repair, |mut link| {
            if !migrate::is_there(&mut link)? {
                return Err(Fault::unavailable("there is no store to mend in this schema"));
            }
            migrate::run(&mut link)?;
            claim::wait(&mut link)?;
            link.batch("BEGIN; SELECT 1 FROM head FOR UPDATE")?;
            Ok(Self { link, mends: 0 })
        })
    }
}

impl Repair for PostgresRepair {
    fn mend(&mut self, mend: &Mend) -> Result<(), StoreError> {
        self.mends += 1;
        self.link.with(|link| carry_out(link, mend))
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let mends = self.mends;
        self.link.with(|link| {
            if mends == 0 {
                return link.batch("ROLLBACK");
            }
            change(link, "UPDATE head SET epoch = epoch + 1", &[])?;
            link.batch("COMMIT")
        })
    }
}

fn carry_out(link: &mut Link, mend: &Mend) -> Result<(), Fault> {
    match mend {
        Mend::Workflow(rows) => {
            let (card, row) = &**rows;
            put_workflow(link, card, row)
        }
        Mend::NoWorkflow(number) => {
            change(link, "DELETE FROM workflow WHERE number = $1", &[&integer(*number)])
        }
        Mend::Task(row) => put_task(link, row),
        Mend::NoTask(number, ordinal) => change(link, DROP_TASK, &[&task_key(*number, ordinal.0)]),
        Mend::Conversation(row) => conversation::rewrite(link, row),
        Mend::NoConversation(number) => {
            change(link, "DELETE FROM conversation WHERE number = $1", &[&integer(*number)])
        }
        Mend::Usage(row) => put_usage(link, row),
        Mend::NoUsage(position) => change(link, DROP_USAGE, &[&integer(*position)]),
        Mend::BlobUses(hash, 0) => {
            change(link, "DELETE FROM blob WHERE hash = $1", &[&hash.0.as_slice()])
        }
        Mend::BlobUses(hash, uses) => {
            let sql = "UPDATE blob SET uses = $2 WHERE hash = $1";
            change(link, sql, &[&hash.0.as_slice(), &integer(*uses)])
        }
        Mend::NoSnapshot(number) => {
            change(link, "DELETE FROM snapshot WHERE stream = $1", &[&integer(*number)])
        }
        Mend::Definition(row) => put_definition(link, row),
        Mend::NoDefinition(name, version) => {
            change(link, DROP_DEFINITION, &[name, &i64::from(*version)])
        }
        Mend::Fact(row) => put_fact(link, row),
        Mend::NoFact(kind, key) => change(link, DROP_FACT, &[&i16::from(kind.code()), key]),
        Mend::Head(head) => put_head(link, head),
    }
}

const DROP_USAGE: &str = "DELETE FROM usage WHERE position = $1";
const DROP_TASK: &str = "DELETE FROM task WHERE key = $1";
const DROP_FACT: &str = "DELETE FROM fact WHERE kind = $1 AND key = $2";
const DROP_DEFINITION: &str =
    "DELETE FROM definition WHERE workspace = 1 AND name = $1 AND version = $2";

fn change(link: &mut Link, sql: &str, parameters: &Parameters<'_>) -> Result<(), Fault> {
    link.once(sql, parameters).map(drop)
}

/// Writes the whole row anew: what never changes of it may be what was damaged.
fn put_workflow(link: &mut Link, card: &WorkflowCard, row: &WorkflowRow) -> Result<(), Fault> {
    let old = "DELETE FROM workflow WHERE number = $1 OR id = $2";
    change(link, old, &[&integer(row.number), &card.id.as_bytes().as_slice()])?;
    change(link, NEW_WORKFLOW, &Columns::of_workflow(card, row).parameters())
}

fn put_task(link: &mut Link, row: &TaskRow) -> Result<(), Fault> {
    change(link, DROP_TASK, &[&task_key(row.number, row.ordinal.0)])?;
    change(link, NEW_TASK, &Columns::of_task(row).parameters())
}

fn put_usage(link: &mut Link, row: &UsageRow) -> Result<(), Fault> {
    change(link, DROP_USAGE, &[&integer(row.position)])?;
    let rows = usage_rows(std::slice::from_ref(row));
    change(link, NEW_USAGE, &[&rows])
}

fn put_definition(link: &mut Link, row: &DefinitionRow) -> Result<(), Fault> {
    let DefinitionRow { name, version, plan, source, triggers, at } = row;
    let version = i64::from(*version);
    change(link, DROP_DEFINITION, &[name, &version])?;
    let source = source.as_ref().map(|hash| hash.0.as_slice());
    let (plan, triggers, at) = (plan.0.as_slice(), i64::from(*triggers), at.as_millis());
    let sql = "INSERT INTO definition (name, version, plan, source, triggers, at) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    change(link, sql, &[name, &version, &plan, &source, &triggers, &at])
}

fn put_fact(link: &mut Link, row: &FactRow) -> Result<(), Fault> {
    let FactRow { kind, key, value, position, at, expires } = row;
    let kind = i16::from(kind.code());
    change(link, DROP_FACT, &[&kind, key])?;
    let (position, at) = (integer(*position), at.as_millis());
    let expires = expires.map(Timestamp::as_millis);
    let sql = "INSERT INTO fact (kind, key, value, position, at, expires) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    change(link, sql, &[&kind, key, &value.as_str(), &position, &at, &expires])
}

fn put_head(link: &mut Link, head: &Head) -> Result<(), Fault> {
    let sql = "UPDATE head SET position = $1, streams = $2, system_version = $3, \
               system_head = $4, at = $5";
    let numbers = [head.position, head.streams, head.system_version, head.system_head];
    let [position, streams, version, newest] = numbers.map(integer);
    change(link, sql, &[&position, &streams, &version, &newest, &head.at.as_millis()])
}

/// What the server says of itself and of the store in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The server's version, as it writes it.
    pub version: String,
    /// Settings without which a commit may be lost or torn, that are off.
    pub unsafe_settings: Vec<String>,
    /// Whether a process owns the store now.
    pub is_owned: bool,
    /// What the store's tables and indexes take on disk.
    pub bytes: u64,
}

/// Looks the store at this URL over and brings it up to this version; `None` where there is none.
pub fn inspect(url: &str) -> Result<Option<Inspection>, StoreError> {
    Link::open(url, Purpose::Write, |mut link| {
        if !migrate::is_there(&mut link)? {
            return Ok(None);
        }
        migrate::run(&mut link)?;
        let version = link.read("SELECT current_setting('server_version')", &[])?;
        let off = "SELECT name FROM pg_settings \
                   WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name";
        let off = link.read(off, &[])?;
        Ok(Some(Inspection {
            version: read::first(&version, |cells| Ok(cells.text()?.to_owned()))?
                .unwrap_or_default(),
            unsafe_settings: read::all(&off, |cells| Ok(cells.text()?.to_owned()))?,
            is_owned: claim::is_held(&mut link)?,
            bytes: read::bytes_on_disk(&mut link)?,
        }))
    })
}

/// Removes the schema of this URL with everything in it.
pub fn remove(url: &str) -> Result<(), StoreError> {
    Link::open(url, Purpose::Repair, |mut link| {
        let schema = link.target().schema.clone();
        link.batch(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))
    })
}
