//! What is asked before a plan can be made, and what may be answered.
//!
//! A question has a key: what was answered under it is known, and is not asked again.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::body::Json;
use crate::words::ClarificationStatus;

/// The longest answer, in bytes of JSON.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// One question of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clarification {
    /// Unique within the request; an input's name, where it is asked for one.
    pub key: String,
    /// What is asked.
    pub question: String,
    /// Why it must be known.
    pub reason: String,
    /// What an answer looks like.
    pub kind: AnswerKind,
    /// What holds where nobody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// What an answer looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AnswerKind {
    /// Any text.
    #[default]
    Text,
    /// One of these.
    Choice {
        /// What there is to choose from.
        choices: Vec<String>,
    },
    /// `true` or `false`.
    YesNo,
    /// The path of a file or folder.
    File,
    /// A number.
    Number {
        /// At least this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<f64>,
        /// At most this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<f64>,
        /// Whether it has no fraction.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        integer: bool,
    },
}

/// What somebody says to one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Of which question.
    pub key: String,
    /// What.
    pub given: Given,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// This.
    Value(Json),
    /// Nothing: it is passed over.
    Skipped,
    /// You decide.
    Delegated,
}

impl Given {
    /// What becomes of the question.
    pub fn status(&self) -> ClarificationStatus {
        match self {
            Self::Value(_) => ClarificationStatus::Answered,
            Self::Skipped => ClarificationStatus::Skipped,
            Self::Delegated => ClarificationStatus::Delegated,
        }
    }
}

/// An answer that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClarificationFault(pub String);

impl fmt::Display for ClarificationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Clarification {
    /// Says what does not fit in an answer, if anything.
    pub fn check(&self, value: &Json) -> Result<(), ClarificationFault> {
        let fault = |expected: &str| Err(ClarificationFault(format!("`{}`: {expected}", self.key)));
        if value.as_str().len() > ANSWER_BYTES_MAX {
            return fault(&format!("at most {ANSWER_BYTES_MAX} bytes"));
        }
        let value = value.value();
        match &self.kind {
            AnswerKind::Text | AnswerKind::File => match value.as_str() {
                Some(text) if !text.trim().is_empty() => Ok(()),
                Some(_) | None => fault("a text that is not empty"),
            },
            AnswerKind::Choice { choices } => match value.as_str() {
                Some(text) if choices.iter().any(|choice| choice == text) => Ok(()),
                Some(_) | None => fault(&format!("one of {}", choices.join(", "))),
            },
            AnswerKind::YesNo if value.is_boolean() => Ok(()),
            AnswerKind::YesNo => fault("true or false"),
            AnswerKind::Number { min, max, integer } => {
                let fits = |number: f64| {
                    min.is_none_or(|min| number >= min)
                        && max.is_none_or(|max| number <= max)
                        && (!integer || number.fract() == 0.0)
                };
                match value.as_f64() {
                    Some(number) if fits(number) => Ok(()),
                    Some(_) | None => fault(&self.kind.bounds()),
                }
            }
        }
    }
}

impl AnswerKind {
    /// What a number may be, in words.
    fn bounds(&self) -> String {
        let Self::Number { min, max, integer } = self else {
            return String::new();
        };
        let what = if *integer { "a whole number" } else { "a number" };
        match (min, max) {
            (Some(min), Some(max)) => format!("{what} from {min} to {max}"),
            (Some(min), None) => format!("{what} of at least {min}"),
            (None, Some(max)) => format!("{what} of at most {max}"),
            (None, None) => what.to_owned(),
        }
    }
}
