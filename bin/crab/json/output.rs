//! What `logs --json` writes.

use std::borrow::Cow;

use actors::wire::fleet::OutputPart;
use policy::id::{AttemptNumber, TaskId};
use policy::output::digest::{Digested, Part, Shown};
use serde::Serialize;

use super::VERSION;
use crate::cli::text::rfc3339;

/// Consecutive output of one stream.
#[derive(Debug, Serialize)]
pub(crate) struct Output<'o> {
    v: u32,
    task: String,
    attempt: u32,
    at: String,
    stream: &'static str,
    /// What is not UTF-8 is replaced.
    text: Cow<'o, str>,
    /// Bytes left out before this, because a limit was reached.
    omitted_bytes: u64,
}

impl<'o> Output<'o> {
    pub(crate) fn of(task: TaskId, attempt: AttemptNumber, part: &'o OutputPart) -> Self {
        Self {
            v: VERSION,
            task: task.to_string(),
            attempt: attempt.0,
            at: rfc3339(part.at),
            stream: part.stream.name(),
            text: String::from_utf8_lossy(&part.bytes),
            omitted_bytes: part.omitted,
        }
    }
}

/// What output comes to.
#[derive(Debug, Serialize)]
pub(crate) struct Digest {
    v: u32,
    task: String,
    attempt: u32,
    lines: u64,
    bytes: u64,
    /// Lines that tell of trouble.
    trouble_lines: u64,
    /// Bytes that were not kept when they were written.
    omitted_bytes: u64,
    parts: Vec<DigestPart>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum DigestPart {
    Line {
        /// Counted from 1.
        line: u64,
        stream: &'static str,
        at: String,
        text: String,
        /// Bytes of it that are not shown.
        cut_bytes: u64,
        /// Lines right behind it that are like it.
        alike_lines: u64,
    },
    Gap {
        left_out_lines: u64,
        left_out_trouble_lines: u64,
    },
}

impl Digest {
    pub(crate) fn of(task: TaskId, attempt: AttemptNumber, (digested, lost): (Digested, u64)) -> Self {
        Self {
            v: VERSION,
            task: task.to_string(),
            attempt: attempt.0,
            lines: digested.lines,
            bytes: digested.bytes,
            trouble_lines: digested.troubles,
            omitted_bytes: lost,
            parts: digested.parts.into_iter().map(DigestPart::of).collect(),
        }
    }
}

impl DigestPart {
    fn of(part: Part) -> Self {
        match part {
            Part::Line(Shown { number, stream, at, text, cut, alike }) => Self::Line {
                line: number,
                stream: stream.name(),
                at: rfc3339(at),
                text: text.to_string(),
                cut_bytes: cut,
                alike_lines: alike,
            },
            Part::Gap { lines, troubles } => {
                Self::Gap { left_out_lines: lines, left_out_trouble_lines: troubles }
            }
        }
    }
}
