//! Where a setting's value comes from: the line of the file, the command line, or nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::config::section::Setting;

/// A key with the value that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// With its section: `lease.ttl`.
    pub key: String,
    /// The value that holds, as it is written, or in words where it depends on the machine.
    pub value: String,
    /// The value where none is said.
    pub usual: String,
    /// What it may be.
    pub allowed: String,
    /// What it means.
    pub about: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nobody said anything.
    Usual,
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// Where in it, from 1.
        line: usize,
    },
    /// The command line, which goes before the file.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("usual"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// The lines at which the keys of a file stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    path: PathBuf,
    by_key: BTreeMap<String, usize>,
}

impl Lines {
    /// Of a file that was read already.
    pub(super) fn of(path: &Path, text: &str) -> Self {
        let mut by_key = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            walk(table.get_ref(), "", text, &mut by_key);
        }
        Self { path: path.to_owned(), by_key }
    }

    /// A setting with where it comes from.
    pub(super) fn shown(&self, setting: Setting) -> Shown {
        let Setting { key, said, usual, allowed, about } = setting;
        let origin = match (&said, self.by_key.get(&key)) {
            (Some(_), Some(line)) => Origin::File { path: self.path.clone(), line: *line },
            _ => Origin::Usual,
        };
        let value = said.unwrap_or_else(|| usual.clone());
        Shown { key, value, usual, allowed, about: about.to_owned(), origin }
    }
}

fn walk(table: &DeTable<'_>, path: &str, text: &str, by_key: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let name = key.get_ref();
        let whole = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        if let DeValue::Table(inner) = value.get_ref() {
            walk(inner, &whole, text, by_key);
        }
        let line = 1 + text.as_bytes()[..key.span().start].iter().filter(|byte| **byte == b'\n').count();
        by_key.insert(whole, line);
    }
}
