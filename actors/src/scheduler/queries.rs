//! What the table can answer alone.

use std::sync::Arc;

use policy::event::{Event, GraphEvent};
use policy::fleet::Said;
use policy::graph::{EntryView, GraphView, TaskState};
use policy::id::{GraphId, NodeId, TaskId, TaskRange};
use policy::node::Room;
use supervision::{Address, Reply};

use crate::archive::Known;
use crate::node::NodeMessage;
use crate::scheduler::{NamedAt, RawRow, SchedulerActor};
use crate::task::Seat;
use crate::wire::client::{
    GraphRow, Response, ServerInfo, StateName, Status, Target, TaskCounts, TaskFilter,
};

/// Who may wait for the ends of graphs at once.
const WAITERS_LIMIT: usize = 100_000;

/// Dependencies of a task that are shown: each is a record to be read, and more than anybody reads.
const DEPENDENCIES_LIMIT: usize = 1000;

/// Graphs and items whose names are looked through: the newest ones.
const NAMED_LIMIT: usize = 20_000;

impl SchedulerActor {
    pub(super) fn status(&self, server: ServerInfo) -> Status {
        let directives = self.side.directives();
        Status {
            server,
            tasks: TaskCounts::from(&self.graphs.counts_of_all()),
            queued: self.dispatch.queued_by_priority(),
            tenants: self.tenants(),
            graphs: self.graphs.newest(None).filter(|view| view.finished_at.is_none()).count() as u64,
            nodes: Vec::new(),
            awake: self.side.tasks.count() as u64,
            warnings: self.warnings(),
            pressure: self.guard.row(),
            halted: directives.is_everything_halted(),
            paused: directives.paused(),
            said: directives.all_said(),
        }
    }

    fn warnings(&self) -> Vec<Box<str>> {
        let mut warnings = self.dispatch.stranded(&self.shapes);
        match self.side.log.health() {
            crate::log::LogHealth::Stalled { since: _, reason }
            | crate::log::LogHealth::Broken { reason } => {
                warnings.insert(0, format!("the log cannot be written: {reason}").into());
            }
            crate::log::LogHealth::Good | crate::log::LogHealth::Closed => {}
        }
        warnings
    }

    pub(super) fn list_graphs(&mut self, before: Option<GraphId>, limit: u32) -> Response {
        let views: Vec<_> = self.graphs.newest(before).take(limit as usize).collect();
        Response::Graphs(views.iter().map(|view| self.graph_row(view)).collect())
    }

    pub(super) fn graph(&mut self, graph: GraphId) -> Response {
        match self.graphs.view(graph) {
            Some(view) => Response::Graph(Box::new(self.graph_row(&view))),
            None => Response::NotFound(Target::Graph(graph)),
        }
    }

    pub(super) fn await_graph(&mut self, graph: GraphId, reply: Reply<Response>) {
        match self.graphs.view(graph) {
            Some(view) if view.finished_at.is_none() => {
                let waiters = self.waiters.entry(graph).or_default();
                waiters.retain(|waiter| !waiter.is_abandoned());
                if waiters.len() < WAITERS_LIMIT {
                    waiters.push(reply);
                }
            }
            Some(view) => {
                let answer = Response::Graph(Box::new(self.graph_row(&view)));
                self.side.log.when_durable(self.side.log.last(), move || reply.send(answer));
            }
            None => reply.send(Response::NotFound(Target::Graph(graph))),
        }
    }

    pub(super) fn rows(&self, filter: &TaskFilter, after: Option<TaskId>, limit: u32) -> Vec<RawRow> {
        let mut rows = Vec::new();
        let one = filter.graph.into_iter().flat_map(|graph| self.graphs.parts_of(graph));
        let all = filter.graph.is_none().then(|| self.graphs.parts(after)).into_iter().flatten();
        for tasks in one.chain(all.map(|(_, tasks)| tasks)) {
            if rows.len() >= limit as usize {
                break;
            }
            self.rows_of(tasks, filter, after, (limit as usize, &mut rows));
        }
        rows
    }

    fn rows_of(
        &self,
        tasks: TaskRange,
        filter: &TaskFilter,
        after: Option<TaskId>,
        (limit, rows): (usize, &mut Vec<RawRow>),
    ) {
        let from = after.map_or(tasks.first, |after| tasks.first.max(TaskId(after.0.saturating_add(1))));
        let mut from = Some(from).filter(|from| tasks.contains(*from));
        while let Some(next) = from.filter(|_| rows.len() < limit) {
            let page = self.graphs.tasks(next, wanted(filter), limit - rows.len());
            let here = page.tasks.iter().filter(|entry| tasks.contains(entry.task));
            rows.extend(here.filter(|entry| passes(filter, entry.state)).map(Self::raw));
            from = page.next.filter(|next| tasks.contains(*next));
        }
    }

    pub(super) fn row(&self, task: TaskId) -> Option<RawRow> {
        let entry = self.graphs.entry(task)?;
        let mut dependencies = self.graphs.dependencies(task);
        dependencies.truncate(DEPENDENCIES_LIMIT);
        let is_ready = entry.state == TaskState::Ready;
        let demand = self.shapes.demand(entry.shape).filter(|_| is_ready);
        let apart = self.kept_from(entry.task);
        let no_node = || demand.and_then(|demand| self.dispatch.no_node(demand, self.asker(&entry, &apart)));
        let hindrance = self.held_back(&entry).filter(|_| is_ready).or_else(no_node);
        let waits_for = hindrance.map(|hindrance| hindrance.to_string().into());
        let unschedulable = self.survey.told.of(task).filter(|_| is_ready).map(|told| told.position);
        Some(RawRow { dependencies, waits_for, unschedulable, ..Self::raw(&entry) })
    }

    fn raw(entry: &EntryView) -> RawRow {
        let (seat, state, priority) = (Seat::from(entry), entry.state, entry.priority);
        RawRow { seat, state, priority, dependencies: Vec::new(), waits_for: None, unschedulable: None }
    }

    /// What is still of use; what is not may be gone once this is told, so what tenants and rates have used goes to disk before.
    pub(super) fn tell_known(&mut self, reply: Reply<Known>) {
        self.write_spendings();
        self.write_usage();
        self.when_written(reply, Known::new(self.graphs.parts(None).map(|(_, tasks)| tasks)));
    }

    pub(super) fn tenants_of(&self, targets: &[Target]) -> Vec<Option<Arc<str>>> {
        let task = |target: &Target| match *target {
            Target::Task(task) => Some(task),
            Target::Graph(graph) => self.graphs.parts_of(graph).next().map(|tasks| tasks.first),
        };
        let tenant = |task: TaskId| {
            let demand = self.shapes.demand(self.graphs.entry(task)?.shape)?;
            Some(Arc::clone(&demand.tenant))
        };
        targets.iter().map(|target| task(target).and_then(tenant)).collect()
    }

    pub(super) fn named(&self) -> Vec<NamedAt> {
        let mut named = Vec::new();
        for view in self.graphs.newest(None) {
            named.push(NamedAt { target: Target::Graph(view.graph), position: view.position });
            let items = self.graphs.items(view.graph, 0);
            named.extend(items.map(|(task, position)| NamedAt { target: Target::Task(task), position }));
            if named.len() >= NAMED_LIMIT {
                break;
            }
        }
        named.truncate(NAMED_LIMIT);
        named
    }

    fn graph_row(&mut self, view: &GraphView) -> GraphRow {
        let all = TaskRange { first: view.graph.first_task(), count: view.tasks };
        GraphRow {
            graph: view.graph,
            name: self.name(view),
            submitted: view.admitted_at,
            ended: view.finished_at,
            tasks: TaskCounts::from(&view.counts),
            budget: self.budget_row(view.graph),
            unschedulable: self.survey.told.count(all).min(view.counts.of(TaskState::Ready)),
        }
    }

    /// A graph's name, read from its record the first time after a restart.
    fn name(&mut self, view: &GraphView) -> Arc<str> {
        if let Some(name) = self.names.get(&view.graph) {
            return Arc::clone(name);
        }
        let name = match self.side.archive.read(view.position).map(|record| record.event) {
            Ok(Event::Graph(_, GraphEvent::Admitted(head))) => head.name,
            Ok(_) | Err(_) => "?".into(),
        };
        self.names.insert(view.graph, Arc::clone(&name));
        name
    }

    /// What a node can still be given.
    pub(super) fn node_changed(
        &mut self,
        node: &NodeId,
        (room, reservations): (Option<Room>, u64),
        said: Said,
    ) {
        self.node(node);
        self.dispatch.node_changed(node, room, reservations);
        self.mind_staging(node);
        let strain = said.strain;
        self.dispatch.described(node, said);
        self.relieve(node, strain);
    }

    /// The actor of a node, known to the dispatcher from now on.
    pub(super) fn node(&mut self, node: &NodeId) -> Option<Address<NodeMessage>> {
        let address = self.side.nodes.get_or_start(node, &self.side)?;
        if !self.dispatch.knows(node) {
            self.dispatch.add_node(node, address.clone());
        }
        Some(address)
    }
}

/// The one state of the table that a filter asks for, where it asks for one.
fn wanted(filter: &TaskFilter) -> Option<TaskState> {
    match filter.states.as_slice() {
        [one] => Some(state(*one)),
        _ => None,
    }
}

fn passes(filter: &TaskFilter, is: TaskState) -> bool {
    filter.states.is_empty() || filter.states.iter().any(|wanted| state(*wanted) == is)
}

fn state(name: StateName) -> TaskState {
    match name {
        StateName::Waiting => TaskState::Waiting,
        StateName::Ready => TaskState::Ready,
        StateName::BackingOff => TaskState::BackingOff,
        StateName::Granted | StateName::Running => TaskState::Active,
        StateName::Succeeded => TaskState::Succeeded,
        StateName::Failed => TaskState::Failed,
        StateName::Cancelled => TaskState::Cancelled,
        StateName::Skipped => TaskState::Skipped,
    }
}
