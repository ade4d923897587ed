//! "Did you mean": the known name nearest to an unknown one.

/// Names longer than this are not compared.
const NAME_CHARS_MAX: usize = 64;
/// At most so many known names are compared.
const NAMES_MAX: usize = 2_000;

/// The nearest of `known` to `name`, if it is near enough to be meant.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let letters: Vec<char> = name.chars().take(NAME_CHARS_MAX + 1).collect();
    if letters.len() > NAME_CHARS_MAX {
        return None;
    }
    let bound = (letters.len() / 3).max(1);
    known
        .into_iter()
        .take(NAMES_MAX)
        .filter(|other| other.len().abs_diff(name.len()) <= bound * 4)
        .map(|other| (distance(&letters, other), other))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// `did you mean …?` for the nearest, else the known names.
pub(crate) fn hint<'k>(
    name: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(name, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut known: Vec<&str> = known.into_iter().take(21).collect();
    let more = known.len() > 20;
    known.truncate(20);
    let names = known.join("`, `");
    match (known.is_empty(), more) {
        (true, _) => None,
        (false, false) => Some(format!("known are `{names}`")),
        (false, true) => Some(format!("known are `{names}` and others")),
    }
}

/// Levenshtein's distance, with upper and lower case, `_` and `-` taken as equal.
fn distance(from: &[char], to: &str) -> usize {
    let fold = |letter: char| match letter {
        '-' => '_',
        letter => letter.to_ascii_lowercase(),
    };
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (letter, number) in to.chars().take(2 * NAME_CHARS_MAX).zip(1..) {
        let mut diagonal = number - 1;
        let mut left = number;
        for (cell, other) in row.iter_mut().skip(1).zip(from) {
            let same = usize::from(fold(*other) != fold(letter));
            let cost = (diagonal + same).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = number;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        let known = ["needs", "timeout", "on_failure", "fs.read"];
        for (name, near) in [
            ("need", Some("needs")),
            ("time-out", Some("timeout")),
            ("on-failure", Some("on_failure")),
            ("fs.raed", Some("fs.read")),
            ("whatever", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), near, "{name}");
        }
        let long = "x".repeat(100_000);
        assert_eq!(nearest(&long, known), None);
    }
}
