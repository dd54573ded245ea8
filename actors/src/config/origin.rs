//! Where a setting's value comes from: the line of the file, the command line, or nobody.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::config::section::Setting;
use crate::wire::client::{Origin, SettingRow};

/// The lines at which the keys of a file stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines {
    path: PathBuf,
    by_key: BTreeMap<String, u64>,
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
    pub(super) fn shown(&self, setting: Setting) -> SettingRow {
        let Setting { key, said, usual, allowed, about, .. } = setting;
        let origin = match (&said, self.by_key.get(&key)) {
            (Some(_), Some(line)) => Origin::File { path: self.path.to_string_lossy().into(), line: *line },
            _ => Origin::Usual,
        };
        let value = said.unwrap_or_else(|| usual.clone());
        SettingRow {
            key: key.into(),
            value: value.into(),
            usual: usual.into(),
            allowed: allowed.into(),
            about: about.into(),
            origin,
        }
    }
}

fn walk(table: &DeTable<'_>, path: &str, text: &str, by_key: &mut BTreeMap<String, u64>) {
    for (key, value) in table {
        let name = key.get_ref();
        let whole = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        if let DeValue::Table(inner) = value.get_ref() {
            walk(inner, &whole, text, by_key);
        }
        let before = &text.as_bytes()[..key.span().start];
        let line = 1 + before.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        by_key.insert(whole, line);
    }
}
