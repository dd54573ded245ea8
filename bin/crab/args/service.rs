//! What can be typed about the daemon as a service of the system.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Service {
    /// Have systemd or launchd start crabd, and keep it running
    Install {
        #[command(flatten)]
        place: Where,
        /// The daemon's configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The user that it runs as, and every task with it [default: root]
        #[arg(long = "as", value_name = "NAME", requires = "system")]
        run_as: Option<String>,
        /// Only show what would be written
        #[arg(long)]
        print: bool,
    },
    /// Stop it and have it forgotten; tasks that run go on until their lease ends
    Uninstall {
        #[command(flatten)]
        place: Where,
    },
    /// Whether it is installed; exits with 3 where it is not
    Status {
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Where {
    /// For the whole machine, which only root may
    #[arg(long)]
    pub(crate) system: bool,
    /// For you, as long as the system keeps your services running; what is meant where neither is said
    #[arg(long, conflicts_with = "system")]
    pub(crate) user: bool,
}
