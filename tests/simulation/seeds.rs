//! Many seeds on all cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actors::clock::Clock;

use super::history::Violation;
use super::run::{Plan, run};
use super::watchdog::{Running, on_all_cores};

/// How many complaints are described whole; of the others the seed and the first violation.
const DESCRIBED: usize = 1;

/// Findings that are known and not yet mended, by their promise and a part of their text. The runs on fresh seeds tell
/// them and go on; `--seeds` fails for them as for any other. Whoever mends one removes it here.
const OPEN: &[(&str, &str)] = &[
    // Under a flood one priority can take more than its slice for a while.
    ("I8", "starts by priority"),
    // A task that no node can run is now and then not told of after the scheduler side was started again.
    ("I7", "waits in vain"),
];

/// Whether a finding is one of those.
pub(super) fn is_open(violation: &Violation) -> bool {
    OPEN.iter().any(|(promise, part)| violation.promise == *promise && violation.text.contains(part))
}

/// A range of seeds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeds {
    first: u64,
    count: u64,
    is_loud: bool,
    open_are_told: bool,
}

impl Seeds {
    /// Seeds that nobody has seen, unless it is said where they begin.
    pub(super) fn fresh(first: Option<u64>, count: u64) -> Self {
        let first = first.unwrap_or_else(|| Clock::system().wall().0);
        Self { first, count, is_loud: false, open_are_told: false }
    }

    /// Says how far it is.
    pub(super) fn loudly(self) -> Self {
        Self { is_loud: true, ..self }
    }

    /// As they are where the findings that are still [`OPEN`] are only counted, and told.
    pub(super) fn but_for_open_ones(self) -> Self {
        Self { open_are_told: true, ..self }
    }

    /// What is wrong with these seeds; empty where nothing is.
    pub(super) fn complaints(self) -> String {
        let found = Mutex::new(Vec::new());
        self.each(|seed| {
            let run = run(seed, Plan::of(seed));
            let mut violations = run.violations();
            if self.open_are_told && violations.iter().any(is_open) {
                println!("--seed {seed}: still open: {}", violations[0]);
                violations.retain(|violation| !is_open(violation));
            }
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
