//! Whose turn it is within one priority: fair share between tenants, by the resource of which each takes most.
//!
//! # Why
//!
//! A start costs its tenant the largest part that the task takes of any resource of the fleet, divided by the
//! tenant's weight (dominant resource fairness). Two things are kept of every tenant: what it holds now, and a
//! *virtual time* that every start moves on by its cost.
//!
//! The turn goes to the tenant that is furthest back in virtual time; but for those who hold much more beside their weight
//! than another one would even after its own next start, or as much as one that has nothing would. Whoever is passed over
//! for what it holds, the others have their turns among each other by virtual time. By what is held alone, nothing
//! could be told apart on few slots: with one slot everybody who waits holds nothing, and weights of 2 and 1 on two slots
//! would share them evenly. By virtual time alone a tenant of day-long tasks would get one more slot for every start
//! of a tenant of short ones, until it had them all. Together starts are shared by weight, and long tasks do not buy
//! slots.
//!
//! Nothing is saved up: who comes starts at the virtual time of those who are served, and who could not be
//! served falls back by no more than a fleet's worth. What a tenant owes is remembered after its last task, so
//! that submitting one by one is no way around its share.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::queue::Arrival;
use crate::resources::Resources;

/// All of a resource that the fleet has, as a cost.
pub const WHOLE: u64 = 1 << 40;

/// The least that a start costs: what needs nothing still takes a turn.
const LEAST: u64 = WHOLE >> 20;

/// Tenants whose debts are remembered while they have nothing: who comes from outside could bring any number
/// of names. Beyond it the smallest debt is forgotten.
const DEBTORS_LIMIT: usize = 1024;

/// A tenant that waits, holds or owes something, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(u32);

/// What one tenant has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub name: Arc<str>,
    /// How much of the fleet it is due, beside others.
    pub weight: u32,
    /// What its attempts hold, as parts of [`WHOLE`]: the sum of what each started one costs.
    pub held: u64,
    /// How many attempts that is.
    pub active: u64,
    /// Lines in which it waits.
    lines: u32,
    virtual_time: u128,
}

/// The tenants of one priority. See the module.
#[derive(Debug, Clone, Default)]
pub struct Tenants {
    accounts: Vec<Account>,
    ids: FxHashMap<Arc<str>, TenantId>,
    free: Vec<TenantId>,
    /// The virtual time at which the last one was served: where those who come begin.
    now: u128,
    /// Those who have nothing and are ahead of `now`.
    debtors: BTreeSet<(u128, TenantId)>,
}

/// What an attempt costs that holds `need` on a fleet that has `fleet`: the largest part of any resource.
#[must_use]
pub fn cost(need: &Resources, fleet: &Resources) -> u64 {
    let part = |(resource, needed): (&str, u64)| {
        let there = u128::from(fleet.amount(resource));
        let part = (u128::from(needed) * u128::from(WHOLE)).checked_div(there).unwrap_or(0);
        u64::try_from(part).unwrap_or(WHOLE).min(WHOLE)
    };
    need.dimensions().map(part).max().unwrap_or(0).max(LEAST)
}

impl Account {
    fn of(name: &Arc<str>, weight: u32, virtual_time: u128) -> Self {
        Self { name: Arc::clone(name), weight: weight.max(1), held: 0, active: 0, lines: 0, virtual_time }
    }

    /// A cost, as its virtual time counts it.
    fn weighed(&self, cost: u64) -> u128 {
        (u128::from(cost) / u128::from(self.weight)).max(1)
    }

    fn has_nothing(&self) -> bool {
        self.lines == 0 && self.active == 0
    }
}

impl Tenants {
    /// The number of a tenant. One that is new begins now.
    pub fn enter(&mut self, name: &Arc<str>, weight: u32) -> TenantId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let account = Account::of(name, weight, self.now);
        let id = if let Some(id) = self.free.pop() {
            self.accounts[id.0 as usize] = account;
            id
        } else {
            self.accounts.push(account);
            TenantId(u32::try_from(self.accounts.len() - 1).unwrap_or(u32::MAX))
        };
        self.ids.insert(Arc::clone(name), id);
        id
    }

    /// What it has.
    #[must_use]
    pub fn account(&self, id: TenantId) -> &Account {
        &self.accounts[id.0 as usize]
    }

    /// All who wait, hold or owe something, in no order.
    pub fn all(&self) -> impl Iterator<Item = (TenantId, &Account)> {
        self.ids.values().map(|id| (*id, self.account(*id)))
    }

    /// Somebody's weight is another one from now on.
    pub fn set_weight(&mut self, id: TenantId, weight: u32) {
        self.accounts[id.0 as usize].weight = weight.max(1);
    }

    /// It waits in one more line.
    pub fn waits(&mut self, id: TenantId) {
        self.debtors.remove(&(self.account(id).virtual_time, id));
        let now = self.now;
        let account = &mut self.accounts[id.0 as usize];
        if account.lines == 0 {
            account.virtual_time = account.virtual_time.max(now);
        }
        account.lines += 1;
    }

    /// It waits in one line fewer.
    pub fn rests(&mut self, id: TenantId) {
        self.accounts[id.0 as usize].lines -= 1;
        self.settle(id);
    }

    /// One of its tasks starts.
    pub fn start(&mut self, id: TenantId, cost: u64) {
        self.hold(id, cost);
        let account = &mut self.accounts[id.0 as usize];
        let before = account.virtual_time;
        account.virtual_time += account.weighed(cost);
        if before > self.now {
            self.now = before;
            self.forgive();
        }
    }

    /// A start that came to nothing.
    pub fn undo(&mut self, id: TenantId, cost: u64) {
        let account = &mut self.accounts[id.0 as usize];
        account.virtual_time = account.virtual_time.saturating_sub(account.weighed(cost));
        self.end(id, cost);
    }

    /// It holds something that it was not given here: an attempt from before a restart.
    pub fn hold(&mut self, id: TenantId, cost: u64) {
        self.debtors.remove(&(self.account(id).virtual_time, id));
        let account = &mut self.accounts[id.0 as usize];
        account.held += cost;
        account.active += 1;
    }

    /// One of its attempts is over.
    pub fn end(&mut self, id: TenantId, cost: u64) {
        let account = &mut self.accounts[id.0 as usize];
        account.held = account.held.saturating_sub(cost);
        account.active = account.active.saturating_sub(1);
        self.settle(id);
    }

    /// What `attempts` of its attempts hold costs another amount from now on.
    pub fn reprice(&mut self, id: TenantId, attempts: u32, before: u64, now: u64) {
        let account = &mut self.accounts[id.0 as usize];
        let of = |cost: u64| u64::from(attempts).saturating_mul(cost);
        account.held = account.held.saturating_sub(of(before)).saturating_add(of(now));
    }

    /// Nobody waits any more: all debts are forgiven, for there is nobody to whom they are owed.
    pub fn idle(&mut self) {
        let latest = self.all().map(|(_, account)| account.virtual_time).max();
        self.now = self.now.max(latest.unwrap_or(0));
        self.forgive();
    }

    /// Who has nothing is forgotten, unless it owes something.
    fn settle(&mut self, id: TenantId) {
        let account = self.account(id);
        if !account.has_nothing() {
            return;
        }
        if account.virtual_time <= self.now {
            return self.forget(id);
        }
        self.debtors.insert((account.virtual_time, id));
        if self.debtors.len() > DEBTORS_LIMIT
            && let Some((_, id)) = self.debtors.pop_first()
        {
            self.forget(id);
        }
    }

    /// Forgets those whose debts are paid by now.
    fn forgive(&mut self) {
        while let Some((virtual_time, id)) = self.debtors.first().copied()
            && virtual_time <= self.now
        {
            self.debtors.pop_first();
            self.forget(id);
        }
    }

    fn forget(&mut self, id: TenantId) {
        let name = Arc::clone(&self.account(id).name);
        self.ids.remove(&name);
        self.free.push(id);
    }

    /// Asserts that nobody is kept for nothing. For tests and simulations.
    ///
    /// # Panics
    ///
    /// When somebody is.
    pub fn check(&self) {
        assert_eq!(
            self.ids.len() + self.free.len(),
            self.accounts.len(),
            "each number is somebody's or free"
        );
        for (id, account) in self.all() {
            let owes = self.debtors.contains(&(account.virtual_time, id));
            assert_eq!(owes, account.has_nothing(), "who has nothing owes something: {account:?}");
            assert!(account.active > 0 || account.held == 0, "{account:?}");
        }
    }
}

/// Turns between those who have something that may start now. Made anew for each pick of a queue.
#[derive(Debug, Default)]
pub struct Turns {
    by_time: BTreeSet<(u128, Arrival, TenantId)>,
    by_load: BTreeSet<(u128, u128, Arrival, TenantId)>,
    entries: FxHashMap<TenantId, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// When its first task came.
    first: Arrival,
    /// What it would hold with that, beside its weight.
    load: u128,
}

impl Turns {
    /// Turns among these. Where they could not be served for long, they fall back by no more than a fleet's worth: the one that is
    /// furthest back is brought up to that, and all others by as much, so that what they are due beside each other stays.
    pub fn among(tenants: &mut Tenants, ids: impl Iterator<Item = TenantId> + Clone) -> Self {
        let (now, account) = (tenants.now, |id: &TenantId| &tenants.accounts[id.0 as usize]);
        let furthest = ids.clone().map(|id| account(&id)).min_by_key(|account| account.virtual_time);
        let too_far = furthest.map_or(0, |account| {
            now.saturating_sub(account.weighed(WHOLE)).saturating_sub(account.virtual_time)
        });
        if too_far > 0 {
            for id in ids {
                let account = &mut tenants.accounts[id.0 as usize];
                account.virtual_time = (account.virtual_time + too_far).min(now.max(account.virtual_time));
            }
        }
        Self::default()
    }

    /// Somebody has something to start: its first task came at `first` and costs `cost`.
    pub fn enter(&mut self, tenants: &Tenants, id: TenantId, first: Arrival, cost: u64) {
        let account = tenants.account(id);
        let load = beside_weight(account, cost);
        self.by_time.insert((account.virtual_time, first, id));
        self.by_load.insert((load, account.virtual_time, first, id));
        self.entries.insert(id, Entry { first, load });
    }

    /// Whose turn it is. It has left then: let it enter again, after its start, if it has more.
    pub fn take(&mut self, tenants: &Tenants) -> Option<TenantId> {
        let (load, .., least) = *self.by_load.first()?;
        // Who holds nothing is served at once; between others half as much again is nobody's grievance, for attempts
        // come and go by chance.
        let enough = if tenants.account(least).active == 0 { load } else { load + load / 2 };
        let holds_little = |id: &TenantId| beside_weight(tenants.account(*id), 0) < enough;
        let id = self.by_time.iter().map(|(.., id)| *id).find(holds_little).unwrap_or(least);
        let (account, entry) = (tenants.account(id), self.entries.remove(&id)?);
        self.by_time.remove(&(account.virtual_time, entry.first, id));
        self.by_load.remove(&(entry.load, account.virtual_time, entry.first, id));
        Some(id)
    }
}

/// What somebody would hold with `more`, beside its weight, fine enough to tell small parts apart.
fn beside_weight(account: &Account, more: u64) -> u128 {
    ((u128::from(account.held) + u128::from(more)) << 20) / u128::from(account.weight)
}

#[cfg(test)]
mod tests;
