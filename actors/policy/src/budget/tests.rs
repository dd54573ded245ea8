//! What is refused before, what is counted at the end, and that nothing wraps.

use proptest::prelude::*;

use super::*;

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

#[test]
fn an_attempt_too_many_is_refused_and_not_counted() {
    let mut account = Account::new(Budget { attempts: 2, ..Budget::default() });
    assert_eq!((account.reserve(), account.reserve()), (Ok(()), Ok(())));
    let refused = account.reserve().unwrap_err();
    assert_eq!(refused, Reached { meter: Meter::Attempts, used: 0, limit: 2 });
    account.release();
    account.granted();
    assert_eq!(account.spent().attempts, 1);
    assert_eq!(account.reserve(), Ok(()), "what was given back is there again");
    account.granted();
    assert_eq!(account.reserve().unwrap_err().to_string(), "2 of 2 attempts are used");
    assert_eq!(account.spent().attempts, 2);
}

#[test]
fn a_retry_too_many_is_refused_and_not_counted() {
    let mut account = Account::new(Budget { retries: 1, ..Budget::default() });
    assert_eq!(account.retry(), Ok(()));
    assert_eq!(account.retry().unwrap_err().to_string(), "1 of 1 retries are used");
    assert_eq!((account.spent().retries, account.reserve()), (1, Ok(())), "first attempts go on");
}

#[test]
fn time_and_cost_are_counted_at_the_end_and_told_once_when_they_are_reached() {
    let budget = Budget { wall: minutes(10), cost: 100, ..Budget::default() };
    let mut account = Account::new(budget);
    let used = |wall, cost| Charge { wall: minutes(wall), cost, ..Charge::default() };
    assert_eq!(account.charge(&used(9, 99)), None);
    assert_eq!(account.reserve(), Ok(()));
    let reached = account.charge(&used(2, 0)).expect("it is used up");
    assert_eq!(reached.to_string(), "660s of 600s of time are used");
    assert_eq!(account.charge(&used(2, 5)), None, "that was told");
    assert_eq!(account.spent().cost, 104, "what was used was used");
    assert!(account.reserve().is_err());
}

#[test]
fn nothing_is_a_limit_of_nothing() {
    let mut account = Account::new(Budget::default());
    assert!(account.budget().is_unlimited());
    for _ in 0..1000 {
        assert_eq!((account.reserve(), account.retry()), (Ok(()), Ok(())));
        account.granted();
        assert_eq!(account.charge(&Charge { wall: minutes(60), cpu: minutes(60), cost: u64::MAX }), None);
    }
}

#[test]
fn a_budget_that_is_raised_covers_more_and_what_was_used_stays_used() {
    let mut account = Account::new(Budget { cpu: minutes(1), ..Budget::default() });
    account.charge(&Charge { cpu: minutes(5), ..Charge::default() });
    assert!(account.covers_attempt().is_err());
    account.set_budget(Budget { cpu: minutes(5), ..Budget::default() });
    assert!(account.covers_attempt().is_err(), "not enough");
    account.set_budget(Budget { cpu: minutes(6), ..Budget::default() });
    assert_eq!(account.covers_attempt(), Ok(()));
}

#[test]
fn the_shortest_limit_is_not_taken_for_none() {
    let mut account = Account::new(Budget { wall: Duration::from_nanos(1), ..Budget::default() });
    assert_eq!(account.covers_attempt(), Ok(()));
    account.charge(&Charge { wall: Duration::from_nanos(1), ..Charge::default() });
    assert!(account.covers_attempt().is_err());
}

proptest! {
    /// Whatever happens in which order: never more attempts or retries than the budget, no sum wraps, and what
    /// is set aside is granted or comes back.
    #[test]
    fn prior_charges_never_exceed_a_budget(
        inputs in prop::collection::vec((0_u8..6, any::<u64>()), 0..300),
        attempts in 0_u64..10,
        retries in 0_u64..10,
        cost in any::<u64>(),
    ) {
        let mut account = Account::new(Budget { attempts, retries, cost, ..Budget::default() });
        let mut reserved = 0_u64;
        for (input, amount) in inputs {
            match input {
                0 => reserved += u64::from(account.reserve().is_ok()),
                1 if reserved > 0 => { reserved -= 1; account.granted(); }
                2 if reserved > 0 => { reserved -= 1; account.release(); }
                3 => { let _ = account.retry(); }
                4 => account.give_back_retry(),
                _ => {
                    let before = account.spent().cost;
                    account.charge(&Charge { cost: amount, wall: Duration::from_nanos(amount), ..Charge::default() });
                    prop_assert!(account.spent().cost >= before);
                }
            }
            prop_assert!(attempts == 0 || account.spent().attempts + reserved <= attempts);
            prop_assert!(retries == 0 || account.spent().retries <= retries);
            if cost > 0 && account.spent().cost >= cost {
                prop_assert!(account.covers_attempt().is_err());
            }
        }
    }
}
