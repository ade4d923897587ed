//! The line from a running call to the people: one question at a time, and the time it takes them.
//!
//! What is asked is not decided here: the engine journals a question before anybody sees it, and the
//! answer before it comes back.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use baton_core::workflow::question::{Answer, Question};

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A person said this.
    Said(Answer),
    /// Nobody will say anything, and why.
    Nothing(&'static str),
}

/// Gets what came of a question. It must return at once.
pub type Hear = Box<dyn FnOnce(Heard) + Send>;

/// What a call has to say about questions. The ticket tells those of one call apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// It asks this.
    Ask {
        /// From 1, in the order of asking.
        ticket: u32,
        /// What.
        question: Question,
    },
    /// It does not want to know any more.
    TakeBack {
        /// What it does not want to know.
        ticket: u32,
    },
}

/// Takes in what calls wish. It must return at once.
pub type Owner = Box<dyn Fn(Wish) + Send + Sync>;

/// The line of one call. Clones are of the same line.
#[derive(Clone, Default)]
pub struct Asking {
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    owner: Option<Owner>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tickets: u32,
    open: Option<Open>,
    /// How long earlier questions were open.
    waited: Duration,
}

struct Open {
    ticket: u32,
    since: Instant,
    hear: Hear,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Asking {
    /// To an owner, who asks people.
    pub fn through(owner: Owner) -> Self {
        Self { line: Arc::new(Line { owner: Some(owner), state: Mutex::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.line.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a person. `hear` gets what came of it, once, whatever becomes of the call; the ticket is
    /// what it is taken back by, where it was asked.
    pub fn ask(&self, question: Question, hear: Hear) -> Option<u32> {
        let Some(owner) = &self.line.owner else {
            hear(Heard::Nothing("no task makes this call, so that nobody can be asked"));
            return None;
        };
        let mut state = self.state();
        if state.open.is_some() {
            drop(state);
            hear(Heard::Nothing("a call asks one question at a time"));
            return None;
        }
        state.tickets += 1;
        let ticket = state.tickets;
        state.open = Some(Open { ticket, since: Instant::now(), hear });
        drop(state);
        owner(Wish::Ask { ticket, question });
        Some(ticket)
    }

    /// Does not want to know any more what was asked.
    pub fn take_back(&self, ticket: u32) {
        if self.end(Some(ticket), Heard::Nothing("it was taken back"))
            && let Some(owner) = &self.line.owner
        {
            owner(Wish::TakeBack { ticket });
        }
    }

    /// What came of a question; of one that is over already, nobody hears.
    pub fn hear(&self, ticket: u32, heard: Heard) {
        self.end(Some(ticket), heard);
    }

    /// The call ends: what it still asks, nobody answers.
    pub fn close(&self, why: &'static str) {
        self.end(None, Heard::Nothing(why));
    }

    /// Whether a question is open: the call's time stands still.
    pub fn is_open(&self) -> bool {
        self.state().open.is_some()
    }

    /// How long the call has waited for people.
    pub fn waited(&self) -> Duration {
        let state = self.state();
        state.waited + state.open.as_ref().map_or(Duration::ZERO, |open| open.since.elapsed())
    }

    /// Ends the open question, if it is the one that is meant.
    fn end(&self, ticket: Option<u32>, heard: Heard) -> bool {
        let mut state = self.state();
        let is_meant = |open: &mut Open| ticket.is_none_or(|ticket| ticket == open.ticket);
        let Some(open) = state.open.take_if(is_meant) else { return false };
        state.waited += open.since.elapsed();
        drop(state);
        (open.hear)(heard);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use baton_core::body::Json;

    use super::*;

    fn question() -> Question {
        Question::with_address("Sign in.", "https://example.org").expect("a web address")
    }

    fn yes() -> Heard {
        Heard::Said(Answer::Accepted(Json::null()))
    }

    /// A line, what its owner is told, and a way to ask that tells what was heard.
    fn line() -> (Asking, mpsc::Receiver<Wish>) {
        let (tell, told) = mpsc::channel();
        let asking = Asking::through(Box::new(move |wish| drop(tell.send(wish))));
        (asking, told)
    }

    fn ask(asking: &Asking) -> (Option<u32>, mpsc::Receiver<Heard>) {
        let (tell, heard) = mpsc::channel();
        let ticket = asking.ask(question(), Box::new(move |said| drop(tell.send(said))));
        (ticket, heard)
    }

    #[test]
    fn an_answer_is_heard_once_by_the_question_it_is_for() {
        let (asking, told) = line();
        let (first, heard) = ask(&asking);
        assert_eq!((first, asking.is_open()), (Some(1), true));
        assert_eq!(told.recv(), Ok(Wish::Ask { ticket: 1, question: question() }));
        asking.take_back(1);
        assert_eq!(told.recv(), Ok(Wish::TakeBack { ticket: 1 }));
        assert!(matches!(heard.recv(), Ok(Heard::Nothing(_))));
        let (second, heard) = ask(&asking);
        asking.hear(1, yes());
        assert!(heard.try_recv().is_err(), "that was for the first");
        asking.hear(second.unwrap_or(0), yes());
        asking.hear(second.unwrap_or(0), yes());
        assert_eq!(heard.iter().collect::<Vec<_>>(), [yes()]);
        assert!(!asking.is_open());
    }

    #[test]
    fn one_question_is_open_at_a_time_and_none_after_the_end() {
        let (asking, told) = line();
        let (_, first) = ask(&asking);
        let (ticket, second) = ask(&asking);
        assert_eq!(ticket, None);
        assert!(matches!(second.recv(), Ok(Heard::Nothing(_))));
        asking.close("the end");
        assert_eq!(first.recv(), Ok(Heard::Nothing("the end")));
        assert_eq!(told.try_iter().count(), 1, "who ends the call knows that it has ended");
        let (ticket, heard) = ask(&Asking::default());
        assert_eq!(ticket, None);
        assert!(matches!(heard.recv(), Ok(Heard::Nothing(_))));
    }

    #[test]
    fn the_time_of_people_is_counted_by_itself() {
        let (asking, _told) = line();
        assert_eq!(asking.waited(), Duration::ZERO);
        let _heard = ask(&asking);
        let before = asking.waited();
        asking.close("the end");
        let after = asking.waited();
        assert!(before <= after);
        assert_eq!(asking.waited(), after, "it stands still again");
    }
}
