//! Where everything is written: results to standard output, what is only for people to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::json;

/// Both outputs of this process, and how the user wants them.
#[derive(Debug)]
pub(crate) struct Screen {
    pub(crate) json: bool,
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        Self { json: global.json }
    }

    /// Whether somebody sits in front of it.
    pub(crate) fn has_person() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// A line of the result.
    pub(crate) fn line(&self, line: impl Display) -> io::Result<()> {
        writeln!(io::stdout(), "{line}")
    }

    /// A part of the result as it is.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        io::stdout().write_all(bytes)
    }

    /// An object of the result, on a line of its own.
    pub(crate) fn object(&self, object: &impl Serialize) -> anyhow::Result<()> {
        Ok(self.line(serde_json::to_string(object)?)?)
    }

    /// A word to the person in front of it.
    pub(crate) fn note(&self, note: impl Display) {
        // Nobody is there to be told that nobody can be told.
        let _ = writeln!(io::stderr(), "{note}");
    }

    /// What went wrong. A reader that has seen enough is no trouble.
    pub(crate) fn trouble(&self, error: &anyhow::Error, exit: Exit) {
        let closed = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(closed) {
            return;
        }
        let text = format!("{error:#}");
        match serde_json::to_string(&json::Trouble::of(exit.0, text.clone())) {
            Ok(line) if self.json => self.note(line),
            _ => self.note(format!("error: {text}")),
        }
    }
}
