//! Tests of one suite that run in several places at once: who gets which, and what comes of them.
//!
//! [`split()`](split::split) decides the shares, and [`Work`] hands them out in batches, takes the reports, and tells what is to be run
//! again. What a test is, how it is run and what it writes is not known here: a test is a name, a group (tests of different
//! groups cannot run in one process) and how long it took before.
//!
//! # Why batches
//!
//! Times that were measured before are wrong today: another machine, another load. So nobody is given the whole of its
//! share at once, but three quarters of what is left of it, again and again, down to batches that barely pay for their start; whoever is
//! done with its share takes over half of the largest that is left.

pub mod split;
mod lane;
mod outcome;

use std::collections::VecDeque;
use std::time::Duration;

use lane::{Lane, Weights};
use outcome::Course;
pub use outcome::{Found, How, Refusal, Told, Verdict};
use rustc_hash::FxHashMap;
pub use split::By;

use crate::resources::Resources;

/// The most shards of a suite, 1,024: more than any fleet has cores for.
pub const SHARDS_LIMIT: u32 = 1024;
/// Of which shard a process is, from 0, as it finds it in its environment.
pub const INDEX_VARIABLE: &str = "CRAB_SHARD_INDEX";
/// How many shards there are, as their processes find it.
pub const TOTAL_VARIABLE: &str = "CRAB_SHARD_TOTAL";
/// What a machine has on which tasks can run that have a suite run in shards: they hand in other tasks and wait for them.
pub const DRIVER: &str = "crab.suites";
/// Such tasks that run on a machine at once, 64: each is a process that takes some megabytes and no more.
pub const DRIVERS_LIMIT: u64 = 64;

/// What a task needs that has a suite run: nothing that its shards need, so that it keeps none of them waiting.
#[must_use]
pub fn driver_need() -> Resources {
    Resources { named: [(DRIVER.into(), 1)].into(), ..Resources::default() }
}

/// Batches beyond the shares themselves in which tests are run again that did not report, 256: a suite whose program cannot even start must not
/// be started once for each of its tests.
pub const AGAIN_LIMIT: usize = 256;

/// A test, before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its name, which no other test has.
    pub name: Box<str>,
    /// Tests of different groups cannot run in one process.
    pub group: u32,
    /// How long it took before, where that is known.
    pub measured: Option<Duration>,
}

/// How the work is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// How many tests run at one time at most, each share in a lane of its own.
    pub shards: usize,
    /// By what the shares are made.
    pub by: By,
    /// How often a test that failed is run again.
    pub retries: u32,
    /// What the start of a batch costs: batches do not become so small that this matters.
    pub start: Duration,
    /// Bytes of the names of one batch: they have to fit into one command.
    pub batch_bytes: usize,
}

/// Some tests that one process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which one, from 0; a report names it.
    pub number: usize,
    /// For whom, from 0.
    pub lane: usize,
    /// The tests, by their places.
    pub tests: Vec<usize>,
}

/// The tests of a suite on their way to their ends.
#[derive(Debug)]
pub struct Work {
    weights: Weights,
    retries: u32,
    courses: Vec<Course>,
    lanes: Vec<Lane>,
    /// Tests that are to be run once more, in the batches in which they are.
    again: VecDeque<Vec<usize>>,
    batches: Vec<Handed>,
    /// By batch: whether one of its tests is known by which it failed.
    blamed: Vec<bool>,
    /// Batches that were made because tests did not report.
    repeated: usize,
    /// Batches whose process failed though none of its tests did.
    unexplained: usize,
    moved: usize,
}

/// A batch, as it is remembered: `None` once it was reported.
type Handed = Option<Vec<usize>>;

impl Work {
    /// All of these tests, none of them started.
    #[must_use]
    pub fn new(tests: &[Test], cut: &Cut) -> Self {
        let weights = Weights::of(tests, cut);
        let shares = split::split(cut.by, tests, cut.shards);
        Self {
            retries: cut.retries,
            courses: vec![Course::default(); tests.len()],
            lanes: shares.into_iter().map(|share| Lane::new(share, &weights)).collect(),
            again: VecDeque::new(),
            batches: Vec::new(),
            blamed: Vec::new(),
            repeated: 0,
            unexplained: 0,
            moved: 0,
            weights,
        }
    }

    /// The next batch of a lane: of its own share, of another's, or of what is to be run again. `None` where there is nothing at
    /// present.
    pub fn next(&mut self, lane: usize) -> Option<Batch> {
        if self.lanes.get(lane)?.is_empty() {
            self.take_over(lane);
        }
        let own = self.lanes.get_mut(lane)?.next(&self.weights);
        let tests = own.or_else(|| self.again.pop_front())?;
        self.batches.push(Some(tests.clone()));
        self.blamed.push(false);
        Some(Batch { number: self.batches.len() - 1, lane, tests })
    }

    /// Half of what is left of the largest share, or all of it where half is not worth a start.
    fn take_over(&mut self, lane: usize) {
        let largest =
            (0..self.lanes.len()).max_by_key(|&other| (self.lanes[other].weight(), usize::MAX - other));
        if let Some(from) = largest.filter(|&from| from != lane && !self.lanes[from].is_empty()) {
            let taken = self.lanes[from].give(&self.weights);
            self.moved += taken.len();
            self.lanes[lane] = Lane::new(taken, &self.weights);
        }
    }

    /// Takes what a batch came to: for each test what it said of it, at most once, and how its process ended.
    ///
    /// A test of which it said nothing is run again, in a smaller batch, until it is alone: then it has failed.
    ///
    /// # Errors
    /// [`Refusal`] where there is no such batch, where it was reported already, and where it tells of a test that it did not have or twice
    /// of one. Nothing has changed then.
    pub fn report(&mut self, batch: usize, told: &Told) -> Result<(), Refusal> {
        let tests = outcome::check(&self.batches, batch, told)?;
        self.batches[batch] = None;
        let verdicts: FxHashMap<usize, Verdict> = told.verdicts.iter().copied().collect();
        let (mut failed, mut silent) = (Vec::new(), Vec::new());
        for &test in &tests {
            let alone = tests.len() == 1;
            match verdicts.get(&test).copied() {
                Some(verdict) => self.courses[test].take(verdict),
                None if alone || !told.ran || self.repeated >= AGAIN_LIMIT => {
                    self.courses[test].take(Verdict::Silent)
                }
                None => {
                    silent.push(test);
                    continue;
                }
            }
            if self.courses[test].is_worth_another(self.retries) && told.ran {
                failed.push(test);
            }
        }
        self.blame(batch, &tests);
        let all_well = told.verdicts.iter().all(|(_, verdict)| verdict.is_well());
        if told.failed && all_well && silent.is_empty() && tests.len() == told.verdicts.len() {
            self.unexplained += 1;
        }
        self.run_again(batch, failed, silent, tests.len());
        Ok(())
    }

    /// Whatever ended badly is what its batch failed by, and the one that it was cut from.
    fn blame(&mut self, batch: usize, tests: &[usize]) {
        for course in tests.iter().map(|&test| &self.courses[test]).filter(|course| course.has_failed()) {
            self.blamed[course.cut_from().unwrap_or(batch)] = true;
            self.blamed[batch] = true;
        }
    }

    fn run_again(&mut self, batch: usize, failed: Vec<usize>, mut silent: Vec<usize>, of: usize) {
        if !failed.is_empty() {
            self.again.push_back(failed);
        }
        for &test in &silent {
            self.courses[test].cut(batch);
        }
        // Where some have reported it is smaller already; where none has, halves find out which of them it is.
        let half = if silent.len() == of { silent.split_off(of.div_ceil(2)) } else { Vec::new() };
        for part in [silent, half] {
            if !part.is_empty() {
                self.repeated += 1;
                self.again.push_back(part);
            }
        }
    }

    /// Whether every test has come to its end and every batch has reported.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let idle = self.again.is_empty() && self.lanes.iter().all(Lane::is_empty);
        idle && self.batches.iter().all(Option::is_none)
    }

    /// Whether it is complete and everything went well in the end.
    #[must_use]
    pub fn has_succeeded(&self) -> bool {
        let well = |course: &Course| !matches!(course.how(), How::Failed | How::Silent | How::NotRun);
        self.is_complete() && self.unexplained == 0 && self.courses.iter().all(well)
    }

    /// What came of a test.
    #[must_use]
    pub fn found(&self, test: usize) -> Found {
        let Some(course) = self.courses.get(test) else { return Found::default() };
        let is_suspect = course.cut_from().is_some_and(|batch| !self.blamed[batch]);
        Found { is_suspect, ..course.found() }
    }

    /// Batches handed out so far.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Tests that another lane took over.
    #[must_use]
    pub fn moved(&self) -> usize {
        self.moved
    }

    /// Batches whose process failed though none of its tests did.
    #[must_use]
    pub fn unexplained(&self) -> usize {
        self.unexplained
    }
}

#[cfg(test)]
mod tests;
