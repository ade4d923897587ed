//! Other text of JSON's shape, in YAML or JSON, with the place of each of its values.
//!
//! For files that are read beside definitions, so that their faults are shown as those are. It knows
//! nothing of what a file may hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::fault::{Fault, Faults, Path};
use super::tree::{self, Node, Place, Tree};

/// What a text holds, and where.
#[derive(Debug)]
pub struct Located<'s> {
    source: &'s str,
    value: Value,
    /// By JSON pointer: a field's place is that of its key.
    places: BTreeMap<String, Place>,
}

/// Something wrong at one place of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The JSON pointer of the value; where there is none, that of what it would stand in.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl<'s> Located<'s> {
    /// Reads one document. `Err` lists the faults of its syntax.
    pub fn read(source: &'s str) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let root = tree::read(source, &mut faults);
        let Some(root) = root.filter(|_| faults.is_empty()) else {
            return Err(faults.resolve(source));
        };
        let mut places = BTreeMap::from([(String::new(), root.place)]);
        place(&root, &mut String::new(), &mut places);
        Ok(Self { source, value: root.to_json(), places })
    }

    /// What it holds.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// What is wrong with it, in the order of the source.
    pub fn faults(&self, wrongs: impl IntoIterator<Item = Wrong>) -> Vec<Fault> {
        let mut faults = Faults::default();
        for Wrong { pointer, message, help } in wrongs {
            let found = faults.add(self.place(&pointer), &Path::Root, message);
            if let Some(help) = help {
                found.help(help);
            }
        }
        faults.resolve(self.source)
    }

    /// The place of a value, or of the nearest there is around it.
    fn place(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return *place;
            }
            let Some((parent, _)) = pointer.rsplit_once('/') else {
                return Place::new(0, 0);
            };
            pointer = parent;
        }
    }
}

/// Notes the places of what stands in a node. Its depth is bounded by the reader of the tree.
fn place(node: &Node<'_>, pointer: &mut String, places: &mut BTreeMap<String, Place>) {
    let length = pointer.len();
    match &node.value {
        Tree::List(items) => {
            for (index, item) in items.iter().enumerate() {
                // Writing into a string cannot fail.
                let _ = write!(pointer, "/{index}");
                places.insert(pointer.clone(), item.place);
                place(item, pointer, places);
                pointer.truncate(length);
            }
        }
        Tree::Map(entries) => {
            for entry in entries {
                let _ = write!(pointer, "/{}", entry.key.replace('~', "~0").replace('/', "~1"));
                places.insert(pointer.clone(), entry.place);
                place(&entry.node, pointer, places);
                pointer.truncate(length);
            }
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_again_at_its_line_and_column() {
        let source = "answers:\n  - text: one\n    a/b: {c: 1}\n";
        let located = Located::read(source).expect("it is YAML");
        assert_eq!(located.value().pointer("/answers/0/a~1b/c"), Some(&Value::from(1)));
        let at = |pointer: &str| {
            let wrong = Wrong { pointer: pointer.to_owned(), message: "no".into(), help: None };
            let faults = located.faults([wrong]);
            faults.first().map(|fault| (fault.line, fault.column)).expect("one fault")
        };
        assert_eq!(at("/answers/0/text"), (2, 5));
        assert_eq!(at("/answers/0/a~1b/c"), (3, 11));
        assert_eq!(at("/answers/0/a~1b/d"), (3, 5), "what is missing is told where it would stand");
        assert_eq!(at(""), (1, 1));
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        let faults = Located::read("a: [1,\nb: }").expect_err("no YAML");
        assert!(faults.iter().all(|fault| fault.line >= 1 && !fault.message.is_empty()));
        assert!(Located::read("").is_err());
    }
}
