//! What a round asks for, and the bound on waiting, by a model of a node under a flood.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use strum::VariantArray;

use super::*;
use crate::ageing::{Ageing, Calendar, Mode, Standing};
use crate::demand::Demand;
use crate::id::TaskId;
use crate::queue::{Pick, Queue};
use crate::resources::Resources;
use crate::time::Moment;

fn line(shape: u32, since: u64, class: Priority) -> AgedLine {
    let standing = Standing { class, is_late: false };
    AgedLine { shape: ShapeId(shape), task: TaskId(since), since: Arrival(since), standing, is_news: true }
}

#[test]
fn lines_at_the_top_are_served_first_and_the_oldest_of_them_before() {
    let mut order = Order::default();
    order.aged(Priority::Low, [line(1, 7, Priority::Critical), line(2, 3, Priority::Critical)]);
    order.aged(Priority::Normal, [line(3, 5, Priority::Critical)]);
    let plan = order.plan(2, [9, 9, 9, 9], |_, _| true);
    assert_eq!(plan.first, [vec![ShapeId(2)], vec![ShapeId(3)], vec![], vec![]]);
    assert_eq!(plan.want, [0; 4]);
    let plan = order.plan(2, [9, 9, 9, 9], |_, _| true);
    assert_eq!((&plan.first[0], plan.want), (&vec![ShapeId(1)], [0, 0, 0, 1]), "then by the slices");
}

#[test]
fn a_line_that_has_climbed_is_served_in_the_slice_of_its_class_before_those_born_there() {
    let mut order = Order::default();
    order.aged(Priority::Low, [line(1, 3, Priority::High)]);
    let plan = order.plan(2, [5, 0, 5, 5], |_, _| true);
    assert_eq!((plan.first[0].len(), plan.want), (1, [0, 0, 0, 1]), "one of Critical, one of High");
    let plan = order.plan(100, [500, 0, 500, 500], |_, _| true);
    assert_eq!(plan.want.iter().sum::<u32>(), 100, "once");
}

#[test]
fn an_aged_line_that_does_not_fit_waits_and_stands_in_nobodys_way() {
    let mut order = Order::default();
    order.aged(Priority::Low, [line(1, 3, Priority::Critical), line(2, 4, Priority::High)]);
    let plan = order.plan(3, [0, 0, 0, 5], |_, _| false);
    assert_eq!((plan.first, plan.want), (<[Vec<ShapeId>; 4]>::default(), [0, 0, 0, 3]));
    assert_eq!(order.plan(3, [5, 0, 0, 5], |_, _| true).first[0], [ShapeId(1), ShapeId(2)]);
}

#[test]
fn a_line_whose_first_went_back_is_aged_still() {
    let mut order = Order::default();
    order.aged(Priority::Low, [line(1, 3, Priority::Critical)]);
    assert_eq!(order.plan(1, [1, 0, 0, 1], |_, _| true).asked(Priority::Low), 1);
    let turn = order.served(Priority::Low, ShapeId(1));
    order.put_back(turn, Arrival(3));
    assert_eq!(order.plan(1, [1, 0, 0, 1], |_, _| true).asked(Priority::Low), 1);
    let turn = order.served(Priority::Low, ShapeId(1));
    order.put_back(turn, Arrival(4));
    assert_eq!(order.plan(1, [0, 0, 0, 1], |_, _| true).asked(Priority::Low), 0, "another task did");
}

#[test]
fn of_a_line_that_has_climbed_no_more_are_asked_than_there_are() {
    let mut order = Order::default();
    for since in 0..40 {
        order.aged(Priority::Normal, [line(1, since, Priority::High)]);
        let plan = order.plan(5, [0, 1, 0, 0], |_, _| true);
        assert_eq!(
            plan.asked(Priority::Normal),
            1,
            "round {since}: the only one that waits, in whatever turn"
        );
        let turn = order.served(Priority::Normal, ShapeId(1));
        order.started(turn);
    }
}

/// The priorities of a round's starts, in their order.
fn starts(order: &mut Order, most: u32, fitting: [u64; 4]) -> Vec<(TurnId, Priority)> {
    let plan = order.plan(most, fitting, |_, _| true);
    let of = |order: &mut Order, born: Priority| -> Vec<_> {
        (0..plan.want[born as usize]).map(|_| (order.served(born, ShapeId(0)), born)).collect()
    };
    let mut starts: Vec<_> = PRIORITIES.into_iter().flat_map(|born| of(order, born)).collect();
    starts.sort();
    starts
}

#[test]
fn every_beginning_of_a_round_is_shared_out_as_the_whole_is() {
    let mut order = Order::default();
    let mut counts = [0_u32; 4];
    for (place, (_, born)) in (1..).zip(starts(&mut order, 200, [500; 4])) {
        counts[born as usize] += 1;
        for (count, share) in counts.into_iter().zip([5, 15, 30, 50]) {
            assert!((count * 100).abs_diff(place * share) <= 100, "{counts:?} of {place}");
        }
    }
}

#[test]
fn what_finds_no_room_costs_its_priority_nothing_and_the_next_round_begins_with_it() {
    let mut order = Order::default();
    for _ in 0..50 {
        let starts = starts(&mut order, 20, [500; 4]);
        let (first, others): (Vec<_>, Vec<_>) = starts.into_iter().partition(|(turn, _)| turn.0 < 3);
        first.into_iter().for_each(|(turn, _)| order.started(turn));
        others.into_iter().for_each(|(turn, _)| order.put_back(turn, Arrival(0)));
    }
    let mut counts = [0_u32; 4];
    starts(&mut order, 100, [500; 4]).into_iter().for_each(|(_, born)| counts[born as usize] += 1);
    assert!(
        counts.iter().zip([5, 15, 30, 50]).all(|(count, share)| count.abs_diff(share) <= 1),
        "{counts:?}"
    );
}

#[test]
fn what_runs_out_in_the_middle_of_a_round_earns_nothing_after_that() {
    let mut order = Order::default();
    starts(&mut order, 200, [100, 2, 2, 2]).into_iter().for_each(|(turn, _)| order.started(turn));
    let mut counts = [0_u32; 4];
    starts(&mut order, 10, [500; 4]).into_iter().for_each(|(_, born)| counts[born as usize] += 1);
    assert_eq!(counts.iter().sum::<u32>(), 10);
    assert!((4..=6).contains(&counts[3]), "{counts:?}");
}

#[test]
fn a_line_at_the_top_is_paid_for_by_its_own_priority_alone() {
    for (born, pays) in [(Priority::Low, false), (Priority::Critical, true)] {
        let mut order = Order::default();
        order.aged(born, [line(1, 3, Priority::Critical)]);
        order.plan(1, [9; 4], |_, _| true);
        let turn = order.served(born, ShapeId(1));
        order.started(turn);
        let next = starts(&mut order, 1, [9; 4])[0].1;
        assert_eq!(next == Priority::Critical, !pays, "{born}");
    }
}

#[test]
fn shares_that_are_configured_are_read() {
    let mut order = Order::default();
    order.set_shares(Fairness::TimeSlice, Shares { critical: 10, high: 20, normal: 30, low: 40 }).unwrap();
    assert_eq!(order.plan(100, [100; 4], |_, _| true).want, [40, 30, 20, 10]);
    assert!(
        order
            .set_shares(Fairness::TimeSlice, Shares { critical: 10, high: 20, normal: 30, low: 50 })
            .is_err()
    );
    assert_eq!(
        order.plan(100, [100; 4], |_, _| true).want,
        [40, 30, 20, 10],
        "what is refused changes nothing"
    );
}

#[test]
fn under_the_strict_rule_only_age_goes_before_what_is_more_urgent() {
    let mut order = Order::default();
    order.set_shares(Fairness::Strict, Shares::default()).unwrap();
    assert_eq!(order.plan(10, [100, 100, 3, 4], |_, _| true).want, [0, 3, 3, 4]);
    order.aged(Priority::Low, [line(1, 3, Priority::Critical)]);
    let plan = order.plan(10, [100, 100, 100, 100], |_, _| true);
    assert_eq!((&plan.first[0][..], plan.want), (&[ShapeId(1)][..], [0, 0, 0, 9]));
}

/// A node of `slots` on which every task takes `lasts`, the four queues, and one round after the other.
struct Flood {
    ageing: Ageing,
    calendar: Calendar,
    order: Order,
    queues: [Queue; 4],
    waiting: [u64; 4],
    now: Moment,
    next: Arrival,
    /// All starts: what, when, and since when its line had waited.
    starts: Vec<(TaskId, Moment, Arrival)>,
}

const SMALL: ShapeId = ShapeId(0);
const BIG: ShapeId = ShapeId(1);

impl Flood {
    fn new(ageing: Ageing) -> Self {
        Self {
            ageing,
            calendar: Calendar::default(),
            order: Order::default(),
            queues: Default::default(),
            waiting: [0; 4],
            now: Moment(1 << 40),
            next: Arrival(1),
            starts: Vec::new(),
        }
    }

    fn submit(&mut self, priority: Priority, shape: ShapeId) -> TaskId {
        let (task, demand) = (TaskId(self.next.0), Demand::resources(Resources::cpus(1000)));
        self.queues[priority as usize].push(task, shape, &demand, self.next);
        self.waiting[priority as usize] += 1;
        self.next = self.next.after(1);
        task
    }

    fn tick(&mut self) {
        self.calendar.mark(self.now, self.next, &self.ageing);
        for born in PRIORITIES {
            let ladder = self.calendar.ladder(born, self.now, &self.ageing);
            let aged = self.queues[born as usize].aged(&ladder);
            self.order.aged(born, aged);
        }
    }

    fn round(&mut self, free: u32, fitting: &[ShapeId]) -> u32 {
        let plan = self.order.plan(free, self.waiting, |_, shape| fitting.contains(&shape));
        let mut picked = Vec::new();
        for born in PRIORITIES {
            let (first, want) = (plan.first[born as usize].clone(), plan.want[born as usize]);
            let fitting = Arc::from(fitting);
            let pick = Pick { first, want, fitting, now: self.next, ..Pick::default() };
            for taken in self.queues[born as usize].pick(&pick) {
                self.queues[born as usize].ended(&[taken.shape]);
                self.waiting[born as usize] -= 1;
                picked.push((self.order.served(born, taken.shape), taken));
            }
        }
        picked.sort_by_key(|(turn, _)| *turn);
        for (turn, taken) in &picked {
            self.order.started(*turn);
            self.starts.push((taken.task, self.now, taken.since));
        }
        u32::try_from(picked.len()).unwrap()
    }

    /// Everything for `ticks` ticks: each of them `slots` starts, and before it one Critical task more than that.
    fn run(&mut self, ticks: u32, slots: u32, fitting: &[ShapeId]) {
        for _ in 0..ticks {
            self.now = self.now + self.ageing.tick;
            for _ in 0..=slots {
                self.submit(Priority::Critical, SMALL);
            }
            self.tick();
            self.round(slots, fitting);
        }
    }

    fn started(&self, task: TaskId) -> Option<Moment> {
        self.starts.iter().find(|(one, ..)| *one == task).map(|(_, at, _)| *at)
    }
}

#[test]
fn under_an_endless_critical_flood_a_low_task_starts_within_its_slice() {
    let mut flood = Flood::new(Ageing { mode: Mode::None, ..Ageing::default() });
    let low = flood.submit(Priority::Low, SMALL);
    let begin = flood.now;
    flood.run(30, 1, &[SMALL]);
    let waited = flood.started(low).expect("it was started").since(begin);
    assert!(waited <= flood.ageing.tick * 20, "one start in twenty is its own: {waited:?}");
}

#[test]
fn what_had_no_room_for_long_is_served_first_once_there_is_some() {
    let mut flood = Flood::new(Ageing::default());
    let big = flood.submit(Priority::Low, BIG);
    flood.run(100, 1, &[SMALL]);
    assert_eq!(flood.started(big), None, "it does not fit");
    let before = flood.starts.len();
    flood.run(1, 1, &[SMALL, BIG]);
    assert_eq!(flood.starts[before].0, big, "before every younger one");
}

#[test]
fn a_batch_that_has_grown_old_does_not_stand_before_what_is_urgent() {
    let mut flood = Flood::new(Ageing::default());
    for _ in 0..10_000 {
        flood.submit(Priority::Low, SMALL);
    }
    flood.run(1000, 1, &[SMALL]);
    let low = flood.starts.iter().filter(|(task, ..)| task.0 <= 10_000).count();
    assert!((90..=110).contains(&low), "a twentieth beside Critical's half alone is a tenth or so: {low}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The bound of `ageing`, whatever the class, the mode, the slots and the lines: after the climb only lines that
    /// are older still start before it.
    #[test]
    fn the_first_of_a_line_waits_no_longer_than_the_bound(
        mode in prop::sample::select(&[Mode::Linear, Mode::Exponential][..]),
        born in prop::sample::select(&[Priority::Low, Priority::Normal, Priority::High][..]),
        others in prop::collection::vec((prop::sample::select(Priority::VARIANTS), 2_u32..6), 0..12),
        slots in 1_u32..3,
        blocked in 0_u32..150,
    ) {
        let ageing = Ageing { mode, objective_ticks: 1000, ..Ageing::default() };
        let mut flood = Flood::new(ageing);
        let task = flood.submit(born, BIG);
        let (begin, since) = (flood.now, Arrival(task.0));
        for (priority, shape) in others {
            flood.submit(priority, ShapeId(shape));
        }
        let all = [0, 1, 2, 3, 4, 5].map(ShapeId);
        flood.run(blocked, slots, &[SMALL]);
        let fits_from = flood.now;
        flood.run(400, slots, &all);
        let started = flood.started(task).expect("it starts");
        let climb = ageing.climb(born, Priority::Critical).unwrap();
        let at_top = (begin + climb + ageing.tick * 2).max(fits_from + ageing.tick);
        let overtakes = flood.starts.iter().filter(|(one, at, line)| {
            *one != task && *at > at_top && *at < started && *line > since
        });
        prop_assert_eq!(overtakes.count(), 0, "no younger one starts before it once it is at the top");
        // Nobody is older than the first that was submitted.
        prop_assert!(started <= at_top + ageing.tick, "{:?}", started.since(begin));
    }

    /// Slices hold over any hundred starts while nothing has waited too long.
    #[test]
    fn without_aged_lines_slices_are_within_one_of_their_share(most in prop::collection::vec(1_u32..40, 1..40)) {
        let mut order = Order::default();
        let mut wanted = [0_u32; 4];
        for most in most {
            for (turn, born) in starts(&mut order, most, [1000; 4]) {
                order.started(turn);
                wanted[born as usize] += 1;
            }
            let starts = wanted.iter().sum::<u32>();
            for (wanted, share) in wanted.into_iter().zip([5, 15, 30, 50]) {
                prop_assert!((wanted * 100).abs_diff(starts * share) <= 200, "{wanted} of {starts}");
            }
        }
    }
}

#[test]
fn what_room_was_held_for_starts_in_place_of_another_and_never_beside() {
    let mut order = Order::default();
    let mut plan = order.plan(1, [0, 3, 0, 9], |_, _| true);
    plan.ask_first(Priority::Normal, ShapeId(7), 1);
    assert_eq!((plan.total(), plan.asked(Priority::Normal)), (1, 1), "of another queue");
    let mut plan = order.plan(2, [0, 9, 0, 0], |_, _| true);
    plan.ask_first(Priority::Normal, ShapeId(7), 2);
    plan.ask_first(Priority::Normal, ShapeId(7), 2);
    assert_eq!((plan.want[Priority::Normal as usize], plan.total()), (1, 2), "of its own");
}

#[test]
fn a_minute_a_level_brings_low_to_the_top_in_three() {
    assert_eq!(Ageing::default().climb(Priority::Low, Priority::Critical), Some(Duration::from_secs(180)));
}
