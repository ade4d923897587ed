//! The stages of a workflow with their tasks, and the bars of their timeline.
//!
//! Stage and progress are counted from the same task views as everything else on the page.

use std::collections::BTreeMap;

use baton_core::ids::Ordinal;
use baton_core::spoken::{grouped, many, span};
use baton_core::time::Timestamp;
use baton_engine::said::Said;
use baton_engine::stages::StageView;
use baton_engine::view::TaskView;

use super::looks::{Look, Tone};

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
    /// What it says of how far it is, while it runs.
    pub said: Option<String>,
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
    /// When the attempts of each task started.
    pub starts: &'a BTreeMap<Ordinal, Vec<Timestamp>>,
    /// When the run ended.
    pub ended_at: Option<Timestamp>,
    /// The task whose panel is open.
    pub open: Option<Ordinal>,
    /// The time.
    pub now: Timestamp,
}

/// The stages in order, each with its tasks.
pub fn stages(views: &[StageView], tasks: &[TaskView], around: Around<'_>) -> Vec<Stage> {
    let scale = Scale::of(tasks, around.ended_at, around.now);
    let mut by_stage: BTreeMap<&str, Vec<&TaskView>> = BTreeMap::new();
    for task in tasks {
        by_stage.entry(task.stage.as_str()).or_default().push(task);
    }
    let stage = |view: &StageView| {
        let tasks = by_stage.remove(view.name.as_str()).unwrap_or_default();
        stage(view, tasks, scale, around)
    };
    views.iter().map(stage).collect()
}

fn stage(
    view: &StageView,
    mut tasks: Vec<&TaskView>,
    scale: Option<Scale>,
    around: Around<'_>,
) -> Stage {
    let until = view.ended_at.or(around.ended_at).unwrap_or(around.now);
    let more = tasks.len().saturating_sub(TASKS_MAX) as u64;
    if more > 0 {
        tasks.sort_by_key(|task| urgency(task));
        tasks.truncate(TASKS_MAX);
    }
    let (done, total) = (u64::from(view.tasks_completed), u64::from(view.tasks_total));
    let look = Look::of_stage(view.status);
    Stage {
        name: view.name.clone(),
        done: format!("{} of {}", grouped(done), grouped(total)),
        took: view.started_at.map_or_else(String::new, |from| span(until.since(from))),
        bar: view.started_at.zip(scale).map(|(from, scale)| scale.bar(from, until, Vec::new())),
        tasks: tasks.into_iter().map(|task| line(task, scale, around)).collect(),
        more: (more > 0).then(|| format!("{} not shown", many(more, "more task"))),
        look,
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
    let until = task.ended_at.or(around.ended_at).unwrap_or(around.now);
    // A bar is that of the present run: attempts of runs before began before it does.
    let again = around.starts.get(&task.ordinal).into_iter().flatten();
    let marks = again.copied().filter(|at| task.started_at.is_some_and(|from| *at > from));
    let marks = marks.collect();
    let bar = task.started_at.zip(scale).map(|(from, scale)| scale.bar(from, until, marks));
    Line {
        ordinal: task.ordinal.0,
        key: task.key.clone(),
        title: task.title.clone(),
        what: task.tool.clone().unwrap_or_else(|| task.kind.to_owned()),
        look: Look::of_task(task.status, task.waits_for),
        attempts: attempts(task),
        took: task.started_at.map_or_else(String::new, |from| span(until.since(from))),
        said: task.live.as_ref().map(Said::line),
        bar,
        is_open: around.open == Some(task.ordinal),
    }
}

/// How often a task was tried, where that says something: each turn of an agent is an attempt.
fn attempts(task: &TaskView) -> Option<String> {
    let tells = task.attempts > 1 && task.kind != "agent";
    tells.then(|| format!("{} attempts", task.attempts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn bars_stand_where_their_time_was() {
        let scale = Scale { from: at(1_000), until: at(3_000) };
        let bar = scale.bar(at(1_500), at(2_500), vec![at(2_000)]);
        assert_eq!(bar, Bar { from: 250, width: 500, marks: vec![500] });
    }

    #[test]
    fn no_bar_is_too_narrow_or_leaves_the_timeline() {
        let scale = Scale { from: at(0), until: at(1_000_000) };
        assert_eq!(scale.bar(at(5), at(6), Vec::new()).width, BAR_MIN);
        for (from, until) in [(999_999, 1_000_000), (1_000_000, 2_000_000), (-5, 3_000_000)] {
            let bar = scale.bar(at(from), at(until), Vec::new());
            assert!(bar.from + bar.width <= WIDTH, "{bar:?}");
        }
        let moment = Scale { from: at(7), until: at(7) };
        assert_eq!(moment.bar(at(7), at(7), Vec::new()), Bar { from: 0, width: 4, marks: vec![] });
    }
}
