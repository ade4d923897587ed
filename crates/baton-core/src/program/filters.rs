//! Filters whose result can be far larger than what goes in, bounded; and those left out.
//!
//! Fuel counts instructions and not bytes, and the bound on the output sees only what is printed:
//! `'aaa' | replace('a', long)` would build gigabytes in one instruction.

use minijinja::{Environment, Error, ErrorKind, Value};

use super::json;
use super::limits::{RENDER_BYTES_MAX, too_large};

/// Filters whose size is a number in their arguments.
const LEFT_OUT: [&str; 4] = ["format", "pprint", "batch", "slice"];

/// Puts the bounded filters in the place of the library's.
pub(crate) fn install(environment: &mut Environment<'static>) {
    for name in LEFT_OUT {
        environment.remove_filter(name);
    }
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment.add_filter("indent", indent);
}

fn within(bytes: Option<usize>) -> Result<(), Error> {
    match bytes {
        Some(bytes) if bytes <= RENDER_BYTES_MAX => Ok(()),
        Some(_) | None => Err(Error::new(ErrorKind::InvalidOperation, too_large().to_string())),
    }
}

/// `text | replace("from", "to")`
fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let added = text.matches(from).count().checked_mul(to.len());
    within(added.and_then(|added| added.checked_add(text.len())))?;
    Ok(text.replace(from, to))
}

/// `list | join(", ")`: strings as they are, everything else as JSON.
fn join(list: &Value, joiner: Option<&str>) -> Result<String, Error> {
    let mut text = String::new();
    for (item, index) in list.try_iter()?.zip(0_usize..) {
        if index > 0 {
            text.push_str(joiner.unwrap_or_default());
        }
        match item.as_str() {
            Some(piece) => text.push_str(piece),
            None => text.push_str(&json_text(&item)?),
        }
        within(Some(text.len()))?;
    }
    Ok(text)
}

fn json_text(value: &Value) -> Result<String, Error> {
    json::of(value).map(|value| value.to_string()).map_err(|error| match error {
        json::NoJson::Undefined => Error::from(ErrorKind::UndefinedError),
        json::NoJson::Other(message) => Error::new(ErrorKind::InvalidOperation, message),
    })
}

/// `text | indent(4)`: every line but the first and the empty ones.
fn indent(text: &str, width: Option<usize>) -> Result<String, Error> {
    let width = width.unwrap_or(4);
    let added = text.lines().count().checked_mul(width);
    within(added.and_then(|added| added.checked_add(text.len())))?;
    let margin = " ".repeat(width);
    let mut indented = String::new();
    for (line, index) in text.split_inclusive('\n').zip(0_usize..) {
        if index > 0 && !line.trim().is_empty() {
            indented.push_str(&margin);
        }
        indented.push_str(line);
    }
    Ok(indented)
}
