//! What differs between operating systems, and what only they can tell about processes.
//!
//! [`linux`](self) and [`macos`](self) give the same functions: a list of all processes, the mark in a
//! process's environment, the start and the end of a child, the orphans that fell to this process, the name of this boot.
//! Must not know of attempts.

pub mod cgroup;
mod qos;
pub mod signals;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(target_os = "linux")]
pub use linux::{
    Orphans, START_SLACK, boot_id, chip, cores, cpu_time, footprint_bytes, launch, mark, memory_bytes,
    processes, resident_bytes, signs, watch, watches_trees,
};
#[cfg(target_os = "macos")]
pub use macos::{
    Orphans, START_SLACK, boot_id, chip, cores, cpu_time, footprint_bytes, launch, mark, memory_bytes,
    processes, resident_bytes, signs, watch, watches_trees,
};

pub use qos::put_into;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ChildStderr, ChildStdout};

use policy::text::OsText;
use policy::time::Moment;

/// A program to be started: in a group of its own, without input, its outputs piped. What is started gets nothing of
/// this process but this.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The file.
    pub program: &'a Path,
    /// What it is called, and its arguments.
    pub arguments: &'a [OsText],
    /// Where it runs.
    pub directory: &'a [u8],
    /// Names and values; a later one takes the place of an earlier one of the same name.
    pub environment: Vec<(&'a [u8], &'a [u8])>,
    /// How many files each of its processes may have open.
    pub open_files: Option<u64>,
    /// The group of the kernel's that it is in from its first moment; only where there are such.
    pub group: Option<&'a cgroup::Door>,
}

/// A program that runs.
#[derive(Debug)]
pub struct Launched {
    /// Its process, and its group.
    pub pid: i32,
    /// Can be read from when it has ended.
    pub end: OwnedFd,
    /// Never blocks.
    pub stdout: ChildStdout,
    /// Never blocks.
    pub stderr: ChildStderr,
}

/// Bytes that a user can still write where `path` is; 0 where the system does not tell.
#[must_use]
#[cfg_attr(target_os = "linux", expect(clippy::useless_conversion, reason = "macOS counts in 32 bits"))]
pub fn free_disk_bytes(path: &Path) -> u64 {
    // The directory may not be there yet: what counts is the file system on which it will be.
    let there = path.ancestors().find(|path| path.exists());
    let free = there.and_then(|path| nix::sys::statvfs::statvfs(path).ok());
    free.map_or(0, |free| u64::from(free.blocks_available()).saturating_mul(free.fragment_size()))
}

/// A process, as the operating system lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its group's.
    pub group: i32,
    /// When it started, no more than [`START_SLACK`] off.
    pub started: Moment,
    /// Dead already and only waiting to be asked for its status.
    pub zombie: bool,
}

/// The value of `variable` in an environment as the kernel keeps it: entries that end with 0.
fn value_in(environment: &[u8], variable: &str) -> Option<String> {
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    })
}

#[cfg(test)]
mod tests {
    use policy::strain::Sign;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn this_process_is_in_the_list_with_its_parent() {
        let me = i32::try_from(std::process::id()).unwrap();
        let list = processes();
        let found = list.iter().find(|process| process.pid == me).unwrap();
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert!(found.started <= Clock::system().now() + START_SLACK);
        assert!(!found.zombie);
    }

    #[test]
    fn what_a_process_uses_is_told_and_of_what_is_gone_nothing() {
        let me = i32::try_from(std::process::id()).unwrap();
        let (resident, footprint) = (resident_bytes(me), footprint_bytes(me));
        assert!(resident > 1 << 20 && footprint > 1 << 18, "{resident} {footprint}");
        assert_eq!((resident_bytes(-5), footprint_bytes(-5)), (0, 0));
        let used = || cpu_time(me) > std::time::Duration::ZERO;
        // A tick of the kernel's clock is a hundredth of a second.
        assert!((0_u64..1_000_000_000).any(|turn| turn % 100_000 == 0 && used()));
        assert_eq!(cpu_time(-5), std::time::Duration::ZERO);
    }

    #[test]
    fn a_machine_tells_how_strained_it_is() {
        let signs = signs();
        let of = |sign| signs.iter().find(|reading| reading.sign == sign).map(|reading| reading.value);
        let memory = if cfg!(target_os = "macos") { Sign::Memory } else { Sign::MemoryFree };
        assert!(of(memory).is_some_and(|value| value <= 100), "{signs:?}");
        assert!(of(Sign::Load).is_some(), "{signs:?}");
    }

    #[test]
    fn a_boot_has_a_name() {
        assert!(!boot_id().is_empty());
        assert_eq!(boot_id(), boot_id());
    }

    #[test]
    fn a_mark_is_read_from_a_childs_environment() {
        let mut child =
            std::process::Command::new("sleep").arg("60").env("CRAB_MARK", "x.1").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        // The kernel lets the parent go on a little before the child's environment can be read.
        let found = (0..10_000).find_map(|_| {
            mark(pid, "CRAB_MARK").or_else(|| {
                std::thread::yield_now();
                None
            })
        });
        child.kill().unwrap();
        child.wait().unwrap();
        // A Mac does not show the environment of its own programs.
        assert!(found.as_deref() == Some("x.1") || cfg!(target_os = "macos"));
    }

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let environment = b"XCRAB=1\0CRAB=2\0CRABBY=3\0";
        assert_eq!(value_in(environment, "CRAB").as_deref(), Some("2"));
        assert_eq!(value_in(environment, "RAB"), None);
    }
}
