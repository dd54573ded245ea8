//! What can be typed behind the program's name.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Looks into the actors of a cluster, and does what operators want to be done.
#[derive(Debug, Parser)]
#[command(name = "cluster-top", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// One line and its answer; may be given several times
    #[arg(short, long = "execute", value_name = "LINE")]
    pub(crate) execute: Vec<String>,
    /// Write JSON: one object for each row
    #[arg(long, conflicts_with = "plain")]
    pub(crate) json: bool,
    /// Write tables for programs: a head, tabulators between columns, nothing cut
    #[arg(long)]
    pub(crate) plain: bool,
    /// Over this log, or a copy of one, and without a daemon: a data directory or the log in it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data_dir", "address", "context"])]
    pub(crate) journal: Option<PathBuf>,
    /// Begin at this moment: -5m, or seq=N
    #[arg(long, value_name = "MOMENT", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// Act without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Refuse to act
    #[arg(long, conflicts_with = "yes")]
    pub(crate) read_only: bool,
    /// Why one acts, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// A cluster of ~/.config/knittingcrab/client.toml; goes before --data-dir and --address
    #[arg(long, value_name = "NAME", env = "CRAB_CONTEXT")]
    pub(crate) context: Option<String>,
    /// The daemon's data directory; its socket is in there
    #[arg(long, value_name = "DIR", env = "CRAB_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// A daemon elsewhere
    #[arg(long, value_name = "HOST:PORT", env = "CRAB_ADDRESS")]
    pub(crate) address: Option<String>,
    /// Columns of the output; those of the terminal
    #[arg(long, value_name = "COLUMNS")]
    pub(crate) width: Option<usize>,
    /// Nothing but ASCII
    #[arg(long)]
    pub(crate) ascii: bool,
    /// No colours (also NO_COLOR, and wherever the output is no terminal)
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Print the JSON schema of an answer
    #[arg(long)]
    pub(crate) schema: bool,
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// The full screen
    Tui,
    /// Run the lines of a file
    Run {
        /// The file; lines that begin with # are passed over
        file: PathBuf,
    },
}

const EXAMPLES: &str = "\
Examples:
  cluster-top                                        a prompt; `help` tells the language
  cluster-top -e 'tasks pending | sort -for | head 5' one line and its answer
  cluster-top -e lints --json                        what looks wrong; exits with 3 where there is something
  echo nodes | cluster-top                           lines from a pipe
  cluster-top --journal ./copy -e 'at seq=81; tasks' what was, from a copy of the log

Exit codes: 0 success, 1 trouble, 2 a line that makes no sense, 3 something looks wrong (lints), 4 not found,
6 unreachable, 7 refused, 75 busy.";
