//! Whose priority a task is served under: I20. Only where that is configured, only what is waited for, and only as
//! urgently as somebody who waits for it, near or far. [`Served`] tells the other checks as what a task is served.

use std::collections::{BTreeMap, BTreeSet};

use policy::event::{Event, GraphEvent, Item, Next, SchedulerEvent, TaskEvent};
use policy::id::{GraphId, TaskId, TaskRange};
use policy::task::Priority;

use super::index::{GraphInfo, Index};
use super::{Findings, History};

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut own = Own::new(index);
    for (_, record) in &history.records {
        own.hear(&record.event);
        let Event::Scheduler(SchedulerEvent::PriorityLent { task, priority, served_as, by, .. }) =
            &record.event
        else {
            continue;
        };
        findings.expect("I20", history.lends, || format!("{by} lends {task}, and nobody does"));
        let own = |task| own.of(task);
        findings.expect("I20", own(*task) == *priority && priority < served_as, || {
            format!("{task} of {} is served as {served_as}", own(*task))
        });
        let waits = index.graph_of(*task).is_some_and(|(_, info)| depends(info, *by, *task));
        findings.expect("I20", own(*by) == *served_as && waits, || {
            format!("{by} of {} lends {served_as} to {task}; it waits for it: {waits}", own(*by))
        });
    }
}

/// Whether a task depends on another, near or far.
fn depends(info: &GraphInfo<'_>, task: TaskId, on: TaskId) -> bool {
    let item_of = |task| info.items.iter().position(|(_, range)| range.contains(task));
    let (Some(from), Some(on)) = (item_of(task), item_of(on)) else { return false };
    let (mut seen, mut visit) = (BTreeSet::new(), vec![from]);
    while let Some(item) = visit.pop() {
        let places = info.items[item].0.dependencies.iter().filter_map(|one| one.place());
        visit.extend(places.map(|place| place as usize).filter(|place| seen.insert(*place)));
    }
    seen.contains(&on)
}

/// How urgent tasks are by themselves: as they were admitted, or as an operator has said since.
pub(super) struct Own<'a> {
    index: &'a Index<'a>,
    /// By the first task of an item.
    said: BTreeMap<TaskId, Priority>,
}

impl<'a> Own<'a> {
    pub(super) fn new(index: &'a Index<'a>) -> Self {
        Self { index, said: BTreeMap::new() }
    }

    /// Takes in the next record; whether it says something new of items, all of whose tasks are in the range.
    pub(super) fn hear(&mut self, event: &Event) -> Option<TaskRange> {
        let Event::Graph(graph, GraphEvent::Prioritised { tasks, priority }) = event else { return None };
        let items = self.index.graphs.get(graph).map_or(&[][..], |info| &info.items);
        let firsts = items.iter().map(|(_, range)| range.first).filter(|first| tasks.contains(*first));
        self.said.extend(firsts.map(|first| (first, *priority)));
        Some(*tasks)
    }

    pub(super) fn of(&self, task: TaskId) -> Priority {
        let Some((_, info)) = self.index.graph_of(task) else { return Priority::default() };
        let item = info.items.iter().find(|(_, range)| range.contains(task));
        item.map_or_else(Priority::default, |item| self.of_item(item))
    }

    fn of_item(&self, (item, range): &(&Item, TaskRange)) -> Priority {
        self.said.get(&range.first).copied().unwrap_or(item.spec.priority)
    }
}

/// As what tasks are served, as far as the records have been heard. The scheduler knows of some ends a little earlier.
pub(super) struct Served<'a> {
    index: &'a Index<'a>,
    own: Own<'a>,
    lends: bool,
    /// How many items of each graph have come.
    come: BTreeMap<GraphId, usize>,
    /// What holds a grant or has ended: it waits for nothing.
    settled: BTreeSet<TaskId>,
    /// By item, where that is not its own.
    served: BTreeMap<GraphId, Vec<Priority>>,
}

/// Items that are served as another priority from now on.
pub(super) struct Change {
    pub(super) tasks: TaskRange,
    /// Whether that is because their graph comes in, of which nothing is in a queue yet.
    pub(super) is_coming: bool,
}

impl<'a> Served<'a> {
    pub(super) fn new(history: &History, index: &'a Index<'a>) -> Self {
        Self {
            index,
            own: Own::new(index),
            lends: history.lends,
            come: BTreeMap::new(),
            settled: BTreeSet::new(),
            served: BTreeMap::new(),
        }
    }

    /// As what a task is served.
    pub(super) fn of(&self, task: TaskId) -> Priority {
        let Some((graph, info)) = self.index.graph_of(task) else { return Priority::default() };
        let Some(item) = info.items.iter().position(|(_, range)| range.contains(task)) else {
            return Priority::default();
        };
        let served = self.served.get(&graph).and_then(|served| served.get(item)).copied();
        served.unwrap_or_else(|| self.own.of_item(&info.items[item]))
    }

    /// Takes in the next record; who is served as something else from then on.
    pub(super) fn hear(&mut self, event: &Event) -> Vec<Change> {
        self.own.hear(event);
        match event {
            Event::Graph(graph, GraphEvent::Prioritised { .. }) => self.work_out(*graph, false),
            Event::Graph(graph, GraphEvent::ItemAdmitted(_)) => {
                let come = self.come.entry(*graph).or_default();
                *come += 1;
                let info = self.index.graphs.get(graph);
                let first_part =
                    info.and_then(|info| info.parts.first()).map_or(usize::MAX, |part| part.from);
                let is_coming = *come <= first_part;
                self.work_out(*graph, is_coming)
            }
            _ if !self.lends => Vec::new(),
            Event::Graph(graph, GraphEvent::CancelAsked) => {
                let ranges = self.index.graphs.get(graph).map_or(&[][..], |info| &info.items);
                self.settled.extend(ranges.iter().flat_map(|(_, range)| range.iter()));
                self.work_out(*graph, false)
            }
            Event::Task { task, event, .. } => self.hear_task(*task, event),
            _ => Vec::new(),
        }
    }

    fn hear_task(&mut self, task: TaskId, event: &TaskEvent) -> Vec<Change> {
        let is_new = match event {
            TaskEvent::Granted { .. }
            | TaskEvent::Finished(_)
            | TaskEvent::AttemptEnded { next: Next::Finish(_), .. } => self.settled.insert(task),
            TaskEvent::RetryAsked => self.settled.remove(&task),
            _ => false,
        };
        match self.index.graph_of(task) {
            Some((graph, _)) if is_new => self.work_out(graph, false),
            _ => Vec::new(),
        }
    }

    fn work_out(&mut self, graph: GraphId, is_coming: bool) -> Vec<Change> {
        let Some(info) = self.index.graphs.get(&graph) else { return Vec::new() };
        let items = &info.items[..self.come.get(&graph).copied().unwrap_or(0).min(info.items.len())];
        let mut served: Vec<_> = items.iter().map(|item| self.own.of_item(item)).collect();
        let waits = |range: TaskRange| self.lends && range.iter().any(|task| !self.settled.contains(&task));
        for _ in 0..items.len() {
            for (number, (item, _)) in items.iter().enumerate().filter(|(_, (_, range))| waits(*range)) {
                let places = item.dependencies.iter().filter_map(|one| one.place());
                let places = places.map(|place| place as usize).filter(|place| *place < items.len());
                for place in places.collect::<Vec<_>>() {
                    served[place] = served[place].max(served[number]);
                }
            }
        }
        let before = self.served.remove(&graph).unwrap_or_default();
        let was = |number: usize| before.get(number).copied().unwrap_or(items[number].0.spec.priority);
        let changed = served.iter().enumerate().filter(|(number, now)| was(*number) != **now);
        let changes = changed.map(|(number, _)| Change { tasks: items[number].1, is_coming }).collect();
        self.served.insert(graph, served);
        changes
    }
}
