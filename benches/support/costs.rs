//! What a process of ours has taken of the machine so far: more telling than a rate where others build.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Microseconds of a tick of `/proc/PID/stat`.
const TICK_MICROS: f64 = 10_000.0;

/// Processor time and switches of the daemon and of its process host; nothing where `/proc` is not there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Costs {
    pub(crate) daemon: Cost,
    pub(crate) host: Cost,
}

/// Of one process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    micros: f64,
    switches: f64,
}

impl Costs {
    /// Of the daemon `pid` and the host below `directory`.
    pub(crate) fn of(pid: u32, directory: &Path) -> Self {
        Self { daemon: Cost::of(pid), host: host_below(directory).map(Cost::of).unwrap_or_default() }
    }
}

impl Cost {
    fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields = after_name.split_ascii_whitespace().skip(11).take(2);
        let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let switches = threads.map(|thread| switches(&thread.path())).sum();
        Self { micros: ticks * TICK_MICROS, switches }
    }

    /// From `before` to this one, of one core, in percent.
    pub(crate) fn share(self, before: Self, took: Duration) -> f64 {
        100.0 * (self.micros - before.micros) / (took.as_secs_f64() * 1e6)
    }

    /// From `before` to this one, for each of `count`: in words.
    pub(crate) fn each(self, before: Self, count: usize) -> String {
        let count = count as f64;
        let (micros, switches) =
            ((self.micros - before.micros) / count, (self.switches - before.switches) / count);
        format!("{micros:.0} µs, {switches:.1} switches")
    }
}

/// The most memory that the daemon `pid` and the host below `directory` have had, in MB; nothing where `/proc` is not there.
pub(crate) fn peaks_mb(pid: u32, directory: &Path) -> [f64; 2] {
    let peak = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        let kib = line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok());
        kib.unwrap_or_default() * 1024.0 / 1e6
    };
    [peak(pid), host_below(directory).map(peak).unwrap_or_default()]
}

/// Switches of one thread, wanted or not.
fn switches(thread: &Path) -> f64 {
    let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
    let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
    lines.filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<f64>().ok()).sum()
}

fn host_below(directory: &Path) -> Option<u32> {
    let directory = directory.to_str()?;
    let is_host = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("__host") && line.contains(directory)
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(is_host)
}
