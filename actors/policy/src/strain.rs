//! How strained a machine is by what runs on it, ours or not: what is measured, when that is too much, and what follows.
//!
//! A level is reached at once and left when nothing has reached it for a while, so that it does not flap. While a machine
//! warns nothing heavy is sent there; while it is critical nothing is, what has not begun is given back, and of what runs
//! the least valuable that may be stopped goes, one after the other. Must not know how anything is measured.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::demand::Demand;
use crate::resources::Resources;
use crate::time::Moment;

/// How strained.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum Level {
    /// It takes whatever there is room for.
    #[default]
    Normal,
    /// It takes nothing heavy.
    Warn,
    /// It takes nothing.
    Critical,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
pub enum Sign {
    /// Memory that is still to be had, in percent of all.
    MemoryFree,
    /// The time in which something waited for memory, in percent.
    MemoryStall,
    /// The time in which all waited for disks, in percent.
    IoStall,
    /// Processes that run or want to, in percent of the cores.
    Load,
    /// Bytes that are free where the data is.
    DiskFree,
    /// What the system itself says of memory, as a level.
    Memory,
    /// What the system itself says of heat, as a level.
    Heat,
    /// Questions in a row that it has not answered, where it is asked from elsewhere.
    Unanswered,
}

/// A sign as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Which.
    pub sign: Sign,
    /// In its unit; a level is its place among all.
    pub value: u64,
}

/// A sign that reached a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Symptom {
    /// Which.
    pub sign: Sign,
    /// What it was.
    pub value: u64,
    /// From where on the level holds.
    pub limit: u64,
}

/// How strained a machine is, and what showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Strain {
    /// How much.
    pub level: Level,
    /// What showed it last; `None` while it is normal.
    pub seen: Option<Symptom>,
    /// What is heavy there: more than this of its cores or its memory, in percent.
    pub heavy_percent: u8,
}

/// From where on a sign is too much; 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For [`Level::Warn`].
    pub warn: u64,
    /// For [`Level::Critical`].
    pub critical: u64,
}

/// When a machine is strained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrainRules {
    /// Of [`Sign::MemoryFree`]: below.
    pub memory_free: Limits,
    /// Of [`Sign::MemoryStall`].
    pub memory_stall: Limits,
    /// Of [`Sign::IoStall`].
    pub io_stall: Limits,
    /// Of [`Sign::Load`].
    pub load: Limits,
    /// Of [`Sign::DiskFree`]: below.
    pub disk_free: Limits,
    /// Of [`Sign::Unanswered`].
    pub unanswered: Limits,
    /// How long nothing must have reached a level before it is left.
    pub calm: Duration,
    /// See [`Strain::heavy_percent`].
    pub heavy_percent: u8,
}

/// Memory: a tenth free is what the system needs for its caches; with 4 % it is about to kill somebody. Stalls: what waits
/// for memory a fifth of its time is slow, half of it thrashes. Disks and load make things slow and break nothing, so they
/// only warn, and load only where it is absurd. A disk with less than 2 GiB fills within a build. One question without an answer may be the network's; after three
/// there is nobody.
impl Default for StrainRules {
    fn default() -> Self {
        Self {
            memory_free: Limits { warn: 10, critical: 4 },
            memory_stall: Limits { warn: 20, critical: 50 },
            io_stall: Limits { warn: 80, critical: 0 },
            load: Limits { warn: 3000, critical: 0 },
            disk_free: Limits { warn: 2 << 30, critical: 256 << 20 },
            unanswered: Limits { warn: 1, critical: 3 },
            calm: Duration::from_secs(15),
            heavy_percent: 50,
        }
    }
}

impl StrainRules {
    fn limits(&self, sign: Sign) -> Limits {
        match sign {
            Sign::MemoryFree => self.memory_free,
            Sign::MemoryStall => self.memory_stall,
            Sign::IoStall => self.io_stall,
            Sign::Load => self.load,
            Sign::DiskFree => self.disk_free,
            Sign::Unanswered => self.unanswered,
            Sign::Memory => Limits { warn: Level::Warn as u64, critical: Level::Critical as u64 },
            // The system slows down by itself: no work is lost for it.
            Sign::Heat => Limits { warn: Level::Warn as u64, critical: 0 },
        }
    }

    /// What a reading comes to.
    fn level(&self, reading: Reading) -> Option<(Level, Symptom)> {
        let Reading { sign, value } = reading;
        let limits = self.limits(sign);
        let reached = |limit: u64| limit > 0 && if sign.is_good() { value < limit } else { value >= limit };
        let all = [(Level::Critical, limits.critical), (Level::Warn, limits.warn)];
        let (level, limit) = all.into_iter().find(|(_, limit)| reached(*limit))?;
        Some((level, Symptom { sign, value, limit }))
    }
}

impl Sign {
    /// Whether more of it is better.
    fn is_good(self) -> bool {
        matches!(self, Self::MemoryFree | Self::DiskFree)
    }
}

/// Watches one machine.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    strain: Strain,
    /// When a sign last was at that level or above: of the warning one and of the critical one.
    reached: [Option<(Moment, Symptom)>; 2],
}

impl Watch {
    /// What holds since the last look.
    #[must_use]
    pub fn strain(&self) -> Strain {
        self.strain
    }

    /// Looks at what was measured.
    pub fn look(&mut self, readings: &[Reading], rules: &StrainRules, now: Moment) {
        for (level, seen) in readings.iter().filter_map(|reading| rules.level(*reading)) {
            for (_, reached) in levels(&mut self.reached).filter(|(reached, _)| *reached <= level) {
                let is_first = reached.is_none_or(|(at, before)| at < now || before.sign == seen.sign);
                if is_first {
                    *reached = Some((now, seen));
                }
            }
        }
        self.strain = Strain { heavy_percent: rules.heavy_percent, ..Strain::default() };
        for (level, reached) in levels(&mut self.reached) {
            match reached {
                // Only what is looked at again is left: a machine that slept has not been calm.
                Some((at, seen)) if now.since(*at) < rules.calm => {
                    (self.strain.level, self.strain.seen) = (level, Some(*seen));
                }
                _ => *reached = None,
            }
        }
    }
}

type Reached = Option<(Moment, Symptom)>;

fn levels(reached: &mut [Reached; 2]) -> impl Iterator<Item = (Level, &mut Reached)> {
    [Level::Warn, Level::Critical].into_iter().zip(reached)
}

impl Strain {
    /// Whether tasks that ask this are not sent to such a machine, which has so much.
    #[must_use]
    pub fn refuses(&self, demand: &Demand, capacity: &Resources) -> bool {
        match self.level {
            Level::Normal => false,
            Level::Warn => demand.requests().any(|(_, need)| self.is_heavy(need, capacity)),
            Level::Critical => true,
        }
    }

    /// Whether an attempt that holds this is not to be sent to such a machine.
    #[must_use]
    pub fn refuses_need(&self, need: &Resources, capacity: &Resources) -> bool {
        self.level == Level::Critical || self.level == Level::Warn && self.is_heavy(need, capacity)
    }

    fn is_heavy(&self, need: &Resources, capacity: &Resources) -> bool {
        let more =
            |need: u64, all: u64| u128::from(need) * 100 > u128::from(all) * u128::from(self.heavy_percent);
        more(need.cpu_millis, capacity.cpu_millis) || more(need.memory_bytes, capacity.memory_bytes)
    }
}

/// `warn: 7 % of its memory is free, less than 10 %`.
impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.seen {
            Some(seen) => write!(f, "{}: {seen}", self.level),
            None => self.level.fmt(f),
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sign, value, limit } = *self;
        match sign {
            Sign::MemoryFree => write!(f, "{value} % of its memory is free, less than {limit} %"),
            Sign::MemoryStall => {
                write!(f, "something waits for memory {value} % of the time, {limit} % or more")
            }
            Sign::IoStall => write!(f, "all wait for disks {value} % of the time, {limit} % or more"),
            Sign::Load => write!(f, "its load is {value} % of its cores, {limit} % or more"),
            Sign::DiskFree => {
                write!(f, "{} MiB of its disk are free, less than {} MiB", value >> 20, limit >> 20)
            }
            Sign::Memory => f.write_str("its system says that memory is scarce"),
            Sign::Heat => f.write_str("its system says that it is hot"),
            Sign::Unanswered => write!(f, "it has not answered {value} times in a row, {limit} or more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(0) + Duration::from_secs(seconds)
    }

    fn free(percent: u64) -> [Reading; 1] {
        [Reading { sign: Sign::MemoryFree, value: percent }]
    }

    #[test]
    fn a_level_is_reached_at_once_and_left_after_a_calm_while() {
        let (mut watch, rules) = (Watch::default(), StrainRules::default());
        let mut level = |percent, seconds| {
            watch.look(&free(percent), &rules, at(seconds));
            watch.strain().level
        };
        assert_eq!((level(50, 0), level(9, 5), level(50, 10)), (Level::Normal, Level::Warn, Level::Warn));
        assert_eq!(
            (level(3, 15), level(9, 29), level(9, 30)),
            (Level::Critical, Level::Critical, Level::Warn)
        );
        assert_eq!((level(50, 44), level(50, 45)), (Level::Warn, Level::Normal));
    }

    #[test]
    fn what_is_not_limited_and_what_cannot_be_told_is_no_strain() {
        let mut watch = Watch::default();
        let rules = StrainRules { memory_free: Limits { warn: 0, critical: 0 }, ..StrainRules::default() };
        watch.look(&free(0), &rules, at(0));
        watch.look(&[], &StrainRules::default(), at(1));
        assert_eq!(watch.strain().level, Level::Normal);
    }

    #[test]
    fn heat_never_costs_work_and_scarce_memory_does() {
        let level =
            |sign, value| StrainRules::default().level(Reading { sign, value }).map(|(level, _)| level);
        assert_eq!((level(Sign::Heat, 2), level(Sign::Heat, 0)), (Some(Level::Warn), None));
        assert_eq!(
            (level(Sign::Memory, 1), level(Sign::Memory, 2)),
            (Some(Level::Warn), Some(Level::Critical))
        );
    }

    #[test]
    fn under_warning_only_what_is_heavy_is_refused() {
        let strain = |level| Strain { level, seen: None, heavy_percent: 50 };
        let capacity = Resources { cpu_millis: 4000, memory_bytes: 8 << 30, ..Resources::default() };
        let refuses = |level, millis| strain(level).refuses_need(&Resources::cpus(millis), &capacity);
        assert!(!refuses(Level::Normal, 4000) && !refuses(Level::Warn, 2000) && refuses(Level::Warn, 2001));
        assert!(refuses(Level::Critical, 1));
        let large = Resources { memory_bytes: 5 << 30, ..Resources::cpus(1) };
        assert!(strain(Level::Warn).refuses_need(&large, &capacity));
    }

    #[test]
    fn strain_is_told_in_words() {
        let mut watch = Watch::default();
        watch.look(&free(7), &StrainRules::default(), at(0));
        assert_eq!(watch.strain().to_string(), "warn: 7 % of its memory is free, less than 10 %");
        assert_eq!(Strain::default().to_string(), "normal");
    }

    proptest! {
        /// The level is the highest that any reading has reached within the calm while, no more and no less.
        #[test]
        fn the_level_is_the_worst_of_the_last_while(
            looks in prop::collection::vec((1u64..20, prop::collection::vec((0usize..7, 0u64..4000), 0..4)), 1..40),
        ) {
            let (mut watch, rules, mut now) = (Watch::default(), StrainRules::default(), 0);
            let mut past: Vec<(u64, Level)> = Vec::new();
            for (step, readings) in looks {
                now += step;
                let readings: Vec<_> = readings
                    .into_iter()
                    .map(|(sign, value)| Reading { sign: Sign::VARIANTS[sign], value })
                    .collect();
                let worst = readings.iter().filter_map(|one| Some(rules.level(*one)?.0)).max();
                past.extend(worst.map(|level| (now, level)));
                watch.look(&readings, &rules, at(now));
                let recent = past.iter().filter(|(then, _)| now - then < rules.calm.as_secs());
                let expected = recent.map(|(_, level)| *level).max().unwrap_or_default();
                prop_assert_eq!(watch.strain().level, expected);
                prop_assert_eq!(watch.strain().seen.is_some(), expected > Level::Normal);
            }
        }
    }
}
