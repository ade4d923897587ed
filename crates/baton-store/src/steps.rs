//! The steps a database goes through to become a store of this version.
//!
//! What a step does is SQL beside each database; this only says where a store stands.

use baton_core::body::BlobHash;

/// One step: a name and its SQL. A released one never changes.
pub(crate) struct Step {
    /// A word for people.
    pub name: &'static str,
    /// What it does.
    pub sql: &'static str,
}

/// A step with its number, from 1.
pub(crate) type Numbered<'a> = (i64, &'a Step);

impl Step {
    /// What tells this step from one that was changed.
    pub fn checksum(&self) -> String {
        BlobHash::of(self.sql.as_bytes()).to_string()
    }
}

/// The steps that a store of this version lacks, which went through those stored, given by number
/// and checksum.
///
/// Refuses, in words, a store of a newer version and one with other steps than ours.
pub(crate) fn lacking<'a>(
    steps: &'a [Step],
    version: i64,
    stored: &[(i64, String)],
) -> Result<Vec<Numbered<'a>>, String> {
    let numbered: Vec<Numbered<'a>> = (1..).zip(steps).collect();
    let newest = steps.len();
    if usize::try_from(version).map_or(true, |version| version > newest) {
        return Err(format!(
            "the store has version {version} and this Baton knows versions up to {newest}; \
             use the newer Baton that wrote it"
        ));
    }
    let ours = |number: i64| numbered.iter().find(|(ours, _)| *ours == number);
    for (number, checksum) in stored {
        if ours(*number).is_none_or(|(_, step)| step.checksum() != *checksum) {
            return Err(format!(
                "step {number} of the store's version is not the one this Baton knows; \
                 use the Baton that wrote it"
            ));
        }
    }
    let gone_through = |number: i64| stored.iter().any(|(stored, _)| *stored == number);
    Ok(numbered.into_iter().filter(|(number, _)| !gone_through(*number)).collect())
}
