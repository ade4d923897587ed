//! Small builders for the JSON Schemas of tool inputs.
//!
//! They build exactly the shapes the inputs have; this is no general schema library.

use serde_json::{Map, Value, json};

/// One property of an input object.
pub(crate) struct Field {
    name: &'static str,
    schema: Value,
    required: bool,
}

/// A property that must be there.
pub(crate) fn required(name: &'static str, schema: Value) -> Field {
    Field { name, schema, required: true }
}

/// A property that may be absent or `null`, which mean the same.
pub(crate) fn optional(name: &'static str, mut schema: Value) -> Field {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
    Field { name, schema, required: false }
}

/// The whole input: nothing but these properties.
pub(crate) fn object<const N: usize>(fields: [Field; N]) -> Value {
    let names: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let properties: Map<String, Value> =
        fields.into_iter().map(|field| (field.name.to_owned(), field.schema)).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}

/// A string.
pub(crate) fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

/// A whole number from `min` to `max`.
pub(crate) fn integer(min: usize, max: usize, description: &str) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": max, "description": description })
}

/// `true` or `false`.
pub(crate) fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

/// One of these words.
pub(crate) fn word(words: &[&str], description: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": description })
}

/// A list.
pub(crate) fn list(items: Value, description: &str) -> Value {
    json!({ "type": "array", "items": items, "description": description })
}

/// An object whose values are strings.
pub(crate) fn texts(description: &str) -> Value {
    json!({
        "type": "object",
        "additionalProperties": { "type": "string" },
        "description": description,
    })
}

/// Any JSON.
pub(crate) fn any(description: &str) -> Value {
    json!({ "description": description })
}
