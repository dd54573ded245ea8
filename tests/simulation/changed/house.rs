//! Changes that break what the operator of a house has said.

use std::sync::Arc;
use std::time::Duration;

use policy::ageing::Ageing;
use policy::breaker::Change;
use policy::budget::{Budget, TenantBudget, TenantBudgets};
use policy::event::{Event, GraphEvent, NodeEvent, SchedulerEvent, TaskEvent};
use policy::pressure::{Mode, ModeChange};
use policy::tenant::Quota;

use super::{Mutant, find, is_grant};
use crate::history::{Answer, History};

/// For any rich history.
pub(super) const OF_ALL: &[Mutant] = &[
    ("a breaker that opens for no reason", "I16", |history| {
        let place = find(history, is_grant);
        trip(history, place + 1, Change::Opened { failures: 5, wait: Duration::ZERO });
    }),
    ("a grant under an open breaker", "I16", |history| {
        trip(history, 1, Change::Opened { failures: 5, wait: Duration::from_secs(9999) });
    }),
    ("two trials at once", "I16", |history| trip(history, 1, Change::HalfOpened)),
    ("a graph that is granted more than it may use", "I18", |history| {
        let attempts = Budget { attempts: 1, ..Budget::default() };
        limit_all(history, attempts);
    }),
    ("a graph that is retried more than it may be", "I18", |history| {
        // Fewer than the least: what may be retried once has been.
        let retries = Budget { retries: 1, ..Budget::default() };
        limit_all(history, retries);
    }),
    ("a tenant that is granted more than it may use", "I18", |history| {
        let budget = Budget { attempts: 2, ..Budget::default() };
        let usual = TenantBudget { budget, per: Some(Duration::from_secs(60)) };
        history.limits.budgets = Arc::new(TenantBudgets { usual, ..TenantBudgets::default() });
    }),
    ("a tenant of which too many wait", "I18", |history| {
        history.limits.quotas.usual = Quota { max_waiting: 1, max_running: 0 };
    }),
    ("a tenant of which too many run", "I18", |history| {
        history.limits.quotas.usual = Quota { max_waiting: 0, max_running: 1 };
    }),
    ("more items than may wait", "I18", |history| history.limits.pressure.max_queue_depth = 1),
    ("what is not urgent under critical pressure", "I18", |history| {
        let change = ModeChange { from: Mode::Normal, to: Mode::Critical, depth: 9, limit: 10 };
        let mut record = history.records[1].clone();
        record.1.event = Event::Scheduler(SchedulerEvent::Pressure(change));
        history.records.insert(1, record);
    }),
    ("a client that is sent away for no time", "I18", |history| {
        history.operations[0].answer = Answer::Busy { retry_after: Duration::ZERO };
    }),
];

fn limit_all(history: &mut History, budget: Budget) {
    for (_, record) in &mut history.records {
        if let Event::Graph(_, GraphEvent::Admitted(head)) = &mut record.event {
            head.budget = budget;
        }
    }
}

/// Breaks a history with a fair crowd.
pub(super) fn unfair(history: &mut History) {
    let weights = [("fair-1", 3), ("fair-2", 2), ("fair-3", 1)];
    let weights = weights.iter().map(|(name, weight)| (Box::from(*name), *weight)).collect();
    history.limits.scheduling.weights = Arc::new(weights);
}

/// Breaks a history in which little that is patient waits behind much that is urgent.
pub(super) fn impatient(history: &mut History) {
    let tick = Duration::from_millis(1);
    history.limits.scheduling.ageing = Ageing { base: tick, tick, ..Ageing::default() };
}

/// Breaks a history in which something large waits: it is never granted.
pub(super) fn passed_over(history: &mut History) {
    let of_large = |event: &Event| match event {
        Event::Graph(graph, GraphEvent::ItemAdmitted(item)) if &*item.spec.tenant == "large" => {
            Some(graph.first_task())
        }
        _ => None,
    };
    let large = history.records.iter().find_map(|(_, record)| of_large(&record.event));
    let large = large.expect("it has something large");
    history
        .records
        .retain(|(_, record)| !matches!(&record.event, Event::Task { task, .. } if *task == large));
}

/// A breaker of the node that is granted something first changes.
fn trip(history: &mut History, place: usize, change: Change) {
    let grant = find(history, is_grant);
    let Event::Task { event: TaskEvent::Granted { node, .. }, .. } = &history.records[grant].1.event else {
        panic!("a grant")
    };
    let (node, mut record) = (node.clone(), history.records[place].clone());
    record.1.event = Event::Node(node, NodeEvent::Breaker { kind: None, change });
    history.records.insert(place, record);
}
