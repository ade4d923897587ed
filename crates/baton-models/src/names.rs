//! Names of tools and ids of calls, as providers allow them, and the way back.
//!
//! It looks at no schema and calls nothing: whether a tool exists is the engine's to say.

use std::collections::{BTreeMap, BTreeSet};

use baton_core::agent::{Message, Piece};
use baton_core::body::BlobHash;
use baton_core::failure::CallFailure;
use baton_core::plan::OfferedTool;
use baton_core::words::FailureKind;

/// The longest name that all four protocols take: `^[a-zA-Z0-9_-]{1,64}$`.
const NAME_CHARS_MAX: usize = 64;
/// The longest id of a call that all of them take.
const ID_CHARS_MAX: usize = 40;
/// How many digits of a hash tell two names or ids apart that were cut.
const HASH_CHARS: usize = 12;

/// The tools of one request under the names that the provider sees.
#[derive(Debug, Default)]
pub(crate) struct ToolNames {
    ours: BTreeMap<String, String>,
}

impl ToolNames {
    /// Of these tools. Two that a provider could not tell apart are refused.
    pub(crate) fn of(tools: &[OfferedTool]) -> Result<Self, CallFailure> {
        let mut ours: BTreeMap<String, String> = BTreeMap::new();
        for tool in tools {
            if let Some(other) = ours.insert(wire_name(&tool.name), tool.name.clone()) {
                let message = format!(
                    "the tools `{other}` and `{}` have the same name to a provider; offer one of them",
                    tool.name
                );
                return Err(CallFailure::refused(FailureKind::InvalidInput, message));
            }
        }
        Ok(Self { ours })
    }

    /// Our name of a tool that the model calls; what it was not offered stays as it is written.
    pub(crate) fn ours(&self, wire: &str) -> String {
        self.ours.get(wire).cloned().unwrap_or_else(|| wire.to_owned())
    }
}

/// A tool's name as every provider takes it: `fs.read` is `fs__read`.
pub(crate) fn wire_name(name: &str) -> String {
    let mut wire = String::with_capacity(name.len() + 1);
    for char in name.chars() {
        match char {
            '.' => wire.push_str("__"),
            char if is_plain(char) => wire.push(char),
            _ => wire.push('_'),
        }
    }
    if !wire.is_empty() && wire.len() <= NAME_CHARS_MAX {
        return wire;
    }
    // All of it is ASCII here, so that any place is one between characters.
    wire.truncate(NAME_CHARS_MAX - HASH_CHARS - 1);
    format!("{wire}_{}", hashed(name))
}

/// A call's id as every provider takes it; the same for the call and for what came of it.
pub(crate) fn wire_id(id: &str) -> String {
    if (1..=ID_CHARS_MAX).contains(&id.len()) && id.chars().all(is_plain) {
        return id.to_owned();
    }
    format!("call_{}", hashed(id))
}

/// The ids of all calls in a transcript.
pub(crate) fn ids_of(messages: &[Message]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for message in messages {
        if let Message::Assistant(pieces) = message {
            ids.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Call { id, .. } => Some(id.clone()),
                Piece::Text(_) | Piece::Reasoning(_) => None,
            }));
        }
    }
    ids
}

fn is_plain(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-')
}

fn hashed(text: &str) -> String {
    BlobHash::of(text.as_bytes()).to_string().chars().take(HASH_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use baton_core::plan::Ends;
    use baton_core::words::Effect;
    use serde_json::json;

    use super::*;

    fn tool(name: &str) -> OfferedTool {
        OfferedTool {
            name: name.to_owned(),
            description: String::new(),
            input: json!({}),
            effect: Effect::Read,
            approval: None,
            ends: Ends::Call,
        }
    }

    #[test]
    fn names_go_out_and_come_back() {
        let long = format!("server.{}", "x".repeat(100));
        let tools = [tool("fs.read"), tool("git.log"), tool(&long), tool("a.ö/b")];
        let names = ToolNames::of(&tools).expect("no two are alike");
        for tool in &tools {
            let wire = wire_name(&tool.name);
            assert!(wire.len() <= 64 && wire.chars().all(is_plain), "{wire}");
            assert_eq!(names.ours(&wire), tool.name);
        }
        assert_eq!(wire_name("fs.read"), "fs__read");
        assert_eq!(names.ours("invented"), "invented");
    }

    #[test]
    fn two_tools_that_a_provider_cannot_tell_apart_are_refused() {
        let refused = ToolNames::of(&[tool("a.b__c"), tool("a__b.c")]).expect_err("alike");
        assert_eq!(refused.kind, FailureKind::InvalidInput);
        assert!(refused.message.contains("`a.b__c` and `a__b.c`"), "{}", refused.message);
    }

    #[test]
    fn ids_that_another_provider_gave_are_made_fit() {
        assert_eq!(wire_id("toolu_01"), "toolu_01");
        for id in ["", "a b", "functions.read:0", &"x".repeat(200)] {
            let wire = wire_id(id);
            assert!(wire.starts_with("call_") && wire.len() <= 40, "{wire}");
            assert_eq!(wire, wire_id(id));
        }
    }
}
