//! Events.

use policy::breaker::Change;
use policy::budget::OnReached;
use std::collections::BTreeMap;

use policy::directive::{Directive, Scope};
use policy::event::{Event as Happened, GraphEvent, Next, NodeEvent, Record, SchedulerEvent, TaskEvent};
use serde::Serialize;

use super::attempt::Used;
use super::budget::Reached;
use super::report::Reported;
use super::stages::Which;
use super::{Amounts, Outcome, VERSION};
use crate::cli::text::rfc3339;

/// Of `events`, `run`, and within `show`.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    v: u32,
    number: u64,
    at: String,
    cause: Option<u64>,
    correlation: Option<u64>,
    graph: Option<String>,
    task: Option<String>,
    node: Option<String>,
    /// Such as `task.granted`; what more there is depends on it.
    event: &'static str,
    #[serde(flatten)]
    details: Details,
}

/// What more there is to an event. Only these fields are left out where they say nothing.
#[derive(Debug, Default, Serialize)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<Which>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Used>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<Amounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Reached>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Reported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    served_as: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    late: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rates: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
}

impl From<&Record> for Event {
    fn from(record: &Record) -> Self {
        let number = |number: u64| (number > 0).then_some(number);
        let mut event = Self {
            v: VERSION,
            number: record.number,
            at: rfc3339(record.at),
            cause: number(record.cause),
            correlation: number(record.correlation),
            graph: None,
            task: None,
            node: None,
            event: "",
            details: Details::default(),
        };
        event.fill(&record.event);
        event
    }
}

impl Event {
    /// Such as `task.granted`.
    pub(crate) fn name(&self) -> &'static str {
        self.event
    }

    fn fill(&mut self, happened: &Happened) {
        match happened {
            Happened::Graph(graph, event) => {
                self.graph = Some(graph.to_string());
                if let GraphEvent::Unschedulable { tasks, .. }
                | GraphEvent::Schedulable { tasks }
                | GraphEvent::Prioritised { tasks, .. } = event
                {
                    // The first of them; `tasks` says how many.
                    self.task = Some(tasks.first.to_string());
                }
                (self.event, self.details) = of_graph(event);
            }
            Happened::Task { task, event, .. } => {
                self.task = Some(task.to_string());
                if let TaskEvent::Granted { node, .. } = event {
                    self.node = Some(node.to_string());
                }
                (self.event, self.details) = of_task(event);
            }
            Happened::Node(node, event) => {
                self.node = Some(node.to_string());
                if let NodeEvent::StaleReport { task, .. } = event {
                    self.task = Some(task.to_string());
                }
                (self.event, self.details) = of_node(event);
            }
            Happened::Scheduler(event) => {
                match event {
                    SchedulerEvent::AgedBoost { task, .. }
                    | SchedulerEvent::PriorityLent { task, .. }
                    | SchedulerEvent::PriorityInverted { task, .. } => self.task = Some(task.to_string()),
                    SchedulerEvent::Directed { directive, .. } => {
                        self.node = directive.node().map(ToString::to_string);
                    }
                    _ => {}
                }
                (self.event, self.details) = of_scheduler(event);
            }
        }
    }
}

fn of_graph(event: &GraphEvent) -> (&'static str, Details) {
    let none = Details::default();
    match event {
        GraphEvent::Admitted(head) => {
            let details = Details { name: Some(head.name.to_string()), tasks: Some(head.tasks), ..none };
            ("graph.admitted", details)
        }
        GraphEvent::ItemAdmitted(item) => {
            let details =
                Details { name: Some(item.spec.name.to_string()), tasks: Some(item.tasks()), ..none };
            ("graph.item-admitted", details)
        }
        GraphEvent::CancelAsked => ("graph.cancel-asked", none),
        GraphEvent::BudgetReached { reached, follows } => {
            let budget = Some(Reached::from(reached));
            let event = match follows {
                OnReached::Pause => "graph.paused",
                OnReached::Cancel => "graph.budget-reached",
            };
            (event, Details { budget, ..none })
        }
        GraphEvent::Resumed { .. } => ("graph.resumed", none),
        GraphEvent::Unschedulable { tasks, reason } => {
            let (tasks, reason) = (Some(u64::from(tasks.count)), Some(reason.to_string()));
            ("task.unschedulable", Details { tasks, reason, ..none })
        }
        GraphEvent::Schedulable { tasks } => {
            ("task.schedulable", Details { tasks: Some(u64::from(tasks.count)), ..none })
        }
        GraphEvent::Extended(part) => ("graph.extended", Details { tasks: Some(part.tasks), ..none }),
        GraphEvent::Prioritised { tasks, priority } => {
            let (tasks, priority) = (Some(u64::from(tasks.count)), Some((*priority).into()));
            ("task.prioritised", Details { tasks, priority, ..none })
        }
    }
}

fn of_task(event: &TaskEvent) -> (&'static str, Details) {
    let none = Details::default();
    match event {
        TaskEvent::Granted { token, attempt, .. } => {
            ("task.granted", Details { token: Some(token.to_string()), attempt: Some(attempt.0), ..none })
        }
        TaskEvent::Started { token, pid, .. } => {
            ("task.started", Details { token: Some(token.to_string()), pid: Some(*pid), ..none })
        }
        TaskEvent::StepBegan { token, step, pid } => {
            let (token, step, pid) = (Some(token.to_string()), Some(Which::from(*step)), Some(*pid));
            ("task.step-began", Details { token, step, pid, ..none })
        }
        TaskEvent::CancelAsked => ("task.cancel-asked", none),
        TaskEvent::EvictAsked { token, by, is_recall } => {
            let (token, by) = (Some(token.to_string()), Some(by.to_string()));
            let kind = if *is_recall { "task.recall-asked" } else { "task.evict-asked" };
            (kind, Details { token, by, ..none })
        }
        TaskEvent::AttemptEnded { token, outcome, usage, next, report, .. } => {
            let retry_after_s = match next {
                Next::Finish(_) => None,
                Next::RetryAfter(wait) => Some(wait.as_secs_f64()),
            };
            let (outcome, usage) = (Some(Outcome::from(outcome)), Some(Used::from(usage)));
            let (token, report) = (Some(token.to_string()), report.as_deref().map(Reported::from));
            let details = Details { token, outcome, usage, retry_after_s, report, ..none };
            ("task.attempt-ended", details)
        }
        TaskEvent::Finished(outcome) => {
            ("task.finished", Details { outcome: Some(Outcome::from(outcome)), ..none })
        }
        TaskEvent::RetryAsked => ("task.retry-asked", none),
        TaskEvent::ReportIgnored { token, faults } => {
            let warnings = Some(faults.iter().map(ToString::to_string).collect());
            ("task.report-ignored", Details { token: Some(token.to_string()), warnings, ..none })
        }
    }
}

fn of_node(event: &NodeEvent) -> (&'static str, Details) {
    let none = Details::default();
    match event {
        NodeEvent::Joined { capacity, .. } => {
            ("node.joined", Details { capacity: Some(Amounts::from(capacity)), ..none })
        }
        NodeEvent::Suspected => ("node.suspected", none),
        NodeEvent::Recovered => ("node.recovered", none),
        NodeEvent::Lost { .. } => ("node.lost", none),
        NodeEvent::Left { .. } => ("node.left", none),
        NodeEvent::Drained => ("node.drained", none),
        NodeEvent::StaleReport { token, .. } => {
            ("node.stale-report", Details { token: Some(token.to_string()), ..none })
        }
        NodeEvent::Strained(strain) => {
            let reason = strain.seen.map(|seen| seen.to_string());
            ("node.strained", Details { level: Some(strain.level.into()), reason, ..none })
        }
        NodeEvent::Relieved { token, strain, .. } => {
            let reason = strain.seen.map(|seen| seen.to_string());
            ("node.relieved", Details { token: Some(token.to_string()), reason, ..none })
        }
        NodeEvent::Breaker { kind, change } => {
            let details = Details { kind: kind.as_deref().map(ToOwned::to_owned), ..none };
            match change {
                Change::Opened { wait, .. } => {
                    ("node.breaker-opened", Details { wait_s: Some(wait.as_secs_f64()), ..details })
                }
                Change::HalfOpened => ("node.breaker-half-opened", details),
                Change::Closed => ("node.breaker-closed", details),
            }
        }
    }
}

fn of_scheduler(event: &SchedulerEvent) -> (&'static str, Details) {
    let none = Details::default();
    match event {
        SchedulerEvent::Started { epoch, .. } => {
            ("scheduler.started", Details { epoch: Some(*epoch), ..none })
        }
        SchedulerEvent::Operated { by, action, reason } => {
            let details = Details {
                by: Some(by.to_string()),
                action: Some(action.to_string()),
                reason: Some(reason.to_string()),
                ..none
            };
            ("scheduler.operated", details)
        }
        SchedulerEvent::Stopped => ("scheduler.stopped", none),
        SchedulerEvent::Pressure(change) => {
            let mode = Some(change.to.into());
            ("scheduler.pressure", Details { mode, tasks: Some(change.depth), ..none })
        }
        SchedulerEvent::TenantBudgetReached(exceeded) => {
            let (budget, tenant) =
                (Some(Reached::from(&exceeded.reached)), Some(exceeded.tenant.to_string()));
            let event = match exceeded.follows {
                OnReached::Pause => "tenant.paused",
                OnReached::Cancel => "tenant.budget-reached",
            };
            (event, Details { budget, tenant, until: exceeded.until.map(rfc3339), ..none })
        }
        SchedulerEvent::TenantResumed { tenant } => {
            ("tenant.resumed", Details { tenant: Some(tenant.to_string()), ..none })
        }
        SchedulerEvent::TenantSpent(spending) => {
            ("tenant.spent", Details { tenant: Some(spending.tenant.to_string()), ..none })
        }
        SchedulerEvent::AgedBoost { priority, served_as, waited, is_late, .. } => {
            let (priority, served_as) = (Some((*priority).into()), Some((*served_as).into()));
            let (waited_s, late) = (Some(waited.as_secs_f64()), Some(*is_late));
            ("task.aged-boost", Details { priority, served_as, waited_s, late, ..none })
        }
        SchedulerEvent::Directed { directive, by, reason } => of_directive(directive, (by, reason)),
        SchedulerEvent::RatesUsed(usage) => (
            "scheduler.rates-used",
            Details { rates: Some(usage.iter().map(|one| one.rate.to_string()).collect()), ..none },
        ),
        SchedulerEvent::PriorityInverted { priority, what, holder, holder_priority, .. } => {
            let (priority, holder_priority) = (Some((*priority).into()), Some((*holder_priority).into()));
            let (what, holder) = (Some(what.to_string()), Some(holder.to_string()));
            ("task.priority-inverted", Details { priority, what, holder, holder_priority, ..none })
        }
        SchedulerEvent::PriorityLent { tasks, priority, served_as, by, .. } => {
            let (priority, served_as) = (Some((*priority).into()), Some((*served_as).into()));
            let (tasks, by) = (Some(u64::from(*tasks)), Some(by.to_string()));
            ("task.priority-lent", Details { tasks, priority, served_as, by, ..none })
        }
        SchedulerEvent::Audited { who, what, refused, .. } => {
            let (by, action) = (Some(who.to_string()), Some(what.to_string()));
            match refused {
                None => ("audit.done", Details { by, action, ..none }),
                Some(why) => ("audit.refused", Details { by, action, reason: Some(why.to_string()), ..none }),
            }
        }
    }
}

fn of_directive(directive: &Directive, (by, reason): (&str, &str)) -> (&'static str, Details) {
    let reason = (!reason.is_empty()).then(|| reason.to_owned());
    let mut details = Details { by: Some(by.to_owned()), reason, ..Details::default() };
    let event = match directive {
        Directive::Cordon(_) => "operator.cordon",
        Directive::Uncordon(_) => "operator.uncordon",
        Directive::Drain { deadline, .. } => {
            details.deadline = deadline.map(rfc3339);
            "operator.drain"
        }
        Directive::Remove(_) => "operator.remove",
        Directive::Halt(_) => "operator.halt",
        Directive::Unhalt(_) => "operator.unhalt",
        Directive::Pause(_) => "operator.pause",
        Directive::Resume(_) => "operator.resume",
        Directive::Label { labels, .. } => {
            let put = labels
                .iter()
                .filter_map(|(name, value)| Some((name.to_string(), value.as_ref()?.to_string())));
            details.labels = Some(put.collect());
            "operator.label"
        }
    };
    if let Directive::Pause(scope) | Directive::Resume(scope) = directive {
        match scope {
            Scope::All => {}
            Scope::Priority(priority) => details.priority = Some(priority.into()),
            Scope::Tenant(tenant) => details.tenant = Some(tenant.to_string()),
        }
    }
    (event, details)
}
