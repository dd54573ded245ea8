//! The end of a session is the end of every process of it.

use super::bed::Bed;
use crate::support::waiting::{SOON, until, until_true};

/// A number of seconds that nobody else sleeps.
fn seconds(bed: &Bed) -> String {
    let name = bed.root().file_name().unwrap().to_string_lossy().into_owned();
    let digits: String = name.bytes().map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("77{digits}")
}

/// Leaves its group, its session and its parent; ignores SIGTERM; and stays.
const FAMILY: &str = "\
    (setsid sh -c 'trap \"\" TERM HUP; sleep \"$0\" & sleep \"$0\"' \"$1\" &)
    (trap '' TERM HUP; sleep \"$1\" &)
    nohup sleep \"$1\" >/dev/null 2>&1 &
    sleep \"$1\"";

fn start(bed: &Bed, role: &str, work: &str, seconds: &str) {
    let argv = ["--detach", "--", "sh", "-c", FAMILY, "sh", seconds];
    bed.run(&[&["exec", "--repo", "r", "--work", work, "--role", role], &argv[..]].concat()).expect(0);
    let family = format!("sleep {seconds}");
    until_true("the whole family is there", SOON, || bed.processes(&family).len() >= 5);
}

#[test]
fn kill_ends_daemonized_children_and_what_ignores_sigterm() {
    let bed = Bed::new();
    let (mine, others) = (seconds(&bed), format!("{}9", seconds(&bed)));
    start(&bed, "agent", "w", &mine);
    let argv =
        ["exec", "--repo", "r", "--work", "other", "--role", "agent", "--detach", "--", "sleep", &others];
    bed.run(&argv).expect(0);
    let following = bed.start(&["logs", "-f", "--session", "aivcs__r__w__agent"]);
    bed.run(&["kill", "--grace", "500ms", "--session", "aivcs__r__w__agent"]).expect(0);
    assert!(bed.processes(&format!("sleep {mine}")).iter().all(|pid| bed.processes(&others).contains(pid)));
    assert_eq!(bed.processes(&format!("sleep {others}")).len(), 1, "another session's go on");
    assert_eq!(bed.names(), ["aivcs__r__other__agent"]);
    following.end().expect(0);
    let all = bed.run(&["list", "--all", "--json"]).expect(0).json();
    let killed = all.iter().find(|row| row["work"] == "w").expect("its files are there");
    assert_eq!(
        (&killed["attempt"]["state"], &killed["attempt"]["outcome"]),
        (&"ended".into(), &"killed".into())
    );
    bed.run(&["kill", "--grace", "100ms", "--session", "aivcs__r__other__agent"]).expect(0);
    assert!(bed.processes(&format!("sleep {others}")).is_empty());
}

#[test]
fn what_a_command_leaves_behind_goes_with_it() {
    let bed = Bed::new();
    let mine = seconds(&bed);
    let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep \"$0\" & sleep \"$0\"' \"$1\" >/dev/null 2>&1 &); sleep 0.2; exit 4";
    bed.run(&[
        "exec", "--repo", "r", "--work", "w", "--role", "runner", "--", "sh", "-c", script, "sh", &mine,
    ])
    .expect(4);
    assert!(bed.processes(&format!("sleep {mine}")).is_empty());
    assert!(bed.list().is_empty());
}

#[test]
fn a_shell_somebody_has_left_goes_with_its_children() {
    let bed = Bed::new();
    let mine = seconds(&bed);
    bed.run(&["attach", "--repo", "r", "--work", "w", "--role", "human"]).expect(0);
    let typed = format!("nohup sleep {mine} >/dev/null 2>&1 &");
    bed.tmux(&["send-keys", "-t", "=aivcs__r__w__human:", &typed, "Enter"]).expect(0);
    until_true("it sleeps", SOON, || bed.processes(&format!("sleep {mine}")).len() == 1);
    bed.run(&["kill", "--grace", "1s", "--session", "aivcs__r__w__human"]).expect(0);
    assert!(bed.processes(&format!("sleep {mine}")).is_empty());
    assert!(bed.list().is_empty());
}

#[test]
fn a_killed_tmux_server_is_the_end_of_its_sessions_and_not_of_the_truth() {
    let bed = Bed::new();
    let mine = seconds(&bed);
    start(&bed, "agent", "w", &mine);
    bed.tmux(&["kill-server"]);
    assert!(bed.list().is_empty(), "no server is no session");
    let row = until("it is told how it ended", SOON, || {
        let all = bed.run(&["list", "--all", "--json"]).expect(0).json();
        all.into_iter().find(|row| row["attempt"]["state"] == "ended")
    });
    assert_eq!((&row["attempt"]["outcome"], &row["live"]), (&"hung-up".into(), &false.into()));
    assert!(bed.processes(&format!("sleep {mine}")).is_empty());
    bed.run(&["exec", "--repo", "r", "--work", "w", "--role", "agent", "--", "true"]).expect(0);
}

#[test]
fn an_attempt_whose_wrapper_was_killed_is_lost_and_swept_before_the_next() {
    let bed = Bed::new();
    let mine = seconds(&bed);
    start(&bed, "agent", "w", &mine);
    let panes = bed.tmux(&["list-panes", "-a", "-F", "#{pane_pid}"]).expect(0).text();
    let wrapper: i32 = panes.trim().parse().expect("one pane");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(wrapper), nix::sys::signal::Signal::SIGKILL).unwrap();
    until_true("it is lost", SOON, || bed.list()[0]["attempt"]["state"] == "lost");
    assert!(!bed.processes(&format!("sleep {mine}")).is_empty(), "nobody has ended them yet");
    bed.run(&["exec", "--repo", "r", "--work", "w", "--role", "agent", "--", "true"]).expect(0);
    assert!(bed.processes(&format!("sleep {mine}")).is_empty());
}
