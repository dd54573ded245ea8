//! Peers that stand still while the fleet works: what they cost the scheduler is bounded.

use std::time::{Duration, Instant};

use actors::client::random_key;
use nix::sys::signal::Signal;
use policy::event::Item;
use policy::submission::Submission;
use policy::task::TaskSpec;

use super::fleet::Fleet;
use crate::support::program::Running;
use crate::support::waiting::{SOON, until, until_true};

/// How long they stand still; `CRAB_STALL_SECONDS` says otherwise.
const LENGTH: u64 = 15;

/// What the scheduler may grow by, besides what each task costs: some buffers of each peer, the log's and the
/// allocator's own.
const GROWTH: u64 = 64 << 20;

/// What a task costs that has ended and is remembered, at the most.
const PER_TASK: u64 = 1_536;

/// Tasks of one submission.
const GRAPH: u64 = 100;

/// Tasks that are submitted and have not ended, at the most.
const UNDER_WAY: u64 = 500;

#[test]
fn peers_that_stand_still_cost_the_scheduler_little() {
    let seconds = std::env::var("CRAB_STALL_SECONDS").ok().and_then(|value| value.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(LENGTH));
    let mut fleet = Fleet::start(2);
    let (address, member) = (fleet.address.clone(), &fleet.workers[0]);
    let loud = fleet.scheduler.submit(&[
        "--name",
        "loud",
        "--",
        "sh",
        "-c",
        "yes 'a line of output' | head -c 200000000",
    ]);
    fleet.scheduler.wait_state(&loud, "running");
    let follow = |args: &[&str]| Running::start(&mut member.crab(&[&["--address", &address], args].concat()));
    let followers = [follow(&["events", "--follow", "--json"]), follow(&["logs", "--follow", "loud"])];
    for follower in &followers {
        until_true("it follows", SOON, || !follower.out().is_empty());
        follower.signal(Signal::SIGSTOP);
    }
    fleet.worker(1).signal(Signal::SIGSTOP);
    let before = resident(&fleet);
    let (tasks, peak) = load(&fleet, length);
    let bound = GROWTH + tasks * PER_TASK;
    println!(
        "{tasks} tasks while three peers stood still: {before} bytes before, {peak} at most, {bound} more allowed"
    );
    assert!(peak.saturating_sub(before) <= bound, "{peak} bytes, {before} before");
    fleet.worker(1).signal(Signal::SIGCONT);
    fleet.scheduler.wait_nodes(2);
    until_true("all tasks end", SOON * 4, || {
        let status = fleet.scheduler.ask(|client| async move { client.status().await });
        status.is_ok_and(|status| status.tasks.ended() == status.tasks.total())
    });
    drop(followers);
    fleet.stop();
}

/// Work for so long: how many tasks, and the most memory that the scheduler had.
fn load(fleet: &Fleet, length: Duration) -> (u64, u64) {
    let (started, mut tasks, mut peak) = (Instant::now(), 0, 0);
    while started.elapsed() < length {
        let items = (0..GRAPH).map(|place| Item::new(nothing(tasks + place))).collect();
        let submission = Submission::new(random_key(), format!("g{tasks}"), items);
        fleet.scheduler.ask(|client| async move { client.submit(submission).await }).expect("it is taken");
        tasks += GRAPH;
        until("there is room for more", SOON, || {
            peak = peak.max(resident(fleet));
            let status = fleet.scheduler.ask(|client| async move { client.status().await }).ok()?;
            (tasks < status.tasks.ended() + UNDER_WAY).then_some(())
        });
    }
    (tasks, peak)
}

fn nothing(number: u64) -> TaskSpec {
    let argv = vec!["/bin/true".into()];
    TaskSpec { directory: Some("/".into()), ..TaskSpec::new(format!("n{number}"), argv) }
}

/// Bytes of memory that the scheduler has.
fn resident(fleet: &Fleet) -> u64 {
    let pid = fleet.scheduler_pid().to_string();
    let out =
        std::process::Command::new("ps").args(["-o", "rss=", "-p", &pid]).output().expect("there is ps");
    String::from_utf8_lossy(&out.stdout).trim().parse::<u64>().expect("a number of kilobytes") * 1024
}
