//! Random use against a sorted list, and the order in which tasks leave.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::resources::Resources;

const SMALL: ShapeId = ShapeId(0);
const LARGE: ShapeId = ShapeId(1);

fn range(first: u64, count: u32) -> TaskRange {
    TaskRange { first: TaskId(first), count }
}

/// Tasks of one tenant: what one need costs more than the other is of no matter then.
fn push(queue: &mut Queue, tasks: impl Into<TaskRange>, shape: ShapeId, arrival: Arrival) {
    queue.push(tasks, shape, &Demand::resources(Resources::cpus(1000)), arrival);
}

fn pop(queue: &mut Queue, fits: impl Fn(ShapeId) -> bool) -> Option<Taken> {
    let fitting = (0..4).map(ShapeId).filter(|shape| fits(*shape)).collect();
    queue.pick(&Pick { want: 1, fitting, ..Pick::default() }).pop()
}

fn popped(queue: &mut Queue, fits: impl Fn(ShapeId) -> bool) -> Option<u64> {
    pop(queue, fits).map(|taken| taken.task.0)
}

#[test]
fn tasks_leave_in_the_order_of_their_arrival_whatever_they_need() {
    let mut queue = Queue::new();
    push(&mut queue, range(10, 2), SMALL, Arrival(1));
    push(&mut queue, TaskId(5), LARGE, Arrival(3));
    push(&mut queue, TaskId(4), SMALL, Arrival(4));
    let all: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    assert_eq!(all, [10, 11, 5, 4]);
    queue.check();
}

#[test]
fn a_task_that_does_not_fit_keeps_its_place_and_blocks_nobody() {
    let mut queue = Queue::new();
    push(&mut queue, TaskId(1), LARGE, Arrival(1));
    push(&mut queue, range(2, 3), SMALL, Arrival(2));
    assert_eq!(popped(&mut queue, |shape| shape == SMALL), Some(2));
    assert_eq!(popped(&mut queue, |_| false), None);
    assert_eq!(popped(&mut queue, |_| true), Some(1));
    assert_eq!((popped(&mut queue, |_| true), queue.len()), (Some(3), 1));
}

#[test]
fn a_task_that_comes_back_has_its_old_place() {
    let mut queue = Queue::new();
    push(&mut queue, range(1, 5), SMALL, Arrival(1));
    let taken: Vec<_> = (0..3).filter_map(|_| pop(&mut queue, |_| true)).collect();
    queue.put_back(taken[2]);
    queue.put_back(taken[0]);
    assert_eq!(queue.oldest(), Some(Arrival(1)));
    let rest: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    assert_eq!(rest, [1, 3, 4, 5]);
}

#[test]
fn who_left_and_came_again_waits_at_the_new_place_only() {
    let mut queue = Queue::new();
    push(&mut queue, TaskId(2), SMALL, Arrival(1));
    push(&mut queue, TaskId(9), SMALL, Arrival(2));
    push(&mut queue, TaskId(1), SMALL, Arrival(3));
    queue.remove(range(1, 2), SMALL);
    push(&mut queue, TaskId(2), SMALL, Arrival(4));
    assert_eq!(queue.len(), 2);
    queue.check();
    let rest: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    assert_eq!(rest, [9, 2]);
}

#[test]
fn those_who_stay_among_many_that_leave_keep_their_order() {
    let mut queue = Queue::new();
    push(&mut queue, range(1, 200), SMALL, Arrival(1));
    let back = pop(&mut queue, |_| true).unwrap();
    push(&mut queue, range(500, 10), SMALL, Arrival(201));
    queue.put_back(back);
    (2..=200).filter(|task| task % 5 != 0).for_each(|task| queue.remove(TaskId(task), SMALL));
    queue.check();
    let rest: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    let expected: Vec<u64> = [1].into_iter().chain((1..=40).map(|task| task * 5)).chain(500..510).collect();
    assert_eq!(rest, expected);
}

#[test]
fn a_million_that_leave_at_once_cost_one_entry() {
    let mut queue = Queue::new();
    push(&mut queue, TaskId(1), SMALL, Arrival(0));
    push(&mut queue, range(10, 1_000_000), SMALL, Arrival(1));
    queue.remove(range(10, 999_999), SMALL);
    queue.check();
    assert_eq!((popped(&mut queue, |_| true), queue.len()), (Some(1), 1));
    assert_eq!(queue.lanes().collect::<Vec<_>>(), [(SMALL, Arrival(1_000_000), 1)]);
    queue.remove(TaskId(1_000_009), SMALL);
    assert!(queue.is_empty() && queue.oldest().is_none() && queue.lanes().next().is_none());
    queue.check();
}

#[test]
fn single_tasks_take_no_more_than_32_bytes_each() {
    let mut queue = Queue::new();
    for number in 0..100_001 {
        push(&mut queue, TaskId(1_000_000 - 2 * number), SMALL, Arrival(number));
    }
    assert!(queue.bytes() < 100_001 * 32, "{}", queue.bytes());
}

#[derive(Debug, Clone)]
enum Step {
    Push(u64, u32),
    Pop(u8),
    PutBack(usize),
    Remove(u64, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..40, 1_u32..8).prop_map(|(first, count)| Step::Push(first, count)),
        3 => (1_u8..8).prop_map(Step::Pop),
        1 => any::<usize>().prop_map(Step::PutBack),
        3 => (0_u64..40, 1_u32..8).prop_map(|(first, count)| Step::Remove(first, count)),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #[test]
    fn it_answers_as_a_sorted_list_would(steps in steps()) {
        let mut queue = Queue::new();
        let mut list: BTreeMap<Arrival, (TaskId, ShapeId)> = BTreeMap::new();
        let mut taken: Vec<Taken> = Vec::new();
        // The need of a task never changes; blocks of ten tasks need alike.
        let shape_of = |task: u64| ShapeId(u32::try_from(task).unwrap() / 10 % 3);
        let mut arrival = Arrival(0);
        for step in steps {
            let inside: BTreeSet<_> = list.values().map(|(task, _)| *task).collect();
            match step {
                Step::Push(first, count) => {
                    let fresh = range(first, count).iter().take_while(|task| {
                        !inside.contains(task)
                            && taken.iter().all(|one| one.task != *task)
                            && shape_of(task.0) == shape_of(first)
                    });
                    let fresh = range(first, u32::try_from(fresh.count()).unwrap());
                    push(&mut queue, fresh, shape_of(first), arrival);
                    for task in fresh.iter() {
                        list.insert(arrival, (task, shape_of(first)));
                        arrival = arrival.after(1);
                    }
                }
                Step::Pop(mask) => {
                    let fits = |shape: ShapeId| mask & (1 << shape.0) != 0;
                    let expected = list.iter().find(|(_, (_, shape))| fits(*shape)).map(|(arrival, _)| *arrival);
                    let popped = pop(&mut queue, fits);
                    prop_assert_eq!(popped.map(|one| one.arrival), expected);
                    if let Some(one) = popped {
                        prop_assert_eq!(list.remove(&one.arrival), Some((one.task, one.shape)));
                        taken.push(one);
                    }
                }
                Step::PutBack(which) if !taken.is_empty() => {
                    let one = taken.swap_remove(which % taken.len());
                    queue.put_back(one);
                    list.insert(one.arrival, (one.task, one.shape));
                }
                Step::PutBack(_) => taken.clear(),
                Step::Remove(first, count) => {
                    let leaving = range(first, count).iter().take_while(|task| {
                        inside.contains(task) && shape_of(task.0) == shape_of(first)
                    });
                    let leaving = range(first, u32::try_from(leaving.count()).unwrap());
                    queue.remove(leaving, shape_of(first));
                    list.retain(|_, (task, _)| !leaving.contains(*task));
                }
            }
            queue.check();
            prop_assert_eq!(queue.len(), list.len() as u64);
            prop_assert_eq!(queue.oldest(), list.keys().next().copied());
        }
    }
}

#[test]
fn before_a_task_of_one_tenant_is_who_came_earlier_and_fits() {
    let mut queue = Queue::new();
    push(&mut queue, TaskRange { first: TaskId(1), count: 3 }, ShapeId(0), Arrival(1));
    push(&mut queue, TaskRange { first: TaskId(10), count: 2 }, ShapeId(1), Arrival(4));
    let both = [ShapeId(0), ShapeId(1)];
    let ahead = |queue: &Queue, task, shape, first: &[ShapeId]| {
        queue.ahead(TaskId(task), ShapeId(shape), &both, first).map(|ahead| (ahead.own, ahead.first))
    };
    assert_eq!(ahead(&queue, 11, 1, &[]), Some((4, Some(TaskId(1)))));
    assert_eq!(ahead(&queue, 11, 1, &[ShapeId(1)]), Some((4, Some(TaskId(10)))), "an aged line goes first");
    assert_eq!(ahead(&queue, 1, 0, &[]), Some((0, None)));
    let fits = [ShapeId(1)];
    let passed = queue.ahead(TaskId(11), ShapeId(1), &fits, &[]).unwrap();
    assert_eq!((passed.own, passed.first), (1, Some(TaskId(10))), "what fits nowhere is passed");
    let first = pop(&mut queue, |_| true).unwrap();
    assert_eq!(ahead(&queue, 3, 0, &[]), Some((1, Some(TaskId(2)))));
    queue.put_back(first);
    queue.remove(TaskId(2), ShapeId(0));
    assert_eq!(ahead(&queue, 3, 0, &[]), Some((1, Some(TaskId(1)))), "who has left is before nobody");
    assert_eq!(ahead(&queue, 99, 0, &[]), None);
}

/// Turns between tenants, and lines that have waited.
mod turns {
    use std::time::Duration;

    use super::*;
    use crate::ageing::{Ageing, Calendar};
    use crate::task::Priority;
    use crate::time::Moment;

    fn demand(tenant: &str) -> Demand {
        Demand { tenant: tenant.into(), ..Demand::resources(Resources::cpus(1000)) }
    }

    fn scale(weights: &[(&str, u32)]) -> Arc<Scale> {
        let weights = weights.iter().map(|(name, weight)| ((*name).into(), *weight)).collect();
        Arc::new(Scale { fleet: Resources::cpus(2000), weights: Arc::new(weights) })
    }

    /// Takes `count`, one at a time, of which two run at a time.
    fn starts(queue: &mut Queue, count: usize, fitting: &[ShapeId]) -> Vec<ShapeId> {
        let (mut running, mut started) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let pick = Pick { want: 1, fitting: fitting.into(), ..Pick::default() };
            running.extend(queue.pick(&pick).into_iter().map(|taken| taken.shape));
            started.extend(running.last());
            if running.len() > 1 {
                queue.ended(&[running.remove(0)]);
            }
            queue.check();
        }
        queue.ended(&running);
        started
    }

    #[test]
    fn four_tasks_behind_four_hundred_of_another_tenant_start_among_the_next_nine() {
        let mut queue = Queue::new();
        queue.rescale(&scale(&[]));
        queue.push(range(1, 400), SMALL, &demand("first"), Arrival(1));
        queue.push(range(500, 4), LARGE, &demand("second"), Arrival(401));
        let started = starts(&mut queue, 9, &[SMALL, LARGE]);
        assert_eq!(started.iter().filter(|shape| **shape == LARGE).count(), 4, "{started:?}");
    }

    #[test]
    fn weights_that_are_configured_are_read_and_may_change() {
        let mut queue = Queue::new();
        queue.push(range(1, 1000), SMALL, &demand("first"), Arrival(1));
        queue.push(range(2000, 1000), LARGE, &demand("second"), Arrival(1001));
        let second = |queue: &mut Queue| {
            starts(queue, 80, &[SMALL, LARGE]).iter().filter(|shape| **shape == LARGE).count()
        };
        queue.rescale(&scale(&[("second", 3)]));
        assert!((58..=62).contains(&second(&mut queue)));
        queue.rescale(&scale(&[("first", 3)]));
        assert!((18..=22).contains(&second(&mut queue)));
    }

    #[test]
    fn within_a_tenant_the_first_come_is_first_served_whatever_it_needs() {
        let mut queue = Queue::new();
        queue.push(TaskId(9), SMALL, &demand("one"), Arrival(1));
        queue.push(TaskId(1), LARGE, &demand("one"), Arrival(2));
        queue.push(TaskId(5), SMALL, &demand("one"), Arrival(3));
        let pick = Pick { want: 3, fitting: [SMALL, LARGE].into(), ..Pick::default() };
        let taken: Vec<_> = queue.pick(&pick).iter().map(|taken| taken.task.0).collect();
        assert_eq!(taken, [9, 1, 5], "by arrival, not by id");
    }

    #[test]
    fn what_is_held_from_before_counts_and_is_given_back() {
        let mut queue = Queue::new();
        queue.rescale(&scale(&[]));
        queue.holds(SMALL, &demand("first"));
        queue.holds(SMALL, &demand("first"));
        queue.check();
        assert_eq!(queue.accounts().map(|(account, waiting)| (account.active, waiting)).next(), Some((2, 0)));
        queue.ended(&[SMALL, SMALL, SMALL, LARGE]);
        queue.check();
        assert_eq!(queue.accounts().count(), 0, "and what is not held cannot be given back");
    }

    /// The ladder of Low for who came before `minutes` minutes ago ended at `arrivals`, in turn.
    fn waited(arrivals: &[(u64, Arrival)]) -> Ladder {
        let (ageing, mut calendar) = (Ageing::default(), Calendar::default());
        let now = Moment(1 << 40);
        for (minutes, next) in arrivals {
            calendar.mark(now - Duration::from_secs(60 * minutes), *next, &ageing);
        }
        calendar.ladder(Priority::Low, now, &ageing)
    }

    #[test]
    fn only_the_first_of_a_line_ages_and_a_line_that_is_served_waits_anew() {
        let mut queue = Queue::new();
        queue.push(range(1, 1_000_000), SMALL, &demand("one"), Arrival(1));
        let ladder = waited(&[(3, Arrival(1_000_001)), (1, Arrival(1_000_002))]);
        let aged = queue.aged(&ladder);
        assert_eq!(aged.len(), 1);
        assert_eq!(
            (aged[0].task, aged[0].standing.class, aged[0].is_news),
            (TaskId(1), Priority::Critical, true)
        );
        assert!(!queue.aged(&ladder)[0].is_news, "it is news once");
        let first = Pick { first: vec![SMALL], now: Arrival(1_000_002), ..Pick::default() };
        let taken = queue.pick(&first);
        assert_eq!(queue.aged(&ladder), [], "those behind waited for their own line");
        queue.put_back(taken[0]);
        assert_eq!(queue.aged(&ladder).len(), 1, "what did not start has waited as long as before");
        queue.check();
    }

    #[test]
    fn whoever_is_named_first_is_taken_before_anybodys_turn() {
        let mut queue = Queue::new();
        queue.push(range(1, 9), SMALL, &demand("one"), Arrival(1));
        queue.push(range(20, 9), LARGE, &demand("two"), Arrival(10));
        let pick = Pick {
            first: vec![LARGE, ShapeId(7)],
            want: 1,
            fitting: [SMALL].into(),
            now: Arrival(19),
            ..Pick::default()
        };
        let taken: Vec<_> = queue.pick(&pick).iter().map(|taken| taken.task.0).collect();
        assert_eq!(taken, [20, 1]);
    }

    #[test]
    fn a_thousand_tenants_and_a_million_tasks_are_picked_from_as_fast_as_one() {
        let mut queue = Queue::new();
        queue.rescale(&scale(&[]));
        let fitting: Arc<[ShapeId]> = (0..1000).map(ShapeId).collect();
        for number in 0..1000 {
            let arrival = Arrival(u64::from(number) * 1000 + 1);
            queue.push(
                range(arrival.0, 1000),
                ShapeId(number),
                &demand(&format!("tenant-{number}")),
                arrival,
            );
        }
        let taken = queue.pick(&Pick { want: 1000, fitting, ..Pick::default() });
        let mut shapes: Vec<_> = taken.iter().map(|taken| taken.shape).collect();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), 1000, "each has one");
        assert!(queue.bytes() < 1_000_000);
    }
}

#[test]
fn a_line_that_was_served_before_a_restart_waits_since_then() {
    let mut queue = Queue::new();
    let demand = Demand::resources(Resources::cpus(1000));
    queue.push(TaskId(1), ShapeId(1), &demand, Arrival(5));
    queue.was_served(ShapeId(1), Arrival(9));
    queue.was_served(ShapeId(2), Arrival(9));
    let pick = Pick { want: 1, fitting: vec![ShapeId(1)].into(), now: Arrival(20), ..Pick::default() };
    let [taken] = &*queue.pick(&pick) else { panic!("one waits") };
    assert_eq!((taken.arrival, taken.since), (Arrival(5), Arrival(9)));
}
