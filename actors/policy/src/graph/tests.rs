//! Random graphs against the model, and the faults that systems like this one have had, by name.

use std::time::Duration;

use proptest::prelude::*;

use super::model::{Plan, World, head, item, plans};
use super::*;
use crate::bounds::{Overrun, TimeLimit};
use crate::dependency::{Dependency, Need, On};
use crate::event::GraphHead;
use crate::id::{AttemptNumber, TaskRange};
use crate::placement::ShapeId;
use crate::task::{Priority, TaskOutcome};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_behave_as_the_model_and_as_their_log(
        plans in plans(),
        lends in any::<bool>(),
        steps in prop::collection::vec((0_u8..100, any::<usize>()), 1..120),
    ) {
        let mut world = World::new(&plans, lends);
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
            is_gang: false,
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

pub(super) fn one(on: &[u32]) -> Plan {
    (1, None, on.iter().map(|on| Dependency::from(*on)).collect())
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
fn what_is_late_ends_as_a_failure_unless_it_has_begun_and_dependents_follow() {
    let late = |limit| Overrun { limit, allowed: Duration::from_secs(1), used: Duration::from_secs(2) };
    let mut bench = Bench::new(&[(3, None, vec![]), one(&[0]), one(&[])]);
    let at = Timestamp(9);
    bench.graphs.activate(TaskId(1), &mut bench.effects);
    bench.effects.clear();
    let ends =
        |bench: &mut Bench, task, limit| bench.graphs.late(TaskId(task), late(limit), at, &mut bench.effects);
    assert!(!ends(&mut bench, 1, TimeLimit::Deadline), "it is ended where it runs");
    assert!(!ends(&mut bench, 4, TimeLimit::QueueTimeout), "it waits for another task, not for a machine");
    assert!(ends(&mut bench, 2, TimeLimit::QueueTimeout));
    assert!(!ends(&mut bench, 2, TimeLimit::Deadline), "it has ended");
    let closed: Vec<_> = bench.effects.closed.iter().map(|one| (one.tasks.first.0, one.by)).collect();
    let by = ClosedBy::Late(late(TimeLimit::QueueTimeout));
    assert_eq!(closed, [(2, by), (4, ClosedBy::Skip(TaskId(2)))]);
    assert!(matches!(by.outcome(), TaskOutcome::Failed(_)));
    bench.graphs.ended(TaskId(2), TaskState::Failed, MARK, &mut bench.effects);
    assert!(ends(&mut bench, 5, TimeLimit::Deadline));
    bench.graphs.check();
    assert_eq!(bench.graphs.view(GraphId(1)).unwrap().counts.of(TaskState::Failed), 2);
}

#[test]
fn all_that_depends_on_a_failed_task_is_skipped_for_it_and_the_graph_ends() {
    let mut bench = Bench::new(&[one(&[]), (1000, None, vec![0.into()]), one(&[1]), one(&[])]);
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
    bench.graphs.recorded(TaskId(3), MARK, &mut bench.effects);
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
fn what_is_ready_is_told_by_items_in_their_order() {
    let mut bench = Bench::new(&[one(&[]), one(&[0]), (5, None, vec![]), one(&[])]);
    let told = |bench: &Bench, limit| -> Vec<_> {
        let items = bench.graphs.ready_items(limit).into_iter();
        items.map(|item| (item.first.0, item.last.0, item.indices, item.tasks)).collect()
    };
    let array = |first: u64, last: u64, tasks| (first, last, Some((first - 3, last - 3)), tasks);
    assert_eq!(told(&bench, 9), [(1, 1, None, 1), array(3, 7, 5), (8, 8, None, 1)]);
    bench.succeed(3);
    bench.succeed(5);
    bench.succeed(1);
    assert_eq!(told(&bench, 2), [(2, 2, None, 1), array(4, 7, 3)], "with a hole, and no more than is wanted");
    (4..=8).filter(|task| *task != 5).for_each(|task| bench.succeed(task));
    bench.succeed(2);
    assert_eq!(told(&bench, 9), []);
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
fn the_end_of_a_wait_means_nothing_to_who_was_tried_again_meanwhile_and_waits_anew() {
    let mut bench = Bench::new(&[one(&[])]);
    let task = TaskId(1);
    let at = |position| Mark { position, ..MARK };
    for (attempt, position) in [(1, 9), (2, 20)] {
        bench.graphs.granted(task, AttemptNumber(attempt), at(position), &mut bench.effects);
        assert!(bench.graphs.backs_off(task, at(position + 1), &mut bench.effects));
        if attempt == 1 {
            bench.graphs.cancel_task(task, AT, &mut bench.effects);
            bench.graphs.ended(task, TaskState::Cancelled, at(12), &mut bench.effects);
            bench.graphs.retry(task, at(13), &mut bench.effects);
        }
    }
    assert!(!bench.graphs.due(task, 10, &mut bench.effects));
    assert_eq!(bench.state(1), TaskState::BackingOff);
    assert!(bench.graphs.due(task, 21, &mut bench.effects));
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
    let mut bench = Bench::new(&[one(&[]), (100_000, None, vec![0.into()])]);
    for task in 2..=100_001 {
        bench.graphs.cancel_task(TaskId(task), AT, &mut bench.effects);
        bench.graphs.recorded(TaskId(task), MARK, &mut bench.effects);
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
        Err(Malformed::BadDependency { item: 0, on: On::Item(0), .. })
    ));
    assert!(matches!(
        bench.admit(&[one(&[3])]),
        Err(Malformed::BadDependency { item: 0, on: On::Item(3), .. })
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
    assert_eq!(bench.graphs.submitted(SubmissionKey(4)).map(|known| known.graph), Some(GraphId(4)));
    assert_eq!(bench.graphs.next_task(), TaskId(8));
    let later = AT + Duration::from_hours(8 * 24);
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

fn on(place: u32, needs: Need) -> Dependency {
    Dependency::item(place, needs)
}

/// One task with these dependencies.
fn with(dependencies: &[(u32, Need)]) -> Plan {
    (1, None, dependencies.iter().map(|(place, needs)| on(*place, *needs)).collect())
}

impl Bench {
    /// Adds to the first graph, under ids of their own.
    fn extend(&mut self, plans: &[Plan]) -> Result<(), Malformed> {
        let items: Vec<_> = plans.iter().map(item).collect();
        let (GraphHead { items: count, tasks, .. }, first) = (head(&items), self.graphs.next_task());
        let key = SubmissionKey(u128::from(first.0) << 64);
        let part = GraphPart { first, key, items: count, tasks, digest: [2; 16] };
        let shapes = items.iter().map(|item| ItemShape::of(item, ShapeId(0), 3));
        self.graphs.extend(GraphId(1), (&part, AT), shapes, &mut self.effects)
    }

    fn record_all(&mut self) {
        for closed in std::mem::take(&mut self.effects.closed) {
            closed.tasks.iter().for_each(|task| self.graphs.recorded(task, MARK, &mut self.effects));
        }
    }
}

#[test]
fn each_need_is_met_by_the_ends_that_it_names_and_by_no_other() {
    use TaskState::{Cancelled, Failed, Ready, Skipped, Succeeded};
    // How the first of two ends, and what then becomes of who needs it in each way.
    let table = [
        (Succeeded, [Ready, Ready, Ready]),
        (Failed, [Skipped, Ready, Ready]),
        (Cancelled, [Skipped, Skipped, Ready]),
    ];
    for (end, expected) in table {
        let plans =
            [one(&[]), with(&[(0, Need::Success)]), with(&[(0, Need::End)]), with(&[(0, Need::Always)])];
        let mut bench = Bench::new(&plans);
        bench.end(1, end);
        assert_eq!([2, 3, 4].map(|task| bench.state(task)), expected, "{end}");
        bench.graphs.check();
    }
}

#[test]
fn what_always_runs_starts_when_the_skip_before_it_is_on_record() {
    let mut bench = Bench::new(&[one(&[]), one(&[0]), with(&[(1, Need::Always)]), with(&[(1, Need::End)])]);
    bench.ready();
    bench.end(1, TaskState::Failed);
    assert_eq!(
        [2, 3, 4].map(|task| bench.state(task)),
        [TaskState::Skipped, TaskState::Waiting, TaskState::Skipped]
    );
    assert_eq!(bench.graphs.entry(TaskId(4)).unwrap().cause, Some(TaskId(1)));
    bench.record_all();
    assert_eq!(bench.ready(), [(3, 1)]);
    assert_eq!(bench.effects.finished, [], "what cleans up is still to run");
}

#[test]
fn a_cancelled_graph_does_not_even_run_what_always_runs() {
    let mut bench = Bench::new(&[one(&[]), with(&[(0, Need::Always)])]);
    bench.ready();
    bench.graphs.cancel_graph(GraphId(1), AT, &mut bench.effects);
    bench.record_all();
    assert_eq!((bench.ready(), bench.state(2)), (vec![], TaskState::Cancelled));
}

#[test]
fn what_waits_for_an_end_waits_again_where_the_task_is_tried_again_unless_it_has_begun() {
    let after = (3, None, vec![on(0, Need::End)]);
    let mut bench = Bench::new(&[one(&[]), after]);
    bench.end(1, TaskState::Failed);
    bench.ready();
    bench.graphs.activate(TaskId(3), &mut bench.effects);
    bench.graphs.granted(TaskId(3), AttemptNumber(1), MARK, &mut bench.effects);
    bench.graphs.activate(TaskId(4), &mut bench.effects);
    bench.graphs.retry(TaskId(1), MARK, &mut bench.effects);
    let withdrawn: Vec<_> =
        bench.effects.withdrawn.iter().map(|one| (one.tasks.first.0, one.tasks.count)).collect();
    assert_eq!(withdrawn, [(2, 1)], "out of its queue; of the others one runs and one is on its way");
    assert!(!bench.graphs.put_back(TaskId(4), AT, &mut bench.effects), "it has not begun after all");
    assert_eq!(
        [2, 3, 4].map(|task| bench.state(task)),
        [TaskState::Waiting, TaskState::Active, TaskState::Waiting]
    );
    bench.ready();
    bench.succeed(1);
    assert_eq!(bench.ready(), [(2, 1), (4, 1)]);
}

#[test]
fn of_several_needs_of_one_task_the_strictest_counts() {
    let mut bench = Bench::new(&[one(&[]), with(&[(0, Need::Always), (0, Need::Success), (0, Need::End)])]);
    bench.end(1, TaskState::Failed);
    assert_eq!(bench.state(2), TaskState::Skipped);
}

#[test]
fn a_dependency_that_has_ended_at_submission_counts_as_it_ended() {
    let mut bench = Bench::new(&[one(&[]), one(&[])]);
    bench.succeed(1);
    bench.end(2, TaskState::Failed);
    bench.admit(&[one(&[])]).unwrap();
    bench.ready();
    bench.extend(&[one(&[0]), one(&[1]), one(&[3]), with(&[(1, Need::End)]), one(&[2, 5])]).unwrap();
    let states = [4, 5, 6, 7, 8].map(|task| bench.state(task));
    let (ready, skipped, waiting) = (TaskState::Ready, TaskState::Skipped, TaskState::Waiting);
    assert_eq!(states, [ready, skipped, skipped, ready, waiting], "never stuck, never early");
    assert_eq!(bench.ready(), [(4, 1), (7, 1)]);
    assert_eq!(bench.graphs.view(GraphId(1)).unwrap().tasks, 7);
    assert_eq!(bench.graphs.entry(TaskId(6)).unwrap().cause, Some(TaskId(2)));
    let parts: Vec<_> =
        bench.graphs.parts(None).map(|(graph, tasks)| (graph.0, tasks.first.0, tasks.count)).collect();
    assert_eq!(parts, [(1, 1, 2), (3, 3, 1), (1, 4, 5)]);
}

#[test]
fn an_ended_graph_that_is_added_to_goes_on_and_is_forgotten_whole() {
    let mut bench = Bench::new(&[one(&[])]);
    bench.succeed(1);
    assert_eq!(bench.effects.finished, [GraphId(1)]);
    bench.admit(&[one(&[])]).unwrap();
    bench.extend(&[one(&[0])]).unwrap();
    assert_eq!(bench.graphs.view(GraphId(1)).unwrap().finished_at, None);
    assert_eq!(bench.graphs.forget(GraphId(1)), None);
    let page = bench.graphs.tasks(TaskId(1), None, 10);
    assert_eq!(page.tasks.iter().map(|entry| entry.task.0).collect::<Vec<_>>(), [1, 3]);
    bench.graphs.check();
    bench.effects.clear();
    bench.succeed(3);
    assert_eq!(bench.effects.finished, [GraphId(1)]);
    let key = SubmissionKey(3 << 64);
    assert_eq!(
        bench.graphs.submitted(key).map(|known| (known.graph, known.first, known.tasks)),
        Some((GraphId(1), TaskId(3), 1))
    );
    assert_eq!(bench.graphs.forget(GraphId(1)).map(|shapes| shapes.len()), Some(2));
    assert_eq!((bench.graphs.submitted(key), bench.graphs.entry(TaskId(3))), (None, None));
    bench.graphs.check();
}

#[test]
fn what_is_added_and_skipped_at_once_leaves_the_graph_ended() {
    let mut bench = Bench::new(&[one(&[])]);
    bench.end(1, TaskState::Failed);
    bench.effects.clear();
    bench.extend(&[one(&[0])]).unwrap();
    assert_eq!((bench.state(2), &bench.effects.finished[..]), (TaskState::Skipped, &[GraphId(1)][..]));
    assert!(matches!(
        bench.extend(&[one(&[5])]),
        Err(Malformed::BadDependency { item: 2, on: On::Item(5), .. })
    ));
    bench.graphs.check();
    bench.effects.clear();
    bench.graphs.retry(TaskId(1), MARK, &mut bench.effects);
    bench.succeed(1);
    assert_eq!(bench.state(2), TaskState::Ready, "a retry brings back what was added later, too");
}

#[test]
fn a_chain_that_grew_link_by_link_falls_without_a_stack() {
    let mut bench = Bench::new(&[one(&[])]);
    let size = 50_000;
    (1..size).for_each(|place| bench.extend(&[one(&[place - 1])]).unwrap());
    bench.effects.clear();
    bench.end(1, TaskState::Failed);
    assert_eq!(bench.effects.closed.iter().map(|one| one.tasks.count).sum::<u32>(), size - 1);
    assert_eq!(bench.effects.finished, [GraphId(1)]);
    bench.graphs.check();
}
