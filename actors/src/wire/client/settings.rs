//! The settings that hold, as shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A key of the configuration with the value that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingRow {
    /// With its section: `lease.ttl`.
    pub key: Box<str>,
    /// The value that holds, as it is written in the file; in words where it depends on the machine.
    pub value: Box<str>,
    /// The value where none is said.
    pub usual: Box<str>,
    /// What it may be.
    pub allowed: Box<str>,
    /// What it means.
    pub about: Box<str>,
    /// Where the value comes from.
    pub origin: Origin,
}

impl SettingRow {
    /// Whether somebody said it.
    #[must_use]
    pub fn is_said(&self) -> bool {
        self.origin != Origin::Usual
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nobody said anything.
    Usual,
    /// The configuration file.
    File {
        /// Which.
        path: Box<str>,
        /// Where in it, from 1.
        line: u64,
    },
    /// The command line, which goes before the file.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("usual"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
