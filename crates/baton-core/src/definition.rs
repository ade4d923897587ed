//! Definitions: from YAML or JSON text to a validated plan, with every fault at its place.
//!
//! One spanned tree, one walk over its shapes, then the checks of what fields mean to one another.
//! Only a syntax error stops early. It reads no file and runs nothing.

mod agent;
mod calls;
mod changes;
mod children;
mod draft;
mod edited;
mod fault;
mod fields;
mod graph;
mod inputs;
mod invocation;
mod kind;
mod located;
mod names;
mod offers;
mod scalar;
mod schema;
mod suggest;
mod task;
mod tree;
mod triggers;
mod walk;
mod written;
mod yaml;

#[cfg(test)]
pub(crate) mod tests;

pub use agent::{AGENT_STEPS_MAX, MODELS_MAX};
pub use changes::{Changes, changes};
pub use children::NESTING_MAX;
pub use edited::edited;
pub use fault::{FAULTS_MAX, Fault, render};
pub(crate) use inputs::validator;
pub use inputs::{INPUT_FAULTS_MAX, InputFault, input_faults, input_from_text, value_from_text};
pub use invocation::{INVOCATION_TASK, invocation};
pub use kind::EVENT_CHARS_MAX;
pub use located::{Located, Wrong};
pub use offers::TOOLS_OFFERED_MAX;
pub use schema::schema;
pub use task::{ATTEMPTS_MAX, FALLBACKS_MAX};
pub use tree::DEPTH_MAX;
pub use walk::NAME_CHARS_MAX;
pub use written::written;
pub use yaml::yaml;

use crate::plan::{Catalog, Plan};
use fault::{Faults, Path};
use tree::{Node, Place};

/// The largest source, in bytes.
pub const SOURCE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads a definition. `Err` lists every fault in the order of the source, at most [`FAULTS_MAX`]
/// and one that says that there are more.
pub fn read(source: &str, catalog: &dyn Catalog) -> Result<Plan, Vec<Fault>> {
    let mut faults = Faults::default();
    if source.len() > SOURCE_BYTES_MAX {
        let message = format!("a definition may have at most {SOURCE_BYTES_MAX} bytes");
        faults.add(Place::new(0, 0), &Path::Root, message);
        return Err(faults.resolve(""));
    }
    let plan = checked(source, catalog, &mut faults, &|_, _, _| {});
    match plan {
        Some(plan) if faults.is_empty() => Ok(plan),
        Some(_) | None => Err(faults.resolve(source)),
    }
}

/// A check of the whole beside those of every definition: of the root and the plan it was read as.
type Check<'c> = &'c dyn Fn(&Node<'_>, &Plan, &mut Faults);

fn checked(
    source: &str,
    catalog: &dyn Catalog,
    faults: &mut Faults,
    further: Check<'_>,
) -> Option<Plan> {
    let node = tree::read(source, faults)?;
    let mut walk = walk::Walk { faults, catalog };
    let mut draft = walk::definition(&node, &mut walk)?;
    graph::resolve(&mut draft, faults);
    walk::milestones(&mut draft, faults);
    calls::check(&mut draft, catalog, faults);
    names::check(source, &draft, faults);
    further(&node, &draft.plan, faults);
    Some(draft.plan)
}
