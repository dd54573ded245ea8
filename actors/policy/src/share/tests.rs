//! Starts are shared by weight whatever the needs, the slots and the times; long tasks do not buy slots; nothing
//! is saved up.

use std::collections::{BTreeMap, BinaryHeap};

use proptest::prelude::*;

use super::*;

fn name(number: usize) -> Arc<str> {
    format!("tenant-{number}").into()
}

/// A tenant of the model: its weight, what each of its tasks costs, how long it runs.
#[derive(Debug, Clone)]
struct Work {
    weight: u32,
    costs: Vec<u64>,
    lasts: u64,
}

/// A fleet on which everybody always has something to start.
struct Fleet {
    tenants: Tenants,
    work: Vec<Work>,
    ids: Vec<TenantId>,
    started: Vec<usize>,
    /// Cost of all starts of each.
    given: Vec<u64>,
    free: u64,
    now: u64,
    ends: BinaryHeap<std::cmp::Reverse<(u64, usize, u64)>>,
}

impl Fleet {
    fn new(work: &[Work]) -> Self {
        let mut tenants = Tenants::default();
        let ids: Vec<_> =
            work.iter().enumerate().map(|(one, work)| tenants.enter(&name(one), work.weight)).collect();
        ids.iter().for_each(|id| tenants.waits(*id));
        let (started, given) = (vec![0; work.len()], vec![0; work.len()]);
        Self {
            tenants,
            work: work.to_vec(),
            ids,
            started,
            given,
            free: WHOLE,
            now: 0,
            ends: BinaryHeap::new(),
        }
    }

    fn cost(&self, one: usize) -> u64 {
        let costs = &self.work[one].costs;
        costs[self.started[one] % costs.len()]
    }

    /// One start, when there is room for whosever turn it is.
    fn start(&mut self) {
        let largest = (0..self.work.len()).map(|one| self.cost(one)).max().unwrap();
        while self.free < largest {
            self.end_one();
        }
        let mut turns = Turns::among(&mut self.tenants, self.ids.iter().copied());
        for (one, id) in self.ids.iter().enumerate() {
            let cost = self.cost(one);
            turns.enter(&self.tenants, *id, Arrival(one as u64), cost);
        }
        let id = turns.take(&self.tenants).unwrap();
        let one = self.ids.iter().position(|one| *one == id).unwrap();
        let cost = self.cost(one);
        self.tenants.start(id, cost);
        self.free -= cost;
        self.ends.push(std::cmp::Reverse((self.now + self.work[one].lasts, one, cost)));
        self.started[one] += 1;
        self.given[one] += cost;
        self.tenants.check();
    }

    fn end_one(&mut self) {
        let std::cmp::Reverse((at, one, cost)) = self.ends.pop().unwrap();
        self.now = at;
        self.free += cost;
        self.tenants.end(self.ids[one], cost);
    }

    fn run(&mut self, starts: usize) {
        (0..starts).for_each(|_| self.start());
    }

    /// How far the part of everything given lies from each one's due, at the most, in percent of the whole.
    fn error(&self) -> f64 {
        let (all, weights) =
            (self.given.iter().sum::<u64>(), self.work.iter().map(|one| one.weight).sum::<u32>());
        let error = |(given, work): (&u64, &Work)| {
            (*given as f64 / all as f64 - f64::from(work.weight) / f64::from(weights)).abs() * 100.0
        };
        self.given.iter().zip(&self.work).map(error).fold(0.0, f64::max)
    }
}

fn slots(weight: u32, slots: u64) -> Work {
    Work { weight, costs: vec![WHOLE / slots], lasts: 100 }
}

#[test]
fn one_slot_and_short_tasks_are_shared_by_weight() {
    let mut fleet = Fleet::new(&[slots(2, 1), slots(1, 1)]);
    fleet.run(300);
    assert_eq!(fleet.started, [200, 100]);
}

#[test]
fn long_tasks_do_not_buy_slots() {
    let long = Work { lasts: 1_000_000, ..slots(1, 8) };
    let mut fleet = Fleet::new(&[long, slots(1, 8)]);
    fleet.run(1000);
    let held = fleet.tenants.account(fleet.ids[0]).active;
    assert_eq!(held, 5, "half of the slots and one, though every other start was its due");
}

#[test]
fn a_new_tenant_has_no_credit_and_an_old_one_no_more_than_a_fleets_worth() {
    let mut fleet = Fleet::new(&[slots(1, 1), slots(1, 1)]);
    fleet.tenants.rests(fleet.ids[1]);
    let first = fleet.ids[0];
    for _ in 0..500 {
        fleet.tenants.start(first, WHOLE);
        fleet.tenants.end(first, WHOLE);
    }
    fleet.ids[1] = fleet.tenants.enter(&name(1), 1);
    fleet.tenants.waits(fleet.ids[1]);
    fleet.run(100);
    let [old, new] = fleet.started[..] else { panic!("two tenants") };
    assert!((49..=51).contains(&new), "{old} {new}");
}

#[test]
fn submitting_one_by_one_is_no_way_around_the_share() {
    let mut tenants = Tenants::default();
    let (batch, single) = (tenants.enter(&name(0), 1), name(1));
    tenants.waits(batch);
    let mut started = [0, 0];
    for round in 0..200 {
        let lone = tenants.enter(&single, 1);
        tenants.waits(lone);
        let mut turns = Turns::among(&mut tenants, [batch, lone].into_iter());
        turns.enter(&tenants, batch, Arrival(0), WHOLE);
        turns.enter(&tenants, lone, Arrival(round + 1), WHOLE);
        let turn = turns.take(&tenants).unwrap();
        started[usize::from(turn == lone)] += 1;
        tenants.start(turn, WHOLE);
        tenants.rests(lone);
        tenants.end(turn, WHOLE);
        tenants.check();
    }
    assert!(started[1] <= 101, "{started:?}");
}

#[test]
fn debts_of_many_names_are_bounded_and_forgiven_when_nobody_waits() {
    let mut tenants = Tenants::default();
    for number in 0..5000 {
        let id = tenants.enter(&name(number), 1);
        tenants.waits(id);
        tenants.start(id, WHOLE);
        tenants.rests(id);
        tenants.end(id, WHOLE);
    }
    assert_eq!(tenants.all().count(), DEBTORS_LIMIT);
    tenants.check();
    tenants.idle();
    assert_eq!(tenants.all().count(), 0);
}

#[test]
fn a_start_costs_the_largest_part_of_any_resource() {
    let both = |cpu_millis, memory_bytes| Resources { cpu_millis, memory_bytes, ..Resources::default() };
    let fleet = both(8000, 64);
    assert_eq!(cost(&both(1000, 32), &fleet), WHOLE / 2);
    assert_eq!(cost(&both(1000, 1), &fleet), WHOLE / 8);
    assert_eq!(cost(&both(0, 0), &fleet), LEAST, "what needs nothing still takes a turn");
    assert_eq!(cost(&both(u64::MAX, 0), &fleet), WHOLE);
}

fn work() -> impl Strategy<Value = Work> {
    (1_u32..=8, prop::collection::vec(1_u64..=4, 1..4)).prop_map(|(weight, costs)| Work {
        costs: costs.into_iter().map(|parts| parts * (WHOLE / 64)).collect(),
        ..slots(weight, 1)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Mixed needs of 1 to 4 parts of 64 of the fleet.
    #[test]
    fn over_200_starts_each_backlogged_tenant_is_within_5_percent_of_its_share(
        work in prop::collection::vec(work(), 2..5),
        before in 0_usize..300,
    ) {
        let mut fleet = Fleet::new(&work);
        fleet.run(before);
        fleet.given.fill(0);
        fleet.run(200);
        prop_assert!(fleet.error() <= 5.0, "{} of {:?}", fleet.error(), fleet.given);
    }

    /// Whoever comes, goes, starts and ends: nobody is kept for nothing and nothing underflows.
    #[test]
    fn accounts_are_kept_as_long_as_they_are_of_use(steps in prop::collection::vec((0_u8..5, 0_usize..6), 0..200)) {
        let mut tenants = Tenants::default();
        let mut lines: BTreeMap<usize, u32> = BTreeMap::new();
        let mut active: BTreeMap<usize, u32> = BTreeMap::new();
        for (step, one) in steps {
            let (waiting, running) = (lines.entry(one).or_default(), active.entry(one).or_default());
            if step == 0 {
                let id = tenants.enter(&name(one), 1);
                tenants.waits(id);
                *waiting += 1;
            }
            let Some(id) = tenants.ids.get(&name(one)).copied() else { continue };
            match step {
                1 if *waiting > 0 => {
                    *waiting -= 1;
                    tenants.rests(id);
                }
                2 if *waiting > 0 => {
                    *running += 1;
                    tenants.start(id, WHOLE / 4);
                }
                3 | 4 if *running > 0 => {
                    *running -= 1;
                    let over = if step == 3 { Tenants::end } else { Tenants::undo };
                    over(&mut tenants, id, WHOLE / 4);
                }
                _ => {}
            }
            tenants.check();
            prop_assert!(*waiting == 0 && *running == 0 || tenants.ids.contains_key(&name(one)));
        }
    }
}

/// Who fits where nobody else does is served again and again, and is far ahead: the others share what is left by weight all the same.
#[test]
fn one_that_is_served_out_of_turn_does_not_level_the_shares_of_the_others() {
    let mut fleet = Fleet::new(&[slots(1, 16), slots(2, 16), slots(3, 16)]);
    fleet.free = 2 * (WHOLE / 16);
    let ahead = fleet.tenants.enter(&name(9), 1);
    fleet.tenants.waits(ahead);
    for _ in 0..600 {
        fleet.tenants.start(ahead, WHOLE / 4);
        fleet.tenants.end(ahead, WHOLE / 4);
        fleet.start();
    }
    assert!(fleet.error() < 5.0, "{:?} of 600, due are 100, 200 and 300", fleet.started);
}

#[test]
fn beside_one_that_is_passed_over_for_what_it_holds_the_others_have_their_turns_by_weight() {
    let mut tenants = Tenants::default();
    let holder = tenants.enter(&"holder".into(), 1);
    let others = [1, 2, 3].map(|weight| tenants.enter(&name(weight as usize), weight));
    let all: Vec<_> = others.into_iter().chain([holder]).collect();
    all.iter().for_each(|id| tenants.waits(*id));
    // It waits for more, has been served by nobody, and has a quarter of the fleet from before.
    tenants.hold(holder, WHOLE / 4);
    let (cost, mut started, mut running) = (WHOLE / 8, BTreeMap::new(), std::collections::VecDeque::new());
    for _ in 0..60 {
        let mut turns = Turns::among(&mut tenants, all.iter().copied());
        for (id, arrival) in all.iter().zip(1..) {
            turns.enter(&tenants, *id, Arrival(arrival), cost);
        }
        let id = turns.take(&tenants).unwrap();
        *started.entry(id).or_insert(0) += 1;
        tenants.start(id, cost);
        running.push_back(id);
        if running.len() > 1 {
            let id = running.pop_front().unwrap();
            tenants.end(id, cost);
        }
    }
    assert_eq!(started.get(&holder), None);
    let counts = others.map(|id| started[&id]);
    assert!(counts.iter().zip([10_i32, 20, 30]).all(|(is, due)| (is - due).abs() <= 2), "{counts:?}");
}
