//! The first page: what needs a person, then what is happening, then the past.

use baton_core::time::Timestamp;
use baton_core::words::WorkflowStatus;
use baton_engine::inbox::inbox;
use baton_engine::store::{Filter, StoreError, Views};
use baton_engine::view::{WorkflowView, workflow_briefs};

use super::chat;
use super::filter::{Wanted, active, ended};
use super::looks::Look;
use super::questions::Question;
use super::sentence;
use super::times::Age;
use crate::http::Caller;

/// The most questions that are shown.
const QUESTIONS_MAX: u32 = 50;
/// The most active workflows that are shown.
const ACTIVE_MAX: u32 = 100;
/// The most workflows of the past, or that a filter finds, that are shown.
const PAGE_MAX: u32 = 40;

/// What the page shows.
#[derive(Debug)]
pub struct Home {
    /// What the filter bar asks for.
    pub wanted: Wanted,
    /// What needs a person.
    pub questions: Vec<Question>,
    /// The conversations that wait for somebody.
    pub chats: Vec<chat::Row>,
    /// The lists, each under its heading.
    pub lists: Vec<List>,
    /// Whether it is only what a filter found, or older ones.
    pub is_part: bool,
    /// Whether the store has no workflow at all.
    pub is_new: bool,
}

impl Home {
    /// How much needs a person.
    pub fn needing(&self) -> usize {
        self.questions.len() + self.chats.len()
    }

    /// The level of the lists' headings: the page's first one is what it is about.
    pub fn level(&self) -> u8 {
        if self.is_part { 1 } else { 2 }
    }
}

/// Workflows under a heading.
#[derive(Debug)]
pub struct List {
    /// What they have in common.
    pub title: &'static str,
    /// Newest first.
    pub rows: Vec<Row>,
    /// The cursor of older ones, if there are more.
    pub older: Option<u64>,
    /// What to say where there are none.
    pub empty: &'static str,
}

/// One workflow in a line.
#[derive(Debug)]
pub struct Row {
    /// What the API shows of it.
    pub view: WorkflowView,
    /// How its status looks.
    pub look: Look,
    /// Where it stands, in a sentence.
    pub sentence: String,
    /// `2 of 5 tasks complete`.
    pub done: String,
    /// When it last changed.
    pub age: Age,
}

impl Row {
    fn of(view: WorkflowView, now: Timestamp) -> Self {
        Self {
            look: Look::of_workflow(view.status, view.tasks_waiting_for_people),
            sentence: sentence::brief(&view, now),
            done: sentence::done(&view),
            age: Age::of(view.completed_at.unwrap_or(view.updated_at), now),
            view,
        }
    }
}

/// Reads the page. `before` is the cursor of a list's older part.
pub fn read(
    views: &mut dyn Views,
    (wanted, before): (Wanted, Option<u64>),
    caller: &Caller,
    now: Timestamp,
) -> Result<Home, StoreError> {
    if wanted.is_set() || before.is_some() {
        let title = if wanted.is_set() { "Found" } else { "Older" };
        let mut filter = Filter { before, ..wanted.filter.clone() };
        if !wanted.is_set() {
            filter.statuses = ended().collect();
        }
        let found = list(views, (title, "Nothing fits this filter."), (filter, PAGE_MAX), now)?;
        return Ok(Home {
            wanted,
            questions: Vec::new(),
            chats: Vec::new(),
            lists: vec![found],
            is_part: true,
            is_new: false,
        });
    }
    let asked = inbox(views, QUESTIONS_MAX)?;
    let questions = Question::all(asked, now, views)?;
    let of = |statuses: Vec<WorkflowStatus>| Filter { statuses, ..Filter::default() };
    let active = (of(active().collect()), ACTIVE_MAX);
    let active = list(views, ("Active", "Nothing is running."), active, now)?;
    let past = (of(ended().collect()), PAGE_MAX);
    let past = list(views, ("Recent", "Nothing has ended yet."), past, now)?;
    let chats = chat::waiting(caller, now, views)?;
    let is_new = active.rows.is_empty() && past.rows.is_empty() && chats.is_empty();
    Ok(Home { wanted, questions, chats, lists: vec![active, past], is_part: false, is_new })
}

fn list(
    views: &mut dyn Views,
    (title, empty): (&'static str, &'static str),
    (filter, limit): (Filter, u32),
    now: Timestamp,
) -> Result<List, StoreError> {
    // One more than is shown tells whether there are more.
    let mut found = views.list(&Filter { limit: limit + 1, ..filter })?;
    let shown = limit as usize;
    let has_more = found.len() > shown;
    found.truncate(shown);
    let older = found.last().filter(|_| has_more).map(|(card, _)| card.number);
    let briefs = workflow_briefs(&found, views)?;
    let rows = briefs.into_iter().map(|brief| Row::of(brief, now)).collect();
    Ok(List { title, rows, older, empty })
}
