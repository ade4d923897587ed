//! Inputs: the schema a definition declares, and the values a run is started with.
//!
//! Schemas are validated offline: a reference to another document is refused, never fetched.

use std::fmt;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde::Serialize;
use serde_json::{Map, Value};

use super::fault::Faults;
use super::fields::At;
use super::suggest;
use super::tree::shorten;
use crate::plan::Plan;

/// The most faults of inputs that are listed.
pub const INPUT_FAULTS_MAX: usize = 1_000;

/// Something wrong with the inputs of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputFault {
    /// A JSON pointer into the inputs (`/files/0`); empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for InputFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)?;
        self.help.iter().try_for_each(|help| write!(f, " ({help})"))
    }
}

/// The inputs of a run with the declared defaults filled in, or everything that is wrong with them.
///
/// Inputs that are not declared are refused unless `additionalProperties` allows them.
pub fn input_faults(plan: &Plan, inputs: &Value) -> Result<Value, Vec<InputFault>> {
    let inputs = match inputs {
        Value::Null => Map::new(),
        Value::Object(object) => object.clone(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(vec![fault("", "the inputs must be an object", None)]);
        }
    };
    let Some(schema) = &plan.inputs else {
        return undeclared(inputs);
    };
    let inputs = Value::Object(filled(inputs, schema));
    let validator = validator(&closed(schema)).map_err(|error| {
        let message = format!("the schema of the inputs cannot be used: {error}");
        vec![fault("", &message, None)]
    })?;
    let errors = validator.iter_errors(&inputs).take(INPUT_FAULTS_MAX);
    let faults: Vec<InputFault> = errors.flat_map(|error| explain(&error, schema)).collect();
    if faults.is_empty() { Ok(inputs) } else { Err(faults) }
}

fn undeclared(inputs: Map<String, Value>) -> Result<Value, Vec<InputFault>> {
    if inputs.is_empty() {
        return Ok(Value::Object(inputs));
    }
    let faults = inputs.keys().take(INPUT_FAULTS_MAX).map(|name| {
        let message = format!("there is no input `{}`", shorten(name));
        let help = "the definition declares no inputs".to_owned();
        fault(&pointer("", name), &message, Some(help))
    });
    Err(faults.collect())
}

fn fault(pointer: &str, message: &str, help: Option<String>) -> InputFault {
    InputFault { pointer: pointer.to_owned(), message: message.to_owned(), help }
}

fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

fn filled(mut inputs: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    for (name, property) in properties(schema).into_iter().flatten() {
        if let (Some(default), false) = (property.get("default"), inputs.contains_key(name)) {
            inputs.insert(name.clone(), default.clone());
        }
    }
    inputs
}

fn explain(error: &jsonschema::ValidationError<'_>, schema: &Value) -> Vec<InputFault> {
    let at = error.instance_path().as_str();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let known = properties(schema).filter(|_| at.is_empty());
        let faults = unexpected.iter().map(|name| {
            let message = format!("there is no input `{}`", shorten(name));
            let names = known.map(|known| known.keys().map(String::as_str));
            let help = names.and_then(|names| suggest::hint(name, names));
            fault(&pointer(at, name), &message, help)
        });
        return faults.collect();
    }
    if let ValidationErrorKind::Required { property } = error.kind() {
        let name = property.as_str().unwrap_or_default();
        let message = format!("the input `{}` is missing", shorten(name));
        let about = properties(schema)
            .filter(|_| at.is_empty())
            .and_then(|known| known.get(name))
            .and_then(|property| property.get("title").or_else(|| property.get("description")))
            .and_then(Value::as_str);
        let help = about.map(str::to_owned);
        return vec![fault(&pointer(at, name), &message, help)];
    }
    let message: String = error.to_string().chars().take(500).collect();
    vec![fault(at, &message, None)]
}

/// The value that `name=text` on a command line stands for: of the type the schema declares where
/// the text can be read as such, else the text itself, which validation then judges.
pub fn input_from_text(plan: &Plan, name: &str, text: &str) -> Value {
    value_from_text(plan.inputs.as_ref(), name, text)
}

/// The same, under the schema of an object.
pub fn value_from_text(schema: Option<&Value>, name: &str, text: &str) -> Value {
    let declared = schema
        .and_then(properties)
        .and_then(|known| known.get(name))
        .and_then(|property| property.get("type"));
    let types: Vec<&str> = match declared {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {
            Vec::new()
        }
    };
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let fitting = parsed.filter(|value| types.iter().any(|kind| is_of(value, kind)));
    match fitting {
        Some(value) if !types.contains(&"string") || value.is_null() => value,
        Some(_) | None => Value::String(text.to_owned()),
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => kind == "number" || (kind == "integer" && !number.is_f64()),
        Value::String(_) => false,
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

/// A validator that resolves nothing outside of the schema itself.
pub(crate) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .offline()
        .build(schema)
        .map_err(|error| error.to_string().chars().take(500).collect())
}

/// Faults of a schema in the source.
pub(crate) fn check_schema(at: &At<'_, '_, '_>, faults: &mut Faults) {
    if at.map(faults).is_none() {
        return;
    }
    let schema = at.node.to_json();
    if let Err(error) = validator(&schema) {
        let message = format!("this is not a valid JSON Schema: {error}");
        faults.add(at.node.place, &at.path, message);
    } else if schema.get("type").is_some_and(|kind| kind != "object") {
        let message = "this must be the JSON Schema of an object";
        let fault = faults.add(at.node.place, &at.path, message);
        fault.help("write `type: object`");
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
    let has_default = |name: &Value| {
        let property = name.as_str().and_then(|name| properties(&schema)?.get(name));
        property.is_some_and(|property| property.get("default").is_some())
    };
    let required = schema.get("required").and_then(Value::as_array);
    let required: Option<Vec<Value>> =
        required.map(|names| names.iter().filter(|name| !has_default(name)).cloned().collect());
    if let (Some(required), Some(object)) = (required, schema.as_object_mut()) {
        object.insert("required".to_owned(), Value::Array(required));
    }
    schema
}
