//! Values of the template library as JSON: exact, bounded, and without silent gaps.
//!
//! The library's own serialisation turns undefined elements into `null`; here they are errors.

use std::fmt;

use minijinja::Value;
use minijinja::value::ValueKind;
use serde_json::Number;

use super::limits::{RENDER_BYTES_MAX, too_large};

/// How deep a rendered value may be nested.
const DEPTH_MAX: usize = 100;

/// Why a value has no JSON form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoJson {
    /// Something in it is undefined.
    Undefined,
    /// Too large, too deep, or of a kind that JSON does not have.
    Other(String),
}

impl fmt::Display for NoJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("a part of the value is undefined"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// The JSON of a value.
pub(crate) fn of(value: &Value) -> Result<serde_json::Value, NoJson> {
    let mut room = RENDER_BYTES_MAX;
    convert(value, DEPTH_MAX, &mut room)
}

fn spend(room: &mut usize, bytes: usize) -> Result<(), NoJson> {
    *room = room.checked_sub(bytes).ok_or_else(|| NoJson::Other(too_large().to_string()))?;
    Ok(())
}

fn convert(value: &Value, depth: usize, room: &mut usize) -> Result<serde_json::Value, NoJson> {
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| NoJson::Other(format!("the value is nested deeper than {DEPTH_MAX}")))?;
    spend(room, 2)?;
    match value.kind() {
        ValueKind::Undefined => Err(NoJson::Undefined),
        ValueKind::None => Ok(serde_json::Value::Null),
        ValueKind::Bool => Ok(value.is_true().into()),
        ValueKind::Number => number(value).map(serde_json::Value::Number),
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            spend(room, text.len())?;
            Ok(text.into())
        }
        ValueKind::Seq | ValueKind::Iterable => {
            iterate(value)?.map(|item| convert(&item, depth, room)).collect()
        }
        ValueKind::Map => {
            let mut object = serde_json::Map::new();
            for key in iterate(value)? {
                let item = value.get_item(&key).map_err(other)?;
                let key = key.to_string();
                spend(room, key.len() + 4)?;
                object.insert(key, convert(&item, depth, room)?);
            }
            Ok(object.into())
        }
        kind @ (ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid | _) => {
            Err(NoJson::Other(format!("a value of the kind {kind} has no JSON form")))
        }
    }
}

fn iterate(value: &Value) -> Result<minijinja::value::ValueIter, NoJson> {
    value.try_iter().map_err(other)
}

fn other(error: impl fmt::Display) -> NoJson {
    NoJson::Other(error.to_string())
}

fn number(value: &Value) -> Result<Number, NoJson> {
    let beyond = || NoJson::Other(format!("the number {value} does not fit into 64 bits"));
    if value.is_integer() {
        let unsigned = u64::try_from(value.clone()).map(Number::from);
        let signed = || i64::try_from(value.clone()).map(Number::from);
        return unsigned.or_else(|_| signed()).map_err(|_| beyond());
    }
    let float = f64::try_from(value.clone()).map_err(|_| beyond())?;
    Number::from_f64(float)
        .ok_or_else(|| NoJson::Other(format!("the number {value} has no JSON form")))
}
