//! The text of running turns: what a model has said so far, in pieces, for those who watch and for
//! those who come back.
//!
//! It stands beside the journal and never in it: once a turn is journaled, its answer holds the whole
//! text and its pieces are dropped. Nothing is decided by them.

use std::fmt;
use std::str::FromStr;

use baton_core::ids::{TaskId, WorkflowId};
use baton_core::workflow::TaskPhase;

use crate::engine::Engine;
use crate::store::StoreError;

/// A turn: one attempt of an agent's task, in which a model speaks. Its text is `TASK.ATTEMPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TurnId {
    /// The agent's task.
    pub task: TaskId,
    /// Which of its attempts, from 1.
    pub attempt: u32,
}

impl TurnId {
    /// The workflow it belongs to; `None` where the task's id is none.
    pub fn workflow(&self) -> Option<WorkflowId> {
        self.task.split().map(|(workflow, _)| workflow)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.task, self.attempt)
    }
}

/// A text that names no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATurn;

impl FromStr for TurnId {
    type Err = NotATurn;

    fn from_str(text: &str) -> Result<Self, NotATurn> {
        let (task, attempt) = text.split_once('.').ok_or(NotATurn)?;
        let task = task.parse().map_err(|_| NotATurn)?;
        Ok(Self { task, attempt: attempt.parse().map_err(|_| NotATurn)? })
    }
}

/// A piece of a turn's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The store's number of the workflow.
    pub stream: u64,
    /// Whose text it is.
    pub turn: TurnId,
    /// How many characters (Unicode scalar values) of the turn's text come before it.
    pub offset: u64,
    /// What is said. A model's words: nothing about them is known.
    pub text: String,
}

impl Chunk {
    /// How many characters of the turn's text are told with it: where the next piece begins.
    pub fn seq(&self) -> u64 {
        self.offset.saturating_add(self.text.chars().count() as u64)
    }

    /// What of it comes behind so many characters of the turn's text; `None` where nothing does.
    pub fn behind(mut self, seq: u64) -> Option<Self> {
        let told = usize::try_from(seq.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        if told > 0 {
            let (at, _) = self.text.char_indices().nth(told)?;
            self.text.drain(..at);
            self.offset = seq;
        }
        (!self.text.is_empty()).then_some(self)
    }
}

/// Keeps pieces of running turns beside the journal, so that they outlive the process. It is a cache:
/// it may be lost at any time, and a power cut may take the newest pieces.
pub trait ChunkLog: Send {
    /// Everything that is kept, by turn and place.
    fn chunks(&mut self) -> Result<Vec<Chunk>, StoreError>;

    /// The newest pieces of a turn in their order, at most so many.
    fn newest(&mut self, turn: TurnId, most: u32) -> Result<Vec<Chunk>, StoreError>;

    /// Forgets turns and keeps further pieces, all or nothing. Of a turn that is forgotten there are
    /// no pieces to keep; a piece takes the place of one that begins where it does.
    fn keep(&mut self, over: &[TurnId], more: &[Chunk]) -> Result<(), StoreError>;
}

impl Engine {
    /// Whether a turn runs, as far as is committed. One of a workflow that is not in memory does not.
    pub fn is_running(&self, stream: u64, turn: TurnId) -> bool {
        let Some((workflow, task)) = turn.task.split() else { return false };
        let live = self.lives.get(&stream).filter(|live| live.state.id == workflow);
        let task = live.and_then(|live| live.state.task(task));
        task.is_some_and(|task| {
            task.attempts == turn.attempt && matches!(task.phase, TaskPhase::Executing { .. })
        })
    }
}

#[cfg(test)]
mod tests {
    use baton_core::ids::Ordinal;

    use super::*;

    #[test]
    fn a_piece_is_cut_where_it_was_told_and_never_within_a_character() {
        let task = WorkflowId::from_bytes([0; 16]).task(Ordinal(3));
        let turn = TurnId { task, attempt: 2 };
        let whole = Chunk { stream: 1, turn, offset: 10, text: "añ🦀b".to_owned() };
        assert_eq!(whole.seq(), 14);
        let rest = |seq| whole.clone().behind(seq).map(|rest| (rest.offset, rest.text));
        for told in [0, 9, 10] {
            assert_eq!(rest(told), Some((10, "añ🦀b".to_owned())), "{told}");
        }
        assert_eq!(rest(12), Some((12, "🦀b".to_owned())));
        assert_eq!((rest(14), rest(15), rest(u64::MAX)), (None, None, None));
    }

    #[test]
    fn a_turn_is_named_by_its_task_and_attempt() {
        let task = WorkflowId::from_bytes([7; 16]).task(Ordinal(0));
        let turn = TurnId { task, attempt: 41 };
        assert_eq!(turn.to_string().parse(), Ok(turn));
        for wrong in ["", ".", "x.1", &format!("{task}"), &format!("{task}.-1")] {
            assert_eq!(wrong.parse::<TurnId>(), Err(NotATurn), "{wrong}");
        }
    }
}
