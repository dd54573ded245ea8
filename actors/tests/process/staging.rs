//! What waits in the host for its turn: who starts when, and what stops it from starting.

use std::time::Duration;

use actors::clock::Clock;
use actors::process::halt;
use actors::process::protocol::{Command, HostReport, HostedPhase, StopReason};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::id::Token;
use policy::resources::Resources;
use policy::task::{AttemptOutcome, LossReason};

use crate::bed::{Bed, until};

crate::tests![
    an_end_starts_the_next_in_order,
    the_capacity_is_never_exceeded,
    one_that_does_not_fit_holds_back_those_behind_it,
    one_larger_than_the_capacity_is_handed_back,
    a_smaller_capacity_hands_back_what_can_never_run,
    a_staged_one_that_is_cancelled_never_runs,
    one_that_has_just_been_started_can_be_cancelled,
    only_what_has_not_been_started_is_recalled,
    what_is_staged_goes_on_without_a_daemon,
    a_dead_host_knows_nothing_of_what_it_had_staged,
    at_the_leases_end_what_is_staged_is_lost,
    nothing_is_started_on_a_machine_that_is_halted,
    nothing_is_started_late_in_the_lease_and_all_is_when_it_is_renewed,
    many_tiny_ones_are_each_told_to_start_and_to_end,
];

fn with_cores(cores: u64) -> Bed {
    let bed = Bed::new();
    bed.command(Command::Capacity(Resources::cpus(cores * 1000)));
    bed
}

/// Runs until a file is there.
fn until_there(bed: &Bed, token: u64, file: &str) {
    bed.sh(token, &format!("while ! [ -e {file} ]; do sleep 0.01; done"));
}

fn make(bed: &Bed, file: &str) {
    std::fs::write(bed.home().join(file), "").unwrap();
}

fn phase(bed: &mut Bed, token: u64) -> Option<HostedPhase> {
    bed.inventory().into_iter().find(|one| one.token == Token(token)).map(|one| one.phase)
}

fn an_end_starts_the_next_in_order() {
    let mut bed = with_cores(1);
    for token in 1..=20 {
        bed.sh(token, &format!("echo {token} >> order"));
    }
    (1..=20).for_each(|token| assert_eq!(bed.ended(token), AttemptOutcome::Exited(0)));
    let expected: String = (1..=20).map(|token| format!("{token}\n")).collect();
    assert_eq!(std::fs::read_to_string(bed.home().join("order")).unwrap(), expected);
}

fn the_capacity_is_never_exceeded() {
    let mut bed = with_cores(2);
    for token in 1..=30 {
        // Some are over while a runner still stays with them, some are not.
        let lasts = if token % 4 == 0 { "0.03" } else { "0" };
        bed.sh(token, &format!("echo + >> log; sleep {lasts}; echo - >> log"));
    }
    (1..=30).for_each(|token| assert_eq!(bed.ended(token), AttemptOutcome::Exited(0)));
    let log = std::fs::read_to_string(bed.home().join("log")).unwrap();
    let mut running = 0_i32;
    let most = log.lines().map(|line| {
        running += if line == "+" { 1 } else { -1 };
        running
    });
    assert!(most.max() <= Some(2));
}

fn one_that_does_not_fit_holds_back_those_behind_it() {
    let mut bed = with_cores(2);
    until_there(&bed, 1, "go");
    bed.start_with(2, &["true"], |start| start.need = Resources::cpus(2000));
    bed.sh(3, "true");
    bed.started(1);
    assert_eq!(phase(&mut bed, 2), Some(HostedPhase::Staged));
    assert_eq!(phase(&mut bed, 3), Some(HostedPhase::Staged), "it would fit, but a large one waits");
    make(&bed, "go");
    (1..=3).for_each(|token| assert_eq!(bed.ended(token), AttemptOutcome::Exited(0)));
}

fn one_larger_than_the_capacity_is_handed_back() {
    let mut bed = with_cores(1);
    bed.start_with(1, &["true"], |start| start.need = Resources::cpus(1001));
    bed.sh(2, "true");
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(LossReason::Evicted));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
}

fn a_smaller_capacity_hands_back_what_can_never_run() {
    let mut bed = with_cores(2);
    until_there(&bed, 1, "go");
    bed.start_with(2, &["true"], |start| start.need = Resources::cpus(2000));
    bed.sh(3, "true");
    bed.command(Command::Capacity(Resources::cpus(1000)));
    assert_eq!(bed.ended(2), AttemptOutcome::Lost(LossReason::Evicted));
    assert_eq!(phase(&mut bed, 3), Some(HostedPhase::Staged));
    make(&bed, "go");
    assert_eq!(bed.ended(3), AttemptOutcome::Exited(0));
}

fn a_staged_one_that_is_cancelled_never_runs() {
    let mut bed = with_cores(1);
    until_there(&bed, 1, "go");
    bed.sh(2, "echo ran > ran");
    bed.sh(3, "true");
    assert_eq!(phase(&mut bed, 2), Some(HostedPhase::Staged));
    bed.stop(2, StopReason::Cancel);
    assert_eq!(bed.ended(2), AttemptOutcome::Cancelled);
    make(&bed, "go");
    assert_eq!(bed.ended(3), AttemptOutcome::Exited(0));
    assert!(!bed.home().join("ran").exists());
    assert!(matches!(phase(&mut bed, 2), Some(HostedPhase::Ended { .. })), "told until it is forgotten");
}

fn one_that_has_just_been_started_can_be_cancelled() {
    let mut bed = with_cores(1);
    for token in 1..=10 {
        bed.start(token, &["sleep", "1000"]);
        bed.stop(token, StopReason::Cancel);
        assert_eq!(bed.ended(token), AttemptOutcome::Cancelled);
    }
}

fn only_what_has_not_been_started_is_recalled() {
    let mut bed = with_cores(1);
    until_there(&bed, 1, "go");
    bed.sh(2, "echo ran > ran");
    bed.started(1);
    bed.command(Command::Recall(vec![Token(1), Token(2), Token(3)]));
    assert_eq!(bed.ended(2), AttemptOutcome::Lost(LossReason::Evicted));
    make(&bed, "go");
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert!(!bed.home().join("ran").exists());
}

fn what_is_staged_goes_on_without_a_daemon() {
    let mut bed = with_cores(1);
    until_there(&bed, 1, "go");
    bed.sh(2, "echo two; exit 2");
    bed.sh(3, "echo three > three; sleep 1000");
    bed.sh(4, "echo four > four");
    bed.started(1);
    bed.inventory();
    bed.disconnect();
    make(&bed, "go");
    bed.file("three");
    bed.connect();
    let phases: Vec<_> = (1..=4).map(|token| phase(&mut bed, token).unwrap()).collect();
    assert!(matches!(phases[0], HostedPhase::Ended { outcome: AttemptOutcome::Exited(0), .. }), "{phases:?}");
    assert!(matches!(phases[1], HostedPhase::Ended { outcome: AttemptOutcome::Exited(2), .. }), "{phases:?}");
    assert!(matches!(phases[2], HostedPhase::Running { .. }), "{phases:?}");
    assert_eq!(phases[3], HostedPhase::Staged);
    assert_eq!(bed.output(2), "two\n");
    assert!(!bed.home().join("four").exists());
}

fn nothing_is_started_on_a_machine_that_is_halted() {
    let mut bed = with_cores(1);
    until_there(&bed, 1, "go");
    bed.started(1);
    bed.command(Command::Halt(true));
    bed.sh(2, "true");
    assert!(halt::set(bed.directory().path(), "ann@here").unwrap());
    make(&bed, "go");
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0), "what runs goes on");
    assert_eq!(phase(&mut bed, 2), Some(HostedPhase::Staged));
    bed.command(Command::Halt(false));
    assert_eq!(phase(&mut bed, 2), Some(HostedPhase::Staged), "the file is there");
    assert!(halt::clear(bed.directory().path()).unwrap());
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
}

fn a_dead_host_knows_nothing_of_what_it_had_staged() {
    let mut bed = with_cores(1);
    bed.start(1, &["sleep", "1000"]);
    bed.sh(2, "echo ran >> ran");
    bed.started(1);
    assert_eq!(phase(&mut bed, 2), Some(HostedPhase::Staged));
    kill(Pid::from_raw(bed.host), Signal::SIGKILL).unwrap();
    bed.wait_connected();
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(LossReason::HostDied));
    assert_eq!(phase(&mut bed, 2), None, "it has not run, and may be started again");
    assert!(!bed.home().join("ran").exists());
    bed.sh(2, "echo ran >> ran");
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
    assert_eq!(bed.file("ran"), "ran");
}

fn at_the_leases_end_what_is_staged_is_lost() {
    let mut bed = with_cores(1);
    bed.sh(1, "trap '' TERM; sleep 1000");
    bed.sh(2, "echo ran > ran");
    bed.started(1);
    bed.kill_at(Clock::system().now() + Duration::from_millis(300));
    bed.inventory();
    bed.disconnect();
    until("the lease's end", || {
        bed.connect();
        matches!(phase(&mut bed, 1), Some(HostedPhase::Ended { .. })).then_some(())
    });
    let lost = AttemptOutcome::Lost(LossReason::LeaseLost);
    assert_eq!(bed.ended(1), lost);
    assert_eq!(bed.ended(2), lost);
    assert!(!bed.home().join("ran").exists());
}

fn nothing_is_started_late_in_the_lease_and_all_is_when_it_is_renewed() {
    let mut bed = with_cores(1);
    let now = Clock::system().now();
    let kill_at = now + Duration::from_secs(60);
    bed.command(Command::Lease { start_until: now, kill_at });
    bed.sh(1, "echo ran > ran");
    assert_eq!(phase(&mut bed, 1), Some(HostedPhase::Staged));
    assert!(!bed.home().join("ran").exists());
    bed.command(Command::Lease { start_until: kill_at, kill_at });
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
}

fn many_tiny_ones_are_each_told_to_start_and_to_end() {
    let mut bed = with_cores(2);
    (1..=200).for_each(|token| bed.sh(token, &format!("echo {token}")));
    for token in 1..=200 {
        assert_eq!(bed.ended(token), AttemptOutcome::Exited(0));
        bed.started(token);
        assert_eq!(bed.output(token), format!("{token}\n"));
    }
    let starts = bed.told(|report| matches!(report, HostReport::Started { .. }));
    let ends = bed.told(|report| matches!(report, HostReport::Ended { .. }));
    assert_eq!((starts, ends), (200, 200), "each once");
    bed.command(Command::Forget((1..=200).map(Token).collect()));
    assert!(bed.inventory().is_empty());
}
