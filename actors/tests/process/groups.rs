//! Attempts in groups of the kernel's: only where this user may make some, as root on Linux.

use std::fs;
use std::path::{Path, PathBuf};

use actors::process::os::cgroup::OWN;
use actors::process::port::HostProgram;
use actors::process::protocol::{HOST_ARGUMENT, StopReason};
use policy::excess::{Excess, UseLimit};
use policy::task::{AttemptOutcome, LossReason};

use crate::bed::{Bed, is_alive, until};
use crate::helpers;

crate::tests![
    what_is_limited_is_in_a_group_and_nothing_leaves_it,
    what_multiplies_in_a_group_is_ended_at_one_stroke,
    no_group_is_left_when_the_host_is_killed,
    memory_beyond_the_limit_is_refused_by_the_kernel,
    threads_beyond_what_its_processes_may_have_are_refused_by_the_kernel,
];

/// A place for groups, as a service manager gives it; goes with this value.
struct Place(PathBuf);

impl Place {
    /// `None` where this user may not make one.
    fn make(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?.split(' ').nth(4)?;
        let place = Path::new(mount).join(format!("crab-test-{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&place).and_then(|()| fs::create_dir(place.join(OWN))) {
            return not_tested(&format!("no control group can be made here: {error}"));
        }
        Some(Self(place))
    }

    /// One whose groups the kernel itself limits in this; `None` where it does not (`memory` and `pids` are with groups of
    /// version 1 on some machines).
    fn with_controller(name: &str, controller: &str) -> Option<Self> {
        let place = Self::make(name)?;
        let known = fs::read_to_string(place.0.join("cgroup.controllers")).unwrap();
        if known.split_whitespace().any(|known| known == controller) {
            return Some(place);
        }
        not_tested(&format!("control groups do not limit {controller} here"))
    }

    /// A host that is in the place's own group.
    fn bed(&self) -> Bed {
        let enter = format!("echo $$ > {}/{OWN}/cgroup.procs && exec \"$@\"", self.0.display());
        let words = ["-c", &enter, "sh", &helpers::exe(), HOST_ARGUMENT].map(Into::into);
        Bed::with(HostProgram { program: "/bin/sh".into(), arguments: words.to_vec() })
    }

    /// Groups of attempts that there are.
    fn groups(&self) -> Vec<PathBuf> {
        let below = |path: &Path| {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let groups = entries.filter(|entry| entry.file_type().unwrap().is_dir());
            groups.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let hosts = below(&self.0).into_iter().filter(|path| !path.ends_with(OWN));
        hosts.flat_map(|host| below(&host)).collect()
    }
}

/// What cannot be shown here is said, and fails where it must be possible (`.ci/kernel`).
fn not_tested(why: &str) -> Option<Place> {
    assert!(std::env::var_os("CRAB_GROUPS_MUST_BE").is_none(), "{why}");
    println!("not tested, {why}");
    None
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        until("the host to leave its group", || fs::remove_dir(self.0.join(OWN)).ok());
        assert_eq!(
            fs::remove_dir(&self.0).map_err(|error| error.to_string()),
            Ok(()),
            "the host left groups"
        );
    }
}

fn what_is_limited_is_in_a_group_and_nothing_leaves_it() {
    let Some(place) = Place::make("in") else { return };
    let mut bed = place.bed();
    // Neither mark nor group nor parent tells whose it is, and another one could have started it.
    let daemonize = helpers::exe();
    let daemonize = helpers::argv(&daemonize, &["daemonize", "pid", "clean"]);
    bed.start(1, &["sleep", "1000"]);
    bed.started(1);
    bed.start_with(2, &daemonize, |start| start.limits.processes = Some(20));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
    assert!(!is_alive(bed.pid_in("pid")));
    assert_eq!(place.groups(), Vec::<PathBuf>::new());
    bed.start_with(3, &["sh", "-c", "grep ^0:: /proc/self/cgroup > group; sleep 1000"], |start| {
        start.limits.memory_bytes = Some(1 << 30);
    });
    let group = bed.file("group");
    assert!(group.ends_with("/3"), "it is in it from its first moment: {group}");
    assert!(matches!(place.groups().as_slice(), [only] if only.ends_with("3")), "{:?}", place.groups());
    bed.stop(3, StopReason::Cancel);
    assert_eq!(bed.ended(3), AttemptOutcome::Cancelled);
    assert_eq!(place.groups(), Vec::<PathBuf>::new());
    drop(bed);
}

fn what_multiplies_in_a_group_is_ended_at_one_stroke() {
    let Some(place) = Place::make("bomb") else { return };
    let mut bed = place.bed();
    let exe = helpers::exe();
    bed.start_with(1, &helpers::argv(&exe, &["bomb", "8"]), |start| start.limits.processes = Some(30));
    match bed.ended(1) {
        AttemptOutcome::OverLimit(excess) => {
            assert!(excess.limit == UseLimit::ProcessLimit && excess.used > 30, "{excess}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(place.groups(), Vec::<PathBuf>::new());
    drop(bed);
}

fn no_group_is_left_when_the_host_is_killed() {
    let Some(place) = Place::make("kill") else { return };
    let mut bed = place.bed();
    let exe = helpers::exe();
    bed.start_with(1, &["sh", "-c", "setsid env -i sleep 1000 & echo $! > pid; sleep 1000"], |start| {
        start.limits.processes = Some(20);
    });
    bed.start_with(2, &helpers::argv(&exe, &["daemonize", "other", "clean"]), |start| {
        start.limits.processes = Some(20);
    });
    let (one, _) = (bed.pid_in("pid"), bed.pid_in("other"));
    assert_eq!(bed.ended(2), AttemptOutcome::Exited(0));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(bed.host), nix::sys::signal::SIGKILL).unwrap();
    bed.wait_connected();
    assert_eq!(bed.ended(1), AttemptOutcome::Lost(LossReason::HostDied));
    until("its end", || (!is_alive(one)).then_some(()));
    until("no group", || place.groups().is_empty().then_some(()));
    drop(bed);
}

fn memory_beyond_the_limit_is_refused_by_the_kernel() {
    let Some(place) = Place::with_controller("memory", "memory") else { return };
    let mut bed = place.bed();
    let exe = helpers::exe();
    let allowed = 32 << 20;
    bed.start_with(1, &helpers::argv(&exe, &["hold", "8"]), |start| {
        start.limits.memory_bytes = Some(allowed)
    });
    bed.start_with(2, &helpers::argv(&exe, &["hold", "96"]), |start| {
        start.limits.memory_bytes = Some(allowed)
    });
    // Where it is looked at first, pages of its file are counted as well, and never what it asked for.
    let excess = over_limit(&mut bed, 2);
    assert_eq!((excess.limit, excess.allowed), (UseLimit::MemoryLimit, allowed));
    assert!((allowed..allowed + (16 << 20)).contains(&excess.used), "{excess}");
    bed.stop(1, StopReason::Cancel);
    assert_eq!(bed.ended(1), AttemptOutcome::Cancelled, "its neighbour is left alone");
    assert_eq!(place.groups(), Vec::<PathBuf>::new());
    drop(bed);
}

fn threads_beyond_what_its_processes_may_have_are_refused_by_the_kernel() {
    let Some(place) = Place::with_controller("threads", "pids") else { return };
    let mut bed = place.bed();
    let exe = helpers::exe();
    let waits = ["sh", "-c", "until [ -e go ]; do sleep 0.05; done; exec \"$@\"", "sh"];
    let argv = [&waits[..], &helpers::argv(&exe, &["threads", "40"])].concat();
    bed.start_with(1, &argv, |start| start.limits.processes = Some(8));
    bed.started(1);
    let bound = place.groups()[0].join("pids.max");
    assert_eq!(fs::read_to_string(&bound).unwrap(), "768\n", "32 for each process, and 512");
    // So many take some kernels ten seconds and more: how many are refused is the same.
    fs::write(bound, "20").unwrap();
    fs::write(bed.home().join("go"), "").unwrap();
    assert_eq!(over_limit(&mut bed, 1), Excess { limit: UseLimit::ProcessLimit, allowed: 8, used: 8 });
    assert_eq!(place.groups(), Vec::<PathBuf>::new());
    drop(bed);
}

fn over_limit(bed: &mut Bed, token: u64) -> Excess {
    match bed.ended(token) {
        AttemptOutcome::OverLimit(excess) => *excess,
        other => panic!("{other}"),
    }
}
