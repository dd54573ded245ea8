//! What came of each test, beyond whether it passed, and how all of it is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::id::{GraphId, TaskId};
use policy::shards::{Batch, Found, How, Verdict, Work};

use super::heard::Told;
use super::runner::Suite;
use crate::cli::json;
use crate::cli::screen::{Color, Screen};
use crate::cli::text;

/// Bytes of what failed tests said that are kept in all, 64 MiB.
const SAID_LIMIT_BYTES: usize = 64 << 20;
/// Failed tests whose words are shown; the others are named only.
const SHOWN_FAILURES: usize = 10;
/// Lines of each.
const SHOWN_LINES: usize = 20;

/// Of all tests.
#[derive(Debug)]
pub(crate) struct Results {
    tests: Vec<Seen>,
    said_bytes: usize,
    took: Duration,
}

/// Of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// How long its last run took.
    pub(crate) took: Option<Duration>,
    /// What was said at its last failure.
    pub(crate) said: Option<Box<str>>,
    /// The task of its last run.
    pub(crate) task: Option<TaskId>,
}

impl Results {
    pub(super) fn new(tests: usize) -> Self {
        Self { tests: vec![Seen::default(); tests], said_bytes: 0, took: Duration::ZERO }
    }

    pub(super) fn of(&self, test: usize) -> &Seen {
        &self.tests[test]
    }

    /// The whole of it took so long.
    pub(super) fn took(&mut self, took: Duration) {
        self.took = took;
    }

    pub(super) fn whole(&self) -> Duration {
        self.took
    }

    /// Takes what a batch told, which ended so.
    pub(super) fn take(&mut self, task: TaskId, batch: &Batch, mut told: Told, outcome: &str) {
        for &test in &batch.tests {
            let verdict = told.verdicts.get(&test).copied();
            let said = match (verdict, told.said.remove(&test)) {
                (Some(Verdict::Passed | Verdict::Skipped), _) => None,
                (Some(Verdict::Failed), Some(said)) => Some(said),
                (Some(Verdict::Failed), None) => Some(last_words(outcome, &told.last)),
                (Some(Verdict::Silent) | None, _) => {
                    Some(format!("did not report: {}", last_words(outcome, &told.last)))
                }
            };
            let seen = &mut self.tests[test];
            seen.task = Some(task);
            seen.took = told.took.get(&test).copied().or(seen.took);
            if let Some(said) = said {
                let before = seen.said.as_ref().map_or(0, |said| said.len());
                if self.said_bytes - before + said.len() <= SAID_LIMIT_BYTES {
                    self.said_bytes = self.said_bytes - before + said.len();
                    seen.said = Some(said.into());
                }
            }
        }
    }

    /// Failures with what they said, flaky ones by name, and the counts.
    pub(super) fn show(
        &self,
        screen: &mut Screen,
        (suite, work, shards): (&Suite, &Work, usize),
        graph: Option<GraphId>,
    ) -> anyhow::Result<()> {
        let counts = counts(suite, work);
        if screen.json {
            for (test, one) in suite.tests.iter().enumerate() {
                let group = &suite.group_of(test).name;
                screen.object(&json::TestEnd::of((&one.name, group), work.found(test), &self.tests[test]))?;
            }
            let whole = json::Suite::of((graph, shards, self.took), (work, &counts), self.sum());
            return screen.object(&whole.by(suite.runner.to_string()));
        }
        self.show_failures(screen, suite, work)?;
        for (test, one) in suite.tests.iter().enumerate() {
            let Found { how, tries, failures, is_suspect } = work.found(test);
            if how == How::Flaky {
                let head = screen.painted(Color::Yellow, "flaky", "");
                let name = text::harmless(&one.name);
                screen.line(format_args!("{head} {name}: failed {failures} of {tries} times"))?;
            } else if is_suspect && how == How::Passed {
                let head = screen.painted(Color::Yellow, "perhaps flaky", "");
                let name = text::harmless(&one.name);
                let why = "its batch failed without telling by which test, and each passed apart";
                screen.line(format_args!("{head} {name}: {why}"))?;
            }
        }
        if !screen.quiet || !work.has_succeeded() {
            screen.line(self.summary(screen, work, &counts))?;
        }
        Ok(())
    }

    fn show_failures(&self, screen: &mut Screen, suite: &Suite, work: &Work) -> anyhow::Result<()> {
        let is_bad = |test: &usize| matches!(work.found(*test).how, How::Failed | How::Silent);
        for (nth, test) in (0..suite.tests.len()).filter(is_bad).enumerate() {
            let seen = &self.tests[test];
            let task = seen.task.map(|task| format!(" ({task})")).unwrap_or_default();
            let head = screen.painted(Color::Red, "failed", "");
            screen.line(format_args!("{head} {}{task}", text::harmless(&suite.tests[test].name)))?;
            let said = seen.said.as_deref().filter(|_| nth < SHOWN_FAILURES).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            for line in &lines[..lines.len().min(SHOWN_LINES)] {
                screen.line(format_args!("  | {}", text::harmless(line)))?;
            }
        }
        Ok(())
    }

    fn summary(&self, screen: &Screen, work: &Work, counts: &BTreeMap<How, u64>) -> String {
        let told = counts.iter().map(|(how, count)| match how {
            How::Silent => format!("{count} without a report"),
            How::NotRun => format!("{count} not run"),
            _ => format!("{count} {how}"),
        });
        let color = if work.has_succeeded() { Color::Green } else { Color::Red };
        let told = screen.painted(color, &told.collect::<Vec<_>>().join(", "), "");
        let unexplained = match work.unexplained() {
            0 => String::new(),
            some => format!("; {} failed after tests that all passed", text::count(some as u64, "batch")),
        };
        let batches = work.batches();
        let batches = if batches == 1 { "1 batch".to_owned() } else { format!("{batches} batches") };
        let sum = text::length(self.sum());
        format!("{told} in {} ({batches}, tests of {sum}){unexplained}", text::length(self.took))
    }

    /// How long all tests took together, each in its last run.
    fn sum(&self) -> Duration {
        self.tests.iter().filter_map(|seen| seen.took).sum()
    }
}

fn counts(suite: &Suite, work: &Work) -> BTreeMap<How, u64> {
    let mut counts = BTreeMap::new();
    for test in 0..suite.tests.len() {
        *counts.entry(work.found(test).how).or_default() += 1;
    }
    counts
}

fn last_words(outcome: &str, lines: &[String]) -> String {
    let mut said = outcome.to_owned();
    for line in lines {
        said.push('\n');
        said.push_str(line);
    }
    said
}
