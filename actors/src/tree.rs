//! Who supervises whom, on one screen.
//!
//! ```text
//! scheduler side (rest for one)              machine side (one for one)
//! ├─ log                                     ├─ machine: processes*, worker, dialler
//! │                                          └─ inspection: inspector, which may fail alone
//! ├─ core (one for all)
//! │  ├─ nodes*   one actor per node
//! │  ├─ leases*  one per granted attempt
//! │  ├─ tasks*   one per awake task
//! │  ├─ low, normal, high, critical
//! │  ├─ scheduler
//! │  ├─ keeper
//! │  └─ gateway
//! ├─ inspection: inspector, which may fail alone
//! └─ what the program adds: the link's listener
//! ```
//!
//! \* dynamic: started alone; tasks and leases are restarted alone too. The rest of the core restarts
//! together, by replay of the log: one path for the crash of an actor and of the process. The log outlives everyone; when it is
//! broken nothing can be promised any more, so its end is the end of the program, which the service
//! manager starts again. The front door opens last and closes first.

use std::sync::Arc;
use std::time::Duration;

use policy::task::Priority;
use strum::VariantArray;
use supervision::supervisor::{Supervisor, SupervisorMessage};
use supervision::{Actor, Address, Backoff, Child, Intensity, Strategy, SupervisorArgs};

use crate::archive::keeper::{KeeperActor, KeeperArgs};
use crate::gateway::{GatewayActor, GatewayArgs, GatewayMessage};
use crate::inspect::{self, InspectorArgs};
use crate::log::actor::{LogActor, LogArgs, LogMessage};
use crate::queue::{QueueActor, QueueArgs};
use crate::scheduler::{SchedulerActor, SchedulerArgs};
use crate::side::Side;
use crate::wire::client::ServerInfo;
use crate::workspace::Workspaces;

/// Restarts of the core: a panic that comes back at once after a replay will come back for ever.
const CORE_INTENSITY: Intensity = Intensity::new(5, Duration::from_secs(60));

/// A node that starts again alone would not know what it has granted, and would tell its worker to forget
/// ends that nobody has heard of: the core starts again with it.
pub const NODES_INTENSITY: Intensity = Intensity::NONE;

/// Restarts of tasks or leases, all of a kind together.
pub const DYNAMIC_INTENSITY: Intensity = Intensity::new(100, Duration::from_secs(10));

/// Restarts of a machine's worker: the processes themselves live in the host and are not touched.
pub const MACHINE_INTENSITY: Intensity = Intensity::new(10, Duration::from_secs(60));

/// Before a dynamic child is started again.
pub const RESTART_BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(10),
    most: Duration::from_secs(1),
    healthy_after: Duration::from_secs(10),
};

/// The kind of actor that roots are.
pub const SUPERVISOR: &str = Supervisor::KIND;
/// What the root of the scheduler side is called.
pub const SCHEDULER_SIDE: &str = "scheduler-side";
/// What the root of a machine side is called.
pub const MACHINE_SIDE: &str = "machine-side";

/// The machine side behind `root`: `work`, which restarts together, and an inspector beside it.
#[must_use]
pub fn machine_side(
    root: &Address<SupervisorMessage>,
    (inspector, spaces): (&Address<inspect::InspectorMessage>, &Arc<Workspaces>),
    work: Vec<Child>,
) -> SupervisorArgs {
    let machine = SupervisorArgs::new("machine", Strategy::OneForAll, MACHINE_INTENSITY, work);
    let inspector = inspect::child(
        inspector,
        InspectorArgs { root: root.clone(), head: None, spaces: Some(Arc::clone(spaces)) },
    );
    let children = vec![Child::supervisor(machine), inspector];
    SupervisorArgs::new(MACHINE_SIDE, Strategy::OneForOne, Intensity::NONE, children)
}

/// The scheduler side behind `root` with its front door `gateway`; `last` are the children that the program adds.
#[must_use]
pub fn scheduler_side(
    side: &Arc<Side>,
    gateway: &Address<GatewayMessage>,
    root: &Address<SupervisorMessage>,
    server: &ServerInfo,
    last: Vec<Child>,
) -> SupervisorArgs {
    let log = side.log.clone();
    let args = move || LogArgs { log: log.clone() };
    let log = Child::worker::<LogActor>("log", &Address::<LogMessage>::new("log", ""), args);
    let head = Some((Arc::clone(side), gateway.clone()));
    let inspector = inspect::child(&side.inspector, InspectorArgs { root: root.clone(), head, spaces: None });
    let mut children = vec![log, Child::supervisor(core(side, gateway, server)), inspector];
    children.extend(last);
    SupervisorArgs::new(SCHEDULER_SIDE, Strategy::RestForOne, Intensity::NONE, children)
}

fn core(side: &Arc<Side>, gateway: &Address<GatewayMessage>, server: &ServerInfo) -> SupervisorArgs {
    let mut children = vec![side.nodes.child(), side.leases.child(), side.tasks.child()];
    for priority in Priority::VARIANTS.iter().copied() {
        let queue = side.queue(priority);
        let of_queue = Arc::clone(side);
        let args = move || QueueArgs { side: Arc::clone(&of_queue), priority };
        children.push(Child::worker::<QueueActor>(queue.probe().name(), queue, args));
    }
    let of_scheduler = Arc::clone(side);
    let args = move || SchedulerArgs { side: Arc::clone(&of_scheduler) };
    children.push(Child::worker::<SchedulerActor>("scheduler", &side.scheduler, args));
    let of_keeper = Arc::clone(side);
    let args = move || KeeperArgs { side: Arc::clone(&of_keeper) };
    children.push(Child::worker::<KeeperActor>("keeper", &Address::new("keeper", ""), args));
    let (of_gateway, server) = (Arc::clone(side), server.clone());
    let args = move || GatewayArgs { side: Arc::clone(&of_gateway), server: server.clone() };
    children.push(Child::worker::<GatewayActor>("gateway", gateway, args));
    SupervisorArgs::new("core", Strategy::OneForAll, CORE_INTENSITY, children)
}
