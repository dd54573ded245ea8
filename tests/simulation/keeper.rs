//! Owners of graphs that have used up their budgets: they look now and then, and give more.

use std::time::Duration;

use actors::scheduler::SchedulerMessage;
use actors::wire::client::{BudgetRow, Response};
use fastrand::Rng;
use policy::budget::Raise;
use policy::id::GraphId;

use super::clients::{ask, insist};
use super::world::World;
use crate::history::Asked;

/// Looks after a graph until it has ended.
pub(super) async fn see_to_its_end(world: &World, mut rng: Rng, graph: GraphId) {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.u64(1000..6000))).await;
        let Some((_, side)) = world.side() else { continue };
        match ask(&side, |reply| SchedulerMessage::Graph { graph, reply }).await {
            Some(Response::Graph(row)) if row.ended.is_some() => return,
            Some(Response::Graph(row)) => {
                if let Some(row) = row.budget.filter(|row| row.reached.is_some()) {
                    let raise = more(&row, world.core().nature.gangs);
                    let resume = |reply| SchedulerMessage::Resume { graph, raise, reply };
                    insist(world, Asked::Resume(graph), resume).await;
                }
            }
            _ => {}
        }
    }
}

/// Three times what was used, and a little: enough for the members of a gang, of which none starts alone.
fn more(BudgetRow { budget, spent, .. }: &BudgetRow, gang: u32) -> Raise {
    let count = |limit: u64, spent: u64| (limit > 0).then(|| spent * 3 + 2);
    Raise {
        attempts: count(budget.attempts, spent.attempts).map(|attempts| attempts + u64::from(gang)),
        retries: count(budget.retries, spent.retries),
        wall: (!budget.wall.is_zero()).then(|| spent.wall * 3 + Duration::from_secs(2)),
        ..Raise::default()
    }
}
