//! Random use against a sorted list, and the order in which tasks leave.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SMALL: ShapeId = ShapeId(0);
const LARGE: ShapeId = ShapeId(1);

fn range(first: u64, count: u32) -> TaskRange {
    TaskRange { first: TaskId(first), count }
}

fn popped(queue: &mut Queue, fits: impl Fn(ShapeId) -> bool) -> Option<u64> {
    queue.pop(fits).map(|taken| taken.task.0)
}

#[test]
fn tasks_leave_in_the_order_of_their_arrival_whatever_they_need() {
    let mut queue = Queue::new();
    queue.push(range(10, 2), SMALL, Arrival(1));
    queue.push(TaskId(5), LARGE, Arrival(3));
    queue.push(TaskId(4), SMALL, Arrival(4));
    let all: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    assert_eq!(all, [10, 11, 5, 4]);
    queue.check();
}

#[test]
fn a_task_that_does_not_fit_keeps_its_place_and_blocks_nobody() {
    let mut queue = Queue::new();
    queue.push(TaskId(1), LARGE, Arrival(1));
    queue.push(range(2, 3), SMALL, Arrival(2));
    assert_eq!(popped(&mut queue, |shape| shape == SMALL), Some(2));
    assert_eq!(popped(&mut queue, |_| false), None);
    assert_eq!(popped(&mut queue, |_| true), Some(1));
    assert_eq!((popped(&mut queue, |_| true), queue.len()), (Some(3), 1));
}

#[test]
fn a_task_that_comes_back_has_its_old_place() {
    let mut queue = Queue::new();
    queue.push(range(1, 5), SMALL, Arrival(1));
    let taken: Vec<_> = (0..3).filter_map(|_| queue.pop(|_| true)).collect();
    queue.put_back(taken[2]);
    queue.put_back(taken[0]);
    assert_eq!(queue.oldest(), Some(Arrival(1)));
    let rest: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    assert_eq!(rest, [1, 3, 4, 5]);
}

#[test]
fn who_left_and_came_again_waits_at_the_new_place_only() {
    let mut queue = Queue::new();
    queue.push(TaskId(2), SMALL, Arrival(1));
    queue.push(TaskId(9), SMALL, Arrival(2));
    queue.push(TaskId(1), SMALL, Arrival(3));
    queue.remove(range(1, 2), SMALL);
    queue.push(TaskId(2), SMALL, Arrival(4));
    assert_eq!(queue.len(), 2);
    queue.check();
    let rest: Vec<_> = std::iter::from_fn(|| popped(&mut queue, |_| true)).collect();
    assert_eq!(rest, [9, 2]);
}

#[test]
fn those_who_stay_among_many_that_leave_keep_their_order() {
    let mut queue = Queue::new();
    queue.push(range(1, 200), SMALL, Arrival(1));
    let back = queue.pop(|_| true).unwrap();
    queue.push(range(500, 10), SMALL, Arrival(201));
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
    queue.push(TaskId(1), SMALL, Arrival(0));
    queue.push(range(10, 1_000_000), SMALL, Arrival(1));
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
        queue.push(TaskId(1_000_000 - 2 * number), SMALL, Arrival(number));
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
                    queue.push(fresh, shape_of(first), arrival);
                    for task in fresh.iter() {
                        list.insert(arrival, (task, shape_of(first)));
                        arrival = arrival.after(1);
                    }
                }
                Step::Pop(mask) => {
                    let fits = |shape: ShapeId| mask & (1 << shape.0) != 0;
                    let expected = list.iter().find(|(_, (_, shape))| fits(*shape)).map(|(arrival, _)| *arrival);
                    let popped = queue.pop(fits);
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
fn who_is_before_a_task_is_who_came_earlier_whatever_it_needs() {
    let mut queue = Queue::new();
    queue.push(TaskRange { first: TaskId(1), count: 3 }, ShapeId(0), Arrival(1));
    queue.push(TaskRange { first: TaskId(10), count: 2 }, ShapeId(1), Arrival(4));
    assert_eq!(queue.line(TaskId(11), ShapeId(1)), Line { before: 4, first: Some(TaskId(1)) });
    assert_eq!(queue.line(TaskId(1), ShapeId(0)), Line::default());
    let first = queue.pop(|_| true).unwrap();
    assert_eq!(queue.line(TaskId(3), ShapeId(0)), Line { before: 1, first: Some(TaskId(2)) });
    queue.put_back(first);
    assert_eq!(queue.line(TaskId(2), ShapeId(0)), Line { before: 1, first: Some(TaskId(1)) });
    assert_eq!(queue.line(TaskId(99), ShapeId(0)), Line::default(), "nobody is before one that is not here");
}
