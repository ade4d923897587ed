//! `/api/v1/agents`: the agents that tasks can name, as they are configured.
//!
//! Where they are configured is not known here, and none is changed: that is the configuration's.

use axum::Json;
use axum::extract::State;
use baton_core::agent::{Cost, Price};
use baton_core::plan::{AgentLimits, ModelSpec};
use baton_core::words::{Compaction, Permission};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::definitions::blocking;
use super::page::Page;
use super::problem::Problem;
use super::schema::{CompactionWord, PermissionWord, Problems};

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentItem {
    /// What tasks name it by.
    pub name: String,
    /// Why no task can use it now; absent where one can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The models it may use, in the order in which they are tried.
    pub models: Vec<ModelItem>,
    /// What it may call: names of tools, or `server.*`.
    pub tools: Vec<String>,
    /// Which of these a person approves, each call anew.
    pub approve: Vec<String>,
    /// The highest permission its tasks may ask for.
    #[schema(value_type = PermissionWord)]
    pub permission: Permission,
    /// How far it may go in one task.
    pub limits: LimitsItem,
    /// What becomes of a transcript that outgrows its model's window.
    #[schema(value_type = CompactionWord)]
    pub compaction: Compaction,
}

/// A model of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentModel)]
pub struct ModelItem {
    /// `provider/name`; the provider `scripted` replays a file.
    pub name: String,
    /// How many tokens its window holds; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u64>,
    /// Dollars for a million tokens that it reads, as a decimal string; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub input_usd: Option<Cost>,
    /// Dollars for a million tokens that it writes, as a decimal string; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub output_usd: Option<Cost>,
}

/// How far an agent may go in one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentLimits)]
pub struct LimitsItem {
    /// Answers of the model.
    pub turns: u32,
    /// Tool calls.
    pub calls: u32,
    /// How often an answer that does not fit is asked again.
    pub asks: u32,
    /// Tokens of one answer.
    pub output_tokens: u32,
    /// Tokens in all; absent where there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Dollars in all, as a decimal string; absent where there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub usd: Option<Cost>,
}

impl From<&ModelSpec> for ModelItem {
    fn from(model: &ModelSpec) -> Self {
        // Prices are picodollars a token.
        let million = |pico: u64| Cost::pico(pico.saturating_mul(1_000_000));
        let price = |of: fn(&Price) -> u64| model.price.as_ref().map(|price| million(of(price)));
        Self {
            name: model.name.clone(),
            window_tokens: model.window_tokens,
            input_usd: price(|price| price.input),
            output_usd: price(|price| price.output),
        }
    }
}

impl From<AgentLimits> for LimitsItem {
    fn from(limits: AgentLimits) -> Self {
        let AgentLimits { turns_max, calls_max, asks_max, output_tokens_max, tokens_max, cost_max } =
            limits;
        Self {
            turns: turns_max,
            calls: calls_max,
            asks: asks_max,
            output_tokens: output_tokens_max,
            tokens: tokens_max,
            usd: cost_max,
        }
    }
}

/// The agents that tasks can name.
#[utoipa::path(get, path = "/agents", tag = "definitions", operation_id = "list_agents",
    responses((status = 200, description = "The agents", body = Page<AgentItem>), Problems))]
pub(super) async fn list(State(api): State<Api>) -> Result<Json<Page<AgentItem>>, Problem> {
    let definitions = api.definitions.clone();
    let items = blocking(move || Ok(definitions.agents())).await?;
    Ok(Json(Page { items, next_cursor: None }))
}
