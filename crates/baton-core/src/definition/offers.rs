//! What an agent is offered: patterns of tools become the tools themselves, within the permission.
//!
//! What is named must be there and be allowed; what a pattern covers is offered as far as it is
//! allowed. What is not offered here cannot be called, whatever a model invents.

use std::collections::BTreeMap;

use super::fault::Faults;
use super::fields::{At, Fields};
use super::suggest;
use super::tree::{Place, shorten};
use crate::agent::{PERSON_ASK, person_ask};
use crate::plan::{AgentSpec, Approval, Catalog, Ends, OfferedTool, ToolSpec};
use crate::words::Permission;

/// The most tools an agent may be offered.
pub const TOOLS_OFFERED_MAX: usize = 128;

/// What a task's agent asks for.
pub(crate) struct Wish<'w, 't, 's, 'p> {
    /// The task.
    pub fields: &'w Fields<'t, 's, 'p>,
    /// Its field `agent`, which faults of the configuration point at.
    pub at: &'w At<'t, 's, 'p>,
    /// The agent's name.
    pub agent: &'w str,
    /// As it is configured.
    pub spec: &'w AgentSpec,
    /// The task's.
    pub permission: Permission,
}

/// A tool that is asked for.
#[derive(Clone, Copy)]
struct Candidate<'c> {
    tool: &'c ToolSpec,
    /// Where it is named; absent where only a pattern covers it.
    named: Option<Place>,
}

/// By name, so that a plan does not depend on the order in which servers answer.
type Candidates<'c> = BTreeMap<&'c str, Candidate<'c>>;

/// Whether a pattern, a name or `server.*`, covers a tool.
fn covers(pattern: &str, tool: &str) -> bool {
    match server_of(pattern) {
        Some(server) => {
            tool.strip_prefix(server).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
        }
        None => pattern == tool,
    }
}

/// The server of a pattern `server.*`.
fn server_of(pattern: &str) -> Option<&str> {
    pattern.strip_suffix(".*")
}

impl<'c> Wish<'_, '_, '_, '_> {
    /// The tools, in the order of their names.
    pub fn offered(&self, catalog: &'c dyn Catalog, faults: &mut Faults) -> Vec<OfferedTool> {
        let all = self.configured(catalog, faults);
        self.approved_exist(&all, faults);
        let asked = self.narrowed(all, faults);
        let approve = self.approved(&asked, faults);
        let mut offered: Vec<OfferedTool> = Vec::new();
        for candidate in asked.into_values() {
            if self.is_allowed(candidate, faults) {
                let name = &candidate.tool.name;
                let asks = approve.iter().any(|pattern| covers(pattern, name));
                offered.push(self.offer(candidate.tool, asks));
            }
        }
        if offered.len() > TOOLS_OFFERED_MAX {
            let message = format!(
                "the agent would be offered {} tools, and at most {TOOLS_OFFERED_MAX} are possible",
                offered.len()
            );
            let fault = faults.add(self.at.node.place, &self.at.path, message);
            fault.help("narrow them with `tools`");
        }
        offered
    }

    /// What a person approves: what the agent says, and what the task adds to it.
    fn approved(&self, asked: &Candidates<'_>, faults: &mut Faults) -> Vec<&str> {
        let own = self.texts("approve", faults);
        for (pattern, place) in &own {
            if !asked.keys().any(|name| covers(pattern, name)) {
                let message = format!("`{}` is no tool that this task offers", shorten(pattern));
                let hint = suggest::hint(pattern, asked.keys().copied());
                add(faults, *place, &self.fields.path.field("approve"), message, hint);
            }
        }
        let of_agent = self.spec.approve.iter().map(String::as_str);
        of_agent.chain(own.into_iter().map(|(pattern, _)| pattern)).collect()
    }

    fn offer(&self, tool: &ToolSpec, asks: bool) -> OfferedTool {
        OfferedTool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            input: tool.input.clone(),
            effect: tool.effect,
            approval: asks.then_some(Approval { within: self.spec.approve_within }),
            ends: Ends::Call,
        }
    }

    /// The texts of a list of the task, those that could be read.
    fn texts(&self, name: &'static str, faults: &mut Faults) -> Vec<(&str, Place)> {
        // The path borrows the name, which is why it is made anew.
        let Some(entry) = self.fields.entry(name) else { return Vec::new() };
        let at = At { node: &entry.node, path: self.fields.path.field(name) };
        at.texts(faults).unwrap_or_default()
    }

    /// All that the agent is configured with.
    fn configured(&self, catalog: &'c dyn Catalog, faults: &mut Faults) -> Candidates<'c> {
        let mut all = Candidates::new();
        for pattern in &self.spec.tools {
            // No catalogue has it: nobody serves it.
            if covers(pattern, PERSON_ASK) {
                let named = server_of(pattern).is_none().then_some(self.at.node.place);
                all.insert(PERSON_ASK, Candidate { tool: person_ask(), named });
                continue;
            }
            // Asking for any name of a server makes a catalogue learn what that server has.
            let named = catalog.tool(pattern);
            if let Some(tool) = named {
                let named = Some(self.at.node.place);
                all.insert(tool.name.as_str(), Candidate { tool, named });
                continue;
            }
            let mut is_met = false;
            if server_of(pattern).is_some() {
                let names = catalog.tool_names().into_iter().filter(|name| covers(pattern, name));
                for tool in names.filter_map(|name| catalog.tool(name)) {
                    is_met = true;
                    all.entry(tool.name.as_str()).or_insert(Candidate { tool, named: None });
                }
            }
            if !is_met {
                self.missing(pattern, catalog, faults);
            }
        }
        all
    }

    /// The fault of a configured tool that is not there.
    fn missing(&self, pattern: &str, catalog: &dyn Catalog, faults: &mut Faults) {
        let (shown, agent) = (shorten(pattern), self.agent);
        let (message, help) = match catalog.tool_trouble(pattern) {
            Some(trouble) => (
                format!("`{shown}`, which the agent `{agent}` uses, is not at hand: {trouble}"),
                None,
            ),
            None => {
                let message = format!("there is no tool `{shown}`, which the agent `{agent}` uses");
                let names = catalog.tool_names().into_iter().chain([PERSON_ASK]);
                let hint = suggest::nearest(pattern, names);
                let hint = hint.map(|near| format!("did you mean `{near}`?"));
                let mend =
                    || format!("mend `tools` of `[agents.{agent}]`; `baton tools` lists them");
                (message, Some(hint.unwrap_or_else(mend)))
            }
        };
        add(faults, self.at.node.place, &self.at.path, message, help);
    }

    /// A tool that is to be approved and is not there would be called unapproved under its real name.
    fn approved_exist(&self, all: &Candidates<'_>, faults: &mut Faults) {
        for pattern in &self.spec.approve {
            if !all.keys().any(|name| covers(pattern, name)) {
                let agent = self.agent;
                let shown = shorten(pattern);
                let message = format!("the agent `{agent}` has no tool `{shown}` to be approved");
                let hint = suggest::hint(pattern, all.keys().copied());
                add(faults, self.at.node.place, &self.at.path, message, hint);
            }
        }
    }

    /// Those of them that the task wants.
    fn narrowed(&self, all: Candidates<'c>, faults: &mut Faults) -> Candidates<'c> {
        if self.fields.entry("tools").is_none() {
            return all;
        }
        let mut kept = Candidates::new();
        for (pattern, place) in self.texts("tools", faults) {
            let named = server_of(pattern).is_none().then_some(place);
            let mut is_met = false;
            for (name, candidate) in all.iter().filter(|(name, _)| covers(pattern, name)) {
                is_met = true;
                let new = Candidate { named, ..*candidate };
                let old = kept.entry(name).or_insert(new);
                old.named = old.named.or(named);
            }
            if !is_met {
                let message =
                    format!("the agent `{}` has no tool `{}`", self.agent, shorten(pattern));
                let hint = suggest::hint(pattern, all.keys().copied());
                add(faults, place, &self.fields.path.field("tools"), message, hint);
            }
        }
        kept
    }

    /// Whether the task's permission covers a tool. One that is named must not be left out silently.
    fn is_allowed(&self, candidate: Candidate<'_>, faults: &mut Faults) -> bool {
        let needed = candidate.tool.permission;
        if needed <= self.permission {
            return true;
        }
        if let Some(place) = candidate.named {
            let message = format!(
                "`{}`, which the agent `{}` is offered, needs the permission `{needed}`, and the \
                 task has `{}`",
                candidate.tool.name, self.agent, self.permission
            );
            let help =
                format!("add `permission: {needed}` to the task, or leave it out with `tools`");
            let is_own = self.fields.entry("tools").is_some();
            let field = if is_own { "tools" } else { "agent" };
            add(faults, place, &self.fields.path.field(field), message, Some(help));
        }
        false
    }
}

fn add(
    faults: &mut Faults,
    place: Place,
    path: &dyn std::fmt::Display,
    message: String,
    help: Option<String>,
) {
    let fault = faults.add(place, path, message);
    if let Some(help) = help {
        fault.help(help);
    }
}
