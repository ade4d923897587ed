//! Counting the tokens of a request where it would be answered.
//!
//! It guesses nothing and reports nothing: what cannot be counted for certain is `None`, and the
//! caller takes the bytes. A count is never below what will be billed, so that what a count may leave
//! out is added, and a number that nobody vouches for is none.

use baton_core::agent::{Message, Part, Piece};
use baton_engine::ports::ModelRequest;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::config::Protocol;
use crate::exchange::{bounded_body, post};
use crate::openai::set;
use crate::protocol::{Asked, Header, Wire};
use crate::provider::{Dialect, Key};
use crate::{anthropic, gemini, openai, responses, schema};

/// The most of an answer that is read, in bytes: servers tell each token of a window.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a count that is close may be short of: so many tokens, and one in so many.
const MARGIN_TOKENS: u64 = 32;
const MARGIN_ONE_IN: u64 = 50;

/// A request that is to be counted.
pub(crate) struct Counting<'c> {
    pub(crate) client: &'c Client,
    pub(crate) asked: &'c Asked<'c>,
    pub(crate) key: Option<&'c Key>,
    /// What was not answered by then is not counted.
    pub(crate) until: Instant,
}

impl Counting<'_> {
    /// How many tokens it has, or a few more.
    pub(crate) async fn count(&self) -> Option<u64> {
        let (asked, key) = (self.asked, self.key);
        match (asked.provider.dialect, asked.provider.protocol) {
            (Dialect::Native, Protocol::OpenaiResponses) => {
                // "The exact count the model will receive" (OpenAI, "Counting tokens").
                self.told(of_response(asked, key), "input_tokens").await
            }
            (Dialect::Native, Protocol::Openai) => {
                // A completion frames the same messages a little otherwise.
                self.told(of_response(asked, key), "input_tokens").await.map(with_margin)
            }
            (Dialect::Native, Protocol::Anthropic) => {
                // "The actual number … might differ by a small amount" (Anthropic, "Token counting").
                self.told(of_message(asked, key), "input_tokens").await.map(with_margin)
            }
            (Dialect::Native, Protocol::Gemini) => {
                // Its reference lists the prompt and the tools as counted, and no schema of the answer.
                let tokens = self.told(of_content(asked, key), "totalTokens").await?;
                Some(with_margin(tokens).saturating_add(schema_bytes(asked.request)))
            }
            (
                Dialect::Compatible,
                Protocol::Openai | Protocol::OpenaiResponses | Protocol::Anthropic,
            ) => self.tokenized().await,
            // Gateways are known that answer a request for a count with a generation, and bill it
            // (QuantumNous/new-api, issue 7283).
            (Dialect::Compatible, Protocol::Gemini) => None,
        }
    }

    /// By the inventor's own endpoint.
    async fn told(&self, wire: Wire, field: &str) -> Option<u64> {
        let mut url = self.asked.provider.url(wire.path.iter().map(String::as_str));
        url.set_query(wire.query);
        self.answer(url, &wire.headers, &wire.body).await?.get(field)?.as_u64()
    }

    /// By the tokenizer of the server: of vLLM, or of llama.cpp, whichever protocol they are asked in.
    /// What a gateway of another kind says of itself is a guess and is not asked for; here the tokens
    /// are told one by one. What a tokenizer of text does not see is not counted by it.
    async fn tokenized(&self) -> Option<u64> {
        if has_more_than_text(self.asked) {
            return None;
        }
        let headers = self.asked.wire(self.key).headers;
        let mut chat = openai::wire(self.asked, None).body;
        keep(&mut chat, &["model", "messages", "tools"]);
        let tokens = self.tokens_of(&chat, &headers).await?;
        if !self.asked.request.tools.is_empty() {
            // Older servers leave tools out of the count, and not of the prompt.
            keep(&mut chat, &["model", "messages"]);
            self.tokens_of(&chat, &headers).await.filter(|without| *without < tokens)?;
        }
        // A template may tell the schema, as may another protocol's way to the same prompt.
        Some(with_margin(tokens).saturating_add(schema_bytes(self.asked.request)))
    }

    /// Of a chat, as the model reads it.
    ///
    /// Source: vLLM, `TokenizeChatRequest`; llama.cpp, tools/server/README.md.
    async fn tokens_of(&self, chat: &Value, headers: &[Header]) -> Option<u64> {
        let provider = self.asked.provider;
        let told = self.answer(provider.beside("tokenize"), headers, chat).await?;
        let tokens = number_of_tokens(&told)?;
        if let Some(count) = told.get("count") {
            return (count.as_u64()? == tokens).then_some(tokens);
        }
        if tokens > 0 {
            return None;
        }
        // llama.cpp tokenizes `content`, and there was none.
        let prompt = self.answer(provider.beside("apply-template"), headers, chat).await?;
        let prompt = prompt.get("prompt")?.as_str()?;
        let text = json!({ "content": prompt, "add_special": true, "parse_special": true });
        let told = self.answer(provider.beside("tokenize"), headers, &text).await?;
        number_of_tokens(&told).filter(|tokens| *tokens > 0)
    }

    async fn answer(&self, url: Url, headers: &[Header], body: &Value) -> Option<Value> {
        let body = serde_json::to_vec(body).ok()?;
        let request = post(self.client, url, "application/json", headers).body(body);
        let response = timeout_at(self.until, request.send()).await.ok()?.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = bounded_body(response, self.until, ANSWER_BYTES_MAX).await;
        serde_json::from_slice(&body).ok()
    }
}

/// Source: Anthropic API reference, "Count tokens in a Message".
fn of_message(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let mut wire = anthropic::wire(asked, key);
    wire.path.push("count_tokens".to_owned());
    keep(&mut wire.body, &["model", "messages", "system", "tools", "output_config"]);
    wire
}

/// Source: OpenAI API reference, "Get input token counts".
fn of_response(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let mut wire = responses::wire(asked, key);
    wire.path.push("input_tokens".to_owned());
    keep(&mut wire.body, &["model", "input", "instructions", "tools", "text"]);
    wire
}

/// Source: Gemini API reference, "models.countTokens".
fn of_content(asked: &Asked<'_>, key: Option<&Key>) -> Wire {
    let mut wire = gemini::wire(asked, key);
    let name = asked.name.strip_prefix("models/").unwrap_or(asked.name);
    wire.path = vec!["models".to_owned(), format!("{name}:countTokens")];
    set(&mut wire.body, "model", Some(json!(format!("models/{name}"))));
    wire.body = json!({ "generateContentRequest": wire.body });
    wire.query = None;
    wire
}

/// Leaves an object these fields only.
fn keep(body: &mut Value, fields: &[&str]) {
    if let Some(body) = body.as_object_mut() {
        body.retain(|field, _| fields.contains(&field.as_str()));
    }
}

/// How many tokens an answer tells; `None` where it tells none at all, not even that there are none.
fn number_of_tokens(told: &Value) -> Option<u64> {
    let tokens = told.get("tokens")?.as_array()?;
    tokens.iter().all(Value::is_u64).then_some(tokens.len() as u64)
}

fn with_margin(tokens: u64) -> u64 {
    tokens.saturating_add(tokens / MARGIN_ONE_IN).saturating_add(MARGIN_TOKENS)
}

/// No token is shorter than a byte: the schema of the answer has at most so many.
fn schema_bytes(request: &ModelRequest) -> u64 {
    request.output.as_ref().map_or(0, |schema| schema::told(schema).len() as u64)
}

/// Whether there are images, or reasoning that goes back in another form than that of a chat.
fn has_more_than_text(asked: &Asked<'_>) -> bool {
    let is_chat = asked.provider.protocol == Protocol::Openai;
    asked.request.messages.iter().any(|message| match message {
        Message::User(parts) => parts.iter().any(|part| matches!(part, Part::Image { .. })),
        Message::Assistant(pieces) => {
            !is_chat && pieces.iter().any(|piece| matches!(piece, Piece::Reasoning(_)))
        }
        Message::Tool(_) => false,
    })
}
