//! What the kernel tells of memory, disks and load: pressure stall information where it was built with that (4.20).

use std::fs;

use policy::strain::{Reading, Sign};

/// What can be told of this machine now, but for its disk.
#[must_use]
pub fn signs() -> Vec<Reading> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let of = |sign, value: Option<u64>| value.map(|value| Reading { sign, value });
    let all = [
        of(Sign::MemoryFree, memory_free(&text("/proc/meminfo"))),
        of(Sign::MemoryStall, stall(&text("/proc/pressure/memory"), "some")),
        of(Sign::IoStall, stall(&text("/proc/pressure/io"), "full")),
        of(Sign::Load, load(&text("/proc/loadavg"), super::cores())),
    ];
    all.into_iter().flatten().collect()
}

/// Memory that can be had without swapping, in percent of all.
fn memory_free(text: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    (kib("MemAvailable:")? * 100).checked_div(kib("MemTotal:")?)
}

/// The part of the last ten seconds in which some or all waited, in percent.
fn stall(text: &str, who: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(who))?;
    whole(line.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?)
}

/// Of the last minute, in percent of the cores.
fn load(text: &str, cores: u64) -> Option<u64> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let load = whole.parse::<u64>().ok()? * 100 + hundredths.parse::<u64>().ok()?;
    load.checked_div(cores)
}

fn whole(number: &str) -> Option<u64> {
    number.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(memory_free("MemTotal:  8000 kB\nMemFree: 1 kB\nMemAvailable:   720 kB\n"), Some(9));
        let pressure =
            "some avg10=12.47 avg60=8.41 avg300=7.32 total=31\nfull avg10=3.99 avg60=0.00 total=9\n";
        assert_eq!((stall(pressure, "some"), stall(pressure, "full")), (Some(12), Some(3)));
        assert_eq!(load("3.05 2.00 1.00 5/300 999\n", 2), Some(152));
        assert_eq!((memory_free(""), stall("", "some"), load("", 2)), (None, None, None));
    }
}
