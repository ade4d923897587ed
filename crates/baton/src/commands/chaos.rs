//! `chaos`: has a definition killed at every boundary and at random instants, and reports.

use std::hash::{BuildHasher, RandomState};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use baton_core::plan::{Plan, ToolCall, Work};
use baton_core::words::{Effect, HumanKind, Permission};
use baton_engine::ports::Tools;
use baton_store::StoreUrl;
use indicatif::{ProgressBar, ProgressStyle};

use super::run::{read_definition, read_inputs};
use crate::chaos::{Ground, Kill, Reference, Site, Subject, Trial, Trialled, report};
use crate::cli::{Chaos, Common};
use crate::config::Config;
use crate::display::{say, say_out};
use crate::exit::{Exit, Failed};
use crate::place::Place;
use crate::runtime::{Death, DeathPoint};
use crate::session::tools;
use crate::text::clean;

/// After this many runs in a row that ended before their commit had come, there are no more.
const MISSES_MAX: u32 = 2;
/// The most faults that are printed.
const FAULTS_SHOWN_MAX: usize = 20;

/// Tries a definition.
pub fn chaos(common: &Common, chaos: &Chaos) -> anyhow::Result<Exit> {
    let config = Config::of(common)?;
    let tools = tools(common, &config)?;
    let plan = read_definition(common, &config, &tools, &chaos.definition)?;
    read_inputs(&plan, &chaos.inputs)?;
    let traits = Traits::of(&plan, &tools);
    traits.refuse(chaos)?;
    let (scratch, temporary) = scratch(chaos.scratch.as_deref())?;
    let mut campaign = Campaign {
        subject: Subject {
            definition: absolute_if_file(&chaos.definition)?,
            inputs: chaos.inputs.clone(),
            config: config_file(common)?,
            model: model(common)?,
            ground: ground(chaos, &traits, &scratch)?,
            server: server(common)?,
            results: Default::default(),
        },
        scratch,
        progress: progress(common),
        trials: Vec::new(),
        faults: Vec::new(),
    };
    let tried = campaign.carry_out(chaos);
    campaign.progress.finish_and_clear();
    let report = tried?;
    if common.json {
        say_out(&report.json());
    } else {
        let title = format!("chaos · {} {}", clean(&plan.name), plan.version);
        say_out(&format!("{title}\n\n{}", report.table()));
    }
    for fault in campaign.faults.iter().take(FAULTS_SHOWN_MAX) {
        say(fault);
    }
    if report.is_clean() {
        return Ok(Exit::Done);
    }
    // The stores of failed trials are the evidence.
    if let Some(temporary) = temporary {
        let _ = temporary.keep();
    }
    Ok(Exit::WorkFailed)
}

struct Campaign {
    subject: Subject,
    scratch: PathBuf,
    progress: ProgressBar,
    trials: Vec<(Kill, Trialled, Site)>,
    faults: Vec<String>,
}

impl Campaign {
    fn carry_out(&mut self, chaos: &Chaos) -> anyhow::Result<report::Report> {
        let first = self.undisturbed("first")?;
        self.subject.results = first.results();
        let mut commits = 1;
        for round in 1..=chaos.rounds {
            for point in DeathPoint::ALL {
                commits = self.boundaries(round, point)?.max(commits);
            }
        }
        for number in 1..=chaos.again {
            let (run, recovery) = (death(commits), death(commits));
            self.one(Kill::Again(run, recovery), &format!("again-{number}"))?;
        }
        for number in 1..=chaos.random {
            // The first instants of a process are its start; its last are its end: both count.
            let kill = Kill::After(random(first.took), random(first.took));
            self.one(kill, &format!("random-{number}"))?;
        }
        let last = self.undisturbed("last")?;
        let reference =
            Reference::of(&first, &last).context("an undisturbed run left no workflow")?;
        Ok(self.judge(&reference))
    }

    fn undisturbed(&mut self, name: &str) -> anyhow::Result<Trialled> {
        self.progress.set_message(format!("{name} run, undisturbed"));
        let folder = self.scratch.join(name);
        let trial = Trial::prepare(&self.subject, &folder)?;
        let trialled = trial.carry_out(Kill::Never)?;
        trial.site().discard()?;
        Ok(trialled)
    }

    /// Kills a run at each commit there is, and tells how many there are.
    fn boundaries(&mut self, round: u32, point: DeathPoint) -> anyhow::Result<u64> {
        let (mut misses, mut last) = (0, 0);
        for commit in 1.. {
            let name = format!("{round}-{}-{commit}", point.word());
            let killed = self.one(Kill::At(Death { point, commit }), &name)?;
            (misses, last) = if killed { (0, commit) } else { (misses + 1, last) };
            if misses == MISSES_MAX {
                break;
            }
        }
        Ok(last)
    }

    /// One trial; whether the run was killed.
    fn one(&mut self, kill: Kill, name: &str) -> anyhow::Result<bool> {
        self.progress.set_message(format!(
            "run {} · killed {}",
            self.trials.len() + 1,
            kill.name()
        ));
        let folder = self.scratch.join(name);
        let trial = Trial::prepare(&self.subject, &folder)?;
        let trialled =
            trial.carry_out(kill).with_context(|| format!("a run killed {}", kill.name()))?;
        let site = trial.site().clone();
        let killed = trialled.killed;
        if killed {
            // Kept until it is judged: the store of a failed trial is its evidence.
            self.trials.push((kill, trialled, site));
        } else {
            site.discard()?;
        }
        Ok(killed)
    }

    fn judge(&mut self, reference: &Reference) -> report::Report {
        let mut report = report::Report::default();
        for (kill, trialled, site) in &self.trials {
            let verdict = reference.judge(trialled);
            report.count(*kill, trialled, &verdict);
            let doubled = (verdict.doubled > 0)
                .then(|| format!("{} `once` effects were begun twice", verdict.doubled));
            let faults: Vec<String> = verdict.lost.into_iter().chain(doubled).collect();
            if faults.is_empty() {
                // What stays behind is in scratch, and no fault.
                let _ = site.discard();
            }
            let told = faults
                .iter()
                .map(|fault| format!("killed {}: {}; see {site}", kill.name(), clean(fault)));
            self.faults.extend(told);
        }
        report
    }
}

/// What of a plan decides where it may be tried.
#[derive(Debug, Default)]
struct Traits {
    writes: bool,
    beyond: Vec<String>,
    forms: Vec<String>,
}

impl Traits {
    fn of(plan: &Plan, tools: &dyn Tools) -> Self {
        let mut traits = Self::default();
        traits.look(plan, tools);
        traits
    }

    fn look(&mut self, plan: &Plan, tools: &dyn Tools) {
        for task in &plan.tasks {
            match &task.work {
                Work::Tool(call) => self.call(call, tools),
                Work::Human(human) if human.kind == HumanKind::Form => {
                    self.forms.push(task.key.clone());
                }
                Work::Workflow(child) => self.look(&child.plan, tools),
                Work::Agent(agent) => {
                    agent.tools.iter().for_each(|tool| self.tool(&tool.name, tool.effect, tools));
                }
                Work::Human(_) | Work::Wait(_) | Work::Emit(_) | Work::Worker(_) => {}
            }
            task.fallback.iter().for_each(|call| self.call(call, tools));
        }
    }

    fn call(&mut self, call: &ToolCall, tools: &dyn Tools) {
        self.tool(&call.tool, call.effect, tools);
    }

    fn tool(&mut self, name: &str, effect: Effect, tools: &dyn Tools) {
        let specs = tools.specs();
        let spec = specs.iter().find(|spec| spec.name == name);
        self.writes |= spec.is_none_or(|spec| spec.permission == Permission::ReadWrite);
        // Only what writes files beneath a root is held by a copy.
        if effect == Effect::Once && !self.beyond.iter().any(|known| known == name) {
            self.beyond.push(name.to_owned());
        }
    }

    fn refuse(&self, chaos: &Chaos) -> anyhow::Result<()> {
        if !self.forms.is_empty() {
            let message = format!(
                "chaos approves and takes first choices, but cannot fill in forms: {}",
                self.forms.join(", ")
            );
            return Err(Failed::usage(clean(&message)).into());
        }
        if !self.beyond.is_empty() && !chaos.real_effects {
            let message = format!(
                "the definition calls {}, which no copy of the folder holds back; \
                 --real-effects runs it dozens of times, right here",
                self.beyond.join(", ")
            );
            return Err(Failed::usage(clean(&message)).into());
        }
        Ok(())
    }
}

/// The server that is to keep the stores, where the caller names one.
fn server(common: &Common) -> anyhow::Result<Option<String>> {
    Ok(match Place::new(common)?.store() {
        StoreUrl::Sqlite(_) => None,
        StoreUrl::Postgres(url) => Some(url.clone()),
    })
}

fn ground(chaos: &Chaos, traits: &Traits, scratch: &Path) -> anyhow::Result<Ground> {
    let here = std::env::current_dir().context("the current folder cannot be read")?;
    if traits.writes && !chaos.real_effects {
        Ground::copied(&here, scratch)
    } else {
        Ok(Ground::Here(here))
    }
}

/// A fresh folder in the one that was named, or a temporary one that goes when it is dropped.
fn scratch(named: Option<&Path>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("baton-chaos-");
    match named {
        Some(folder) => {
            let folder = std::path::absolute(folder)?;
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
            Ok((builder.tempdir_in(folder)?.keep(), None))
        }
        None => {
            let folder = builder.tempdir().context("no scratch folder can be made")?;
            Ok((folder.path().to_owned(), Some(folder)))
        }
    }
}

fn absolute_if_file(named: &str) -> anyhow::Result<String> {
    let path = Path::new(named);
    if !path.is_file() {
        return Ok(named.to_owned());
    }
    let path = std::path::absolute(path)?.into_os_string();
    let text = path.into_string().ok();
    text.context("the definition's path is not UTF-8")
}

/// What agents ask, a file of answers by its absolute path.
fn model(common: &Common) -> anyhow::Result<Option<String>> {
    let Some(file) = common.model.as_deref().and_then(baton_models::script_file) else {
        return Ok(common.model.clone());
    };
    let file = std::path::absolute(file)?.into_os_string().into_string().ok();
    let file = file.context("the path of the file of answers is not UTF-8")?;
    Ok(Some(format!("scripted:{file}")))
}

/// The configuration of the caller, by its absolute path: runs take place elsewhere.
fn config_file(common: &Common) -> anyhow::Result<Option<PathBuf>> {
    let path = common.config.clone().unwrap_or_else(Config::default_path);
    let found = path.is_file().then(|| std::path::absolute(path));
    Ok(found.transpose()?)
}

fn progress(common: &Common) -> ProgressBar {
    if common.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("  {spinner} {elapsed} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// Some part of a span.
fn random(span: Duration) -> Duration {
    let dice = RandomState::new().hash_one(span);
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(dice % micros)
}

/// Some point about one of this many commits.
fn death(commits: u64) -> Death {
    let dice = RandomState::new().hash_one(commits);
    let [.., point] = dice.to_le_bytes();
    let points = DeathPoint::ALL.iter().cycle().skip(usize::from(point));
    let point = points.copied().next().unwrap_or(DeathPoint::BeforeCommit);
    Death { point, commit: dice % commits.max(1) + 1 }
}
