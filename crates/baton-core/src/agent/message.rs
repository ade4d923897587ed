//! The messages of a transcript, in a form of our own: no provider's, so that a transcript can go to
//! another model.
//!
//! A message is stored once, as a body. Its JSON is what is hashed: fields are only ever added, and
//! left out where they are empty.

use serde::{Deserialize, Serialize};

use crate::body::Json;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// What the model is asked.
    User(Vec<Part>),
    /// What it said.
    Assistant(Vec<Piece>),
    /// What came of the calls it asked for, in their order.
    Tool(Vec<ToolAnswer>),
}

/// A piece of what a model is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text(String),
    /// An image.
    Image {
        /// `image/png`.
        media_type: String,
        /// Base64.
        data: String,
    },
}

/// A piece of what a model said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Text.
    Text(String),
    /// Reasoning that a provider wants back with the next request, as it gave it.
    Reasoning(Json),
    /// It asks for a call.
    Call {
        /// The provider's id of it.
        id: String,
        /// The tool's name, as the model wrote it.
        tool: String,
        /// The arguments, an object.
        arguments: Json,
    },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolAnswer {
    /// The provider's id of the call.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub tool: String,
    /// What it brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// Why it brought nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Message {
    /// A text to the model.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User(vec![Part::Text(text.into())])
    }

    /// The text it says, pieces joined; empty where it says none.
    pub fn text(&self) -> String {
        let mut all = String::new();
        match self {
            Self::User(parts) => {
                for part in parts {
                    if let Part::Text(text) = part {
                        all.push_str(text);
                    }
                }
            }
            Self::Assistant(pieces) => {
                for said in pieces {
                    if let Piece::Text(text) = said {
                        all.push_str(text);
                    }
                }
            }
            Self::Tool(_) => {}
        }
        all
    }
}
