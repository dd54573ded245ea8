//! Finds the scheduler that a command is for.

use std::path::PathBuf;

use actors::client::transport::{BoxFuture, TransportError};
use actors::client::{COOKIE_NAME, Client, ClientError, Endpoint, default_data_dir};
use tokio::runtime::{Builder, Runtime};

use crate::cli::args::{Command, Global};
use crate::cli::exit::Usage;

/// Where the user wants to go.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    data_dir: Option<PathBuf>,
    address: Option<String>,
}

impl Session {
    pub(crate) fn new(global: &Global) -> Self {
        Self { data_dir: global.data_dir.clone(), address: global.address.clone() }
    }

    /// A client of the daemon. Nothing is sent yet.
    pub(crate) fn connect(&self) -> anyhow::Result<Client> {
        let endpoint = self.endpoint()?;
        match &self.data_dir {
            Some(directory) => Ok(Client::connect_with_cookie(endpoint, directory.join(COOKIE_NAME))),
            None => Ok(Client::connect(endpoint)),
        }
    }

    /// The daemon where there is one, and else a scheduler in this process.
    pub(crate) async fn open(&self) -> anyhow::Result<Opened> {
        let client = self.connect()?;
        match client.hello().await {
            Ok(server) => Ok(Opened::daemon(client, server.durable)),
            Err(ClientError::Unreachable { why: TransportError::NotThere { .. }, .. })
                if self.address.is_none() =>
            {
                embedded(self.data_dir()?).await
            }
            Err(error) => Err(error.into()),
        }
    }

    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        match &self.address {
            Some(address) => Ok(Endpoint::Address(address.clone())),
            None => Ok(Endpoint::of_data_dir(&self.data_dir()?)),
        }
    }

    fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let advice = "no home directory: name a data directory with --data-dir DIR";
        self.data_dir.clone().or_else(default_data_dir).ok_or_else(|| Usage(advice.to_owned()).into())
    }
}

/// Whoever runs the work.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) client: Client,
    /// The number of the last event so far.
    pub(crate) last_event: u64,
    embedded: Option<Box<dyn Embedded>>,
}

/// A scheduler and a worker in this process.
pub(crate) trait Embedded: std::fmt::Debug + Send + Sync {
    /// Stops both in order. Nothing of theirs is left when it has returned.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
    /// Kills every process of every task, at once.
    fn kill(&self);
}

impl Opened {
    /// A daemon's client.
    pub(crate) fn daemon(client: Client, last_event: u64) -> Self {
        Self { client, last_event, embedded: None }
    }

    /// Stops what was started for this command alone.
    pub(crate) async fn stop(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }

    /// Kills what runs in this process; a daemon goes on as it was told.
    pub(crate) fn kill(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.kill();
        }
    }
}

/// One thread is enough to ask; whoever may run the work as well gets more.
pub(crate) fn runtime(command: &Command) -> std::io::Result<Runtime> {
    match command {
        Command::Run(_) => Builder::new_multi_thread().enable_all().build(),
        _ => Builder::new_current_thread().enable_all().build(),
    }
}

/// Starts a scheduler and a worker in this process.
#[expect(clippy::unused_async, reason = "starting waits for the log to be read")]
async fn embedded(data_dir: PathBuf) -> anyhow::Result<Opened> {
    anyhow::bail!("no daemon answers for {}; start one with `crabd`", data_dir.display())
}
