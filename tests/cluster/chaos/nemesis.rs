//! What is done to the fleet, and undone again: chosen by a seed, one thing after the other and some at once, but
//! never two to one daemon, one cable, one disk or one clock.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::land::Way;
use super::town::{AGENTS, HEAD, Machine, Town, WORKERS};

/// Between two faults, on average.
const BETWEEN: Duration = Duration::from_millis(800);

/// Between two looks at what is to be undone.
const LOOK: Duration = Duration::from_millis(20);

/// What a filled disk is filled with, piece by piece.
static FILLER: [u8; 1 << 20] = [0x5a; 1 << 20];

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// kill -9 of the daemon, which is started again.
    DaemonKilled,
    /// kill -9 of the process host, while its daemon runs on.
    HostKilled,
    /// Both at once.
    MachineKilled,
    /// kill -9 of what a task runs.
    TaskKilled,
    /// SIGSTOP of the daemon.
    DaemonStopped,
    /// Packets are lost, from a machine, to it or both ways.
    Cut,
    /// The relay passes nothing on, one way or both.
    Held,
    /// 200 ms each way.
    Delayed,
    /// One piece of twenty comes late, as after a loss.
    Lossy,
    /// All connections of a machine break.
    Broken,
    /// Nothing more can be written.
    DiskFull,
    /// The wall clock of a machine is an hour ahead, or behind.
    ClockSet,
}

const FAULTS: [Fault; 12] = [
    Fault::DaemonKilled,
    Fault::HostKilled,
    Fault::MachineKilled,
    Fault::TaskKilled,
    Fault::DaemonStopped,
    Fault::Cut,
    Fault::Held,
    Fault::Delayed,
    Fault::Lossy,
    Fault::Broken,
    Fault::DiskFull,
    Fault::ClockSet,
];

/// What one thing at a time is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Daemon,
    Cable,
    Relay,
    Clock,
}

/// What is under way on a part of a machine, and when it ends.
#[derive(Debug)]
struct Active {
    fault: Fault,
    way: Way,
    until: Instant,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Nemesis {
    random: fastrand::Rng,
    active: BTreeMap<(Machine, Part), Active>,
    /// How often each was done.
    pub(super) done: BTreeMap<Fault, u32>,
    /// How long a daemon stands still, or is cut off, at the most.
    longest: Duration,
}

impl Nemesis {
    pub(super) fn new(seed: u64, longest: Duration) -> Self {
        let (random, done) = (fastrand::Rng::with_seed(seed), BTreeMap::new());
        Self { random, active: BTreeMap::new(), done, longest }
    }

    /// Acts for so long, or until something has gone wrong elsewhere; then all is well again.
    pub(super) fn rage(&mut self, town: &mut Town, length: Duration, goes_on: impl Fn() -> bool) {
        let end = Instant::now() + length;
        let mut next = Instant::now();
        while Instant::now() < end && goes_on() {
            if Instant::now() >= next {
                self.strike(town);
                next += BETWEEN.mul_f64(self.random.f64() * 2.0);
            }
            self.undo(town, Instant::now());
            std::thread::park_timeout(LOOK);
        }
        self.undo(town, Instant::now() + self.longest * 2);
    }

    fn strike(&mut self, town: &mut Town) {
        let fault = FAULTS[self.random.usize(..FAULTS.len())];
        let Some((machine, part)) = self.target(fault, town) else { return };
        if self.active.contains_key(&(machine, part)) {
            return;
        }
        let way = [Way::From, Way::To, Way::Both, Way::Both][self.random.usize(..4)];
        self.begin(fault, machine, way, town);
        *self.done.entry(fault).or_default() += 1;
        let longest = match fault {
            Fault::DaemonKilled | Fault::MachineKilled => self.longest / 4,
            Fault::HostKilled | Fault::TaskKilled | Fault::Broken => Duration::ZERO,
            // A scheduler that stands still for long keeps all else from happening.
            _ if machine == HEAD => self.longest / 3,
            _ => self.longest,
        };
        let until = Instant::now() + longest.mul_f64(self.random.f64());
        self.active.insert((machine, part), Active { fault, way, until });
    }

    /// What it would be done to; `None` where that is not possible here.
    fn target(&mut self, fault: Fault, town: &Town) -> Option<(Machine, Part)> {
        let worker = HEAD + 1 + self.random.usize(..WORKERS);
        let member = HEAD + 1 + self.random.usize(..WORKERS + AGENTS);
        let daemon = HEAD + self.random.usize(..=WORKERS);
        match fault {
            Fault::DaemonKilled | Fault::DaemonStopped => Some((daemon, Part::Daemon)),
            Fault::HostKilled | Fault::MachineKilled | Fault::TaskKilled => Some((worker, Part::Daemon)),
            Fault::Cut => town.land.has_cables().then_some((member, Part::Cable)),
            Fault::Held | Fault::Delayed | Fault::Lossy | Fault::Broken => Some((member, Part::Relay)),
            Fault::DiskFull => town.has_disks().then_some((daemon, Part::Daemon)),
            Fault::ClockSet => town.has_clocks().then_some((daemon, Part::Clock)),
        }
    }

    fn begin(&mut self, fault: Fault, machine: Machine, way: Way, town: &mut Town) {
        match fault {
            Fault::DaemonKilled => town.kill(machine),
            Fault::HostKilled => town.kill_host(machine),
            Fault::MachineKilled => {
                town.kill_host(machine);
                town.kill(machine);
            }
            Fault::TaskKilled => {
                let attempts = town.place(machine).attempts();
                if let Some(one) = self.random.choice(&attempts) {
                    let _ = kill(Pid::from_raw(one.pid), Signal::SIGKILL);
                }
            }
            Fault::DaemonStopped => town.daemon(machine).signal(Signal::SIGSTOP),
            Fault::Cut => town.land.cut(machine, way, true),
            Fault::Held => town.relay(machine).change(|weather| weather.held = Some(way)),
            Fault::Delayed => {
                town.relay(machine).change(|weather| weather.delay = Duration::from_millis(200));
            }
            Fault::Lossy => town.relay(machine).change(|weather| weather.lost = 50),
            Fault::Broken => town.relay(machine).change(|weather| weather.breaks += 1),
            Fault::DiskFull => fill(town, machine),
            Fault::ClockSet => town.set_clock(machine, if self.random.bool() { 1 } else { -1 }),
        }
    }

    /// Undoes what is over at a moment.
    fn undo(&mut self, town: &mut Town, now: Instant) {
        let over = |active: &Active| active.until <= now;
        let due: Vec<_> =
            self.active.iter().filter(|(_, active)| over(active)).map(|(key, _)| *key).collect();
        for key in due {
            let Active { fault, way, .. } = self.active.remove(&key).expect("it was there");
            let (machine, _) = key;
            match fault {
                Fault::DaemonKilled | Fault::MachineKilled => town.restart(machine),
                Fault::DaemonStopped => town.daemon(machine).signal(Signal::SIGCONT),
                Fault::Cut => town.land.cut(machine, way, false),
                Fault::Held => town.relay(machine).change(|weather| weather.held = None),
                Fault::Delayed => town.relay(machine).change(|weather| weather.delay = Duration::ZERO),
                Fault::Lossy => town.relay(machine).change(|weather| weather.lost = 0),
                Fault::ClockSet => town.set_clock(machine, 0),
                Fault::DiskFull => fs::remove_file(town.place(machine).data().join("filler")).expect("ours"),
                Fault::HostKilled | Fault::TaskKilled | Fault::Broken => {}
            }
        }
    }
}

/// Until not a byte more can be written.
fn fill(town: &Town, machine: Machine) {
    let mut file = fs::File::create(town.place(machine).data().join("filler")).expect("a name for it");
    while file.write_all(&FILLER).is_ok() {}
}
