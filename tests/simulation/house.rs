//! The rules of the house: what the operator of a world has said, and what is done to work so that these rules matter.
//!
//! Drawn from chance of its own, so that whatever else a seed brings stays as it is. Most rules hold in some seeds only,
//! so that each is seen alone and beside others.

use std::sync::Arc;
use std::time::Duration;

use actors::config::Limits;
use actors::config::scheduler::Scheduling;
use fastrand::Rng;
use policy::ageing::Ageing;
use policy::breaker::BreakerRules;
use policy::budget::{Budget, OnReached, TenantBudget, TenantBudgets};
use policy::pressure::PressureRules;
use policy::submission::Submission;
use policy::tenant::{Quota, Quotas};

use super::program::Program;

/// Of so many seeds one has a rule.
const ONE_OF: u32 = 6;

/// What holds in a world. Without anything everything is as usual.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct House {
    seed: u64,
    /// Breakers that trip soon, kinds of tasks, and machines that can start nothing for a while.
    pub(super) breaker: Option<BreakerRules>,
    /// After how many deaths of machines a task is set aside; some tasks take theirs down.
    poison: Option<u32>,
    quota: Option<Quota>,
    tenant_budget: Option<TenantBudget>,
    /// Whether some graphs may not use up everything.
    pub(super) has_budgets: bool,
    pressure: Option<PressureRules>,
    /// Killing takes as long as it ever may, work is long and does not listen, and machines are cut off for longer than
    /// leases last: what is done at the last moment shows.
    pub(super) is_stubborn: bool,
    pub(super) crowd: Option<Crowd>,
}

/// Many tasks at once, made for one promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crowd {
    /// Of tenants of different weights.
    Fair,
    /// What is urgent, behind little that is not.
    Patient,
    /// Small ones, and a large one among them.
    Stream,
}

/// What the tenants of a fair crowd are due.
pub(super) const WEIGHTS: [(&str, u32); 3] = [("fair-1", 1), ("fair-2", 2), ("fair-3", 3)];

impl House {
    /// What the seed says.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x0040_05E5);
        let rng = &mut rng;
        if rng.u32(..ONE_OF) == 0 {
            let crowd = [Crowd::Fair, Crowd::Patient, Crowd::Stream][rng.usize(..3)];
            return Self { seed, crowd: Some(crowd), ..Self::default() };
        }
        Self {
            seed,
            breaker: sometimes(rng, breaker),
            poison: sometimes(rng, |rng| rng.u32(1..4)),
            quota: sometimes(rng, |rng| Quota { max_waiting: rng.u64(3..30), max_running: rng.u64(1..4) }),
            tenant_budget: sometimes(rng, tenant_budget),
            has_budgets: rng.u32(..ONE_OF) == 0,
            pressure: sometimes(rng, pressure),
            is_stubborn: rng.u32(..ONE_OF) == 0,
            crowd: None,
        }
    }

    /// In which each tenant runs one task at a time.
    pub(super) fn one_at_a_time() -> Self {
        Self { quota: Some(Quota { max_waiting: 0, max_running: 1 }), ..Self::default() }
    }

    /// As the scheduler side is told.
    pub(super) fn limits(&self) -> Limits {
        let usual = Limits::default();
        let budgets = self.tenant_budget.map(|usual| Arc::new(TenantBudgets { usual, ..Default::default() }));
        Limits {
            breaker: self.breaker.unwrap_or(usual.breaker),
            poison_after: self.poison.unwrap_or(usual.poison_after),
            quotas: Quotas { usual: self.quota.unwrap_or_default(), ..Quotas::default() },
            budgets: budgets.unwrap_or_default(),
            pressure: self.pressure.unwrap_or(usual.pressure),
            scheduling: self.scheduling(),
            ..usual
        }
    }

    fn scheduling(&self) -> Scheduling {
        let usual = Scheduling::default();
        match self.crowd {
            Some(Crowd::Fair) => {
                let weights = WEIGHTS.iter().map(|(name, weight)| (Box::from(*name), *weight)).collect();
                Scheduling { weights: Arc::new(weights), ..usual }
            }
            Some(Crowd::Patient) => {
                let (base, tick) = (Duration::from_secs(1), Duration::from_millis(250));
                Scheduling { ageing: Ageing { base, tick, ..usual.ageing }, ..usual }
            }
            Some(Crowd::Stream) | None => usual,
        }
    }

    /// Chance for one thing in this house.
    pub(super) fn chance(&self, number: u64) -> Rng {
        Rng::with_seed(self.seed.rotate_left(20) ^ number)
    }

    /// What clients of such a house hand in: kinds, killers, budgets.
    pub(super) fn dress(&self, submission: &mut Submission, number: u64) {
        let mut rng = self.chance(number);
        for item in &mut submission.items {
            let (kind, kills) = (rng.usize(..4), rng.u32(..16) == 0);
            if self.breaker.is_some() {
                let kinds = ["build", "test", "agent"];
                Arc::make_mut(&mut item.spec).kind = kinds.get(kind).map(|kind| Arc::from(*kind));
            }
            if kills && self.poison.is_some() && item.array.is_none() {
                let spec = Arc::make_mut(&mut item.spec);
                spec.argv = Program { kills: true, ..Program::of(&spec.argv) }.argv();
            }
        }
        if self.is_stubborn {
            self.harden(submission, number);
        }
        if self.has_budgets && rng.bool() && submission.into.is_none() {
            submission.budget = budget(&mut rng);
        }
    }

    /// Makes some tasks long ones that only a signal ends which cannot be refused.
    fn harden(&self, submission: &mut Submission, number: u64) {
        let mut rng = self.chance(!number);
        for item in submission.items.iter_mut().filter(|item| item.array.is_none()) {
            let (is_hard, length) = (rng.u32(..3) == 0, rng.u64(20_000..45_000));
            if is_hard {
                let spec = Arc::make_mut(&mut item.spec);
                let program = Program::of(&spec.argv);
                spec.argv = Program { length, obeys_after: None, is_missing: false, ..program }.argv();
                (spec.timeout, spec.claims) = (None, None);
            }
        }
    }

    /// How much longer something may take that would take `longest`, and is so many attempts.
    pub(super) fn delays(&self, attempts: u32) -> Duration {
        let open = self.breaker.map_or(Duration::ZERO, |rules| rules.open);
        let deaths = self.poison.map_or(0, |deaths| deaths + 1);
        let period = self.tenant_budget.and_then(|budget| budget.per).unwrap_or_default();
        (open + Duration::from_secs(5)) * deaths * attempts.min(8) + period * attempts
    }

    /// Whether clients are told when to come back.
    pub(super) fn sends_away(&self) -> bool {
        self.quota.is_some() || self.pressure.is_some() || self.tenant_budget.is_some()
    }
}

fn sometimes<T>(rng: &mut Rng, draw: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    let mut own = rng.fork();
    (rng.u32(..ONE_OF) == 0).then(|| draw(&mut own))
}

fn breaker(rng: &mut Rng) -> BreakerRules {
    BreakerRules {
        failures: rng.u32(1..4),
        open: Duration::from_millis(rng.u64(1000..15_000)),
        trials: rng.u32(1..5),
        success_percent: [1, 67, 100][rng.usize(..3)],
        kinds_count_failures: rng.bool(),
    }
}

fn pressure(rng: &mut Rng) -> PressureRules {
    PressureRules {
        max_queue_depth: rng.u64(6..24),
        moderate_percent: 30,
        high_percent: 60,
        critical_percent: 85,
        hysteresis_percent: 5,
    }
}

/// Of what is there again after a while.
fn tenant_budget(rng: &mut Rng) -> TenantBudget {
    let by_time = rng.u32(..3) == 0;
    let budget = Budget {
        attempts: if by_time { 0 } else { rng.u64(4..20) },
        wall: if by_time { Duration::from_secs(rng.u64(2..20)) } else { Duration::ZERO },
        on_reached: if rng.u32(..6) == 0 { OnReached::Cancel } else { OnReached::Pause },
        ..Budget::default()
    };
    TenantBudget { budget, per: Some(Duration::from_secs(rng.u64(8..25))) }
}

fn budget(rng: &mut Rng) -> Budget {
    let mut one_of = |limit: u64| if rng.bool() { rng.u64(1..limit) } else { 0 };
    let (attempts, retries, wall) = (one_of(8), one_of(4), one_of(12));
    let on_reached = if rng.u32(..3) == 0 { OnReached::Cancel } else { OnReached::Pause };
    Budget { attempts, retries, wall: Duration::from_secs(wall), on_reached, ..Budget::default() }
}
