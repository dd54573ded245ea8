//! `crab timeline` and `crab blame`: where the time of tasks went.

use std::time::Duration;

use actors::client::Client;
use actors::clock::Clock;
use actors::wire::client::Target;
use policy::id::{GraphId, TaskId};
use policy::task::TaskOutcome;
use policy::time::Timestamp;
use policy::timeline::{Attempt, Kind, Phase, Timeline, spent};
use strum::VariantArray;

use crate::cli::args::Show;
use crate::cli::args::seeing::Timeline as Args;
use crate::cli::exit::{Exit, NotFound};
use crate::cli::screen::Screen;
use crate::cli::{json, target, text};

/// Columns of the drawing where the output is no terminal.
const USUAL_COLUMNS: usize = 100;

pub(crate) async fn run(client: &Client, screen: &mut Screen, args: Args) -> anyhow::Result<Exit> {
    let found = target::find(client, &args.target).await?;
    let graph = graph_of(client, found).await?;
    let (timeline, now) = (fetch(client, screen, graph).await?, Clock::system().wall());
    let tasks: Vec<TaskId> = match found {
        Target::Task(task) => vec![task],
        Target::Graph(_) => timeline.tasks().collect(),
    };
    if screen.json {
        for task in tasks {
            screen.object(&json::Timeline::of(graph, task, &timeline, now))?;
        }
        return Ok(Exit::SUCCESS);
    }
    if let [task] = tasks[..] {
        story(screen, task, &timeline, now)?;
    }
    let shown = &tasks[..tasks.len().min(args.limit)];
    screen.text(&chart(shown, &timeline, now, columns()))?;
    if shown.len() < tasks.len() {
        screen.note(format_args!("{} more; see --limit", tasks.len() - shown.len()));
    }
    Ok(Exit::SUCCESS)
}

pub(crate) async fn blame(client: &Client, screen: &mut Screen, args: Show) -> anyhow::Result<Exit> {
    let task = target::find_task(client, &args.task).await?;
    let graph = graph_of(client, Target::Task(task)).await?;
    let (timeline, now) = (fetch(client, screen, graph).await?, Clock::system().wall());
    let phases = timeline.phases(task, now);
    let chain = timeline.chain(task);
    if screen.json {
        screen.object(&json::Blame::of(graph, task, &timeline, now, &chain))?;
        return Ok(Exit::SUCCESS);
    }
    let total: Duration = phases.iter().map(Phase::length).sum();
    let name = timeline.name(task).unwrap_or_default();
    screen.line(text::harmless(&format!("{task} {name} of {graph}: {}", text::length(total))))?;
    for kind in Kind::VARIANTS {
        let spent = spent(&phases, *kind);
        if !spent.is_zero() {
            let percent = spent.as_secs_f64() * 100.0 / total.as_secs_f64();
            let kind = kind.to_string();
            screen.line(format_args!("  {kind:<13}{:>8}  {percent:>3.0} %", text::length(spent)))?;
        }
        if *kind == Kind::Queue {
            for (cause, spent) in timeline.waited(task) {
                let percent = spent.as_secs_f64() * 100.0 / total.as_secs_f64();
                let of = format!("for {cause}");
                screen.line(format_args!("    {of:<14}{:>5}  {percent:>3.0} %", text::length(spent)))?;
            }
        }
    }
    for (link, after) in &chain {
        let name = timeline.name(*after).unwrap_or_default();
        screen.line(text::harmless(&format!("  {link} waited longest for {after} {name}")))?;
    }
    Ok(Exit::SUCCESS)
}

async fn graph_of(client: &Client, target: Target) -> anyhow::Result<GraphId> {
    Ok(match target {
        Target::Graph(graph) => graph,
        Target::Task(task) => client.task(task).await?.row.graph,
    })
}

/// Folds all events of a graph.
async fn fetch(client: &Client, screen: &mut Screen, graph: GraphId) -> anyhow::Result<Timeline> {
    let (timeline, lost_before) = client.timeline(graph).await?;
    if let Some(number) = lost_before {
        screen.note(format_args!("events before number {number} were removed by retention"));
    }
    if timeline.tasks().next().is_none() {
        return Err(NotFound(format!("the events of {graph} were removed by retention")).into());
    }
    Ok(timeline)
}

/// Each phase of a task on a line.
fn story(screen: &mut Screen, task: TaskId, timeline: &Timeline, now: Timestamp) -> anyhow::Result<()> {
    let phases = timeline.phases(task, now);
    let attempts = timeline.life(task).map(|life| life.attempts.as_slice()).unwrap_or_default();
    for phase in &phases {
        let what = match (phase.kind, phase.attempt) {
            (Kind::Dependencies, _) => "waits for what it depends on".to_owned(),
            (Kind::Queue, _) => "stands in its queue".to_owned(),
            (Kind::BackOff, _) => "waits for its next attempt".to_owned(),
            (Kind::Over, _) => "has ended, until another try was asked for".to_owned(),
            (kind, number) => {
                let attempt = attempts.iter().find(|attempt| Some(attempt.number) == number);
                let node = attempt.map(|attempt| attempt.node.to_string()).unwrap_or_default();
                let number = number.map(|number| number.to_string()).unwrap_or_default();
                let end = attempt.filter(|attempt| ends_with(attempt, phase)).map(end).unwrap_or_default();
                let does = match kind {
                    Kind::Run => "runs",
                    Kind::Before => "has done what comes before",
                    Kind::Gate => "is at its gate",
                    Kind::After => "has done what comes after",
                    _ => "is started",
                };
                format!("attempt {number} {does} on {node}{end}")
            }
        };
        let (at, took) = (text::clock_time(phase.from), text::length(phase.length()));
        screen.line(format_args!("{at}  {took:>8}  {}", text::harmless(&what)))?;
    }
    let life = timeline.life(task);
    if let Some((at, outcome)) = life.and_then(|life| life.finished.as_ref()) {
        let (at, outcome) = (text::clock_time(*at), text::harmless(&outcome.to_string()));
        screen.line(format_args!("{at}            {outcome}"))?;
    }
    Ok(screen.line("")?)
}

fn ends_with(attempt: &Attempt, phase: &Phase) -> bool {
    attempt.ended.as_ref().is_some_and(|(at, _)| *at == phase.to)
}

/// `: exit code 1`, or `: lost: preempted, for t5`.
fn end(attempt: &Attempt) -> String {
    let outcome = attempt.ended.as_ref().map(|(_, outcome)| format!(": {outcome}")).unwrap_or_default();
    let by = attempt.made_room_for().map(|by| format!(", for {by}")).unwrap_or_default();
    format!("{outcome}{by}")
}

fn columns() -> usize {
    crossterm::terminal::size().map_or(USUAL_COLUMNS, |(columns, _)| usize::from(columns))
}

/// A line for each task: its name, what it did when, how it ended.
fn chart(tasks: &[TaskId], timeline: &Timeline, now: Timestamp, columns: usize) -> String {
    let lives: Vec<(TaskId, Vec<Phase>)> =
        tasks.iter().map(|task| (*task, timeline.phases(*task, now))).collect();
    let all = || lives.iter().flat_map(|(_, phases)| phases);
    let from = all().map(|phase| phase.from).min().unwrap_or_default();
    let to = all().map(|phase| phase.to).max().unwrap_or_default();
    let heads: Vec<String> = tasks
        .iter()
        .map(|task| text::harmless(&format!("{task} {}", timeline.name(*task).unwrap_or_default())))
        .collect();
    let most = (columns / 3).clamp(20, 60);
    let head_width = heads.iter().map(|head| head.chars().count()).max().unwrap_or(0).min(most);
    let width = columns.saturating_sub(head_width + 16).clamp(20, 200);
    let mut chart = String::new();
    for (head, (task, phases)) in heads.iter().zip(&lives) {
        let head = middle_cut(head, head_width);
        let ended = timeline.life(*task).and_then(|life| life.finished.as_ref());
        let ended = ended.map_or("", |(_, outcome)| word(outcome));
        let line = format!("{head:<head_width$} |{}| {ended}", bar(phases, (from, to), width));
        chart.push_str(line.trim_end());
        chart.push('\n');
    }
    let (start, end) = (text::clock_time(from), text::length(to.since(from)));
    chart.push_str(&format!(
        "{:<head_width$}  {start}{:>rest$}\n",
        "",
        format!("+{end}"),
        rest = width.saturating_sub(start.len())
    ));
    chart.push_str("  . dependencies   - queue   = start   # run   ~ back-off\n");
    chart
}

/// At most so many characters: where there are more a mark stands in the middle, since what tells members of an array apart
/// is at the end.
fn middle_cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end = (width / 3).min(8);
    let head: String = text.chars().take(width.saturating_sub(end + 1)).collect();
    let tail: String = text.chars().skip(length - end).collect();
    format!("{head}…{tail}")
}

fn word(outcome: &TaskOutcome) -> &'static str {
    match outcome {
        TaskOutcome::Succeeded => "ok",
        TaskOutcome::Failed(_) | TaskOutcome::OutOfRetries { .. } => "failed",
        TaskOutcome::Cancelled => "cancelled",
        TaskOutcome::Skipped(_) => "skipped",
        TaskOutcome::Poisoned(_) => "poisoned",
    }
}

/// The phases between two times, in so many columns: each shows the most telling of what falls in it.
fn bar(phases: &[Phase], (from, to): (Timestamp, Timestamp), width: usize) -> String {
    let whole = to.since(from).as_micros().max(1);
    let column = |at: Timestamp| {
        let column = at.since(from).as_micros() * width as u128 / whole;
        usize::try_from(column).unwrap_or(width).min(width)
    };
    let mut marks = vec![(0, ' '); width];
    for phase in phases {
        let (rank, mark) = match phase.kind {
            Kind::Over => (0, ' '),
            Kind::Dependencies => (1, '.'),
            Kind::Queue => (2, '-'),
            Kind::BackOff => (3, '~'),
            Kind::Start => (4, '='),
            Kind::Before => (5, '<'),
            Kind::After => (6, '>'),
            Kind::Gate => (7, '?'),
            Kind::Run => (8, '#'),
        };
        let first = column(phase.from).min(width - 1);
        for place in &mut marks[first..column(phase.to).max(first + 1)] {
            *place = (*place).max((rank, mark));
        }
    }
    marks.into_iter().map(|(_, mark)| mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(kind: Kind, from: u64, to: u64) -> Phase {
        Phase { kind, from: Timestamp(from), to: Timestamp(to), attempt: None }
    }

    #[test]
    fn a_long_name_keeps_its_index() {
        assert_eq!(middle_cut("t1 build", 9), "t1 build");
        assert_eq!(middle_cut("t63 cargo nextest run --workspace[1]", 24), "t63 cargo nexte…space[1]");
    }

    #[test]
    fn a_bar_shows_what_falls_in_each_column_and_hides_nothing_that_ran() {
        let phases = [
            phase(Kind::Dependencies, 0, 40),
            phase(Kind::Queue, 40, 60),
            phase(Kind::Start, 60, 61),
            phase(Kind::Run, 61, 62),
            phase(Kind::BackOff, 62, 100),
        ];
        assert_eq!(bar(&phases, (Timestamp(0), Timestamp(100)), 10), "....--#~~~");
        assert_eq!(bar(&phases[..2], (Timestamp(0), Timestamp(100)), 10), "....--    ");
        assert_eq!(bar(&[], (Timestamp(0), Timestamp(0)), 3), "   ");
    }
}
