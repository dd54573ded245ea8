//! What a task needs and a node has: integer amounts, checked arithmetic, never more taken than is there.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::shards::DRIVER;

/// An amount of every resource. As a need, as a capacity, as what is left.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Slots of the GPU (Metal on a Mac).
    pub gpu_slots: u64,
    /// Bytes of disk.
    pub disk_bytes: u64,
    /// The site's own resources by name. An amount of 0 is not stored.
    pub named: BTreeMap<Box<str>, u64>,
}

/// One dimension in which a need exceeds what is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The resource: `cpu_millis`, `memory_bytes`, `gpu_slots`, `disk_bytes`, or the site's own name.
    pub resource: Box<str>,
    /// How much is needed.
    pub needed: u64,
    /// How much there is.
    pub available: u64,
}

impl Resources {
    /// Only cpu, in thousandths of a core.
    #[must_use]
    pub fn cpus(cpu_millis: u64) -> Self {
        Self { cpu_millis, ..Self::default() }
    }

    /// Every dimension in which `need` exceeds this; empty when it fits.
    #[must_use]
    pub fn shortages(&self, need: &Self) -> Vec<Shortage> {
        need.dimensions()
            .filter(|&(resource, needed)| needed > self.amount(resource))
            .map(|(resource, needed)| Shortage {
                resource: resource.into(),
                needed,
                available: self.amount(resource),
            })
            .collect()
    }

    /// Whether `need` can be taken from this.
    #[must_use]
    pub fn covers(&self, need: &Self) -> bool {
        need.dimensions().all(|(resource, needed)| needed <= self.amount(resource))
    }

    /// Takes `need` away, whole or not at all.
    #[must_use]
    pub fn checked_sub(&self, need: &Self) -> Option<Self> {
        self.combine(need, u64::checked_sub)
    }

    /// Adds `more`, unless a sum overflows.
    #[must_use]
    pub fn checked_add(&self, more: &Self) -> Option<Self> {
        self.combine(more, u64::checked_add)
    }

    /// Whether every amount is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.dimensions().all(|(_, amount)| amount == 0)
    }

    /// The amount of one resource by name, 0 where there is none.
    #[must_use]
    pub fn amount(&self, resource: &str) -> u64 {
        match resource {
            CPU => self.cpu_millis,
            MEMORY => self.memory_bytes,
            GPU => self.gpu_slots,
            DISK => self.disk_bytes,
            other => self.named.get(other).copied().unwrap_or(0),
        }
    }

    /// Every dimension with its amount.
    pub fn dimensions(&self) -> impl Iterator<Item = (&str, u64)> {
        let fields = [
            (CPU, self.cpu_millis),
            (MEMORY, self.memory_bytes),
            (GPU, self.gpu_slots),
            (DISK, self.disk_bytes),
        ];
        fields.into_iter().chain(self.named.iter().map(|(name, amount)| (&**name, *amount)))
    }

    fn combine(&self, other: &Self, op: fn(u64, u64) -> Option<u64>) -> Option<Self> {
        let mut named = self.named.clone();
        for (name, amount) in &other.named {
            let combined = op(self.amount(name), *amount)?;
            if combined == 0 {
                named.remove(name);
            } else {
                named.insert(name.clone(), combined);
            }
        }
        Some(Self {
            cpu_millis: op(self.cpu_millis, other.cpu_millis)?,
            memory_bytes: op(self.memory_bytes, other.memory_bytes)?,
            gpu_slots: op(self.gpu_slots, other.gpu_slots)?,
            disk_bytes: op(self.disk_bytes, other.disk_bytes)?,
            named,
        })
    }
}

const CPU: &str = "cpu_millis";
const MEMORY: &str = "memory_bytes";
const GPU: &str = "gpu_slots";
const DISK: &str = "disk_bytes";

/// `1.5 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scale: u64 = 1;
    while unit + 1 < UNITS.len() && bytes >= scale * 1024 {
        scale *= 1024;
        unit += 1;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(scale);
    match tenths % 10 {
        0 => format!("{} {}", tenths / 10, UNITS[unit]),
        tenth => format!("{}.{tenth} {}", tenths / 10, UNITS[unit]),
    }
}

/// `1.5` cores from 1500 thousandths.
#[must_use]
pub fn cores(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As people say it: `needs 2 cpus, 0.5 available`.
impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kind) = self.unhandled() {
            return write!(f, "does not handle {kind}");
        }
        if &*self.resource == DRIVER && self.available == 0 {
            return f.write_str("cannot have suites of tests run");
        }
        let (said, what): (fn(u64) -> String, &str) = match &*self.resource {
            CPU => (cores, "cpus"),
            MEMORY => (size, "of memory"),
            GPU => (|slots| slots.to_string(), "gpu slots"),
            DISK => (size, "of disk"),
            named => (|amount| amount.to_string(), named),
        };
        let (needed, available) = (said(self.needed), said(self.available));
        match needed == available {
            // They differ by less than is said.
            true => write!(f, "needs {} {what}, {} available", self.needed, self.available),
            false => write!(f, "needs {needed} {what}, {available} available"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_disk(cpu_millis: u64, disk_bytes: u64) -> Resources {
        Resources { cpu_millis, disk_bytes, ..Resources::default() }
    }

    #[test]
    fn taking_is_whole_or_not_at_all() {
        let free = with_disk(1000, 5);
        assert_eq!(free.checked_sub(&with_disk(500, 6)), None);
        assert_eq!(free.checked_sub(&with_disk(500, 5)), Some(Resources::cpus(500)));
    }

    #[test]
    fn a_shortage_names_need_and_what_is_there() {
        let shortages = Resources::cpus(1000).shortages(&with_disk(2000, 1));
        assert_eq!(shortages[0].to_string(), "needs 2 cpus, 1 available");
        assert_eq!(shortages[1].to_string(), "needs 1 B of disk, 0 B available");
    }

    #[test]
    fn sums_that_overflow_are_refused() {
        assert_eq!(Resources::cpus(u64::MAX).checked_add(&Resources::cpus(1)), None);
    }
}
