//! The fleet as a whole, and its machines.

use policy::breaker::Seen;
use policy::directive::{Author, Directive};
use policy::strain::Level;
use policy::time::Timestamp;

use crate::console::Console;
use crate::console::ask::word;
use crate::console::fault::{Fault, Sort};
use crate::console::reply::{Cell, Kind, Reply, Shape};
use crate::console::syntax::Line;
use crate::say;
use crate::taskfile::suggest::closest;
use crate::wire::client::{NodeRow, StateName, TaskFilter};

pub(super) async fn status(console: &Console) -> Result<Vec<Reply>, Fault> {
    let mut lines = Reply::lines("line");
    let (counts, graphs) = match console.client() {
        Some(client) => {
            let status = client.status().await?;
            let [low, normal, high, critical] = status.queued;
            let up = say::length(console.now().since(status.server.started));
            lines.line("daemon", format!("{} {}, up {up}", status.server.name, status.server.version));
            lines.line("queues", format!("{critical} critical, {high} high, {normal} normal, {low} low"));
            lines.line("actors", format!("{} tasks are awake", status.awake));
            let pressure = &status.pressure;
            lines.line("pressure", format!("{}: {} of {}", pressure.mode, pressure.depth, pressure.limit));
            stopped(&mut lines, &status.said);
            lines.notes.extend(status.warnings.iter().map(|warning| format!("warning: {warning}")));
            (status.tasks, status.graphs)
        }
        None => {
            let fold = console.past.fold();
            let open = fold.graphs(usize::MAX).iter().filter(|graph| graph.ended.is_none()).count();
            lines.line("event", format!("{} at {}", fold.number(), say::rfc3339(fold.at())));
            stopped(&mut lines, &fold.directives().all_said());
            (fold.counts(), open as u64)
        }
    };
    lines.line("graphs", format!("{graphs} unfinished"));
    let tasks = [
        (counts.active, "running"),
        (counts.ready, "ready"),
        (counts.waiting, "waiting"),
        (counts.backing_off, "backing off"),
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
        (counts.skipped, "skipped"),
    ];
    let told = tasks.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
    let told = told.collect::<Vec<_>>().join(", ");
    lines.line("tasks", if told.is_empty() { "none".to_owned() } else { told });
    Ok(vec![lines, table(&console.eye()?.nodes().await?, console.now())])
}

/// What operators have stopped.
fn stopped(lines: &mut Reply, said: &[(Directive, Author)]) {
    for (directive, said) in said {
        let by = say::said(said);
        match directive {
            Directive::Pause(scope) => {
                lines.line("paused", format!("{scope}, by {by}; `resume` ends that"));
            }
            _ => lines.line("halted", format!("nothing is started, by {by}; `unhalt` ends that")),
        }
    }
}

pub(super) async fn nodes(console: &Console) -> Result<Reply, Fault> {
    Ok(table(&console.eye()?.nodes().await?, console.now()))
}

/// Of the rows of `node`.
pub(super) const NODE: &[(&str, Kind, u8)] = &[
    ("node", Kind::Id, 0),
    ("state", Kind::State, 0),
    ("run", Kind::Number, 0),
    ("staged", Kind::Number, 3),
    ("cpus", Kind::Text, 1),
    ("memory", Kind::Text, 2),
    ("gpu", Kind::Text, 3),
    ("other", Kind::Text, 4),
    ("heard", Kind::Length, 1),
    ("directed", Kind::State, 1),
    ("breaker", Kind::State, 1),
    ("strain", Kind::State, 1),
    ("version", Kind::Text, 5),
    ("said", Kind::Text, 2),
];

fn table(rows: &[NodeRow], now: Timestamp) -> Reply {
    let mut reply = Reply::new("node", NODE);
    reply.rows = rows.iter().map(|row| cells(row, now)).collect();
    reply
}

/// What operators have said of it.
fn directed(row: &NodeRow) -> Option<&'static str> {
    let directed = &row.directed;
    let said =
        [(directed.halted, "halted"), (directed.draining, "draining"), (directed.cordoned, "cordoned")];
    said.iter().find(|(holds, _)| *holds).map(|(_, word)| *word)
}

fn cells(row: &NodeRow, now: Timestamp) -> Vec<Cell> {
    let (has, takes) = (&row.capacity, &row.allocated);
    let of = |taken: String, all: String| Cell::Text(format!("{taken}/{all}"));
    let named = has.named.iter().map(|(name, amount)| format!("{name} {}/{amount}", takes.amount(name)));
    let breaker = row.breakers.iter().find(|(kind, _)| kind.is_none()).map(|(_, seen)| match seen {
        Seen::Open(_) => "open",
        Seen::HalfOpen { .. } => "half-open",
    });
    vec![
        Cell::text(&row.node),
        Cell::text(row.health),
        Cell::Number(row.running.into()),
        if row.staged == 0 { Cell::Nothing } else { Cell::Number(row.staged.into()) },
        of(say::cores(takes.cpu_millis), say::cores(has.cpu_millis)),
        of(say::size(takes.memory_bytes), say::size(has.memory_bytes)),
        if has.gpu_slots == 0 {
            Cell::Nothing
        } else {
            of(takes.gpu_slots.to_string(), has.gpu_slots.to_string())
        },
        Cell::text(named.collect::<Vec<_>>().join(", ")),
        Cell::length(now.since(row.heard)),
        Cell::maybe(directed(row)),
        Cell::maybe(breaker),
        if row.strain.level == Level::Normal { Cell::Nothing } else { Cell::text(row.strain.level) },
        Cell::text(&row.version),
        Cell::maybe(row.directed.said.as_ref().map(say::said)),
    ]
}

pub(super) async fn node(console: &Console, line: &Line) -> Result<Vec<Reply>, Fault> {
    let word = word(line)?;
    let nodes = console.eye()?.nodes().await?;
    let Some(row) = nodes.iter().find(|row| *row.node.0 == *word.text) else {
        let names = || nodes.iter().map(|row| &*row.node.0);
        let fault =
            Fault::of(Sort::NotFound, format!("there is no node {}", word.text)).at(word.span.clone());
        let near = closest(&word.text, names());
        let fault = near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
        return Err(fault.possible(names()));
    };
    let mut card = table(std::slice::from_ref(row), console.now());
    card.shape = Shape::Card;
    let labels = row.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    card.columns.push(crate::console::reply::Column::new("labels", Kind::Text, 0));
    card.rows[0].push(Cell::text(labels));
    let filter = TaskFilter { graph: None, states: vec![StateName::Granted, StateName::Running] };
    let mut tasks = console.eye()?.tasks(&filter, 4096).await?;
    tasks.retain(|task| task.node.as_ref() == Some(&row.node));
    Ok(vec![card, super::tasks::table(&tasks, console.now())])
}

pub(super) async fn breakers(console: &Console) -> Result<Reply, Fault> {
    let columns =
        [("node", Kind::Id, 0), ("kind", Kind::Id, 0), ("state", Kind::State, 0), ("for", Kind::Length, 0)];
    let mut reply = Reply::new("breaker", &columns);
    for row in console.eye()?.nodes().await? {
        for (kind, seen) in &row.breakers {
            let (state, left) = match seen {
                Seen::Open(left) => ("open", Cell::length(*left)),
                Seen::HalfOpen { .. } => ("half-open", Cell::Nothing),
            };
            reply.rows.push(vec![Cell::text(&row.node), Cell::maybe(kind.as_ref()), Cell::text(state), left]);
        }
    }
    if reply.rows.is_empty() {
        reply.notes.push("all breakers are closed".to_owned());
    }
    Ok(reply)
}

pub(super) async fn tenants(console: &Console) -> Result<Reply, Fault> {
    let status = console.live("who is charged what")?.status().await?;
    let columns = [
        ("tenant", Kind::Id, 0),
        ("weight", Kind::Number, 1),
        ("waiting", Kind::Number, 0),
        ("running", Kind::Number, 0),
        ("share", Kind::Text, 0),
    ];
    let mut reply = Reply::new("tenant", &columns);
    for row in &status.tenants {
        let share: u64 = row.share_ppm.iter().sum();
        reply.rows.push(vec![
            Cell::text(&row.tenant),
            Cell::Number(row.weight.into()),
            Cell::Number(row.waiting.iter().sum()),
            Cell::Number(row.running.iter().sum()),
            Cell::text(format!("{}.{} %", share / 10_000, share / 1000 % 10)),
        ]);
    }
    Ok(reply)
}
