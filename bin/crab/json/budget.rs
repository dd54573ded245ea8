//! What graphs and tenants may use up.

use actors::wire::client::{BudgetRow, SpendingRow};
use policy::budget::{Budget as Limit, Reached as UsedUp, Spent as Used};
use serde::Serialize;

use crate::cli::text::rfc3339;

/// What a graph or a tenant may use up, and has. An amount of 0 is no limit.
#[derive(Debug, Serialize)]
pub(crate) struct Budget {
    limit: Amounts,
    used: Amounts,
    /// `pause` or `cancel`.
    on_reached: String,
    reached: Option<Reached>,
    /// When all of it is there again, where it is used up and a period ends; of tenants alone.
    until: Option<String>,
}

/// Amounts of a budget.
#[derive(Debug, Serialize)]
struct Amounts {
    time_s: f64,
    cpu_time_s: f64,
    attempts: u64,
    cost: u64,
    retries: u64,
}

/// What of a budget is used up. Times are in milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Reached {
    /// `wall`, `cpu`, `attempts`, `cost` or `retries`.
    meter: &'static str,
    used: u64,
    limit: u64,
}

impl From<&UsedUp> for Reached {
    fn from(reached: &UsedUp) -> Self {
        Self { meter: reached.meter.into(), used: reached.used, limit: reached.limit }
    }
}

impl From<&Used> for Amounts {
    fn from(spent: &Used) -> Self {
        let Used { wall, cpu, attempts, cost, retries } = *spent;
        Self { time_s: wall.as_secs_f64(), cpu_time_s: cpu.as_secs_f64(), attempts, cost, retries }
    }
}

impl From<&BudgetRow> for Budget {
    fn from(row: &BudgetRow) -> Self {
        Self::of(&row.budget, &row.spent, row.reached.as_ref())
    }
}

impl From<&SpendingRow> for Budget {
    fn from(row: &SpendingRow) -> Self {
        let exceeded = row.exceeded.as_ref();
        let until = exceeded.and_then(|exceeded| exceeded.until).map(rfc3339);
        Self { until, ..Self::of(&row.budget, &row.spent, exceeded.map(|exceeded| &exceeded.reached)) }
    }
}

impl Budget {
    fn of(limit: &Limit, spent: &Used, reached: Option<&UsedUp>) -> Self {
        let on_reached = limit.on_reached.to_string();
        let (wall, cpu, attempts) = (limit.wall, limit.cpu, limit.attempts);
        let limit = Used { wall, cpu, attempts, cost: limit.cost, retries: limit.retries };
        Self {
            limit: Amounts::from(&limit),
            used: Amounts::from(spent),
            on_reached,
            reached: reached.map(Reached::from),
            until: None,
        }
    }
}
