//! The state that is looked at: a daemon's, or that of a moment in the log. Both give the same rows.

use policy::id::{GraphId, TaskId};

use crate::client::Client;
use crate::client::error::target_text;
use crate::console::fault::{Fault, Sort};
use crate::console::past::Fold;
use crate::console::syntax::Word;
use crate::wire::client::{GraphRow, NodeRow, Target, TaskDetail, TaskFilter, TaskRow};

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Eye<'a> {
    Live(&'a Client),
    Past(&'a Fold),
}

impl Eye<'_> {
    pub(super) async fn tasks(&self, filter: &TaskFilter, limit: usize) -> Result<Vec<TaskRow>, Fault> {
        match self {
            Self::Live(client) => {
                let mut rows = client.tasks(filter, limit).await?;
                // Granted and running are one to the table.
                rows.retain(|row| filter.states.is_empty() || filter.states.contains(&row.state));
                Ok(rows)
            }
            Self::Past(fold) => Ok(fold.tasks(filter, limit)),
        }
    }

    pub(super) async fn task(&self, task: TaskId) -> Result<TaskDetail, Fault> {
        match self {
            Self::Live(client) => Ok(client.task(task).await?),
            Self::Past(fold) => fold.task(task).ok_or_else(|| not_there(Target::Task(task))),
        }
    }

    pub(super) async fn graphs(&self, limit: usize) -> Result<Vec<GraphRow>, Fault> {
        match self {
            Self::Live(client) => Ok(client.graphs(limit).await?),
            Self::Past(fold) => Ok(fold.graphs(limit)),
        }
    }

    pub(super) async fn graph(&self, graph: GraphId) -> Result<GraphRow, Fault> {
        match self {
            Self::Live(client) => Ok(client.graph(graph).await?),
            Self::Past(fold) => fold.graph(graph).ok_or_else(|| not_there(Target::Graph(graph))),
        }
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeRow>, Fault> {
        match self {
            Self::Live(client) => Ok(client.nodes().await?),
            Self::Past(fold) => Ok(fold.nodes()),
        }
    }

    /// `t12`, `g12`, or a name; where a graph and its only task have one name, the task.
    pub(super) async fn target(&self, word: &Word) -> Result<Target, Fault> {
        if let Some(target) = parse(&word.text) {
            return Ok(target);
        }
        let found = match self {
            Self::Live(client) => client.find(&word.text).await?,
            Self::Past(fold) => fold.find(&word.text),
        };
        let tasks: Vec<_> = found.iter().filter(|one| matches!(one.target, Target::Task(_))).collect();
        match (&found[..], &tasks[..]) {
            ([], _) => {
                let fault = Fault::of(Sort::NotFound, format!("nothing is called {}", word.text));
                Err(fault.at(word.span.clone()).help("`graphs` and `tasks` show what there is"))
            }
            ([one], _) => Ok(one.target),
            (_, [one]) => Ok(one.target),
            (many, _) => {
                let text = format!("{} is the name of {} things, the newest first", word.text, many.len());
                let fault = Fault::usage(word.span.clone(), text);
                Err(fault.possible(many.iter().map(|one| id(one.target))))
            }
        }
    }
}

fn id(target: Target) -> String {
    match target {
        Target::Task(task) => task.to_string(),
        Target::Graph(graph) => graph.to_string(),
    }
}

fn parse(word: &str) -> Option<Target> {
    let (kind, digits) = (word.chars().next()?, word.get(1..)?);
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    match kind {
        't' => Some(Target::Task(TaskId(number))),
        'g' => Some(Target::Graph(GraphId(number))),
        _ => None,
    }
}

fn not_there(target: Target) -> Fault {
    Fault::of(Sort::NotFound, format!("there was no {} then", target_text(target)))
}
