//! The readers' side of a store on PostgreSQL: a connection of its own that cannot write.
//!
//! A reader that lost its connection asks again for some seconds; it never waits longer than that.

use baton_core::actor::Actor;
use baton_core::agent::Spending;
use baton_core::body::{Blob, BlobHash};
use baton_core::codes::Code;
use baton_core::conversation::rows::ConversationRow;
use baton_core::ids::{ConversationId, TaskId, WorkflowId};
use baton_core::words::FactKind;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{
    ConversationFilter, DefinitionRow, FactRow, Filter, Head, Record, StoreError, UsageFilter,
    UsageKey, UsageOfTask, Views,
};
use tokio_postgres::types::ToSql;

use super::link::{Link, Purpose};
use super::{conversation, migrate, read};
use crate::listing::{Dialect, Value, listing};
use crate::rows::{self, TASK, WORKFLOW};
use crate::sound::integer;
use crate::usage;
use crate::vocabulary::FOR_PEOPLE;

pub(super) const DIALECT: Dialect = Dialect { parameter: '$', find: "strpos" };

/// A reader's connection to a store on PostgreSQL.
pub struct PostgresViews {
    link: Link,
}

impl PostgresViews {
    /// Opens the store at this URL, which must exist and be of this version, for reading.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Link::open(url, Purpose::Read, |mut link| {
            migrate::require_current(&mut link)?;
            Ok(Self { link })
        })
    }

    /// What the tables and indexes of the store take on disk.
    pub fn bytes_on_disk(&mut self) -> Result<u64, StoreError> {
        self.link.with(read::bytes_on_disk)
    }
}

impl Views for PostgresViews {
    fn head(&mut self) -> Result<Head, StoreError> {
        self.link.with(read::head)
    }

    fn list(&mut self, filter: &Filter) -> Result<Vec<(WorkflowCard, WorkflowRow)>, StoreError> {
        self.link.with(|link| {
            let (sql, values) = listing(filter, WORKFLOW, &DIALECT);
            let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(parameter).collect();
            read::all(&link.read(&sql, &parameters)?, rows::workflow)
        })
    }

    fn workflow(
        &mut self,
        id: WorkflowId,
    ) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError> {
        self.link.with(|link| read::workflow_by_id(link, id))
    }

    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        self.link.with(|link| conversation::list(link, filter))
    }

    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError> {
        self.link.with(|link| conversation::by_id(link, id))
    }

    fn conversation_of(&mut self, number: u64) -> Result<Option<ConversationId>, StoreError> {
        self.link.with(|link| conversation::id_of(link, number))
    }

    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError> {
        self.link.with(|link| read::tasks(link, number))
    }

    fn usage(&mut self, filter: &UsageFilter) -> Result<Vec<(UsageKey, Spending)>, StoreError> {
        self.link.with(|link| {
            let (sql, values) = usage::sums(filter, DIALECT.parameter);
            let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(parameter).collect();
            read::all(&link.read(&sql, &parameters)?, |cells| usage::sum(filter.by, cells))
        })
    }

    fn usage_of_tasks(&mut self, number: u64) -> Result<Vec<UsageOfTask>, StoreError> {
        self.link.with(|link| {
            let rows = link.read(&usage::of_tasks(DIALECT.parameter), &[&integer(number)])?;
            read::all(&rows, usage::task)
        })
    }

    fn waiting_for_people(
        &mut self,
        limit: u32,
    ) -> Result<Vec<(WorkflowCard, TaskRow)>, StoreError> {
        self.link.with(|link| {
            let sql = format!(
                "SELECT {WORKFLOW}, {TASK} FROM task JOIN workflow ON workflow.number = key >> 20 \
                 WHERE waits_for = ANY ($1) ORDER BY position, key LIMIT $2"
            );
            let reasons = FOR_PEOPLE.map(|reason| i16::from(reason.code()));
            let rows = link.read(&sql, &[&reasons.as_slice(), &i64::from(limit)])?;
            read::all(&rows, |cells| Ok((rows::workflow(cells)?.0, rows::task(cells)?)))
        })
    }

    fn events(
        &mut self,
        after: u64,
        stream: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.link.with(|link| {
            if let Some(number) = stream {
                let mut records = read::stream(link, number, after)?;
                records.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                return Ok(records);
            }
            read::events(link, after, limit)
        })
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.link.with(|link| read::stream(link, number, 0))
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.link.with(|link| read::blob(link, hash))
    }

    fn actor(&mut self, number: u32) -> Result<Option<Actor>, StoreError> {
        self.link.with(|link| read::actor(link, number))
    }

    fn id_of(&mut self, number: u64) -> Result<Option<WorkflowId>, StoreError> {
        self.link.with(|link| read::id_of(link, number))
    }

    fn workflow_of(&mut self, task: TaskId) -> Result<Option<u64>, StoreError> {
        let Some((workflow, _)) = task.split() else {
            return Ok(None);
        };
        self.link.with(|link| read::number_of(link, workflow))
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        self.link.with(|link| read::definition(link, name, version))
    }

    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.link.with(|link| read::definitions(link, ""))
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        self.link.with(|link| read::fact(link, kind, key))
    }

    fn facts(&mut self, kind: FactKind) -> Result<Vec<FactRow>, StoreError> {
        self.link.with(|link| read::facts(link, kind))
    }
}

pub(super) fn parameter(value: &Value) -> &(dyn ToSql + Sync) {
    match value {
        Value::Integer(value) => value,
        Value::Text(value) => value,
        Value::Bytes(value) => value,
    }
}
