//! An answer while it comes: pieces in their order, told as they grow, never more than its bounds.
//!
//! It knows no protocol. What a model writes is data: arguments that are no JSON become a text, which
//! the engine refuses for the model.

use std::collections::{BTreeMap, BTreeSet};

use baton_core::agent::{Piece, Usage};
use baton_core::body::Json;
use baton_engine::ports::ModelAnswer;
use serde_json::{Value, json};

use crate::failure::Complaint;
use crate::names::ToolNames;

/// The most text, arguments and reasoning of an answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most pieces of an answer.
pub(crate) const PIECES_MAX: usize = 64 * 1024;

/// The longest id or name of a call, in characters.
const WORD_CHARS_MAX: usize = 200;

/// Why an answer that has begun is not one.
#[derive(Debug, PartialEq)]
pub(crate) enum Broken {
    /// It is not what the protocol says.
    Shape(String),
    /// It is larger than any answer may be.
    TooLarge(&'static str),
    /// The provider says that it failed.
    Complaint(Complaint),
}

/// The answer so far.
pub(crate) struct Gathering<'t> {
    told: &'t mut dyn FnMut(&str),
    pieces: Vec<Gathered>,
    bytes: usize,
    /// As reported last.
    pub(crate) usage: Usage,
    /// Whether it ended for want of tokens.
    pub(crate) is_cut: bool,
    /// That it was refused, and in which words; empty where there were none.
    refused: Option<String>,
}

enum Gathered {
    Text(String),
    Reasoning(Value),
    Call { slot: u64, id: String, tool: String, arguments: String },
}

impl<'t> Gathering<'t> {
    /// Nothing yet; each text is told as it comes.
    pub(crate) fn new(told: &'t mut dyn FnMut(&str)) -> Self {
        Self {
            told,
            pieces: Vec::new(),
            bytes: 0,
            usage: Usage::default(),
            is_cut: false,
            refused: None,
        }
    }

    /// Whether the model has said nothing yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.pieces.is_empty()
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Broken> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > ANSWER_BYTES_MAX {
            return Err(Broken::TooLarge("8 MiB"));
        }
        if self.pieces.len() > PIECES_MAX {
            return Err(Broken::TooLarge("65,536 pieces"));
        }
        Ok(())
    }

    /// More text.
    pub(crate) fn text(&mut self, more: &str) -> Result<(), Broken> {
        if more.is_empty() {
            return Ok(());
        }
        self.grow(more.len())?;
        (self.told)(more);
        match self.pieces.last_mut() {
            Some(Gathered::Text(text)) => text.push_str(more),
            Some(Gathered::Reasoning(_) | Gathered::Call { .. }) | None => {
                self.pieces.push(Gathered::Text(more.to_owned()));
            }
        }
        Ok(())
    }

    /// Reasoning that the model wants back, whole.
    pub(crate) fn reasoning(&mut self, item: Value) -> Result<(), Broken> {
        self.grow(item.to_string().len())?;
        self.pieces.push(Gathered::Reasoning(item));
        Ok(())
    }

    /// The same, before all else that it said.
    pub(crate) fn reasoning_first(&mut self, item: Value) -> Result<(), Broken> {
        self.grow(item.to_string().len())?;
        self.pieces.insert(0, Gathered::Reasoning(item));
        Ok(())
    }

    /// Counts what is kept elsewhere until it is whole.
    pub(crate) fn kept_aside(&mut self, bytes: usize) -> Result<(), Broken> {
        self.grow(bytes)
    }

    /// A call begins, or says more of itself; the slot is the provider's place of it.
    pub(crate) fn call(&mut self, slot: u64, id: &str, tool: &str) -> Result<(), Broken> {
        self.grow(id.len().saturating_add(tool.len()))?;
        if let Some((known_id, known_tool, _)) = self.at(slot) {
            if known_id.is_empty() {
                id.clone_into(known_id);
            }
            if known_tool.is_empty() {
                tool.clone_into(known_tool);
            }
            return Ok(());
        }
        let (id, tool) = (id.to_owned(), tool.to_owned());
        self.pieces.push(Gathered::Call { slot, id, tool, arguments: String::new() });
        Ok(())
    }

    /// More of a call's arguments.
    pub(crate) fn arguments(&mut self, slot: u64, more: &str) -> Result<(), Broken> {
        self.grow(more.len())?;
        match self.at(slot) {
            Some((_, _, arguments)) => arguments.push_str(more),
            None => return Err(Broken::Shape(format!("arguments of a call {slot} not begun"))),
        }
        Ok(())
    }

    /// A call's arguments as a whole, in place of what was said of them before.
    pub(crate) fn whole_arguments(&mut self, slot: u64, whole: &str) -> Result<(), Broken> {
        if let Some((_, _, arguments)) = self.at(slot) {
            arguments.clear();
        }
        self.arguments(slot, whole)
    }

    /// A slot that no call has.
    pub(crate) fn free_slot(&self) -> u64 {
        self.pieces.len() as u64
    }

    /// The latest call of this slot; nearly always it is the last piece.
    fn at(&mut self, wanted: u64) -> Option<(&mut String, &mut String, &mut String)> {
        self.pieces.iter_mut().rev().find_map(|piece| match piece {
            Gathered::Call { slot, id, tool, arguments } if *slot == wanted => {
                Some((id, tool, arguments))
            }
            Gathered::Text(_) | Gathered::Reasoning(_) | Gathered::Call { .. } => None,
        })
    }

    /// The model, or who watches over it, refuses; in these words, or more of them.
    pub(crate) fn refuse(&mut self, more: &str) -> Result<(), Broken> {
        self.grow(more.len())?;
        self.refused.get_or_insert_default().push_str(more);
        Ok(())
    }

    /// In which words it was refused, if it was: those of the refusal, else what the model had said.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refused = self.refused.as_ref()?;
        if !refused.trim().is_empty() {
            return Some(refused.clone());
        }
        let texts = self.pieces.iter().filter_map(|piece| match piece {
            Gathered::Text(text) => Some(text.as_str()),
            Gathered::Reasoning(_) | Gathered::Call { .. } => None,
        });
        Some(texts.collect())
    }

    /// The answer, with our names of the tools, each call under an id of its own, and reasoning marked
    /// as this model's.
    pub(crate) fn finish(
        self,
        model: &str,
        names: &ToolNames,
        taken: BTreeSet<String>,
    ) -> ModelAnswer {
        let mut ids = Ids { taken, counted: BTreeMap::new() };
        let content = self.pieces.into_iter().map(|piece| match piece {
            Gathered::Text(text) => Piece::Text(text),
            Gathered::Reasoning(item) => Piece::Reasoning(marked(model, item)),
            Gathered::Call { id, tool, arguments, .. } => Piece::Call {
                id: ids.unique(bounded(id)),
                tool: bounded(names.ours(&tool)),
                arguments: arguments_of(arguments),
            },
        });
        ModelAnswer { content: content.collect(), usage: self.usage, is_cut: self.is_cut }
    }
}

/// Reasoning is its model's own: another provider would refuse it, or read it wrongly.
fn marked(model: &str, item: Value) -> Json {
    Json::of(&json!({ "of": model, "item": item }))
}

/// The reasoning in a transcript that this model gave, as it gave it.
pub(crate) fn own_reasoning(model: &str, reasoning: &Json) -> Option<Value> {
    let mut value = reasoning.value();
    let is_own = value.get("of").and_then(Value::as_str) == Some(model);
    is_own.then(|| value.get_mut("item").map(Value::take))?
}

/// An id or a name that is kept and shown in many places.
fn bounded(mut word: String) -> String {
    if let Some((end, _)) = word.char_indices().nth(WORD_CHARS_MAX) {
        word.truncate(end);
    }
    word
}

/// The ids that are taken, and how far those of one stem are counted.
struct Ids {
    taken: BTreeSet<String>,
    counted: BTreeMap<String, u32>,
}

impl Ids {
    fn unique(&mut self, id: String) -> String {
        let (stem, mut own) = match id.as_str() {
            "" => ("call", "call_1".to_owned()),
            _ => (id.as_str(), id.clone()),
        };
        let number = self.counted.entry(stem.to_owned()).or_insert(1);
        while self.taken.contains(&own) {
            *number = number.saturating_add(1);
            own = format!("{stem}_{number}");
        }
        self.taken.insert(own.clone());
        own
    }
}

fn arguments_of(text: String) -> Json {
    if text.trim().is_empty() {
        return Json::of(&json!({}));
    }
    // By value, so that it is written as all JSON of ours is, and no key stands twice.
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => Json::of(&value),
        Err(_) => Json::of(&Value::from(text)),
    }
}

/// Arguments of a transcript as an object, for protocols that take nothing else.
pub(crate) fn as_object(arguments: &Json) -> Value {
    let value = arguments.value();
    if value.is_object() { value } else { json!({ "arguments": value }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(fill: impl FnOnce(&mut Gathering<'_>)) -> ModelAnswer {
        let mut told = |_: &str| {};
        let mut answer = Gathering::new(&mut told);
        fill(&mut answer);
        let ids = BTreeSet::from(["a".to_owned()]);
        answer.finish("p/m", &ToolNames::default(), ids)
    }

    #[test]
    fn every_call_gets_an_id_of_its_own() {
        let answer = finished(|answer| {
            for (slot, id) in ["a", "a", "", "b", ""].into_iter().enumerate() {
                answer.call(slot as u64, id, "t").expect("small");
            }
        });
        let ids: Vec<_> = answer
            .content
            .iter()
            .map(|piece| match piece {
                Piece::Call { id, .. } => id.as_str(),
                Piece::Text(_) | Piece::Reasoning(_) => "",
            })
            .collect();
        assert_eq!(ids, ["a_2", "a_3", "call_1", "b", "call_2"]);
    }

    #[test]
    fn names_and_ids_without_end_are_cut() {
        let answer = finished(|answer| {
            let long = "ü".repeat(100_000);
            answer.call(0, &long, &long).expect("small");
        });
        let [Piece::Call { id, tool, .. }] = answer.content.as_slice() else {
            panic!("one call");
        };
        assert_eq!((id.chars().count(), tool.chars().count()), (200, 200));
    }

    #[test]
    fn arguments_that_are_no_json_are_a_text() {
        for (text, json) in [
            ("", "{}"),
            ("{\"a\": 1}", "{\"a\":1}"),
            ("{\"a\":", "\"{\\\"a\\\":\""),
            ("[1]", "[1]"),
        ] {
            assert_eq!(arguments_of(text.to_owned()).as_str(), json);
        }
    }

    #[test]
    fn an_answer_has_bounds() {
        let mut told = |_: &str| {};
        let mut answer = Gathering::new(&mut told);
        let mebibyte = "x".repeat(1024 * 1024);
        let fed = (0..9).try_for_each(|_| answer.text(&mebibyte));
        assert_eq!(fed, Err(Broken::TooLarge("8 MiB")));
        let mut told = |_: &str| {};
        let mut answer = Gathering::new(&mut told);
        let fed = (0..70_000).try_for_each(|_| answer.reasoning(json!(1)));
        assert_eq!(fed, Err(Broken::TooLarge("65,536 pieces")));
    }

    #[test]
    fn reasoning_goes_back_to_its_own_model_only() {
        let answer = finished(|answer| answer.reasoning(json!({ "s": 1 })).expect("small"));
        let [Piece::Reasoning(reasoning)] = answer.content.as_slice() else {
            panic!("one piece of reasoning");
        };
        assert_eq!(own_reasoning("p/m", reasoning), Some(json!({ "s": 1 })));
        assert_eq!(own_reasoning("p/other", reasoning), None);
    }
}
