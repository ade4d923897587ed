//! The graph: needs resolved to ordinals, barriers, cycles, and who has surely ended before whom.
//!
//! It runs in time of the number of tasks and needs; searches that could take longer are bounded.

use std::collections::HashMap;

use super::draft::Draft;
use super::fault::{Faults, Path};
use super::fields::At;
use super::walk::unknown_task;
use crate::ids::Ordinal;
use crate::plan::TaskPlan;

/// Tasks looked at from a template backwards before the search is put together with others.
const NEAR_TASKS_MAX: usize = 256;
/// Tasks looked at in all such joint searches.
const FAR_STEPS_MAX: usize = 100_000_000;

/// Resolves every task's needs and reports what they may not name, and cycles.
pub(crate) fn resolve(draft: &mut Draft<'_, '_>, faults: &mut Faults) {
    let mut resolved = Vec::with_capacity(draft.plan.tasks.len());
    for (task, source) in draft.sources.iter().enumerate() {
        let Some(node) = source.needs else {
            resolved.push(None);
            continue;
        };
        let (root, (stage, index)) = (Path::Root, source.at);
        let (stages, stage) = (root.field("stages"), stage as usize);
        let stage = stages.index(stage);
        let tasks = stage.field("tasks");
        let of_task = tasks.index(index);
        let path = of_task.field("needs");
        resolved.push(Some(needs(&At { node, path }, task, draft, faults)));
    }
    for (task, needs) in draft.plan.tasks.iter_mut().zip(resolved) {
        task.needs = needs;
    }
    cycles(draft, faults);
}

fn needs(
    at: &At<'_, '_, '_>,
    task: usize,
    draft: &Draft<'_, '_>,
    faults: &mut Faults,
) -> Vec<Ordinal> {
    let mut needs: Vec<Ordinal> = Vec::new();
    let Some(list) = at.list(faults) else {
        return needs;
    };
    let stage = draft.plan.tasks.get(task).map_or(0, |task| task.stage);
    for (index, node) in list.iter().enumerate() {
        let at = At { node, path: at.path.index(index) };
        let Some(key) = at.text(faults) else { continue };
        let Some(ordinal) = draft.keys.get(key) else {
            unknown_task(&at, key, draft, faults);
            continue;
        };
        if ordinal.index() == task {
            faults.add(node.place, &at.path, format!("`{key}` needs itself"));
            continue;
        }
        let later = draft.plan.tasks.get(ordinal.index());
        if later.is_some_and(|other| other.stage > stage) {
            let name = later
                .and_then(|other| draft.plan.stages.get(other.stage as usize))
                .map_or("", |stage| stage.name.as_str());
            let message = format!("`{key}` is of the later stage `{name}`");
            let fault = faults.add(node.place, &at.path, message);
            fault.help("a need names a task of the same or an earlier stage; move one of the two");
            continue;
        }
        needs.push(*ordinal);
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Done,
}

fn needs_of(tasks: &[TaskPlan], task: usize) -> &[Ordinal] {
    let task = tasks.get(task);
    task.and_then(|task| task.needs.as_deref()).unwrap_or(&[])
}

/// One fault for each cycle that a depth-first search closes. Barriers close none: a need never
/// names a later stage.
fn cycles(draft: &Draft<'_, '_>, faults: &mut Faults) {
    let tasks = &draft.plan.tasks;
    let mut found = 0;
    let mut marks = vec![Mark::New; tasks.len()];
    for start in 0..tasks.len() {
        let mut trail: Vec<(usize, usize)> = vec![(start, 0)];
        if !enter(&mut marks, start) {
            continue;
        }
        while let Some((task, next)) = trail.last_mut() {
            let Some(need) = needs_of(tasks, *task).get(*next) else {
                set(&mut marks, *task, Mark::Done);
                trail.pop();
                continue;
            };
            *next += 1;
            let need = need.index();
            if enter(&mut marks, need) {
                trail.push((need, 0));
            } else if marks.get(need) == Some(&Mark::Open) {
                report(&trail, need, draft, faults);
                found += 1;
                if found >= CYCLES_MAX {
                    return;
                }
            }
        }
    }
}

/// Whether the task was new; it is open now.
fn enter(marks: &mut [Mark], task: usize) -> bool {
    match marks.get_mut(task) {
        Some(mark @ Mark::New) => {
            *mark = Mark::Open;
            true
        }
        Some(Mark::Open | Mark::Done) | None => false,
    }
}

fn set(marks: &mut [Mark], task: usize, to: Mark) {
    if let Some(mark) = marks.get_mut(task) {
        *mark = to;
    }
}

/// The most cycles that are reported.
const CYCLES_MAX: usize = 20;
/// The most keys of a cycle that are shown.
const CYCLE_KEYS_MAX: usize = 12;

fn report(trail: &[(usize, usize)], back: usize, draft: &Draft<'_, '_>, faults: &mut Faults) {
    let circle = trail.iter().skip_while(|(task, _)| *task != back);
    let mut keys: Vec<&str> = circle
        .clone()
        .filter_map(|(task, _)| draft.plan.tasks.get(*task))
        .map(|task| task.key.as_str())
        .collect();
    let length = keys.len();
    keys.truncate(CYCLE_KEYS_MAX);
    let more = if length > keys.len() { " -> …" } else { "" };
    let first = keys.first().copied().unwrap_or_default();
    let message = format!(
        "these tasks wait for one another: {}{more} -> {first} (each needs the next)",
        keys.join(" -> ")
    );
    let Some(source) = draft.sources.get(back) else {
        return;
    };
    let place = source.needs.map_or(source.place, |node| node.place);
    let (stage, index) = source.at;
    let path = format!("stages[{stage}].tasks[{index}].needs");
    faults.add(place, &path, message).help("remove one of these needs");
}

/// A question: has `named` surely ended when `task` starts?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Who reads.
    pub task: Ordinal,
    /// What is read.
    pub named: Ordinal,
}

/// For each question whether the answer is yes; `None` when the search was given up.
pub(crate) fn ended_before(tasks: &[TaskPlan], questions: &[Question]) -> Vec<Option<bool>> {
    let mut answers: Vec<Option<bool>> = Vec::with_capacity(questions.len());
    let mut far: HashMap<Ordinal, Vec<usize>> = HashMap::new();
    for (index, question) in questions.iter().enumerate() {
        let answer = look_near(tasks, *question);
        if answer.is_none() {
            far.entry(question.named).or_default().push(index);
        }
        answers.push(answer);
    }
    if far.is_empty() {
        return answers;
    }
    let dependents = Dependents::of(tasks);
    let mut steps = FAR_STEPS_MAX;
    for (named, asked) in far {
        let Some(after) = dependents.after(tasks, named, &mut steps) else {
            continue;
        };
        for index in asked {
            let reader = questions.get(index).map(|question| question.task.index());
            let ended = reader.and_then(|reader| after.get(reader)).copied();
            if let Some(answer) = answers.get_mut(index) {
                *answer = ended;
            }
        }
    }
    answers
}

/// Whether a barrier alone puts `named` before `task`.
fn behind_barrier(tasks: &[TaskPlan], task: usize, named: &TaskPlan) -> bool {
    let task = tasks.get(task);
    task.is_some_and(|task| task.needs.is_none() && named.stage < task.stage)
}

fn look_near(tasks: &[TaskPlan], question: Question) -> Option<bool> {
    let named = tasks.get(question.named.index())?;
    let mut queue = vec![question.task.index()];
    let mut at = 0;
    while let Some(task) = queue.get(at).copied() {
        if behind_barrier(tasks, task, named) {
            return Some(true);
        }
        let needs = needs_of(tasks, task);
        if needs.binary_search(&question.named).is_ok() {
            return Some(true);
        }
        for need in needs {
            if !queue.contains(&need.index()) {
                queue.push(need.index());
            }
            if queue.len() > NEAR_TASKS_MAX {
                return None;
            }
        }
        at += 1;
    }
    Some(false)
}

/// Who needs whom, the other way round, in two flat lists.
struct Dependents {
    starts: Vec<usize>,
    tasks: Vec<u32>,
}

impl Dependents {
    fn of(tasks: &[TaskPlan]) -> Self {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (task, number) in tasks.iter().zip(0_u32..) {
            for need in task.needs.iter().flatten() {
                pairs.push((need.0, number));
            }
        }
        pairs.sort_unstable();
        let mut starts = Vec::with_capacity(tasks.len() + 1);
        for (number, _) in (0_u32..).zip(0..=tasks.len()) {
            starts.push(pairs.partition_point(|(need, _)| *need < number));
        }
        let tasks = pairs.into_iter().map(|(_, task)| task).collect();
        Self { starts, tasks }
    }

    /// For every task whether it starts only after `named` has ended.
    fn after(&self, tasks: &[TaskPlan], named: Ordinal, steps: &mut usize) -> Option<Vec<bool>> {
        let origin = tasks.get(named.index())?;
        *steps = steps.checked_sub(tasks.len())?;
        let barrier = tasks.iter().enumerate().map(|(task, _)| behind_barrier(tasks, task, origin));
        let mut after: Vec<bool> = barrier.collect();
        let seeds = after.iter().enumerate().filter(|(_, after)| **after);
        let mut stack: Vec<usize> = seeds.map(|(task, _)| task).collect();
        stack.push(named.index());
        while let Some(task) = stack.pop() {
            let from = self.starts.get(task).copied()?;
            let to = self.starts.get(task + 1).copied()?;
            for dependent in self.tasks.get(from..to)? {
                *steps = steps.checked_sub(1)?;
                if let Some(seen @ false) = after.get_mut(*dependent as usize) {
                    *seen = true;
                    stack.push(*dependent as usize);
                }
            }
        }
        Some(after)
    }
}
