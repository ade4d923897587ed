//! The readers' side of the embedded store: a connection of its own that cannot write.
//!
//! Answers are what has been committed; several reads of one question see one state.

use std::path::{Path, PathBuf};

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
use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::fault::{Fault, Place};
use super::read::{self, RowCells};
use super::{conversation, migrate, open};
use crate::listing::{Dialect, Value, listing};
use crate::rows::{self, TASK, WORKFLOW};
use crate::sound::integer;
use crate::usage;
use crate::vocabulary::FOR_PEOPLE;

/// A reader's connection to an embedded store.
pub struct SqliteViews {
    path: PathBuf,
    pub(super) connection: Connection,
}

impl SqliteViews {
    /// Opens the store at `path`, which must exist and be of this version, for reading.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let place = Place::of(&path);
        let open = || {
            let connection = open::reader(&path)?;
            migrate::require_current(&connection)?;
            Ok(connection)
        };
        let connection = open::patiently(open).map_err(|fault| place.opening(fault))?;
        Ok(Self { path, connection })
    }

    /// Reads within one snapshot.
    fn read<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let snapshot = |connection: &Connection| {
            let transaction = connection.unchecked_transaction()?;
            let value = work(&transaction)?;
            transaction.finish()?;
            Ok(value)
        };
        snapshot(&self.connection).map_err(|fault| Place::of(&self.path).of_fault(fault))
    }
}

impl Views for SqliteViews {
    fn head(&mut self) -> Result<Head, StoreError> {
        self.read(read::head)
    }

    fn list(&mut self, filter: &Filter) -> Result<Vec<(WorkflowCard, WorkflowRow)>, StoreError> {
        self.read(|connection| {
            let (sql, values) = listing(filter, WORKFLOW, &DIALECT);
            let mut select = connection.prepare_cached(&sql)?;
            let rows = select.query_and_then(params_from_iter(values), |row| {
                rows::workflow(&mut RowCells::of(row))
            })?;
            rows.collect()
        })
    }

    fn workflow(
        &mut self,
        id: WorkflowId,
    ) -> Result<Option<(WorkflowCard, WorkflowRow)>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {WORKFLOW} FROM workflow WHERE id = ?1");
            let mut select = connection.prepare_cached(&sql)?;
            let mut rows = select.query([id.as_bytes()])?;
            rows.next()?.map(|row| rows::workflow(&mut RowCells::of(row))).transpose()
        })
    }

    fn conversations(
        &mut self,
        filter: &ConversationFilter,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        self.read(|connection| conversation::list(connection, filter))
    }

    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError> {
        self.read(|connection| conversation::by_id(connection, id))
    }

    fn conversation_of(&mut self, number: u64) -> Result<Option<ConversationId>, StoreError> {
        self.read(|connection| conversation::id_of(connection, number))
    }

    fn tasks(&mut self, number: u64) -> Result<Vec<TaskRow>, StoreError> {
        self.read(|connection| read::tasks(connection, number))
    }

    fn usage(&mut self, filter: &UsageFilter) -> Result<Vec<(UsageKey, Spending)>, StoreError> {
        self.read(|connection| {
            let (sql, values) = usage::sums(filter, DIALECT.parameter);
            let mut select = connection.prepare_cached(&sql)?;
            let rows = select.query_and_then(params_from_iter(values), |row| {
                usage::sum(filter.by, &mut RowCells::of(row))
            })?;
            rows.collect()
        })
    }

    fn usage_of_tasks(&mut self, number: u64) -> Result<Vec<UsageOfTask>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(&usage::of_tasks(DIALECT.parameter))?;
            let rows = select
                .query_and_then([integer(number)], |row| usage::task(&mut RowCells::of(row)))?;
            rows.collect()
        })
    }

    fn waiting_for_people(
        &mut self,
        limit: u32,
    ) -> Result<Vec<(WorkflowCard, TaskRow)>, StoreError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {WORKFLOW}, {TASK} FROM task JOIN workflow ON workflow.number = key >> 20 \
                 WHERE waits_for IN (?1, ?2, ?3, ?4) ORDER BY position, key LIMIT ?5"
            );
            let mut select = connection.prepare_cached(&sql)?;
            let [one, two, three, four] = FOR_PEOPLE.map(Code::code);
            let rows = select.query_and_then(params![one, two, three, four, limit], |row| {
                let mut cells = RowCells::of(row);
                let (card, _) = rows::workflow(&mut cells)?;
                Ok((card, rows::task(&mut cells)?))
            })?;
            rows.collect()
        })
    }

    fn events(
        &mut self,
        after: u64,
        stream: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Record>, StoreError> {
        self.read(|connection| {
            if let Some(number) = stream {
                let mut records = read::stream(connection, number, after)?;
                records.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                return Ok(records);
            }
            read::events(connection, after, limit)
        })
    }

    fn stream(&mut self, number: u64) -> Result<Vec<Record>, StoreError> {
        self.read(|connection| read::stream(connection, number, 0))
    }

    fn blob(&mut self, hash: BlobHash) -> Result<Option<Blob>, StoreError> {
        self.read(|connection| read::blob(connection, hash))
    }

    fn actor(&mut self, number: u32) -> Result<Option<Actor>, StoreError> {
        self.read(|connection| read::actor(connection, number))
    }

    fn id_of(&mut self, number: u64) -> Result<Option<WorkflowId>, StoreError> {
        self.read(|connection| {
            let mut select =
                connection.prepare_cached("SELECT id FROM workflow WHERE number = ?1")?;
            let id = select.query_row([integer(number)], |row| row.get(0)).optional()?;
            Ok(id.map(WorkflowId::from_bytes))
        })
    }

    fn workflow_of(&mut self, task: TaskId) -> Result<Option<u64>, StoreError> {
        let Some((workflow, _)) = task.split() else {
            return Ok(None);
        };
        self.read(|connection| read::number_of(connection, workflow))
    }

    fn definition(
        &mut self,
        name: &str,
        version: Option<u32>,
    ) -> Result<Option<DefinitionRow>, StoreError> {
        self.read(|connection| read::definition(connection, name, version))
    }

    fn definitions(&mut self) -> Result<Vec<DefinitionRow>, StoreError> {
        self.read(|connection| read::definitions(connection, ""))
    }

    fn fact(&mut self, kind: FactKind, key: &[u8]) -> Result<Option<FactRow>, StoreError> {
        self.read(|connection| read::fact(connection, kind, key))
    }

    fn facts(&mut self, kind: FactKind) -> Result<Vec<FactRow>, StoreError> {
        self.read(|connection| read::facts(connection, kind))
    }
}

pub(super) const DIALECT: Dialect = Dialect { parameter: '?', find: "instr" };

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Integer(value) => value.to_sql(),
            Self::Text(value) => value.to_sql(),
            Self::Bytes(value) => value.to_sql(),
        }
    }
}
