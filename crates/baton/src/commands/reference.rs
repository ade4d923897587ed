//! `tools --markdown`, `openapi`: what there is, for the reference.
//!
//! Of tools it tells all, also those that the configuration at hand does not allow.

use std::fmt::Write as _;

use baton_adapters::{BuiltinTools, Permit, ToolsConfig};
use baton_core::codes::Code;
use baton_core::plan::ToolSpec;
use baton_engine::ports::Tools;
use serde_json::Value;

use crate::display::say_out;
use crate::exit::Exit;

const HEADING: &str = "\
# Built-in tools

Written by `cargo xtask generate` from what the tools say of themselves; `baton tools --markdown`
prints it. Paths are beneath a declared root, hosts must be declared, sizes are bounded: see
`[tools]` in the [README](../README.md). An input in bold must be given.

The effect says what a second call would do: `read` nothing, `idempotent` nothing more, `once` it
would happen twice. A task that calls a tool with the permission `read_write` must say so.
";

/// Prints the page.
pub fn tools_page() -> anyhow::Result<Exit> {
    let mut config = ToolsConfig::default();
    config.shell.allow = Permit::Granted;
    let tools = BuiltinTools::new(config)?;
    let mut page = HEADING.to_owned();
    for spec in tools.specs() {
        section(&mut page, spec);
    }
    say_out(page.trim_end());
    Ok(Exit::Done)
}

/// Prints the OpenAPI document of what is served.
pub fn openapi() -> anyhow::Result<Exit> {
    say_out(&baton_server::http::openapi().to_pretty_json()?);
    Ok(Exit::Done)
}

// Writing into a string cannot fail.
fn section(page: &mut String, spec: &ToolSpec) {
    let (effect, permission) = (spec.effect.word(), spec.permission.word());
    let _ = writeln!(page, "\n## `{}`\n\n{}", spec.name, spec.description);
    let _ = writeln!(page, "\nEffect `{effect}`, permission `{permission}`.\n");
    let _ = writeln!(page, "| input | type | meaning |\n|---|---|---|");
    let required = spec.input.get("required").and_then(Value::as_array);
    let required: Vec<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let inputs = spec.input.get("properties").and_then(Value::as_object);
    for (name, schema) in inputs.into_iter().flatten() {
        let shown = if required.contains(&name.as_str()) {
            format!("**`{name}`**")
        } else {
            format!("`{name}`")
        };
        let meaning = schema.get("description").and_then(Value::as_str);
        let meaning = meaning.unwrap_or_default().replace('|', "\\|");
        let _ = writeln!(page, "| {shown} | {} | {meaning} |", type_of(schema));
    }
}

/// The type in words: `null` is left out, because an input that may be null may as well be absent.
fn type_of(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().filter_map(Value::as_str);
        return words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => vec![],
    };
    let types: Vec<&str> = types.into_iter().filter(|one| *one != "null").collect();
    if types.is_empty() { "anything".to_owned() } else { types.join(", ") }
}
