//! `[scheduler]`: in which order tasks are started. What the values must be to each other is the matter of
//! `policy::{time_slice, ageing}`.

use std::sync::Arc;

use policy::admission::{AdmissionLimits, Unschedulable};
use policy::ageing::{Ageing, Mode};
use policy::preempt::Preemption;
use policy::queue::Weights;
use policy::time_slice::{Fairness, Shares};

use crate::config::amount::Length;
use crate::config::section::{Any, If, section};

/// In which order tasks are started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scheduling {
    /// By what rule the next priority is chosen.
    pub fairness: Fairness,
    /// The part of all starts that each priority has.
    pub shares: Shares,
    /// How waiting raises.
    pub ageing: Ageing,
    /// How much each tenant is due beside others.
    pub weights: Arc<Weights>,
    /// Whether tasks make room for others.
    pub preemption: Preemption,
    /// Whether what is waited for is served as the most urgent that waits for it.
    pub lends_priority: bool,
}

section! {
    /// `[scheduler]`
    SchedulerConfig {
        /// Which priority is next: each by its time slice, or always the most urgent (strict); in both, who has aged goes first.
        fairness_mode: Fairness = Fairness::TimeSlice, Any("time_slice or strict");
        /// Percent of all starts for Critical, while all priorities have something to start.
        time_slice_critical: u8 = Shares::default().critical, 1..=97;
        /// Percent for High.
        time_slice_high: u8 = Shares::default().high, 1..=97;
        /// Percent for Normal.
        time_slice_normal: u8 = Shares::default().normal, 1..=97;
        /// Percent for Low.
        time_slice_low: u8 = Shares::default().low, 1..=97;
        /// How long it takes until waiting raises: linear, exponential or none.
        ageing: Mode = Ageing::default().mode, Any("none, linear or exponential");
        /// What one level takes.
        ageing_base: Length = Length(Ageing::default().base), Any("at least one tick and at most 24h");
        /// The beat at which ages are looked at.
        tick: Length = Length(Ageing::default().tick), Any("10ms to 1m");
        /// The objective: who stands first in its line is leased within so many ticks.
        objective_ticks: u32 = Ageing::default().objective_ticks, 1..=100_000;
        /// For whom preemptible tasks of Low and Normal priority make room: nobody (off), or Critical tasks.
        preemption: Preemption = Preemption::Off, Any("off or critical");
        /// Whether a task that a more urgent one waits for is served as that one, along the chain of dependencies.
        lend_priority: bool = false, Any("true or false");
        /// The longest an attempt may run whose task does not say.
        default_timeout: Length as "no limit", If(|one: &Length| !one.0.is_zero() && one.0 <= AdmissionLimits::default().timeout, "more than nothing and at most 720h");
        /// What follows for a submission that no machine can ever run.
        unschedulable: Unschedulable as "refuse; warn where others can join (daemon.listen)", Any("refuse or warn");
    }
}

impl SchedulerConfig {
    /// In which order tasks are started, with the weights of tenants.
    #[must_use]
    pub fn scheduling(&self, weights: Arc<Weights>) -> Scheduling {
        Scheduling {
            fairness: self.fairness_mode(),
            shares: self.shares(),
            ageing: self.ages(),
            weights,
            preemption: self.preemption(),
            lends_priority: self.lend_priority(),
        }
    }

    /// The part of all starts that each priority has.
    #[must_use]
    pub fn shares(&self) -> Shares {
        Shares {
            critical: self.time_slice_critical(),
            high: self.time_slice_high(),
            normal: self.time_slice_normal(),
            low: self.time_slice_low(),
        }
    }

    /// What follows for a submission that no machine can ever run. Where no other machine can join, nothing is gained
    /// by waiting, so it is refused at once.
    #[must_use]
    pub fn unschedulable_where(&self, others_can_join: bool) -> Unschedulable {
        let usual = if others_can_join { Unschedulable::Warn } else { Unschedulable::Refuse };
        self.unschedulable.unwrap_or(usual)
    }

    /// How waiting raises.
    #[must_use]
    pub fn ages(&self) -> Ageing {
        Ageing {
            mode: self.ageing(),
            base: self.ageing_base().0,
            tick: self.tick().0,
            objective_ticks: self.objective_ticks(),
        }
    }
}
