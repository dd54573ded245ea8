//! Linux: `/proc`, and the child subreaper.

#![expect(unsafe_code, reason = "pidfd_open has no safe interface")]

mod launch;
mod strain;

use std::fs::{self, File};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{SysconfVar, getpid, sysconf};
use policy::time::Moment;

use super::{Process, value_in};

pub use launch::launch;
pub use strain::signs;

/// How far a listed start can be off: one tick of the kernel's 100 per second, twice.
pub const START_SLACK: Duration = Duration::from_millis(20);

/// Whether trees of running attempts must be looked at from time to time: no, orphans fall to the host.
#[must_use]
pub fn watches_trees() -> bool {
    false
}

/// The orphans among the children of this process.
#[derive(Debug)]
pub struct Orphans(Option<File>);

impl Orphans {
    /// Makes this process the one to which orphaned descendants fall. They fall to its main thread, so
    /// that thread must start no processes itself.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn adopt() -> nix::Result<Self> {
        nix::sys::prctl::set_child_subreaper(true)?;
        let main = getpid();
        // Only missing from kernels built without CONFIG_PROC_CHILDREN.
        Ok(Self(File::open(format!("/proc/self/task/{main}/children")).ok()))
    }

    /// The orphans that are children of this process now, dead ones included; `None` where this system
    /// does not tell.
    #[must_use]
    pub fn list(&self) -> Option<Vec<i32>> {
        let file = self.0.as_ref()?;
        let (mut text, mut length) = (vec![0; 512], 0);
        loop {
            let read = file.read_at(&mut text[length..], length as u64).ok()?;
            length += read;
            if read == 0 {
                break;
            }
            text.resize(length + 512, 0);
        }
        let text = std::str::from_utf8(&text[..length]).ok()?;
        Some(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
    }
}

/// Something that can be read from as soon as the child `pid` has ended.
///
/// # Errors
/// What the kernel says; before 5.3 it knows no such thing.
pub fn watch(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: a number goes in, and a descriptor of our own or an error comes out.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: it was opened just now, closed on exec, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Every process of this machine.
#[must_use]
pub fn processes() -> Vec<Process> {
    let ticks = ticks();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // One that ends meanwhile is not there any more.
    pids.filter_map(|pid| parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?, ticks)).collect()
}

/// Of the kernel's clock, in a second.
fn ticks() -> u64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    ticks.filter(|ticks| (1..=1_000_000).contains(ticks)).unwrap_or(100)
}

/// Bytes of memory that `pid` has, with all that it shares; 0 where there is no such process.
#[must_use]
pub fn resident_bytes(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages: u64 = text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().and_then(|n| u64::try_from(n).ok());
    pages * page.unwrap_or(4096)
}

/// Processor time of `pid` and of the children it has waited for; none where there is no such process.
#[must_use]
pub fn cpu_time(pid: i32) -> Duration {
    let used = fs::read(format!("/proc/{pid}/stat")).ok().and_then(|stat| parse_cpu(&stat));
    Duration::from_micros(used.unwrap_or(0) * (1_000_000 / ticks()))
}

/// Bytes of memory that `pid` has, with its part of what it shares and what was swapped out.
#[must_use]
pub fn footprint_bytes(pid: i32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
        return resident_bytes(pid);
    };
    let kib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    match kib("Pss:") {
        Some(part) => (part + kib("SwapPss:").unwrap_or(0)) * 1024,
        None => resident_bytes(pid),
    }
}

/// The value of `variable` in the environment `pid` was started with.
#[must_use]
pub fn mark(pid: i32, variable: &str) -> Option<String> {
    value_in(&fs::read(format!("/proc/{pid}/environ")).ok()?, variable)
}

/// Names the present life of the operating system.
#[must_use]
pub fn boot_id() -> Box<str> {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().into()
}

/// The processor as its maker calls it; `None` where the kernel does not tell.
#[must_use]
pub fn chip() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'))?.1.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Processor cores.
#[must_use]
pub fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

/// Bytes of memory; 0 where the system does not tell.
#[must_use]
pub fn memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

/// Reads `/proc/PID/stat`. The name in it may contain anything, so fields count from the last bracket.
fn parse_stat(pid: i32, stat: &[u8], ticks: u64) -> Option<Process> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let started: u64 = fields.nth(16)?.parse().ok()?;
    Some(Process { pid, parent, group, started: Moment(started * 1_000_000 / ticks), zombie })
}

/// Ticks that a process and the children it has waited for have used, of `/proc/PID/stat`.
fn parse_cpu(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    let ticks = text.split_ascii_whitespace().skip(11).take(4);
    ticks.map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let stat = b"7 (a) b (c)) S 3 5 5 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 250 9 9";
        let expected = Process { pid: 7, parent: 3, group: 5, started: Moment(2_500_000), zombie: false };
        assert_eq!(parse_stat(7, stat, 100), Some(expected));
        assert_eq!(parse_stat(7, b"7 (x", 100), None);
        let stat = b"7 (a) b (c)) S 3 5 5 0 -1 4194304 1 0 0 0 11 22 33 44 20 0 1 0 250 9 9";
        assert_eq!((parse_cpu(stat), parse_cpu(b"7 (x")), (Some(110), None));
    }
}
