//! Verdicts and estimates, and that who is said to be before a task is who is started before it.

use proptest::prelude::*;

use super::*;
use crate::ageing::Standing;
use crate::demand::Demand;
use crate::queue::{AgedLine, Arrival, Pick, Queue};
use crate::resources::Resources;

fn full(never: bool) -> Hindrance {
    Hindrance::NoNode { never, nodes: Vec::new() }
}

fn behind(tasks: u64) -> Ahead {
    Ahead { tasks, ..Ahead::default() }
}

#[test]
fn the_gravest_hindrance_is_the_verdict() {
    assert_eq!(of_ready(&[], &behind(0)), Verdict::RunsNext);
    assert_eq!(of_ready(&[], &behind(1)), Verdict::NotNow);
    assert_eq!(of_ready(&[], &Ahead { priorities: [0, 0, 0, 1], ..behind(0) }), Verdict::NotNow);
    assert_eq!(of_ready(&[full(false)], &behind(0)), Verdict::NotNow);
    assert_eq!(of_ready(&[full(false), full(true)], &behind(0)), Verdict::NeverFits);
}

#[test]
fn an_estimate_says_what_it_goes_by_and_is_none_without_a_history() {
    let second = Duration::from_secs(1);
    let (task, priority) = (TaskId(1), Priority::Low);
    let holding = |free_in| Holding { task, priority, node: "a".into(), held_for: second, free_in };
    let start_in = |tasks, lately, as_a_rule, holdings: &[Holding]| {
        let at = (Verdict::NotNow, Timestamp(0));
        estimate(at, &behind(tasks), Pace { lately, as_a_rule }, holdings).map(|one| one.start_in)
    };
    assert_eq!(start_in(4, None, None, &[holding(None)]), None);
    assert_eq!(start_in(4, Some(second), Some(9 * second), &[]), Some(4 * second));
    assert_eq!(start_in(4, None, Some(2 * second), &[]), Some(8 * second));
    let held = [holding(Some(3 * second)), holding(Some(2 * second))];
    assert_eq!(start_in(0, Some(second), None, &held), Some(2 * second));
}

#[test]
fn nothing_is_promised_by_what_has_run_longer_than_usual() {
    let (task, priority, held_for) = (TaskId(1), Priority::Low, Duration::from_secs(60));
    let holding = |seconds| Holding {
        task,
        priority,
        node: "a".into(),
        held_for,
        free_in: Some(Duration::from_secs(seconds)),
    };
    let told = |holdings: &[Holding]| {
        estimate((Verdict::NotNow, Timestamp(0)), &behind(0), Pace::default(), holdings)
            .expect("it has a history")
    };
    let overdue = told(&[holding(9), holding(0)]);
    assert!(overdue.is_at_any_moment() && overdue.by.contains("longer than usual"), "{overdue:?}");
    assert!(!told(&[holding(9)]).is_at_any_moment());
}

#[test]
fn an_estimate_is_never_before_it_may_start_and_none_where_waiting_does_not_help() {
    let second = Duration::from_secs(1);
    let pace = Pace { lately: Some(second), as_a_rule: None };
    let start_in = |verdict, tasks| {
        estimate((verdict, Timestamp(1_000_000)), &behind(tasks), pace, &[]).map(|one| one.start_in)
    };
    let parked = Verdict::ParkedUntil(Timestamp(6_000_000));
    assert_eq!(start_in(parked, 1), Some(5 * second));
    assert_eq!(start_in(parked, 0), Some(5 * second));
    assert_eq!(start_in(parked, 9), Some(9 * second), "others are before it for longer");
    assert_eq!(start_in(Verdict::NeverFits, 8), None);
}

/// Four queues and their order, with needs of three tenants: two of each.
struct House {
    queues: [Queue; 4],
    order: Order,
    next: Arrival,
    waiting: Vec<(TaskId, Priority, ShapeId)>,
}

fn demand(shape: ShapeId) -> Demand {
    let tenant = ["ann", "bob", "cid"][shape.0 as usize % 3].into();
    Demand { tenant, ..Demand::resources(Resources::cpus(500 + 700 * u64::from(shape.0))) }
}

impl House {
    fn new() -> Self {
        let mut house = Self {
            queues: PRIORITIES.map(|_| Queue::new()),
            order: Order::default(),
            next: Arrival(1),
            waiting: Vec::new(),
        };
        let scale = crate::queue::Scale { fleet: Resources::cpus(16_000), ..crate::queue::Scale::default() };
        let scale = Arc::new(scale);
        house.queues.iter_mut().for_each(|queue| queue.rescale(&scale));
        house
    }

    fn push(&mut self, priority: Priority, shape: ShapeId) {
        let task = TaskId(self.next.0);
        self.queues[priority as usize].push(task, shape, &demand(shape), self.next);
        self.waiting.push((task, priority, shape));
        self.next = self.next.after(1);
    }

    fn counts(&self) -> [u64; 4] {
        PRIORITIES.map(|one| self.queues[one as usize].len())
    }

    /// As a round of the scheduler does it: so many starts, all of which find room.
    fn start(&mut self, most: u32, fitting: &Arc<[ShapeId]>) -> Vec<TaskId> {
        let mut plan = self.order.plan(most, self.counts(), |_, _| true);
        let mut started = Vec::new();
        for one in PRIORITIES {
            let first = std::mem::take(&mut plan.first[one as usize]);
            let pick = Pick {
                first,
                want: plan.want[one as usize],
                fitting: Arc::clone(fitting),
                now: self.next,
                ..Pick::default()
            };
            for taken in self.queues[one as usize].pick(&pick) {
                let turn = self.order.served(one, taken.shape);
                self.order.started(turn);
                started.push(taken.task);
            }
        }
        self.waiting.retain(|(task, ..)| !started.contains(task));
        started
    }

    fn ahead(&self, (task, priority, shape): (TaskId, Priority, ShapeId), fitting: &[ShapeId]) -> Ahead {
        let first = self.order.top(priority);
        let there = self.queues[priority as usize].ahead(task, shape, fitting, &first).expect("it waits");
        Ahead::of(there, priority, self.order.clone(), self.counts(), |_, _| true)
    }
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(&PRIORITIES[..])
}

proptest! {
    /// With as many starts as are said to be before it a task is not started, and with one more it is: whatever was
    /// started before, whoever has waited long.
    #[test]
    fn who_is_said_to_be_before_a_task_is_started_before_it(
        before in prop::collection::vec((priority(), 0_u32..6), 0..20),
        waits in prop::collection::vec((priority(), 0_u32..6), 1..40),
        aged in prop::collection::vec((priority(), 0_u32..6), 0..3),
        which in any::<prop::sample::Index>(),
    ) {
        let fitting: Arc<[ShapeId]> = (0..6).map(ShapeId).collect();
        let mut house = House::new();
        before.iter().for_each(|(priority, shape)| house.push(*priority, ShapeId(*shape)));
        house.start(u32::try_from(before.len() / 2).expect("few"), &fitting);
        waits.iter().for_each(|(priority, shape)| house.push(*priority, ShapeId(*shape)));
        for (born, shape) in aged {
            let first = house.waiting.iter().find(|(_, priority, of)| (*priority, of.0) == (born, shape));
            let standing = Standing { class: Priority::Critical, is_late: true };
            let line = first.map(|(task, _, shape)| AgedLine {
                shape: *shape, task: *task, since: Arrival(task.0), standing, is_news: true,
            });
            house.order.aged(born, line);
        }
        let target = house.waiting[which.index(house.waiting.len())];
        let ahead = house.ahead(target, &fitting);
        prop_assert!(ahead.is_exact);
        let total = u32::try_from(ahead.total()).expect("few");
        let started = house.start(total + 1, &fitting);
        prop_assert_eq!(started.len(), total as usize + 1);
        prop_assert!(started.contains(&target.0), "{ahead:?} before {target:?}, and {started:?} were started");
        prop_assert_eq!(of_ready(&[], &ahead) == Verdict::RunsNext, total == 0);
    }

    #[test]
    fn with_no_more_starts_than_are_before_it_a_task_is_not_started(
        waits in prop::collection::vec((priority(), 0_u32..6), 1..60),
        which in any::<prop::sample::Index>(),
    ) {
        let fitting: Arc<[ShapeId]> = (0..6).map(ShapeId).collect();
        let mut house = House::new();
        waits.iter().for_each(|(priority, shape)| house.push(*priority, ShapeId(*shape)));
        let target = house.waiting[which.index(house.waiting.len())];
        let ahead = house.ahead(target, &fitting);
        let started = house.start(u32::try_from(ahead.total()).expect("few"), &fitting);
        prop_assert!(!started.contains(&target.0), "{ahead:?} before {target:?}, and {started:?} were started");
        let of_priority = started.iter().filter(|task| waits[usize::try_from(task.0 - 1).expect("few")].0 == target.1);
        prop_assert_eq!(of_priority.count() as u64, ahead.tasks);
    }
}

/// What stands far back is worked out in proportion: the exact answer is not far from it.
#[test]
fn far_back_the_number_is_near_what_is_started_before() {
    let fitting: Arc<[ShapeId]> = (0..6).map(ShapeId).collect();
    let mut house = House::new();
    (0..30_000).for_each(|place| house.push(Priority::Normal, ShapeId(place % 3)));
    let target = *house.waiting.last().expect("many");
    let ahead = house.ahead(target, &fitting);
    assert!(!ahead.is_exact);
    assert!((29_000..=30_000).contains(&ahead.total()), "{}", ahead.total());
}
