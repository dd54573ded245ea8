//! What graphs and tenants have used up, against what they may: the rest of I18.
//!
//! What happens at one moment is one: an attempt that was on its way when a budget was used up is recorded at that moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::budget::{Budget, is_retry};
use policy::event::{Event, GraphEvent, Record, SchedulerEvent, TaskEvent};
use policy::id::{GraphId, TaskId};
use policy::task::TaskOutcome;
use policy::time::Timestamp;

use super::index::Index;
use super::{Findings, History};

/// What one graph has used.
#[derive(Debug, Default)]
struct Used {
    budget: Budget,
    attempts: u64,
    retries: u64,
    wall: Duration,
    /// When it was told that it is used up.
    reached: Option<Timestamp>,
}

/// What one tenant has used in the present period.
#[derive(Debug, Default)]
struct Period {
    begin: u64,
    attempts: u64,
    reached: Option<Timestamp>,
}

/// A task that waits for another attempt.
#[derive(Debug)]
struct Failed {
    graph: GraphId,
    /// The most retries of its graph that were used or waited for since, its own among them.
    peak: u64,
}

struct Pass<'a> {
    history: &'a History,
    index: &'a Index<'a>,
    graphs: BTreeMap<GraphId, Used>,
    tenants: BTreeMap<Arc<str>, Period>,
    /// Tasks that wait for another attempt after a failure of their own.
    failed: BTreeMap<TaskId, Failed>,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let (graphs, tenants) = (BTreeMap::new(), BTreeMap::new());
    let mut pass = Pass { history, index, graphs, tenants, failed: BTreeMap::new() };
    for (_, record) in &history.records {
        match &record.event {
            Event::Graph(graph, event) => pass.graph(*graph, event, record),
            Event::Task { task, event, .. } => pass.task(*task, event, record, findings),
            Event::Scheduler(SchedulerEvent::TenantBudgetReached(exceeded)) => {
                let period = pass.period(&exceeded.tenant, record.at);
                period.reached.get_or_insert(record.at);
            }
            Event::Scheduler(SchedulerEvent::TenantResumed { tenant }) => {
                pass.period(tenant, record.at).reached = None;
            }
            Event::Node(..) | Event::Scheduler(_) => {}
        }
    }
}

impl Pass<'_> {
    fn graph(&mut self, graph: GraphId, event: &GraphEvent, record: &Record) {
        match event {
            GraphEvent::Admitted(head) => {
                self.graphs.insert(graph, Used { budget: head.budget, ..Used::default() });
            }
            GraphEvent::BudgetReached { .. } => {
                self.graphs.entry(graph).or_default().reached.get_or_insert(record.at);
            }
            GraphEvent::Resumed { budget } => {
                let used = self.graphs.entry(graph).or_default();
                (used.budget, used.reached) = (*budget, None);
            }
            _ => {}
        }
    }

    fn task(&mut self, task: TaskId, event: &TaskEvent, record: &Record, findings: &mut Findings) {
        match event {
            TaskEvent::Granted { .. } => {
                self.granted_of_graph(task, record, findings);
                self.granted_of_tenant(task, record, findings);
            }
            TaskEvent::AttemptEnded { outcome, usage, next, report, .. } => {
                if let Some((graph, _)) = self.index.graph_of(task) {
                    self.graphs.entry(graph).or_default().wall += usage.wall;
                    if is_retry(next, outcome, report.as_deref()) {
                        self.waits(graph, task);
                    }
                }
            }
            TaskEvent::Finished(TaskOutcome::OutOfRetries { budget, .. }) => {
                let failed = self.failed.remove(&task);
                let used = self.index.graph_of(task).and_then(|(graph, _)| self.graphs.get(&graph));
                // What waited beside it had taken its retry as well.
                let lawful = *budget > 0 && failed.as_ref().is_some_and(|failed| failed.peak > *budget);
                findings.expect("I18", lawful, || {
                    format!(
                        "record {}: {task} has no retry of {budget}, {failed:?}, used are {used:?}",
                        record.number
                    )
                });
            }
            TaskEvent::Finished(_) | TaskEvent::RetryAsked => drop(self.failed.remove(&task)),
            _ => {}
        }
    }

    fn waits(&mut self, graph: GraphId, task: TaskId) {
        self.failed.insert(task, Failed { graph, peak: 0 });
        let used = self.graphs.get(&graph).map_or(0, |used| used.retries);
        let waiting = self.failed.values().filter(|failed| failed.graph == graph).count() as u64;
        for failed in self.failed.values_mut().filter(|failed| failed.graph == graph) {
            failed.peak = failed.peak.max(used + waiting);
        }
    }

    fn granted_of_graph(&mut self, task: TaskId, record: &Record, findings: &mut Findings) {
        let is_retry = self.failed.remove(&task).is_some();
        let Some((graph, _)) = self.index.graph_of(task) else { return };
        let used = self.graphs.entry(graph).or_default();
        used.attempts += 1;
        used.retries += u64::from(is_retry);
        let Budget { attempts, retries, .. } = used.budget;
        let covered = |limit: u64, used: u64| limit == 0 || used <= limit;
        let lawful = covered(attempts, used.attempts) && covered(retries, used.retries);
        let in_time = used.reached.is_none_or(|reached| record.at <= reached);
        findings.expect("I18", lawful && in_time, || {
            format!("record {}: {task} was granted beyond the budget of {graph}: {used:?}", record.number)
        });
    }

    fn granted_of_tenant(&mut self, task: TaskId, record: &Record, findings: &mut Findings) {
        let Some(tenant) = self.index.item_of(task).map(|item| Arc::clone(&item.spec.tenant)) else { return };
        let limit = self.history.limits.budgets.of(&tenant).budget.attempts;
        let period = self.period(&tenant, record.at);
        period.attempts += 1;
        let in_time = period.reached.is_none_or(|reached| record.at <= reached);
        findings.expect("I18", (limit == 0 || period.attempts <= limit) && in_time, || {
            format!("record {}: {task} was granted beyond the {limit} of {tenant}: {period:?}", record.number)
        });
    }

    fn period(&mut self, tenant: &Arc<str>, at: Timestamp) -> &mut Period {
        let per = self.history.limits.budgets.of(tenant).per.unwrap_or(Duration::MAX);
        let begin = at.0 - at.0 % u64::try_from(per.as_micros()).unwrap_or(u64::MAX);
        let period = self.tenants.entry(Arc::clone(tenant)).or_default();
        if begin > period.begin {
            *period = Period { begin, ..Period::default() };
        }
        period
    }
}
