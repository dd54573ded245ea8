//! A command line of this program, put together from values: no value can become an option.

use std::ffi::OsString;
use std::fmt::Display;

/// What would be typed.
#[derive(Debug)]
pub(super) struct Line(pub(super) Vec<OsString>);

impl Line {
    pub(super) fn new(command: &str) -> Self {
        Self(vec!["crab".into(), command.into()])
    }

    pub(super) fn option(mut self, name: &str, value: Option<impl Display>) -> Self {
        self.0.extend(value.map(|value| OsString::from(format!("--{name}={value}"))));
        self
    }

    pub(super) fn each(self, name: &str, values: impl IntoIterator<Item = impl Display>) -> Self {
        values.into_iter().fold(self, |line, value| line.option(name, Some(value)))
    }

    pub(super) fn flag(mut self, name: &str, is_set: bool) -> Self {
        self.0.extend(is_set.then(|| OsString::from(format!("--{name}"))));
        self
    }

    /// The name of a file.
    pub(super) fn file(mut self, name: &str) -> Self {
        self.0.push(name.into());
        self
    }

    /// What stands without a name; comes last.
    pub(super) fn values(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.0.push("--".into());
        self.0.extend(values.into_iter().map(OsString::from));
        self
    }
}
