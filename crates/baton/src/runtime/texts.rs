//! Bodies that are read again and again: an agent's next request has all that its last one had.
//!
//! Kept by their hash, so that none can be stale; the store is the truth, and this may forget at any time.

use std::collections::HashMap;

use baton_core::body::{BlobHash, Json};

/// What was read lately, in bounded memory: two generations, of which the older is forgotten when the
/// younger is full.
pub(super) struct Texts {
    young: HashMap<BlobHash, Json>,
    old: HashMap<BlobHash, Json>,
    /// Of the younger.
    bytes: usize,
    /// Of each generation.
    bytes_max: usize,
}

impl Texts {
    /// Keeps texts of at most so many bytes in all.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (young, old) = (HashMap::new(), HashMap::new());
        Self { young, old, bytes: 0, bytes_max: bytes_max / 2 }
    }

    /// What it has under this hash.
    pub(super) fn get(&mut self, hash: BlobHash) -> Option<Json> {
        if let Some(text) = self.young.get(&hash) {
            return Some(text.clone());
        }
        let text = self.old.remove(&hash)?;
        self.put(hash, text.clone());
        Some(text)
    }

    /// Keeps a text for a while; one that would take a whole generation is not worth its place.
    pub(super) fn put(&mut self, hash: BlobHash, text: Json) {
        let bytes = text.as_str().len();
        if bytes > self.bytes_max {
            return;
        }
        if self.bytes + bytes > self.bytes_max {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        if self.young.insert(hash, text).is_none() {
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: u64) -> (BlobHash, Json) {
        let text = format!("{:010}", 1_000_000_000 + n);
        (BlobHash::of(text.as_bytes()), Json::parse(text).expect("a number"))
    }

    #[test]
    fn what_is_read_stays_and_what_is_not_goes() {
        let mut texts = Texts::new(200);
        let (hash, wanted) = text(0);
        texts.put(hash, wanted.clone());
        for n in 1..100 {
            let (other, json) = text(n);
            texts.put(other, json);
            assert_eq!(texts.get(hash), Some(wanted.clone()), "after {n} others");
        }
        assert_eq!(texts.get(text(1).0), None);
        assert!(texts.young.len() + texts.old.len() <= 20, "200 bytes of ten each");
    }

    #[test]
    fn one_that_is_longer_than_all_may_be_is_not_kept() {
        let mut texts = Texts::new(10);
        let (hash, json) = text(0);
        texts.put(hash, json);
        assert_eq!(texts.get(hash), None);
    }
}
