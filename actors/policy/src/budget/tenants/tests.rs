//! Periods, what is told once, and that records come to what was counted.

use proptest::prelude::*;

use super::*;
use crate::event::Next;
use crate::id::{AttemptNumber, NodeSession, Token};
use crate::task::{AttemptOutcome, TaskOutcome, Usage};

const DAY: Duration = Duration::from_hours(24);

fn rules(budget: Budget, per: Option<Duration>) -> Arc<TenantBudgets> {
    let named = [("ann".into(), TenantBudget { budget, per })].into_iter().collect();
    Arc::new(TenantBudgets { usual: TenantBudget::default(), named })
}

fn hours(hours: u64) -> Timestamp {
    Timestamp(0) + Duration::from_hours(hours)
}

fn ann() -> Arc<str> {
    "ann".into()
}

fn granted(ledger: &mut TenantLedger, at: Timestamp) -> bool {
    let may = ledger.places(&ann(), at).is_ok();
    if may {
        ledger.reserve(&ann(), at);
        ledger.granted(&ann(), at);
    }
    may
}

#[test]
fn an_attempt_too_many_is_refused_until_the_period_ends() {
    let mut ledger = TenantLedger::new(rules(Budget { attempts: 2, ..Budget::default() }, Some(DAY)));
    assert!(granted(&mut ledger, hours(30)) && granted(&mut ledger, hours(31)));
    assert!(!granted(&mut ledger, hours(47)));
    let told = ledger.refused(&ann(), hours(47)).expect("it is news");
    assert_eq!((told.until, told.follows), (Some(hours(48)), OnReached::Pause));
    assert_eq!(told.to_string(), "tenant \"ann\" has used up its budget: 2 of 2 attempts are used");
    assert_eq!(ledger.refused(&ann(), hours(47)), None, "that is told once");
    assert_eq!(ledger.resumed(hours(47)), []);
    assert_eq!(ledger.resumed(hours(48)), [ann()]);
    assert!(granted(&mut ledger, hours(48)));
    assert_eq!(ledger.places(&"bob".into(), hours(48)), Ok(u64::MAX), "who has no budget has no limit");
}

#[test]
fn a_gang_needs_all_its_attempts_at_once() {
    let mut ledger = TenantLedger::new(rules(Budget { attempts: 3, ..Budget::default() }, Some(DAY)));
    assert_eq!(ledger.covers(&ann(), 3, hours(1)), Ok(()));
    assert!(granted(&mut ledger, hours(1)));
    let told = ledger.covers(&ann(), 3, hours(2)).unwrap_err();
    assert_eq!((told.reached.used, told.until), (1, Some(hours(24))));
    assert_eq!(ledger.covers(&ann(), 2, hours(2)), Ok(()));
    assert_eq!(ledger.covers(&ann(), 3, hours(24)), Ok(()));
    assert!(ledger.could_cover("ann", 3) && !ledger.could_cover("ann", 4) && ledger.could_cover("bob", 64));
}

#[test]
fn without_a_period_only_a_larger_budget_helps() {
    let budget = Budget { cost: 10, on_reached: OnReached::Cancel, ..Budget::default() };
    let mut ledger = TenantLedger::new(rules(budget, None));
    let told =
        ledger.charge(&ann(), &Charge { cost: 12, ..Charge::default() }, hours(1)).expect("it is news");
    assert_eq!((told.until, told.follows, told.reached.meter), (None, OnReached::Cancel, Meter::Cost));
    assert_eq!(ledger.resumed(hours(100_000)), []);
    assert!(ledger.set_rules(&rules(Budget { cost: 12, ..budget }, None)));
    assert_eq!(ledger.resumed(hours(1)), [], "what was used stays used");
    ledger.set_rules(&rules(Budget { cost: 13, ..budget }, None));
    assert_eq!(ledger.resumed(hours(1)), [ann()]);
}

#[test]
fn a_clock_that_jumps_back_gives_nothing_back() {
    let mut ledger = TenantLedger::new(rules(Budget { attempts: 1, ..Budget::default() }, Some(DAY)));
    assert!(granted(&mut ledger, hours(30)));
    assert!(!granted(&mut ledger, hours(1)));
    assert!(granted(&mut ledger, hours(50)));
    assert!(!granted(&mut ledger, hours(30)));
}

#[test]
fn a_budget_that_is_taken_away_limits_nothing() {
    let mut ledger = TenantLedger::new(rules(Budget { attempts: 1, ..Budget::default() }, None));
    assert!(granted(&mut ledger, hours(1)));
    ledger.set_rules(&Arc::default());
    assert!(ledger.is_empty() && granted(&mut ledger, hours(1)) && granted(&mut ledger, hours(1)));
}

fn task(event: TaskEvent) -> Event {
    Event::Task { task: TaskId(7), sequence: 1, previous: 0, event }
}

fn grant_record() -> Event {
    let (token, attempt, node, session) = (Token(1), AttemptNumber(1), "a".into(), NodeSession(1));
    task(TaskEvent::Granted {
        token,
        attempt,
        node,
        session,
        indices: Default::default(),
        gang: Vec::new(),
        waited: Vec::new(),
        request: Default::default(),
    })
}

fn end_record(seconds: u64) -> Event {
    let usage = Usage { wall: Duration::from_secs(seconds), ..Usage::default() };
    let (token, outcome, order) = (Token(1), AttemptOutcome::Exited(0), 0);
    let next = Next::Finish(TaskOutcome::Succeeded);
    task(TaskEvent::AttemptEnded { token, outcome, usage, order, next, report: None })
}

proptest! {
    /// Within no period are there more attempts than its budget, and who reads the records, or only those behind
    /// the last sum that was written down, counts the same.
    #[test]
    fn no_period_has_more_attempts_than_its_budget_and_records_come_to_what_was_counted(
        steps in prop::collection::vec((0_u64..9, 0_u8..4, 0_u64..50), 1..120),
        attempts in 1_u64..5,
        wall in 0_u64..100,
    ) {
        let budget = Budget { attempts, wall: Duration::from_secs(wall), ..Budget::default() };
        let rules = rules(budget, Some(DAY));
        let mut ledger = TenantLedger::new(Arc::clone(&rules));
        let (mut now, mut days, mut records, mut tail) = (hours(0), Vec::new(), Vec::new(), 0);
        for (step, input, seconds) in steps {
            now = now + Duration::from_hours(step);
            for tenant in ledger.resumed(now) {
                records.push((Event::Scheduler(SchedulerEvent::TenantResumed { tenant }), now));
            }
            let told = match input {
                0 | 1 => {
                    if granted(&mut ledger, now) {
                        days.push(now.0 / hours(24).0);
                        records.push((grant_record(), now));
                        None
                    } else {
                        ledger.refused(&ann(), now)
                    }
                }
                2 => {
                    records.push((end_record(seconds), now));
                    let charge = Charge { wall: Duration::from_secs(seconds), ..Charge::default() };
                    ledger.charge(&ann(), &charge, now)
                }
                _ => {
                    tail = records.len();
                    for spending in ledger.news() {
                        records.push((Event::Scheduler(SchedulerEvent::TenantSpent(spending)), now));
                    }
                    None
                }
            };
            records.extend(told.map(|told| (Event::Scheduler(SchedulerEvent::TenantBudgetReached(told)), now)));
            let today = days.iter().filter(|day| **day == now.0 / hours(24).0).count();
            prop_assert!(today as u64 <= attempts);
        }
        let has_sum = records[tail..].iter().any(|(event, _)| matches!(event, Event::Scheduler(SchedulerEvent::TenantSpent(_))));
        for from in [0, if has_sum { tail } else { 0 }] {
            let mut again = TenantLedger::new(Arc::clone(&rules));
            records[from..].iter().for_each(|(event, at)| again.replay(event, *at, |_| Some(ann())));
            prop_assert_eq!(again.account("ann", now).map(|(account, told)| (account.spent, told)), ledger.account("ann", now).map(|(account, told)| (account.spent, told)));
        }
    }
}
