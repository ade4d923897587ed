//! The one envelope of events: CloudEvents 1.0, read from JSON or from the attributes of a message.
//!
//! Every fault is told, and everything is bounded. Attributes that the specification does not know are
//! kept as extensions; what events mean is nobody's business here.
//! Source: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::base64::is_base64;
use crate::body::{Blob, Body, Json};
use crate::definition::EVENT_CHARS_MAX;
use crate::time::Timestamp;
use crate::workflow::{Encoding, EventReceived};

/// The version of the specification.
pub const SPEC_VERSION: &str = "1.0";
/// The longest attribute, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 2_048;
/// The most extensions.
pub const EXTENSIONS_MAX: usize = 50;
/// The longest name of an extension; the specification says 20 characters.
pub const EXTENSION_NAME_MAX: usize = 20;

/// A fault of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvelopeFault {
    /// The attribute; empty for the whole.
    pub attribute: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for EnvelopeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attribute.as_str() {
            "" => f.write_str(&self.message),
            attribute => write!(f, "`{attribute}`: {}", self.message),
        }
    }
}

/// An event that was read, and what a store must keep of its data.
pub type Read = (EventReceived, Option<Blob>);

/// Reads an event in its JSON form.
pub fn structured(value: &Value) -> Result<Read, Vec<EnvelopeFault>> {
    let Some(object) = value.as_object() else {
        return Err(vec![fault("", "an event is a JSON object")]);
    };
    let mut attributes = object.clone();
    let data = attributes.remove("data").unwrap_or(Value::Null);
    let Some(bytes) = attributes.remove("data_base64").filter(|bytes| !bytes.is_null()) else {
        return read(attributes, Data::Json(&data), Vec::new());
    };
    let (text, faults) = base64_of(&bytes, &data);
    read(attributes, Data::Base64(text), faults)
}

/// Reads an event of attributes and data that came apart.
pub fn binary(attributes: Map<String, Value>, data: Data<'_>) -> Result<Read, Vec<EnvelopeFault>> {
    read(attributes, data, Vec::new())
}

/// The data of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Data<'d> {
    /// As it is.
    Json(&'d Value),
    /// Bytes, as the text that stands for them.
    Base64(&'d str),
}

fn base64_of<'v>(bytes: &'v Value, data: &Value) -> (&'v str, Vec<EnvelopeFault>) {
    let text = bytes.as_str().unwrap_or_default();
    let mut faults = Vec::new();
    if !bytes.is_string() || !is_base64(text) {
        faults.push(fault("data_base64", "it must be Base64 with padding (RFC 4648, section 4)"));
    } else if !data.is_null() {
        faults.push(fault("data_base64", "an event has `data` or `data_base64`, not both"));
    }
    (text, faults)
}

fn read(
    mut attributes: Map<String, Value>,
    data: Data<'_>,
    mut faults: Vec<EnvelopeFault>,
) -> Result<Read, Vec<EnvelopeFault>> {
    match text(&mut attributes, "specversion", &mut faults) {
        Some(version) if version == SPEC_VERSION => {}
        Some(_) => faults.push(fault("specversion", "it must be \"1.0\"")),
        None => missing(&mut faults, "specversion"),
    }
    let id = required(&mut attributes, "id", &mut faults);
    let source = required(&mut attributes, "source", &mut faults);
    let event_type = required(&mut attributes, "type", &mut faults);
    let odd = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '*';
    if event_type.chars().count() > EVENT_CHARS_MAX || event_type.contains(odd) {
        let message = format!("at most {EVENT_CHARS_MAX} characters, without spaces and `*`");
        faults.push(fault("type", &message));
    }
    let time = text(&mut attributes, "time", &mut faults);
    let time = time.and_then(|text| match text.parse::<Timestamp>() {
        Ok(time) => Some(time),
        Err(_) => {
            faults.push(fault("time", "write it like 2027-01-15T08:00:00Z"));
            None
        }
    });
    let subject = text(&mut attributes, "subject", &mut faults);
    let datacontenttype = text(&mut attributes, "datacontenttype", &mut faults);
    let extensions = extensions(attributes, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let (text, encoding) = match data {
        Data::Json(value) => (Json::of(value), None),
        Data::Base64(text) => (Json::of(&json!(text)), Some(Encoding::Base64)),
    };
    let (data, blob) = Body::split(text);
    let event = EventReceived {
        source,
        id,
        event_type,
        subject,
        time,
        datacontenttype,
        extensions,
        data,
        encoding,
    };
    Ok((event, blob))
}

fn fault(attribute: &str, message: &str) -> EnvelopeFault {
    EnvelopeFault { attribute: attribute.to_owned(), message: message.to_owned() }
}

fn missing(faults: &mut Vec<EnvelopeFault>, name: &str) {
    if !faults.iter().any(|fault| fault.attribute == name) {
        faults.push(fault(name, "it is missing; every event has it"));
    }
}

/// Takes an attribute out; `null` is none.
fn text(
    attributes: &mut Map<String, Value>,
    name: &str,
    faults: &mut Vec<EnvelopeFault>,
) -> Option<String> {
    let text = match attributes.remove(name)? {
        Value::Null => return None,
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            faults.push(fault(name, "it must be a string"));
            return None;
        }
    };
    if text.is_empty() || text.len() > ATTRIBUTE_BYTES_MAX || text.contains(char::is_control) {
        let message = format!("it must have 1 to {ATTRIBUTE_BYTES_MAX} bytes, all of them visible");
        faults.push(fault(name, &message));
        return None;
    }
    Some(text)
}

fn required(
    attributes: &mut Map<String, Value>,
    name: &str,
    faults: &mut Vec<EnvelopeFault>,
) -> String {
    let text = text(attributes, name, faults);
    if text.is_none() {
        missing(faults, name);
    }
    text.unwrap_or_default()
}

fn extensions(
    mut attributes: Map<String, Value>,
    faults: &mut Vec<EnvelopeFault>,
) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    if attributes.len() > EXTENSIONS_MAX {
        let message = format!("at most {EXTENSIONS_MAX} attributes beside those of CloudEvents");
        faults.push(fault("", &message));
        return kept;
    }
    let names: Vec<String> = attributes.keys().cloned().collect();
    for name in names {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        if name.is_empty() || name.len() > EXTENSION_NAME_MAX || !name.chars().all(plain) {
            let shown: String = name.chars().take(EXTENSION_NAME_MAX).collect();
            let message = "the name of an extension is 1 to 20 of the characters a-z 0-9";
            faults.push(fault(&shown, message));
            continue;
        }
        // Of the types of attributes, numbers and booleans have one way to be written as text.
        if let Some(value @ (Value::Bool(_) | Value::Number(_))) = attributes.get(&name) {
            kept.insert(name, value.to_string());
        } else if let Some(text) = text(&mut attributes, &name, faults) {
            kept.insert(name, text);
        }
    }
    kept
}

/// The JSON Schema of an event in its JSON form.
pub fn schema() -> Value {
    let attribute = |description: &str| json!({ "type": "string", "minLength": 1, "maxLength": ATTRIBUTE_BYTES_MAX, "description": description });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Event",
        "description": "A CloudEvent 1.0, as Baton takes it in.",
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": { "const": SPEC_VERSION },
            "id": attribute("Unique for the source; both together are taken in once."),
            "source": attribute("Where it comes from: a URI reference."),
            "type": { "type": "string", "minLength": 1, "maxLength": EVENT_CHARS_MAX, "pattern": r"^[^\s*]+$" },
            "subject": attribute("What it is about."),
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": attribute("The media type of its data."),
            "data": { "description": "Any JSON." },
            "data_base64": { "type": "string", "contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$", "description": "Bytes, in the place of `data`." },
        },
        "not": { "required": ["data", "data_base64"] },
        "additionalProperties": { "type": ["string", "number", "boolean"] },
        "propertyNames": { "anyOf": [{ "pattern": "^[a-z0-9]{1,20}$" }, { "const": "data_base64" }] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Value {
        json!({
            "specversion": "1.0", "id": "7", "source": "/ci", "type": "repo.push", "subject": "main",
            "time": "2027-01-15T09:00:00+01:00", "datacontenttype": "application/json",
            "correlationid": "c", "attempt": 2, "data": { "branch": "main" },
        })
    }

    /// OR3: one envelope, read alike in both of its forms, and published as a schema that says the same.
    #[test]
    fn or3_an_event_is_read_alike_in_both_forms_and_its_schema_agrees() {
        let (event, blob) = structured(&whole()).expect("an event");
        assert_eq!((event.id.as_str(), event.source.as_str()), ("7", "/ci"));
        assert_eq!(event.time, "2027-01-15T08:00:00Z".parse().ok());
        assert_eq!(event.extensions.get("attempt").map(String::as_str), Some("2"));
        assert!(blob.is_none());
        let mut attributes = whole().as_object().cloned().expect("an object");
        let data = attributes.remove("data").expect("data");
        assert_eq!(binary(attributes, Data::Json(&data)), Ok((event, blob)));
        let validator = jsonschema::validator_for(&schema()).expect("a schema");
        assert!(validator.is_valid(&whole()));
    }

    #[test]
    fn or3_bytes_are_kept_as_their_text() {
        let mut event = whole();
        event.as_object_mut().expect("an object").remove("data");
        event["data_base64"] = json!("aGVsbG8=");
        let validator = jsonschema::validator_for(&schema()).expect("a schema");
        assert!(validator.is_valid(&event));
        let (read, _) = structured(&event).expect("an event");
        assert_eq!(read.encoding, Some(Encoding::Base64));
        assert_eq!(read.data, Body::split(Json::of(&json!("aGVsbG8="))).0);
        for bad in [json!("aGVsbG8"), json!(7), json!("a b=")] {
            event["data_base64"] = bad;
            let faults = structured(&event).expect_err("no base64");
            assert!(faults.len() == 1 && faults[0].attribute == "data_base64", "{faults:?}");
            assert!(!validator.is_valid(&event));
        }
    }

    #[test]
    fn or3_what_is_no_event_is_refused_with_every_fault() {
        let validator = jsonschema::validator_for(&schema()).expect("a schema");
        let long = "x".repeat(3_000);
        for (name, value, words) in [
            ("specversion", json!("0.3"), "1.0"),
            ("specversion", Value::Null, "missing"),
            ("id", json!(""), "1 to 2048"),
            ("id", json!(7), "must be a string"),
            ("source", json!(long), "1 to 2048"),
            ("type", json!("a b"), "without spaces"),
            ("type", json!("repo.*"), "without spaces"),
            ("Correlation", json!("x"), "a-z 0-9"),
            ("trace", json!({}), "must be a string"),
            ("data_base64", json!("AAAA"), "not both"),
        ] {
            let mut event = whole();
            event[name] = value;
            let faults = structured(&event).expect_err(name);
            assert!(faults.len() == 1 && faults[0].to_string().contains(words), "{faults:?}");
            assert!(!validator.is_valid(&event), "{name}");
        }
        let mut event = whole();
        event["time"] = json!("yesterday");
        assert!(structured(&event).is_err());
        let faults = structured(&json!({})).expect_err("nothing is there");
        let missing: Vec<&str> = faults.iter().map(|fault| fault.attribute.as_str()).collect();
        assert_eq!(missing, ["specversion", "id", "source", "type"]);
        assert!(structured(&json!([])).is_err());
    }
}
