//! What tenants may use up within a period, or in all, and have.
//!
//! Periods are stretches of wall-clock time, counted from 1970 on, so that a day is a day in UTC. What an attempt
//! uses belongs to the period in which it is granted, or in which it ends. Time is that of the records, so that
//! reading them again comes to the same; a clock that jumps back begins no period anew.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::budget::{Account, Budget, Charge, Meter, OnReached, Reached, Spent};
use crate::event::{Event, SchedulerEvent, TaskEvent};
use crate::id::TaskId;
use crate::planted;
use crate::time::Timestamp;

/// What one tenant may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantBudget {
    /// How much, and what follows when it is reached. Retries are not limited by it.
    pub budget: Budget,
    /// How long a period is after which all of it is there again; `None` where it is all there ever is.
    pub per: Option<Duration>,
}

/// The budgets of all tenants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantBudgets {
    /// Of each of those that are not named.
    pub usual: TenantBudget,
    /// Of single ones, by name.
    pub named: FxHashMap<Arc<str>, TenantBudget>,
}

/// A tenant has used up its budget.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exceeded {
    /// Who.
    pub tenant: Arc<str>,
    /// What of it.
    pub reached: Reached,
    /// What follows.
    pub follows: OnReached,
    /// When the period ends; `None` where only a larger budget helps.
    pub until: Option<Timestamp>,
}

/// What a tenant has used up since a period began: all that the records before come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// Who.
    pub tenant: Arc<str>,
    /// When the period began.
    pub since: Timestamp,
    /// What was used.
    pub spent: Spent,
    /// What is used up.
    pub reached: Option<Reached>,
}

/// The accounts of all tenants that have a budget. One without costs nothing here.
#[derive(Debug, Default)]
pub struct TenantLedger {
    rules: Arc<TenantBudgets>,
    accounts: FxHashMap<Arc<str>, Entry>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    account: Account,
    /// When the period began.
    since: Timestamp,
    /// What was used up, until the period ends or there is more.
    reached: Option<Reached>,
    /// Whether anything has changed since it was recorded.
    is_news: bool,
}

impl TenantBudget {
    /// When the period began that has this moment in it.
    fn begin(&self, at: Timestamp) -> Timestamp {
        let length =
            self.per.and_then(|per| u64::try_from(per.as_micros()).ok()).filter(|micros| *micros > 0);
        length.map_or(Timestamp(0), |length| Timestamp(at.0 - at.0 % length))
    }
}

impl TenantBudgets {
    /// What one may use up.
    #[must_use]
    pub fn of(&self, tenant: &str) -> &TenantBudget {
        self.named.get(tenant).unwrap_or(&self.usual)
    }

    /// Whether nobody is limited.
    #[must_use]
    pub fn are_unlimited(&self) -> bool {
        self.usual.budget.is_unlimited() && self.named.values().all(|one| one.budget.is_unlimited())
    }
}

impl Entry {
    /// Of a period that began after the one it knows; what is set aside goes along.
    fn turn(&mut self, begin: Timestamp) {
        if begin > self.since {
            (self.since, self.account.spent, self.reached) = (begin, Spent::default(), None);
        }
    }
}

impl TenantLedger {
    /// With these budgets, of which nothing is used.
    #[must_use]
    pub fn new(rules: Arc<TenantBudgets>) -> Self {
        Self { rules, accounts: FxHashMap::default() }
    }

    /// Other budgets from now on; what was used stays used. Whether they are others.
    pub fn set_rules(&mut self, rules: &Arc<TenantBudgets>) -> bool {
        if Arc::ptr_eq(rules, &self.rules) {
            return false;
        }
        self.rules = Arc::clone(rules);
        self.accounts.retain(|tenant, _| !rules.of(tenant).budget.is_unlimited());
        for (tenant, entry) in &mut self.accounts {
            entry.account.set_budget(rules.of(tenant).budget);
        }
        true
    }

    /// Whether nobody has a budget.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.are_unlimited()
    }

    /// How many more attempts of a tenant may be granted.
    ///
    /// # Errors
    /// Where none may.
    pub fn places(&self, tenant: &Arc<str>, now: Timestamp) -> Result<u64, Exceeded> {
        let rules = self.rules.of(tenant);
        if rules.budget.is_unlimited() {
            return Ok(u64::MAX);
        }
        let mut entry = self.accounts.get(tenant).cloned().unwrap_or_else(|| Self::fresh(rules, now));
        entry.turn(rules.begin(now));
        let covered = entry.reached.map_or_else(|| entry.account.covers_attempt(), Err);
        covered.map_err(|reached| Self::exceeded(tenant, reached, rules, entry.since))?;
        let Spent { attempts, .. } = entry.account.spent;
        let left = rules.budget.attempts.saturating_sub(attempts).saturating_sub(entry.account.reserved);
        Ok(if rules.budget.attempts == 0 { u64::MAX } else { left })
    }

    /// Whether so many attempts of a tenant may be granted at once: those of a gang are.
    ///
    /// # Errors
    /// Where fewer may.
    pub fn covers(&self, tenant: &Arc<str>, needs: u32, now: Timestamp) -> Result<(), Exceeded> {
        let places = self.places(tenant, now)?;
        if places >= u64::from(needs) {
            return Ok(());
        }
        let rules = self.rules.of(tenant);
        let (meter, limit) = (Meter::Attempts, rules.budget.attempts);
        let reached = Reached { meter, used: limit.saturating_sub(places), limit };
        Err(Self::exceeded(tenant, reached, rules, rules.begin(now)))
    }

    /// Whether so many attempts at once are ever within a tenant's budget.
    #[must_use]
    pub fn could_cover(&self, tenant: &str, needs: u32) -> bool {
        let limit = self.rules.of(tenant).budget.attempts;
        limit == 0 || limit >= u64::from(needs)
    }

    /// Sets an attempt aside, which [`Self::places`] has said may be granted.
    pub fn reserve(&mut self, tenant: &Arc<str>, now: Timestamp) {
        self.change(tenant, now, |account| account.reserved += 1);
    }

    /// What was set aside is not wanted any more.
    pub fn release(&mut self, tenant: &str) {
        if let Some(entry) = self.accounts.get_mut(tenant) {
            entry.account.release();
        }
    }

    /// What was set aside is granted.
    pub fn granted(&mut self, tenant: &Arc<str>, at: Timestamp) {
        self.change(tenant, at, Account::granted);
    }

    /// An attempt is over and has used this: what is used up by that, where it was not before.
    pub fn charge(&mut self, tenant: &Arc<str>, charge: &Charge, at: Timestamp) -> Option<Exceeded> {
        let reached = self.change(tenant, at, |account| account.charge(charge))??;
        self.reach(tenant, reached)
    }

    /// An attempt was asked for and refused: what follows, where that was not told before in this period.
    pub fn refused(&mut self, tenant: &Arc<str>, now: Timestamp) -> Option<Exceeded> {
        let reached = self.change(tenant, now, |account| account.covers_attempt())?.err()?;
        self.reach(tenant, reached)
    }

    fn reach(&mut self, tenant: &Arc<str>, reached: Reached) -> Option<Exceeded> {
        let (rules, entry) = (self.rules.of(tenant), self.accounts.get_mut(tenant)?);
        if entry.reached.is_some() {
            return None;
        }
        entry.reached = Some(reached);
        Some(Self::exceeded(tenant, reached, rules, entry.since))
    }

    /// Those who go on by now, because their period is over or because they may use more. By name.
    pub fn resumed(&mut self, now: Timestamp) -> Vec<Arc<str>> {
        let mut resumed = Vec::new();
        for (tenant, entry) in self.accounts.iter_mut().filter(|(_, entry)| entry.reached.is_some()) {
            entry.turn(self.rules.of(tenant).begin(now));
            if entry.account.covers_attempt().is_ok() {
                (entry.reached, entry.is_news) = (None, true);
                resumed.push(Arc::clone(tenant));
            }
        }
        resumed.sort_unstable();
        resumed
    }

    /// All whose budget is used up, by name.
    #[must_use]
    pub fn all_exceeded(&self) -> Vec<Exceeded> {
        let exceeded = self.accounts.iter().filter_map(|(tenant, entry)| {
            Some(Self::exceeded(tenant, entry.reached?, self.rules.of(tenant), entry.since))
        });
        let mut all: Vec<_> = exceeded.collect();
        all.sort_unstable_by(|one, other| one.tenant.cmp(&other.tenant));
        all
    }

    /// The account of a tenant that has a budget, and what of it is used up.
    #[must_use]
    pub fn account(&self, tenant: &str, now: Timestamp) -> Option<(Account, Option<Exceeded>)> {
        let rules = self.rules.of(tenant);
        if rules.budget.is_unlimited() {
            return None;
        }
        let mut entry = self.accounts.get(tenant).cloned().unwrap_or_else(|| Self::fresh(rules, now));
        entry.turn(rules.begin(now));
        let exceeded =
            entry.reached.map(|reached| Self::exceeded(&tenant.into(), reached, rules, entry.since));
        Some((entry.account, exceeded))
    }

    /// What has changed since it was recorded last, by name: to be written down before records are let go.
    pub fn news(&mut self) -> Vec<Spending> {
        let changed = self.accounts.iter_mut().filter(|(_, entry)| entry.is_news);
        let mut news: Vec<_> = changed
            .map(|(tenant, entry)| {
                entry.is_news = false;
                let (spent, reached) = (entry.account.spent, entry.reached);
                Spending { tenant: Arc::clone(tenant), since: entry.since, spent, reached }
            })
            .collect();
        news.sort_unstable_by(|one, other| one.tenant.cmp(&other.tenant));
        news
    }

    /// Takes in a record, in the order of the log.
    pub fn replay(&mut self, event: &Event, at: Timestamp, tenant_of: impl Fn(TaskId) -> Option<Arc<str>>) {
        if self.is_empty() || planted!(TenantBudgetForgotten) {
            return;
        }
        match event {
            Event::Scheduler(SchedulerEvent::TenantSpent(spending)) => self.restore(spending),
            Event::Scheduler(SchedulerEvent::TenantBudgetReached(exceeded)) => {
                self.change(&exceeded.tenant, at, |_| ());
                let entry = self.accounts.get_mut(&exceeded.tenant);
                entry.into_iter().for_each(|entry| entry.reached = Some(exceeded.reached));
            }
            Event::Scheduler(SchedulerEvent::TenantResumed { tenant }) => {
                let entry = self.accounts.get_mut(tenant);
                entry.into_iter().for_each(|entry| entry.reached = None);
            }
            Event::Task { task, event: TaskEvent::Granted { .. }, .. } => {
                if let Some(tenant) = tenant_of(*task) {
                    self.granted(&tenant, at);
                }
            }
            Event::Task { task, event: TaskEvent::AttemptEnded { usage, report, .. }, .. } => {
                let charge = Charge::of(usage, report.as_deref());
                if let Some(tenant) = tenant_of(*task) {
                    self.change(&tenant, at, |account| account.charge(&charge));
                }
            }
            Event::Graph(..) | Event::Task { .. } | Event::Node(..) | Event::Scheduler(_) => {}
        }
    }

    fn restore(&mut self, spending: &Spending) {
        let Spending { tenant, since, spent, reached } = spending;
        let rules = self.rules.of(tenant);
        if !rules.budget.is_unlimited() {
            let account = Account { spent: *spent, ..Account::new(rules.budget) };
            let entry = Entry { account, since: *since, reached: *reached, is_news: false };
            self.accounts.insert(Arc::clone(tenant), entry);
        }
    }

    /// Changes an account in its period; `None` where the tenant has none.
    fn change<R>(
        &mut self,
        tenant: &Arc<str>,
        at: Timestamp,
        act: impl FnOnce(&mut Account) -> R,
    ) -> Option<R> {
        let rules = self.rules.of(tenant);
        if rules.budget.is_unlimited() {
            return None;
        }
        let entry = self.accounts.entry(Arc::clone(tenant)).or_insert_with(|| Self::fresh(rules, at));
        entry.turn(rules.begin(at));
        entry.is_news = true;
        Some(act(&mut entry.account))
    }

    fn fresh(rules: &TenantBudget, at: Timestamp) -> Entry {
        Entry { account: Account::new(rules.budget), since: rules.begin(at), ..Entry::default() }
    }

    fn exceeded(tenant: &Arc<str>, reached: Reached, rules: &TenantBudget, since: Timestamp) -> Exceeded {
        let until = rules.per.map(|per| since + per);
        Exceeded { tenant: Arc::clone(tenant), reached, follows: rules.budget.on_reached, until }
    }
}

/// `tenant "ann" has used up its budget: 3 of 3 attempts are used`
impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenant {:?} has used up its budget: {}", self.tenant, self.reached)
    }
}

#[cfg(test)]
mod tests;
