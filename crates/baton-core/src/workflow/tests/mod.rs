//! The rules of a workflow, told as stories: given these events, when this command, then these
//! events or this refusal. The words of the stories stand here; the stories beside it.
//!
//! Nothing here drives an engine or a store: those have tests of their own.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a story names the one variant it is about; any other fails it"
)]

mod asks;
mod attempts;
mod books;
mod each;
mod edits;
mod failures;
mod golden;
mod laws;
mod limits;
mod people;
mod questions;
mod reach;
mod readiness;
mod retries;
mod runs;
mod talks;
mod turns;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::event::{
    Approved, AttemptFailed, CancelRequested, Paused, Resumed, Started, TaskCancelled,
    TaskCompleted, TaskExpanded, TaskFailed, TaskSkipped, TaskWaited,
};
use super::question::{Answer, Question, Withdrawal};
use super::{
    Admitted, AskedCall, Command, Event, Finished, Graph, Kept, Lease, Next, Outcome, Output,
    PauseCause, QuestionAnswered, QuestionAsked, QuestionWithdrawn, Refusal, RoomFor, TaskStarted,
    TurnAnswer, Waiting, WorkflowState,
};
use crate::agent::{PERSON_ASK, Usage, asked_of_person};
use crate::body::{BlobHash, Body, Json};
use crate::failure::CallFailure;
use crate::ids::{ConversationId, Ordinal, WorkflowId};
use crate::plan::{
    AgentCall, AgentLimits, Budget, Child, Each, Emit, Ends, Human, ModelSpec, OfferedTool, Plan,
    Retry, Stage, TaskPlan, ToolCall, Wait, Work, WorkerCall,
};
use crate::time::{Moment, Span, Timestamp};
use crate::words::{
    AttemptStatus, Compaction, Effect, FailureKind, Happened, HumanKind, OnFailure, Origin,
    Permission, ProgressMethod, SkipCause, TaskStatus,
};

const EPOCH: i64 = 1_800_000_000_000;

fn second(n: u64) -> Timestamp {
    Timestamp::from_millis(EPOCH).plus(Duration::from_secs(n))
}

/// A story under way: the state after what was given, and the second its next event falls in.
#[derive(Clone)]
struct Story {
    state: WorkflowState,
    clock: u64,
    entropy: u64,
}

/// A workflow of this plan, admitted and started.
fn given(plan: Plan) -> Story {
    admitted(plan, |_| {}).after([Started {}.into()])
}

/// A workflow of this plan, admitted with what `change` says otherwise.
fn admitted(plan: Plan, change: impl FnOnce(&mut Admitted)) -> Story {
    let moment = Moment::new(second(0), 7);
    let mut event = Admitted {
        user: None,
        reports_to: None,
        project: None,
        hops: 0,
        id: WorkflowId::new(&moment, 1),
        conversation: ConversationId::new(&moment, 2),
        origin: Origin::Cli,
        priority: 5,
        plan: BlobHash::of(b"plan"),
        inputs: body(json!({})),
        folder: None,
        review: false,
        parent: None,
        fork_of: None,
        fork_position: None,
        kept: Vec::new(),
    };
    change(&mut event);
    let graph = Arc::new(Graph::of(&plan));
    Story {
        state: WorkflowState::admitted(&event, Arc::new(plan), graph, second(0)),
        clock: 0,
        entropy: 7,
    }
}

impl Story {
    /// And then these events happened, one a second.
    fn after(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        for event in events {
            self.clock += 1;
            self.state.evolve(&event, second(self.clock));
        }
        self
    }

    fn moment(&self) -> Moment {
        Moment::new(second(self.clock), self.entropy)
    }

    fn when(self, command: Command) -> Told {
        let decision = self.state.decide(&command, &self.moment());
        Told { story: self, decision }
    }

    /// The command and every consequence of it, applied.
    #[track_caller]
    fn does(mut self, command: Command) -> Self {
        let decision = self.state.decide(&command, &self.moment());
        self = self.after(decision.expect("the command is not refused"));
        self.settled()
    }

    /// Draws every consequence that needs nobody: as the engine does after each command.
    fn settled(mut self) -> Self {
        for _ in 0..1000 {
            let events = self.state.decide(&Command::Advance, &self.moment());
            let events = events.expect("advancing is never refused");
            if events.is_empty() {
                return self;
            }
            self = self.after(events);
        }
        panic!("consequences without end at {:?}", self.state.phase);
    }

    /// Ends the run with `null` as its output.
    #[track_caller]
    fn finishes(self) -> Self {
        self.does(Command::Finish { output: Ok(Body::null()) })
    }

    #[track_caller]
    fn status_of(&self, task: u32) -> TaskStatus {
        self.state.task(Ordinal(task)).expect("it exists").phase.status()
    }

    /// The statuses of all tasks, as their words.
    fn statuses(&self) -> Vec<String> {
        let words = self.state.tasks().iter();
        words.map(|task| task.phase.status().to_string()).collect()
    }

    fn ready(&self) -> Vec<u32> {
        let tasks = self.state.tasks().iter().zip(0..);
        tasks.filter(|(task, _)| task.phase.status() == TaskStatus::Ready).map(|(_, n)| n).collect()
    }

    fn outcome(&self) -> &Outcome {
        &self.state.ended().expect("the run has ended").outcome
    }
}

/// A story with a decision to be judged.
struct Told {
    story: Story,
    decision: Result<Vec<Event>, Refusal>,
}

impl Told {
    #[track_caller]
    fn then(self, events: impl IntoIterator<Item = Event>) -> Story {
        let expected: Vec<Event> = events.into_iter().collect();
        assert_eq!(self.decision, Ok(expected.clone()));
        self.story.after(expected)
    }

    #[track_caller]
    fn refused(self, refusal: Refusal) -> Story {
        assert_eq!(self.decision, Err(refusal));
        self.story
    }
}

// Plans.

fn plan(tasks: impl IntoIterator<Item = TaskPlan>) -> Plan {
    stages([tasks.into_iter().collect()])
}

fn stages(stages: impl IntoIterator<Item = Vec<TaskPlan>>) -> Plan {
    let mut plan = Plan {
        triggers: Vec::new(),
        name: "story".to_owned(),
        version: 1,
        description: None,
        examples: Vec::new(),
        inputs: None,
        time_max: None,
        budget: Budget::default(),
        progress: ProgressMethod::AgentBased,
        stages: Vec::new(),
        tasks: Vec::new(),
        output: None,
    };
    for (tasks, n) in stages.into_iter().zip(0..) {
        plan.stages.push(Stage { name: format!("stage-{n}"), weight: 1, milestones: Vec::new() });
        let staged = tasks.into_iter().map(|task| TaskPlan { stage: n, ..task });
        plan.tasks.extend(staged);
    }
    plan
}

fn task(key: &str, work: Work) -> TaskPlan {
    TaskPlan {
        key: key.to_owned(),
        title: None,
        stage: 0,
        needs: None,
        when: None,
        each: None,
        on_failure: OnFailure::Fail,
        retry: Retry::default(),
        timeout: None,
        concurrency_key: None,
        rate_key: None,
        priority: None,
        permission: Permission::ReadOnly,
        work,
        fallback: Vec::new(),
        probe: None,
    }
}

fn call(effect: Effect) -> ToolCall {
    ToolCall { tool: "core.noop".to_owned(), with: json!({}), effect }
}

fn tool(key: &str) -> TaskPlan {
    task(key, Work::Tool(call(Effect::Read)))
}

fn effectful(key: &str, effect: Effect) -> TaskPlan {
    task(key, Work::Tool(call(effect)))
}

fn worker(key: &str, effect: Effect) -> TaskPlan {
    let worker_type = "gpu".to_owned();
    task(key, Work::Worker(WorkerCall { worker_type, with: json!({}), effect }))
}

fn once(key: &str) -> TaskPlan {
    effectful(key, Effect::Once)
}

fn human(kind: HumanKind) -> TaskPlan {
    let form = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    task(
        "human",
        Work::Human(Human {
            kind,
            ask: Some("Well?".to_owned()),
            form: (kind == HumanKind::Form).then_some(form),
            options: vec!["left".to_owned(), "right".to_owned()],
        }),
    )
}

fn wait_for(seconds: u64) -> TaskPlan {
    task("wait", Work::Wait(Wait::For(Span(Duration::from_secs(seconds)))))
}

/// An agent with two models and two tools: one reads, one does something once.
fn agent(key: &str) -> TaskPlan {
    let offered = |name: &str, effect| OfferedTool {
        name: name.to_owned(),
        description: "A tool.".to_owned(),
        input: json!({ "type": "object" }),
        effect,
        approval: None,
        ends: Ends::Call,
    };
    let call = AgentCall {
        agent: "reviewer".to_owned(),
        models: ["scripted/one", "scripted/two"].map(ModelSpec::named).to_vec(),
        instructions: Some("Be brief.".to_owned()),
        prompt: "Well?".to_owned(),
        tools: vec![offered("fs.read", Effect::Read), offered("mail.send", Effect::Once)],
        output: None,
        limits: AgentLimits { turns_max: 6, calls_max: 9, asks_max: 1, ..AgentLimits::default() },
        compaction: Compaction::default(),
        alternatives: Vec::new(),
    };
    task(key, Work::Agent(call))
}

fn emit() -> TaskPlan {
    task("emit", Work::Emit(Emit { event_type: "design.requested".to_owned(), data: json!({}) }))
}

fn child() -> TaskPlan {
    task(
        "child",
        Work::Workflow(Child {
            name: "inner".to_owned(),
            version: 1,
            with: json!({}),
            plan: Box::new(plan([tool("inner")])),
        }),
    )
}

impl TaskPlan {
    fn needs(self, needs: impl IntoIterator<Item = u32>) -> Self {
        let needs = Some(needs.into_iter().map(Ordinal).collect());
        Self { needs, ..self }
    }

    fn on_failure(self, on_failure: OnFailure) -> Self {
        Self { on_failure, ..self }
    }

    fn each(self, concurrency: Option<u32>) -> Self {
        let list = json!("{{ inputs.list }}");
        Self { each: Some(Each { list, concurrency }), ..self }
    }

    fn retry(self, attempts_max: u32, backoff: u64, max: u64) -> Self {
        let (backoff, max) = (Duration::from_secs(backoff), Duration::from_secs(max));
        Self { retry: Retry { attempts_max, backoff: Span(backoff), max: Span(max) }, ..self }
    }

    fn fallback(self, effects: impl IntoIterator<Item = Effect>) -> Self {
        let fallback = effects.into_iter().map(call).collect();
        Self { fallback, ..self }
    }
}

// Values, failures, events and commands, in few words.

fn body(value: Value) -> Body {
    Body::Inline(Json::of(&value))
}

fn failure(happened: Happened) -> CallFailure {
    CallFailure { happened, ..CallFailure::refused(FailureKind::Refused, "no") }
}

fn passing() -> CallFailure {
    CallFailure::passing(FailureKind::Unavailable, "busy")
}

fn unknown() -> CallFailure {
    CallFailure::in_doubt(FailureKind::Lost, "gone")
}

fn started(task: u32, attempt: u32) -> Event {
    started_on(0, task, attempt)
}

fn started_on(rung: u32, task: u32, attempt: u32) -> Event {
    TaskStarted { task: Ordinal(task), attempt, input: None, lease: None, rung, model: None }.into()
}

fn done(task: u32) -> Event {
    let output = Output::Value(body(json!(task)));
    TaskCompleted { task: Ordinal(task), output }.into()
}

fn failed(task: u32) -> Event {
    failed_by(task, AttemptStatus::Failed, failure(Happened::No))
}

fn failed_by(task: u32, status: AttemptStatus, failure: CallFailure) -> Event {
    let (task, status) = (Ordinal(task), Some(status));
    TaskFailed { task, status, failure }.into()
}

fn gave_up(task: u32, failure: CallFailure) -> Event {
    let (task, status) = (Ordinal(task), None);
    TaskFailed { task, status, failure }.into()
}

fn attempt_failed(task: u32, attempt: u32, failure: CallFailure, next: Next) -> Event {
    let (task, status) = (Ordinal(task), AttemptStatus::Failed);
    AttemptFailed { task, attempt, status, failure, next }.into()
}

fn waited(task: u32, on: Waiting) -> Event {
    TaskWaited { task: Ordinal(task), on }.into()
}

fn skipped(task: u32, cause: SkipCause) -> Event {
    TaskSkipped { task: Ordinal(task), cause }.into()
}

fn cancelled(task: u32) -> Event {
    TaskCancelled { task: Ordinal(task) }.into()
}

fn expanded(task: u32, first: u32, count: u32) -> Event {
    TaskExpanded { task: Ordinal(task), first: Ordinal(first), count, list: list(count) }.into()
}

fn gathered(task: u32, first: u32, count: u32) -> Event {
    let output = Output::Items { first: Ordinal(first), count };
    TaskCompleted { task: Ordinal(task), output }.into()
}

fn list(count: u32) -> Body {
    body((0..count).collect())
}

fn person() -> Waiting {
    Waiting::Person { ask: "Well?".to_owned() }
}

fn start(task: u32) -> Command {
    Command::StartTask { task: Ordinal(task), input: None, lease: None, room: RoomFor::default() }
}

fn prompt(text: &str) -> Body {
    body(json!({ "user": [{ "text": text }] }))
}

/// A call of `fs.read` with this path.
fn wants(path: &str) -> AskedCall {
    AskedCall {
        id: format!("call-{path}"),
        tool: "fs.read".to_owned(),
        effect: Effect::Read,
        input: body(json!({ "path": path })),
        refused: None,
        approval: None,
        asks: None,
    }
}

/// A call that asks a person for a size.
fn wants_answer(question: &str) -> AskedCall {
    let form = json!({ "type": "object", "properties": { "size": { "type": "integer" } } });
    let arguments = json!({ "question": question, "form": form });
    let asks = asked_of_person(&arguments).expect("it can be asked");
    let tool = PERSON_ASK.to_owned();
    AskedCall { tool, input: body(arguments), asks: Some(asks), ..wants(question) }
}

/// A call of a tool that ends the task of the agent which [`may_end`].
fn wants_end(path: &str) -> AskedCall {
    AskedCall { tool: "plan.propose".to_owned(), ..wants(path) }
}

/// The same agent's task, whose agent is offered a tool that ends it as well.
fn may_end(mut task: TaskPlan) -> TaskPlan {
    if let Work::Agent(agent) = &mut task.work {
        let read = agent.tools.first().expect("it has tools").clone();
        let name = "plan.propose".to_owned();
        agent.tools.push(OfferedTool { name, ends: Ends::Task, ..read });
    }
    task
}

/// An answer that asks for these calls; with none, it is the output `"done"`.
fn says(calls: impl IntoIterator<Item = AskedCall>) -> TurnAnswer {
    TurnAnswer {
        message: body(json!({ "assistant": [{ "text": "Hm." }] })),
        usage: Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() },
        calls: calls.into_iter().collect(),
        output: Ok(body(json!("done"))),
    }
}

fn answer(task: u32, attempt: u32, answer: TurnAnswer) -> Command {
    Command::Answer { task: Ordinal(task), attempt, answer }
}

fn lease(task: u32) -> Command {
    Command::StartTask {
        task: Ordinal(task),
        input: None,
        lease: Some(by_ada()),
        room: RoomFor::default(),
    }
}

fn leased(task: u32, attempt: u32) -> Event {
    TaskStarted {
        task: Ordinal(task),
        attempt,
        input: None,
        lease: Some(by_ada()),
        rung: 0,
        model: None,
    }
    .into()
}

fn by_ada() -> Lease {
    Lease { worker: "ada".into(), span: Duration::from_secs(30), key: Some("gpu-0".into()) }
}

fn complete(task: u32, attempt: u32) -> Command {
    let output = body(json!(task));
    Command::Complete { task: Ordinal(task), attempt, output }
}

fn fail(task: u32, attempt: u32, failure: CallFailure) -> Command {
    fail_by(task, attempt, AttemptStatus::Failed, failure)
}

fn fail_by(task: u32, attempt: u32, status: AttemptStatus, failure: CallFailure) -> Command {
    Command::Fail { task: Ordinal(task), attempt, status, failure }
}

fn suspend(task: u32, attempt: u32, on: Waiting) -> Command {
    Command::Suspend { task: Ordinal(task), attempt, on }
}

fn expand(task: u32, count: u32) -> Command {
    let list = list(count);
    Command::ExpandTask { task: Ordinal(task), count, list }
}

fn respond(task: u32, value: Value) -> Command {
    Command::Respond { task: Ordinal(task), value, by: "ada".to_owned(), question: None }
}

fn size() -> Question {
    let schema = json!({
        "type": "object", "required": ["size"],
        "properties": { "size": { "type": "integer", "minimum": 1 } },
    });
    Question::with_form("How large?", &schema).expect("a form")
}

fn ask(task: u32, attempt: u32) -> Command {
    Command::Ask { task: Ordinal(task), attempt, question: size() }
}

fn asked(task: u32, attempt: u32, number: u32) -> Event {
    let (task, tool) = (Ordinal(task), Some("core.noop".to_owned()));
    QuestionAsked { task, attempt, number, tool, question: size() }.into()
}

fn answered(task: u32, attempt: u32, number: u32, answer: Answer) -> Event {
    QuestionAnswered { task: Ordinal(task), attempt, number, answer }.into()
}

fn withdrawn(task: u32, attempt: u32, number: u32, cause: Withdrawal) -> Event {
    QuestionWithdrawn { task: Ordinal(task), attempt, number, cause }.into()
}

fn of_size(size: u32) -> Answer {
    Answer::Accepted(Json::of(&json!({ "size": size })))
}

fn cancel() -> Command {
    Command::Cancel { reason: None }
}

fn retry(tasks: impl IntoIterator<Item = u32>) -> Command {
    let tasks = tasks.into_iter().map(Ordinal).collect();
    Command::Retry { tasks }
}

fn pause() -> Command {
    Command::Pause { cause: PauseCause::Actor }
}

fn paused() -> Event {
    Paused { cause: PauseCause::Actor }.into()
}

fn resumed() -> Event {
    Resumed {}.into()
}

fn cancel_requested() -> Event {
    CancelRequested { reason: None }.into()
}

fn approved() -> Event {
    Approved {}.into()
}

fn finished(outcome: Outcome) -> Event {
    Finished { outcome }.into()
}

fn finish() -> Command {
    Command::Finish { output: Ok(Body::null()) }
}

fn kept(task: u32) -> Kept {
    let output = Output::Value(body(json!(task)));
    Kept { task: Ordinal(task), output }
}
