//! From records to finished spans: one trace for each graph, whichever machines its tasks run on.
//!
//! ```text
//! graph release                       admitted to the end of its last task
//! ├─ submission
//! └─ task build                       admitted to ended; linked to the one it waited longest for
//!    ├─ dependencies, queue           waiting; back-off before another attempt
//!    └─ attempt 1                     granted to ended, on a machine
//!       ├─ start                      granted to its process runs
//!       └─ run
//! ```
//!
//! Must not know who takes spans. What is held are graphs and tasks that have not ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::event::{Event, GraphEvent, GraphHead, Item, Next, Record, TaskEvent};
use policy::id::{AttemptNumber, GraphId, NodeId, TaskId, Token};
use policy::task::{AttemptOutcome, TaskOutcome, TaskSpec};
use policy::time::Timestamp;
use rustc_hash::FxHashMap;

use crate::traces::span::{Of, Span, WAITS, number, text, trace_of};

/// Items of all graphs that are followed at once, a few hundred bytes each. A graph beyond is not followed, and counted.
pub const ITEMS_LIMIT: usize = 100_000;

/// Tasks that have been granted once and have not ended, some hundred bytes each; those beyond have no spans.
pub const TASKS_LIMIT: usize = 100_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Fold {
    graphs: BTreeMap<GraphId, Graph>,
    tasks: FxHashMap<TaskId, Open>,
    items: usize,
    /// Graphs and tasks that were passed over because of a limit since this was asked last.
    missed: u64,
}

#[derive(Debug)]
struct Graph {
    trace: [u8; 16],
    name: Arc<str>,
    admitted: Timestamp,
    /// Items that were announced and not yet told.
    announced: u64,
    tasks: u64,
    ended: u64,
    failed: u64,
    next: u64,
    items: Vec<Told>,
}

/// An item.
#[derive(Debug)]
struct Told {
    first: TaskId,
    count: u64,
    array: Option<u64>,
    needs: Box<[u32]>,
    spec: Arc<TaskSpec>,
    admitted: Timestamp,
    ended: u64,
    last_end: Option<(Timestamp, TaskId)>,
}

/// A task that has not ended, once something happened to it.
#[derive(Debug)]
struct Open {
    /// Since when it waits; `None` for its admission.
    since: Option<Timestamp>,
    /// How long of that for another attempt.
    back_off: Duration,
    attempts: u32,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    number: AttemptNumber,
    token: Token,
    node: NodeId,
    granted: Timestamp,
    started: Option<(Timestamp, u32)>,
}

impl Graph {
    fn span(
        &self,
        of: Of,
        parent: Option<Of>,
        name: impl Into<String>,
        (from, to): (Timestamp, Timestamp),
    ) -> Span {
        let id = of.id(&self.trace);
        let parent = parent.map(|parent| parent.id(&self.trace));
        Span {
            trace: self.trace,
            id,
            parent,
            link: None,
            name: name.into(),
            from,
            to: to.max(from),
            node: None,
            attributes: Vec::new(),
            trouble: None,
        }
    }

    fn place(&self, task: TaskId) -> Option<usize> {
        let after = self.items.partition_point(|item| item.first <= task);
        after.checked_sub(1).filter(|place| task.0 - self.items[*place].first.0 < self.items[*place].count)
    }

    /// When a task could run, and after which other one; `None` where that is not known.
    fn ready(&self, item: &Told) -> Option<(Timestamp, Option<TaskId>)> {
        let mut last = (item.admitted, None);
        for need in &item.needs {
            let needed = self.items.get(*need as usize)?;
            let (at, task) = needed.last_end.filter(|_| needed.ended == needed.count)?;
            if at >= last.0 {
                last = (at, Some(task));
            }
        }
        Some(last)
    }
}

impl Fold {
    /// Takes in the next record; what is over with it goes into `into`.
    pub fn take(&mut self, record: &Record, into: &mut Vec<Span>) {
        match &record.event {
            Event::Graph(graph, GraphEvent::Admitted(head)) => self.admitted(*graph, head, record.at),
            Event::Graph(graph, GraphEvent::Extended(part)) => {
                if let Some(graph) = self.graphs.get_mut(graph) {
                    graph.tasks += part.tasks;
                    (graph.announced, graph.next) = (u64::from(part.items), part.first.0);
                }
            }
            Event::Graph(graph, GraphEvent::ItemAdmitted(item)) => self.item(*graph, item, record.at, into),
            Event::Task { task, event, .. } => {
                let graph = GraphId(record.correlation);
                if self.graphs.contains_key(&graph) {
                    self.of_task((graph, *task), event, record.at, into);
                }
            }
            Event::Graph(..) | Event::Node(..) | Event::Scheduler(_) => {}
        }
    }

    /// Graphs and tasks that were passed over since this was asked last.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    fn admitted(&mut self, id: GraphId, head: &GraphHead, at: Timestamp) {
        if self.items + head.items as usize > ITEMS_LIMIT {
            self.missed += head.tasks + 1;
            return;
        }
        self.items += head.items as usize;
        let graph = Graph {
            trace: trace_of(id, head),
            name: Arc::clone(&head.name),
            admitted: at,
            announced: u64::from(head.items),
            tasks: head.tasks,
            ended: 0,
            failed: 0,
            next: id.first_task().0,
            items: Vec::new(),
        };
        self.graphs.insert(id, graph);
    }

    fn item(&mut self, id: GraphId, item: &Item, at: Timestamp, into: &mut Vec<Span>) {
        let Some(graph) = self.graphs.get_mut(&id) else { return };
        let (first, count) = (TaskId(graph.next), item.tasks());
        graph.next += count;
        graph.announced = graph.announced.saturating_sub(1);
        graph.items.push(Told {
            first,
            count,
            array: item.array.map(|array| array.first),
            needs: item.dependencies.iter().filter_map(policy::dependency::Dependency::place).collect(),
            spec: Arc::clone(&item.spec),
            admitted: at,
            ended: 0,
            last_end: None,
        });
        if graph.announced == 0 && first.0 < id.0 + graph.tasks {
            let mut span = graph.span(Of::Submission, Some(Of::Graph), "submission", (graph.admitted, at));
            span.attributes = vec![("crab.graph", text(id)), ("crab.tasks", number(graph.tasks))];
            into.push(span);
        }
    }

    fn of_task(
        &mut self,
        (id, task): (GraphId, TaskId),
        event: &TaskEvent,
        at: Timestamp,
        into: &mut Vec<Span>,
    ) {
        if !self.tasks.contains_key(&task) && self.tasks.len() >= TASKS_LIMIT {
            self.missed += 1;
            return;
        }
        let Some(graph) = self.graphs.get_mut(&id) else { return };
        let new = || Open { since: None, back_off: Duration::ZERO, attempts: 0, current: None };
        let open = self.tasks.entry(task).or_insert_with(new);
        match event {
            TaskEvent::Granted { token, attempt, node, .. } => {
                waits(graph, task, open, at, into);
                open.attempts += 1;
                let (number, token, node) = (*attempt, *token, node.clone());
                open.current = Some(Current { number, token, node, granted: at, started: None });
            }
            TaskEvent::Started { pid, .. } => {
                if let Some(current) = &mut open.current {
                    current.started = Some((at, *pid));
                }
            }
            TaskEvent::AttemptEnded { outcome, next, .. } => {
                if let Some(current) = open.current.take() {
                    attempt(graph, (id, task), &current, (outcome, at), into);
                }
                open.since = Some(at);
                match next {
                    Next::RetryAfter(wait) => open.back_off = *wait,
                    Next::Finish(outcome) => self.finished((id, task), outcome, at, into),
                }
            }
            TaskEvent::Finished(outcome) => {
                waits(graph, task, open, at, into);
                self.finished((id, task), outcome, at, into);
            }
            TaskEvent::RetryAsked => {
                (open.since, open.back_off) = (Some(at), Duration::ZERO);
                graph.ended = graph.ended.saturating_sub(1);
                if let Some(place) = graph.place(task) {
                    graph.items[place].ended = graph.items[place].ended.saturating_sub(1);
                }
            }
            TaskEvent::CancelAsked
            | TaskEvent::EvictAsked { .. }
            | TaskEvent::ReportIgnored { .. }
            | TaskEvent::StepBegan { .. } => {}
        }
    }

    fn finished(
        &mut self,
        (id, task): (GraphId, TaskId),
        outcome: &TaskOutcome,
        at: Timestamp,
        into: &mut Vec<Span>,
    ) {
        let attempts = self.tasks.remove(&task).map_or(0, |open| open.attempts);
        let Some(graph) = self.graphs.get_mut(&id) else { return };
        let Some(place) = graph.place(task) else { return };
        let (item, ready) = (&graph.items[place], graph.ready(&graph.items[place]));
        let name = match item.array {
            Some(index) => format!("task {}[{}]", item.spec.name, index + (task.0 - item.first.0)),
            None => format!("task {}", item.spec.name),
        };
        let mut span = graph.span(Of::Task(task), Some(Of::Graph), name, (item.admitted, at));
        span.link = ready.and_then(|(_, after)| after).map(|after| Of::Task(after).id(&graph.trace));
        span.attributes = vec![
            ("crab.task", text(task)),
            ("crab.graph", text(id)),
            ("crab.tenant", text(&item.spec.tenant)),
            ("crab.priority", text(item.spec.priority)),
            ("crab.attempts", number(attempts)),
            ("crab.outcome", text(outcome)),
        ];
        span.trouble = Some(outcome.to_string()).filter(|_| *outcome != TaskOutcome::Succeeded);
        graph.failed += u64::from(span.trouble.is_some());
        into.push(span);
        let item = &mut graph.items[place];
        (item.ended, item.last_end) = (item.ended + 1, Some((at, task)));
        graph.ended += 1;
        if graph.ended == graph.tasks {
            self.over(id, at, into);
        }
    }

    fn over(&mut self, id: GraphId, at: Timestamp, into: &mut Vec<Span>) {
        let Some(graph) = self.graphs.remove(&id) else { return };
        self.items = self.items.saturating_sub(graph.items.len());
        let mut span = graph.span(Of::Graph, None, format!("graph {}", graph.name), (graph.admitted, at));
        span.attributes = vec![("crab.graph", text(id)), ("crab.tasks", number(graph.tasks))];
        let failed = format!("{} of {} tasks did not succeed", graph.failed, graph.tasks);
        span.trouble = Some(failed).filter(|_| graph.failed > 0);
        into.push(span);
    }
}

/// What a task waited for since it was admitted, or since its last attempt, none of it empty.
fn waits(graph: &Graph, task: TaskId, open: &Open, until: Timestamp, into: &mut Vec<Span>) {
    let Some(item) = graph.place(task).map(|place| &graph.items[place]) else { return };
    let (from, between, which) = match open.since {
        // Tried again, there may have been a wait before it.
        Some(since) => (since, (since + open.back_off).min(until), 2),
        None => (item.admitted, graph.ready(item).map_or(until, |(at, _)| at.min(until)), 0),
    };
    for (which, from, to) in [(which, from, between), (1, between, until)] {
        if to > from {
            let of = Of::Wait(task, open.attempts + 1, which);
            let mut span = graph.span(of, Some(Of::Task(task)), WAITS[usize::from(which)], (from, to));
            span.attributes = vec![("crab.task", text(task))];
            into.push(span);
        }
    }
}

/// An attempt and its two parts.
fn attempt(
    graph: &Graph,
    (id, task): (GraphId, TaskId),
    current: &Current,
    (outcome, at): (&AttemptOutcome, Timestamp),
    into: &mut Vec<Span>,
) {
    let Current { number: AttemptNumber(tried), token, node, granted, started } = current;
    let (own, node) = (Of::Attempt(task, *tried), Some(node.clone()));
    let mut span = graph.span(own, Some(Of::Task(task)), format!("attempt {tried}"), (*granted, at));
    span.attributes = vec![
        ("crab.task", text(task)),
        ("crab.graph", text(id)),
        ("crab.attempt", number(*tried)),
        ("crab.token", text(token)),
        ("crab.node", text(node.as_ref().map(ToString::to_string).unwrap_or_default())),
        ("crab.outcome", text(outcome)),
    ];
    if let AttemptOutcome::Exited(code) = outcome {
        span.attributes.push(("process.exit.code", number(*code)));
    }
    span.trouble = Some(outcome.to_string()).filter(|_| *outcome != AttemptOutcome::Exited(0));
    let mut all = vec![span];
    let begun = started.map_or(at, |(started, _)| started);
    all.push(graph.span(Of::Start(task, *tried), Some(own), "start", (*granted, begun)));
    if let Some((started, pid)) = started {
        let mut run = graph.span(Of::Run(task, *tried), Some(own), "run", (*started, at));
        run.attributes = vec![("process.pid", number(*pid))];
        all.push(run);
    }
    into.extend(all.into_iter().map(|span| Span { node: node.clone(), ..span }));
}
