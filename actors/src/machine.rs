//! The machine side as a whole: the worker, its host, and the way to the scheduler side.
//!
//! What `crabd` and the embedded run of `crab` have in common.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use policy::constraint::{ARTIFACTS, SHARDS, STAGES, WORKSPACES};
use policy::id::{Incarnation, NodeId};
use policy::resources::Resources;
use policy::strain::StrainRules;
use supervision::dynamic::{Dynamic, Options};
use supervision::supervisor::StartError;
use supervision::{Actor, Address, Child, Ending, Reply, Running};

use crate::agent::Handlers;
use crate::agent::desk::{Desk, DeskArgs, DeskPort};
use crate::artifact::{Depot, Storing};
use crate::clock::Clock;
use crate::head::hear_worker;
use crate::inspect::InspectorMessage;
use crate::inspect::reach::hand_in;
use crate::link::dialler::{Dialler, DiallerArgs, DiallerEvent, DiallerMessage};
use crate::link::{self, Connection, Dial};
use crate::outlet::Outlet;
use crate::output::retention::Retention;
use crate::output::spool::OutputLimits;
use crate::process::os;
use crate::process::port::{HostEvent, HostListener, HostPort, HostProgram, LocalHost};
use crate::process::protocol::{Command, HostDirectory};
use crate::provision::{Offer, Provisions};
use crate::session::lookout::{Lookout, LookoutArgs, LookoutMessage};
use crate::side::Side;
use crate::tree;
use crate::wire::codec;
use crate::wire::fleet::{FromWorker, ToWorker};
use crate::worker::environment::BaseEnvironment;
use crate::worker::gauge::{Gauge, Measure};
use crate::worker::stages::Hooks;
use crate::worker::suites::Suites;
use crate::worker::{Worker, WorkerArgs, WorkerMessage};
use crate::workspace::{Keeping, Workspaces};

/// What a machine side is started with.
#[derive(Debug, Clone)]
pub struct MachineOptions {
    /// Its name in the fleet.
    pub node: NodeId,
    /// The life of this daemon.
    pub incarnation: Incarnation,
    /// Where the host keeps its things.
    pub directory: PathBuf,
    /// What there is for tasks.
    pub capacity: Resources,
    /// What is known of it.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// What every task inherits.
    pub base: BaseEnvironment,
    /// How much output of an attempt is kept.
    pub output: OutputLimits,
    /// How much output is kept in all.
    pub retention: Retention,
    /// Directories of attempts' own; `None` where it makes none.
    pub workspaces: Option<Keeping>,
    /// How what attempts leave behind is kept; `None` where nothing is.
    pub artifacts: Option<Storing>,
    /// What it has done around every attempt that a host here runs.
    pub hooks: Hooks,
    /// What else it gives to attempts; `None` where that is nothing.
    pub offer: Option<Offer>,
    /// How tasks here have suites of tests run; `None` where they cannot.
    pub suites: Option<Suites>,
    /// When it is too strained for new work; `None` where nobody looks.
    pub strain: Option<StrainRules>,
    /// What runs attempts.
    pub runs: Runs,
    /// The time.
    pub clock: Clock,
}

/// What runs the attempts of a machine.
#[derive(Debug, Clone)]
pub enum Runs {
    /// A process host here.
    Host(HostProgram),
    /// A process host here, whose attempts are run on a machine behind SSH, which is looked after.
    Abroad(HostProgram, Box<LookoutArgs>),
    /// Functions of this process.
    Handlers(Handlers),
}

/// A machine side that runs.
pub struct Machine {
    worker: Address<WorkerMessage>,
    port: Arc<dyn HostPort>,
    clock: Clock,
    tree: Running,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Machine({:?})", self.worker)
    }
}

impl Machine {
    /// Starts it beside the scheduler side, in one process.
    ///
    /// # Errors
    /// When an actor does not start.
    pub async fn beside(side: &Arc<Side>, options: MachineOptions) -> Result<Self, StartError> {
        let worker = Address::new("worker", &*options.node.0);
        let inspector = Address::new("inspector", &*options.node.0);
        let outlet = beside(side, &options.node, &worker, &inspector);
        let linked_worker = worker.clone();
        Self::start(options, (worker, inspector), outlet, move || linked(&linked_worker), Vec::new()).await
    }

    /// Starts it for a scheduler side elsewhere: it dials, and dials again, until it is stopped.
    ///
    /// # Errors
    /// When an actor does not start.
    pub async fn dialling(dial: Dial, seed: u64, options: MachineOptions) -> Result<Self, StartError> {
        let worker = Address::new("worker", &*options.node.0);
        let uplink = Arc::new(Uplink::default());
        let inspector = Address::new("inspector", &*options.node.0);
        let dialler = dialler(dial, seed, &uplink, &worker, &inspector);
        Self::start(options, (worker, inspector), through(&uplink), || {}, vec![dialler]).await
    }

    async fn start(
        options: MachineOptions,
        (worker, inspector): (Address<WorkerMessage>, Address<InspectorMessage>),
        outlet: Outlet<FromWorker>,
        at_start: impl Fn() + Send + Sync + 'static,
        last: Vec<Child>,
    ) -> Result<Self, StartError> {
        let directory = HostDirectory::new(options.directory);
        let of_port = worker.clone();
        let hear = move |event: HostEvent| of_port.tell(WorkerMessage::Host(event));
        let gauge = options.strain.map(|rules| gauge(rules, &options.runs, &directory));
        let hooks = matches!(options.runs, Runs::Host(_)).then(|| Arc::new(options.hooks));
        let known = [STAGES, SHARDS].into_iter().filter(|_| hooks.is_some());
        let known = known.map(|label| (label.into(), "yes".into()));
        let (port, beside) = runner(options.runs, (&directory, options.clock), Arc::new(hear));
        let attempts = Dynamic::temporary("processes", Options::default());
        let makes = options.workspaces.as_ref().map(|keeping| (WORKSPACES.into(), keeping.says()));
        let spaces = spaces(options.workspaces, options.clock);
        let depot = depot(options.artifacts, options.clock);
        let kept = depot.keeps().then(|| (ARTIFACTS.into(), "yes".into()));
        let (mut capacity, mut base) = (options.capacity, options.base);
        if let Some(suites) = &options.suites {
            Suites::offer(&mut capacity);
            base = base.and_suites(suites);
        }
        let args = WorkerArgs {
            node: options.node,
            incarnation: options.incarnation,
            boot: os::boot_id(),
            capacity,
            labels: options.labels.into_iter().chain(makes).chain(known).chain(kept).collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            base,
            output: options.output,
            retention: options.retention,
            gauge: gauge.unwrap_or_default(),
            spaces: Arc::clone(&spaces),
            depot,
            hooks,
            provisions: provisions(options.offer),
            directory,
            clock: options.clock,
            outlet,
            port: Arc::clone(&port),
            attempts: attempts.clone(),
        };
        let make = move || {
            at_start();
            args.clone()
        };
        let worker_child = Child::worker::<Worker>("worker", &worker, make);
        let children =
            [attempts.child()].into_iter().chain(beside).chain([worker_child]).chain(last).collect();
        let root = Address::new(tree::SUPERVISOR, tree::MACHINE_SIDE);
        let args = tree::machine_side(&root, (&inspector, &spaces), children);
        let tree = supervision::supervisor::start_behind(root, args).await?;
        Ok(Self { worker, port, clock: options.clock, tree })
    }

    /// Waits until it has ended and says why. Cancel safe.
    pub async fn join(&mut self) -> Ending {
        self.tree.join().await
    }

    /// Takes nothing new and returns when nothing is held any more; what runs after `within` is taken away.
    pub async fn drain(&self, within: Option<std::time::Duration>) {
        let (done, is_done) = Reply::channel();
        if self.worker.try_tell(WorkerMessage::Drain { within, done }) {
            let _ = is_done.await;
        }
    }

    /// Kills every process of every task now, without grace.
    pub fn kill(&self) {
        let now = self.clock.now();
        self.port.command(Command::Lease { start_until: now, kill_at: now });
    }

    /// Stops its actors. Tasks go on in the host, for the next daemon on the same directory, as long as the
    /// lease lasts; with `retire` the host ends as soon as nothing runs.
    pub async fn stop(mut self, retire: bool) -> Ending {
        if retire {
            self.port.command(Command::Retire);
        }
        self.tree.stop().await
    }
}

/// What runs attempts, as the worker commands it, and the actor that belongs to it, where there is one.
fn runner(
    runs: Runs,
    (directory, clock): (&HostDirectory, Clock),
    listener: HostListener,
) -> (Arc<dyn HostPort>, Option<Child>) {
    let at = directory.clone();
    match runs {
        Runs::Host(program) => (Arc::new(LocalHost::open(at, program, listener)), None),
        Runs::Abroad(program, args) => {
            let port = args.node.clone().port(
                Arc::clone(&args.rules),
                |listener| LocalHost::open(at, program, listener),
                listener,
            );
            let lookout = Address::<LookoutMessage>::new(Lookout::KIND, "");
            let child = Child::worker::<Lookout>(Lookout::KIND, &lookout, move || (*args).clone());
            (port, Some(child))
        }
        Runs::Handlers(handlers) => {
            let desk = Address::new(Desk::KIND, "");
            let args = DeskArgs { handlers, directory: at, clock, listener };
            let child = Child::worker::<Desk>(Desk::KIND, &desk, move || args.clone());
            (Arc::new(DeskPort(desk)), Some(child))
        }
    }
}

/// How such a machine is looked at.
fn gauge(rules: StrainRules, runs: &Runs, directory: &HostDirectory) -> Gauge {
    match runs {
        Runs::Abroad(_, lookout) => Gauge::new(Arc::clone(&lookout.outlook) as Arc<dyn Measure>, rules),
        Runs::Host(_) | Runs::Handlers(_) => Gauge::of_system(rules, directory.path()),
    }
}

/// Workspaces, with what earlier daemons have left of them. Where that cannot be read nothing is made there: it may be
/// somebody's work.
fn spaces(keeping: Option<Keeping>, clock: Clock) -> Arc<Workspaces> {
    let Some(keeping) = keeping else { return Workspaces::none(clock) };
    let root = keeping.root.clone();
    Workspaces::open(keeping, clock).unwrap_or_else(|error| {
        tracing::error!(root = %root.display(), %error, "workspaces cannot be looked through: none is made here");
        Workspaces::none(clock)
    })
}

/// What is kept of attempts, with what earlier daemons have left. Where that cannot be read nothing is kept.
fn depot(storing: Option<Storing>, clock: Clock) -> Arc<Depot> {
    let Some(storing) = storing else { return Depot::none(clock) };
    let root = storing.root.clone();
    Depot::open(storing, clock).unwrap_or_else(|error| {
        tracing::error!(root = %root.display(), %error, "artifacts cannot be looked through: none are kept here");
        Depot::none(clock)
    })
}

/// What is given to attempts, with what earlier daemons have left of it. Where that cannot be read nothing is given.
fn provisions(offer: Option<Offer>) -> Arc<Provisions> {
    let Some(offer) = offer else { return Provisions::none() };
    let root = offer.root.clone();
    Provisions::open(offer).unwrap_or_else(|error| {
        tracing::error!(root = %root.display(), %error, "cannot be looked through: nothing is given to tasks here");
        Provisions::none()
    })
}

/// The scheduler side of the same process.
fn beside(
    side: &Arc<Side>,
    node: &NodeId,
    worker: &Address<WorkerMessage>,
    inspector: &Address<InspectorMessage>,
) -> Outlet<FromWorker> {
    let (worker, inspector, of_answer) = (worker.clone(), inspector.clone(), Arc::clone(side));
    let back = Outlet::new(move |message| match message {
        ToWorker::Inspect { request, look } => {
            let side = Arc::clone(&of_answer);
            hand_in(&inspector, (request, look), move |answer| {
                if let FromWorker::Inspected { request, sight } = answer {
                    side.reach.answered(request, *sight);
                }
            });
            true
        }
        message => worker.try_tell(WorkerMessage::Scheduler(message)),
    });
    let (side, node) = (Arc::clone(side), node.clone());
    Outlet::new(move |message| {
        hear_worker(&side, &node, message, &back);
        true
    })
}

/// Tells the worker, as soon as it has started, that there is a connection.
fn linked(worker: &Address<WorkerMessage>) {
    let worker = worker.clone();
    tokio::spawn(async move { worker.tell(WorkerMessage::LinkUp) });
}

/// The connection to the scheduler side, while there is one.
type Uplink = ArcSwapOption<Connection>;

/// The scheduler side at the other end of a connection.
fn through(uplink: &Arc<Uplink>) -> Outlet<FromWorker> {
    let uplink = Arc::clone(uplink);
    Outlet::new(move |message| {
        let connection = uplink.load();
        connection.as_ref().is_some_and(|connection| {
            connection.cast(codec::encode_as(connection.layout(), &message)).is_ok()
        })
    })
}

fn dialler(
    mut dial: Dial,
    seed: u64,
    uplink: &Arc<Uplink>,
    worker: &Address<WorkerMessage>,
    inspector: &Address<InspectorMessage>,
) -> Child {
    let (hears, inspector, back) = (worker.clone(), inspector.clone(), through(uplink));
    dial.inbound =
        Arc::new(move |layout, frame| match codec::decode_as(layout, &frame, link::MAX_FRAME_BYTES) {
            Ok(ToWorker::Inspect { request, look }) => {
                let back = back.clone();
                hand_in(&inspector, (request, look), move |answer| {
                    back.send(answer);
                });
            }
            Ok(message) => hears.tell(WorkerMessage::Scheduler(message)),
            Err(error) => tracing::warn!(%error, "the scheduler sent what cannot be read"),
        });
    let (uplink, worker) = (Arc::clone(uplink), worker.clone());
    let args = move || {
        let (uplink, worker) = (Arc::clone(&uplink), worker.clone());
        let owner = Box::new(move |event| follow(&uplink, &worker, event));
        DiallerArgs { dial: dial.clone(), seed, owner }
    };
    Child::worker::<Dialler>("dialler", &Address::<DiallerMessage>::new("dialler", ""), args)
}

fn follow(uplink: &Uplink, worker: &Address<WorkerMessage>, event: DiallerEvent) {
    match event {
        DiallerEvent::Up(connection) => {
            tracing::info!(server = connection.server(), "connected to the scheduler");
            uplink.store(Some(Arc::new(connection)));
            worker.tell(WorkerMessage::LinkUp);
        }
        DiallerEvent::Down(reason) => {
            tracing::warn!(%reason, "the connection to the scheduler has ended");
            uplink.store(None);
            worker.tell(WorkerMessage::LinkDown);
        }
        DiallerEvent::Refused { error, wait } => {
            tracing::warn!(%error, ?wait, "no connection to the scheduler; trying again");
        }
    }
}
