//! `crab test`: lists the tests of a suite, has them run in pieces that run at once, and puts together what came of them.
//!
//! It is a client as `crab run` is: each piece is a task of one graph. Which tests are in which piece, and what is to be run again, is
//! decided by [`policy::shards`]; how tests are listed, run and heard of is a table of runners. What follows stands in the order of
//! the data.

mod listing;
mod runner;
mod cargo;
mod others;
mod times;
mod dialect;
mod heard;
mod drive;
mod results;
mod junit;

use std::path::{Path, PathBuf};

use actors::client::random_key;
use actors::taskfile::{self, Context, Given};
use actors::wire::client::NodeHealth;
use policy::shards::{self, Cut, Work};
use policy::task::TaskSpec;
use tokio::time::Instant;

use crate::cli::args::{self, Work as Asked};
use crate::cli::exit::{Exit, Usage};
use crate::cli::json;
use crate::cli::run::interrupt::Interrupts;
use crate::cli::screen::Screen;
use crate::cli::session::{self, Opened, Session};
use crate::cli::{text, work};
use drive::{Drive, Ended};
pub(crate) use listing::NotListed;
use results::Results;
pub(crate) use results::Seen;
use runner::Suite;
use times::Times;

/// Bytes of the names of one batch, 64 KiB: half of what the arguments of a task may have, and of what Linux takes as one argument.
const BATCH_BYTES: usize = 64 << 10;
/// Pieces that run at once where nobody says how many: more than most suites gain from.
const SHARDS_USUAL_LIMIT: u64 = 64;

/// A suite that is ready to be run.
struct Plan {
    suite: Suite,
    args: args::suite::Test,
    /// What all of its tasks have.
    spec: TaskSpec,
    retries: u32,
    times: Times,
}

pub(crate) fn run(session: &Session, screen: &mut Screen, args: args::suite::Test) -> anyhow::Result<Exit> {
    let program = session::this_program()?;
    let plan = plan(session, screen, args)?;
    let by_daemon = session::on_one_thread(async {
        let opened = Opened::daemon(session.connect()?);
        match opened.client.hello().await {
            Ok(_) => Box::pin(run_on(&opened, screen, &plan)).await.map(Some),
            Err(error) if session.is_alone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })?;
    match by_daemon {
        Some(exit) => Ok(exit),
        None => session::on_all_threads(embedded(screen, &plan, program)),
    }
}

async fn embedded(screen: &mut Screen, plan: &Plan, program: PathBuf) -> anyhow::Result<Exit> {
    let opened = Opened::embedded(program).await?;
    let done = Box::pin(run_on(&opened, screen, plan)).await;
    opened.stop().await;
    done
}

/// Lists the tests, and adds what is known of their times.
fn plan(session: &Session, screen: &mut Screen, mut args: args::suite::Test) -> anyhow::Result<Plan> {
    if args.task.array.is_some() {
        return Err(Usage("--array is for a command; the tests are divided by --shards".to_owned()).into());
    }
    let retries = args.task.retries.take().unwrap_or(0);
    let directory = args.task.directory.clone();
    let mut suite = Suite::of(&args)?;
    if suite.tests.is_empty() {
        return Err(NotListed(format!("{} has no tests", suite.runner)).into());
    }
    let remembered = args.times.take().map_or_else(|| session.data_dir(), Ok)?;
    let times = Times::read(&remembered, &suite, (directory.as_deref(), &args.args));
    if let Some(why) = times.unread() {
        screen.note(format_args!("crab: the times of earlier runs cannot be read: {why}"));
    }
    times.tell(&mut suite.tests);
    let spec = match (args.item.take(), args.base.take()) {
        (Some(text), Some(base)) => of_file(&text, base)?,
        _ => of_options(&mut args, &suite)?,
    };
    Ok(Plan { suite, args, spec, retries, times })
}

/// What each shard is, where a task file has said so.
fn of_file(text: &str, directory: PathBuf) -> anyhow::Result<TaskSpec> {
    let (name, tenant, key) = ("tests".into(), "default".into(), random_key());
    let context = Context { directory, name, tenant, key, into: None, parameters: Given::new() };
    let submission = taskfile::parse(text, Path::new("item.json"), &context)?;
    let spec = submission.items.first().map(|item| TaskSpec::clone(&item.spec));
    spec.ok_or_else(|| Usage("there is nothing to run".to_owned()).into())
}

fn of_options(args: &mut args::suite::Test, suite: &Suite) -> anyhow::Result<TaskSpec> {
    let task = std::mem::take(&mut args.task);
    let name = task.name.clone().unwrap_or_else(|| suite.runner.to_string());
    let asked =
        Asked { file: None, argv: vec![(&name).into()], text: None, set: Vec::new(), key: None, task };
    let submission = work::submission(asked)?;
    let spec = submission.items.first().map(|item| TaskSpec::clone(&item.spec));
    let Some(spec) = spec else { return Err(Usage("there is nothing to run".to_owned()).into()) };
    Ok(TaskSpec { name: name.into(), ..spec })
}

async fn run_on(opened: &Opened, screen: &mut Screen, plan: &Plan) -> anyhow::Result<Exit> {
    let interrupts = Interrupts::new()?;
    let shards = match plan.args.shards {
        Some(shards) => usize::from(shards),
        None => usual_shards(opened, &plan.spec).await?.min(plan.suite.tests.len()),
    };
    let by = plan.args.by;
    let (start, retries) = (plan.suite.start(), plan.retries);
    let cut = Cut { shards, by, retries, start, batch_bytes: BATCH_BYTES };
    if plan.args.plan {
        return tell_plan(screen, plan, &cut);
    }
    let started = Instant::now();
    let mut work = Work::new(&plan.suite.tests, &cut);
    let mut results = Results::new(plan.suite.tests.len());
    let drive = Drive::new((opened, &plan.suite, &plan.spec), shards, (&mut work, &mut results));
    let ended = drive.go(screen, interrupts).await?;
    results.took(started.elapsed());
    if let Err(why) = plan.times.keep(&plan.suite, &work, &results) {
        screen.note(format_args!("crab: the times of this run are not kept: {why:#}"));
    }
    results.show(screen, (&plan.suite, &work, shards), ended.graph())?;
    if let Some(file) = &plan.args.junit {
        junit::write(file, &plan.spec.name, (&plan.suite, &work, &results))?;
    }
    Ok(match ended {
        Ended::Interrupted(_) => Exit::INTERRUPTED,
        Ended::Whole(_) if work.has_succeeded() => Exit::SUCCESS,
        Ended::Whole(_) => Exit::FAILURE,
    })
}

/// As many as the machines have cores for, or this machine where none has come yet.
async fn usual_shards(opened: &Opened, spec: &TaskSpec) -> anyhow::Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let one = spec.resources.cpu_millis.max(1);
    let room = |millis: u64| millis / one;
    let nodes = opened.client.nodes().await?;
    let up = nodes.iter().filter(|node| node.health == NodeHealth::Up);
    let fleet: u64 = up.map(|node| room(node.capacity.cpu_millis)).sum();
    let room = if fleet == 0 { room(cores * 1000) } else { fleet };
    Ok(usize::try_from(room.clamp(1, SHARDS_USUAL_LIMIT)).unwrap_or(1))
}

fn tell_plan(screen: &mut Screen, plan: &Plan, cut: &Cut) -> anyhow::Result<Exit> {
    let tests = &plan.suite.tests;
    for (shard, share) in shards::split::split(cut.by, tests, cut.shards).into_iter().enumerate() {
        let names: Vec<&str> = share.iter().map(|&test| &*tests[test].name).collect();
        let expected = shards::split::expected(tests, &share);
        if screen.json {
            screen.object(&json::Share::of(shard + 1, names, expected))?;
        } else {
            let about = text::count(share.len() as u64, "test");
            screen.line(format_args!("shard {}: {about}, about {}", shard + 1, text::length(expected)))?;
            names.iter().try_for_each(|name| screen.line(format_args!("  {}", text::harmless(name))))?;
        }
    }
    Ok(Exit::SUCCESS)
}
