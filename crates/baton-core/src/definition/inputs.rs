//! Inputs: the schema a definition declares, and the values a run is started with.
//!
//! Schemas are validated offline: a reference to another document is refused, never fetched.

use jsonschema::Validator;
use serde_json::Value;

use super::fault::Faults;
use super::fields::At;

/// A validator that resolves nothing outside of the schema itself.
pub(crate) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .offline()
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Faults of a schema in the source.
pub(crate) fn check_schema(at: &At<'_, '_, '_>, faults: &mut Faults) {
    if at.map(faults).is_none() {
        return;
    }
    if let Err(error) = validator(&at.node.to_json()) {
        let message = format!("this is not a valid JSON Schema: {error}");
        faults.add(at.node.place, &at.path, message);
    }
}

/// The schema that inputs are validated by: the declared one, closed unless it says otherwise.
pub(crate) fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(object) = schema.as_object_mut()
        && object.contains_key("properties")
        && !object.contains_key("additionalProperties")
    {
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    schema
}

/// The same for inputs whose defaults are not filled in yet.
pub(crate) fn as_given(schema: &Value) -> Value {
    let mut schema = closed(schema);
    let with_default = |name: &Value| {
        let property = name
            .as_str()
            .and_then(|name| schema.get("properties")?.get(name));
        property.is_some_and(|property| property.get("default").is_some())
    };
    let required: Option<Vec<Value>> =
        schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| {
                let missing = names.iter().filter(|name| !with_default(name));
                missing.cloned().collect()
            });
    if let (Some(required), Some(object)) = (required, schema.as_object_mut()) {
        object.insert("required".to_owned(), Value::Array(required));
    }
    schema
}
