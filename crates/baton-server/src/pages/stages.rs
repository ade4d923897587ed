//! The stages of a workflow with their tasks, and the bars of their timeline.
//!
//! Stage and progress are counted from the same task views as everything else on the page.

use std::collections::BTreeMap;

use baton_core::codes::Code;
use baton_core::ids::Ordinal;
use baton_core::plan::Plan;
use baton_core::time::Timestamp;
use baton_core::words::{OnFailure, StageStatus, TaskStatus};
use baton_engine::view::TaskView;

use super::history::Life;
use super::looks::{Look, Tone};
use super::times::{exact, grouped};

/// The width of the timeline; bars are placed in whole steps of it.
const WIDTH: u64 = 1_000;
/// The narrowest bar.
const BAR_MIN: u64 = 4;
/// How many tasks of a stage are shown, those that need a look first.
const TASKS_MAX: usize = 150;
/// The most marks on one bar.
const MARKS_MAX: usize = 20;

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub look: Look,
    /// `2 of 3`.
    pub done: String,
    /// How long it took, or takes.
    pub took: String,
    /// Its bar.
    pub bar: Option<Bar>,
    /// Its tasks.
    pub tasks: Vec<Line>,
    /// How many more there are.
    pub more: Option<String>,
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its ordinal.
    pub ordinal: u32,
    /// Its key.
    pub key: String,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Its tool, or its kind.
    pub what: String,
    /// Where it stands.
    pub look: Look,
    /// `3 attempts`, where there was more than one.
    pub attempts: Option<String>,
    /// How long it took, or takes.
    pub took: String,
    /// Its bar.
    pub bar: Option<Bar>,
    /// Whether its panel is open.
    pub is_open: bool,
}

/// A span of the timeline, in steps of [`WIDTH`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Where it begins.
    pub from: u64,
    /// How wide it is.
    pub width: u64,
    /// Where further attempts began.
    pub marks: Vec<u64>,
}

/// From when to when a timeline reaches.
#[derive(Clone, Copy, Debug)]
struct Scale {
    from: Timestamp,
    until: Timestamp,
}

impl Scale {
    fn of(tasks: &[TaskView], ended_at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let from = tasks.iter().filter_map(|task| task.started_at).min()?;
        Some(Self { from, until: ended_at.unwrap_or(now).max(from) })
    }

    fn place(self, at: Timestamp) -> u64 {
        let whole = self.until.since(self.from).as_millis().max(1);
        let step = at.since(self.from).as_millis() * u128::from(WIDTH) / whole;
        u64::try_from(step).unwrap_or(WIDTH).min(WIDTH)
    }

    fn bar(self, from: Timestamp, until: Timestamp, marks: Vec<Timestamp>) -> Bar {
        let start = self.place(from).min(WIDTH - BAR_MIN);
        let width = self.place(until).saturating_sub(start).max(BAR_MIN);
        let marks = marks.into_iter().take(MARKS_MAX).map(|at| self.place(at)).collect();
        Bar { from: start, width, marks }
    }
}

/// What a page knows beside the tasks' views.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What became of each task.
    pub lives: &'a BTreeMap<Ordinal, Life>,
    /// When the run ended.
    pub ended_at: Option<Timestamp>,
    /// The task whose panel is open.
    pub open: Option<Ordinal>,
    /// The time.
    pub now: Timestamp,
}

/// The stages in order.
pub fn stages(tasks: &[TaskView], around: Around<'_>) -> Vec<Stage> {
    let scale = Scale::of(tasks, around.ended_at, around.now);
    let mut by_stage: BTreeMap<&str, Vec<&TaskView>> = BTreeMap::new();
    for task in tasks {
        by_stage.entry(task.stage.as_str()).or_default().push(task);
    }
    let stage = |name: &String| {
        let tasks = by_stage.remove(name.as_str()).unwrap_or_default();
        stage(name, &tasks, scale, around)
    };
    around.plan.stages.iter().map(|stage| &stage.name).map(stage).collect()
}

fn stage(name: &str, tasks: &[&TaskView], scale: Option<Scale>, around: Around<'_>) -> Stage {
    let status = status_of(tasks, around.plan);
    let from = tasks.iter().filter_map(|task| task.started_at).min();
    let is_over = tasks.iter().all(|task| task.status.is_terminal());
    let ends = tasks.iter().filter_map(|task| task.ended_at).max();
    let until = if is_over { ends.unwrap_or(around.now) } else { around.now };
    let done = tasks.iter().filter(|task| task.status == TaskStatus::Completed).count();
    let mut shown: Vec<&TaskView> = tasks.to_vec();
    if shown.len() > TASKS_MAX {
        shown.sort_by_key(|task| urgency(task));
        shown.truncate(TASKS_MAX);
    }
    let more = tasks.len() - shown.len();
    Stage {
        name: name.to_owned(),
        look: Look::of_stage(status),
        done: format!("{} of {}", grouped(done as u64), grouped(tasks.len() as u64)),
        took: from.map_or_else(String::new, |from| exact(until.since(from))),
        bar: from.zip(scale).map(|(from, scale)| scale.bar(from, until, Vec::new())),
        tasks: shown.into_iter().map(|task| line(task, scale, around)).collect(),
        more: (more > 0).then(|| format!("{} more tasks are not shown", grouped(more as u64))),
    }
}

fn urgency(task: &TaskView) -> u8 {
    match Look::of_task(task.status, task.waits_for).tone {
        Tone::Needs => 0,
        Tone::Bad | Tone::Mixed => 1,
        Tone::Moving => 2,
        Tone::Held => 3,
        Tone::Good => 4,
        Tone::Idle => 5,
        Tone::Off => 6,
    }
}

fn line(task: &TaskView, scale: Option<Scale>, around: Around<'_>) -> Line {
    let until = task.ended_at.unwrap_or(around.now);
    let again = around.lives.get(&task.ordinal).map_or(&[][..], |life| &life.attempts);
    let marks = again.iter().skip(1).map(|attempt| attempt.started_at).collect();
    let bar = task.started_at.zip(scale).map(|(from, scale)| scale.bar(from, until, marks));
    Line {
        ordinal: task.ordinal.0,
        key: task.key.clone(),
        title: task.title.clone(),
        what: task.tool.clone().unwrap_or_else(|| task.kind.to_owned()),
        look: Look::of_task(task.status, task.waits_for),
        attempts: (task.attempts > 1).then(|| format!("{} attempts", task.attempts)),
        took: task.started_at.map_or_else(String::new, |from| exact(until.since(from))),
        bar,
        is_open: around.open == Some(task.ordinal),
    }
}

/// Where a stage stands, by its tasks.
fn status_of(tasks: &[&TaskView], plan: &Plan) -> StageStatus {
    let any = |of: TaskStatus| tasks.iter().any(|task| task.status == of);
    if !tasks.iter().all(|task| task.status.is_terminal()) {
        let has_begun = |task: &&TaskView| task.started_at.is_some() || task.status.is_terminal();
        let begun = tasks.iter().any(has_begun);
        return if begun { StageStatus::Running } else { StageStatus::Pending };
    }
    let breaks = |task: &&TaskView| {
        let planned = plan.task(task.ordinal).map(|planned| planned.on_failure);
        task.status == TaskStatus::Failed && planned == Some(OnFailure::Fail)
    };
    if tasks.iter().any(breaks) {
        StageStatus::Failed
    } else if any(TaskStatus::Cancelled) {
        StageStatus::Cancelled
    } else if any(TaskStatus::Failed) {
        StageStatus::CompletedWithErrors
    } else if !tasks.is_empty() && tasks.iter().all(|task| task.status == TaskStatus::Skipped) {
        StageStatus::Skipped
    } else {
        StageStatus::Completed
    }
}
