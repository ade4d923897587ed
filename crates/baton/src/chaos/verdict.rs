//! The judge: compares what is there after a kill with what was told and with undisturbed runs.
//!
//! Every status must be the same. An output must be the same where two undisturbed runs, the first
//! and the last thing that chaos does, agree on it: what differs between those (times, versions of
//! a repository, a process id) may differ in any run, so there the status alone is compared.

use std::collections::BTreeMap;

use serde_json::Value;

use super::outcome::Seen;
use super::trial::Trialled;

/// What undisturbed runs come to.
#[derive(Debug)]
pub struct Reference {
    workflow: Seen,
    workflows: usize,
    once_keys: usize,
    compares_output: bool,
}

/// What is wrong after one trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What was lost, a sentence each.
    pub lost: Vec<String>,
    /// `once` effects that were begun again though they may have happened.
    pub doubled: u64,
}

fn top(trialled: &Trialled) -> Option<&Seen> {
    trialled.seen.iter().find(|seen| seen.origin == "cli")
}

impl Reference {
    /// What two undisturbed runs have in common; `None` where one of them has no workflow.
    pub fn of(first: &Trialled, last: &Trialled) -> Option<Self> {
        let (mut workflow, other) = (top(first)?.clone(), top(last)?);
        for (key, task) in &mut workflow.tasks {
            if other.tasks.get(key).map(|other| &other.output) != Some(&task.output) {
                // Nothing is compared with it.
                task.output = Value::Null;
            }
        }
        Some(Self {
            compares_output: workflow.output == other.output,
            workflow,
            workflows: first.seen.len(),
            once_keys: first.log.once_keys().min(last.log.once_keys()),
        })
    }

    /// Judges a trial.
    pub fn judge(&self, trialled: &Trialled) -> Verdict {
        let mut lost = missing(trialled);
        match top(trialled) {
            Some(seen) => self.compare(seen, trialled, &mut lost),
            None if trialled.log.once_keys() > 0 => {
                lost.push("effects were begun for a workflow that is not there".to_owned());
            }
            // Killed before anything was stored or told: there was nothing to lose.
            None => {}
        }
        Verdict { lost, doubled: trialled.log.doubled() }
    }

    fn compare(&self, seen: &Seen, trialled: &Trialled, lost: &mut Vec<String>) {
        if seen.status != self.workflow.status {
            lost.push(format!("the workflow is {}, not {}", seen.status, self.workflow.status));
        }
        if self.compares_output && seen.output != self.workflow.output {
            lost.push("the workflow's output is another".to_owned());
        }
        for (key, expected) in &self.workflow.tasks {
            let found = seen.tasks.get(key).cloned().unwrap_or_default();
            if found.status != expected.status {
                let (is, not) = (&found.status, &expected.status);
                lost.push(format!("task {key} is `{is}`, not `{not}`"));
            } else if !expected.output.is_null() && found.output != expected.output {
                lost.push(format!("the output of task {key} is another"));
            }
        }
        if trialled.seen.len() != self.workflows {
            let (found, expected) = (trialled.seen.len(), self.workflows);
            lost.push(format!("there are {found} workflows, not {expected}"));
        }
        let (begun, expected) = (trialled.log.once_keys(), self.once_keys);
        if begun < expected {
            lost.push(format!("{begun} of {expected} `once` effects were begun"));
        }
    }
}

/// What a command told of and is not there.
fn missing(trialled: &Trialled) -> Vec<String> {
    let seen: BTreeMap<&str, &Seen> =
        trialled.seen.iter().map(|seen| (seen.id.as_str(), seen)).collect();
    let mut lost = Vec::new();
    for id in &trialled.told_workflows {
        if !seen.contains_key(id.as_str()) {
            lost.push(format!("workflow {id} was told of and is not there"));
        }
    }
    for (id, told) in &trialled.told_events {
        let there = seen.get(id.as_str()).map(|seen| seen.events.contains(told));
        if there == Some(false) {
            let (position, kind) = told;
            lost.push(format!("event {position} ({kind}) of {id} was told of and is not there"));
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trialled(status: &str, output: &str) -> Trialled {
        let shown = serde_json::json!({
            "workflow": { "id": "w", "name": "n", "origin": "cli", "status": status },
            "tasks": [{ "id": "t", "key": "a", "status": "completed" }],
            "events": [
                { "id": "1", "type": "workflow.admitted" },
                { "id": "2", "type": "task.completed", "task": "a",
                  "data": { "task": 0, "output": { "value": { "inline": output } } } },
            ],
        });
        Trialled {
            killed: true,
            told_workflows: vec!["w".to_owned()],
            told_events: vec![("w".to_owned(), (1, "workflow.admitted".to_owned()))],
            seen: vec![Seen::of(&shown)],
            ..Trialled::default()
        }
    }

    fn lost(reference: &Reference, trialled: &Trialled) -> usize {
        reference.judge(trialled).lost.len()
    }

    #[test]
    fn what_differs_from_undisturbed_runs_or_was_told_and_is_gone_is_lost() {
        let usual = || trialled("completed", "same");
        let reference = Reference::of(&usual(), &usual()).unwrap();
        assert_eq!(reference.judge(&usual()), Verdict::default());
        assert_eq!(lost(&reference, &trialled("running", "same")), 1);
        assert_eq!(lost(&reference, &trialled("completed", "other")), 1);
        let mut forgets = usual();
        let gone = (9, "task.completed".to_owned());
        forgets.told_events.push(("w".to_owned(), gone));
        assert_eq!(lost(&reference, &forgets), 1);
        let empty = Trialled { seen: Vec::new(), ..usual() };
        assert_eq!(lost(&reference, &empty), 1);
        let untold = Trialled::default();
        assert_eq!(lost(&reference, &untold), 0);
    }

    #[test]
    fn what_differs_between_undisturbed_runs_is_not_compared() {
        let first = trialled("completed", "at ten");
        let reference = Reference::of(&first, &trialled("completed", "at eleven")).unwrap();
        assert_eq!(lost(&reference, &trialled("completed", "at twelve")), 0);
    }
}
