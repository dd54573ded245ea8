//! What truly ran against what the records allow: I3, I5, I6, I9.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::event::{Event, TaskEvent};
use policy::id::{NodeId, TaskId, Token};
use policy::resources::Resources;
use policy::task::RequestNumber;
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History, Process};

/// How long two processes of one task may overlap: noticing and killing.
const OVERLAP: Duration = Duration::from_millis(250);

/// How long it may take until a machine that wakes has noticed that its lease is over; killing comes on top.
const NOTICING: Duration = Duration::from_millis(150);

/// How long a process may live that was being spawned when its machine fell asleep: until the host looks.
const AWAKENING: Duration = Duration::from_millis(20);

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    grants(history, index, findings);
    exclusion(history, findings);
    zombies(history, findings);
    for (node, capacity) in &history.nodes {
        let there: Vec<_> = history.processes.iter().filter(|process| process.node == *node).collect();
        capacities(node, capacity, &there, findings);
    }
    parallel_limits(history, index, findings);
}

/// No process without a grant that was on record before, to its node.
fn grants(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut granted: BTreeMap<Token, (TaskId, &NodeId, Timestamp, RequestNumber)> = BTreeMap::new();
    for (_, record) in &history.records {
        if let Event::Task { task, event: TaskEvent::Granted { token, node, request, .. }, .. } =
            &record.event
        {
            granted.insert(*token, (*task, node, record.at, *request));
        }
    }
    for process in &history.processes {
        let right = granted.get(&process.token).is_some_and(|(task, node, at, _)| {
            *task == process.task && **node == process.node && *at <= process.started
        });
        findings.expect("I3", right, || format!("a process without a grant: {process:?}"));
        let need = granted.get(&process.token).zip(index.item_of(process.task));
        let need = need.map(|((.., request), item)| item.spec.request(*request));
        findings.expect("I6", need.is_none_or(|need| *need == process.need), || {
            format!("{need:?} was granted, and taken: {process:?}")
        });
    }
}

/// Two attempts of one task never run at once, but for moments; standing still with a machine that sleeps
/// is not running.
fn exclusion(history: &History, findings: &mut Findings) {
    let mut of_task: BTreeMap<TaskId, Vec<&Process>> = BTreeMap::new();
    for process in &history.processes {
        of_task.entry(process.task).or_default().push(process);
    }
    for (task, mut processes) in of_task {
        processes.sort_by_key(|process| process.started);
        for (place, one) in processes.iter().enumerate() {
            let later = processes[place + 1..].iter();
            for other in later.take_while(|other| one.ended.is_none_or(|ended| other.started < ended)) {
                findings.expect(
                    "I5",
                    together(one, other, history.until) <= overlap(history, [one, other]),
                    || format!("{task} ran twice at once: {one:?} and {other:?}"),
                );
            }
        }
    }
}

/// How long may pass until they are gone: nothing but a sleeping machine keeps its host from killing in time.
pub(super) fn overlap<const N: usize>(history: &History, processes: [&Process; N]) -> Duration {
    let has_slept = processes.iter().any(|process| !process.frozen.is_empty());
    if has_slept { OVERLAP.max(NOTICING + history.kill_takes) } else { OVERLAP }
}

/// How long both ran; what runs at the end of the history is not looked at beyond it.
pub(super) fn together(one: &Process, other: &Process, end: Timestamp) -> Duration {
    let from = one.started.max(other.started);
    let to = one.ended.unwrap_or(end).min(other.ended.unwrap_or(end));
    let stood = one
        .frozen
        .iter()
        .chain(&other.frozen)
        .map(|(since, until)| (*until).min(to).since((*since).max(from)));
    to.since(from).saturating_sub(stood.sum())
}

/// What has ended on record has truly ended, and nothing is left in the end.
fn zombies(history: &History, findings: &mut Findings) {
    let running: BTreeMap<Token, &Process> =
        history.processes.iter().map(|process| (process.token, process)).collect();
    findings.expect("I3", running.len() == history.processes.len(), || "a token ran twice".to_owned());
    for (_, record) in &history.records {
        let Event::Task { event: TaskEvent::AttemptEnded { token, .. }, .. } = &record.event else {
            continue;
        };
        let Some(process) = running.get(token) else { continue };
        let asleep = process.frozen.iter().find(|(since, until)| *since <= record.at && record.at < *until);
        let until = asleep.map_or(record.at, |(_, wakes)| *wakes) + overlap(history, [process]);
        // Begun when its machine fell asleep, there when it woke, and killed at once.
        let brief = process.ended.is_some_and(|ended| ended.since(process.started) <= AWAKENING);
        // A history that is cut short says nothing of what comes after it.
        let is_open = !history.has_ended && until >= history.until;
        let gone = brief || is_open || process.ended.is_some_and(|ended| ended <= until);
        findings.expect("I9", gone, || format!("record {}: the process lives: {process:?}", record.number));
    }
    let left = history.processes.iter().filter(|process| history.has_ended && process.ended.is_none());
    for process in left {
        findings.expect("I9", false, || format!("left behind: {process:?}"));
    }
}

/// The moments at which something starts (`true`) or ends, in order; at one moment ends come first.
fn moments<'a>(processes: &[&'a Process]) -> Vec<(Timestamp, bool, &'a Process)> {
    let mut moments = Vec::new();
    for process in processes {
        moments.push((process.started, true, *process));
        moments.extend(process.ended.map(|ended| (ended, false, *process)));
    }
    moments.sort_by_key(|(at, starts, process)| (*at, *starts, process.token));
    moments
}

fn capacities(node: &NodeId, capacity: &Resources, processes: &[&Process], findings: &mut Findings) {
    let mut held = Resources::default();
    for (at, starts, process) in moments(processes) {
        // One that ended in the moment of its start is given back before it was taken.
        if process.ended == Some(process.started) {
            continue;
        }
        let change = if starts { held.checked_add(&process.need) } else { held.checked_sub(&process.need) };
        held = change.expect("sums of what tests need are small");
        findings.expect("I6", capacity.covers(&held), || {
            format!("{node} at {at:?} holds {held:?} of {capacity:?}, the last is {}", process.token)
        });
    }
}

/// No more members of an array run at once than it allows. What stood still for a while is given up
/// meanwhile, and killed when it wakes: that is for other checks.
fn parallel_limits(history: &History, index: &Index<'_>, findings: &mut Findings) {
    for (graph, info) in &index.graphs {
        for (item, range) in &info.items {
            let Some(limit) = item.array.and_then(|array| array.parallel_limit) else { continue };
            let moved = history.processes.iter().filter(|process| process.frozen.is_empty());
            let members: Vec<_> = moved.filter(|process| range.contains(process.task)).collect();
            let mut running = 0_i64;
            for (at, starts, process) in moments(&members) {
                if process.ended == Some(process.started) {
                    continue;
                }
                running += if starts { 1 } else { -1 };
                findings.expect("I6", running <= i64::from(limit), || {
                    format!("{running} of {} in {graph} run at {at:?}, {limit} may", item.spec.name)
                });
            }
        }
    }
}
