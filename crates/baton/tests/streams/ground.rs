//! A whole Baton on an embedded store, answering on a free port.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use baton::runtime::{Bounds, Handle, Owner, Parts};
use baton::web::Web;
use baton_adapters::{BuiltinTools, ToolsConfig};
use baton_core::actor::Actor;
use baton_core::body::{Body, Json};
use baton_core::definition::{self, Fault};
use baton_core::ids::WorkflowId;
use baton_core::plan::{Catalog, Plan, ToolSpec};
use baton_core::words::{Origin, Permission};
use baton_core::workflow::Command;
use baton_engine::conversing::NoPlanner;
use baton_engine::engine::{Settings, TakeUp};
use baton_engine::exchange::{Reply, Request, Submit};
use baton_engine::loaded::Loaded;
use baton_engine::ports::{Door, Models, Tools};
use baton_engine::store::Views;
use baton_server::http::{Api, Definitions, Listed};
use baton_store::StoreUrl;

pub const CHAIN: &str = r#"
name: chain
version: 1
stages:
  - name: all
    tasks:
      - { id: one, tool: core.noop }
      - { id: two, tool: core.noop, needs: [one] }
      - { id: three, tool: core.noop, needs: [two] }
"#;

pub const ITEMS: &str = r#"
name: items
version: 1
stages:
  - name: all
    tasks:
      - { id: each, tool: core.noop, each: "{{ range(20) }}", with: { value: "{{ item }}" } }
"#;

pub const PARKED: &str = r#"
name: parked
version: 1
stages:
  - name: all
    tasks:
      - { id: ask, human: approval, ask: "Go on?" }
"#;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Ground {
    pub address: SocketAddr,
    pub url: StoreUrl,
    pub handle: Handle,
    pub tools: Arc<dyn Tools>,
    running: Option<(Web, Owner)>,
    /// Its own, unless it was given one.
    folder: Option<tempfile::TempDir>,
}

struct Known(Arc<[ToolSpec]>);

impl Catalog for Known {
    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.0.iter().find(|tool| tool.name == name)
    }

    fn tool_names(&self) -> Vec<&str> {
        self.0.iter().map(|tool| tool.name.as_str()).collect()
    }

    fn definition(&self, _: &str) -> Option<Result<Plan, String>> {
        None
    }

    fn permission_max(&self) -> Permission {
        Permission::ReadWrite
    }
}

/// No definitions: workflows come by the door.
pub struct Nothing;

impl Definitions for Nothing {
    fn check(&self, _: &str) -> Result<Plan, Vec<Fault>> {
        Err(Vec::new())
    }

    fn edited(&self, _: &str, _: &Plan) -> Result<Plan, Vec<Fault>> {
        Err(Vec::new())
    }

    fn named(&self, _: &str) -> Option<Result<Plan, String>> {
        None
    }

    fn permission_max(&self) -> Permission {
        Permission::ReadWrite
    }

    fn all(&self) -> Vec<Listed> {
        Vec::new()
    }
}

impl Ground {
    pub fn new() -> Self {
        let none = baton_models::ModelSet::new(Default::default()).expect("no models");
        Self::with(Arc::new(none))
    }

    /// One whose agents ask these models.
    pub fn with(models: Arc<dyn Models>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ground = Self::open(folder.path(), models, TakeUp::All);
        ground.folder = Some(folder);
        ground
    }

    /// On the store in a folder.
    pub fn open(folder: &Path, models: Arc<dyn Models>, take_up: TakeUp) -> Self {
        let url = StoreUrl::Sqlite(folder.join("baton.db"));
        let tools: Arc<dyn Tools> =
            Arc::new(BuiltinTools::new(ToolsConfig::default()).expect("tools"));
        let parts = Parts {
            store: baton_store::open(&url).expect("a store"),
            views: baton_store::open_views(&url).expect("a reader"),
            check_views: baton_store::open_views(&url).expect("a reader"),
            chunks: baton_store::chunks_of(&url),
            tools: Arc::clone(&tools),
            models,
            settings: Settings::default(),
            bounds: Bounds::default(),
            take_up,
            planner: Arc::new(NoPlanner),
            death: None,
        };
        let owner = Owner::start(parts).expect("an owner");
        let handle = owner.handle().clone();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let known: Arc<dyn Definitions> = Arc::new(Nothing);
        let api = |base| Api::new(base, Arc::clone(&tools), known);
        let web = Web::start(listener, &handle, &url, api).expect("a server");
        let address = web.address();
        Self { address, url, handle, tools, running: Some((web, owner)), folder: None }
    }

    pub fn plan(&self, source: &str) -> Plan {
        definition::read(source, &Known(self.tools.specs())).expect("a plan")
    }

    fn loaded(&self, source: &str) -> Arc<Loaded> {
        Arc::new(Loaded::new(self.plan(source)).expect("a plan"))
    }

    pub fn ask(&self, request: Request) -> Reply {
        self.handle.call(&Actor::user("tester"), request).expect("an answer")
    }

    pub fn command(&self, workflow: WorkflowId, command: Command) {
        self.ask(Request::Command { workflow, command: Box::new(command), blob: None });
    }

    pub fn submit(&self, source: &str) -> WorkflowId {
        self.submit_plan(self.plan(source))
    }

    pub fn submit_plan(&self, plan: Plan) -> WorkflowId {
        let reply = self.ask(submission(Arc::new(Loaded::new(plan).expect("a plan"))));
        let Reply::Workflow { id, .. } = reply else { panic!("not a workflow but {reply:?}") };
        id
    }

    pub fn wait(&self, workflow: WorkflowId) {
        self.ask(Request::AwaitEnd { workflow });
    }

    fn views(&self) -> Box<dyn Views> {
        baton_store::open_views(&self.url).expect("a reader")
    }

    pub fn newest(&self) -> u64 {
        self.views().head().expect("a head").position
    }

    pub fn lagged(&self) -> u64 {
        self.web().broadcaster().lagged()
    }

    fn web(&self) -> &Web {
        &self.running.as_ref().expect("it runs").0
    }

    /// Waits until this many follow.
    pub fn until_subscribers(&self, count: usize) {
        until("subscribers", || self.web().broadcaster().subscribers() == count);
    }

    /// Waits until this many or more follow.
    pub fn until_followed(&self, count: usize) {
        until("followers", || self.web().broadcaster().subscribers() >= count);
    }

    /// Waits until a workflow asks a person.
    pub fn until_question(&self, workflow: WorkflowId) {
        let mut views = self.views();
        until("a question", || {
            views.workflow(workflow).expect("a row").is_some_and(|(_, row)| row.waiting_people > 0)
        });
    }

    /// Runs so many workflows, some at a time, beside the test.
    pub fn storm(&self, source: &str, count: u64, at_once: u64) -> Storm {
        let ended = Arc::new(AtomicU64::new(0));
        let (handle, loaded) = (self.handle.clone(), self.loaded(source));
        let told = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let actor = Actor::user("storm");
            let (sender, receiver) = channel();
            let start = || {
                let (then_handle, sender, by) = (handle.clone(), sender.clone(), actor.clone());
                let then = move |reply| {
                    let Ok(Reply::Workflow { id, .. }) = reply else { panic!("{reply:?}") };
                    let done = move |_| sender.send(()).expect("the test waits");
                    then_handle.ask(&by, Request::AwaitEnd { workflow: id }, Box::new(done));
                };
                handle.ask(&actor, submission(Arc::clone(&loaded)), Box::new(then));
            };
            (0..at_once).for_each(|_| start());
            for n in 0..count {
                receiver.recv_timeout(PATIENCE).expect("a workflow ends");
                told.store(n + 1, Ordering::Release);
                if n + at_once < count {
                    start();
                }
            }
        });
        Storm { count, ended, thread }
    }

    /// The owner ends and the server goes on.
    pub fn end_owner(&self) {
        self.handle.abandon();
        until("end", || self.web().broadcaster().is_over());
    }

    pub fn stop(&mut self) {
        if let Some((web, owner)) = self.running.take() {
            web.stop().expect("a clean stop");
            self.handle.abandon();
            owner.join().expect("a clean end");
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

pub struct Storm {
    count: u64,
    ended: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Storm {
    pub fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire) == self.count
    }

    pub fn join(self) {
        self.thread.join().expect("the storm");
    }
}

fn submission(loaded: Arc<Loaded>) -> Request {
    Request::Submit(Box::new(Submit {
        loaded,
        inputs: (Body::Inline(Json::of(&serde_json::json!({}))), None),
        origin: Origin::Api,
        priority: 5,
        review: false,
        conversation: None,
        project: None,
        folder: None,
    }))
}

pub fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < PATIENCE, "no {what} in time");
        // sleep: what is looked at gives no signal to those outside.
        std::thread::sleep(Duration::from_millis(5));
    }
}
