//! The messages of a transcript, in a form of our own: no provider's, so that a transcript can go to
//! another model.
//!
//! A message is stored once, as a body. Its JSON is what is hashed: fields are only ever added, and
//! left out where they are empty.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

    /// What a prompt's value asks: a text as it is, a list with an image and of nothing but `{text}` and
    /// `{image: {media_type, data}}` part by part, anything else as its JSON.
    pub fn asked(prompt: &Value) -> Self {
        if let Some(text) = prompt.as_str() {
            return Self::user(text);
        }
        let parts = Vec::<Part>::deserialize(prompt).unwrap_or_default();
        // A list of texts alone may as well be data.
        if parts.iter().any(|part| matches!(part, Part::Image { .. })) {
            return Self::User(parts);
        }
        Self::user(prompt.to_string())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_is_a_text_unless_it_is_a_list_of_parts_with_an_image() {
        let image = json!({ "image": { "media_type": "image/png", "data": "iVBORw0=" } });
        let parts = json!([{ "text": "What is it?" }, image]);
        let (media_type, data) = ("image/png".to_owned(), "iVBORw0=".to_owned());
        let asked = Message::User(vec![
            Part::Text("What is it?".to_owned()),
            Part::Image { media_type, data },
        ]);
        assert_eq!(Message::asked(&parts), asked);
        assert_eq!(Message::asked(&json!("hi")), Message::user("hi"));
        for value in [
            json!([{ "text": "a" }]),
            json!([image, { "path": "b" }]),
            json!([{ "image": "c" }]),
            json!({ "a": 1 }),
            json!([]),
            json!(null),
        ] {
            assert_eq!(Message::asked(&value), Message::user(value.to_string()));
        }
    }
}
