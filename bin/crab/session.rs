//! Finds the scheduler that a command is for.

use std::path::PathBuf;

use actors::client::contexts::Contexts;
use actors::client::transport::{BoxFuture, TransportError};
use actors::client::{Client, ClientError, Endpoint, default_data_dir};
use actors::clock::Clock;
use actors::process::port::HostProgram;
use actors::trust::line;
use actors::worker::suites::Suites;
use anyhow::Context;
use tokio::runtime::{Builder, Runtime};

use crate::cli::args::Global;
use crate::cli::exit::Usage;
use crate::cli::own_directory::OwnDirectory;

/// Where the user wants to go.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    data_dir: Option<PathBuf>,
    address: Option<String>,
}

impl Session {
    pub(crate) fn new(global: &Global) -> anyhow::Result<Self> {
        // As everywhere, a variable that is empty says nothing.
        let Some(name) = global.context.as_ref().filter(|name| !name.is_empty()) else {
            let address =
                global.address.as_deref().filter(|address| !address.is_empty()).map(line::meant).transpose();
            let address = address.map_err(|error| Usage(format!("reading the address: {error}")))?;
            return Ok(Self { data_dir: global.data_dir.clone(), address });
        };
        let contexts = Contexts::read().map_err(|error| Usage(error.to_string()))?;
        let context = contexts.get(name).map_err(|error| Usage(error.to_string()))?.clone();
        Ok(Self { data_dir: context.data_dir, address: context.address })
    }

    /// A client of the daemon. Nothing is sent yet.
    pub(crate) fn connect(&self) -> anyhow::Result<Client> {
        let endpoint = self.endpoint()?;
        match &self.data_dir {
            Some(directory) => Ok(Client::connect_with(endpoint, directory.clone())),
            None => Ok(Client::connect(endpoint)),
        }
    }

    /// Whether an error says that there is no daemon, and none was named: then the work can be done here.
    pub(crate) fn is_alone(&self, error: &ClientError) -> bool {
        let nobody = matches!(error, ClientError::Unreachable { why: TransportError::NotThere { .. }, .. });
        nobody && self.address.is_none()
    }

    /// Whether somebody has said where the data directory is.
    pub(crate) fn names_data_dir(&self) -> bool {
        self.data_dir.is_some()
    }

    /// The data directory, where the daemon is one of this machine.
    pub(crate) fn own_data_dir(&self) -> anyhow::Result<PathBuf> {
        match &self.address {
            Some(address) => Err(Usage(format!(
                "{} is not this machine: leave out --address",
                Endpoint::Address(address.clone())
            ))
            .into()),
            None => self.data_dir(),
        }
    }

    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        match &self.address {
            Some(address) => Ok(Endpoint::Address(address.clone())),
            None => Ok(Endpoint::of_data_dir(&self.data_dir()?)),
        }
    }

    /// This user's data directory on this machine, whoever schedules.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let advice = "no home directory: name a data directory with --data-dir DIR";
        self.data_dir.clone().or_else(default_data_dir).ok_or_else(|| Usage(advice.to_owned()).into())
    }
}

/// Whoever runs the work.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) client: Client,
    embedded: Option<Box<dyn Embedded>>,
}

/// A scheduler and a worker in this process.
pub(crate) trait Embedded: std::fmt::Debug + Send + Sync {
    /// Stops both in order. Nothing of theirs is left when it has returned.
    fn stop(self: Box<Self>) -> BoxFuture<'static, Option<PathBuf>>;
    /// Kills every process of every task, at once.
    fn kill(&self);
}

impl Opened {
    /// A daemon's client.
    pub(crate) fn daemon(client: Client) -> Self {
        Self { client, embedded: None }
    }

    /// A scheduler and a worker of this process, which end with [`Opened::stop`].
    /// `program` is this one, which becomes their process host as well.
    pub(crate) async fn embedded(program: PathBuf) -> anyhow::Result<Self> {
        Self::embedded_with(program, None).await
    }

    /// The same, where tasks have suites of tests run if `times` says where to remember how long tests take.
    pub(crate) async fn embedded_with(program: PathBuf, times: Option<PathBuf>) -> anyhow::Result<Self> {
        let directory = OwnDirectory::create().context("making a directory for this run")?;
        let suites = times.map(|times| {
            let (program, data_dir) = (program.clone(), directory.path().to_owned());
            Suites { program, data_dir, address: None, times: Some(times) }
        });
        let program = HostProgram::new(program);
        let run = actors::embedded::Embedded::start_with(directory.path(), program, suites).await?;
        let client = Client::in_process(run.service(), Clock::system());
        let embedded = Box::new(Run { run, directory });
        Ok(Self { client, embedded: Some(embedded) })
    }

    /// Stops what was started for this command alone.
    /// Tells where workspaces are that stay, where any do.
    pub(crate) async fn stop(self) -> Option<PathBuf> {
        match self.embedded {
            Some(embedded) => embedded.stop().await,
            None => None,
        }
    }

    /// Kills what runs in this process; a daemon goes on as it was told.
    pub(crate) fn kill(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.kill();
        }
    }
}

/// Where this program is; to be asked before it can have been replaced, as a build of itself does.
pub(crate) fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}

/// Runs to its end what only asks: one thread is enough for that.
pub(crate) fn on_one_thread<R>(work: impl Future<Output = anyhow::Result<R>>) -> anyhow::Result<R> {
    finish(Builder::new_current_thread().enable_all().build()?, work)
}

/// Runs to its end what schedules and runs tasks itself.
pub(crate) fn on_all_threads<R>(work: impl Future<Output = anyhow::Result<R>>) -> anyhow::Result<R> {
    finish(Builder::new_multi_thread().enable_all().build()?, work)
}

fn finish<R>(runtime: Runtime, work: impl Future<Output = anyhow::Result<R>>) -> anyhow::Result<R> {
    let done = runtime.block_on(work);
    // A read that blocks, such as the resolver's, must not hold up the end.
    runtime.shutdown_background();
    done
}

/// Both sides, and the directory that is theirs alone.
#[derive(Debug)]
struct Run {
    run: actors::embedded::Embedded,
    directory: OwnDirectory,
}

impl Embedded for Run {
    fn stop(self: Box<Self>) -> BoxFuture<'static, Option<PathBuf>> {
        Box::pin(async move {
            self.run.stop().await;
            self.directory.kept()
        })
    }

    fn kill(&self) {
        self.run.kill();
    }
}
