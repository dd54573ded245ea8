//! What has happened, in a line without its number and time.

use policy::breaker::Change;
use policy::budget::OnReached;
use policy::directive::Directive;
use policy::event::{Event, GraphEvent, Next, NodeEvent, SchedulerEvent, TaskEvent};
use policy::id::{TaskId, TaskRange};
use policy::stages::Stage;
use policy::task::TaskReport;
use policy::workspace::WorkspaceEnd;

use crate::say;

/// `t12 started, pid 4711`.
#[must_use]
pub fn text(event: &Event) -> String {
    match event {
        Event::Graph(graph, event) => format!("{graph} {}", of_graph(event)),
        Event::Task { task, event, .. } => format!("{task} {}", of_task(event)),
        Event::Node(node, event) => format!("node {node} {}", of_node(event)),
        Event::Scheduler(SchedulerEvent::Started { epoch, version }) => {
            format!("scheduler {version} started, epoch {epoch}")
        }
        Event::Scheduler(SchedulerEvent::Operated { by, action, reason }) => {
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            format!("{by} wants to {action}{why}")
        }
        Event::Scheduler(SchedulerEvent::Stopped) => "scheduler stopped".to_owned(),
        Event::Scheduler(SchedulerEvent::Pressure(change)) => format!(
            "the queue is under {} pressure ({} of {}), before {}",
            change.to, change.depth, change.limit, change.from
        ),
        Event::Scheduler(SchedulerEvent::TenantBudgetReached(exceeded)) => match exceeded.follows {
            OnReached::Pause => format!("{exceeded}: nothing more of it is started"),
            OnReached::Cancel => format!("{exceeded}: its graphs are cancelled"),
        },
        Event::Scheduler(SchedulerEvent::TenantResumed { tenant }) => {
            format!("tenant {tenant:?} goes on under its budget")
        }
        Event::Scheduler(SchedulerEvent::TenantSpent(spending)) => {
            format!("what tenant {:?} has used was written down", spending.tenant)
        }
        Event::Scheduler(SchedulerEvent::Directed { directive, by, reason }) => {
            let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            format!("{by} says: {}{why}", of_directive(directive))
        }
        Event::Scheduler(SchedulerEvent::RatesUsed(usage)) => {
            format!("what {} had used was written down", say::count(usage.len() as u64, "rate"))
        }
        Event::Scheduler(SchedulerEvent::PriorityInverted {
            task,
            priority,
            what,
            holder,
            holder_priority,
        }) => {
            format!("{task} of {priority} priority waits for {what}, held by {holder} of {holder_priority}")
        }
        Event::Scheduler(SchedulerEvent::PriorityLent { task, tasks, priority, served_as, by }) => {
            let more = if *tasks > 1 { format!(" and {} behind it", tasks - 1) } else { String::new() };
            format!("{task}{more} of {priority} priority: served as {served_as}, lent by {by}")
        }
        Event::Scheduler(SchedulerEvent::Audited { who, what, refused: None, .. }) => {
            format!("{who} did: {what}")
        }
        Event::Scheduler(SchedulerEvent::Audited { who, what, refused: Some(why), untold }) => {
            let more = match untold {
                0 => String::new(),
                more => format!(" ({more} more refusals were not told)"),
            };
            format!("{who} was refused: {what}: {why}{more}")
        }
        Event::Scheduler(SchedulerEvent::AgedBoost { task, priority, served_as, waited, is_late }) => {
            let late = if *is_late { ", longer than it should" } else { "" };
            format!(
                "{task} of {priority} priority waited {}{late}: served as {served_as}",
                say::length(*waited)
            )
        }
    }
}

fn of_graph(event: &GraphEvent) -> String {
    match event {
        GraphEvent::Admitted(head) => format!("{} admitted: {}", head.name, say::count(head.tasks, "task")),
        GraphEvent::ItemAdmitted(item) => match &item.array {
            Some(array) => {
                format!("has the array {} of {}", item.spec.name, say::count(array.count, "task"))
            }
            None => format!("has the task {}", item.spec.name),
        },
        GraphEvent::CancelAsked => "is to be cancelled".to_owned(),
        GraphEvent::BudgetReached { reached, follows } => match follows {
            OnReached::Pause => format!("is paused: {reached}"),
            OnReached::Cancel => format!("is cancelled: {reached}"),
        },
        GraphEvent::Resumed { .. } => "goes on".to_owned(),
        GraphEvent::Extended(part) => {
            format!("extended by {} from {} on", say::count(part.tasks, "task"), part.first)
        }
        GraphEvent::Unschedulable { tasks, reason } => format!("cannot run {}: {reason}", which(*tasks)),
        GraphEvent::Schedulable { tasks } => format!("can run {} now", which(*tasks)),
        GraphEvent::Prioritised { tasks, priority } => {
            format!("has {} priority for {} from now on", priority, which(*tasks))
        }
    }
}

/// `t12`, `t12 to t40`.
fn which(tasks: TaskRange) -> String {
    match tasks.count {
        1 => tasks.first.to_string(),
        _ => format!("{} to {}", tasks.first, TaskId(tasks.end().0.saturating_sub(1))),
    }
}

fn of_task(event: &TaskEvent) -> String {
    match event {
        TaskEvent::Granted { attempt, node, token, .. } => {
            format!("attempt {attempt} granted to {node}, token {token}")
        }
        TaskEvent::Started { pid, .. } => format!("started, pid {pid}"),
        TaskEvent::StepBegan { step, pid, .. } => format!("{step} began, pid {pid}"),
        TaskEvent::CancelAsked => "is to be cancelled".to_owned(),
        TaskEvent::EvictAsked { by, is_recall: true, .. } => {
            format!("is stopped, for {by} of its gang is not there")
        }
        TaskEvent::EvictAsked { by, .. } => format!("is stopped to make room for {by}"),
        TaskEvent::AttemptEnded { outcome, usage, next, report, .. } => {
            let took = say::length(usage.wall);
            let refused = report.iter().flat_map(|report| &report.parked);
            let refused: String = refused.map(|parked| format!(", refused by {}", parked.rate)).collect();
            let space = report.iter().find_map(|report| report.workspace.as_deref()).map(of_workspace);
            let kept = report.iter().find_map(|report| report.artifacts.as_deref());
            let kept = kept.map(|kept| format!(", artifacts: {}", say::artifacts(kept)));
            let space = space.unwrap_or_default() + &kept.unwrap_or_default() + &of_steps(report.as_deref());
            match next {
                Next::Finish(end) => format!("{end} after {took}{refused}{space}"),
                Next::RetryAfter(wait) => {
                    format!("{outcome} after {took}{refused}{space}, again in {}", say::length(*wait))
                }
            }
        }
        TaskEvent::Finished(outcome) => outcome.to_string(),
        TaskEvent::RetryAsked => "is to be tried again".to_owned(),
        TaskEvent::ReportIgnored { faults, .. } => {
            format!("warning: of its report was ignored {}", faults.join("; "))
        }
    }
}

/// `, before hook 1 200ms, command 3s, gate 1.2s`, and what failed after all that, which changed nothing.
fn of_steps(report: Option<&TaskReport>) -> String {
    let steps = report.map(|report| report.steps.as_slice()).unwrap_or_default();
    let took: String = steps.iter().map(|end| format!(", {} {}", end.step, say::length(end.took))).collect();
    let failed = steps.iter().filter(|end| end.step.stage == Stage::After && !end.end.is_success());
    took + &failed.map(|end| format!("; warning: {end}")).collect::<String>()
}

/// `, its workspace (ready in 80ms) was removed`.
fn of_workspace(end: &WorkspaceEnd) -> String {
    let ready = say::length(end.prepared);
    match &end.kept {
        None => format!(", its workspace (ready in {ready}) was removed"),
        Some((path, why)) => format!(", its workspace (ready in {ready}) was kept in {path}: {why}"),
    }
}

fn of_node(event: &NodeEvent) -> String {
    match event {
        NodeEvent::Joined { capacity, .. } => format!("joined with {}", say::resources(capacity)),
        NodeEvent::Suspected => "is suspected: nothing was heard of it".to_owned(),
        NodeEvent::Recovered => "was heard of again".to_owned(),
        NodeEvent::Lost { .. } => "is lost".to_owned(),
        NodeEvent::Left { .. } => "left".to_owned(),
        NodeEvent::Drained => "is drained: nothing is left there".to_owned(),
        NodeEvent::StaleReport { task, token } => format!("reported on {task} under the old token {token}"),
        NodeEvent::Strained(strain) => format!("is strained otherwise than before, {strain}"),
        NodeEvent::Relieved { task, strain, .. } => {
            format!("is strained, {strain}: {task} is taken off it")
        }
        NodeEvent::Breaker { kind, change } => {
            let what = kind.as_deref().map(|kind| format!(" for {kind}")).unwrap_or_default();
            match change {
                Change::Opened { failures, wait } => format!(
                    "has failed {}: its breaker{what} is open for {}",
                    say::count(u64::from(*failures), "time"),
                    say::length(*wait)
                ),
                Change::HalfOpened => format!("is tried again: its breaker{what} is half-open"),
                Change::Closed => format!("works again: its breaker{what} is closed"),
            }
        }
    }
}

fn of_directive(directive: &Directive) -> String {
    match directive {
        Directive::Cordon(node) => format!("cordon {node}"),
        Directive::Uncordon(node) => format!("uncordon {node}"),
        Directive::Drain { node, deadline: None } => format!("drain {node}"),
        Directive::Drain { node, deadline: Some(deadline) } => {
            format!("drain {node} until {}", say::clock_time(*deadline))
        }
        Directive::Remove(node) => format!("forget {node}"),
        Directive::Halt(None) => "halt everything".to_owned(),
        Directive::Halt(Some(node)) => format!("halt {node}"),
        Directive::Unhalt(None) => "the halt of everything is over".to_owned(),
        Directive::Unhalt(Some(node)) => format!("the halt of {node} is over"),
        Directive::Pause(scope) => format!("pause {scope}"),
        Directive::Resume(scope) => format!("the pause of {scope} is over"),
        Directive::Label { node, labels } => {
            let put = labels.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
            let put = put.collect::<Vec<_>>().join(", ");
            format!("labels of operators on {node}: {}", if put.is_empty() { "none" } else { &put })
        }
    }
}
