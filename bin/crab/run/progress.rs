//! How far a graph is, as its events tell. Pure: no clock, no terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::wire::client::TaskCounts;
use policy::event::{Event, Next, Record, TaskEvent};
use policy::id::{GraphId, NodeId, TaskId};
use policy::task::{AttemptOutcome, LossReason, TaskOutcome};
use policy::time::Timestamp;

use super::plan::Plan;

/// Failures that are remembered for the summary.
const REMEMBERED_FAILURES: usize = 20;

/// A graph on its way to its end.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(super) graph: GraphId,
    plan: Plan,
    /// Granted or running, by id.
    pub(super) active: BTreeMap<TaskId, Active>,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) skipped: u64,
    /// The first ones that failed, with how.
    pub(super) failures: Vec<(TaskId, AttemptOutcome)>,
}

/// A task that holds a machine.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) node: NodeId,
    pub(super) attempt: u32,
    pub(super) started: Option<Timestamp>,
}

/// What an event changed, for those who show it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Started { task: TaskId, node: NodeId, attempt: u32 },
    Retrying { task: TaskId, outcome: AttemptOutcome, wait: Duration },
    Ended { task: TaskId, outcome: TaskOutcome, took: Option<Duration> },
}

impl Progress {
    pub(super) fn new(graph: GraphId, plan: Plan) -> Self {
        Self {
            graph,
            plan,
            active: BTreeMap::new(),
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            skipped: 0,
            failures: Vec::new(),
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.plan.tasks()
    }

    pub(super) fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.skipped
    }

    /// Whether it is worth asking if the graph has ended.
    pub(super) fn seems_ended(&self) -> bool {
        self.ended() >= self.total()
    }

    pub(super) fn name(&self, task: TaskId) -> String {
        match task.0.checked_sub(self.graph.0).filter(|place| *place < self.plan.tasks()) {
            Some(place) => self.plan.name(place),
            // It was added by somebody else.
            None => task.to_string(),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.plan.width()
    }

    /// Takes over what the scheduler counts, where events are missing or tasks were tried again.
    pub(super) fn correct(&mut self, counts: &TaskCounts) {
        self.succeeded = counts.succeeded;
        self.failed = counts.failed;
        self.cancelled = counts.cancelled;
        self.skipped = counts.skipped;
    }

    pub(super) fn apply(&mut self, record: &Record) -> Option<Change> {
        let Event::Task { task, event, .. } = &record.event else { return None };
        let task = *task;
        match event {
            TaskEvent::Granted { node, attempt, .. } => {
                let active = Active { node: node.clone(), attempt: attempt.0, started: None };
                self.active.insert(task, active);
                None
            }
            TaskEvent::Started { .. } => {
                let active = self.active.get_mut(&task)?;
                active.started = Some(record.at);
                Some(Change::Started { task, node: active.node.clone(), attempt: active.attempt })
            }
            TaskEvent::AttemptEnded { outcome, usage, next, .. } => {
                self.active.remove(&task);
                match next {
                    Next::Finish(end) => Some(self.end(task, end, Some(usage.wall))),
                    Next::RetryAfter(wait) => {
                        Some(Change::Retrying { task, outcome: outcome.clone(), wait: *wait })
                    }
                }
            }
            TaskEvent::Finished(outcome) => Some(self.end(task, outcome, None)),
            TaskEvent::CancelAsked
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::RetryAsked
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => None,
        }
    }

    fn failed(&mut self, task: TaskId, attempt: AttemptOutcome) {
        self.failed += 1;
        if self.failures.len() < REMEMBERED_FAILURES {
            self.failures.push((task, attempt));
        }
    }

    fn end(&mut self, task: TaskId, outcome: &TaskOutcome, took: Option<Duration>) -> Change {
        match outcome {
            TaskOutcome::Succeeded => self.succeeded += 1,
            TaskOutcome::Failed(attempt) | TaskOutcome::OutOfRetries { last: attempt, .. } => {
                self.failed(task, attempt.clone());
            }
            TaskOutcome::Poisoned(deaths) => {
                let reason = deaths.last().map_or(LossReason::Unknown, |death| death.reason);
                self.failed(task, AttemptOutcome::Lost(reason));
            }
            TaskOutcome::Cancelled => self.cancelled += 1,
            TaskOutcome::Skipped(_) => self.skipped += 1,
        }
        Change::Ended { task, outcome: outcome.clone(), took }
    }
}

#[cfg(test)]
mod tests {

    use policy::claims::Indices;
    use policy::event::{ArraySpec, Item, SubmissionKey};
    use policy::id::{AttemptNumber, NodeSession, Token};
    use policy::resources::Resources;
    use policy::submission::Submission;
    use policy::task::{RequestNumber, TaskSpec, Usage};

    use super::*;

    fn item(name: &str, array: Option<ArraySpec>) -> Item {
        let spec = TaskSpec {
            resources: Resources::default(),
            tenant: "t".into(),
            grace: Duration::ZERO,
            ..TaskSpec::new(name, vec!["x".into()])
        };
        Item { array, ..Item::new(spec) }
    }

    fn progress() -> Progress {
        let array = ArraySpec { first: 7, count: 3, parallel_limit: None };
        let items = vec![item("build", None), item("test", Some(array)), item("pack", None)];
        let submission = Submission::new(SubmissionKey(1), "g", items);
        Progress::new(GraphId(10), Plan::of(&submission))
    }

    fn task(task: u64, event: TaskEvent) -> Record {
        let event = Event::Task { task: TaskId(task), sequence: 1, previous: 0, event };
        Record { number: 1, at: Timestamp(5), cause: 0, correlation: 0, event }
    }

    fn granted(id: u64) -> Record {
        let (token, attempt, session) = (Token(1), AttemptNumber(1), NodeSession(1));
        task(
            id,
            TaskEvent::Granted {
                token,
                attempt,
                node: "n".into(),
                session,
                request: RequestNumber::default(),
                indices: Indices::new(),
                gang: Vec::new(),
                waited: Vec::new(),
            },
        )
    }

    fn ended(id: u64, outcome: AttemptOutcome, next: Next) -> Record {
        task(
            id,
            TaskEvent::AttemptEnded {
                token: Token(1),
                outcome,
                usage: Usage::default(),
                order: 1,
                next,
                report: None,
            },
        )
    }

    #[test]
    fn tasks_have_the_names_they_were_submitted_with() {
        let progress = progress();
        let names: Vec<_> = (10..15).map(|id| progress.name(TaskId(id))).collect();
        assert_eq!(names, ["build", "test[7]", "test[8]", "test[9]", "pack"]);
        assert_eq!(progress.total(), 5);
    }

    #[test]
    fn events_are_counted_and_told() {
        let mut progress = progress();
        assert_eq!(progress.apply(&granted(10)), None);
        let started = progress.apply(&task(10, TaskEvent::Started { token: Token(1), pid: 1, order: 1 }));
        assert_eq!(started, Some(Change::Started { task: TaskId(10), node: "n".into(), attempt: 1 }));
        let failed = AttemptOutcome::Exited(1);
        let retry = Next::RetryAfter(Duration::from_secs(1));
        assert!(matches!(progress.apply(&ended(10, failed.clone(), retry)), Some(Change::Retrying { .. })));
        assert!(progress.active.is_empty());
        progress.apply(&granted(10));
        progress.apply(&ended(10, failed.clone(), Next::Finish(TaskOutcome::Failed(failed.clone()))));
        for id in 11..15 {
            progress.apply(&task(id, TaskEvent::Finished(TaskOutcome::Skipped(TaskId(10)))));
        }
        assert_eq!((progress.failed, progress.skipped, progress.seems_ended()), (1, 4, true));
        assert_eq!(progress.failures, [(TaskId(10), failed)]);
    }
}
