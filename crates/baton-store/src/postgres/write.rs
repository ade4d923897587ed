//! Turns a commit into the parameters of its one statement.
//!
//! The statement is `commit.sql`; the columns here stand in the order of its parameters.

use std::collections::{BTreeMap, BTreeSet};

use baton_core::actor::Actor;
use baton_core::agent::Usage;
use baton_core::body::BlobHash;
use baton_core::codes::Code;
use baton_core::time::Timestamp;
use baton_core::workflow::rows::{TaskRow, WorkflowCard, WorkflowRow};
use baton_core::workflow::usage::UsageRow;
use baton_engine::store::{
    Commit, DefinitionRow, FactRow, Record, Replanned, SnapshotRow, StoreError,
};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

use super::conversation;
use crate::rows::budget_text;
use crate::sound::{integer, rowless, task_key};

/// The one statement of a commit.
pub(crate) const COMMIT: &str = include_str!("commit.sql");

/// Writes a workflow's row anew, as `commit.sql` does.
pub(crate) const NEW_WORKFLOW: &str = "INSERT INTO workflow (number, id, conversation, parent, \
    name, version, plan, origin, priority, created_at, status, run, revision, head, \
    current_stage, completed, total, percentage, method, failed, waiting_people, started_at, \
    updated_at, ended_at, project, scripted, budget) SELECT * FROM unnest($1::int8[], $2::bytea[], $3::bytea[], $4::bytea[], \
    $5::text[], $6::int8[], $7::bytea[], $8::int2[], $9::int2[], $10::int8[], $11::int2[], \
    $12::int8[], $13::int8[], $14::int8[], $15::text[], $16::int8[], $17::int8[], $18::int2[], \
    $19::int2[], $20::int8[], $21::int8[], $22::int8[], $23::int8[], $24::int8[], \
    $25::bytea[], $26::int2[], $27::text[])";
/// Writes a task's row, which is removed before, as `commit.sql` does.
pub(crate) const NEW_TASK: &str = "INSERT INTO task (key, of, status, waits_for, attempts, \
    started_at, ended_at, items_first, items_count, position) SELECT * FROM unnest($1::int8[], \
    $2::int8[], $3::int2[], $4::int2[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], \
    $9::int8[], $10::int8[])";

/// Writes rows of the books as `commit.sql` does.
pub(crate) const NEW_USAGE: &str = "INSERT INTO usage (position, number, ordinal, of, task, \
    attempt, agent, model, started_by, conversation, at, day, billing, input_tokens, \
    cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost, reserved_tokens, \
    reserved_cost) SELECT position, number, ordinal, of, task, attempt, agent, model, started_by, \
    decode(conversation, 'hex'), at, day, billing, input_tokens, cached_tokens, \
    cache_write_tokens, output_tokens, reasoning_tokens, cost, reserved_tokens, reserved_cost \
    FROM jsonb_to_recordset($1::text::jsonb) AS u (position int8, number int8, ordinal int8, \
    of int8, task text, attempt int8, agent text, model text, started_by text, conversation text, \
    at int8, day int8, billing int2, input_tokens int8, cached_tokens int8, \
    cache_write_tokens int8, output_tokens int8, reasoning_tokens int8, cost int8, \
    reserved_tokens int8, reserved_cost int8)";

/// Rows of the books as one JSON text: most commits have none, and then it costs the statement one
/// empty parameter instead of twenty.
pub(crate) fn usage_rows(rows: &[UsageRow]) -> Option<String> {
    let row = |row: &UsageRow| {
        let conversation = u128::from_be_bytes(*row.conversation.as_bytes());
        let tokens = |of: fn(&Usage) -> u64| row.used.as_ref().map(of).map(integer);
        json!({
            "position": integer(row.position),
            "number": integer(row.number),
            "ordinal": row.ordinal.0,
            "of": row.of.0,
            "task": row.task,
            "attempt": row.attempt,
            "agent": row.agent,
            "model": row.model,
            "started_by": row.user,
            "conversation": format!("{conversation:032x}"),
            "at": row.at.as_millis(),
            "day": row.day(),
            "billing": row.billing.code(),
            "input_tokens": tokens(|used| used.input_tokens),
            "cached_tokens": tokens(|used| used.cached_tokens),
            "cache_write_tokens": tokens(|used| used.cache_write_tokens),
            "output_tokens": tokens(|used| used.output_tokens),
            "reasoning_tokens": tokens(|used| used.reasoning_tokens),
            "cost": row.cost.map(|cost| integer(cost.as_pico())),
            "reserved_tokens": row.reserved_tokens.map(integer),
            "reserved_cost": row.reserved_cost.map(|cost| integer(cost.as_pico())),
        })
    };
    let rows: Vec<Value> = rows.iter().map(row).collect();
    (!rows.is_empty()).then(|| Value::from(rows).to_string())
}

/// Parameters in order, arrays one value a row.
#[derive(Default)]
pub(crate) struct Columns<'a>(Vec<Box<dyn ToSql + Sync + 'a>>);

impl<'a> Columns<'a> {
    /// All parameters of a commit.
    pub fn of(commit: &'a Commit) -> Result<Self, StoreError> {
        let new: BTreeMap<u64, &WorkflowCard> =
            commit.cards.iter().map(|card| (card.number, card)).collect();
        let numbers: BTreeSet<u64> = commit.workflows.iter().map(|row| row.number).collect();
        if let Some(number) = new.keys().find(|number| !numbers.contains(number)) {
            return Err(rowless(*number));
        }
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for row in &commit.workflows {
            match new.get(&row.number) {
                Some(card) => added.push((*card, row)),
                None => changed.push(row),
            }
        }
        let mut columns = Self::default();
        columns.fence(commit);
        columns.actors(&commit.actors);
        columns.definitions(&commit.definitions);
        columns.blobs(commit);
        columns.records(&commit.records);
        columns.cards(&added);
        columns.rows(&added.iter().map(|(_, row)| *row).collect::<Vec<_>>());
        columns.column(&changed, |row| integer(row.number));
        columns.rows(&changed);
        columns.tasks(&commit.tasks);
        columns.column(&commit.purged, |number| integer(*number));
        columns.snapshots(&commit.snapshots);
        columns.column(&commit.outlived, |number| integer(*number));
        columns.kept_apart(commit);
        columns.projects(&added);
        columns.0.push(Box::new(usage_rows(&commit.usage)));
        columns.scripted(&added);
        columns.budgets(&added.iter().map(|(_, row)| *row).collect::<Vec<_>>());
        columns.budgets(&changed);
        columns.0.push(Box::new(conversation::as_text(&commit.conversations)?));
        columns.replanned(&changed, &commit.replanned);
        Ok(columns)
    }

    /// A workflow's row with all it holds, in the order of [`NEW_WORKFLOW`].
    pub fn of_workflow(card: &'a WorkflowCard, row: &'a WorkflowRow) -> Self {
        let mut columns = Self::default();
        columns.cards(&[(card, row)]);
        columns.rows(&[row]);
        columns.projects(&[(card, row)]);
        columns.scripted(&[(card, row)]);
        columns.budgets(&[row]);
        columns
    }

    /// A task's row, in the order of [`NEW_TASK`].
    pub fn of_task(row: &TaskRow) -> Self {
        let mut columns = Self::default();
        columns.tasks(std::slice::from_ref(row));
        columns
    }

    /// As the driver wants them.
    pub fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|column| &**column).collect()
    }

    fn value(&mut self, value: i64) {
        self.0.push(Box::new(value));
    }

    fn column<R, T>(&mut self, rows: &[R], cell: impl Fn(&R) -> T)
    where
        T: ToSql + Sync + 'a,
    {
        self.0.push(Box::new(rows.iter().map(cell).collect::<Vec<T>>()));
    }

    fn fence(&mut self, Commit { after, head, .. }: &Commit) {
        self.value(integer(head.position));
        self.value(integer(head.streams));
        self.value(integer(head.system_version));
        self.value(integer(head.system_head));
        self.value(head.at.as_millis());
        self.value(integer(after.epoch));
        self.value(integer(after.position));
    }

    fn actors(&mut self, actors: &'a [(u32, Actor)]) {
        let actors: Vec<&'a (u32, Actor)> = actors.iter().collect();
        self.column(&actors, |(number, _)| i64::from(*number));
        self.column(&actors, |(_, actor)| i16::from(actor.kind.code()));
        self.column(&actors, |(_, actor)| actor.name.as_str());
    }

    fn definitions(&mut self, rows: &'a [DefinitionRow]) {
        let rows: Vec<&'a DefinitionRow> = rows.iter().collect();
        self.column(&rows, |row| row.name.as_str());
        self.column(&rows, |row| i64::from(row.version));
        self.column(&rows, |row| row.plan.0.as_slice());
        self.column(&rows, |row| row.at.as_millis());
    }

    /// One row a blob: what it gains less what it loses.
    fn blobs(&mut self, commit: &'a Commit) {
        let mut changes: BTreeMap<&'a BlobHash, BlobChange<'a>> = BTreeMap::new();
        for used in &commit.blobs {
            let change = changes.entry(&used.hash).or_default();
            change.more += i64::from(used.more);
            change.packed = change.packed.or(used.blob.as_ref().map(|blob| &*blob.packed));
        }
        for (hash, fewer) in &commit.released {
            let change = changes.entry(hash).or_default();
            change.more -= i64::from(*fewer);
            change.ends = true;
        }
        let changes: Vec<_> = changes.into_iter().collect();
        self.column(&changes, |(hash, _)| hash.0.as_slice());
        self.column(&changes, |(_, change)| change.more);
        self.column(&changes, |(_, change)| change.ends);
        self.column(&changes, |(_, change)| change.packed);
    }

    fn records(&mut self, records: &'a [Record]) {
        let records: Vec<&'a Record> = records.iter().collect();
        self.column(&records, |record| integer(record.position));
        self.column(&records, |record| integer(record.stream));
        self.column(&records, |record| integer(record.version));
        self.column(&records, |record| integer(record.previous));
        self.column(&records, |record| integer(record.cause));
        self.column(&records, |record| i16::from(record.kind));
        self.column(&records, |record| i16::from(record.shape));
        self.column(&records, |record| i64::from(record.actor));
        self.column(&records, |record| record.at.as_millis());
        self.column(&records, |record| &*record.body);
    }

    fn cards(&mut self, rows: &[(&'a WorkflowCard, &'a WorkflowRow)]) {
        self.column(rows, |(card, _)| integer(card.number));
        self.column(rows, |(card, _)| card.id.as_bytes().as_slice());
        self.column(rows, |(card, _)| card.conversation.as_bytes().as_slice());
        self.column(rows, |(card, _)| card.parent.as_ref().map(|task| task.as_bytes().as_slice()));
        self.column(rows, |(card, _)| card.name.as_str());
        self.column(rows, |(card, _)| i64::from(card.version));
        self.column(rows, |(card, _)| card.plan.0.as_slice());
        self.column(rows, |(card, _)| i16::from(card.origin.code()));
        self.column(rows, |(card, _)| i16::from(card.priority));
        self.column(rows, |(card, _)| card.created_at.as_millis());
    }

    fn rows(&mut self, rows: &[&'a WorkflowRow]) {
        self.column(rows, |row| i16::from(row.status.code()));
        self.column(rows, |row| i64::from(row.run));
        self.column(rows, |row| integer(row.revision));
        self.column(rows, |row| integer(row.head));
        self.column(rows, |row| row.current_stage.as_deref());
        self.column(rows, |row| i64::from(row.progress.completed));
        self.column(rows, |row| i64::from(row.progress.total));
        self.column(rows, |row| i16::from(row.progress.percentage));
        self.column(rows, |row| i16::from(row.progress.method.code()));
        self.column(rows, |row| i64::from(row.failed));
        self.column(rows, |row| i64::from(row.waiting_people));
        self.column(rows, |row| row.started_at.map(Timestamp::as_millis));
        self.column(rows, |row| row.updated_at.as_millis());
        self.column(rows, |row| row.ended_at.map(Timestamp::as_millis));
    }

    fn snapshots(&mut self, rows: &'a [SnapshotRow]) {
        let rows: Vec<&'a SnapshotRow> = rows.iter().collect();
        self.column(&rows, |row| integer(row.number));
        self.column(&rows, |row| integer(row.version));
        self.column(&rows, |row| integer(row.position));
        self.column(&rows, |row| i16::from(row.shape));
        self.column(&rows, |row| &*row.bytes);
    }

    /// What came to the statement last, so that the numbers before it stay: facts, and what
    /// definitions hold beside their plans.
    fn kept_apart(&mut self, commit: &'a Commit) {
        let facts: Vec<&'a FactRow> = commit.facts.iter().collect();
        self.column(&facts, |fact| i16::from(fact.kind.code()));
        self.column(&facts, |fact| fact.key.as_slice());
        self.column(&facts, |fact| fact.value.as_str());
        self.column(&facts, |fact| integer(fact.position));
        self.column(&facts, |fact| fact.at.as_millis());
        self.column(&facts, |fact| fact.expires.map(Timestamp::as_millis));
        let rows: Vec<&'a DefinitionRow> = commit.definitions.iter().collect();
        self.column(&rows, |row| row.source.as_ref().map(|hash| hash.0.as_slice()));
        self.column(&rows, |row| i64::from(row.triggers));
        let names: Vec<&'a String> = commit.undefined.iter().collect();
        self.column(&names, |name| name.as_str());
    }

    /// The last columns of new workflows: this, [`Self::scripted`] and [`Self::budgets`].
    fn projects(&mut self, rows: &[(&'a WorkflowCard, &'a WorkflowRow)]) {
        self.column(rows, |(card, _)| card.project.as_ref().map(|it| it.as_bytes().as_slice()));
    }

    fn scripted(&mut self, rows: &[(&'a WorkflowCard, &'a WorkflowRow)]) {
        self.column(rows, |(card, _)| i16::from(card.scripted));
    }

    /// The plans of changed workflows whose plan was replaced; null for all others.
    fn replanned(&mut self, changed: &[&'a WorkflowRow], replanned: &'a [Replanned]) {
        let of = |row: &&WorkflowRow| replanned.iter().find(|other| other.number == row.number);
        self.column(changed, |row| of(row).map(|other| other.plan.0.as_slice()));
        self.column(changed, |row| of(row).map(|other| i16::from(other.scripted)));
    }

    fn budgets(&mut self, rows: &[&'a WorkflowRow]) {
        self.column(rows, |row| budget_text(row));
    }

    fn tasks(&mut self, rows: &[TaskRow]) {
        self.column(rows, |row| task_key(row.number, row.ordinal.0));
        self.column(rows, |row| i64::from(row.of.0));
        self.column(rows, |row| i16::from(row.status.code()));
        self.column(rows, |row| row.waits_for.map(|on| i16::from(on.code())));
        self.column(rows, |row| i64::from(row.attempts));
        self.column(rows, |row| row.started_at.map(Timestamp::as_millis));
        self.column(rows, |row| row.ended_at.map(Timestamp::as_millis));
        self.column(rows, |row| row.items.map(|(first, _)| i64::from(first.0)));
        self.column(rows, |row| row.items.map(|(_, count)| i64::from(count)));
        self.column(rows, |row| integer(row.position));
    }
}

#[derive(Default)]
struct BlobChange<'a> {
    more: i64,
    ends: bool,
    packed: Option<&'a [u8]>,
}
