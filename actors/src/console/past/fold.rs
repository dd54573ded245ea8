//! The state that records come to, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::breaker::{Change, Seen};
use policy::budget::Ledger;
use policy::directive::{Author, Directive, Directives};
use policy::event::{Event, GraphEvent, NodeEvent, Record, SchedulerEvent, TaskEvent};
use policy::graph::{Malformed, Replay};
use policy::id::{GraphId, NodeId, TaskId};
use policy::placement::Shapes;
use policy::time::Timestamp;
use rustc_hash::FxHashMap;

use crate::config::Limits;
use crate::story::told::Told;
use crate::story::{ItemRecord, item_of};
use crate::wire::client::{
    BudgetRow, Directed, Found, GraphRow, NodeHealth, NodeRow, StateName, Target, TaskCounts, TaskDetail,
    TaskFilter, TaskRow,
};

/// See the module's documentation. A record's own number stands for its place in the log.
#[derive(Debug)]
pub struct Fold {
    replay: Replay,
    items: FxHashMap<u64, ItemRecord>,
    names: BTreeMap<GraphId, Arc<str>>,
    stories: FxHashMap<TaskId, Vec<(u64, Record)>>,
    nodes: BTreeMap<NodeId, NodeRow>,
    ledger: Ledger,
    directives: Directives,
    last: (u64, Timestamp),
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            replay: Replay::new(Shapes::new(Limits::default().shapes)),
            items: FxHashMap::default(),
            names: BTreeMap::new(),
            stories: FxHashMap::default(),
            nodes: BTreeMap::new(),
            ledger: Ledger::default(),
            directives: Directives::default(),
            last: (0, Timestamp(0)),
        }
    }
}

impl Fold {
    /// The number of the last record that was taken in; 0 for none.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.last.0
    }

    /// When that was written.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.last.1
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// Where it contradicts those before it.
    pub fn apply(&mut self, record: &Record) -> Result<(), Malformed> {
        self.replay.apply(record.number, record)?;
        self.last = (record.number, record.at);
        let replay = &self.replay;
        self.ledger.replay(&record.event, |task| replay.graph_of(task));
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => {
                self.names.insert(*graph, Arc::clone(&head.name));
            }
            Event::Graph(_, GraphEvent::ItemAdmitted(_)) => {
                self.items.extend(item_of(record.clone()).map(|item| (record.number, item)));
            }
            Event::Task { task, .. } => {
                self.stories.entry(*task).or_default().push((record.number, record.clone()));
            }
            Event::Node(node, event) => self.node(node, event, record.at),
            // Nodes register anew with every reign.
            Event::Scheduler(SchedulerEvent::Started { .. }) => self.nodes.clear(),
            Event::Scheduler(SchedulerEvent::Directed { directive, by, reason }) => {
                let (by, reason) = (Arc::clone(by), Arc::clone(reason));
                self.direct(directive, &Author { by, reason, at: record.at });
            }
            Event::Graph(..) | Event::Scheduler(_) => {}
        }
        Ok(())
    }

    /// What operators had said, and not taken back.
    #[must_use]
    pub fn directives(&self) -> &Directives {
        &self.directives
    }

    fn direct(&mut self, directive: &Directive, said: &Author) {
        self.directives.hear(directive, said);
        for row in self.nodes.values_mut() {
            // It is said anew of a machine that is drained anew.
            row.directed.drained &= self.directives.drain(&row.node).is_some();
        }
        if let Directive::Remove(node) = directive {
            self.nodes.remove(node);
        }
    }

    /// As a machine's own actor tells it. Who has halted it on the machine itself stands in no record.
    fn directed(&self, row: &NodeRow) -> Directed {
        let drain = self.directives.drain(&row.node);
        Directed {
            cordoned: self.directives.is_cordoned(&row.node),
            draining: drain.is_some(),
            drain_deadline: drain.flatten(),
            drained: drain.is_some() && row.directed.drained,
            halted: self.directives.is_halted(&row.node),
            halted_here: false,
            said: self.directives.said_of(&row.node).cloned(),
            labels: self.directives.put_on(&row.node),
        }
    }

    fn node(&mut self, node: &NodeId, event: &NodeEvent, at: Timestamp) {
        if let NodeEvent::Joined { capacity, .. } = event {
            let row = NodeRow {
                node: node.clone(),
                health: NodeHealth::Up,
                capacity: capacity.clone(),
                allocated: Default::default(),
                running: 0,
                staged: 0,
                heard: at,
                labels: Vec::new(),
                version: "".into(),
                strain: Default::default(),
                directed: self.nodes.get(node).map(|before| before.directed.clone()).unwrap_or_default(),
                breakers: self.nodes.remove(node).map(|before| before.breakers).unwrap_or_default(),
            };
            self.nodes.insert(node.clone(), row);
            return;
        }
        let Some(row) = self.nodes.get_mut(node) else { return };
        row.heard = at;
        match event {
            NodeEvent::Suspected => row.health = NodeHealth::Suspect,
            NodeEvent::Recovered | NodeEvent::Joined { .. } => row.health = NodeHealth::Up,
            NodeEvent::Lost { .. } | NodeEvent::Left { .. } => row.health = NodeHealth::Lost,
            NodeEvent::Strained(strain) => row.strain = *strain,
            NodeEvent::StaleReport { .. } | NodeEvent::Relieved { .. } => {}
            NodeEvent::Drained => row.directed.drained = true,
            NodeEvent::Breaker { kind, change } => {
                row.breakers.retain(|(key, _)| key != kind);
                let seen = match change {
                    Change::Opened { wait, .. } => Seen::Open(*wait),
                    Change::HalfOpened => Seen::HalfOpen { free: true },
                    Change::Closed => return,
                };
                row.breakers.push((kind.clone(), seen));
            }
        }
    }
}

/// The same questions that a client asks.
impl Fold {
    /// Tasks by id, at most `limit`.
    #[must_use]
    pub fn tasks(&self, filter: &TaskFilter, limit: usize) -> Vec<TaskRow> {
        let graphs = self.replay.graphs();
        let wanted = |graph: &GraphId| filter.graph.is_none_or(|wanted| wanted == *graph);
        let mut rows = Vec::new();
        for (_, tasks) in graphs.parts(None).filter(|(graph, _)| wanted(graph)) {
            let mut from = Some(tasks.first);
            while let Some(next) = from.filter(|_| rows.len() < limit) {
                let page = graphs.tasks(next, None, PAGE);
                let here = page.tasks.iter().filter(|entry| tasks.contains(entry.task));
                let told = here.filter_map(|entry| Some(self.told(entry.task)?.0));
                rows.extend(
                    told.filter(|row| filter.states.is_empty() || filter.states.contains(&row.state)),
                );
                from = page.next.filter(|next| tasks.contains(*next));
            }
        }
        rows.truncate(limit);
        rows
    }

    fn told(&self, task: TaskId) -> Option<(TaskRow, Told)> {
        let entry = self.replay.graphs().entry(task)?;
        let item = self.items.get(&entry.spec_position)?.clone();
        let records = self.stories.get(&task).cloned().unwrap_or_default();
        let told = Told::new(item, entry.index, records);
        Some((told.row((task, entry.graph), (entry.state, entry.priority)), told))
    }

    /// Everything about a task, if it was there.
    #[must_use]
    pub fn task(&self, task: TaskId) -> Option<TaskDetail> {
        let (row, told) = self.told(task)?;
        let graphs = self.replay.graphs();
        let item = |at: &u64| self.items.get(at);
        let dependencies = graphs.dependencies(task);
        let named = dependencies
            .iter()
            .filter_map(|(at, need)| Some((item(at)?.item.spec.name.as_ref().into(), *need)));
        Some(TaskDetail {
            row,
            array_index: told.index,
            spec: Arc::clone(&told.item.item.spec),
            dependencies: named.collect(),
            waits_for: None,
            submitted: told.item.at,
            attempts: told.attempts,
            events: told.records,
        })
    }

    /// The newest graphs, newest first.
    #[must_use]
    pub fn graphs(&self, limit: usize) -> Vec<GraphRow> {
        self.replay.graphs().newest(None).take(limit).map(|view| self.graph_row(&view)).collect()
    }

    /// One graph, if it was there.
    #[must_use]
    pub fn graph(&self, graph: GraphId) -> Option<GraphRow> {
        self.replay.graphs().view(graph).map(|view| self.graph_row(&view))
    }

    fn graph_row(&self, view: &policy::graph::GraphView) -> GraphRow {
        GraphRow {
            graph: view.graph,
            name: self.names.get(&view.graph).cloned().unwrap_or_else(|| "?".into()),
            submitted: view.admitted_at,
            ended: view.finished_at,
            tasks: TaskCounts::from(&view.counts),
            unschedulable: 0,
            budget: self.budget(view.graph),
        }
    }

    fn budget(&self, graph: GraphId) -> Option<Box<BudgetRow>> {
        self.ledger.account(graph)?;
        // A retry is taken when the attempt before it has failed, and has no record of its own.
        let mut ledger = self.ledger.clone();
        ledger.settle(|task| self.replay.graph_of(task));
        let (account, reached) = (ledger.account(graph)?, ledger.reached(graph));
        Some(Box::new(BudgetRow { budget: *account.budget(), spent: *account.spent(), reached }))
    }

    /// Tasks by state.
    #[must_use]
    pub fn counts(&self) -> TaskCounts {
        TaskCounts::from(&self.replay.graphs().counts_of_all())
    }

    /// The machines, with what runs on them going by the records of the tasks.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeRow> {
        let mut nodes = self.nodes.clone();
        let active = TaskFilter { graph: None, states: vec![StateName::Granted, StateName::Running] };
        for row in nodes.values_mut() {
            row.directed = self.directed(row);
            if row.health == NodeHealth::Up {
                // Heartbeats stand in no record; a machine that is up was heard.
                row.heard = self.at();
            }
        }
        for row in self.tasks(&active, usize::MAX) {
            let Some(node) = row.node.as_ref().and_then(|node| nodes.get_mut(node)) else { continue };
            if row.state == StateName::Running {
                node.running += 1;
                let need = self.task(row.task).map(|detail| detail.spec.resources.clone());
                let all = node.allocated.checked_add(&need.unwrap_or_default());
                node.allocated = all.unwrap_or_default();
            } else {
                node.staged += 1;
            }
        }
        nodes.into_values().collect()
    }

    /// What has this name, the newest first.
    #[must_use]
    pub fn find(&self, name: &str) -> Vec<Found> {
        let found = |target| Found { target, name: name.into() };
        let graphs = self.names.iter().rev().filter(|(_, known)| &***known == name);
        let mut all: Vec<_> = graphs.map(|(graph, _)| found(Target::Graph(*graph))).collect();
        for view in self.replay.graphs().newest(None) {
            let items = self.replay.graphs().items(view.graph, 0);
            let named =
                items.filter(|(_, at)| self.items.get(at).is_some_and(|item| *item.item.spec.name == *name));
            all.extend(named.map(|(task, _)| found(Target::Task(task))));
        }
        all
    }

    /// Whether this event is of the task or the graph.
    #[must_use]
    pub fn is_about(&self, record: &Record, target: Target) -> bool {
        match (&record.event, target) {
            (Event::Task { task, .. }, Target::Task(wanted)) => *task == wanted,
            (Event::Task { task, .. }, Target::Graph(wanted)) => self.replay.graph_of(*task) == Some(wanted),
            (Event::Graph(graph, _), Target::Graph(wanted)) => *graph == wanted,
            _ => false,
        }
    }

    /// The present holder of each task that was granted: token and node.
    #[must_use]
    pub fn holders(&self) -> Vec<(TaskId, String, NodeId)> {
        let mut holders: Vec<_> = self
            .stories
            .iter()
            .filter_map(|(task, records)| {
                let held = records.iter().rev().find_map(|(_, record)| match &record.event {
                    Event::Task { event: TaskEvent::Granted { token, node, .. }, .. } => {
                        Some(Some((*task, token.to_string(), node.clone())))
                    }
                    Event::Task { event: TaskEvent::AttemptEnded { .. }, .. } => Some(None),
                    _ => None,
                });
                held.flatten()
            })
            .collect();
        holders.sort();
        holders
    }
}

/// Entries that are looked at together.
const PAGE: usize = 1024;
