//! Being where a task runs: `attach`, `steer`, `shell`.

use std::ffi::OsString;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// A task (t12) that runs on a machine of `[ssh_nodes]`, or its name
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
}

#[derive(Debug, Args)]
pub(crate) struct Steer {
    /// A task (t12) that runs on a machine of `[ssh_nodes]` with steer = true, or its name
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// What it hears on its standard input, as one line
    #[arg(value_name = "TEXT")]
    pub(crate) text: OsString,
}

#[derive(Debug, Args)]
pub(crate) struct Sessions {
    /// Only on this machine
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// End those of tasks that have ended, with what they wrote
    #[arg(long)]
    pub(crate) prune: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// A machine of `[ssh_nodes]`
    #[arg(value_name = "NODE")]
    pub(crate) node: String,
}
