//! That what grows has its bound: I18.

use std::collections::BTreeSet;

use policy::event::{Event, GraphEvent, Next, TaskEvent};
use policy::id::TaskId;

use super::index::Index;
use super::{Findings, History};

/// No graph was let in while too many tasks had not ended. Tasks that end by consequence are not counted at
/// all: their records may come later than their ends.
pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let by_consequence = by_consequence(history);
    let mut waiting: BTreeSet<TaskId> = BTreeSet::new();
    for (_, record) in &history.records {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => {
                let before = waiting.len() as u64;
                let lawful = before == 0 || before + head.tasks <= history.bound;
                findings.expect("I18", lawful, || {
                    format!(
                        "{graph} of {} tasks was let in behind {before}, {} may wait",
                        head.tasks, history.bound
                    )
                });
                let items = index.graphs[graph].items.iter();
                let tasks = items.flat_map(|(_, range)| range.iter());
                waiting.extend(tasks.filter(|task| !by_consequence.contains(task)));
            }
            Event::Task { task, event: TaskEvent::AttemptEnded { next: Next::Finish(_), .. }, .. } => {
                waiting.remove(task);
            }
            _ => {}
        }
    }
}

/// Tasks that ended without an attempt of theirs ending, or were asked for again after their end.
fn by_consequence(history: &History) -> BTreeSet<TaskId> {
    let of = |event: &Event| match event {
        Event::Task { task, event: TaskEvent::Finished(_) | TaskEvent::RetryAsked, .. } => Some(*task),
        _ => None,
    };
    history.records.iter().filter_map(|(_, record)| of(&record.event)).collect()
}
