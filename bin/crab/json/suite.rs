//! What `test` writes: a line for each test, and one for the whole; with `--plan`, one for each shard.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::id::GraphId;
use policy::shards::{Found, How, Work};
use serde::Serialize;

use super::VERSION;
use crate::cli::suite::Seen;

/// A test.
#[derive(Debug, Serialize)]
pub(crate) struct TestEnd<'t> {
    v: u32,
    test: &'t str,
    /// The program or package; empty where its runner has one for all.
    group: &'t str,
    outcome: How,
    tries: u32,
    failures: u32,
    /// It was in a batch that failed without telling by which test, and each of these passed apart.
    suspect: bool,
    /// Of its last run; `null` where that is not known.
    duration_s: Option<f64>,
    /// Of its last run.
    task: Option<String>,
    /// What was said at its last failure.
    said: Option<&'t str>,
}

impl<'t> TestEnd<'t> {
    pub(crate) fn of((test, group): (&'t str, &'t str), found: Found, seen: &'t Seen) -> Self {
        Self {
            v: VERSION,
            test,
            group,
            outcome: found.how,
            tries: found.tries,
            failures: found.failures,
            suspect: found.is_suspect,
            duration_s: seen.took.map(|took| took.as_secs_f64()),
            task: seen.task.map(|task| task.to_string()),
            said: seen.said.as_deref(),
        }
    }
}

/// All of them.
#[derive(Debug, Serialize)]
pub(crate) struct Suite {
    v: u32,
    graph: Option<String>,
    runner: String,
    shards: usize,
    tests: Counts,
    batches: usize,
    /// Tests that a shard took over from another that was slower.
    moved: usize,
    /// Batches that failed after tests that all passed.
    failed_batches: usize,
    succeeded: bool,
    duration_s: f64,
    /// How long the tests took together.
    tests_s: f64,
}

/// Tests by outcome.
#[derive(Debug, Serialize)]
struct Counts {
    total: u64,
    passed: u64,
    flaky: u64,
    failed: u64,
    silent: u64,
    skipped: u64,
    not_run: u64,
}

impl Suite {
    pub(crate) fn of(
        (graph, shards, took): (Option<GraphId>, usize, Duration),
        (work, counts): (&Work, &BTreeMap<How, u64>),
        tests: Duration,
    ) -> Self {
        let of = |how| counts.get(&how).copied().unwrap_or(0);
        Self {
            v: VERSION,
            graph: graph.map(|graph| graph.to_string()),
            runner: String::new(),
            shards,
            tests: Counts {
                total: counts.values().sum(),
                passed: of(How::Passed),
                flaky: of(How::Flaky),
                failed: of(How::Failed),
                silent: of(How::Silent),
                skipped: of(How::Skipped),
                not_run: of(How::NotRun),
            },
            batches: work.batches(),
            moved: work.moved(),
            failed_batches: work.unexplained(),
            succeeded: work.has_succeeded(),
            duration_s: took.as_secs_f64(),
            tests_s: tests.as_secs_f64(),
        }
    }

    /// Who ran them.
    pub(crate) fn by(self, runner: String) -> Self {
        Self { runner, ..self }
    }
}

/// What a shard would get.
#[derive(Debug, Serialize)]
pub(crate) struct Share<'t> {
    v: u32,
    /// From 1.
    shard: usize,
    tests: Vec<&'t str>,
    expected_s: f64,
}

impl<'t> Share<'t> {
    pub(crate) fn of(shard: usize, tests: Vec<&'t str>, expected: Duration) -> Self {
        Self { v: VERSION, shard, tests, expected_s: expected.as_secs_f64() }
    }
}
