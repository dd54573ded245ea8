//! `crab claims`: who holds what of the fleet since when, and who waits for it.

use actors::client::Client;
use policy::claims::{ClaimsView, HolderView, Mode, RateView, WaitingView};

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, text};

pub(crate) async fn run(client: &Client, screen: &mut Screen) -> anyhow::Result<Exit> {
    let claims = client.claims().await?;
    let rows = rows(&claims);
    if screen.json {
        for claim in json::claims(&claims) {
            screen.object(&claim)?;
        }
    } else if rows.is_empty() {
        screen.note("no lock is held, and no pool, amount or rate is configured");
    } else {
        screen.line(text::table(&["what", "state", "held by"], rows))?;
    }
    Ok(Exit::SUCCESS)
}

/// A row for each thing, then one for each kind of task that waits.
fn rows(claims: &ClaimsView) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for lock in &claims.locks {
        let state = if lock.mode == Mode::Shared { "shared" } else { "exclusive" };
        let holders = lock.holders.iter().map(holder);
        rows.push(row(format!("lock {}", lock.name), state.to_owned(), holders));
    }
    for pool in &claims.pools {
        let holders = pool.held.iter().map(|(index, by)| format!("{index}: {}", holder(by)));
        rows.push(row(
            format!("pool {}", pool.name),
            format!("{} of {} free", pool.free, pool.size),
            holders,
        ));
    }
    for amount in &claims.amounts {
        let holders = amount.holders.iter().map(|(held, by)| format!("{held}: {}", holder(by)));
        let state = format!("{} of {} held", amount.held, amount.limit);
        rows.push(row(format!("amount {}", amount.name), state, holders));
    }
    rows.extend(
        claims.rates.iter().map(|rate| row(format!("rate {}", rate.name), used(rate), std::iter::empty())),
    );
    rows.extend(claims.waiting.iter().map(waiting));
    rows
}

fn row(what: String, state: String, holders: impl Iterator<Item = String>) -> Vec<String> {
    let holders = holders.collect::<Vec<_>>().join(", ");
    [what, state, holders].map(|cell| text::harmless(&cell)).into()
}

/// `t4 on mac-1 for 3s`.
fn holder(holder: &HolderView) -> String {
    format!("{} on {} for {}", holder.task, holder.node, text::length(holder.held_for))
}

fn used(rate: &RateView) -> String {
    let windows = rate.windows.iter().map(|window| {
        format!("{} of {} {} per {}", window.used, window.limit, window.unit, text::length(window.length))
    });
    let parked = rate.parked_for.map(|wait| format!("lets nobody in for {}", text::length(wait)));
    windows.chain(parked).collect::<Vec<_>>().join(", ")
}

fn waiting(waiting: &WaitingView) -> Vec<String> {
    let WaitingView { task, tasks, priority, blocked } = waiting;
    let more = if *tasks > 1 { format!(" and {} more", tasks - 1) } else { String::new() };
    row(format!("{task}{more} of {priority} priority"), format!("waits: {blocked}"), std::iter::empty())
}
