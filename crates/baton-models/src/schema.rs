//! A schema of an answer as providers can enforce it.
//!
//! What a provider enforces may be narrower or wider than the schema, never other: each answer is
//! checked against the schema itself by the engine. Nothing is added that would make a model invent
//! a value, so that a schema that cannot be said in the strict form is not said in it.

use serde_json::{Map, Value, json};

/// The deepest schema that is looked at.
const DEPTH_MAX: usize = 32;

/// Whose strict form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strict {
    /// Every property is required, nothing else is allowed.
    /// Source: OpenAI, "Structured outputs", "Supported schemas".
    Openai,
    /// Nothing but the properties is allowed; bounds of numbers and lengths are not known.
    /// Source: Anthropic, "Structured outputs", "JSON Schema limitations".
    Anthropic,
}

/// Keywords that only bound a value: without them more is allowed, and the engine's check remains.
const BOUNDS: &[&str] = &[
    "$id",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
    "examples",
    "maxLength",
    "maxProperties",
    "minLength",
    "minProperties",
    "readOnly",
    "uniqueItems",
    "writeOnly",
];
/// Those that only OpenAI knows.
const BOUNDS_OF_OPENAI: &[&str] = &[
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
];
/// What both know.
const KNOWN: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "items",
    "properties",
    "required",
    "title",
    "type",
];

/// The schema in a strict form; `None` where it cannot be said in it.
pub(crate) fn strict(schema: &Value, form: Strict) -> Option<Value> {
    let narrowed = narrow(schema, form, 0)?;
    let is_object = narrowed.get("type") == Some(&json!("object"));
    // At the top, both take an object and no choice of objects.
    (is_object && narrowed.get("anyOf").is_none()).then_some(narrowed)
}

fn narrow(schema: &Value, form: Strict, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let schema = schema.as_object()?;
    let mut narrowed = Map::new();
    for (keyword, value) in schema {
        let deeper = |value: &Value| narrow(value, form, depth + 1);
        let value = match keyword.as_str() {
            "properties" | "$defs" | "definitions" => each(value, deeper)?,
            "items" => deeper(value)?,
            "anyOf" => Value::Array(value.as_array()?.iter().map(deeper).collect::<Option<_>>()?),
            // A map of any names is what the strict forms cannot say.
            "additionalProperties" if *value != json!(false) => return None,
            keyword if KNOWN.contains(&keyword) => value.clone(),
            keyword if BOUNDS.contains(&keyword) => continue,
            keyword if BOUNDS_OF_OPENAI.contains(&keyword) => match form {
                Strict::Openai => value.clone(),
                Strict::Anthropic => continue,
            },
            _ => return None,
        };
        narrowed.insert(keyword.clone(), value);
    }
    close(&mut narrowed, form)?;
    Some(Value::Object(narrowed))
}

fn each(value: &Value, narrowed: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    let schemas = value.as_object()?.iter();
    let schemas = schemas.map(|(name, schema)| Some((name.clone(), narrowed(schema)?)));
    Some(Value::Object(schemas.collect::<Option<_>>()?))
}

/// Has an object allow its properties only.
fn close(schema: &mut Map<String, Value>, form: Strict) -> Option<()> {
    if schema.get("type") != Some(&json!("object")) {
        return (!schema.contains_key("properties")).then_some(());
    }
    let names: Vec<String> = schema.get("properties")?.as_object()?.keys().cloned().collect();
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|all| all.contains(&json!(name)));
    if form == Strict::Openai && !names.iter().all(is_required) {
        return None;
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    Some(())
}

/// What a model is told of a schema that its provider does not enforce.
pub(crate) fn told(schema: &Value) -> String {
    format!(
        "Your final answer is JSON and nothing else: no words before or after it, no code block. \
         It fits this JSON Schema:\n{schema}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_closed_and_what_only_bounds_is_left_out() {
        let schema = json!({
            "type": "object", "required": ["score", "list"],
            "properties": {
                "score": { "type": "integer", "minimum": 0, "default": 1 },
                "list": { "type": "array", "items": {
                    "type": "object", "required": ["a"],
                    "properties": { "a": { "type": "string", "minLength": 2 } }
                } }
            }
        });
        let openai = strict(&schema, Strict::Openai).expect("it can be said");
        assert_eq!(
            openai,
            json!({
                "type": "object", "required": ["score", "list"], "additionalProperties": false,
                "properties": {
                    "score": { "type": "integer", "minimum": 0 },
                    "list": { "type": "array", "items": {
                        "type": "object", "required": ["a"], "additionalProperties": false,
                        "properties": { "a": { "type": "string" } }
                    } }
                }
            })
        );
        let anthropic = strict(&schema, Strict::Anthropic).expect("it can be said");
        assert_eq!(anthropic["properties"]["score"], json!({ "type": "integer" }));
    }

    #[test]
    fn what_the_strict_form_cannot_say_is_not_said_otherwise() {
        let optional = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        assert_eq!(strict(&optional, Strict::Openai), None, "no value may have to be invented");
        assert!(strict(&optional, Strict::Anthropic).is_some());
        for other in [
            json!({ "type": "array", "items": { "type": "string" } }),
            json!({ "type": "object" }),
            json!({ "type": "object", "properties": {}, "anyOf": [{ "type": "object", "properties": {} }] }),
            json!({ "type": "object", "properties": {}, "additionalProperties": true }),
            json!({ "type": "object", "properties": { "a": { "not": {} } }, "required": ["a"] }),
            json!(true),
        ] {
            assert_eq!(strict(&other, Strict::Openai), None, "{other}");
            assert_eq!(strict(&other, Strict::Anthropic), None, "{other}");
        }
    }

    #[test]
    fn a_schema_without_bottom_is_given_up() {
        let deep = (0..200).fold(
            json!({ "type": "string" }),
            |inner, _| json!({ "type": "array", "items": inner }),
        );
        let schema = json!({ "type": "object", "required": ["a"], "properties": { "a": deep } });
        assert_eq!(strict(&schema, Strict::Openai), None);
    }
}
