//! What stands beside actors in their tree: breakers and leases of machines, and what tasks run.
//!
//! Asked of those that are shown, and of no more than [`TOLD`]: what does not answer in time is left out.

use std::collections::BTreeMap;

use policy::breaker::Seen;
use policy::id::{NodeId, TaskId};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::console::reply::{Cell, Column, Kind, Reply};
use crate::wire::client::TaskDetail;
use crate::wire::inspect::{Look, Sight};

/// Tasks, and machines, that are asked about: what a screen shows of either, for some milliseconds of a look.
const TOLD: usize = 24;

/// What the tree has beyond the list of actors; behind each how soon it goes where room is short.
const BESIDE: &[(&str, Kind, u8)] = &[
    ("brk", Kind::State, 6),
    ("lease", Kind::Text, 5),
    ("pid", Kind::Number, 7),
    ("memory", Kind::Bytes, 5),
    ("cpu", Kind::Length, 6),
    ("command", Kind::Text, 3),
];

/// What is known of the machines and tasks that are shown.
#[derive(Debug, Default)]
struct Known {
    breakers: BTreeMap<NodeId, &'static str>,
    leases: BTreeMap<NodeId, String>,
    /// By id, and by the token of the last attempt.
    tasks: BTreeMap<String, TaskDetail>,
}

/// Adds to a tree of actors what stands beside them. `name` and `probe` are the places of these columns.
pub(super) async fn beside(client: &Client, reply: &mut Reply, (name, probe): (usize, usize)) {
    let now = reply.column("now");
    let named = |row: &Vec<Cell>| match (row.get(name), row.get(probe)) {
        (Some(Cell::Text(name)), Some(Cell::Number(probe))) => Some((name.to_string(), *probe)),
        _ => None,
    };
    let shown: Vec<_> = reply.rows.iter().filter_map(named).collect();
    let known = Known::of(client, &shown).await;
    reply.columns.extend(BESIDE.iter().map(|(name, kind, rank)| Column::new(name, *kind, *rank)));
    for row in &mut reply.rows {
        let cells = named(row).map(|(name, _)| known.cells(&name));
        // What a task says of itself is what it does; its actor does nothing meanwhile.
        if let Some(says) = named(row).and_then(|(name, _)| known.says(&name))
            && let Some(now) = now.and_then(|now| row.get_mut(now)).filter(|now| **now == Cell::Nothing)
        {
            *now = Cell::text(says);
        }
        row.extend(cells.unwrap_or_else(|| vec![Cell::Nothing; BESIDE.len()]));
    }
}

impl Known {
    async fn of(client: &Client, shown: &[(String, u64)]) -> Self {
        let mut known = Self::default();
        for row in client.nodes().await.unwrap_or_default() {
            let own = row.breakers.iter().find(|(kind, _)| kind.is_none()).map(|(_, seen)| match seen {
                Seen::Open(_) => "open",
                Seen::HalfOpen { .. } => "half-open",
            });
            known.breakers.insert(row.node, own.unwrap_or("closed"));
        }
        let (mut leases, mut tasks) = (JoinSet::new(), JoinSet::new());
        for (name, probe) in shown {
            let client = client.clone();
            if let Some(node) = name.strip_prefix("node/").filter(|_| leases.len() < TOLD) {
                let (node, look) = (NodeId::from(node), Look::State(supervision::ProbeId(*probe)));
                leases.spawn(async move { (node, client.inspect(None, look).await) });
            } else if let Some(task) = name.strip_prefix("task/t").filter(|_| tasks.len() < TOLD)
                && let Ok(task) = task.parse()
            {
                tasks.spawn(async move { client.task(TaskId(task)).await });
            }
        }
        while let Some(told) = leases.join_next().await {
            let Ok((node, Ok(Sight::State(facts)))) = told else { continue };
            let ends = facts.iter().find(|fact| &*fact.name == "lease ends in");
            known.leases.extend(ends.map(|fact| (node, fact.value.to_string())));
        }
        while let Some(told) = tasks.join_next().await {
            let Ok(Ok(detail)) = told else { continue };
            let token = detail.attempts.last().map(|attempt| attempt.token.to_string());
            known.tasks.extend(token.map(|token| (token, detail.clone())));
            known.tasks.insert(detail.row.task.to_string(), detail);
        }
        known
    }

    fn says(&self, name: &str) -> Option<String> {
        let (kind, own) = name.split('@').next().and_then(|name| name.split_once('/'))?;
        let task = self.tasks.get(own).filter(|_| ["task", "attempt"].contains(&kind))?;
        task.row.how_far()
    }

    /// `node/mac-1`, `task/t12`, and `lease/1.21` and `attempt/1.21@mac-1` of the task that holds it.
    fn cells(&self, name: &str) -> Vec<Cell> {
        let (kind, own) = name.split('@').next().and_then(|name| name.split_once('/')).unwrap_or_default();
        let mut cells = vec![Cell::Nothing; BESIDE.len()];
        if kind == "node" {
            let node = NodeId::from(own);
            cells[0] = Cell::maybe(self.breakers.get(&node));
            cells[1] = Cell::maybe(self.leases.get(&node));
            return cells;
        }
        let Some(task) = self.tasks.get(own).filter(|_| ["task", "lease", "attempt"].contains(&kind)) else {
            return cells;
        };
        // One heartbeat renews all leases of a machine.
        cells[1] = Cell::maybe(task.row.node.as_ref().and_then(|node| self.leases.get(node)));
        if kind != "lease" {
            let pid = task.attempts.last().and_then(|attempt| attempt.pid);
            cells[2] = pid.map_or(Cell::Nothing, |pid| Cell::Number(pid.into()));
            if let Some(sample) = &task.row.in_use {
                (cells[3], cells[4]) = (Cell::Number(sample.memory_bytes), Cell::length(sample.cpu));
            }
            let argv = task.spec.argv.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            cells[5] = Cell::text(argv);
        }
        cells
    }
}
