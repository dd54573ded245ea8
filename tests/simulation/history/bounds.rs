//! That what grows has its bound: I18.

use std::collections::{BTreeMap, BTreeSet};

use policy::event::{Event, GraphEvent, Next, TaskEvent};
use policy::id::{GraphId, TaskId};

use super::index::Index;
use super::{Findings, History};

/// No graph was let in while too many tasks had not ended. Tasks that end by consequence are not counted at
/// all: their records may come later than their ends.
pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let by_consequence = by_consequence(history);
    let mut waiting: BTreeSet<TaskId> = BTreeSet::new();
    // Items of each graph that have been let in so far: the others are added later.
    let mut known: BTreeMap<GraphId, usize> = BTreeMap::new();
    for (_, record) in &history.records {
        let let_in = match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => Some((*graph, head.items, head.tasks)),
            Event::Graph(graph, GraphEvent::Extended(part)) => Some((*graph, part.items, part.tasks)),
            _ => None,
        };
        if let Some((graph, items, tasks)) = let_in {
            let before = waiting.len() as u64;
            let lawful = before == 0 || before + tasks <= history.bound;
            findings.expect("I18", lawful, || {
                format!("{graph}: {tasks} tasks were let in behind {before}, {} may wait", history.bound)
            });
            let skipped = known.entry(graph).or_default();
            let new = index.graphs.get(&graph).map_or(&[][..], |info| info.items.as_slice());
            let new = new.iter().skip(*skipped).take(items as usize).flat_map(|(_, range)| range.iter());
            waiting.extend(new.filter(|task| !by_consequence.contains(task)));
            *skipped += items as usize;
        }
        if let Event::Task { task, event: TaskEvent::AttemptEnded { next: Next::Finish(_), .. }, .. } =
            &record.event
        {
            waiting.remove(task);
        }
    }
}

/// Tasks that ended without an attempt of theirs ending, or were asked for again after their end.
pub(super) fn by_consequence(history: &History) -> BTreeSet<TaskId> {
    let of = |event: &Event| match event {
        Event::Task { task, event: TaskEvent::Finished(_) | TaskEvent::RetryAsked, .. } => Some(*task),
        _ => None,
    };
    history.records.iter().filter_map(|(_, record)| of(&record.event)).collect()
}
