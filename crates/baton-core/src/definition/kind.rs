//! What a task does: the fields of each kind.
//!
//! Whether a tool exists and what it takes is checked on the draft, in `calls`.

use serde_json::Value;

use super::draft::{CallOf, CallSite, Draft, SiteKind};
use super::fault::Faults;
use super::fields::{At, Fields};
use super::task::{KIND_FIELDS, call, misplaced, positive};
use super::tree::{Node, shorten};
use super::walk::{Walk, object};
use super::{agent, children, inputs};
use crate::plan::{Child, Emit, Human, Wait, Work, WorkerCall};
use crate::words::{Effect, HumanKind};

/// The most options a choice may have.
pub const OPTIONS_MAX: usize = 100;
/// The longest type of an event, in characters.
pub const EVENT_CHARS_MAX: usize = 200;
/// The longest type of worker, in characters.
pub const WORKER_CHARS_MAX: usize = 200;

pub(crate) const WAIT_FIELDS: [&str; 5] = ["for", "until", "event", "when", "timeout"];
pub(crate) const EMIT_FIELDS: [&str; 2] = ["type", "data"];

/// The fields that only some kinds have, and those kinds.
const OWNED: [(&str, &[&str], &str); 18] = [
    ("with", &["tool", "workflow", "worker"], "tasks of the kinds `tool`, `workflow` and `worker`"),
    ("ask", &["human"], "tasks of the kind `human`"),
    ("form", &["human"], "tasks of the kind `human`"),
    ("options", &["human"], "tasks of the kind `human`"),
    ("fallback", &["tool", "agent"], "tasks of the kinds `tool` and `agent`"),
    ("probe", &["tool", "worker"], "tasks of the kinds `tool` and `worker`"),
    ("permission", &["tool", "agent", "worker"], "tasks of the kinds `tool`, `agent` and `worker`"),
    ("effect", &["worker"], "tasks of the kind `worker`; a tool says its own"),
    ("prompt", &["agent"], "tasks of the kind `agent`"),
    ("output", &["agent"], "tasks of the kind `agent`"),
    ("tools", &["agent"], "tasks of the kind `agent`"),
    ("approve", &["agent"], "tasks of the kind `agent`"),
    ("turns", &["agent"], "tasks of the kind `agent`"),
    ("calls", &["agent"], "tasks of the kind `agent`"),
    ("asks", &["agent"], "tasks of the kind `agent`"),
    ("tokens", &["agent"], "tasks of the kind `agent`"),
    ("usd", &["agent"], "tasks of the kind `agent`"),
    ("output_tokens", &["agent"], "tasks of the kind `agent`"),
];

/// Reads what the task does; something harmless after a fault.
pub(crate) fn read<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    walk: &mut Walk<'_>,
) -> Work {
    let kind = the_kind(fields, walk.faults);
    if let Some(kind) = kind {
        for (name, owners, owner) in OWNED {
            if !owners.contains(&kind) {
                misplaced(fields, name, owner, kind, walk.faults);
            }
        }
    }
    let work = match kind {
        Some("tool") => tool(fields, task, draft, walk.faults),
        Some("human") => human(fields, task, draft, walk.faults).map(Work::Human),
        Some("wait") => wait(fields, task, draft, walk.faults).map(Work::Wait),
        Some("emit") => emit(fields, task, draft, walk.faults).map(Work::Emit),
        Some("workflow") => child(fields, task, draft, walk).map(Work::Workflow),
        Some("worker") => worker(fields, task, draft, walk.faults).map(Work::Worker),
        Some("agent") => agent::read(fields, task, draft, walk).map(Work::Agent),
        Some(_) | None => None,
    };
    work.unwrap_or(Work::Tool(call("", Value::Null)))
}

/// The one field that names the kind.
fn the_kind<'p>(fields: &Fields<'_, '_, 'p>, faults: &mut Faults) -> Option<&'static str> {
    let mut named = KIND_FIELDS.into_iter().filter(|kind| fields.entry(kind).is_some());
    let Some(kind) = named.next() else {
        let message = "the task does not say what it does";
        let fault = faults.add(fields.place, fields.path, message);
        fault.help("add one of `tool`, `agent`, `human`, `wait`, `emit`, `workflow` or `worker`");
        return None;
    };
    for other in named {
        if let Some(entry) = fields.entry(other) {
            let message = format!("a task has one kind; this one is already of the kind `{kind}`");
            let path = fields.path.field(other);
            let fault = faults.add(entry.place, &path, message);
            fault.help("make two tasks of it");
        }
    }
    Some(kind)
}

fn tool<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Work> {
    let own = fields.get("with");
    let with = with(own.as_ref(), None, task, draft, faults);
    let name = fields.get("tool")?.text(faults)?;
    note_call(own.map(|at| at.node), fields, CallOf::Tool(name), draft);
    Some(Work::Tool(call(name, with)))
}

/// The input of a call: its own, else a shared one, else nothing.
pub(crate) fn with<'t, 's>(
    own: Option<&At<'t, 's, '_>>,
    shared: Option<&At<'t, 's, '_>>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Value {
    match (own, shared) {
        (Some(at), _) => {
            draft.sites_of(at, Some(task), SiteKind::Task);
            object(at, faults)
        }
        (None, Some(at)) if at.node.map().is_some() => at.node.to_json(),
        (None, Some(_) | None) => Value::Object(serde_json::Map::new()),
    }
}

/// Remembers a call, to compare its input with what it takes.
pub(crate) fn note_call<'t, 's>(
    with: Option<&'t Node<'s>>,
    fields: &Fields<'t, 's, '_>,
    of: CallOf<'t>,
    draft: &mut Draft<'t, 's>,
) {
    draft.calls.push(CallSite { with, place: fields.place, path: fields.path.to_string(), of });
}

fn human<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Human> {
    let ask = fields.get("ask").and_then(|at| {
        let text = at.text(faults)?;
        draft.sites_of(&at, Some(task), SiteKind::Task);
        Some(text.to_owned())
    });
    let kind = fields.get("human")?.word::<HumanKind>(faults)?;
    let form = match kind {
        HumanKind::Form => fields.required("form", faults).and_then(|at| {
            at.map(faults)?;
            inputs::check_schema(&at, faults);
            Some(at.node.to_json())
        }),
        HumanKind::Approval | HumanKind::Choice => {
            misplaced(fields, "form", "the answer `form`", kind_word(kind), faults);
            None
        }
    };
    let options = match kind {
        HumanKind::Choice => fields.required("options", faults).map(|at| options(&at, faults)),
        HumanKind::Approval | HumanKind::Form => {
            misplaced(fields, "options", "the answer `choice`", kind_word(kind), faults);
            None
        }
    };
    Some(Human { kind, ask, form, options: options.unwrap_or_default() })
}

fn kind_word(kind: HumanKind) -> &'static str {
    crate::codes::Code::word(kind)
}

fn options(at: &At<'_, '_, '_>, faults: &mut Faults) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    let texts = at.texts(faults).unwrap_or_default();
    if texts.is_empty() || texts.len() > OPTIONS_MAX {
        let message = format!("a choice has 1 to {OPTIONS_MAX} options");
        faults.add(at.node.place, &at.path, message);
    }
    for (text, place) in texts.into_iter().take(OPTIONS_MAX) {
        if options.iter().any(|option| option == text) {
            let message = format!("the option `{}` is there twice", shorten(text));
            faults.add(place, &at.path, message);
        }
        options.push(text.to_owned());
    }
    options
}

fn wait<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Wait> {
    let at = fields.get("wait")?;
    let inner = Fields::of(at.node, &at.path, &WAIT_FIELDS, faults)?;
    let named: Vec<&str> =
        ["for", "until", "event"].into_iter().filter(|name| inner.entry(name).is_some()).collect();
    let [name] = named.as_slice() else {
        let message = "a wait has exactly one of `for`, `until` and `event`";
        faults.add(inner.place, &at.path, message);
        return None;
    };
    let is_event = *name == "event";
    for name in ["when", "timeout"] {
        if let (Some(entry), false) = (inner.entry(name), is_event) {
            let path = at.path.field(name);
            let message = format!("`{name}` belongs to a wait for an `event`");
            faults.add(entry.place, &path, message);
        }
    }
    match *name {
        "for" => inner.get("for")?.span(faults).map(Wait::For),
        "until" => {
            let until = inner.get("until")?;
            let text = until.text(faults)?;
            draft.sites_of(&until, Some(task), SiteKind::Task);
            check_moment(&until, text, faults);
            Some(Wait::Until(text.to_owned()))
        }
        _ => {
            let when = inner.get("when").and_then(|at| {
                let text = at.text(faults)?;
                draft.expression(&at, Some(task), SiteKind::Event);
                Some(text.to_owned())
            });
            let timeout = inner.get("timeout").and_then(|at| positive(&at, faults));
            let event = inner.get("event")?;
            Some(Wait::Event { event: event_type(&event, faults)?.to_owned(), when, timeout })
        }
    }
}

fn check_moment(at: &At<'_, '_, '_>, text: &str, faults: &mut Faults) {
    if crate::program::scan::is_template(text) {
        return;
    }
    if let Err(error) = text.trim().parse::<crate::time::Timestamp>() {
        let message = format!("`{}` is not a moment: {error}", shorten(text));
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help("write it like \"2027-01-15T08:00:00Z\", or as a template");
    }
}

pub(crate) fn event_type<'t>(at: &At<'t, '_, '_>, faults: &mut Faults) -> Option<&'t str> {
    let text = at.text(faults)?;
    let bad = |letter: char| letter.is_whitespace() || letter.is_control();
    if text.is_empty() || text.chars().count() > EVENT_CHARS_MAX || text.contains(bad) {
        let message = format!("`{}` is not the type of an event", shorten(text));
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help(format!("write it like `design.ready`; at most {EVENT_CHARS_MAX} characters"));
        return None;
    }
    Some(text)
}

fn emit<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Emit> {
    let at = fields.get("emit")?;
    let inner = Fields::of(at.node, &at.path, &EMIT_FIELDS, faults)?;
    let data = inner.get("data").map_or(Value::Null, |at| {
        draft.sites_of(&at, Some(task), SiteKind::Task);
        at.node.to_json()
    });
    let kind = inner.required("type", faults)?;
    let event_type = event_type(&kind, faults)?;
    if event_type.contains('*') {
        let message = "`*` is for those who wait; an event is emitted under one type";
        faults.add(kind.node.place, &kind.path, message);
    }
    Some(Emit { event_type: event_type.to_owned(), data })
}

fn child<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    walk: &mut Walk<'_>,
) -> Option<Child> {
    let own = fields.get("with");
    let with = with(own.as_ref(), None, task, draft, walk.faults);
    let at = fields.get("workflow")?;
    let name = at.text(walk.faults)?;
    let plan = children::resolve(&at, name, draft, walk)?;
    note_call(own.map(|at| at.node), fields, CallOf::Child(task), draft);
    Some(Child { name: name.to_owned(), version: plan.version, with, plan: Box::new(plan) })
}

fn worker<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<WorkerCall> {
    let own = fields.get("with");
    let with = with(own.as_ref(), None, task, draft, faults);
    let effect = fields.get("effect").and_then(|at| at.word::<Effect>(faults));
    let at = fields.get("worker")?;
    let worker_type = at.text(faults)?;
    let good = |letter: char| letter.is_ascii_alphanumeric() || "_-.:/".contains(letter);
    if worker_type.is_empty()
        || worker_type.len() > WORKER_CHARS_MAX
        || !worker_type.chars().all(good)
    {
        let message = format!("`{}` is not a type of worker", shorten(worker_type));
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help(format!(
            "write it like `gpu.render`: letters, digits and `_-.:/`, at most {WORKER_CHARS_MAX}"
        ));
        return None;
    }
    let effect = effect.unwrap_or(Effect::Idempotent);
    Some(WorkerCall { worker_type: worker_type.to_owned(), with, effect })
}
