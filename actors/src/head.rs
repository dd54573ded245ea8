//! The scheduler side as a whole: opened on a data directory, started, and stopped in order.
//!
//! What `crabd`, the embedded run of `crab` and the tests have in common. Knows no sockets.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use policy::event::{Event, SchedulerEvent};
use policy::id::NodeId;
use policy::lease::{BadTerms, LeaseTerms};
use policy::trust::Caller;
use supervision::supervisor::StartError;
use supervision::{Address, Child, Ending, Reply, Running};

use crate::archive::Place;
use crate::client::service::Service;
use crate::client::transport::BoxFuture;
use crate::clock::Clock;
use crate::config::Limits;
use crate::gateway::{GatewayActor, GatewayMessage, permit};
use crate::inspect::InspectorMessage;
use crate::log::{Log, LogLimits, OpenError};
use crate::node::NodeMessage;
use crate::outlet::Outlet;
use crate::side::Side;
use crate::tree;
use crate::wire::client::{Request, Response, ServerInfo};
use crate::wire::fleet::{FromWorker, ToWorker};

/// What a scheduler side is started with.
#[derive(Debug, Clone)]
pub struct HeadOptions {
    /// Where its log and its snapshots are kept.
    pub directory: PathBuf,
    /// What it calls itself.
    pub name: Box<str>,
    /// The time.
    pub clock: Clock,
    /// How leases are timed.
    pub terms: LeaseTerms,
    /// How much of everything.
    pub limits: Limits,
    /// How the log is kept.
    pub log: LogLimits,
}

/// Why a scheduler side does not start.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The settings would let two nodes run one task.
    #[error(transparent)]
    Terms(#[from] BadTerms),
    /// There is no place for it.
    #[error("cannot make {}: {source}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// An actor did not start.
    #[error("the scheduler side did not start")]
    Tree(#[from] StartError),
}

/// A scheduler side that runs.
#[derive(Debug)]
pub struct Head {
    side: Arc<Side>,
    gateway: Address<GatewayMessage>,
    tree: Running,
}

impl Head {
    /// Opens the log, makes the state from it and opens the door. `last` makes the children that the program
    /// adds at the end of the tree.
    ///
    /// # Errors
    /// Wrong settings, a log that cannot be opened, or an actor that does not start.
    pub async fn start(
        options: HeadOptions,
        last: impl FnOnce(&Arc<Side>, &Address<GatewayMessage>) -> Vec<Child>,
    ) -> Result<Self, HeadError> {
        let HeadOptions { directory, name, clock, terms, limits, log } = options;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|source| HeadError::Directory { directory: directory.clone(), source })?;
        let log = Log::open_directory(directory.join("log"), log, clock)?;
        let place = Place::Directory(directory.join("snapshots"));
        Self::start_in(place, log, (name, clock), (terms, limits), last).await
    }

    /// The same, on a log that is open already, with snapshots in memory.
    ///
    /// # Errors
    /// Wrong settings, or an actor that does not start.
    pub async fn start_on(
        log: Log,
        (name, clock): (Box<str>, Clock),
        terms: LeaseTerms,
        limits: Limits,
        last: impl FnOnce(&Arc<Side>, &Address<GatewayMessage>) -> Vec<Child>,
    ) -> Result<Self, HeadError> {
        Self::start_in(Place::Memory, log, (name, clock), (terms, limits), last).await
    }

    async fn start_in(
        place: Place,
        log: Log,
        (name, clock): (Box<str>, Clock),
        (terms, limits): (LeaseTerms, Limits),
        last: impl FnOnce(&Arc<Side>, &Address<GatewayMessage>) -> Vec<Child>,
    ) -> Result<Self, HeadError> {
        terms.check()?;
        let side = Side::new(log, place, clock, terms, limits);
        let gateway = Address::new("gateway", "");
        let version = env!("CARGO_PKG_VERSION").into();
        let server = ServerInfo { version, name, started: clock.wall(), epoch: 0, durable: 0 };
        let last = last(&side, &gateway);
        let root = Address::new(tree::SUPERVISOR, tree::SCHEDULER_SIDE);
        let args = tree::scheduler_side(&side, &gateway, &root, &server, last);
        let tree = supervision::supervisor::start_behind(root, args).await?;
        Ok(Self { side, gateway, tree })
    }

    /// What its actors share.
    #[must_use]
    pub fn side(&self) -> &Arc<Side> {
        &self.side
    }

    /// Its front door, for clients of this process.
    #[must_use]
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::new(FrontDoor::new(&self.side, self.gateway.clone()))
    }

    /// Waits until it has ended and says why. Cancel safe.
    pub async fn join(&mut self) -> Ending {
        self.tree.join().await
    }

    /// Stops its actors in order, makes everything durable and lets go of the directory.
    pub async fn stop(mut self) -> Ending {
        let ending = self.tree.stop().await;
        // Nobody writes any more: this is the last record of this reign.
        self.side.log.append(&Event::Scheduler(SchedulerEvent::Stopped), 0, 0);
        self.side.log.close();
        ending
    }
}

/// The gateway and, for what is about actors, the inspector, seen by clients. Who may not ask is refused here.
#[derive(Debug, Clone)]
pub struct FrontDoor {
    side: Arc<Side>,
    gateway: Address<GatewayMessage>,
}

impl FrontDoor {
    /// The door before this gateway and the inspector of its side.
    #[must_use]
    pub fn new(side: &Arc<Side>, gateway: Address<GatewayMessage>) -> Self {
        Self { side: Arc::clone(side), gateway }
    }
}

impl Service for FrontDoor {
    fn handle(&self, caller: &Caller, request: Request) -> BoxFuture<'static, Response> {
        let request = match permit::admit(&self.side, caller, request) {
            Ok(request) => Box::new(request),
            Err(refused) => return Box::pin(async move { refused }),
        };
        let (reply, answer) = Reply::channel();
        let told = match *request {
            Request::Inspect { .. } | Request::Operate { .. } => {
                self.side.inspector.try_tell(InspectorMessage::Asked { request, reply })
            }
            _ => self.gateway.try_tell(GatewayMessage::Asked { caller: caller.clone(), request, reply }),
        };
        Box::pin(async move {
            match answer.await {
                Ok(response) if told => response,
                _ => GatewayActor::restarting(),
            }
        })
    }
}

/// The door for workers: brings what the worker of `node` says to the node's actor.
pub fn hear_worker(side: &Arc<Side>, node: &NodeId, message: FromWorker, outlet: &Outlet<ToWorker>) {
    let message = match message {
        FromWorker::Inspected { request, sight } => return side.reach.answered(request, *sight),
        message => message,
    };
    let address = match &message {
        FromWorker::Register(_) => {
            side.reach.connected(node, outlet);
            side.nodes.get_or_start(node, side)
        }
        _ => side.nodes.get(node),
    };
    match address {
        Some(address) => address.tell(NodeMessage::Heard { message, outlet: outlet.clone() }),
        None => {
            outlet.send(ToWorker::Reregister);
        }
    }
}

/// The connection of a worker has ended.
pub fn lose_worker(side: &Side, node: &NodeId, outlet: &Outlet<ToWorker>) {
    side.reach.gone(node, outlet);
    if let Some(address) = side.nodes.get(node) {
        address.tell(NodeMessage::Disconnected(outlet.clone()));
    }
}
