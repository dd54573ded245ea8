//! How much of a machine an attempt may use before it is stopped.
//!
//! What a task *needs* is set aside for it, and measured by nobody; what is here is what it must not exceed. Must not know
//! how it is measured.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

use crate::layout::{before, since};

/// What a task's processes must not exceed, all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UseLimits {
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Processes at a time.
    pub processes: Option<u64>,
    /// Files that one of its processes has open: what is beyond that the system refuses to the process.
    #[serde(deserialize_with = "since::<7, _, _>", skip_serializing_if = "before::<7, _>")]
    pub open_files: Option<u64>,
}

/// What an attempt uses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// Bytes of memory of all its processes.
    pub memory_bytes: u64,
    /// How many there are.
    pub processes: u64,
}

/// A limit, called as in a task file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum UseLimit {
    /// Of memory.
    MemoryLimit,
    /// Of processes.
    ProcessLimit,
}

/// A limit was exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Excess {
    /// Which.
    pub limit: UseLimit,
    /// What it allows, in bytes or processes.
    pub allowed: u64,
    /// What was used when that was seen. No more than is allowed where the system kept it from getting more.
    pub used: u64,
}

impl UseLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each with its name in a task file.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<u64>); 3] {
        [
            (UseLimit::MemoryLimit.into(), self.memory_bytes),
            (UseLimit::ProcessLimit.into(), self.processes),
            ("open_files", self.open_files),
        ]
    }

    /// Whether something is limited that must be measured, as nobody else refuses it.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.memory_bytes.is_some() || self.processes.is_some()
    }

    /// What is exceeded.
    #[must_use]
    pub fn exceeded(&self, in_use: InUse) -> Option<Excess> {
        let all = [
            (UseLimit::MemoryLimit, self.memory_bytes, in_use.memory_bytes),
            (UseLimit::ProcessLimit, self.processes, in_use.processes),
        ];
        all.into_iter().find_map(|(limit, allowed, used)| {
            let allowed = allowed.filter(|allowed| used > *allowed)?;
            Some(Excess { limit, allowed, used })
        })
    }
}

/// `used 9.1 GiB, memory_limit is 8 GiB`.
impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { limit, allowed, used } = *self;
        match limit {
            UseLimit::MemoryLimit if used <= allowed => {
                write!(f, "needed more than {}, the {limit}", size(allowed))
            }
            UseLimit::ProcessLimit if used <= allowed => {
                write!(f, "started more processes than {allowed}, the {limit}")
            }
            UseLimit::MemoryLimit => write!(f, "used {}, {limit} is {}", size(used), size(allowed)),
            UseLimit::ProcessLimit => write!(f, "ran {used} processes, {limit} is {allowed}"),
        }
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >> 30 > 0 { (1 << 30, "GiB") } else { (1 << 20, "MiB") };
    let tenths = (bytes * 10).div_ceil(unit);
    if tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exceeded_says_by_how_much() {
        let limits = UseLimits { memory_bytes: Some(8 << 30), processes: Some(100), ..UseLimits::default() };
        let exceeded = |memory_bytes, processes| limits.exceeded(InUse { memory_bytes, processes });
        assert_eq!(exceeded(8 << 30, 100), None);
        let told = exceeded((9 << 30) + (1 << 26), 300).unwrap().to_string();
        assert_eq!(told, "used 9.1 GiB, memory_limit is 8 GiB");
        assert_eq!(exceeded(5 << 20, 300).unwrap().to_string(), "ran 300 processes, process_limit is 100");
        let refused = |limit| Excess { limit, allowed: 8 << 20, used: 8 << 20 }.to_string();
        assert_eq!(refused(UseLimit::MemoryLimit), "needed more than 8 MiB, the memory_limit");
        assert_eq!(refused(UseLimit::ProcessLimit), "started more processes than 8388608, the process_limit");
        assert_eq!(UseLimits::default().exceeded(InUse { memory_bytes: u64::MAX / 16, processes: 9 }), None);
        assert_eq!((size(5 << 20), size((5 << 20) + 1)), ("5 MiB".into(), "5.1 MiB".into()));
    }
}
