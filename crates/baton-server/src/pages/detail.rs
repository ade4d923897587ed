//! The page of one workflow: where it stands in a sentence, what can be done, its tasks by stage on a
//! timeline, one task looked at, and its events.

use std::collections::BTreeMap;

use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_core::plan::Plan;
use baton_core::spoken::grouped;
use baton_core::time::Timestamp;
use baton_core::words::{TaskStatus, WorkflowStatus};
use baton_core::workflow::rows::WorkflowCard;
use baton_engine::inbox::inbox_of;
use baton_engine::live::read_event;
use baton_engine::said::Said;
use baton_engine::stages::stage_views;
use baton_engine::store::{StoreError, Views};
use baton_engine::transcript::agent_of;
use baton_engine::turn_view::{Whose, models_asked};
use baton_engine::usage::spending_of;
use baton_engine::view::{
    TaskView, WorkflowView, add_live, all_tasks, plan_of, workflow_brief, workflow_view,
};
use baton_engine::wording::Wording;

use super::chat::titled;
use super::history::{Granted, History, failure_of, kind_word};
use super::looks::Look;
use super::panel::{Failure, Panel, Text, panel};
use super::questions::Question;
use super::sentence;
use super::spending::{Bounds, Earlier, Made, Spending, spending};
use super::stages::{Around, Stage, stages};
use super::times::Age;
use super::turns;
use crate::http::calls::{self, Looked};

/// How many events are listed, the newest.
const EVENTS_MAX: usize = 40;
/// How many failures are told at the top.
const FAILURES_MAX: usize = 5;
/// How many questions are shown.
const QUESTIONS_MAX: usize = 20;

/// What the page shows.
#[derive(Debug)]
pub struct Detail {
    /// The store's number of it: of its commits alone the page hears.
    pub number: u64,
    /// What the API shows of it.
    pub view: WorkflowView,
    /// How its status looks.
    pub look: Look,
    /// Where it stands, in a sentence.
    pub sentence: String,
    /// `2 of 5 tasks complete`.
    pub done: String,
    /// What its agents used; nothing where it has none.
    pub spent: Option<Spending>,
    /// When it was admitted.
    pub created: Age,
    /// The conversation it belongs to and that one's title, where anything was said in it.
    pub conversation: Option<(ConversationId, String)>,
    /// What can be done with it.
    pub acts: Vec<Act>,
    /// What it asks people.
    pub questions: Vec<Question>,
    /// Which tasks failed, and why.
    pub failures: Vec<Failed>,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// The task that is looked at.
    pub panel: Option<Panel>,
    /// What it brought.
    pub output: Option<Text>,
    /// Its newest events, newest first.
    pub events: Vec<Happened>,
    /// How many events there are.
    pub events_count: String,
    /// Whether its events and tasks were purged.
    pub is_purged: bool,
}

/// Something that can be done with a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Start nothing more.
    Pause,
    /// Go on.
    Resume,
    /// Stop.
    Cancel,
    /// Open the next run.
    Retry,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// Its ordinal.
    pub ordinal: u32,
    /// Its title or key.
    pub title: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why.
    pub failure: Failure,
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// Its position in the journal.
    pub position: u64,
    /// Its kind's word.
    pub kind: &'static str,
    /// The task it is about.
    pub task: Option<(u32, String)>,
    /// Who was behind it.
    pub actor: String,
    /// When.
    pub age: Age,
}

/// What can be done where a run stands.
pub fn acts(status: WorkflowStatus) -> Vec<Act> {
    match status {
        WorkflowStatus::Draft | WorkflowStatus::PendingReview | WorkflowStatus::Queued => {
            vec![Act::Cancel]
        }
        WorkflowStatus::Running => vec![Act::Pause, Act::Cancel],
        WorkflowStatus::Paused => vec![Act::Resume, Act::Cancel],
        WorkflowStatus::Cancelling | WorkflowStatus::Completed => Vec::new(),
        WorkflowStatus::CompletedWithErrors
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled => {
            vec![Act::Retry]
        }
    }
}

/// Reads the page; `None` where there is no such workflow.
pub fn read(
    views: &mut dyn Views,
    id: WorkflowId,
    (open, live): (Option<Ordinal>, Vec<Said>),
    now: Timestamp,
) -> Result<Option<Detail>, StoreError> {
    let Some((card, row)) = views.workflow(id)? else {
        return Ok(None);
    };
    if row.purged_at().is_some() {
        let brief = workflow_brief(&card, &row, views)?;
        let used = (card.number, &brief.usage.spent, None);
        let spent = spending(used, (None, Vec::new()), views)?;
        let conversation = conversation(&brief, views)?;
        return Ok(Some(Detail { spent, conversation, ..head(card.number, brief, &[], now) }));
    }
    let plan = plan_of(&card, views)?;
    let view = workflow_view(&card, &row, &Wording::of(&plan), views)?;
    let rows = views.tasks(card.number)?;
    let usage = views.usage_of_tasks(card.number)?;
    let mut tasks = all_tasks((&card, &row), &plan, (&rows, &usage), views)?;
    add_live(&mut tasks, live);
    let history = History::read(views, &row)?;
    let ended_at = view.completed_at;
    let looked_at = open.and_then(|open| tasks.iter().find(|task| task.ordinal == open)).cloned();
    let panel = match looked_at {
        Some(task) => {
            let Looked { detail, transcript } = calls::detail(&card, &plan, task, views)?;
            let mut told = None;
            if let (Some(transcript), Some(sum)) = (&transcript, &detail.agent)
                && let Some(agent) = agent_of(&plan, detail.of)
            {
                let whose = Whose { workflow: id, key: &detail.task.key, agent };
                let line = turns::Line { task: detail.task.id, head: row.head };
                told = turns::told((whose, sum), (transcript, line), now, views)?;
            }
            Some(panel((&detail, told), &plan, ended_at.is_some(), now))
        }
        None => None,
    };
    let asked = inbox_of((&card, &row), &rows, QUESTIONS_MAX, views)?;
    let around = Around { starts: &history.starts()?, ended_at, open, now };
    Ok(Some(Detail {
        questions: Question::all(asked, now, views)?,
        failures: failures(&tasks, card.number, views)?,
        stages: stages(&stage_views(&plan, &tasks, &usage), &tasks, around),
        panel,
        spent: spent((&card, &view), (&plan, &tasks, &history), views)?,
        conversation: conversation(&view, views)?,
        output: view.output.as_ref().filter(|json| json.as_str() != "null").map(Text::of),
        events: events(views, &history, &tasks, now)?,
        ..head(card.number, view, &tasks, now)
    }))
}

/// The conversation of a workflow; most stand alone, and are of none that was ever opened.
fn conversation(
    view: &WorkflowView,
    views: &mut dyn Views,
) -> Result<Option<(ConversationId, String)>, StoreError> {
    let found = views.conversation(view.conversation_id)?;
    Ok(found.map(|row| (row.id, titled(&row.face.title))))
}

/// What is known without tasks and events.
fn head(number: u64, view: WorkflowView, tasks: &[TaskView], now: Timestamp) -> Detail {
    let is_purged = view.purged_at.is_some();
    Detail {
        number,
        look: Look::of_workflow(view.status, view.tasks_waiting_for_people),
        sentence: sentence::full(&view, tasks, now),
        done: sentence::done(&view),
        spent: None,
        created: Age::of(view.created_at, now),
        conversation: None,
        acts: if is_purged { Vec::new() } else { acts(view.status) },
        questions: Vec::new(),
        failures: Vec::new(),
        stages: Vec::new(),
        panel: None,
        output: None,
        events: Vec::new(),
        events_count: grouped(view.revision),
        is_purged,
        view,
    }
}

/// What its agents used, of what they may use in the present run.
fn spent(
    (card, view): (&WorkflowCard, &WorkflowView),
    (plan, tasks, history): (&Plan, &[TaskView], &History),
    views: &mut dyn Views,
) -> Result<Option<Spending>, StoreError> {
    let bounds = match history.granted()? {
        None => None,
        Some(Granted { more: granted, opened_at }) => {
            let mut before = None;
            if opened_at.is_some() {
                let sum = spending_of(card.number, opened_at, views)?;
                before = Some(Earlier(sum.into()));
            }
            Some(Bounds { planned: plan.budget, granted, before })
        }
    };
    let begun = |all: &mut dyn Iterator<Item = &TaskView>| -> u64 {
        all.map(|task| u64::from(task.attempts)).sum()
    };
    let made = Made {
        of_models: begun(&mut tasks.iter().filter(|task| task.kind == "agent")),
        of_tools: begun(&mut tasks.iter().filter(|task| task.call_of.is_some())),
    };
    let asked = models_asked(plan).into_iter().collect();
    spending((card.number, &view.usage.spent, Some(made)), (bounds, asked), views)
}

fn failures(
    tasks: &[TaskView],
    number: u64,
    views: &mut dyn Views,
) -> Result<Vec<Failed>, StoreError> {
    // A failed call is told to its agent, and fails nothing.
    let failed =
        tasks.iter().filter(|task| task.status == TaskStatus::Failed && task.call_of.is_none());
    let mut told = Vec::new();
    for task in failed.take(FAILURES_MAX) {
        let failure = failure_of(task, number, views)?;
        told.extend(failure.map(|failure| Failed {
            ordinal: task.ordinal.0,
            title: task.title.clone().unwrap_or_else(|| task.key.clone()),
            attempts: task.attempts,
            failure: Failure::of(&failure),
        }));
    }
    Ok(told)
}

fn events(
    views: &mut dyn Views,
    history: &History,
    tasks: &[TaskView],
    now: Timestamp,
) -> Result<Vec<Happened>, StoreError> {
    let mut actors: BTreeMap<u32, String> = BTreeMap::new();
    let mut events = Vec::new();
    for record in history.records.iter().rev().take(EVENTS_MAX) {
        let actor = match actors.get(&record.actor) {
            Some(actor) => actor.clone(),
            None => {
                let found = views.actor(record.actor)?;
                let actor = found.map_or_else(|| "unknown".to_owned(), |actor| actor.name);
                actors.insert(record.actor, actor.clone());
                actor
            }
        };
        let key = |ordinal: Ordinal| {
            let task = tasks.iter().find(|task| task.ordinal == ordinal)?;
            Some((ordinal.0, task.key.clone()))
        };
        events.push(Happened {
            position: record.position,
            kind: kind_word(record),
            task: read_event(record)?.task().and_then(key),
            actor,
            age: Age::of(record.at, now),
        });
    }
    Ok(events)
}
