//! Many seeds on all cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actors::clock::Clock;

use super::run::{Plan, run};
use super::watchdog::{Running, on_all_cores};

/// How many complaints are described whole; of the others the seed and the first violation.
const DESCRIBED: usize = 1;

/// A range of seeds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeds {
    first: u64,
    count: u64,
    is_loud: bool,
}

impl Seeds {
    /// Those that belong to the sources as they are.
    pub(super) fn of_these_sources(count: u64) -> Self {
        Self { first: super::sources::first_seed(), count, is_loud: false }
    }

    /// Seeds that nobody has seen, unless it is said where they begin.
    pub(super) fn fresh(first: Option<u64>, count: u64) -> Self {
        let first = first.unwrap_or_else(|| Clock::system().wall().0);
        Self { first, count, is_loud: false }
    }

    /// Says how far it is.
    pub(super) fn loudly(self) -> Self {
        Self { is_loud: true, ..self }
    }

    /// What is wrong with these seeds; empty where nothing is.
    pub(super) fn complaints(self) -> String {
        let found = Mutex::new(Vec::new());
        self.each(|seed| {
            let run = run(seed, Plan::of(seed));
            let violations = run.violations();
            let Some(violation) = violations.first() else { return };
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            let describe = found.len() < DESCRIBED;
            if self.is_loud {
                println!("--seed {seed}: {violation}");
            }
            let short = || format!("--seed {seed}: {} violations, {violation}", violations.len());
            found.push(if describe { run.describe(&violations, false) } else { short() });
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Does this for each, on all cores, under the watchdog.
    fn each(self, act: impl Fn(u64) + Sync) {
        let (next, began) = (AtomicU64::new(self.first), Instant::now());
        let end = self.first.saturating_add(self.count);
        let tell = || {
            if self.is_loud {
                let begun = next.load(Ordering::Relaxed).saturating_sub(self.first).min(self.count);
                println!("{begun} of {} seeds begun after {:?}", self.count, began.elapsed());
            }
        };
        let work = |running: &Running| loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return;
            }
            running.during(format!("--seed {seed}"), || act(seed));
        };
        on_all_cores(work, tell);
    }
}
