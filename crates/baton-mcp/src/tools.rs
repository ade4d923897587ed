//! All configured servers behind the engine's port: names to servers, blocking calls to async ones.

use std::sync::Arc;

use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::FailureKind;
use baton_engine::ports::{Call, Control, Tools};
use tokio::runtime::{Builder, Runtime};

use crate::config::{ServerFault, ServersConfig};
use crate::connection::Guard;
use crate::record::ServerView;
use crate::server::Server;

/// Threads for the talk with all servers.
const THREADS: usize = 2;

/// The tools of MCP servers.
pub struct McpTools {
    servers: Vec<Arc<Server>>,
    /// Declared, but not to be used.
    disabled: Vec<String>,
    /// Ends in the background: closing their input is what ends the servers.
    runtime: Option<Runtime>,
}

impl McpTools {
    /// Of these servers. None of them is started before it is needed.
    pub fn new(config: &ServersConfig, guard: &Guard) -> Result<Self, McpError> {
        let (mut servers, mut disabled) = (Vec::new(), Vec::new());
        for (name, server) in config {
            let checked = Server::new(name, server.clone(), guard.clone())?;
            if server.enabled {
                servers.push(checked);
            } else {
                disabled.push(name.clone());
            }
        }
        let runtime = if servers.is_empty() {
            None
        } else {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(THREADS).thread_name("mcp").enable_all();
            Some(builder.build().map_err(McpError::Runtime)?)
        };
        Ok(Self { servers, disabled, runtime })
    }

    /// Whether tools of this name's server are called here.
    pub fn serves(&self, tool: &str) -> bool {
        let named = tool.split_once('.').map_or(tool, |(server, _)| server);
        self.server(named).is_some() || self.disabled.iter().any(|name| name == named)
    }

    /// Every server that may be used.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.servers.iter().map(|server| server.name.as_str())
    }

    /// Has every server tell its tools, all at once; blocks until each has, or cannot.
    pub fn learn_all(&self) {
        std::thread::scope(|scope| {
            for name in self.names() {
                // What went wrong is in the server's record.
                scope.spawn(move || drop(self.learn(name)));
            }
        });
    }

    /// Every server as it is shown, those that are turned off last.
    pub fn views(&self) -> Vec<ServerView> {
        let off = self.disabled.iter().map(|name| ServerView::disabled(name));
        self.servers.iter().map(|server| server.view()).chain(off).collect()
    }

    fn server(&self, name: &str) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| server.name == name)
    }
}

/// Why the servers cannot be used.
#[derive(Debug)]
pub enum McpError {
    /// One is declared wrongly.
    Server(ServerFault),
    /// No threads can be had.
    Runtime(std::io::Error),
}

impl From<ServerFault> for McpError {
    fn from(fault: ServerFault) -> Self {
        Self::Server(fault)
    }
}

impl std::fmt::Display for McpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(fault) => fault.fmt(f),
            Self::Runtime(fault) => write!(f, "no threads can be had for the servers: {fault}"),
        }
    }
}

impl std::error::Error for McpError {}

impl Tools for McpTools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        let told: Vec<_> = self.servers.iter().filter_map(|server| server.tools()).collect();
        told.iter().flat_map(|tools| tools.specs().cloned()).collect()
    }

    fn learn(&self, server: &str) -> Result<(), String> {
        let Some(server) = self.server(server) else {
            let is_off = self.disabled.iter().any(|name| name == server);
            let off = || Err(format!("the server `{server}` is turned off (`enabled = false`)"));
            return if is_off { off() } else { Ok(()) };
        };
        if server.tools().is_some() {
            return Ok(());
        }
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let connected = runtime.block_on(server.connected());
        connected.map(drop).map_err(|why| why.message(&server.name))
    }

    fn servers(&self) -> Vec<Json> {
        self.views().iter().filter_map(|view| Json::from_serialize(view).ok()).collect()
    }

    fn release(&self, server: &str) -> bool {
        let found = self.server(server);
        if let Some(server) = found {
            server.record().release();
        }
        found.is_some()
    }

    fn call(&self, call: &Call, control: &Control) -> Result<Json, CallFailure> {
        let named = call.tool.split_once('.');
        let found = named.and_then(|(server, tool)| Some((self.server(server)?, tool)));
        let (Some((server, tool)), Some(runtime)) = (found, &self.runtime) else {
            let message = format!("no server of a tool `{}` is configured and enabled", call.tool);
            return Err(CallFailure::refused(FailureKind::NotFound, message));
        };
        runtime.block_on(crate::call::call(server, tool, call, control))
    }
}

impl Drop for McpTools {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
