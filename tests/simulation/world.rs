//! The world: what happens when, and who is there. One queue of events in simulated time, one seed.
//!
//! Events of one moment happen in the order in which they were planned, so one seed is one history. Knows
//! the scheduler side's life and death; machines and links are its children's.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::clock::Clock;
use actors::head::Head;
use actors::log::LogHealth;
use actors::log::disk::SimulatedDisk;
use actors::side::Side;
use actors::wire::fleet::{FromWorker, ToWorker};
use fastrand::Rng;
use policy::id::{NodeId, Token};
use policy::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::host::{Told, Turn};
use super::house::House;
use super::machine::Node;
use super::nemesis::Fault;
use super::opening::{DAMAGED, open_head};
use crate::history::{Operation, Process, Ran};

/// Between two looks whether the scheduler side still lives, as a service manager takes them.
const WATCH_EVERY: u64 = 500;

/// What can be planned.
#[derive(Debug)]
pub(super) enum Event {
    ToHead {
        node: usize,
        connection: u64,
        message: FromWorker,
    },
    ToWorker {
        node: usize,
        connection: u64,
        message: ToWorker,
    },
    /// A worker tries to connect.
    Dial(usize),
    /// The worker's end of a connection notices that it is over.
    WorkerLoses {
        node: usize,
        connection: u64,
    },
    /// The scheduler side's end does.
    HeadLoses {
        node: usize,
        connection: u64,
    },
    /// Both ends have heard nothing for long, if it is still cut.
    Starved {
        node: usize,
        connection: u64,
    },
    /// A daemon finds its host.
    FindHost {
        node: usize,
        life: u64,
    },
    /// A command arrives at a host, or a report at a daemon.
    Command {
        node: usize,
        port: u64,
        told: Told,
    },
    /// Something in a host is due.
    Host {
        node: usize,
        token: Token,
        run: u64,
        turn: Turn,
    },
    /// A host looks whether its deadline has passed.
    HostDeadline {
        node: usize,
    },
    StartHost {
        node: usize,
    },
    /// A machine has memory again.
    Relaxed(usize),
    StartDaemon {
        node: usize,
    },
    /// A worker actor has begun, perhaps after a panic.
    WorkerBegan {
        node: usize,
        life: u64,
    },
    StartHead,
    WatchHead,
    HealDisk,
    HealLink {
        node: usize,
    },
    Fault(Fault),
}

/// How this world is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nature {
    /// Milliseconds that a message takes at the most.
    pub(super) delay: u64,
    /// Of ten thousand messages so many are lost.
    pub(super) lost: u32,
    /// Of ten thousand messages so many come twice.
    pub(super) doubled: u32,
    /// Milliseconds until a signal that cannot be refused has had its effect, at the most.
    pub(super) kill_takes: u64,
    /// By how many millionths the scheduler side's clock runs fast.
    pub(super) drift: i32,
    /// How many tasks may wait.
    pub(super) waiting_tasks: u64,
    /// Whether tasks make room for urgent ones.
    pub(super) preempts: bool,
    /// The most members that a gang has; 0 where there are none.
    pub(super) gangs: u32,
    /// Whether tasks have something done around their commands.
    pub(super) has_stages: bool,
    /// How many agents there are beside the machines.
    pub(super) agents: usize,
    /// Whether what is waited for is served as what waits for it.
    pub(super) lends: bool,
    /// A planted fault of the world itself, which the checks must notice.
    pub(super) planted: Planted,
    /// What the operator has said.
    pub(super) house: House,
}

/// A lie of the world that breaks a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// The disk says that it has written what it has not.
    DiskLies,
    /// The host does not stop what has lost its lease.
    NoDeadline,
    /// The host forgets an attempt that runs.
    Forgetful,
}

#[derive(Debug)]
struct Planned {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Everything there is.
pub(super) struct Core {
    pub(super) rng: Rng,
    pub(super) nature: Nature,
    pub(super) clock: Clock,
    started: Instant,
    queue: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    pub(super) disk: SimulatedDisk,
    pub(super) head: Option<Head>,
    /// Grows with every death of the scheduler side.
    pub(super) head_life: u64,
    head_starts: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) next_connection: u64,
    pub(super) processes: Vec<Process>,
    /// Of attempts with more than their command, what truly ran.
    pub(super) steps: Vec<Ran>,
    /// Which of these were told that their right to run was over.
    pub(super) lost: BTreeSet<Token>,
    pub(super) operations: Vec<Operation>,
    /// Machines that can start nothing: which, from when and until when in milliseconds.
    pub(super) broken: Vec<(usize, u64, u64)>,
    /// How long everything asked for would take at the most, one after the other.
    pub(super) work: Duration,
    /// When the scheduler side lost its connection to whom.
    pub(super) disconnected: Vec<(NodeId, Timestamp)>,
    /// What the nemesis and others did, for people.
    pub(super) notes: Vec<String>,
    /// What must never happen and did.
    pub(super) failures: Vec<String>,
}

impl Core {
    /// Milliseconds since the beginning.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).expect("a simulation is short")
    }

    pub(super) fn plan(&mut self, after: u64, event: Event) {
        self.plan_at(self.now() + after, event);
    }

    pub(super) fn plan_at(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.queue.push(Reverse(Planned { at, order: self.planned, event }));
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        let line = format!("{:>7} ms {}", self.now(), text.into());
        self.notes.push(line);
    }

    /// Whether something that happens so many times of ten thousand happens now.
    pub(super) fn happens(&mut self, of_ten_thousand: u32) -> bool {
        of_ten_thousand > 0 && self.rng.u32(..10_000) < of_ten_thousand
    }
}

/// A handle of the world.
#[derive(Clone)]
pub(super) struct World(Arc<Hub>);

struct Hub {
    core: Mutex<Core>,
    wake: Notify,
}

impl World {
    pub(super) fn new(rng: Rng, nature: Nature) -> Self {
        let core = Core {
            rng,
            nature,
            clock: Clock::drifting(nature.drift),
            started: Instant::now(),
            queue: BinaryHeap::new(),
            planned: 0,
            disk: SimulatedDisk::new(),
            head: None,
            head_life: 0,
            head_starts: false,
            nodes: Vec::new(),
            next_connection: 0,
            processes: Vec::new(),
            steps: Vec::new(),
            lost: BTreeSet::new(),
            operations: Vec::new(),
            broken: Vec::new(),
            work: Duration::ZERO,
            disconnected: Vec::new(),
            notes: Vec::new(),
            failures: Vec::new(),
        };
        Self(Arc::new(Hub { core: Mutex::new(core), wake: Notify::new() }))
    }

    /// What the operator has said.
    pub(super) fn house(&self) -> House {
        self.core().nature.house
    }

    /// Everything there is, locked; dropping it lets the queue be looked at anew.
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.0.wake.notify_one();
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes happen what is planned, for ever.
    pub(super) async fn drive(self) {
        loop {
            let next = self.core().queue.peek().map(|Reverse(planned)| planned.at);
            let now = self.core().now();
            match next {
                Some(at) if at <= now => {
                    let event = self.core().queue.pop().map(|Reverse(planned)| planned.event);
                    event.into_iter().for_each(|event| self.perform(event));
                    tokio::task::yield_now().await;
                }
                Some(at) => self.wait(Duration::from_millis(at - now)).await,
                None => self.wait(Duration::from_secs(1)).await,
            }
        }
    }

    async fn wait(&self, most: Duration) {
        // Our own looks have notified us.
        self.0.wake.notified().await;
        tokio::select! {
            biased;
            () = self.0.wake.notified() => {}
            () = tokio::time::sleep(most) => {}
        }
    }

    fn perform(&self, event: Event) {
        match event {
            Event::ToHead { node, connection, message } => self.deliver_to_head(node, connection, message),
            Event::ToWorker { node, connection, message } => {
                self.deliver_to_worker(node, connection, message)
            }
            Event::Dial(node) => self.dial(node),
            Event::WorkerLoses { node, connection } => self.worker_loses(node, connection),
            Event::HeadLoses { node, connection } => self.head_loses(node, connection),
            Event::Starved { node, connection } => self.starved(node, connection),
            Event::FindHost { node, life } => self.core().find_host(node, life),
            Event::Command { node, port, told } => self.core().told(node, port, told),
            Event::Host { node, token, run, turn } => self.core().turn(node, (token, run), turn),
            Event::HostDeadline { node } => self.core().host_deadline(node),
            Event::Relaxed(node) => self.core().nodes[node].memory.set(100),
            Event::StartHost { node } => self.core().start_host(node),
            Event::StartDaemon { node } => self.start_daemon(node),
            Event::WorkerBegan { node, life } => self.worker_began(node, life),
            Event::StartHead => self.start_head(),
            Event::WatchHead => self.watch_head(),
            Event::HealDisk => self.core().disk.heal(),
            Event::HealLink { node } => self.core().heal_link(node),
            Event::Fault(fault) => self.strike(fault),
        }
    }

    /// The scheduler side, if it lives, and its life.
    pub(super) fn side(&self) -> Option<(u64, Arc<Side>)> {
        let core = self.core();
        core.head.as_ref().map(|head| (core.head_life, Arc::clone(head.side())))
    }

    /// Opens the log and starts the scheduler side on it, as its service manager does.
    pub(super) fn start_head(&self) {
        let mut core = self.core();
        if core.head.is_some() || std::mem::replace(&mut core.head_starts, true) {
            return;
        }
        let (disk, clock, life, nature) = (core.disk.clone(), core.clock, core.head_life, core.nature);
        drop(core);
        let world = self.clone();
        tokio::spawn(async move {
            let started = open_head(&disk, clock, nature).await;
            world.head_started(life, started);
        });
    }

    fn head_started(&self, life: u64, started: Result<Head, String>) {
        let mut core = self.core();
        core.head_starts = false;
        match started {
            Ok(head) if core.head_life == life => {
                core.note("the scheduler side is up");
                core.head = Some(head);
                core.plan(WATCH_EVERY, Event::WatchHead);
            }
            Ok(head) => {
                drop(tokio::spawn(head.stop()));
                core.plan(100, Event::StartHead);
            }
            Err(error) => {
                core.note(format!("the scheduler side did not start: {error}"));
                if error.starts_with(DAMAGED) {
                    core.failures.push(error);
                }
                // Its process is gone, and with it what it held.
                core.disk.kill();
                core.plan(500, Event::StartHead);
            }
        }
    }

    /// Starts the scheduler side again when it has ended by itself.
    fn watch_head(&self) {
        let Some((_, side)) = self.side() else { return };
        let broken = matches!(side.log.health(), LogHealth::Broken { .. });
        if broken || !side.scheduler.is_bound() {
            self.core().note(format!("the scheduler side has ended: {:?}", side.log.health()));
            self.crash_head(false, 200);
        } else {
            self.core().plan(WATCH_EVERY, Event::WatchHead);
        }
    }

    /// The scheduler side dies in the middle of whatever it does, with the machine's power or alone, and
    /// starts again after a while.
    pub(super) fn crash_head(&self, power_too: bool, restart_after: u64) {
        let mut core = self.core();
        core.head_life += 1;
        let Some(head) = core.head.take() else { return };
        let mut chance = core.rng.fork();
        if power_too {
            core.disk.crash(&mut chance);
        } else {
            core.disk.kill();
        }
        for node in 0..core.nodes.len() {
            core.nodes[node].link.at_head = None;
            if let Some(connection) = core.nodes[node].link.at_worker {
                let notices = core.rng.u64(0..50);
                core.plan(notices, Event::WorkerLoses { node, connection });
            }
        }
        core.plan(restart_after, Event::StartHead);
        drop(core);
        // Nothing it still does reaches anybody: its disk and its connections are dead.
        tokio::spawn(head.stop());
    }
}
