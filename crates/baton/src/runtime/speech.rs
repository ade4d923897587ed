//! What the models that run just now say: the text of each turn, from its first piece until the turn
//! is journaled. Those who watch get it from here, and what is to be kept is collected here.
//!
//! It writes nothing itself, and knows nothing of what the words mean.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::ids::WorkflowId;
use baton_engine::chunks::{Chunk, TurnId};
use baton_engine::store::Record;

/// The most that is shown of one turn before it is journaled, in bytes: about what the longest
/// answer of a model takes. What comes behind it is in the answer alone.
const TURN_BYTES_MAX: usize = 1 << 20;
/// The same for all turns that run together.
const ALL_BYTES_MAX: usize = 64 << 20;
/// The most that waits, of turns that are over, for those who tell it.
const LEFT_BYTES_MAX: usize = 8 << 20;
/// How long pieces are collected before they are kept together.
const GROUP_PAUSE: Duration = Duration::from_millis(30);
/// So many bytes are kept at once.
const GROUP_BYTES: usize = 256 << 10;

/// What models say.
#[derive(Default)]
pub(super) struct Speech {
    board: Mutex<Board>,
    /// Something is to be kept, a lot is, or nothing more will be.
    to_keep: Condvar,
    /// Up to here the journal is on disk.
    position: AtomicU64,
}

#[derive(Default)]
struct Board {
    turns: BTreeMap<TurnId, Turn>,
    /// These said something that was not told yet.
    fresh: Vec<TurnId>,
    /// What was said last in turns that are over, and was not told.
    left: Vec<(u64, Chunk)>,
    /// Turns that are over of which something is kept.
    over: Vec<TurnId>,
    /// All text, in bytes.
    bytes: usize,
    /// What of it is not kept.
    unkept: usize,
    /// Whether somebody asks for what was not told.
    is_heard: bool,
    is_closed: bool,
}

/// What a model has said in a turn.
struct Turn {
    stream: u64,
    /// Its start stands at this position of the journal or before.
    begun: u64,
    text: String,
    chars: u64,
    /// How many bytes more are shown.
    room: usize,
    /// Up to here it was told, or is in nobody's hands but a teller's.
    told: Mark,
    /// Behind this position stands what was not told.
    behind: u64,
    /// Up to here it is kept, or is about to be.
    kept: Mark,
}

/// A place in a text.
#[derive(Clone, Copy, Default)]
struct Mark {
    bytes: usize,
    chars: u64,
}

/// What is to be written down.
pub(super) struct Group {
    /// Turns of which nothing is to be kept any more.
    pub over: Vec<TurnId>,
    /// What was said since.
    pub more: Vec<Chunk>,
}

impl Speech {
    fn board(&self) -> MutexGuard<'_, Board> {
        // It is whole between any two statements.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A model's turn begins.
    pub(super) fn begin(&self, stream: u64, turn: TurnId) {
        let begun = self.position.load(Acquire);
        self.board().turns.insert(turn, Turn::new(stream, begun));
    }

    /// A model says something; whether anybody wants to hear it. In a turn that is over nobody does.
    pub(super) fn tell(&self, turn: TurnId, text: &str) -> bool {
        let mut board = self.board();
        let was = board.unkept;
        let heard = board.add(turn, text, self.position.load(Acquire));
        let is_due = |bytes: usize| (bytes > 0, bytes >= GROUP_BYTES);
        if is_due(was) != is_due(board.unkept) {
            self.to_keep.notify_one();
        }
        heard
    }

    /// What a process before this one kept of turns, and which of those run still.
    pub(super) fn restore(&self, chunks: Vec<Chunk>, mut runs: impl FnMut(&Chunk) -> bool) {
        let mut board = self.board();
        for chunk in chunks {
            if board.over.last() == Some(&chunk.turn) {
                continue;
            }
            if !board.turns.contains_key(&chunk.turn) {
                if !runs(&chunk) {
                    board.over.push(chunk.turn);
                    continue;
                }
                board.turns.insert(chunk.turn, Turn::new(chunk.stream, 0));
            }
            board.take_back(&chunk);
        }
        if !board.over.is_empty() {
            self.to_keep.notify_one();
        }
    }

    /// The journal has grown by these; turns that it ended are over.
    pub(super) fn committed(&self, records: &[Record], runs: impl Fn(u64, TurnId) -> bool) {
        if let Some(newest) = records.last() {
            self.position.store(newest.position, Release);
        }
        let mut board = self.board();
        let touched = |turn: &Turn| records.iter().any(|record| record.stream == turn.stream);
        let of = board.turns.iter();
        let ended = of.filter(|(id, turn)| touched(turn) && !runs(turn.stream, **id));
        let ended: Vec<TurnId> = ended.map(|(id, _)| *id).collect();
        ended.iter().for_each(|id| board.end(*id));
        if !board.over.is_empty() {
            self.to_keep.notify_one();
        }
    }

    /// Nothing more is said or kept.
    pub(super) fn close(&self) {
        self.board().is_closed = true;
        self.to_keep.notify_all();
    }

    /// Waits until there is something to keep, and a little longer for what comes with it; `None` when
    /// everything is kept and nothing more will be.
    pub(super) fn next_group(&self) -> Option<Group> {
        let idle = |board: &mut Board| !board.is_closed && board.is_kept();
        let board = self.to_keep.wait_while(self.board(), idle);
        let board = board.unwrap_or_else(PoisonError::into_inner);
        let few = |board: &mut Board| !board.is_closed && board.unkept < GROUP_BYTES;
        let waited = self.to_keep.wait_timeout_while(board, GROUP_PAUSE, few);
        let (mut board, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if board.is_closed && board.is_kept() {
            return None;
        }
        Some(board.group())
    }

    /// See [`Live::texts`](baton_engine::ports::Live::texts).
    pub(super) fn texts(&self, workflow: Option<WorkflowId>, until: u64) -> Vec<Chunk> {
        let board = self.board();
        let of = board.turns.iter().filter(|(id, turn)| {
            turn.begun <= until && workflow.is_none_or(|of| id.workflow() == Some(of))
        });
        let told = of.map(|(id, turn)| {
            let end = if board.is_heard { turn.told } else { turn.end() };
            turn.piece(*id, Mark::default(), end)
        });
        told.filter(|chunk| !chunk.text.is_empty()).collect()
    }

    /// See [`Live::spoken`](baton_engine::ports::Live::spoken).
    pub(super) fn spoken(&self) -> Vec<(u64, Chunk)> {
        let board = &mut *self.board();
        board.is_heard = true;
        let mut spoken = std::mem::take(&mut board.left);
        for id in std::mem::take(&mut board.fresh) {
            if let Some(turn) = board.turns.get_mut(&id) {
                spoken.push((turn.behind, turn.piece(id, turn.told, turn.end())));
                turn.told = turn.end();
            }
        }
        spoken.sort_by_key(|(behind, _)| *behind);
        spoken
    }

    /// Whether a turn runs.
    pub(super) fn is_running(&self, turn: TurnId) -> bool {
        self.board().turns.contains_key(&turn)
    }
}

impl Board {
    fn add(&mut self, id: TurnId, text: &str, position: u64) -> bool {
        let free = ALL_BYTES_MAX.saturating_sub(self.bytes);
        let Some(turn) = self.turns.get_mut(&id) else { return false };
        let shown = text.get(..text.floor_char_boundary(turn.room.min(free))).unwrap_or_default();
        // Behind a gap nothing is shown: what is shown is always the beginning of the text.
        turn.room = if shown.len() < text.len() { 0 } else { turn.room - shown.len() };
        if shown.is_empty() {
            return false;
        }
        if turn.told.bytes == turn.text.len() {
            turn.behind = position;
            self.fresh.push(id);
        }
        turn.append(shown);
        self.bytes += shown.len();
        self.unkept += shown.len();
        true
    }

    /// Takes back what was kept of a turn. Behind a gap, what was kept is of no use.
    fn take_back(&mut self, chunk: &Chunk) {
        let Some(turn) = self.turns.get_mut(&chunk.turn) else { return };
        if turn.chars == chunk.offset && self.bytes + chunk.text.len() <= ALL_BYTES_MAX {
            turn.append(&chunk.text);
            (turn.told, turn.kept) = (turn.end(), turn.end());
            self.bytes += chunk.text.len();
        }
    }

    fn end(&mut self, id: TurnId) {
        let Some(turn) = self.turns.remove(&id) else { return };
        self.bytes -= turn.text.len();
        self.unkept -= turn.text.len() - turn.kept.bytes;
        if turn.kept.bytes > 0 {
            self.over.push(id);
        }
        let untold = turn.piece(id, turn.told, turn.end());
        let waiting: usize = self.left.iter().map(|(_, chunk)| chunk.text.len()).sum();
        // Whoever has not heard the last words finds them in the answer.
        if self.is_heard && !untold.text.is_empty() && waiting < LEFT_BYTES_MAX {
            self.left.push((turn.behind, untold));
        }
    }

    fn is_kept(&self) -> bool {
        self.unkept == 0 && self.over.is_empty()
    }

    fn group(&mut self) -> Group {
        let mut more = Vec::new();
        for (id, turn) in &mut self.turns {
            if turn.kept.bytes < turn.text.len() {
                more.push(turn.piece(*id, turn.kept, turn.end()));
                turn.kept = turn.end();
            }
        }
        self.unkept = 0;
        Group { over: std::mem::take(&mut self.over), more }
    }
}

impl Turn {
    fn new(stream: u64, begun: u64) -> Self {
        let (text, room) = (String::new(), TURN_BYTES_MAX);
        let (told, kept) = (Mark::default(), Mark::default());
        Self { stream, begun, text, chars: 0, room, told, behind: 0, kept }
    }

    fn append(&mut self, text: &str) {
        self.text.push_str(text);
        self.chars += text.chars().count() as u64;
    }

    fn end(&self) -> Mark {
        Mark { bytes: self.text.len(), chars: self.chars }
    }

    fn piece(&self, turn: TurnId, from: Mark, to: Mark) -> Chunk {
        // Marks stand between characters.
        let text = self.text.get(from.bytes..to.bytes).unwrap_or_default().to_owned();
        Chunk { stream: self.stream, turn, offset: from.chars, text }
    }
}

#[cfg(test)]
mod tests;
