//! Who made room, and for whom: I19. An attempt makes room only where its task lets others, for a Critical task, no more
//! often than thrice, and the one for whom it was starts soon where nothing else goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::event::{Event, GraphEvent, Next, TaskEvent};
use policy::id::{NodeId, TaskId, TaskRange, Token};
use policy::preempt::EVICTIONS_LIMIT;
use policy::task::{Priority, TaskSpec};
use policy::time::Timestamp;

use super::index::Index;
use super::lending::{Own, Served};
use super::{Findings, History};

/// From asking the first victim to the start of the one who wants its room, in a world where nothing fails meanwhile:
/// the longest grace, a slow kill, reports that were lost and come again with a heartbeat or two.
const SOON: Duration = Duration::from_secs(30);

/// From choosing who makes room to the record of that: what the scheduler and the task's actor say to each other takes at the most.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Pass {
    /// Whose attempts are to make room: under which token.
    asked: BTreeMap<TaskId, Token>,
    /// How often each was evicted since it was last over.
    times: BTreeMap<TaskId, u32>,
    /// For whom others go: since when, and where.
    wanted: BTreeMap<TaskId, (Timestamp, NodeId)>,
    /// Who is served as something else since: whoever was chosen before may be asked after it.
    changed: Vec<(TaskRange, Timestamp)>,
    /// Where attempts were granted.
    on: BTreeMap<TaskId, NodeId>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let (mut pass, mut served) = (Pass::default(), Served::new(history, index));
    let mut own = Own::new(index);
    for (_, record) in &history.records {
        let changed = served.hear(&record.event).into_iter().map(|change| (change.tasks, record.at));
        pass.changed.extend(changed);
        pass.changed.retain(|(_, since)| record.at.since(*since) <= ON_ITS_WAY);
        own.hear(&record.event);
        pass.late(record.at, index, findings);
        match &record.event {
            Event::Task { task, event: TaskEvent::EvictAsked { token, by, is_recall: false }, .. } => {
                findings.expect("I19", history.preempts, || format!("{task} was evicted, and nobody is"));
                let is_lent = served.of(*by) > own.of(*by);
                let victim = (*task, own.of(*task), *token);
                pass.asked(victim, (*by, served.of(*by)), index, findings);
                // Who is served as somebody else may soon not be any more.
                if is_lent {
                    continue;
                }
                let Some(node) = pass.on.get(task).cloned() else { continue };
                pass.wanted.entry(*by).or_insert((record.at, node));
            }
            Event::Task { task, event, .. } => pass.task(*task, event, index, findings),
            // Something else goes wrong, or is wanted otherwise by now.
            Event::Graph(
                _,
                GraphEvent::ItemAdmitted(_) | GraphEvent::Admitted(_) | GraphEvent::Extended(_),
            ) => {}
            Event::Graph(..) | Event::Node(..) | Event::Scheduler(_) => pass.wanted.clear(),
        }
    }
}

impl Pass {
    fn asked(
        &mut self,
        (task, own, token): (TaskId, Priority, Token),
        (by, priority): (TaskId, Priority),
        index: &Index<'_>,
        findings: &mut Findings,
    ) {
        let Some(victim) = spec(task, index) else {
            return findings.expect("I19", false, || format!("{task} is not known"));
        };
        findings
            .expect("I19", victim.is_preemptible, || format!("{task} was evicted and does not let others"));
        let was_another = self.changed.iter().any(|(tasks, _)| tasks.contains(by));
        findings.expect("I19", priority == Priority::Critical || was_another, || {
            format!("{task} was evicted for {by} of {priority} priority")
        });
        findings.expect("I19", own <= Priority::Normal, || format!("{task} was evicted, of {own} priority"));
        let times = self.times.get(&task).copied().unwrap_or(0);
        findings
            .expect("I19", times < EVICTIONS_LIMIT, || format!("{task} was evicted {times} times before"));
        self.asked.insert(task, token);
    }

    fn task(&mut self, task: TaskId, event: &TaskEvent, index: &Index<'_>, findings: &mut Findings) {
        match event {
            TaskEvent::Granted { node, .. } => {
                self.on.insert(task, node.clone());
                // Its line has what it wanted, be it one that came back before it.
                self.wanted.retain(|by, (_, held)| {
                    let is_its = *by == task || (held == node && is_alike(*by, task, index));
                    !is_its
                });
            }
            TaskEvent::AttemptEnded { token, outcome, next, .. } => {
                let asked = self.asked.remove(&task);
                if outcome.is_preempted() {
                    findings.expect("I19", asked == Some(*token), || {
                        format!("{task} made room under {token}, asked was {asked:?}")
                    });
                    *self.times.entry(task).or_default() += 1;
                }
                if matches!(next, Next::Finish(_)) {
                    self.times.remove(&task);
                }
            }
            TaskEvent::Finished(_) => drop(self.times.remove(&task)),
            // What was wanted may wait for something else now.
            TaskEvent::CancelAsked | TaskEvent::RetryAsked => self.wanted.clear(),
            TaskEvent::Started { .. }
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => {}
        }
    }

    /// Nobody has waited too long for room that is made.
    fn late(&mut self, now: Timestamp, index: &Index<'_>, findings: &mut Findings) {
        let late = |(since, _): &(Timestamp, NodeId)| now.since(*since) > SOON;
        let overdue: Vec<_> =
            self.wanted.iter().filter(|(_, since)| late(since)).map(|(by, _)| *by).collect();
        for by in overdue {
            let wanted = self.wanted.remove(&by);
            // What it claims may have been taken meanwhile.
            let claims = spec(by, index).is_some_and(|spec| spec.claims.is_some());
            findings.expect("I19", claims, || format!("{by} has not started long after {wanted:?}"));
        }
    }
}

fn spec<'a>(task: TaskId, index: &Index<'a>) -> Option<&'a TaskSpec> {
    index.item_of(task).map(|item| &*item.spec)
}

/// Whether two tasks stand in one line, if they are served as the same.
fn is_alike(one: TaskId, other: TaskId, index: &Index<'_>) -> bool {
    let line = |task| spec(task, index).map(policy::demand::Demand::of);
    line(one) == line(other)
}
