//! What a graph or a tenant may use up, what it has used, and what follows when that is reached.
//!
//! What can be known before (an attempt, a retry) is asked for before, and where it would exceed the budget it is
//! refused and not counted. What only shows at the end (time, cost) is counted at the end, whatever it comes to:
//! it was used. An amount of 0 is no limit.

mod ledger;
mod tenants;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

pub use crate::budget::ledger::{Ledger, Start};
pub use crate::budget::tenants::{Exceeded, Spending, TenantBudget, TenantBudgets, TenantLedger};

use crate::event::Next;
use crate::planted;
use crate::task::{AttemptOutcome, TaskReport, Usage};

/// How much may be used up; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Budget {
    /// Time of all attempts together.
    pub wall: Duration,
    /// Processor time of all attempts together.
    pub cpu: Duration,
    /// Attempts that may be granted.
    pub attempts: u64,
    /// Units of cost that attempts report.
    pub cost: u64,
    /// Attempts that may follow a failure. With none left a task fails; nothing else is held up.
    pub retries: u64,
    /// What follows when one of the others is reached.
    pub on_reached: OnReached,
}

/// What follows when a budget is reached. What runs goes on; what is cancelled is asked to stop.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum OnReached {
    /// Nothing more of it is started until somebody says so.
    #[default]
    Pause,
    /// All of it is cancelled.
    Cancel,
}

/// What is measured.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Display, IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum Meter {
    /// [`Budget::wall`], in milliseconds.
    Wall,
    /// [`Budget::cpu`], in milliseconds.
    Cpu,
    /// [`Budget::attempts`].
    Attempts,
    /// [`Budget::cost`].
    Cost,
    /// [`Budget::retries`].
    Retries,
}

/// What was used up so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Time of all attempts that are over.
    pub wall: Duration,
    /// Processor time of all attempts that are over.
    pub cpu: Duration,
    /// Attempts granted.
    pub attempts: u64,
    /// Units of cost reported.
    pub cost: u64,
    /// Attempts that follow a failure, from the failure on.
    pub retries: u64,
}

/// What an attempt that is over has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Charge {
    /// Its time.
    pub wall: Duration,
    /// Its processor time.
    pub cpu: Duration,
    /// The units of cost it reported.
    pub cost: u64,
}

/// Amounts of a budget that somebody says anew; the others stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Raise {
    /// Of [`Budget::wall`].
    pub wall: Option<Duration>,
    /// Of [`Budget::cpu`].
    pub cpu: Option<Duration>,
    /// Of [`Budget::attempts`].
    pub attempts: Option<u64>,
    /// Of [`Budget::cost`].
    pub cost: Option<u64>,
    /// Of [`Budget::retries`].
    pub retries: Option<u64>,
}

impl Raise {
    /// The budget with these amounts.
    #[must_use]
    pub fn of(&self, budget: &Budget) -> Budget {
        Budget {
            wall: self.wall.unwrap_or(budget.wall),
            cpu: self.cpu.unwrap_or(budget.cpu),
            attempts: self.attempts.unwrap_or(budget.attempts),
            cost: self.cost.unwrap_or(budget.cost),
            retries: self.retries.unwrap_or(budget.retries),
            on_reached: budget.on_reached,
        }
    }
}

impl Charge {
    /// What an attempt has used, and reported.
    #[must_use]
    pub fn of(usage: &Usage, report: Option<&TaskReport>) -> Self {
        Self { wall: usage.wall, cpu: usage.cpu, cost: report.map_or(0, |report| report.cost) }
    }
}

/// Whether what follows an attempt is a retry in the sense of a budget: for a failure of the task's own, not for a
/// lost machine or a rate that has refused it.
#[must_use]
pub fn is_retry(next: &Next, outcome: &AttemptOutcome, report: Option<&TaskReport>) -> bool {
    let refused = report.is_some_and(|report| report.parked_for().is_some());
    matches!(next, Next::RetryAfter(_)) && !outcome.is_loss() && !refused
}

/// A budget does not cover what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reached {
    /// Which of its amounts.
    pub meter: Meter,
    /// How much was used.
    pub used: u64,
    /// How much may be.
    pub limit: u64,
}

/// A budget and what was used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    budget: Budget,
    spent: Spent,
    /// Attempts that are asked for and not granted yet.
    reserved: u64,
}

impl Budget {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self { on_reached: self.on_reached, ..Self::default() }
    }

    fn limit(&self, meter: Meter) -> u64 {
        match meter {
            Meter::Wall => millis(self.wall),
            Meter::Cpu => millis(self.cpu),
            Meter::Attempts => self.attempts,
            Meter::Cost => self.cost,
            Meter::Retries => self.retries,
        }
    }
}

impl Spent {
    fn used(&self, meter: Meter) -> u64 {
        match meter {
            Meter::Wall => millis(self.wall),
            Meter::Cpu => millis(self.cpu),
            Meter::Attempts => self.attempts,
            Meter::Cost => self.cost,
            Meter::Retries => self.retries,
        }
    }
}

/// A length that is less than a millisecond and not nothing counts as one: as a limit it is one, and as time used
/// it is not lost.
fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Account {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// What may be used.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What was used.
    #[must_use]
    pub fn spent(&self) -> &Spent {
        &self.spent
    }

    /// Another budget from now on; what was used stays used.
    pub fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// Whether another attempt is covered: neither time nor cost is used up, and there is an attempt left.
    ///
    /// # Errors
    /// What is used up.
    pub fn covers_attempt(&self) -> Result<(), Reached> {
        self.used_up().map_or(Ok(()), Err)?;
        if planted!(BudgetIgnored) {
            return Ok(());
        }
        self.covers(Meter::Attempts, self.spent.attempts, self.reserved)
    }

    /// Sets an attempt aside that may be granted.
    ///
    /// # Errors
    /// As [`Self::covers_attempt`]; nothing is set aside then.
    pub fn reserve(&mut self) -> Result<(), Reached> {
        self.covers_attempt()?;
        self.reserved += 1;
        Ok(())
    }

    /// What was set aside is not wanted any more.
    pub fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// An attempt is granted; one that was set aside, where one was.
    pub fn granted(&mut self) {
        self.release();
        self.spent.attempts = self.spent.attempts.saturating_add(1);
    }

    /// Takes a retry.
    ///
    /// # Errors
    /// Where none is left; nothing is counted then.
    pub fn retry(&mut self) -> Result<(), Reached> {
        if !planted!(RetryBudgetIgnored) {
            self.covers(Meter::Retries, self.spent.retries, 0)?;
        }
        self.retried();
        Ok(())
    }

    /// A retry was taken, as a record says.
    pub fn retried(&mut self) {
        self.spent.retries = self.spent.retries.saturating_add(1);
    }

    /// Nothing comes of a retry that was taken: the task has ended before its attempt.
    pub fn give_back_retry(&mut self) {
        self.spent.retries = self.spent.retries.saturating_sub(1);
    }

    /// An attempt is over and has used this: what is used up by that, where it was not before. That no attempt
    /// is left holds nothing up until one is asked for.
    pub fn charge(&mut self, charge: &Charge) -> Option<Reached> {
        let before = self.used_up().is_some();
        self.spent.wall = self.spent.wall.saturating_add(charge.wall);
        self.spent.cpu = self.spent.cpu.saturating_add(charge.cpu);
        self.spent.cost = self.spent.cost.saturating_add(charge.cost);
        self.used_up().filter(|_| !before)
    }

    /// Which of time and cost is used up.
    fn used_up(&self) -> Option<Reached> {
        let covers = |meter| self.covers(meter, self.spent.used(meter), 0);
        [Meter::Wall, Meter::Cpu, Meter::Cost].into_iter().find_map(|meter| covers(meter).err())
    }

    fn covers(&self, meter: Meter, used: u64, reserved: u64) -> Result<(), Reached> {
        let limit = self.budget.limit(meter);
        if limit == 0 || used.saturating_add(reserved) < limit {
            return Ok(());
        }
        Err(Reached { meter, used, limit })
    }
}

/// `100 of 100 attempts are used`
impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { meter, used, limit } = *self;
        let seconds = |millis: u64| Duration::from_millis(millis);
        match meter {
            Meter::Wall => write!(f, "{:?} of {:?} of time are used", seconds(used), seconds(limit)),
            Meter::Cpu => write!(f, "{:?} of {:?} of processor time are used", seconds(used), seconds(limit)),
            Meter::Attempts => write!(f, "{used} of {limit} attempts are used"),
            Meter::Cost => write!(f, "{used} of {limit} units of cost are used"),
            Meter::Retries => write!(f, "{used} of {limit} retries are used"),
        }
    }
}

#[cfg(test)]
mod tests;
