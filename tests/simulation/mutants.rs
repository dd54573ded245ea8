//! Faults planted in the real code: each must be found by the promise it breaks, within so many seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use policy::mutant::{self, Mutant};
use strum::VariantArray;

use super::run::{Plan, run};
use super::watchdog::{Running, on_all_cores};

/// Seeds within which every fault must be found.
const SEEDS: u64 = 2000;

/// Seeds in a quick hunt, which looks only for those that do not hide.
const QUICK_SEEDS: u64 = 40;

/// What a quick hunt leaves out: they take longer than there is time for in every run.
const HIDING: &[Mutant] = &[
    Mutant::NoHostDeadline,
    Mutant::NoSchedulerGrace,
    Mutant::LeaseFromAnswer,
    Mutant::CancelForgotten,
    Mutant::BreakerForgotten,
    Mutant::WeightsIgnored,
    Mutant::AgeingDisabled,
    Mutant::AgesForgotten,
    Mutant::NothingHeld,
    Mutant::GangNotRecalled,
];

/// The promises of which one is broken first where the fault shows as what it is.
fn breaks(mutant: Mutant) -> &'static [&'static str] {
    match mutant {
        Mutant::AckBeforePersist | Mutant::LastBatchLost => &["I1", "I3", "I12"],
        Mutant::NoDedupe => &["I2"],
        Mutant::GrantBeforePersist | Mutant::TokensBeginAgain | Mutant::HandledAgain => &["I3"],
        Mutant::NoFence => &["I4", "I9", "I5"],
        Mutant::NoSchedulerGrace
        | Mutant::LeaseEndsEarly
        | Mutant::NoHostDeadline
        | Mutant::LeaseFromAnswer
        | Mutant::RequeueUnreported => &["I5", "I9"],
        Mutant::OverCommit
        | Mutant::ParallelLimitIgnored
        | Mutant::LockForgotten
        | Mutant::IndexTwice
        | Mutant::WindowIgnored
        | Mutant::CompanyIgnored
        | Mutant::CompanyForgotten => &["I6"],
        Mutant::ForgetLeases
        | Mutant::EdgeTriggeredGrants
        | Mutant::StaleSession
        | Mutant::FailureForgotten
        | Mutant::CapacityLeaks => &["I7"],
        Mutant::PriorityInverted | Mutant::StrictPriority | Mutant::LastInFirstOut => &["I8"],
        Mutant::FailureReleases => &["I10"],
        Mutant::SequenceStands => &["I11"],
        Mutant::CancelForgotten => &["I13"],
        Mutant::FailuresCountTwice
        | Mutant::LossIsFailure
        | Mutant::NoBackoff
        | Mutant::EvictionCounts
        | Mutant::PoisonIgnored
        | Mutant::SuspectsTogether => &["I14"],
        Mutant::EvictsAnybody => &["I19"],
        Mutant::GangInParts | Mutant::GangNotRecalled => &["I20"],
        Mutant::GateIgnored | Mutant::AfterForgotten => &["I22"],
        Mutant::CancelIsRetried => &["I13", "I14"],
        Mutant::NoBound
        | Mutant::BudgetIgnored
        | Mutant::RetryBudgetIgnored
        | Mutant::TenantBudgetForgotten
        | Mutant::QuotaIgnored
        | Mutant::PressureIgnored
        | Mutant::PressureDoesNotThrottle => &["I18"],
        Mutant::OpenBreakerIgnored | Mutant::TrialsUnlimited | Mutant::BreakerForgotten => &["I16"],
        Mutant::WeightsIgnored | Mutant::AgeingDisabled | Mutant::AgesForgotten | Mutant::NothingHeld => {
            &["I8"]
        }
    }
}

/// Hunts those that are named, or all, each through at most `seeds`; says how long each lived.
pub(super) fn hunt(words: &[&str], seeds: Option<u64>) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let is_quick = words.contains(&"quick");
    let seeds = seeds.unwrap_or(if is_quick { QUICK_SEEDS } else { SEEDS });
    let names: Vec<&&str> =
        words.iter().filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())).collect();
    let name_of = |mutant: &Mutant| <&'static str>::from(*mutant);
    let wanted: Vec<Mutant> = Mutant::VARIANTS
        .iter()
        .copied()
        .filter(|mutant| !(is_quick && HIDING.contains(mutant)))
        .filter(|mutant| names.is_empty() || names.iter().any(|name| **name == name_of(mutant)))
        .collect();
    let (next, lived) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |running: &Running| {
        while let Some(mutant) = wanted.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let began = Instant::now();
            match search(mutant, seeds, running) {
                Some((took, shows)) => {
                    println!("| `{}` | {took} | {shows} | {:.1?} |", name_of(&mutant), began.elapsed());
                }
                None => lived.lock().unwrap_or_else(PoisonError::into_inner).push(name_of(&mutant)),
            }
        }
    };
    on_all_cores(work, || ());
    let lived = lived.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} of {} found within {seeds} seeds; alive: {lived:?}",
        wanted.len() - lived.len(),
        wanted.len()
    );
    if lived.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The seeds it took to find it, and what the last one showed.
fn search(mutant: Mutant, seeds: u64, running: &Running) -> Option<(u64, String)> {
    mutant::turn_on(mutant);
    let name = |seed| format!("{} with --seed {seed}", <&'static str>::from(mutant));
    let found =
        (1..=seeds).find_map(|seed| running.during(name(seed), || Some((seed, shows(mutant, seed)?))));
    mutant::turn_off();
    found
}

/// What a seed shows of the fault, if anything.
fn shows(mutant: Mutant, seed: u64) -> Option<String> {
    let violations = catch_unwind(AssertUnwindSafe(|| run(seed, Plan::of(seed)).violations()));
    let Ok(violations) = violations else { return Some("panics".to_owned()) };
    let first = violations.iter().find(|violation| breaks(mutant).contains(&violation.promise))?;
    Some(first.to_string())
}
