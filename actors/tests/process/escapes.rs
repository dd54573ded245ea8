//! No process outlives its attempt, wherever it went.

use std::time::Duration;

use actors::process::protocol::StopReason;
use policy::task::AttemptOutcome;

use crate::bed::{Bed, is_alive};
use crate::helpers;

crate::tests![
    a_background_child_that_keeps_the_output_open_does_not_delay_the_end,
    a_child_that_left_the_session_is_found,
    a_child_without_any_sign_goes_when_nobody_else_could_have_started_it,
    a_grandchild_that_ignores_the_polite_signal_dies_with_its_leader,
    a_process_that_starts_others_all_the_time_is_ended,
    what_belongs_to_another_attempt_is_left_alone,
];

fn a_background_child_that_keeps_the_output_open_does_not_delay_the_end() {
    let mut bed = Bed::new();
    bed.sh(1, "sleep 1000 & echo $! > pid; echo said");
    let (outcome, usage) = bed.ended_with(1);
    assert_eq!(outcome, AttemptOutcome::Exited(0));
    assert!(usage.wall < Duration::from_secs(5));
    assert!(!is_alive(bed.pid_in("pid")));
    assert_eq!(bed.output(1), "said\n");
}

fn a_child_that_left_the_session_is_found() {
    let mut bed = Bed::new();
    bed.start(1, &helpers::argv(&helpers::exe(), &["daemonize", "pid", "marked"]));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert!(!is_alive(bed.pid_in("pid")));
}

fn a_child_without_any_sign_goes_when_nobody_else_could_have_started_it() {
    let mut bed = Bed::new();
    bed.start(1, &["sleep", "1000"]);
    bed.started(1);
    bed.start(2, &helpers::argv(&helpers::exe(), &["daemonize", "pid", "clean"]));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
    let pid = bed.pid_in("pid");
    if cfg!(target_os = "linux") {
        assert!(is_alive(pid), "it could be the other one's");
        bed.stop(1, StopReason::Cancel);
        assert_eq!(bed.ended(1), AttemptOutcome::Cancelled);
        assert!(!is_alive(pid));
    }
}

fn a_grandchild_that_ignores_the_polite_signal_dies_with_its_leader() {
    let mut bed = Bed::new();
    let script = "sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 0.05; done' & wait";
    bed.start_with(1, &["sh", "-c", script], |start| start.grace = Duration::from_millis(200));
    let pid = bed.pid_in("pid");
    bed.stop(1, StopReason::Cancel);
    assert_eq!(bed.ended(1), AttemptOutcome::Cancelled);
    assert!(!is_alive(pid));
}

fn a_process_that_starts_others_all_the_time_is_ended() {
    let mut bed = Bed::new();
    let script = "echo up > up; while :; do (sleep 0.3; sleep 1000) & sleep 0.01; done";
    bed.start_with(1, &["sh", "-c", script], |start| start.grace = Duration::ZERO);
    bed.file("up");
    bed.stop(1, StopReason::Cancel);
    assert_eq!(bed.ended(1), AttemptOutcome::Cancelled);
    let host = bed.host;
    let left = actors::process::os::processes().iter().filter(|process| process.parent == host).count();
    assert_eq!(left, 0);
}

fn what_belongs_to_another_attempt_is_left_alone() {
    let mut bed = Bed::new();
    bed.sh(1, "(setsid sleep 1000 & echo $! > other) ; echo ready > ready; sleep 1000");
    bed.file("ready");
    let other = bed.pid_in("other");
    for token in 2..12 {
        bed.sh(token, "sleep 1000 & exit 0");
        assert_eq!(bed.ended(token), AttemptOutcome::Exited(0));
    }
    assert!(is_alive(other));
    bed.stop(1, StopReason::Cancel);
    bed.ended(1);
    assert!(!is_alive(other));
}
