//! The network that a fleet under fire lives in: each machine a network namespace of its own around a switch where
//! that is possible (root on Linux, with iproute2), else all of them on loopback. Knows no daemon.
//!
//! What crosses the network goes through a relay in the switch, which can delay, hold back and break it off; the
//! namespaces can be cut from the switch besides, as cables are.

use std::process::{Command, Stdio};

/// Everybody's network, `10.77.0.0/24`, which exists in these namespaces alone.
const SWITCH: &str = "10.77.0.254";

/// What the namespaces' names begin with; the number of the process and that of the machine follow.
const NAME: &str = "knittingcrab";

/// Which packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Those from the machine.
    From,
    /// Those to it.
    To,
    Both,
}

/// See the module.
#[derive(Debug)]
pub(super) enum Land {
    Loopback,
    /// Names of the machines' namespaces, the switch first.
    Namespaces(Vec<String>),
}

impl Land {
    /// A network of so many machines.
    pub(super) fn new(machines: usize) -> Self {
        clear();
        let names: Vec<_> =
            (0..=machines).map(|place| format!("{NAME}{}-{place}", std::process::id())).collect();
        let land = Self::Namespaces(names);
        if land.build() { land } else { Self::Loopback }
    }

    /// Whether every machine has a network of its own.
    pub(super) fn has_cables(&self) -> bool {
        matches!(self, Self::Namespaces(_))
    }

    /// Where the relays listen.
    pub(super) fn switch(&self) -> &'static str {
        if self.has_cables() { SWITCH } else { "127.0.0.1" }
    }

    /// The address of a machine; they count from 1.
    pub(super) fn address(&self, machine: usize) -> String {
        if self.has_cables() { format!("10.77.0.{machine}") } else { "127.0.0.1".to_owned() }
    }

    /// Has a program run on a machine; 0 is the switch.
    pub(super) fn on(&self, machine: usize, program: &Command) -> Command {
        let mut command = match self {
            Self::Loopback => Command::new(program.get_program()),
            Self::Namespaces(names) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &names[machine]]).arg(program.get_program());
                command
            }
        };
        command.args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Moves this thread, and those that it will start, to a machine.
    pub(super) fn enter(&self, machine: usize) {
        if let Self::Namespaces(names) = self {
            enter(&names[machine]);
        }
    }

    /// Loses packets between a machine and the switch, or loses them no more.
    pub(super) fn cut(&self, machine: usize, way: Way, is_cut: bool) {
        let Self::Namespaces(names) = self else { return };
        let verb = if is_cut { "add" } else { "del" };
        let lose = |at: &str, to: &str| run(&["-n", at, "route", verb, "blackhole", &format!("{to}/32")]);
        let done = match way {
            Way::From => lose(&names[machine], SWITCH),
            Way::To => lose(&names[0], &self.address(machine)),
            Way::Both => {
                let link = format!("to{machine}");
                run(&["-n", &names[0], "link", "set", &link, if is_cut { "down" } else { "up" }])
            }
        };
        assert!(done, "the network of machine {machine} can be changed: {way:?} {is_cut}");
    }

    fn build(&self) -> bool {
        let Self::Namespaces(names) = self else { return true };
        let switch = names[0].as_str();
        let bridge = || {
            run(&["netns", "add", switch])
                && run(&["-n", switch, "link", "set", "lo", "up"])
                && run(&["-n", switch, "link", "add", "bridge", "type", "bridge"])
                && run(&["-n", switch, "addr", "add", &format!("{SWITCH}/24"), "dev", "bridge"])
                && run(&["-n", switch, "link", "set", "bridge", "up"])
        };
        let cable = |machine: usize| {
            let (name, port) = (names[machine].as_str(), format!("to{machine}"));
            let address = format!("{}/24", self.address(machine));
            run(&["netns", "add", name])
                && run(&["-n", name, "link", "set", "lo", "up"])
                && run(&["-n", switch, "link", "add", &port, "type", "veth", "peer", "eth0", "netns", name])
                && run(&["-n", switch, "link", "set", &port, "master", "bridge"])
                && run(&["-n", switch, "link", "set", &port, "up"])
                && run(&["-n", name, "addr", "add", &address, "dev", "eth0"])
                && run(&["-n", name, "link", "set", "eth0", "up"])
        };
        bridge() && (1..names.len()).all(cable)
    }
}

impl Drop for Land {
    fn drop(&mut self) {
        if let Self::Namespaces(names) = self {
            for name in names {
                run(&["netns", "del", name]);
            }
        }
    }
}

/// Takes away what a run that was killed has left.
fn clear() {
    let Ok(names) = std::fs::read_dir("/run/netns") else { return };
    let names = names.flatten().map(|name| name.file_name().to_string_lossy().into_owned());
    let is_left = |name: &String| {
        let pid = name.strip_prefix(NAME).and_then(|rest| rest.split_once('-')?.0.parse::<u32>().ok());
        pid.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    };
    for name in names.filter(is_left) {
        run(&["netns", "del", &name]);
    }
}

fn run(args: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(target_os = "linux")]
fn enter(name: &str) {
    let namespace = std::fs::File::open(format!("/run/netns/{name}")).expect("it was made");
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("root may");
}

#[cfg(not(target_os = "linux"))]
fn enter(_: &str) {}
