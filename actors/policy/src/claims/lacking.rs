//! What somebody lacks of its claims only because others hold it, and who those are: what they would give, were they gone.
//!
//! It decides nothing: whether anybody has to go is the matter of `preempt`.

use std::collections::BTreeMap;

use crate::claims::{ClaimTable, Claims, Mode};
use crate::id::TaskId;
use crate::time::Moment;

/// How much of each thing is missing, and who holds how much of it. What comes of adding up amounts of things that are not to
/// be had otherwise: of a lock each holder is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lacking {
    /// More than nothing of each thing; empty where nothing is missing.
    pub missing: Vec<u64>,
    /// How much of each there is once this one has gone.
    pub holders: BTreeMap<TaskId, Vec<u64>>,
}

impl Lacking {
    fn add(&mut self, missing: u64, given: impl Iterator<Item = (TaskId, u64)>) {
        if missing == 0 {
            return;
        }
        let place = self.missing.len();
        self.missing.push(missing);
        for (task, gives) in given.filter(|(_, gives)| *gives > 0) {
            self.holders.entry(task).or_default().resize(place, 0);
            self.holders.entry(task).or_default().push(gives);
        }
    }
}

impl ClaimTable {
    /// What is missing of these claims once all that `leaves` has gone; `None` where no holder can do anything about it: a rate
    /// is used up, or there is not as much of it, whoever goes. Call [`Self::pass`] before.
    #[must_use]
    pub fn lacking(&self, claims: &Claims, now: Moment, leaves: impl Fn(TaskId) -> bool) -> Option<Lacking> {
        let is_open =
            |name: &str, needs| self.rates.get(name).is_some_and(|rate| rate.room(name, needs, now).is_ok());
        if !claims.rates.iter().all(|(name, needs)| is_open(name, needs)) {
            return None;
        }
        let mut lacking = Lacking::default();
        for (name, mode) in &claims.locks {
            self.lacking_lock((name, *mode), &leaves, &mut lacking);
        }
        for (name, needed) in claims.pools.iter().filter(|(_, needed)| **needed > 0) {
            self.lacking_indices((name, u64::from(*needed)), &leaves, &mut lacking)?;
        }
        for (name, needed) in claims.amounts.iter().filter(|(_, needed)| **needed > 0) {
            self.lacking_amount((name, *needed), &leaves, &mut lacking)?;
        }
        let places = lacking.missing.len();
        lacking.holders.values_mut().for_each(|gives| gives.resize(places, 0));
        Some(lacking)
    }

    fn lacking_lock(
        &self,
        (name, mode): (&str, Mode),
        leaves: &impl Fn(TaskId) -> bool,
        lacking: &mut Lacking,
    ) {
        let Some(lock) = self.locks.get(name) else { return };
        let staying: Vec<_> = lock.holders.iter().copied().filter(|task| !leaves(*task)).collect();
        let may_stay = match lock.admits(mode) {
            true => u64::from(self.rules.readers(name)).saturating_sub(1),
            false => 0,
        };
        let missing = (staying.len() as u64).saturating_sub(may_stay);
        lacking.add(missing, staying.into_iter().map(|task| (task, 1)));
    }

    fn lacking_indices(
        &self,
        (name, needed): (&str, u64),
        leaves: &impl Fn(TaskId) -> bool,
        lacking: &mut Lacking,
    ) -> Option<()> {
        let pool = self.pools.get(name).filter(|pool| pool.len() as u64 >= needed)?;
        let mut held: BTreeMap<TaskId, u64> = BTreeMap::new();
        pool.held_members().for_each(|task| *held.entry(task).or_default() += 1);
        let coming: u64 = held.iter().filter(|(task, _)| leaves(**task)).map(|(_, count)| count).sum();
        let missing = needed.saturating_sub(pool.free() as u64 + coming);
        lacking.add(missing, held.into_iter().filter(|(task, _)| !leaves(*task)));
        Some(())
    }

    fn lacking_amount(
        &self,
        (name, needed): (&str, u64),
        leaves: &impl Fn(TaskId) -> bool,
        lacking: &mut Lacking,
    ) -> Option<()> {
        let limit = *self.rules.amounts.get(name).filter(|limit| **limit >= needed)?;
        let held = self.held.iter().filter_map(|(task, held)| Some((*task, *held.claims.amounts.get(name)?)));
        let staying: Vec<_> = held.filter(|(task, _)| !leaves(*task)).collect();
        let all = staying.iter().fold(needed, |sum, (_, amount)| sum.saturating_add(*amount));
        lacking.add(all.saturating_sub(limit), staying.into_iter());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::claims::{ClaimRules, Holder, RateRule, WindowRule};
    use crate::task::Priority;

    const NOW: Moment = Moment(5_000_000);

    fn rules(licences: u64) -> ClaimRules {
        let window =
            WindowRule { unit: "calls".into(), limit: 3, length: std::time::Duration::from_hours(1) };
        ClaimRules {
            readers: [("repo".into(), 2)].into(),
            pools: [("ports".into(), ["1", "2", "3"].map(Into::into).to_vec())].into(),
            amounts: [("licences".into(), licences)].into(),
            rates: [("llm".into(), RateRule { windows: vec![window] })].into(),
        }
    }

    /// Claims by which of all there is they hold: lock (none, shared, alone), indices, amount, calls.
    fn claims((lock, ports, licences, calls): (u8, u32, u64, u64)) -> Claims {
        let mode = [None, Some(Mode::Shared), Some(Mode::Exclusive)][usize::from(lock)];
        Claims {
            locks: mode.into_iter().map(|mode| ("repo".into(), mode)).collect(),
            pools: [("ports".into(), ports)].into(),
            amounts: [("licences".into(), licences)].into(),
            rates: (calls > 0)
                .then(|| ("llm".into(), [("calls".into(), calls)].into()))
                .into_iter()
                .collect(),
        }
    }

    fn holding(held: &[(u8, u32, u64, u64)], licences: u64) -> ClaimTable {
        let mut table = ClaimTable::new(&rules(licences));
        for (task, one) in (1..).map(TaskId).zip(held) {
            let holder = Holder { task, node: "n".into(), priority: Priority::Low };
            // Who finds no room does not run.
            let _ = table.take(holder, &Arc::new(claims(*one)), NOW);
        }
        table
    }

    fn kinds() -> impl Strategy<Value = (u8, u32, u64, u64)> {
        (0_u8..3, 0_u32..3, 0_u64..3, 0_u64..2)
    }

    proptest! {
        /// Whoever goes: it is enough where that makes up for what is missing, and only there.
        #[test]
        fn what_is_missing_is_had_exactly_when_those_have_gone_who_make_up_for_it(
            held in prop::collection::vec(kinds(), 0..7), wants in kinds(), set in 0_u32..128, leaving in 0_u32..128,
            (before, after) in (2_u64..6, 0_u64..6),
        ) {
            let mut table = holding(&held, before);
            // What is held stays held where it is declared otherwise.
            table.configure(&rules(after));
            table.check();
            let wants = claims(wants);
            let is_in = |set: u32, task: TaskId| set & (1 << task.0) != 0;
            let lacking = table.lacking(&wants, NOW, |task| is_in(leaving, task));
            let holders: Vec<_> = table.holders().collect();
            let mut all_gone = holding(&held, before);
            all_gone.configure(&rules(after));
            for task in &holders {
                all_gone.end(*task, None, std::time::Duration::ZERO, NOW);
            }
            let Some(lacking) = lacking else {
                prop_assert!(all_gone.room(&wants, NOW).is_err(), "it would be had if all went");
                return Ok(());
            };
            prop_assert!(all_gone.room(&wants, NOW).is_ok());
            let gone = |task: TaskId| is_in(set, task) || is_in(leaving, task);
            let sum = |place: usize| lacking.holders.iter().filter(|(task, _)| gone(**task)).map(|(_, gives)| gives[place]).sum::<u64>();
            let is_made_up_for = (0..lacking.missing.len()).all(|place| sum(place) >= lacking.missing[place]);
            for task in holders.iter().filter(|task| gone(**task)) {
                table.end(*task, None, std::time::Duration::ZERO, NOW);
            }
            prop_assert_eq!(table.room(&wants, NOW).is_ok(), is_made_up_for, "{:?}", lacking);
        }
    }

    #[test]
    fn who_only_waits_for_a_rate_is_helped_by_nobody() {
        let table = holding(&[(2, 0, 0, 1), (0, 0, 0, 1), (0, 0, 0, 1)], 3);
        assert_eq!(table.lacking(&claims((2, 0, 0, 1)), NOW, |_| false), None);
        let lock = table.lacking(&claims((2, 0, 0, 0)), NOW, |_| false).expect("its holder may go");
        assert_eq!((lock.missing, lock.holders), (vec![1], [(TaskId(1), vec![1])].into()));
        assert_eq!(table.lacking(&claims((2, 0, 0, 0)), NOW, |_| true), Some(Lacking::default()));
    }
}
