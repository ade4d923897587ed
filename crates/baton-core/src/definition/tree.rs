//! The spanned tree of a source: JSON's values, each with its place, from YAML 1.2 (or JSON) text.
//!
//! It knows nothing of definitions. Aliases, tags, merge keys and complex keys are refused rather
//! than interpreted: what is read is what stands there.

use std::borrow::Cow;
use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

use super::fault::{Faults, Path};
use super::scalar;

/// How deep lists and maps may be nested.
pub const DEPTH_MAX: usize = 64;

/// Maps with more entries than this are searched for duplicate keys through a hash set.
const LINEAR_KEYS_MAX: usize = 16;

/// A range of bytes in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Place {
    /// `length` bytes from `start`, saturating.
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: clamp(start), end: clamp(end) }
    }

    fn of(span: &granit_parser::Span) -> Self {
        let start = span.start.byte_offset().unwrap_or(0);
        Self::new(start, span.end.byte_offset().unwrap_or(start))
    }
}

/// A value with its place.
#[derive(Debug)]
pub(crate) struct Node<'s> {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub value: Tree<'s>,
}

/// JSON's values over nodes.
#[derive(Debug)]
pub(crate) enum Tree<'s> {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// An integer of 64 bits or a finite float.
    Number(serde_json::Number),
    /// A string.
    Text(Cow<'s, str>),
    /// A list.
    List(Vec<Node<'s>>),
    /// A map in the order written; keys are unique.
    Map(Vec<Entry<'s>>),
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry<'s> {
    /// Where the key stands.
    pub place: Place,
    /// The key.
    pub key: Cow<'s, str>,
    /// The value.
    pub node: Node<'s>,
}

impl<'s> Node<'s> {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Tree::Null => "nothing",
            Tree::Bool(_) => "a boolean",
            Tree::Number(_) => "a number",
            Tree::Text(_) => "a string",
            Tree::List(_) => "a list",
            Tree::Map(_) => "an object",
        }
    }

    /// Its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Tree::Text(text) => Some(text),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// Its entries, if it is a map.
    pub fn map(&self) -> Option<&[Entry<'s>]> {
        match &self.value {
            Tree::Map(entries) => Some(entries),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::List(_) => None,
        }
    }

    /// Its elements, if it is a list.
    pub fn list(&self) -> Option<&[Node<'s>]> {
        match &self.value {
            Tree::List(items) => Some(items),
            Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) | Tree::Map(_) => None,
        }
    }

    /// The JSON it stands for.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Tree::Null => Value::Null,
            Tree::Bool(truth) => Value::Bool(*truth),
            Tree::Number(number) => Value::Number(number.clone()),
            Tree::Text(text) => Value::String(text.to_string()),
            Tree::List(items) => items.iter().map(Node::to_json).collect(),
            Tree::Map(entries) => {
                entries.iter().map(|entry| (entry.key.to_string(), entry.node.to_json())).collect()
            }
        }
    }
}

enum Frame<'s> {
    List {
        place: Place,
        items: Vec<Node<'s>>,
    },
    Map {
        place: Place,
        entries: Vec<Entry<'s>>,
        seen: HashSet<String>,
        key: Option<(Place, Cow<'s, str>)>,
    },
}

struct Builder<'s, 'f> {
    stack: Vec<Frame<'s>>,
    root: Option<Node<'s>>,
    faults: &'f mut Faults,
}

/// Nothing more can be read; the reason is among the faults.
struct Stop;

/// Reads one document. `None` means that a syntax fault was added.
pub(crate) fn read<'s>(source: &'s str, faults: &mut Faults) -> Option<Node<'s>> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        emit_comments: false,
    };
    let mut builder = Builder { stack: Vec::new(), root: None, faults };
    for next in Parser::new_from_str_with_options(source, options) {
        match next {
            Ok((event, span)) => builder.event(event, Place::of(&span)).ok()?,
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(source.len());
                let message = format!("this is not valid YAML: {}", error.info());
                builder.faults.add(Place::new(at, at + 1), &Path::Root, message);
                return None;
            }
        }
    }
    let root = builder.root.take();
    if root.is_none() {
        let message = "the definition is empty";
        builder.faults.add(Place::new(0, 0), &Path::Root, message);
    }
    root
}

impl<'s> Builder<'s, '_> {
    fn event(&mut self, event: Event<'s>, place: Place) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some() {
                    let help = "quote the value to make it a string";
                    self.fault(place, "tags are not supported", help);
                }
                self.scalar(text, style, place)
            }
            Event::SequenceStart(..) => self.open(place, Frame::List { place, items: Vec::new() }),
            Event::MappingStart(..) => self.open(
                place,
                Frame::Map { place, entries: Vec::new(), seen: HashSet::new(), key: None },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = "write the value out";
                self.fault(place, "aliases are not supported", help);
                self.value(Node { place, value: Tree::Null })
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let help = "put each definition into a file of its own";
                self.fault(place, "there is a second document", help);
                Err(Stop)
            }
            // What else there is carries no value.
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | _ => Ok(()),
        }
    }

    fn fault(&mut self, place: Place, message: &str, help: &str) {
        self.faults.add(place, &Path::Root, message).help(help);
    }

    fn open(&mut self, place: Place, frame: Frame<'s>) -> Result<(), Stop> {
        if let Some(Frame::Map { key: None, .. }) = self.stack.last() {
            self.fault(place, "a key must be a string", "write it like `key: value`");
            return Err(Stop);
        }
        if self.stack.len() >= DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            self.fault(place, &message, "flatten the value");
            return Err(Stop);
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, end: Place) -> Result<(), Stop> {
        let (place, value) = match self.stack.pop() {
            Some(Frame::List { place, items }) => (place, Tree::List(items)),
            Some(Frame::Map { place, entries, .. }) => (place, Tree::Map(entries)),
            None => return Ok(()),
        };
        let place = Place { start: place.start, end: end.end.max(place.start) };
        self.value(Node { place, value })
    }

    fn scalar(&mut self, text: Cow<'s, str>, style: ScalarStyle, place: Place) -> Result<(), Stop> {
        if let Some(Frame::Map { key: key @ None, entries, seen, .. }) = self.stack.last_mut() {
            let merge = style == ScalarStyle::Plain && text == "<<";
            let double = !is_new(&text, entries, seen);
            *key = Some((place, text.clone()));
            if merge {
                let help = "write the fields out";
                self.fault(place, "merge keys are not supported", help);
            } else if double {
                let message = format!("`{}` is written twice", shorten(&text));
                self.fault(place, &message, "keep one of the two");
            }
            return Ok(());
        }
        let value = match style {
            ScalarStyle::Plain => scalar::plain(text).unwrap_or_else(|message| {
                self.fault(place, message, "quote it to make it a string");
                Tree::Null
            }),
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Tree::Text(text),
        };
        self.value(Node { place, value })
    }

    fn value(&mut self, node: Node<'s>) -> Result<(), Stop> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, .. }) => match key.take() {
                Some((place, key)) => entries.push(Entry { place, key, node }),
                None => {
                    let place = node.place;
                    self.fault(place, "a key must be a string", "write the key out");
                    return Err(Stop);
                }
            },
        }
        Ok(())
    }
}

/// Whether `key` is not among `entries`; large maps remember theirs in `seen`.
fn is_new(key: &str, entries: &[Entry<'_>], seen: &mut HashSet<String>) -> bool {
    if entries.len() < LINEAR_KEYS_MAX {
        return entries.iter().all(|entry| entry.key != key);
    }
    if seen.is_empty() {
        seen.extend(entries.iter().map(|entry| entry.key.to_string()));
    }
    seen.insert(key.to_owned())
}

/// At most 60 characters of a text, for messages.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}
