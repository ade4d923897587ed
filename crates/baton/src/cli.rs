//! The command line: its words and flags, and nothing of what they do.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::log::{Format, Level};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::runtime::Death;

const EXIT_CODES: &str = "Exit codes: 0 done; 1 the work failed, was cancelled, was interrupted or \
completed with errors; 2 not understood; 3 waiting for a person; 4 the store or the server cannot be reached";

/// Runs workflows of tools and people that survive anything.
#[derive(Debug, Parser)]
#[command(name = "baton", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Common {
    /// A baton server to carry this out at; without one, the embedded store. Its token: BATON_TOKEN.
    #[arg(long, global = true, env = "BATON_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// The folder of the embedded store.
    #[arg(long, global = true, env = "BATON_DATA", default_value = ".baton", value_name = "DIR")]
    pub data: PathBuf,
    /// The store, where it is not the embedded one: `postgres://user@127.0.0.1/database`.
    #[arg(long, global = true, env = "BATON_STORE", value_name = "URL")]
    pub store: Option<String>,
    /// The configuration file; `baton.toml` of this folder where there is one.
    #[arg(long, global = true, env = "BATON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The one model that agents ask, in place of those their definitions name: `provider/name`, or
    /// `scripted:FILE` for answers from a file. Workflows that have begun keep theirs.
    #[arg(long, global = true, env = "BATON_MODEL", value_name = "MODEL")]
    pub model: Option<String>,
    /// How much is logged to standard error: `error`, `warn`, `info`, or `debug` (each commit).
    #[arg(long, global = true, value_enum, default_value_t = Level::Warn, value_name = "LEVEL", hide_possible_values = true)]
    pub log_level: Level,
    /// How it is logged: `text` or `json`.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT", hide_possible_values = true)]
    pub log_format: Format,
    /// Print JSON, one value a line.
    #[arg(long, global = true)]
    pub json: bool,
    /// What `chaos` asks of its children.
    #[command(flatten)]
    pub trial: Trial,
}

/// What `chaos` asks of its children; hidden.
#[derive(Clone, Debug, Default, Args)]
pub struct Trial {
    /// Kill this process at one exact commit.
    #[arg(long, global = true, hide = true, value_name = "POINT:COMMIT")]
    pub die: Option<Death>,
    /// Write down every call before and after it is made.
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    pub effect_log: Option<PathBuf>,
    /// The only folder tools may touch.
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Answer what people are asked: approve, take the first choice.
    #[arg(long, global = true, hide = true)]
    pub answer_people: bool,
}

/// `respond`.
#[derive(Debug, Args)]
pub struct Respond {
    /// The task: its id, or `WORKFLOW/KEY`.
    pub task: String,
    /// The answer: JSON, or plain text for a choice.
    #[arg(required_unless_present = "decline", conflicts_with = "decline")]
    pub value: Option<String>,
    /// Decline what a running call asks; the call goes on with that.
    #[arg(long)]
    pub decline: bool,
    /// Only this question of a running call, by its number in `inbox --json`.
    #[arg(long, value_name = "N")]
    pub question: Option<u32>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Own the store, take up everything, and answer over HTTP until a signal comes.
    Serve(Serve),
    /// Check a definition, run it, and show it live.
    Run(Run),
    /// Say what you want done: Baton asks what it must know, shows a plan, and runs it.
    Chat(Chat),
    /// List workflows, newest first.
    List(List),
    /// Show one workflow with its tasks and what happened.
    Show(Show),
    /// Follow a workflow live until its run ends.
    Watch {
        /// The workflow: its id, or `last`.
        id: String,
    },
    /// List what needs a person.
    Inbox,
    /// Approve a waiting task, or the plan of a workflow in review.
    Approve(Answer),
    /// Reject a waiting task, or send the plan of a workflow in review back.
    Reject(Answer),
    /// Edit the plan of a workflow in review.
    Edit(Edit),
    /// Answer a task that asks for a form or a choice, or whose running call asks something.
    Respond(Respond),
    /// Say whether a call in doubt happened.
    Settle(Settle),
    /// Let others call over HTTP: make, list and revoke tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Stop a workflow.
    Cancel {
        /// The workflow: its id, or `last`.
        id: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let running tasks end and start nothing more.
    Pause {
        /// The workflow: its id, or `last`.
        id: String,
    },
    /// Go on with a paused or interrupted workflow.
    Resume {
        /// The workflow: its id, or `last`.
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// Everything that was interrupted.
        #[arg(long)]
        all: bool,
    },
    /// Open the next run of an ended workflow, keeping what completed.
    Retry {
        /// The workflow: its id, or `last`.
        id: String,
        /// Only these tasks, by key, and what depends on them.
        #[arg(long = "task", value_name = "KEY")]
        tasks: Vec<String>,
    },
    /// Start a copy of a workflow as it stood at a position of the journal.
    Fork {
        /// The workflow: its id, or `last`.
        id: String,
        /// Up to and with this position; its newest where none is given.
        #[arg(long)]
        position: Option<u64>,
    },
    /// List the tools that definitions can use.
    Tools {
        /// Print a page of documentation of all there are, allowed here or not.
        #[arg(long)]
        markdown: bool,
    },
    /// Call one tool, journaled as a workflow of one task, and print what it brings.
    Invoke(Invoke),
    /// List the agents that tasks can name.
    Agents,
    /// List the MCP servers, and how each stands.
    Servers(Servers),
    /// Show what calls of models used: tokens and cost, added up.
    Usage(Usage),
    /// Tell what a definition will probably use, from its earlier runs; nothing is started.
    Forecast {
        /// The definition: a file, or the name of one.
        #[arg(value_name = "FILE|NAME")]
        definition: String,
    },
    /// Print the OpenAPI document of what `serve` answers.
    Openapi,
    /// Print a JSON Schema.
    Schema {
        /// Of what.
        #[arg(value_enum)]
        of: SchemaOf,
    },
    /// Kill runs of a definition at every boundary and see that nothing is lost or done twice.
    Chaos(Chaos),
    /// Copy finished workflows into a file, then purge them.
    Archive(Archive),
    /// Remove the events and tasks of finished workflows; their lines stay listed.
    Purge(Finished),
    /// Look for what is wrong with the store and its surroundings, and say how to mend it.
    Doctor {
        /// Compute every read model anew from the journal and write what differs.
        #[arg(long, conflicts_with = "try_models")]
        rebuild: bool,
        /// Ask the first model of each role for a word, which may cost a little.
        #[arg(long)]
        try_models: bool,
    },
    /// Measure this machine's figures; `--store` is `sqlite`, `postgres` or `both`.
    Bench(Bench),
}

/// `baton token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, this once.
    Create {
        /// What it is good for: `admin`, `operator`, `viewer` or `worker`.
        #[arg(long, value_name = "ROLE")]
        role: baton_core::words::Role,
        /// What it is called; its bearer acts under this name.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the tokens that hold.
    List,
    /// Let the bearer of a token in no more.
    Revoke {
        /// What it is called.
        name: String,
    },
}

/// What there is a schema of.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SchemaOf {
    /// A definition.
    Definition,
}

/// `baton serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen, if not where `[server] listen` says; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// A name, beside addresses, `localhost` and `[server] hosts`, under which the server may be called.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// The certificate for HTTPS (PEM), in place of `[server] tls_cert`.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key (PEM), in place of `[server] tls_key`.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// `baton run`.
#[derive(Debug, Args)]
pub struct Run {
    /// A definition: a file, or the name of one in a folder of `[definitions]`.
    pub definition: String,
    /// An input, as `name=value`.
    #[arg(long = "input", value_name = "K=V")]
    pub inputs: Vec<String>,
    /// Let a person approve the plan before anything starts.
    #[arg(long)]
    pub review: bool,
    /// 0 to 9; higher starts sooner.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
}

/// `baton chat`.
#[derive(Debug, Args)]
pub struct Chat {
    /// What is to be done; asked for where it is not given.
    pub message: Option<String>,
    /// Approve the plan, and leave to Baton what has a default.
    #[arg(long)]
    pub yes: bool,
    /// Go on with a conversation: its id, or the newest where none is given.
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "last")]
    pub resume: Option<String>,
}

/// `baton invoke`.
#[derive(Debug, Args)]
pub struct Invoke {
    /// The tool: `server.tool`.
    pub tool: String,
    /// An input, as `name=value`; or all of them as one JSON object.
    #[arg(long = "with", value_name = "K=V|JSON")]
    pub with: Vec<String>,
    /// 0 to 9; higher starts sooner.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
}

/// `baton servers`.
#[derive(Debug, Args)]
pub struct Servers {
    /// Only this one.
    pub name: Option<String>,
    /// Lift its quarantine: whoever owns the store calls it again at once.
    #[arg(long, requires = "name")]
    pub release: bool,
}

/// `baton list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only workflows in this status; may be given several times.
    #[arg(long = "status", value_name = "STATUS")]
    pub statuses: Vec<baton_core::words::WorkflowStatus>,
    /// Only workflows whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
}

/// `baton usage`.
#[derive(Debug, Args)]
pub struct Usage {
    /// By what: `day`, `model`, `agent`, `task`, `workflow`, `conversation` or `user`; `day` otherwise.
    #[arg(long, value_name = "WHAT")]
    pub by: Option<baton_core::words::UsageBy>,
    /// From this day on, in UTC: `2026-11-01`.
    #[arg(long, value_name = "DAY")]
    pub from: Option<String>,
    /// Up to and with this day, in UTC.
    #[arg(long, value_name = "DAY")]
    pub to: Option<String>,
    /// Only of this workflow: its id, or `last`.
    #[arg(long, value_name = "ID")]
    pub workflow: Option<String>,
    /// Only of this conversation.
    #[arg(long, value_name = "ID")]
    pub conversation: Option<baton_core::ids::ConversationId>,
    /// Only of this model: `provider/name`.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Only of this agent.
    #[arg(long, value_name = "NAME")]
    pub agent: Option<String>,
    /// Only of workflows that this actor started, and of their children: `user:ada`.
    #[arg(long, value_name = "ACTOR")]
    pub user: Option<String>,
    /// At most this many lines.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// `baton show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The workflow: its id, or `last`; or one task of it: its id, or `WORKFLOW/KEY`.
    pub id: String,
    /// Print its events as well.
    #[arg(long)]
    pub events: bool,
    /// Print what the model was asked in this call of an agent's task, byte for byte, as the journal has
    /// it.
    #[arg(long, value_name = "CALL", conflicts_with = "events")]
    pub prompt: Option<u32>,
}

/// `baton approve` and `baton reject`.
#[derive(Debug, Args)]
pub struct Answer {
    /// The task or workflow: its id, `WORKFLOW/KEY`, or `last`.
    pub id: String,
    /// A comment for the record.
    #[arg(long, short = 'm')]
    pub comment: Option<String>,
}

/// `baton edit`.
#[derive(Debug, Args)]
pub struct Edit {
    /// The workflow: its id, or `last`.
    pub id: String,
    /// The edited plan, a definition in YAML or JSON; `-` for standard input. Without it, the plan is
    /// opened in $VISUAL or $EDITOR.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The revision that the file was written against; the present one where none is given.
    #[arg(long, value_name = "N", requires = "file")]
    pub revision: Option<u64>,
    /// Show the plan as a definition, to be edited and given back with `--file`.
    #[arg(long, conflicts_with_all = ["file", "list", "undo"])]
    pub show: bool,
    /// List the edits there are.
    #[arg(long, conflicts_with_all = ["file", "undo"])]
    pub list: bool,
    /// Take this edit back, the newest that is applied.
    #[arg(long, value_name = "N", conflicts_with = "file")]
    pub undo: Option<u32>,
}

/// `baton settle`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("verdict").required(true)))]
pub struct Settle {
    /// The task: its id, or `WORKFLOW/KEY`.
    pub task: String,
    /// It happened.
    #[arg(long, group = "verdict")]
    pub happened: bool,
    /// It did not happen: it is done again.
    #[arg(long, group = "verdict")]
    pub did_not_happen: bool,
    /// Its result as JSON, if it happened.
    #[arg(long, requires = "happened", value_name = "JSON")]
    pub result: Option<String>,
}

/// `baton archive`.
#[derive(Debug, Args)]
pub struct Archive {
    /// Which.
    #[command(flatten)]
    pub finished: Finished,
    /// The file that gets them; it must not exist.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
}

/// Which finished workflows.
#[derive(Debug, Args)]
pub struct Finished {
    /// These, by id or `last`; all that the other flags leave when none is given.
    pub ids: Vec<String>,
    /// Only those that ended at least this long ago, for example `30d`.
    #[arg(long, value_name = "SPAN", required_unless_present = "ids")]
    pub older_than: Option<baton_core::time::Span>,
    /// Only those that ended in this status; may be given several times.
    #[arg(long = "status", value_name = "STATUS")]
    pub statuses: Vec<baton_core::words::WorkflowStatus>,
}

/// `baton chaos`.
#[derive(Debug, Args)]
pub struct Chaos {
    /// A definition: a file, or the name of one.
    pub definition: String,
    /// An input, as `name=value`.
    #[arg(long = "input", value_name = "K=V")]
    pub inputs: Vec<String>,
    /// How often every boundary is tried.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub rounds: u32,
    /// How many runs are killed at some commit, and again at some commit of their recovery.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub again: u32,
    /// How many runs are killed at a random instant, and once more while they recover.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub random: u32,
    /// Run tools that write right here instead of in a copy, and those that reach beyond it.
    #[arg(long)]
    pub real_effects: bool,
    /// Where stores and copies go; what they hold stays there.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// `baton bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Only figures whose name begins like this.
    pub figure: Option<String>,
    /// How often each figure is measured.
    #[arg(long, default_value_t = 5)]
    pub runs: u32,
    /// One measurement in this process, for a parent that watches it.
    #[arg(long, hide = true)]
    pub inner: bool,
}
