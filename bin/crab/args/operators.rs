//! What operators can type.

use std::time::Duration;

use actors::levels::{BadLevels, Levels};
use actors::taskfile::quantity;
use clap::{Args, Subcommand};
use policy::directive::{Change, Scope};
use policy::signal::TaskSignal;
use policy::task::Priority;

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Take no new work there; what runs goes on
    Cordon(NodeName),
    /// Take work there again, also after a drain
    Uncordon(NodeName),
    /// Take no new work there and empty it: what waits there goes elsewhere at once, what runs may end
    #[command(after_help = DRAIN_EXAMPLES)]
    Drain(Drain),
    /// Forget a machine that is gone, and what was said of it
    Remove(NodeName),
    /// Put labels on it, over its own, or take them back; without one, tell those it has
    #[command(after_help = LABEL_EXAMPLES)]
    Label(Label),
}

const LABEL_EXAMPLES: &str = "\
Examples:
  crab node label mac-3 rack=left production=yes    tasks with require = [\"rack=left\"] run there from now on
  crab node label mac-3 production-                 that is taken back: what the machine says itself holds again
  crab node label mac-3                             what it has, and which of them an operator has put there

It holds until it is taken back, also after a restart, and moves nothing that runs. What a machine is and can do (os, arch, chip,
secret/…, workspaces and so on) it alone says; its own labels are in [worker.labels].";

#[derive(Debug, Args)]
pub(crate) struct Label {
    #[command(flatten)]
    pub(crate) name: NodeName,
    /// name=value, or name- to take it back
    #[arg(value_name = "LABEL", value_parser = label)]
    pub(crate) labels: Vec<Change>,
}

fn label(text: &str) -> Result<Change, String> {
    match (text.split_once('='), text.strip_suffix('-')) {
        (Some((name, value)), _) => Ok((name.into(), Some(value.into()))),
        (None, Some(name)) => Ok((name.into(), None)),
        (None, None) => Err("must be name=value, such as rack=left, or name- to take it back".to_owned()),
    }
}

const DRAIN_EXAMPLES: &str = "\
Examples:
  crab node drain mac-3 --wait                   until it is empty, however long its tasks take
  crab node drain mac-3 --deadline 10m --wait    in ten minutes what still runs is stopped, and runs elsewhere
  crab node uncordon mac-3                       it takes work again

What is taken away counts as no failure and no loss of its task.";

/// Why one says something.
#[derive(Debug, Default, Args)]
pub(crate) struct Why {
    /// Why, for the record: it is shown with what holds (`crab nodes`, `crab status`) and in the events
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct NodeName {
    /// The machine, as `crab nodes` names it
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
    #[command(flatten)]
    pub(crate) why: Why,
}

#[derive(Debug, Args)]
pub(crate) struct Drain {
    #[command(flatten)]
    pub(crate) name: NodeName,
    /// After so long what still runs is stopped and runs elsewhere; without it everything may end by itself
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) deadline: Option<Duration>,
    /// Wait until nothing is left there
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait at most so long, and exit with 3 after it
    #[arg(long, requires = "wait", value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(subcommand)]
    pub(crate) what: Option<Paused>,
    #[command(flatten)]
    pub(crate) why: Why,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Paused {
    /// Tasks of this priority
    Queue {
        /// low, normal, high or critical
        priority: Priority,
        #[command(flatten)]
        why: Why,
    },
    /// Tasks of this tenant
    Tenant {
        /// Its name
        name: String,
        #[command(flatten)]
        why: Why,
    },
}

impl Paused {
    /// What is meant; everything where nothing is named.
    pub(crate) fn scope(what: Option<Self>, why: Why) -> (Scope, Why) {
        match what {
            None => (Scope::All, why),
            Some(Self::Queue { priority, why }) => (Scope::Priority(priority), why),
            Some(Self::Tenant { name, why }) => (Scope::Tenant(name.into()), why),
        }
    }
}

pub(crate) const PRIO_EXAMPLES: &str = "\
Examples:
  crab prio t12 high                                     it is served as the high ones from now on
  crab prio nightly low --reason 'people are waiting'    all of a graph that still waits

What runs keeps its machine. Of an array all members are as urgent as each other. It holds until it is said
otherwise, for further attempts as well, and whoever said it is in the events (scheduler.operated).";

#[derive(Debug, Args)]
pub(crate) struct Prio {
    /// A task (t12), a graph (g12), or a name
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// low, normal, high or critical
    #[arg(value_name = "PRIORITY")]
    pub(crate) priority: Priority,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Mend what can be mended without harm: permissions, what was left behind
    #[arg(long)]
    pub(crate) fix: bool,
}

pub(crate) const LOG_LEVEL_EXAMPLES: &str = "\
Examples:
  crab log-level                                   what holds
  crab log-level actors::scheduler=debug           the scheduler's decisions, beside what is said already
  crab log-level info,actors::scheduler=info       as usual again
  crab log-level --node mac-3 debug                everything of another machine's daemon

That it was changed, and by whom, is an event (scheduler.operated).";

#[derive(Debug, Args)]
pub(crate) struct LogLevel {
    /// off, error, warn, info, debug or trace, for everything or for the modules below a target; several with commas
    #[arg(value_name = "[TARGET=]LEVEL", value_parser = log_levels)]
    pub(crate) levels: Option<Box<str>>,
    /// Of this machine's daemon; of the scheduler's where none is named
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// Why, for the record
    #[arg(long, default_value = "", hide_default_value = true, requires = "levels")]
    pub(crate) reason: String,
}

/// As it was said, where it means something.
fn log_levels(text: &str) -> Result<Box<str>, BadLevels> {
    text.parse::<Levels>().map(|_| text.into())
}

pub(crate) const SIGNAL_EXAMPLES: &str = "\
Examples:
  crab signal t7 USR1          to its process group; a program without a handler for it ends, as by any signal
  crab signal server hup       a single task may be called by its name

What is stopped for good is cancelled: crab cancel. Handlers hear no signals.";

#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// A task (t12), or its name
    pub(crate) task: String,
    /// HUP, INT, QUIT, USR1, USR2 or WINCH
    #[arg(value_parser = TaskSignal::read)]
    pub(crate) signal: TaskSignal,
}

#[derive(Debug, Args)]
pub(crate) struct Halt {
    /// This machine alone; all of the fleet where none is named
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// The machine on which this is typed, by a file: also where no daemon and no scheduler answers
    #[arg(long, conflicts_with_all = ["node", "reason"])]
    pub(crate) here: bool,
    #[command(flatten)]
    pub(crate) why: Why,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Resume {
    #[command(subcommand)]
    pub(crate) what: Option<Paused>,
    /// A graph (g12) or its name whose budget was used up; without it the pause of everything is over
    #[arg(value_name = "GRAPH")]
    pub(crate) graph: Option<String>,
    /// Why a pause is over, for the record
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "graph"
    )]
    pub(crate) reason: String,
    /// From now on the graph may use so much time, all attempts together; 0s for any
    #[arg(long, requires = "graph", value_name = "LENGTH", value_parser = quantity::duration)]
    pub(crate) time: Option<Duration>,
    /// So much processor time; 0s for any
    #[arg(long, requires = "graph", value_name = "LENGTH", value_parser = quantity::duration)]
    pub(crate) cpu_time: Option<Duration>,
    /// So many attempts; 0 for any number
    #[arg(long, requires = "graph", value_name = "N")]
    pub(crate) attempts: Option<u64>,
    /// So many units of cost; 0 for any number
    #[arg(long, requires = "graph", value_name = "N")]
    pub(crate) cost: Option<u64>,
    /// So many retries; 0 for any number
    #[arg(long, requires = "graph", value_name = "N")]
    pub(crate) retries: Option<u64>,
}
