//! How soon a fleet is itself again: measured, not checked, with the leases that everybody has. By hand, on a quiet
//! machine: `cargo test --release --test main how_soon -- --ignored --nocapture`.

use std::time::Duration;

use actors::client::random_key;
use actors::clock::Clock;
use actors::wire::client::Target;
use policy::event::{Event, Item, TaskEvent};
use policy::id::{GraphId, NodeId, TaskId};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::TaskSpec;
use policy::time::Timestamp;

use super::land::Way;
use super::town::{HEAD, Machine, Town, WORKERS};
use crate::cluster::history::all_records;
use crate::support::waiting::until;

/// How often each is measured.
const TIMES: usize = 5;

/// For one of them.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "takes minutes, and tells figures"]
fn how_soon_a_fleet_is_itself_again() {
    // Machines that are lost again and again would not be trusted for a minute.
    let mut town = Town::start(1, "[breaker]\nfailures = 1000\n", None);
    let mut table = Vec::new();
    let mut measure = |what: &'static str, town: &mut Town, act: fn(&mut Town) -> Duration| {
        let mut all: Vec<_> = (0..TIMES).map(|_| act(town)).collect();
        all.sort_unstable();
        table.push((what, all[TIMES / 2], all[TIMES - 1]));
    };
    measure("a worker and its host die: its tasks run elsewhere", &mut town, machine_dies);
    if town.land.has_cables() {
        measure("a cable is cut: its tasks run elsewhere", &mut town, cable_is_cut);
    }
    measure("a worker dies and is started again: a task for it starts", &mut town, daemon_dies);
    measure("a worker's connection breaks: a task for it starts", &mut town, connection_breaks);
    measure("the scheduler dies and is started again: a new task starts", &mut town, scheduler_dies);
    for (what, median, worst) in table {
        println!("| {what} | {median:.2?} | {worst:.2?} |");
    }
    town.stop();
}

fn machine_dies(town: &mut Town) -> Duration {
    let (graph, machine, tasks) = occupy(town);
    let began = Clock::system().wall();
    town.kill_host(machine);
    town.kill(machine);
    let took = elsewhere(town, machine, &tasks).since(began);
    town.restart(machine);
    clear(town, graph);
    took
}

fn cable_is_cut(town: &mut Town) -> Duration {
    let (graph, machine, tasks) = occupy(town);
    let began = Clock::system().wall();
    town.land.cut(machine, Way::Both, true);
    let took = elsewhere(town, machine, &tasks).since(began);
    town.land.cut(machine, Way::Both, false);
    clear(town, graph);
    took
}

fn daemon_dies(town: &mut Town) -> Duration {
    let machine = HEAD + 1;
    let began = Clock::system().wall();
    town.kill(machine);
    town.restart(machine);
    started_on(town, Some(machine)).since(began)
}

fn connection_breaks(town: &mut Town) -> Duration {
    let began = Clock::system().wall();
    town.relay(HEAD + 1).change(|weather| weather.breaks += 1);
    started_on(town, Some(HEAD + 1)).since(began)
}

fn scheduler_dies(town: &mut Town) -> Duration {
    let began = Clock::system().wall();
    town.kill(HEAD);
    town.restart(HEAD);
    started_on(town, None).since(began)
}

fn name_of(machine: Machine) -> NodeId {
    format!("worker{machine}").as_str().into()
}

/// Submits a task, for a machine where one is named, and tells when it started.
fn started_on(town: &Town, machine: Option<Machine>) -> Timestamp {
    let mut spec = spec("0");
    let named = machine.map(|machine| format!("node=worker{machine}").parse().expect("a condition"));
    spec.constraints.require.extend(named);
    let task = submit(town, vec![Item::new(spec)]);
    let took = started(town, task, |_| true);
    clear(town, task);
    took
}

fn spec(seconds: &str) -> TaskSpec {
    let argv = vec!["sleep".into(), seconds.into()];
    TaskSpec {
        directory: Some("/".into()),
        resources: Resources::cpus(1000),
        ..TaskSpec::new("figure", argv)
    }
}

/// Tasks that run on, with room for those of one machine elsewhere; a machine, and which of them run there.
fn occupy(town: &Town) -> (TaskId, Machine, Vec<TaskId>) {
    town.head().wait_nodes(WORKERS);
    // One for each machine but one: two that were on a machine when it was lost would be kept apart.
    let count = WORKERS as u64 - 1;
    let resources = Resources::cpus(2000);
    let named = |place| {
        let resources = resources.clone();
        TaskSpec { name: format!("figure{place}").into(), resources, ..spec("600") }
    };
    let first = submit(town, (0..count).map(|place| Item::new(named(place))).collect());
    let tasks: Vec<_> = (0..count).map(|place| TaskId(first.0 + place)).collect();
    for task in &tasks {
        started(town, *task, |_| true);
    }
    let on = |machine: Machine| -> Vec<_> {
        let here = |task: &&TaskId| granted(town, **task) == Some(name_of(machine));
        tasks.iter().filter(here).copied().collect()
    };
    let machine = (HEAD + 1..=HEAD + WORKERS).find(|machine| !on(*machine).is_empty()).expect("they run");
    (first, machine, on(machine))
}

/// When the last of these tasks runs on another machine.
fn elsewhere(town: &Town, machine: Machine, tasks: &[TaskId]) -> Timestamp {
    let all = tasks.iter().map(|task| started(town, *task, |node| *node != name_of(machine)));
    all.max().expect("some")
}

fn submit(town: &Town, items: Vec<Item>) -> TaskId {
    let submission = Submission::new(random_key(), "figures", items);
    let again = || {
        let submission = submission.clone();
        match town.head().ask(|client| async move { client.submit(submission).await }) {
            Err(error) if !error.is_passing() => panic!("{error}"),
            answer => answer.ok(),
        }
    };
    until("it is submitted", DEADLINE, again).first
}

/// Cancels the graph that begins with this task, and waits for its end.
fn clear(town: &Town, first: TaskId) {
    let graph = GraphId(first.0);
    until("it is cancelled", DEADLINE, || {
        town.head().ask(|client| async move { client.cancel(Target::Graph(graph)).await }).ok()
    });
    until("it has ended", DEADLINE, || {
        let row = town.head().ask(|client| async move { client.graph(graph).await }).ok()?;
        row.ended
    });
}

/// When this task was first started on a machine that will do.
fn started(town: &Town, task: TaskId, will_do: impl Fn(&NodeId) -> bool) -> Timestamp {
    until("it is started", DEADLINE, || {
        let records = town.head().ask(all_records).ok()?;
        let mut node = None;
        records.iter().find_map(|record| match &record.event {
            Event::Task { task: of, event: TaskEvent::Granted { node: on, .. }, .. } if *of == task => {
                node = Some(on.clone());
                None
            }
            Event::Task { task: of, event: TaskEvent::Started { .. }, .. } if *of == task => {
                node.as_ref().is_some_and(&will_do).then_some(record.at)
            }
            _ => None,
        })
    })
}

/// Where this task was granted last.
fn granted(town: &Town, task: TaskId) -> Option<NodeId> {
    let records = town.head().ask(all_records).expect("the scheduler answers");
    records.iter().rev().find_map(|record| match &record.event {
        Event::Task { task: of, event: TaskEvent::Granted { node, .. }, .. } if *of == task => {
            Some(node.clone())
        }
        _ => None,
    })
}
