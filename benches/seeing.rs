//! (l) What does it cost to be seen? 10,000 actors awake, nobody looking, then a view open; how soon that is painted, and
//! how soon a key is answered.
//!
//! Real tasks that sleep: each has its task, its lease and its attempt, which are actors. A view is `cluster-top` on a
//! terminal of its own, asked and read as by a person.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use actors::wire::client::TaskFilter;
use actors::wire::codec;
use actors::wire::inspect::{CHILDREN_LIMIT, Look, PACE_LEAST};
use policy::resources::Resources;
use supervision::First;

use crate::support::daemon::{Daemon, block_on};
use crate::support::instant::{self, Fleet};
use crate::support::terminal::Terminal;
use crate::support::{report, work};

/// Actors of one task that runs.
const ACTORS_PER_TASK: usize = 3;
/// How long a state is looked at.
const WINDOW: Duration = Duration::from_secs(10);
/// How long what runs may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn ask() {
    report::title(
        "(l) seeing: 10,000 actors and a view open",
        "≤ 1 % of a core; first paint ≤ 100 ms; a key answered ≤ 30 ms",
    );
    let actors = report::size(10_000, 600);
    let daemon = sleeping(actors / ACTORS_PER_TASK);
    let idle = share(&daemon, WINDOW);
    let mut view = Terminal::start(&mut top(&daemon, &["tui"]));
    view.until("scheduler-side");
    let seen = share(&daemon, WINDOW);
    report::row("crabd, nobody looking", &format!("{idle:.2} % of a core"), &format!("{actors} actors"));
    let more = format!("{:.2} % for the view", seen - idle);
    report::row("crabd, the tree open in a full screen", &format!("{seen:.2} % of a core"), &more);
    keys(&mut view);
    drop(view);
    tells(&daemon);
    paints(&daemon);
    drop(daemon);
    dispatch();
}

/// A daemon on which so many tasks sleep.
fn sleeping(tasks: usize) -> Daemon {
    let daemon = Daemon::with_cores("100");
    let mut spec = work::spec(Path::new("/bin/sleep"));
    spec.argv = vec!["/bin/sleep".into(), "3600".into()];
    spec.resources = Resources::cpus(1);
    block_on(async {
        let client = daemon.client();
        client.submit(work::array(spec, tasks)).await.expect("admitted");
        let start = Instant::now();
        while client.status().await.expect("it answers").tasks.active < tasks as u64
            || client.tasks(&TaskFilter::default(), tasks).await.expect("it answers").iter().any(starts)
        {
            assert!(start.elapsed() < PATIENCE, "they do not all run");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    daemon
}

fn starts(row: &actors::wire::client::TaskRow) -> bool {
    row.state != actors::wire::client::StateName::Running
}

/// What the daemon takes of one core while this passes, in percent.
fn share(daemon: &Daemon, window: Duration) -> f64 {
    let (before, start) = (daemon.costs().daemon, Instant::now());
    pass(window);
    daemon.costs().daemon.share(before, start.elapsed())
}

/// What it costs to be asked about all actors ten times a second, for all that is known and for what has changed.
fn tells(daemon: &Daemon) {
    for (what, changes) in [("all of it", false), ("what has changed", true)] {
        let (share, bytes) = asked(daemon, changes);
        let what = format!("crabd, asked ten times a second: {what}");
        report::row(&what, &format!("{share:.2} % of a core"), &format!("{bytes} bytes an answer"));
    }
}

/// The daemon's share of a core, and the bytes of the last answer.
fn asked(daemon: &Daemon, changes: bool) -> (f64, usize) {
    let (before, start) = (daemon.costs().daemon, Instant::now());
    let bytes = block_on(async {
        let client = daemon.client();
        let (mut after, mut bytes) = (0, 0);
        while start.elapsed() < WINDOW {
            let (only, first, limit) = (None, First::Oldest, CHILDREN_LIMIT);
            let look = match changes {
                true => Look::Changes { subscriber: 7, after, only, first, limit },
                false => Look::Actors { only, first, limit },
            };
            bytes = codec::encode(&client.inspect(None, look).await.expect("it answers")).len();
            after += 1;
            tokio::time::sleep(PACE_LEAST).await;
        }
        bytes
    });
    (daemon.costs().daemon.share(before, start.elapsed()), bytes)
}

fn pass(time: Duration) {
    block_on(async { tokio::time::sleep(time).await });
}

fn top(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-top"));
    command.env("CRAB_DATA_DIR", daemon.directory()).env("TERM", "xterm-256color").args(arguments);
    command
}

/// From a key to what it shows.
fn keys(view: &mut Terminal) {
    let mut times = Vec::new();
    for place in 0..report::size(100, 20) {
        // Between two looks, and not always at the same distance from them.
        pass(Duration::from_millis(20 + place % 7 * 9));
        view.is_quiet();
        let start = Instant::now();
        view.types(if place % 2 == 0 { "j" } else { "k" });
        view.until_anything();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let (p50, p99) = (report::median(&times), report::quantile(&times, 0.99));
    report::row("a key answered", &format!("p50 {p50:.2} ms"), &format!("p99 {p99:.2} ms"));
}

/// From the start of the program to the first rows.
fn paints(daemon: &Daemon) {
    for (what, arguments, shows) in [
        ("first paint of the full screen, with its rows", &["tui"][..], "scheduler-side"),
        ("first prompt", &[][..], "> "),
    ] {
        let mut times = Vec::new();
        for _ in 0..report::size(20, 5) {
            let start = Instant::now();
            let mut view = Terminal::start(&mut top(daemon, arguments));
            view.until(shows);
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let (p50, p99) = (report::median(&times), report::quantile(&times, 0.99));
        report::row(what, &format!("p50 {p50:.2} ms"), &format!("p99 {p99:.2} ms"));
    }
}

/// (d) with a view open, beside (d) without, in turns.
fn dispatch() {
    let count = report::size(100_000, 5_000);
    let (mut alone, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..report::size(3, 1) {
        for (looks, rates) in [(false, &mut alone), (true, &mut seen)] {
            rates.push(report::per_second(count, run(count, looks)));
        }
    }
    let (alone, seen) = (report::median(&alone), report::median(&seen));
    report::row("(d) separate tasks, nobody looking", &format!("{alone:.0}/s"), "");
    let ratio = format!("{:.1} %", 100.0 * seen / alone);
    report::row("(d) with the tree looked at each second", &format!("{seen:.0}/s"), &ratio);
}

fn run(count: usize, looks: bool) -> Duration {
    let submission = work::separate(&work::spec(Path::new("/bin/true")), count);
    instant::block_on(async move {
        let fleet = Fleet::start().await;
        let client = fleet.client.clone();
        let view = looks.then(|| tokio::spawn(look(client)));
        let start = Instant::now();
        let submitted = fleet.client.submit(submission).await.expect("admitted");
        fleet.client.wait(submitted.graph, None).await.expect("it ends");
        let took = start.elapsed();
        if let Some(view) = view {
            view.abort();
            let _ = view.await;
        }
        fleet.stop().await;
        took
    })
}

/// What a full screen asks.
async fn look(client: actors::client::Client) {
    let mut console = actors::console::Console::new(client);
    let tree = actors::console::syntax::parse("tree").expect("it makes sense").expect("there is a verb");
    loop {
        let _ = console.header().await;
        let _ = console.answer(&tree).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
