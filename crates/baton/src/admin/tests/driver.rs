//! A whole engine on a real store, turn by turn in one thread: what its effects bring is drawn from
//! a seed.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_core::actor::Actor;
use baton_core::agent::Message;
use baton_core::body::{Body, Json};
use baton_core::definition;
use baton_core::failure::CallFailure;
use baton_core::ids::WorkflowId;
use baton_core::plan::{Catalog, Plan, ToolSpec};
use baton_core::time::{Moment, Timestamp};
use baton_core::words::{AttemptStatus, Effect as Class, FailureKind, Origin, Permission};
use baton_core::workflow::Command;
use baton_engine::engine::{Engine, Now, Settings, TakeUp};
use baton_engine::exchange::{
    CallResult, Declined, Effect, Gone, Input, JobKey, Reply, Request, Submit,
};
use baton_engine::live::read_blob;
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Door, ModelAnswer, ModelRequest, Then};
use baton_engine::scope::{render, render_output};
use baton_engine::store::Store;
use baton_engine::turns::{Asking, ModelTurn, heard};
use baton_store::StoreUrl;

/// How a test's calls end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Every call completes.
    Well,
    /// Calls complete, fail, fail for good, or leave a doubt.
    Mixed,
    /// Calls go on and on.
    Hang,
}

pub struct Driver {
    engine: Engine,
    pub store: Box<dyn Store + Send>,
    /// Its file, where it is one.
    pub path: PathBuf,
    pub mood: Mood,
    now: Now,
    inbox: VecDeque<Input>,
    answer: Option<Result<Reply, Declined>>,
    hanging: Vec<JobKey>,
    /// What models answer: an agent's first turn, its second, and so on.
    pub script: Vec<ModelAnswer>,
    /// What models were asked.
    pub prompts: Vec<ModelRequest>,
    /// Which of the calls of models is never answered, from 1.
    pub hangs_at: Option<usize>,
    seed: u64,
}

/// Small workflows have snapshots too.
fn settings() -> Settings {
    Settings { snapshot_events_min: 1, ..Settings::default() }
}

impl Driver {
    /// On an embedded store in this folder.
    pub fn open(folder: &Path, seed: u64) -> Self {
        Self::at(&StoreUrl::Sqlite(folder.join("baton.db")), seed)
    }

    pub fn at(url: &StoreUrl, seed: u64) -> Self {
        let path = match url {
            StoreUrl::Sqlite(path) => path.clone(),
            StoreUrl::Postgres(_) => PathBuf::new(),
        };
        let mut store = baton_store::open(url).expect("a store");
        let now = Now {
            moment: Moment::new(Timestamp::from_millis(1_700_000_000_000), seed),
            uptime: Duration::ZERO,
        };
        let engine = Engine::open(store.as_mut(), settings(), TakeUp::All, now).expect("an engine");
        Self {
            engine,
            store,
            path,
            mood: Mood::Well,
            now,
            inbox: VecDeque::new(),
            answer: None,
            hanging: Vec::new(),
            script: Vec::new(),
            prompts: Vec::new(),
            hangs_at: None,
            seed,
        }
    }

    /// Everything in memory is lost, and another owner takes over.
    pub fn crash(&mut self, take_up: TakeUp) {
        self.inbox.clear();
        self.hanging.clear();
        self.engine =
            Engine::open(self.store.as_mut(), settings(), take_up, self.now).expect("an engine");
    }

    pub fn draw(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn pass(&mut self, span: Duration) {
        let entropy = self.draw(u64::MAX);
        self.now = Now {
            moment: Moment::new(self.now.moment.now.plus(span), entropy),
            uptime: self.now.uptime + span,
        };
    }

    /// One turn over at most this much of what has arrived.
    pub fn turn(&mut self, most: usize) {
        self.pass(Duration::from_millis(1));
        let taken: Vec<Input> = self.inbox.drain(..most.min(self.inbox.len())).collect();
        let turn = self.engine.turn(self.store.as_mut(), self.now, taken);
        if !turn.commit.is_empty() {
            self.store.commit(&turn.commit).expect("a commit");
        }
        for (_, answer) in turn.answers {
            self.answer = Some(answer);
        }
        for effect in turn.effects {
            let input = self.carry_out(effect);
            self.inbox.extend(input);
        }
    }

    /// Goes on until nothing arrives any more and nothing is due for an hour.
    pub fn settle(&mut self) {
        loop {
            self.turn(8);
            if !self.inbox.is_empty() {
                continue;
            }
            match self.engine.rest(self.now) {
                Some(rest) if rest < Duration::from_secs(3_600) => {
                    self.pass(rest + Duration::from_millis(1));
                }
                Some(_) | None => return,
            }
        }
    }

    pub fn ask(&mut self, request: Request) -> Result<Reply, Declined> {
        self.push(request);
        self.answer = None;
        while self.answer.is_none() {
            self.turn(8);
        }
        self.answer.take().expect("an answer")
    }

    /// Lets a request arrive without a turn.
    pub fn push(&mut self, request: Request) {
        self.inbox.push_back(Input::Request { token: 0, actor: Actor::user("tester"), request });
    }

    pub fn command(&mut self, workflow: WorkflowId, command: Command) -> Result<Reply, Declined> {
        self.ask(Request::Command { workflow, command: Box::new(command), blob: None })
    }

    pub fn submit(&mut self, source: &str) -> WorkflowId {
        self.submit_plan(plan(source))
    }

    pub fn submit_plan(&mut self, plan: Plan) -> WorkflowId {
        let admitted = self.ask(submission_of(plan)).expect("admitted");
        let Reply::Workflow { id, .. } = admitted else {
            panic!("not a workflow but {admitted:?}");
        };
        id
    }

    /// Submits and runs to the end of everything.
    pub fn run(&mut self, source: &str) -> WorkflowId {
        let id = self.submit(source);
        self.settle();
        id
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        Some(match effect {
            Effect::Call(call) => {
                let job = call.job;
                let result = self.call(job)?;
                Input::Called { job, result }
            }
            Effect::Cancel(job) => {
                let at = self.hanging.iter().position(|hanging| *hanging == job)?;
                self.hanging.swap_remove(at);
                let failure = CallFailure::refused(FailureKind::Cancelled, "told to end");
                let result = Err((AttemptStatus::Cancelled, failure));
                Input::Called { job, result }
            }
            Effect::Answer { .. } | Effect::TellHeld(_) | Effect::Plan(_) => return None,
            Effect::Count(asking) => Input::Counted { job: asking.job, tokens: None },
            Effect::Ask(asking) => {
                let job = asking.job;
                let turn = self.answer_as_a_model(&asking)?;
                Input::Answered { job, result: Ok(turn) }
            }
            Effect::Snapshot(job) => Input::Snapshot { number: job.number, row: job.row() },
            Effect::Prepare(job) => Input::Prepared {
                number: job.number,
                task: job.task,
                run: job.run,
                result: render(&job, &mut |hash| read_blob(hash, self.store.as_mut())),
            },
            Effect::Probe(job) => {
                Input::Probed { number: job.number, task: job.task, verdict: None }
            }
            Effect::Conclude(job) => {
                let program = &job.loaded.program;
                let result = render_output(program, &job.ingredients, &mut |hash| {
                    read_blob(hash, self.store.as_mut())
                });
                Input::Concluded { number: job.number, result }
            }
        })
    }

    /// What the model answers whose agent has had so many answers; nothing where it hangs.
    fn answer_as_a_model(&mut self, asking: &Asking) -> Option<ModelTurn> {
        let agent = asking.agent().expect("an agent");
        let read = &mut |hash| read_blob(hash, self.store.as_mut());
        let request = asking.request(read).expect("a request");
        let is_answer = |message: &&Message| matches!(message, Message::Assistant(_));
        let before = request.messages.iter().filter(is_answer).count();
        let said = self.script.get(before).or(self.script.last()).expect("a script").clone();
        self.prompts.push(request);
        if self.hangs_at == Some(self.prompts.len()) {
            self.hanging.push(asking.job);
            return None;
        }
        Some(heard(agent, said))
    }

    fn call(&mut self, job: JobKey) -> Option<CallResult> {
        let choice = match self.mood {
            Mood::Well => 0,
            Mood::Mixed => self.draw(12),
            Mood::Hang => 11,
        };
        let failed = |failure| Err((AttemptStatus::Failed, failure));
        Some(match choice {
            0..=6 => {
                // Some are large enough to be kept apart, and some of those are alike.
                let words = [1, 4, 200, 600][self.draw(4) as usize];
                let text: String = match self.draw(4) {
                    0 => "alike ".repeat(words),
                    _ => (0..words).map(|_| format!("{:x}", self.draw(u64::MAX))).collect(),
                };
                Ok(Body::split(Json::of(&serde_json::json!([text, "b", "c"]))))
            }
            7 | 8 => failed(CallFailure::passing(FailureKind::Unavailable, "not now")),
            9 => failed(CallFailure::refused(FailureKind::Denied, "never")),
            10 => failed(CallFailure::in_doubt(FailureKind::Lost, "no answer")),
            _ => {
                self.hanging.push(job);
                return None;
            }
        })
    }
}

/// A request that admits this definition.
pub fn submission(source: &str) -> Request {
    submission_of(plan(source))
}

/// What a definition says.
pub fn plan(source: &str) -> Plan {
    definition::read(source, &Tools::default()).expect("a sound definition")
}

fn submission_of(plan: Plan) -> Request {
    Request::Submit(Box::new(Submit {
        loaded: Arc::new(Loaded::new(plan).expect("a plan that compiles")),
        inputs: (Body::Inline(Json::of(&serde_json::json!({}))), None),
        origin: Origin::Cli,
        priority: 5,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    }))
}

/// The way in to a driver.
pub struct DriverDoor(pub Mutex<Driver>);

impl Door for DriverDoor {
    fn ask(&self, _: &Actor, request: Request, then: Then) {
        let answer = self.0.lock().expect("the driver").ask(request);
        then(answer.map_err(Gone::Declined));
    }

    fn follow(&self, _: Option<u64>, _: Box<dyn FnMut(u64) -> bool + Send>) {}
}

struct Tools(Vec<ToolSpec>);

impl Default for Tools {
    fn default() -> Self {
        let tool = |name: &str, effect| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            effect,
            permission: Permission::ReadOnly,
            input: serde_json::json!({ "type": "object" }),
            output: None,
            quick: true,
        };
        Self(vec![tool("core.noop", Class::Read), tool("test.once", Class::Once)])
    }
}

impl Catalog for Tools {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.0.iter().find(|tool| tool.name == name)
    }

    fn tool_names(&self) -> Vec<&str> {
        self.0.iter().map(|tool| tool.name.as_str()).collect()
    }

    fn definition(&self, name: &str) -> Option<Result<Plan, String>> {
        (name == "child").then(|| definition::read(CHILD, self).map_err(|f| format!("{f:?}")))
    }

    fn permission_max(&self) -> Permission {
        Permission::ReadWrite
    }
}

/// A chain, with a retry and an output.
pub const CHILD: &str = r#"
name: child
version: 1
stages:
  - name: all
    tasks:
      - { id: one, tool: core.noop, retry: { attempts: 2, backoff: 1s, max: 2s } }
      - { id: two, tool: core.noop, needs: [one], with: { value: "{{ tasks.one.output }}" } }
output: "{{ tasks.two.output }}"
"#;

/// One of everything.
pub const EVERYTHING: &str = r#"
name: everything
version: 1
stages:
  - name: gather
    tasks:
      - { id: list, tool: core.noop, retry: { attempts: 3, backoff: 1s, max: 5s } }
      - { id: files, tool: core.noop, each: "{{ tasks.list.output }}", concurrency: 2, needs: [list],
          with: { value: "{{ item }}" }, on_failure: continue }
      - { id: sure, tool: test.once, needs: [], fallback: [ { tool: core.noop } ], on_failure: skip_dependents }
      - { id: after, tool: core.noop, needs: [sure] }
      - { id: never, tool: core.noop, when: "false", needs: [] }
  - name: judge
    tasks:
      - { id: nap, wait: { for: 2s } }
      - { id: heard, wait: { event: "design.*", timeout: 10m }, needs: [], on_failure: continue }
      - { id: tell, emit: { type: design.done, data: { list: "{{ tasks.list.output }}" } } }
      - { id: agree, human: approval, ask: "Go on?", on_failure: continue }
      - { id: below, workflow: child, on_failure: continue }
      - { id: last, tool: core.noop, needs: [agree, below, nap] }
output: "{{ tasks.list.output }}"
"#;

/// Fails when its first call does.
pub const STRICT: &str = r#"
name: strict
version: 1
stages:
  - name: all
    tasks:
      - { id: items, tool: core.noop, each: "{{ [1, 2, 3, 4, 5] }}", with: { value: "{{ item }}" } }
      - { id: side, tool: core.noop, needs: [], retry: { attempts: 4, backoff: 1s, max: 1s } }
      - { id: once, tool: test.once, needs: [items] }
      - { id: end, tool: core.noop, needs: [items, side] }
"#;
