//! What the tests of the tools share: a workshop with a root, and calls that read well.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod web;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use baton_adapters::{BuiltinTools, Permit, ToolsConfig};
use baton_core::body::Json;
use baton_core::failure::CallFailure;
use baton_core::ids::{ConversationId, Ordinal, WorkflowId};
use baton_engine::ports::{Call, CallContext, Control, Tools as _};
use serde_json::Value;

/// The executable that guards children and can be killed in Baton's stead.
pub const GUARD: &str = env!("CARGO_BIN_EXE_baton-test-guard");

/// A temporary folder `root` beside things that are outside of it.
pub struct Workshop {
    pub outside: tempfile::TempDir,
    pub tools: BuiltinTools,
}

impl Workshop {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut ToolsConfig)) -> Self {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let mut config = ToolsConfig { roots: vec![root], ..ToolsConfig::default() };
        change(&mut config);
        let tools = BuiltinTools::guarded_by(config, GUARD.into()).unwrap();
        Self { outside, tools }
    }

    pub fn with_shell() -> Self {
        Self::with(|config| config.shell.allow = Permit::Granted)
    }

    pub fn root(&self) -> PathBuf {
        self.outside.path().join("root")
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn call(&self, tool: &str, input: Value) -> Result<Value, CallFailure> {
        self.call_within(tool, input, &Control::new(Duration::from_secs(20)))
    }

    pub fn call_within(
        &self,
        tool: &str,
        input: Value,
        control: &Control,
    ) -> Result<Value, CallFailure> {
        let call = Call {
            folder: None,
            tool: tool.to_owned(),
            input: Json::of(&input),
            idempotency_key: "key-1".to_owned(),
            context: Some(context()),
        };
        self.tools.call(&call, control).map(|output| output.value())
    }

    /// The output of a call that must go well.
    pub fn ok(&self, tool: &str, input: Value) -> Value {
        self.call(tool, input).unwrap()
    }

    /// The failure of a call that must fail.
    pub fn err(&self, tool: &str, input: Value) -> CallFailure {
        self.call(tool, input).unwrap_err()
    }
}

/// What every call here belongs to.
pub fn context() -> CallContext {
    let conversation = ConversationId::from_bytes([2; 16]);
    CallContext::new(WorkflowId::from_bytes([1; 16]), (Ordinal(0), 1), conversation)
}

/// Runs git as a person would, with an identity and a fixed date.
pub fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([
            ("GIT_AUTHOR_NAME", "Ada"),
            ("GIT_AUTHOR_EMAIL", "ada@example.org"),
            ("GIT_COMMITTER_NAME", "Ada"),
            ("GIT_COMMITTER_EMAIL", "ada@example.org"),
            ("GIT_AUTHOR_DATE", "2026-01-02T03:04:05+01:00"),
            ("GIT_COMMITTER_DATE", "2026-01-02T03:04:05+01:00"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The strings under `key` of each object of a list.
pub fn column(list: &Value, key: &str) -> Vec<String> {
    let items = list.as_array().unwrap().iter();
    items.map(|item| item[key].as_str().unwrap().to_owned()).collect()
}
