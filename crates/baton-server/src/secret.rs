//! Secrets that Baton makes up: tokens, the ids of sessions, tickets.
//!
//! Whoever keeps one keeps its hash; the text itself is shown once.

use std::fmt;
use std::io;

use baton_core::body::BlobHash;
use rustix::rand::{GetRandomFlags, getrandom};

/// What every token begins with, so that it is known where it lies about.
pub const TOKEN_PREFIX: &str = "baton_";

/// 256 bits of the system's randomness, as text.
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Draws one whose text begins with this.
    pub fn draw(prefix: &str) -> io::Result<Self> {
        let mut bytes = [0_u8; 32];
        // So few bytes are never cut short (getrandom(2)).
        if getrandom(&mut bytes, GetRandomFlags::empty())? != bytes.len() {
            return Err(io::Error::other("the system gave too little randomness; try again"));
        }
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self(digits.fold(prefix.to_owned(), |text, digits| text + &digits)))
    }

    /// As its bearer sends it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// SHA-256 of its text.
    pub fn hash(&self) -> BlobHash {
        BlobHash::of(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike_and_none_is_told_by_accident() {
        let [one, other] = [(); 2].map(|()| Secret::draw(TOKEN_PREFIX).unwrap());
        assert_ne!(one.text(), other.text());
        assert!(one.text().starts_with(TOKEN_PREFIX) && one.text().len() == 70);
        assert!(!format!("{one:?}").contains(one.text()));
    }
}
