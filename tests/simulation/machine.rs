//! A machine: a real worker under supervision, between a simulated host and a simulated link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::clock::Clock;
use actors::outlet::Outlet;
use actors::output::retention::Retention;
use actors::output::spool::OutputLimits;
use actors::process::port::HostPort;
use actors::process::protocol::{Command, HostDirectory};
use actors::tree::MACHINE_INTENSITY;
use actors::wire::fleet::FromWorker;
use actors::worker::attempt::AttemptActor;
use actors::worker::environment::BaseEnvironment;
use actors::worker::gauge::{Gauge, Measure};
use actors::worker::{Worker, WorkerArgs, WorkerMessage};
use policy::constraint::STAGES;
use policy::id::{Incarnation, NodeId};
use policy::resources::Resources;
use policy::strain::{Reading, Sign, StrainRules};
use supervision::dynamic::{Dynamic, Options};
use supervision::supervisor::StartError;
use supervision::{Address, Child, Running, Strategy, SupervisorArgs};

use super::agents::Agent;
use super::host::{Host, Told};
use super::network::Link;
use super::world::{Event, World};

/// A machine of the simulated fleet.
pub(super) struct Node {
    pub(super) name: NodeId,
    pub(super) capacity: Resources,
    pub(super) labels: Vec<(Box<str>, Box<str>)>,
    pub(super) clock: Clock,
    /// By how many millionths its clock runs fast.
    drift: i32,
    pub(super) boot: u64,
    /// Of its daemon, whether it lives or not.
    pub(super) life: u64,
    pub(super) daemon: Option<Daemon>,
    pub(super) link: Link,
    pub(super) host: Host,
    pub(super) memory: Memory,
    /// Whoever gives the host its next command panics.
    pub(super) panics: bool,
    /// What there is in place of a host, where it is an agent.
    pub(super) agent: Option<Agent>,
}

/// Where hosts and desks of this world would write, if they did.
pub(super) const DIRECTORY: &str = "/nonexistent/simulated";

/// How much of its memory is to be had, in percent.
#[derive(Clone)]
pub(super) struct Memory(Arc<AtomicU64>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(100)))
    }
}

impl Memory {
    pub(super) fn set(&self, percent: u64) {
        self.0.store(percent, Ordering::Relaxed);
    }
}

impl Measure for Memory {
    fn read(&self) -> Vec<Reading> {
        vec![Reading { sign: Sign::MemoryFree, value: self.0.load(Ordering::Relaxed) }]
    }
}

pub(super) struct Daemon {
    worker: Address<WorkerMessage>,
    tree: Option<Running>,
}

impl Node {
    /// Every condition that tasks name holds on the first.
    pub(super) fn new(number: usize, capacity: Resources, drift: i32) -> Self {
        let rack = if number.is_multiple_of(2) { "left" } else { "right" };
        let generation = if number == 0 { "2.10" } else { "2.9" };
        let labels = [("rack", rack), ("generation", generation), (STAGES, "yes")];
        Self {
            name: format!("n{number}").as_str().into(),
            labels: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            capacity,
            clock: Clock::drifting(drift),
            drift,
            boot: 1,
            life: 0,
            daemon: None,
            link: Link::default(),
            host: Host::new(),
            memory: Memory::default(),
            panics: false,
            agent: None,
        }
    }
}

impl super::world::Core {
    pub(super) fn tell_worker(&self, node: usize, message: WorkerMessage) {
        if let Some(daemon) = &self.nodes[node].daemon {
            daemon.worker.tell(message);
        }
    }
}

/// What a daemon is given of the world; of no effect once the daemon is dead.
pub(super) struct Hands {
    world: World,
    node: usize,
    life: u64,
}

impl Hands {
    /// Which machine, and which life of its daemon.
    pub(super) fn of(&self) -> (usize, u64) {
        (self.node, self.life)
    }

    /// Whether a command of the worker reaches anybody; panics where that is planted.
    pub(super) fn take(&self) -> bool {
        let mut core = self.world.core();
        let node = &mut core.nodes[self.node];
        if node.life != self.life {
            return false;
        }
        if std::mem::take(&mut node.panics) {
            drop(core);
            std::panic::resume_unwind(Box::new("planted"));
        }
        true
    }

    fn tell(&self, message: FromWorker) -> bool {
        let mut core = self.world.core();
        core.nodes[self.node].life == self.life && core.send_up(self.node, message)
    }
}

impl HostPort for Hands {
    fn command(&self, command: Command) {
        if self.take() {
            self.world.core().tell_host(self.node, Told::Command(command));
        }
    }
}

impl World {
    pub(super) fn name(&self, node: usize) -> NodeId {
        self.core().nodes[node].name.clone()
    }

    /// Starts the daemon of a machine, unless it runs.
    pub(super) fn start_daemon(&self, node: usize) {
        let mut core = self.core();
        if core.nodes[node].daemon.is_some() {
            return;
        }
        core.nodes[node].life += 1;
        let life = core.nodes[node].life;
        let worker = Address::new("worker", &*core.nodes[node].name.0);
        core.nodes[node].daemon = Some(Daemon { worker: worker.clone(), tree: None });
        let attempts = Dynamic::temporary("processes", Options::default());
        let hands = Arc::new(Hands { world: self.clone(), node, life });
        core.plan(2, Event::FindHost { node, life });
        core.dial_later(node);
        let at_once = core.nodes[node].agent.as_ref().map(|agent| agent.at_once);
        drop(core);
        let desk = at_once.map(|at_once| self.desk((&hands, &worker), at_once));
        let (port, desk): (Arc<dyn HostPort>, _) = match desk {
            Some((port, desk)) => (port, Some(desk)),
            None => (Arc::<Hands>::clone(&hands), None),
        };
        let args = Self::worker_args(&self.core().nodes[node], (hands, port), attempts.clone());
        let world = self.clone();
        let make = move || {
            let mut core = world.core();
            core.plan(0, Event::WorkerBegan { node, life });
            args.clone()
        };
        let child = Child::worker::<Worker>("worker", &worker, make);
        let children = [attempts.child()].into_iter().chain(desk).chain([child]).collect();
        let tree = SupervisorArgs::new("machine-side", Strategy::OneForAll, MACHINE_INTENSITY, children);
        let world = self.clone();
        tokio::spawn(async move {
            match supervision::supervisor::start(tree).await {
                Ok(tree) => world.daemon_started(node, life, tree),
                Err(error) => world.daemon_failed(node, life, &error),
            }
        });
    }

    fn worker_args(
        node: &Node,
        (hands, port): (Arc<Hands>, Arc<dyn HostPort>),
        attempts: Dynamic<AttemptActor>,
    ) -> WorkerArgs {
        let gauge = || Gauge::new(Arc::new(node.memory.clone()), StrainRules::default());
        let has_host = node.agent.is_none();
        WorkerArgs {
            node: node.name.clone(),
            incarnation: Incarnation(hands.life),
            boot: format!("boot {}", node.boot).into(),
            capacity: node.capacity.clone(),
            labels: node.labels.clone(),
            version: "simulated".into(),
            base: BaseEnvironment::default(),
            output: OutputLimits::default(),
            retention: Retention::default(),
            directory: HostDirectory::new(DIRECTORY),
            spaces: actors::workspace::Workspaces::none(node.clock),
            depot: actors::artifact::Depot::none(node.clock),
            hooks: has_host.then(Arc::default),
            provisions: actors::provision::Provisions::none(),
            gauge: if has_host { gauge() } else { Gauge::default() },
            clock: node.clock,
            outlet: Outlet::new(move |message| hands.tell(message)),
            port,
            attempts,
        }
    }

    fn daemon_started(&self, node: usize, life: u64, mut tree: Running) {
        let mut core = self.core();
        if core.nodes[node].life == life
            && let Some(daemon) = &mut core.nodes[node].daemon
        {
            daemon.tree = Some(tree);
        } else {
            drop(core);
            tokio::spawn(async move { tree.stop().await });
        }
    }

    /// Its service manager starts it again.
    fn daemon_failed(&self, node: usize, life: u64, error: &StartError) {
        let mut core = self.core();
        core.note(format!("the daemon of n{node} did not start: {error}"));
        let is_this = core.nodes[node].life == life;
        drop(core);
        if is_this {
            self.crash_daemon(node, 0);
            self.core().plan(500, Event::StartDaemon { node });
        }
    }

    /// A worker that begins knows of no connection, so it gets a new one.
    pub(super) fn worker_began(&self, node: usize, life: u64) {
        let connection = {
            let core = self.core();
            if core.nodes[node].life == life { core.nodes[node].link.at_worker } else { None }
        };
        if let Some(connection) = connection {
            self.core().note(format!("the worker of n{node} has begun anew"));
            self.worker_loses(node, connection);
            self.head_loses(node, connection);
        }
    }

    /// The daemon dies; its host and all processes go on, but the functions of an agent end. The scheduler side notices after a
    /// while.
    pub(super) fn crash_daemon(&self, node: usize, noticed_after: u64) {
        let mut core = self.core();
        let Some(daemon) = core.nodes[node].daemon.take() else { return };
        core.nodes[node].life += 1;
        core.nodes[node].panics = false;
        core.nodes[node].host.lose_port();
        core.end_calls(node);
        core.nodes[node].link.at_worker = None;
        if let Some(connection) = core.nodes[node].link.at_head.as_ref().map(|(connection, _)| *connection) {
            core.plan(noticed_after, Event::HeadLoses { node, connection });
        }
        drop(core);
        if let Some(mut tree) = daemon.tree {
            tokio::spawn(async move { tree.stop().await });
        }
    }

    /// The whole machine starts anew: no process survives, nor does the lease clock.
    pub(super) fn reboot(&self, node: usize, down_for: u64) {
        let noticed = self.core().rng.u64(0..8500);
        self.crash_daemon(node, noticed);
        let mut core = self.core();
        core.host_reboots(node);
        core.nodes[node].boot += 1;
        core.nodes[node].clock = Clock::drifting(core.nodes[node].drift);
        core.plan(down_for, Event::StartHost { node });
        core.plan(down_for, Event::StartDaemon { node });
    }
}
