//! Locks, rates, pools and amounts against what nobody may ever hold twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::id::TaskId;
use crate::placement::ShapeId;
use crate::task::{Priority, TaskReport};
use crate::time::Moment;

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Moment {
    Moment(seconds * 1_000_000)
}

fn rules() -> ClaimRules {
    let window = |unit: &str, limit, length| WindowRule { unit: unit.into(), limit, length };
    let windows = vec![window("calls", 3, MINUTE), window("tokens", 100, 60 * MINUTE)];
    ClaimRules {
        rates: [("llm".into(), RateRule { windows })].into(),
        pools: [("ports".into(), vec!["9000".into(), "9001".into(), "9002".into()])].into(),
        amounts: [("licences".into(), 5)].into(),
        readers: [("few".into(), 2)].into(),
    }
}

fn lock(name: &str, mode: Mode) -> Claims {
    Claims { locks: [(name.into(), mode)].into(), ..Claims::default() }
}

fn tokens(count: u64) -> Claims {
    let needs = BTreeMap::from([("tokens".into(), count)]);
    Claims { rates: [("llm".into(), needs)].into(), ..Claims::default() }
}

fn pool(count: u32) -> Claims {
    Claims { pools: [("ports".into(), count)].into(), ..Claims::default() }
}

fn holder(task: u64, priority: Priority) -> Holder {
    Holder { task: TaskId(task), node: "n".into(), priority }
}

fn take(table: &mut ClaimTable, task: u64, claims: &Claims, now: Moment) -> Result<Indices, Blocked> {
    table.pass(now);
    let taken = table.take(holder(task, Priority::Normal), &Arc::new(claims.clone()), now);
    table.check();
    taken
}

fn end(table: &mut ClaimTable, task: u64, report: Option<&TaskReport>, now: Moment) {
    table.end(TaskId(task), report, Duration::ZERO, now);
    table.check();
}

#[test]
fn an_exclusive_lock_has_one_holder_and_a_shared_one_many() {
    let mut table = ClaimTable::default();
    let (write, read) = (lock("repo", Mode::Exclusive), lock("repo", Mode::Shared));
    assert!(take(&mut table, 1, &write, at(0)).is_ok());
    let refused = take(&mut table, 2, &read, at(0)).unwrap_err();
    assert_eq!(refused.to_string(), "lock repo is held by t1");
    end(&mut table, 1, None, at(1));
    end(&mut table, 1, None, at(1));
    assert!(take(&mut table, 2, &read, at(1)).is_ok() && take(&mut table, 3, &read, at(1)).is_ok());
    assert!(take(&mut table, 4, &write, at(1)).is_err());
    assert!(take(&mut table, 2, &lock("other", Mode::Shared), at(1)).is_err(), "one attempt holds at a time");
}

#[test]
fn a_lock_is_shared_by_no_more_than_may() {
    let mut table = ClaimTable::new(&rules());
    let read = lock("few", Mode::Shared);
    assert_eq!(table.room(&read, at(0)), Ok(2));
    assert!(take(&mut table, 1, &read, at(0)).is_ok() && take(&mut table, 2, &read, at(0)).is_ok());
    let refused = take(&mut table, 3, &read, at(0)).unwrap_err();
    assert_eq!(refused.to_string(), "lock few is held by t1, t2");
    end(&mut table, 1, None, at(1));
    assert!(take(&mut table, 3, &read, at(1)).is_ok());
}

#[test]
fn what_a_task_claims_it_gets_whole_or_not_at_all() {
    let mut table = ClaimTable::new(&rules());
    assert!(take(&mut table, 1, &pool(2), at(0)).is_ok());
    let both = Claims { locks: lock("repo", Mode::Exclusive).locks, ..pool(2) };
    assert!(matches!(take(&mut table, 2, &both, at(0)), Err(Blocked::Pool { needed: 2, free: 1, .. })));
    assert!(take(&mut table, 3, &lock("repo", Mode::Exclusive), at(0)).is_ok(), "the lock was not taken");
}

#[test]
fn a_task_learns_which_indices_it_got() {
    let mut table = ClaimTable::new(&rules());
    assert!(take(&mut table, 1, &pool(1), at(0)).is_ok());
    let indices = take(&mut table, 2, &pool(2), at(0)).unwrap();
    let environment: Vec<_> = environment(&indices).collect();
    assert_eq!(environment, [("CRAB_POOL_PORTS".to_owned(), "9001,9002".to_owned())]);
    assert_eq!(pool_variable("ios-sim.a"), "CRAB_POOL_IOS_SIM_A");
}

#[test]
fn all_windows_of_a_rate_hold_and_a_call_counts_by_itself() {
    let mut table = ClaimTable::new(&rules());
    for task in 1..=3 {
        assert!(take(&mut table, task, &tokens(30), at(0)).is_ok());
    }
    assert!(matches!(take(&mut table, 4, &tokens(1), at(0)), Err(Blocked::Rate { used: 3, .. })));
    assert!(matches!(take(&mut table, 4, &tokens(11), at(70)), Err(Blocked::Rate { used: 90, .. })));
    assert!(take(&mut table, 4, &tokens(10), at(70)).is_ok());
}

#[test]
fn what_was_not_used_comes_back_and_what_was_used_beyond_is_counted() {
    let mut table = ClaimTable::new(&rules());
    assert!(take(&mut table, 1, &tokens(100), at(0)).is_ok());
    let mut report = TaskReport::default();
    report.add_use("llm", "tokens", 40);
    end(&mut table, 1, Some(&report), at(9));
    table.pass(at(9));
    assert_eq!(table.rate_views(at(9))[0].windows[1].used, 40);
    assert!(take(&mut table, 2, &tokens(20), at(9)).is_ok());
    report.add_use("llm", "tokens", 160);
    end(&mut table, 2, Some(&report), at(10));
    assert_eq!(table.rate_views(at(10))[0].windows[1].used, 240, "what was used is a fact");
}

#[test]
fn a_reservation_that_came_to_nothing_has_used_nothing() {
    let mut table = ClaimTable::new(&rules());
    assert!(take(&mut table, 1, &tokens(100), at(0)).is_ok());
    assert!(table.give_back(TaskId(1), at(3)));
    table.check();
    assert_eq!(table.rate_views(at(0))[0].windows[1].used, 0);
}

#[test]
fn a_rate_that_has_refused_somebody_lets_nobody_in_until_it_is_over() {
    let mut table = ClaimTable::new(&rules());
    assert!(take(&mut table, 1, &tokens(1), at(0)).is_ok());
    let mut report = TaskReport::default();
    report.park("llm", Duration::from_secs(30));
    end(&mut table, 1, Some(&report), at(5));
    let refused = take(&mut table, 2, &tokens(1), at(34)).unwrap_err();
    let wait = refused.wait().expect("it is parked");
    assert!(
        (Duration::from_secs(1)..=Duration::from_secs(4)).contains(&wait),
        "at most a tenth longer: {wait:?}"
    );
    assert!(take(&mut table, 2, &tokens(1), at(34) + wait).is_ok());
}

#[test]
fn what_the_records_say_is_held_again_and_counts_as_long_as_it_would_have() {
    let mut table = ClaimTable::new(&rules());
    let claims = Claims { rates: tokens(90).rates, locks: lock("repo", Mode::Exclusive).locks, ..pool(2) };
    let indices = take(&mut table, 1, &claims, at(1000)).unwrap();
    let mut later = ClaimTable::new(&rules());
    later.take_rates(&claims, Duration::from_secs(100), at(3));
    later.restore(holder(1, Priority::Low), (&Arc::new(claims), &indices), Duration::from_secs(100), at(3));
    later.check();
    later.pass(at(3));
    assert_eq!(
        later.room(&lock("repo", Mode::Shared), at(3)).unwrap_err().to_string(),
        "lock repo is held by t1"
    );
    assert_eq!(later.pool_views(at(4))[0].free, 1);
    let used: Vec<_> = later.rate_views(at(3))[0].windows.iter().map(|window| window.used).collect();
    assert_eq!(used, [0, 90], "the minute is over, the hour is not");
    end(&mut later, 1, None, at(4));
    assert_eq!(later.pool_views(at(4))[0].free, 3);
}

#[test]
fn what_can_never_be_is_told_with_what_there_is() {
    let faults = |claims: &Claims| {
        let faults = rules().faults(claims);
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(faults(&lock("anything", Mode::Shared)).is_empty());
    let strange = Claims { pools: [("simulators".into(), 1)].into(), ..Claims::default() };
    assert_eq!(faults(&strange), ["there is no pool \"simulators\""]);
    assert_eq!(faults(&pool(4)), ["4 of ports is more than the 3 there are"]);
    assert_eq!(faults(&tokens(101)), ["101 of llm.tokens is more than the 100 there are"]);
    let needs = BTreeMap::from([("tokns".into(), 1)]);
    let misspelt =
        Claims { rates: [("llm".into(), needs.clone()), ("lm".into(), needs)].into(), ..Claims::default() };
    assert_eq!(faults(&misspelt), ["there is no unit of the rate \"tokns\"", "there is no rate \"lm\""]);
}

/// Asks for one round; the contenders are (shape, claims, priority, arrival).
fn round(table: &mut ClaimTable, asking: &[(u32, &Claims, Priority, u64)]) -> Vec<bool> {
    let contenders: Vec<_> = asking
        .iter()
        .map(|(shape, claims, priority, arrival)| Contender {
            shape: ShapeId(*shape),
            claims,
            priority: *priority,
            arrival: *arrival,
            is_expected: false,
        })
        .collect();
    table.round(&contenders, at(0), |_| true).iter().map(Result::is_ok).collect()
}

#[test]
fn a_writer_that_waits_is_not_starved_by_later_readers() {
    let mut table = ClaimTable::default();
    let (write, read) = (lock("repo", Mode::Exclusive), lock("repo", Mode::Shared));
    assert!(take(&mut table, 1, &read, at(0)).is_ok());
    let normal = Priority::Normal;
    assert_eq!(round(&mut table, &[(1, &read, normal, 3), (2, &write, normal, 2)]), [false, false]);
    assert_eq!(round(&mut table, &[(1, &read, normal, 1), (2, &write, normal, 2)]), [true, false]);
    assert_eq!(round(&mut table, &[(1, &read, Priority::High, 3), (2, &write, normal, 2)]), [true, false]);
}

#[test]
fn what_others_stop_for_is_kept_for_the_one_for_whom_they_do() {
    let mut table = ClaimTable::default();
    let claims = lock("repo", Mode::Exclusive);
    let one = |shape, priority, is_expected| Contender {
        shape: ShapeId(shape),
        claims: &claims,
        priority,
        arrival: u64::from(shape),
        is_expected,
    };
    let low = one(1, Priority::Low, false);
    let mut answers = |urgent| -> Vec<bool> {
        table.round(&[low, urgent], at(0), |_| true).iter().map(Result::is_ok).collect()
    };
    assert_eq!(answers(one(2, Priority::Critical, true)), [false, true], "though it has no room yet");
    assert_eq!(answers(one(2, Priority::Critical, false)), [true, true]);
}

#[test]
fn nobody_is_passed_for_ever_by_the_more_urgent() {
    let mut table = ClaimTable::default();
    let (all, one) = (
        Claims {
            locks: [("a".into(), Mode::Exclusive), ("b".into(), Mode::Exclusive)].into(),
            ..Claims::default()
        },
        lock("a", Mode::Exclusive),
    );
    let other = lock("b", Mode::Exclusive);
    assert!(take(&mut table, 1, &other, at(0)).is_ok());
    let mut passed = 0;
    for arrival in 10..100 {
        let answers =
            round(&mut table, &[(1, &all, Priority::Low, 1), (2, &one, Priority::Critical, arrival)]);
        assert!(!answers[0]);
        if !answers[1] {
            break;
        }
        assert!(take(&mut table, arrival, &one, at(0)).is_ok());
        let claims_of = |shape| Some(if shape == ShapeId(1) { &all } else { &one });
        table.had_turn((ShapeId(2), arrival), &one, claims_of);
        end(&mut table, arrival, None, at(0));
        passed += 1;
    }
    assert_eq!(passed, turn::PASSED_LIMIT);
    end(&mut table, 1, None, at(0));
    let answers = round(&mut table, &[(1, &all, Priority::Low, 1), (2, &one, Priority::Critical, 100)]);
    assert_eq!(answers, [true, false]);
    assert_eq!(
        table.ahead_of_urgent(),
        [ShapeId(1)],
        "it holds back somebody more urgent until it has started"
    );
    round(&mut table, &[(1, &all, Priority::Low, 1), (2, &one, Priority::Low, 100)]);
    assert!(table.ahead_of_urgent().is_empty(), "and nobody who is not");
}

#[test]
fn an_urgent_one_that_waits_for_a_less_urgent_holder_is_told_once() {
    let mut table = ClaimTable::default();
    let write = lock("repo", Mode::Exclusive);
    assert!(table.take(holder(1, Priority::Low), &Arc::new(write.clone()), at(0)).is_ok());
    for _ in 0..2 {
        round(&mut table, &[(1, &write, Priority::Low, 1), (2, &write, Priority::High, 2)]);
    }
    let found = table.inversions();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].holder, found[0].priority, &*found[0].what),
        (TaskId(1), Priority::High, "lock repo")
    );
    assert!(table.inversions().is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Take(u64, Claims),
    GiveBack(u64),
    End(u64, u64),
    Later(u64),
    Restart,
}

fn claims() -> impl Strategy<Value = Claims> {
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Exclusive)];
    let locks = prop::collection::btree_map("[ab]", mode, 0..3);
    (locks, 0_u64..60, 0_u32..3, 0_u64..4).prop_map(|(locks, used, indices, licences)| {
        let mut claims = Claims {
            locks: locks.into_iter().map(|(name, mode)| (name.into(), mode)).collect(),
            ..Claims::default()
        };
        if used > 0 {
            claims.rates = tokens(used).rates;
        }
        if indices > 0 {
            claims.pools = pool(indices).pools;
        }
        if licences > 0 {
            claims.amounts = [("licences".into(), licences)].into();
        }
        claims
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..12, claims()).prop_map(|(task, claims)| Step::Take(task, claims)),
        1 => (0_u64..12).prop_map(Step::GiveBack),
        3 => (0_u64..12, 0_u64..60).prop_map(|(task, used)| Step::End(task, used)),
        2 => (0_u64..40).prop_map(Step::Later),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #[test]
    fn nothing_is_held_twice_or_beyond_its_limit_and_all_comes_back(steps in prop::collection::vec(step(), 0..120)) {
        let (mut table, mut now) = (ClaimTable::new(&rules()), at(5));
        let mut held: BTreeMap<u64, (Arc<Claims>, Indices, Moment)> = BTreeMap::new();
        for step in steps {
            table.pass(now);
            match step {
                Step::Take(task, claims) => {
                    let room = table.room(&claims, now);
                    let claims = Arc::new(claims);
                    let taken = table.take(holder(task, Priority::Normal), &claims, now);
                    prop_assert_eq!(taken.is_ok(), room.is_ok() && !held.contains_key(&task));
                    if let Ok(indices) = taken {
                        held.insert(task, (claims, indices, now));
                    }
                }
                Step::GiveBack(task) => {
                    let gave = table.give_back(TaskId(task), now);
                    prop_assert_eq!(gave, held.remove(&task).is_some());
                }
                Step::End(task, used) => {
                    let taken = held.remove(&task).and_then(|(claims, ..)| claims.rates.get("llm").cloned());
                    let taken = taken.map_or(0, |needs| needs["tokens"]);
                    let mut report = TaskReport::default();
                    report.add_use("llm", "tokens", used.min(taken));
                    table.end(TaskId(task), Some(&report), Duration::ZERO, now);
                }
                Step::Later(seconds) => now = now + Duration::from_secs(seconds),
                Step::Restart => {
                    table = ClaimTable::new(&rules());
                    for (task, (claims, indices, then)) in &held {
                        let age = now.since(*then);
                        table.take_rates(claims, age, now);
                        table.restore(holder(*task, Priority::Normal), (claims, indices), age, now);
                    }
                }
            }
            table.check();
            prop_assert_eq!(table.holders().count(), held.len());
            let indices: Vec<_> = held.values().flat_map(|(_, indices, _)| indices.values().flatten()).collect();
            let different: std::collections::BTreeSet<_> = indices.iter().collect();
            prop_assert_eq!(different.len(), indices.len(), "an index was given twice");
            table.pass(now);
            for window in &table.rate_views(now)[0].windows {
                prop_assert!(window.used <= window.limit);
            }
            let licences: u64 = held.values().flat_map(|(claims, ..)| claims.amounts.values()).sum();
            prop_assert!(licences <= 5);
            for name in ["a", "b"] {
                let modes: Vec<_> = held.values().filter_map(|(claims, ..)| claims.locks.get(name)).collect();
                prop_assert!(modes.len() <= 1 || modes.iter().all(|mode| **mode == Mode::Shared));
            }
        }
        for task in held.keys() {
            table.end(TaskId(*task), None, Duration::ZERO, now);
        }
        table.check();
        prop_assert!(table.lock_views(9, now).is_empty() && table.amount_views(now)[0].held == 0);
        prop_assert_eq!(table.pool_views(now)[0].free, 3);
    }
}
