//! Folds each workflow's stream and compares its rows: card, row, every task, and the counts.
//!
//! A stream whose links do not hold is left alone: what it would say cannot be trusted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use baton_core::body::BlobHash;
use baton_core::ids::Ordinal;
use baton_core::words::SkipCause;
use baton_core::workflow::rows::{
    TaskRow, WorkflowCard, WorkflowRow, task_row, workflow_card, workflow_row,
};
use baton_core::workflow::usage::usage_row;
use baton_core::workflow::{Event, TaskPhase, WorkflowState};

use super::books::{self, Books};
use super::journal::{Of, Survey, Tail};
use super::snapshots::Snapshotted;
use super::{Difference, Examined, Found, Mend, graves};
use crate::live::{follow, read_event};
use crate::loaded::Loaded;
use crate::store::{Audit, SYSTEM_STREAM, StoreError};

/// How many plans are kept ready; the next workflow often runs the same.
const PLANS_KEPT_MAX: usize = 64;

/// What should be stored of a workflow.
struct Projection {
    card: WorkflowCard,
    row: WorkflowRow,
    tasks: BTreeMap<Ordinal, TaskRow>,
    usage: Books,
    /// How the counts kept in step differ from those counted anew.
    miscounted: Option<(Counts, Counts)>,
    /// What is wrong with its snapshot.
    snapshot: Option<Difference>,
}

/// Counts over the tasks of a workflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    total: u32,
    completed: u32,
    failed: u32,
    open: u32,
    waiting_people: u32,
}

impl Counts {
    /// Those that the state keeps in step.
    pub fn kept(state: &WorkflowState) -> Self {
        let tally = state.tally();
        Self {
            total: tally.total,
            completed: tally.completed,
            failed: tally.failed,
            open: tally.open,
            waiting_people: state.waiting_people(),
        }
    }

    /// Those counted anew from each task's phase.
    pub fn anew(state: &WorkflowState) -> Self {
        let mut counts = Self::default();
        for (ordinal, task) in (0..).map(Ordinal).zip(state.tasks()) {
            if let TaskPhase::Waiting { on, .. } = &task.phase {
                counts.waiting_people += u32::from(on.is_for_people());
            }
            let counted = match state.item(ordinal) {
                Some((items, _)) => items.is_each() && !items.superseded,
                None => {
                    let each = |plan: &baton_core::plan::TaskPlan| plan.each.is_some();
                    !state.task_plan(ordinal).is_some_and(each) || state.items_of(ordinal).is_none()
                }
            };
            let left_out = matches!(task.phase, TaskPhase::Skipped { cause: SkipCause::When, .. });
            if counted && !left_out {
                counts.count(&task.phase);
            }
        }
        counts
    }

    fn count(&mut self, phase: &TaskPhase) {
        self.total += 1;
        match phase {
            TaskPhase::Completed { .. } => self.completed += 1,
            TaskPhase::Failed { .. } => self.failed += 1,
            TaskPhase::Skipped { .. } | TaskPhase::Cancelled { .. } => {}
            TaskPhase::Pending
            | TaskPhase::Ready
            | TaskPhase::Executing { .. }
            | TaskPhase::Expanded { .. }
            | TaskPhase::Waiting { .. } => self.open += 1,
        }
    }
}

pub(super) fn compare_all(
    survey: &Survey,
    audit: &mut dyn Audit,
    examined: &mut Examined,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let mut plans = HashMap::new();
    let tails = survey.tails.iter().filter(|(_, tail)| tail.of != Of::Conversation);
    for (number, tail) in tails {
        if survey.purged.contains(number) {
            let what = format!("workflow {number}");
            found(Difference::fault(what, "events", "a tombstone alone"))?;
            continue;
        }
        examined.workflows += 1;
        match project(*number, *tail, audit, &mut plans) {
            Ok(projection) => examined.tasks += compare(*number, projection, audit, found)?,
            Err(StoreError::Corrupt(detail)) => {
                let kind = if tail.of == Of::Workflow { "workflow" } else { "stream" };
                let what = format!("the events of {kind} {number}");
                found(Difference::fault(what, detail, "events that can be folded"))?;
            }
            Err(unreadable) => return Err(unreadable),
        }
    }
    for position in &survey.purges {
        compare_purged(*position, audit, found)?;
    }
    compare_strays(survey, audit, found)
}

fn project(
    number: u64,
    tail: Tail,
    audit: &mut dyn Audit,
    plans: &mut HashMap<BlobHash, Arc<Loaded>>,
) -> Result<Projection, StoreError> {
    let records = audit.chain(number, tail.head)?;
    let lacking =
        || StoreError::Corrupt("it begins with neither an admission nor an opening".to_owned());
    let (first, rest) = records.split_first().ok_or_else(lacking)?;
    let admission = read_event(first)?;
    let Event::Admitted(admitted) = &admission else {
        return Err(lacking());
    };
    let mut loaded = load(admitted.plan, audit, plans)?;
    let (plan, graph) = (Arc::clone(&loaded.plan), Arc::clone(&loaded.graph));
    let mut state = WorkflowState::admitted(admitted, plan, graph, first.at);
    let kept = admitted.kept.iter().map(|kept| (kept.task, first.position));
    let mut changed: BTreeMap<Ordinal, u64> = kept.collect();
    let row = audit.next_snapshot(number.saturating_sub(1))?.filter(|row| row.number == number);
    let mut usage = Books::new();
    let mut snapshot = Snapshotted::new(row);
    snapshot.pass(first, &admission, (&state, admitted.plan));
    for record in rest {
        let event = read_event(record)?;
        let settled = (record.position, record.at);
        let booked = usage_row(&state, number, &event, settled);
        usage.extend(booked.map(|row| (row.position, row)));
        let mut load = |hash| load(hash, audit, plans);
        follow((&mut state, &mut loaded), &event, record.at, &mut load)?;
        snapshot.pass(record, &event, (&state, loaded.blob.hash));
        let tasks = state.take_changed().into_iter();
        changed.extend(tasks.map(|task| (task, record.position)));
    }
    let row = |(task, position)| Some((task, task_row(&state, number, task, position)?));
    let (kept, anew) = (Counts::kept(&state), Counts::anew(&state));
    Ok(Projection {
        card: workflow_card(&state, number, loaded.blob.hash),
        row: workflow_row(&state, number, tail.head),
        tasks: changed.into_iter().filter_map(row).collect(),
        usage,
        miscounted: (kept != anew).then_some((kept, anew)),
        snapshot: snapshot.difference(),
    })
}

fn load(
    hash: BlobHash,
    audit: &mut dyn Audit,
    plans: &mut HashMap<BlobHash, Arc<Loaded>>,
) -> Result<Arc<Loaded>, StoreError> {
    if let Some(loaded) = plans.get(&hash) {
        return Ok(Arc::clone(loaded));
    }
    let missing = || StoreError::Corrupt(format!("its plan, the blob {hash}, is missing"));
    let blob = audit.blob(hash)?.ok_or_else(missing)?;
    let loaded = Loaded::from_blob(blob).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let loaded = Arc::new(loaded);
    if plans.len() >= PLANS_KEPT_MAX {
        plans.clear();
    }
    plans.insert(hash, Arc::clone(&loaded));
    Ok(loaded)
}

/// Compares what is stored of the workflows that a purge took.
fn compare_purged(
    position: u64,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    let (graves, mut books) = match graves::left_at(position, audit) {
        // Named where the journal was gone over.
        Err(StoreError::Corrupt(_)) => return Ok(()),
        read => read?,
    };
    for (card, row) in graves {
        let tasks = BTreeMap::new();
        let usage = books.remove(&card.number).unwrap_or_default();
        let projection = Projection { card, row, tasks, usage, miscounted: None, snapshot: None };
        compare(projection.card.number, projection, audit, found)?;
    }
    Ok(())
}

/// Compares what is stored of one workflow; returns how many rows of tasks were compared.
fn compare(
    number: u64,
    projection: Projection,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<u64, StoreError> {
    let Projection { card, row, mut tasks, usage, miscounted, snapshot } = projection;
    let name = format!("workflow {number} (`{}`, {})", card.name, card.id);
    if let Some((kept, anew)) = miscounted {
        let what = format!("{name}: its counts");
        Difference::of_fields(&what, &kept, &anew).map_or(Ok(()), &mut *found)?;
    }
    snapshot.map_or(Ok(()), &mut *found)?;
    let stored = audit.workflow(number)?;
    let mend = Mend::Workflow(Box::new((card.clone(), row.clone())));
    match stored {
        None => found(Difference::fault(name.clone(), "no row", "a row").mended_by(mend))?,
        Some((old_card, old_row)) => {
            let differences = Difference::of_fields(&name, &old_card, &card)
                .into_iter()
                .chain(Difference::of_fields(&name, &old_row, &row));
            for difference in differences {
                found(difference.mended_by(mend.clone()))?;
            }
        }
    }
    books::compare((number, &name), usage, audit, found)?;
    let mut compared = 0;
    for old in audit.tasks(number)? {
        compared += 1;
        let what = format!("{name}: task {}", old.ordinal.0);
        match tasks.remove(&old.ordinal) {
            None => found(
                Difference::fault(what, "a row", "no row")
                    .mended_by(Mend::NoTask(number, old.ordinal)),
            )?,
            Some(new) => {
                if let Some(difference) = Difference::of_fields(&what, &old, &new) {
                    found(difference.mended_by(Mend::Task(new)))?;
                }
            }
        }
    }
    for (ordinal, new) in tasks {
        compared += 1;
        let what = format!("{name}: task {}", ordinal.0);
        found(Difference::fault(what, "no row", "a row").mended_by(Mend::Task(new)))?;
    }
    Ok(compared)
}

/// Rows of workflows that no event and no tombstone knows. Nothing can be said of them where
/// tombstones are illegible.
fn compare_strays(
    survey: &Survey,
    audit: &mut dyn Audit,
    found: Found<'_>,
) -> Result<(), StoreError> {
    if survey.illegible {
        return Ok(());
    }
    let known = |number: &u64| survey.may_be_workflow(*number);
    books::compare_strays(known, audit, found)?;
    let mut at = SYSTEM_STREAM;
    while let Some(number) = audit.next_with_tasks(at)? {
        at = number;
        if known(&number) {
            continue;
        }
        for row in audit.tasks(number)? {
            let what = format!("workflow {number}: task {}", row.ordinal.0);
            let mend = Mend::NoTask(number, row.ordinal);
            found(Difference::fault(what, "a row", "no event").mended_by(mend))?;
        }
    }
    let mut at = SYSTEM_STREAM;
    while let Some(number) = audit.next_workflow(at)? {
        at = number;
        if !known(&number) {
            let what = format!("workflow {number}");
            let mend = Mend::NoWorkflow(number);
            found(Difference::fault(what, "a row", "no event").mended_by(mend))?;
        }
    }
    let mut at = SYSTEM_STREAM;
    while let Some(row) = audit.next_snapshot(at)? {
        at = row.number;
        let is_stray = survey.tails.get(&at).is_none_or(|tail| tail.of == Of::Conversation);
        if is_stray {
            let what = format!("workflow {at}: its snapshot");
            let mend = Mend::NoSnapshot(at);
            found(Difference::fault(what, "a row", "no event").mended_by(mend))?;
        }
    }
    Ok(())
}
