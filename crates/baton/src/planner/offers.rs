//! The tools of the model that plans, as it is offered them. What they do is said in [`tools`](super::tools).
//!
//! No catalogue has them: no definition can name one, and nobody else can call one.

use baton_core::plan::{Ends, OfferedTool};
use baton_core::words::Effect;
use serde_json::{Value, json};

/// What all their names begin with.
pub const SERVER: &str = "chat";
/// Asks people.
pub const ASK: &str = "chat.ask";
/// Proposes a plan.
pub const PROPOSE_PLAN: &str = "chat.propose_plan";
/// Starts a definition.
pub const START_DEFINITION: &str = "chat.start_definition";
/// Answers.
pub const ANSWER: &str = "chat.answer";
/// Calls for a person who may do more.
pub const ESCALATE: &str = "chat.escalate";
/// Tells what plans may name.
pub const LIST_CAPABILITIES: &str = "chat.list_capabilities";
/// Looks into the memory.
pub const SEARCH_MEMORY: &str = "chat.search_memory";
/// Says what the conversation is about.
pub const SHIFT_CONTEXT: &str = "chat.shift_context";

/// The most questions of one round.
const QUESTIONS_MAX: usize = 8;
/// The longest text of a line or two, in characters.
const LINE_CHARS_MAX: usize = 500;
/// The longest answer, in characters.
const ANSWER_CHARS_MAX: usize = 16_000;
/// The most assumptions, and the most things that are not done.
const LINES_MAX: usize = 20;

/// Every tool.
pub fn offers() -> Vec<OfferedTool> {
    let looks = |name, description, input| offer(name, description, Ends::Call, input);
    let ends = |name, description, input| offer(name, description, Ends::Task, input);
    vec![
        looks(
            LIST_CAPABILITIES,
            "Lists the definitions, tools and agents that fit some words; without words, the first of all.",
            object(&[], json!({ "query": line() })),
        ),
        looks(
            SEARCH_MEMORY,
            "Finds what is remembered of earlier conversations.",
            object(&["query"], json!({ "query": line() })),
        ),
        looks(
            SHIFT_CONTEXT,
            "Says what the conversation is about from now on.",
            object(&["kind", "id", "title", "summary"], focus()),
        ),
        ends(
            ASK,
            "Asks the person questions, all at once, and ends your turn.",
            object(&["questions"], questions()),
        ),
        ends(
            PROPOSE_PLAN,
            "Proposes a plan, which a person reviews before it runs, and ends your turn.",
            object(&["title", "plan"], proposal()),
        ),
        ends(
            START_DEFINITION,
            "Starts a definition by its name and ends your turn.",
            object(&["name"], json!({ "name": line(), "inputs": { "type": "object" } })),
        ),
        ends(
            ANSWER,
            "Answers where nothing has to be done, and ends your turn.",
            object(&["text"], json!({ "text": text(ANSWER_CHARS_MAX) })),
        ),
        ends(
            ESCALATE,
            "Calls for a person who may do more, and ends your turn.",
            object(&["reason"], json!({ "reason": line() })),
        ),
    ]
}

fn offer(name: &str, description: &str, ends: Ends, input: Value) -> OfferedTool {
    OfferedTool {
        name: name.to_owned(),
        description: description.to_owned(),
        input,
        effect: Effect::Read,
        approval: None,
        ends,
    }
}

/// The schema of an object of these fields and no other.
pub fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn text(chars_max: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": chars_max })
}

fn line() -> Value {
    text(LINE_CHARS_MAX)
}

fn lines(description: &str) -> Value {
    json!({ "type": "array", "items": line(), "maxItems": LINES_MAX, "description": description })
}

fn focus() -> Value {
    json!({
        "kind": { "enum": ["workspace", "project", "workflow", "definition", "document"] },
        "id": { "type": "string", "maxLength": LINE_CHARS_MAX },
        "title": line(),
        "summary": { "type": "string", "maxLength": 2_000 },
    })
}

fn questions() -> Value {
    let question = object(
        &["key", "question", "reason", "type"],
        json!({
            "key": { "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$" },
            "question": line(),
            "reason": { "type": "string", "minLength": 1, "maxLength": LINE_CHARS_MAX,
                "description": "Why it must be known." },
            "type": { "enum": ["text", "choice", "yes_no", "file", "number"] },
            "choices": { "type": "array", "items": text(200), "minItems": 2, "maxItems": 20,
                "uniqueItems": true, "description": "Of `choice`." },
            "min": { "type": "number", "description": "Of `number`." },
            "max": { "type": "number", "description": "Of `number`." },
        }),
    );
    json!({ "questions": {
        "type": "array", "items": question, "minItems": 1, "maxItems": QUESTIONS_MAX
    } })
}

fn proposal() -> Value {
    json!({
        "title": { "type": "string", "minLength": 1, "maxLength": 120,
            "description": "What it does, in a line." },
        "plan": plan(),
        "inputs": { "type": "object", "description": "Values of the plan's `inputs`." },
        "assumptions": lines("What it takes for granted."),
        "will_not": lines("What it will not do, though somebody might expect it."),
        "why": { "type": "object", "additionalProperties": line(),
            "description": "By the id of a task: who does it and why." },
    })
}

/// The outline of a definition: its reader tells the rest, with every fault at its place.
fn plan() -> Value {
    let task = json!({
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": text(100),
            "tool": text(200),
            "with": { "type": "object" },
            "agent": text(100),
            "prompt": { "type": "string" },
            "human": { "enum": ["approval", "form", "choice"] },
            "ask": { "type": "string" },
            "workflow": text(100),
            "needs": { "type": "array", "items": { "type": "string" } },
            "permission": { "enum": ["read_only", "read_write"] },
        },
    });
    let stage = json!({
        "type": "object",
        "required": ["name", "tasks"],
        "properties": {
            "name": text(100),
            "tasks": { "type": "array", "items": task, "minItems": 1 },
        },
    });
    json!({
        "type": "object",
        "required": ["stages"],
        "properties": {
            "name": { "type": "string" },
            "stages": { "type": "array", "items": stage, "minItems": 1 },
            "inputs": { "type": "object", "description": "A JSON Schema object." },
            "output": {},
        },
        "description": "A definition: stages of tasks.",
    })
}
