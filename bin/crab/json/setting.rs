//! What `config --json` writes.

use std::path::Path;

use actors::wire::client::{Origin, SettingRow};
use serde::Serialize;

use super::VERSION;

/// A setting. Its value is a text as the file has it.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    v: u32,
    key: String,
    value: String,
    usual: String,
    allowed: String,
    about: String,
    /// `usual`, `file` or `command-line`.
    origin: &'static str,
    file: Option<String>,
    line: Option<u64>,
}

impl From<&SettingRow> for Setting {
    fn from(row: &SettingRow) -> Self {
        let (origin, file, line) = match &row.origin {
            Origin::Usual => ("usual", None, None),
            Origin::File { path, line } => ("file", Some(path.to_string()), Some(*line)),
            Origin::CommandLine => ("command-line", None, None),
        };
        Self {
            v: VERSION,
            key: row.key.to_string(),
            value: row.value.to_string(),
            usual: row.usual.to_string(),
            allowed: row.allowed.to_string(),
            about: row.about.to_string(),
            origin,
            file,
            line,
        }
    }
}

/// Of `config check`, where the file is sound.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    v: u32,
    file: String,
    keys_set: usize,
}

impl Checked {
    pub(crate) fn of(file: &Path, keys_set: usize) -> Self {
        Self { v: VERSION, file: file.display().to_string(), keys_set }
    }
}
