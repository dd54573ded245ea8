//! What tasks claim of the fleet, what rates have used, and what graphs and tenants may still use up.

use std::time::Duration;

use policy::budget::{Budget, Spent};
use policy::claims::{ClaimsView, HolderView, Mode, RateView};

use crate::console::Console;
use crate::console::eye::Eye;
use crate::console::fault::Fault;
use crate::console::reply::{Cell, Kind, Reply};
use crate::say;

/// Graphs that are looked at for a budget, the newest.
const GRAPHS: usize = 1000;

/// Of the rows of `lock`: one for each holder.
pub(super) const LOCK: &[(&str, Kind, u8)] = &[
    ("what", Kind::Text, 0),
    ("name", Kind::Id, 0),
    ("state", Kind::State, 0),
    ("task", Kind::Id, 0),
    ("holds", Kind::Text, 1),
    ("node", Kind::Id, 2),
    ("priority", Kind::State, 3),
    ("for", Kind::Length, 1),
];

/// Of the rows of `rate`: one for each window.
pub(super) const RATE: &[(&str, Kind, u8)] = &[
    ("rate", Kind::Id, 0),
    ("unit", Kind::Text, 0),
    ("used", Kind::Number, 0),
    ("limit", Kind::Number, 0),
    ("per", Kind::Length, 0),
    ("parked", Kind::Length, 1),
];

/// Of the rows of `budget`: one for each amount that is limited.
pub(super) const BUDGET: &[(&str, Kind, u8)] = &[
    ("of", Kind::Id, 0),
    ("name", Kind::Text, 1),
    ("what", Kind::Text, 0),
    ("used", Kind::Text, 0),
    ("limit", Kind::Text, 0),
    ("state", Kind::State, 0),
];

pub(super) async fn locks(console: &Console) -> Result<Reply, Fault> {
    let claims = console.live("what is claimed")?.claims().await?;
    let mut reply = Reply::new("lock", LOCK);
    held(&claims, &mut reply);
    if reply.rows.is_empty() {
        reply.notes.push("no lock is held, and no pool or amount is configured".to_owned());
    }
    for waiting in &claims.waiting {
        let more = if waiting.tasks > 1 { format!(" and {} more", waiting.tasks - 1) } else { String::new() };
        let verb = if more.is_empty() { "waits" } else { "wait" };
        reply.notes.push(format!("{}{more} {verb}: {}", waiting.task, waiting.blocked));
    }
    Ok(reply)
}

fn held(claims: &ClaimsView, reply: &mut Reply) {
    let mut add = |what: &str, name: &str, state: String, holders: Vec<(String, &HolderView)>| {
        let head = [Cell::text(what), Cell::text(name), Cell::text(state)];
        let of = |cells: [Cell; 5]| head.iter().cloned().chain(cells).collect::<Vec<_>>();
        if holders.is_empty() {
            reply.rows.push(of(Default::default()));
        }
        reply.rows.extend(holders.into_iter().map(|(holds, by)| of(holder(holds, by))));
    };
    for lock in &claims.locks {
        let state = if lock.mode == Mode::Shared { "shared" } else { "exclusive" };
        let holders = lock.holders.iter().map(|by| (String::new(), by));
        add("lock", &lock.name, state.to_owned(), holders.collect());
    }
    for pool in &claims.pools {
        let holders = pool.held.iter().map(|(index, by)| (index.to_string(), by));
        add("pool", &pool.name, format!("{} of {} free", pool.free, pool.size), holders.collect());
    }
    for amount in &claims.amounts {
        let holders = amount.holders.iter().map(|(held, by)| (held.to_string(), by));
        add("amount", &amount.name, format!("{} of {} held", amount.held, amount.limit), holders.collect());
    }
}

fn holder(holds: String, by: &HolderView) -> [Cell; 5] {
    let (task, node, priority) = (Cell::text(by.task), Cell::text(&by.node), Cell::text(by.priority));
    [task, Cell::text(holds), node, priority, Cell::length(by.held_for)]
}

pub(super) async fn rates(console: &Console) -> Result<Reply, Fault> {
    let claims = console.live("what rates have used")?.claims().await?;
    let mut reply = Reply::new("rate", RATE);
    reply.rows = claims.rates.iter().flat_map(windows).collect();
    if reply.rows.is_empty() {
        reply.notes.push("no rate is configured".to_owned());
    }
    Ok(reply)
}

fn windows(rate: &RateView) -> impl Iterator<Item = Vec<Cell>> {
    rate.windows.iter().map(|window| {
        vec![
            Cell::text(&rate.name),
            Cell::text(&window.unit),
            Cell::Number(window.used),
            Cell::Number(window.limit),
            Cell::length(window.length),
            rate.parked_for.map_or(Cell::Nothing, Cell::length),
        ]
    })
}

pub(super) async fn budgets(console: &Console) -> Result<Reply, Fault> {
    let eye = console.eye()?;
    let mut reply = Reply::new("budget", BUDGET);
    for row in eye.graphs(GRAPHS).await? {
        let Some(budget) = &row.budget else { continue };
        let state = budget.reached.map(|reached| format!("{} used up", reached.meter));
        let who = (row.graph.to_string(), row.name.to_string());
        reply.rows.extend(amounts(&who, (&budget.budget, &budget.spent), state.as_deref()));
    }
    if let Eye::Live(client) = eye {
        for row in client.status().await?.tenants {
            let Some(spending) = &row.budget else { continue };
            let state =
                spending.exceeded.as_ref().map(|exceeded| format!("{} used up", exceeded.reached.meter));
            let who = (row.tenant.to_string(), "tenant".to_owned());
            reply.rows.extend(amounts(&who, (&spending.budget, &spending.spent), state.as_deref()));
        }
    }
    if reply.rows.is_empty() {
        reply.notes.push("no graph and no tenant has a budget".to_owned());
    }
    Ok(reply)
}

/// What is limited of it.
fn amounts(
    (of, name): &(String, String),
    (budget, spent): (&Budget, &Spent),
    state: Option<&str>,
) -> Vec<Vec<Cell>> {
    let time = |what, used: Duration, limit: Duration| {
        (!limit.is_zero()).then(|| (what, say::length(used), say::length(limit)))
    };
    let count =
        |what, used: u64, limit: u64| (limit > 0).then(|| (what, used.to_string(), limit.to_string()));
    let all = [
        time("time", spent.wall, budget.wall),
        time("cpu time", spent.cpu, budget.cpu),
        count("attempts", spent.attempts, budget.attempts),
        count("cost", spent.cost, budget.cost),
        count("retries", spent.retries, budget.retries),
    ];
    let row = |(what, used, limit)| {
        let words = [Cell::text(of), Cell::text(name), Cell::text(what), Cell::text(used), Cell::text(limit)];
        words.into_iter().chain([Cell::maybe(state)]).collect()
    };
    all.into_iter().flatten().map(row).collect()
}
