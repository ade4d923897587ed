//! `baton.toml`: what an operator declares. Every field has a default; an unknown one is a fault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use baton_adapters::ToolsConfig;
use baton_core::time::Span;
use baton_core::words::Permission;
use baton_engine::engine::Settings;
use baton_engine::queue;
use baton_engine::rates::Rate;
use baton_mcp::ServersConfig;
use baton_models::ModelsConfig;
use serde::Deserialize;

mod agents;
mod budgets;
mod planning;
mod server;
mod telemetry;

use crate::admin::retention::Retention;
use crate::cli::Common;
use crate::runtime::Bounds;

pub use agents::{Agent, AgentName, Agents, Instructions, beside};
pub use budgets::Budgets;
pub use planning::{Form, Planning, Required};
pub use server::{Server, Tls};
pub use telemetry::Telemetry;

/// The file that is read where none is named.
const FILE_NAME: &str = "baton.toml";

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[tools]`: what the built-in tools may touch.
    pub tools: ToolsConfig,
    /// `[servers.NAME]`: MCP servers, whose tools are called `NAME.TOOL`.
    pub servers: ServersConfig,
    /// `[models]`: which models there are, and what for.
    pub models: ModelsConfig,
    /// `[agents.NAME]`: the agents that tasks name.
    pub agents: Agents,
    /// `[server]`: where `serve` listens, and for whom.
    pub server: Server,
    /// `[budgets]`: what agents may use over several workflows.
    pub budgets: Budgets,
    /// `[limits]`: the bounds of running.
    pub limits: Limits,
    /// `[definitions]`: where definitions are found by name.
    pub definitions: Definitions,
    /// `[planning]`: what plans that a model makes must have, and how far the model may go.
    pub planning: Planning,
    /// `[telemetry]`: where traces and metrics go; nowhere without it.
    pub telemetry: Telemetry,
    /// `[retention]`: when finished workflows are let go of; never without it. `run` and `resume`
    /// see to it when their work is done.
    pub retention: Option<Retention>,
}

/// The bounds of running.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Tasks that execute at a time, over all workflows.
    pub executing: u32,
    /// Tasks that execute at a time, of one workflow.
    pub executing_per_workflow: u32,
    /// How often tasks of a `rate_key` may start, by its name: `10/1s`.
    pub rates: BTreeMap<String, Rate>,
    /// How long a call may run whose task names no `timeout`.
    pub timeout: Span,
    /// How long what runs has to end after a cancellation.
    pub cancel_deadline: Span,
    /// The largest output of a call that is kept, in bytes of JSON.
    pub output_bytes: usize,
    /// The highest permission a task may ask for.
    pub permission: Permission,
}

impl Default for Limits {
    fn default() -> Self {
        let (queue, bounds, settings) =
            (queue::Limits::default(), Bounds::default(), Settings::default());
        Self {
            executing: queue.executing_max,
            executing_per_workflow: queue.executing_per_workflow_max,
            rates: settings.rates,
            timeout: Span(bounds.timeout),
            cancel_deadline: Span(settings.cancel_deadline),
            output_bytes: bounds.output_bytes_max,
            permission: Permission::ReadWrite,
        }
    }
}

/// Where definitions are found by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Definitions {
    /// Folders whose `*.yaml`, `*.yml` and `*.json` files are definitions.
    pub folders: Vec<PathBuf>,
}

impl Config {
    /// The file that is read where none is named.
    pub fn default_path() -> PathBuf {
        PathBuf::from(FILE_NAME)
    }

    /// Reads the named file, or `baton.toml` of this folder where there is one.
    pub fn read(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = named.unwrap_or(Path::new(FILE_NAME));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                return Ok(Self::default());
            }
            Err(e) => {
                return Err(e).with_context(|| {
                    format!("the configuration {} cannot be read", path.display())
                });
            }
        };
        let config: Self = toml::from_str(&text)
            .with_context(|| format!("the configuration {} has a fault", path.display()))?;
        Ok(config.relative_to(path.parent().unwrap_or(Path::new(""))))
    }

    /// The configuration of a command: the file, and what its flags say beyond it.
    pub fn of(common: &Common) -> anyhow::Result<Self> {
        let mut config = Self::read(common.config.as_deref())?;
        config.models.only.clone_from(&common.model);
        Ok(config)
    }

    /// Paths in the file are those of its folder.
    fn relative_to(mut self, folder: &Path) -> Self {
        let places = self.tools.roots.iter_mut().chain(&mut self.definitions.folders);
        let places = places.chain(&mut self.models.scripts);
        let archive =
            self.retention.iter_mut().filter_map(|retention| retention.archive_to.as_mut());
        let encryption = self.server.tls.iter_mut().flat_map(|tls| [&mut tls.cert, &mut tls.key]);
        let told = self.agents.values_mut().filter_map(Agent::file);
        places
            .chain(archive)
            .chain(encryption)
            .chain(told)
            .for_each(|path| *path = folder.join(&path));
        for server in self.servers.values_mut().filter(|server| !server.command.is_empty()) {
            let cwd = server.cwd.take().unwrap_or_default();
            let cwd = folder.join(cwd);
            server.cwd = (!cwd.as_os_str().is_empty()).then_some(cwd);
        }
        self
    }

    /// What the engine is told of it.
    pub fn settings(&self) -> Settings {
        let limits = queue::Limits {
            executing_max: self.limits.executing,
            executing_per_workflow_max: self.limits.executing_per_workflow,
        };
        Settings {
            limits,
            rates: self.limits.rates.clone(),
            budgets: self.budgets.into(),
            cancel_deadline: self.limits.cancel_deadline.0,
            ..Settings::default()
        }
    }

    /// What the executor is told of it.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            threads_max: self.limits.executing as usize,
            timeout: self.limits.timeout.0,
            grace: Duration::from_secs(3),
            output_bytes_max: self.limits.output_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_by_name_and_a_fault_says_how_they_are_written() {
        let read = |text: &str| toml::from_str::<Config>(&format!("[limits.rates]\n{text}"));
        let config = read("api = \"10/1s\"").expect("a rate");
        assert_eq!(config.settings().rates.keys().collect::<Vec<_>>(), ["api"]);
        for text in ["api = \"10 a second\"", "api = \"0/1s\"", "api = \"10/0s\""] {
            let fault = read(text).expect_err("no rate").to_string();
            assert!(fault.contains("write it like `10/1s`"), "{fault}");
        }
    }
}
