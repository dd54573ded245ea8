//! What clients were told against what the records say: I1, I2, I13.

use std::collections::BTreeMap;

use actors::wire::client::Target;
use policy::event::{Event, GraphEvent, Next, Record, SubmissionKey, TaskEvent};
use policy::id::{GraphId, TaskId};
use policy::task::{Priority, TaskOutcome};
use policy::time::Timestamp;

use super::index::Index;
use super::lending::Own;
use super::{Answer, Asked, Findings, History, Operation};

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    submissions(history, index, findings);
    for operation in &history.operations {
        if let (Asked::Prioritise(target, priority), Answer::Done { at }) =
            (operation.asked, operation.answer)
        {
            urged(history, index, (target, priority, at), findings);
        }
    }
    let facts = Facts::of(history);
    for operation in &history.operations {
        if let (Asked::Cancel(target), Answer::Done { at }) = (operation.asked, operation.answer) {
            for task in tasks_of(target, index, operation.invoked) {
                cancel(&facts, (task, target), (operation, at), findings);
                if history.has_ended {
                    stopped(&facts, task, (operation.invoked, at), findings);
                }
            }
        }
    }
}

fn submissions(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut admitted: BTreeMap<SubmissionKey, GraphId> = BTreeMap::new();
    for (graph, info) in &index.graphs {
        for part in info.submissions() {
            let before = admitted.insert(part.key, *graph);
            findings.expect("I2", before.is_none(), || format!("{graph} and {before:?} came under one key"));
            let invoked = history
                .operations
                .iter()
                .any(|operation| operation.asked == Asked::Submit { key: part.key, digest: part.digest });
            findings.expect("I1", invoked, || format!("nobody submitted {graph}"));
            findings.expect("I1", part.is_whole, || format!("{graph} is not whole"));
        }
    }
    for operation in &history.operations {
        if let (Asked::Submit { key, .. }, Answer::Submitted { graph, at }) =
            (operation.asked, operation.answer)
        {
            let there = admitted.get(&key);
            findings.expect("I1", there.is_some(), || format!("{graph}, acknowledged at {at:?}, is lost"));
            findings.expect("I2", there.is_none_or(|there| *there == graph), || {
                format!("one key was answered with {graph} and {there:?}")
            });
        }
    }
}

/// Whoever was told that a task is as urgent as that finds it so in the records.
fn urged(
    history: &History,
    index: &Index<'_>,
    (target, priority, at): (Target, Priority, Timestamp),
    findings: &mut Findings,
) {
    let task = match target {
        Target::Task(task) => task,
        Target::Graph(graph) => graph.first_task(),
    };
    let mut own = Own::new(index);
    let by_then = history.records.iter().filter(|(_, record)| record.at <= at);
    by_then.for_each(|(_, record)| {
        own.hear(&record.event);
    });
    findings.expect("I1", own.of(task) == priority, || {
        format!("{target:?} was to be of {priority} priority, acknowledged at {at:?}; it is {}", own.of(task))
    });
}

/// What was added to a graph later is not meant.
fn tasks_of(target: Target, index: &Index<'_>, asked: Timestamp) -> Vec<TaskId> {
    match target {
        Target::Task(task) => vec![task],
        Target::Graph(graph) => {
            let Some(info) = index.graphs.get(&graph) else { return Vec::new() };
            let later = info.parts.iter().find(|part| part.at >= asked).map_or(usize::MAX, |part| part.from);
            info.items.iter().take(later).flat_map(|(_, range)| range.iter()).collect()
        }
    }
}

/// What matters for cancelling, by task.
#[derive(Default)]
struct Facts<'a> {
    grants: BTreeMap<TaskId, Vec<&'a Record>>,
    ends: BTreeMap<TaskId, Vec<(Timestamp, &'a TaskOutcome)>>,
    retries: BTreeMap<TaskId, Timestamp>,
    asked: BTreeMap<TaskId, Timestamp>,
    graphs_asked: BTreeMap<GraphId, Timestamp>,
}

impl<'a> Facts<'a> {
    fn of(history: &'a History) -> Self {
        let mut facts = Self::default();
        for (_, record) in &history.records {
            match &record.event {
                Event::Graph(graph, GraphEvent::CancelAsked) => {
                    facts.graphs_asked.entry(*graph).or_insert(record.at);
                }
                Event::Task { task, event, .. } => facts.task(*task, event, record),
                _ => {}
            }
        }
        facts
    }

    fn task(&mut self, task: TaskId, event: &'a TaskEvent, record: &'a Record) {
        match event {
            TaskEvent::Granted { .. } => self.grants.entry(task).or_default().push(record),
            TaskEvent::CancelAsked => {
                self.asked.entry(task).or_insert(record.at);
            }
            TaskEvent::Finished(outcome) | TaskEvent::AttemptEnded { next: Next::Finish(outcome), .. } => {
                self.ends.entry(task).or_default().push((record.at, outcome));
            }
            TaskEvent::RetryAsked => {
                self.retries.insert(task, record.at);
            }
            TaskEvent::Started { .. }
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::AttemptEnded { .. }
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => {}
        }
    }
}

/// After a cancellation is acknowledged nothing is granted any more; another try, asked for later, forgives
/// it.
fn cancel(
    facts: &Facts<'_>,
    (task, target): (TaskId, Target),
    (operation, at): (&Operation, Timestamp),
    findings: &mut Findings,
) {
    if !counts(facts, task, (operation.invoked, at)) {
        return;
    }
    let recorded = facts.asked.get(&task).is_some_and(|asked| *asked <= at)
        || matches!(target, Target::Graph(graph) if facts.graphs_asked.get(&graph).is_some_and(|asked| *asked <= at));
    findings
        .expect("I1", recorded, || format!("the cancellation of {task}, acknowledged at {at:?}, is lost"));
    let is_later = |record: &&&Record| {
        record.at > at || operation.written.is_some_and(|written| record.number > written)
    };
    let later = facts.grants.get(&task).into_iter().flatten().find(is_later);
    findings.expect("I13", later.is_none(), || {
        format!(
            "{task} was granted at {:?}, its cancellation acknowledged at {at:?}",
            later.map(|record| record.at)
        )
    });
}

/// Whether nobody asked for another try since, and it had not ended before.
fn counts(facts: &Facts<'_>, task: TaskId, (invoked, at): (Timestamp, Timestamp)) -> bool {
    let forgiven = facts.retries.get(&task).is_some_and(|retried| *retried >= invoked);
    let ends = facts.ends.get(&task).map_or(&[][..], Vec::as_slice);
    !forgiven && !ends.iter().any(|(ended, _)| *ended <= at)
}

/// What was cancelled comes to that end.
fn stopped(facts: &Facts<'_>, task: TaskId, when: (Timestamp, Timestamp), findings: &mut Findings) {
    if !counts(facts, task, when) {
        return;
    }
    let last = facts.ends.get(&task).and_then(|ends| ends.last()).map(|(_, outcome)| *outcome);
    let stopped = matches!(last, Some(TaskOutcome::Cancelled | TaskOutcome::Skipped(_)));
    findings.expect("I13", stopped, || format!("{task}, cancelled at {:?}, came to {last:?}", when.1));
}
