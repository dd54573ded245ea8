//! What is otherwise at one moment than at another, and with one task than with another.

use std::collections::BTreeMap;

use policy::time::Timestamp;

use crate::console::ask::tasks;
use crate::console::past::Fold;
use crate::console::reply::{Cell, Kind, Reply};
use crate::wire::client::{TaskDetail, TaskFilter};

/// What is compared: each thing, and how it is, in a word.
#[derive(Debug)]
pub(crate) struct Standing(BTreeMap<(u8, u64, String), String>);

impl Standing {
    pub(crate) fn of(fold: &Fold) -> Self {
        let nodes = fold
            .nodes()
            .into_iter()
            .map(|row| ((0, 0, format!("node {}", row.node)), row.health.to_string()));
        let graphs = fold.graphs(usize::MAX).into_iter().map(|row| {
            let (all, over) = (row.tasks.total(), row.tasks.ended());
            ((1, row.graph.0, format!("{} {}", row.graph, row.name)), format!("{over} of {all} over"))
        });
        let tasks = fold.tasks(&TaskFilter::default(), usize::MAX).into_iter().map(|row| {
            let node = row.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            ((2, row.task.0, format!("{} {}", row.task, row.name)), format!("{}{node}", row.state))
        });
        Self(nodes.chain(graphs).chain(tasks).collect())
    }
}

/// What is otherwise with the second task than with the first: of what they are, of what became of them, and of their last
/// attempts.
pub(crate) fn tasks((one, other): (&TaskDetail, &TaskDetail), now: Timestamp) -> Reply {
    let mut reply = Reply::new(
        "difference",
        &[("what", Kind::Id, 0), ("first", Kind::Text, 0), ("second", Kind::Text, 0)],
    );
    let [first, second] = [one, other].map(|detail| {
        let card = tasks::card(detail, now);
        let last = tasks::attempts(&detail.attempts);
        let of = |reply: &Reply| reply.rows.last().cloned().unwrap_or_default();
        let cells = [(card.columns.clone(), of(&card)), (last.columns.clone(), of(&last))];
        cells.into_iter().flat_map(|(columns, row)| {
            let texts = columns.iter().zip(&row).map(|(column, cell)| column.text(cell)).collect::<Vec<_>>();
            let missing = columns.len() - texts.len();
            let texts = texts.into_iter().chain(std::iter::repeat_n(String::new(), missing));
            columns.into_iter().map(|column| column.name).zip(texts).collect::<Vec<_>>()
        })
    });
    for ((what, then), (_, now)) in first.zip(second) {
        if then != now {
            reply.rows.push(vec![Cell::text(what), Cell::text(then), Cell::text(now)]);
        }
    }
    reply
}

pub(crate) fn reply(before: &Standing, after: &Standing, (one, other): (u64, u64)) -> Reply {
    let mut reply = Reply::new(
        "difference",
        &[("what", Kind::Id, 0), ("before", Kind::Text, 0), ("after", Kind::Text, 0)],
    );
    let all = before.0.keys().chain(after.0.keys().filter(|key| !before.0.contains_key(*key)));
    for key in all {
        let (then, now) = (before.0.get(key), after.0.get(key));
        if then != now {
            reply.rows.push(vec![Cell::text(&key.2), Cell::maybe(then), Cell::maybe(now)]);
        }
    }
    reply.notes.push(format!("from event {one} to event {other}"));
    reply
}
