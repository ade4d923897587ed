//! The closed list of what an answer can say went wrong: code, status and title, each once.
//!
//! It words no details: those belong to where something went wrong.

use axum::http::StatusCode;
use baton_core::codes;
use baton_core::conversation;
use baton_core::workflow::Refusal;
use baton_engine::exchange::{Declined, Gone};
use baton_engine::store::StoreError;

/// Declares every code with its status and title.
macro_rules! problems {
    ($( $(#[$meta:meta])* $name:ident = $code:literal $word:literal $status:ident $title:literal, )+) => {
        codes! {
            /// What went wrong.
            pub enum ProblemCode: "problem_code" {
                $( $(#[$meta])* $name = $code $word, )+
            }
        }

        impl ProblemCode {
            /// The status of an answer with this code.
            pub fn status(self) -> StatusCode {
                match self { $( Self::$name => StatusCode::$status, )+ }
            }

            /// What it means and what to do about it, in Markdown.
            pub fn page(self) -> &'static str {
                match self { $( Self::$name => include_str!(
                    concat!("../../../../docs/errors/", $word, ".md")), )+ }
            }

            /// The same sentence for every problem of this code.
            pub fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )+ }
            }
        }
    };
}

problems! {
    /// The request cannot be read: its path, query, headers or body.
    InvalidRequest = 1 "invalid_request" BAD_REQUEST "The request cannot be read",
    /// There is nothing under this path.
    NotFound = 2 "not_found" NOT_FOUND "There is nothing here",
    /// There is something under this path, but not for this method.
    MethodNotAllowed = 3 "method_not_allowed" METHOD_NOT_ALLOWED "This path does not take this method",
    /// The body is larger than is taken.
    BodyTooLarge = 4 "body_too_large" PAYLOAD_TOO_LARGE "The body is too large",
    /// The body is of a type that is not read.
    UnsupportedMediaType = 5 "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body is of another type than this path reads",
    /// The `Host` header names no name of this server.
    ForbiddenHost = 6 "forbidden_host" FORBIDDEN "This server does not answer under that name",
    /// The request comes from a page of another site.
    ForbiddenOrigin = 7 "forbidden_origin" FORBIDDEN "Pages of other sites may not call this server",
    /// The request names no token that is known.
    Unauthorized = 8 "unauthorized" UNAUTHORIZED "A valid token is needed",
    /// The token's role does not allow this.
    Forbidden = 9 "forbidden" FORBIDDEN "The role of this token does not allow that",
    /// The definition has faults.
    InvalidDefinition = 10 "invalid_definition" UNPROCESSABLE_ENTITY "The definition has faults",
    /// The inputs do not fit the definition.
    InvalidInputs = 11 "invalid_inputs" UNPROCESSABLE_ENTITY "The inputs do not fit the definition",
    /// There is no definition of this name.
    NoSuchDefinition = 12 "no_such_definition" NOT_FOUND "There is no such definition",
    /// There is no workflow of this id.
    NoSuchWorkflow = 13 "no_such_workflow" NOT_FOUND "There is no such workflow",
    /// The events and tasks of the workflow were purged.
    Purged = 14 "purged" GONE "The workflow was purged",
    /// The workflow cannot be purged yet.
    StillNeeded = 15 "still_needed" CONFLICT "The workflow is still needed",
    /// The name and version stand for other content.
    OtherContent = 16 "other_content" CONFLICT "This version stands for other content",
    /// The revision was not reached in the time that the request gives.
    NotReached = 17 "revision_not_reached" GATEWAY_TIMEOUT "The revision was not reached in time",
    /// The server has as much to do as it takes on.
    Overloaded = 18 "overloaded" SERVICE_UNAVAILABLE "The server has too much to do",
    /// The request took longer than a request may.
    TimedOut = 19 "timed_out" SERVICE_UNAVAILABLE "The request took too long",
    /// The server is shutting down.
    Draining = 20 "draining" SERVICE_UNAVAILABLE "The server is shutting down",
    /// The owner of the store ended before it answered.
    OwnerEnded = 21 "owner_ended" SERVICE_UNAVAILABLE "The owner of the store has ended",
    /// The store could not be read or written.
    Store = 22 "store" SERVICE_UNAVAILABLE "The store does not answer",
    /// What the store holds is not what was written.
    StoreDamaged = 23 "store_damaged" INTERNAL_SERVER_ERROR "The store is damaged",
    /// A fault of Baton itself.
    Internal = 24 "internal" INTERNAL_SERVER_ERROR "Baton has a fault",
    /// Events behind a cursor were purged: what is missing cannot be told.
    EventsPurged = 25 "events_purged" GONE "Events behind this cursor were purged",
    /// A cursor names a position that the journal has not reached.
    CursorAhead = 26 "cursor_ahead" BAD_REQUEST "The cursor lies ahead of the newest event",
    /// Another request was sent under the same key.
    KeyReused = 70 "idempotency_key_reused" UNPROCESSABLE_ENTITY "This key was used for another request",
    /// A token that holds has this name.
    TokenExists = 71 "token_exists" CONFLICT "There is a token of this name",
    /// No token that holds has this name.
    NoSuchToken = 72 "no_such_token" NOT_FOUND "There is no such token",
    /// No server of tools of this name is configured and enabled.
    NoSuchServer = 74 "no_such_server" NOT_FOUND "There is no such server",
    /// An event that is sent is not a CloudEvent as it is taken in here.
    InvalidEvent = 73 "invalid_event" BAD_REQUEST "The event is not well-formed",
    /// As many attempts to log in are under way as are looked at.
    TooManyAttempts = 80 "too_many_attempts" TOO_MANY_REQUESTS "Too many attempts to log in are under way",
    /// There is no conversation of this id.
    NoSuchConversation = 90 "no_such_conversation" NOT_FOUND "There is no such conversation",
    /// There is a conversation of this id.
    ConversationExists = 91 "conversation_exists" CONFLICT "There is a conversation of this id already",
    /// Only who began a conversation, and who has taken it over, may write in it.
    NotYours = 92 "not_yours" FORBIDDEN "This conversation is somebody else's",
    /// Somebody else has taken the conversation over, or nobody has.
    Claimed = 93 "claimed" CONFLICT "That is for whoever has taken the conversation over",
    /// Nothing of this key is asked.
    NoSuchQuestion = 94 "no_such_question" CONFLICT "That is not asked, or not any more",
    /// Nothing is being done that could be stopped.
    NothingToStop = 95 "nothing_to_stop" CONFLICT "Nothing is being done",
    /// The conversation is closed already.
    AlreadyClosed = 96 "already_closed" CONFLICT "The conversation is closed already",
    /// Too many workflows of the conversation have not ended.
    TooManyOpen = 97 "too_many_open" CONFLICT "Too many workflows of this conversation have not ended",
    /// The run has ended.
    AlreadyEnded = 40 "already_ended" CONFLICT "The run has ended",
    /// The run has not ended.
    NotEnded = 41 "not_ended" CONFLICT "The run has not ended",
    /// The workflow is not offered for review.
    NotInReview = 42 "not_in_review" CONFLICT "The workflow does not wait for a review",
    /// The plan was looked at at another revision.
    StaleRevision = 43 "stale_revision" CONFLICT "The plan has changed since it was looked at",
    /// The workflow is not running.
    NotRunning = 44 "not_running" CONFLICT "The workflow is not running",
    /// The workflow is not paused.
    NotPaused = 45 "not_paused" CONFLICT "The workflow is not paused",
    /// The workflow is being cancelled already.
    AlreadyCancelling = 46 "already_cancelling" CONFLICT "The workflow is being cancelled already",
    /// There is no such task.
    NoSuchTask = 47 "no_such_task" NOT_FOUND "There is no such task",
    /// The attempt is over.
    StaleAttempt = 48 "stale_attempt" CONFLICT "That attempt is over",
    /// The task cannot start now.
    NotReady = 49 "not_ready" CONFLICT "The task cannot start now",
    /// The task does not wait for that.
    NotWaiting = 50 "not_waiting" CONFLICT "The task does not wait for that",
    /// The answer does not fit the question.
    InvalidAnswer = 51 "invalid_answer" UNPROCESSABLE_ENTITY "The answer does not fit the question",
    /// Everything completed.
    NothingToRetry = 52 "nothing_to_retry" CONFLICT "There is nothing to do again",
    /// Calls have not ended or are in doubt.
    NotSettled = 53 "not_settled" CONFLICT "Some calls have not ended or are in doubt",
    /// The workflow would have more tasks than it may.
    TooManyTasks = 54 "too_many_tasks" UNPROCESSABLE_ENTITY "The workflow would have too many tasks",
    /// The edited plan is the plan as it is.
    NothingChanged = 55 "nothing_changed" CONFLICT "The edit changes nothing",
    /// The plan was edited as often as it may be.
    TooManyEdits = 56 "too_many_edits" CONFLICT "The plan was edited too often",
    /// There is no such edit.
    NoSuchEdit = 57 "no_such_edit" NOT_FOUND "There is no such edit",
    /// Later edits stand on it, or it was undone.
    NotNewestEdit = 58 "not_newest_edit" CONFLICT "Only the newest edit can be undone",
    /// An edit changes what a plan does, not which definition it is of.
    OtherDefinition = 60 "other_definition" UNPROCESSABLE_ENTITY "The edit is of another definition",
    /// A JSON Patch cannot be carried out.
    InvalidPatch = 59 "invalid_patch" UNPROCESSABLE_ENTITY "The patch cannot be carried out",
}

impl From<Refusal> for ProblemCode {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AlreadyEnded => Self::AlreadyEnded,
            Refusal::NotEnded => Self::NotEnded,
            Refusal::NotInReview => Self::NotInReview,
            Refusal::StaleRevision => Self::StaleRevision,
            Refusal::NotRunning => Self::NotRunning,
            Refusal::NotPaused => Self::NotPaused,
            Refusal::AlreadyCancelling => Self::AlreadyCancelling,
            Refusal::NoSuchTask => Self::NoSuchTask,
            Refusal::StaleAttempt => Self::StaleAttempt,
            Refusal::NotReady | Refusal::NoRoom | Refusal::NotCounted => Self::NotReady,
            Refusal::NotWaiting => Self::NotWaiting,
            Refusal::InvalidAnswer => Self::InvalidAnswer,
            Refusal::NothingToRetry => Self::NothingToRetry,
            Refusal::NotSettled => Self::NotSettled,
            Refusal::TooManyTasks => Self::TooManyTasks,
            Refusal::OtherDefinition => Self::OtherDefinition,
            Refusal::NothingChanged => Self::NothingChanged,
            Refusal::TooManyEdits => Self::TooManyEdits,
            Refusal::NoSuchEdit => Self::NoSuchEdit,
            Refusal::NotNewestEdit => Self::NotNewestEdit,
        }
    }
}

impl ProblemCode {
    fn of_conversation(refusal: &conversation::Refusal) -> Self {
        match refusal {
            conversation::Refusal::NotYours { .. } => Self::NotYours,
            conversation::Refusal::NotAllowed => Self::Forbidden,
            conversation::Refusal::AlreadyClaimed { .. } | conversation::Refusal::NotClaimed => {
                Self::Claimed
            }
            conversation::Refusal::NoSuchQuestion { .. } => Self::NoSuchQuestion,
            conversation::Refusal::InvalidAnswer { .. } => Self::InvalidAnswer,
            conversation::Refusal::StalePlanning => Self::StaleAttempt,
            conversation::Refusal::NothingToStop => Self::NothingToStop,
            conversation::Refusal::AlreadyClosed => Self::AlreadyClosed,
            conversation::Refusal::Empty | conversation::Refusal::TooLong { .. } => {
                Self::InvalidRequest
            }
            conversation::Refusal::NotProposed => Self::NotInReview,
            conversation::Refusal::TooManyOpen { .. } => Self::TooManyOpen,
        }
    }
}

impl From<&Gone> for ProblemCode {
    fn from(gone: &Gone) -> Self {
        match gone {
            Gone::OwnerEnded => Self::OwnerEnded,
            Gone::Declined(declined) => declined.into(),
        }
    }
}

impl From<&Declined> for ProblemCode {
    fn from(declined: &Declined) -> Self {
        match declined {
            Declined::Refused(refusal) => (*refusal).into(),
            Declined::NoSuchWorkflow(_) => Self::NoSuchWorkflow,
            Declined::Purged(_) => Self::Purged,
            Declined::StillNeeded { .. } => Self::StillNeeded,
            Declined::OtherContent { .. } => Self::OtherContent,
            Declined::NoSuchDefinition(_) => Self::NoSuchDefinition,
            Declined::Conversation(refusal) => Self::of_conversation(refusal),
            Declined::NoSuchConversation(_) => Self::NoSuchConversation,
            Declined::ConversationExists(_) => Self::ConversationExists,
            Declined::TokenExists(_) => Self::TokenExists,
            Declined::NoSuchToken(_) => Self::NoSuchToken,
            Declined::KeyReused => Self::KeyReused,
            Declined::Draining => Self::Draining,
            Declined::TooManyWaiting => Self::Overloaded,
            Declined::Store(_) => Self::Store,
        }
    }
}

impl From<&StoreError> for ProblemCode {
    fn from(fault: &StoreError) -> Self {
        match fault {
            StoreError::Conflict(_) | StoreError::Unavailable(_) => Self::Store,
            StoreError::Corrupt(_) => Self::StoreDamaged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::codes::Code;

    #[test]
    fn every_code_has_its_page_and_no_page_is_of_none() {
        for code in ProblemCode::ALL {
            let says =
                format!("# `{code}`\n\n{} (status {}).\n", code.title(), code.status().as_u16());
            assert!(code.page().starts_with(&says), "{code}: {says}");
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), ProblemCode::ALL.len());
    }

    #[test]
    fn every_refusal_is_answered_under_its_own_word() {
        for refusal in Refusal::ALL {
            // Why the engine does not start a task yet is told to nobody.
            let is_inner = matches!(refusal, Refusal::NoRoom | Refusal::NotCounted);
            let told = if is_inner { Refusal::NotReady } else { *refusal };
            assert_eq!(ProblemCode::from(*refusal).word(), told.word());
        }
    }
}
