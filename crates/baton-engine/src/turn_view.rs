//! How an agent's turns are shown: one shape for the command line, the API and the pages.
//!
//! What models and tools wrote is data, and bounded here: a text is cut, a large value is named by where
//! to read it. The whole of what a model was asked is [`prompt`](crate::prompt)'s.

use std::collections::BTreeSet;

use baton_core::agent::{Cost, Message, Part, Piece, Usage};
use baton_core::body::{Body, Json};
use baton_core::failure::CallFailure;
use baton_core::ids::{TaskId, WorkflowId};
use baton_core::plan::{AgentCall, ModelSpec, Plan, TaskPlan, Work};
use baton_core::spoken::cut;
use baton_core::time::Timestamp;
use baton_core::words::{AttemptStatus, Effect, TaskStatus};
use baton_core::workflow::CallEnd;
use serde::{Deserialize, Serialize};

use crate::store::{StoreError, Views};
use crate::tool_events::shown;
use crate::transcript::{CallMade, Sum, Transcript, Turn};
use crate::view::text_of;

/// How many characters of a text are shown.
pub const TEXT_CHARS_MAX: usize = 20_000;
/// How many bytes an argument or result may have to be shown whole.
const VALUE_BYTES_MAX: u64 = 32 << 10;
/// After about how many bytes a page ends.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// What an agent's task did in sum, over all runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its name in the configuration.
    pub agent: String,
    /// The models it may use, in the order in which they are tried: `provider/name`.
    pub models: Vec<String>,
    /// Answers of a model.
    pub turns: u32,
    /// Calls of tools it asked for.
    pub calls: u32,
    /// Tokens that its answers used, as providers counted them.
    pub usage: Usage,
    /// What they cost in US dollars; absent where a price is not known.
    pub cost_usd: Option<Cost>,
    /// Calls of a model that were cut off: they may have been billed, and nobody knows how much.
    pub possibly_billed: u32,
    /// How often the process died since it began.
    pub restarts: u32,
}

impl AgentView {
    /// Whether there is anything to tell of it: the parent of an `each` asks nothing itself.
    pub fn has_asked(&self) -> bool {
        self.turns > 0 || self.possibly_billed > 0
    }
}

/// One call of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnView {
    /// Its number, over all runs: that of the attempt. By it the prompt is asked for.
    pub call: u32,
    /// The run it belongs to.
    pub run: u32,
    /// `provider/name`.
    pub model: String,
    /// How it ended, or that it has not.
    pub status: AttemptStatus,
    /// It was cut off: it may have been billed, and nobody knows how much.
    pub possibly_billed: bool,
    /// How often the process had died before, with attempts of the workflow under way.
    pub restarts: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many messages of the transcript it saw.
    pub messages: u32,
    /// Of the whole request.
    pub digest: String,
    /// As the provider counted it; absent where nobody knows.
    pub usage: Option<Usage>,
    /// What it cost in US dollars; absent where that is not known.
    pub cost_usd: Option<Cost>,
    /// What the model was told that it was not told before, beside results of calls.
    pub asked: Vec<PieceView>,
    /// What it said, beside the calls.
    pub said: Vec<PieceView>,
    /// The calls it asked for.
    pub calls: Vec<AskedCallView>,
    /// Why it failed; of one that was answered, why the answer ended the task.
    pub failure: Option<CallFailure>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceView {
    /// What it is.
    pub kind: PieceKind,
    /// The text, or the beginning of it; of an image its media type.
    pub text: String,
    /// How many bytes the whole has.
    pub bytes: u64,
}

/// What a piece of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PieceKind {
    /// Text.
    Text,
    /// An image.
    Image,
    /// What a model thought.
    Reasoning,
}

/// A call that an agent asked for, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedCallView {
    /// Its task.
    pub task_id: TaskId,
    /// The key of it.
    pub key: String,
    /// The tool's name, as the model wrote it.
    pub tool: String,
    /// What repeating it would do.
    pub effect: Effect,
    /// Its arguments; where they are large, where to read them.
    pub input: Json,
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether it was not made at all: the error says why.
    pub refused: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it brought; where that is large, where to read it.
    pub output: Option<Json>,
    /// Why it brought nothing.
    pub error: Option<String>,
}

/// Whose turns are shown.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'w> {
    /// The workflow.
    pub workflow: WorkflowId,
    /// The key of the agent's task.
    pub key: &'w str,
    /// What it has its agent do.
    pub agent: &'w AgentCall,
}

impl PieceView {
    fn new(kind: PieceKind, text: &str) -> Self {
        Self { kind, text: cut(text, TEXT_CHARS_MAX), bytes: text.len() as u64 }
    }

    /// Whether there is more of it than its text says.
    pub fn is_cut(&self) -> bool {
        self.kind != PieceKind::Image && self.bytes != self.text.len() as u64
    }
}

/// The models that a plan's agents may ask, each once.
pub fn models_asked(plan: &Plan) -> BTreeSet<&str> {
    fn models(task: &TaskPlan) -> &[ModelSpec] {
        match &task.work {
            Work::Agent(agent) => &agent.models,
            Work::Tool(_)
            | Work::Human(_)
            | Work::Wait(_)
            | Work::Emit(_)
            | Work::Workflow(_)
            | Work::Worker(_) => &[],
        }
    }
    plan.tasks.iter().flat_map(models).map(|model| model.name.as_str()).collect()
}

/// What a task's agent did in sum.
pub fn agent_view(transcript: &Transcript, agent: &AgentCall) -> AgentView {
    let Sum { turns, calls, usage, cost, cut_off, restarts } = transcript.sum(agent);
    AgentView {
        agent: agent.agent.clone(),
        models: agent.models.iter().map(|model| model.name.clone()).collect(),
        turns,
        calls,
        usage,
        cost_usd: cost,
        possibly_billed: cut_off,
        restarts,
    }
}

/// Turns behind so many, at most so many and not many bytes more than a page may have; and how many
/// come before the next page, if there is one.
pub fn turn_views(
    whose: Whose<'_>,
    turns: &[Turn],
    (skipped, most): (usize, usize),
    views: &mut dyn Views,
) -> Result<(Vec<TurnView>, Option<usize>), StoreError> {
    let (mut page, mut bytes) = (Vec::new(), 0_usize);
    for turn in turns.iter().skip(skipped).take(most) {
        let view = turn_view(whose, turn, views)?;
        bytes = bytes.saturating_add(size(&view));
        page.push(view);
        if bytes > PAGE_BYTES_MAX {
            break;
        }
    }
    let shown = skipped.saturating_add(page.len());
    Ok((page, Some(shown).filter(|shown| *shown < turns.len())))
}

/// One turn.
pub fn turn_view(
    whose: Whose<'_>,
    turn: &Turn,
    views: &mut dyn Views,
) -> Result<TurnView, StoreError> {
    let answer = turn.answer.as_ref();
    let said = answer.map(|answer| pieces(&answer.message, views)).transpose()?;
    let calls = answer.map_or(&[][..], |answer| &answer.calls);
    let calls: Result<Vec<AskedCallView>, StoreError> =
        calls.iter().map(|call| asked_call_view(whose, call, views)).collect();
    Ok(TurnView {
        call: turn.attempt,
        run: turn.run,
        model: turn.model.model.clone(),
        status: turn.status,
        possibly_billed: turn.is_possibly_billed(),
        restarts: turn.restarts,
        started_at: turn.started_at,
        ended_at: turn.ended_at,
        messages: turn.model.messages,
        digest: turn.model.digest.to_string(),
        usage: answer.map(|answer| answer.usage),
        cost_usd: turn.cost(whose.agent),
        asked: turn.asked.as_ref().map(|body| pieces(body, views)).transpose()?.unwrap_or_default(),
        said: said.unwrap_or_default(),
        calls: calls?,
        failure: turn.failure.clone(),
    })
}

fn pieces(body: &Body, views: &mut dyn Views) -> Result<Vec<PieceView>, StoreError> {
    let damaged = |fault| StoreError::Corrupt(format!("a stored message: {fault}"));
    let message = serde_json::from_str(text_of(body, views)?.as_str()).map_err(damaged)?;
    Ok(match message {
        Message::User(parts) => parts.iter().map(asked).collect(),
        Message::Assistant(pieces) => pieces.iter().filter_map(said).collect(),
        Message::Tool(_) => Vec::new(),
    })
}

fn asked(part: &Part) -> PieceView {
    match part {
        Part::Text(text) => PieceView::new(PieceKind::Text, text),
        Part::Image { media_type, data } => {
            let view = PieceView::new(PieceKind::Image, media_type);
            PieceView { bytes: data.len() as u64, ..view }
        }
    }
}

/// A piece of what a model said; its calls are told by themselves.
fn said(piece: &Piece) -> Option<PieceView> {
    match piece {
        Piece::Text(text) => Some(PieceView::new(PieceKind::Text, text)),
        Piece::Reasoning(json) => Some(match json.value().as_str() {
            Some(text) => PieceView::new(PieceKind::Reasoning, text),
            None => PieceView::new(PieceKind::Reasoning, json.as_str()),
        }),
        Piece::Call { .. } => None,
    }
}

fn asked_call_view(
    whose: Whose<'_>,
    call: &CallMade,
    views: &mut dyn Views,
) -> Result<AskedCallView, StoreError> {
    let task_id = whose.workflow.task(call.task);
    let mut told = |body: &Body| match body {
        Body::Blob { size, .. } if *size > VALUE_BYTES_MAX => Ok(shown(body, task_id)),
        Body::Inline(_) | Body::Blob { .. } => text_of(body, views),
    };
    let (output, error) = match &call.end {
        Some(CallEnd::Output(body)) => (Some(told(body)?), None),
        Some(CallEnd::Error(error)) => (None, Some(cut(error, TEXT_CHARS_MAX))),
        None => (None, None),
    };
    Ok(AskedCallView {
        task_id,
        key: format!("{}({})", whose.key, call.number),
        tool: call.asked.tool.clone(),
        effect: call.asked.effect,
        input: told(&call.asked.input)?,
        status: call.status,
        refused: call.asked.refused.is_some(),
        attempts: call.attempts,
        started_at: call.started_at,
        ended_at: call.ended_at,
        output,
        error,
    })
}

/// About how many bytes a turn takes.
fn size(turn: &TurnView) -> usize {
    let pieces = turn.asked.iter().chain(&turn.said).map(|piece| piece.text.len());
    let calls = turn.calls.iter().map(|call| {
        let output = call.output.as_ref().map_or(0, |output| output.as_str().len());
        call.input.as_str().len() + output + call.error.as_ref().map_or(0, String::len)
    });
    pieces.chain(calls).sum()
}
