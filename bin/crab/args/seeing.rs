//! What can be typed to see what is and was.

use std::time::Duration;

use actors::taskfile::quantity;
use actors::wire::client::StateName;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Timeline {
    /// A graph (g12), a task (t12), or a name
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// At most so many tasks
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Of a graph (g12), a task (t12), or a name; all where none is given
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Go on as they happen
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Those after this number; the last hundred, or all of the target, where none is given
    #[arg(long, value_name = "NUMBER")]
    pub(crate) after: Option<u64>,
    /// Those of the last so long, such as 10m
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, conflicts_with = "after")]
    pub(crate) since: Option<Duration>,
    /// Only those of these types, such as task.granted, or all of node.*
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// A graph (g12), a task (t12), or a name; everything where none is given
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Only tasks in these states: waiting, ready, backing-off, granted, running, succeeded, failed, cancelled, skipped
    #[arg(long, value_delimiter = ',', value_name = "STATE")]
    pub(crate) state: Vec<StateName>,
    /// At most so many tasks
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) limit: usize,
    /// Everything again and again, until Ctrl-C
    #[arg(long, short, conflicts_with = "target")]
    pub(crate) watch: bool,
    /// How often, with --watch
    #[arg(long, default_value = "2s", requires = "watch", value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) every: Duration,
}
