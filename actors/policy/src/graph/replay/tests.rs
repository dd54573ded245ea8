//! Logs in an order that the table did not see, and logs that end too early.

use super::*;
use crate::claims::Indices;
use crate::event::SubmissionKey;
use crate::graph::effects::ClosedBy;
use crate::graph::model::{Plan, head, item};
use crate::graph::tests::one;
use crate::id::TaskRange;
use crate::id::{AttemptNumber, NodeSession, Token};
use crate::task::RequestNumber;
use crate::task::{AttemptOutcome, Usage};

/// Records as an actor writes them, for logs in an order the table has not seen.
struct Log(Vec<Record>);

impl Log {
    fn of(plans: &[Plan]) -> Self {
        let items: Vec<_> = plans.iter().map(item).collect();
        let mut log = Self(Vec::new());
        log.graph(GraphEvent::Admitted(head(&items)));
        items.into_iter().for_each(|item| log.graph(GraphEvent::ItemAdmitted(item)));
        log
    }

    fn push(&mut self, event: Event) {
        let number = self.0.len() as u64 + 1;
        self.0.push(Record { number, at: Timestamp(number), cause: 0, correlation: 0, event });
    }

    fn graph(&mut self, event: GraphEvent) {
        self.push(Event::Graph(GraphId(1), event));
    }

    fn task(&mut self, task: u64, event: TaskEvent) {
        self.push(Event::Task { task: TaskId(task), sequence: 1, previous: 0, event });
    }

    fn granted(&mut self, task: u64) {
        let (attempt, node, session) = (AttemptNumber(1), "n".into(), NodeSession(1));
        self.task(
            task,
            TaskEvent::Granted {
                token: Token(task),
                attempt,
                node,
                session,
                request: RequestNumber::default(),
                indices: Indices::new(),
                gang: Vec::new(),
                waited: Vec::new(),
            },
        );
    }

    fn ended(&mut self, task: u64, outcome: TaskOutcome) {
        let (token, next) = (Token(task), Next::Finish(outcome));
        let (outcome, usage) = (AttemptOutcome::Exited(0), Usage::default());
        self.task(task, TaskEvent::AttemptEnded { token, outcome, usage, order: 0, next, report: None });
    }

    fn replay(&self) -> Recovered {
        let mut replay = Replay::new(Shapes::default());
        self.0.iter().for_each(|record| replay.apply(record.number, record).unwrap());
        let recovered = replay.finish();
        recovered.graphs.check();
        recovered
    }
}

#[test]
fn a_grant_recorded_behind_the_cancellation_of_its_graph_is_live_and_to_be_told() {
    let mut log = Log::of(&[one(&[]), one(&[]), one(&[0])]);
    log.graph(GraphEvent::CancelAsked);
    log.granted(1);
    let recovered = log.replay();
    assert_eq!(
        (recovered.live.len(), recovered.live[0].task, recovered.live[0].cancel_asked),
        (1, TaskId(1), true)
    );
    let closed: Vec<_> =
        recovered.closed.iter().map(|one| (one.tasks.first.0, one.tasks.count, one.by)).collect();
    assert_eq!(closed, [(2, 1, ClosedBy::Cancel), (3, 1, ClosedBy::Cancel)]);
    assert_eq!(recovered.ready, []);
}

#[test]
fn a_grant_behind_a_retry_that_waits_for_its_place_takes_the_place_of_the_next() {
    let failed = || TaskOutcome::Failed(AttemptOutcome::Exited(1));
    let mut log = Log::of(&[(4, Some(1), vec![])]);
    log.granted(1);
    log.ended(1, failed());
    log.granted(2);
    log.ended(2, TaskOutcome::Succeeded);
    log.task(1, TaskEvent::RetryAsked);
    log.granted(1);
    let recovered = log.replay();
    assert_eq!(recovered.live.iter().map(|grant| grant.task).collect::<Vec<_>>(), [TaskId(1)]);
    assert_eq!(recovered.ready, [], "the third had been handed out, and waits again");
}

#[test]
fn what_is_skipped_for_a_failure_is_skipped_even_when_the_scheduler_died_before_saying_so() {
    let mut log = Log::of(&[one(&[]), one(&[0])]);
    log.granted(1);
    log.ended(1, TaskOutcome::Failed(AttemptOutcome::Exited(1)));
    let recovered = log.replay();
    assert_eq!(recovered.closed[0].tasks, TaskRange::from(TaskId(2)));
    assert_eq!(recovered.closed[0].by.outcome(), TaskOutcome::Skipped(TaskId(1)));
    assert!(recovered.graphs.view(GraphId(1)).unwrap().finished_at.is_some());
}

#[test]
fn a_graph_of_which_not_all_was_written_never_was_and_its_ids_stay_used() {
    let mut log = Log::of(&[one(&[]), (50, None, vec![])]);
    log.0.pop();
    let recovered = log.replay();
    assert_eq!((recovered.graphs.len(), recovered.graphs.next_task()), (0, TaskId(52)));
    log.push(Event::Scheduler(SchedulerEvent::Started { epoch: 2, version: "1".into() }));
    log.granted(60);
    let recovered = log.replay();
    assert_eq!((recovered.unknown, recovered.graphs.next_task()), (1, TaskId(61)));
}

#[test]
fn what_was_added_comes_whole_or_not_at_all_and_its_graph_stays() {
    let mut log = Log::of(&[one(&[])]);
    let part = GraphPart { first: TaskId(9), key: SubmissionKey(2), items: 2, tasks: 2, digest: [2; 16] };
    log.graph(GraphEvent::Extended(part));
    log.graph(GraphEvent::ItemAdmitted(item(&one(&[0]))));
    let torn = log.replay();
    assert_eq!((torn.graphs.view(GraphId(1)).unwrap().tasks, torn.graphs.next_task()), (1, TaskId(11)));
    log.graph(GraphEvent::ItemAdmitted(item(&one(&[1]))));
    log.granted(1);
    log.ended(1, TaskOutcome::Succeeded);
    log.granted(9);
    let whole = log.replay();
    assert_eq!(whole.live.iter().map(|grant| grant.task).collect::<Vec<_>>(), [TaskId(9)]);
    assert_eq!(whole.graphs.entry(TaskId(10)).unwrap().state, TaskState::Waiting);
    assert_eq!(whole.graphs.submitted(SubmissionKey(2)).unwrap().first, TaskId(9));
}
