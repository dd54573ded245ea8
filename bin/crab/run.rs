//! `crab run`: submits, shows how it goes, and ends as the work did.

mod command;
pub(crate) mod interrupt;
mod live;
mod plan;
mod progress;
mod summary;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use actors::client::{Client, ClientError, Seen};
use actors::wire::client::{EventFilter, GraphRow, Ran, Target};
use policy::shards::DRIVER;
use policy::submission::Submission;
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::args::Run;
use crate::cli::doubt::Doubt;
use crate::cli::exit::Exit;
use crate::cli::screen::Screen;
use crate::cli::session::{self, Opened, Session};
use crate::cli::submit::{self, BUSY_PATIENCE};
use crate::cli::{json, text, work};
use interrupt::{Interrupts, Told};
use plan::Plan;
use progress::Progress;
use view::View;

/// Redraws of the live view: often enough to look alive, seldom enough to cost nothing.
const REDRAW: Duration = Duration::from_millis(200);

/// How long a first answer is waited for: what is over by then takes one exchange, and what goes on is
/// followed from then on.
const FIRST_WAIT: Duration = Duration::from_millis(50);

/// On the daemon where there is one, and else on a scheduler in this process.
pub(crate) fn run(session: &Session, screen: &mut Screen, args: Run) -> anyhow::Result<Exit> {
    let one_command = is_one_command(&args);
    // A wrong file is refused before anything is started for it.
    let submission = work::submission(args.work)?;
    let by_daemon = session::on_one_thread(async {
        let interrupts = Interrupts::new()?;
        let opened = Opened::daemon(session.connect()?);
        match start(&opened, screen, submission.clone()).await {
            Ok(running) => {
                let follow = (one_command, Plan::of(&submission), interrupts);
                follow_to_the_end(&opened, screen, running, follow).await.map(Some)
            }
            Err(error) if session.is_alone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    match by_daemon {
        Some(exit) => Ok(exit),
        None => {
            let times = has_suites(&submission).then(|| session.data_dir()).transpose()?;
            session::on_all_threads(embedded(screen, submission, (one_command, times)))
        }
    }
}

/// Whether tests are divided: whoever does that must reach the scheduler of this run.
fn has_suites(submission: &Submission) -> bool {
    submission.items.iter().any(|item| item.spec.resources.named.contains_key(DRIVER))
}

async fn embedded(
    screen: &mut Screen,
    submission: Submission,
    (one_command, times): (bool, Option<PathBuf>),
) -> anyhow::Result<Exit> {
    // Before anything is started that an interruption must take down again.
    let interrupts = Interrupts::new()?;
    let opened = Opened::embedded_with(session::this_program()?, times).await?;
    let done = run_on(&opened, screen, submission, (one_command, interrupts)).await;
    if let Some(kept) = opened.stop().await {
        screen.note(format_args!("crab: there are workspaces that were kept, in {}", kept.display()));
    }
    done
}

/// On a scheduler that is there already.
async fn run_on(
    opened: &Opened,
    screen: &mut Screen,
    submission: Submission,
    (one_command, interrupts): (bool, Interrupts),
) -> anyhow::Result<Exit> {
    let plan = Plan::of(&submission);
    let running = start(opened, screen, submission).await?;
    follow_to_the_end(opened, screen, running, (one_command, plan, interrupts)).await
}

/// As [`run`], on a scheduler that is there already.
#[cfg(test)]
pub(crate) async fn run_scripted(opened: &Opened, screen: &mut Screen, args: Run) -> anyhow::Result<Exit> {
    let one_command = is_one_command(&args);
    let interrupts = Interrupts::new()?;
    run_on(opened, screen, work::submission(args.work)?, (one_command, interrupts)).await
}

fn is_one_command(args: &Run) -> bool {
    args.work.file.is_none() && args.work.task.array.is_none()
}

async fn follow_to_the_end(
    opened: &Opened,
    screen: &mut Screen,
    running: Ran,
    (one_command, plan, interrupts): (bool, Plan, Interrupts),
) -> anyhow::Result<Exit> {
    if one_command {
        Box::pin(command::run(opened, screen, running, interrupts)).await
    } else {
        Box::pin(graph(opened, screen, (running, plan), interrupts)).await
    }
}

/// Submits it, and tells how far it has come meanwhile.
async fn start(opened: &Opened, screen: &mut Screen, submission: Submission) -> Result<Ran, ClientError> {
    let ran = opened.client.run_patiently(submission, (FIRST_WAIT, true), BUSY_PATIENCE).await?;
    if ran.submitted.repeated {
        screen.note(format_args!("submitted before under this key: {}", ran.submitted.graph));
    }
    submit::warn(screen, &ran.submitted);
    Ok(ran)
}

async fn graph(
    opened: &Opened,
    screen: &mut Screen,
    (running, plan): (Ran, Plan),
    mut interrupts: Interrupts,
) -> anyhow::Result<Exit> {
    let mut progress = Progress::new(running.submitted.graph, plan);
    let mut view = View::new(screen, &opened.client, &progress);
    let row = follow(opened, (screen, &mut view), (&mut progress, running), &mut interrupts).await?;
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
    (progress, running): (&mut Progress, Ran),
    interrupts: &mut Interrupts,
) -> anyhow::Result<Option<GraphRow>> {
    let client: &Client = &opened.client;
    let graph = running.submitted.graph;
    let mut watch = client.events_after(running.events, EventFilter::Graph(graph));
    let mut redraw = interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut doubt = Doubt::new();
    loop {
        if progress.seems_ended() {
            let row = client.wait(graph, Some(Duration::ZERO)).await?;
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
                    Told::Cancel => interrupts.cancel(client, Target::Graph(graph)),
                    Told::Kill => {
                        opened.kill();
                        return Ok(None);
                    }
                    Told::CancelFailed(_) => {}
                }
            }
            seen = watch.next() => match seen? {
                Seen::Record(record) => view.event(screen, progress, &record)?,
                Seen::Gap { .. } => progress.correct(&client.graph(graph).await?.tasks),
            },
            why = doubt.next(client, Target::Graph(graph)) => view.note(screen, &why),
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
