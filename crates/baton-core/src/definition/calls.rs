//! Calls: whether tools exist, what they may do, and whether inputs fit what is called.
//!
//! Values with templates are checked for presence only: what they yield is known at run time.

use std::collections::HashMap;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use super::draft::{CallOf, CallSite, Draft};
use super::fault::Faults;
use super::inputs;
use super::suggest;
use super::tree::{Node, Tree, shorten};
use crate::plan::{Catalog, TaskPlan, ToolCall, ToolSpec, Work};
use crate::program::scan;
use crate::words::{Effect, Permission};

/// Checks every call of a draft, and enters what the registry says of its tools.
pub(crate) fn check(draft: &mut Draft<'_, '_>, catalog: &dyn Catalog, faults: &mut Faults) {
    let mut tasks = std::mem::take(&mut draft.plan.tasks);
    for (index, task) in tasks.iter_mut().enumerate() {
        let mut task_check = TaskCheck { draft, index, catalog, faults };
        task_check.permission(task);
        task_check.tools(task);
    }
    draft.plan.tasks = tasks;
    let mut validators: HashMap<CallOf<'_>, Option<Validator>> = HashMap::new();
    for call in &draft.calls {
        let schema = match &call.of {
            CallOf::Tool(name) => catalog.tool(name).map(|spec| &spec.input),
            CallOf::Child(task) => child_inputs(draft, *task),
            CallOf::Trigger => draft.plan.inputs.as_ref(),
        };
        let Some(schema) = schema else { continue };
        let validator = validators
            .entry(call.of.clone())
            .or_insert_with(|| inputs::validator(&relaxed(schema, &call.of)).ok());
        if let Some(validator) = validator {
            fits(call, schema, validator, faults);
        }
    }
}

fn child_inputs<'d>(draft: &'d Draft<'_, '_>, task: usize) -> Option<&'d Value> {
    match &draft.plan.tasks.get(task)?.work {
        Work::Workflow(child) => child.plan.inputs.as_ref(),
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Worker(_)
        | Work::Agent(_) => None,
    }
}

/// A child's inputs as they may be given: defaults fill what is missing, others are refused.
fn relaxed(schema: &Value, of: &CallOf<'_>) -> Value {
    match of {
        CallOf::Tool(_) => schema.clone(),
        CallOf::Child(_) | CallOf::Trigger => inputs::as_given(schema),
    }
}

struct TaskCheck<'c, 't, 's> {
    draft: &'c Draft<'t, 's>,
    index: usize,
    catalog: &'c dyn Catalog,
    faults: &'c mut Faults,
}

impl TaskCheck<'_, '_, '_> {
    /// A fault of a field of the task, at the field if the walk kept it, else at the task.
    fn add(&mut self, field: &str, message: String, help: Option<String>) {
        let Some(source) = self.draft.sources.get(self.index) else {
            return;
        };
        let (stage, index) = source.at;
        let path = format!("stages[{stage}].tasks[{index}].{field}");
        let fields = source.node.map().unwrap_or(&[]);
        let entry = fields.iter().find(|entry| entry.key == field);
        let place = entry.map_or(source.place, |entry| entry.node.place);
        let fault = self.faults.add(place, &path, message);
        if let Some(help) = help {
            fault.help(help);
        }
    }

    fn permission(&mut self, task: &TaskPlan) {
        let most = self.catalog.permission_max();
        if task.permission > most {
            let message = format!(
                "the permission `{}` is above `{most}`, the highest that is allowed here",
                task.permission
            );
            let help = "ask for less, or allow more in the configuration".to_owned();
            self.add("permission", message, Some(help));
        }
    }

    fn tools(&mut self, task: &mut TaskPlan) {
        let permission = task.permission;
        if let Work::Tool(call) = &mut task.work
            && !call.tool.is_empty()
        {
            self.tool("tool", call, permission);
        }
        for (number, call) in task.fallback.iter_mut().enumerate() {
            self.tool(&format!("fallback[{number}].tool"), call, permission);
        }
        let Some(probe) = &mut task.probe else { return };
        if let Some(spec) = self.tool("probe.tool", &mut probe.call, permission)
            && spec.effect != Effect::Read
        {
            let message = format!(
                "a probe only looks, and `{}` is of the effect `{}`",
                spec.name, spec.effect
            );
            let help = "probe with a tool of the effect `read`".to_owned();
            self.add("probe", message, Some(help));
        }
    }

    fn tool(
        &mut self,
        field: &str,
        call: &mut ToolCall,
        permission: Permission,
    ) -> Option<ToolSpec> {
        let Some(spec) = self.catalog.tool(&call.tool).cloned() else {
            let shown = shorten(&call.tool);
            if let Some(trouble) = self.catalog.tool_trouble(&call.tool) {
                self.add(field, format!("the tool `{shown}` is not at hand: {trouble}"), None);
                return None;
            }
            let message = format!("there is no tool `{shown}`");
            let hints = self.faults.hints();
            let help = hints.then(|| suggest::hint(&call.tool, self.catalog.tool_names()));
            let help = help.flatten();
            self.add(field, message, help);
            return None;
        };
        call.effect = spec.effect;
        if spec.permission > permission {
            let message = format!(
                "`{}` needs the permission `{}`, and the task has `{permission}`",
                spec.name, spec.permission
            );
            let help = format!("add `permission: {}` to the task", spec.permission);
            self.add(field, message, Some(help));
        }
        Some(spec)
    }
}

/// Compares a call's input with the schema of what is called.
fn fits(call: &CallSite<'_, '_>, schema: &Value, validator: &Validator, faults: &mut Faults) {
    let empty = Value::Object(serde_json::Map::new());
    let with = call.with.map_or(empty, Node::to_json);
    if !with.is_object() {
        return;
    }
    for error in validator.iter_errors(&with) {
        let pointer = error.instance_path().as_str();
        let steps = pointer.split('/').skip(1);
        let steps: Vec<String> =
            steps.map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        let misfit = Misfit {
            call,
            schema,
            found: call.with.and_then(|node| descend(node, &steps)),
            path: path_of(call, &steps),
            is_top: steps.is_empty(),
        };
        if let ValidationErrorKind::Required { property } = error.kind() {
            misfit.missing(property.as_str().unwrap_or_default(), faults);
        } else if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
            for name in unexpected {
                misfit.unexpected(name, faults);
            }
        } else if !misfit.found.is_some_and(holds_template) {
            // What a template yields is not known yet: only values without one are refused.
            let place = misfit.found.map_or(call.place, |node| node.place);
            let message = format!("{} refuses this: {error}", whose(call));
            faults.add(place, &misfit.path, message);
        }
    }
}

/// An input, or a part of one, that does not fit.
struct Misfit<'m, 't, 's> {
    call: &'m CallSite<'t, 's>,
    schema: &'m Value,
    /// `None` where nothing is written.
    found: Option<&'t Node<'s>>,
    path: String,
    is_top: bool,
}

impl Misfit<'_, '_, '_> {
    fn missing(&self, name: &str, faults: &mut Faults) {
        let entries = self.found.and_then(Node::map);
        let first = entries.and_then(|entries| entries.first());
        let place = first.map_or(self.call.place, |entry| entry.place);
        let message = format!("`{name}` is missing, which {} needs", whose(self.call));
        let fault = faults.add(place, &self.path, message);
        if let (true, Some(help)) = (self.is_top, described(self.schema, name)) {
            fault.help(help);
        }
    }

    fn unexpected(&self, name: &str, faults: &mut Faults) {
        let entries = self.found.and_then(Node::map).unwrap_or(&[]);
        let entry = entries.iter().find(|entry| entry.key == name);
        let place = entry.map_or(self.call.place, |entry| entry.place);
        let message = format!("{} does not take `{}`", whose(self.call), shorten(name));
        let fault = faults.add(place, &format!("{}.{name}", self.path), message);
        if let (true, Some(help)) = (self.is_top, takes(self.schema, name)) {
            fault.help(help);
        }
    }
}

fn whose(call: &CallSite<'_, '_>) -> String {
    match &call.of {
        CallOf::Tool(name) => format!("`{name}`"),
        CallOf::Child(_) => "the child workflow".to_owned(),
        CallOf::Trigger => "this definition".to_owned(),
    }
}

fn path_of(call: &CallSite<'_, '_>, steps: &[String]) -> String {
    let field = match call.of {
        CallOf::Tool(_) | CallOf::Child(_) => "with",
        CallOf::Trigger => "inputs",
    };
    let mut path = format!("{}.{field}", call.path);
    for step in steps {
        match step.parse::<usize>() {
            Ok(index) => path.push_str(&format!("[{index}]")),
            Err(_) => path.push_str(&format!(".{step}")),
        }
    }
    path
}

fn descend<'n, 's>(node: &'n Node<'s>, steps: &[String]) -> Option<&'n Node<'s>> {
    let mut node = node;
    for step in steps {
        node = match &node.value {
            Tree::Map(entries) => &entries.iter().find(|entry| entry.key == step.as_str())?.node,
            Tree::List(items) => items.get(step.parse::<usize>().ok()?)?,
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => return None,
        };
    }
    Some(node)
}

fn holds_template(node: &Node<'_>) -> bool {
    match &node.value {
        Tree::Text(text) => scan::is_template(text),
        Tree::List(items) => items.iter().any(holds_template),
        Tree::Map(entries) => entries.iter().any(|entry| holds_template(&entry.node)),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) => false,
    }
}

fn described(schema: &Value, name: &str) -> Option<String> {
    let property = schema.get("properties")?.get(name)?;
    let text = property.get("description").or_else(|| property.get("title"))?;
    Some(format!("`{name}`: {}", text.as_str()?))
}

fn takes(schema: &Value, name: &str) -> Option<String> {
    let known = schema.get("properties")?.as_object()?;
    suggest::hint(name, known.keys().map(String::as_str))
}
