//! Tasks of the kind `agent`: what the task declares, joined with how its agent is configured.
//!
//! The plan pins all of it, so that a later change of the configuration changes nothing that runs.
//! Which tools a pattern covers is found in `offers`; no model is asked anything.

use super::draft::{Draft, SiteKind};
use super::fault::Faults;
use super::fields::{At, Fields};
use super::task::FALLBACK_FIELDS;
use super::tree::shorten;
use super::walk::Walk;
use super::{inputs, offers, suggest};
use crate::codes::Code;
use crate::plan::{AgentCall, AgentLimits, AgentSpec, Catalog, ModelSpec};
use crate::words::Permission;

/// The most turns, calls and repeated questions that can be allowed.
pub const AGENT_STEPS_MAX: u32 = 100_000;
/// The most models that an agent may try one after the other.
pub const MODELS_MAX: usize = 16;

/// Reads what an agent's task does.
pub(crate) fn read<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    walk: &mut Walk<'_>,
) -> Option<AgentCall> {
    let prompt = prompt(fields, task, draft, walk.faults);
    let output = output(fields, walk.faults);
    let at = fields.get("agent")?;
    let name = at.text(walk.faults)?;
    let mut spec = configured(&at, name, walk.catalog, walk.faults)?;
    let permission = permission(fields, name, &spec, walk.faults);
    let wish = offers::Wish { fields, at: &at, agent: name, spec: &spec, permission };
    let tools = wish.offered(walk.catalog, walk.faults);
    let limits = limits(fields, name, &spec.limits, walk.faults);
    let alternatives = alternatives(fields, name, &mut spec, walk);
    Some(AgentCall {
        agent: name.to_owned(),
        models: spec.models,
        instructions: spec.instructions,
        prompt: prompt?,
        tools,
        output,
        limits,
        compaction: spec.compaction,
        alternatives,
    })
}

fn prompt<'t, 's>(
    fields: &Fields<'t, 's, '_>,
    task: usize,
    draft: &mut Draft<'t, 's>,
    faults: &mut Faults,
) -> Option<String> {
    let at = fields.required("prompt", faults)?;
    let text = at.text(faults)?;
    draft.sites_of(&at, Some(task), SiteKind::Task);
    if text.trim().is_empty() {
        faults.add(at.node.place, &at.path, "an agent must be asked something");
    }
    Some(text.to_owned())
}

fn output(fields: &Fields<'_, '_, '_>, faults: &mut Faults) -> Option<serde_json::Value> {
    let at = fields.get("output")?;
    at.map(faults)?;
    let schema = at.node.to_json();
    if let Err(error) = inputs::validator(&schema) {
        let message = format!("this is not a valid JSON Schema: {error}");
        faults.add(at.node.place, &at.path, message);
    }
    Some(schema)
}

/// The agent of this name as it is configured, with a model; or the fault that says what to do.
fn configured(
    at: &At<'_, '_, '_>,
    name: &str,
    catalog: &dyn Catalog,
    faults: &mut Faults,
) -> Option<AgentSpec> {
    let shown = shorten(name);
    match catalog.agent(name) {
        Some(Ok(spec)) if !spec.models.is_empty() => Some(spec),
        Some(Ok(_)) => {
            let message = format!("the agent `{shown}` has no model");
            let fault = faults.add(at.node.place, &at.path, message);
            fault.help(format!(
                "name one in `[models] worker = [\"provider/name\"]` or in `[agents.{shown}] models`, set a \
                 provider's key, or run with `--model scripted:FILE`; `baton doctor` tells what is there"
            ));
            None
        }
        Some(Err(why)) => {
            let message = format!("the agent `{shown}` cannot be used: {why}");
            faults.add(at.node.place, &at.path, message);
            None
        }
        None => {
            let known = catalog.agent_names();
            let hint = suggest::hint(name, known);
            let fault = faults.add(at.node.place, &at.path, format!("there is no agent `{shown}`"));
            fault.help(hint.unwrap_or_else(|| {
                format!("declare it as `[agents.{shown}]` in the configuration")
            }));
            None
        }
    }
}

/// The task's permission. What is no permission at all is told where every kind of task is read.
fn permission(
    fields: &Fields<'_, '_, '_>,
    agent: &str,
    spec: &AgentSpec,
    faults: &mut Faults,
) -> Permission {
    let at = fields.get("permission");
    let asked = at.and_then(|at| Permission::from_word(at.node.text()?));
    let (Some(at), Some(asked)) = (at, asked) else {
        return Permission::ReadOnly;
    };
    if asked > spec.permission {
        let most = spec.permission;
        let message = format!(
            "the permission `{asked}` is above `{most}`, the highest that tasks of the agent \
             `{agent}` may have"
        );
        let fault = faults.add(at.node.place, &at.path, message);
        fault
            .help(format!("ask for less, or set `permission = \"{asked}\"` in `[agents.{agent}]`"));
    }
    asked
}

/// How far the task may go: as far as its agent, or less.
fn limits(
    fields: &Fields<'_, '_, '_>,
    agent: &str,
    most: &AgentLimits,
    faults: &mut Faults,
) -> AgentLimits {
    let mut steps = |name, least, most: u32| {
        let at = fields.get(name)?;
        let asked = at.integer(least..=AGENT_STEPS_MAX, faults)?;
        below(&at, name, asked, Some(most), agent, faults)
    };
    let turns = steps("turns", 1, most.turns_max);
    let calls = steps("calls", 0, most.calls_max);
    let asks = steps("asks", 0, most.asks_max);
    let output_tokens = fields.get("output_tokens").and_then(|at| {
        let asked = at.integer(1..=u32::MAX, faults)?;
        below(&at, "output_tokens", asked, Some(most.output_tokens_max), agent, faults)
    });
    let tokens = fields.get("tokens").and_then(|at| {
        let asked = at.whole(1..=u64::MAX, faults)?;
        below(&at, "tokens", asked, most.tokens_max, agent, faults)
    });
    let cost = fields.get("usd").and_then(|at| {
        let asked = at.cost(faults)?;
        below(&at, "usd", asked, most.cost_max, agent, faults)
    });
    AgentLimits {
        turns_max: turns.unwrap_or(most.turns_max),
        calls_max: calls.unwrap_or(most.calls_max),
        asks_max: asks.unwrap_or(most.asks_max),
        output_tokens_max: output_tokens.unwrap_or(most.output_tokens_max),
        tokens_max: tokens.or(most.tokens_max),
        cost_max: cost.or(most.cost_max),
    }
}

/// An agent's own limit is a cap: a task that asks for more would believe that it has it.
fn below<T: PartialOrd + Copy + std::fmt::Display>(
    at: &At<'_, '_, '_>,
    name: &str,
    asked: T,
    most: Option<T>,
    agent: &str,
    faults: &mut Faults,
) -> Option<T> {
    if let Some(most) = most.filter(|most| asked > *most) {
        let message = format!("`{name}` is above {most}, the most that the agent `{agent}` has");
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help(format!("ask for less, or set `{name}` in `[agents.{agent}]`"));
        return None;
    }
    Some(asked)
}

/// Appends the models of alternative agents, and names these. An agent that differs in more than its models would not
/// go on with the transcript of another, and is refused.
fn alternatives(
    fields: &Fields<'_, '_, '_>,
    name: &str,
    spec: &mut AgentSpec,
    walk: &mut Walk<'_>,
) -> Vec<String> {
    let mut names = Vec::new();
    let Some(at) = fields.get("fallback") else { return names };
    let mut is_after_tool = false;
    for (index, node) in at.node.list().unwrap_or_default().iter().enumerate() {
        let path = at.path.index(index);
        // Unknown fields are told where the calls among the alternatives are read.
        let mut told = Faults::default();
        let Some(inner) = Fields::of(node, &path, &FALLBACK_FIELDS, &mut told) else { continue };
        let Some(at) = inner.get("agent") else {
            is_after_tool = true;
            continue;
        };
        let Some(other_name) = at.text(walk.faults) else { continue };
        if is_after_tool {
            let message = "an alternative agent comes before the alternative tools";
            walk.faults.add(at.node.place, &at.path, message).help("put it further up");
        }
        let Some(other) = configured(&at, other_name, walk.catalog, walk.faults) else { continue };
        if agrees(&at, name, (spec, &other), walk.faults) {
            append(&mut spec.models, other.models);
            names.push(other_name.to_owned());
        }
    }
    if spec.models.len() > MODELS_MAX {
        let message = format!("at most {MODELS_MAX} models are tried one after the other");
        walk.faults.add(at.node.place, &at.path, message);
    }
    names
}

/// Whether another agent differs from this one in its models only; a fault where not.
fn agrees(
    at: &At<'_, '_, '_>,
    name: &str,
    (one, other): (&AgentSpec, &AgentSpec),
    faults: &mut Faults,
) -> bool {
    let differs = differences(one, other);
    if !differs.is_empty() {
        let shown = shorten(at.node.text().unwrap_or_default());
        let message = format!(
            "the agent `{shown}` differs from `{name}` in its {}, and an alternative may differ in its \
             models only",
            differs.join(", ")
        );
        let help = "an alternative goes on with what was said; configure the same, or make it a task \
                    of its own";
        faults.add(at.node.place, &at.path, message).help(help);
    }
    differs.is_empty()
}

fn append(models: &mut Vec<ModelSpec>, more: Vec<ModelSpec>) {
    for model in more {
        if !models.iter().any(|known| known.name == model.name) {
            models.push(model);
        }
    }
}

/// What two agents differ in, besides their models.
fn differences(one: &AgentSpec, other: &AgentSpec) -> Vec<&'static str> {
    [
        (one.instructions != other.instructions, "instructions"),
        (one.tools != other.tools, "tools"),
        (one.approve != other.approve, "`approve`"),
        (one.approve_within != other.approve_within, "`approve_within`"),
        (one.permission != other.permission, "permission"),
        (one.limits != other.limits, "limits"),
        (one.compaction != other.compaction, "compaction"),
    ]
    .into_iter()
    .filter_map(|(differs, what)| differs.then_some(what))
    .collect()
}
