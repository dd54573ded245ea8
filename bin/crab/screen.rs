//! Where everything is written: results to standard output, what is only for people to standard error.

mod remembered;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::json;
pub(crate) use crate::cli::screen::remembered::Memory;

/// Both outputs of this process, and how the user wants them.
#[derive(Debug, Clone)]
pub(crate) struct Screen {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) color: bool,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    /// Whether a live view can be drawn.
    pub(crate) live: bool,
    out: Sink,
    err: Sink,
}

/// Where bytes go.
#[derive(Debug, Clone)]
enum Sink {
    Stdout,
    Stderr,
    Memory(Memory),
}

impl Sink {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::Stderr => io::stderr().write_all(bytes),
            Self::Memory(memory) => {
                memory.write(bytes);
                Ok(())
            }
        }
    }
}

/// A colour of the terminal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Color {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Screen {
    pub(crate) fn new(global: &Global) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal();
        let capable = variable("TERM").is_none_or(|term| term != "dumb");
        let color = terminal && capable && !global.no_color && variable("NO_COLOR").is_none();
        let drawable = terminal && io::stderr().is_terminal() && capable && variable("NO_COLOR").is_none();
        let live = drawable && !global.json && !global.quiet;
        let (json, quiet) = (global.json, global.quiet);
        Self { json, quiet, color, terminal, live, out: Sink::Stdout, err: Sink::Stderr }
    }

    /// A screen that remembers what was written to both outputs.
    pub(crate) fn remembering(json: bool) -> (Self, [Memory; 2]) {
        let memories: [Memory; 2] = Default::default();
        let (out, err) = (Sink::Memory(memories[0].clone()), Sink::Memory(memories[1].clone()));
        (Self { json, quiet: false, color: false, terminal: false, live: false, out, err }, memories)
    }

    /// A line of the result.
    pub(crate) fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.out.write(format!("{line}\n").as_bytes())
    }

    /// A part of the result as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// A part of the result, byte for byte.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write(bytes)
    }

    /// Bytes of a task's standard error, passed on.
    pub(crate) fn error_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write(bytes)
    }

    /// An object of the result, on a line of its own.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(object)?;
        line.push(b'\n');
        Ok(self.bytes(&line)?)
    }

    /// A word to the person in front of it.
    pub(crate) fn note(&mut self, note: impl Display) {
        if !self.quiet {
            // Nobody is there to be told that nobody can be told.
            let _ = self.err.write(format!("{note}\n").as_bytes());
        }
    }

    /// What went wrong. A reader that has seen enough is no trouble.
    pub(crate) fn trouble(&mut self, error: &anyhow::Error, exit: Exit) {
        let closed = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(closed) {
            return;
        }
        let text = format!("{error:#}");
        let line = match serde_json::to_string(&json::Trouble::of(exit.0, text.clone())) {
            Ok(line) if self.json => line,
            _ => self.painted(Color::Red, "error: ", &text),
        };
        // As with a note: there is nowhere else to say it.
        let _ = self.err.write(format!("{line}\n").as_bytes());
    }

    /// `head` in a colour, and the rest.
    pub(crate) fn painted(&self, color: Color, head: &str, rest: &str) -> String {
        if self.color { format!("\x1b[{}m{head}\x1b[0m{rest}", color as u8) } else { format!("{head}{rest}") }
    }
}
