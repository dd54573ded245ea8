//! What the inspectors of all sides tell, asked at once; of one who looks again and again only what has changed.

use std::sync::Arc;
use std::time::Duration;

use policy::id::NodeId;

use crate::client::Client;
use crate::console::Console;
use crate::console::ask::followed::Followed;
use crate::console::fault::Fault;
use crate::wire::client::NodeHealth;
use crate::wire::inspect::{ActorRow, Look, Sight};

/// How long the list of machines may take; then the scheduler side alone is looked at.
const NODES_DEADLINE: Duration = Duration::from_secs(1);

/// The actors of one side.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// Of which machine; of the scheduler side where there is none.
    pub machine: Option<NodeId>,
    /// The actors, parents first; or why there are none.
    pub rows: Result<Vec<ActorRow>, String>,
    /// Those that were left out of the answer.
    pub more: u64,
}

/// Which sides are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Where {
    Everywhere,
    Scheduler,
    Machine(NodeId),
}

impl Where {
    pub(super) fn of(word: Option<&str>) -> Self {
        match word {
            None => Self::Everywhere,
            Some("scheduler" | "head") => Self::Scheduler,
            Some(machine) => Self::Machine(machine.into()),
        }
    }
}

/// Asks the inspectors, all at once.
pub(crate) async fn gather(client: &Client, place: &Where, look: &Look) -> Result<Vec<Gathered>, Fault> {
    gather_by(client, (place, look), None).await
}

/// The same for a console: where it looks again and again, only what has changed is asked for.
pub(crate) async fn gather_for(
    console: &Console,
    client: &Client,
    (place, look): (&Where, &Look),
) -> Result<Vec<Gathered>, Fault> {
    gather_by(client, (place, look), console.followed.as_ref()).await
}

async fn gather_by(
    client: &Client,
    (place, look): (&Where, &Look),
    followed: Option<&Arc<Followed>>,
) -> Result<Vec<Gathered>, Fault> {
    let mut machines = match place {
        Where::Everywhere => {
            // The list comes from the gateway; one that is stuck is what one wants to look at.
            let nodes = tokio::time::timeout(NODES_DEADLINE, client.nodes()).await;
            let nodes = nodes.unwrap_or_else(|_| Ok(Vec::new()))?;
            let there = nodes.into_iter().filter(|node| node.health != NodeHealth::Lost);
            std::iter::once(None).chain(there.map(|node| Some(node.node))).collect()
        }
        Where::Scheduler => vec![None],
        Where::Machine(node) => vec![Some(node.clone())],
    };
    machines.dedup();
    let mut asked = tokio::task::JoinSet::new();
    for (place, machine) in machines.into_iter().enumerate() {
        let (client, look, followed) = (client.clone(), look.clone(), followed.cloned());
        asked.spawn(async move {
            let answer = match followed {
                Some(followed) => followed.look(&client, (machine.clone(), look)).await,
                None => client.inspect(machine.clone(), look).await,
            };
            (place, machine, answer)
        });
    }
    let mut all = Vec::new();
    while let Some(Ok((place, machine, answer))) = asked.join_next().await {
        let (rows, more) = match answer? {
            Sight::Actors { rows, more } => (Ok(rows), more),
            Sight::Unseen(why) => (Err(why.to_string()), 0),
            other => (Err(format!("a strange answer: {other:?}")), 0),
        };
        all.push((place, Gathered { machine, rows, more }));
    }
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, gathered)| gathered).collect())
}
