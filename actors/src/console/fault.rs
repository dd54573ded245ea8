//! What is wrong with a line, pointing into it, or with what it asked for.

use std::fmt;
use std::ops::Range;

use crate::client::ClientError;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What sort of thing is wrong.
    pub sort: Sort,
    /// What is wrong.
    pub message: String,
    /// Where in the line, in bytes; everywhere where there is none.
    pub span: Option<Range<usize>>,
    /// What could be instead, a line each.
    pub help: Vec<String>,
}

/// What sort of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// The line makes no sense.
    Usage,
    /// It names what is not there.
    NotFound,
    /// It cannot be done.
    Refused,
    /// Nobody answers.
    Unreachable,
    /// Not now.
    Busy,
}

impl Sort {
    /// The exit code of a program that ends with it, the same as those of `crab`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound => 4,
            Self::Unreachable => 6,
            Self::Refused => 7,
            Self::Busy => 75,
        }
    }
}

impl Fault {
    /// The part of the line at `span` makes no sense.
    #[must_use]
    pub fn usage(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { sort: Sort::Usage, message: message.into(), span: Some(span), help: Vec::new() }
    }

    /// What is there is not what was asked for.
    #[must_use]
    pub fn of(sort: Sort, message: impl Into<String>) -> Self {
        Self { sort, message: message.into(), span: None, help: Vec::new() }
    }

    /// The same, at this place of the line.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The same, with a line of what could be instead.
    #[must_use]
    pub fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }

    /// The same, with what is possible; of many only the beginning.
    #[must_use]
    pub fn possible<S: AsRef<str>>(self, words: impl IntoIterator<Item = S>) -> Self {
        let words: Vec<String> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        if words.is_empty() {
            return self;
        }
        let shown = words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
        let more = if words.len() > SHOWN { " ..." } else { "" };
        self.help(format!("possible: {shown}{more}"))
    }

    /// The line with what is wrong marked below it, and what could be instead.
    #[must_use]
    pub fn shown(&self, line: &str) -> String {
        let mut text = String::new();
        if let Some(span) = &self.span {
            let before = line.get(..span.start).unwrap_or(line).chars().count();
            let marked = line.get(span.clone()).unwrap_or("").chars().count().max(1);
            text.push_str(&format!("  {line}\n  {}{}\n", " ".repeat(before), "^".repeat(marked)));
        }
        text.push_str(&format!("error: {}", self.message));
        for help in &self.help {
            text.push_str(&format!("\n  {help}"));
        }
        text
    }
}

/// Words that are named as possible: two lines of a terminal.
const SHOWN: usize = 24;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let sort = match &error {
            ClientError::Unreachable { .. } | ClientError::NoAnswer { .. } => Sort::Unreachable,
            ClientError::Busy { .. } => Sort::Busy,
            ClientError::NotFound(_) => Sort::NotFound,
            ClientError::Rejected(_)
            | ClientError::Refused(_)
            | ClientError::Conflict { .. }
            | ClientError::NoOutput(_)
            | ClientError::NoArtifact(_)
            | ClientError::Spoiled { .. }
            | ClientError::TooLarge { .. }
            | ClientError::Protocol(_) => Sort::Refused,
        };
        Self::of(sort, error.to_string())
    }
}
