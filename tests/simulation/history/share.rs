//! What tenants get that all wait: by their weights, within a twentieth over two hundred starts. I8 (c).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use policy::event::{Event, GraphEvent, SchedulerEvent, TaskEvent};
use policy::id::{TaskId, Token};
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// Starts over which shares are measured.
const WINDOW: usize = 200;

/// How many of them a tenant may be away from its share: 5 percent.
const SLACK: u64 = 10;

/// By how much longer than the shortest an attempt may hold what it was granted: what messages of this world take at the
/// most. One that is on its way to a machine that hears nothing holds it too, and its tenant is due less meanwhile.
const LATE: Duration = Duration::from_secs(1);

/// Looked at are the tenants whose weights the operator has named, in a reign, while all of them wait. Their tasks are
/// alike, and while they last alike starts are what is shared out.
pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let weights: BTreeMap<Box<str>, u64> =
        history.limits.scheduling.weights.iter().map(|(name, one)| (name.clone(), u64::from(*one))).collect();
    if weights.len() < 2 {
        return;
    }
    let mut waiting: BTreeMap<&str, BTreeSet<TaskId>> =
        weights.keys().map(|name| (&**name, BTreeSet::new())).collect();
    let mut started: VecDeque<&str> = VecDeque::new();
    let tenant_of = |task: TaskId| {
        let tenant = index.item_of(task).map(|item| &item.spec.tenant)?;
        weights.get_key_value(&**tenant).map(|(name, _)| &**name)
    };
    let stuck = stuck(history, |task| tenant_of(task).is_some());
    for (_, record) in &history.records {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(_)) => {
                let items = index.graphs.get(graph).map_or(&[][..], |info| info.items.as_slice());
                for (item, range) in items.iter().filter(|(item, _)| item.dependencies.is_empty()) {
                    let of_tenant = waiting.get_mut(&*item.spec.tenant);
                    of_tenant.into_iter().for_each(|tasks| tasks.extend(range.iter()));
                }
            }
            Event::Task { task, event: TaskEvent::Granted { .. }, .. } => {
                let Some(tenant) = tenant_of(*task) else { continue };
                leave(&mut waiting, *task);
                let is_stuck = stuck.iter().any(|(from, to)| *from <= record.at && record.at <= *to);
                if is_stuck || waiting.values().any(BTreeSet::is_empty) {
                    started.clear();
                    continue;
                }
                started.push_back(tenant);
                if started.len() > WINDOW {
                    started.pop_front();
                    shares(&weights, &started, record.number, findings);
                }
            }
            Event::Task { task, .. } => leave(&mut waiting, *task),
            Event::Scheduler(SchedulerEvent::Started { .. }) => started.clear(),
            _ => {}
        }
    }
}

/// When what was granted was held for longer than it takes.
fn stuck(history: &History, is_shared: impl Fn(TaskId) -> bool) -> Vec<(Timestamp, Timestamp)> {
    let mut since: BTreeMap<Token, Timestamp> = BTreeMap::new();
    let mut held = Vec::new();
    for (_, record) in &history.records {
        match &record.event {
            Event::Task { task, event: TaskEvent::Granted { token, .. }, .. } if is_shared(*task) => {
                since.insert(*token, record.at);
            }
            Event::Task { event: TaskEvent::AttemptEnded { token, .. }, .. } => {
                held.extend(since.remove(token).map(|from| (from, record.at)));
            }
            _ => {}
        }
    }
    let shortest = held.iter().map(|(from, to)| to.since(*from)).min().unwrap_or_default();
    held.extend(since.into_values().map(|from| (from, history.until)));
    held.retain(|(from, to)| to.since(*from) > shortest + LATE);
    held
}

fn leave(waiting: &mut BTreeMap<&str, BTreeSet<TaskId>>, task: TaskId) {
    for tasks in waiting.values_mut() {
        tasks.remove(&task);
    }
}

fn shares(weights: &BTreeMap<Box<str>, u64>, started: &VecDeque<&str>, number: u64, findings: &mut Findings) {
    let all: u64 = weights.values().sum();
    for (tenant, weight) in weights {
        let count = started.iter().filter(|one| ***one == **tenant).count() as u64;
        let due = WINDOW as u64 * weight / all;
        findings.expect("I8", count.abs_diff(due) <= SLACK, || {
            format!("record {number}: {count} of {WINDOW} starts were of {tenant}, which is due {due}")
        });
    }
}
