//! Where a task's time went: its phases, added up, for what it stood in its queue, and the chain of those it waited for.

use std::time::Duration;

use policy::event::Record;
use policy::id::{GraphId, TaskId};
use policy::timeline::{Kind, Phase, Timeline, spent};
use strum::VariantArray;

use crate::console::Console;
use crate::console::ask::{tasks, word};
use crate::console::fault::{Fault, Sort};
use crate::console::reply::{Cell, Kind as Column, Reply};
use crate::console::syntax::Line;
use crate::wire::client::Target;

pub(super) async fn blame(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let task = tasks::task_of(console, word(line)?).await?;
    let graph = console.eye()?.task(task).await?.row.graph;
    let timeline = timeline(console, graph).await?;
    let phases = timeline.phases(task, console.now());
    let total: Duration = phases.iter().map(Phase::length).sum();
    let mut reply = Reply::new(
        "phase",
        &[("phase", Column::Id, 0), ("took", Column::Length, 0), ("percent", Column::Number, 0)],
    );
    let mut row = |what: String, spent: Duration| {
        let percent = spent.as_micros() * 100 / total.as_micros().max(1);
        let percent = u64::try_from(percent).unwrap_or(100);
        reply.rows.push(vec![Cell::text(what), Cell::length(spent), Cell::Number(percent)]);
    };
    for kind in Kind::VARIANTS {
        let spent = spent(&phases, *kind);
        if !spent.is_zero() {
            row(kind.to_string(), spent);
        }
        // Of that; the rest of it was others' turn.
        if *kind == Kind::Queue {
            timeline.waited(task).into_iter().for_each(|(cause, spent)| row(format!("queue/{cause}"), spent));
        }
    }
    if let (Some(Phase { kind: Kind::Queue, .. }), Some(client)) = (phases.last(), console.client()) {
        let told = client.explain(task).await?;
        reply.notes.extend(told.hindrances.iter().map(|hindrance| format!("now: {hindrance}")));
    }
    let note =
        |(at, after)| format!("{} waited longest for {}", named(&timeline, at), named(&timeline, after));
    reply.notes.extend(timeline.chain(task).into_iter().map(note));
    Ok(reply)
}

fn named(timeline: &Timeline, task: TaskId) -> String {
    format!("{task} {}", timeline.name(task).unwrap_or_default())
}

/// The events of a graph, folded; in the past those up to the moment that is looked at.
async fn timeline(console: &Console, graph: GraphId) -> Result<Timeline, Fault> {
    let timeline = match console.client() {
        None => {
            let (fold, mut timeline) = (console.past.fold(), Timeline::default());
            let wanted = |record: &&Record| fold.is_about(record, Target::Graph(graph));
            console.past.upto(fold.number()).filter(wanted).for_each(|record| timeline.apply(record));
            timeline
        }
        Some(client) => client.timeline(graph).await?.0,
    };
    if timeline.tasks().next().is_none() {
        let text = format!("the events of {graph} were removed by retention");
        return Err(Fault::of(Sort::NotFound, text));
    }
    Ok(timeline)
}
