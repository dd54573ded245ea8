//! `crab run`: submits, shows how it goes, and ends as the work did.

mod command;
mod doubt;
mod interrupt;
mod live;
mod plan;
mod progress;
mod summary;
mod view;

use std::time::Duration;

use actors::client::{Client, Seen};
use actors::wire::client::{EventFilter, GraphRow, Target};
use policy::id::GraphId;
use policy::submission::Submission;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::args::Run;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::{Opened, Session};
use crate::cli::submit::BUSY_PATIENCE;
use crate::cli::{json, text, work};
use doubt::Doubt;
use interrupt::{Interrupts, Told};
use plan::Plan;
use progress::Progress;
use view::View;

/// Redraws of the live view: often enough to look alive, seldom enough to cost nothing.
const REDRAW: Duration = Duration::from_millis(200);

pub(crate) async fn run(session: &Session, screen: &mut Screen, args: Run) -> anyhow::Result<Exit> {
    let one_command = is_one_command(&args);
    // A wrong file is refused before anything is started for it.
    let submission = work::submission(args.work)?;
    // Before anything is started that an interruption must take down again.
    let interrupts = Interrupts::new()?;
    let opened = session.open().await?;
    let done = submit_and_follow(&opened, screen, submission, (one_command, interrupts)).await;
    opened.stop().await;
    done
}

/// As [`run`], on a scheduler that is there already.
#[cfg(test)]
pub(crate) async fn run_on(opened: &Opened, screen: &mut Screen, args: Run) -> anyhow::Result<Exit> {
    let one_command = is_one_command(&args);
    let interrupts = Interrupts::new()?;
    submit_and_follow(opened, screen, work::submission(args.work)?, (one_command, interrupts)).await
}

fn is_one_command(args: &Run) -> bool {
    args.work.file.is_none() && args.work.task.array.is_none()
}

async fn submit_and_follow(
    opened: &Opened,
    screen: &mut Screen,
    submission: Submission,
    (one_command, interrupts): (bool, Interrupts),
) -> anyhow::Result<Exit> {
    if one_command {
        Box::pin(command::run(opened, screen, submission, interrupts)).await
    } else {
        Box::pin(graph(opened, screen, submission, interrupts)).await
    }
}

/// A graph that runs, and where its events begin.
struct Running {
    graph: GraphId,
    first_event: u64,
}

async fn start(opened: &Opened, screen: &mut Screen, submission: Submission) -> anyhow::Result<Running> {
    let submitted = opened.client.submit_patiently(submission, BUSY_PATIENCE).await?;
    if submitted.repeated {
        screen.note(format_args!("submitted before under this key: {}", submitted.graph));
    }
    // What is new has no events before now.
    let first_event = if submitted.repeated { 0 } else { opened.last_event };
    Ok(Running { graph: submitted.graph, first_event })
}

async fn graph(
    opened: &Opened,
    screen: &mut Screen,
    submission: Submission,
    mut interrupts: Interrupts,
) -> anyhow::Result<Exit> {
    let plan = Plan::of(&submission);
    let running = start(opened, screen, submission).await?;
    let mut progress = Progress::new(running.graph, plan);
    let mut view = View::new(screen, &opened.client, &progress);
    let row = follow(opened, (screen, &mut view), (&mut progress, &running), &mut interrupts).await?;
    view.clear();
    let Some(row) = row else { return Ok(Exit::INTERRUPTED) };
    if screen.json {
        screen.object(&json::Graph::from(&row))?;
    } else {
        summary::print(&opened.client, screen, &progress, &row).await?;
    }
    Ok(match row.tasks.succeeded == row.tasks.total() {
        _ if interrupts.cancelled() => Exit::INTERRUPTED,
        true => Exit::SUCCESS,
        false => Exit::FAILURE,
    })
}

/// Shows events until the graph has ended; `None` where the user does not want to wait for that.
async fn follow(
    opened: &Opened,
    (screen, view): (&mut Screen, &mut View),
    (progress, running): (&mut Progress, &Running),
    interrupts: &mut Interrupts,
) -> anyhow::Result<Option<GraphRow>> {
    let client: &Client = &opened.client;
    let mut watch = client.events(running.first_event, EventFilter::Graph(running.graph));
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut doubt = Doubt::new();
    loop {
        if progress.seems_ended() {
            let row = client.wait(running.graph, Some(Duration::ZERO)).await?;
            progress.correct(&row.tasks);
            if row.ended.is_some() {
                return Ok(Some(row));
            }
        }
        tokio::select! {
            biased;
            told = interrupts.next() => {
                view.note(screen, &told.text());
                match told {
                    Told::Cancel => interrupts.cancel(client, Target::Graph(running.graph)),
                    Told::Kill => {
                        opened.kill();
                        return Ok(None);
                    }
                    Told::CancelFailed(_) => {}
                }
            }
            seen = watch.next() => match seen? {
                Seen::Record(record) => view.event(screen, progress, &record)?,
                Seen::Gap { .. } => progress.correct(&client.graph(running.graph).await?.tasks),
            },
            why = doubt.next(client, running.graph) => view.note(screen, &why),
            _ = redraw.tick(), if view.is_live() => view.redraw(progress),
        }
    }
}

/// How many tasks of what kind: for the bar and the summary.
fn count(number: u64, how: &str) -> Option<String> {
    (number > 0).then(|| format!("{} {how}", number))
}

/// `build` or `test[7]` with its id, harmless.
fn label(progress: &Progress, task: policy::id::TaskId) -> String {
    text::harmless(&progress.name(task))
}
