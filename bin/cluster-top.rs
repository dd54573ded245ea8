//! The window on the live actors: a prompt, a full screen, one line and its answer, or a copy of the log.
//!
//! The language is the library's (`actors::console`); here are the terminal, the history and the exit codes.

#[path = "cluster-top"]
mod top {
    pub(crate) mod args;
    pub(crate) mod editor;
    pub(crate) mod follow;
    pub(crate) mod repl;
    pub(crate) mod screen;
    pub(crate) mod session;
    #[cfg(test)]
    mod snapshots;
    pub(crate) mod tui;
}

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use top::args::{Cli, Mode};
use top::screen::Screen;
use top::session::Session;
use top::{repl, session};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut screen = Screen::new(&cli);
    let code = match Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => {
            let code = start(&cli, &runtime, &mut screen);
            // Somebody may still wait for an answer that nobody reads any more.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            screen.trouble(&format!("error: {error}"));
            1
        }
    };
    ExitCode::from(code)
}

fn start(cli: &Cli, runtime: &tokio::runtime::Runtime, screen: &mut Screen) -> u8 {
    if cli.schema {
        screen.text(&actors::console::reply::schema());
        return 0;
    }
    let opened = Session::open(cli);
    let mut session = match opened {
        Ok(session) => session,
        Err(fault) => {
            screen.trouble(&fault.shown(""));
            return fault.sort.exit_code();
        }
    };
    match (&cli.mode, script(cli)) {
        (_, Some(Ok(lines))) => runtime.block_on(session::run_all(&mut session, screen, &lines)),
        (_, Some(Err(error))) => {
            screen.trouble(&format!("error: {error}"));
            2
        }
        (Some(Mode::Tui), None) => repl::full(session, screen, runtime),
        (Some(Mode::Run { .. }) | None, None) => repl::run(session, screen, runtime),
    }
}

/// The lines to be run, where there is nobody to type them.
fn script(cli: &Cli) -> Option<std::io::Result<Vec<String>>> {
    let lines = |text: String| text.lines().map(ToOwned::to_owned).collect();
    if !cli.execute.is_empty() {
        return Some(Ok(cli.execute.clone()));
    }
    match &cli.mode {
        Some(Mode::Run { file }) => Some(std::fs::read_to_string(file).map(lines)),
        None if !std::io::stdin().is_terminal() => {
            let mut text = String::new();
            Some(std::io::stdin().read_to_string(&mut text).map(|_| lines(text)))
        }
        Some(Mode::Tui) | None => None,
    }
}
