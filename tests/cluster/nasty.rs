//! Programs that do all they can to stay, under random cancels, timeouts and kills of the daemon and of the process host: at
//! the end nothing of them is left, and every outcome is right.
//!
//! What is left is looked for from outside, among all processes of the machine and on the disk. Five hundred, by hand:
//! `CRAB_SEED=7 cargo test --test main five_hundred_nasty -- --ignored --nocapture`.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use actors::client::random_key;
use actors::wire::client::{Target, TaskDetail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::event::Item;
use policy::excess::UseLimits;
use policy::id::{GraphId, TaskId};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{AttemptOutcome, RetryPolicy, TaskOutcome, TaskSpec};
use policy::workspace::{Keep, Source, Workspace};

use crate::support::place::{Daemon, Place};
use crate::support::residue;
use crate::support::waiting::{SOON, until, until_true};

/// The same faults in each run, unless `CRAB_SEED` says otherwise.
const SEED: u64 = 20_261_129;
/// What CI has time for.
const FEW: usize = 40;
/// What is to hold.
const MANY: usize = 500;
/// For all of them on a busy machine.
const DEADLINE: Duration = Duration::from_secs(600);
/// How long those run that would stay for ever.
const TIMEOUT: Duration = Duration::from_millis(400);

/// Each does something else to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nasty {
    Daemonizes,
    ForksTwice,
    IgnoresTerm,
    StopsItself,
    Multiplies,
    ChangesItsGroup,
    Behaves,
}

const ALL: [Nasty; 7] = [
    Nasty::Daemonizes,
    Nasty::ForksTwice,
    Nasty::IgnoresTerm,
    Nasty::StopsItself,
    Nasty::Multiplies,
    Nasty::ChangesItsGroup,
    Nasty::Behaves,
];

impl Nasty {
    fn script(self) -> &'static str {
        match self {
            Self::Daemonizes => {
                "setsid sh -c 'trap \"\" TERM HUP; sleep 1000; sleep 1000' </dev/null >/dev/null 2>&1 & exit 0"
            }
            Self::ForksTwice => "( ( trap '' TERM; sleep 1000 ) & ) ; ( setsid sleep 1000 & ) ; exit 3",
            Self::IgnoresTerm => "trap '' TERM; sleep 1000 & while :; do sleep 0.1; done",
            Self::StopsItself => "setsid sleep 1000 & kill -STOP $$",
            Self::Multiplies => {
                "f() { n=0; while [ $n -lt 60 ]; do n=$((n+1)); setsid sleep 1000 & done; wait; }; f"
            }
            Self::ChangesItsGroup => "exec setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'",
            Self::Behaves => "n=0; while [ $n -lt 20 ]; do n=$((n+1)); echo line $n; done; exit 0",
        }
    }

    fn spec(self, number: usize) -> TaskSpec {
        let name = format!("{self:?}-{number}");
        let argv = ["/bin/sh", "-c", self.script()].map(Into::into).to_vec();
        let is_limited = self == Self::Multiplies;
        let limits = UseLimits { processes: Some(20), ..UseLimits::default() };
        let has_space = number.is_multiple_of(3);
        let own = Workspace { source: Source::Scratch, keep: Keep::Unsaved, private_home: true };
        TaskSpec {
            directory: (!has_space).then(|| "/".into()),
            resources: Resources::cpus(250),
            timeout: Some(if is_limited { Duration::from_secs(30) } else { TIMEOUT }),
            grace: Duration::from_millis(100),
            limits: is_limited.then(|| Box::new(limits)),
            workspace: has_space.then(|| Box::new(own)),
            retry: RetryPolicy { losses: 1_000, ..RetryPolicy::default() },
            ..TaskSpec::new(name, argv)
        }
    }

    /// Whether it may end so where nobody cancels it. On a busy machine a time limit may be first.
    fn ends(self, outcome: &TaskOutcome) -> bool {
        let is_late = matches!(outcome, TaskOutcome::Failed(AttemptOutcome::TimedOut(_)));
        match (self, outcome) {
            // Whoever leads a group is forked by setsid, and has ended.
            (Self::Daemonizes | Self::ChangesItsGroup | Self::Behaves, TaskOutcome::Succeeded)
            | (Self::ForksTwice, TaskOutcome::Failed(AttemptOutcome::Exited(3)))
            | (Self::Multiplies, TaskOutcome::Failed(AttemptOutcome::OverLimit(_))) => true,
            (Self::Multiplies, _) => false,
            _ => is_late,
        }
    }
}

fn daemon(place: &Place) -> Daemon {
    let config = "[breaker]\nfailures = 1000000\npoison_after = 0\n";
    let config = place.file("crabd.toml", config).display().to_string();
    place.daemon(&["--cpus", "4", "--name", "one", "--config", &config])
}

/// Kills the process host where there is one: after such a kill the next one is a moment away. Tells how many that were.
fn kill_host(place: &Place) -> u32 {
    let killed = place.host_pid().is_some_and(|host| kill(Pid::from_raw(host), Signal::SIGKILL).is_ok());
    u32::from(killed)
}

fn ended(place: &Place, graph: GraphId) -> u64 {
    let row = place.ask(|client| async move { client.graph(graph).await });
    row.map_or(0, |row| row.tasks.succeeded + row.tasks.failed + row.tasks.cancelled)
}

#[test]
fn forty_nasty_programs_leave_nothing_and_end_as_they_must() {
    fire(FEW);
}

#[test]
#[ignore = "takes minutes"]
fn five_hundred_nasty_programs_leave_nothing_and_end_as_they_must() {
    fire(MANY);
}

fn fire(count: usize) {
    let seed = std::env::var("CRAB_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    let mut running = daemon(&place);
    place.wait_nodes(1);
    let kinds: Vec<Nasty> = (0..count).map(|_| ALL[random.usize(0..ALL.len())]).collect();
    let items = kinds.iter().enumerate().map(|(number, kind)| Item::new(kind.spec(number))).collect();
    let submission = Submission::new(random_key(), Arc::from("nasty"), items);
    let submitted = place.ask(|client| async move { client.submit(submission).await }).expect("it is sound");
    let (graph, first) = (submitted.graph, submitted.graph.first_task().0);
    let mut cancelled = vec![false; count];
    let (mut daemons, mut hosts) = (0, 0);
    // A fault each time that so many more have ended.
    let step = (count / 12).max(1) as u64;
    let mut next = step;
    while next < count as u64 {
        until_true("they end one after the other", DEADLINE, || {
            ended(&place, graph) >= next.min(count as u64)
        });
        next = ended(&place, graph) + step;
        for _ in 0..count / 20 {
            let one = random.usize(0..count);
            let target = Target::Task(TaskId(first + one as u64));
            cancelled[one] |= place.ask(|client| async move { client.cancel(target).await }).is_ok();
        }
        if random.bool() {
            running.kill();
            daemons += 1;
            if random.bool() {
                hosts += kill_host(&place);
            }
            running = daemon(&place);
        } else {
            hosts += kill_host(&place);
        }
    }
    until_true("all have ended", DEADLINE, || ended(&place, graph) == count as u64);
    println!("seed {seed}: {count} programs, {daemons} daemons and {hosts} hosts killed");
    for (number, kind) in kinds.iter().enumerate() {
        let task = TaskId(first + number as u64);
        let detail = place.ask(|client| async move { client.task(task).await }).expect("it is known");
        check(&detail, *kind, cancelled[number]);
    }
    nothing_is_left(&place, running);
}

fn check(detail: &TaskDetail, kind: Nasty, may_be_cancelled: bool) {
    let outcome = detail.row.outcome.as_ref().expect("it has ended");
    let is_right = kind.ends(outcome) || may_be_cancelled && *outcome == TaskOutcome::Cancelled;
    assert!(
        is_right,
        "{} of {kind:?}: {outcome:?} after {} attempts",
        detail.row.task,
        detail.attempts.len()
    );
}

/// Looked for from outside: whoever has the place in its environment or its command line, what is on the disk, and the
/// kernel's groups.
fn nothing_is_left(place: &Place, running: Daemon) {
    assert_eq!(place.attempts(), []);
    let empty = |below: &str| {
        let entries = fs::read_dir(place.data().join(below)).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name() != "records").all(|entry| !entry.path().is_dir())
    };
    until_true("no directory is left", SOON, || empty("workspaces") && empty("private"));
    if let Ok(groups) = fs::read_to_string(place.data().join("host/host.groups")) {
        let entries = fs::read_dir(groups.trim()).into_iter().flatten().flatten();
        assert_eq!(entries.filter(|entry| entry.path().is_dir()).count(), 0, "groups in {groups}");
    }
    assert!(running.stop().success());
    let root = place.root().display().to_string();
    until("no process is left", SOON, || residue::within(&root).is_empty().then_some(()));
}
