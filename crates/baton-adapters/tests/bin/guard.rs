//! The guard of this crate's tests, and a stand-in for a Baton that is killed.
//!
//! Never shipped: the real binary hands over to `guard_main` the same way.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use baton_adapters::{BuiltinTools, GUARD_WORD, Permit, ToolsConfig, guard_main};
use baton_core::body::Json;
use baton_engine::ports::{Call, Control, Tools as _};

/// `__guard …` guards; `call ROOT TOOL INPUT` makes one call, with the shell allowed.
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    if first == GUARD_WORD {
        guard_main(arguments)
    }
    let words: Vec<String> = arguments.filter_map(|word| word.into_string().ok()).collect();
    match words.as_slice() {
        [root, tool, input] if first == "call" => call(root, tool, input),
        _ => ExitCode::from(2),
    }
}

fn call(root: &str, tool: &str, input: &str) -> ExitCode {
    let mut config = ToolsConfig { roots: vec![PathBuf::from(root)], ..ToolsConfig::default() };
    config.shell.allow = Permit::Granted;
    let (Ok(tools), Ok(input)) = (BuiltinTools::new(config), Json::parse(input.to_owned())) else {
        return ExitCode::from(2);
    };
    let (tool, idempotency_key) = (tool.to_owned(), "k".to_owned());
    let call = Call { folder: None, tool, input, idempotency_key, context: None };
    match tools.call(&call, &Control::new(Duration::from_secs(60))) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
