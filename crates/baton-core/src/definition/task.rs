//! One task of a definition: what all kinds share.
//!
//! What a kind alone has stands in `kind`; needs are resolved when all tasks are known.

use super::draft::{Draft, SiteKind, TaskSource};
use super::fault::{Faults, Path};
use super::fields::{At, Fields};
use super::kind;
use super::tree::{Node, shorten};
use super::walk::{Walk, key_text, unsupported};
use crate::ids::Ordinal;
use crate::plan::{Each, Probe, Retry, TaskPlan, ToolCall, WORKFLOW_TASKS_MAX};
use crate::time::Span;
use crate::words::{Effect, OnFailure, Permission};

/// The most attempts a task may be given.
pub const ATTEMPTS_MAX: u32 = 1_000;
/// The most alternative calls a task may have.
pub const FALLBACKS_MAX: usize = 16;
/// The highest priority.
pub const PRIORITY_MAX: u32 = 9;

/// The fields that name a task's kind.
pub(crate) const KIND_FIELDS: [&str; 7] =
    ["tool", "human", "wait", "emit", "workflow", "agent", "worker"];
pub(crate) const TASK_FIELDS: [&str; 39] = [
    "id",
    "title",
    "tool",
    "human",
    "wait",
    "emit",
    "workflow",
    "agent",
    "worker",
    "with",
    "effect",
    "ask",
    "form",
    "options",
    "prompt",
    "needs",
    "when",
    "each",
    "concurrency",
    "on_failure",
    "retry",
    "timeout",
    "concurrency_key",
    "rate_key",
    "priority",
    "permission",
    "fallback",
    "probe",
    "output",
    "tools",
    "approve",
    "turns",
    "calls",
    "asks",
    "tokens",
    "usd",
    "output_tokens",
    "heal",
    "plan_b",
];
pub(crate) const RETRY_FIELDS: [&str; 3] = ["attempts", "backoff", "max"];
pub(crate) const PROBE_FIELDS: [&str; 3] = ["tool", "with", "happened"];
pub(crate) const FALLBACK_FIELDS: [&str; 4] = ["tool", "with", "agent", "worker"];

/// Reads a task into the draft. A task with faults is entered as well as can be, so that what names
/// it is not at fault too.
pub(crate) fn read<'t, 's>(
    node: &'t Node<'s>,
    path: &Path<'_>,
    (stage, index): (u32, usize),
    draft: &mut Draft<'t, 's>,
    walk: &mut Walk<'_>,
) {
    let Some(fields) = Fields::of(node, path, &TASK_FIELDS, walk.faults) else {
        return;
    };
    let task = draft.plan.tasks.len();
    let key = read_key(&fields, task, draft, walk.faults);
    refuse(&fields, walk.faults);
    let work = kind::read(&fields, task, draft, walk);
    let faults = &mut *walk.faults;
    let title = fields.get("title").and_then(|at| at.text(faults));
    let when = fields.get("when").and_then(|at| {
        let text = at.text(faults)?;
        draft.expression(&at, Some(task), SiteKind::Task);
        Some(text.to_owned())
    });
    let each = read_each(&fields, task, draft, faults);
    let word = fields.get("on_failure");
    let on_failure = word.and_then(|at| at.word::<OnFailure>(faults));
    let word = fields.get("permission");
    let permission = word.and_then(|at| at.word::<Permission>(faults));
    let mut key_of = |name| {
        let at = fields.get(name)?;
        let text = at.text(faults)?;
        draft.sites_of(&at, Some(task), SiteKind::Task);
        Some(text.to_owned())
    };
    let (concurrency_key, rate_key) = (key_of("concurrency_key"), key_of("rate_key"));
    let priority = fields.get("priority");
    let priority = priority.and_then(|at| at.integer(0..=PRIORITY_MAX, faults));
    let plan = TaskPlan {
        key: key.unwrap_or_default().to_owned(),
        title: title.map(str::to_owned),
        stage,
        needs: None,
        when,
        each,
        on_failure: on_failure.unwrap_or(OnFailure::Fail),
        retry: read_retry(&fields, faults),
        timeout: fields.get("timeout").and_then(|at| positive(&at, faults)),
        concurrency_key,
        rate_key,
        priority: priority.and_then(|priority| u8::try_from(priority).ok()),
        permission: permission.unwrap_or(Permission::ReadOnly),
        fallback: read_fallback(&fields, task, draft, faults),
        probe: read_probe(&fields, task, draft, faults),
        work,
    };
    draft.plan.tasks.push(plan);
    draft.sources.push(TaskSource {
        at: (stage, index),
        place: fields.place,
        node,
        needs: fields.get("needs").map(|at| at.node),
    });
}

fn read_key<'t>(
    fields: &Fields<'t, '_, '_>,
    task: usize,
    draft: &mut Draft<'t, '_>,
    faults: &mut Faults,
) -> Option<&'t str> {
    let at = fields.required("id", faults)?;
    let key = key_text(&at, faults)?;
    if draft.keys.contains_key(key) {
        let message = format!("the task `{key}` is there twice");
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help("an `id` is unique in the whole definition; rename one of them");
        return Some(key);
    }
    let ordinal = Ordinal(u32::try_from(task).unwrap_or(u32::MAX));
    draft.keys.insert(key, ordinal);
    Some(key)
}

/// What belongs to the contract and would be believed to work.
fn refuse(fields: &Fields<'_, '_, '_>, faults: &mut Faults) {
    for (name, what) in [("heal", "the healing ladder is"), ("plan_b", "plans B are")] {
        if let Some(entry) = fields.entry(name) {
            unsupported(entry, fields.path, what, faults);
        }
    }
    if let (Some(entry), None) = (fields.entry("concurrency"), fields.entry("each")) {
        let path = fields.path.field("concurrency");
        let message = "`concurrency` bounds the items of an `each`, and there is none";
        let fault = faults.add(entry.place, &path, message);
        fault.help("add `each`, or use `concurrency_key`");
    }
}

fn read_each<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Each> {
    let at = fields.get("each")?;
    let is_list = at.node.list().is_some();
    let is_template = at.node.text().is_some_and(crate::program::scan::is_template);
    if !is_list && !is_template {
        let found = at.node.kind();
        let message = format!("expected a list or a template that yields one, found {found}");
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help("write it like `each: \"{{ tasks.list.output }}\"`");
    }
    draft.sites_of(&at, Some(task), SiteKind::Each);
    let most = u32::try_from(WORKFLOW_TASKS_MAX).unwrap_or(u32::MAX);
    let concurrency = fields.get("concurrency");
    Some(Each {
        list: at.node.to_json(),
        concurrency: concurrency.and_then(|at| at.integer(1..=most, faults)),
    })
}

fn read_retry(fields: &Fields<'_, '_, '_>, faults: &mut Faults) -> Retry {
    let mut retry = Retry::default();
    let Some(at) = fields.get("retry") else {
        return retry;
    };
    let Some(inner) = Fields::of(at.node, &at.path, &RETRY_FIELDS, faults) else {
        return retry;
    };
    let attempts = inner.get("attempts");
    if let Some(attempts) = attempts.and_then(|at| at.integer(1..=ATTEMPTS_MAX, faults)) {
        retry.attempts_max = attempts;
    }
    if let Some(backoff) = inner.get("backoff").and_then(|at| at.span(faults)) {
        retry.backoff = backoff;
        retry.max = retry.max.max(backoff);
    }
    if let Some(at) = inner.get("max")
        && let Some(max) = at.span(faults)
    {
        retry.max = max;
        if max < retry.backoff {
            let message = format!("`max` is shorter than `backoff`, which is {}", retry.backoff);
            faults.add(at.node.place, &at.path, message);
        }
    }
    retry
}

/// A span that is longer than nothing.
pub(crate) fn positive(at: &At<'_, '_, '_>, faults: &mut Faults) -> Option<Span> {
    let span = at.span(faults)?;
    if span.0.is_zero() {
        faults.add(at.node.place, &at.path, "this must be longer than nothing");
        return None;
    }
    Some(span)
}

/// A call whose effect the check of tools fills in.
pub(crate) fn call(tool: &str, with: serde_json::Value) -> ToolCall {
    ToolCall { tool: tool.to_owned(), with, effect: Effect::Once }
}

fn read_fallback<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Vec<ToolCall> {
    let Some(at) = fields.get("fallback") else {
        return Vec::new();
    };
    let Some(list) = at.list(faults) else {
        return Vec::new();
    };
    if list.len() > FALLBACKS_MAX {
        let message = format!("at most {FALLBACKS_MAX} alternatives are allowed");
        faults.add(at.node.place, &at.path, message);
    }
    let mut calls = Vec::new();
    for (index, node) in list.iter().enumerate().take(FALLBACKS_MAX) {
        let path = at.path.index(index);
        let Some(inner) = Fields::of(node, &path, &FALLBACK_FIELDS, faults) else {
            continue;
        };
        if let Some(entry) = inner.entry("agent") {
            // An agent's are read with it, as they are further models of its own.
            if fields.entry("agent").is_none() {
                let message = "an agent can stand in for an agent only";
                faults.add(entry.place, &path.field("agent"), message);
            }
            foreign(&inner, faults);
            continue;
        }
        if let Some(entry) = inner.entry("worker") {
            unsupported(entry, &path, "a worker as an alternative is", faults);
            continue;
        }
        let Some(tool) = inner.required("tool", faults).and_then(|at| at.text(faults)) else {
            continue;
        };
        let own = inner.get("with");
        let with = kind::with(own.as_ref(), fields.get("with").as_ref(), task, draft, faults);
        let shared = fields.get("with").map(|at| at.node);
        let node = own.map(|at| at.node).or(shared);
        kind::note_call(node, &inner, super::draft::CallOf::Tool(tool), draft);
        calls.push(call(tool, with));
    }
    calls
}

/// Refuses what an alternative agent does not take.
fn foreign(inner: &Fields<'_, '_, '_>, faults: &mut Faults) {
    for name in ["tool", "with", "worker"] {
        if let Some(entry) = inner.entry(name) {
            let message = format!("an alternative agent does not take `{name}`");
            faults.add(entry.place, &inner.path.field(name), message);
        }
    }
}

fn read_probe<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<Probe> {
    let at = fields.get("probe")?;
    let inner = Fields::of(at.node, &at.path, &PROBE_FIELDS, faults)?;
    let tool = inner.required("tool", faults)?.text(faults)?;
    let own = inner.get("with");
    let with = kind::with(own.as_ref(), None, task, draft, faults);
    kind::note_call(own.map(|at| at.node), &inner, super::draft::CallOf::Tool(tool), draft);
    let happened = inner.get("happened").and_then(|at| {
        let text = at.text(faults)?;
        draft.expression(&at, Some(task), SiteKind::Probe);
        Some(text.to_owned())
    });
    Some(Probe { call: call(tool, with), happened })
}

/// A field that only tasks of another kind have.
pub(crate) fn misplaced(
    fields: &Fields<'_, '_, '_>,
    name: &str,
    owner: &str,
    kind: &str,
    faults: &mut Faults,
) {
    if let Some(entry) = fields.entry(name) {
        let message = format!("`{name}` belongs to {owner}, and this task is of the kind `{kind}`");
        let path = fields.path.field(name);
        faults.add(entry.place, &path, message).help(format!("remove `{}`", shorten(name)));
    }
}
