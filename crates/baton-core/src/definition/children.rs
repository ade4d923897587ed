//! Child workflows: resolved by the catalogue, pinned, and bounded in depth and size.

use super::draft::Draft;
use super::fields::At;
use super::tree::shorten;
use super::walk::Walk;
use crate::plan::{Plan, WORKFLOW_TASKS_MAX, Work};

/// How deep child workflows may be nested, the outermost workflow not counted.
pub const NESTING_MAX: usize = 8;

/// The plan of a child, or a fault that says why it cannot be one.
pub(crate) fn resolve(
    at: &At<'_, '_, '_>,
    name: &str,
    draft: &mut Draft<'_, '_>,
    walk: &mut Walk<'_>,
) -> Option<Plan> {
    let refuse = |message: String, help: &str, walk: &mut Walk<'_>| {
        let fault = walk.faults.add(at.node.place, &at.path, message);
        fault.help(help);
    };
    let shown = shorten(name);
    if name == draft.plan.name {
        let message = format!("`{shown}` would run itself");
        refuse(message, "a definition may not be among its own children", walk);
        return None;
    }
    let plan = match walk.catalog.definition(name) {
        None => {
            let message = format!("there is no definition `{shown}`");
            refuse(message, "store it first, or put its file beside this one", walk);
            return None;
        }
        Some(Err(why)) => {
            let message = format!("the definition `{shown}` cannot be used: {why}");
            refuse(message, "mend that definition first", walk);
            return None;
        }
        Some(Ok(plan)) => plan,
    };
    let measured = measure(&plan, &draft.plan.name);
    if measured.names {
        let message = format!("`{shown}` runs `{}` again", draft.plan.name);
        refuse(message, "a definition may not be among its own children", walk);
        return None;
    }
    if measured.depth > NESTING_MAX {
        let message = format!("child workflows are nested deeper than {NESTING_MAX}");
        refuse(message, "flatten the innermost ones", walk);
        return None;
    }
    draft.child_tasks += measured.tasks;
    if draft.child_tasks > WORKFLOW_TASKS_MAX {
        let message =
            format!("the child workflows have more than {WORKFLOW_TASKS_MAX} tasks in all");
        refuse(message, "run the child in an `each`, where it is kept once", walk);
        return None;
    }
    Some(plan)
}

struct Measured {
    /// 1 for a plan without children.
    depth: usize,
    /// Its own tasks and those of its children.
    tasks: usize,
    /// Whether the name asked for is among its children.
    names: bool,
}

fn measure(plan: &Plan, name: &str) -> Measured {
    let mut measured = Measured { depth: 1, tasks: plan.tasks.len(), names: plan.name == name };
    for task in &plan.tasks {
        if let Work::Workflow(child) = &task.work {
            let inner = measure(&child.plan, name);
            measured.depth = measured.depth.max(inner.depth + 1);
            measured.tasks += inner.tasks;
            measured.names |= inner.names;
        }
    }
    measured
}
