//! The tombstones of workflows that were purged together, written by columns.
//!
//! Neighbours are alike, so a column holds differences, and ids stand digit by digit: under the
//! compression that every large body gets, a tombstone then costs a few tens of bytes. Which event
//! carries them, and what a rebuild makes of them, is not said here.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rows::{Tombstone, WorkflowCard, WorkflowRow};
use crate::body::BlobHash;
use crate::ids::{ConversationId, ProjectId, TaskId, WorkflowId};
use crate::progress::Progress;
use crate::time::Timestamp;
use crate::words::{Origin, ProgressMethod, WorkflowStatus};

/// How many digits an id has.
const DIGITS: u32 = 32;

/// What stays of workflows that were purged together: all but what they used of their budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Columns", try_from = "Columns")]
pub struct Tombstones(pub Vec<Tombstone>);

/// Columns that do not tell of the same number of workflows, or are no ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misaligned;

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the columns of the tombstones do not fit together")
    }
}

impl std::error::Error for Misaligned {}

/// A list for each field. Times are milliseconds: `created_at` after the workflow before,
/// `started_at` and `ended_at` after `created_at`, `updated_at` after `ended_at`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Columns {
    number: Vec<i64>,
    head: Vec<i64>,
    created_at: Vec<i64>,
    started_at: Vec<Option<i64>>,
    ended_at: Vec<Option<i64>>,
    updated_at: Vec<i64>,
    id: String,
    conversation: String,
    parent: Vec<Option<TaskId>>,
    /// Empty where none has one, as before projects existed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    project: Vec<Option<ProjectId>>,
    name: Vec<String>,
    version: Vec<u32>,
    plan: Vec<BlobHash>,
    origin: Vec<Origin>,
    priority: Vec<u8>,
    /// Empty where none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scripted: Vec<bool>,
    status: Vec<WorkflowStatus>,
    run: Vec<u32>,
    revision: Vec<u64>,
    current_stage: Vec<Option<String>>,
    completed: Vec<u32>,
    total: Vec<u32>,
    percentage: Vec<u8>,
    method: Vec<ProgressMethod>,
    failed: Vec<u32>,
    waiting_people: Vec<u32>,
}

impl From<Tombstones> for Columns {
    fn from(Tombstones(tombstones): Tombstones) -> Self {
        let mut columns = Self::default();
        let (mut ids, mut conversations) = (Vec::new(), Vec::new());
        let mut last = Last::default();
        for Tombstone { card, row, .. } in tombstones {
            ids.push(u128::from_be_bytes(*card.id.as_bytes()));
            conversations.push(u128::from_be_bytes(*card.conversation.as_bytes()));
            columns.number.push(last.number.step_to(card.number));
            columns.head.push(last.head.step_to(row.head));
            let created = card.created_at.as_millis();
            let after = |at: Option<Timestamp>| at.map(|at| at.as_millis().wrapping_sub(created));
            columns.started_at.push(after(row.started_at));
            columns.ended_at.push(after(row.ended_at));
            let ended = row.ended_at.unwrap_or(card.created_at).as_millis();
            columns.updated_at.push(row.updated_at.as_millis().wrapping_sub(ended));
            columns.created_at.push(last.created.step_to(created.cast_unsigned()));
            columns.push_card(card);
            columns.push_row(row);
        }
        if columns.project.iter().all(Option::is_none) {
            columns.project.clear();
        }
        if !columns.scripted.contains(&true) {
            columns.scripted.clear();
        }
        columns.id = digits_by_place(&ids);
        columns.conversation = digits_by_place(&conversations);
        columns
    }
}

impl Columns {
    /// The fields of a card that stand as they are.
    fn push_card(&mut self, card: WorkflowCard) {
        self.parent.push(card.parent);
        self.project.push(card.project);
        self.name.push(card.name);
        self.version.push(card.version);
        self.plan.push(card.plan);
        self.origin.push(card.origin);
        self.priority.push(card.priority);
        self.scripted.push(card.scripted);
    }

    /// The fields of a row that stand as they are.
    fn push_row(&mut self, row: WorkflowRow) {
        self.status.push(row.status);
        self.run.push(row.run);
        self.revision.push(row.revision);
        self.current_stage.push(row.current_stage);
        self.completed.push(row.progress.completed);
        self.total.push(row.progress.total);
        self.percentage.push(row.progress.percentage);
        self.method.push(row.progress.method);
        self.failed.push(row.failed);
        self.waiting_people.push(row.waiting_people);
    }

    /// The tombstone at a place; the ids and what is counted on from the one before are given.
    fn tombstone(
        &self,
        at: usize,
        (id, conversation): (u128, u128),
        last: &mut Last,
    ) -> Option<Tombstone> {
        let number = last.number.step_by(*self.number.get(at)?);
        let created = last.created.step_by(*self.created_at.get(at)?).cast_signed();
        let plan = *self.plan.get(at)?;
        let card = WorkflowCard {
            number,
            id: WorkflowId::from_bytes(id.to_be_bytes()),
            conversation: ConversationId::from_bytes(conversation.to_be_bytes()),
            parent: *self.parent.get(at)?,
            project: match self.project.as_slice() {
                [] => None,
                all => *all.get(at)?,
            },
            name: self.name.get(at)?.clone(),
            version: *self.version.get(at)?,
            plan,
            origin: *self.origin.get(at)?,
            priority: *self.priority.get(at)?,
            scripted: match self.scripted.as_slice() {
                [] => false,
                all => *all.get(at)?,
            },
            created_at: Timestamp::from_millis(created),
        };
        let head = last.head.step_by(*self.head.get(at)?);
        let row = self.row(at, &card, head)?;
        Some(Tombstone { plan, card, row })
    }

    fn row(&self, at: usize, card: &WorkflowCard, head: u64) -> Option<WorkflowRow> {
        let created = card.created_at.as_millis();
        let after = |span: i64| Timestamp::from_millis(created.wrapping_add(span));
        let ended_at = self.ended_at.get(at)?.map(after);
        let ended = ended_at.unwrap_or(card.created_at).as_millis();
        Some(WorkflowRow {
            number: card.number,
            status: *self.status.get(at)?,
            run: *self.run.get(at)?,
            revision: *self.revision.get(at)?,
            head,
            current_stage: self.current_stage.get(at)?.clone(),
            progress: Progress {
                completed: *self.completed.get(at)?,
                total: *self.total.get(at)?,
                percentage: *self.percentage.get(at)?,
                method: *self.method.get(at)?,
            },
            failed: *self.failed.get(at)?,
            waiting_people: *self.waiting_people.get(at)?,
            started_at: self.started_at.get(at)?.map(after),
            updated_at: Timestamp::from_millis(ended.wrapping_add(*self.updated_at.get(at)?)),
            ended_at,
            budget: None,
        })
    }
}

impl TryFrom<Columns> for Tombstones {
    type Error = Misaligned;
    fn try_from(columns: Columns) -> Result<Self, Misaligned> {
        let count = columns.number.len();
        let ids = from_digits(&columns.id, count).ok_or(Misaligned)?;
        let conversations = from_digits(&columns.conversation, count).ok_or(Misaligned)?;
        let mut last = Last::default();
        let tombstones = (0..).zip(ids.into_iter().zip(conversations));
        let tombstones = tombstones.map(|(at, ids)| columns.tombstone(at, ids, &mut last));
        tombstones.collect::<Option<Vec<_>>>().map(Self).ok_or(Misaligned)
    }
}

/// What columns of differences count on from.
#[derive(Default)]
struct Last {
    number: Step,
    head: Step,
    created: Step,
}

/// The value before, in a column of differences.
#[derive(Default)]
struct Step(u64);

impl Step {
    fn step_to(&mut self, value: u64) -> i64 {
        let step = value.wrapping_sub(self.0).cast_signed();
        self.0 = value;
        step
    }

    fn step_by(&mut self, step: i64) -> u64 {
        self.0 = self.0.wrapping_add_signed(step);
        self.0
    }
}

/// All first hexadecimal digits, then all second ones, and so on: what ids share, such as most of
/// their time, becomes long runs.
fn digits_by_place(ids: &[u128]) -> String {
    let places = (0..DIGITS).rev().flat_map(|place| ids.iter().map(move |id| id >> (place * 4)));
    places.filter_map(|digit| char::from_digit((digit & 15) as u32, 16)).collect()
}

fn from_digits(text: &str, count: usize) -> Option<Vec<u128>> {
    let mut ids = vec![0_u128; count];
    if text.len() != count.checked_mul(DIGITS as usize)? {
        return None;
    }
    for place in text.as_bytes().chunks(count.max(1)) {
        for (id, digit) in ids.iter_mut().zip(place) {
            *id = *id << 4 | u128::from(char::from(*digit).to_digit(16)?);
        }
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Blob, BlobHash, Json};
    use crate::ids::Ordinal;
    use crate::time::Moment;

    /// A run as a fast machine makes them by the thousands; every third is another story.
    fn tombstone(number: u64) -> Tombstone {
        let odd = number.is_multiple_of(3);
        let at = |ms| Timestamp::from_millis(1_800_000_000_000 + ms);
        let created = i64::try_from(number * 7).expect("a time");
        let moment = Moment::new(at(created), number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let plan = BlobHash::of(if odd { b"one" } else { b"two" });
        let card = WorkflowCard {
            number,
            id: WorkflowId::new(&moment, 1),
            conversation: ConversationId::new(&moment, 2),
            parent: odd.then(|| WorkflowId::new(&moment, 3).task(Ordinal(4))),
            project: odd.then(|| ProjectId::from_bytes([7; 16])),
            name: if odd { "report" } else { "hello" }.to_owned(),
            version: 1 + u32::from(odd),
            plan,
            origin: if odd { Origin::Fork } else { Origin::Cli },
            priority: 5,
            scripted: odd,
            created_at: at(created),
        };
        let method = ProgressMethod::AgentBased;
        let row = WorkflowRow {
            number,
            status: if odd { WorkflowStatus::Cancelled } else { WorkflowStatus::Completed },
            run: 1,
            revision: 5,
            head: number * 5,
            current_stage: odd.then(|| "judge".to_owned()),
            progress: Progress { completed: 1, total: 2, percentage: 50, method },
            failed: u32::from(odd),
            waiting_people: 0,
            started_at: (!odd).then(|| at(created + 1)),
            updated_at: at(created + 90 - i64::from(odd)),
            ended_at: Some(at(created + 90)),
            budget: None,
        };
        Tombstone { plan, card, row }
    }

    #[test]
    fn they_are_read_as_they_were_written() {
        for count in [0, 1, 2, 40] {
            let tombstones = Tombstones((1..=count).map(tombstone).collect());
            let text = serde_json::to_string(&tombstones).expect("it is written");
            assert_eq!(serde_json::from_str::<Tombstones>(&text).expect("it is read"), tombstones);
        }
        let mut extreme = tombstone(1);
        (extreme.row.head, extreme.card.number, extreme.row.number) = (u64::MAX, 0, 0);
        extreme.card.created_at = Timestamp::from_millis(i64::MIN);
        extreme.row.ended_at = Some(Timestamp::from_millis(i64::MAX));
        let tombstones = Tombstones(vec![extreme, tombstone(2)]);
        let text = serde_json::to_string(&tombstones).expect("it is written");
        assert_eq!(serde_json::from_str::<Tombstones>(&text).expect("it is read"), tombstones);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let tombstones = Tombstones((1..=3).map(tombstone).collect());
        let whole = serde_json::to_value(&tombstones).expect("it is written");
        let columns = whole.as_object().expect("columns");
        for (name, column) in columns {
            let mut cut = columns.clone();
            let shorter = match column.as_str() {
                Some(digits) => serde_json::json!(digits[1..]),
                None => serde_json::json!(column.as_array().expect("a column")[..2]),
            };
            cut.insert(name.clone(), shorter);
            let read = serde_json::from_value::<Tombstones>(cut.into());
            assert!(name == "number" || read.is_err(), "{name}");
        }
        let mut wrong = columns.clone();
        wrong.insert("id".to_owned(), serde_json::json!("x".repeat(96)));
        assert!(serde_json::from_value::<Tombstones>(wrong.into()).is_err());
    }

    #[test]
    fn one_of_many_costs_less_than_sixty_bytes() {
        let alike = (1..1_000_u64).filter(|number| !number.is_multiple_of(3)).take(256);
        let tombstones = Tombstones(alike.map(tombstone).collect());
        let text = Json::from_serialize(&tombstones).expect("it is written");
        let bytes = Blob::pack(text.as_str()).packed.len() / 256;
        assert!(bytes < 60, "{bytes} bytes each");
    }
}
