//! What templates and expressions say: whether they compile, and whether what they name is there.
//!
//! It decides before a run what would otherwise fail in the middle of one.

use std::ops::Range;

use serde_json::Value;

use super::draft::{Draft, Site, SiteKind};
use super::fault::{Faults, Found};
use super::graph::{self, Question};
use super::suggest;
use super::tree::{Place, shorten};
use crate::ids::Ordinal;
use crate::program::check;
use crate::program::limits::FUNCTIONS;
use crate::program::scan::{Reference, Step};

/// Checks every template and expression of a draft whose needs are resolved.
pub(crate) fn check(source: &str, draft: &Draft<'_, '_>, faults: &mut Faults) {
    let mut asked: Vec<(Question, &Site<'_, '_>, Range<usize>)> = Vec::new();
    let mut words = check::Words::default();
    for site in &draft.sites {
        let text = site.node.text().unwrap_or_default();
        let checked = if site.is_expression {
            check::check_expression(text, &mut words)
        } else {
            check::check(text, &mut words)
        };
        match checked {
            Err(bad) => {
                let what = if site.is_expression { "expression" } else { "template" };
                let message = format!("this {what} cannot be read: {}", bad.message);
                add(source, site, bad.range.as_ref(), message, faults);
            }
            Ok(references) => {
                let mut explained = 0;
                for reference in references {
                    if reference.range.start < explained {
                        continue;
                    }
                    let mut check = Check { source, draft, site, faults, is_subtraction: false };
                    if let Some(question) = check.reference(&reference) {
                        asked.push((question, site, reference.range.clone()));
                    }
                    if check.is_subtraction {
                        explained = reference.range.end + reference.tail.len();
                    }
                }
            }
        }
    }
    order(source, draft, &asked, faults);
}

/// Asks whether what is named has surely ended.
fn order(
    source: &str,
    draft: &Draft<'_, '_>,
    asked: &[(Question, &Site<'_, '_>, Range<usize>)],
    faults: &mut Faults,
) {
    let questions: Vec<Question> = asked.iter().map(|(question, ..)| *question).collect();
    let answers = graph::ended_before(&draft.plan.tasks, &questions);
    for ((question, site, range), answer) in asked.iter().zip(answers) {
        if answer == Some(true) {
            continue;
        }
        let key = |ordinal: Ordinal| draft.plan.task(ordinal).map_or("", |task| &task.key);
        let (reader, named) = (key(question.task), key(question.named));
        let message = match answer {
            Some(_) => format!("`{named}` may not have ended when `{reader}` starts"),
            None => format!("`{named}` is too far from `{reader}` to tell that it has ended"),
        };
        let later = draft.plan.task(question.named).map(|task| task.stage)
            > draft.plan.task(question.task).map(|task| task.stage);
        let help = if later {
            format!("`{named}` is of a later stage; move `{reader}` behind it")
        } else {
            format!("add `{named}` to `needs` of `{reader}`")
        };
        add(source, site, Some(range), message, faults).help(help);
    }
}

struct Check<'c, 't, 's> {
    source: &'c str,
    draft: &'c Draft<'t, 's>,
    site: &'c Site<'t, 's>,
    faults: &'c mut Faults,
    /// Whether the names after the reference belong to a key with dashes.
    is_subtraction: bool,
}

impl Check<'_, '_, '_> {
    fn add(&mut self, range: &Range<usize>, message: String) -> &mut Found {
        add(self.source, self.site, Some(range), message, self.faults)
    }

    fn reference(&mut self, reference: &Reference) -> Option<Question> {
        if let SiteKind::OnEvent | SiteKind::OnSchedule = self.site.kind {
            self.occasion(reference);
            return None;
        }
        match reference.root.as_str() {
            "tasks" => return self.task(reference),
            "inputs" => self.input(reference),
            "workflow" => self.fields(reference, &["id", "name", "run"]),
            name @ ("item" | "index") => self.item(reference, name),
            "event" if self.site.kind == SiteKind::Event => {}
            "output" if self.site.kind == SiteKind::Probe => {}
            "event" => self.only(reference, "`event` is known in `wait.when` only"),
            "output" => {
                self.only(reference, "`output` alone is known in `probe.happened` only");
            }
            name if FUNCTIONS.contains(&name) => {}
            _ => self.unknown(reference),
        }
        None
    }

    /// Checks what a trigger reads: the workflow whose names the others are does not exist yet.
    fn occasion(&mut self, reference: &Reference) {
        let known = match self.site.kind {
            SiteKind::OnSchedule => "schedule",
            SiteKind::OnEvent
            | SiteKind::Task
            | SiteKind::Each
            | SiteKind::Event
            | SiteKind::Probe
            | SiteKind::Output => "event",
        };
        let root = reference.root.as_str();
        if root == "schedule" && known == root {
            self.fields(reference, &["due"]);
        } else if root != known && !FUNCTIONS.contains(&root) {
            let message = format!("the name `{}` is not known here", shorten(root));
            let help = format!("this trigger knows `{known}` and nothing else");
            self.add(&reference.range, message).help(help);
        }
    }

    fn only(&mut self, reference: &Reference, message: &str) {
        let help = match reference.root.as_str() {
            "output" => "a task's output is `tasks.KEY.output`",
            _ => "wait for the event with `wait: { event: … }`; its task's output is the event",
        };
        self.add(&reference.range, message.to_owned()).help(help);
    }

    fn item(&mut self, reference: &Reference, name: &str) {
        let each = self.task_plan().is_some_and(|task| task.each.is_some());
        if each && self.site.kind != SiteKind::Each {
            return;
        }
        let message = if each {
            format!("`{name}` is not known in `each` itself")
        } else {
            format!("`{name}` is known in tasks with `each` only")
        };
        let help = format!("add `each`, or remove `{name}`");
        self.add(&reference.range, message).help(help);
    }

    fn task_plan(&self) -> Option<&crate::plan::TaskPlan> {
        self.draft.plan.tasks.get(self.site.task?)
    }

    fn unknown(&mut self, reference: &Reference) {
        let mut known = vec!["inputs", "tasks", "workflow"];
        let each = self.task_plan().is_some_and(|task| task.each.is_some());
        match self.site.kind {
            SiteKind::Event => known.push("event"),
            SiteKind::Probe => known.push("output"),
            SiteKind::Task if each => known.extend(["item", "index"]),
            SiteKind::Task
            | SiteKind::Each
            | SiteKind::Output
            | SiteKind::OnEvent
            | SiteKind::OnSchedule => {}
        }
        let name = shorten(&reference.root).into_owned();
        let is_input = self.declared_input(&name);
        let is_task = self.draft.keys.contains_key(name.as_str());
        let hint = if is_input {
            Some(format!("did you mean `inputs.{name}`?"))
        } else if is_task {
            Some(format!("did you mean `tasks.{name}.output`?"))
        } else {
            suggest::hint(&name, known)
        };
        let fault = self.add(&reference.range, format!("the name `{name}` is not known here"));
        if let Some(hint) = hint {
            fault.help(hint);
        }
    }

    fn declared_input(&self, name: &str) -> bool {
        properties(self.draft).is_some_and(|known| known.contains_key(name))
    }

    fn input(&mut self, reference: &Reference) {
        let Some(known) = properties(self.draft) else {
            return;
        };
        if reference.dynamic && reference.steps.is_empty() {
            return;
        }
        let Some(Step::Key(key)) = reference.steps.first() else {
            return;
        };
        if known.contains_key(&**key) {
            return;
        }
        let dashed = format!("{key}{}", reference.tail);
        let fault = if !reference.tail.is_empty() && known.contains_key(&dashed) {
            let message = format!("`inputs.{dashed}` is a subtraction");
            let hint = format!("write it `inputs[\"{dashed}\"]`");
            self.is_subtraction = true;
            (message, Some(hint))
        } else {
            let message = format!("the input `{}` is not declared", shorten(key));
            let hint = suggest::hint(key, known.keys().map(String::as_str));
            (message, hint)
        };
        let (message, hint) = fault;
        let help = hint.unwrap_or_else(|| format!("declare it under `inputs.properties.{key}`"));
        self.add(&reference.range, message).help(help);
    }

    fn fields(&mut self, reference: &Reference, known: &[&str]) {
        if let Some(Step::Key(key)) = reference.steps.first()
            && !known.contains(&&**key)
        {
            let message = format!("`{}` has no `{}`", reference.root, shorten(key));
            let hint = suggest::hint(key, known.iter().copied());
            let fault = self.add(&reference.range, message);
            if let Some(hint) = hint {
                fault.help(hint);
            }
        }
    }

    fn task(&mut self, reference: &Reference) -> Option<Question> {
        let Some(Step::Key(key)) = reference.steps.first() else {
            let message = if reference.dynamic {
                "the task that is read must be written out"
            } else {
                "`tasks` must be followed by the key of a task"
            };
            let fault = self.add(&reference.range, message.to_owned());
            fault.help("write it like `tasks.KEY.output` or `tasks[\"KEY\"].output`");
            return None;
        };
        let dashed = format!("{key}{}", reference.tail);
        if !reference.tail.is_empty() && reference.steps.len() == 1 {
            let message = format!("`tasks.{dashed}` is a subtraction");
            let help = format!("write it `tasks[\"{dashed}\"]`");
            self.is_subtraction = true;
            self.add(&reference.range, message).help(help);
            return None;
        }
        let Some(named) = self.draft.keys.get(&**key) else {
            let with_hints = self.faults.hints();
            let message = format!("there is no task `{}`", shorten(key));
            let keys = self.draft.plan.tasks.iter().map(|task| task.key.as_str());
            let near = with_hints.then(|| suggest::nearest(key, keys)).flatten();
            let near = near.map(str::to_owned);
            let fault = self.add(&reference.range, message);
            if let Some(near) = near {
                fault.help(format!("did you mean `{near}`?"));
            }
            return None;
        };
        if let Some(Step::Key(field)) = reference.steps.get(1)
            && !matches!(&**field, "output" | "status")
        {
            let message = format!("a task has no `{}`", shorten(field));
            let help = format!("did you mean `tasks.{key}.output.{field}`?");
            self.add(&reference.range, message).help(help);
        }
        let reader = u32::try_from(self.site.task?).ok().map(Ordinal)?;
        if reader == *named {
            let message = format!("`{key}` reads itself");
            self.add(&reference.range, message);
            return None;
        }
        Some(Question { task: reader, named: *named })
    }
}

fn properties<'d>(draft: &'d Draft<'_, '_>) -> Option<&'d serde_json::Map<String, Value>> {
    let inputs = draft.plan.inputs.as_ref()?;
    if inputs.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false)) {
        return None;
    }
    inputs.get("properties")?.as_object()
}

/// Adds a fault inside of a text, as near to its place as the source allows.
fn add<'f>(
    source: &str,
    site: &Site<'_, '_>,
    range: Option<&Range<usize>>,
    message: String,
    faults: &'f mut Faults,
) -> &'f mut Found {
    let text = site.node.text().unwrap_or_default();
    let inside = range.and_then(|range| locate(source, site.node.place, text, range));
    let place = inside.unwrap_or(site.node.place);
    let message = match (inside, range.and_then(|range| text.get(..range.start))) {
        (None, Some(before)) if !before.is_empty() => {
            let at = before.chars().count() + 1;
            format!("{message} (at character {at} of the text)")
        }
        _ => message,
    };
    faults.add(place, &site.path, message)
}

/// Where a range of a scalar's value stands in the source: found when the line of the value it is
/// on stands there unescaped and once.
fn locate(source: &str, place: Place, text: &str, range: &Range<usize>) -> Option<Place> {
    let start = text.get(..range.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.lines().next()?;
    let written = source.get(place.start as usize..place.end as usize)?;
    let at = written.find(line)?;
    if line.is_empty() || written.rfind(line) != Some(at) {
        return None;
    }
    let from = place.start as usize + at + (range.start - start);
    let to = from + range.len().min(line.len().saturating_sub(range.start - start));
    source.get(from..to)?;
    Some(Place::new(from, to))
}
