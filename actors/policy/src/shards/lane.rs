//! One share, handed out in batches that become smaller towards its end.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Cut, Test, split};

/// Of what is left of a share, this is handed out at once: three quarters, so that half a dozen starts are made for a share that takes
/// minutes.
const TAKEN: (u64, u64) = (3, 4);
/// How many times longer than its start the smallest batch takes: a start then costs a fifth at most.
const WORTH_A_START: u64 = 4;

/// Bytes that stand around each name at most in what runners are told.
const AROUND_BYTES: usize = 16;

/// What is to be known of tests to cut batches.
#[derive(Debug)]
pub(super) struct Weights {
    tests: Vec<Weight>,
    least: u64,
    batch_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Weight {
    group: u32,
    micros: u64,
    bytes: usize,
}

impl Weights {
    pub(super) fn of(tests: &[Test], cut: &Cut) -> Self {
        let micros = split::micros(tests);
        let weight = |(test, micros): (&Test, u64)| Weight {
            group: test.group,
            micros,
            bytes: test.name.len().saturating_add(AROUND_BYTES),
        };
        let start = u64::try_from(cut.start.as_micros()).unwrap_or(u64::MAX);
        Self {
            tests: tests.iter().zip(micros).map(weight).collect(),
            least: start.saturating_mul(WORTH_A_START),
            batch_bytes: cut.batch_bytes,
        }
    }

    fn sum(&self, tests: impl IntoIterator<Item = usize>) -> u64 {
        tests.into_iter().fold(0, |sum, test| sum.saturating_add(self.tests[test].micros))
    }
}

/// What is left of a share.
#[derive(Debug)]
pub(super) struct Lane {
    left: VecDeque<usize>,
    micros: u64,
}

impl Lane {
    /// Tests of one group stand together, the group that takes longest first, and within it the longest first: what comes last should be short.
    pub(super) fn new(mut share: Vec<usize>, weights: &Weights) -> Self {
        let mut groups = rustc_hash::FxHashMap::<u32, u64>::default();
        for &test in &share {
            let sum = groups.entry(weights.tests[test].group).or_default();
            *sum = sum.saturating_add(weights.tests[test].micros);
        }
        share.sort_by_key(|&test| {
            let Weight { group, micros, .. } = weights.tests[test];
            let heavy = |micros| std::cmp::Reverse(micros);
            (heavy(groups.get(&group).copied().unwrap_or(0)), group, heavy(micros), test)
        });
        Self { micros: weights.sum(share.iter().copied()), left: share.into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn weight(&self) -> u64 {
        self.micros
    }

    /// The next batch, of one group.
    pub(super) fn next(&mut self, weights: &Weights) -> Option<Vec<usize>> {
        let group = weights.tests[*self.left.front()?].group;
        let wanted = self.micros / TAKEN.1 * TAKEN.0;
        // What would be left over must be worth a start of its own.
        let wanted = if self.micros - wanted < weights.least { self.micros } else { wanted };
        let (mut batch, mut micros, mut bytes) = (Vec::new(), 0_u64, 0_usize);
        while let Some(&test) = self.left.front() {
            let weight = weights.tests[test];
            let is_full = micros >= wanted || bytes.saturating_add(weight.bytes) > weights.batch_bytes;
            if weight.group != group || (is_full && !batch.is_empty()) {
                break;
            }
            self.left.pop_front();
            batch.push(test);
            micros = micros.saturating_add(weight.micros);
            bytes = bytes.saturating_add(weight.bytes);
        }
        self.micros = weights.sum(self.left.iter().copied());
        Some(batch)
    }

    /// Gives away half of what is left, from its end; all of it where half is not worth a start.
    pub(super) fn give(&mut self, weights: &Weights) -> Vec<usize> {
        let half = if self.micros / 2 < weights.least { self.micros } else { self.micros / 2 };
        let (mut given, mut micros) = (Vec::new(), 0_u64);
        while let Some(test) = self.left.pop_back() {
            micros = micros.saturating_add(weights.tests[test].micros);
            given.push(test);
            if micros >= half {
                break;
            }
        }
        self.micros = weights.sum(self.left.iter().copied());
        given
    }
}

/// How long a test is taken to last of which nothing is known, and nothing of any other: 100 ms.
pub(super) const GUESS: Duration = Duration::from_millis(100);
