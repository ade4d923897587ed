//! `[models]` of `baton.toml`: which models serve which role, where providers are, and what is known of
//! a model.
//!
//! It only holds what was declared; nothing is asked here, and no key is read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use baton_core::time::Span;
use serde::Deserialize;

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelsConfig {
    /// `planner`: the models that plan, `provider/name`, tried in order.
    pub planner: Vec<String>,
    /// `worker`: those of agents that name none.
    pub worker: Vec<String>,
    /// `rewriter`: cheap ones, for summaries and wordings.
    pub rewriter: Vec<String>,
    /// `embedder`: those that turn text into vectors.
    pub embedder: Vec<String>,
    /// `[models.providers.NAME]`: endpoints beside the known ones, or a known one set up otherwise.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// `[models.limits."PROVIDER/NAME"]`: how much may be asked of a model in a minute.
    pub limits: BTreeMap<String, Limit>,
    /// `[models.known."PROVIDER/NAME"]`: what is known better here than in the tables of Baton.
    pub known: BTreeMap<String, Known>,
    /// `scripts`: files of answers, each a model `scripted/NAME` by its name up to the first dot.
    pub scripts: Vec<PathBuf>,
    /// The one model that every agent asks, `provider/name` or `scripted:FILE`: what one command was
    /// told, which no file can say.
    #[serde(skip)]
    pub only: Option<String>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// `protocol`: what it speaks.
    pub protocol: Protocol,
    /// `base_url`: where it listens.
    pub base_url: String,
    /// `key_env`: the variable of Baton's environment that holds its key; none for a local server.
    pub key_env: Option<String>,
    /// `connect_timeout`: until a connection stands.
    pub connect_timeout: Span,
    /// `first_byte_timeout`: until the answer begins.
    pub first_byte_timeout: Span,
    /// `idle_timeout`: between two pieces of an answer.
    pub idle_timeout: Span,
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            protocol: Protocol::Openai,
            base_url: String::new(),
            key_env: None,
            connect_timeout: Span(Duration::from_secs(10)),
            // A model that reasons says nothing for minutes, and asking again is paid again.
            first_byte_timeout: Span(Duration::from_secs(300)),
            idle_timeout: Span(Duration::from_secs(120)),
        }
    }
}

/// What an endpoint speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// OpenAI's chat completions, which most servers speak.
    #[default]
    Openai,
    /// OpenAI's responses.
    OpenaiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
}

/// How much may be asked of a model in a minute, over all agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limit {
    /// `requests_per_minute`.
    pub requests_per_minute: Option<u32>,
    /// `tokens_per_minute`: read and written.
    pub tokens_per_minute: Option<u64>,
}

/// What is known of a model. Prices are in dollars per million tokens, as providers list them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Known {
    /// `window_tokens`: request and answer together.
    pub window_tokens: Option<u64>,
    /// `input`: a million tokens that are read; `"0.15"`.
    pub input: Option<String>,
    /// `output`: a million tokens that are written.
    pub output: Option<String>,
    /// `cached`: a million tokens that the provider had in its cache.
    pub cached: Option<String>,
    /// `cache_write`: a million tokens that it puts there.
    pub cache_write: Option<String>,
}
