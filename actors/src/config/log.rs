//! `[log]`: what the daemon says of itself, how, and where.

use std::fmt;

use serde::Deserialize;

use crate::config::amount::Size;
use crate::config::section::{Any, If, section};
use crate::levels::{Levels, USUAL};

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One object on each line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Human => "human",
            Self::Json => "json",
        })
    }
}

/// A file below this would be begun anew every few minutes.
const LEAST_FILE_BYTES: u64 = 64 << 10;

section! {
    /// `[log]`
    LogConfig {
        /// How lines are written: for people, or one JSON object on each.
        format: LogFormat = LogFormat::default(), Any("human or json");
        /// How much is written: of everything, and of modules that are named; CRAB_LOG goes before it, and `crab log-level` changes it.
        level: String = USUAL.to_owned(), If(|text: &String| text.parse::<Levels>().is_ok(), "LEVEL or TARGET=LEVEL, several with commas between; levels are off, error, warn, info, debug, trace");
        /// Where it is written; a path that is not absolute is below the data directory.
        file: String as "standard error", If(|path: &String| !path.is_empty(), "the path of a file");
        /// How large that file gets before it is put aside as FILE.1, and what was FILE.1 as FILE.2.
        file_size: Size = Size(16 << 20), If(|size: &Size| size.0 >= LEAST_FILE_BYTES, "at least 64 KiB");
        /// How many of those that were put aside are kept.
        files: u32 = 4, 0..=1000;
    }
}
