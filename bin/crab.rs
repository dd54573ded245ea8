//! The command line: submits graphs, runs them, and shows what became of them.
//!
//! Each command has a file; what they share is the [`cli::session`] that finds a scheduler, the [`cli::screen`] that
//! everything is written to, and the [`cli::json`] views, whose field names are a promise. What scheduling
//! means is known by the other side alone.
//!
//! It lives for milliseconds, so it starts with as little as it can: the system's allocator, since another
//! one costs more to set up than it gains, one thread, and more of them only where the work runs here.

#[path = "crab"]
mod cli {
    pub(crate) mod alternative;
    pub(crate) mod args;
    pub(crate) mod cancel;
    pub(crate) mod claims;
    pub(crate) mod cluster;
    pub(crate) mod completion;
    pub(crate) mod config;
    pub(crate) mod doctor;
    pub(crate) mod doubt;
    pub(crate) mod events;
    pub(crate) mod exit;
    pub(crate) mod explain;
    pub(crate) mod json;
    pub(crate) mod list;
    pub(crate) mod log_level;
    pub(crate) mod logs;
    pub(crate) mod man;
    pub(crate) mod mcp;
    pub(crate) mod nodes;
    pub(crate) mod operate;
    pub(crate) mod resume;
    pub(crate) mod own_directory;
    pub(crate) mod prio;
    pub(crate) mod remote;
    pub(crate) mod run;
    pub(crate) mod screen;
    pub(crate) mod service;
    pub(crate) mod session;
    pub(crate) mod sessions;
    pub(crate) mod show;
    pub(crate) mod signal;
    pub(crate) mod status;
    pub(crate) mod submit;
    pub(crate) mod suite;
    pub(crate) mod target;
    pub(crate) mod text;
    pub(crate) mod timeline;
    pub(crate) mod wait;
    pub(crate) mod work;
    pub(crate) mod artifacts;
    pub(crate) mod workspaces;

    #[cfg(test)]
    mod tests;
}

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use cli::args::later::Later;
use cli::args::{Cli, Command};
use cli::exit::Exit;
use cli::screen::Screen;
use cli::session::{self, Session};
use cli::{
    artifacts, cancel, claims, cluster, completion, config, doctor, events, explain, list, log_level, logs,
    man, mcp, nodes, operate, prio, remote, resume, run, service, sessions, show, signal, status, submit,
    suite, timeline, wait, workspaces,
};

fn main() -> ExitCode {
    if let Some(directory) = actors::process::host::asked_for(std::env::args_os()) {
        return become_host(&directory);
    }
    completion::answer();
    let cli = Cli::parse();
    let mut screen = Screen::new(&cli.global);
    let infrastructure = if matches!(cli.command, Command::Run(_) | Command::Test(_)) {
        Exit::RUN_TROUBLE
    } else {
        Exit::FAILURE
    };
    let done = start(cli, &mut screen);
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = Exit::of(&error, infrastructure);
            screen.trouble(&error, exit);
            exit.into()
        }
    }
}

#[expect(clippy::print_stderr, reason = "the host has no screen; its log is its standard error")]
fn become_host(directory: &Path) -> ExitCode {
    match actors::process::host::main(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crab: the process host of {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli, screen: &mut Screen) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Schema => {
            screen.text(&actors::taskfile::schema())?;
            return Ok(Exit::SUCCESS);
        }
        Command::Man { directory } => return man::run(screen, directory),
        Command::Completions { shell } => {
            screen.bytes(&completion::script(*shell)?)?;
            return Ok(Exit::SUCCESS);
        }
        _ => {}
    }
    let session = Session::new(&cli.global)?;
    match cli.command {
        Command::Run(Later(run)) => run::run(&session, screen, run),
        Command::Test(Later(test)) => suite::run(&session, screen, test),
        Command::Mcp => session::on_one_thread(mcp::serve(session)),
        other => session::on_one_thread(dispatch(&session, other, screen)),
    }
}

#[expect(clippy::cognitive_complexity, reason = "one arm for each command")]
async fn dispatch(session: &Session, command: Command, screen: &mut Screen) -> anyhow::Result<Exit> {
    match command {
        Command::Submit(Later(submit)) => Box::pin(submit::run(session, screen, submit)).await,
        Command::Wait(Later(wait)) => wait::run(&session.connect()?, screen, wait).await,
        Command::Cancel(Later(cancel)) => cancel::cancel(&session.connect()?, screen, cancel).await,
        Command::Retry(Later(retry)) => cancel::retry(&session.connect()?, screen, retry).await,
        Command::Signal(Later(signal)) => signal::run(&session.connect()?, screen, signal).await,
        Command::Prio(Later(prio)) => prio::run(&session.connect()?, screen, prio).await,
        Command::Resume(Later(resume)) => resume::run(&session.connect()?, screen, resume).await,
        Command::Status(Later(status)) => status::run(&session.connect()?, screen, status).await,
        Command::List(Later(list)) => list::run(&session.connect()?, screen, list).await,
        Command::Show(Later(show)) => show::run(&session.connect()?, screen, show).await,
        Command::Explain(Later(show)) => explain::run(&session.connect()?, screen, show).await,
        Command::Logs(Later(logs)) => Box::pin(logs::run(&session.connect()?, screen, logs)).await,
        Command::Events(Later(events)) => events::run(&session.connect()?, screen, events).await,
        Command::Config(Later(config)) => config::run(session, screen, config).await,
        Command::Timeline(Later(args)) => timeline::run(&session.connect()?, screen, args).await,
        Command::Blame(Later(args)) => timeline::blame(&session.connect()?, screen, args).await,
        Command::Metrics => operate::metrics(&session.connect()?, screen).await,
        Command::Nodes => nodes::run(&session.connect()?, screen).await,
        Command::Claims => claims::run(&session.connect()?, screen).await,
        Command::Artifacts(Later(args)) => Box::pin(artifacts::run(&session.connect()?, screen, args)).await,
        Command::Workspaces(Later(args)) => workspaces::run(&session.connect()?, screen, args).await,
        Command::Node(Later(node)) => operate::node(&session.connect()?, screen, node).await,
        Command::Pause(Later(pause)) => operate::pause(&session.connect()?, screen, pause).await,
        Command::Halt(Later(halt)) => operate::halt(session, screen, halt, true).await,
        Command::Unhalt(Later(halt)) => operate::halt(session, screen, halt, false).await,
        Command::Attach(Later(args)) => remote::attach(&session.connect()?, screen, args).await,
        Command::Steer(Later(args)) => remote::steer(&session.connect()?, screen, args).await,
        Command::Sessions(Later(args)) => sessions::run(&session.connect()?, screen, args).await,
        Command::Shell(Later(args)) => remote::shell(&session.connect()?, screen, args).await,
        Command::LogLevel(Later(args)) => log_level::run(&session.connect()?, screen, args).await,
        Command::Doctor(Later(doctor)) => doctor::run(session, screen, doctor).await,
        Command::Cluster(Later(args)) => cluster::run(session, screen, args).await,
        Command::Service(Later(args)) => service::run(session, screen, args),
        Command::Run(_)
        | Command::Test(_)
        | Command::Mcp
        | Command::Schema
        | Command::Man { .. }
        | Command::Completions { .. } => Ok(Exit::SUCCESS),
    }
}
