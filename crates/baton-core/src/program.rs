//! The compiled templates of a plan, and the rendering of one task at a time.
//!
//! Compiled once per plan; tasks without templates cost nothing but an empty slot. It evaluates on
//! the data it is handed and on nothing else: no clock, no files, no other tasks.

pub(crate) mod check;
mod compile;
mod filters;
mod json;
mod lex;
pub(crate) mod limits;
mod prepared;
pub(crate) mod scan;
mod scope;
mod template;
#[cfg(test)]
mod tests;
mod triggers;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use minijinja::Environment;
use serde_json::Value;

pub use limits::{FUEL_MAX, RENDER_BYTES_MAX, TEMPLATE_BYTES_MAX};
pub use prepared::{Call, Prepared, Rendered};
pub use scope::{Scope, TaskFacts, WorkflowFacts};

use crate::body::Json;
use crate::failure::CallFailure;
use crate::ids::Ordinal;
use crate::plan::{Plan, TaskPlan, ToolCall, WORKFLOW_TASKS_MAX, Wait, Work};
use crate::time::Timestamp;
use crate::words::FailureKind;
use compile::TaskForms;
use scope::View;
use template::{Expr, Form, render};
use triggers::TriggerForms;

/// A plan's templates, compiled.
pub struct Program {
    plan: Arc<Plan>,
    environment: Environment<'static>,
    /// The tasks that templates name, by key.
    keys: Arc<HashMap<Box<str>, Ordinal>>,
    /// The tasks that have templates.
    tasks: HashMap<u32, TaskForms>,
    /// The inputs of tasks without templates, serialised when first asked for.
    constants: Vec<OnceLock<Json>>,
    /// What tasks without templates are prepared with.
    nothing: Arc<View>,
    output: Option<Form>,
    output_references: Box<[Ordinal]>,
    triggers: Vec<TriggerForms>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("plan", &self.plan.name)
            .field("tasks", &self.plan.tasks.len())
            .field("templated", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

fn failure(field: &str, message: &str) -> CallFailure {
    CallFailure::refused(FailureKind::Template, format!("{field}: {message}"))
}

impl Program {
    /// Compiles the templates of a plan. A plan that was read from a definition always compiles.
    pub fn compile(plan: &Arc<Plan>) -> Result<Self, CallFailure> {
        compile::compile(plan)
    }

    /// The plan it was compiled from.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The tasks whose output or status the templates of the task at `ordinal` read: in order, each once.
    pub fn references(&self, ordinal: Ordinal) -> &[Ordinal] {
        let forms = self.tasks.get(&ordinal.0);
        forms.map_or(&[], |forms| &*forms.references)
    }

    /// The tasks that the workflow's output reads: in order, each once.
    pub fn output_references(&self) -> &[Ordinal] {
        &self.output_references
    }

    /// Whether neither the input nor `when` nor `each` of the task holds a template, so that
    /// [`Self::prepare`] needs no scope.
    pub fn is_constant(&self, ordinal: Ordinal) -> bool {
        self.tasks.get(&ordinal.0).is_none_or(|forms| forms.is_constant())
    }

    /// A scope in which nothing is known: enough to prepare a constant task.
    pub fn empty_scope(&self) -> &Scope {
        &self.nothing.scope
    }

    /// The input of a constant task that has one: of its tool, event or child workflow.
    pub fn constant_input(&self, ordinal: Ordinal) -> Option<&Json> {
        if !self.is_constant(ordinal) {
            return None;
        }
        let value = compile::input(&self.plan.task(ordinal)?.work)?;
        let slot = self.constants.get(ordinal.index())?;
        Some(slot.get_or_init(|| Json::of(value)))
    }

    /// What is to be done with the task: `when`, then `each`, then its work. For an item of an
    /// `each` (a scope with `item`), `when` is evaluated only if it names `item` or `index`.
    pub fn prepare(&self, ordinal: Ordinal, scope: &Scope) -> Result<Prepared, CallFailure> {
        let task = self.task(ordinal)?;
        let view = if self.tasks.contains_key(&ordinal.0) {
            self.view(scope)
        } else {
            Arc::clone(&self.nothing)
        };
        let is_item = scope.item.is_some();
        if let Some(when) = self.tasks.get(&ordinal.0).and_then(|forms| forms.when.as_ref())
            && when.names_item == is_item
            && !when.expression.is_true(&view).map_err(|message| failure("when", &message))?
        {
            return Ok(Prepared::Skip);
        }
        if let (Some(each), false) = (&task.each, is_item) {
            let form = self.tasks.get(&ordinal.0).and_then(|forms| forms.each.as_ref());
            let list = self.render("each", form, &each.list, &view)?;
            return expand(list).map(Prepared::Expand);
        }
        self.work(ordinal, task, &view).map(Prepared::Work)
    }

    /// The alternative call at `index`; `None` when there are no more.
    pub fn fallback(
        &self,
        ordinal: Ordinal,
        index: usize,
        scope: &Scope,
    ) -> Result<Option<Call>, CallFailure> {
        let Some(call) = self.task(ordinal)?.fallback.get(index) else {
            return Ok(None);
        };
        let forms = self.tasks.get(&ordinal.0);
        let form = forms.and_then(|forms| forms.fallback.get(index));
        let field = format!("fallback[{index}].with");
        self.call(&field, call, form, &self.view(scope)).map(Some)
    }

    /// The call that asks the world; `None` for a task without a probe.
    pub fn probe(&self, ordinal: Ordinal, scope: &Scope) -> Result<Option<Call>, CallFailure> {
        let Some(probe) = &self.task(ordinal)?.probe else {
            return Ok(None);
        };
        let forms = self.tasks.get(&ordinal.0);
        let form = forms.and_then(|forms| forms.probe.as_ref());
        let view = self.view(scope);
        self.call("probe.with", &probe.call, form, &view).map(Some)
    }

    /// Whether a completed probe says that the call happened; `scope.output` is the probe's output.
    pub fn probe_happened(&self, ordinal: Ordinal, scope: &Scope) -> Result<bool, CallFailure> {
        let forms = self.tasks.get(&ordinal.0);
        let happened = forms.and_then(|forms| forms.happened.as_ref());
        self.holds("probe.happened", happened, scope)
    }

    /// Whether `scope.event`, whose type fits, is what the task waits for.
    pub fn event_matches(&self, ordinal: Ordinal, scope: &Scope) -> Result<bool, CallFailure> {
        let forms = self.tasks.get(&ordinal.0);
        let when = forms.and_then(|forms| forms.event_when.as_ref());
        self.holds("wait.when", when, scope)
    }

    /// The key at most one task of which executes at a time.
    pub fn concurrency_key(
        &self,
        ordinal: Ordinal,
        scope: &Scope,
    ) -> Result<Option<String>, CallFailure> {
        let Some(key) = &self.task(ordinal)?.concurrency_key else {
            return Ok(None);
        };
        let forms = self.tasks.get(&ordinal.0);
        let form = forms.and_then(|forms| forms.concurrency_key.as_ref());
        let view = self.view(scope);
        let rendered = self.text("concurrency_key", form, key, &view)?;
        Ok(Some(rendered))
    }

    /// The name of the rate at which the task may start.
    pub fn rate_key(&self, ordinal: Ordinal, scope: &Scope) -> Result<Option<String>, CallFailure> {
        let Some(key) = &self.task(ordinal)?.rate_key else {
            return Ok(None);
        };
        let forms = self.tasks.get(&ordinal.0);
        let form = forms.and_then(|forms| forms.rate_key.as_ref());
        self.text("rate_key", form, key, &self.view(scope)).map(Some)
    }

    /// The workflow's output: `null` where the plan declares none.
    pub fn output(&self, scope: &Scope) -> Result<Json, CallFailure> {
        match &self.plan.output {
            None => Ok(Json::null()),
            Some(value) => self
                .render("output", self.output.as_ref(), value, &self.view(scope))
                .map(|value| Json::of(&value)),
        }
    }

    fn task(&self, ordinal: Ordinal) -> Result<&TaskPlan, CallFailure> {
        let missing = || failure("plan", &format!("it has no task {}", ordinal.0));
        self.plan.task(ordinal).ok_or_else(missing)
    }

    fn view(&self, scope: &Scope) -> Arc<View> {
        Arc::new(View { scope: scope.clone(), keys: Arc::clone(&self.keys) })
    }

    /// A field's value: rendered where it holds templates, else as it is.
    fn render(
        &self,
        field: &str,
        form: Option<&Form>,
        value: &Value,
        view: &Arc<View>,
    ) -> Result<Value, CallFailure> {
        let Some(form) = form else {
            return Ok(value.clone());
        };
        render(form, &self.environment, view)
            .map_err(|failed| CallFailure::refused(FailureKind::Template, failed.in_field(field)))
    }

    fn text(
        &self,
        field: &str,
        form: Option<&Form>,
        text: &str,
        view: &Arc<View>,
    ) -> Result<String, CallFailure> {
        if form.is_none() {
            return Ok(text.to_owned());
        }
        let value = self.render(field, form, &Value::Null, view)?;
        let text = value.as_str().map(str::to_owned);
        Ok(text.unwrap_or_else(|| value.to_string()))
    }

    fn holds(
        &self,
        field: &str,
        expression: Option<&Arc<Expr>>,
        scope: &Scope,
    ) -> Result<bool, CallFailure> {
        match expression {
            None => Ok(true),
            Some(expression) => {
                expression.is_true(&self.view(scope)).map_err(|message| failure(field, &message))
            }
        }
    }

    fn call(
        &self,
        field: &str,
        call: &ToolCall,
        form: Option<&Form>,
        view: &Arc<View>,
    ) -> Result<Call, CallFailure> {
        let input = self.render(field, form, &call.with, view)?;
        Ok(Call { tool: call.tool.clone(), effect: call.effect, input: Json::of(&input) })
    }

    fn work(
        &self,
        ordinal: Ordinal,
        task: &TaskPlan,
        view: &Arc<View>,
    ) -> Result<Rendered, CallFailure> {
        let form = self.tasks.get(&ordinal.0).and_then(|forms| forms.work.as_ref());
        match &task.work {
            Work::Tool(call) => Ok(Rendered::Tool(Call {
                tool: call.tool.clone(),
                effect: call.effect,
                input: self.input(ordinal, "with", form, &call.with, view)?,
            })),
            Work::Human(human) => Ok(Rendered::Human {
                kind: human.kind,
                ask: human.ask.as_ref().map(|ask| self.text("ask", form, ask, view)).transpose()?,
                form: human.form.clone(),
                options: human.options.clone(),
            }),
            Work::Wait(wait) => self.wait(wait, form, view),
            Work::Emit(emit) => Ok(Rendered::Emit {
                event_type: emit.event_type.clone(),
                data: self.input(ordinal, "emit.data", form, &emit.data, view)?,
            }),
            Work::Workflow(child) => Ok(Rendered::Child {
                inputs: self.input(ordinal, "with", form, &child.with, view)?,
            }),
            Work::Worker(call) => {
                Ok(Rendered::Worker { input: self.input(ordinal, "with", form, &call.with, view)? })
            }
            Work::Agent(call) => {
                let prompt = Value::from(call.prompt.as_str());
                Ok(Rendered::Agent { prompt: self.render("prompt", form, &prompt, view)? })
            }
        }
    }

    fn input(
        &self,
        ordinal: Ordinal,
        field: &str,
        form: Option<&Form>,
        value: &Value,
        view: &Arc<View>,
    ) -> Result<Json, CallFailure> {
        if let (None, Some(slot)) = (form, self.constants.get(ordinal.index())) {
            return Ok(slot.get_or_init(|| Json::of(value)).clone());
        }
        self.render(field, form, value, view).map(|value| Json::of(&value))
    }

    fn wait(
        &self,
        wait: &Wait,
        form: Option<&Form>,
        view: &Arc<View>,
    ) -> Result<Rendered, CallFailure> {
        match wait {
            Wait::For(span) => Ok(Rendered::WaitFor(span.0)),
            Wait::Event { event, timeout, .. } => Ok(Rendered::WaitEvent {
                event: event.clone(),
                timeout: timeout.map(|span| span.0),
            }),
            Wait::Until(moment) => {
                let text = self.text("wait.until", form, moment, view)?;
                let at: Timestamp = text.trim().parse().map_err(|error| {
                    let message =
                        format!("`{text}` is not a moment like 2027-01-15T08:00:00Z: {error}");
                    failure("wait.until", &message)
                })?;
                Ok(Rendered::WaitUntil(at))
            }
        }
    }
}

fn expand(list: Value) -> Result<Vec<Json>, CallFailure> {
    let kind = match &list {
        Value::Array(items) if items.len() > WORKFLOW_TASKS_MAX => {
            let message = format!(
                "a list of {} elements; at most {WORKFLOW_TASKS_MAX} are allowed",
                items.len()
            );
            return Err(failure("each", &message));
        }
        Value::Array(items) => return Ok(items.iter().map(Json::of).collect()),
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Object(_) => "an object",
    };
    Err(failure("each", &format!("this must be a list, and is {kind}")))
}
