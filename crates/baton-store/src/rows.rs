//! The columns of each kind of row, in order, and the values that are made of them: once for every
//! store.
//!
//! How a cell is fetched is the store's; here it is only judged whether the declared type can hold
//! what was in it.

use std::fmt::Display;
use std::sync::Arc;

use baton_core::actor::Actor;
use baton_core::body::{BlobHash, Json};
use baton_core::codes::Code;
use baton_core::ids::{ConversationId, Ordinal, ProjectId, TaskId, WorkflowId};
use baton_core::progress::Progress;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_engine::store::{DefinitionRow, FactRow, Head, Record, SnapshotRow, StoreError};

use crate::sound::split_key;

/// The columns of [`head`], in its order.
pub(crate) const HEAD: &str = "position, streams, system_version, system_head, epoch, at";
/// The columns of [`record`], in its order.
pub(crate) const RECORD: &str =
    "position, stream, version, previous, cause, kind, shape, actor, at, body";
/// The columns of [`workflow`], in its order.
pub(crate) const WORKFLOW: &str = "workflow.number, id, conversation, parent, name, version, \
    plan, origin, priority, created_at, workflow.status, run, revision, head, current_stage, \
    completed, total, percentage, method, failed, waiting_people, workflow.started_at, \
    updated_at, workflow.ended_at, project, scripted, workflow.budget";
/// The columns of [`task`], in its order.
pub(crate) const TASK: &str = "key, of, task.status, waits_for, attempts, task.started_at, \
    task.ended_at, items_first, items_count, position";
/// The columns of [`snapshot`], in its order.
pub(crate) const SNAPSHOT: &str = "stream, version, position, shape, bytes";
/// The columns of [`definition`], in its order.
pub(crate) const DEFINITION: &str = "name, version, plan, source, triggers, at";
/// The columns of [`fact`], in its order.
pub(crate) const FACT: &str = "kind, key, value, position, at, expires";

/// The cells of a row, taken one after the other.
pub(crate) trait Cells<'row> {
    /// What goes wrong in this store.
    type Fault: From<StoreError>;

    /// The next cell, an integer of any width.
    fn maybe_integer(&mut self) -> Result<Option<i64>, Self::Fault>;
    /// The next cell, a text.
    fn maybe_text(&mut self) -> Result<Option<&'row str>, Self::Fault>;
    /// The next cell, bytes.
    fn maybe_bytes(&mut self) -> Result<Option<&'row [u8]>, Self::Fault>;

    /// A number that is there.
    fn integer(&mut self) -> Result<i64, Self::Fault> {
        present(self.maybe_integer()?)
    }

    /// A text that is there.
    fn text(&mut self) -> Result<&'row str, Self::Fault> {
        present(self.maybe_text()?)
    }

    /// A number of a type that may hold less than the column.
    fn number<T: TryFrom<i64>>(&mut self) -> Result<T, Self::Fault> {
        narrowed(self.integer()?)
    }

    /// The same, where there may be none.
    fn maybe_number<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, Self::Fault> {
        self.maybe_integer()?.map(narrowed).transpose()
    }

    /// So many bytes.
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Self::Fault> {
        sized(present(self.maybe_bytes()?)?)
    }

    /// A moment.
    fn time(&mut self) -> Result<Timestamp, Self::Fault> {
        self.integer().map(Timestamp::from_millis)
    }

    /// A moment, where there may be none.
    fn maybe_time(&mut self) -> Result<Option<Timestamp>, Self::Fault> {
        Ok(self.maybe_integer()?.map(Timestamp::from_millis))
    }

    /// A word of a vocabulary, by its code.
    fn code<C: Code>(&mut self) -> Result<C, Self::Fault> {
        coded(self.integer()?)
    }

    /// The same, where there may be none.
    fn maybe_code<C: Code>(&mut self) -> Result<Option<C>, Self::Fault> {
        self.maybe_integer()?.map(coded).transpose()
    }
}

/// What stands there cannot be what was written.
pub(crate) fn corrupt<F: From<StoreError>>(detail: impl Display) -> F {
    F::from(StoreError::Corrupt(detail.to_string()))
}

fn present<T, F: From<StoreError>>(value: Option<T>) -> Result<T, F> {
    value.ok_or_else(|| corrupt("a column is empty that never is"))
}

fn narrowed<T: TryFrom<i64>, F: From<StoreError>>(value: i64) -> Result<T, F> {
    T::try_from(value)
        .map_err(|_| corrupt(format!("a column holds {value}, which is out of its range")))
}

fn sized<const N: usize, F: From<StoreError>>(bytes: &[u8]) -> Result<[u8; N], F> {
    bytes.try_into().map_err(|_| corrupt(format!("a column holds {} bytes for {N}", bytes.len())))
}

fn coded<C: Code, F: From<StoreError>>(code: i64) -> Result<C, F> {
    let known = u8::try_from(code).ok().and_then(C::from_code);
    known.ok_or_else(|| {
        corrupt(format!("{code} is not a code of the vocabulary `{}`", C::VOCABULARY))
    })
}

/// The head row, which is always there.
pub(crate) fn head<'row, C: Cells<'row>>(row: Option<C>) -> Result<Head, C::Fault> {
    let mut cells = row.ok_or_else(|| corrupt("its head row is missing"))?;
    Ok(Head {
        position: cells.number()?,
        streams: cells.number()?,
        system_version: cells.number()?,
        system_head: cells.number()?,
        epoch: cells.number()?,
        at: cells.time()?,
    })
}

/// An event.
pub(crate) fn record<'row, C: Cells<'row>>(cells: &mut C) -> Result<Record, C::Fault> {
    Ok(Record {
        position: cells.number()?,
        stream: cells.number()?,
        version: cells.number()?,
        previous: cells.number()?,
        cause: cells.number()?,
        kind: cells.number()?,
        shape: cells.number()?,
        actor: cells.number()?,
        at: cells.time()?,
        body: Arc::from(cells.text()?),
    })
}

/// A workflow.
pub(crate) fn workflow<'row, C: Cells<'row>>(
    cells: &mut C,
) -> Result<(WorkflowCard, WorkflowRow), C::Fault> {
    let mut card = WorkflowCard {
        number: cells.number()?,
        id: WorkflowId::from_bytes(cells.bytes()?),
        conversation: ConversationId::from_bytes(cells.bytes()?),
        parent: cells.maybe_bytes()?.map(sized).transpose()?.map(TaskId::from_bytes),
        // These stand behind the row: they came to the table last.
        project: None,
        scripted: false,
        name: cells.text()?.to_owned(),
        version: cells.number()?,
        plan: BlobHash(cells.bytes()?),
        origin: cells.code()?,
        priority: cells.number()?,
        created_at: cells.time()?,
    };
    let mut row = WorkflowRow {
        number: card.number,
        status: cells.code()?,
        run: cells.number()?,
        revision: cells.number()?,
        head: cells.number()?,
        current_stage: cells.maybe_text()?.map(str::to_owned),
        progress: Progress {
            completed: cells.number()?,
            total: cells.number()?,
            percentage: cells.number()?,
            method: cells.code()?,
        },
        failed: cells.number()?,
        waiting_people: cells.number()?,
        started_at: cells.maybe_time()?,
        updated_at: cells.time()?,
        ended_at: cells.maybe_time()?,
        budget: None,
    };
    card.project = cells.maybe_bytes()?.map(sized).transpose()?.map(ProjectId::from_bytes);
    card.scripted = cells.integer()? != 0;
    let budget = cells.maybe_text()?.map(serde_json::from_str).transpose();
    row.budget = budget.map_err(|fault| corrupt(format!("a workflow's budget: {fault}")))?;
    Ok((card, row))
}

/// What a run used of its budget, as it is kept.
pub(crate) fn budget_text(row: &WorkflowRow) -> Option<String> {
    row.budget.as_ref().map(|budget| serde_json::json!(budget).to_string())
}

/// A task's row.
pub(crate) fn task<'row, C: Cells<'row>>(cells: &mut C) -> Result<TaskRow, C::Fault> {
    let (number, ordinal) = split_key(cells.number()?);
    Ok(TaskRow {
        number,
        ordinal: Ordinal(ordinal),
        of: Ordinal(cells.number()?),
        status: cells.code()?,
        waits_for: cells.maybe_code()?,
        attempts: cells.number()?,
        started_at: cells.maybe_time()?,
        ended_at: cells.maybe_time()?,
        items: {
            let (first, count) = (cells.maybe_number()?, cells.maybe_number()?);
            first.map(Ordinal).zip(count)
        },
        position: cells.number()?,
    })
}

/// A snapshot.
pub(crate) fn snapshot<'row, C: Cells<'row>>(cells: &mut C) -> Result<SnapshotRow, C::Fault> {
    Ok(SnapshotRow {
        number: cells.number()?,
        version: cells.number()?,
        position: cells.number()?,
        shape: cells.number()?,
        bytes: present(cells.maybe_bytes()?)?.into(),
    })
}

/// A definition.
pub(crate) fn definition<'row, C: Cells<'row>>(cells: &mut C) -> Result<DefinitionRow, C::Fault> {
    Ok(DefinitionRow {
        name: cells.text()?.to_owned(),
        version: cells.number()?,
        plan: BlobHash(cells.bytes()?),
        source: cells.maybe_bytes()?.map(sized).transpose()?.map(BlobHash),
        triggers: cells.number()?,
        at: cells.time()?,
    })
}

/// A fact.
pub(crate) fn fact<'row, C: Cells<'row>>(cells: &mut C) -> Result<FactRow, C::Fault> {
    Ok(FactRow {
        kind: cells.code()?,
        key: present(cells.maybe_bytes()?)?.to_vec(),
        value: Json::parse(cells.text()?.to_owned()).map_err(corrupt)?,
        position: cells.number()?,
        at: cells.time()?,
        expires: cells.maybe_time()?,
    })
}

/// An actor: kind and name.
pub(crate) fn actor<'row, C: Cells<'row>>(cells: &mut C) -> Result<Actor, C::Fault> {
    Ok(Actor { kind: cells.code()?, name: cells.text()?.to_owned() })
}
