//! The forms of questions: a flat JSON Schema object of texts, numbers, flags and choices, as MCP's
//! elicitation has it (<https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>).
//!
//! A form is made anew of the keywords that are known here; others (`pattern`, `$ref`, …) are not
//! taken over: whoever asks must look at what they mean themselves.

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};

use crate::definition::{INPUT_FAULTS_MAX, InputFault};
use crate::workflow::decide::ANSWER_BYTES_MAX;

/// The most fields of a form.
pub const FIELDS_MAX: usize = 64;
/// The largest form, in bytes of JSON.
pub const FORM_BYTES_MAX: usize = 32 * 1024;
/// The most options of one field.
pub const OPTIONS_MAX: usize = 256;
/// The longest name of a field, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The formats of texts.
const FORMATS: [&str; 4] = ["email", "uri", "date", "date-time"];

type Fields = Map<String, Value>;
type Checked<T> = Result<T, InputFault>;

pub(super) fn fault(pointer: &str, message: &str) -> InputFault {
    InputFault { pointer: pointer.to_owned(), message: message.to_owned(), help: None }
}

fn pointer(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The form that a schema describes; `Err` lists what no form can ask.
pub(super) fn checked(schema: &Value) -> Result<Value, Vec<InputFault>> {
    let bytes = schema.to_string().len();
    if bytes > FORM_BYTES_MAX {
        let says = format!("the form has {bytes} bytes, at most {FORM_BYTES_MAX}");
        return Err(vec![fault("", &says)]);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let (Some("object"), Some(properties)) =
        (schema.get("type").and_then(Value::as_str), properties)
    else {
        return Err(vec![fault("", "a form is a JSON Schema of `type: object` with `properties`")]);
    };
    if properties.len() > FIELDS_MAX {
        let says = format!("the form has {} fields, at most {FIELDS_MAX}", properties.len());
        return Err(vec![fault("/properties", &says)]);
    }
    let mut faults = Vec::new();
    let mut fields = Map::new();
    for (name, said) in properties {
        let at = pointer("/properties", name);
        match field(&at, said) {
            Ok(_) if name.is_empty() || name.len() > NAME_BYTES_MAX => {
                faults.push(fault(&at, "the name of a field has 1 to 128 bytes"));
            }
            Ok(field) => drop(fields.insert(name.clone(), field)),
            Err(fault) => faults.push(fault),
        }
    }
    let required = required(schema, properties).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(json!({
        "type": "object", "properties": fields, "required": required,
        "additionalProperties": false,
    }))
}

fn required(schema: &Value, properties: &Fields) -> Checked<Vec<Value>> {
    let names = match schema.get("required") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(names)) if names.len() <= FIELDS_MAX => names,
        Some(_) => return Err(fault("/required", "this must be a list of the form's fields")),
    };
    let is_field = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    match names.iter().position(|name| !is_field(name)) {
        Some(at) => Err(fault(&format!("/required/{at}"), "the form has no such field")),
        None => Ok(names.clone()),
    }
}

/// One field, made of what is known of it.
fn field(at: &str, said: &Value) -> Checked<Value> {
    let Some(said) = said.as_object() else {
        return Err(fault(at, "a field is a JSON Schema object"));
    };
    let mut field = Map::new();
    keep(at, said, &["title", "description"], "a text", &mut field, Value::is_string)?;
    let kind = said.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "string" => text(at, said, &mut field)?,
        "number" | "integer" => {
            keep(at, said, &["minimum", "maximum"], "a number", &mut field, Value::is_number)?;
        }
        "boolean" => {}
        "array" => several(at, said, &mut field)?,
        _ => {
            let says = "a field is a string, number, integer, boolean, or an array of options";
            return Err(fault(&pointer(at, "type"), says));
        }
    }
    field.insert("type".to_owned(), kind.into());
    let mut field = Value::Object(field);
    // A default that does not fit is none: nobody could leave it as it is.
    if let Some(default) = said.get("default")
        && faults(&field, default).is_ok_and(|faults| faults.is_empty())
        && let Some(field) = field.as_object_mut()
    {
        field.insert("default".to_owned(), default.clone());
    }
    Ok(field)
}

fn keep(
    at: &str,
    said: &Fields,
    names: &[&str],
    what: &str,
    field: &mut Fields,
    is_one: fn(&Value) -> bool,
) -> Checked<()> {
    for name in names {
        match said.get(*name) {
            Some(value) if is_one(value) => drop(field.insert((*name).to_owned(), value.clone())),
            None | Some(Value::Null) => {}
            Some(_) => return Err(fault(&pointer(at, name), &format!("this must be {what}"))),
        }
    }
    Ok(())
}

fn text(at: &str, said: &Fields, field: &mut Fields) -> Checked<()> {
    if let Some(options) = options(at, said)? {
        field.insert("oneOf".to_owned(), options);
        return Ok(());
    }
    keep(at, said, &["minLength", "maxLength"], "a whole number", field, Value::is_u64)?;
    let format = said.get("format").and_then(Value::as_str);
    let known = format.filter(|format| FORMATS.contains(format));
    field.extend(known.map(|format| ("format".to_owned(), format.into())));
    Ok(())
}

fn several(at: &str, said: &Fields, field: &mut Fields) -> Checked<()> {
    let of = pointer(at, "items");
    let items = said.get("items").and_then(Value::as_object);
    let options = items.map(|items| options(&of, items)).transpose()?.flatten();
    let Some(options) = options else {
        return Err(fault(&of, "an array is of options: `enum`, or `anyOf` with `const`"));
    };
    keep(at, said, &["minItems", "maxItems"], "a whole number", field, Value::is_u64)?;
    field.insert("items".to_owned(), json!({ "type": "string", "oneOf": options }));
    field.insert("uniqueItems".to_owned(), true.into());
    Ok(())
}

/// The options of a choice, each as its constant and its title.
fn options(at: &str, said: &Fields) -> Checked<Option<Value>> {
    let spelled = ["oneOf", "anyOf", "enum"].iter().find_map(|name| Some((name, said.get(*name)?)));
    let Some((name, given)) = spelled else { return Ok(None) };
    let at = pointer(at, name);
    let given = given.as_array().filter(|given| (1..=OPTIONS_MAX).contains(&given.len()));
    let Some(given) = given else {
        return Err(fault(&at, &format!("this must be a list of 1 to {OPTIONS_MAX} options")));
    };
    let titles = said.get("enumNames").and_then(Value::as_array);
    let mut options: Vec<Value> = Vec::new();
    for (n, given) in given.iter().enumerate() {
        let value = given.as_str().or_else(|| given.get("const")?.as_str());
        let titled = given.get("title").or_else(|| titles?.get(n)).and_then(Value::as_str);
        let is_it = |option: &Value, value: &str| option.get("const").is_some_and(|it| it == value);
        let is_new = |value: &&str| !options.iter().any(|option| is_it(option, value));
        let Some(value) = value.filter(is_new) else {
            return Err(fault(&format!("{at}/{n}"), "an option is a text that stands there once"));
        };
        options.push(json!({ "const": value, "title": titled.unwrap_or(value) }));
    }
    Ok(Some(Value::Array(options)))
}

/// The only field of a form, if there is one alone and it is a text.
pub(super) fn only_text(form: &Value) -> Option<&str> {
    let fields = form.get("properties")?.as_object().filter(|fields| fields.len() == 1)?;
    let (name, field) = fields.iter().next()?;
    (field.get("type")? == "string").then_some(name)
}

/// An answer with the defaults of the fields that it leaves out; `Err` lists how it does not fit.
pub(super) fn filled(form: &Value, value: &Value) -> Result<Value, Vec<InputFault>> {
    let Some(given) = value.as_object() else {
        return Err(vec![fault("", "the answer to a form is an object of its fields")]);
    };
    let mut filled = given.clone();
    let fields = form.get("properties").and_then(Value::as_object);
    for (name, field) in fields.into_iter().flatten() {
        if let (Some(default), false) = (field.get("default"), filled.contains_key(name)) {
            filled.insert(name.clone(), default.clone());
        }
    }
    let filled = Value::Object(filled);
    let bytes = filled.to_string().len();
    if bytes > ANSWER_BYTES_MAX {
        let says = format!("the answer has {bytes} bytes, at most {ANSWER_BYTES_MAX}");
        return Err(vec![fault("", &says)]);
    }
    match faults(form, &filled) {
        Ok(faults) if faults.is_empty() => Ok(filled),
        Ok(faults) => Err(faults),
        Err(why) => Err(vec![fault("", &why)]),
    }
}

/// How a value does not fit a schema; `Err` where the schema is none.
pub(in crate::workflow) fn faults(
    schema: &Value,
    value: &Value,
) -> Result<Vec<InputFault>, String> {
    let validator = jsonschema::options().offline().should_validate_formats(true).build(schema);
    let validator = validator.map_err(|error| format!("the form cannot be used: {error}"))?;
    let errors = validator.iter_errors(value).take(INPUT_FAULTS_MAX);
    Ok(errors.flat_map(|error| explained(&error)).collect())
}

fn explained(error: &jsonschema::ValidationError<'_>) -> Vec<InputFault> {
    let at = error.instance_path().as_str();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let unknown = |name: &String| fault(&pointer(at, name), "the form has no such field");
        return unexpected.iter().map(unknown).collect();
    }
    if let ValidationErrorKind::Required { property } = error.kind() {
        let name = property.as_str().unwrap_or_default();
        return vec![fault(&pointer(at, name), "the field is missing")];
    }
    if matches!(error.kind(), ValidationErrorKind::OneOfNotValid { .. }) {
        return vec![fault(at, "this is none of the options")];
    }
    let message: String = error.to_string().chars().take(500).collect();
    vec![fault(at, &message)]
}
