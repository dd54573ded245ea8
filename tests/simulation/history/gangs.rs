//! Gangs: all of one or nothing of it (I20).
//!
//! A grant of a member names a node for each that has not succeeded, all of them different. Whoever holds a grant while another
//! one has none is told to stop, or has ended, or the other one has got it, soon. And nobody of a gang is granted anything after a
//! member has ended badly, before somebody asks for another try.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::event::{Event, Next, SchedulerEvent, TaskEvent};
use policy::id::{NodeId, TaskId, TaskRange};
use policy::task::TaskOutcome;
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// How long a part of a gang may hold grants and not be told to stop, as long as the scheduler side is there: some messages, and
/// a reminder where one was lost with an actor.
const SOON: Duration = Duration::from_secs(10);

/// How a member stands, as far as the records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stands {
    #[default]
    Apart,
    Granted,
    /// Granted, and told to stop.
    Stopping,
    Succeeded,
    Bad,
}

/// A gang, as far as the records go.
#[derive(Debug)]
struct Gang {
    tasks: TaskRange,
    members: Vec<Stands>,
    /// Since when some hold grants that nobody has told to stop, and others none.
    parted: Option<Timestamp>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut gangs: BTreeMap<TaskId, Gang> = BTreeMap::new();
    for (item, tasks) in index.graphs.values().flat_map(|graph| &graph.items) {
        if item.spec.gang.is_some() {
            let members = vec![Stands::default(); tasks.count as usize];
            gangs.insert(tasks.first, Gang { tasks: *tasks, members, parted: None });
        }
    }
    for (_, record) in &history.records {
        if matches!(record.event, Event::Scheduler(SchedulerEvent::Started { .. })) {
            // Who was to say it is gone; who comes after looks anew.
            gangs.values_mut().for_each(|gang| gang.parted = gang.parted.map(|_| record.at));
        }
        let Event::Task { task, event, .. } = &record.event else { continue };
        // Of all of them, as this one may be the one of whom there is no record any more.
        for gang in gangs.values() {
            let is_soon = gang.parted.is_none_or(|since| record.at.since(since) <= SOON);
            findings.expect("I20", is_soon, || format!("a part of a gang goes on: {gang:?}"));
        }
        let gang = gangs.range_mut(..=*task).next_back().map(|(_, gang)| gang);
        if let Some(gang) = gang.filter(|gang| gang.tasks.contains(*task)) {
            gang.hear((*task, event), record.at, findings);
        }
    }
}

impl Gang {
    fn hear(&mut self, (task, event): (TaskId, &TaskEvent), at: Timestamp, findings: &mut Findings) {
        let rank = usize::try_from(task.0 - self.tasks.first.0).expect("gangs are small");
        let is = match event {
            TaskEvent::Granted { node, gang, .. } => {
                self.granted((task, rank), (node, gang), findings);
                Some(Stands::Granted)
            }
            TaskEvent::EvictAsked { is_recall, .. } => {
                findings.expect("I20", *is_recall, || format!("{task} makes room, and is of a gang"));
                Some(Stands::Stopping)
            }
            TaskEvent::CancelAsked if self.members[rank] == Stands::Granted => Some(Stands::Stopping),
            TaskEvent::AttemptEnded { next: Next::RetryAfter(_), .. } | TaskEvent::RetryAsked => {
                Some(Stands::Apart)
            }
            TaskEvent::AttemptEnded { next: Next::Finish(outcome), .. } | TaskEvent::Finished(outcome) => {
                Some(if *outcome == TaskOutcome::Succeeded { Stands::Succeeded } else { Stands::Bad })
            }
            TaskEvent::CancelAsked
            | TaskEvent::Started { .. }
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => None,
        };
        if let Some(is) = is {
            self.members[rank] = is;
        }
        let left = || self.members.iter().filter(|one| **one != Stands::Succeeded);
        let is_parted = left().any(|one| *one == Stands::Granted)
            && left().any(|one| !matches!(one, Stands::Granted | Stands::Stopping));
        self.parted = is_parted.then(|| self.parted.unwrap_or(at));
    }

    fn granted(
        &mut self,
        (task, rank): (TaskId, usize),
        (node, nodes): (&NodeId, &[NodeId]),
        findings: &mut Findings,
    ) {
        let none = NodeId::from("");
        findings.expect("I20", nodes.len() == self.members.len() && nodes.get(rank) == Some(node), || {
            format!("{task} was granted on {node} as one of {nodes:?}")
        });
        let lacking = self.members.iter().zip(nodes);
        let lacking = lacking.filter(|(stands, node)| (**stands != Stands::Succeeded) && **node == none);
        findings.expect("I20", lacking.count() == 0, || {
            format!("{task} was granted without others: {nodes:?} of {:?}", self.members)
        });
        let mut named: Vec<_> = nodes.iter().filter(|node| **node != none).collect();
        named.sort_unstable();
        findings.expect("I20", named.windows(2).all(|two| two[0] != two[1]), || {
            format!("{task} shares a node with another of its gang: {nodes:?}")
        });
    }
}
