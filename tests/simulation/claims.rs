//! What tasks claim in the simulated world: few things, so that they meet.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use policy::claims::{ClaimRules, Claims, Mode, RateRule, WindowRule};

/// What the fleet has.
pub(super) fn rules() -> ClaimRules {
    let windows = vec![
        WindowRule { unit: "calls".into(), limit: 3, length: Duration::from_secs(10) },
        WindowRule { unit: "tokens".into(), limit: 400, length: Duration::from_secs(60) },
    ];
    ClaimRules {
        readers: [("few".into(), 2)].into(),
        rates: [("llm".into(), RateRule { windows })].into(),
        pools: [("ports".into(), ["9000", "9001", "9002"].map(Into::into).to_vec())].into(),
        amounts: [("licences".into(), 3)].into(),
    }
}

/// What one task claims, if anything.
pub(super) fn claims(rng: &mut Rng) -> Option<Arc<Claims>> {
    if rng.u32(..5) > 0 {
        return None;
    }
    let mut claims = Claims::default();
    for lock in ["repo", "database", "few"] {
        match rng.u32(..6) {
            0 => drop(claims.locks.insert(lock.into(), Mode::Exclusive)),
            1 => drop(claims.locks.insert(lock.into(), Mode::Shared)),
            _ => {}
        }
    }
    if rng.u32(..4) == 0 {
        claims.pools.insert("ports".into(), rng.u32(1..3));
    }
    if rng.u32(..4) == 0 {
        claims.amounts.insert("licences".into(), rng.u64(1..3));
    }
    if rng.u32(..4) == 0 {
        claims.rates.insert("llm".into(), [("tokens".into(), rng.u64(..200))].into());
    }
    (!claims.is_empty()).then(|| Arc::new(claims))
}
