//! The tools of one server: what it says of them, what the operator says, what Baton makes of it.
//!
//! What a server says is data: bounded, and left out where it cannot be used.

use std::collections::BTreeMap;

use baton_core::plan::ToolSpec;
use baton_core::words::{Effect, Permission};
use jsonschema::Validator;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::config::ToolConfig;

/// The most tools of one server.
pub(crate) const TOOLS_MAX: usize = 2_000;
/// The longest name of a tool, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The longest description that is kept, in characters.
const DESCRIPTION_CHARS_MAX: usize = 2_000;
/// The largest schema of a tool, in bytes of JSON.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// What Baton knows of a server's tools.
#[derive(Debug, Default)]
pub(crate) struct Toolset {
    tools: BTreeMap<String, KnownTool>,
    /// Tools that cannot be used, and why.
    pub(crate) left_out: Vec<String>,
}

/// One tool.
#[derive(Debug)]
pub(crate) struct KnownTool {
    pub(crate) spec: ToolSpec,
    /// Of what it promises to bring as structured content.
    pub(crate) promise: Option<Validator>,
}

impl Toolset {
    /// What a server has told, under what the operator says.
    pub(crate) fn of(
        server: &str,
        told: Vec<Tool>,
        declared: &BTreeMap<String, ToolConfig>,
    ) -> Self {
        let mut set = Self::default();
        if told.len() > TOOLS_MAX {
            let count = told.len();
            set.left_out.push(format!("of {count} tools the first {TOOLS_MAX} are used"));
        }
        let unspoken = ToolConfig::default();
        for tool in told.into_iter().take(TOOLS_MAX) {
            let name = tool.name.to_string();
            match known(server, &tool, declared.get(&name).unwrap_or(&unspoken)) {
                Ok(known) => drop(set.tools.insert(name, known)),
                Err(why) => set.left_out.push(why),
            }
        }
        for name in declared.keys().filter(|name| !set.tools.contains_key(*name)) {
            set.left_out.push(format!("`{name}` is configured, but the server has no such tool"));
        }
        set
    }

    /// By its name at the server.
    pub(crate) fn get(&self, name: &str) -> Option<&KnownTool> {
        self.tools.get(name)
    }

    pub(crate) fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.values().map(|tool| &tool.spec)
    }

    pub(crate) fn len(&self) -> usize {
        self.tools.len()
    }
}

fn known(server: &str, tool: &Tool, declared: &ToolConfig) -> Result<KnownTool, String> {
    let name = tool.name.as_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        return Err(format!(
            "a tool's name is not 1 to {NAME_BYTES_MAX} plain characters: {name:?}"
        ));
    }
    let input = Value::Object(tool.input_schema.as_ref().clone());
    let promised = tool.output_schema.as_ref().map(|schema| Value::Object(schema.as_ref().clone()));
    let bytes = input.to_string().len() + promised.as_ref().map_or(0, |s| s.to_string().len());
    if bytes > SCHEMA_BYTES_MAX {
        return Err(format!(
            "the schemas of `{name}` have {bytes} bytes, at most {SCHEMA_BYTES_MAX}"
        ));
    }
    let promise = match &promised {
        Some(schema) => Some(
            jsonschema::validator_for(schema)
                .map_err(|fault| format!("`{name}` promises by a schema that is none: {fault}"))?,
        ),
        None => None,
    };
    let effect = declared.effect.unwrap_or_else(|| annotated(tool.annotations.as_ref()));
    let by_effect = match effect {
        Effect::Read => Permission::ReadOnly,
        Effect::Idempotent | Effect::Once => Permission::ReadWrite,
    };
    let description = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
    let spec = ToolSpec {
        name: format!("{server}.{name}"),
        description: description.chars().take(DESCRIPTION_CHARS_MAX).collect(),
        effect,
        permission: declared.permission.unwrap_or(by_effect),
        input,
        output: Some(output_schema(promised)),
        quick: false,
    };
    Ok(KnownTool { spec, promise })
}

/// The effect class by the server's annotations; one that says nothing is `once`.
fn annotated(said: Option<&ToolAnnotations>) -> Effect {
    let hint = |hint: fn(&ToolAnnotations) -> Option<bool>| said.and_then(hint) == Some(true);
    if hint(|said| said.read_only_hint) {
        Effect::Read
    } else if hint(|said| said.idempotent_hint) {
        Effect::Idempotent
    } else {
        Effect::Once
    }
}

/// The schema of what [`crate::output`] makes of a result.
fn output_schema(promised: Option<Value>) -> Value {
    json!({
        "type": "object",
        "properties": {
            "text": { "type": "string", "description": "All text the tool answered." },
            "structured": promised.unwrap_or(Value::Bool(true)),
            "parts": { "type": "array", "description": "Images, audio, resources and links." },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn tool(value: Value) -> Tool {
        serde_json::from_value(value).unwrap()
    }

    fn annotated_as(hints: Value) -> Tool {
        tool(json!({ "name": "t", "inputSchema": { "type": "object" }, "annotations": hints }))
    }

    fn spec_of(tool: Tool, declared: ToolConfig) -> ToolSpec {
        let declared = BTreeMap::from([("t".to_owned(), declared)]);
        let set = Toolset::of("s", vec![tool], &declared);
        set.get("t").unwrap().spec.clone()
    }

    #[test]
    fn annotations_give_the_effect_class_and_the_operator_knows_better() {
        let cases = [
            (json!({ "readOnlyHint": true }), Effect::Read, Permission::ReadOnly),
            (json!({ "idempotentHint": true }), Effect::Idempotent, Permission::ReadWrite),
            (json!({ "destructiveHint": false }), Effect::Once, Permission::ReadWrite),
        ];
        for (hints, effect, permission) in cases {
            let spec = spec_of(annotated_as(hints), ToolConfig::default());
            assert_eq!((spec.effect, spec.permission), (effect, permission));
            assert_eq!(spec.name, "s.t");
        }
        let declared =
            ToolConfig { effect: Some(Effect::Once), permission: Some(Permission::ReadOnly) };
        let spec = spec_of(annotated_as(json!({ "readOnlyHint": true })), declared);
        assert_eq!((spec.effect, spec.permission), (Effect::Once, Permission::ReadOnly));
    }

    #[test]
    fn what_cannot_be_used_is_left_out_and_named() {
        let mut huge = annotated_as(json!({}));
        let schema = json!({ "type": "object", "description": "x".repeat(SCHEMA_BYTES_MAX) });
        huge.input_schema = Arc::new(schema.as_object().unwrap().clone());
        let named = |name: &str| tool(json!({ "name": name, "inputSchema": {} }));
        let lying = tool(json!({
            "name": "lying", "inputSchema": {}, "outputSchema": { "type": "nothing" },
        }));
        let declared = BTreeMap::from([("absent".to_owned(), ToolConfig::default())]);
        let told = vec![huge, named("a b"), named(""), lying, named("good")];
        let set = Toolset::of("s", told, &declared);
        assert_eq!(set.specs().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["s.good"]);
        assert_eq!(set.left_out.len(), 5, "{:?}", set.left_out);
    }
}
