//! Everything that can be called: the built-in tools and those of MCP servers, behind one port.
//!
//! It decides nothing about a call but which of the two gets it.

use std::path::PathBuf;
use std::sync::Arc;

use baton_adapters::{BuiltinTools, GUARD_WORD, RELAY_WORD, ToolsConfig};
use baton_core::agent::PERSON_SERVER;
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_engine::ports::{Call, Control, Tools};
use baton_mcp::{Guard, McpTools, ServersConfig};

use crate::exit::Failed;
use crate::planner::SERVER;

/// The tools that are configured. A copy is the same tools: servers are started once for all.
#[derive(Clone)]
pub struct Toolbox {
    builtin: Arc<BuiltinTools>,
    servers: Arc<McpTools>,
}

impl Toolbox {
    /// As configured; no server is started yet.
    pub fn new(builtin: ToolsConfig, servers: &ServersConfig) -> anyhow::Result<Self> {
        let builtin = BuiltinTools::new(builtin)?;
        // Children run under this very program, as those of the built-in tools do.
        let arguments = vec![GUARD_WORD.into(), RELAY_WORD.into()];
        let guard = Guard { program: PathBuf::from("/proc/self/exe"), arguments };
        let taken = |name: &&String| {
            let of = |spec: &ToolSpec| spec.name.split_once('.').is_some_and(|(of, _)| of == *name);
            // What agents ask people with is built in as well, and what plans for conversations.
            *name == PERSON_SERVER || *name == SERVER || builtin.specs().iter().any(of)
        };
        if let Some(name) = servers.keys().find(taken) {
            let message = format!(
                "`[servers.{name}]` has the name of built-in tools (`{name}.…`); give it another"
            );
            return Err(Failed::usage(message).into());
        }
        let servers =
            McpTools::new(servers, &guard).map_err(|fault| Failed::usage(fault.to_string()))?;
        Ok(Self { builtin: Arc::new(builtin), servers: Arc::new(servers) })
    }

    /// The MCP servers.
    pub fn servers(&self) -> &Arc<McpTools> {
        &self.servers
    }
}

impl Tools for Toolbox {
    fn specs(&self) -> Arc<[ToolSpec]> {
        let (builtin, servers) = (self.builtin.specs(), self.servers.specs());
        if servers.is_empty() {
            return builtin;
        }
        builtin.iter().chain(servers.iter()).cloned().collect()
    }

    fn learn(&self, server: &str) -> Result<(), String> {
        self.servers.learn(server)
    }

    fn servers(&self) -> Vec<Json> {
        self.servers.servers()
    }

    fn release(&self, server: &str) -> bool {
        self.servers.release(server)
    }

    fn call(&self, call: &Call, control: &Control) -> Result<Json, CallFailure> {
        if self.servers.serves(&call.tool) {
            self.servers.call(call, control)
        } else {
            self.builtin.call(call, control)
        }
    }
}
