//! Asks a program what there is, and waits for it. Runs here, before anything is handed in.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::exit::Usage;
use crate::cli::text;

/// Bytes that a list of tests may have, 256 MiB: a million tests with long names.
const LISTED_LIMIT_BYTES: u64 = 256 << 20;

/// The tests could not be built or listed: what runs them said why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotListed(pub(super) String);

/// A command and where it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) argv: Vec<Box<OsStr>>,
    /// Where it runs; where the driver does, where none is said.
    pub(super) directory: Option<Box<Path>>,
    pub(super) environment: Vec<(Box<OsStr>, Box<OsStr>)>,
}

impl Launch {
    pub(super) fn new<W: AsRef<OsStr>>(argv: impl IntoIterator<Item = W>) -> Self {
        Self { argv: argv.into_iter().map(|word| word.as_ref().into()).collect(), ..Self::default() }
    }

    pub(super) fn arg(mut self, word: impl AsRef<OsStr>) -> Self {
        self.argv.push(word.as_ref().into());
        self
    }

    pub(super) fn args<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.argv.extend(words.into_iter().map(|word| word.as_ref().into()));
        self
    }

    pub(super) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// As people write it.
    pub(super) fn told(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|word| word.to_string_lossy()).collect();
        text::harmless(&words.join(" "))
    }

    /// Runs it to its end and gives what it wrote; what it says meanwhile is seen.
    pub(super) fn ask(&self) -> anyhow::Result<Asked> {
        let Some((program, args)) = self.argv.split_first() else { return Ok(Asked::default()) };
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.directory.as_deref().unwrap_or_else(|| Path::new(".")));
        let mut child = command.spawn().map_err(|error| Usage(format!("{}: {error}", self.told())))?;
        let mut out = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(LISTED_LIMIT_BYTES).read_to_end(&mut out)?;
        }
        // It was closed above: whoever has more to say ends by that.
        let is_well = child.wait()?.success();
        Ok(Asked { out: String::from_utf8_lossy(&out).into_owned(), is_well })
    }

    /// As [`Launch::ask`], of a command that must succeed.
    pub(super) fn listed(&self) -> anyhow::Result<String> {
        let asked = self.ask()?;
        if asked.is_well {
            return Ok(asked.out);
        }
        let said = asked.out.trim_end();
        let from = said.char_indices().rev().nth(SHOWN_CHARS).map_or(0, |(at, _)| at);
        let said = text::harmless(&said[from..]);
        let said = if said.is_empty() { said } else { format!(":\n{said}") };
        Err(NotListed(format!("the tests cannot be listed: {} failed{said}", self.told())).into())
    }
}

/// Characters of what a failed listing wrote that are shown: a screen.
const SHOWN_CHARS: usize = 4000;

/// What a program answered.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) out: String,
    pub(super) is_well: bool,
}
