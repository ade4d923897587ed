//! JSON written as YAML that people edit: blocks, plain words where those are safe, texts of several
//! lines as they are.
//!
//! What it writes, the reader of definitions reads back as the same JSON. It knows no field.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The longest list of words that stands on one line, in bytes.
const LINE_BYTES_MAX: usize = 80;
/// Words that other readers of YAML take for something else than a text.
const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// A value as a YAML document.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => object(fields, 0, &mut out),
        Value::Array(items) if !items.is_empty() => list(items, 0, &mut out),
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            out.push_str(&on_one_line(value));
            out.push('\n');
        }
    }
    out
}

/// Each field on a line of its own. The first is written where the line stands.
fn object(fields: &Map<String, Value>, indent: usize, out: &mut String) {
    for (n, (key, value)) in fields.iter().enumerate() {
        if n > 0 {
            pad(indent, out);
        }
        out.push_str(&text(key));
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                pad(indent + 2, out);
                object(inner, indent + 2, out);
            }
            Value::Array(items) if !items.is_empty() => match words(items) {
                Some(line) => line_of(&line, out),
                None => {
                    out.push('\n');
                    pad(indent + 2, out);
                    list(items, indent + 2, out);
                }
            },
            Value::String(long) if is_block(long) => block(long, indent + 2, out),
            Value::Object(_)
            | Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => line_of(&on_one_line(value), out),
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            pad(indent, out);
        }
        out.push('-');
        match item {
            Value::Object(inner) if !inner.is_empty() => {
                out.push(' ');
                object(inner, indent + 2, out);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push(' ');
                list(inner, indent + 2, out);
            }
            Value::String(long) if is_block(long) => block(long, indent + 2, out),
            Value::Object(_)
            | Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_) => line_of(&on_one_line(item), out),
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn line_of(line: &str, out: &mut String) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, " {line}");
}

/// What takes one line: a text, another scalar, or something empty.
fn on_one_line(value: &Value) -> String {
    match value {
        Value::String(words) => text(words),
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            value.to_string()
        }
    }
}

/// A short list of plain words on one line.
fn words(items: &[Value]) -> Option<String> {
    let plain = |item: &Value| {
        let word = item.as_str()?;
        let good = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
        (is_plain(word) && word.chars().all(good)).then(|| word.to_owned())
    };
    let words: Vec<String> = items.iter().map(plain).collect::<Option<_>>()?;
    let line = format!("[{}]", words.join(", "));
    (line.len() <= LINE_BYTES_MAX).then_some(line)
}

/// A text on one line: as it is, or in quotes as in JSON, which YAML reads alike.
fn text(words: &str) -> String {
    if is_plain(words) { words.to_owned() } else { Value::from(words).to_string() }
}

fn is_plain(words: &str) -> bool {
    let starts = |letter: char| letter.is_alphabetic() || "_/".contains(letter);
    let good = |letter: char| letter.is_alphanumeric() || " _-./,()?!'+=;".contains(letter);
    words.starts_with(starts)
        && words.chars().all(good)
        && !words.ends_with(' ')
        && !RESERVED.iter().any(|word| words.eq_ignore_ascii_case(word))
}

/// Whether a text can stand in lines as it is.
fn is_block(words: &str) -> bool {
    let odd = |letter: char| letter != '\n' && (letter.is_control() || is_break(letter));
    let blank = |line: &str| !line.is_empty() && line.trim().is_empty();
    words.contains('\n')
        && !words.starts_with(char::is_whitespace)
        && !words.ends_with("\n\n")
        && !words.contains(odd)
        && !words.lines().any(blank)
}

/// Letters that some reader may take for the end of a line, or for none at all.
fn is_break(letter: char) -> bool {
    matches!(letter, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn block(words: &str, indent: usize, out: &mut String) {
    out.push_str(if words.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in words.lines() {
        if !line.is_empty() {
            pad(indent, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}
