//! What processes a data directory has: its daemon, its host, and the processes of its attempts.

use std::path::Path;
#[cfg(not(target_os = "linux"))]
use std::process::Command;

use actors::process::host::read_id;
use actors::process::protocol::{HostDirectory, MARK_VARIABLE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that belongs to a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) pid: i32,
    /// Its command line.
    pub(crate) what: String,
    /// Whether it is of an attempt, and not one of our programs.
    pub(crate) is_attempt: bool,
}

/// All processes of a data directory: those that name it, and those that carry its host's mark.
pub(crate) fn of(data_dir: &Path) -> Vec<Left> {
    let directory = data_dir.display().to_string();
    let host = read_id(&HostDirectory::new(data_dir.join("host")));
    let mark = host.map(|id| format!("{MARK_VARIABLE}={:016x}.", id.0));
    let own = std::process::id().to_string();
    let found = |(pid, what, environment): (String, String, String)| {
        let is_attempt = mark.as_ref().is_some_and(|mark| environment.contains(mark.as_str()));
        let is_ours = pid != own && (is_attempt || what.contains(&directory));
        is_ours.then(|| Left { pid: pid.parse().unwrap_or(0), what, is_attempt })
    };
    processes().into_iter().filter_map(found).filter(|left| left.pid > 0).collect()
}

/// All processes, but for one, that name a directory in their command line.
pub(crate) fn naming(directory: &str, but: u32) -> Vec<Left> {
    let (own, but) = (std::process::id().to_string(), but.to_string());
    let found = |(pid, what, _): (String, String, String)| {
        let is_wanted = pid != own && pid != but && what.contains(directory);
        is_wanted.then(|| Left { pid: pid.parse().unwrap_or(0), what, is_attempt: false })
    };
    processes().into_iter().filter_map(found).collect()
}

/// All processes that name a directory in their command line or in their environment.
pub(crate) fn within(directory: &str) -> Vec<Left> {
    let own = std::process::id().to_string();
    let found = |(pid, what, environment): (String, String, String)| {
        let is_wanted = pid != own && (what.contains(directory) || environment.contains(directory));
        is_wanted.then(|| Left { pid: pid.parse().unwrap_or(0), what, is_attempt: false })
    };
    processes().into_iter().filter_map(found).filter(|left| left.pid > 0).collect()
}

/// Ends all of them.
pub(crate) fn clear(data_dir: &Path) {
    // The host first, or it would only see its attempts die; and again, for those made meanwhile.
    for _ in 0..3 {
        for left in of(data_dir) {
            let _ = kill(Pid::from_raw(left.pid), Signal::SIGKILL);
        }
    }
}

/// Id, command line and environment of every process.
#[cfg(target_os = "linux")]
fn processes() -> Vec<(String, String, String)> {
    let read = |path: std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let numbers = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    numbers
        .map(|pid| {
            let of = Path::new("/proc").join(&pid);
            let (what, environment) = (read(of.join("cmdline")), read(of.join("environ")));
            (pid, what, environment)
        })
        // One that has ended and is not reaped yet has neither.
        .filter(|(_, what, _)| !what.is_empty())
        .collect()
}

/// Id, command line and environment of every process.
#[cfg(not(target_os = "linux"))]
fn processes() -> Vec<(String, String, String)> {
    let out = Command::new("ps").args(["-axEww", "-o", "pid=,command="]).output().expect("there is ps");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let split = |line: &str| {
        let (pid, rest) = line.trim().split_once(' ')?;
        Some((pid.to_owned(), rest.to_owned(), rest.to_owned()))
    };
    text.lines().filter_map(split).collect()
}
