//! Reads the edited plan of a workflow: as any definition, and as one of the same name and version.
//!
//! The children it still names stay those that the plan was admitted with. Whether the workflow may be
//! edited at all is its machine's to say.

use super::fault::{Fault, Faults, Path};
use super::fields::At;
use super::tree::{Node, Place};
use super::{SOURCE_BYTES_MAX, checked};
use crate::plan::{AgentSpec, Catalog, Plan, ToolSpec, Work};
use crate::words::Permission;

/// Reads what `of` was edited to. `Err` lists every fault, as with [`read`](super::read).
pub fn edited(source: &str, of: &Plan, catalog: &dyn Catalog) -> Result<Plan, Vec<Fault>> {
    let mut faults = Faults::default();
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("a definition may have at most {SOURCE_BYTES_MAX} bytes");
        faults.add(Place::new(0, 0), &Path::Root, message);
        return Err(faults.resolve(""));
    }
    let pinned = Pinned { of, catalog };
    let plan = checked(source, &pinned, &mut faults, &|root, plan, faults| {
        let version = plan.version.to_string();
        keeps(root, "name", (&plan.name, &of.name), faults);
        keeps(root, "version", (&version, &of.version.to_string()), faults);
    });
    match plan {
        Some(plan) if faults.is_empty() => Ok(plan),
        Some(_) | None => Err(faults.resolve(source)),
    }
}

/// A fault where a field of the root is not what it was.
fn keeps(root: &Node<'_>, name: &str, (found, kept): (&str, &str), faults: &mut Faults) {
    if found == kept {
        return;
    }
    let entries = root.map().unwrap_or_default();
    let entry = entries.iter().find(|entry| entry.key == name);
    let place = entry.map_or(root.place, |entry| entry.node.place);
    let at = At { node: root, path: Path::Root };
    let message = format!("an edit keeps the `{name}` of its definition, `{kept}`");
    let fault = faults.add(place, &at.path.field(name), message);
    fault.help("to have another definition, register it and start a workflow of it");
}

/// A catalogue in which the children of a plan are those it was admitted with.
struct Pinned<'p> {
    of: &'p Plan,
    catalog: &'p dyn Catalog,
}

impl Pinned<'_> {
    fn child(&self, name: &str) -> Option<&Plan> {
        self.of.tasks.iter().find_map(|task| match &task.work {
            Work::Workflow(child) if child.name == name => Some(&*child.plan),
            Work::Workflow(_)
            | Work::Tool(_)
            | Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Worker(_)
            | Work::Agent(_) => None,
        })
    }
}

impl Catalog for Pinned<'_> {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.catalog.tool(name)
    }

    fn tool_trouble(&self, name: &str) -> Option<String> {
        self.catalog.tool_trouble(name)
    }

    fn tool_names(&self) -> Vec<&str> {
        self.catalog.tool_names()
    }

    fn agent(&self, name: &str) -> Option<Result<AgentSpec, String>> {
        self.catalog.agent(name)
    }

    fn agent_names(&self) -> Vec<&str> {
        self.catalog.agent_names()
    }

    fn definition(&self, name: &str) -> Option<Result<Plan, String>> {
        match self.child(name) {
            Some(child) => Some(Ok(child.clone())),
            None => self.catalog.definition(name),
        }
    }

    fn permission_max(&self) -> Permission {
        self.catalog.permission_max()
    }
}
