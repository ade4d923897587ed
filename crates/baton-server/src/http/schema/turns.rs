//! How an agent's turns look, and what its model was asked.

use utoipa::ToSchema;

use super::tasks::FailureSchema;
use super::{Any, AttemptStatusWord, EffectWord, TaskStatusWord};

/// What an agent's task did in sum, over all runs.
#[derive(ToSchema)]
#[schema(as = AgentWork)]
pub(in crate::http) struct AgentSchema {
    /// Its name in the configuration.
    agent: String,
    /// The models it may use, in the order in which they are tried: `provider/name`.
    models: Vec<String>,
    /// Answers of a model.
    turns: u32,
    /// Calls of tools it asked for.
    calls: u32,
    /// Tokens that its answers used, as providers counted them.
    usage: TokensSchema,
    /// What they cost in US dollars; null where a price is not known.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    cost_usd: Option<String>,
    /// Calls of a model that were cut off: they may have been billed, and nobody knows how much.
    possibly_billed: u32,
    /// How often the process died since it began.
    restarts: u32,
}

/// Tokens as a provider reported them. The parts are contained in the sums.
#[derive(ToSchema)]
#[schema(as = Tokens)]
struct TokensSchema {
    /// Tokens that were read: the request.
    input_tokens: u64,
    /// Of these, tokens that the provider had in its cache; absent where it had none.
    #[schema(nullable = false)]
    cached_tokens: Option<u64>,
    /// Of these, tokens that the provider put into its cache; absent where it put none.
    #[schema(nullable = false)]
    cache_write_tokens: Option<u64>,
    /// Tokens that were written: the answer.
    output_tokens: u64,
    /// Of these, tokens of reasoning; absent where there were none.
    #[schema(nullable = false)]
    reasoning_tokens: Option<u64>,
}

/// One call of a model.
#[derive(ToSchema)]
#[schema(as = Turn)]
pub(in crate::http) struct TurnSchema {
    /// Its number, over all runs: that of the attempt. By it the prompt is asked for.
    call: u32,
    /// The run it belongs to.
    run: u32,
    /// `provider/name`.
    model: String,
    /// How it ended, or that it has not.
    status: AttemptStatusWord,
    /// It was cut off: it may have been billed, and nobody knows how much.
    possibly_billed: bool,
    /// How often the process had died before, with attempts of the workflow under way.
    restarts: u32,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// How many messages of the transcript it saw.
    messages: u32,
    /// Of the whole request.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
    /// As the provider counted it; null where nobody knows.
    usage: Option<TokensSchema>,
    /// What it cost in US dollars; null where that is not known.
    #[schema(pattern = r"^[0-9]+\.[0-9]{2,12}$")]
    cost_usd: Option<String>,
    /// What the model was told that it was not told before, beside results of calls.
    asked: Vec<PieceSchema>,
    /// What it said, beside the calls.
    said: Vec<PieceSchema>,
    /// The calls it asked for.
    calls: Vec<AskedCallSchema>,
    /// Why it failed; of one that was answered, why the answer ended the task.
    failure: Option<FailureSchema>,
}

/// A piece of a message.
#[derive(ToSchema)]
#[schema(as = Piece)]
struct PieceSchema {
    /// `text`, `image` or `reasoning`.
    kind: String,
    /// The text, or the beginning of it; of an image its media type.
    text: String,
    /// How many bytes the whole has.
    bytes: u64,
}

/// A call that an agent asked for, and what came of it.
#[derive(ToSchema)]
#[schema(as = AskedCall)]
struct AskedCallSchema {
    /// Its task.
    #[schema(format = "uuid")]
    task_id: String,
    /// The key of it.
    key: String,
    /// The tool's name, as the model wrote it.
    tool: String,
    /// What repeating it would do.
    effect: EffectWord,
    /// Its arguments; where they are large, where to read them.
    input: Any,
    /// Where it stands.
    status: TaskStatusWord,
    /// Whether it was not made at all: the error says why.
    refused: bool,
    /// How often it was tried.
    attempts: u32,
    /// When it was first tried.
    #[schema(format = DateTime)]
    started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// What it brought; where that is large, where to read it.
    output: Option<Any>,
    /// Why it brought nothing.
    error: Option<String>,
}

/// What a model was asked in one call.
#[derive(ToSchema)]
#[schema(as = Prompt)]
pub(in crate::http) struct PromptSchema {
    /// The number of the call: that of the attempt, over all runs.
    call: u32,
    /// `provider/name`.
    model: String,
    /// How many messages it saw.
    messages: u32,
    /// The digest that was journaled before the call: that of this very request.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    digest: String,
    /// The whole request, as it was put together for the call.
    request: Any,
}
