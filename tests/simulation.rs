//! Both sides on a simulated world: one seed is one history, and every promise is checked on it.
//!
//! The actors are the real ones; the disk, the links, the process hosts and time are simulated, so they can
//! fail in every way and a failure comes back with its seed: `CRAB_SEED=<seed> cargo test --test main
//! simulation`. `CRAB_SEEDS=<count>` says how many fresh ones are tried, `CRAB_FIRST_SEED` from where on.

mod clients;
mod host;
mod machine;
mod named;
mod nemesis;
mod network;
mod opening;
mod planted;
mod program;
mod run;
mod staging;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use run::{Plan, Run, run};

/// Fresh seeds in one run of the tests, unless told otherwise.
const FRESH_SEEDS: u64 = 50;

/// Threads that simulate; each history has only one.
const THREADS: usize = 2;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// How many complaints are described whole; of the others the seed and the first violation.
const DESCRIBED: usize = 1;

/// What is wrong with these seeds; empty where nothing is.
fn complaints(first: u64, count: u64) -> String {
    let (next, found) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let run = run(seed, Plan::of(seed));
                    let violations = run.violations();
                    let Some(violation) = violations.first() else { continue };
                    let mut found = found.lock().unwrap();
                    let describe = found.len() < DESCRIBED;
                    let short = || format!("CRAB_SEED={seed}: {} violations, {violation}", violations.len());
                    found.push(if describe { run.describe(&violations) } else { short() });
                }
            });
        }
    });
    found.into_inner().unwrap().join("\n")
}

#[test]
fn every_promise_is_kept_on_fresh_histories() {
    if let Some(seed) = from_environment("CRAB_SEED") {
        let run = run(seed, Plan::of(seed));
        let violations = run.violations();
        println!("{}", run.describe(&violations));
        assert!(violations.is_empty(), "seed {seed} breaks a promise");
        return;
    }
    let count = from_environment("CRAB_SEEDS").unwrap_or(FRESH_SEEDS);
    let first =
        from_environment("CRAB_FIRST_SEED").unwrap_or_else(|| actors::clock::Clock::system().wall().0);
    let complaints = complaints(first, count);
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 1..4 {
        let [first, second]: [Run; 2] = [(), ()].map(|()| run(seed, Plan::of(seed)));
        assert!(first.history.records.len() > 50, "something happens in {seed}");
        assert_eq!(first.history.digest(), second.history.digest(), "seed {seed}");
    }
}
