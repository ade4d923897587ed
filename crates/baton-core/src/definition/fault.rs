//! Faults: what is wrong with a source, each with its place, and how they are shown.
//!
//! It does not know what may be wrong; it only keeps, orders and renders.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::tree::Place;

/// The most faults that are listed; one more then says that there are others.
pub const FAULTS_MAX: usize = 10_000;

/// Faults after this many carry no "did you mean".
const HINTED_MAX: usize = 500;
/// The most characters of a source line that are shown.
const SHOWN_CHARS_MAX: usize = 120;
/// How many characters are shown before the marker when a line is cut.
const BEFORE_CHARS: usize = 40;

/// Something wrong in a definition's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where in the tree: `stages[1].tasks[0].needs[2]`; empty for the whole.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// How many characters are at fault, at least 1; never past the line's end.
    pub length: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A path into the tree, as a list that lives on the walk's stack.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    /// The whole.
    Root,
    /// A field of an object.
    Field(&'p Path<'p>, &'p str),
    /// An element of a list.
    Index(&'p Path<'p>, usize),
}

impl Path<'_> {
    /// The path of a field.
    pub fn field<'p>(&'p self, name: &'p str) -> Path<'p> {
        Path::Field(self, name)
    }

    /// The path of an element.
    pub fn index(&self, index: usize) -> Path<'_> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A fault whose place is still a range of bytes.
pub(crate) struct Found {
    place: Place,
    path: String,
    message: String,
    help: Option<String>,
}

impl Found {
    /// Adds what to do about it.
    pub fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }
}

/// The faults found so far.
#[derive(Default)]
pub(crate) struct Faults {
    found: Vec<Found>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(
        &mut self,
        place: Place,
        path: &dyn fmt::Display,
        message: impl Into<String>,
    ) -> &mut Found {
        // Past the bound each one replaces the last, which `resolve` then words anew.
        self.found.truncate(FAULTS_MAX);
        self.found.push(Found {
            place,
            path: path.to_string(),
            message: message.into(),
            help: None,
        });
        let last = self.found.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "pushed just above")]
        &mut self.found[last]
    }

    /// Whether another fault is worth a hint: past this many, hints would cost more than they help.
    pub fn hints(&self) -> bool {
        self.found.len() < HINTED_MAX
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The faults in the order of the source, in lines and columns. One sweep over the source.
    pub fn resolve(mut self, source: &str) -> Vec<Fault> {
        let is_cut = self.found.len() > FAULTS_MAX;
        self.found.sort_by_key(|found| found.place.start);
        if is_cut && let Some(last) = self.found.last_mut() {
            last.message = format!("there are more than {FAULTS_MAX} faults");
            last.help = Some("mend these first; the others are listed then".to_owned());
        }
        let mut sweep = Sweep::new(source);
        let resolved = self.found.into_iter().map(|found| {
            let (line, column) = sweep.advance(found.place.start as usize);
            Fault {
                length: length(source, found.place),
                path: found.path,
                line,
                column,
                message: found.message,
                help: found.help,
            }
        });
        resolved.collect()
    }
}

/// A cursor that counts lines and columns as it goes forward.
struct Sweep<'s> {
    source: &'s str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'s> Sweep<'s> {
    fn new(source: &'s str) -> Self {
        Self { source, offset: 0, line: 1, column: 1 }
    }

    fn advance(&mut self, to: usize) -> (u32, u32) {
        let rest = self.source.get(self.offset..).unwrap_or_default();
        for letter in rest.chars() {
            if self.offset >= to {
                break;
            }
            self.offset += letter.len_utf8();
            if letter == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        (self.line, self.column)
    }
}

fn length(source: &str, place: Place) -> u32 {
    let bytes = (place.end as usize).saturating_sub(place.start as usize);
    let text = source.get(place.start as usize..).unwrap_or_default();
    let mut shown = 0;
    let mut seen = 0_u32;
    for (at, letter) in text.char_indices().take(SHOWN_CHARS_MAX) {
        if at >= bytes || letter == '\n' {
            break;
        }
        seen += 1;
        if !letter.is_whitespace() {
            shown = seen;
        }
    }
    shown.max(1)
}

/// The fault on its source, in plain text, ending in a newline.
///
/// `file_name` is shown as it is given; control characters of the source are escaped.
pub fn render(fault: &Fault, file_name: &str, source: &str) -> String {
    let number = fault.line.to_string();
    let margin = " ".repeat(number.len());
    let line = nth_line(source, fault.line);
    let (shown, marker) = cut(line, fault);
    let mut text = format!("error: {}\n", escape(&fault.message));
    let place = format!("{file_name}:{}:{}", fault.line, fault.column);
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{margin}--> {place}\n{margin} |\n{number} | {shown}");
    let _ = writeln!(text, "{margin} | {marker}");
    if let Some(help) = &fault.help {
        let _ = writeln!(text, "{margin} = help: {}", escape(help));
    }
    text
}

fn nth_line(source: &str, line: u32) -> &str {
    let index = (line as usize).saturating_sub(1);
    let text = source.split('\n').nth(index).unwrap_or_default();
    text.strip_suffix('\r').unwrap_or(text)
}

/// The part of the line that is shown, and the marker under it.
fn cut(line: &str, fault: &Fault) -> (String, String) {
    let column = (fault.column as usize).saturating_sub(1);
    let from = if column + fault.length as usize <= SHOWN_CHARS_MAX {
        0
    } else {
        column.saturating_sub(BEFORE_CHARS)
    };
    let mut shown = String::from(if from > 0 { "…" } else { "" });
    let (mut start, mut end) = (None, None);
    let mut rest = line.chars().skip(from);
    for (letter, index) in rest.by_ref().take(SHOWN_CHARS_MAX).zip(from..) {
        if index == column {
            start = Some(shown.chars().count());
        }
        shown.push_str(&escape_letter(letter));
        if index < column + fault.length as usize {
            end = Some(shown.chars().count());
        }
    }
    let width = shown.chars().count();
    if rest.next().is_some() {
        shown.push('…');
    }
    let start = start.unwrap_or(width);
    let length = end.unwrap_or(start).saturating_sub(start).max(1);
    (shown, format!("{}{}", " ".repeat(start), "^".repeat(length)))
}

fn escape(text: &str) -> String {
    text.chars().map(escape_letter).collect()
}

/// Control characters and those that turn the writing direction must not reach a terminal.
fn escape_letter(letter: char) -> String {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match letter {
        '\t' => " ".to_owned(),
        _ if letter.is_control() || turns => letter.escape_default().to_string(),
        _ => letter.to_string(),
    }
}
