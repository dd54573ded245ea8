//! What is kept of what tasks left behind.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use policy::artifact::Kind;

const EXAMPLES: &str = "\
Examples:
  crab artifacts t12                          what is kept of it, and what was left out and why
  crab artifacts g7 --kind junit --json       the test reports of all tasks of a graph
  crab artifacts get t12                      all of it, below this directory
  crab artifacts get t12 'out/*.log' --into logs
  crab artifacts cat t12 target/report.xml    to standard output

Which files are kept a task says itself: artifacts = [\"out/**\"] in its file, or --artifact 'out/**'.";

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct Artifacts {
    #[command(subcommand)]
    pub(crate) what: Option<Which>,
    #[command(flatten)]
    pub(crate) list: List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Which {
    /// What is kept: the same without this word
    Ls(List),
    /// Fetch files, with who may execute them
    Get(Get),
    /// Write one file to standard output
    Cat(Cat),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// A task (t12) or a graph (g12), or its name
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// Only what is this: log, junit, coverage, patch or other
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// Of this attempt, counted from 1; of the last that left something where none is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// A task (t12), or its name
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// What of it: ids, paths, or patterns such as 'out/*.log'; all where none is named
    #[arg(value_name = "ID|PATH")]
    pub(crate) what: Vec<String>,
    /// Where to, with the directories of their paths [default: this directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) into: Option<PathBuf>,
    /// In the place of files that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Only what is this: log, junit, coverage, patch or other
    #[arg(long)]
    pub(crate) kind: Option<Kind>,
    /// Of this attempt, counted from 1; of the last that left something where none is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Cat {
    /// A task (t12), or its name
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// Which file: its path, its id, or a pattern that matches no other
    #[arg(value_name = "ID|PATH")]
    pub(crate) what: String,
    /// Of this attempt, counted from 1; of the last that left something where none is named
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,
}
