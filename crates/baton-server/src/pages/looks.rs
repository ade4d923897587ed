//! How a status looks: an icon, a class of colour and a word, so that colour is never the only sign.
//!
//! The words themselves are core's; what a status means for whoever looks is told by its tone.

use baton_core::codes::Code;
use baton_core::words::{
    AttemptStatus, ConversationStatus, Doing, StageStatus, TaskStatus, WaitReason, WorkflowStatus,
};

/// What a status means for the person who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    /// A person must act.
    Needs,
    /// Something moves.
    Moving,
    /// Nothing moves until something outside happens.
    Held,
    /// Nothing has happened yet.
    Idle,
    /// It ended well.
    Good,
    /// It ended, and not all of it well.
    Mixed,
    /// It failed.
    Bad,
    /// It will not be done.
    Off,
}

impl Tone {
    /// The class of the stylesheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::Moving => "moving",
            Self::Held => "held",
            Self::Idle => "idle",
            Self::Good => "good",
            Self::Mixed => "mixed",
            Self::Bad => "bad",
            Self::Off => "off",
        }
    }

    /// The outline of the icon, in a square of 16; each differs in shape.
    pub fn icon(self) -> &'static str {
        match self {
            Self::Needs => "M8 3v6M8 12.4v.6",
            Self::Moving => "M5.5 3.5v9l7-4.5z",
            Self::Held => "M8 4.6V8l2.4 1.8M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2",
            Self::Idle => "M8 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8",
            Self::Good => "M3 8.5l3.5 3.5L13 4.5",
            Self::Mixed => "M8 2.5l6 11H2zM8 6.6v3M8 11.4v.4",
            Self::Bad => "M4 4l8 8M12 4l-8 8",
            Self::Off => "M3.5 8h9",
        }
    }
}

/// A status as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What it means.
    pub tone: Tone,
    /// Its word.
    pub word: String,
}

impl Look {
    fn new(tone: Tone, word: &str) -> Self {
        Self { tone, word: word.replace('_', " ") }
    }

    /// A workflow's. One that waits for people says so instead of `running`.
    pub fn of_workflow(status: WorkflowStatus, waiting_people: u32) -> Self {
        let tone = match status {
            WorkflowStatus::PendingReview => Tone::Needs,
            WorkflowStatus::Running | WorkflowStatus::Cancelling if waiting_people > 0 => {
                return Self::new(Tone::Needs, "needs you");
            }
            WorkflowStatus::Running | WorkflowStatus::Cancelling => Tone::Moving,
            WorkflowStatus::Paused => Tone::Held,
            WorkflowStatus::Draft | WorkflowStatus::Queued => Tone::Idle,
            WorkflowStatus::Completed => Tone::Good,
            WorkflowStatus::CompletedWithErrors => Tone::Mixed,
            WorkflowStatus::Failed => Tone::Bad,
            WorkflowStatus::Cancelled => Tone::Off,
        };
        Self::new(tone, status.word())
    }

    /// A conversation's.
    pub fn of_conversation(status: ConversationStatus, doing: Doing) -> Self {
        let (tone, word) = match (status, doing) {
            (ConversationStatus::Closed, Doing::Escalated | Doing::Idle) => (Tone::Off, "closed"),
            (ConversationStatus::Active, Doing::Escalated) => (Tone::Needs, "escalated"),
            (_, Doing::WaitingForUser) => (Tone::Needs, "needs you"),
            (_, Doing::Working) => (Tone::Moving, "working"),
            (ConversationStatus::Active, Doing::Idle) => (Tone::Idle, "at rest"),
        };
        Self::new(tone, word)
    }

    /// A task's, with what it waits for.
    pub fn of_task(status: TaskStatus, waits_for: Option<WaitReason>) -> Self {
        let tone = match status {
            TaskStatus::Pending | TaskStatus::Ready => Tone::Idle,
            TaskStatus::Executing => Tone::Moving,
            TaskStatus::Waiting => return Self::of_wait(waits_for),
            TaskStatus::Completed => Tone::Good,
            TaskStatus::Failed => Tone::Bad,
            TaskStatus::Skipped | TaskStatus::Cancelled => Tone::Off,
        };
        Self::new(tone, status.word())
    }

    fn of_wait(waits_for: Option<WaitReason>) -> Self {
        let (tone, word) = match waits_for {
            Some(WaitReason::Person) => (Tone::Needs, "waits for you"),
            Some(WaitReason::InDoubt) => (Tone::Needs, "in doubt"),
            Some(WaitReason::Approval) => (Tone::Needs, "waits for approval"),
            Some(WaitReason::Budget) => (Tone::Needs, "waits for budget"),
            Some(WaitReason::Event) => (Tone::Held, "waits for an event"),
            Some(WaitReason::Timer) => (Tone::Held, "waits for its time"),
            Some(WaitReason::Child) => (Tone::Held, "waits for its workflow"),
            None => (Tone::Held, TaskStatus::Waiting.word()),
        };
        Self::new(tone, word)
    }

    /// A stage's.
    pub fn of_stage(status: StageStatus) -> Self {
        let tone = match status {
            StageStatus::Pending => Tone::Idle,
            StageStatus::Running => Tone::Moving,
            StageStatus::Completed => Tone::Good,
            StageStatus::CompletedWithErrors => Tone::Mixed,
            StageStatus::Failed => Tone::Bad,
            StageStatus::Skipped | StageStatus::Cancelled => Tone::Off,
        };
        Self::new(tone, status.word())
    }

    /// An attempt's.
    pub fn of_attempt(status: AttemptStatus) -> Self {
        let tone = match status {
            AttemptStatus::Executing => Tone::Moving,
            AttemptStatus::Completed => Tone::Good,
            AttemptStatus::Failed | AttemptStatus::TimedOut => Tone::Bad,
            AttemptStatus::Lost => Tone::Mixed,
            AttemptStatus::Cancelled => Tone::Off,
        };
        Self::new(tone, status.word())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TONES: [Tone; 8] = [
        Tone::Needs,
        Tone::Moving,
        Tone::Held,
        Tone::Idle,
        Tone::Good,
        Tone::Mixed,
        Tone::Bad,
        Tone::Off,
    ];

    #[test]
    fn no_two_tones_share_a_shape_or_a_class() {
        let icons: HashSet<_> = TONES.iter().map(|tone| tone.icon()).collect();
        let classes: HashSet<_> = TONES.iter().map(|tone| tone.class()).collect();
        assert_eq!((icons.len(), classes.len()), (TONES.len(), TONES.len()));
    }

    #[test]
    fn whoever_is_waited_for_is_told_so() {
        let look = Look::of_workflow(WorkflowStatus::Running, 1);
        assert_eq!((look.tone, look.word.as_str()), (Tone::Needs, "needs you"));
        for status in WorkflowStatus::ALL.iter().filter(|status| status.is_terminal()) {
            assert_ne!(Look::of_workflow(*status, 1).tone, Tone::Needs, "{status}");
        }
        let waits = WaitReason::ALL.iter().map(|on| Look::of_task(TaskStatus::Waiting, Some(*on)));
        assert_eq!(waits.filter(|look| look.tone == Tone::Needs).count(), 4);
    }
}
