//! A fleet under fire: real programs on machines of their own as far as this one can have such, two agents at work,
//! and everything that can go wrong, chosen by a seed. What the history then says is held against what the tasks
//! themselves have written down, by the very checks of the simulation.
//!
//! ```text
//! cargo test --test main chaos                                                   90 s, in CI
//! CRAB_CHAOS_SECONDS=1200 CRAB_SEED=7 cargo test --test main chaos -- --nocapture
//! ```

mod agents;
mod clock;
mod figures;
mod land;
mod nemesis;
mod probe;
mod relay;
mod town;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use actors::client::Client;
use actors::clock::Clock;
use actors::log::disk::system::SystemDisk;
use actors::log::{Log, LogLimits};
use policy::event::{Event, GraphEvent, LogPosition, NodeEvent, Record, SubmissionKey, TaskEvent};
use policy::id::NodeId;
use policy::resources::Resources;
use policy::time::Timestamp;

use super::fleet::LEASES;
use super::history::all_records;
use crate::promises::{Asked, History, Operation};
use crate::support::place::Place;
use crate::support::waiting::until;
use agents::{Agent, SUBMITTER};
use nemesis::Nemesis;
use town::{HEAD, Town, WORKERS};

/// In CI; `CRAB_CHAOS_SECONDS` says otherwise.
const LENGTH: u64 = 90;
/// The same faults in each run, unless `CRAB_SEED` says otherwise.
const SEED: u64 = 20_261_129;
/// How long something lasts at the most: more than twice a lease of this fleet.
const LONGEST: Duration = Duration::from_secs(12);
/// Of a longer run nobody could tell when a record was written by a clock that was an hour off.
const CLOCKS_TOLD_APART: Duration = Duration::from_secs(50 * 60);
/// Until all has ended once the faults are over, on a busy machine.
const REST: Duration = Duration::from_secs(120);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn a_fleet_under_fire_keeps_its_promises() {
    let (seed, length) =
        (number("CRAB_SEED", SEED), Duration::from_secs(number("CRAB_CHAOS_SECONDS", LENGTH)));
    let library = clock::library().filter(|_| length < CLOCKS_TOLD_APART);
    let mut town = Town::start(seed, LEASES, library);
    let probes = Place::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let (last, tells_last) = tokio::sync::watch::channel(None);
    let agent = |machine: usize, name: &str, role: &str| {
        let data = probes.root().join(name);
        let line = town.invite(machine, name, role);
        (
            machine,
            line,
            Agent { address: town.relay(machine).address.to_string(), data, probes: probes.root().join("p") },
        )
    };
    std::fs::create_dir(probes.root().join("p")).expect("room");
    let (first, second) = (HEAD + WORKERS + 1, HEAD + WORKERS + 2);
    let over = Arc::clone(&is_over);
    let working =
        on(
            &town,
            agent(first, SUBMITTER, "agent"),
            move |agent| async move { agent.work(seed, &over).await },
        );
    let watching =
        on(
            &town,
            agent(second, "watcher", "viewer"),
            move |agent| async move { agent.watch(tells_last).await },
        );
    let mut nemesis = Nemesis::new(seed, LONGEST);
    let goes_on = || !working.is_finished() && !watching.is_finished();
    let raged = catch_unwind(AssertUnwindSafe(|| nemesis.rage(&mut town, length, goes_on)));
    is_over.store(true, Ordering::Relaxed);
    raged.unwrap_or_else(|_| panic!("the faults happened: {}", town.logs(40)));
    let operations = working.join().expect("the agent submits");
    let records = come_to_rest(&town);
    last.send_replace(Some(records.len() as u64));
    let watched = watching.join().expect("the agent watches");
    assert!(
        watched == records,
        "who has watched all the time has seen what is on record, each once and in order"
    );
    town.stop();
    let history = conclude(&town, &records, operations, (&probes, length));
    report(seed, length, &town, &nemesis, &history);
    let violations = history.violations();
    let told: Vec<_> = violations.iter().take(10).map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}\n{}",
        violations.len(),
        told.join("\n"),
        town.logs(40)
    );
}

/// Has an agent on its machine join and do this.
fn on<T: Send + 'static, F: Future<Output = T>>(
    town: &Town,
    (machine, line, agent): (usize, String, Agent),
    act: impl FnOnce(Agent) -> F + Send + 'static,
) -> JoinHandle<T> {
    let land = Arc::clone(&town.land);
    std::thread::spawn(move || {
        land.enter(machine);
        drop(land);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let invitation = line.parse().expect("an invitation");
            let joined = Client::join(&invitation, agent.data.clone()).await;
            joined.expect("the agent is let in");
            act(agent).await
        })
    })
}

/// Waits until every task has ended and every process is gone, and tells the whole history.
fn come_to_rest(town: &Town) -> Vec<Record> {
    let rest = || {
        until("every task has ended", REST, || {
            let status = town.head().ask(|client| async move { client.status().await }).ok()?;
            (status.tasks.ended() == status.tasks.total()).then_some(())
        });
        town.head().wait_nodes(WORKERS);
        for machine in HEAD + 1..=HEAD + WORKERS {
            until("nothing runs", REST, || town.place(machine).attempts().is_empty().then_some(()));
        }
        town.head().ask(all_records).expect("the history can be read")
    };
    catch_unwind(AssertUnwindSafe(rest)).unwrap_or_else(|_| panic!("it comes to rest: {}", town.logs(40)))
}

/// The log as it lies on the disk of a scheduler that has stopped, with the places of the records.
fn on_disk(directory: &Path) -> Vec<(LogPosition, Record)> {
    let disk = SystemDisk::hold(directory.join("scheduler").join("log")).expect("nobody else has it");
    let log = Log::open_driven(Arc::new(disk), LogLimits::default(), Clock::system()).expect("it is whole");
    let mut records = Vec::new();
    log.replay(0, |position, record| records.push((position, record))).expect("it can be read");
    records
}

/// All that is known, for the checks.
fn conclude(
    town: &Town,
    told: &[Record],
    mut operations: Vec<Operation>,
    (probes, length): (&Place, Duration),
) -> History {
    let mut records = on_disk(&town.head().data());
    assert!(
        told.iter().eq(records.iter().take(told.len()).map(|(_, record)| record)),
        "what was told is on disk"
    );
    let until = Clock::system().wall();
    if town.has_clocks() {
        let middle =
            Timestamp(until.0.saturating_sub(u64::try_from(length.as_micros() / 2).expect("it is short")));
        // What the scheduler's clock said while it was an hour off was never true.
        records.iter_mut().for_each(|(_, record)| record.at = clock::truth(record.at, middle));
    }
    let digests = digests(told);
    for operation in &mut operations {
        // The digest is the gateway's own matter: what counts is that one key has one.
        if let Asked::Submit { key, digest } = &mut operation.asked
            && let Some(recorded) = digests.get(key)
        {
            *digest = *recorded;
        }
    }
    History {
        processes: probe::processes(&probes.root().join("p"), told),
        nodes: capacities(told),
        operations,
        has_ended: true,
        bound: u64::MAX,
        until,
        records,
        ..History::default()
    }
}

fn digests(records: &[Record]) -> BTreeMap<SubmissionKey, [u8; 16]> {
    let of = |record: &Record| match &record.event {
        Event::Graph(_, GraphEvent::Admitted(head)) => Some((head.key, head.digest)),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

fn capacities(records: &[Record]) -> BTreeMap<NodeId, Resources> {
    let of = |record: &Record| match &record.event {
        Event::Node(node, NodeEvent::Joined { capacity, .. }) => Some((node.clone(), capacity.clone())),
        _ => None,
    };
    records.iter().filter_map(of).collect()
}

fn report(seed: u64, length: Duration, town: &Town, nemesis: &Nemesis, history: &History) {
    let count = |wanted: fn(&TaskEvent) -> bool| {
        let is = |event: &Event| matches!(event, Event::Task { event, .. } if wanted(event));
        history.records.iter().filter(|(_, record)| is(&record.event)).count()
    };
    let attempts = count(|event| matches!(event, TaskEvent::Granted { .. }));
    let tasks = history.records.iter().filter_map(|(_, record)| match &record.event {
        Event::Graph(_, GraphEvent::Admitted(head)) => Some(head.tasks),
        _ => None,
    });
    let late = count(|event| matches!(event, TaskEvent::ReportIgnored { .. }));
    let lost = count(|event| matches!(event, TaskEvent::AttemptEnded { outcome, .. } if outcome.is_loss()));
    let land =
        if town.land.has_cables() { "in network namespaces" } else { "on loopback, without cuts of cables" };
    let clocks = if town.has_clocks() { "" } else { ", without clocks that are set (no libfaketime)" };
    let disks = if town.has_disks() { "" } else { ", without full disks" };
    println!(
        "seed {seed}, {length:?} {land}{disks}{clocks}: {} tasks, {attempts} attempts, {} processes, {lost} \
         lost, {late} reports ignored; {:?}",
        tasks.sum::<u64>(),
        history.processes.len(),
        nemesis.done,
    );
}
