//! How fast one tenant may hand in work: so many submissions a second, as many at once where it was quiet before.
//!
//! Each tenant has the moment at which all that it has handed in would be due at its pace (the generic cell rate algorithm of ATM
//! networks); it may be one second ahead. Whoever is too fast is told when to come back. Must not know what is handed in.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::time::Moment;

/// How far one may be ahead of its pace.
const AHEAD: Duration = Duration::from_secs(1);
/// Tenants after which those who are not ahead are forgotten: as many as a site may have.
const KNOWN_LIMIT: usize = 1000;

/// The paces of all tenants, in submissions a second; `None` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paces {
    /// Of those that are not named.
    pub usual: Option<NonZeroU32>,
    /// Of single ones, by name.
    pub named: FxHashMap<Arc<str>, Option<NonZeroU32>>,
}

/// What one tenant may hand in a second: far more than a loop of `crab submit` makes, and a tenth of what a scheduler of two
/// cores takes in.
pub const USUAL_PACE: u32 = 2000;

impl Default for Paces {
    fn default() -> Self {
        Self { usual: NonZeroU32::new(USUAL_PACE), named: FxHashMap::default() }
    }
}

/// Somebody hands in too fast.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant:?} hands in more than {per_second} submissions a second, as many as it may")]
pub struct TooFast {
    /// Who.
    pub tenant: Arc<str>,
    /// How many it may.
    pub per_second: NonZeroU32,
    /// When to come back.
    pub retry_after: Duration,
}

/// Who is how far ahead.
#[derive(Debug, Clone, Default)]
pub struct Inflow(FxHashMap<Arc<str>, Moment>);

impl Inflow {
    /// One more submission, of these tenants: all of them are charged, or none.
    ///
    /// # Errors
    /// One of them is too fast; the first such.
    pub fn admit(&mut self, tenants: &[Arc<str>], paces: &Paces, now: Moment) -> Result<(), TooFast> {
        let mut due = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            let Some(per_second) = *paces.named.get(tenant).unwrap_or(&paces.usual) else { continue };
            let before = self.0.get(tenant).copied().unwrap_or_default().max(now);
            let after = before + AHEAD / per_second.get();
            let ahead = after.since(now);
            if ahead > AHEAD {
                let retry_after = ahead - AHEAD;
                return Err(TooFast { tenant: Arc::clone(tenant), per_second, retry_after });
            }
            due.push((Arc::clone(tenant), after));
        }
        if self.0.len() + due.len() > KNOWN_LIMIT {
            self.0.retain(|_, due| *due > now);
        }
        self.0.extend(due);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paces(per_second: u32) -> Paces {
        Paces { usual: NonZeroU32::new(per_second), ..Paces::default() }
    }

    fn at(millis: u64) -> Moment {
        Moment::default() + Duration::from_millis(millis)
    }

    #[test]
    fn a_second_of_work_may_come_at_once_and_then_it_is_told_when_to_come_back() {
        let (mut inflow, ann) = (Inflow::default(), [Arc::from("ann")]);
        for _ in 0..4 {
            inflow.admit(&ann, &paces(4), at(1000)).unwrap();
        }
        let refused = inflow.admit(&ann, &paces(4), at(1000)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_millis(250));
        assert_eq!(
            refused.to_string(),
            "tenant \"ann\" hands in more than 4 submissions a second, as many as it may"
        );
        inflow.admit(&["bob".into()], &paces(4), at(1000)).unwrap();
        assert!(inflow.admit(&ann, &paces(4), at(1249)).is_err());
        inflow.admit(&ann, &paces(4), at(1250)).unwrap();
        inflow.admit(&ann, &paces(0), at(1250)).expect("0 is any number");
        let named = Paces { named: [("ann".into(), NonZeroU32::new(1))].into_iter().collect(), ..paces(4) };
        assert!(inflow.admit(&["bob".into(), "ann".into()], &named, at(1250)).is_err());
        assert_eq!(inflow.0["bob"], at(1250), "who comes with one that is refused is not charged");
    }

    #[test]
    fn who_is_not_ahead_is_forgotten_when_there_are_many() {
        let mut inflow = Inflow::default();
        for one in 0..10 * KNOWN_LIMIT as u64 {
            inflow.admit(&[format!("t{one}").into()], &paces(1000), at(one)).unwrap();
        }
        assert!(inflow.0.len() <= KNOWN_LIMIT, "{}", inflow.0.len());
    }

    proptest! {
        #[test]
        fn nobody_hands_in_more_than_its_pace_and_a_second_of_it_and_who_comes_back_as_told_is_taken_in(
            per_second in 1..50_u32,
            pauses in prop::collection::vec(0..200_u64, 1..200),
        ) {
            let (mut inflow, tenant, paces) = (Inflow::default(), ["t".into()], paces(per_second));
            let (mut now, mut taken) = (at(5), 0_u32);
            for pause in pauses {
                now = now + Duration::from_millis(pause);
                match inflow.admit(&tenant, &paces, now) {
                    Ok(()) => taken += 1,
                    Err(refused) => {
                        prop_assert!(refused.retry_after <= AHEAD / per_second);
                        now = now + refused.retry_after;
                        prop_assert!(inflow.admit(&tenant, &paces, now).is_ok());
                        taken += 1;
                    }
                }
                let due = f64::from(per_second) * (now.since(at(5)).as_secs_f64() + 1.0);
                prop_assert!(f64::from(taken) <= due + 1.0, "{} of {}", taken, due);
            }
        }
    }
}
