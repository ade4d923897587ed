//! Small texts for people: ages, and foreign text made harmless for a terminal.

use std::time::Duration;

use baton_core::spoken::span;
use baton_core::time::Timestamp;
use serde_json::Value;

/// Foreign text on one line of a terminal: control characters are shown, not obeyed, and so are
/// those that turn the direction of writing.
pub fn clean(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).fold(
        String::new(),
        |mut clean, c| {
            if harmful(c) {
                clean.extend(c.escape_unicode())
            } else {
                clean.push(c)
            }
            clean
        },
    )
}

/// Foreign text of several lines: as [`clean`], but lines and tabs stay.
pub fn clean_lines(text: &str) -> String {
    let keep = |line: &str| line.split('\t').map(clean).collect::<Vec<_>>().join("\t");
    text.split('\n').map(keep).collect::<Vec<_>>().join("\n")
}

/// A workflow's output as people read it: a text as it is, anything else as JSON, nothing as nothing.
pub fn output_text(output: &Value) -> Option<String> {
    match output {
        Value::Null => None,
        Value::String(text) => Some(clean_lines(text.trim_end())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            serde_json::to_string_pretty(output).ok()
        }
    }
}

/// Foreign text of several lines whose later lines stand below the first one, `margin` to the right.
pub fn hanging(text: &str, margin: usize) -> String {
    let rest = format!("\n{}", " ".repeat(margin));
    clean_lines(text.trim_end()).replace('\n', &rest)
}

/// The first line of a foreign text, marked where there are more.
pub fn headline(text: &str) -> String {
    let mut lines = text.trim().lines();
    let first = clean(lines.next().unwrap_or_default());
    match lines.next() {
        Some(_) => format!("{first} …"),
        None => first,
    }
}

/// How long ago a moment was.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let age = now.since(at);
    if age < Duration::from_secs(1) { "now".to_owned() } else { format!("{} ago", span(age)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_does_not_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d\0"), "a\\u{1b}[2Jb c\\u{202e}d\\u{0}");
        assert_eq!(clean_lines("a\n\tb\r"), "a\n\tb\\u{d}");
    }
}
