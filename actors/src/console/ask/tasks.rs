//! Tasks, graphs, what waits and why.

use policy::id::{GraphId, TaskId};
use policy::time::Timestamp;

use crate::console::Console;
use crate::console::ask::{because, number, word};
use crate::console::fault::{Fault, Sort};
use crate::console::reply::{Cell, Kind, Reply, Shape};
use crate::console::syntax::{Line, Word};
use crate::say;
use crate::taskfile::suggest::closest;
use crate::wire::client::{AttemptRow, GraphRow, StateName, Target, TaskDetail, TaskFilter, TaskRow};
use strum::VariantArray;

/// Tasks that are told where nobody says how many.
const TASKS: usize = 500;
/// Graphs that are told where nobody says how many.
const GRAPHS: usize = 50;
/// Events of a task that are told with it.
const EVENTS: usize = 12;

/// Words for several states.
const GROUPS: &[(&str, &[StateName])] = &[
    ("pending", &[StateName::Waiting, StateName::Ready, StateName::BackingOff]),
    ("active", &[StateName::Granted, StateName::Running]),
    ("done", &[StateName::Succeeded, StateName::Failed, StateName::Cancelled, StateName::Skipped]),
];

/// All that may be said of states, for completion.
pub(crate) fn state_words() -> impl Iterator<Item = &'static str> {
    let groups = GROUPS.iter().map(|(name, _)| *name);
    groups.chain(StateName::VARIANTS.iter().map(|state| state.into()))
}

fn states(word: &Word) -> Result<Vec<StateName>, Fault> {
    if let Some((_, states)) = GROUPS.iter().find(|(name, _)| *name == word.text) {
        return Ok(states.to_vec());
    }
    word.text.parse().map(|state| vec![state]).map_err(|_| {
        let fault = Fault::usage(word.span.clone(), format!("there is no state {}", word.text));
        let near = closest(&word.text, state_words());
        let fault = near.into_iter().fold(fault, |fault, near| fault.help(format!("did you mean {near}?")));
        fault.possible(state_words())
    })
}

/// Of the rows of `task`.
pub(super) const TASK: &[(&str, Kind, u8)] = &[
    ("task", Kind::Id, 0),
    ("name", Kind::Text, 0),
    ("state", Kind::State, 0),
    ("for", Kind::Length, 1),
    ("priority", Kind::State, 3),
    ("tries", Kind::Number, 4),
    ("node", Kind::Id, 1),
    ("graph", Kind::Id, 2),
    ("tenant", Kind::Text, 5),
    ("outcome", Kind::Text, 2),
    ("cpu", Kind::Length, 6),
    ("memory", Kind::Bytes, 6),
    ("procs", Kind::Number, 7),
    ("wrote", Kind::Bytes, 7),
    ("progress", Kind::Text, 6),
    ("labels", Kind::Text, 8),
    ("goal", Kind::Text, 8),
];

pub(super) fn table(rows: &[TaskRow], now: Timestamp) -> Reply {
    let mut reply = Reply::new("task", TASK);
    let cells = |row: &TaskRow| {
        vec![
            Cell::text(row.task),
            Cell::text(&row.name),
            Cell::text(row.state),
            Cell::length(now.since(row.since)),
            Cell::text(row.priority),
            Cell::Number(row.attempts.into()),
            Cell::maybe(row.node.as_ref()),
            Cell::text(row.graph),
            Cell::text(&row.tenant),
            Cell::maybe(row.outcome.as_ref()),
            row.in_use.as_ref().map_or(Cell::Nothing, |sample| Cell::length(sample.cpu)),
            row.in_use.as_ref().map_or(Cell::Nothing, |sample| Cell::Number(sample.memory_bytes)),
            row.in_use.as_ref().map_or(Cell::Nothing, |sample| Cell::Number(sample.processes)),
            row.in_use.as_ref().map_or(Cell::Nothing, |sample| Cell::Number(sample.output_bytes)),
            Cell::maybe(row.how_far()),
            Cell::maybe(row.about.as_deref().and_then(say::labels).as_ref()),
            Cell::maybe(row.about.as_deref().and_then(|about| about.goal.as_ref())),
        ]
    };
    reply.rows = rows.iter().map(cells).collect();
    reply
}

pub(super) async fn list(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let mut filter = TaskFilter::default();
    for word in line.plain() {
        filter.states.extend(states(word)?);
    }
    if let Some(word) = line.pair("graph") {
        filter.graph = Some(graph_of(console, word).await?);
    }
    let limit = number(line, "limit", TASKS)?;
    let rows = match line.pair("order").map(|word| (word.text.as_str(), word)) {
        None | Some(("id", _)) => console.eye()?.tasks(&filter, limit.saturating_add(1)).await?,
        Some(("state", _)) => by_state(console, &filter, limit.saturating_add(1)).await?,
        Some((other, word)) => {
            let fault = Fault::usage(word.span.clone(), format!("tasks stand in no order of {other}"));
            return Err(fault.possible(["id", "state"]));
        }
    };
    let more = rows.len() > limit;
    let mut reply = table(&rows[..rows.len().min(limit)], console.now());
    reply.notes.extend(more.then(|| format!("only the first {limit}; limit=N shows more")));
    Ok(reply)
}

/// What runs, what is ready, what waits, and then what has ended, of the newest graphs first: who looks at a fleet that has
/// been there for long wants to see those.
async fn by_state(console: &Console, filter: &TaskFilter, limit: usize) -> Result<Vec<TaskRow>, Fault> {
    const ORDER: [&[StateName]; 3] = [
        &[StateName::Running, StateName::Granted],
        &[StateName::Ready, StateName::BackingOff],
        &[StateName::Waiting],
    ];
    let eye = console.eye()?;
    let mut rows = Vec::new();
    let of = |states: &[StateName], graph| {
        let wanted = |state: &&StateName| filter.states.is_empty() || filter.states.contains(state);
        let states: Vec<_> = states.iter().filter(wanted).copied().collect();
        TaskFilter { graph, states }
    };
    for states in ORDER {
        let filter = of(states, filter.graph);
        if !filter.states.is_empty() && rows.len() < limit {
            rows.extend(eye.tasks(&filter, limit - rows.len()).await?);
        }
    }
    let graphs: Vec<_> = match filter.graph {
        Some(graph) => vec![graph],
        None => eye.graphs(GRAPHS).await?.into_iter().map(|row| row.graph).collect(),
    };
    for graph in graphs {
        let filter = of(GROUPS[2].1, Some(graph));
        if filter.states.is_empty() || rows.len() >= limit {
            break;
        }
        rows.extend(eye.tasks(&filter, limit - rows.len()).await?);
    }
    Ok(rows)
}

/// Those that wait in a queue, the most urgent first, then those that wait longest.
pub(super) async fn queue(console: &Console) -> Result<Reply, Fault> {
    let filter = TaskFilter { graph: None, states: vec![StateName::Ready] };
    let mut rows = console.eye()?.tasks(&filter, TASKS).await?;
    rows.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.since, row.task));
    let mut reply = table(&rows, console.now());
    reply.notes.extend((rows.len() == TASKS).then(|| format!("only the first {TASKS} by id are looked at")));
    Ok(reply)
}

async fn graph_of(console: &Console, word: &Word) -> Result<GraphId, Fault> {
    match console.target(word).await? {
        Target::Graph(graph) => Ok(graph),
        Target::Task(task) => Ok(console.eye()?.task(task).await?.row.graph),
    }
}

/// The task that a word names; a graph of one task stands for it.
pub(crate) async fn task_of(console: &Console, word: &Word) -> Result<TaskId, Fault> {
    match console.target(word).await? {
        Target::Task(task) => Ok(task),
        Target::Graph(graph) => match console.eye()?.graph(graph).await?.tasks.total() {
            1 => Ok(graph.first_task()),
            tasks => {
                let text = format!("{graph} has {tasks} tasks");
                Err(Fault::usage(word.span.clone(), text).help(format!("`graph {graph}` shows them")))
            }
        },
    }
}

pub(super) async fn one(console: &Console, line: &Line) -> Result<Vec<Reply>, Fault> {
    let detail = detail_of(console, word(line)?).await?;
    let card = card(&detail, console.now());
    let mut sections = vec![card];
    if !detail.attempts.is_empty() {
        sections.push(attempts(&detail.attempts));
    }
    let last = detail.events.len().saturating_sub(EVENTS);
    let records = detail.events[last..].iter().map(|(_, record)| record);
    sections.push(super::events::table(records));
    Ok(sections)
}

pub(crate) async fn detail_of(console: &Console, word: &Word) -> Result<TaskDetail, Fault> {
    let task = task_of(console, word).await?;
    console.eye()?.task(task).await.map_err(|fault| fault.at(word.span.clone()))
}

/// One task, field by field.
pub(crate) fn card(detail: &TaskDetail, now: Timestamp) -> Reply {
    let mut card = table(std::slice::from_ref(&detail.row), now);
    let spec = &detail.spec;
    let command = spec.argv.iter().map(|word| word.to_string()).collect::<Vec<_>>().join(" ");
    let needs = detail.dependencies.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ");
    let evaluation = spec.about.as_deref().and_then(|about| about.evaluation.as_ref());
    let kept = detail.artifacts().last().map(|(_, summary)| say::artifacts(summary));
    let more = [
        ("needs", Kind::Text, Cell::text(say::resources(&spec.resources))),
        ("command", Kind::Text, Cell::text(command)),
        ("depends on", Kind::Text, Cell::text(needs)),
        ("waits for", Kind::Text, Cell::maybe(detail.waits_for.as_ref())),
        ("time limit", Kind::Length, spec.timeout.map_or(Cell::Nothing, Cell::length)),
        ("limits", Kind::Text, Cell::maybe(spec.limits.as_deref().map(say::limits).as_ref())),
        ("artifacts", Kind::Text, Cell::maybe(kept.as_ref())),
        ("evaluation", Kind::Text, Cell::maybe(evaluation.map(say::evaluation).as_ref())),
        ("submitted", Kind::Time, Cell::time(detail.submitted)),
    ];
    for (name, kind, cell) in more {
        card.columns.push(crate::console::reply::Column::new(name, kind, 0));
        card.rows[0].push(cell);
    }
    card.shape = Shape::Card;
    card
}

pub(crate) fn attempts(rows: &[AttemptRow]) -> Reply {
    let mut reply = Reply::new(
        "attempt",
        &[
            ("attempt", Kind::Id, 0),
            ("node", Kind::Id, 0),
            ("granted", Kind::Time, 2),
            ("queued", Kind::Length, 2),
            ("took", Kind::Length, 0),
            ("cpu", Kind::Length, 1),
            ("memory", Kind::Bytes, 1),
            ("pid", Kind::Number, 3),
            ("outcome", Kind::Text, 0),
        ],
    );
    let cells = |row: &AttemptRow| {
        let took = row.started.zip(row.ended).map(|(from, to)| to.since(from));
        vec![
            Cell::text(row.number),
            Cell::text(&row.node),
            Cell::time(row.granted),
            row.started.map_or(Cell::Nothing, |started| Cell::length(started.since(row.granted))),
            took.map_or(Cell::Nothing, Cell::length),
            row.ended.map_or(Cell::Nothing, |_| Cell::length(row.usage.cpu)),
            row.ended.map_or(Cell::Nothing, |_| Cell::Number(row.usage.peak_memory_bytes)),
            row.pid.map_or(Cell::Nothing, |pid| Cell::Number(pid.into())),
            Cell::maybe(row.outcome.as_ref()),
        ]
    };
    reply.rows = rows.iter().map(cells).collect();
    reply
}

/// Of the rows of `graph`.
pub(super) const GRAPH: &[(&str, Kind, u8)] = &[
    ("graph", Kind::Id, 0),
    ("name", Kind::Text, 0),
    ("state", Kind::State, 0),
    ("age", Kind::Length, 1),
    ("took", Kind::Length, 3),
    ("tasks", Kind::Number, 0),
    ("run", Kind::Number, 1),
    ("ready", Kind::Number, 1),
    ("wait", Kind::Number, 1),
    ("ok", Kind::Number, 1),
    ("bad", Kind::Number, 1),
    ("stranded", Kind::Number, 4),
];

fn graph_table(rows: &[GraphRow], now: Timestamp) -> Reply {
    let mut reply = Reply::new("graph", GRAPH);
    let cells = |row: &GraphRow| {
        let tasks = &row.tasks;
        let bad = tasks.failed + tasks.cancelled + tasks.skipped;
        let state = match row.ended {
            None if row.budget.as_ref().is_some_and(|budget| budget.reached.is_some()) => "paused",
            None => "running",
            Some(_) if tasks.failed + tasks.skipped > 0 => "failed",
            Some(_) if tasks.cancelled > 0 => "cancelled",
            Some(_) => "succeeded",
        };
        vec![
            Cell::text(row.graph),
            Cell::text(&row.name),
            Cell::text(state),
            Cell::length(now.since(row.submitted)),
            row.ended.map_or(Cell::Nothing, |ended| Cell::length(ended.since(row.submitted))),
            Cell::Number(tasks.total()),
            Cell::Number(tasks.active),
            Cell::Number(tasks.ready),
            Cell::Number(tasks.waiting + tasks.backing_off),
            Cell::Number(tasks.succeeded),
            Cell::Number(bad),
            if row.unschedulable == 0 { Cell::Nothing } else { Cell::Number(row.unschedulable) },
        ]
    };
    reply.rows = rows.iter().map(cells).collect();
    reply
}

pub(super) async fn graphs(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let limit = number(line, "limit", GRAPHS)?;
    let rows = console.eye()?.graphs(limit).await?;
    Ok(graph_table(&rows, console.now()))
}

pub(super) async fn graph(console: &Console, line: &Line) -> Result<Vec<Reply>, Fault> {
    let word = word(line)?;
    let graph = graph_of(console, word).await?;
    let eye = console.eye()?;
    let row = eye.graph(graph).await.map_err(|fault| fault.at(word.span.clone()))?;
    let filter = TaskFilter { graph: Some(graph), states: Vec::new() };
    let tasks = eye.tasks(&filter, TASKS).await?;
    let mut card = graph_table(&[row], console.now());
    card.shape = Shape::Card;
    // The tasks come first where something follows: they are what one narrows.
    Ok(if line.stages.is_empty() {
        vec![card, table(&tasks, console.now())]
    } else {
        vec![table(&tasks, console.now())]
    })
}

/// Stands before what is supposed; it may be left out.
const WHAT_IF: &str = "--what-if";

/// The same that `crab explain` tells.
pub(super) async fn why(console: &Console, line: &Line) -> Result<Reply, Fault> {
    let word = line.plain().find(|word| word.text != WHAT_IF);
    let word = word.ok_or_else(|| Fault::usage(line.span.clone(), "which task?"))?;
    if let Some(number) = because::event_in(word) {
        return because::event(console, word, number).await;
    }
    if let Some(reply) = because::node(console, console.eye()?, word).await? {
        return Ok(reply);
    }
    let client = console.live("what is in the way of a task")?;
    let task = task_of(console, word).await?;
    let mut reply = Reply::lines("reason");
    let told = match super::what_if::of(line)? {
        None if line.has(WHAT_IF) => {
            return Err(
                Fault::usage(line.span.clone(), "what if what?").help("as in: why t12 --what-if mem=16G")
            );
        }
        None => client.explain(task).await?,
        Some(otherwise) => {
            reply.line("what if", otherwise.to_string());
            client.suppose(task, otherwise).await?
        }
    };
    reply.line("verdict", say::explain::headline(&told, console.now()));
    for (about, text) in say::explain::reasons(&told) {
        reply.line(about, text);
    }
    if reply.rows.is_empty() {
        return Err(Fault::of(Sort::NotFound, "nothing is known of it"));
    }
    Ok(reply)
}
