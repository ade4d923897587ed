//! `[planning.required]`: the steps that no plan of a model may be without, and which definitions a model
//! may start without a review.

use baton_core::plan::{Plan, TaskPlan, Work};
use baton_core::words::{Effect, HumanKind, OnFailure, Permission};

use crate::config::Required;

/// What of a plan is forbidden, each with its place; empty where nothing is.
pub fn missing_steps(plan: &Plan, required: Required) -> Vec<String> {
    if !required.approval_before_writes {
        return Vec::new();
    }
    let unapproved = unapproved(plan, &|task| may_write(task));
    let told = |key: String| {
        format!(
            "task `{key}`: it may change something, and no task `human: approval` is among its needs; \
             let it need one (without `when`, `each` and `on_failure`), which every plan here must have \
             before it writes"
        )
    };
    unapproved.into_iter().map(told).collect()
}

/// Whether nothing of it changes anything outside before a person has agreed.
pub fn starts_unreviewed(plan: &Plan) -> bool {
    unapproved(plan, &|task| may_write(task) || reaches_out(task)).is_empty()
}

/// The keys of tasks that do this before any approval; those of child workflows as `CHILD/KEY`.
fn unapproved(plan: &Plan, does: &dyn Fn(&TaskPlan) -> bool) -> Vec<String> {
    let open = plan.tasks.iter().enumerate().filter(|(at, _)| !is_approved(plan, *at));
    let found = open.flat_map(|(_, task)| match &task.work {
        Work::Workflow(child) => {
            let inner = unapproved(&child.plan, does).into_iter();
            inner.map(|key| format!("{}/{key}", task.key)).collect()
        }
        Work::Tool(_)
        | Work::Human(_)
        | Work::Wait(_)
        | Work::Emit(_)
        | Work::Worker(_)
        | Work::Agent(_) => {
            let found = does(task).then(|| task.key.clone());
            found.into_iter().collect::<Vec<String>>()
        }
    });
    found.collect()
}

fn may_write(task: &TaskPlan) -> bool {
    let by_worker = matches!(&task.work, Work::Worker(worker) if worker.effect != Effect::Read);
    task.permission == Permission::ReadWrite || by_worker
}

/// An event that is emitted may start what changes something.
fn reaches_out(task: &TaskPlan) -> bool {
    matches!(task.work, Work::Emit(_))
}

/// Whether a task starts only after a person has approved: one of what must have ended before it is an
/// approval, or waits for one itself.
fn is_approved(plan: &Plan, task: usize) -> bool {
    let mut seen = vec![false; plan.tasks.len()];
    let mut open = vec![task];
    while let Some(at) = open.pop() {
        for need in needs(plan, at) {
            if plan.tasks.get(need).is_some_and(approves) {
                return true;
            }
            if let Some(seen) = seen.get_mut(need).filter(|seen| !**seen) {
                *seen = true;
                open.push(need);
            }
        }
    }
    false
}

/// What must have ended before a task: what it names, or all of the stages before.
fn needs(plan: &Plan, task: usize) -> Vec<usize> {
    let Some(task) = plan.tasks.get(task) else { return Vec::new() };
    match &task.needs {
        Some(needs) => needs.iter().map(|need| need.index()).collect(),
        None => {
            let earlier = plan.tasks.iter().take_while(|other| other.stage < task.stage);
            earlier.enumerate().map(|(at, _)| at).collect()
        }
    }
}

/// An approval that nothing goes on without: it cannot be skipped, fan out to nobody, or be passed over
/// when it is denied.
fn approves(task: &TaskPlan) -> bool {
    let asks = matches!(&task.work, Work::Human(human) if human.kind == HumanKind::Approval);
    asks && task.when.is_none() && task.each.is_none() && task.on_failure == OnFailure::Fail
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use baton_adapters::{BuiltinTools, ToolsConfig};
    use baton_core::definition;

    use super::*;
    use crate::catalog::LocalCatalog;
    use crate::config::Config;

    const WRITE: &str = "tool: fs.write, permission: read_write, with: { path: a, text: b }";

    fn plan(stages: &[&[&str]]) -> Plan {
        let mut source = "name: a\nstages:\n".to_owned();
        for (at, tasks) in stages.iter().enumerate() {
            source.push_str(&format!("  - name: s{at}\n    tasks:\n"));
            tasks.iter().for_each(|task| source.push_str(&format!("      - {{ {task} }}\n")));
        }
        let tools = Arc::new(BuiltinTools::new(ToolsConfig::default()).unwrap());
        let nowhere = Some(Path::new("/nowhere"));
        let catalog = LocalCatalog::new(tools, &Config::default(), nowhere, None);
        definition::read(&source, &catalog).unwrap_or_else(|faults| panic!("{source}: {faults:?}"))
    }

    fn refused(stages: &[&[&str]]) -> usize {
        missing_steps(&plan(stages), Required { approval_before_writes: true }).len()
    }

    #[test]
    fn what_writes_waits_for_an_approval_however_far_up() {
        let write = format!("id: w, {WRITE}");
        let agree = "id: ok, human: approval, ask: Yes?";
        assert_eq!(refused(&[&[&write]]), 1);
        assert_eq!(refused(&[&[agree, &write]]), 1, "side by side is not before");
        assert_eq!(refused(&[&[agree], &[&write]]), 0, "a stage before");
        let needs = |of: &str| format!("id: w, needs: [{of}], {WRITE}");
        assert_eq!(refused(&[&[agree, &needs("ok")]]), 0);
        let between = "id: b, needs: [ok], wait: { for: 1s }";
        assert_eq!(refused(&[&[agree, between, &needs("b")]]), 0);
        assert_eq!(refused(&[&[agree], &[&format!("id: w, needs: [], {WRITE}")]]), 1);
    }

    #[test]
    fn an_approval_that_can_be_passed_over_is_none() {
        let write = format!("id: w, {WRITE}");
        for loose in
            ["when: 'false'", "each: []", "on_failure: continue", "on_failure: skip_dependents"]
        {
            let agree = format!("id: ok, human: approval, ask: Yes?, {loose}");
            assert_eq!(refused(&[&[&agree], &[&write]]), 1, "{loose}");
        }
        assert_eq!(
            refused(&[&["id: ok, human: choice, ask: Yes?, options: [a, b]"], &[&write]]),
            1
        );
    }

    #[test]
    fn what_reads_needs_nobody_and_policy_can_be_switched_off() {
        assert_eq!(refused(&[&["id: r, tool: fs.read, with: { path: a }"]]), 0);
        let writes = plan(&[&[&format!("id: w, {WRITE}")]]);
        assert!(missing_steps(&writes, Required { approval_before_writes: false }).is_empty());
        assert!(!starts_unreviewed(&writes), "whatever the policy, a person sees it first");
        let emits = plan(&[&["id: e, emit: { type: a.b, data: {} }"]]);
        assert!(!starts_unreviewed(&emits));
    }
}
