//! A scheduler, four workers and what they need, each on a machine of its own as far as the land has such. Whatever
//! is done to it can be undone. Knows no plan.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clock;
use super::land::Land;
use super::relay::Relay;
use crate::cluster::fleet::free_address;
use crate::support::place::{Daemon, Place};
use crate::support::program::run;

pub(super) const WORKERS: usize = 4;
pub(super) const AGENTS: usize = 2;

/// The machine of the scheduler in the land; the workers and then the agents come behind it.
pub(super) const HEAD: usize = 1;

/// What a data directory may take up where it has a disk of its own, which can be filled.
const DISK: &str = "size=256m,mode=0700";

/// Such a disk is always short of what others need.
const STRAIN: &str = "[strain]\ndisk_free_warn = \"32 MiB\"\ndisk_free_critical = \"8 MiB\"\n";

/// A machine: 1 is the scheduler's, and those of the workers follow.
pub(super) type Machine = usize;

/// See the module. A daemon that is down is `None`.
#[derive(Debug)]
pub(super) struct Town {
    pub(super) land: Arc<Land>,
    places: Vec<Place>,
    daemons: Vec<Option<Daemon>>,
    /// Of the workers and then the agents.
    relays: Vec<Relay>,
    head: String,
    disks: Vec<PathBuf>,
    /// By which clocks are set, where that is possible and wanted.
    faketime: Option<PathBuf>,
}

impl Town {
    /// With these leases, or those that everybody has, and with clocks that this library sets.
    pub(super) fn start(seed: u64, leases: &str, faketime: Option<PathBuf>) -> Self {
        let land = Arc::new(Land::new(1 + WORKERS + AGENTS));
        let head = if land.has_cables() { format!("{}:7070", land.address(HEAD)) } else { free_address() };
        let places: Vec<_> = (0..=WORKERS).map(|_| Place::new()).collect();
        let relays = (0..WORKERS + AGENTS)
            .map(|place| Relay::start(&land, head.clone(), seed.wrapping_add(place as u64)))
            .collect();
        let daemons = places.iter().map(|_| None).collect();
        let mut town = Self { land, places, daemons, relays, head, disks: Vec::new(), faketime };
        (HEAD..=HEAD + WORKERS).for_each(|machine| town.set_clock(machine, 0));
        town.mount();
        town.found(leases);
        for worker in HEAD + 1..=HEAD + WORKERS {
            let line = town.invite(worker, &format!("worker{worker}"), "worker");
            town.launch(worker, &line);
        }
        town.head().wait_nodes(WORKERS);
        town
    }

    pub(super) fn head(&self) -> &Place {
        self.place(HEAD)
    }

    pub(super) fn place(&self, machine: Machine) -> &Place {
        &self.places[machine - HEAD]
    }

    pub(super) fn relay(&self, machine: Machine) -> &Relay {
        &self.relays[machine - HEAD - 1]
    }

    /// Whether data directories have disks of their own.
    pub(super) fn has_disks(&self) -> bool {
        !self.disks.is_empty()
    }

    /// Whether every daemon has a wall clock of its own.
    pub(super) fn has_clocks(&self) -> bool {
        self.faketime.is_some()
    }

    /// Sets the clock of a machine so many hours off.
    pub(super) fn set_clock(&self, machine: Machine, hours: i8) {
        clock::set(&self.clock(machine), hours);
    }

    fn clock(&self, machine: Machine) -> PathBuf {
        self.place(machine).root().join("clock")
    }

    pub(super) fn daemon(&self, machine: Machine) -> &Daemon {
        self.daemons[machine - HEAD].as_ref().expect("it runs")
    }

    /// An invitation by way of the relay of the machine it is for.
    pub(super) fn invite(&self, machine: Machine, name: &str, role: &str) -> String {
        let ran = self.head().run(&["cluster", "invite", name, "--role", role]).expect(0);
        ran.text().trim().replacen(&self.head, &self.relay(machine).address.to_string(), 1)
    }

    pub(super) fn kill(&mut self, machine: Machine) {
        self.daemons[machine - HEAD].take().expect("it runs").kill();
    }

    /// Ends the process host of a machine, if it has one.
    pub(super) fn kill_host(&self, machine: Machine) {
        if let Some(pid) = self.place(machine).host_pid() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    pub(super) fn restart(&mut self, machine: Machine) {
        if machine == HEAD {
            self.launch_head();
        } else {
            let address = self.relay(machine).address.to_string();
            self.launch(machine, &address);
        }
    }

    /// Stops all in order, and panics where anything is left.
    pub(super) fn stop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            assert!(daemon.take().expect("it runs").stop().success());
        }
        self.places.iter().for_each(Place::wait_gone);
    }

    /// The last that the daemons have said, for a run that fails.
    pub(super) fn logs(&self, lines: usize) -> String {
        let tail = |place: &Place| {
            let text = fs::read_to_string(place.root().join("crabd.log")).unwrap_or_default();
            let all: Vec<_> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        };
        self.places.iter().map(|place| format!("== {}\n{}\n", place.data().display(), tail(place))).collect()
    }

    /// Gives each data directory a disk of its own, where that is possible.
    fn mount(&mut self) {
        for place in &self.places {
            fs::create_dir(place.data()).expect("room");
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(place.data());
            if self.land.has_cables() && run(&mut mount).code == Some(0) {
                self.disks.push(place.data());
            } else {
                fs::remove_dir(place.data()).expect("it is empty");
            }
        }
    }

    fn found(&mut self, leases: &str) {
        self.head().file("crabd.toml", leases);
        self.head().run(&["cluster", "init"]).expect(0);
        self.launch_head();
        self.head().wait_ready();
    }

    fn launch_head(&mut self) {
        let config = self.head().root().join("crabd.toml").display().to_string();
        let args = ["--name", "head", "--no-worker", "--listen", &self.head.clone(), "--config", &config];
        self.spawn(HEAD, &args);
    }

    fn launch(&mut self, machine: Machine, join: &str) {
        let name = format!("worker{machine}");
        let config = self.place(machine).file("crabd.toml", STRAIN).display().to_string();
        self.spawn(machine, &["--name", &name, "--cpus", "2", "--join", join, "--config", &config]);
    }

    fn spawn(&mut self, machine: Machine, args: &[&str]) {
        let place = self.place(machine);
        let mut crabd = place.crabd(args);
        if let Some(library) = &self.faketime {
            clock::wear(&mut crabd, library, &self.clock(machine));
        }
        let mut command = self.land.on(machine, &crabd);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.daemons[machine - HEAD] = Some(Daemon::of(&mut command, place));
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.daemons.clear();
        for (place, disk) in self.places.iter().zip(&self.disks) {
            crate::support::residue::clear(&place.data());
            let _ = run(Command::new("umount").arg("-l").arg(disk));
        }
    }
}
