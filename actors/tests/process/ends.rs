//! How attempts end, and how they do not start.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use actors::process::protocol::{HostReport, HostedPhase, MARK_VARIABLE, StopReason};
use policy::bounds::{AttemptBounds, Overrun, TimeLimit};
use policy::excess::{UseLimit, UseLimits};
use policy::task::{AttemptOutcome, Qos, SpawnFailure};
use policy::text::OsText;

use crate::bed::Bed;
use crate::helpers;

crate::tests![
    exit_codes_and_signals_are_told,
    every_failure_to_start_says_what_is_wrong,
    programs_are_found_in_the_tasks_own_path_and_directory,
    arguments_need_not_be_text,
    the_environment_is_exactly_what_was_given,
    what_matters_less_is_put_behind_others_with_all_that_it_starts,
    of_variables_with_one_name_the_last_counts,
    nothing_of_the_host_is_handed_on,
    a_timeout_ends_it,
    one_that_writes_nothing_is_ended,
    one_that_is_asked_to_finish_has_until_its_timeout,
    one_that_stops_itself_is_ended_as_well,
    one_that_uses_more_than_it_may_is_killed,
    one_that_uses_less_than_it_may_goes_on,
    one_that_multiplies_is_ended_before_it_is_many,
    no_process_has_more_files_open_than_it_may,
    a_cancelled_one_that_refuses_is_killed_after_its_grace,
    the_rest_of_the_group_has_the_grace_as_well,
    a_stopped_process_can_be_cancelled,
    starting_twice_starts_once,
    what_is_forgotten_is_not_in_the_inventory,
    usage_is_told,
    what_a_tree_uses_is_told_while_it_runs,
];

fn exit_codes_and_signals_are_told() {
    let mut bed = Bed::new();
    bed.sh(1, "exit 0");
    bed.sh(2, "exit 7");
    bed.sh(3, "kill -SEGV $$");
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(7));
    assert_eq!(bed.ended(3), AttemptOutcome::Signalled(11));
    assert!(!bed.directory().spool(policy::id::Token(1)).exists(), "a silent attempt has no file");
}

fn refused(bed: &mut Bed, token: u64) -> String {
    match bed.ended(token) {
        AttemptOutcome::SpawnFailed(SpawnFailure { reason, .. }) => reason.into(),
        other => panic!("{other:?}"),
    }
}

fn every_failure_to_start_says_what_is_wrong() {
    let mut bed = Bed::new();
    let home = bed.home();
    let shown = home.display().to_string();
    let file = |name: &str, text: &str, mode: u32| {
        std::fs::write(home.join(name), text).unwrap();
        std::fs::set_permissions(home.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    file("plain", "x", 0o644);
    file("no-interpreter", "#!/nonexistent/interpreter\n", 0o755);
    file("no-format", "\x01\x02", 0o755);
    let long = "x".repeat(200_000);
    type Case<'a> = (&'a [&'a str], &'a str, String);
    let cases: [Case<'_>; 10] = [
        (&["fob"], "", "command not found: \"fob\" (searched PATH=/usr/bin:/bin)".into()),
        (&["./fob"], "", format!("command not found: {shown}/./fob")),
        (&["./plain"], "", format!("not executable: {shown}/./plain")),
        (&["/"], "", "is a directory: /".into()),
        (&["true"], "/nonexistent", "no such directory: /nonexistent".into()),
        (&["true"], "/etc/passwd", "not a directory: /etc/passwd".into()),
        (
            &["./no-interpreter"],
            "",
            format!("the interpreter or loader that {shown}/./no-interpreter names does not exist"),
        ),
        (
            &["./no-format"],
            "",
            format!("not a program for this machine, and no #! line: {shown}/./no-format"),
        ),
        (&["true", &long], "", "argument list too long for the operating system".into()),
        (&[], "", "the command is empty".into()),
    ];
    for (token, (argv, directory, expected)) in (1..).zip(cases) {
        bed.start_with(token, argv, |start| {
            if !directory.is_empty() {
                start.directory = directory.into();
            }
        });
        assert_eq!(refused(&mut bed, token), expected);
    }
    bed.start(98, &["true", &"x".repeat(5_000_000)]);
    assert!(refused(&mut bed, 98).starts_with("command and environment are too long: 5000"));
    bed.start_with(99, &["true"], |start| start.argv.push(OsText::from(vec![b'a', 0, b'b'])));
    assert_eq!(refused(&mut bed, 99), "a zero byte in the command, its environment or its directory");
}

fn programs_are_found_in_the_tasks_own_path_and_directory() {
    let mut bed = Bed::new();
    let tool = bed.home().join("bin");
    std::fs::create_dir(&tool).unwrap();
    std::fs::write(tool.join("tool"), "#!/bin/sh\necho \"$0 ran in $(pwd -P)\"\n").unwrap();
    std::fs::set_permissions(tool.join("tool"), PermissionsExt::from_mode(0o755)).unwrap();
    bed.start_with(1, &["tool"], |start| {
        start.environment =
            vec![("PATH".into(), format!("/nonexistent:{}:/usr/bin:/bin", tool.display()).into())];
    });
    bed.start(2, &["bin/tool"]);
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
    let home = bed.home().canonicalize().unwrap();
    assert!(bed.output(1).ends_with(&format!("ran in {}\n", home.display())));
    assert!(bed.output(2).contains("bin/tool ran in"));
}

fn arguments_need_not_be_text() {
    let mut bed = Bed::new();
    bed.start_with(1, &["printf", "%s"], |start| start.argv.push(OsText::from(vec![0xff, 0xfe, b'!'])));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.stdout(1), [0xff, 0xfe, b'!']);
}

fn what_matters_less_is_put_behind_others_with_all_that_it_starts() {
    let mut bed = Bed::new();
    // It is said just after the start.
    let script = "while [ $(nice) -lt $0 ]; do sleep 0.01; done; sh -c nice";
    for (token, qos, nice) in [(1, Qos::Utility, "10"), (2, Qos::Background, "19")] {
        bed.start_with(token, &["sh", "-c", script, nice], |start| start.qos = qos);
        assert_eq!(bed.ended(token), AttemptOutcome::Exited(0));
        assert_eq!(bed.output(token).trim(), nice);
    }
    bed.start(3, &["nice"]);
    assert_eq!(bed.ended(3), AttemptOutcome::Exited(0));
    let own = std::process::Command::new("nice").output().unwrap().stdout;
    assert_eq!(bed.output(3).into_bytes(), own);
}

fn the_environment_is_exactly_what_was_given() {
    let mut bed = Bed::new();
    bed.start_with(1, &["/usr/bin/env"], |start| start.environment.push(("A".into(), "b c".into())));
    bed.ended(1);
    let output = bed.output(1);
    let mut lines: Vec<&str> = output.lines().map(|line| line.split('=').next().unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A", "CRAB_MARK", "PATH"]);
}

fn of_variables_with_one_name_the_last_counts() {
    let mut bed = Bed::new();
    bed.start_with(1, &["sh", "-c", "echo $A; env | grep -c ^A="], |start| {
        start.environment.extend([("A".into(), "first".into()), ("A".into(), "last".into())]);
    });
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.output(1), "last\n1\n");
}

/// No file but its own three; no signal that is blocked or heard, none ignored that the host hears or ignores.
#[cfg(target_os = "linux")]
fn nothing_of_the_host_is_handed_on() {
    use nix::sys::signal::Signal;

    let mut bed = Bed::new();
    bed.start(1, &["cat", "/proc/self/status"]);
    bed.sh(2, "for f in /proc/$$/fd/*; do [ ${f##*/} -gt 2 ] && readlink $f; done; true");
    bed.start(3, &["readlink", "/proc/self/fd/0"]);
    for token in [1, 2, 3] {
        assert_eq!(bed.ended(token), AttemptOutcome::Exited(0));
    }
    let status = bed.output(1);
    let set = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{status}"));
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let of_host = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGPIPE];
    let of_host: u64 = of_host.iter().map(|signal| 1 << (*signal as i32 - 1)).sum();
    assert_eq!((set("SigBlk:"), set("SigCgt:"), set("SigIgn:") & of_host), (0, 0, 0));
    // Whoever runs this test may hand something on through all of us.
    let own = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let own: Vec<_> = own.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
    for file in bed.output(2).lines() {
        assert!(own.iter().any(|own| own.as_os_str() == file), "{file} is the host's");
    }
    assert_eq!(bed.output(3), "/dev/null\n");
}

#[cfg(target_os = "macos")]
fn nothing_of_the_host_is_handed_on() {
    let mut bed = Bed::new();
    bed.sh(1, "trap; [ /dev/stdin -ef /dev/null ]");
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.output(1), "");
}

fn a_timeout_ends_it() {
    let mut bed = Bed::new();
    bed.start_with(1, &["sleep", "1000"], |start| {
        start.bounds.timeout = Some(Duration::from_millis(100));
    });
    let (outcome, usage) = bed.ended_with(1);
    let overrun = overrun(&outcome);
    assert_eq!((overrun.limit, overrun.allowed), (TimeLimit::Timeout, Duration::from_millis(100)));
    assert!(usage.wall >= Duration::from_millis(100) && usage.wall < Duration::from_secs(4), "{usage:?}");
}

fn one_that_writes_nothing_is_ended() {
    let mut bed = Bed::new();
    // As long as it writes it goes on: some longer than it may be silent.
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.1; done; sleep 1000";
    bed.start_with(1, &["sh", "-c", script], |start| {
        start.bounds.idle_timeout = Some(Duration::from_secs(1));
    });
    let (outcome, usage) = bed.ended_with(1);
    let overrun = overrun(&outcome);
    assert_eq!((overrun.limit, overrun.allowed), (TimeLimit::IdleTimeout, Duration::from_secs(1)));
    assert!(usage.wall >= Duration::from_secs(2), "{usage:?}");
    assert!(bed.output(1).ends_with("12\n"));
}

fn one_that_is_asked_to_finish_has_until_its_timeout() {
    let mut bed = Bed::new();
    let bounds = AttemptBounds {
        soft_timeout: Some(Duration::from_secs(1)),
        timeout: Some(Duration::from_secs(4)),
        ..AttemptBounds::default()
    };
    let obeys = "trap 'echo asked; exit 0' TERM; while :; do sleep 0.02; done";
    let refuses = "trap 'echo asked' TERM; while :; do sleep 0.02; done";
    for (token, script) in [(1, obeys), (2, refuses)] {
        bed.start_with(token, &["sh", "-c", script], |start| {
            (start.bounds, start.grace) = (bounds, Duration::ZERO);
        });
    }
    let (obedient, stubborn) = (bed.ended_with(1), bed.ended_with(2));
    assert_eq!(overrun(&obedient.0).limit, TimeLimit::SoftTimeout);
    assert_eq!(overrun(&stubborn.0).limit, TimeLimit::SoftTimeout);
    assert!(obedient.1.wall < Duration::from_secs(4) && stubborn.1.wall >= Duration::from_secs(4));
    // Some shells tell as well, before or behind it, that what they waited for was terminated.
    assert!([1, 2].iter().all(|token| bed.output(*token).contains("asked\n")));
}

fn one_that_stops_itself_is_ended_as_well() {
    let mut bed = Bed::new();
    bed.start_with(1, &["sh", "-c", "kill -STOP $$"], |start| {
        start.bounds.idle_timeout = Some(Duration::from_millis(200));
    });
    assert_eq!(overrun(&bed.ended_with(1).0).limit, TimeLimit::IdleTimeout);
}

fn one_that_uses_more_than_it_may_is_killed() {
    let mut bed = Bed::new();
    // Keeps the last so many bytes in memory, and nobody takes them.
    let eats = "head -c 300000000 /dev/zero | tail -c 300000000 | sleep 1000";
    let away = if cfg!(target_os = "linux") {
        format!("(setsid sh -c '{eats}' &); sleep 1000")
    } else {
        format!("({eats}) & sleep 1000")
    };
    let many = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; trap '' TERM; wait; sleep 1000";
    let limits = UseLimits { memory_bytes: Some(100 << 20), processes: Some(8), open_files: None };
    for (token, script) in [(1, eats), (2, &*away), (3, many)] {
        bed.start_with(token, &["sh", "-c", script], |start| start.limits = limits);
    }
    for (token, limit) in
        [(1, UseLimit::MemoryLimit), (2, UseLimit::MemoryLimit), (3, UseLimit::ProcessLimit)]
    {
        match bed.ended_with(token) {
            (AttemptOutcome::OverLimit(excess), usage) => {
                assert_eq!(excess.limit, limit, "{token}");
                assert!(excess.used > excess.allowed && usage.wall < Duration::from_secs(20));
                assert!(limit != UseLimit::MemoryLimit || usage.peak_memory_bytes >= excess.used);
            }
            (other, _) => panic!("{token}: {other}"),
        }
    }
}

fn one_that_uses_less_than_it_may_goes_on() {
    let mut bed = Bed::new();
    bed.start_with(1, &["sh", "-c", "sleep 2 & sleep 2; wait"], |start| {
        start.limits = UseLimits { memory_bytes: Some(100 << 20), processes: Some(3), open_files: None };
    });
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
}

fn one_that_multiplies_is_ended_before_it_is_many() {
    let mut bed = Bed::new();
    let exe = helpers::exe();
    // Some 500 if nobody stops them, each in a session of its own.
    bed.start_with(1, &helpers::argv(&exe, &["bomb", "8"]), |start| start.limits.processes = Some(30));
    match bed.ended(1) {
        AttemptOutcome::OverLimit(excess) => {
            assert_eq!((excess.limit, excess.allowed), (UseLimit::ProcessLimit, 30));
            assert!(excess.used > 30, "{excess}");
        }
        other => panic!("{other}"),
    }
    let mark = |pid| actors::process::os::mark(pid, MARK_VARIABLE).is_some_and(|mark| mark.ends_with(".1"));
    let left =
        actors::process::os::processes().into_iter().filter(|one| one.parent == bed.host && mark(one.pid));
    assert_eq!(left.count(), 0);
}

fn no_process_has_more_files_open_than_it_may() {
    let mut bed = Bed::new();
    bed.start_with(1, &["sh", "-c", "ulimit -n; ulimit -Hn"], |start| start.limits.open_files = Some(64));
    bed.start_with(2, &["true"], |start| start.limits.open_files = Some(u64::MAX / 2));
    assert_eq!(bed.ended(1), AttemptOutcome::Exited(0));
    assert_eq!(bed.output(1), "64\n64\n");
    assert!(refused(&mut bed, 2).starts_with("open_files is 9223372036854775807; this machine allows "));
}

fn overrun(outcome: &AttemptOutcome) -> Overrun {
    match outcome {
        AttemptOutcome::TimedOut(overrun) => **overrun,
        other => panic!("{other}"),
    }
}

fn a_cancelled_one_that_refuses_is_killed_after_its_grace() {
    let mut bed = Bed::new();
    let script = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"];
    bed.start_with(1, &script, |start| start.grace = Duration::from_millis(300));
    let pid = bed.started(1);
    crate::bed::until("the trap", || bed.directory().spool(policy::id::Token(1)).exists().then_some(()));
    bed.stop(1, StopReason::Cancel);
    bed.stop(1, StopReason::Cancel);
    let (outcome, usage) = bed.ended_with(1);
    assert_eq!(outcome, AttemptOutcome::Cancelled);
    assert!(usage.wall >= Duration::from_millis(300), "{usage:?}");
    assert!(!crate::bed::is_alive(pid));
}

fn the_rest_of_the_group_has_the_grace_as_well() {
    let mut bed = Bed::new();
    let slow = "trap 'sleep 0.2; echo flushed; exit 0' TERM; echo up > up; while :; do sleep 0.02; done";
    bed.sh(1, &format!("sh -c '{}' & wait", slow.replace('\'', "'\\''")));
    bed.file("up");
    bed.stop(1, StopReason::Cancel);
    assert_eq!(bed.ended(1), AttemptOutcome::Cancelled);
    assert!(bed.output(1).ends_with("flushed\n"), "{}", bed.output(1));
}

fn a_stopped_process_can_be_cancelled() {
    let mut bed = Bed::new();
    bed.sh(1, "kill -STOP $$; exit 3");
    bed.started(1);
    bed.stop(1, StopReason::Cancel);
    assert_eq!(bed.ended(1), AttemptOutcome::Cancelled);
}

fn starting_twice_starts_once() {
    let mut bed = Bed::new();
    for _ in 0..3 {
        bed.sh(1, "echo once");
    }
    bed.ended(1);
    bed.sh(1, "echo again");
    bed.sh(2, "true");
    bed.ended(2);
    assert_eq!(bed.output(1), "once\n");
}

fn what_is_forgotten_is_not_in_the_inventory() {
    let mut bed = Bed::new();
    bed.sh(1, "true");
    bed.sh(2, "exit 2");
    bed.start(3, &["sleep", "1000"]);
    bed.ended(1);
    bed.ended(2);
    bed.started(3);
    bed.command(actors::process::protocol::Command::Forget(vec![policy::id::Token(1)]));
    let inventory = bed.inventory();
    let tokens: Vec<u64> = inventory.iter().map(|hosted| hosted.token.0).collect();
    assert_eq!(tokens, [3, 2]);
    assert!(matches!(inventory[0].phase, HostedPhase::Running { .. }));
    assert!(matches!(inventory[1].phase, HostedPhase::Ended { outcome: AttemptOutcome::Exited(2), .. }));
}

fn usage_is_told() {
    let mut bed = Bed::new();
    bed.sh(1, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo out; echo error >&2");
    let (_, usage) = bed.ended_with(1);
    assert!(usage.cpu > Duration::ZERO && usage.cpu < Duration::from_secs(10), "{usage:?}");
    assert!(usage.peak_memory_bytes > 100_000, "{usage:?}");
    assert_eq!((usage.stdout_bytes, usage.stderr_bytes), (4, 6));
}

fn what_a_tree_uses_is_told_while_it_runs() {
    let mut bed = Bed::new();
    // One of them in a session of its own: it belongs to the tree as well.
    bed.sh(
        1,
        "echo hello; setsid sleep 600 & i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done; sleep 600",
    );
    bed.sh(2, "true");
    let sample = bed.wait("a sample", |report| match report {
        HostReport::Sampled(samples) => {
            assert_eq!(samples.len(), 1, "what is over is not looked at");
            let (token, sample) = samples[0];
            (token.0 == 1 && sample.cpu > Duration::ZERO).then_some(sample)
        }
        _ => None,
    });
    assert!((2..=3).contains(&sample.processes), "{sample:?}");
    assert!(sample.memory_bytes > 1 << 19 && sample.peak_memory_bytes >= sample.memory_bytes, "{sample:?}");
    assert_eq!(sample.output_bytes, 6);
    bed.stop(1, StopReason::LeaseLost);
    let (_, usage) = bed.ended_with(1);
    assert!(usage.peak_memory_bytes >= sample.peak_memory_bytes && usage.cpu >= sample.cpu, "{usage:?}");
}
