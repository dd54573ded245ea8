//! What is held back where much waits, and what one tenant may have: the middle of I18.
//!
//! The scheduler writes both the mode and what it takes in, so their order is exact. What it starts is recorded by others:
//! what happens at one moment is one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::event::{Event, GraphEvent, Next, Record, SchedulerEvent, TaskEvent};
use policy::id::{GraphId, TaskId};
use policy::pressure::Mode;
use policy::task::Priority;
use policy::time::Timestamp;

use super::bounds::by_consequence;
use super::index::Index;
use super::{Answer, Findings, History};

struct Pass<'a> {
    history: &'a History,
    index: &'a Index<'a>,
    /// Not counted: their ends are recorded later than they come.
    by_consequence: BTreeSet<TaskId>,
    mode: Mode,
    since: Timestamp,
    /// Tasks that have not ended, by tenant.
    unended: BTreeMap<Arc<str>, BTreeSet<TaskId>>,
    /// Those that are granted, and since when.
    live: BTreeMap<TaskId, (Arc<str>, Timestamp)>,
    /// Items of each graph that have been let in so far.
    known: BTreeMap<GraphId, usize>,
    /// Items that have not ended: how many of their tasks have not.
    items: BTreeMap<TaskId, u64>,
    item_of: BTreeMap<TaskId, TaskId>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    for operation in &history.operations {
        let Answer::Busy { retry_after } = operation.answer else { continue };
        findings.expect("I18", !retry_after.is_zero(), || format!("{operation:?}: come back at once"));
    }
    let mut pass = Pass {
        history,
        index,
        by_consequence: by_consequence(history),
        mode: Mode::Normal,
        since: Timestamp(0),
        unended: BTreeMap::new(),
        live: BTreeMap::new(),
        known: BTreeMap::new(),
        items: BTreeMap::new(),
        item_of: BTreeMap::new(),
    };
    for (_, record) in &history.records {
        pass.hear(record, findings);
    }
}

impl Pass<'_> {
    fn hear(&mut self, record: &Record, findings: &mut Findings) {
        match &record.event {
            Event::Scheduler(SchedulerEvent::Pressure(change)) => {
                (self.mode, self.since) = (change.to, record.at);
            }
            Event::Scheduler(SchedulerEvent::Started { .. }) => {
                (self.mode, self.since) = (Mode::Normal, record.at)
            }
            Event::Graph(graph, GraphEvent::Admitted(head)) => {
                self.let_in(*graph, head.items as usize, record, findings)
            }
            Event::Graph(graph, GraphEvent::Extended(part)) => {
                self.let_in(*graph, part.items as usize, record, findings)
            }
            Event::Task { task, event: TaskEvent::Granted { .. }, .. } => {
                self.granted(*task, record, findings)
            }
            Event::Task { task, event: TaskEvent::AttemptEnded { next, .. }, .. } => {
                self.live.remove(task);
                if matches!(next, Next::Finish(_)) {
                    self.ended(*task);
                }
            }
            _ => {}
        }
    }

    fn let_in(&mut self, graph: GraphId, items: usize, record: &Record, findings: &mut Findings) {
        let skipped = self.known.entry(graph).or_default();
        let all = self.index.graphs.get(&graph).map_or(&[][..], |info| info.items.as_slice());
        let new: Vec<_> = all.iter().skip(*skipped).take(items).collect();
        *skipped += items;
        let lowest = new.iter().map(|(item, _)| item.spec.priority).min().unwrap_or(Priority::Normal);
        let mode = self.mode;
        findings.expect("I18", takes(mode, lowest), || {
            format!("record {}: {lowest} was taken in under {mode} pressure", record.number)
        });
        let (depth, limit) = (self.items.len() as u64, self.history.limits.pressure.max_queue_depth);
        findings.expect("I18", depth == 0 || depth + items as u64 <= limit, || {
            format!("record {}: {items} items came to {depth}, {limit} may wait", record.number)
        });
        let mut more: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
        for (item, range) in &new {
            *more.entry(&item.spec.tenant).or_default() += u64::from(range.count);
        }
        for (tenant, more) in more {
            let before = self.unended.get(tenant).map_or(0, BTreeSet::len) as u64;
            let limit = self.history.limits.quotas.of(tenant).max_waiting;
            findings.expect("I18", limit == 0 || before == 0 || before + more <= limit, || {
                format!("record {}: {more} of {tenant} came to {before}, {limit} may wait", record.number)
            });
        }
        for (item, range) in new {
            let counted: Vec<_> = range.iter().filter(|task| !self.by_consequence.contains(task)).collect();
            if counted.len() as u64 == u64::from(range.count) {
                self.items.insert(range.first, u64::from(range.count));
                self.item_of.extend(counted.iter().map(|task| (*task, range.first)));
            }
            self.unended.entry(Arc::clone(&item.spec.tenant)).or_default().extend(counted);
        }
    }

    fn ended(&mut self, task: TaskId) {
        for tasks in self.unended.values_mut() {
            tasks.remove(&task);
        }
        let Some(item) = self.item_of.remove(&task) else { return };
        if let Some(left) = self.items.get_mut(&item) {
            *left -= 1;
            if *left == 0 {
                self.items.remove(&item);
            }
        }
    }

    /// What runs, a gang as one: it is started whole, and where one may run it is that one.
    fn starts(&self) -> u64 {
        let of_gang = |task: &TaskId| {
            let (_, info) = self.index.graph_of(*task)?;
            let (item, range) = info.items.iter().find(|(_, range)| range.contains(*task))?;
            item.spec.gang.is_some().then_some(range.first)
        };
        let starts: BTreeSet<TaskId> = self.live.keys().map(|task| of_gang(task).unwrap_or(*task)).collect();
        starts.len() as u64
    }

    fn granted(&mut self, task: TaskId, record: &Record, findings: &mut Findings) {
        let Some(item) = self.index.item_of(task) else { return };
        let tenant = Arc::clone(&item.spec.tenant);
        self.live.insert(task, (Arc::clone(&tenant), record.at));
        let running = self.live.values().filter(|(of, _)| *of == tenant).count() as u64;
        let limit = self.history.limits.quotas.of(&tenant).max_running;
        findings.expect("I18", limit == 0 || running <= limit, || {
            format!("record {}: {running} of {tenant} run, {limit} may", record.number)
        });
        // Who has none, as an agent, counts as one.
        let cores = self.history.nodes.values().map(|node| (node.cpu_millis / 1000).max(1)).sum();
        let (running, may) = (self.starts(), at_once(self.mode, cores));
        let lawful = may.is_none_or(|may| running <= may) || record.at <= self.since;
        findings.expect("I18", lawful, || {
            format!("record {}: {running} run under {} pressure, {may:?} may", record.number, self.mode)
        });
    }
}

fn takes(mode: Mode, priority: Priority) -> bool {
    match mode {
        Mode::Normal | Mode::Moderate => true,
        Mode::High => priority != Priority::Low,
        Mode::Critical => priority == Priority::Critical,
    }
}

/// How much may run at once on so many cores.
fn at_once(mode: Mode, cores: u64) -> Option<u64> {
    match mode {
        Mode::Normal => None,
        Mode::Moderate => Some((cores * 75 / 100).max(1)),
        Mode::High => Some((cores * 25 / 100).max(1)),
        Mode::Critical => Some(1),
    }
}
