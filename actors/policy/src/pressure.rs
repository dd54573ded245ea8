//! How strained the scheduler is by what waits, and what follows: what is still taken in, how much runs at
//! once, how far time limits stretch.
//!
//! # What counts
//!
//! The depth is the number of *items* that have not ended: a task by itself or an array as a whole. An item is
//! what costs something while it waits (a record, a specification, an entry, a place in a list), and it is what
//! somebody decided to hand in; the members of an array cost nothing until their turn comes. That tasks are not
//! too many either is `admission`'s matter (`waiting_tasks`), and that one tenant does not crowd out others
//! `tenant`'s.

mod drain;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::planted;
use crate::task::Priority;

pub use crate::pressure::drain::Drain;

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
pub enum Mode {
    /// Everything is taken in and started.
    #[default]
    Normal,
    /// Three quarters run at once.
    Moderate,
    /// A quarter runs at once; nothing of low priority is taken in.
    High,
    /// One at a time; only what is critical is taken in.
    Critical,
}

/// From where on each mode holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PressureRules {
    /// Items that may wait or run; more are told to come back.
    pub max_queue_depth: u64,
    /// From here on [`Mode::Moderate`], in percent of the limit.
    pub moderate_percent: u8,
    /// From here on [`Mode::High`].
    pub high_percent: u8,
    /// From here on [`Mode::Critical`].
    pub critical_percent: u8,
    /// How far below its threshold a mode ends, in percent of the limit, so that it does not flap.
    pub hysteresis_percent: u8,
}

/// Names for usual rules.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Display, EnumString, VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum Preset {
    /// 50, 80 and 95 percent of 2,100,000.
    #[default]
    Normal,
    /// 30, 60 and 85 percent of 1,000.
    Strict,
    /// 70, 90 and 98 percent of 10,500,000.
    Permissive,
}

/// Why rules cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PressureRefused {
    /// Nothing could be taken in.
    #[error("max_queue_depth = 0 must be at least 1")]
    NoDepth,
    /// A mode would never hold, or always.
    #[error(
        "thresholds of {moderate}, {high} and {critical} percent must be between 1 and 100 and each larger than the one before"
    )]
    Thresholds {
        /// Of `Moderate`.
        moderate: u8,
        /// Of `High`.
        high: u8,
        /// Of `Critical`.
        critical: u8,
    },
    /// A mode would never end.
    #[error("hysteresis = {hysteresis} percent must be less than the first threshold, {moderate} percent")]
    Hysteresis {
        /// What was said.
        hysteresis: u8,
        /// What it must be less than.
        moderate: u8,
    },
}

/// Another mode holds from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeChange {
    /// What held.
    pub from: Mode,
    /// What holds.
    pub to: Mode,
    /// Items that had not ended.
    pub depth: u64,
    /// The limit.
    pub limit: u64,
}

/// Why something is not taken in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Shed {
    /// Its priority is not taken in while this mode holds.
    #[error(
        "the queue is under {mode} pressure ({depth} of {limit}): nothing of {priority} priority is taken in"
    )]
    Mode {
        /// What holds.
        mode: Mode,
        /// The lowest priority in what was handed in.
        priority: Priority,
        /// Items that have not ended.
        depth: u64,
        /// The limit.
        limit: u64,
    },
    /// There would be too many.
    #[error("{depth} tasks and arrays have not ended and {new} more would exceed the limit of {limit}")]
    Full {
        /// Items that have not ended.
        depth: u64,
        /// Items that would come to them.
        new: u64,
        /// The limit.
        limit: u64,
    },
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressure {
    rules: PressureRules,
    mode: Mode,
    depth: u64,
}

impl Mode {
    /// How far time limits stretch while it holds, in percent: where much runs late, what is slow because of
    /// that should not be killed for it.
    #[must_use]
    pub fn stretch_percent(self) -> u32 {
        match self {
            Self::Normal => 100,
            Self::Moderate => 150,
            Self::High => 250,
            Self::Critical => 500,
        }
    }

    /// A time limit while it holds.
    #[must_use]
    pub fn stretched(self, limit: Duration) -> Duration {
        limit.checked_mul(self.stretch_percent()).map_or(Duration::MAX, |stretched| stretched / 100)
    }

    /// How much may run at once where `most` can: never nothing, since then nothing would ever end.
    #[must_use]
    pub fn parallelism(self, most: u64) -> u64 {
        if planted!(PressureDoesNotThrottle) {
            return most.max(1);
        }
        let part = |percent: u128| u64::try_from(u128::from(most) * percent / 100).unwrap_or(u64::MAX).max(1);
        match self {
            Self::Normal => most.max(1),
            Self::Moderate => part(75),
            Self::High => part(25),
            Self::Critical => 1,
        }
    }

    /// Whether what is this urgent is taken in while it holds.
    #[must_use]
    pub fn takes(self, priority: Priority) -> bool {
        match self {
            Self::Normal | Self::Moderate => true,
            Self::High => priority > Priority::Low,
            Self::Critical => priority == Priority::Critical,
        }
    }
}

impl Preset {
    /// What it stands for. The usual depth is a little more than twice a million, so that a million tasks
    /// that wait each by itself are no strain yet; `strict` keeps a small house, `permissive` is five times the
    /// usual.
    #[must_use]
    pub fn rules(self) -> PressureRules {
        let (max_queue_depth, [moderate_percent, high_percent, critical_percent]) = match self {
            Self::Normal => (2_100_000, [50, 80, 95]),
            Self::Strict => (1_000, [30, 60, 85]),
            Self::Permissive => (10_500_000, [70, 90, 98]),
        };
        let hysteresis_percent = 5;
        PressureRules {
            max_queue_depth,
            moderate_percent,
            high_percent,
            critical_percent,
            hysteresis_percent,
        }
    }
}

impl Default for PressureRules {
    fn default() -> Self {
        Preset::Normal.rules()
    }
}

impl PressureRules {
    /// Whether they can be used.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with them.
    pub fn check(&self) -> Result<(), PressureRefused> {
        let Self { moderate_percent: moderate, high_percent: high, critical_percent: critical, .. } = *self;
        if self.max_queue_depth == 0 {
            return Err(PressureRefused::NoDepth);
        }
        if moderate == 0 || high <= moderate || critical <= high || critical > 100 {
            return Err(PressureRefused::Thresholds { moderate, high, critical });
        }
        let hysteresis = self.hysteresis_percent;
        if hysteresis >= moderate {
            return Err(PressureRefused::Hysteresis { hysteresis, moderate });
        }
        Ok(())
    }

    /// The depth from which on a mode holds; a mode that holds already does so from `hysteresis` less.
    fn threshold(&self, mode: Mode, holds: bool) -> u64 {
        let percent = match mode {
            Mode::Normal => return 0,
            Mode::Moderate => self.moderate_percent,
            Mode::High => self.high_percent,
            Mode::Critical => self.critical_percent,
        };
        let percent = percent.saturating_sub(if holds { self.hysteresis_percent } else { 0 });
        let least = (u128::from(self.max_queue_depth) * u128::from(percent)).div_ceil(100);
        // A single item is no strain, however small the limit.
        u64::try_from(least).unwrap_or(u64::MAX).max(2)
    }
}

impl Pressure {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(rules: PressureRules) -> Self {
        Self { rules, mode: Mode::Normal, depth: 0 }
    }

    /// Other rules from now on; the mode follows with the next [`Self::observe`].
    pub fn set_rules(&mut self, rules: PressureRules) {
        self.rules = rules;
    }

    /// What holds.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Items that have not ended, and how many may.
    #[must_use]
    pub fn depth(&self) -> (u64, u64) {
        (self.depth, self.rules.max_queue_depth)
    }

    /// So many items have not ended: whether that is another mode.
    pub fn observe(&mut self, depth: u64) -> Option<ModeChange> {
        self.depth = depth;
        let holds = |mode: &Mode| depth >= self.rules.threshold(*mode, *mode <= self.mode);
        let to = Mode::VARIANTS.iter().copied().rev().find(holds).unwrap_or_default();
        let from = std::mem::replace(&mut self.mode, to);
        let limit = self.rules.max_queue_depth;
        (from != to).then_some(ModeChange { from, to, depth, limit })
    }

    /// Whether `new` items, the least urgent of this priority, are taken in beside what has not ended. Where
    /// nothing waits there is room for everything: otherwise it would be sent away for ever.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn admit(&self, new: u64, priority: Priority) -> Result<(), Shed> {
        let (depth, limit, mode) = (self.depth, self.rules.max_queue_depth, self.mode);
        if !mode.takes(priority) && !planted!(PressureIgnored) {
            return Err(Shed::Mode { mode, priority, depth, limit });
        }
        if depth > 0 && depth.saturating_add(new) > limit {
            return Err(Shed::Full { depth, new, limit });
        }
        Ok(())
    }

    /// How many items have to end before what was refused is taken in.
    #[must_use]
    pub fn excess(&self, shed: &Shed) -> u64 {
        let until = match *shed {
            Shed::Mode { priority, .. } => {
                let refusing = Mode::VARIANTS.iter().find(|mode| !mode.takes(priority));
                refusing.map_or(self.depth, |mode| self.rules.threshold(*mode, true).saturating_sub(1))
            }
            Shed::Full { new, limit, .. } => limit.saturating_sub(new),
        };
        self.depth.saturating_sub(until).max(1)
    }

    /// What must always hold.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[cfg(test)]
    fn check(&self) {
        let Self { rules, mode, depth } = self;
        assert!(*depth >= rules.threshold(*mode, true), "{mode} holds at {depth}");
        let above = Mode::VARIANTS.iter().find(|one| *one > mode);
        assert!(above.is_none_or(|above| *depth < rules.threshold(*above, false)), "{mode} at {depth}");
        assert!(mode.parallelism(0) > 0, "something may always run");
    }
}

#[cfg(test)]
mod tests;
