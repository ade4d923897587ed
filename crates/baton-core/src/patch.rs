//! JSON Patch (RFC 6902) on a value that is held in memory, with JSON Pointer (RFC 6901).
//!
//! A patch comes from anybody: how many operations it has, how deep and how large it makes a value, is
//! bounded. What the value means is not its business.

use std::fmt;

use serde_json::Value;

use crate::definition::DEPTH_MAX;

/// The most operations of a patch.
pub const OPERATIONS_MAX: usize = 10_000;
/// The most values that a patch may bring in, copies of what is there included; of a text, each
/// [`TEXT_BYTES`] count as one more.
pub const VALUES_MAX: usize = 1_000_000;
/// How many bytes of text count as a value.
pub const TEXT_BYTES: usize = 64;

/// An operation that cannot be carried out. Nothing of the patch holds then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPatch {
    /// Which operation, from 0; none where the patch as a whole is at fault.
    pub operation: Option<usize>,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for BadPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(at) => write!(f, "operation {at}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for BadPatch {}

/// Carries out the operations one after the other, all or nothing.
pub fn apply(patch: &Value, to: &Value) -> Result<Value, BadPatch> {
    let whole = |message: String| BadPatch { operation: None, message };
    let operations = patch.as_array();
    let operations =
        operations.ok_or_else(|| whole("a patch is a list of operations".to_owned()))?;
    if operations.len() > OPERATIONS_MAX {
        return Err(whole(format!("a patch has at most {OPERATIONS_MAX} operations")));
    }
    let mut patched = Patched { value: to.clone(), brought: 0 };
    for (at, operation) in operations.iter().enumerate() {
        let failed = |message| BadPatch { operation: Some(at), message };
        patched.carry_out(operation).map_err(failed)?;
    }
    Ok(patched.value)
}

struct Patched {
    value: Value,
    /// How many values were brought in.
    brought: usize,
}

impl Patched {
    fn carry_out(&mut self, operation: &Value) -> Result<(), String> {
        let text = |name: &str| {
            let found = operation.get(name).and_then(Value::as_str);
            found.ok_or_else(|| format!("`{name}` is missing, a text"))
        };
        let value = || {
            let found = operation.get("value").cloned();
            found.ok_or_else(|| "`value` is missing".to_owned())
        };
        let path = pointer(text("path")?)?;
        match text("op")? {
            "add" => self.add(&path, value()?),
            "remove" => self.remove(&path).map(drop),
            "replace" => {
                self.find(&path)?;
                let value = value()?;
                self.replace(&path, value)
            }
            "move" => {
                let from = pointer(text("from")?)?;
                if path.len() > from.len() && path.starts_with(&from) {
                    return Err("nothing can be moved into itself".to_owned());
                }
                let moved = self.remove(&from)?;
                self.add(&path, moved)
            }
            "copy" => {
                let from = pointer(text("from")?)?;
                let source = self.find(&from)?;
                // Looked at before it is copied: copies of copies grow without bound.
                let count = size(source, 0)?;
                self.brings(count)?;
                let copied = self.find(&from)?.clone();
                self.add(&path, copied)
            }
            "test" => {
                let (found, wanted) = (self.find(&path)?, value()?);
                if *found == wanted { Ok(()) } else { Err("the value is another one".to_owned()) }
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(format!(
                    "there is no `op` `{shown}`; known are add, remove, replace, move, copy, test"
                ))
            }
        }
    }

    fn find(&self, path: &[String]) -> Result<&Value, String> {
        let mut at = &self.value;
        for step in path {
            at = match at {
                Value::Object(fields) => fields.get(step),
                Value::Array(items) => index(step).and_then(|index| items.get(index)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            }
            .ok_or_else(|| nothing(path))?;
        }
        Ok(at)
    }

    /// What holds the last step of a path.
    fn holder(&mut self, path: &[String]) -> Result<(&mut Value, String), String> {
        let (last, before) = path.split_last().ok_or_else(|| nothing(path))?;
        let mut at = &mut self.value;
        for step in before {
            at = match at {
                Value::Object(fields) => fields.get_mut(step),
                Value::Array(items) => index(step).and_then(|index| items.get_mut(index)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            }
            .ok_or_else(|| nothing(path))?;
        }
        Ok((at, last.clone()))
    }

    fn add(&mut self, path: &[String], value: Value) -> Result<(), String> {
        let count = size(&value, path.len())?;
        self.brings(count)?;
        if path.is_empty() {
            self.value = value;
            return Ok(());
        }
        match self.holder(path)? {
            (Value::Object(fields), name) => {
                fields.insert(name, value);
            }
            (Value::Array(items), name) => {
                let at = if name == "-" { Some(items.len()) } else { index(&name) };
                let at = at.filter(|at| *at <= items.len()).ok_or_else(|| nothing(path))?;
                items.insert(at, value);
            }
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => {
                return Err(nothing(path));
            }
        }
        Ok(())
    }

    /// Where it stands: a field keeps its place among the others.
    fn replace(&mut self, path: &[String], value: Value) -> Result<(), String> {
        let count = size(&value, path.len())?;
        self.brings(count)?;
        if path.is_empty() {
            self.value = value;
            return Ok(());
        }
        let place = match self.holder(path)? {
            (Value::Object(fields), name) => fields.get_mut(&name),
            (Value::Array(items), name) => index(&name).and_then(|at| items.get_mut(at)),
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => None,
        };
        *place.ok_or_else(|| nothing(path))? = value;
        Ok(())
    }

    fn remove(&mut self, path: &[String]) -> Result<Value, String> {
        if path.is_empty() {
            return Ok(self.value.take());
        }
        let removed = match self.holder(path)? {
            (Value::Object(fields), name) => fields.shift_remove(&name),
            (Value::Array(items), name) => {
                index(&name).filter(|at| *at < items.len()).map(|at| items.remove(at))
            }
            (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), _) => None,
        };
        removed.ok_or_else(|| nothing(path))
    }

    fn brings(&mut self, count: usize) -> Result<(), String> {
        self.brought = self.brought.saturating_add(count);
        if self.brought > VALUES_MAX {
            return Err(format!("a patch brings in at most {VALUES_MAX} values"));
        }
        Ok(())
    }
}

/// How many values a value holds, itself among them, if it fits at this depth.
fn size(value: &Value, depth: usize) -> Result<usize, String> {
    let mut count = 0;
    let mut look = vec![(value, depth)];
    while let Some((value, depth)) = look.pop() {
        if depth > DEPTH_MAX {
            return Err(format!("the value would be nested deeper than {DEPTH_MAX} levels"));
        }
        count += 1;
        match value {
            Value::Array(items) => look.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => {
                count += fields.keys().map(|name| name.len() / TEXT_BYTES).sum::<usize>();
                look.extend(fields.values().map(|field| (field, depth + 1)));
            }
            Value::String(text) => count += text.len() / TEXT_BYTES,
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Ok(count)
}

fn pointer(text: &str) -> Result<Vec<String>, String> {
    let Some(steps) = text.strip_prefix('/') else {
        return match text {
            "" => Ok(Vec::new()),
            _ => Err("a path begins with `/`, or is empty for the whole".to_owned()),
        };
    };
    let steps: Vec<String> =
        steps.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    if steps.len() > DEPTH_MAX {
        return Err(format!("a path has at most {DEPTH_MAX} steps"));
    }
    Ok(steps)
}

/// A place in a list: digits without a zero before them.
fn index(step: &str) -> Option<usize> {
    let is_number = step.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = step == "0" || !step.starts_with('0');
    (is_number && is_plain).then(|| step.parse().ok()).flatten()
}

fn nothing(path: &[String]) -> String {
    let shown: String = path.join("/").chars().take(120).collect();
    format!("there is nothing at `/{shown}`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(to: &Value, patch: Value) -> Result<Value, String> {
        apply(&patch, to).map_err(|bad| bad.to_string())
    }

    #[test]
    fn every_operation_does_what_the_rfc_says() {
        let plan = json!({ "a": 1, "list": [1, 2, 3], "x/y": { "m~n": true } });
        let patch = json!([
            { "op": "test", "path": "/x~1y/m~0n", "value": true },
            { "op": "add", "path": "/list/1", "value": "between" },
            { "op": "add", "path": "/list/-", "value": "last" },
            { "op": "replace", "path": "/a", "value": null },
            { "op": "copy", "from": "/list/0", "path": "/first" },
            { "op": "move", "from": "/x~1y", "path": "/moved" },
            { "op": "remove", "path": "/list/0" },
        ]);
        let expected = json!({
            "a": null, "list": ["between", 2, 3, "last"], "first": 1, "moved": { "m~n": true },
        });
        assert_eq!(patched(&plan, patch), Ok(expected));
        assert_eq!(
            patched(&plan, json!([{ "op": "replace", "path": "", "value": 7 }])),
            Ok(json!(7))
        );
    }

    #[test]
    fn what_is_not_there_is_told_with_the_operation() {
        let plan = json!({ "list": [1], "text": "t" });
        for (operation, words) in [
            (json!({ "op": "remove", "path": "/none" }), "there is nothing at `/none`"),
            (json!({ "op": "replace", "path": "/none", "value": 1 }), "nothing at `/none`"),
            (json!({ "op": "add", "path": "/none/deeper", "value": 1 }), "nothing at"),
            (json!({ "op": "add", "path": "/list/2", "value": 1 }), "nothing at `/list/2`"),
            (json!({ "op": "add", "path": "/list/01", "value": 1 }), "nothing at"),
            (json!({ "op": "add", "path": "/text/0", "value": 1 }), "nothing at"),
            (json!({ "op": "add", "path": "/list/0" }), "`value` is missing"),
            (json!({ "op": "copy", "path": "/a" }), "`from` is missing"),
            (json!({ "op": "add", "path": "list", "value": 1 }), "begins with `/`"),
            (json!({ "op": "test", "path": "/text", "value": "u" }), "another one"),
            (json!({ "op": "swap", "path": "/a" }), "no `op` `swap`"),
            (json!({ "op": "move", "from": "/list", "path": "/list/0" }), "into itself"),
            (json!("add"), "`path` is missing"),
        ] {
            let told =
                patched(&plan, json!([{ "op": "test", "path": "/text", "value": "t" }, operation]));
            let told = told.expect_err("it cannot be done");
            assert!(told.starts_with("operation 1: ") && told.contains(words), "{told}");
        }
        assert!(patched(&plan, json!({})).is_err());
    }

    #[test]
    fn copies_of_copies_come_to_an_end() {
        let into = json!({ "op": "copy", "from": "", "path": "/again" });
        let deeper: Vec<Value> = std::iter::repeat_n(into, 100).collect();
        let told = patched(&json!({}), Value::from(deeper)).expect_err("too deep");
        assert!(told.contains("nested deeper"), "{told}");
        let wider = |n: usize| json!({ "op": "copy", "from": "/l", "path": format!("/l/{n}") });
        let told = patched(&json!({ "l": [[1], [2]] }), (0..60).map(|_| wider(0)).collect());
        let told = told.expect_err("too deep or too much");
        assert!(told.contains("nested deeper") || told.contains("at most"), "{told}");
        let long = json!([["x".repeat(4 << 20)]]);
        let copy = json!({ "op": "copy", "from": "/0", "path": "/-" });
        let told = patched(&long, Value::from(vec![copy; 20])).expect_err("eighty megabytes");
        assert!(told.contains("brings in at most"), "{told}");
        let all = json!({ "op": "add", "path": "/-", "value": 1 });
        let many: Vec<Value> = std::iter::repeat_n(all, OPERATIONS_MAX + 1).collect();
        assert!(patched(&json!([]), Value::from(many)).is_err());
        let mut doubled = vec![json!({ "op": "add", "path": "/l", "value": [1] })];
        for n in 0..30 {
            doubled.push(json!({ "op": "add", "path": format!("/k{n}"), "value": [] }));
            let from = if n == 0 { "/l".to_owned() } else { format!("/k{}", n - 1) };
            doubled.push(json!({ "op": "copy", "from": from, "path": format!("/k{n}/-") }));
            doubled.push(json!({ "op": "copy", "from": from, "path": format!("/k{n}/-") }));
        }
        let told = patched(&json!({}), Value::from(doubled)).expect_err("it doubles each time");
        assert!(told.contains("brings in at most"), "{told}");
    }
}
