//! `crab run -- CMD`: the command's output passes through, and its exit code becomes ours.

use actors::client::{Client, ClientError, Seen};
use actors::wire::client::{EventFilter, Ran, Target};
use actors::wire::fleet::OutputRefusal;
use policy::event::{Event, Next, Record, TaskEvent};
use policy::id::{AttemptNumber, TaskId};
use policy::task::TaskOutcome;

use super::interrupt::{Interrupts, Told};
use crate::cli::doubt::Doubt;
use crate::cli::exit::Exit;
use crate::cli::json;
use crate::cli::logs::Printer;
use crate::cli::screen::{Color, Screen};
use crate::cli::session::Opened;
use crate::cli::text;

pub(super) async fn run(
    opened: &Opened,
    screen: &mut Screen,
    running: Ran,
    mut interrupts: Interrupts,
) -> anyhow::Result<Exit> {
    let graph = running.submitted.graph;
    let task = graph.first_task();
    let client = &opened.client;
    let mut work = Box::pin(to_the_end(client, screen.clone(), running));
    let mut doubt = Doubt::new();
    let outcome = loop {
        tokio::select! {
            biased;
            told = interrupts.next() => {
                screen.note(told.text());
                match told {
                    Told::Cancel => interrupts.cancel(client, Target::Task(task)),
                    Told::Kill => {
                        opened.kill();
                        return Ok(Exit::INTERRUPTED);
                    }
                    Told::CancelFailed(_) => {}
                }
            }
            outcome = &mut work => break outcome?,
            why = doubt.next(client, Target::Graph(graph)) => screen.note(format_args!("crab: {why}")),
        }
    };
    if screen.json {
        screen.object(&json::Graph::from(&client.graph(graph).await?))?;
    } else if !matches!(outcome, TaskOutcome::Succeeded) {
        let what = format!("{task} {}", text::harmless(&outcome.to_string()));
        screen.note(screen.painted(Color::Red, "crab: ", &what));
    }
    Ok(Exit::of_command(&outcome))
}

/// Passes on what each attempt writes until the task has ended.
async fn to_the_end(client: &Client, mut screen: Screen, running: Ran) -> anyhow::Result<TaskOutcome> {
    let task = running.submitted.graph.first_task();
    let mut written = running.output;
    let mut watch = client.events_after(running.events, EventFilter::Task(task));
    let mut printer = Printer::passing(task);
    let mut attempt = AttemptNumber(1);
    loop {
        let record = match watch.next().await? {
            Seen::Record(record) => record,
            Seen::Gap { .. } => match client.task(task).await?.row.outcome {
                Some(outcome) => return Ok(outcome),
                None => continue,
            },
        };
        if screen.json {
            screen.object(&json::Event::from(&record))?;
        }
        match happened(&record) {
            Happened::Granted(number) => attempt = number,
            Happened::Started if !screen.json => match written.take() {
                Some(whole) => printer.piece(&mut screen, attempt, &whole)?,
                None => pass_on(client, &mut screen, &mut printer, (task, attempt)).await?,
            },
            Happened::Ended(outcome) => return Ok(outcome),
            Happened::Retrying(why) => screen.note(format_args!("crab: {task} {why}")),
            Happened::Started | Happened::Other => {}
        }
    }
}

async fn pass_on(
    client: &Client,
    screen: &mut Screen,
    printer: &mut Printer,
    (task, attempt): (TaskId, AttemptNumber),
) -> anyhow::Result<()> {
    let mut follow = client.output(task, attempt);
    loop {
        match follow.next().await {
            Ok(Some(piece)) => printer.piece(screen, attempt, &piece)?,
            // The machine is gone, or has removed it: how the attempt ended is still told.
            Ok(None) | Err(ClientError::NoOutput(OutputRefusal::Gone)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What matters of an event here.
enum Happened {
    Granted(AttemptNumber),
    Started,
    Retrying(String),
    Ended(TaskOutcome),
    Other,
}

fn happened(record: &Record) -> Happened {
    let Event::Task { event, .. } = &record.event else { return Happened::Other };
    match event {
        TaskEvent::Granted { attempt, .. } => Happened::Granted(*attempt),
        TaskEvent::Started { .. } => Happened::Started,
        TaskEvent::AttemptEnded { next: Next::Finish(outcome), .. } | TaskEvent::Finished(outcome) => {
            Happened::Ended(outcome.clone())
        }
        TaskEvent::AttemptEnded { outcome, next: Next::RetryAfter(wait), .. } => Happened::Retrying(format!(
            "{}, again in {}",
            text::harmless(&outcome.to_string()),
            text::length(*wait)
        )),
        TaskEvent::CancelAsked
        | TaskEvent::EvictAsked { .. }
        | TaskEvent::RetryAsked
        | TaskEvent::ReportIgnored { .. }
        | TaskEvent::StepBegan { .. } => Happened::Other,
    }
}
