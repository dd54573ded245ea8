//! What can be asked of settings.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// The settings that hold in the daemon; with a file, those that it would make
    Show {
        /// A configuration file (TOML) instead of the daemon
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Also where each value comes from, what it may be, and what it means
        #[arg(long)]
        origin: bool,
        /// Only keys that begin so, such as lease
        #[arg(long, value_name = "PREFIX")]
        only: Option<String>,
    },
    /// A file with every key, its meaning and its usual value
    Init,
    /// The JSON schema of configuration files
    Schema,
    /// Whether a configuration file is sound; exits with 2 where it is not
    Check {
        /// The file (TOML)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
