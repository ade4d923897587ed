//! The text of running turns in memory, for tests and simulation. A clone is another connection to
//! the same; it survives no process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use baton_engine::chunks::{Chunk, ChunkLog, TurnId};
use baton_engine::store::StoreError;

type Kept = BTreeMap<(TurnId, u64), Chunk>;

/// Pieces in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryChunks(Arc<Mutex<Kept>>);

impl ChunkLog for MemoryChunks {
    fn chunks(&mut self) -> Result<Vec<Chunk>, StoreError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.values().cloned().collect())
    }

    fn newest(&mut self, turn: TurnId, most: u32) -> Result<Vec<Chunk>, StoreError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = kept.range((turn, 0)..=(turn, u64::MAX)).map(|(_, chunk)| chunk);
        let newest: Vec<_> = of.rev().take(most as usize).cloned().collect();
        Ok(newest.into_iter().rev().collect())
    }

    fn keep(&mut self, over: &[TurnId], more: &[Chunk]) -> Result<(), StoreError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(turn, _), _| !over.contains(turn));
        kept.extend(more.iter().map(|chunk| ((chunk.turn, chunk.offset), chunk.clone())));
        Ok(())
    }
}
