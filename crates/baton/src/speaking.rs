//! What models say, as those who watch a workflow keep it: of each turn that runs, the last words.
//!
//! It prints nothing, and keeps nothing of turns that are over: their answers are events.

use std::collections::BTreeMap;

use baton_core::plan::Work;
use baton_core::workflow::{TaskPhase, WorkflowState};
use baton_engine::chunks::{Chunk, TurnId};

use crate::text::clean;

/// How many turns are shown.
const TURNS_MAX: usize = 3;
/// How many characters of each.
const CHARS_MAX: usize = 72;
/// How many bytes of a text are kept at least, where it has as many, and at most.
const TAIL_BYTES: (usize, usize) = (1_024, 8 * 1_024);

/// What was heard of the turns that run.
#[derive(Debug, Default)]
pub struct Speaking {
    turns: BTreeMap<TurnId, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// How many characters of the turn's text.
    seq: u64,
    /// The last of them.
    tail: String,
}

impl Speaking {
    /// Takes in a piece of a turn that runs; what of it was not heard before.
    pub fn hear(&mut self, state: &WorkflowState, chunk: Chunk) -> Option<Chunk> {
        if !runs(state, chunk.turn) {
            return None;
        }
        let heard = self.turns.entry(chunk.turn).or_default();
        let new = chunk.behind(heard.seq)?;
        heard.seq = new.seq();
        heard.tail.push_str(&new.text);
        let (least, most) = TAIL_BYTES;
        if heard.tail.len() > most {
            let at = heard.tail.floor_char_boundary(heard.tail.len() - least);
            heard.tail.drain(..at);
        }
        Some(new)
    }

    /// Forgets turns that are over.
    pub fn forget_past(&mut self, state: &WorkflowState) {
        self.turns.retain(|turn, _| runs(state, *turn));
    }

    /// A line for each of the first turns that say something: the task and the last words.
    pub fn lines(&self, state: &WorkflowState) -> Vec<String> {
        let said = self.turns.iter().filter_map(|(turn, heard)| {
            let (_, task) = turn.task.split()?;
            let last = heard.tail.lines().rev().find(|line| !line.trim().is_empty())?;
            Some(format!("{}: {}", clean(&state.key_of(task)), ending(&clean(last.trim()))))
        });
        said.take(TURNS_MAX).collect()
    }
}

/// The turns in which models speak.
pub fn turns(state: &WorkflowState) -> impl Iterator<Item = TurnId> {
    state.executing().filter_map(|task| {
        let attempt = state.task(task).filter(|facts| !facts.is_call)?.attempts;
        let is_agent = matches!(state.task_plan(task)?.work, Work::Agent(_));
        is_agent.then(|| TurnId { task: state.id.task(task), attempt })
    })
}

/// The end of a text.
fn ending(text: &str) -> String {
    let (at, _) = text.char_indices().nth_back(CHARS_MAX - 1).unwrap_or_default();
    let dots = if at > 0 { "…" } else { "" };
    format!("{dots}{}", text.get(at..).unwrap_or_default())
}

/// Whether a turn is the one that its task has now.
fn runs(state: &WorkflowState, turn: TurnId) -> bool {
    let Some((workflow, task)) = turn.task.split() else { return false };
    let is_it = workflow == state.id;
    let task = state.task(task).filter(|task| task.attempts == turn.attempt);
    is_it && task.is_some_and(|task| matches!(task.phase, TaskPhase::Executing { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_line_the_end_is_shown() {
        assert_eq!(ending(""), "");
        let line = "é".repeat(CHARS_MAX);
        assert_eq!(ending(&line), line);
        assert_eq!(ending(&format!("ab{line}")), format!("…{line}"));
    }
}
