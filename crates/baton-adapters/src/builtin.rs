//! The registry of built-in tools: names to tools, behind the engine's port.
//!
//! It decides nothing about a call but which tool gets it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::plan::ToolSpec;
use baton_core::words::FailureKind;
use baton_engine::ports::{Call, Control, Tools};

use crate::beneath::Roots;
use crate::child::Guarded;
use crate::config::{Permit, ToolsConfig, ToolsError};
use crate::tool::{AnyTool, Scope};
use crate::{core, csv, fs, git, http, search, shell, text, write};

/// The tools that come with Baton.
pub struct BuiltinTools {
    config: ToolsConfig,
    roots: Roots,
    tools: BTreeMap<String, Box<dyn AnyTool>>,
    specs: Arc<[ToolSpec]>,
}

impl BuiltinTools {
    /// Opens the declared roots. Children run under this very executable, which must hand over to
    /// [`crate::guard_main`] when its first argument is [`crate::GUARD_WORD`].
    pub fn new(config: ToolsConfig) -> Result<Self, ToolsError> {
        // The link keeps naming the running image when the file behind it has been replaced.
        Self::guarded_by(config, PathBuf::from("/proc/self/exe"))
    }

    /// Like [`BuiltinTools::new`], with another executable as the guard of children.
    pub fn guarded_by(config: ToolsConfig, guard: PathBuf) -> Result<Self, ToolsError> {
        let roots = Roots::open(&config.roots)?;
        let tools: BTreeMap<String, Box<dyn AnyTool>> = all(&config, &Guarded::by(guard))?
            .into_iter()
            .map(|tool| (tool.spec(&config.limits).name, tool))
            .collect();
        let specs = tools.values().map(|tool| tool.spec(&config.limits)).collect();
        Ok(Self { config, roots, tools, specs })
    }
}

fn all(config: &ToolsConfig, guarded: &Guarded) -> Result<Vec<Box<dyn AnyTool>>, ToolsError> {
    let mut tools: Vec<Box<dyn AnyTool>> = vec![
        Box::new(core::Noop),
        Box::new(text::Query),
        Box::new(text::Render),
        Box::new(fs::Read),
        Box::new(fs::List),
        Box::new(search::Search),
        Box::new(write::Write),
        Box::new(csv::Read),
        Box::new(csv::Write),
        Box::new(git::Diff::under(guarded)),
        Box::new(git::Log::under(guarded)),
        Box::new(git::Status::under(guarded)),
        Box::new(http::Get::of(&config.http)?),
        Box::new(http::Request::of(&config.http)?),
    ];
    if config.shell.allow == Permit::Granted {
        tools.push(Box::new(shell::Run::under(guarded)));
    }
    Ok(tools)
}

impl Tools for BuiltinTools {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    fn call(&self, call: &Call, control: &Control) -> Result<Json, CallFailure> {
        let Some(tool) = self.tools.get(&call.tool) else {
            let name = &call.tool;
            return Err(disabled(name).map_or_else(
                || CallFailure::refused(FailureKind::NotFound, format!("there is no tool {name}")),
                |why| CallFailure::refused(FailureKind::Denied, why),
            ));
        };
        let scope = Scope::new(call, &self.config, &self.roots, control);
        scope.check()?;
        tool.call(&scope, &call.input)
    }
}

/// Why a built-in tool is not among the specs though Baton has it, and which setting enables it.
pub fn disabled(name: &str) -> Option<&'static str> {
    (name == "shell.run").then_some(
        "shell.run is off: it runs any command the definition names; \
         set `allow = true` under `[tools.shell]` in baton.toml to enable it",
    )
}
