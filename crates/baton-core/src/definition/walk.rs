//! From the tree to a draft of the plan: shapes, types and vocabularies of every field.
//!
//! What fields mean to one another (needs, tools, names in templates) is checked afterwards, on the
//! draft.

use std::collections::HashSet;

use serde_json::Value;

use super::draft::{Draft, Site, SiteKind};
use super::fault::{Faults, Path};
use super::fields::{At, Fields};
use super::suggest;
use super::task;
use super::tree::{Node, Tree, shorten};
use super::triggers;
use crate::plan::{Budget, Catalog, Milestone, PLAN_TASKS_MAX, Plan, Stage};
use crate::program::scan;
use crate::time::Span;
use crate::words::ProgressMethod;

/// The longest a name or key may be, in characters.
pub const NAME_CHARS_MAX: usize = 64;

pub(crate) const ROOT_FIELDS: [&str; 11] = [
    "name",
    "version",
    "description",
    "playbook",
    "inputs",
    "budget",
    "progress",
    "stages",
    "plan_b",
    "output",
    "triggers",
];
pub(crate) const STAGE_FIELDS: [&str; 4] = ["name", "weight", "milestones", "tasks"];
pub(crate) const MILESTONE_FIELDS: [&str; 3] = ["id", "title", "tasks"];
pub(crate) const BUDGET_FIELDS: [&str; 5] = ["tokens", "usd", "time", "calls", "at_limit"];
pub(crate) const PLAYBOOK_FIELDS: [&str; 1] = ["examples"];

/// What a walk needs besides the tree.
pub(crate) struct Walk<'w> {
    pub faults: &'w mut Faults,
    pub catalog: &'w dyn Catalog,
}

/// Reads the whole definition. `None` when it is not even an object.
pub(crate) fn definition<'t, 's>(node: &'t Node<'s>, walk: &mut Walk<'_>) -> Option<Draft<'t, 's>> {
    let root = Path::Root;
    let fields = Fields::of(node, &root, &ROOT_FIELDS, walk.faults)?;
    let mut draft = Draft::new(head(&fields, walk.faults));
    refuse_root(&fields, walk.faults);
    if let Some(inputs) = fields.get("inputs") {
        super::inputs::check_schema(&inputs, walk.faults);
        draft.inputs = Some(inputs.node);
        draft.plan.inputs = Some(inputs.node.to_json());
    }
    if let Some(stages) = fields.required("stages", walk.faults) {
        read_stages(&stages, &mut draft, walk);
    }
    if let Some(output) = fields.get("output") {
        draft.sites_of(&output, None, SiteKind::Output);
        draft.plan.output = Some(output.node.to_json());
    }
    if let Some(list) = fields.get("triggers") {
        draft.plan.triggers = triggers::read(&list, &mut draft, walk.faults);
    }
    Some(draft)
}

fn head(fields: &Fields<'_, '_, '_>, faults: &mut Faults) -> Plan {
    let name = fields.required("name", faults);
    let name = name.and_then(|at| name_text(&at, "name", faults));
    let version = fields.get("version");
    let version = version.and_then(|at| at.integer(1..=u32::MAX, faults));
    let description = fields.get("description");
    let description = description.and_then(|at| at.text(faults));
    let progress = fields.get("progress");
    let progress = progress.and_then(|at| at.word::<ProgressMethod>(faults));
    let (time_max, budget) = budget(fields, faults);
    Plan {
        name: name.unwrap_or_default().to_owned(),
        version: version.unwrap_or(1),
        description: description.map(str::to_owned),
        examples: examples(fields, faults),
        inputs: None,
        time_max,
        budget,
        progress: progress.unwrap_or(ProgressMethod::AgentBased),
        stages: Vec::new(),
        tasks: Vec::new(),
        output: None,
        triggers: Vec::new(),
    }
}

fn examples(fields: &Fields<'_, '_, '_>, faults: &mut Faults) -> Vec<String> {
    let Some(at) = fields.get("playbook") else { return Vec::new() };
    let inner = Fields::of(at.node, &at.path, &PLAYBOOK_FIELDS, faults);
    let texts = inner.and_then(|inner| inner.get("examples")?.texts(faults));
    texts.into_iter().flatten().map(|(text, _)| text.to_owned()).collect()
}

fn budget(fields: &Fields<'_, '_, '_>, faults: &mut Faults) -> (Option<Span>, Budget) {
    let none = (None, Budget::default());
    let Some(at) = fields.get("budget") else { return none };
    let Some(inner) = Fields::of(at.node, &at.path, &BUDGET_FIELDS, faults) else { return none };
    let tokens = inner.get("tokens").and_then(|at| at.whole(1..=u64::MAX, faults));
    let cost = inner.get("usd").and_then(|at| at.cost(faults));
    let calls = inner.get("calls").and_then(|at| at.integer(1..=u32::MAX, faults));
    let at_limit = inner.get("at_limit").and_then(|at| at.word(faults));
    let time = inner.get("time").and_then(|at| task::positive(&at, faults));
    let budget = Budget {
        tokens_max: tokens,
        cost_max: cost,
        calls_max: calls,
        at_limit: at_limit.unwrap_or_default(),
    };
    (time, budget)
}

fn refuse_root(fields: &Fields<'_, '_, '_>, faults: &mut Faults) {
    if let Some(entry) = fields.entry("plan_b") {
        unsupported(entry, fields.path, "plans B are", faults);
    }
}

/// The fault of a field that belongs to the contract and is not there yet.
pub(crate) fn unsupported(
    entry: &super::tree::Entry<'_>,
    parent: &Path<'_>,
    what: &str,
    faults: &mut Faults,
) {
    let message = format!("{what} not supported by this version of Baton");
    let path = parent.field(&entry.key);
    faults.add(entry.place, &path, message).help(format!("remove `{}`", entry.key));
}

/// A name: letters, digits, `_`, `-` and `.`.
fn name_text<'t>(at: &At<'t, '_, '_>, what: &str, faults: &mut Faults) -> Option<&'t str> {
    let text = at.text(faults)?;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.');
    if text.is_empty() || text.chars().count() > NAME_CHARS_MAX || !text.chars().all(fits) {
        let message = format!("`{}` is not a {what}", shorten(text));
        let help = format!("use 1 to {NAME_CHARS_MAX} of the characters A-Z a-z 0-9 _ - .");
        faults.add(at.node.place, &at.path, message).help(help);
        return None;
    }
    Some(text)
}

/// A key: what templates name, `[A-Za-z_][A-Za-z0-9_-]*`.
pub(crate) fn key_text<'t>(at: &At<'t, '_, '_>, faults: &mut Faults) -> Option<&'t str> {
    let text = at.text(faults)?;
    let starts = text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !starts || text.chars().count() > NAME_CHARS_MAX || !text.chars().all(fits) {
        let message = format!("`{}` is not a key", shorten(text));
        let help = format!(
            "use a letter or `_`, then letters, digits, `_` and `-`; at most {NAME_CHARS_MAX} characters"
        );
        faults.add(at.node.place, &at.path, message).help(help);
        return None;
    }
    Some(text)
}

fn read_stages<'t, 's>(stages: &At<'t, 's, '_>, draft: &mut Draft<'t, 's>, walk: &mut Walk<'_>) {
    let Some(list) = stages.list(walk.faults) else {
        return;
    };
    if list.is_empty() {
        let message = "there must be at least one stage";
        walk.faults.add(stages.node.place, &stages.path, message);
    }
    for (index, node) in list.iter().enumerate() {
        read_stage(node, &stages.path.index(index), draft, walk);
    }
}

fn read_stage<'t, 's>(
    node: &'t Node<'s>,
    path: &Path<'_>,
    draft: &mut Draft<'t, 's>,
    walk: &mut Walk<'_>,
) {
    let Some(fields) = Fields::of(node, path, &STAGE_FIELDS, walk.faults) else {
        return;
    };
    let name = fields.required("name", walk.faults);
    let name = name.and_then(|at| {
        let text = at.text(walk.faults)?;
        let double = !draft.stage_names.insert(text);
        if text.is_empty() || double {
            let message = match text {
                "" => "a stage needs a name".to_owned(),
                text => format!("the stage `{}` is there twice", shorten(text)),
            };
            walk.faults.add(at.node.place, &at.path, message);
        }
        Some(text)
    });
    let weight = fields.get("weight");
    let weight = weight.and_then(|at| at.integer(1..=u32::MAX, walk.faults));
    let stage = u32::try_from(draft.plan.stages.len()).unwrap_or(u32::MAX);
    draft.plan.stages.push(Stage {
        name: name.unwrap_or_default().to_owned(),
        weight: weight.unwrap_or(1),
        milestones: Vec::new(),
    });
    if let Some(tasks) = fields.required("tasks", walk.faults) {
        read_tasks(&tasks, stage, draft, walk);
    }
    if let Some(milestones) = fields.get("milestones") {
        draft.milestones.push((stage, milestones.node));
    }
}

fn read_tasks<'t, 's>(
    tasks: &At<'t, 's, '_>,
    stage: u32,
    draft: &mut Draft<'t, 's>,
    walk: &mut Walk<'_>,
) {
    let Some(list) = tasks.list(walk.faults) else {
        return;
    };
    if list.is_empty() {
        let message = "a stage must have at least one task";
        walk.faults.add(tasks.node.place, &tasks.path, message);
    }
    for (index, node) in list.iter().enumerate() {
        if draft.plan.tasks.len() >= PLAN_TASKS_MAX {
            let message = format!("a plan may have at most {PLAN_TASKS_MAX} tasks");
            let fault = walk.faults.add(node.place, &tasks.path, message);
            fault.help("fan out with `each`, or split it into child workflows");
            return;
        }
        task::read(node, &tasks.path.index(index), (stage, index), draft, walk);
    }
}

/// Resolves the milestones of a draft whose tasks are all known.
pub(crate) fn milestones(draft: &mut Draft<'_, '_>, faults: &mut Faults) {
    let mut ids: HashSet<&str> = HashSet::new();
    for (stage, node) in std::mem::take(&mut draft.milestones) {
        let (root, index) = (Path::Root, stage as usize);
        let (stages, of_stage) = (root.field("stages"), index);
        let of_stage = stages.index(of_stage);
        let path = of_stage.field("milestones");
        let Some(list) = (At { node, path }).list(faults) else {
            continue;
        };
        for (number, node) in list.iter().enumerate() {
            let path = path.index(number);
            let Some(milestone) = read_milestone(node, &path, draft, &mut ids, faults) else {
                continue;
            };
            if let Some(stage) = draft.plan.stages.get_mut(index) {
                stage.milestones.push(milestone);
            }
        }
    }
}

fn read_milestone<'t>(
    node: &'t Node<'_>,
    path: &Path<'_>,
    draft: &Draft<'_, '_>,
    ids: &mut HashSet<&'t str>,
    faults: &mut Faults,
) -> Option<Milestone> {
    let fields = Fields::of(node, path, &MILESTONE_FIELDS, faults)?;
    let id = fields.required("id", faults);
    let id = id.and_then(|at| {
        let id = key_text(&at, faults)?;
        if !ids.insert(id) {
            let message = format!("the milestone `{id}` is there twice");
            faults.add(at.node.place, &at.path, message);
        }
        Some(id)
    });
    let title = fields.get("title").and_then(|at| at.text(faults));
    let tasks = fields.required("tasks", faults)?;
    let mut ordinals = Vec::new();
    let list = tasks.list(faults)?;
    if list.is_empty() {
        let message = "a milestone must name at least one task";
        faults.add(tasks.node.place, &tasks.path, message);
    }
    for (index, node) in list.iter().enumerate() {
        let at = At { node, path: tasks.path.index(index) };
        let Some(key) = at.text(faults) else { continue };
        match draft.keys.get(key) {
            Some(ordinal) => ordinals.push(*ordinal),
            None => unknown_task(&at, key, draft, faults),
        }
    }
    ordinals.sort_unstable();
    ordinals.dedup();
    Some(Milestone { id: id?.to_owned(), title: title.unwrap_or(id?).to_owned(), tasks: ordinals })
}

/// The fault of a key that no task has.
pub(crate) fn unknown_task(
    at: &At<'_, '_, '_>,
    key: &str,
    draft: &Draft<'_, '_>,
    faults: &mut Faults,
) {
    let message = format!("there is no task `{}`", shorten(key));
    let with_hints = faults.hints();
    let fault = faults.add(at.node.place, &at.path, message);
    let keys = draft.plan.tasks.iter().map(|task| task.key.as_str());
    if with_hints && let Some(near) = suggest::nearest(key, keys) {
        fault.help(format!("did you mean `{near}`?"));
    }
}

impl<'t, 's> Draft<'t, 's> {
    /// Remembers every template in a value, for the checks of names.
    pub fn sites_of(&mut self, at: &At<'t, 's, '_>, task: Option<usize>, kind: SiteKind) {
        match &at.node.value {
            Tree::Text(text) if scan::is_template(text) => self.sites.push(Site {
                task,
                kind,
                node: at.node,
                path: at.path.to_string(),
                is_expression: false,
            }),
            Tree::List(items) => {
                for (index, node) in items.iter().enumerate() {
                    let path = at.path.index(index);
                    self.sites_of(&At { node, path }, task, kind);
                }
            }
            Tree::Map(entries) => {
                for entry in entries {
                    let path = at.path.field(&entry.key);
                    let node = &entry.node;
                    self.sites_of(&At { node, path }, task, kind);
                }
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => {}
        }
    }

    /// Remembers a bare expression.
    pub fn expression(&mut self, at: &At<'t, 's, '_>, task: Option<usize>, kind: SiteKind) {
        self.sites.push(Site {
            task,
            kind,
            node: at.node,
            path: at.path.to_string(),
            is_expression: true,
        });
    }
}

/// An object's JSON, or an empty object after a fault.
pub(crate) fn object(at: &At<'_, '_, '_>, faults: &mut Faults) -> Value {
    match at.map(faults) {
        Some(_) => at.node.to_json(),
        None => Value::Object(serde_json::Map::new()),
    }
}
