//! Tests of the reader: what is read, and every fault that is reported.

mod agents;
mod faults;
mod hostile;
mod inputs;
mod reads;
mod schema;
mod triggers;
mod written;

use std::collections::BTreeMap;

use serde_json::json;

use super::{Fault, read};
use crate::plan::{AgentSpec, Catalog, ModelSpec, Plan, ToolSpec};
use crate::words::{Effect, Permission};

/// A catalogue of four tools, an agent without any, and whatever agents and definitions a test stores.
pub(crate) struct Known {
    tools: BTreeMap<String, ToolSpec>,
    pub agents: BTreeMap<String, AgentSpec>,
    pub definitions: BTreeMap<String, Plan>,
    pub permission_max: Permission,
}

impl Known {
    pub fn new() -> Self {
        let tool = |name: &str, effect, permission, input| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            effect,
            permission,
            input,
            output: None,
            quick: false,
        };
        let path = json!({
            "type": "object",
            "required": ["path"],
            "properties": { "path": { "type": "string", "description": "the file to read" }, "limit": { "type": "integer" } },
            "additionalProperties": false,
        });
        let write = json!({
            "type": "object",
            "required": ["path", "text"],
            "properties": { "path": { "type": "string" }, "text": {} },
            "additionalProperties": false,
        });
        let tools = [
            tool("fs.read", Effect::Read, Permission::ReadOnly, path.clone()),
            tool("fs.list", Effect::Read, Permission::ReadOnly, path),
            tool("fs.write", Effect::Idempotent, Permission::ReadWrite, write),
            tool("core.noop", Effect::Read, Permission::ReadOnly, json!({ "type": "object" })),
        ];
        Self {
            tools: tools.into_iter().map(|tool| (tool.name.clone(), tool)).collect(),
            agents: [("plain".to_owned(), agent(&[]))].into(),
            definitions: BTreeMap::new(),
            permission_max: Permission::ReadWrite,
        }
    }
}

/// An agent of one model with these tools, which may be elevated.
pub(crate) fn agent(tools: &[&str]) -> AgentSpec {
    AgentSpec {
        models: vec![ModelSpec::named("local/one")],
        instructions: None,
        tools: tools.iter().map(|&tool| tool.to_owned()).collect(),
        approve: Vec::new(),
        approve_within: None,
        permission: Permission::ReadWrite,
        limits: Default::default(),
        compaction: Default::default(),
    }
}

impl Catalog for Known {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.tools.get(name)
    }
    fn tool_names(&self) -> Vec<&str> {
        self.tools.keys().map(String::as_str).collect()
    }
    fn agent(&self, name: &str) -> Option<Result<AgentSpec, String>> {
        self.agents.get(name).cloned().map(Ok)
    }
    fn agent_names(&self) -> Vec<&str> {
        self.agents.keys().map(String::as_str).collect()
    }
    fn definition(&self, name: &str) -> Option<Result<Plan, String>> {
        self.definitions.get(name).cloned().map(Ok)
    }
    fn permission_max(&self) -> Permission {
        self.permission_max
    }
}

/// Reads with the usual catalogue; faults are shown when a test did not expect them.
pub(crate) fn plan(source: &str) -> Plan {
    read(source, &Known::new()).unwrap_or_else(|faults| {
        let shown: Vec<String> =
            faults.iter().map(|fault| super::render(fault, "test.yaml", source)).collect();
        panic!("{}", shown.join("\n"))
    })
}

fn faults(source: &str) -> Vec<Fault> {
    read(source, &Known::new()).err().unwrap_or_default()
}

/// A definition of one stage with these tasks, as YAML flow maps.
pub(crate) fn with_tasks(tasks: &[&str]) -> String {
    let lines: Vec<String> = tasks.iter().map(|task| format!("      - {task}")).collect();
    format!("name: test\nstages:\n  - name: one\n    tasks:\n{}\n", lines.join("\n"))
}
