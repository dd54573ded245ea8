//! Whom the actors of the scheduler side know: their addresses and shared handles, made before any of them
//! starts. Holds nothing that changes by itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use policy::directive::Directives;
use policy::graph::Mark;
use policy::id::{Epoch, NodeId, Token};
use policy::lease::LeaseTerms;
use policy::pressure::Mode;
use policy::task::Priority;
use strum::VariantArray;
use supervision::dynamic::{Dynamic, Options};
use supervision::{Address, Reply};
use tokio::task::JoinSet;

use crate::archive::{Archive, Place};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::config::{Config, Limits};
use crate::inspect::InspectorMessage;
use crate::inspect::reach::Reach;
use crate::lease::{LeaseActor, LeaseArgs, LeaseMessage, NodeDeadline};
use crate::log::Log;
use crate::meters::Meters;
use crate::node::{NodeActor, NodeArgs, NodeMessage};
use crate::queue::QueueMessage;
use crate::scheduler::SchedulerMessage;
use crate::session::node::SshNode;
use crate::story::Items;
use crate::task::{Purpose, Seat, Step, TaskActor, TaskArgs, TaskMessage};
use crate::tree;
use crate::trust::Fleet;
use crate::wire::client::SettingRow;

/// Node names known at once: far above the fleets this is made for, low enough to hold their actors.
pub const NODES_LIMIT: usize = 1024;

/// What the actors of the scheduler side share.
#[derive(Debug)]
pub struct Side {
    /// Where facts go.
    pub log: Log,
    /// Where facts are found again.
    pub archive: Archive,
    /// The time.
    pub clock: Clock,
    /// How leases are timed.
    pub terms: LeaseTerms,
    /// How much of everything.
    limits: ArcSwap<Limits>,
    /// Every setting, for people.
    settings: ArcSwap<Vec<SettingRow>>,
    /// The machines that are reached by SSH alone, at most [`NODES_LIMIT`].
    ways: ArcSwap<BTreeMap<NodeId, SshNode>>,
    /// The scheduler.
    pub scheduler: Address<SchedulerMessage>,
    /// The queues, by priority: low, normal, high, critical.
    pub queues: [Address<QueueMessage>; 4],
    /// The inspector of this side.
    pub inspector: Address<InspectorMessage>,
    /// The inspectors of the machines.
    pub reach: Reach,
    /// All awake tasks.
    pub tasks: Dynamic<TaskActor>,
    /// All leases.
    pub leases: Dynamic<LeaseActor>,
    /// All nodes.
    pub nodes: Nodes,
    /// The items used last.
    pub items: Items,
    /// What is counted.
    pub meters: Meters,
    /// What was refused, and what was done by whom.
    pub audit: Audit,
    /// Who belongs to the fleet, where that is kept, and where it listens.
    enrolment: OnceLock<(Arc<Fleet>, Option<SocketAddr>)>,
    /// What operators have said.
    directives: ArcSwap<Directives>,
    epoch: AtomicU32,
    mode: AtomicU8,
}

impl Side {
    /// Addresses nobody stands behind yet.
    #[must_use]
    pub fn new(log: Log, place: Place, clock: Clock, terms: LeaseTerms, limits: Limits) -> Arc<Self> {
        let queue = |priority: Priority| Address::new("queue", priority.to_string());
        let tasks = Options { limit: limits.awake_tasks, ..Options::default() };
        Arc::new(Self {
            archive: Archive::new(log.clone(), place),
            log,
            clock,
            terms,
            scheduler: Address::new("scheduler", ""),
            inspector: Address::new("inspector", ""),
            reach: Reach::default(),
            queues: [Priority::Low, Priority::Normal, Priority::High, Priority::Critical].map(queue),
            tasks: Dynamic::transient("tasks", tasks, tree::DYNAMIC_INTENSITY, Some(tree::RESTART_BACKOFF)),
            leases: Dynamic::transient("leases", tasks, tree::DYNAMIC_INTENSITY, Some(tree::RESTART_BACKOFF)),
            nodes: Nodes::new(Dynamic::transient(
                "nodes",
                Options { limit: NODES_LIMIT, ..Options::default() },
                tree::NODES_INTENSITY,
                None,
            )),
            items: Items::default(),
            meters: Meters::default(),
            audit: Audit::default(),
            enrolment: OnceLock::new(),
            directives: ArcSwap::default(),
            epoch: AtomicU32::new(0),
            mode: AtomicU8::new(0),
            limits: ArcSwap::from_pointee(limits),
            settings: ArcSwap::from_pointee(Config::default().shown()),
            ways: ArcSwap::default(),
        })
    }

    /// How much of everything, as of now.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.load_full()
    }

    /// Other limits from now on. Those of actors and shapes hold from the next start.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    /// Every setting that holds, for people.
    #[must_use]
    pub fn settings(&self) -> Arc<Vec<SettingRow>> {
        self.settings.load_full()
    }

    /// Other settings are shown from now on.
    pub fn show_settings(&self, settings: Vec<SettingRow>) {
        self.settings.store(Arc::new(settings));
    }

    /// How a machine is reached that is reached by SSH alone.
    #[must_use]
    pub fn way_to(&self, node: &NodeId) -> Option<SshNode> {
        self.ways.load().get(node).cloned()
    }

    /// Whether a machine is reached by SSH alone.
    #[must_use]
    pub fn is_abroad(&self, node: &NodeId) -> bool {
        self.ways.load().contains_key(node)
    }

    /// These are all the machines that are reached by SSH alone.
    pub fn show_ways(&self, ways: BTreeMap<NodeId, SshNode>) {
        self.ways.store(Arc::new(ways));
    }

    /// This fleet has certificates. Said once, before anybody is let in.
    pub fn secure(&self, fleet: Arc<Fleet>, listens: Option<SocketAddr>) {
        let _ = self.enrolment.set((fleet, listens));
    }

    /// Who belongs to the fleet, and where it listens; `None` where it has no certificates.
    #[must_use]
    pub fn enrolment(&self) -> Option<&(Arc<Fleet>, Option<SocketAddr>)> {
        self.enrolment.get()
    }

    /// The present reign.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    /// A new reign begins.
    pub fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Relaxed);
    }

    /// What operators have said and not taken back, as far as the scheduler knows.
    #[must_use]
    pub fn directives(&self) -> Arc<Directives> {
        self.directives.load_full()
    }

    /// An operator has said something.
    pub fn set_directives(&self, directives: Directives) {
        self.directives.store(Arc::new(directives));
    }

    /// How strained the queue is, as the scheduler saw it last.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let mode = usize::from(self.mode.load(Ordering::Relaxed));
        Mode::VARIANTS.get(mode).copied().unwrap_or_default()
    }

    /// The scheduler sees another strain.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// The queue of a priority.
    #[must_use]
    pub fn queue(&self, priority: Priority) -> &Address<QueueMessage> {
        &self.queues[priority as usize]
    }

    /// Wakes the actor of a task; `None` where it could not start, which is logged.
    #[must_use]
    pub fn wake(self: &Arc<Self>, seat: Seat, purpose: Purpose) -> Option<Address<TaskMessage>> {
        self.start_task(TaskArgs::new(seat, Arc::clone(self), purpose))
    }

    /// Wakes the actor of a task for something that its start does whole: what it has written for that.
    #[must_use]
    pub fn wake_to_write(self: &Arc<Self>, seat: Seat, purpose: Purpose) -> Vec<(Step, Mark)> {
        let (args, hearing) = TaskArgs::new(seat, Arc::clone(self), purpose).heard_at_once();
        let _ = self.start_task(args);
        hearing.end()
    }

    fn start_task(&self, args: TaskArgs) -> Option<Address<TaskMessage>> {
        let task = args.seat.task;
        let address = Address::new("task", task.to_string());
        match self.tasks.start(args, &address) {
            Ok(()) => Some(address),
            Err(refusal) => {
                tracing::error!(%task, %refusal, "a task could not be woken");
                None
            }
        }
    }

    /// The lease of a grant, asleep: most attempts are over before it has anything to do. The node wakes it.
    #[must_use]
    pub fn start_lease(
        &self,
        token: Token,
        deadline: &NodeDeadline,
        task: &Address<TaskMessage>,
    ) -> Address<LeaseMessage> {
        let address = Address::new("lease", token.to_string());
        let (deadline, task) = (deadline.clone(), task.clone());
        let args = LeaseArgs { token, deadline, task, clock: self.clock };
        if let Err(refusal) = self.leases.start_asleep(args, &address) {
            tracing::error!(%token, %refusal, "a lease could not be started");
        }
        address
    }

    /// The attempt of a lease is over.
    pub fn end_lease(&self, lease: &Address<LeaseMessage>) {
        if !self.leases.dismiss(lease) {
            lease.tell(LeaseMessage::Release);
        }
    }
}

/// The nodes' actors by name.
#[derive(Debug)]
pub struct Nodes {
    actors: Dynamic<NodeActor>,
    addresses: Mutex<BTreeMap<NodeId, Address<NodeMessage>>>,
}

impl Nodes {
    /// None yet; their actors will live under `actors`.
    #[must_use]
    pub fn new(actors: Dynamic<NodeActor>) -> Self {
        Self { actors, addresses: Mutex::new(BTreeMap::new()) }
    }

    /// The actor of a node, started now if the node is new; `None` where there are too many.
    pub fn get_or_start(&self, node: &NodeId, side: &Arc<Side>) -> Option<Address<NodeMessage>> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = addresses.get(node) {
            return Some(address.clone());
        }
        if addresses.len() >= NODES_LIMIT {
            return None;
        }
        let address = Address::new("node", &*node.0);
        let args = NodeArgs { node: node.clone(), side: Arc::clone(side) };
        if let Err(refusal) = self.actors.start(args, &address) {
            tracing::error!(%node, %refusal, "a node could not be started");
            return None;
        }
        addresses.insert(node.clone(), address.clone());
        Some(address)
    }

    /// What goes into the tree.
    #[must_use]
    pub fn child(&self) -> supervision::supervisor::Child {
        self.actors.child()
    }

    /// A new reign begins with none.
    pub fn forget_all(&self) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets a node, whose actor ends.
    pub fn forget(&self, node: &NodeId) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).remove(node);
    }

    /// The actor of a node that is known.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<Address<NodeMessage>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned()
    }

    /// Asks `nodes` all at once; the answers of those that answer within that time, by name.
    pub async fn ask<R: Send + 'static>(
        nodes: Vec<(NodeId, Address<NodeMessage>)>,
        within: Duration,
        question: fn(Reply<R>) -> NodeMessage,
    ) -> Vec<(NodeId, R)> {
        let mut asked = JoinSet::new();
        for (name, node) in nodes {
            asked.spawn(async move { Some((name, node.ask(within, question).await.ok()?)) });
        }
        let mut answers: Vec<_> = asked.join_all().await.into_iter().flatten().collect();
        answers.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        answers
    }

    /// All that are known, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(NodeId, Address<NodeMessage>)> {
        let addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.iter().map(|(node, address)| (node.clone(), address.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use supervision::supervisor::start_behind;
    use supervision::{Actor, ActorError, Child, Intensity, Me, Strategy, SupervisorArgs};

    use super::*;

    /// A node that tells of itself, or takes questions and never answers.
    struct Told(bool, Vec<NodeMessage>);

    impl Actor for Told {
        const KIND: &'static str = "node";
        type Message = NodeMessage;
        type Args = bool;

        fn start(answers: bool, _: &Me<NodeMessage>) -> Result<Self, ActorError> {
            Ok(Self(answers, Vec::new()))
        }

        fn handle(&mut self, message: NodeMessage, _: &Me<NodeMessage>) -> Result<(), ActorError> {
            match message {
                NodeMessage::Describe(reply) if self.0 => reply.send(None),
                other => self.1.push(other),
            }
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_hang_keep_nobody_from_being_heard() {
        let nodes: Vec<_> = ["a", "b", "c", "d"].map(|name| (name.into(), Address::new("node", name))).into();
        let child = |(at, (name, address)): (usize, &(NodeId, Address<NodeMessage>))| {
            Child::worker::<Told>(name.0.as_ref(), address, move || at % 2 == 1)
        };
        let children = nodes.iter().enumerate().map(child).collect();
        let second = Duration::from_secs(1);
        let fleet = SupervisorArgs::new("fleet", Strategy::OneForOne, Intensity::new(3, second), children);
        let _tree = start_behind(Address::new("supervisor", "fleet"), fleet).await.expect("it starts");

        let asked = tokio::time::Instant::now();
        let heard = Nodes::ask(nodes, second, NodeMessage::Describe).await;
        assert_eq!(heard.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b".into(), "d".into()]);
        assert!(asked.elapsed() < second * 2, "all are waited for at once");
    }
}
