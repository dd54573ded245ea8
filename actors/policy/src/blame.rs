//! Who may have taken machines down: of which deaths a task is not to blame after all.
//!
//! When a machine dies, everybody who ran there may have done it. None of them runs beside another such one from then on
//! (`scheduler::dispatch::back`), so who dies again has done so without the others. That speaks for it, and for
//! nobody else of the first time: a death is *excused* for a task as soon as somebody who ran beside it then has died again on a
//! machine where it was not. What is excused does not count towards `poison_after`.
//!
//! # How long one that is to blame gets away with it
//!
//! It is excused a death only where one of its company has died again with another one that takes machines down. As suspects are
//! kept apart, each machine that dies of others excuses it at most once; and a task ends anyway that was lost too often
//! (`RetryPolicy::losses`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::id::TaskId;

/// Deaths that are remembered, the latest: some hundreds of machines' worth, with all who ran there.
const DEATHS_LIMIT: usize = 1000;

/// See the module. The same deaths in the same order always come to the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blame {
    /// Those that have not ended and while which ran a machine has died.
    suspects: BTreeSet<TaskId>,
    deaths: VecDeque<Death>,
    /// Who died before these, on the machine where they still count as being.
    gone_before: BTreeMap<TaskId, BTreeSet<TaskId>>,
    /// Up to which death those were forgiven that somebody has tried again.
    forgiven: BTreeMap<TaskId, u64>,
    next: u64,
}

/// One task died with its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Death {
    number: u64,
    task: TaskId,
    beside: BTreeSet<TaskId>,
}

impl Blame {
    /// A machine has died while this one ran, by what it knows itself.
    pub fn suspect(&mut self, task: TaskId) {
        self.suspects.insert(task);
    }

    /// Whether a machine has died while it ran.
    #[must_use]
    pub fn is_suspect(&self, task: TaskId) -> bool {
        self.suspects.contains(&task)
    }

    /// Those while which ran a machine has died, but for this one.
    pub fn others(&self, task: TaskId) -> impl Iterator<Item = TaskId> {
        self.suspects.iter().copied().filter(move |other| *other != task)
    }

    /// A task has ended. That it died counts for others as before.
    pub fn ended(&mut self, task: TaskId) {
        self.suspects.remove(&task);
        self.forgiven.remove(&task);
        if self.suspects.is_empty() {
            self.deaths.clear();
        }
    }

    /// Only these are open.
    pub fn retain(&mut self, is_open: impl Fn(&TaskId) -> bool) {
        let gone: Vec<_> = self.suspects.iter().copied().filter(|task| !is_open(task)).collect();
        gone.into_iter().for_each(|task| self.ended(task));
    }

    /// A task has died with its machine, on which these count as being still: one end after the other is told.
    pub fn died(&mut self, task: TaskId, still_there: impl IntoIterator<Item = TaskId>) {
        let mut beside = self.gone_before.remove(&task).unwrap_or_default();
        for other in still_there.into_iter().filter(|other| *other != task) {
            beside.insert(other);
            self.gone_before.entry(other).or_default().insert(task);
        }
        self.suspects.insert(task);
        self.deaths.push_back(Death { number: self.next, task, beside });
        self.next += 1;
        while self.deaths.len() > DEATHS_LIMIT {
            self.deaths.pop_front();
        }
    }

    /// An attempt of a task is over otherwise.
    pub fn left(&mut self, task: TaskId) {
        self.gone_before.remove(&task);
    }

    /// A task begins anew: what was is forgiven.
    pub fn forgive(&mut self, task: TaskId) {
        self.suspects.remove(&task);
        if self.deaths.iter().any(|death| death.task == task) {
            self.forgiven.insert(task, self.next);
        }
    }

    /// How many of a task's deaths count no more.
    #[must_use]
    pub fn excused(&self, task: TaskId) -> u32 {
        let from = self.forgiven.get(&task).copied().unwrap_or(0);
        let own = self.deaths.iter().filter(|death| death.task == task && death.number >= from);
        let count = own.filter(|death| self.is_excused(death)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether somebody who ran beside it then has died again where it was not.
    fn is_excused(&self, death: &Death) -> bool {
        let again = |later: &Death| death.beside.contains(&later.task) && !later.beside.contains(&death.task);
        self.deaths.iter().any(|later| later.number > death.number && again(later))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POISON_AFTER: u32 = 3;

    /// A machine dies with these.
    fn all_die(blame: &mut Blame, tasks: &[u64]) {
        for (place, task) in tasks.iter().enumerate() {
            blame.died(TaskId(*task), tasks[place..].iter().copied().map(TaskId));
        }
    }

    #[test]
    fn who_dies_again_by_itself_excuses_those_who_were_there_the_first_time() {
        let mut blame = Blame::default();
        all_die(&mut blame, &[1, 2, 3]);
        assert_eq!([1, 2, 3].map(|task| blame.excused(TaskId(task))), [0; 3], "any of them may have done it");
        all_die(&mut blame, &[2, 4]);
        assert_eq!([1, 2, 3, 4].map(|task| blame.excused(TaskId(task))), [1, 0, 1, 0]);
        all_die(&mut blame, &[2]);
        assert_eq!([1, 2, 3, 4].map(|task| blame.excused(TaskId(task))), [1, 0, 1, 1]);
    }

    #[test]
    fn who_dies_later_of_the_same_machine_excuses_nobody() {
        let mut blame = Blame::default();
        blame.died(TaskId(1), [TaskId(2)]);
        blame.left(TaskId(3));
        blame.died(TaskId(2), []);
        assert_eq!([1, 2].map(|task| blame.excused(TaskId(task))), [0, 0]);
        blame.died(TaskId(2), []);
        assert_eq!([1, 2].map(|task| blame.excused(TaskId(task))), [1, 0]);
    }

    #[test]
    fn what_was_before_another_try_neither_counts_nor_is_excused() {
        let mut blame = Blame::default();
        all_die(&mut blame, &[1, 2]);
        blame.forgive(TaskId(1));
        all_die(&mut blame, &[2]);
        assert_eq!(blame.excused(TaskId(1)), 0);
        all_die(&mut blame, &[1, 3]);
        all_die(&mut blame, &[3]);
        assert_eq!(blame.excused(TaskId(1)), 1);
    }

    /// Machines on which several innocent ones run beside one that takes it down, or none; who has died before is not beside
    /// another such one.
    fn runs() -> impl Strategy<Value = Vec<(usize, Vec<u64>)>> {
        prop::collection::vec((0_usize..4, prop::collection::vec(100_u64..106, 1..4)), 1..60)
    }

    proptest! {
        /// Whoever takes machines down is found out, and nobody who has run beside one such at a time is set aside before any of
        /// these has been as often as it takes.
        #[test]
        fn who_is_to_blame_is_found_out_and_others_are_so_only_for_as_many(runs in runs()) {
            let mut blame = Blame::default();
            let (mut deaths, mut killers): (BTreeMap<u64, u32>, BTreeMap<u64, u32>) = Default::default();
            let counted = |blame: &Blame, deaths: &BTreeMap<u64, u32>, task: u64| {
                deaths.get(&task).copied().unwrap_or(0).saturating_sub(blame.excused(TaskId(task)))
            };
            for (killer, company) in runs {
                let killer = killer as u64;
                if counted(&blame, &deaths, killer) >= POISON_AFTER {
                    continue;
                }
                let is_known = deaths.contains_key(&killer);
                let beside: BTreeSet<u64> = company.into_iter().collect();
                let mut suspects = usize::from(is_known);
                let mut there = vec![killer];
                for one in beside {
                    if deaths.contains_key(&one) {
                        suspects += 1;
                    }
                    if !deaths.contains_key(&one) || suspects <= 1 {
                        there.push(one);
                    }
                }
                all_die(&mut blame, &there);
                there.iter().for_each(|task| *deaths.entry(*task).or_default() += 1);
                *killers.entry(killer).or_default() += 1;
                for innocent in there.iter().skip(1) {
                    // Each that still counts is of another one that has not been again since.
                    let met = killers.values().filter(|times| **times == 1).count();
                    let of_last = 1;
                    prop_assert!(
                        counted(&blame, &deaths, *innocent) as usize <= met + of_last,
                        "{} after {:?}", innocent, killers
                    );
                }
            }
            for killer in killers.keys() {
                let of_others: u32 = killers.iter().filter(|(other, _)| *other != killer).map(|(_, times)| times).sum();
                prop_assert!(blame.excused(TaskId(*killer)) <= of_others, "{killer}: {killers:?}");
            }
        }
    }
}
