//! `aivcs-session`: sessions on this machine or on one behind SSH, for people, scripts and agents.
//!
//! What is asked is read here, what may be asked is decided in `policy::session`, and how a machine is asked is
//! known by `actors::session`. Each command has a file or a part of one; only this program prints.

#[path = "aivcs-session"]
mod cli {
    pub(crate) mod args;
    pub(crate) mod attach;
    pub(crate) mod doctor;
    pub(crate) mod exec;
    pub(crate) mod exit;
    pub(crate) mod json;
    pub(crate) mod keep;
    pub(crate) mod list;
    pub(crate) mod logs;
    pub(crate) mod place;
    pub(crate) mod prune;
    pub(crate) mod report;
    pub(crate) mod screen;
    pub(crate) mod steer;
    pub(crate) mod terminal;
    pub(crate) mod tied;
}

use std::process::ExitCode;

use clap::Parser;

use cli::args::{Cli, Command};
use cli::exit::Exit;
use cli::place::Place;
use cli::screen::Screen;
use cli::{attach, doctor, exec, list, logs, prune, steer};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::new(&cli.global);
    let trouble = if matches!(cli.command, Command::Exec(_)) { Exit::EXEC_TROUBLE } else { Exit::FAILURE };
    match run(cli, &screen) {
        Ok(exit) => exit.into(),
        Err(error) => {
            let exit = Exit::of(&error, trouble);
            screen.trouble(&error, exit);
            exit.into()
        }
    }
}

fn run(cli: Cli, screen: &Screen) -> anyhow::Result<Exit> {
    let alone = matches!(&cli.command, Command::Exec(exec) if exec.tied.is_some());
    let place = Place::new(cli.global, alone)?;
    match cli.command {
        Command::Attach(which) => attach::run(&place, screen, &which),
        Command::Steer(args) => steer::run(&place, screen, &args),
        Command::Exec(exec) => exec::run(&place, screen, exec),
        Command::List(list) => list::run(&place, screen, &list),
        Command::Kill(kill) => prune::kill(&place, screen, &kill),
        Command::Prune(prune) => prune::run(&place, screen, &prune),
        Command::Logs(logs) => logs::run(&place, screen, &logs),
        Command::Doctor => doctor::run(&place, screen),
    }
}
