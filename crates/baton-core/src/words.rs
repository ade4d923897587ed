//! The vocabularies of Baton: every status, class and cause, each declared once.
//!
//! Which status may follow which is the machines' business, not this file's.

use crate::codes;

codes! {
    /// Where a workflow's run stands.
    pub enum WorkflowStatus: "workflow_status" {
        /// Being written; not yet offered for review.
        Draft = 0 "draft",
        /// Offered to a person, who approves or sends it back.
        PendingReview = 1 "pending_review",
        /// Admitted; nothing has started.
        Queued = 2 "queued",
        /// Tasks run, or wait for what they need.
        Running = 3 "running",
        /// What runs may end; nothing starts.
        Paused = 4 "paused",
        /// What runs was told to stop and has until its deadline.
        Cancelling = 5 "cancelling",
        /// Every task completed, or was skipped by its `when`.
        Completed = 6 "completed" terminal,
        /// Every task ended and some failed where the plan tolerates it.
        CompletedWithErrors = 7 "completed_with_errors" terminal,
        /// A task failed that the plan cannot do without.
        Failed = 8 "failed" terminal,
        /// Stopped by an actor.
        Cancelled = 9 "cancelled" terminal,
    }
}

codes! {
    /// Where a stage stands; derived from its tasks.
    pub enum StageStatus: "stage_status" {
        /// None of its tasks has started.
        Pending = 0 "pending",
        /// Some of its tasks have started and not all have ended.
        Running = 1 "running",
        /// All of its tasks ended well.
        Completed = 2 "completed" terminal,
        /// All ended, some failed where the plan tolerates it.
        CompletedWithErrors = 3 "completed_with_errors" terminal,
        /// A task failed that the plan cannot do without.
        Failed = 4 "failed" terminal,
        /// Every task was skipped.
        Skipped = 5 "skipped" terminal,
        /// Ended by the cancellation of the workflow.
        Cancelled = 6 "cancelled" terminal,
    }
}

codes! {
    /// Where a task stands.
    pub enum TaskStatus: "task_status" {
        /// Its needs are not met yet.
        Pending = 0 "pending",
        /// Its needs are met; a limit or a pause holds it back.
        Ready = 1 "ready",
        /// An attempt runs.
        Executing = 2 "executing",
        /// Nothing runs; something outside must happen first.
        Waiting = 3 "waiting",
        /// Ended with its output.
        Completed = 4 "completed" terminal,
        /// Ended without; nothing is left to try.
        Failed = 5 "failed" terminal,
        /// Not to be done.
        Skipped = 6 "skipped" terminal,
        /// Ended by the end or the cancellation of its workflow.
        Cancelled = 7 "cancelled" terminal,
    }
}

codes! {
    /// What a waiting task waits for.
    pub enum WaitReason: "wait_reason" {
        /// A person's answer.
        Person = 0 "person",
        /// An event that matches.
        Event = 1 "event",
        /// A moment.
        Timer = 2 "timer",
        /// Room in a budget.
        Budget = 3 "budget",
        /// The approval of one exact call.
        Approval = 4 "approval",
        /// Word of whether a `once` call happened.
        InDoubt = 5 "in_doubt",
        /// The end of a child workflow.
        Child = 6 "child",
    }
}

codes! {
    /// How one execution of a task ended, or that it has not.
    pub enum AttemptStatus: "attempt_status" {
        /// It runs.
        Executing = 0 "executing",
        /// It brought the task's output.
        Completed = 1 "completed" terminal,
        /// It failed, and that is known.
        Failed = 2 "failed" terminal,
        /// It did not end in its time.
        TimedOut = 3 "timed_out" terminal,
        /// Its end is unknown.
        Lost = 4 "lost" terminal,
        /// It was told to stop.
        Cancelled = 5 "cancelled" terminal,
    }
}

codes! {
    /// What repeating a call would do.
    pub enum Effect: "effect" {
        /// Nothing changes, however often.
        Read = 0 "read",
        /// A second call with the same key changes nothing more.
        Idempotent = 1 "idempotent",
        /// A second call would do it twice. What a tool is that declares nothing.
        Once = 2 "once",
    }
}

codes! {
    /// What a task may use.
    pub enum Permission: "permission" {
        /// Tools that declare themselves read-only. The default.
        ReadOnly = 0 "read_only",
        /// Tools that change something as well.
        ReadWrite = 1 "read_write",
    }
}

codes! {
    /// Whether a failed call had its effect.
    pub enum Happened: "happened" {
        /// It did not.
        No = 0 "no",
        /// It did.
        Yes = 1 "yes",
        /// Nobody knows.
        Unknown = 2 "unknown",
    }
}

codes! {
    /// Why a call failed.
    pub enum FailureKind: "failure_kind" {
        /// The input does not fit the tool.
        InvalidInput = 0 "invalid_input",
        /// A template or expression of the task failed on the data at hand.
        Template = 1 "template",
        /// What the call names does not exist.
        NotFound = 2 "not_found",
        /// Outside the declared roots, hosts or permissions.
        Denied = 3 "denied",
        /// Larger than a declared bound.
        TooLarge = 4 "too_large",
        /// Not ended within its time.
        TimedOut = 5 "timed_out",
        /// Told to stop.
        Cancelled = 6 "cancelled",
        /// The process that ran it died, or the connection to it.
        Lost = 7 "lost",
        /// Passing trouble outside: a busy server, a refused connection.
        Unavailable = 8 "unavailable",
        /// The tool says no.
        Refused = 9 "refused",
        /// The output is not what the tool promised.
        InvalidOutput = 10 "invalid_output",
        /// The tool panicked.
        Panicked = 11 "panicked",
        /// A child workflow did not complete.
        Child = 12 "child",
        /// Some items of an `each` did not complete.
        Items = 13 "items",
        /// A person said no.
        Rejected = 14 "rejected",
        /// The awaited event did not come in its time.
        NoEvent = 15 "no_event",
        /// A model's provider takes no more calls just now: too many, or too busy.
        RateLimited = 16 "rate_limited",
        /// The account's quota is used up.
        UsageLimit = 17 "usage_limit",
        /// The transcript does not fit the model's window.
        ContextTooLong = 18 "context_too_long",
        /// An agent repeats itself, or has used up its turns or calls.
        Loop = 19 "loop",
        /// A budget has no room for it.
        Budget = 20 "budget",
    }
}

codes! {
    /// What a model call does for which a budget has no room.
    pub enum AtLimit: "at_limit" {
        /// Its task waits and asks; the workflow goes on. The default.
        Ask = 0 "ask",
        /// Its task fails.
        Stop = 1 "stop",
        /// The next model of the list that costs less takes over; where there is none, it asks.
        CheaperModel = 2 "cheaper_model",
        /// A person takes the task over and gives its output.
        HandOver = 3 "hand_over",
    }
}

codes! {
    /// What becomes of a transcript that outgrows its model's window.
    pub enum Compaction: "compaction" {
        /// The oldest results of calls are left out, then the oldest turns. The default.
        DropOldest = 0 "drop_oldest",
        /// The task fails.
        Fail = 1 "fail",
    }
}

impl WaitReason {
    /// Whether it is a person who must act.
    pub fn is_for_people(self) -> bool {
        match self {
            Self::Person | Self::InDoubt | Self::Approval | Self::Budget => true,
            Self::Event | Self::Timer | Self::Child => false,
        }
    }
}

#[expect(clippy::derivable_impls, reason = "what codes derive is the same for all")]
impl Default for AtLimit {
    fn default() -> Self {
        Self::Ask
    }
}

#[expect(clippy::derivable_impls, reason = "what codes derive is the same for all")]
impl Default for Compaction {
    fn default() -> Self {
        Self::DropOldest
    }
}

codes! {
    /// What a task's failure does to its workflow.
    pub enum OnFailure: "on_failure" {
        /// Nothing more starts, running tasks end, the workflow fails. The default.
        Fail = 0 "fail",
        /// Dependents see `output: null` and go on.
        Continue = 1 "continue",
        /// Dependents are skipped, the rest goes on.
        SkipDependents = 2 "skip_dependents",
    }
}

codes! {
    /// Why a task was skipped.
    pub enum SkipCause: "skip_cause" {
        /// Its `when` is false: it leaves the total, and its dependents' need is met.
        When = 0 "when",
        /// What it needs failed under `skip_dependents`, or was itself skipped so.
        Dependency = 1 "dependency",
    }
}

codes! {
    /// How a workflow came to be.
    pub enum Origin: "origin" {
        /// The command line.
        Cli = 0 "cli",
        /// An API call.
        Api = 1 "api",
        /// A task of another workflow.
        Parent = 2 "parent",
        /// A fork of another workflow.
        Fork = 3 "fork",
        /// A schedule or an event.
        Trigger = 4 "trigger",
        /// A conversation.
        Chat = 5 "chat",
        /// One call of one tool.
        Invoke = 6 "invoke",
    }
}

codes! {
    /// How progress is counted.
    pub enum ProgressMethod: "progress_method" {
        /// Completed tasks of all tasks. The default.
        AgentBased = 0 "agent-based",
        /// The same, stage by stage, by the stages' weights.
        StageWeighted = 1 "stage-weighted",
    }
}

codes! {
    /// Who an actor is.
    pub enum ActorKind: "actor_kind" {
        /// A person.
        User = 0 "user",
        /// A program with a token.
        Client = 1 "client",
        /// An agent of Baton's.
        Agent = 2 "agent",
        /// Baton itself.
        System = 3 "system",
    }
}

codes! {
    /// Whether a call of a model is known to have been billed.
    pub enum Billing: "billing" {
        /// It was answered, and its provider said what it used.
        Answered = 0 "answered",
        /// It was cut off, and may have been billed all the same.
        PossiblyBilled = 1 "possibly_billed",
    }
}

codes! {
    /// What usage is added up by.
    pub enum UsageBy: "usage_by" {
        /// Days in UTC.
        Day = 0 "day",
        /// Models.
        Model = 1 "model",
        /// Agents.
        Agent = 2 "agent",
        /// Tasks, by the keys their plans give them.
        Task = 3 "task",
        /// Workflows.
        Workflow = 4 "workflow",
        /// Conversations.
        Conversation = 5 "conversation",
        /// Who started the workflows.
        User = 6 "user",
    }
}

impl UsageBy {
    /// Whether the newest stands first; names go by the alphabet.
    pub fn is_newest_first(self) -> bool {
        match self {
            Self::Day | Self::Workflow | Self::Conversation => true,
            Self::Model | Self::Agent | Self::Task | Self::User => false,
        }
    }
}

codes! {
    /// What kind of answer a person is asked for.
    pub enum HumanKind: "human_kind" {
        /// Yes or no.
        Approval = 0 "approval",
        /// The fields of a JSON Schema object.
        Form = 1 "form",
        /// One of several options.
        Choice = 2 "choice",
    }
}

codes! {
    /// What becomes of the moments of a schedule that passed while nobody was there.
    pub enum Missed: "missed" {
        /// Nothing.
        Skip = 0 "skip",
        /// One firing stands for all of them. The default.
        Once = 1 "once",
        /// Each fires.
        All = 2 "all",
    }
}

codes! {
    /// What a small record beside the journal's events is about.
    pub enum FactKind: "fact_kind" {
        /// An event from outside was received: no other of its source and id is.
        EventSeen = 1 "event_seen",
        /// When a schedule was last due.
        Schedule = 2 "schedule",
        /// A token, by its name.
        Token = 3 "token",
        /// What a request with an `Idempotency-Key` was answered.
        Remembered = 4 "remembered",
    }
}

codes! {
    /// What a token is good for.
    pub enum Role: "role" {
        /// Everything.
        Admin = 0 "admin",
        /// Starting workflows, and everything that is asked of people.
        Operator = 1 "operator",
        /// Looking.
        Viewer = 2 "viewer",
        /// Leasing tasks and answering for them.
        Worker = 3 "worker",
    }
}

codes! {
    /// Whether a conversation goes on.
    pub enum ConversationStatus: "conversation_status" {
        /// It does.
        Active = 0 "active",
        /// It is over, until somebody says something.
        Closed = 1 "closed",
    }
}

codes! {
    /// What a conversation is doing. The first that holds, in this order.
    pub enum Doing: "doing" {
        /// A person who can do more is needed, or has taken it over.
        Escalated = 0 "escalated",
        /// Somebody must answer, or look at a plan.
        WaitingForUser = 1 "waiting_for_user",
        /// Something is being planned, or runs.
        Working = 2 "working",
        /// Nothing is asked of anybody.
        Idle = 3 "idle",
    }
}

codes! {
    /// Who speaks in a conversation.
    pub enum Speaker: "speaker" {
        /// A person.
        User = 0 "user",
        /// Baton: a playbook, or a model.
        Assistant = 1 "assistant",
    }
}

codes! {
    /// What came of a question of a clarification.
    pub enum ClarificationStatus: "clarification_status" {
        /// Nothing yet.
        Asked = 0 "asked",
        /// A person answered it.
        Answered = 1 "answered" terminal,
        /// A person passed over it.
        Skipped = 2 "skipped" terminal,
        /// A person said: you decide.
        Delegated = 3 "delegated" terminal,
        /// Something else was said meanwhile.
        Superseded = 4 "superseded" terminal,
    }
}

codes! {
    /// What a conversation is about.
    pub enum FocusKind: "focus_kind" {
        /// Everything.
        Workspace = 0 "workspace",
        /// A project.
        Project = 1 "project",
        /// A workflow.
        Workflow = 2 "workflow",
        /// A definition.
        Definition = 3 "definition",
        /// A document.
        Document = 4 "document",
    }
}

codes! {
    /// How planning ended.
    pub enum PlanningEnd: "planning_end" {
        /// With an answer.
        Answered = 0 "answered" terminal,
        /// With questions.
        Asked = 1 "asked" terminal,
        /// With a plan.
        Proposed = 2 "proposed" terminal,
        /// With a workflow that started at once.
        Started = 3 "started" terminal,
        /// With a person who is needed.
        Escalated = 4 "escalated" terminal,
        /// Without anything: it failed, and that was said.
        Failed = 5 "failed" terminal,
        /// It was stopped.
        Stopped = 6 "stopped" terminal,
    }
}
