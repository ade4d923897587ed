//! Compiling a plan's templates: which fields hold them, and which tasks they read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::scan::{self, Reference, Step};
use super::scope::View;
use super::template::{Compiler, Expr, Failed, Form};
use super::triggers::{self, TriggerForms};
use super::{Program, Scope, WorkflowFacts, failure};
use crate::failure::CallFailure;
use crate::ids::{Ordinal, WorkflowId};
use crate::plan::{Plan, TaskPlan, ToolCall, Trigger, Wait, Work};

/// The templates of one task; fields without templates are `None`.
#[derive(Debug, Default)]
pub(crate) struct TaskForms {
    pub when: Option<When>,
    pub each: Option<Form>,
    /// `with`, `ask`, `wait.until` or `emit.data`.
    pub work: Option<Form>,
    pub event_when: Option<Arc<Expr>>,
    pub concurrency_key: Option<Form>,
    pub rate_key: Option<Form>,
    /// One for each alternative call, constants included; empty when all are constant.
    pub fallback: Vec<Form>,
    pub probe: Option<Form>,
    pub happened: Option<Arc<Expr>>,
    pub references: Box<[Ordinal]>,
}

/// A task's `when`.
#[derive(Debug)]
pub(crate) struct When {
    pub expression: Arc<Expr>,
    /// Whether it is evaluated for each item, not once before the expansion.
    pub names_item: bool,
}

impl TaskForms {
    /// Whether neither input nor `when` nor `each` holds a template.
    pub fn is_constant(&self) -> bool {
        self.when.is_none() && self.each.is_none() && self.work.is_none()
    }

    fn is_empty(&self) -> bool {
        self.is_constant()
            && self.event_when.is_none()
            && self.concurrency_key.is_none()
            && self.rate_key.is_none()
            && self.fallback.is_empty()
            && self.probe.is_none()
            && self.happened.is_none()
    }
}

/// The input of a kind of work that has one.
pub(crate) fn input(work: &Work) -> Option<&Value> {
    match work {
        Work::Tool(call) => Some(&call.with),
        Work::Emit(emit) => Some(&emit.data),
        Work::Workflow(child) => Some(&child.with),
        Work::Worker(call) => Some(&call.with),
        Work::Human(_) | Work::Wait(_) | Work::Agent(_) => None,
    }
}

/// Compiles the templates of a plan.
pub(crate) fn compile(plan: &Arc<Plan>) -> Result<Program, CallFailure> {
    let mut compiling = Compiling {
        compiler: Compiler::new(),
        all: None,
        plan,
        named: HashMap::new(),
        read: BTreeSet::new(),
    };
    let mut tasks = HashMap::new();
    for (task, ordinal) in plan.tasks.iter().zip(0_u32..) {
        let forms = compiling.task(task).map_err(|(field, failed)| {
            failure(&format!("task `{}`", task.key), &failed.in_field(&field))
        })?;
        if !forms.is_empty() {
            tasks.insert(ordinal, forms);
        }
    }
    let output = match &plan.output {
        Some(value) => compiling
            .value("output", value)
            .map_err(|(field, failed)| failure("plan", &failed.in_field(&field)))?,
        None => None,
    };
    let output_references = compiling.take_read();
    let mut triggers = Vec::new();
    for trigger in &plan.triggers {
        let forms = compiling.trigger(trigger);
        triggers
            .push(forms.map_err(|(field, failed)| failure("triggers", &failed.in_field(&field)))?);
    }
    Ok(Program {
        plan: Arc::clone(plan),
        keys: Arc::new(compiling.named),
        environment: compiling.compiler.finish(),
        tasks,
        nothing: Arc::new(nothing(plan)),
        constants: plan.tasks.iter().map(|_| OnceLock::new()).collect(),
        output,
        output_references,
        triggers,
    })
}

fn nothing(plan: &Plan) -> View {
    View {
        scope: Scope {
            inputs: Arc::new(Value::Null),
            tasks: BTreeMap::new(),
            item: None,
            workflow: WorkflowFacts {
                id: WorkflowId::from_bytes([0; 16]),
                name: plan.name.clone(),
                run: 0,
            },
            event: None,
            output: None,
        },
        keys: Arc::new(HashMap::new()),
    }
}

struct Compiling<'p> {
    compiler: Compiler,
    plan: &'p Plan,
    /// Every key, gathered when the first template names a task.
    all: Option<HashMap<&'p str, Ordinal>>,
    /// The keys that templates name.
    named: HashMap<Box<str>, Ordinal>,
    /// The tasks the current templates read.
    read: BTreeSet<Ordinal>,
}

type InField<T> = Result<T, (String, Failed)>;

impl Compiling<'_> {
    fn take_read(&mut self) -> Box<[Ordinal]> {
        std::mem::take(&mut self.read).into_iter().collect()
    }

    fn task(&mut self, task: &TaskPlan) -> InField<TaskForms> {
        let mut forms = TaskForms::default();
        if let Some(when) = &task.when {
            let names_item = self.names_item(when);
            forms.when = Some(When {
                expression: self.expression("when", when)?,
                names_item: names_item && task.each.is_some(),
            });
        }
        if let Some(each) = &task.each {
            forms.each = self.value("each", &each.list)?;
        }
        if let Some(key) = &task.concurrency_key {
            forms.concurrency_key = self.text("concurrency_key", key)?;
        }
        if let Some(key) = &task.rate_key {
            forms.rate_key = self.text("rate_key", key)?;
        }
        self.work(&task.work, &mut forms)?;
        forms.fallback = self.fallback(&task.fallback)?;
        if let Some(probe) = &task.probe {
            forms.probe = self.value("probe.with", &probe.call.with)?;
            forms.happened = match &probe.happened {
                Some(happened) => Some(self.expression("probe.happened", happened)?),
                None => None,
            };
        }
        forms.references = self.take_read();
        Ok(forms)
    }

    fn trigger(&mut self, trigger: &Trigger) -> InField<TriggerForms> {
        let when = match triggers::when(&trigger.on) {
            Some(when) => Some(self.expression("when", when)?),
            None => None,
        };
        let inputs = match &trigger.inputs {
            Some(inputs) => self.value("inputs", inputs)?,
            None => None,
        };
        Ok(TriggerForms { when, inputs })
    }

    fn work(&mut self, work: &Work, forms: &mut TaskForms) -> InField<()> {
        forms.work = match work {
            Work::Tool(call) => self.value("with", &call.with)?,
            Work::Emit(emit) => self.value("emit.data", &emit.data)?,
            Work::Workflow(child) => self.value("with", &child.with)?,
            Work::Worker(call) => self.value("with", &call.with)?,
            Work::Agent(call) => self.text("prompt", &call.prompt)?,
            Work::Human(human) => match &human.ask {
                Some(ask) => self.text("ask", ask)?,
                None => None,
            },
            Work::Wait(Wait::Until(moment)) => self.text("wait.until", moment)?,
            Work::Wait(Wait::Event { when: Some(when), .. }) => {
                forms.event_when = Some(self.expression("wait.when", when)?);
                None
            }
            Work::Wait(Wait::For(_) | Wait::Event { when: None, .. }) => None,
        };
        Ok(())
    }

    fn fallback(&mut self, calls: &[ToolCall]) -> InField<Vec<Form>> {
        let mut forms = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            let form = self.value(&format!("fallback[{index}].with"), &call.with)?;
            forms.push(form.unwrap_or_else(|| Form::Constant(call.with.clone())));
        }
        if forms.iter().all(Form::is_constant) {
            forms.clear();
        }
        Ok(forms)
    }

    /// `None` for a value without templates.
    fn value(&mut self, field: &str, value: &Value) -> InField<Option<Form>> {
        if !holds_template(value) {
            return Ok(None);
        }
        self.note(value);
        let form = self.compiler.form(value);
        form.map(Some).map_err(|failed| (field.to_owned(), failed))
    }

    fn text(&mut self, field: &str, text: &str) -> InField<Option<Form>> {
        if !scan::is_template(text) {
            return Ok(None);
        }
        self.note_all(&scan::references(&scan::blocks(text)));
        let form = self.compiler.text(text);
        form.map(Some).map_err(|failed| (field.to_owned(), failed))
    }

    fn expression(&mut self, field: &str, source: &str) -> InField<Arc<Expr>> {
        self.note_all(&scan::expression_references(&scan::expression(source)));
        let expression = self.compiler.expression(source);
        expression.map_err(|failed| (field.to_owned(), failed))
    }

    fn names_item(&self, source: &str) -> bool {
        scan::expression_references(&scan::expression(source))
            .iter()
            .any(|reference| matches!(reference.root.as_str(), "item" | "index"))
    }

    fn note(&mut self, value: &Value) {
        match value {
            Value::String(text) if scan::is_template(text) => {
                self.note_all(&scan::references(&scan::blocks(text)));
            }
            Value::Array(list) => list.iter().for_each(|item| self.note(item)),
            Value::Object(object) => object.values().for_each(|item| self.note(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn note_all(&mut self, references: &[Reference]) {
        for reference in references {
            if let ("tasks", Some(Step::Key(key))) =
                (reference.root.as_str(), reference.steps.first())
            {
                self.note_task(key);
            }
        }
    }

    fn note_task(&mut self, key: &str) {
        let plan = self.plan;
        let all = self.all.get_or_insert_with(|| {
            let keys = plan.tasks.iter().map(|task| task.key.as_str());
            keys.zip((0_u32..).map(Ordinal)).collect()
        });
        if let Some(ordinal) = all.get(key) {
            self.named.insert(key.into(), *ordinal);
            self.read.insert(*ordinal);
        }
    }
}

fn holds_template(value: &Value) -> bool {
    match value {
        Value::String(text) => scan::is_template(text),
        Value::Array(list) => list.iter().any(holds_template),
        Value::Object(object) => object.values().any(holds_template),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
