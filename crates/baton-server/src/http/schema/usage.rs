//! How usage and forecasts look.

use utoipa::ToSchema;

use super::UsageByWord;

/// What calls of models used.
#[derive(ToSchema)]
#[schema(as = Spent)]
pub(super) struct SpentSchema {
    /// All tokens that providers counted.
    tokens: u64,
    /// Those that were read.
    input_tokens: u64,
    /// Of these, tokens that a provider had in its cache.
    cached_tokens: u64,
    /// Of these, tokens that a provider put into its cache.
    cache_write_tokens: u64,
    /// Tokens that were written.
    output_tokens: u64,
    /// Of these, tokens of reasoning.
    reasoning_tokens: u64,
    /// What is known of the cost, in US dollars; absent where something was called and nothing is
    /// known.
    #[schema(nullable = false, pattern = "^[0-9]+\\.[0-9]+$")]
    cost_usd: Option<String>,
    /// Whether some calls are not in `cost_usd`: cut off, or of a model without a price; absent where
    /// none is.
    #[schema(nullable = false)]
    cost_is_partial: Option<bool>,
    /// Calls of models.
    calls: u64,
    /// Of these, calls that were cut off: what they used is not in the tokens.
    possibly_billed_calls: u64,
    /// What these may have used at most.
    possibly_billed_tokens_max: u64,
    /// What these may have cost at most, in US dollars; absent where none was cut off, or the price of
    /// one is not known.
    #[schema(nullable = false, pattern = "^[0-9]+\\.[0-9]+$")]
    possibly_billed_cost_max: Option<String>,
}

/// What a workflow used.
#[derive(ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageSchema {
    #[schema(inline)]
    #[serde(flatten)]
    spent: SpentSchema,
    /// Milliseconds from the start of its first run to its end, or to the newest event.
    time_ms: u64,
}

/// Sums of the books.
#[derive(ToSchema)]
#[schema(as = UsageReport)]
pub(in crate::http) struct UsageReportSchema {
    /// What they are by.
    by: UsageByWord,
    /// A line for each.
    items: Vec<UsageLineSchema>,
    /// All that the filters leave, on every page.
    total: SpentSchema,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// One sum.
#[derive(ToSchema)]
#[schema(as = UsageLine)]
struct UsageLineSchema {
    /// Of what: a day, the name of a model, an agent or a task, an actor, the id of a workflow or of a
    /// conversation.
    key: String,
    /// The definition's name, of a workflow.
    #[schema(nullable = false)]
    name: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    spent: SpentSchema,
}

/// What a plan will probably use.
#[derive(ToSchema)]
#[schema(as = Forecast)]
pub(in crate::http) struct ForecastSchema {
    /// What it is made of: `12 earlier runs`, or `no history`.
    basis: String,
    /// How many earlier runs there are to learn from; nothing else is said where there is none.
    runs: u32,
    /// All tokens of a run.
    #[schema(nullable = false)]
    tokens: Option<RangeSchema>,
    /// What a run costs; absent where no cost was known.
    #[schema(nullable = false)]
    cost_usd: Option<CostRangeSchema>,
    /// Whether the cost of some earlier run is not known; absent where all are.
    #[schema(nullable = false)]
    cost_is_partial: Option<bool>,
    /// How long a run takes, with the time it waits for people, in milliseconds.
    #[schema(nullable = false)]
    time_ms: Option<RangeSchema>,
    /// The same for each task of the plan that asks models; absent where none does.
    #[schema(nullable = false)]
    tasks: Option<Vec<TaskForecastSchema>>,
}

/// What a task will probably use.
#[derive(ToSchema)]
#[schema(as = TaskForecast)]
struct TaskForecastSchema {
    /// Its key in the plan.
    key: String,
    /// In how many of the earlier runs it asked a model.
    runs: u32,
    /// All tokens.
    #[schema(nullable = false)]
    tokens: Option<RangeSchema>,
    /// What it costs; absent where no cost was known.
    #[schema(nullable = false)]
    cost_usd: Option<CostRangeSchema>,
    /// Whether the cost of some earlier run is not known; absent where all are.
    #[schema(nullable = false)]
    cost_is_partial: Option<bool>,
}

/// A figure of earlier runs.
#[derive(ToSchema)]
#[schema(as = Range)]
struct RangeSchema {
    /// Half of them were not above it.
    median: u64,
    /// The least.
    min: u64,
    /// The most.
    max: u64,
}

/// A cost of earlier runs, in US dollars.
#[derive(ToSchema)]
#[schema(as = CostRange)]
struct CostRangeSchema {
    /// Half of them were not above it.
    median: String,
    /// The least.
    min: String,
    /// The most.
    max: String,
}
