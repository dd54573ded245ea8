//! Attempts, and what they used.

use actors::wire::client::AttemptRow;
use policy::task::Usage;
use serde::Serialize;

use super::Outcome;
use crate::cli::text::rfc3339;

/// One attempt.
#[derive(Debug, Serialize)]
pub(super) struct Attempt {
    number: u32,
    /// Which of the task's requests it holds, from 1.
    alternative: u32,
    token: String,
    node: String,
    granted: String,
    started: Option<String>,
    ended: Option<String>,
    pid: Option<u32>,
    outcome: Option<Outcome>,
    usage: Used,
}

impl From<&AttemptRow> for Attempt {
    fn from(row: &AttemptRow) -> Self {
        Self {
            number: row.number.0,
            alternative: row.request.number(),
            token: row.token.to_string(),
            node: row.node.to_string(),
            granted: rfc3339(row.granted),
            started: row.started.map(rfc3339),
            ended: row.ended.map(rfc3339),
            pid: row.pid,
            outcome: row.outcome.as_ref().map(Outcome::from),
            usage: Used::from(&row.usage),
        }
    }
}

/// What an attempt used.
#[derive(Debug, Serialize)]
pub(super) struct Used {
    wall_s: f64,
    cpu_s: f64,
    peak_memory_bytes: u64,
    stdout_bytes: u64,
    stderr_bytes: u64,
}

impl From<&Usage> for Used {
    fn from(usage: &Usage) -> Self {
        Self {
            wall_s: usage.wall.as_secs_f64(),
            cpu_s: usage.cpu.as_secs_f64(),
            peak_memory_bytes: usage.peak_memory_bytes,
            stdout_bytes: usage.stdout_bytes,
            stderr_bytes: usage.stderr_bytes,
        }
    }
}
