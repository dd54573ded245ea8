//! What a shell offers while a command is typed: commands, options, and the tasks, graphs, machines and contexts that
//! there are now.
//!
//! The shell runs this program again for each of them (`COMPLETE` in the environment), so what is offered is live.
//! A daemon that does not answer at once is not waited for: a person types on meanwhile.

use std::ffi::OsStr;
use std::time::Duration;

use actors::client::Client;
use actors::client::contexts::Contexts;
use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use crate::cli::args::{Cli, Global};
use crate::cli::exit::Usage;
use crate::cli::session::{Session, on_one_thread};

/// The variable that has a shell's question.
const VARIABLE: &str = "COMPLETE";
/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Tasks that are looked at, and graphs: more than anybody chooses from.
const TASKS: usize = 500;
const GRAPHS: usize = 100;

/// Answers a shell, where one asks: then this does not return.
pub(crate) fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// The script by which a shell asks.
pub(crate) fn script(shell: clap_complete::Shell) -> anyhow::Result<Vec<u8>> {
    let shells = Shells::builtins();
    let name = shell.to_string();
    let shell = shells.completer(&name).ok_or_else(|| Usage(format!("{name} cannot ask")))?;
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "crab", "crab", "crab", &mut script)?;
    Ok(script)
}

fn command() -> Command {
    with_names(Cli::command())
}

/// Every argument knows by its value's name what may stand there; those of a command that is yet to be built, when it is.
pub(crate) fn with_names(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let named = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let is_context = argument.get_id() == "context";
        match named.as_deref() {
            Some("TARGET" | "TASK" | "GRAPH") => argument.add(ArgValueCompleter::new(targets)),
            Some("NODE") => argument.add(ArgValueCompleter::new(nodes)),
            Some("NAME") if is_context => argument.add(ArgValueCompleter::new(contexts)),
            _ => argument,
        }
    });
    command.mut_subcommands(with_names)
}

fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    let names = asked(|client| async move {
        let tasks = client.tasks(&Default::default(), TASKS).await?;
        let graphs = client.graphs(GRAPHS).await?;
        let tasks =
            tasks.into_iter().map(|row| (row.task.to_string(), format!("{} {}", row.state, row.name)));
        let graphs = graphs.into_iter().map(|row| (row.graph.to_string(), format!("graph {}", row.name)));
        Ok(graphs.chain(tasks).collect())
    });
    offered(names, typed)
}

fn nodes(typed: &OsStr) -> Vec<CompletionCandidate> {
    let names = asked(|client| async move {
        let rows = client.nodes().await?;
        Ok(rows.into_iter().map(|row| (row.node.to_string(), row.health.to_string())).collect())
    });
    offered(names, typed)
}

fn contexts(typed: &OsStr) -> Vec<CompletionCandidate> {
    let known = Contexts::read().unwrap_or_default().contexts;
    offered(known.into_iter().map(|(name, context)| (name, context.told())).collect(), typed)
}

type Names = Vec<(String, String)>;

/// What the daemon that the environment names answers; nothing where it does not.
fn asked<F: Future<Output = anyhow::Result<Names>>>(question: impl FnOnce(Client) -> F) -> Names {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let global = Global {
        data_dir: variable("CRAB_DATA_DIR").map(Into::into),
        address: variable("CRAB_ADDRESS"),
        context: variable("CRAB_CONTEXT"),
        json: false,
        no_color: true,
        quiet: true,
    };
    let answered = || {
        let client = Session::new(&global)?.connect()?;
        on_one_thread(async { tokio::time::timeout(PATIENCE, question(client)).await? })
    };
    answered().unwrap_or_default()
}

fn offered(names: Names, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy().into_owned();
    let begin_so = names.into_iter().filter(|(name, _)| name.starts_with(&typed));
    let candidate = |(place, (name, about)): (usize, (String, String))| {
        CompletionCandidate::new(name).help(Some(about.into())).display_order(Some(place))
    };
    begin_so.enumerate().map(candidate).collect()
}
