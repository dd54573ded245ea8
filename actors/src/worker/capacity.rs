//! What this machine has for tasks.

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

/// All cores, the memory without the reserve (at most half of a small machine), the GPU of a Mac.
#[must_use]
pub fn detect(reserve_bytes: u64) -> Resources {
    let memory = os::memory_bytes();
    Resources {
        cpu_millis: os::cores() * 1000,
        memory_bytes: memory - reserve_bytes.min(memory / 2),
        gpu_slots: GPU_SLOTS,
        ..Resources::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_and_memory() {
        let all = detect(0);
        assert!(all.cpu_millis >= 1000 && all.memory_bytes > 64 << 20, "{all:?}");
        assert!(detect(u64::MAX).memory_bytes >= all.memory_bytes / 2, "a reserve leaves something");
    }
}
