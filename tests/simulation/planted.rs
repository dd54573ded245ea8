//! The simulation is checked: lies of the world and changes of its histories must be noticed.

use std::sync::Arc;
use std::time::Duration;

use policy::time::Timestamp;
use tokio::sync::Notify;

use super::house::{Crowd, House};
use super::run::{Plan, Run, run};
use super::watchdog::until_its_end;
use super::world::Planted;
use crate::history::History;

/// Seeds within which every lie must be noticed.
const SEEDS: u64 = 40;

/// Whether some seed in a world with this lie breaks one of these promises.
fn is_noticed(planted: Planted, promises: &[&str]) -> bool {
    (1..=SEEDS).any(|seed| {
        let violations = run(seed, Plan::of(seed).with(planted)).violations();
        violations.iter().any(|violation| promises.contains(&violation.promise))
    })
}

pub(super) fn a_disk_that_lies_is_noticed() {
    assert!(is_noticed(Planted::DiskLies, &["I1"]));
}

pub(super) fn a_host_that_does_not_enforce_its_deadline_is_noticed() {
    assert!(is_noticed(Planted::NoDeadline, &["I5", "I9"]));
}

pub(super) fn a_host_that_forgets_what_it_runs_is_noticed() {
    assert!(is_noticed(Planted::Forgetful, &["I5", "I9"]));
}

pub(super) fn every_change_of_a_good_history_is_noticed() {
    let rich = run(1, Plan::plain(1));
    assert_eq!(rich.violations(), []);
    assert_eq!(rich.history.surviving_mutants(), [""; 0]);
}

pub(super) fn a_crowd_that_is_not_served_as_it_should_be_is_noticed() {
    for crowd in [Crowd::Fair, Crowd::Patient, Crowd::Stream] {
        let has = |seed: &u64| House::of(*seed).crowd == Some(crowd);
        let is_noticed = |seed| {
            let run = run(seed, Plan::of(seed));
            assert_eq!(run.violations(), [], "{seed}");
            let broken = run.history.broken_by(crowd).violations();
            broken.iter().any(|violation| violation.promise == "I8")
        };
        assert!((1..).filter(has).take(8).any(is_noticed), "{crowd:?}");
    }
}

pub(super) fn a_command_of_an_attempt_out_of_its_turn_is_noticed() {
    let two = |run: &Run| {
        let pairs = run.history.steps.windows(2);
        pairs.into_iter().position(|two| two[0].token == two[1].token && two[0].ended < two[1].ended)
    };
    let rich = (1..SEEDS).map(|seed| run(seed, Plan::of(seed))).find_map(|run| Some((two(&run)?, run)));
    let (place, run) = rich.expect("some seed has attempts of several commands");
    assert_eq!(run.violations(), []);
    let changes: [fn(&mut History, usize); 4] = [
        |history, place| history.steps.swap(place, place + 1),
        |history, place| history.steps.insert(place, history.steps[place].clone()),
        |history, place| history.steps[place + 1].started = Timestamp(1),
        |history, place| history.steps[place + 1].started = history.until,
    ];
    for change in changes {
        let mut history = run.history.clone();
        change(&mut history, place);
        assert!(history.violations().iter().any(|violation| violation.promise == "I22"));
    }
}

pub(super) fn what_waits_in_vain_and_is_not_told_is_noticed() {
    let is_noticed = |seed| {
        let silenced = run(seed, Plan::of(seed)).history.silenced();
        silenced.is_some_and(|history| history.violations().iter().any(|one| one.promise == "I7"))
    };
    assert!((1..60).any(is_noticed));
}

pub(super) fn time_that_stands_still_is_noticed() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let ended = runtime.block_on(until_its_end(async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        for (hears, says) in [(ping.clone(), pong.clone()), (pong, ping.clone())] {
            tokio::spawn(async move {
                loop {
                    hears.notified().await;
                    says.notify_one();
                }
            });
        }
        ping.notify_one();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }));
    assert_eq!(ended, Err("time stands still at 7s: actors keep each other busy for ever".to_owned()));
}
