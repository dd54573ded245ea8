//! What can be typed, and the help for it.

pub(crate) mod about;
pub(crate) mod artifacts;
pub(crate) mod cluster;
pub(crate) mod company;
pub(crate) mod provision;
pub(crate) mod space;
pub(crate) mod stages;
pub(crate) mod config;
pub(crate) mod later;
pub(crate) mod operators;
pub(crate) mod remote;
pub(crate) mod seeing;
pub(crate) mod service;
pub(crate) mod suite;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use actors::taskfile::{self, quantity};
use clap::{Args, Parser, Subcommand};
use policy::bounds::Deadline;
use policy::constraint::{AvoidFailed, Condition, Near, Preference};
use policy::event::ArraySpec;
use policy::task::{Priority, Qos};

use crate::cli::alternative::{self, Alternative};
use crate::cli::args::later::Later;

/// Runs graphs of tasks on this machine or on a fleet.
#[derive(Debug, Parser)]
#[command(name = "crab", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  crab run build.toml                    run a task file here, or on the daemon where there is one
  crab run -- cargo test                 run one command and exit with its code
  crab submit --cpus 4 -- make -j4       hand a command to the daemon
  crab wait g12 && crab logs t12         wait for a graph, read what a task wrote
  crab status --json                     everything as JSON, with stable field names

Exit codes: 0 success, 1 failure, 2 usage or a refused file, 3 the condition was not met (wait --timeout),
4 not found, 5 the key belongs to another submission, 6 unreachable, 7 rejected by admission, 75 the scheduler stays
busy: try again later. `crab run` exits with 125 where scheduling itself failed.";

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The daemon's data directory; its socket is in there
    #[arg(long, global = true, value_name = "DIR", env = "CRAB_DATA_DIR", help_heading = "Everywhere")]
    pub(crate) data_dir: Option<PathBuf>,
    /// A daemon elsewhere; the first time an invitation to it (`-` reads it, `@FILE` has it), kept as a certificate
    #[arg(long, global = true, value_name = "HOST:PORT", env = "CRAB_ADDRESS", help_heading = "Everywhere")]
    pub(crate) address: Option<String>,
    /// A cluster of ~/.config/knittingcrab/client.toml; goes before --data-dir and --address
    #[arg(long, global = true, value_name = "NAME", env = "CRAB_CONTEXT", help_heading = "Everywhere")]
    pub(crate) context: Option<String>,
    /// Write JSON: one object on each line, times as RFC 3339, lengths of time in seconds
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// No colours (also NO_COLOR, and wherever the output is no terminal)
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) no_color: bool,
    /// Only results and errors
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a task file or a command to its end, with a live view
    #[command(after_help = RUN_EXAMPLES)]
    Run(Later<Run>),
    /// Run the tests of a suite in pieces that run at once, and put together what came of them
    #[command(after_help = suite::TEST_EXAMPLES)]
    Test(Later<suite::Test>),
    /// Hand a task file or a command to the daemon and return
    #[command(after_help = SUBMIT_EXAMPLES)]
    Submit(Later<Submit>),
    /// Wait for graphs or tasks to end; fails where one did not succeed
    Wait(Later<Wait>),
    /// End graphs or tasks: SIGTERM, and SIGKILL after the grace
    Cancel(Later<Targets>),
    /// Try again what ended without success
    Retry(Later<Targets>),
    /// Send a signal to what a task runs: HUP, INT, QUIT, USR1, USR2 or WINCH
    #[command(after_help = operators::SIGNAL_EXAMPLES)]
    Signal(Later<operators::Signal>),
    /// Say anew how urgent tasks are that still wait
    #[command(after_help = operators::PRIO_EXAMPLES)]
    Prio(Later<operators::Prio>),
    /// Let go on what was paused: everything, a queue, a tenant, or a graph whose budget was used up
    Resume(Later<operators::Resume>),
    /// How everything is, or one graph or task
    Status(Later<seeing::Status>),
    /// The graphs, newest first
    #[command(visible_alias = "graphs")]
    List(Later<List>),
    /// Everything about a task: specification, attempts, events
    Show(Later<Show>),
    /// What a task waits for, who is before it, and when it should start
    #[command(visible_alias = "why")]
    Explain(Later<Show>),
    /// What a task wrote
    #[command(after_help = seeing::LOGS_EXAMPLES)]
    Logs(Later<seeing::Logs>),
    /// What has happened
    Events(Later<seeing::Events>),
    /// When a task or the tasks of a graph did what, drawn on a line for each
    Timeline(Later<seeing::Timeline>),
    /// Where the time of a task went: dependencies, queue, back-off, start, run
    Blame(Later<Show>),
    /// What is measured: as Prometheus reads it, or with --json in a stable schema
    Metrics,
    /// The machines
    Nodes,
    /// Who holds which locks, indices and amounts of the fleet, what rates have used, and who waits
    #[command(visible_aliases = ["locks", "pools", "rates"])]
    Claims,
    /// What is kept of what tasks left behind: show it, fetch it
    Artifacts(Later<artifacts::Artifacts>),
    /// The directories of tasks that machines keep, as they hold unsaved work or were asked to
    Workspaces(Later<space::Workspaces>),
    /// Cordon, drain, uncordon, label or forget a machine
    #[command(subcommand)]
    Node(Later<operators::Node>),
    /// Grant nothing any more, or nothing of a queue or a tenant; what was granted goes on
    Pause(Later<operators::Pause>),
    /// Start nothing any more, also of what was granted; what runs goes on
    Halt(Later<operators::Halt>),
    /// End a halt
    Unhalt(Later<operators::Halt>),
    /// Watch a task in its session, on a machine that is reached by SSH alone
    Attach(Later<remote::Attach>),
    /// Say a line to a task in its session
    Steer(Later<remote::Steer>),
    /// The sessions on machines that are reached by SSH alone, whose they are, and those that nobody owns any more
    Sessions(Later<remote::Sessions>),
    /// A shell on a machine that is reached by SSH alone, in a session of its own
    Shell(Later<remote::Shell>),
    /// How much a daemon's log says, or, with a level, how much from now on until it is started again
    #[command(after_help = operators::LOG_LEVEL_EXAMPLES)]
    LogLevel(Later<operators::LogLevel>),
    /// Who belongs to the fleet: certificates, invitations, and taking them back
    #[command(subcommand)]
    Cluster(Later<cluster::Cluster>),
    /// What is wrong here or in the fleet, what shows it, and what to do; exits with 0, 1 for warnings, 2 for failures
    Doctor(Later<operators::Doctor>),
    /// Have systemd or launchd keep the daemon running
    #[command(subcommand)]
    Service(Later<service::Service>),
    /// The daemon's settings, or a configuration file's
    #[command(subcommand)]
    Config(Later<config::Config>),
    /// Serve a coding agent: the fleet as tools, by the Model Context Protocol on standard input and output
    Mcp,
    /// The JSON schema of task files
    Schema,
    /// Manual pages
    Man {
        /// Where they are written
        directory: PathBuf,
    },
    /// A script that completes the arguments of crab
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  crab run actors/examples/diamond.toml
  crab run -- cargo test --workspace
  crab run --array 1-100%8 -- sh -c 'convert in/$CRAB_ARRAY_INDEX.png out/$CRAB_ARRAY_INDEX.webp'

A single command's output passes through, and its exit code becomes crab's: 128+n for signal n, 124 for a
timeout, 126 or 127 where it could not be started, 125 where scheduling itself failed.
Ctrl-C cancels; a second one kills.";

const SUBMIT_EXAMPLES: &str = "\
Examples:
  crab submit nightly.toml --wait
  crab submit --name tests --cpus 4 --memory '8 GiB' --timeout 20m --retries 2 -- cargo test
  crab submit --array 1-1000%10 --priority low -- ./simulate
  crab submit --gang 3 -- ./ring                (on three machines at once, or not yet)
  crab submit --key release-42 release.toml     (the same key twice is one submission)
  crab submit --into g7 more.toml               (its tasks may name those of g7)
  crab submit --after t5:end -- ./report        (joins the graph of t5)

What is added to a graph starts as soon as what it depends on lets it; a graph that had ended goes on.";

/// What to run: a file, or a command with its options.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// A task file: TOML, or JSON of the same shape (see `crab schema`)
    #[arg(conflicts_with = "argv", required_unless_present = "argv")]
    pub(crate) file: Option<PathBuf>,
    /// A command instead of a file
    #[arg(last = true, value_name = "CMD")]
    pub(crate) argv: Vec<OsString>,
    /// The text of a task file, where it is not read from one
    #[arg(skip)]
    pub(crate) text: Option<String>,
    /// A parameter of the file, where it has some
    #[arg(long, value_parser = about::pair, value_name = "NAME=VALUE", conflicts_with = "argv")]
    pub(crate) set: Vec<(String, String)>,
    /// Names the submission: the same key again is the same submission
    #[arg(long)]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) task: TaskOptions,
}

/// What a single command takes; a file says it itself.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "For a command")]
pub(crate) struct TaskOptions {
    /// The task's name; the program's where there is none
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// low, normal, high or critical
    #[arg(long)]
    pub(crate) priority: Option<Priority>,
    /// Who is charged its share; you, where nobody is named
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// What sort of work it is, such as build: tasks of one kind are expected to fail alike
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// It may be stopped to make room for a critical task, where the site lets that happen, and is run again later
    #[arg(long)]
    pub(crate) preemptible: bool,
    /// How much its processes matter to the machine: default, utility (others first) or background (only what nobody else wants)
    #[arg(long, value_name = "CLASS")]
    pub(crate) qos: Option<Qos>,
    /// Cores, such as 2 or 0.5 [default: 1]
    #[arg(long, value_parser = quantity::cpus, value_name = "N")]
    pub(crate) cpus: Option<u64>,
    /// Memory, such as 4GiB
    #[arg(long, value_parser = quantity::size, value_name = "SIZE")]
    pub(crate) memory: Option<u64>,
    /// Slots of the GPU
    #[arg(long, value_name = "N")]
    pub(crate) gpu: Option<u64>,
    /// Disk that it fills while it runs, such as 20GiB
    #[arg(long, value_parser = quantity::size, value_name = "SIZE")]
    pub(crate) disk: Option<u64>,
    /// Another request that will do where the above finds no room, such as cpus=2,gpu=1; what it does not say is as above.
    /// Repeat it for more, the best first; the task finds the number of its own, from 1, in CRAB_ALTERNATIVE
    #[arg(long, value_parser = alternative::read, value_name = "REQUEST")]
    pub(crate) alternative: Vec<Alternative>,
    /// An amount of one of the site's own resources
    #[arg(long, value_parser = alternative::amount, value_name = "NAME=N")]
    pub(crate) resource: Vec<(String, u64)>,
    /// A condition on the labels of its machine: os=macos, xcode>=16, 'rack in left,right', gpu, '!gpu', rack!=left
    #[arg(long, value_name = "CONDITION")]
    pub(crate) require: Vec<Condition>,
    /// A condition that should hold, with a weight from 1 to 100 before it: 50:rack=left
    #[arg(long, value_name = "[WEIGHT:]CONDITION")]
    pub(crate) prefer: Vec<Preference>,
    /// Data by name beside which it should run, with a weight from 1 to 100 before it: 50:imagenet
    #[arg(long, value_name = "[WEIGHT:]NAME")]
    pub(crate) near: Vec<Near>,
    /// The one machine that may run it
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Whether the machine where it failed last is avoided: no, prefer or require [default: prefer]
    #[arg(long, value_name = "HOW")]
    pub(crate) avoid_failed: Option<AvoidFailed>,
    #[command(flatten)]
    pub(crate) company: company::Options,
    #[command(flatten)]
    pub(crate) space: space::SpaceOptions,
    #[command(flatten)]
    pub(crate) provision: provision::ProvisionOptions,
    #[command(flatten)]
    pub(crate) about: about::AboutOptions,
    #[command(flatten)]
    pub(crate) stages: stages::StageOptions,
    /// A lock that nobody else holds meanwhile; with :shared, nobody who does not share it
    #[arg(long, value_name = "NAME[:shared]")]
    pub(crate) lock: Vec<String>,
    /// Indices of one of the fleet's pools, which it finds in variables such as CRAB_POOL_PORTS
    #[arg(long, value_parser = alternative::amount, value_name = "NAME=N")]
    pub(crate) pool: Vec<(String, u64)>,
    /// An amount of the fleet
    #[arg(long, value_parser = alternative::amount, value_name = "NAME=N")]
    pub(crate) amount: Vec<(String, u64)>,
    /// What it takes of one of the fleet's rates at its start: one call, or so many of these units
    #[arg(long, value_name = "NAME[=UNIT:N,...]")]
    pub(crate) rate: Vec<String>,
    /// A variable of its environment; with a NAME alone, as it is here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<OsString>,
    /// Where it runs; here, where none is named
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// The longest an attempt may take, such as 5m
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// After which it is asked to finish by SIGTERM: it has until its --timeout, or its --grace
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) soft_timeout: Option<Duration>,
    /// The longest it may write nothing
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) idle_timeout: Option<Duration>,
    /// The longest it may wait for a machine once it is ready
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) queue_timeout: Option<Duration>,
    /// When it is of no use any more, running or not: 2h from now, or 2026-12-24T18:00:00Z
    #[arg(long, value_parser = quantity::deadline, value_name = "WHEN")]
    pub(crate) deadline: Option<Deadline>,
    /// Memory that its processes together must not exceed, such as 8GiB; what is set aside is --memory
    #[arg(long, value_parser = quantity::size, value_name = "SIZE")]
    pub(crate) memory_limit: Option<u64>,
    /// How many processes it may have at a time
    #[arg(long, value_name = "N")]
    pub(crate) process_limit: Option<u64>,
    /// How many files each of its processes may have open
    #[arg(long, value_name = "N")]
    pub(crate) open_files: Option<u64>,
    /// Between SIGTERM and SIGKILL [default: 5s]
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) grace: Option<Duration>,
    /// Attempts after the first one where it fails [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) retries: Option<u32>,
    /// A task for each index; with %N at most N at once
    #[arg(long, value_parser = array, value_name = "FROM-TO[%N]")]
    pub(crate) array: Option<ArraySpec>,
    /// So many tasks that start together, each on a machine of its own, all of them or none
    #[arg(long, value_name = "N", conflicts_with = "array")]
    pub(crate) gang: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) work: Work,
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    #[command(flatten)]
    pub(crate) work: Work,
    /// Wait for the end, and fail where a task did not succeed
    #[arg(long)]
    pub(crate) wait: bool,
    /// Add to this graph (g12, or its name), which may be running or have ended
    #[arg(long, value_name = "GRAPH")]
    pub(crate) into: Option<String>,
    /// For a command: start when this task of the graph (t12, or its name) succeeded; with :end when it ran to its
    /// end, with :always when it is over in whatever manner. Without --into it joins the graph of the first one
    #[arg(long, value_name = "TASK[:NEED]")]
    pub(crate) after: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Graphs (g12), tasks (t12), or names
    #[arg(required = true, value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Give up after so long, with exit code 3
    #[arg(long, value_parser = quantity::duration, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Graphs (g12), tasks (t12), or names
    #[arg(required = true, value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// A task (t12), or its name
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
}

fn array(text: &str) -> Result<ArraySpec, &'static str> {
    taskfile::array(text).ok_or(taskfile::ARRAY_EXPECTED)
}
