//! What can be typed to see what is and was.

use std::time::Duration;

use actors::taskfile::quantity;
use actors::wire::client::StateName;
use clap::Args;
use policy::output::digest::{LEAST_LIMIT_BYTES, MOST_LIMIT_BYTES};

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

pub(crate) const LOGS_EXAMPLES: &str = "\
Examples:
  crab logs t12                      all that its last attempt wrote
  crab logs -f build                 go on until it ends, through its attempts
  crab logs t12 --digest             what matters of it, within 8 KiB: for agents, and for logs of gigabytes
  crab logs t12 --grep 'warning|error' -n 20
  crab logs t12 --since 10m --stderr
  crab logs t12 --tail 4096

A digest is made of the first and the last lines and of those that tell of trouble, with the lines behind them; runs of lines
that are alike are one line and a number, and what is left out is counted. What fits is shown whole.
A pattern is a regular expression, without colours and without regard to what follows the first 64 KiB of a line; (?i) in front
of it ignores case.";

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// A task (t12), or its name
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// Go on until the task has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Of this attempt, counted from 1; of the last where none is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
    /// Only what was written within the last so long, such as 10m
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) since: Option<Duration>,
    /// Only about the last so many bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) tail: Option<u32>,
    /// Only the last so many lines, of those that are wanted otherwise; with --follow the last and all that come
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) lines: Option<u32>,
    /// Only lines that match this pattern
    #[arg(long, short, value_name = "PATTERN")]
    pub(crate) grep: Option<regex::Regex>,
    /// What matters of it, in at most so many bytes (1 KiB to 256 KiB)
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "8 KiB", require_equals = true,
        value_parser = digest_size, conflicts_with_all = ["follow", "raw", "lines"])]
    pub(crate) digest: Option<usize>,
    /// Only standard output
    #[arg(long, conflicts_with = "stderr")]
    pub(crate) stdout: bool,
    /// Only standard error
    #[arg(long)]
    pub(crate) stderr: bool,
    /// Byte for byte, also to a terminal: what it wrote may then control the terminal
    #[arg(long)]
    pub(crate) raw: bool,
}

fn digest_size(text: &str) -> Result<usize, String> {
    let size = quantity::size(text).map_err(|error| error.to_string())?;
    let sizes = LEAST_LIMIT_BYTES..=MOST_LIMIT_BYTES;
    let size = usize::try_from(size).ok().filter(|size| sizes.contains(size));
    size.ok_or_else(|| "must be from 1 KiB to 256 KiB".to_owned())
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
