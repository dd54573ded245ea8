//! `crab status`: everything, one graph, or one task, on one screen.

use std::time::Duration;

use actors::client::Client;
use actors::clock::Clock;
use actors::say;
use actors::wire::client::{BudgetRow, NodeHealth, NodeRow, StateName, Status, TaskFilter, TaskRow};
use actors::wire::client::{Target, TaskCounts, TenantRow};
use policy::budget::OnReached;
use policy::directive::{Directive, Scope};
use policy::graph::ReadyItem;
use policy::id::{GraphId, NodeId, TaskId};
use policy::pressure::Mode;
use policy::task::Priority;
use policy::time::Timestamp;

use crate::cli::args::seeing as args;
use crate::cli::exit::Exit;
use crate::cli::screen::{Color, Screen};
use crate::cli::{json, nodes, target, text, wait};

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: args::Status) -> anyhow::Result<Exit> {
    match &args.target {
        None => overviews(client, screen, &args).await?,
        Some(wanted) => match target::find(client, wanted).await? {
            Target::Graph(graph) => self::graph(client, screen, graph, &args).await?,
            Target::Task(task) => self::task(client, screen, task).await?,
        },
    }
    Ok(Exit::SUCCESS)
}

/// Once, or again and again until the reader has seen enough.
async fn overviews(client: &Client, screen: &mut Screen, args: &args::Status) -> anyhow::Result<()> {
    loop {
        let seen = seen(client).await?;
        if args.watch && screen.terminal && !screen.json {
            // From the top of an empty screen.
            screen.text("\x1b[H\x1b[2J")?;
        }
        overview(screen, &seen)?;
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(args.every).await;
    }
}

/// What an overview is made of.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: Status,
    /// What came first of what waits in a queue.
    pub(crate) oldest: Vec<Waiting>,
    /// What runs, as far as it is shown.
    pub(crate) running: Vec<TaskRow>,
}

/// A task that waits in a queue, or the members of an array that do.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The first of them.
    pub(crate) row: TaskRow,
    /// Why that waits.
    pub(crate) why: Option<Box<str>>,
    /// Of an array: its name, and the members.
    pub(crate) array: Option<(Box<str>, ReadyItem)>,
}

/// Tasks and arrays that wait that are shown: the first of each is asked why.
const OLDEST: u32 = 5;
/// Tasks that run that are fetched, and shown of one machine.
const RUNNING: usize = 200;
const RUNNING_HERE: usize = 4;

async fn seen(client: &Client) -> anyhow::Result<Seen> {
    let status = client.status().await?;
    let oldest = if status.queued == [0; 4] { Vec::new() } else { oldest(client).await? };
    let running = match status.tasks.active {
        0 => Vec::new(),
        _ => client.tasks(&in_state(StateName::Running), RUNNING).await?,
    };
    Ok(Seen { status, oldest, running })
}

fn in_state(state: StateName) -> TaskFilter {
    TaskFilter { graph: None, states: vec![state] }
}

async fn oldest(client: &Client) -> anyhow::Result<Vec<Waiting>> {
    let items = match client.oldest(OLDEST).await? {
        Some(items) => items,
        // A daemon of the version before tells of single tasks.
        None => {
            let rows = client.tasks(&in_state(StateName::Ready), OLDEST as usize).await?;
            let one = |row: TaskRow| ReadyItem { first: row.task, last: row.task, indices: None, tasks: 1 };
            rows.into_iter().map(one).collect()
        }
    };
    let mut oldest = Vec::new();
    for item in items {
        // What is gone meanwhile, or begun, does not wait any more.
        let Ok(detail) = client.task(item.first).await else { continue };
        let array = item.indices.map(|_| (detail.spec.name.as_ref().into(), item));
        oldest.push(Waiting { row: detail.row, why: detail.waits_for, array });
    }
    oldest.retain(|waiting| waiting.row.state == StateName::Ready);
    Ok(oldest)
}

/// `waits   t7 lint, high priority, since 3m: no node has room`, `waits   t12..t99 build[17..104]: 80 waiting, ...`.
fn waits(Waiting { row, why, array }: &Waiting, now: Timestamp) -> String {
    let what = match array {
        Some((name, ReadyItem { first, last, indices: Some((from, to)), tasks })) if first != last => {
            format!("{first}..{last} {name}[{from}..{to}]: {tasks} waiting")
        }
        _ => format!("{} {}", row.task, row.name),
    };
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let age = text::age(now, row.since);
    format!("waits   {what}, {} priority, since {age}{why}", row.priority)
}

fn overview(screen: &mut Screen, seen: &Seen) -> anyhow::Result<()> {
    let status = &seen.status;
    if screen.json {
        return screen.object(&json::Overview::from(seen));
    }
    let now = Clock::system().wall();
    screen.line(overview_text(status, now))?;
    for waiting in &seen.oldest {
        screen.line(text::harmless(&waits(waiting, now)))?;
    }
    if status.tenants.iter().any(|row| row.waiting != [0; 4] || row.running != [0; 4]) {
        screen.line(format_args!("\n{}", tenants(&status.tenants)))?;
    }
    if !status.nodes.is_empty() {
        screen.line(format_args!("\n{}", nodes::table(&status.nodes, now)))?;
        for node in &status.nodes {
            if let Some(line) = running_on(&node.node, &seen.running, now) {
                screen.line(text::harmless(&line))?;
            }
        }
    }
    for told in status.tenants.iter().filter_map(exceeded) {
        screen.line(text::harmless(&told))?;
    }
    for warning in &status.warnings {
        screen.line(screen.painted(Color::Yellow, "warning: ", &text::harmless(warning)))?;
    }
    Ok(())
}

/// ` (ann@mac: new disk)`: who has paused this, or halted everything.
fn said(status: &Status, paused: Option<&Scope>) -> String {
    let is_it = |directive: &Directive| match directive {
        Directive::Pause(scope) => paused == Some(scope),
        _ => paused.is_none(),
    };
    let said = status.said.iter().find(|(directive, _)| is_it(directive)).map(|(_, said)| said);
    said.map_or_else(String::new, |said| format!(" ({})", text::harmless(&say::said(said))))
}

/// `one runs t1 build (3.0s), t2 test (1m02s) and 3 more`.
fn running_on(node: &NodeId, running: &[TaskRow], now: Timestamp) -> Option<String> {
    let mut here: Vec<_> = running.iter().filter(|row| row.node.as_ref() == Some(node)).collect();
    here.sort_by_key(|row| row.since);
    let one = |row: &&TaskRow| format!("{} {} ({})", row.task, row.name, text::length(now.since(row.since)));
    let named: Vec<String> = here.iter().take(RUNNING_HERE).map(one).collect();
    let more = here.len().saturating_sub(RUNNING_HERE);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| format!("{node} runs {}{more}", named.join(", ")))
}

/// `cpu 37.5 % (3 of 8), memory 25.0 % (1 GiB of 4 GiB)`, of the machines that are up.
fn utilisation(nodes: &[NodeRow]) -> Option<String> {
    let up = || nodes.iter().filter(|node| node.health != NodeHealth::Lost);
    let sum = |of: fn(&NodeRow) -> u64| up().map(of).sum::<u64>();
    let cpu = (sum(|node| node.allocated.cpu_millis), sum(|node| node.capacity.cpu_millis));
    let memory = (sum(|node| node.allocated.memory_bytes), sum(|node| node.capacity.memory_bytes));
    let gpu = (sum(|node| node.allocated.gpu_slots), sum(|node| node.capacity.gpu_slots));
    let part = |what: &str, (taken, all): (u64, u64), show: fn(u64) -> String| {
        let percent = taken as f64 * 100.0 / all as f64;
        (all > 0).then(|| format!("{what} {percent:.1} % ({} of {})", show(taken), show(all)))
    };
    let parts = [
        part("cpu", cpu, text::cores),
        part("memory", memory, text::size),
        part("gpu", gpu, |slots| slots.to_string()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("use     {}", parts.join(", ")))
}

fn overview_text(status: &Status, now: Timestamp) -> String {
    let server = &status.server;
    let [low, normal, high, critical] = status.queued;
    let lines = [
        format!("{} {}, up {}", server.name, server.version, text::length(now.since(server.started))),
        format!("graphs  {} unfinished", status.graphs),
        format!("tasks   {}", counts(&status.tasks)),
        format!("queues  {critical} critical, {high} high, {normal} normal, {low} low"),
    ];
    let pressure = &status.pressure;
    let strained = (pressure.mode != Mode::Normal)
        .then(|| format!("mode    {} pressure: {} of {}", pressure.mode, pressure.depth, pressure.limit));
    let halted =
        status.halted.then(|| format!("halted  everything{}; `crab unhalt` ends it", said(status, None)));
    let paused: Vec<_> =
        status.paused.iter().map(|scope| format!("{scope}{}", said(status, Some(scope)))).collect();
    let paused =
        (!paused.is_empty()).then(|| format!("paused  {}; `crab resume` ends it", paused.join(", ")));
    let used = utilisation(&status.nodes);
    lines.into_iter().chain(used).chain(strained).chain(halted).chain(paused).collect::<Vec<_>>().join("\n")
}

const MOST_URGENT_FIRST: [Priority; 4] =
    [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

/// A line for each tenant and priority in which it has something, the most urgent first.
fn tenants(tenants: &[TenantRow]) -> String {
    let rows = tenants.iter().flat_map(|row| {
        let has =
            |priority: &&Priority| row.waiting[**priority as usize] + row.running[**priority as usize] > 0;
        MOST_URGENT_FIRST.iter().filter(has).map(|priority| {
            let (one, share) = (*priority as usize, row.share_ppm[*priority as usize]);
            vec![
                row.tenant.to_string(),
                row.weight.to_string(),
                priority.to_string(),
                row.waiting[one].to_string(),
                row.running[one].to_string(),
                format!("{}.{} %", share / 10_000, share / 1000 % 10),
            ]
        })
    });
    text::table(&["tenant", "weight", "priority", "waiting", "running", "share"], rows)
}

/// A line for each tenant whose budget is used up.
fn exceeded(row: &TenantRow) -> Option<String> {
    let exceeded = row.budget.as_ref()?.exceeded.as_ref()?;
    let until = exceeded.until.map(|until| format!(", until {}", text::clock_time(until)));
    Some(format!("{exceeded}{}", until.unwrap_or_default()))
}

fn counts(tasks: &TaskCounts) -> String {
    let parts = [
        (tasks.active, "running"),
        (tasks.ready, "ready"),
        (tasks.waiting, "waiting"),
        (tasks.backing_off, "backing off"),
        (tasks.succeeded, "succeeded"),
        (tasks.failed, "failed"),
        (tasks.cancelled, "cancelled"),
        (tasks.skipped, "skipped"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
    let text = parts.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "none".to_owned() } else { text }
}

async fn graph(
    client: &Client,
    screen: &mut Screen,
    graph: GraphId,
    args: &args::Status,
) -> anyhow::Result<()> {
    let row = client.graph(graph).await?;
    let filter = TaskFilter { graph: Some(graph), states: args.state.clone() };
    let tasks = client.tasks(&filter, args.limit).await?;
    if screen.json {
        screen.object(&json::Graph::from(&row))?;
        for task in &tasks {
            screen.object(&json::Task::from(task))?;
        }
        return Ok(());
    }
    screen.line(wait::graph_line(screen, &row))?;
    screen.line(format_args!("tasks   {}", counts(&row.tasks)))?;
    if let Some(budget) = &row.budget {
        screen.line(format_args!("budget  {}", budget_text(budget)))?;
    }
    if !tasks.is_empty() {
        screen.line(format_args!("\n{}", table(&tasks, Clock::system().wall())))?;
    }
    if args.state.is_empty() && (tasks.len() as u64) < row.tasks.total() {
        screen.note(format_args!("{} more; see --limit and --state", row.tasks.total() - tasks.len() as u64));
    }
    Ok(())
}

/// `3 of 10 attempts, 2m of 1h; paused: 10 of 10 attempts are used`.
fn budget_text(row: &BudgetRow) -> String {
    let BudgetRow { budget, spent, reached } = row;
    let time = |used: Duration, limit: Duration, what: &str| {
        (!limit.is_zero()).then(|| format!("{} of {}{what}", text::length(used), text::length(limit)))
    };
    let count = |used: u64, limit: u64, what: &str| (limit > 0).then(|| format!("{used} of {limit} {what}"));
    let parts = [
        time(spent.wall, budget.wall, ""),
        time(spent.cpu, budget.cpu, " of processor time"),
        count(spent.attempts, budget.attempts, "attempts"),
        count(spent.cost, budget.cost, "units of cost"),
        count(spent.retries, budget.retries, "retries"),
    ];
    let used = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (reached, budget.on_reached) {
        (None, _) => used,
        (Some(reached), OnReached::Pause) => format!("{used}; paused: {reached}"),
        (Some(reached), OnReached::Cancel) => format!("{used}; cancelled: {reached}"),
    }
}

async fn task(client: &Client, screen: &mut Screen, task: TaskId) -> anyhow::Result<()> {
    let row = client.task(task).await?.row;
    if screen.json {
        return screen.object(&json::Task::from(&row));
    }
    screen.line(table(&[row], Clock::system().wall()))?;
    Ok(())
}

fn table(tasks: &[TaskRow], now: Timestamp) -> String {
    let rows = tasks.iter().map(|task| {
        vec![
            task.task.to_string(),
            task.name.to_string(),
            task.doing(),
            text::age(now, task.since),
            task.priority.to_string(),
            task.attempts.to_string(),
            task.node.as_ref().map(ToString::to_string).unwrap_or_default(),
            task.outcome.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    text::table(&["task", "name", "state", "since", "priority", "attempts", "node", "outcome"], rows)
}
