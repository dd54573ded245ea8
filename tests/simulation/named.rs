//! Seeds that once broke a promise, by what they found. A seed stays here for good; should the simulation
//! change so much that it no longer leads there, the name still says what to look for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::run::{Plan, run};
use super::watchdog::{Running, on_all_cores};

/// The seed, and what was wrong.
const FOUND: &[(u64, &str)] = &[
    (1, "a node that was not connected spun on what it could not send"),
    (158, "a node's actor that crashed alone had its worker forget an end that nobody had heard of"),
    (100, "attempts of a node's actor that crashed alone held resources for ever"),
    (162, "a staged attempt that its worker lost was never sent again"),
    (185, "a staged attempt that its worker lost was never sent again, and all behind it waited"),
    (139, "an order to run overtook nothing, but came behind the order to stop: a cancelled task ran"),
    (248, "two registrations on their way asked for each other for ever"),
    (20095, "a priority was charged for what was picked and did not fit, and others starved"),
    (
        50007,
        "a round of hundreds was started by urgency, not in turns: the least urgent waited for all of it",
    ),
    (60032, "what came to wait in vain when as many had just left that waited so too was not told"),
    (20122, "a node whose connection broke now and then kept what waits in vain from being told"),
    (
        1_795_883_052_763_339,
        "a line that had climbed was asked for twice, once too often, in one round after the other for ever",
    ),
    (
        1_795_884_164_349_279,
        "twelve tasks of 40 s, one after the other and each failing twice, took longer than they may",
    ),
    (
        123_000_767,
        "of two of a group that were chosen in one moment the one with a rule was recorded behind the other",
    ),
    (
        1_000_004,
        "with panics: what a reboot had taken was sent again before it was known that its loss was written down",
    ),
    (
        1_000_137,
        "with panics: a task that died before it heard of the end of its graph ran on to an end of its own",
    ),
    (1_000_130, "a graph that was cancelled for its budget and tried again waited for ever"),
    (1_000_646, "a line that had been served did not age any more where nobody came"),
    (
        1_799_447_392_095,
        "a task was picked whose graph had used up its budget, and nobody else of its tenant in its place",
    ),
    (
        11_065_943_323_347,
        "with panics: what was lost with one machine at once counted one by one where old records were folded",
    ),
    (
        2_000_208,
        "with panics: a task died of an end that its worker, which began anew, had not kept: nobody said it again",
    ),
    (1_000_145, "under pressure a task for which a machine was held started beside what may run"),
    (
        4_332_027_917_293,
        "a retry was taken by a task that was cancelled before it came to that, and was missing after the graph was tried again",
    ),
    (
        5_302_027_892_171,
        "the checks took what had ended after a breaker's last trial, and before it was written down that it closed, for nothing",
    ),
    (
        16_647_480_683_950,
        "tenants who were due less while machines held what they had not heard of caught up by starts, not by weight",
    ),
    (
        16_710_867_505_188,
        "tenants who could not be served for long got as much as each other afterwards, whatever their weights",
    ),
    (13_410_507_036_382, "the same, on one machine that came back again and again"),
    (
        15_556_839_536_037,
        "the check: who was chosen for a task that was lent priority was asked after that task had lost it",
    ),
    (
        509,
        "the check: a large task was taken for passed over by what started on a machine that was strained, and takes nothing large",
    ),
    (9_612_352_501_122, "the same, with preemption"),
    (
        14_685_168_503_444,
        "what came back with a graph that was tried again, and was cancelled at once for a tenant's budget, waited for ever",
    ),
    (
        14_489_867_680_672,
        "while one tenant was passed over for what it held, the others were served by what they held, not by weight",
    ),
];

pub(super) fn seeds_that_once_broke_a_promise_keep_it() {
    // As it was when it broke, and as it is now.
    let plans: [fn(u64) -> Plan; 2] = [Plan::plain, Plan::of];
    let runs: Vec<_> = FOUND.iter().flat_map(|found| plans.map(|plan| (found, plan))).collect();
    let (next, broken) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |running: &Running| {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(((seed, what), plan)) = runs.get(place) else { return };
            running.during(format!("named run {place}, --seed {seed}"), || {
                let run = run(*seed, plan(*seed));
                let violations = run.violations();
                if !violations.is_empty() {
                    let told = format!("once: {what}\n{}", run.describe(&violations, false));
                    broken.lock().unwrap_or_else(PoisonError::into_inner).push(told);
                }
            });
        }
    };
    on_all_cores(work, || ());
    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
