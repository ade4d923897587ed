//! Terms: what of a text counts when it is compared with another.
//!
//! English is stemmed lightly and its stop words are dropped; a word of another language is compared
//! as it stands. Nothing here knows how much a term weighs.

/// The longest word that is compared, in characters; what follows is not looked at.
const WORD_CHARS_MAX: usize = 48;

/// Words that say nothing of what is wanted. Verbs with which anything is asked for are among them.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "after",
    "again",
    "all",
    "also",
    "am",
    "an",
    "and",
    "any",
    "anything",
    "are",
    "as",
    "at",
    "be",
    "been",
    "before",
    "being",
    "but",
    "by",
    "can",
    "could",
    "d",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "each",
    "everything",
    "for",
    "from",
    "get",
    "give",
    "go",
    "had",
    "has",
    "have",
    "having",
    "he",
    "hello",
    "help",
    "her",
    "here",
    "hey",
    "hi",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "kindly",
    "let",
    "like",
    "ll",
    "m",
    "make",
    "may",
    "me",
    "might",
    "must",
    "my",
    "need",
    "no",
    "not",
    "now",
    "of",
    "off",
    "on",
    "or",
    "other",
    "our",
    "out",
    "over",
    "please",
    "re",
    "run",
    "s",
    "shall",
    "she",
    "should",
    "show",
    "since",
    "so",
    "some",
    "something",
    "start",
    "t",
    "tell",
    "than",
    "thank",
    "thanks",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "this",
    "those",
    "through",
    "till",
    "to",
    "too",
    "under",
    "until",
    "up",
    "us",
    "ve",
    "very",
    "via",
    "want",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
];

/// Short forms and the stems that they stand for.
const SHORT_FORMS: [(&str, &str); 8] = [
    ("dir", "folder"),
    ("directory", "folder"),
    ("doc", "document"),
    ("documentation", "document"),
    ("info", "information"),
    ("md", "markdown"),
    ("pic", "picture"),
    ("repo", "repository"),
];

/// The lower-case words of a text: runs of letters and digits. Of scripts that are written without
/// spaces, each character is one.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        let alone = is_written_without_spaces(letter);
        if (alone || !letter.is_alphanumeric()) && !word.is_empty() {
            all.push(std::mem::take(&mut word));
        }
        if alone {
            all.push(letter.to_string());
        } else if letter.is_alphanumeric() && word.chars().count() < WORD_CHARS_MAX {
            word.extend(letter.to_lowercase());
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

/// The words of a text with one space between them: two requests that differ in capitals and
/// punctuation alone are the same.
pub(super) fn normalised(text: &str) -> String {
    words(text).join(" ")
}

/// Whether a lower-case word says nothing of what is wanted.
pub(super) fn is_stop(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// What a lower-case word has in common with its other forms.
pub(super) fn stem(word: &str) -> String {
    if !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return word.to_owned();
    }
    let singular = singular(word);
    let short = SHORT_FORMS.iter().find(|(short, _)| *short == singular);
    let root = match short {
        Some((_, long)) => (*long).to_owned(),
        None => without_ending(&singular),
    };
    match root.strip_suffix('e') {
        Some(rest) if rest.len() >= 3 => rest.to_owned(),
        Some(_) | None => root,
    }
}

/// Whether one of some plain words is among stems.
pub(super) fn has_any<'s>(stems: impl IntoIterator<Item = &'s String>, words: &[&str]) -> bool {
    stems.into_iter().any(|is| words.iter().any(|word| stem(word) == *is))
}

/// The stems of a text's words that say something.
pub(super) fn stems(text: &str) -> Vec<String> {
    let words = words(text);
    words.iter().filter(|word| !is_stop(word)).map(|word| stem(word)).collect()
}

fn singular(word: &str) -> String {
    let before = |ending: &str| word.strip_suffix(ending).filter(|rest| rest.len() >= 2);
    if let Some(rest) = before("ies") {
        return format!("{rest}y");
    }
    let hisses = |rest: &&str| ["s", "x", "z", "ch", "sh"].iter().any(|end| rest.ends_with(end));
    if let Some(rest) = before("es").filter(hisses) {
        return rest.to_owned();
    }
    let is_plural = |rest: &&str| !["s", "u", "i"].iter().any(|end| rest.ends_with(end));
    before("s").filter(is_plural).unwrap_or(word).to_owned()
}

/// Without `-ing` and `-ed`, where what is left can be said.
fn without_ending(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ied").filter(|rest| rest.len() >= 2) {
        return format!("{rest}y");
    }
    let ending = ["ing", "ed"].iter().find_map(|ending| word.strip_suffix(ending));
    let said = |rest: &&str| {
        rest.len() >= 3 && rest.bytes().any(|byte| matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u'))
    };
    let Some(rest) = ending.filter(said) else { return word.to_owned() };
    let mut letters = rest.chars().rev();
    match (letters.next(), letters.next()) {
        // "planning" is of "plan", but "calling" is of "call".
        (Some(last), Some(other)) if last == other && !"lsz".contains(last) => {
            rest.strip_suffix(last).unwrap_or(rest).to_owned()
        }
        (Some(_) | None, _) => rest.to_owned(),
    }
}

/// Han, kana and their neighbours, by the blocks of Unicode.
fn is_written_without_spaces(letter: char) -> bool {
    matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for (forms, root) in [
            (&["review", "reviews", "reviewed", "reviewing"][..], "review"),
            (&["repository", "repositories", "repo", "repos"], "repository"),
            (&["change", "changes", "changed", "changing"], "chang"),
            (&["plan", "plans", "planned", "planning"], "plan"),
            (&["call", "calls", "called", "calling"], "call"),
            (&["study", "studies", "studied", "studying"], "study"),
            (&["box", "boxes"], "box"),
            (&["docs", "document", "documents"], "document"),
            (&["todo", "todos"], "todo"),
            (&["status"], "status"),
            (&["thing", "things"], "thing"),
            (&["string"], "string"),
            (&["größe"], "größe"),
        ] {
            for form in forms {
                assert_eq!(stem(form), root, "{form}");
            }
        }
    }

    #[test]
    fn words_are_split_and_bounded() {
        assert_eq!(
            words("Clean-up: THE_file’s Ärger"),
            ["clean", "up", "the", "file", "s", "ärger"]
        );
        assert_eq!(words("健康 repo"), ["健", "康", "repo"]);
        assert_eq!(words("\u{0}\u{202e}a\u{1b}[0m"), ["a", "0m"]);
        assert_eq!(words(&"x".repeat(1_000_000)), ["x".repeat(WORD_CHARS_MAX)]);
        assert_eq!(normalised("  How HEALTHY, is it?! "), "how healthy is it");
    }

    #[test]
    fn stop_words_are_in_order() {
        assert!(STOP_WORDS.is_sorted(), "they are searched by halves");
        assert!(is_stop("the") && is_stop("you") && !is_stop("review"));
    }
}
