//! Slots: the inputs of a definition as questions that a person or a request can answer.
//!
//! A slot's kind is taken from the schema, and from the name where the schema leaves it open. Whether a
//! value fits is the schema's to say, not the kind's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::terms;
use crate::definition;

/// The most inputs of a definition that are looked at, in the order written.
pub const SLOTS_MAX: usize = 64;
/// The most values of an enumeration that are offered as choices.
pub const CHOICES_MAX: usize = 100;
/// How many references of a schema are followed.
const REFERENCES_MAX: usize = 8;

/// Words in names and titles of inputs that are files or folders.
const FILES: [&str; 8] =
    ["file", "filename", "folder", "path", "repository", "workspace", "checkout", "worktree"];
/// Words in names of inputs that are text, whatever their title says of files.
const NOT_FILES: [&str; 6] = ["glob", "pattern", "mask", "regex", "count", "question"];

/// An input of a definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// The input's name.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// More, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What kind of answer it takes.
    pub kind: SlotKind,
    /// What holds where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The JSON Schema that its value must fit, complete in itself.
    pub schema: Value,
}

/// What kind of answer a slot takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotKind {
    /// Any text; also what no other kind describes, as JSON.
    Text,
    /// One of these, as they are shown.
    Choice(Vec<String>),
    /// Yes or no.
    YesNo,
    /// The path of a file or a folder.
    File,
    /// A number, with the bounds that the schema says, both included.
    Number {
        /// The least.
        min: Option<f64>,
        /// The most.
        max: Option<f64>,
        /// Whether it must be whole.
        integer: bool,
    },
}

/// The inputs that a JSON Schema object declares, and those it only requires; at most [`SLOTS_MAX`].
pub fn slots(inputs: &Value) -> Vec<Slot> {
    let none = Map::new();
    let properties = inputs.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = inputs.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let bare = required.filter(|name| !properties.contains_key(*name));
    let declared = properties.iter().map(|(name, property)| Slot::of(inputs, name, property));
    let bare = bare.map(|name| Slot::of(inputs, name, &Value::Bool(true)));
    declared.chain(bare).take(SLOTS_MAX).collect()
}

impl Slot {
    fn of(root: &Value, name: &str, property: &Value) -> Self {
        let shape = resolved(root, property);
        let text = |field: &str| {
            let own = property.get(field).or_else(|| shape.get(field));
            own.and_then(Value::as_str).map(str::to_owned)
        };
        let title = text("title");
        Self {
            name: name.to_owned(),
            kind: kind(name, title.as_deref(), shape),
            title,
            description: text("description"),
            default: property.get("default").or_else(|| shape.get("default")).cloned(),
            schema: complete(root, property),
        }
    }

    /// What to call it before people.
    pub fn shown(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// The values of an enumeration with what they are shown as.
    pub(super) fn choices(&self) -> Vec<(String, Value)> {
        choices(resolved(&self.schema, self.schema.pointer("/allOf/0").unwrap_or(&self.schema)))
    }

    /// The type that the schema names, `null` aside.
    pub(super) fn declared_type(&self) -> Option<&str> {
        let shape = resolved(&self.schema, self.schema.pointer("/allOf/0").unwrap_or(&self.schema));
        declared_type(shape)
    }

    /// The format that the schema names.
    pub(super) fn format(&self) -> Option<&str> {
        let shape = resolved(&self.schema, self.schema.pointer("/allOf/0").unwrap_or(&self.schema));
        shape.get("format").and_then(Value::as_str)
    }

    /// Whether a value fits the schema; `Err` says why it does not.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let validator = definition::validator(&self.schema)
            .map_err(|error| format!("the schema of `{}` cannot be used: {error}", self.name))?;
        validator.validate(value).map_err(|error| error.to_string().chars().take(500).collect())
    }
}

/// The property's own shape, behind its references within the same document.
fn resolved<'v>(root: &'v Value, property: &'v Value) -> &'v Value {
    let mut shape = property;
    for _ in 0..REFERENCES_MAX {
        let reference = shape.get("$ref").and_then(Value::as_str);
        let within = reference.and_then(|reference| reference.strip_prefix('#'));
        let Some(target) = within.and_then(|pointer| root.pointer(pointer)) else { break };
        shape = target;
    }
    shape
}

/// The property's schema with the definitions that it may refer to.
fn complete(root: &Value, property: &Value) -> Value {
    let kept = ["$schema", "$defs", "definitions"];
    let shared: Map<String, Value> = kept
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), root.get(name)?.clone())))
        .collect();
    if shared.is_empty() {
        return property.clone();
    }
    let mut schema = shared;
    schema.insert("allOf".to_owned(), json!([property]));
    Value::Object(schema)
}

fn kind(name: &str, title: Option<&str>, shape: &Value) -> SlotKind {
    let choices = choices(shape);
    if !choices.is_empty() {
        return SlotKind::Choice(choices.into_iter().map(|(shown, _)| shown).collect());
    }
    match declared_type(shape) {
        Some("boolean") => SlotKind::YesNo,
        Some("integer") => number(shape, true),
        Some("number") => number(shape, false),
        Some("string") if is_file(name, title, shape) => SlotKind::File,
        Some(_) | None => SlotKind::Text,
    }
}

fn declared_type(shape: &Value) -> Option<&str> {
    let declared = shape.get("type")?;
    let several = declared.as_array().into_iter().flatten();
    let mut all = declared.as_str().into_iter().chain(several.filter_map(Value::as_str));
    all.find(|kind| *kind != "null")
}

/// `enum`, or constants with titles in `oneOf` and `anyOf`.
fn choices(shape: &Value) -> Vec<(String, Value)> {
    let plain = shape.get("enum").and_then(Value::as_array).into_iter().flatten();
    let plain = plain.filter(|value| !value.is_null()).map(|value| (shown(value), value.clone()));
    let variants = shape.get("oneOf").or_else(|| shape.get("anyOf")).and_then(Value::as_array);
    let variants = variants.filter(|all| all.iter().all(|one| one.get("const").is_some()));
    let titled = variants.into_iter().flatten().filter_map(|variant| {
        let value = variant.get("const")?;
        let title = variant.get("title").and_then(Value::as_str);
        Some((title.map_or_else(|| shown(value), str::to_owned), value.clone()))
    });
    plain.chain(titled).take(CHOICES_MAX).collect()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(shape: &Value, integer: bool) -> SlotKind {
    let bound = |field: &str| shape.get(field).and_then(Value::as_f64);
    // Between whole numbers an excluded bound is the next one included.
    let beside = |field: &str, step: f64| bound(field).filter(|_| integer).map(|is| is + step);
    SlotKind::Number {
        min: bound("minimum").or_else(|| beside("exclusiveMinimum", 1.0)),
        max: bound("maximum").or_else(|| beside("exclusiveMaximum", -1.0)),
        integer,
    }
}

fn is_file(name: &str, title: Option<&str>, shape: &Value) -> bool {
    match shape.get("format").and_then(Value::as_str) {
        Some("path" | "file-path" | "directory-path" | "file") => return true,
        Some(_) => return false,
        None => {}
    }
    let name = terms::stems(name);
    let title = title.map(terms::stems).unwrap_or_default();
    let is_called = terms::has_any(&name, &FILES) || terms::has_any(&title, &FILES);
    is_called && !terms::has_any(&name, &NOT_FILES)
}
