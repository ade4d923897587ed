//! One trial: a run is killed, the store is taken up until its workflows rest, and what is then
//! there is read. It judges nothing but calls in doubt, which it settles by the effect log.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use baton_store::StoreUrl;
use baton_store::postgres::with_schema;
use serde_json::Value;

use super::child::{self, Ended};
use super::effect_log::{EffectLog, Truth};
use super::ground::Ground;
use super::outcome::{Seen, Told, told};
use crate::exit::{Exit, Failed};
use crate::runtime::{Death, DeathPoint};

/// How often a store is taken up before a run that never rests is a fault of the trial.
const TAKE_UPS_MAX: usize = 100;
/// How often in a row it may wait for people without a question that can be answered: a parent is
/// looked at before its child, whose question is answered then.
const STUCK_MAX: u32 = 3;

/// What is tried.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A file or a name, as `run` takes it.
    pub definition: String,
    /// As `run` takes them.
    pub inputs: Vec<String>,
    /// The configuration, where there is a file.
    pub config: Option<PathBuf>,
    /// What agents ask, where the caller said so.
    pub model: Option<String>,
    /// Where its runs take place.
    pub ground: Ground,
    /// The server that keeps its stores, each in a schema of its own; without it they are files.
    pub server: Option<String>,
    /// What tasks brought undisturbed, by definition and key: what a person would say who settles
    /// a call that was begun and never heard of again.
    pub results: BTreeMap<(String, String), Value>,
}

/// When a run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Not at all.
    Never,
    /// At an exact commit.
    At(Death),
    /// At an exact commit of the run, and at one of its first recovery.
    Again(Death, Death),
    /// After these times: the run, and then its first recovery.
    After(Duration, Duration),
}

/// One run and its recovery, in a folder and a store of its own.
pub struct Trial<'s> {
    subject: &'s Subject,
    site: Site,
    ground: PathBuf,
}

/// What a trial leaves behind.
#[derive(Clone, Debug)]
pub struct Site {
    folder: PathBuf,
    store: StoreUrl,
}

impl Site {
    /// Lets it go: the folder, and the store wherever it is.
    pub fn discard(&self) -> anyhow::Result<()> {
        if let StoreUrl::Postgres(url) = &self.store {
            baton_store::postgres::remove(url).map_err(Failed::unreachable)?;
        }
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("{} cannot be removed", self.folder.display()))
    }

    /// Whether a store can be taken up: a run may be killed before it has made one.
    fn has_store(&self) -> bool {
        match &self.store {
            StoreUrl::Sqlite(path) => path.exists(),
            StoreUrl::Postgres(_) => true,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.store {
            StoreUrl::Sqlite(_) => self.folder.display().fmt(f),
            StoreUrl::Postgres(_) => write!(f, "{} and {}", self.store, self.folder.display()),
        }
    }
}

/// What came of a trial.
#[derive(Debug, Default)]
pub struct Trialled {
    /// Whether the run was killed; otherwise it ended before its time had come.
    pub killed: bool,
    /// Whether its first recovery was killed as well.
    pub killed_again: bool,
    /// How long the run took.
    pub took: Duration,
    /// From the start of the process that recovers until it shows the workflow again.
    pub recovered_in: Option<Duration>,
    /// Workflows that a command told of.
    pub told_workflows: Vec<String>,
    /// Events that a command told of.
    pub told_events: Vec<(String, Told)>,
    /// The workflows that are there at the end.
    pub seen: Vec<Seen>,
    /// The calls that were made.
    pub log: EffectLog,
    /// Calls in doubt, and how they were settled.
    pub settled: Settled,
}

/// Calls in doubt by how they were settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// They ended, by the effect log.
    pub happened: u64,
    /// They were begun; they count as happened.
    pub begun: u64,
    /// They were never begun.
    pub undone: u64,
}

impl Settled {
    /// All of them.
    pub fn total(self) -> u64 {
        self.happened + self.begun + self.undone
    }
}

impl<'s> Trial<'s> {
    /// Prepares a trial in `folder`, which must not exist yet.
    pub fn prepare(subject: &'s Subject, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let store = match &subject.server {
            Some(server) => StoreUrl::Postgres(with_schema(server, &new_schema())),
            None => StoreUrl::Sqlite(folder.join("data/baton.db")),
        };
        Ok(Self {
            subject,
            site: Site { folder: folder.to_owned(), store },
            ground: subject.ground.prepare(&folder.join("work"))?,
        })
    }

    /// Where it takes place.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Runs, kills, recovers, and reads what there is.
    pub fn carry_out(&self, kill: Kill) -> anyhow::Result<Trialled> {
        let mut trialled = Trialled::default();
        let (run_after, recovery_after) = match kill {
            Kill::Never | Kill::At(_) | Kill::Again(..) => (None, None),
            Kill::After(run, recovery) => (Some(run), Some(recovery)),
        };
        let ended = self.run(kill, run_after)?;
        trialled.killed = ended.code.is_none();
        trialled.took = ended.took;
        let is_fault = |code| code == Exit::Usage as i32 || code == Exit::Unreachable as i32;
        if ended.code.is_some_and(is_fault) {
            bail!(Failed::usage(format!("the definition does not run: {}", ended.said.trim())));
        }
        trialled.hear(&ended);
        let recovery = match kill {
            Kill::Again(_, recovery) => Some(recovery),
            Kill::Never | Kill::At(_) | Kill::After(..) => None,
        };
        self.recover(&mut trialled, recovery, recovery_after)?;
        trialled.log = EffectLog::read(&self.log())?;
        Ok(trialled)
    }

    fn run(&self, kill: Kill, after: Option<Duration>) -> anyhow::Result<Ended> {
        let mut command = self.working("run");
        command.arg(&self.subject.definition);
        for input in &self.subject.inputs {
            command.args(["--input", input]);
        }
        if let Kill::At(death) | Kill::Again(death, _) = kill {
            command.args(["--die", &death.to_string()]);
        }
        child::run(&mut command, after)
    }

    /// Takes the store up until nothing in it can go on. Only the first time is it killed again:
    /// at a commit, or after a time.
    fn recover(
        &self,
        trialled: &mut Trialled,
        mut at: Option<Death>,
        mut after: Option<Duration>,
    ) -> anyhow::Result<()> {
        let mut stuck = 0;
        for _ in 0..TAKE_UPS_MAX {
            if !self.site.has_store() {
                return Ok(());
            }
            let mut command = self.working("resume");
            command.arg("--all");
            if let Some(death) = at.take() {
                command.args(["--die", &death.to_string()]);
            }
            let ended = child::run(&mut command, after.take())?;
            trialled.hear(&ended);
            let Some(code) = ended.code else {
                trialled.killed_again = true;
                continue;
            };
            if code == Exit::Unreachable as i32 || code == Exit::Usage as i32 {
                bail!(Failed::unreachable(anyhow::anyhow!(
                    "the store in {} cannot be taken up again: {}",
                    self.site,
                    ended.said.trim()
                )));
            }
            trialled.recovered_in.get_or_insert(ended.first_line);
            let settled = self.settle(trialled)?;
            let waits = code == Exit::WaitingForPerson as i32 && settled == 0;
            stuck = if waits { stuck + 1 } else { 0 };
            if stuck == STUCK_MAX {
                bail!(Failed::usage("the workflow waits for something that chaos cannot answer"));
            }
            if !self.workflows()?.iter().any(is_open) {
                return self.see(trialled);
            }
        }
        bail!(Failed::usage(format!(
            "the workflow did not rest after the store was taken up {TAKE_UPS_MAX} times; \
             it is in {}",
            self.site
        )))
    }

    /// Settles every call in doubt as the effect log knows it.
    fn settle(&self, trialled: &mut Trialled) -> anyhow::Result<u64> {
        let log = EffectLog::read(&self.log())?;
        let questions = child::run(&mut self.command("inbox"), None)?.lines;
        let mut settled = 0;
        for question in &questions {
            let field = |name: &str| question.get(name).and_then(Value::as_str).unwrap_or_default();
            if field("needs") != "in_doubt" {
                continue;
            }
            let task = field("task_id");
            let truth = log.truth(task);
            let key = (field("name").to_owned(), field("task").to_owned());
            let usual = || self.subject.results.get(&key).cloned();
            let result = match truth {
                Truth::DidNotHappen => {
                    trialled.settled.undone += 1;
                    None
                }
                Truth::Happened(result) => {
                    trialled.settled.happened += 1;
                    Some(result.or_else(usual).unwrap_or_default())
                }
                Truth::Begun => {
                    trialled.settled.begun += 1;
                    Some(usual().unwrap_or_default())
                }
            };
            let mut command = self.command("settle");
            match result {
                None => command.args([task, "--did-not-happen"]),
                Some(result) => command.args([task, "--happened", "--result", &result.to_string()]),
            };
            let ended = child::run(&mut command, None)?;
            if ended.code != Some(Exit::Done as i32) {
                bail!("the task {task} cannot be settled: {}", ended.said.trim());
            }
            settled += 1;
        }
        Ok(settled)
    }

    fn workflows(&self) -> anyhow::Result<Vec<Value>> {
        let mut command = self.command("list");
        Ok(child::run(command.args(["--limit", "100000"]), None)?.lines)
    }

    fn see(&self, trialled: &mut Trialled) -> anyhow::Result<()> {
        for workflow in self.workflows()? {
            let id = workflow.get("id").and_then(Value::as_str);
            let id = id.context("`list --json` names no id")?;
            let shown = child::run(self.command("show").args([id, "--events"]), None)?;
            let shown = shown.lines.first();
            trialled.seen.push(Seen::of(shown.unwrap_or(&Value::Null)));
        }
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.site.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.site.folder.join("effects.log")
    }

    /// A command that only looks or tells.
    fn command(&self, word: &str) -> Command {
        // The link names the running image, also when the file behind it has been replaced.
        let mut command = Command::new("/proc/self/exe");
        command.current_dir(&self.ground).arg(word).arg("--json");
        command.arg("--data").arg(self.data());
        command.env_remove("BATON_CONFIG");
        match &self.site.store {
            StoreUrl::Sqlite(_) => command.env_remove("BATON_STORE"),
            // Not as an argument, which everybody on this machine could read.
            StoreUrl::Postgres(url) => command.env("BATON_STORE", url),
        };
        if let Some(config) = &self.subject.config {
            command.arg("--config").arg(config);
        }
        if let Some(model) = &self.subject.model {
            command.args(["--model", model]);
        }
        command
    }

    /// A command that has work done.
    fn working(&self, word: &str) -> Command {
        let mut command = self.command(word);
        command.arg("--effect-log").arg(self.log());
        command.arg("--answer-people");
        if let Some(root) = self.subject.ground.root(&self.ground) {
            command.arg("--root").arg(root);
        }
        command
    }
}

/// The name of a schema that was not there before.
fn new_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("baton_chaos_{:x}_{:x}_{next}", std::process::id(), began.as_millis())
}

fn is_open(workflow: &Value) -> bool {
    let ended = workflow.get("completed_at");
    ended.is_none_or(Value::is_null)
}

impl Trialled {
    /// What each call brought, by definition and key of its task.
    pub fn results(&self) -> BTreeMap<(String, String), Value> {
        let mut results = BTreeMap::new();
        for seen in &self.seen {
            for (key, task) in &seen.tasks {
                if let Truth::Happened(Some(result)) = self.log.truth(&task.id) {
                    results.insert((seen.name.clone(), key.clone()), result);
                }
            }
        }
        results
    }

    /// Keeps what a command told of: from then on it must be there.
    fn hear(&mut self, ended: &Ended) {
        for line in &ended.lines {
            let id = line.get("workflow_id").and_then(Value::as_str);
            if let (Some(id), Some(event)) = (id, told(line, "event")) {
                if !self.told_workflows.iter().any(|known| known.as_str() == id) {
                    self.told_workflows.push(id.to_owned());
                }
                self.told_events.push((id.to_owned(), event));
            }
        }
    }
}

impl Kill {
    /// How it is named in a report.
    pub fn name(self) -> String {
        match self {
            Self::Never => "undisturbed".to_owned(),
            Self::At(Death { point, commit }) => format!("{} {commit}", point_name(point)),
            Self::Again(run, recovery) => {
                format!(
                    "{}, and in the recovery {}",
                    Self::At(run).name(),
                    Self::At(recovery).name()
                )
            }
            Self::After(run, recovery) => format!(
                "after {} ms, and {} ms into the recovery",
                run.as_millis(),
                recovery.as_millis()
            ),
        }
    }
}

/// A point of death as people read it.
pub fn point_name(point: DeathPoint) -> &'static str {
    match point {
        DeathPoint::BeforeCommit => "before commit",
        DeathPoint::BeforeRelease => "after commit, before its effects",
        DeathPoint::AfterRelease => "after the effects of commit",
    }
}
