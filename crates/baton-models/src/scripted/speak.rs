//! A scripted answer is given: told in pieces, with pauses, until the caller has heard enough.
//!
//! What the answer is was decided before.

use std::time::{Duration, Instant};

use baton_core::agent::{Piece, Usage};
use baton_core::failure::CallFailure;
use baton_core::words::FailureKind;
use baton_engine::ports::{Control, ModelAnswer, ModelRequest};

use super::{Script, Turn};

/// How long a pause goes on without a look at whether the call was told to end.
const LOOK: Duration = Duration::from_millis(10);

/// Bytes that are counted as one token where a script declares no usage.
const TOKEN_BYTES: usize = 4;

impl Script {
    /// Answers a request, telling the text as it goes.
    ///
    /// Where a turn declares no usage, four bytes of what is read and written count as a token.
    pub fn answer(
        &self,
        request: &ModelRequest,
        control: &Control,
        told: &mut dyn FnMut(&str),
    ) -> Result<ModelAnswer, CallFailure> {
        let begun = Instant::now();
        let turn = self.turn(request)?;
        let text: String = turn
            .content
            .iter()
            .filter_map(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Reasoning(_) | Piece::Call { .. } => None,
            })
            .collect();
        for piece in pieces(&text, turn.chunks) {
            pause(turn.delay, begun, control)?;
            if !piece.is_empty() {
                told(piece);
            }
        }
        Ok(ModelAnswer {
            content: numbered(&turn.content, request.attempt),
            usage: turn.usage.unwrap_or_else(|| counted(request, turn)),
            is_cut: turn.is_cut,
        })
    }
}

/// Waits, unless the call is told to end or runs out of its time. As with a provider, nobody knows
/// then what an answer that was begun will cost.
fn pause(delay: Duration, begun: Instant, control: &Control) -> Result<(), CallFailure> {
    let paused = Instant::now();
    loop {
        if control.is_cancelled() {
            let message = "the scripted answer was told to stop";
            return Err(CallFailure::in_doubt(FailureKind::Cancelled, message));
        }
        if begun.elapsed() >= control.timeout {
            let message = "the scripted answer was not given in its time";
            return Err(CallFailure::in_doubt(FailureKind::TimedOut, message));
        }
        let left = delay.saturating_sub(paused.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK)); // sleep: the pause is what was asked for
    }
}

/// A text in at most so many pieces of about the same number of characters; at least one.
fn pieces(text: &str, chunks: u32) -> Vec<&str> {
    let chunks = usize::try_from(chunks).unwrap_or(usize::MAX).max(1);
    let chars = text.chars().count().div_ceil(chunks).max(1);
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.char_indices().nth(chars).map_or(rest.len(), |(end, _)| end);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        if after.is_empty() {
            return pieces;
        }
        rest = after;
    }
}

/// What is said, its calls with ids of their own: a transcript tells its calls apart by them.
fn numbered(content: &[Piece], attempt: u32) -> Vec<Piece> {
    let number = |(at, piece): (usize, &Piece)| match piece {
        Piece::Call { id, tool, arguments } if id.is_empty() => Piece::Call {
            id: format!("call-{attempt}-{at}"),
            tool: tool.clone(),
            arguments: arguments.clone(),
        },
        Piece::Call { .. } | Piece::Text(_) | Piece::Reasoning(_) => piece.clone(),
    };
    content.iter().enumerate().map(number).collect()
}

fn counted(request: &ModelRequest, turn: &Turn) -> Usage {
    let bytes = |json: Result<String, serde_json::Error>| json.map_or(0, |text| text.len());
    let told = request.instructions.as_ref().map_or(0, String::len);
    let read = bytes(serde_json::to_string(&request.messages))
        + bytes(serde_json::to_string(&request.tools))
        + told;
    let reasoned: usize = turn
        .content
        .iter()
        .map(|piece| match piece {
            Piece::Reasoning(json) => json.as_str().len(),
            Piece::Text(_) | Piece::Call { .. } => 0,
        })
        .sum();
    let tokens = |bytes: usize| bytes.div_ceil(TOKEN_BYTES) as u64;
    Usage {
        input_tokens: tokens(read),
        output_tokens: tokens(bytes(serde_json::to_string(&turn.content))),
        reasoning_tokens: tokens(reasoned),
        ..Usage::default()
    }
}
