//! Who holds what: taken whole or not at all, given back once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::claims::lock::Lock;
use crate::claims::pool::Pool;
use crate::claims::rate::Rate;
use crate::claims::rules::needed;
use crate::claims::turn::Turns;
use crate::claims::{Blocked, ClaimRules, Claims, Indices, Mode};
use crate::id::{NodeId, TaskId};
use crate::planted;
use crate::retry;
use crate::task::{Priority, TaskReport};
use crate::time::Moment;

/// Holders that one refusal names.
const HOLDERS_NAMED: usize = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct ClaimTable {
    pub(super) rules: ClaimRules,
    /// Those that somebody holds.
    pub(super) locks: FxHashMap<Box<str>, Lock>,
    pub(super) rates: BTreeMap<Box<str>, Rate>,
    pub(super) pools: BTreeMap<Box<str>, Pool<TaskId>>,
    /// How much is held.
    pub(super) amounts: BTreeMap<Box<str>, u64>,
    pub(super) held: BTreeMap<TaskId, Held>,
    pub(super) turns: Turns,
}

/// Whoever takes claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The task; it has one attempt at a time.
    pub task: TaskId,
    /// Where it is to run.
    pub node: NodeId,
    /// How urgent it is.
    pub priority: Priority,
}

/// What one attempt holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) holder: Holder,
    pub(super) claims: Arc<Claims>,
    /// When this table heard of it, and how long it had held it by then.
    noted: Moment,
    before: Duration,
}

impl Held {
    /// For how long it has held it.
    pub(super) fn age(&self, now: Moment) -> Duration {
        now.since(self.noted) + self.before
    }
}

impl ClaimTable {
    /// Nothing held yet, with these declarations.
    #[must_use]
    pub fn new(rules: &ClaimRules) -> Self {
        let mut table = Self::default();
        table.configure(rules);
        table
    }

    /// Other declarations from now on. What is held stays held.
    pub fn configure(&mut self, rules: &ClaimRules) {
        for (name, rule) in &rules.rates {
            self.rates
                .entry(name.clone())
                .and_modify(|rate| rate.set_rule(rule))
                .or_insert_with(|| Rate::new(rule));
        }
        self.rates.retain(|name, _| rules.rates.contains_key(name));
        for (name, members) in &rules.pools {
            let pool = self.pools.entry(name.clone()).or_insert_with(|| Pool::new(members));
            pool.set_members(members);
        }
        for (name, pool) in &mut self.pools {
            if !rules.pools.contains_key(name) {
                pool.set_members(&[]);
            }
        }
        self.rules = rules.clone();
    }

    /// What is declared.
    #[must_use]
    pub fn rules(&self) -> &ClaimRules {
        &self.rules
    }

    /// Forgets what has left its window. Call it before asking.
    pub fn pass(&mut self, now: Moment) {
        self.rates.values_mut().for_each(|rate| rate.pass(now));
    }

    /// How many with these claims could take them now, at least one.
    ///
    /// # Errors
    /// What is in the way of the first.
    pub fn room(&self, claims: &Claims, now: Moment) -> Result<u32, Blocked> {
        let mut room = u32::MAX;
        for (name, mode) in &claims.locks {
            room = room.min(self.lock_room(name, *mode)?);
        }
        for (name, needs) in &claims.rates {
            let rate = self.rates.get(name).ok_or_else(|| undeclared(name))?;
            room = room.min(rate.room(name, needs, now)?);
        }
        for (name, count) in claims.pools.iter().filter(|(_, count)| **count > 0) {
            let free = self.pools.get(name).ok_or_else(|| undeclared(name))?.free() as u64;
            let (pool, needed) = (name.clone(), *count);
            room = room.min(times(free, u64::from(needed)).ok_or(Blocked::Pool { pool, needed, free })?);
        }
        for (name, needed) in claims.amounts.iter().filter(|(_, needed)| **needed > 0) {
            let limit = *self.rules.amounts.get(name).ok_or_else(|| undeclared(name))?;
            let left = limit.saturating_sub(self.amounts.get(name).copied().unwrap_or(0));
            let (name, needed) = (name.clone(), *needed);
            room = room.min(times(left, needed).ok_or(Blocked::Amount { name, needed, left })?);
        }
        Ok(room)
    }

    /// How many more may hold a lock in this way.
    fn lock_room(&self, name: &str, mode: Mode) -> Result<u32, Blocked> {
        let readers = self.rules.readers(name);
        let all = if mode == Mode::Exclusive { 1 } else { readers };
        let Some(lock) = self.locks.get(name).filter(|_| !planted!(LockForgotten)) else { return Ok(all) };
        let held = u32::try_from(lock.holders.len()).unwrap_or(u32::MAX);
        match all.saturating_sub(held) {
            more @ 1.. if lock.admits(mode) => Ok(more),
            _ => {
                let holders = lock.holders.iter().take(HOLDERS_NAMED).copied().collect();
                Err(Blocked::Lock { lock: name.into(), holders, count: u64::from(held) })
            }
        }
    }

    /// Takes all of a task's claims, or none, and gives the indices of pools among them. A task that holds
    /// something already takes nothing more.
    ///
    /// # Errors
    /// What is in the way.
    pub fn take(&mut self, holder: Holder, claims: &Arc<Claims>, now: Moment) -> Result<Indices, Blocked> {
        if self.held.contains_key(&holder.task) {
            return Err(Blocked::Behind { name: holder.task.to_string().into() });
        }
        self.room(claims, now)?;
        self.take_rates(claims, Duration::ZERO, now);
        let mut indices = BTreeMap::new();
        for (name, count) in &claims.pools {
            let pool = self.pools.get_mut(name);
            let taken = pool.and_then(|pool| pool.take(holder.task, *count as usize));
            indices.insert(name.clone(), taken.unwrap_or_default());
        }
        self.hold(holder, claims, (now, Duration::ZERO));
        Ok(indices)
    }

    /// Takes note of what an attempt was given `age` ago, by the records of an earlier life. What it took of rates
    /// is counted with [`Self::take_rates`], unless it was already.
    pub fn restore(
        &mut self,
        holder: Holder,
        (claims, indices): (&Arc<Claims>, &Indices),
        age: Duration,
        now: Moment,
    ) {
        self.release(holder.task);
        for (name, indices) in indices {
            self.pools.entry(name.clone()).or_insert_with(|| Pool::new(&[])).restore(holder.task, indices);
        }
        self.hold(holder, claims, (now, age));
    }

    /// The reservation came to nothing: everything comes back, what was taken of rates as well.
    ///
    /// `false` where it held nothing.
    pub fn give_back(&mut self, task: TaskId, now: Moment) -> bool {
        let Some(held) = self.release(task) else { return false };
        for (name, needs) in &held.claims.rates {
            self.rates.entry(name.clone()).and_modify(|rate| rate.give_back(needs, held.age(now), now));
        }
        true
    }

    /// An attempt is over, `age` ago: what it held comes back; of rates what it says that it has not used. A
    /// rate that has refused it lets nobody in for a while. `false` where that changes nothing.
    pub fn end(&mut self, task: TaskId, report: Option<&TaskReport>, age: Duration, now: Moment) -> bool {
        let held = self.release(task);
        if let Some(report) = report {
            let taken_ago = held.as_ref().map_or(age, |held| held.age(now));
            let claims = held.as_ref().map(|held| &*held.claims);
            self.settle(task, (claims, taken_ago), (report, age), now);
        }
        held.is_some() || report.is_some()
    }

    /// Counts what claims take of rates as taken `age` ago, whether it fits or not.
    pub fn take_rates(&mut self, claims: &Claims, age: Duration, now: Moment) {
        for (name, needs) in &claims.rates {
            if let Some(rate) = self.rates.get_mut(name) {
                rate.take(needs, age, now);
            }
        }
    }

    /// What an attempt that ended `age` ago has reported counts in place of what it had taken. A rate that has
    /// refused it lets nobody in until its reset, and a little longer: not all who wait are to come back at once.
    pub(super) fn settle(
        &mut self,
        task: TaskId,
        (claims, taken_ago): (Option<&Claims>, Duration),
        (report, age): (&TaskReport, Duration),
        now: Moment,
    ) {
        for used in &report.used {
            let Some(rate) = self.rates.get_mut(&used.rate) else { continue };
            let needs = claims.and_then(|claims| claims.rates.get(&used.rate));
            let taken = needs.map_or(0, |needs| needed(needs, &used.unit));
            rate.settle(&used.unit, (taken, taken_ago), (used.amount, age), now);
        }
        for parked in &report.parked {
            if let Some(rate) = self.rates.get_mut(&parked.rate) {
                rate.park(now + retry::waking(parked.wait, spread(task)).saturating_sub(age));
            }
        }
    }

    /// Whether a task holds anything.
    #[must_use]
    pub fn holds(&self, task: TaskId) -> bool {
        self.held.contains_key(&task)
    }

    /// Tasks that hold something.
    pub fn holders(&self) -> impl Iterator<Item = TaskId> {
        self.held.keys().copied()
    }

    fn hold(&mut self, holder: Holder, claims: &Arc<Claims>, (noted, before): (Moment, Duration)) {
        let task = holder.task;
        for (name, mode) in &claims.locks {
            match self.locks.get_mut(name) {
                Some(lock) => {
                    lock.holders.insert(task);
                }
                None => drop(self.locks.insert(name.clone(), Lock::held_by(task, *mode))),
            }
        }
        for (name, amount) in &claims.amounts {
            let held = self.amounts.entry(name.clone()).or_default();
            *held = held.saturating_add(*amount);
        }
        self.held.insert(task, Held { holder, claims: Arc::clone(claims), noted, before });
    }

    fn release(&mut self, task: TaskId) -> Option<Held> {
        let held = self.held.remove(&task)?;
        for name in held.claims.locks.keys() {
            let Some(lock) = self.locks.get_mut(name) else { continue };
            lock.holders.remove(&task);
            if lock.holders.is_empty() {
                self.locks.remove(name);
            }
        }
        for name in held.claims.pools.keys() {
            if let Some(pool) = self.pools.get_mut(name) {
                pool.release(task);
            }
        }
        for (name, amount) in &held.claims.amounts {
            let left = self.amounts.get(name).copied().unwrap_or(0).saturating_sub(*amount);
            match left {
                0 => drop(self.amounts.remove(name)),
                left => drop(self.amounts.insert(name.clone(), left)),
            }
        }
        self.turns.released(task);
        Some(held)
    }

    /// Asserts what must always hold.
    ///
    /// # Panics
    /// When it does not.
    pub fn check(&self) {
        self.locks.values().for_each(Lock::check);
        for (name, lock) in &self.locks {
            for holder in &lock.holders {
                assert_eq!(
                    self.held[holder].claims.locks.get(name),
                    Some(&lock.mode),
                    "{holder} holds {name}"
                );
            }
        }
        let mut amounts: BTreeMap<Box<str>, u64> = BTreeMap::new();
        for (task, held) in &self.held {
            for name in held.claims.locks.keys() {
                assert!(self.locks[name].holders.contains(task), "{task} is a holder of {name}");
            }
            for (name, amount) in &held.claims.amounts {
                *amounts.entry(name.clone()).or_default() += amount;
            }
        }
        assert_eq!(self.amounts, amounts, "what is held of amounts is what the holders hold");
        for pool in self.pools.values() {
            pool.check();
            assert!(pool.held().all(|(_, task)| self.held.contains_key(&task)), "an index has a holder");
        }
        self.rates.values().for_each(|rate| rate.windows().iter().for_each(|window| window.check()));
    }
}

/// Spreads wakings without a source of chance: the bits of the task's id, mixed.
fn spread(task: TaskId) -> u32 {
    let mixed = task.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    u32::try_from(mixed % 1001).unwrap_or(0)
}

fn undeclared(name: &str) -> Blocked {
    Blocked::Undeclared { name: name.into() }
}

/// How often `needed` can be taken; `None` for never.
fn times(free: u64, needed: u64) -> Option<u32> {
    let times = free.checked_div(needed)?;
    (times > 0).then(|| u32::try_from(times).unwrap_or(u32::MAX))
}
