//! Both sides on a simulated world: one seed is one history, and every promise is checked on it.
//!
//! The actors are the real ones; the disk, the links, the process hosts and time are simulated, so they can
//! fail in every way and a failure comes back with its seed.
//!
//! ```text
//! cargo test --test simulation                                        what CI runs
//! cargo test --release --test simulation -- --seeds 10000             so many fresh ones; --first SEED from where on
//! cargo test --test simulation -- --seed 42                           one of them, told whole
//! cargo test --features mutants --test simulation -- --mutants        every planted fault, until it is found
//! ```
#![expect(clippy::print_stdout, reason = "a test harness prints")]
#![cfg_attr(not(feature = "mutants"), expect(clippy::print_stderr, reason = "a test harness prints"))]

#[cfg(test)]
mod agents;
#[cfg(test)]
mod changed;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod crowds;
#[cfg(test)]
mod gangs;
#[cfg(test)]
#[path = "history/root.rs"]
mod history;
#[cfg(test)]
mod host;
#[cfg(test)]
mod house;
#[cfg(test)]
mod keeper;
#[cfg(test)]
mod machine;
#[cfg(all(test, feature = "mutants"))]
mod mutants;
#[cfg(test)]
mod named;
#[cfg(test)]
mod nemesis;
#[cfg(test)]
mod network;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod planted;
#[cfg(test)]
mod program;
#[cfg(test)]
mod run;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod seeds;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod staging;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod watchdog;
#[cfg(test)]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use run::{Plan, Run, run};
use seeds::Seeds;

/// Seeds in one run of the tests, others after each change of the sources.
const FRESH_SEEDS: u64 = 200;

/// A check and what it is called.
type Test = (&'static str, fn());

const TESTS: &[Test] = &[
    ("the_same_seed_gives_the_same_history", the_same_seed_gives_the_same_history),
    ("every_change_of_a_good_history_is_noticed", planted::every_change_of_a_good_history_is_noticed),
    (
        "a_crowd_that_is_not_served_as_it_should_be_is_noticed",
        planted::a_crowd_that_is_not_served_as_it_should_be_is_noticed,
    ),
    ("a_disk_that_lies_is_noticed", planted::a_disk_that_lies_is_noticed),
    (
        "a_command_of_an_attempt_out_of_its_turn_is_noticed",
        planted::a_command_of_an_attempt_out_of_its_turn_is_noticed,
    ),
    ("what_waits_in_vain_and_is_not_told_is_noticed", planted::what_waits_in_vain_and_is_not_told_is_noticed),
    (
        "a_host_that_does_not_enforce_its_deadline_is_noticed",
        planted::a_host_that_does_not_enforce_its_deadline_is_noticed,
    ),
    ("a_host_that_forgets_what_it_runs_is_noticed", planted::a_host_that_forgets_what_it_runs_is_noticed),
    ("time_that_stands_still_is_noticed", planted::time_that_stands_still_is_noticed),
    ("seeds_that_once_broke_a_promise_keep_it", named::seeds_that_once_broke_a_promise_keep_it),
    (
        "a_task_whose_budget_is_used_up_takes_nobodys_turn",
        scenarios::a_task_whose_budget_is_used_up_takes_nobodys_turn,
    ),
    (
        "what_has_waited_before_a_restart_is_old_soon_after",
        scenarios::what_has_waited_before_a_restart_is_old_soon_after,
    ),
    (
        "a_breaker_that_was_nearly_open_opens_at_the_next_failure_after_a_restart",
        scenarios::a_breaker_that_was_nearly_open_opens_at_the_next_failure_after_a_restart,
    ),
    (
        "what_an_agent_may_have_begun_before_it_died_is_lost_and_granted_anew",
        scenarios::what_an_agent_may_have_begun_before_it_died_is_lost_and_granted_anew,
    ),
    (
        "nobody_is_set_aside_for_a_neighbour_that_takes_machines_down",
        scenarios::nobody_is_set_aside_for_a_neighbour_that_takes_machines_down,
    ),
    #[cfg(feature = "mutants")]
    (
        "a_task_that_dies_before_it_hears_of_the_end_of_its_graph_is_cancelled_all_the_same",
        scenarios::a_task_that_dies_before_it_hears_of_the_end_of_its_graph_is_cancelled_all_the_same,
    ),
    ("every_promise_is_kept_on_fresh_histories", every_promise_is_kept_on_fresh_histories),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |name: &str| {
        let place = words.iter().position(|word| *word == name)?;
        words.get(place + 1).and_then(|value| value.parse::<u64>().ok())
    };
    if words.contains(&"--mutants") {
        return mutants(&words, number("--seeds"));
    }
    if let Some(seed) = number("--seed") {
        return tell_whole(seed);
    }
    if let Some(count) = number("--seeds") {
        let complaints = Seeds::fresh(number("--first"), count).loudly().complaints();
        println!("{complaints}");
        return if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let names: Vec<&str> = words.iter().filter(|word| !word.starts_with('-')).copied().collect();
    checks(&names, words.contains(&"--list"))
}

/// What the usual test harness does, for those of these names.
fn checks(names: &[&str], only_list: bool) -> ExitCode {
    let wanted = |(name, _): &&Test| names.is_empty() || names.iter().any(|wanted| name.contains(wanted));
    let mut failed = Vec::new();
    for (name, test) in TESTS.iter().filter(wanted) {
        if only_list {
            println!("{name}: test");
            continue;
        }
        let is_good = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("test {name} ... {}", if is_good { "ok" } else { "FAILED" });
        failed.extend((!is_good).then_some(*name));
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {failed:?}");
    ExitCode::FAILURE
}

fn tell_whole(seed: u64) -> ExitCode {
    let run = run(seed, Plan::of(seed));
    let violations = run.violations();
    println!("{}", run.describe(&violations, true));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(feature = "mutants")]
fn mutants(words: &[&str], seeds: Option<u64>) -> ExitCode {
    mutants::hunt(words, seeds)
}

#[cfg(not(feature = "mutants"))]
fn mutants(_: &[&str], _: Option<u64>) -> ExitCode {
    eprintln!("no fault is compiled in: cargo test --features mutants --test simulation -- --mutants");
    ExitCode::FAILURE
}

fn every_promise_is_kept_on_fresh_histories() {
    let complaints = Seeds::of_these_sources(FRESH_SEEDS).complaints();
    assert!(complaints.is_empty(), "{complaints}");
}

fn the_same_seed_gives_the_same_history() {
    for seed in 1..6 {
        let [first, second]: [Run; 2] = [(), ()].map(|()| run(seed, Plan::of(seed)));
        assert!(first.history.records.len() > 20, "something happens in {seed}");
        assert_eq!(first.digest(), second.digest(), "seed {seed}");
    }
}
