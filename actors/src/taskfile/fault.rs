//! What is wrong with a task file, by line, field and value.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Faults that are shown; the rest is counted. More than a person reads, few enough to print.
pub const FAULT_LIMIT: usize = 200;
/// Characters of a wrong value that are shown.
const SHOWN_VALUE_CHARS: usize = 60;

/// A task file that is refused whole: nothing of it was submitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FileRefused {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What is wrong, in the order of the file; at least one.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub more: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, counted from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// In which task.
    pub task: Option<String>,
    /// In which field, such as `retry.attempts`; empty where it is about no field.
    pub field: String,
    /// The value as it is written, cut where it is long; empty where it is about no value.
    pub value: String,
    /// What it must be.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task) = &self.task {
            write!(f, "task {task:?}: ")?;
        }
        if !self.field.is_empty() {
            f.write_str(&self.field)?;
            if !self.value.is_empty() {
                write!(f, " = {}", self.value)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.expected)
    }
}

/// One line for each fault: `build.toml:12: task "test": cpus = -1: must be ...`.
impl fmt::Display for FileRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if fault.line > 0 {
                write!(f, "{}:", fault.line)?;
            }
            write!(f, " {fault}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// The text of a file and where its lines begin.
#[derive(Debug)]
pub(super) struct Source<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, line_starts }
    }

    /// The line of a byte, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    /// A value as it is written, on one line and cut where it is long.
    pub(super) fn shown(&self, span: &Range<usize>) -> String {
        shown(self.text.get(span.clone()).unwrap_or_default())
    }
}

/// Any text on one line, harmless on a terminal, and cut where it is long.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN_VALUE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN_VALUE_CHARS).is_some() {
        shown.push('…');
    }
    shown
}
