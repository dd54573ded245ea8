//! What `--json` writes. The names of these fields are a promise: fields may be added, none is renamed or
//! removed without a larger `v`. Times are RFC 3339 in UTC, as the machine's own clock tells them.

use std::borrow::Cow;
use std::path::Path;

use actors::say::rfc3339;
use actors::session::keep::Fetched;
use actors::session::{AttemptRow, SessionRow};
use policy::time::Timestamp;
use serde::Serialize;

/// The version of all views.
pub(crate) const VERSION: u32 = 1;

/// To standard error, instead of the text.
#[derive(Debug, Serialize)]
pub(crate) struct Trouble {
    v: u32,
    exit_code: u8,
    error: String,
}

impl Trouble {
    pub(crate) fn of(exit_code: u8, error: String) -> Self {
        Self { v: VERSION, exit_code, error }
    }
}

/// A session.
#[derive(Debug, Serialize)]
pub(crate) struct Session<'a> {
    v: u32,
    host: &'a str,
    name: &'a str,
    repo: &'a str,
    work: &'a str,
    role: &'static str,
    created: String,
    age_s: u64,
    live: bool,
    attached: u64,
    panes: u64,
    dead_panes: u64,
    dead_status: Option<i32>,
    attempt: Option<Attempt<'a>>,
}

impl<'a> Session<'a> {
    pub(crate) fn of(host: &'a str, row: &'a SessionRow, now: Timestamp) -> Self {
        Self {
            v: VERSION,
            host,
            name: row.name.as_str(),
            repo: row.identity.repo(),
            work: row.identity.work(),
            role: row.identity.role().as_str(),
            created: rfc3339(row.made),
            age_s: now.since(row.made).as_secs(),
            live: row.live,
            attached: row.attached,
            panes: row.panes[0],
            dead_panes: row.panes[1],
            dead_status: row.dead_status,
            attempt: row.attempt.as_ref().map(Attempt::of),
        }
    }
}

/// An attempt.
#[derive(Debug, Serialize)]
pub(crate) struct Attempt<'a> {
    key: &'a str,
    number: u64,
    token: u64,
    state: &'static str,
    begun: Option<String>,
    ended: Option<String>,
    outcome: Option<&'a str>,
    exit_code: Option<i32>,
    stdout_bytes: u64,
    stderr_bytes: u64,
}

impl<'a> Attempt<'a> {
    pub(crate) fn of(row: &'a AttemptRow) -> Self {
        Self {
            key: &row.key,
            number: row.number,
            token: row.token,
            state: row.state.as_str(),
            begun: row.begun.map(rfc3339),
            ended: row.ended.map(rfc3339),
            outcome: row.outcome.as_deref(),
            exit_code: row.code,
            stdout_bytes: row.written[0],
            stderr_bytes: row.written[1],
        }
    }
}

/// Of `exec --keep`, to standard error.
#[derive(Debug, Serialize)]
pub(crate) struct Keep<'a> {
    v: u32,
    into: Cow<'a, str>,
    kept: Vec<KeptFile<'a>>,
    left_out: Vec<LeftOutFile<'a>>,
    /// Why not all could be looked at or fetched.
    fault: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct KeptFile<'a> {
    path: &'a str,
    /// `log`, `junit`, `coverage`, `patch` or `other`.
    kind: &'static str,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct LeftOutFile<'a> {
    path: Cow<'a, str>,
    why: String,
}

impl<'a> Keep<'a> {
    pub(crate) fn of(into: &'a Path, fetched: &'a Fetched) -> Self {
        let kept = fetched.kept.iter();
        let left_out = fetched.left_out.iter();
        Self {
            v: VERSION,
            into: into.to_string_lossy(),
            kept: kept
                .map(|one| KeptFile { path: &one.path, kind: one.kind.into(), bytes: one.bytes })
                .collect(),
            left_out: left_out
                .map(|one| LeftOutFile {
                    path: String::from_utf8_lossy(one.path.as_bytes()),
                    why: one.why.to_string(),
                })
                .collect(),
            fault: fetched.fault.as_deref(),
        }
    }

    /// On one line.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Of `attach`, and of `exec --detach`.
#[derive(Debug, Serialize)]
pub(crate) struct Made<'a> {
    pub(crate) v: u32,
    pub(crate) host: &'a str,
    pub(crate) name: &'a str,
    /// Whether it was not there before; `null` where that is not known.
    pub(crate) made: Option<bool>,
    pub(crate) attempt: Option<Attempt<'a>>,
}

impl<'a> Made<'a> {
    pub(crate) fn of(host: &'a str, name: &'a str) -> Self {
        Self { v: VERSION, host, name, made: None, attempt: None }
    }
}

/// Of `kill` and `prune`.
#[derive(Debug, Serialize)]
pub(crate) struct Gone<'a> {
    pub(crate) v: u32,
    pub(crate) host: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ended: bool,
    /// Why it was kept.
    pub(crate) kept: Option<String>,
}

/// Of `doctor`.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    pub(crate) v: u32,
    pub(crate) check: &'static str,
    /// `ok`, `warning` or `missing`.
    pub(crate) result: &'static str,
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) fix: Option<String>,
}

/// Of `--dry-run`: a command line, and what comes on its standard input.
#[derive(Debug, Serialize)]
pub(crate) struct WouldRun<'a> {
    pub(crate) v: u32,
    pub(crate) would_run: Vec<String>,
    pub(crate) input: Option<&'a str>,
}
