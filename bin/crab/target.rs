//! From what the user calls it to what it is: `t12`, `g12`, `12`, or a name.

use actors::client::Client;
use actors::client::error::target_text;
use actors::wire::client::{Found, Target};
use policy::id::{GraphId, TaskId};

use crate::cli::exit::{NotFound, Usage};

/// Names that are shown where more than one thing has the name.
const SHOWN: usize = 5;

/// `t12`, `g12`.
pub(crate) fn id(target: Target) -> String {
    match target {
        Target::Task(task) => task.to_string(),
        Target::Graph(graph) => graph.to_string(),
    }
}

/// Finds it; a bare number is a graph.
pub(crate) async fn find(client: &Client, wanted: &str) -> anyhow::Result<Target> {
    if let Some(target) = parse(wanted) {
        return Ok(target);
    }
    let found = own_graphs(client, client.find(wanted).await?).await?;
    match &found[..] {
        [] => Err(NotFound(format!("nothing is called {wanted:?}; `crab list` shows the graphs")).into()),
        [one] => Ok(one.target),
        many => {
            let shown: Vec<String> = many.iter().take(SHOWN).map(|found| target_text(found.target)).collect();
            let more = if many.len() > SHOWN { ", ..." } else { "" };
            let text = format!(
                "{wanted:?} is the name of {} things, newest first: {}{more}; name one of them",
                many.len(),
                shown.join(", ")
            );
            Err(Usage(text).into())
        }
    }
}

/// Without the tasks that are all of a graph of the same name, as those of a single command are: the graph
/// stands for them.
async fn own_graphs(client: &Client, found: Vec<Found>) -> anyhow::Result<Vec<Found>> {
    let named = |graph: GraphId| found.iter().any(|found| found.target == Target::Graph(graph));
    let mut kept = Vec::with_capacity(found.len());
    for one in &found {
        let stands = match one.target {
            Target::Task(TaskId(first)) if named(GraphId(first)) => {
                is_all(client, GraphId(first), one).await?
            }
            Target::Task(_) | Target::Graph(_) => false,
        };
        if !stands {
            kept.push(one.clone());
        }
    }
    Ok(kept)
}

/// Whether the graph's last task belongs to this item, which is the graph's first.
async fn is_all(client: &Client, graph: GraphId, first: &Found) -> anyhow::Result<bool> {
    let tasks = client.graph(graph).await?.tasks.total();
    let last = client.task(TaskId(graph.0 + tasks.saturating_sub(1))).await?;
    Ok(match last.array_index {
        Some(index) => *last.row.name == format!("{}[{index}]", first.name),
        None => tasks == 1,
    })
}

/// Finds a task. A graph of one task stands for it.
pub(crate) async fn find_task(client: &Client, wanted: &str) -> anyhow::Result<TaskId> {
    match find(client, wanted).await? {
        Target::Task(task) => Ok(task),
        Target::Graph(graph) => {
            let row = client.graph(graph).await?;
            match row.tasks.total() {
                1 => Ok(graph.first_task()),
                tasks => {
                    let text =
                        format!("{graph} has {tasks} tasks; name one of those in `crab status {graph}`");
                    Err(Usage(text).into())
                }
            }
        }
    }
}

/// Finds a graph.
pub(crate) async fn find_graph(client: &Client, wanted: &str) -> anyhow::Result<GraphId> {
    match find(client, wanted).await? {
        Target::Graph(graph) => Ok(graph),
        Target::Task(task) => Err(Usage(format!("{task} is a task, not a graph")).into()),
    }
}

/// The graph of a task or array of this name.
pub(crate) async fn graph_of(client: &Client, name: &str) -> anyhow::Result<GraphId> {
    match find(client, name).await? {
        Target::Graph(graph) => Ok(graph),
        Target::Task(task) => Ok(client.task(task).await?.row.graph),
    }
}

pub(crate) fn parse(wanted: &str) -> Option<Target> {
    let (kind, digits) = match wanted.as_bytes().first()? {
        b't' => ('t', &wanted[1..]),
        b'0'..=b'9' => ('g', wanted),
        b'g' => ('g', &wanted[1..]),
        _ => return None,
    };
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(if kind == 't' { Target::Task(TaskId(number)) } else { Target::Graph(GraphId(number)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert_eq!(parse("t12"), Some(Target::Task(TaskId(12))));
        assert_eq!(parse("g12"), Some(Target::Graph(GraphId(12))));
        assert_eq!(parse("12"), Some(Target::Graph(GraphId(12))));
        for name in ["", "t", "test", "g1x", "build", "t-1", "t+1"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
