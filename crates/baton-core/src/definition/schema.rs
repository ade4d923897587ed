//! The JSON Schema of a definition, for editors: the shapes the reader accepts.
//!
//! What fields mean to one another (needs, tools, names in templates) no schema can say; the
//! reader does. A test holds the two together.

use serde_json::{Value, json};

use super::agent::AGENT_STEPS_MAX;
use super::task::{ATTEMPTS_MAX, FALLBACKS_MAX, PRIORITY_MAX};
use super::triggers::TRIGGERS_MAX;
use super::walk::NAME_CHARS_MAX;
use crate::codes;
use crate::plan::{PLAN_TASKS_MAX, WORKFLOW_TASKS_MAX};
use crate::schedule::{CRON_BYTES_MAX, ZONE_DEFAULT};
use crate::words::{AtLimit, Effect, HumanKind, Missed, OnFailure, Permission, ProgressMethod};

use super::kind::{EVENT_CHARS_MAX, OPTIONS_MAX, WORKER_CHARS_MAX};

/// The JSON Schema (2020-12) of a definition.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Baton definition",
        "description": "A versioned template of a workflow: inputs, stages and tasks.",
        "type": "object",
        "required": ["name", "stages"],
        "additionalProperties": false,
        "properties": {
            "name": described(name(), "Unique in the workspace, with the version."),
            "version": { "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1, "description": "The same version with other content is refused." },
            "description": text("What it is for, in a sentence."),
            "playbook": playbook(),
            "inputs": described(reference("objectSchema"), "A JSON Schema object; what is missing is asked for."),
            "budget": budget(),
            "progress": described(codes::schema::<ProgressMethod>(), "How progress is counted; `stage-weighted` uses the stages' weights."),
            "stages": { "type": "array", "minItems": 1, "items": reference("stage"), "description": "Barriers: a stage starts when the one before is done." },
            "output": { "description": "A template of the workflow's output." },
            "triggers": { "type": "array", "maxItems": TRIGGERS_MAX, "items": reference("trigger"), "description": "What starts a workflow by itself, once the definition is registered." },
        },
        "$defs": definitions(),
    })
}

fn definitions() -> Value {
    json!({
        "objectSchema": { "type": "object", "properties": { "type": { "const": "object" } } },
        "key": { "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$", "maxLength": NAME_CHARS_MAX },
        "duration": { "type": "string", "pattern": r"^\s*([0-9]+(ms|s|m|h|d))+\s*$", "examples": ["250ms", "10s", "5m", "1h30m", "2d"] },
        "expression": { "type": "string", "not": { "pattern": r"\{\{|\{%|\{#" } },
        "usd": { "type": "string", "pattern": r"^[0-9]+(\.[0-9]{0,12})?$", "not": { "pattern": r"^0*(\.0*)?$" }, "examples": ["0.50"] },
        "toolPatterns": { "type": "array", "items": { "type": "string" }, "examples": [["git.*", "fs.read"]] },
        "with": { "type": "object", "description": "The input; its strings are templates." },
        "stage": stage(),
        "milestone": milestone(),
        "task": task(),
        "wait": wait(),
        "call": call(),
        "trigger": trigger(),
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.insert("description".to_owned(), description.into());
    }
    schema
}

fn trigger() -> Value {
    json!({
        "type": "object",
        "description": "Fires on an event or on a schedule.",
        "additionalProperties": false,
        "properties": {
            "event": { "type": "string", "minLength": 1, "maxLength": EVENT_CHARS_MAX, "pattern": r"^\S+$", "description": "The event's type; `*` stands for any run of characters." },
            "when": described(reference("expression"), "An expression over `event`; false does not fire."),
            "schedule": { "type": "string", "maxLength": CRON_BYTES_MAX, "description": "Cron: minute, hour, day, month, weekday; seconds may stand before them.", "examples": ["0 6 * * 1"] },
            "zone": { "type": "string", "default": ZONE_DEFAULT, "description": "The IANA name of its time zone.", "examples": ["Europe/Berlin"] },
            "missed": described(codes::schema::<Missed>(), "What becomes of moments that passed while no server was there."),
            "inputs": { "type": "object", "description": "The workflow's inputs; strings are templates over `event` or `schedule`." },
        },
        "oneOf": [
            { "required": ["event"], "properties": { "schedule": false, "zone": false, "missed": false } },
            { "required": ["schedule"], "properties": { "event": false, "when": false } },
        ],
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "maxLength": NAME_CHARS_MAX })
}

fn playbook() -> Value {
    json!({
        "type": "object",
        "description": "Lets chat match the definition without a model.",
        "additionalProperties": false,
        "properties": { "examples": { "type": "array", "items": text("A request this definition answers.") } },
    })
}

fn budget() -> Value {
    json!({
        "type": "object",
        "description": "What a run may use.",
        "additionalProperties": false,
        "properties": {
            "time": described(reference("duration"), "How long a run may take, without the time it waits for people."),
            "tokens": { "type": "integer", "minimum": 1, "description": "Tokens of all agents, read and written." },
            "usd": described(reference("usd"), "What all agents may cost."),
            "calls": { "type": "integer", "minimum": 1, "maximum": u32::MAX, "description": "Calls of models and of the tools they ask for." },
            "at_limit": described(codes::schema::<AtLimit>(), "What happens at the limit; `ask` where nothing is said."),
        },
    })
}

fn stage() -> Value {
    json!({
        "type": "object",
        "required": ["name", "tasks"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string", "minLength": 1, "description": "Unique in the definition." },
            "weight": { "type": "integer", "minimum": 1, "maximum": u32::MAX, "default": 1, "description": "Its share of stage-weighted progress." },
            "milestones": { "type": "array", "items": reference("milestone") },
            "tasks": { "type": "array", "minItems": 1, "maxItems": PLAN_TASKS_MAX, "items": reference("task") },
        },
    })
}

fn milestone() -> Value {
    json!({
        "type": "object",
        "description": "Reached when its tasks have ended.",
        "required": ["id", "tasks"],
        "additionalProperties": false,
        "properties": {
            "id": reference("key"),
            "title": text("For people."),
            "tasks": { "type": "array", "minItems": 1, "items": { "type": "string" } },
        },
    })
}

fn task() -> Value {
    let mut properties = shared_fields();
    if let (Some(all), Value::Object(more)) = (properties.as_object_mut(), kind_fields()) {
        all.extend(more);
    }
    json!({
        "type": "object",
        "description": "One node of the graph; it has exactly one kind.",
        "required": ["id"],
        "additionalProperties": false,
        "properties": properties,
        "oneOf": [
            of_kind("tool", &["effect", "ask", "form", "options"], &tools_only()),
            of_kind("human", &["with", "effect", "fallback", "probe", "permission"], &human()),
            of_kind("wait", &NOT_OF_PLAIN, &Value::Bool(true)),
            of_kind("emit", &NOT_OF_PLAIN, &Value::Bool(true)),
            of_kind("workflow", &["effect", "ask", "form", "options", "fallback", "probe", "permission"], &Value::Bool(true)),
            of_kind("worker", &["ask", "form", "options", "fallback"], &Value::Bool(true)),
            of_agent(),
        ],
        "dependentRequired": { "concurrency": ["each"] },
    })
}

/// What tasks without input, question and tools do not have.
const NOT_OF_PLAIN: [&str; 8] =
    ["with", "effect", "ask", "form", "options", "fallback", "probe", "permission"];

/// What agents alone have.
const OF_AGENT: [&str; 10] = [
    "prompt",
    "output",
    "tools",
    "approve",
    "turns",
    "calls",
    "asks",
    "tokens",
    "usd",
    "output_tokens",
];

fn of_kind(kind: &str, without: &[&str], and: &Value) -> Value {
    let none: serde_json::Map<String, Value> = without
        .iter()
        .chain(&OF_AGENT)
        .map(|name| ((*name).to_owned(), Value::Bool(false)))
        .collect();
    json!({ "required": [kind], "properties": none, "allOf": [and] })
}

fn of_agent() -> Value {
    let without = ["with", "effect", "ask", "form", "options", "probe"];
    let none: serde_json::Map<String, Value> =
        without.iter().map(|name| ((*name).to_owned(), Value::Bool(false))).collect();
    json!({ "required": ["agent", "prompt"], "properties": none })
}

/// A tool's alternatives are tools.
fn tools_only() -> Value {
    json!({ "properties": { "fallback": { "items": { "required": ["tool"] } } } })
}

fn human() -> Value {
    let only = |kind: &str, own: Option<&str>, other: &[&str]| {
        let mut properties: serde_json::Map<String, Value> =
            other.iter().map(|name| ((*name).to_owned(), Value::Bool(false))).collect();
        properties.insert("human".to_owned(), json!({ "const": kind }));
        let required: Vec<&str> = own.into_iter().collect();
        json!({ "properties": properties, "required": required })
    };
    json!({ "oneOf": [
        only("approval", None, &["form", "options"]),
        only("form", Some("form"), &["options"]),
        only("choice", Some("options"), &["form"]),
    ] })
}

fn shared_fields() -> Value {
    json!({
        "id": described(reference("key"), "Unique in the definition; templates name the task by it."),
        "title": text("For people."),
        "needs": { "type": "array", "items": { "type": "string" }, "description": "What must have ended before it starts; without it, every earlier stage. `[]` starts at once." },
        "when": described(reference("expression"), "A bare expression; false skips the task."),
        "each": { "type": ["array", "string"], "description": "Fan-out: a list, or a template that yields one; templates see `item` and `index`." },
        "concurrency": { "type": "integer", "minimum": 1, "maximum": WORKFLOW_TASKS_MAX, "description": "How many items may execute at a time." },
        "on_failure": described(codes::schema::<OnFailure>(), "What its failure does to the workflow."),
        "retry": {
            "type": "object",
            "description": "How often and how fast it is tried again.",
            "additionalProperties": false,
            "properties": {
                "attempts": { "type": "integer", "minimum": 1, "maximum": ATTEMPTS_MAX, "description": "Attempts in all, the first included; of an agent, of each of its turns. 1 where nothing is said, 5 of an agent." },
                "backoff": described(reference("duration"), "The pause before the second attempt; it doubles."),
                "max": described(reference("duration"), "The longest pause."),
            },
        },
        "timeout": described(reference("duration"), "How long one attempt may run."),
        "concurrency_key": text("A template; at most one task with the same key executes at a time."),
        "rate_key": text("A template; the name of a rate in `[limits.rates]`, at which tasks of this key may start."),
        "priority": { "type": "integer", "minimum": 0, "maximum": PRIORITY_MAX },
    })
}

fn kind_fields() -> Value {
    json!({
        "tool": text("Calls a tool, `server.tool`."),
        "with": reference("with"),
        "permission": described(codes::schema::<Permission>(), "What its tools may do."),
        "fallback": { "type": "array", "maxItems": FALLBACKS_MAX, "items": reference("call"), "description": "Tried in order when the call has failed for good; `with` defaults to the task's." },
        "probe": {
            "type": "object",
            "description": "A read-only call that tells whether a call in doubt happened.",
            "required": ["tool"],
            "additionalProperties": false,
            "properties": { "tool": { "type": "string" }, "with": reference("with"), "happened": described(reference("expression"), "An expression over `output`.") },
        },
        "human": described(codes::schema::<HumanKind>(), "Asks a person."),
        "ask": text("A template of the question."),
        "form": described(reference("objectSchema"), "A JSON Schema object of the answer."),
        "options": { "type": "array", "minItems": 1, "maxItems": OPTIONS_MAX, "uniqueItems": true, "items": { "type": "string" } },
        "wait": reference("wait"),
        "emit": {
            "type": "object",
            "description": "Emits an event.",
            "required": ["type"],
            "additionalProperties": false,
            "properties": { "type": { "type": "string", "pattern": r"^[^\s*]+$", "maxLength": EVENT_CHARS_MAX }, "data": { "description": "A template of its data." } },
        },
        "agent": text("Has this agent of the configuration work until its answer fits."),
        "prompt": { "type": "string", "pattern": r"\S", "description": "A template of what the agent is asked." },
        "output": { "type": "object", "description": "A JSON Schema of the agent's output; any text is good where there is none." },
        "tools": described(reference("toolPatterns"), "Which of the agent's tools it is offered: names, or `server.*`; `person.ask` asks people."),
        "approve": described(reference("toolPatterns"), "Which of them a person approves, each call anew."),
        "turns": steps(1, "Answers of the model."),
        "calls": steps(0, "Tool calls."),
        "asks": steps(0, "How often an answer that does not fit is asked again."),
        "tokens": { "type": "integer", "minimum": 1, "description": "Tokens in all, read and written." },
        "usd": described(reference("usd"), "What the task may cost."),
        "output_tokens": { "type": "integer", "minimum": 1, "maximum": u32::MAX, "description": "Tokens of one answer." },
        "workflow": text("Runs the definition of this name as a child, with the inputs of `with`."),
        "worker": { "type": "string", "pattern": "^[A-Za-z0-9_.:/-]+$", "maxLength": WORKER_CHARS_MAX, "description": "Is leased by workers outside that take this type." },
        "effect": described(codes::schema::<Effect>(), "What a worker's doing it again would do; `idempotent` where nothing is said."),
    })
}

fn steps(least: u32, description: &str) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": AGENT_STEPS_MAX, "description": description })
}

fn wait() -> Value {
    json!({
        "type": "object",
        "description": "Waits for time or an event.",
        "additionalProperties": false,
        "properties": {
            "for": reference("duration"),
            "until": text("RFC 3339, or a template that yields it."),
            "event": { "type": "string", "pattern": r"^\S+$", "maxLength": EVENT_CHARS_MAX, "description": "Its type; `*` stands for any run of characters." },
            "when": described(reference("expression"), "An expression over `event`."),
            "timeout": reference("duration"),
        },
        "oneOf": [ { "required": ["for"] }, { "required": ["until"] }, { "required": ["event"] } ],
        "dependentRequired": { "when": ["event"], "timeout": ["event"] },
    })
}

fn call() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "tool": { "type": "string" },
            "with": reference("with"),
            "agent": text("An agent that differs in its models only, tried before the tools."),
        },
        "oneOf": [
            { "required": ["tool"], "properties": { "agent": false } },
            { "required": ["agent"], "properties": { "tool": false, "with": false } },
        ],
    })
}
