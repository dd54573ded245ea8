//! What batches say of tests, and what a test comes to.

use serde::{Deserialize, Serialize};

/// What one run of a test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It was not run, on purpose.
    Skipped,
    /// It ran, or should have, and nothing was said of its end.
    Silent,
}

impl Verdict {
    /// Whether nothing is wrong with it.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Self::Passed | Self::Skipped)
    }
}

/// The report of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// What it said of its tests, of each at most once.
    pub verdicts: Vec<(usize, Verdict)>,
    /// Whether its process ended as a failure.
    pub failed: bool,
    /// Whether there was a process at all: what could not be started fares no better in a second try.
    pub ran: bool,
}

/// Why a report is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nobody was given it.
    #[error("there is no batch {batch}: {handed} were handed out")]
    Unknown {
        /// Which one was named.
        batch: usize,
        /// How many there are.
        handed: usize,
    },
    /// It came before.
    #[error("batch {batch} was reported already")]
    Repeated {
        /// Which one.
        batch: usize,
    },
    /// The batch did not have it, or it tells of it twice.
    #[error("batch {batch} cannot tell of test {test}, or not twice")]
    NotItsTest {
        /// Which batch.
        batch: usize,
        /// Which test, by its place.
        test: usize,
    },
}

/// How a test ended, all in all.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum How {
    /// At the first try.
    Passed,
    /// It failed, and passed when it was run again.
    Flaky,
    /// Each time.
    Failed,
    /// It was run, and nothing was said of its end: its process ended before, or is not its runner.
    Silent,
    /// It was not run, on purpose.
    Skipped,
    /// It was not run, as the whole was stopped before.
    #[default]
    NotRun,
}

/// What came of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// How it ended.
    pub how: How,
    /// How often it was run to an end.
    pub tries: u32,
    /// How often of these it failed.
    pub failures: u32,
    /// Whether it was in a batch that failed without telling by which of its tests, none of which failed when they were run apart.
    pub is_suspect: bool,
}

/// The runs of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Course {
    found: Found,
    /// The first batch in which it was and that told nothing of it.
    cut_from: Option<usize>,
}

impl Course {
    pub(super) fn take(&mut self, verdict: Verdict) {
        self.found.tries += 1;
        self.found.failures += u32::from(!verdict.is_well());
        self.found.how = match verdict {
            Verdict::Passed if self.found.failures > 0 => How::Flaky,
            Verdict::Passed => How::Passed,
            Verdict::Failed => How::Failed,
            Verdict::Silent => How::Silent,
            Verdict::Skipped => How::Skipped,
        };
    }

    /// This batch said nothing of it, which had others as well.
    pub(super) fn cut(&mut self, batch: usize) {
        self.cut_from.get_or_insert(batch);
    }

    pub(super) fn cut_from(&self) -> Option<usize> {
        self.cut_from
    }

    pub(super) fn has_failed(&self) -> bool {
        self.found.failures > 0
    }

    pub(super) fn is_worth_another(&self, retries: u32) -> bool {
        matches!(self.found.how, How::Failed | How::Silent) && self.found.failures <= retries
    }

    pub(super) fn how(&self) -> How {
        self.found.how
    }

    pub(super) fn found(&self) -> Found {
        self.found
    }
}

/// The tests of the batch, where the report can be of it.
pub(super) fn check(
    batches: &[Option<Vec<usize>>],
    batch: usize,
    told: &Told,
) -> Result<Vec<usize>, Refusal> {
    let handed = batches.len();
    let tests = batches.get(batch).ok_or(Refusal::Unknown { batch, handed })?;
    let tests = tests.as_ref().ok_or(Refusal::Repeated { batch })?;
    let (mut known, mut named) = (tests.clone(), Vec::with_capacity(told.verdicts.len()));
    known.sort_unstable();
    named.extend(told.verdicts.iter().map(|(test, _)| *test));
    named.sort_unstable();
    let twice = named.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    match twice.or_else(|| named.into_iter().find(|test| known.binary_search(test).is_err())) {
        Some(test) => Err(Refusal::NotItsTest { batch, test }),
        None => Ok(tests.clone()),
    }
}
