//! Against the rule written down plainly: the highest of its own and of all that wait for it, near or far.

use proptest::prelude::*;
use strum::VariantArray;

use super::*;

/// Items, each with its own priority and what it depends on: items before it.
#[derive(Debug, Clone)]
struct Plan(Vec<(Priority, Vec<usize>)>);

/// The accounts and what they should come to.
struct Bench {
    plan: Plan,
    lending: Lending,
    waits: Vec<bool>,
    /// Where each item is, by what was told.
    queues: Vec<Priority>,
}

impl Bench {
    fn new(plan: Plan) -> Self {
        let mut lending = Lending::default();
        plan.0.iter().for_each(|(own, _)| lending.push(*own));
        let (waits, queues) = (vec![false; plan.0.len()], plan.0.iter().map(|(own, _)| *own).collect());
        Self { plan, lending, waits, queues }
    }

    fn set(&mut self, item: usize, waits: bool) {
        self.waits[item] = waits;
        let plan = &self.plan.0;
        self.lending.set_waits(item, waits, |item| plan[item].1.iter().copied());
    }

    fn settle(&mut self) {
        for Change { item, from, to } in self.lending.changes() {
            assert_eq!(std::mem::replace(&mut self.queues[item], to), from, "it is where it was said to be");
            assert_ne!(from, to, "no change is none");
        }
    }

    /// Every item's own, raised by those that wait for it, until nothing rises any more.
    fn model(&self) -> Vec<Priority> {
        let mut served: Vec<_> = self.plan.0.iter().map(|(own, _)| *own).collect();
        for _ in 0..self.plan.0.len() {
            for (item, (_, on)) in self.plan.0.iter().enumerate().filter(|(item, _)| self.waits[*item]) {
                on.iter().for_each(|on| served[*on] = served[*on].max(served[item]));
            }
        }
        served
    }

    fn check(&self) {
        self.lending.check(|item| self.waits[item], |item| self.plan.0[item].1.iter().copied());
        assert_eq!(self.queues, self.model());
        for item in 0..self.queues.len() {
            let waiters = |on: usize| {
                let waits = move |(other, (_, list)): (usize, &(Priority, Vec<usize>))| {
                    list.contains(&on).then_some(other)
                };
                self.plan.0.iter().enumerate().filter_map(waits)
            };
            let lender = self.lending.lender(item, waiters);
            assert_eq!(lender.is_some(), self.lending.is_lent(item));
            assert!(
                lender.is_none_or(|lender| self.waits[lender] && self.plan.0[lender].0 == self.queues[item])
            );
        }
    }
}

fn plans() -> impl Strategy<Value = Plan> {
    let item =
        (prop::sample::select(Priority::VARIANTS), prop::collection::vec(any::<prop::sample::Index>(), 0..5));
    prop::collection::vec(item, 1..24).prop_map(|items| {
        let place = |number: usize| move |on: &prop::sample::Index| on.index(number);
        let items = items.iter().enumerate().map(|(number, (own, on))| {
            let mut on: Vec<_> = on.iter().filter(|_| number > 0).map(place(number.max(1))).collect();
            on.sort_unstable();
            on.dedup();
            (*own, on)
        });
        Plan(items.collect())
    })
}

proptest! {
    #[test]
    fn an_item_is_served_as_the_highest_that_waits_for_it_and_never_as_less_than_it_is(
        plan in plans(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 1..80),
    ) {
        let mut bench = Bench::new(plan);
        for (item, waits, settles) in steps {
            bench.set(item.index(bench.plan.0.len()), waits);
            if settles {
                bench.settle();
                bench.check();
            }
        }
        // Nothing is remembered of what is over.
        (0..bench.waits.len()).for_each(|item| bench.set(item, false));
        bench.settle();
        bench.check();
        prop_assert!((0..bench.waits.len()).all(|item| !bench.lending.is_lent(item)));
    }
}

/// Items of Low priority, the last of which is Critical, with what each depends on.
fn low_but_the_last(count: usize, on: impl Fn(usize) -> Vec<usize>) -> Plan {
    let own = |item| if item + 1 == count { Priority::Critical } else { Priority::Low };
    Plan((0..count).map(|item| (own(item), on(item))).collect())
}

#[test]
fn chains_and_fans_of_a_hundred_thousand_need_no_stack_and_one_look_at_each_edge() {
    const MANY: usize = 100_000;
    let chain = low_but_the_last(MANY, |item| item.checked_sub(1).into_iter().collect());
    let fan_in =
        low_but_the_last(MANY, |item| if item + 1 == MANY { (0..item).collect() } else { Vec::new() });
    for plan in [chain, fan_in] {
        let mut bench = Bench::new(plan);
        (0..MANY)
            .filter(|item| !bench.plan.0[*item].1.is_empty())
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|item| bench.set(item, true));
        bench.settle();
        assert!(bench.queues.iter().all(|queue| *queue == Priority::Critical));
        bench.set(MANY - 1, false);
        bench.settle();
        assert!(bench.queues[..MANY - 1].iter().all(|queue| *queue == Priority::Low));
    }
    // Fan-out: many wait for one, and each that waits no more is one subtraction.
    let mut bench = Bench::new(Plan(
        (0..MANY)
            .map(|item| if item == 0 { (Priority::Low, vec![]) } else { (Priority::High, vec![0]) })
            .collect(),
    ));
    (1..MANY).for_each(|item| bench.set(item, true));
    (1..MANY - 1).for_each(|item| bench.set(item, false));
    bench.settle();
    assert_eq!(bench.queues[0], Priority::High);
    bench.set(MANY - 1, false);
    bench.settle();
    assert_eq!(bench.queues[0], Priority::Low);
}

#[test]
fn an_account_is_16_bytes() {
    assert_eq!(size_of::<Account>(), 16);
}
