//! Agents in the world: machines without a host, whose attempts are calls under the real desk, and tasks for them.
//!
//! What truly ran is what the functions themselves write down. An agent that dies takes its desk and its functions with it, and
//! nothing is kept.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use actors::agent::desk::{Desk, DeskArgs, DeskMessage, DeskPort};
use actors::agent::{Call, Handlers, REACHED};
use actors::process::port::{HostEvent, HostPort};
use actors::process::protocol::{Command, HostDirectory, HostReport};
use actors::worker::WorkerMessage;
use fastrand::Rng;
use policy::constraint::Constraints;
use policy::handler;
use policy::submission::Submission;
use policy::task::TaskSpec;
use supervision::{Address, Child};

use super::house::House;
use super::machine::{DIRECTORY, Hands, Node};
use super::program::Program;
use super::world::{Core, Event, World};
use crate::history::Process;

/// What all of them handle.
const KIND: &str = "simulated";

/// Milliseconds from the death of an agent to its next life, where whoever looks after it is quick.
const AT_ONCE: std::ops::Range<u64> = 2..300;

/// What an agent has in place of a host.
pub(super) struct Agent {
    /// How many calls at once.
    pub(super) at_once: u32,
    /// Its desk panics at its next word.
    pub(super) desk_panics: bool,
    /// All of it dies when it begins something.
    dies_beginning: bool,
}

/// How many agents there are beside the machines.
pub(super) fn count(seed: u64, house: &House) -> usize {
    // Of chance of their own, so that other seeds stay as they are.
    let mut rng = Rng::with_seed(seed ^ 0xA6E7);
    if rng.u32(..3) == 0 && house.crowd.is_none() { rng.usize(1..3) } else { 0 }
}

/// Adds them to a world.
pub(super) fn join(core: &mut Core, (seed, count): (u64, usize)) {
    let mut rng = Rng::with_seed(!seed ^ 0xA6E7);
    for _ in 0..count {
        let (number, at_once) = (core.nodes.len(), rng.u32(1..5));
        let capacity = handlers(at_once, |_| async { Ok(()) }).capacity();
        let labels = vec![(REACHED.0.into(), REACHED.1.into())];
        let mut node = Node::new(number, capacity, 0);
        (node.labels, node.agent) =
            (labels, Some(Agent { at_once, desk_panics: false, dies_beginning: false }));
        core.nodes.push(node);
        core.plan(rng.u64(..2000), Event::StartDaemon { node: number });
    }
}

/// Makes messages of some of what clients hand in, where there is somebody who handles them.
pub(super) fn address(submission: &mut Submission, world: &World) {
    if world.core().nature.agents == 0 {
        return;
    }
    let mut rng =
        Rng::with_seed(!u64::try_from(submission.key.0 & u128::from(u64::MAX)).expect("it is masked") ^ 0xA6);
    for item in &mut submission.items {
        let is_one = rng.bool();
        // What is too large is to stay so.
        if is_one && item.spec.gang.is_none() && item.spec.resources.cpu_millis <= 4000 {
            *Arc::make_mut(&mut item.spec) = for_handler(&item.spec);
        }
    }
}

/// The same for an agent.
pub(super) fn for_handler(spec: &TaskSpec) -> TaskSpec {
    let message = TaskSpec::for_handler(&spec.name, KIND, Program::of(&spec.argv).payload());
    let avoid_failed = spec.constraints.avoid_failed;
    TaskSpec {
        argv: message.argv,
        kind: message.kind,
        resources: message.resources,
        alternatives: Vec::new(),
        stages: None,
        constraints: Constraints { avoid_failed, ..Constraints::default() },
        ..spec.clone()
    }
}

fn handlers<R>(at_once: u32, function: impl Fn(Call) -> R + Send + Sync + 'static) -> Handlers
where
    R: Future<Output = Result<(), String>> + Send + 'static,
{
    Handlers::default().with(KIND, at_once, function)
}

/// The worker's way to its desk, of no effect once the agent is dead.
struct AtDesk {
    hands: Arc<Hands>,
    desk: DeskPort,
}

impl HostPort for AtDesk {
    fn command(&self, command: Command) {
        if self.hands.take() {
            self.desk.command(command);
        }
    }

    fn remembers(&self) -> bool {
        self.desk.remembers()
    }
}

/// A call that is going on: over when this is dropped.
struct Going {
    world: World,
    place: usize,
}

impl Drop for Going {
    fn drop(&mut self) {
        self.world.core().call_ended(self.place);
    }
}

impl World {
    /// What an agent has in place of the connection to a host, and the actor behind it.
    pub(super) fn desk(
        &self,
        (hands, worker): (&Arc<Hands>, &Address<WorkerMessage>),
        at_once: u32,
    ) -> (Arc<dyn HostPort>, Child) {
        let (node, life) = hands.of();
        let address: Address<DeskMessage> = Address::new("desk", "");
        let (world, hears) = (self.clone(), worker.clone());
        let calls = self.clone();
        let args = DeskArgs {
            handlers: handlers(at_once, move |call| calls.clone().call((node, life), call)),
            directory: HostDirectory::new(DIRECTORY),
            clock: self.core().nodes[node].clock,
            listener: Arc::new(move |event| world.desk_said((node, life), &hears, event)),
        };
        let child = Child::worker::<Desk>("desk", &address, move || args.clone());
        (Arc::new(AtDesk { hands: Arc::clone(hands), desk: DeskPort(address) }), child)
    }

    fn desk_said(&self, (node, life): (usize, u64), worker: &Address<WorkerMessage>, event: HostEvent) {
        let mut core = self.core();
        if core.nodes[node].life != life {
            return;
        }
        if core.nodes[node].agent.as_mut().is_some_and(|agent| std::mem::take(&mut agent.desk_panics)) {
            drop(core);
            std::panic::resume_unwind(Box::new("planted"));
        }
        let HostEvent::Reports(mut reports) = event else { return };
        // How far they are is read by a thread of its own, which has no place in simulated time.
        reports.retain(|report| !matches!(report, HostReport::Sampled(_)));
        worker.tell(WorkerMessage::Host(HostEvent::Reports(reports)));
    }

    /// What is called for every task.
    async fn call(self, (node, life): (usize, u64), call: Call) -> Result<(), String> {
        self.until_awake(node).await;
        let Some(going) = self.call_begun((node, life), &call) else { return pending().await };
        if self.core().is_condemned(node) {
            self.agent_dies(node);
            return pending().await;
        }
        let words = [String::from_utf8_lossy(call.payload()).into_owned().into()];
        let program = Program::of(&words);
        let heard = async {
            call.cancelled().await;
            match program.obeys_after {
                Some(after) => tokio::time::sleep(Duration::from_millis(after)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_millis(program.length)) => {}
            () = heard => {}
        }
        self.until_awake(node).await;
        if program.kills && !call.is_cancelled() {
            self.agent_dies(node);
            return pending().await;
        }
        drop(going);
        let code = if program.is_missing { 1 } else { program.exit_code(call.attempt()) };
        if code == 0 { Ok(()) } else { Err("it fails".to_owned()) }
    }

    fn call_begun(&self, (node, life): (usize, u64), call: &Call) -> Option<Going> {
        let mut core = self.core();
        if core.nodes[node].life != life {
            return None;
        }
        let (name, started) = (core.nodes[node].name.clone(), core.clock.wall());
        let (task, token, need) = (call.task(), call.token(), handler::need(KIND));
        let (ended, frozen, place) = (None, Vec::new(), core.processes.len());
        core.processes.push(Process { task, token, node: name, need, started, ended, frozen });
        Some(Going { world: self.clone(), place })
    }

    /// The actors of an agent go on while its machine sleeps, and reach nobody; what they call begins and ends when it wakes.
    async fn until_awake(&self, node: usize) {
        let left = || {
            let core = self.core();
            core.sleeping(node).map(|wakes| Duration::from_millis(wakes - core.now()))
        };
        while let Some(left) = left() {
            tokio::time::sleep(left).await;
        }
    }

    /// Its process dies, and whoever looks after it starts it again at once.
    pub(super) fn agent_dies(&self, node: usize) {
        let (noticed, again) = {
            let mut core = self.core();
            core.note(format!("the agent n{node} dies"));
            (core.rng.u64(0..8500), core.rng.u64(AT_ONCE))
        };
        self.crash_daemon(node, noticed);
        self.core().plan(again, Event::StartDaemon { node });
    }
}

impl Core {
    /// What stood still with its machine ends when that wakes.
    fn call_ended(&mut self, place: usize) {
        // Where the world has ended all is told.
        let Some(process) = self.processes.get(place) else { return };
        let node = self.nodes.iter().position(|node| node.name == process.node);
        let wakes = node.and_then(|node| self.sleeping(node)).map_or(0, |wakes| wakes - self.now());
        let ended = self.clock.wall() + Duration::from_millis(wakes);
        self.processes[place].ended.get_or_insert(ended);
    }

    /// The calls that are going on at an agent, as places among all processes.
    pub(super) fn going(&self, node: usize) -> Vec<usize> {
        let Node { agent, name, .. } = &self.nodes[node];
        let is_going = |one: &Process| agent.is_some() && one.node == *name && one.ended.is_none();
        (0..self.processes.len()).filter(|place| is_going(&self.processes[*place])).collect()
    }

    /// An agent is to die with what it begins next.
    pub(super) fn condemn(&mut self, node: usize) {
        if let Some(agent) = &mut self.nodes[node].agent {
            agent.dies_beginning = true;
        }
    }

    fn is_condemned(&mut self, node: usize) -> bool {
        self.nodes[node].agent.as_mut().is_some_and(|agent| std::mem::take(&mut agent.dies_beginning))
    }

    /// Nothing more is to happen to it.
    pub(super) fn spare_agent(&mut self, node: usize) {
        if let Some(agent) = &mut self.nodes[node].agent {
            (agent.desk_panics, agent.dies_beginning) = (false, false);
        }
    }

    /// With an agent its functions end, wherever they are.
    pub(super) fn end_calls(&mut self, node: usize) {
        if let Some(agent) = &mut self.nodes[node].agent {
            agent.desk_panics = false;
        }
        let now = self.clock.wall();
        for place in self.going(node) {
            self.processes[place].ended = Some(now);
        }
    }
}
