//! Leases: who holds the right to run what, and until when.

use supervision::First;

use crate::console::Console;
use crate::console::ask::gather::{Where, gather};
use crate::console::fault::Fault;
use crate::console::reply::{Cell, Kind, Reply};
use crate::wire::client::{StateName, TaskFilter};
use crate::wire::inspect::{CHILDREN_LIMIT, Look, Sight};

/// Leases whose ends are asked for: one question each.
const LEASES: usize = 64;

pub(super) async fn leases(console: &Console) -> Result<Reply, Fault> {
    let columns =
        [("token", Kind::Id, 0), ("task", Kind::Id, 0), ("node", Kind::Id, 0), ("ends in", Kind::Text, 0)];
    let mut reply = Reply::new("lease", &columns);
    let Some(client) = console.client() else {
        let holders = console.past.fold().holders();
        reply.rows = holders
            .into_iter()
            .map(|(task, token, node)| {
                vec![Cell::text(token), Cell::text(task), Cell::text(node), Cell::Nothing]
            })
            .collect();
        return Ok(reply);
    };
    let look = Look::Actors { only: Some("lease".into()), first: First::Oldest, limit: CHILDREN_LIMIT };
    let sides = gather(client, &Where::Scheduler, &look).await?;
    let rows: Vec<_> = sides.into_iter().filter_map(|side| side.rows.ok()).flatten().collect();
    let leases: Vec<_> = rows.into_iter().filter(|row| &*row.kind == "lease").collect();
    reply.notes.extend((leases.len() > LEASES).then(|| format!("{} more", leases.len() - LEASES)));
    let filter = TaskFilter { graph: None, states: vec![StateName::Granted, StateName::Running] };
    let tasks = client.tasks(&filter, 4096).await?;
    for row in leases.iter().take(LEASES) {
        let Sight::State(facts) = client.inspect(None, Look::State(row.probe)).await? else { continue };
        let fact =
            |name: &str| facts.iter().find(|fact| &*fact.name == name).map(|fact| fact.value.to_string());
        let task = fact("task");
        let of = tasks.iter().find(|one| Some(one.task.to_string()) == task);
        let node = of.and_then(|one| one.node.as_ref()).map(ToString::to_string);
        reply.rows.push(vec![
            Cell::maybe(fact("token")),
            Cell::maybe(task),
            Cell::maybe(node),
            Cell::maybe(fact("ends in")),
        ]);
    }
    Ok(reply)
}
