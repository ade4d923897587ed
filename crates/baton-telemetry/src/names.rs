//! The names that spans, metrics and their attributes have: those of the GenAI semantic conventions
//! where they have one (<https://github.com/open-telemetry/semantic-conventions-genai>, in development,
//! as of 1.41), and `baton.…` where they have none.
//!
//! All of them stand here, so that a change of the conventions is a change of this file.

/// What an operation is: one of the words below.
pub const OPERATION: &str = "gen_ai.operation.name";
/// The whole of a workflow's run.
pub const INVOKE_WORKFLOW: &str = "invoke_workflow";
/// An agent's task.
pub const INVOKE_AGENT: &str = "invoke_agent";
/// A call of a model.
pub const CHAT: &str = "chat";
/// A call of a tool.
pub const EXECUTE_TOOL: &str = "execute_tool";

/// The conversation.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// The workflow's name.
pub const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
/// The agent's name.
pub const AGENT_NAME: &str = "gen_ai.agent.name";
/// Who serves a model.
pub const PROVIDER: &str = "gen_ai.provider.name";
/// The model that was asked.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Tokens that were read.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens that were written.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Of those read, from the provider's cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Of those read, put into the provider's cache.
pub const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Of those written, reasoning.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// What a model was told since it was last asked. Content.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// What a model said. Content.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The tool.
pub const TOOL_NAME: &str = "gen_ai.tool.name";
/// The provider's id of a call that a model asked for.
pub const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// A call's input. Content.
pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// A call's output. Content.
pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
/// Why something failed: one of our words.
pub const ERROR_TYPE: &str = "error.type";

/// The workflow's id.
pub const WORKFLOW_ID: &str = "baton.workflow.id";
/// The version of its definition.
pub const WORKFLOW_VERSION: &str = "baton.workflow.version";
/// The number of its run.
pub const RUN: &str = "baton.run";
/// The task's id.
pub const TASK_ID: &str = "baton.task.id";
/// Its key; an item's has its index behind it.
pub const TASK_KEY: &str = "baton.task.key";
/// The number of the attempt, over all runs.
pub const ATTEMPT: &str = "baton.attempt";
/// How it ended: the status that every other surface shows.
pub const STATUS: &str = "baton.status";

/// Histogram of the tokens of calls of models.
pub const TOKEN_USAGE: &str = "gen_ai.client.token.usage";
/// `input` or `output`.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";
/// Histogram of how long calls of models took, in seconds.
pub const OPERATION_DURATION: &str = "gen_ai.client.operation.duration";

/// What the conventions call a provider of ours, and the rest of `provider/name`.
pub fn provider_and_model(model: &str) -> (&str, &str) {
    let (provider, name) = model.split_once('/').unwrap_or(("unknown", model));
    let known = match provider {
        "gemini" | "google" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "bedrock" => "aws.bedrock",
        "azure" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        other => other,
    };
    (known, name)
}
