//! The one filter bar: its text is the address, and the address its text.
//!
//! It names no status itself: words are those of the vocabulary.

use baton_core::codes::Code;
use baton_core::spoken::cut;
use baton_core::words::WorkflowStatus;
use baton_engine::store::Filter;

/// The longest text that is looked at, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// What the bar asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// As it was written.
    pub text: String,
    /// What the store is asked for; without bounds.
    pub filter: Filter,
    /// What of it is not understood, for people.
    pub fault: Option<String>,
}

impl Wanted {
    /// Reads `status:failed is:waiting name`.
    pub fn read(text: &str) -> Self {
        let text = cut(text.trim(), TEXT_CHARS_MAX);
        let mut wanted = Self { text, ..Self::default() };
        let mut names = Vec::new();
        for word in wanted.text.clone().split_whitespace() {
            match word.split_once(':') {
                Some(("status", status)) => wanted.status(status),
                Some(("is", situation)) => wanted.situation(situation),
                Some(_) | None => names.push(word.to_owned()),
            }
        }
        wanted.filter.name = (!names.is_empty()).then(|| names.join(" "));
        wanted
    }

    /// Whether it asks for anything.
    pub fn is_set(&self) -> bool {
        !self.text.is_empty()
    }

    fn status(&mut self, word: &str) {
        match word.parse::<WorkflowStatus>() {
            Ok(status) => self.filter.statuses.push(status),
            Err(fault) => self.fault = Some(fault.to_string()),
        }
    }

    fn situation(&mut self, word: &str) {
        match word {
            "waiting" => self.filter.needs_people = true,
            "active" => self.filter.statuses.extend(active()),
            "ended" => self.filter.statuses.extend(ended()),
            _ => {
                let word = cut(word, 40);
                self.fault = Some(format!(
                    "`is:{word}` is not known; known are is:waiting, is:active, is:ended"
                ));
            }
        }
    }
}

/// Every status of a run that has not ended.
pub fn active() -> impl Iterator<Item = WorkflowStatus> {
    WorkflowStatus::ALL.iter().copied().filter(|status| !status.is_terminal())
}

/// Every status of a run that has.
pub fn ended() -> impl Iterator<Item = WorkflowStatus> {
    WorkflowStatus::ALL.iter().copied().filter(|status| status.is_terminal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_filter() {
        let wanted = Wanted::read("  status:failed csv clean is:waiting ");
        assert_eq!(wanted.filter.statuses, [WorkflowStatus::Failed]);
        assert_eq!(wanted.filter.name.as_deref(), Some("csv clean"));
        assert!(wanted.filter.needs_people && wanted.fault.is_none());
        assert!(!Wanted::read("   ").is_set());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let fault = |text: &str| Wanted::read(text).fault.unwrap_or_default();
        assert!(
            fault("status:broken").contains("`broken` is not a workflow_status; known are draft")
        );
        assert!(fault("is:odd").contains("is:waiting"));
        assert_eq!(fault("https://example"), "", "a name may have a colon");
    }

    #[test]
    fn every_status_is_either_active_or_ended() {
        assert_eq!(active().count() + ended().count(), WorkflowStatus::ALL.len());
    }
}
