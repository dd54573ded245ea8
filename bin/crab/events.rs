//! `crab events`.

use actors::client::{Client, Seen};
use actors::wire::client::{EventFilter, Target};
use policy::breaker::Change;
use policy::budget::OnReached;
use policy::directive::Directive;
use policy::event::{Event, GraphEvent, Next, NodeEvent, Record, SchedulerEvent, TaskEvent};
use policy::id::{TaskId, TaskRange};

use crate::cli::args::Events;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

/// Events of the past that are shown where nobody says from which on.
const RECENT: u64 = 100;

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Events) -> anyhow::Result<Exit> {
    let filter = match &args.target {
        None => EventFilter::All,
        Some(wanted) => match target::find(client, wanted).await? {
            Target::Task(task) => EventFilter::Task(task),
            Target::Graph(graph) => EventFilter::Graph(graph),
        },
    };
    let last = client.hello().await?.durable;
    let after = match (args.after, filter) {
        (Some(after), _) => after,
        (None, EventFilter::All) => last.saturating_sub(RECENT),
        (None, _) => 0,
    };
    let mut watch = client.events(after, filter);
    loop {
        let seen = if args.follow { Some(watch.next().await?) } else { past(&mut watch, last).await? };
        match seen {
            None => return Ok(Exit::SUCCESS),
            Some(Seen::Gap { resumes_at }) => {
                screen.note(format_args!("events before number {resumes_at} were removed by retention"));
            }
            Some(Seen::Record(record)) if screen.json => screen.object(&json::Event::from(&record))?,
            Some(Seen::Record(record)) => screen.line(event_line(&record))?,
        }
    }
}

/// The next event up to `last`; pages without an event of interest are skipped.
async fn past(watch: &mut actors::client::Watch, last: u64) -> anyhow::Result<Option<Seen>> {
    loop {
        match watch.next_past().await? {
            Some(Seen::Record(record)) if record.number > last => return Ok(None),
            Some(seen) => return Ok(Some(seen)),
            None if watch.fetched() >= last => return Ok(None),
            None => {}
        }
    }
}

/// `     123  12:03:01  t12 started, pid 4711`.
pub(crate) fn event_line(record: &Record) -> String {
    let what = match &record.event {
        Event::Graph(graph, event) => format!("{graph} {}", of_graph(event)),
        Event::Task { task, event, .. } => format!("{task} {}", of_task(event)),
        Event::Node(node, event) => format!("node {node} {}", of_node(event)),
        Event::Scheduler(SchedulerEvent::Started { epoch, version }) => {
            format!("scheduler {version} started, epoch {epoch}")
        }
        Event::Scheduler(SchedulerEvent::Stopped) => "scheduler stopped".to_owned(),
        Event::Scheduler(SchedulerEvent::Pressure(change)) => format!(
            "the queue is under {} pressure ({} of {}), before {}",
            change.to, change.depth, change.limit, change.from
        ),
        Event::Scheduler(SchedulerEvent::Directed { directive, by }) => {
            format!("{by} says: {}", of_directive(directive))
        }
        Event::Scheduler(SchedulerEvent::AgedBoost { task, priority, served_as, waited, is_late }) => {
            let late = if *is_late { ", longer than it should" } else { "" };
            format!(
                "{task} of {priority} priority waited {}{late}: served as {served_as}",
                text::length(*waited)
            )
        }
    };
    format!("{:>8}  {}  {}", record.number, text::clock_time(record.at), text::harmless(&what))
}

fn of_graph(event: &GraphEvent) -> String {
    match event {
        GraphEvent::Admitted(head) => format!("{} admitted: {}", head.name, text::count(head.tasks, "task")),
        GraphEvent::ItemAdmitted(item) => match &item.array {
            Some(array) => {
                format!("has the array {} of {}", item.spec.name, text::count(array.count, "task"))
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
            format!("extended by {} from {} on", text::count(part.tasks, "task"), part.first)
        }
        GraphEvent::Unschedulable { tasks, reason } => format!("cannot run {}: {reason}", which(*tasks)),
        GraphEvent::Schedulable { tasks } => format!("can run {} now", which(*tasks)),
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
        TaskEvent::CancelAsked => "is to be cancelled".to_owned(),
        TaskEvent::AttemptEnded { outcome, usage, next, report, .. } => {
            let took = text::length(usage.wall);
            let refused = report.iter().flat_map(|report| &report.parked);
            let refused: String = refused.map(|parked| format!(", refused by {}", parked.rate)).collect();
            match next {
                Next::Finish(end) => format!("{end} after {took}{refused}"),
                Next::RetryAfter(wait) => {
                    format!("{outcome} after {took}{refused}, again in {}", text::length(*wait))
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

fn of_node(event: &NodeEvent) -> String {
    match event {
        NodeEvent::Joined { capacity, .. } => format!("joined with {}", text::resources(capacity)),
        NodeEvent::Suspected => "is suspected: nothing was heard of it".to_owned(),
        NodeEvent::Recovered => "was heard of again".to_owned(),
        NodeEvent::Lost { .. } => "is lost".to_owned(),
        NodeEvent::Left { .. } => "left".to_owned(),
        NodeEvent::Drained => "is drained: nothing is left there".to_owned(),
        NodeEvent::StaleReport { task, token } => format!("reported on {task} under the old token {token}"),
        NodeEvent::Breaker { kind, change } => {
            let what = kind.as_deref().map(|kind| format!(" for {kind}")).unwrap_or_default();
            match change {
                Change::Opened { failures, wait } => format!(
                    "has failed {}: its breaker{what} is open for {}",
                    text::count(u64::from(*failures), "time"),
                    text::length(*wait)
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
            format!("drain {node} until {}", text::clock_time(*deadline))
        }
        Directive::Remove(node) => format!("forget {node}"),
        Directive::Halt(None) => "halt everything".to_owned(),
        Directive::Halt(Some(node)) => format!("halt {node}"),
        Directive::Unhalt(None) => "the halt of everything is over".to_owned(),
        Directive::Unhalt(Some(node)) => format!("the halt of {node} is over"),
        Directive::Pause(scope) => format!("pause {scope}"),
        Directive::Resume(scope) => format!("the pause of {scope} is over"),
    }
}
