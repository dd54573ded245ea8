//! What goes wrong: a menu of faults, and a seeded plan of them. After its end everything is healed.

use actors::log::disk::simulated::Fault as DiskFault;
use fastrand::Rng;

use super::machine::Node;
use super::world::{Core, Event, Planted, World};

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// The scheduler side dies, perhaps with its machine's power.
    HeadDies {
        power_too: bool,
        restart_after: u64,
    },
    /// The disk under the log is full for a while.
    DiskFull {
        length: u64,
    },
    /// The disk under the log fails, until the scheduler side starts anew.
    DiskBreaks,
    /// The actor of a node panics.
    NodeActorPanics(usize),
    /// A daemon dies; its host goes on.
    DaemonDies {
        node: usize,
        noticed_after: u64,
        restart_after: u64,
    },
    /// An actor of a daemon panics.
    WorkerPanics(usize),
    HostDies {
        node: usize,
        restart_after: u64,
    },
    PortBreaks(usize),
    Reboots {
        node: usize,
        down_for: u64,
    },
    /// Nothing gets through, in either direction or both.
    Cut {
        node: usize,
        cut: (bool, bool),
        length: u64,
    },
    LinkBreaks(usize),
    /// Everything on the way is late, in either direction or both.
    Stall {
        node: usize,
        ways: (bool, bool),
        length: u64,
    },
    /// What the worker is told comes late, and then nothing gets through for longer than leases last.
    Fades {
        node: usize,
        late: u64,
    },
    /// A whole machine stands still, but for its clock.
    Sleeps {
        node: usize,
        length: u64,
    },
    /// A machine has only so much of its memory left for a while, in percent.
    Strained {
        node: usize,
        memory_free: u64,
        length: u64,
    },
    /// An agent dies with the next thing that it begins, before it has said so.
    DiesBeginning(usize),
    /// An actor of the scheduler side panics, where traps are compiled in.
    Panics(Panicking),
}

/// Who panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panicking {
    Scheduler,
    Queue,
    Task,
    /// A task that has written a record and told nobody.
    TaskThatWrote,
    Lease,
}

/// Between two machines that are strained, in milliseconds.
const STRAINED_EVERY: std::ops::Range<u64> = 5000..60_000;

/// Between two deaths of an agent that begins something, in milliseconds.
const DEATHS_EVERY: std::ops::Range<u64> = 3000..40_000;

const PANICKING: [Panicking; 5] =
    [Panicking::Scheduler, Panicking::Queue, Panicking::Task, Panicking::TaskThatWrote, Panicking::Lease];

impl Fault {
    fn draw(rng: &mut Rng, nodes: usize) -> Self {
        let node = rng.usize(..nodes);
        let while_long = if rng.bool() { rng.u64(100..3000) } else { rng.u64(3000..30_000) };
        match rng.u32(..116) {
            0..13 => Self::HeadDies { power_too: rng.bool(), restart_after: rng.u64(10..4000) },
            13..16 => Self::HeadDies { power_too: true, restart_after: rng.u64(15_000..25_000) },
            16..20 => Self::DiskFull { length: rng.u64(100..6000) },
            20..22 => Self::DiskBreaks,
            22..25 => Self::NodeActorPanics(node),
            25..37 => {
                let noticed_after = if rng.bool() { rng.u64(0..50) } else { rng.u64(50..8500) };
                Self::DaemonDies { node, noticed_after, restart_after: while_long }
            }
            37..43 => Self::WorkerPanics(node),
            43..50 => Self::HostDies { node, restart_after: rng.u64(10..3000) },
            50..56 => Self::PortBreaks(node),
            56..64 => Self::Reboots { node, down_for: while_long },
            64..74 => Self::Cut { node, cut: (true, true), length: while_long },
            74..80 => Self::Cut { node, cut: (true, false), length: while_long },
            80..86 => Self::Cut { node, cut: (false, true), length: while_long },
            86..93 => Self::LinkBreaks(node),
            93..98 => Self::Sleeps { node, length: while_long },
            98..105 => Self::Panics(PANICKING[rng.usize(..PANICKING.len())]),
            105..109 => Self::Fades { node, late: rng.u64(3000..8000) },
            _ => {
                let ways = [(true, true), (true, false), (false, true)][rng.usize(..3)];
                Self::Stall { node, ways, length: while_long.min(12_000) }
            }
        }
    }
}

impl Fault {
    /// One that outlasts every lease, for the lie that only such a one shows.
    fn long_cut(rng: &mut Rng, nodes: usize) -> Self {
        Self::Cut { node: rng.usize(..nodes), cut: (true, true), length: rng.u64(18_000..30_000) }
    }
}

/// Plans faults up to `until`, on average one every `pause` milliseconds.
pub(super) fn plan(core: &mut Core, until: u64, pause: u64) {
    let mut rng = core.rng.fork();
    let mut at = rng.u64(500..5000);
    while at < until {
        let fault = match core.nature.planted {
            Planted::NoDeadline => Fault::long_cut(&mut rng, core.nodes.len()),
            _ => Fault::draw(&mut rng, core.nodes.len()),
        };
        core.plan_at(at, Event::Fault(fault));
        at += rng.u64(1..=2 * pause);
    }
    plan_strain(core, rng.fork(), until);
    plan_deaths(core, rng.fork(), until);
}

/// Now and then a machine is strained: beside the other faults, so that these are the same with it and without.
fn plan_strain(core: &mut Core, mut rng: Rng, until: u64) {
    let mut at = rng.u64(STRAINED_EVERY);
    while at < until {
        let (node, memory_free) = (rng.usize(..core.nodes.len()), rng.u64(0..12));
        let length = rng.u64(1000..20_000);
        core.plan_at(at, Event::Fault(Fault::Strained { node, memory_free, length }));
        at += rng.u64(STRAINED_EVERY);
    }
}

/// Now and then an agent dies with what it begins: beside the other faults, too.
fn plan_deaths(core: &mut Core, mut rng: Rng, until: u64) {
    for node in (0..core.nodes.len()).filter(|node| core.nodes[*node].agent.is_some()).collect::<Vec<_>>() {
        let mut at = rng.u64(DEATHS_EVERY);
        while at < until {
            core.plan_at(at, Event::Fault(Fault::DiesBeginning(node)));
            at += rng.u64(DEATHS_EVERY);
        }
    }
}

impl World {
    pub(super) fn strike(&self, fault: Fault) {
        self.core().note(format!("{fault:?}"));
        match fault {
            Fault::HeadDies { power_too, restart_after } => self.crash_head(power_too, restart_after),
            Fault::DiskFull { length } => {
                let mut core = self.core();
                let after = core.rng.u64(..10);
                core.disk.fail_after(after, DiskFault::Full);
                core.plan(length, Event::HealDisk);
            }
            Fault::DiskBreaks => {
                let mut core = self.core();
                let after = core.rng.u64(..10);
                core.disk.fail_after(after, DiskFault::Broken);
            }
            Fault::NodeActorPanics(node) => self.core().nodes[node].link.panics = true,
            Fault::DaemonDies { node, noticed_after, restart_after } => {
                self.crash_daemon(node, noticed_after);
                self.core().plan(restart_after, Event::StartDaemon { node });
            }
            Fault::WorkerPanics(node) => {
                let mut core = self.core();
                core.nodes[node].panics = core.nodes[node].daemon.is_some();
            }
            Fault::HostDies { node, restart_after } => {
                let mut core = self.core();
                let Node { agent, daemon, .. } = &mut core.nodes[node];
                match agent {
                    // What it has in place of a host dies alone.
                    Some(agent) => agent.desk_panics = daemon.is_some(),
                    None => core.crash_host(node, restart_after),
                }
            }
            Fault::PortBreaks(node) if self.core().nodes[node].agent.is_some() => self.agent_dies(node),
            Fault::PortBreaks(node) => self.core().break_port(node),
            Fault::Reboots { node, down_for } => self.reboot(node, down_for),
            Fault::Cut { node, cut, length } => self.core().cut_link(node, cut, length),
            Fault::LinkBreaks(node) => self.core().break_link(node),
            Fault::Stall { node, ways, length } => self.core().stall_link(node, ways, length),
            Fault::Fades { node, late } => {
                let mut core = self.core();
                core.stall_link(node, (false, true), late);
                let (after, length) = (core.rng.u64(..3000), core.rng.u64(18_000..30_000));
                core.plan(after, Event::Fault(Fault::Cut { node, cut: (true, true), length }));
            }
            Fault::Sleeps { node, length } => self.core().sleep(node, length),
            Fault::Strained { node, memory_free, length } => {
                let mut core = self.core();
                core.nodes[node].memory.set(memory_free);
                core.plan(length, Event::Relaxed(node));
            }
            Fault::DiesBeginning(node) => self.core().condemn(node),
            Fault::Panics(who) => traps::lay(who),
        }
    }

    /// No more faults: everything is healed and started.
    pub(super) fn calm(&self) {
        traps::remove();
        let mut core = self.core();
        core.note("calm from here on");
        core.nature.lost = 0;
        core.nature.doubled = 0;
        core.disk.heal();
        core.plan(0, Event::StartHead);
        for node in 0..core.nodes.len() {
            core.heal_link(node);
            core.nodes[node].link.panics = false;
            core.nodes[node].panics = false;
            core.spare_agent(node);
            core.nodes[node].memory.set(100);
            core.plan(0, Event::StartHost { node });
            core.plan(0, Event::StartDaemon { node });
        }
    }
}

/// Panics are laid as traps in the code, which are compiled in together with the planted faults.
#[cfg(feature = "mutants")]
pub(super) mod traps {
    use policy::mutant::{self, Trap};

    use super::Panicking;

    pub(in super::super) fn lay(who: Panicking) {
        mutant::lay(match who {
            Panicking::Scheduler => Trap::Scheduler,
            Panicking::Queue => Trap::Queue,
            Panicking::Task => Trap::Task,
            Panicking::TaskThatWrote => Trap::TaskWrote,
            Panicking::Lease => Trap::Lease,
        });
    }

    pub(in super::super) fn remove() {
        mutant::remove_traps();
    }
}

#[cfg(not(feature = "mutants"))]
pub(super) mod traps {
    pub(in super::super) fn lay(_: super::Panicking) {}
    pub(in super::super) fn remove() {}
}
