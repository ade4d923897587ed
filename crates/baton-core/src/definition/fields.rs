//! Typed access to the fields of an object in the tree; every mismatch becomes a fault.
//!
//! It knows types and vocabularies in general, and no field in particular.

use std::ops::RangeInclusive;

use super::fault::{Faults, Path};
use super::suggest;
use super::tree::{Entry, Node, Place, shorten};
use crate::agent::Cost;
use crate::codes::Code;
use crate::time::Span;

/// A node with its path.
#[derive(Clone, Copy)]
pub(crate) struct At<'t, 's, 'p> {
    /// The node.
    pub node: &'t Node<'s>,
    /// Where it is in the tree.
    pub path: Path<'p>,
}

impl<'t, 's> At<'t, 's, '_> {
    /// Adds the fault that this is not `expected`.
    pub fn mismatch(&self, expected: &str, faults: &mut Faults) {
        let found = self.node.kind();
        let message = format!("expected {expected}, found {found}");
        faults.add(self.node.place, &self.path, message);
    }

    /// A string.
    pub fn text(&self, faults: &mut Faults) -> Option<&'t str> {
        let text = self.node.text();
        if text.is_none() {
            self.mismatch("a string", faults);
        }
        text
    }

    /// A list.
    pub fn list(&self, faults: &mut Faults) -> Option<&'t [Node<'s>]> {
        let list = self.node.list();
        if list.is_none() {
            self.mismatch("a list", faults);
        }
        list
    }

    /// A list of strings; those that are none are left out.
    pub fn texts(&self, faults: &mut Faults) -> Option<Vec<(&'t str, Place)>> {
        let list = self.list(faults)?;
        let mut texts = Vec::with_capacity(list.len());
        for (index, node) in list.iter().enumerate() {
            let path = self.path.index(index);
            if let Some(text) = (At { node, path }).text(faults) {
                texts.push((text, node.place));
            }
        }
        Some(texts)
    }

    /// An object.
    pub fn map(&self, faults: &mut Faults) -> Option<&'t [Entry<'s>]> {
        let map = self.node.map();
        if map.is_none() {
            self.mismatch("an object", faults);
        }
        map
    }

    /// A span of time.
    pub fn span(&self, faults: &mut Faults) -> Option<Span> {
        let text = self.text(faults)?;
        text.parse()
            .inspect_err(|error| {
                let message = format!("`{}` is {error}", shorten(text));
                faults.add(self.node.place, &self.path, message);
            })
            .ok()
    }

    /// A member of a vocabulary.
    pub fn word<C: Code>(&self, faults: &mut Faults) -> Option<C> {
        let text = self.text(faults)?;
        let word = C::from_word(text);
        if word.is_none() {
            let known: Vec<&str> = C::ALL.iter().map(|member| member.word()).collect();
            self.unknown_word(text, &known, faults);
        }
        word
    }

    fn unknown_word(&self, text: &str, known: &[&str], faults: &mut Faults) {
        let message =
            format!("`{}` is not understood here; known are {}", shorten(text), known.join(", "));
        let fault = faults.add(self.node.place, &self.path, message);
        if let Some(near) = suggest::nearest(text, known.iter().copied()) {
            fault.help(format!("did you mean `{near}`?"));
        }
    }

    /// A sum of dollars, more than nothing.
    pub fn cost(&self, faults: &mut Faults) -> Option<Cost> {
        if self.node.text().is_none() {
            self.mismatch("a sum of dollars in quotes, like \"0.50\"", faults);
            return None;
        }
        let text = self.text(faults)?;
        match text.parse::<Cost>() {
            Ok(cost) if cost > Cost::default() => Some(cost),
            Ok(_) => {
                faults.add(self.node.place, &self.path, "this must be more than nothing");
                None
            }
            Err(expected) => {
                let message = format!("`{}` is not {expected}", shorten(text));
                faults.add(self.node.place, &self.path, message);
                None
            }
        }
    }

    /// An integer in a range.
    pub fn integer(&self, range: RangeInclusive<u32>, faults: &mut Faults) -> Option<u32> {
        let (least, most) = (*range.start(), *range.end());
        // The largest of all is no bound that anybody is told.
        let most = if most == u32::MAX { u64::MAX } else { most.into() };
        let number = self.whole(u64::from(least)..=most, faults)?;
        let number = u32::try_from(number).ok();
        if number.is_none() {
            let message = format!("this must be an integer from {least} to {}", u32::MAX);
            faults.add(self.node.place, &self.path, message);
        }
        number
    }

    /// An integer that may be longer than most.
    pub fn whole(&self, range: RangeInclusive<u64>, faults: &mut Faults) -> Option<u64> {
        let number = match &self.node.value {
            super::tree::Tree::Number(number) => number.as_u64(),
            super::tree::Tree::Null
            | super::tree::Tree::Bool(_)
            | super::tree::Tree::Text(_)
            | super::tree::Tree::List(_)
            | super::tree::Tree::Map(_) => {
                self.mismatch("an integer", faults);
                return None;
            }
        };
        let fits = number.filter(|number| range.contains(number));
        if fits.is_none() {
            let (least, most) = (range.start(), range.end());
            let message = match *most {
                u64::MAX => format!("this must be an integer of at least {least}"),
                most => format!("this must be an integer from {least} to {most}"),
            };
            faults.add(self.node.place, &self.path, message);
        }
        fits
    }
}

/// The fields of an object, of which only some are known.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'t, 's, 'p> {
    /// Where the object stands.
    pub place: Place,
    /// Its path.
    pub path: &'p Path<'p>,
    entries: &'t [Entry<'s>],
}

impl<'t, 's, 'p> Fields<'t, 's, 'p> {
    /// The fields of a node that must be an object; unknown ones are faults.
    pub fn of(
        node: &'t Node<'s>,
        path: &'p Path<'p>,
        known: &[&str],
        faults: &mut Faults,
    ) -> Option<Self> {
        let entries = At { node, path: *path }.map(faults)?;
        for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            let with_hints = faults.hints();
            let message = format!("unknown field `{}`", shorten(&entry.key));
            let fault = faults.add(entry.place, &path.field(&entry.key), message);
            if with_hints && let Some(hint) = suggest::hint(&entry.key, known.iter().copied()) {
                fault.help(hint);
            }
        }
        Some(Self { place: first_line(node), path, entries })
    }

    /// The entry of a field.
    pub fn entry(&self, name: &str) -> Option<&'t Entry<'s>> {
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// A field.
    pub fn get(&self, name: &'p str) -> Option<At<'t, 's, 'p>> {
        self.entry(name).map(|entry| At { node: &entry.node, path: self.path.field(name) })
    }

    /// A field that must be there.
    pub fn required(&self, name: &'p str, faults: &mut Faults) -> Option<At<'t, 's, 'p>> {
        let field = self.get(name);
        if field.is_none() {
            let message = format!("the field `{name}` is missing");
            faults.add(self.place, self.path, message);
        }
        field
    }
}

/// The place of an object's first key: what a fault of the whole object points at.
fn first_line(node: &Node<'_>) -> Place {
    match node.map().and_then(<[Entry<'_>]>::first) {
        Some(entry) => entry.place,
        None => node.place,
    }
}
