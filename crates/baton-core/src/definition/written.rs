//! A plan written as a definition: what somebody edits, and what the reader reads back as the same
//! plan.
//!
//! What a plan has pinned of tools, agents and children is not written: the reader looks it up again.
//! How the JSON becomes text is `yaml`'s.

use serde_json::{Map, Value, json};

use crate::codes::Code;
use crate::plan::{
    AgentCall, Budget, Human, Milestone, Occasion, Plan, Probe, Retry, Stage, TaskPlan, ToolCall,
    Trigger, Wait, Work, WorkerCall,
};
use crate::time::Span;
use crate::words::{AtLimit, Effect, OnFailure, Permission, ProgressMethod};

/// An object whose fields stand in the order in which they were put.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    fn maybe(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn span(&mut self, name: &str, span: Option<Span>) {
        self.maybe(name, span.map(|span| span.to_string()));
    }

    /// A list, where there is anything in it.
    fn list(&mut self, name: &str, items: Vec<Value>) {
        if !items.is_empty() {
            self.put(name, items);
        }
    }

    /// An object, where there is anything in it.
    fn object(&mut self, name: &str, value: &Value) {
        if value.as_object().is_none_or(|fields| !fields.is_empty()) {
            self.put(name, value.clone());
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Self::Object(fields.0)
    }
}

/// A plan in the shape of a definition.
pub fn written(plan: &Plan) -> Value {
    let mut fields = Fields::default();
    fields.put("name", plan.name.as_str());
    fields.put("version", plan.version);
    fields.maybe("description", plan.description.as_deref());
    if !plan.examples.is_empty() {
        fields.put("playbook", json!({ "examples": plan.examples }));
    }
    fields.maybe("inputs", plan.inputs.clone());
    let budget = budget(&plan.budget, plan.time_max);
    if !budget.is_empty() {
        fields.put("budget", budget);
    }
    if plan.progress != ProgressMethod::AgentBased {
        fields.put("progress", plan.progress.word());
    }
    fields.put("stages", stages(plan));
    fields.maybe("output", plan.output.clone());
    fields.list("triggers", plan.triggers.iter().map(trigger).collect());
    fields.into()
}

fn budget(budget: &Budget, time_max: Option<Span>) -> Fields {
    let mut fields = Fields::default();
    fields.maybe("tokens", budget.tokens_max);
    fields.maybe("usd", budget.cost_max.map(|cost| cost.to_string()));
    fields.maybe("calls", budget.calls_max);
    fields.span("time", time_max);
    if budget.at_limit != AtLimit::default() {
        fields.put("at_limit", budget.at_limit.word());
    }
    fields
}

/// The tasks of a plan stand stage by stage: one pass over them is enough.
fn stages(plan: &Plan) -> Vec<Value> {
    let mut tasks = plan.tasks.iter().peekable();
    let mut written = Vec::with_capacity(plan.stages.len());
    for (stage, n) in plan.stages.iter().zip(0_u32..) {
        let mut of_stage = Vec::new();
        while let Some(next) = tasks.next_if(|next| next.stage == n) {
            of_stage.push(task(next, plan));
        }
        written.push(stage_fields(stage, of_stage, plan).into());
    }
    written
}

fn stage_fields(stage: &Stage, tasks: Vec<Value>, plan: &Plan) -> Fields {
    let mut fields = Fields::default();
    fields.put("name", stage.name.as_str());
    if stage.weight != 1 {
        fields.put("weight", stage.weight);
    }
    fields.put("tasks", tasks);
    let milestones = stage.milestones.iter().map(|one| milestone(one, plan));
    fields.list("milestones", milestones.collect());
    fields
}

fn milestone(milestone: &Milestone, plan: &Plan) -> Value {
    let mut fields = Fields::default();
    fields.put("id", milestone.id.as_str());
    if milestone.title != milestone.id {
        fields.put("title", milestone.title.as_str());
    }
    fields.put("tasks", keys(&milestone.tasks, plan));
    fields.into()
}

fn keys(ordinals: &[crate::ids::Ordinal], plan: &Plan) -> Vec<Value> {
    let key = |ordinal: &crate::ids::Ordinal| Some(Value::from(plan.task(*ordinal)?.key.as_str()));
    ordinals.iter().filter_map(key).collect()
}

fn task(task: &TaskPlan, plan: &Plan) -> Value {
    let mut fields = Fields::default();
    fields.put("id", task.key.as_str());
    fields.maybe("title", task.title.as_deref());
    work(&task.work, &mut fields);
    fields.maybe("needs", task.needs.as_deref().map(|needs| keys(needs, plan)));
    fields.maybe("when", task.when.as_deref());
    if let Some(each) = &task.each {
        fields.put("each", each.list.clone());
        fields.maybe("concurrency", each.concurrency);
    }
    if task.on_failure != OnFailure::Fail {
        fields.put("on_failure", task.on_failure.word());
    }
    let is_agent = matches!(task.work, Work::Agent(_));
    let usual = if is_agent { Retry::of_turns() } else { Retry::default() };
    if task.retry != usual {
        fields.put("retry", retry(&task.retry));
    }
    fields.span("timeout", task.timeout);
    fields.maybe("concurrency_key", task.concurrency_key.as_deref());
    fields.maybe("rate_key", task.rate_key.as_deref());
    fields.maybe("priority", task.priority);
    if task.permission != Permission::ReadOnly {
        fields.put("permission", task.permission.word());
    }
    let alternatives = match &task.work {
        Work::Agent(agent) => agent.alternatives.as_slice(),
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Workflow(_)
        | Work::Worker(_) => &[],
    };
    let agents = alternatives.iter().map(|agent| json!({ "agent": agent }));
    fields.list("fallback", agents.chain(task.fallback.iter().map(fallback)).collect());
    fields.maybe("probe", task.probe.as_ref().map(probe));
    fields.into()
}

fn retry(retry: &Retry) -> Value {
    let Retry { attempts_max, backoff, max } = retry;
    json!({ "attempts": attempts_max, "backoff": backoff.to_string(), "max": max.to_string() })
}

/// With its input even where that is empty: an alternative without one takes over its task's.
fn fallback(call: &ToolCall) -> Value {
    json!({ "tool": call.tool, "with": call.with })
}

fn probe(probe: &Probe) -> Value {
    let mut fields = Fields::default();
    fields.put("tool", probe.call.tool.as_str());
    fields.object("with", &probe.call.with);
    fields.maybe("happened", probe.happened.as_deref());
    fields.into()
}

fn work(work: &Work, fields: &mut Fields) {
    match work {
        Work::Tool(call) => {
            fields.put("tool", call.tool.as_str());
            fields.object("with", &call.with);
        }
        Work::Human(human) => human_fields(human, fields),
        Work::Wait(wait) => fields.put("wait", wait_fields(wait)),
        Work::Emit(emit) => {
            let mut inner = Fields::default();
            inner.put("type", emit.event_type.as_str());
            inner.maybe("data", Some(emit.data.clone()).filter(|data| !data.is_null()));
            fields.put("emit", inner);
        }
        Work::Workflow(child) => {
            fields.put("workflow", child.name.as_str());
            fields.object("with", &child.with);
        }
        Work::Worker(call) => worker_fields(call, fields),
        Work::Agent(agent) => agent_fields(agent, fields),
    }
}

fn human_fields(human: &Human, fields: &mut Fields) {
    fields.put("human", human.kind.word());
    fields.maybe("ask", human.ask.as_deref());
    fields.maybe("form", human.form.clone());
    fields.list("options", human.options.iter().map(|one| Value::from(one.as_str())).collect());
}

fn wait_fields(wait: &Wait) -> Fields {
    let mut fields = Fields::default();
    match wait {
        Wait::For(span) => fields.put("for", span.to_string()),
        Wait::Until(moment) => fields.put("until", moment.as_str()),
        Wait::Event { event, when, timeout } => {
            fields.put("event", event.as_str());
            fields.maybe("when", when.as_deref());
            fields.span("timeout", *timeout);
        }
    }
    fields
}

fn worker_fields(call: &WorkerCall, fields: &mut Fields) {
    fields.put("worker", call.worker_type.as_str());
    fields.object("with", &call.with);
    if call.effect != Effect::Idempotent {
        fields.put("effect", call.effect.word());
    }
}

/// Its tools and limits are always written: what an agent has by its configuration is not known here,
/// and a task may have less.
fn agent_fields(agent: &AgentCall, fields: &mut Fields) {
    fields.put("agent", agent.agent.as_str());
    fields.put("prompt", agent.prompt.as_str());
    fields.maybe("output", agent.output.clone());
    let tools: Vec<&str> = agent.tools.iter().map(|tool| tool.name.as_str()).collect();
    fields.put("tools", tools);
    let approved = agent.tools.iter().filter(|tool| tool.approval.is_some());
    fields.list("approve", approved.map(|tool| Value::from(tool.name.as_str())).collect());
    let limits = &agent.limits;
    fields.put("turns", limits.turns_max);
    fields.put("calls", limits.calls_max);
    fields.put("asks", limits.asks_max);
    fields.put("output_tokens", limits.output_tokens_max);
    fields.maybe("tokens", limits.tokens_max);
    fields.maybe("usd", limits.cost_max.map(|cost| cost.to_string()));
}

fn trigger(trigger: &Trigger) -> Value {
    let mut fields = Fields::default();
    match &trigger.on {
        Occasion::Event { event, when } => {
            fields.put("event", event.as_str());
            fields.maybe("when", when.as_deref());
        }
        Occasion::Schedule { cron, zone, missed } => {
            fields.put("schedule", cron.as_str());
            fields.put("zone", zone.as_str());
            fields.put("missed", missed.word());
        }
    }
    fields.maybe("inputs", trigger.inputs.clone());
    fields.into()
}
