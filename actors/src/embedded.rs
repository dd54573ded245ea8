//! Scheduler side and machine side in one process, for one command: no daemon, no configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use policy::event::{Event, NodeEvent};
use policy::id::{Incarnation, NodeId};
use policy::lease::LeaseTerms;
use policy::workspace::Reclaim;
use supervision::supervisor::StartError;
use supervision::{Address, Child, Ending};

use crate::artifact::Storing;
use crate::client::endpoint::SOCKET_NAME;
use crate::client::service::Service;
use crate::client::{Client, ClientError, Seen};
use crate::clock::Clock;
use crate::config::Limits;
use crate::door::SchedulerDoor;
use crate::head::{Head, HeadError, HeadOptions};
use crate::link::cluster::Cluster;
use crate::link::listener::{Identity, Listener, ListenerArgs, ListenerMessage};
use crate::link::{self, Cookie};
use crate::log::LogLimits;
use crate::machine::{Machine, MachineOptions, Runs};
use crate::output::retention::Retention;
use crate::output::spool::OutputLimits;
use crate::process::port::HostProgram;
use crate::provision::{Offer, PRIVATE};
use crate::wire::client::EventFilter;
use crate::worker::capacity::{MEMORY_RESERVE_BYTES, detect};
use crate::worker::environment::BaseEnvironment;
use crate::worker::labels;
use crate::worker::stages::Hooks;
use crate::worker::suites::Suites;
use crate::workspace::Keeping;

/// What tasks of an embedded run inherit: all of the command's own environment, as if its user had started
/// them.
fn inherit_all() -> BaseEnvironment {
    let names: Vec<_> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    BaseEnvironment::of(std::env::vars_os(), &names)
}

/// Where workspaces are in the directory of a run; what stays there is its user's to look through.
pub const WORKSPACES: &str = "workspaces";

fn keeping(directory: &Path) -> Keeping {
    // What a run keeps is its user's from then on.
    let reclaim = Reclaim { age: Duration::MAX, free_bytes: 0, unsaved_too: false };
    Keeping::here(directory.join(WORKSPACES), std::env::vars_os().collect(), reclaim)
}

/// What it calls itself.
const NAME: &str = "embedded";

fn identity(directory: &Path, clock: Clock) -> Result<Identity, EmbeddedError> {
    let cookie =
        Cookie::open(directory).map_err(|error| EmbeddedError::Socket(std::io::Error::other(error)))?;
    Ok(Identity { name: NAME.to_owned(), incarnation: Incarnation(clock.wall().0), cookie })
}

/// Listens on the socket alone: nobody else is to come in.
fn listener(identity: Identity, unix: PathBuf, door: Arc<SchedulerDoor>) -> Child {
    let cluster = Cluster::new(&identity.name, identity.incarnation);
    let args = move || ListenerArgs {
        tcp: None,
        unix: Some(unix.clone()),
        identity: identity.clone(),
        door: Arc::clone(&door) as Arc<dyn link::Door>,
        cluster: cluster.clone(),
        limits: link::Limits::default(),
        fleet: None,
    };
    Child::worker::<Listener>("listener", &Address::<ListenerMessage>::new("listener", ""), args)
}

/// How long what was told to end may take before it is killed, when the command stops.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How long the machine may take to join.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the scheduler knows what the machine has: only then can it refuse what can never run there.
async fn has_joined(client: Client) -> Result<(), ClientError> {
    let mut events = client.events(0, EventFilter::All);
    let is_joined = |seen| matches!(seen, Seen::Record(record) if matches!(record.event, Event::Node(_, NodeEvent::Joined { .. })));
    while !is_joined(events.next().await?) {}
    // The node tells the scheduler behind its record, in a message to itself: the second answer is behind that.
    client.nodes().await?;
    client.nodes().await.map(drop)
}

/// Both sides, running.
#[derive(Debug)]
pub struct Embedded {
    head: Head,
    machine: Machine,
}

/// Why an embedded run does not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The scheduler side.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Its socket.
    #[error("cannot make a socket for this run")]
    Socket(#[source] std::io::Error),
    /// The machine side.
    #[error("the machine side did not start")]
    Machine(#[from] StartError),
}

impl Embedded {
    /// Starts both in `directory`, which belongs to this run alone. `program` becomes the process host.
    ///
    /// # Errors
    /// When either side does not start.
    pub async fn start(directory: &Path, program: HostProgram) -> Result<Self, EmbeddedError> {
        Self::start_with(directory, program, None).await
    }

    /// The same, where tasks have suites of tests run, which must reach this very scheduler: it listens on a socket in `directory`.
    ///
    /// # Errors
    /// When either side does not start.
    pub async fn start_with(
        directory: &Path,
        program: HostProgram,
        suites: Option<Suites>,
    ) -> Result<Self, EmbeddedError> {
        let clock = Clock::system();
        let head = HeadOptions {
            directory: directory.join("scheduler"),
            name: NAME.into(),
            clock,
            terms: LeaseTerms::default(),
            limits: Limits::default(),
            log: LogLimits::default(),
        };
        let identity = suites.as_ref().map(|_| identity(directory, clock)).transpose()?;
        let socket = directory.join(SOCKET_NAME);
        let head = Head::start(head, |side, gateway| {
            identity
                .map(|identity| listener(identity, socket, SchedulerDoor::new(side, gateway)))
                .into_iter()
                .collect()
        })
        .await?;
        let machine = MachineOptions {
            node: NodeId::from("local"),
            incarnation: Incarnation(clock.wall().0),
            directory: directory.join("host"),
            capacity: detect(MEMORY_RESERVE_BYTES, directory),
            labels: labels::detect(),
            base: inherit_all(),
            output: OutputLimits::default(),
            retention: Retention::default(),
            workspaces: Some(keeping(directory)),
            artifacts: Some(Storing::usual(directory.join("artifacts"))),
            hooks: Hooks::default(),
            offer: Some(Offer::usual(directory.join(PRIVATE))),
            suites,
            // One graph, and somebody waits for it: whoever is strained by it says so.
            strain: None,
            runs: Runs::Host(program),
            clock,
        };
        match Machine::beside(head.side(), machine).await {
            Ok(machine) => {
                let run = Self { head, machine };
                let joined = has_joined(Client::in_process(run.service(), clock));
                // Where it does not come what is handed in waits for it, as it would for any machine.
                let _ = tokio::time::timeout(JOIN_PATIENCE, joined).await;
                Ok(run)
            }
            Err(error) => {
                head.stop().await;
                Err(error.into())
            }
        }
    }

    /// The scheduler's front door.
    #[must_use]
    pub fn service(&self) -> Arc<dyn Service> {
        self.head.service()
    }

    /// Kills every process of every task now.
    pub fn kill(&self) {
        self.machine.kill();
    }

    /// Ends what still runs and stops both sides in order. Nothing of theirs is left when it has returned.
    pub async fn stop(self) -> Ending {
        let Self { head, machine } = self;
        if tokio::time::timeout(STOP_PATIENCE, machine.drain(Some(Duration::ZERO))).await.is_err() {
            machine.kill();
        }
        machine.stop(true).await;
        head.stop().await
    }
}
