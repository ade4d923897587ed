//! What models say while they say it: `text.delta`, and how much of it a subscriber has heard.
//!
//! These messages are no events and have no `id`: who comes back names the last event, and by `chunks`
//! how far it has heard the turns that run. Once a turn is journaled, its event has the whole text.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_core::ids::{TaskId, WorkflowId};
use baton_engine::chunks::{Chunk, TurnId};
use serde::Serialize;

use crate::http::code::ProblemCode;
use crate::http::problem::Problem;

/// What the messages are called; their type as well.
pub(super) const NAME: &str = "text.delta";
/// The longest piece of one message, in bytes of text.
const PIECE_BYTES: usize = 32 * 1024;
/// Of how many turns a client may say how far it has heard them.
const NAMED_MAX: usize = 64;
/// How many turns a subscriber may have heard before those that are over are forgotten.
const HEARD_MAX: usize = 64;

/// A message.
#[derive(Serialize)]
pub(super) struct Delta<'c> {
    #[serde(rename = "type")]
    kind: &'static str,
    workflow_id: Option<WorkflowId>,
    task_id: TaskId,
    attempt: u32,
    /// The turn, as `chunks` names it.
    stream: String,
    /// How many characters of the turn's text come before.
    offset: u64,
    /// How many are told with this one: what `chunks` goes on from.
    pub seq: u64,
    text: &'c str,
}

impl<'c> Delta<'c> {
    /// A piece as messages, in order.
    pub fn all(chunk: &'c Chunk) -> impl Iterator<Item = Self> {
        let Chunk { turn, mut offset, .. } = *chunk;
        let mut rest = chunk.text.as_str();
        std::iter::from_fn(move || {
            let (text, after) = rest.split_at_checked(rest.floor_char_boundary(PIECE_BYTES))?;
            if text.is_empty() {
                return None;
            }
            rest = after;
            let seq = offset + text.chars().count() as u64;
            let begin = std::mem::replace(&mut offset, seq);
            Some(Self {
                kind: NAME,
                workflow_id: turn.workflow(),
                task_id: turn.task,
                attempt: turn.attempt,
                stream: turn.to_string(),
                offset: begin,
                seq,
                text,
            })
        })
    }
}

/// How many characters of which turns a subscriber has heard. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard(Option<Arc<BTreeMap<TurnId, u64>>>);

impl Heard {
    /// What a client says of itself: `STREAM:SEQ`, divided by commas.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let one = |part: &str| {
            let (turn, seq) = part.trim().rsplit_once(':')?;
            Some((turn.parse::<TurnId>().ok()?, seq.parse::<u64>().ok()?))
        };
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        let named: Option<Vec<_>> = parts.take(NAMED_MAX + 1).map(one).collect();
        match named {
            Some(named) if named.len() <= NAMED_MAX => Ok(named.into_iter().collect()),
            Some(_) | None => {
                let detail = format!(
                    "`chunks` is no list of at most {NAMED_MAX} places in texts; send `STREAM:SEQ` of \
                     the last `text.delta` of each stream, divided by commas"
                );
                Err(Problem::new(ProblemCode::InvalidRequest, detail))
            }
        }
    }

    /// How many characters of a turn.
    pub fn of(&self, turn: TurnId) -> u64 {
        let known = self.0.as_ref().and_then(|heard| heard.get(&turn));
        known.copied().unwrap_or(0)
    }

    /// What of a piece was not heard.
    pub fn rest(&self, chunk: Chunk) -> Option<Chunk> {
        let heard = self.of(chunk.turn);
        chunk.behind(heard)
    }

    /// Whether a piece up to there tells more.
    pub fn is_behind(&self, turn: TurnId, seq: u64) -> bool {
        seq > self.of(turn)
    }

    /// More is told; of turns that are over, nothing more will be.
    pub fn extend(
        &mut self,
        told: impl Iterator<Item = (TurnId, u64)>,
        runs: impl Fn(TurnId) -> bool,
    ) {
        let mut told = told.peekable();
        if told.peek().is_none() {
            return;
        }
        let heard = Arc::make_mut(self.0.get_or_insert_default());
        for (turn, seq) in told {
            let known = heard.entry(turn).or_default();
            *known = seq.max(*known);
        }
        if heard.len() > HEARD_MAX {
            heard.retain(|turn, _| runs(*turn));
        }
    }
}

impl FromIterator<(TurnId, u64)> for Heard {
    fn from_iter<I: IntoIterator<Item = (TurnId, u64)>>(told: I) -> Self {
        let mut heard = Self::default();
        heard.extend(told.into_iter(), |_| true);
        heard
    }
}

#[cfg(test)]
mod tests {
    use baton_core::ids::Ordinal;

    use super::*;

    fn turn(attempt: u32) -> TurnId {
        let workflow = WorkflowId::from_bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        TurnId { task: workflow.task(Ordinal(0)), attempt }
    }

    #[test]
    fn a_long_piece_is_several_messages_that_join() {
        let text = "é\u{0}\n\u{1b}]0;x\u{7}".repeat(20_000);
        let chunk = Chunk { stream: 1, turn: turn(1), offset: 5, text: text.clone() };
        let all: Vec<Delta<'_>> = Delta::all(&chunk).collect();
        assert!(all.len() > 3, "{}", all.len());
        assert_eq!(all.iter().map(|delta| delta.text).collect::<String>(), text);
        let ends = std::iter::once(5).chain(all.iter().map(|delta| delta.seq));
        assert!(all.iter().map(|delta| delta.offset).eq(ends.take(all.len())));
        assert_eq!(all.last().map(|delta| delta.seq), Some(chunk.seq()));
        for delta in all {
            let json = serde_json::to_string(&delta).unwrap();
            assert!(!json.contains(char::is_control), "{json}");
        }
    }

    #[test]
    fn what_a_client_says_it_has_heard_is_read_or_refused_as_a_whole() {
        let heard = Heard::read(&format!(" {}:7 ,{}:0,", turn(1), turn(2))).unwrap();
        assert_eq!([1, 2, 3].map(|n| heard.of(turn(n))), [7, 0, 0]);
        assert!(Heard::read("").unwrap().0.is_none());
        let many = format!("{}:1,", turn(1)).repeat(NAMED_MAX + 1);
        for wrong in ["x", ":1", "x:1", &format!("{}:-1", turn(1)), &format!("{}", turn(1)), &many]
        {
            assert!(Heard::read(wrong).unwrap_err().detail.contains("STREAM:SEQ"), "{wrong}");
        }
    }

    #[test]
    fn what_was_heard_never_shrinks_and_turns_that_are_over_are_forgotten() {
        let mut heard: Heard = [(turn(1), 7), (turn(1), 3)].into_iter().collect();
        assert_eq!(heard.of(turn(1)), 7);
        let before = heard.clone();
        heard.extend((2..=99).map(|n| (turn(n), 1)), |turn| turn.attempt > 90);
        assert_eq!([1, 90, 91, 99].map(|n| heard.of(turn(n))), [0, 0, 1, 1]);
        assert_eq!(before.of(turn(1)), 7);
    }
}
