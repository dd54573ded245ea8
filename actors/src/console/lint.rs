//! What looks wrong, with the evidence and what helps. Each lint is a function of what was seen, so each is tested
//! without a daemon.

mod code;
mod fleet;
mod ghost;
mod inversion;
mod orphan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use policy::breaker::{Change as BreakerChange, Seen};
use policy::event::{Event, NodeEvent, Record, SchedulerEvent};
use policy::strain::Level;
use policy::time::Timestamp;

use crate::client::Client;
use crate::console::Console;
use crate::console::ask::actors::{STUCK_AFTER, name_of};
use crate::console::ask::gather::{Gathered, Where, gather_for};
use crate::console::ask::top::{Change, between};
use crate::console::fault::Fault;
use crate::console::reply::{Cell, Kind, Reply, Shape, short};
use crate::say;
use crate::wire::client::{
    EventFilter, GraphRow, NodeHealth, NodeRow, StateName, Status, TaskFilter, TaskRow,
};
use crate::wire::inspect::Look;
pub use code::Code;
use supervision::First;

/// Messages that must wait before a growing mailbox is worth a word.
const GROWN: u64 = 100;
/// Between the two looks at mailboxes.
const WINDOW: Duration = Duration::from_millis(300);
/// Restarts within [`STORM_PERIOD`] that are a storm.
const STORM: usize = 3;
/// Within which time.
const STORM_PERIOD: Duration = Duration::from_secs(60);
/// Events that are looked through for since when something is so.
const RECENT: u64 = 2000;
/// Tasks in one state that are looked at.
const TASKS: usize = 500;
/// How long the scheduler may take to tell how everything is.
const STATUS_DEADLINE: Duration = Duration::from_secs(1);

/// One thing that looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lint {
    /// What sort of thing.
    pub code: Code,
    /// About what: an actor, a node, a task.
    pub about: String,
    /// For how long already, as far as that is known.
    pub since: Option<Duration>,
    /// What was seen.
    pub evidence: String,
    /// What helps, as a line to be typed where there is one.
    pub fix: String,
}

/// Of machines.
#[must_use]
pub fn of_nodes(nodes: &[NodeRow], now: Timestamp) -> Vec<Lint> {
    let mut lints = Vec::new();
    for row in nodes {
        let silent = now.since(row.heard);
        let about = row.node.to_string();
        let health = match row.health {
            NodeHealth::Up => None,
            NodeHealth::Suspect => Some(Code::NodeSuspect),
            NodeHealth::Lost => Some(Code::NodeLost),
        };
        lints.extend(health.map(|code| Lint {
            code,
            about: about.clone(),
            since: Some(silent),
            evidence: format!("last heard of {} ago", say::length(silent)),
            fix: "look at crabd and the network there".to_owned(),
        }));
        lints.extend((row.strain.level > Level::Normal).then(|| Lint {
            code: Code::Strained,
            about: about.clone(),
            since: None,
            evidence: row.strain.to_string(),
            fix: format!("top node={about}; limits are in [strain] of its configuration"),
        }));
        for (kind, seen) in &row.breakers {
            let what = kind.as_ref().map(|kind| format!(" kind={kind}")).unwrap_or_default();
            lints.extend(matches!(seen, Seen::Open(_)).then(|| Lint {
                code: Code::BreakerOpen,
                about: format!("{about}{what}"),
                since: None,
                evidence: seen.to_string(),
                fix: format!("breaker reset {about}{what}"),
            }));
        }
    }
    lints
}

/// Of actors, from two looks at them.
#[must_use]
pub(crate) fn of_actors(changes: &[Change]) -> Vec<Lint> {
    changes.iter().flat_map(of_actor).collect()
}

fn of_actor(change: &Change) -> Vec<Lint> {
    let Change { row, machine, coming, going, growth } = change;
    let about = name_of(row, machine.as_ref());
    let lint = |code, since, evidence: String, fix: String| Lint {
        code,
        about: about.clone(),
        since,
        evidence,
        fix,
    };
    let mut lints = Vec::new();
    if *growth > 0 && row.mailbox >= GROWN && coming > going {
        let evidence = format!("{} wait; {coming} come and {going} go in a second", row.mailbox);
        lints.push(lint(Code::GrowingMailbox, None, evidence, format!("actor {about}")));
    }
    if let Some((kind, since)) = row.current.as_ref().filter(|(_, since)| *since > STUCK_AFTER) {
        let evidence = format!("{} in {kind}, {} waiting", short(*since), row.mailbox);
        lints.push(lint(Code::StuckHandler, Some(*since), evidence, format!("actor {about}")));
    }
    let recent: Vec<_> = row.restarted.iter().filter(|ago| **ago < STORM_PERIOD).collect();
    if recent.len() >= STORM {
        let since = recent.iter().copied().max().copied();
        let evidence = format!("{} restarts within {}", recent.len(), short(STORM_PERIOD));
        lints.push(lint(Code::RestartStorm, since, evidence, "read the daemon's log".to_owned()));
    }
    if !row.answered {
        let evidence = "it did not answer when asked for its children".to_owned();
        lints.push(lint(Code::SilentSupervisor, None, evidence, format!("actor {about}")));
    }
    lints
}

/// Of sides that were not seen.
#[must_use]
pub(crate) fn of_sides(sides: &[Gathered]) -> Vec<Lint> {
    let unseen = sides.iter().filter_map(|side| {
        let why = side.rows.as_ref().err()?;
        let about = side.machine.as_ref().map_or_else(|| "scheduler side".to_owned(), ToString::to_string);
        let fix = "see whether it is connected: nodes".to_owned();
        Some(Lint { code: Code::UnseenMachine, about, since: None, evidence: why.clone(), fix })
    });
    unseen.collect()
}

/// Of what the scheduler says.
#[must_use]
pub fn of_status(status: &Status) -> Vec<Lint> {
    let mut lints: Vec<_> = status
        .warnings
        .iter()
        .map(|warning| {
            let (code, fix) = if warning.starts_with("the log") {
                (Code::LogStalled, "make room on the disk")
            } else {
                (Code::Unschedulable, "join a machine that can, or cancel them: tasks ready")
            };
            let (evidence, fix) = (warning.to_string(), fix.to_owned());
            Lint { code, about: "scheduler".to_owned(), since: None, evidence, fix }
        })
        .collect();
    let other = status.nodes.iter().filter(|row| row.version != status.server.version);
    lints.extend(other.map(|row| Lint {
        code: Code::VersionSkew,
        about: row.node.to_string(),
        since: None,
        evidence: format!("{} there, {} here", row.version, status.server.version),
        fix: "install the same version on both".to_owned(),
    }));
    lints
}

/// Of graphs.
#[must_use]
pub fn of_graphs(graphs: &[GraphRow]) -> Vec<Lint> {
    let paused = graphs.iter().filter(|row| row.ended.is_none()).filter_map(|row| {
        let reached = row.budget.as_ref()?.reached?;
        Some(Lint {
            code: Code::GraphPaused,
            about: format!("{} {}", row.graph, row.name),
            since: None,
            evidence: reached.to_string(),
            fix: format!("resume {} attempts=N", row.graph),
        })
    });
    paused.collect()
}

/// Of what happened lately to what still waits.
#[must_use]
pub fn of_events(records: &[Record], ready: &[TaskRow], now: Timestamp) -> Vec<Lint> {
    let late = records.iter().rev().filter_map(|record| match &record.event {
        Event::Scheduler(SchedulerEvent::AgedBoost { task, waited, is_late: true, .. }) => {
            let row = ready.iter().find(|row| row.task == *task)?;
            Some((row, *waited + now.since(record.at)))
        }
        _ => None,
    });
    let mut lints: Vec<Lint> = Vec::new();
    for (row, waited) in late {
        let about = format!("{} {}", row.task, row.name);
        if lints.iter().all(|lint| lint.about != about) {
            let (evidence, fix) =
                (format!("it has waited {}", say::length(waited)), format!("why {}", row.task));
            lints.push(Lint { code: Code::Starvation, about, since: Some(waited), evidence, fix });
        }
    }
    lints
}

/// Since when breakers are open, where that stands among the last events.
fn date(lints: &mut [Lint], records: &[Record], now: Timestamp) {
    for lint in lints.iter_mut().filter(|lint| lint.code == Code::BreakerOpen) {
        let opened = records.iter().rev().find_map(|record| match &record.event {
            Event::Node(node, NodeEvent::Breaker { change: BreakerChange::Opened { .. }, .. }) => {
                lint.about.split(' ').next().is_some_and(|about| *about == *node.0).then_some(record.at)
            }
            _ => None,
        });
        lint.since = opened.map(|at| now.since(at));
    }
}

/// All of them.
pub(super) async fn ask(console: &Console) -> Result<Reply, Fault> {
    let client = console.live("what looks wrong")?;
    let mut lints = of_fleet(console, client).await?;
    lints.sort_by_key(|lint| (lint.code.severity(), lint.about.clone()));
    Ok(reply(&lints))
}

async fn of_fleet(console: &Console, client: &Client) -> Result<Vec<Lint>, Fault> {
    let now = console.now();
    let (mut lints, mut nodes) = (Vec::new(), Vec::new());
    let place = match tokio::time::timeout(STATUS_DEADLINE, client.status()).await {
        Ok(status) => {
            let status = status?;
            lints.extend(of_status(&status));
            lints.extend(of_nodes(&status.nodes, now));
            nodes = status.nodes;
            Where::Everywhere
        }
        Err(_) => {
            lints.push(silent_scheduler());
            Where::Scheduler
        }
    };
    let look = Look::Actors { only: None, first: First::Deepest, limit: 64 };
    let before = gather_for(console, client, (&place, &look)).await?;
    tokio::time::sleep(WINDOW).await;
    let after = gather_for(console, client, (&place, &look)).await?;
    lints.extend(of_sides(&after));
    lints.extend(orphan::leases(client, (&before, &after)).await?);
    lints.extend(orphan::attempts(&before, &after));
    lints.extend(of_actors(&between(&before, after, WINDOW)));
    if place == Where::Everywhere {
        add_told(client, (&nodes, now), &mut lints).await?;
        lints.extend(inversion::of_waiting(client).await?);
        lints.extend(ghost::of_sessions(client, &nodes).await?);
    }
    Ok(lints)
}

fn silent_scheduler() -> Lint {
    Lint {
        code: Code::SilentScheduler,
        about: "scheduler".to_owned(),
        since: None,
        evidence: format!("no answer within {}", short(STATUS_DEADLINE)),
        fix: "actor scheduler@scheduler".to_owned(),
    }
}

/// What the scheduler side tells of itself, where it answers.
async fn add_told(
    client: &Client,
    (nodes, now): (&[NodeRow], Timestamp),
    lints: &mut Vec<Lint>,
) -> Result<(), Fault> {
    lints.extend(of_graphs(&client.graphs(200).await?));
    let records = lately(client).await?;
    let ready = tasks_in(client, StateName::Ready).await?;
    lints.extend(of_events(&records, &ready, now));
    lints.extend(fleet::of_inversions(&records, &ready, now));
    lints.extend(fleet::of_claims(&client.claims().await?));
    lints.extend(fleet::of_use(nodes, &tasks_in(client, StateName::Running).await?));
    lints.extend(fleet::of_sample(&client.metrics().await?, now));
    date(lints, &records, now);
    Ok(())
}

/// The last events.
async fn lately(client: &Client) -> Result<Vec<Record>, Fault> {
    let after = client.hello().await?.durable.saturating_sub(RECENT);
    let mut watch = client.events(after, EventFilter::All);
    let mut records = Vec::new();
    while let Some(seen) = watch.next_past().await? {
        if let crate::client::Seen::Record(record) = seen {
            records.push(record);
        }
        if records.len() as u64 > 2 * RECENT {
            break;
        }
    }
    Ok(records)
}

/// Tasks in a state, as many as are looked at.
async fn tasks_in(client: &Client, state: StateName) -> Result<Vec<TaskRow>, Fault> {
    let filter = TaskFilter { graph: None, states: vec![state] };
    Ok(client.tasks(&filter, TASKS).await?)
}

/// Of the rows of `lint`.
pub(super) const LINT: &[(&str, Kind, u8)] = &[
    ("lint", Kind::Id, 0),
    ("severity", Kind::State, 1),
    ("about", Kind::Id, 0),
    ("since", Kind::Length, 2),
    ("evidence", Kind::Text, 0),
    ("fix", Kind::Text, 1),
    ("why", Kind::Text, 3),
];

fn reply(lints: &[Lint]) -> Reply {
    let mut reply = Reply::new("lint", LINT);
    for lint in lints {
        let code: &'static str = lint.code.into();
        reply.rows.push(vec![
            Cell::text(code),
            Cell::text(lint.code.severity()),
            Cell::text(&lint.about),
            lint.since.map_or(Cell::Nothing, Cell::length),
            Cell::text(&lint.evidence),
            Cell::text(&lint.fix),
            Cell::text(lint.code.why()),
        ]);
    }
    // A few, each with words to be read.
    reply.shape = Shape::Card;
    reply.alarm = !lints.is_empty();
    reply
}
