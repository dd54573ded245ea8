//! What this machine has for tasks.

use std::path::Path;

use policy::resources::Resources;

use crate::process::os;

/// Bytes of memory left to the operating system and the daemons, unless configured otherwise.
pub const MEMORY_RESERVE_BYTES: u64 = 2 << 30;

/// GPUs to hand out: every Mac has one, other machines are configured.
#[cfg(target_os = "macos")]
const GPU_SLOTS: u64 = 1;
/// GPUs to hand out: every Mac has one, other machines are configured.
#[cfg(target_os = "linux")]
const GPU_SLOTS: u64 = 0;

/// Of what is free on the disk, the part that is given to tasks, unless configured otherwise: the rest is for what they
/// leave behind, and for everybody else.
const DISK_PART: u64 = 2;
/// Disk is told in whole gibibytes: a daemon that starts again has much the same as before.
const DISK_STEP_BYTES: u64 = 1 << 30;

/// All cores, the memory without the reserve (at most half of a small machine), the GPU of a Mac, half of the disk that is
/// free where `directory` is.
#[must_use]
pub fn detect(reserve_bytes: u64, directory: &Path) -> Resources {
    let memory = os::memory_bytes();
    Resources {
        cpu_millis: os::cores() * 1000,
        memory_bytes: memory - reserve_bytes.min(memory / 2),
        gpu_slots: GPU_SLOTS,
        disk_bytes: os::free_disk_bytes(directory) / DISK_PART / DISK_STEP_BYTES * DISK_STEP_BYTES,
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_and_memory() {
        let here = std::env::temp_dir();
        let all = detect(0, &here);
        assert!(all.cpu_millis >= 1000 && all.memory_bytes > 64 << 20, "{all:?}");
        assert!(detect(u64::MAX, &here).memory_bytes >= all.memory_bytes / 2, "a reserve leaves something");
        let below = here.join("not/there/yet");
        assert_eq!(os::free_disk_bytes(&below) >> 32, os::free_disk_bytes(&here) >> 32);
    }
}
