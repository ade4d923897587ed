//! Text that reads like a working agent's and packs like prose: sentences over a list of words, the same
//! ones for the same seed.
//!
//! It means nothing. How well it packs is what matters, and a test holds it: 2,000 bytes of it pack to
//! 48 % with DEFLATE, which is between the GPL (46 %) and this project's ARCHITECTURE.md (51 %); Rust packs
//! to 41 %.

/// What the words are made of.
const STEMS: &str = "note report ledger margin harbour signal winter station copper valley letter garden \
    engine mirror paper river market bridge window record shelter country figure meadow lantern thread \
    canvas timber orchard shadow village branch anchor weather silver distance circle corner morning \
    evening budget account clerk invoice cargo pilot vessel rudder compass charter tariff quay crane \
    depot wagon freight ballast voyage season harvest granary mill oven baker cellar barrel vintage \
    cooper smith anvil furnace bellows chisel plane joiner rafter gable hinge lock mason quarry lime \
    brick kiln potter glaze loom weaver dye madder flax wool shepherd pasture hedge ditch plough";
const ENDINGS: [&str; 6] = ["", "", "s", "ed", "ing", "ward"];
const GLUE: [&str; 20] = [
    "the", "of", "and", "to", "in", "that", "it", "is", "was", "for", "with", "as", "on", "by",
    "at", "from", "this", "but", "which", "not",
];

/// Chooses, always the same for the same seed (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub struct Prose {
    state: u64,
    stems: Vec<&'static str>,
}

impl Prose {
    /// With this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, stems: STEMS.split_whitespace().collect() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of these.
    pub fn number(&mut self, from: u64, below: u64) -> u64 {
        from + self.next() % (below - from).max(1)
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        let at = self.number(0, words.len() as u64);
        usize::try_from(at).ok().and_then(|at| words.get(at)).copied().unwrap_or_default()
    }

    /// A word with its ending, as in a name.
    pub fn word(&mut self) -> String {
        let stems = std::mem::take(&mut self.stems);
        let word = format!("{}{}", self.one_of(&stems), self.one_of(&ENDINGS));
        self.stems = stems;
        word
    }

    fn sentence(&mut self) -> String {
        let words = self.number(6, 17);
        let mut said = Vec::new();
        for _ in 0..words {
            said.push(match self.number(0, 100) {
                0..36 => self.one_of(&GLUE).to_owned(),
                36..92 => self.word(),
                _ => self.number(0, 10_000).to_string(),
            });
        }
        let mut said = said.join(" ");
        if let Some(first) = said.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        said + "."
    }

    /// At least so many bytes, in whole sentences of at most 200.
    pub fn text(&mut self, bytes: u64) -> String {
        let mut text = self.sentence();
        while (text.len() as u64) < bytes {
            text.push(' ');
            text.push_str(&self.sentence());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use baton_core::body::Blob;

    use super::*;

    #[test]
    fn it_packs_no_better_than_prose_and_is_the_same_for_the_same_seed() {
        let texts: Vec<String> = (0..50).map(|seed| Prose::new(seed).text(2_000)).collect();
        let packed: usize = texts.iter().map(|text| Blob::pack(text).packed.len()).sum();
        let share = packed as f64 / texts.iter().map(String::len).sum::<usize>() as f64;
        assert!((0.46..0.50).contains(&share), "packed to {share}");
        assert_eq!(texts.first(), Some(&Prose::new(0).text(2_000)));
    }
}
