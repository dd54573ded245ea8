//! Random graphs against the model, and the faults that systems like this one have had, by name.

use proptest::prelude::*;

use super::model::{Plan, World, head, item, plans};
use super::*;
use crate::event::{Event, GraphEvent, Record, TaskEvent};
use crate::id::{AttemptNumber, NodeSession, TaskRange, Token};
use crate::placement::{ShapeId, Shapes};
use crate::task::{AttemptOutcome, Priority, TaskOutcome, Usage};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_behave_as_the_model_and_as_their_log(
        plans in plans(),
        steps in prop::collection::vec((0_u8..100, any::<usize>()), 1..120),
    ) {
        let mut world = World::new(&plans);
        for (what, which) in steps {
            world.step(what, which);
        }
        world.compare_with_the_log();
    }
}

/// A table with one graph, its first task being 1.
struct Bench {
    graphs: Graphs,
    effects: Effects,
}

const AT: Timestamp = Timestamp(5);
const MARK: Mark = Mark { position: 9, sequence: 1, at: AT };

impl Bench {
    fn new(plans: &[Plan]) -> Self {
        let mut bench = Self { graphs: Graphs::new(), effects: Effects::default() };
        bench.admit(plans).unwrap();
        bench
    }

    fn admit(&mut self, plans: &[Plan]) -> Result<(), Malformed> {
        let (items, graph) = (plans.iter().map(item).collect::<Vec<_>>(), GraphId(self.graphs.next_task().0));
        let mut head = head(&items);
        head.key = SubmissionKey(u128::from(graph.0));
        let opening = Opening { graph, position: 1, at: AT, head: &head };
        let shapes = plans.iter().map(|(count, parallel_limit, dependencies)| ItemShape {
            count: *count,
            priority: Priority::Normal,
            shape: ShapeId(0),
            first_index: 0,
            parallel_limit: *parallel_limit,
            dependencies,
            position: 2,
        });
        self.graphs.admit(&opening, shapes, &mut self.effects)
    }

    /// What became ready since the last call.
    fn ready(&mut self) -> Vec<(u64, u32)> {
        let ready = self.effects.ready.drain(..).map(|one| (one.tasks.first.0, one.tasks.count)).collect();
        self.graphs.check();
        ready
    }

    fn end(&mut self, task: u64, outcome: TaskState) {
        assert!(self.graphs.activate(TaskId(task), &mut self.effects), "{task} is ready");
        self.graphs.ended(TaskId(task), outcome, MARK, &mut self.effects);
    }

    fn succeed(&mut self, task: u64) {
        self.end(task, TaskState::Succeeded);
    }

    fn state(&self, task: u64) -> TaskState {
        self.graphs.entry(TaskId(task)).unwrap().state
    }
}

fn one(on: &[u32]) -> Plan {
    (1, None, on.to_vec())
}

#[test]
fn a_task_runs_only_after_all_it_depends_on() {
    let mut bench = Bench::new(&[one(&[]), one(&[]), one(&[0, 1])]);
    assert_eq!(bench.ready(), [(1, 2)]);
    bench.succeed(1);
    assert_eq!(bench.ready(), []);
    assert_eq!(bench.graphs.blocked_by(TaskId(3), 9), [TaskRange::from(TaskId(2))]);
    bench.succeed(2);
    assert_eq!(bench.ready(), [(3, 1)]);
}

#[test]
fn the_middle_of_a_diamond_is_ready_in_the_order_of_submission() {
    let mut bench = Bench::new(&[one(&[2, 1]), one(&[3]), one(&[3]), one(&[])]);
    assert_eq!(bench.ready(), [(4, 1)]);
    bench.succeed(4);
    assert_eq!(bench.ready(), [(2, 2)]);
    bench.succeed(3);
    bench.succeed(2);
    assert_eq!(bench.ready(), [(1, 1)]);
}

#[test]
fn the_same_dependency_twice_is_one() {
    let mut bench = Bench::new(&[one(&[]), one(&[0, 0, 0])]);
    assert_eq!(bench.ready(), [(1, 1)]);
    bench.succeed(1);
    assert_eq!(bench.ready(), [(2, 1)]);
}

#[test]
fn all_that_depends_on_a_failed_task_is_skipped_for_it_and_the_graph_ends() {
    let mut bench = Bench::new(&[one(&[]), (1000, None, vec![0]), one(&[1]), one(&[])]);
    bench.effects.clear();
    bench.end(1, TaskState::Failed);
    let closed: Vec<_> =
        bench.effects.closed.iter().map(|one| (one.tasks.first.0, one.tasks.count, one.by)).collect();
    assert_eq!(closed, [(2, 1001, ClosedBy::Skip(TaskId(1)))]);
    bench.succeed(1003);
    assert_eq!(bench.effects.finished, [GraphId(1)]);
    assert_eq!(bench.graphs.entry(TaskId(1002)).unwrap().cause, Some(TaskId(1)));
    let counts = bench.graphs.view(GraphId(1)).unwrap().counts;
    assert_eq!(
        (counts.of(TaskState::Skipped), counts.of(TaskState::Failed), counts.total()),
        (1001, 1, 1003)
    );
    bench.graphs.check();
}

#[test]
fn a_retry_brings_back_what_was_skipped_only_for_it() {
    let mut bench = Bench::new(&[one(&[]), one(&[]), one(&[0]), one(&[0, 1])]);
    bench.end(1, TaskState::Failed);
    bench.end(2, TaskState::Failed);
    bench.graphs.recorded(TaskId(3), MARK);
    bench.effects.clear();
    bench.graphs.may_retry(TaskId(1)).unwrap();
    bench.graphs.retry(TaskId(1), MARK, &mut bench.effects);
    assert_eq!((bench.state(3), bench.state(4)), (TaskState::Waiting, TaskState::Skipped));
    assert_eq!(
        bench.effects.revived,
        [TaskRange::from(TaskId(3))],
        "only a recorded end needs a record of its return"
    );
    assert_eq!(bench.ready(), [(1, 1)]);
    assert_eq!(bench.graphs.entry(TaskId(4)).unwrap().cause, Some(TaskId(2)));
    bench.succeed(1);
    assert_eq!(bench.ready(), [(3, 1)]);
    assert_eq!(
        bench.graphs.may_retry(TaskId(4)),
        Err(RetryRefused::DependencyFailed { task: TaskId(4), cause: TaskId(2) })
    );
    assert_eq!(
        bench.graphs.may_retry(TaskId(1)),
        Err(RetryRefused::NotFailed(TaskId(1), TaskState::Succeeded))
    );
}

#[test]
fn an_array_with_a_limit_has_no_more_out_than_that() {
    let mut bench = Bench::new(&[(5, Some(2), vec![]), one(&[0])]);
    assert_eq!(bench.ready(), [(1, 2)]);
    bench.graphs.activate(TaskId(1), &mut bench.effects);
    bench.graphs.backs_off(TaskId(1), MARK, &mut bench.effects);
    assert_eq!(bench.ready(), [], "who backs off keeps its place");
    bench.succeed(2);
    assert_eq!(bench.ready(), [(3, 1)]);
    assert_eq!(bench.graphs.cancel_task(TaskId(4), AT, &mut bench.effects), Cancelled::Closed);
    bench.succeed(3);
    assert_eq!(bench.ready(), [(5, 1)], "who was cancelled meanwhile is passed over");
    assert_eq!(bench.state(6), TaskState::Skipped);
}

#[test]
fn a_cancelled_graph_starts_nothing_more_and_ends_with_its_last_active_task() {
    let mut bench = Bench::new(&[(1_000_000, None, vec![]), one(&[0])]);
    bench.graphs.activate(TaskId(500), &mut bench.effects);
    bench.graphs.activate(TaskId(501), &mut bench.effects);
    bench.effects.clear();
    assert!(bench.graphs.cancel_graph(GraphId(1), AT, &mut bench.effects));
    assert_eq!(bench.effects.tell, [TaskRange { first: TaskId(500), count: 2 }]);
    let closed: Vec<_> =
        bench.effects.closed.iter().map(|one| (one.tasks.first.0, one.tasks.count, one.was)).collect();
    let (ready, waiting) = (TaskState::Ready, TaskState::Waiting);
    assert_eq!(closed, [(1, 499, ready), (502, 999_499, ready), (1_000_001, 1, waiting)]);
    assert_eq!(bench.graphs.may_retry(TaskId(1)), Err(RetryRefused::Cancelling(GraphId(1))));
    bench.graphs.ended(TaskId(500), TaskState::Cancelled, MARK, &mut bench.effects);
    assert!(
        !bench.graphs.backs_off(TaskId(501), MARK, &mut bench.effects),
        "a cancelled task is never retried"
    );
    assert_eq!(bench.effects.finished, [GraphId(1)]);
    assert!(bench.graphs.bytes() < 100_000, "{}", bench.graphs.bytes());
    bench.graphs.check();
    bench.graphs.may_retry(TaskId(1)).unwrap();
}

#[test]
fn a_task_cancelled_while_it_is_being_granted_ends_when_it_is_given_back() {
    let mut bench = Bench::new(&[one(&[]), one(&[0])]);
    bench.graphs.activate(TaskId(1), &mut bench.effects);
    assert_eq!(bench.graphs.cancel_task(TaskId(1), AT, &mut bench.effects), Cancelled::Told);
    assert!(!bench.graphs.put_back(TaskId(1), AT, &mut bench.effects));
    assert_eq!((bench.state(1), bench.state(2)), (TaskState::Cancelled, TaskState::Skipped));
    assert_eq!(
        bench.graphs.cancel_task(TaskId(1), AT, &mut bench.effects),
        Cancelled::Already(TaskState::Cancelled)
    );
    bench.graphs.check();
}

#[test]
fn chains_and_fans_of_a_hundred_thousand_are_cheap() {
    let size = 100_000;
    let mut chain =
        Bench::new(&(0..size).map(|n| if n == 0 { one(&[]) } else { one(&[n - 1]) }).collect::<Vec<_>>());
    chain.succeed(1);
    assert_eq!(chain.ready(), [(1, 2)]);
    chain.end(2, TaskState::Failed);
    assert_eq!(chain.effects.closed.len(), 1, "neighbours skipped for one reason are one range");
    assert_eq!(chain.effects.finished, [GraphId(1)]);
    chain.graphs.check();
    chain.effects.clear();
    chain.graphs.retry(TaskId(2), MARK, &mut chain.effects);
    chain.graphs.check();

    let mut fan: Vec<Plan> = (0..size).map(|_| one(&[])).collect();
    fan.push(one(&(0..size).collect::<Vec<_>>()));
    let mut fan = Bench::new(&fan);
    (1..=u64::from(size)).for_each(|task| fan.succeed(task));
    assert_eq!(fan.ready(), [(1, size + 1)]);
}

#[test]
fn a_member_cancelled_and_tried_again_many_times_over_needs_no_stack() {
    let mut bench = Bench::new(&[one(&[]), (100_000, None, vec![0])]);
    for task in 2..=100_001 {
        bench.graphs.cancel_task(TaskId(task), AT, &mut bench.effects);
        bench.graphs.retry(TaskId(task), MARK, &mut bench.effects);
    }
    bench.effects.clear();
    bench.succeed(1);
    assert_eq!(bench.ready(), [(2, 100_000)]);
}

#[test]
fn a_graph_that_is_not_what_its_head_says_is_refused_whole() {
    let mut bench = Bench::new(&[one(&[])]);
    assert!(matches!(
        bench.admit(&[one(&[0])]),
        Err(Malformed::BadDependency { item: 0, dependency: 0, .. })
    ));
    assert!(matches!(
        bench.admit(&[one(&[3])]),
        Err(Malformed::BadDependency { item: 0, dependency: 3, .. })
    ));
    assert!(matches!(bench.admit(&[(0, None, vec![])]), Err(Malformed::Miscounted { .. })));
    assert_eq!((bench.graphs.len(), bench.graphs.counts_of_all().total()), (1, 1));
    bench.graphs.check();
}

#[test]
fn ended_graphs_are_forgotten_the_oldest_first_and_no_other() {
    let mut bench = Bench::new(&[one(&[])]);
    (0..3).for_each(|_| bench.admit(&[one(&[]), one(&[])]).unwrap());
    (1..=5).for_each(|task| bench.succeed(task));
    let keep_one = Retention { graphs: 1, ..Retention::default() };
    let mut forgotten = Vec::new();
    while let Some(graph) = bench.graphs.overdue(&keep_one, AT) {
        assert_eq!(bench.graphs.forget(graph).unwrap().len(), bench_items(graph));
        forgotten.push(graph.0);
    }
    bench.graphs.check();
    assert_eq!(forgotten, [1, 2]);
    assert_eq!(bench.graphs.forget(GraphId(6)), None, "it has not ended");
    assert_eq!(bench.graphs.newest(None).map(|view| view.graph.0).collect::<Vec<_>>(), [6, 4]);
    assert_eq!(bench.graphs.newest(Some(GraphId(6))).count(), 1);
    assert_eq!(bench.graphs.submitted(SubmissionKey(2)), None);
    assert_eq!(bench.graphs.submitted(SubmissionKey(4)), Some((GraphId(4), [1; 16])));
    assert_eq!(bench.graphs.next_task(), TaskId(8));
    let later = AT + std::time::Duration::from_hours(8 * 24);
    assert_eq!(bench.graphs.overdue(&Retention::default(), later), Some(GraphId(4)));
}

fn bench_items(graph: GraphId) -> usize {
    if graph.0 == 1 { 1 } else { 2 }
}

#[test]
fn tasks_are_looked_at_page_by_page_and_state_by_state() {
    let mut bench = Bench::new(&[one(&[]), (3000, None, vec![]), one(&[1])]);
    bench.succeed(2500);
    let first = bench.graphs.tasks(TaskId(1), Some(TaskState::Ready), 2999);
    assert_eq!((first.tasks.len(), first.next), (2999, Some(TaskId(3001))));
    let second = bench.graphs.tasks(first.next.unwrap(), Some(TaskState::Ready), 10);
    assert_eq!((second.tasks.len(), second.tasks[0].index, second.next), (1, 2999, None));
    assert_eq!(bench.graphs.tasks(TaskId(1), Some(TaskState::Succeeded), 10).tasks[0].task, TaskId(2500));
    assert_eq!(bench.graphs.tasks(TaskId(1), None, 10_000).tasks.len(), 3002);
    assert_eq!(bench.graphs.tasks(TaskId(9999), None, 10).tasks, []);
}

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
        self.task(task, TaskEvent::Granted { token: Token(task), attempt, node, session });
    }

    fn ended(&mut self, task: u64, outcome: TaskOutcome) {
        let (token, next) = (Token(task), crate::event::Next::Finish(outcome));
        let (outcome, usage) = (AttemptOutcome::Exited(0), Usage::default());
        self.task(task, TaskEvent::AttemptEnded { token, outcome, usage, order: 0, next });
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
    assert_eq!(closed, [(2, 2, ClosedBy::Cancel)]);
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
    log.push(Event::Scheduler(crate::event::SchedulerEvent::Started { epoch: 2, version: "1".into() }));
    log.granted(60);
    let recovered = log.replay();
    assert_eq!((recovered.unknown, recovered.graphs.next_task()), (1, TaskId(61)));
}
