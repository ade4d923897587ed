//! What a server's answers mean to a command: a value, or why there is none.
//!
//! Whoever answers may be anybody: what is read is bounded, and what is repeated is cut.

use baton_core::spoken::cut;
use serde::Deserialize;

use crate::exit::Failed;
use crate::text::clean_lines;

/// How much of what a server says is repeated, in characters.
const SAID_CHARS_MAX: usize = 2_000;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    /// A part of it.
    pub items: Vec<T>,
    /// What names the next part, where there is one.
    #[serde(default)]
    pub next_cursor: Option<String>,
}

/// RFC 9457, as far as it is used.
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    /// The answer's status.
    #[serde(default)]
    pub status: u16,
    /// A stable word.
    pub code: String,
    /// What happened, and what to do.
    pub detail: String,
    /// Every fault of what was sent.
    #[serde(default)]
    pub errors: Vec<FieldError>,
}

/// One fault of what was sent.
#[derive(Clone, Debug, Deserialize)]
pub struct FieldError {
    /// A JSON pointer into what was sent.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
    /// From 1, where the text has lines.
    pub line: Option<u32>,
    /// From 1, in characters.
    pub column: Option<u32>,
}

/// Why there is no answer that can be used.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The server refuses, or cannot now.
    Refused(Problem),
    /// Nobody could be connected to: nothing was sent.
    NotReached(String),
    /// The connection was lost: what became of the request is not known.
    Lost(String),
    /// What answers is not what it should be; asking again brings nothing.
    Strange(String),
}

impl Fault {
    /// Whether the same may be answered a little later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.status == 503,
            Self::NotReached(_) | Self::Lost(_) => true,
            Self::Strange(_) => false,
        }
    }

    /// The failure of a command to which the server at `base` gave this.
    pub fn failed(self, base: &str) -> Failed {
        match self {
            Self::Refused(problem) => refused(problem),
            Self::NotReached(why) => unreachable(format!(
                "no server can be reached at {base}: {why}; start one with `baton serve`, or name \
                 another with `--server URL`"
            )),
            Self::Lost(why) => unreachable(format!(
                "the server at {base} does not answer to the end: {why}; try again"
            )),
            Self::Strange(why) => unreachable(format!(
                "{base} {why}; see that `--server` names a baton server, of a version that goes \
                 with this one"
            )),
        }
    }
}

fn unreachable(message: String) -> Failed {
    Failed::unreachable(anyhow::anyhow!(message))
}

fn refused(problem: Problem) -> Failed {
    let Problem { status, code, detail, errors } = problem;
    let mut text = said(&detail);
    let hint = match (status, code.as_str()) {
        (401, _) => {
            Some("set BATON_TOKEN to a token; `baton token create` makes one, at the store")
        }
        (_, "forbidden") => {
            Some("set BATON_TOKEN to a token whose role allows it, `operator` or `admin`")
        }
        _ => None,
    };
    if let Some(hint) = hint {
        text = format!("the server refuses: {text}; {hint}");
    }
    for error in &errors {
        text.push_str(&format!("\n  {}: {}", said(&error.pointer), said(&error.detail)));
    }
    Failed::refused_over_http(status, &code, text)
}

/// Foreign text, cut and made harmless.
pub fn said(text: &str) -> String {
    clean_lines(&cut(text, SAID_CHARS_MAX))
}
