//! Every test in one share, shares as even as can be, and every test to its end whatever its batches say.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::split::{self, split};
use super::*;

const PASSED: Verdict = Verdict::Passed;

fn test(name: impl Into<Box<str>>, group: u32, millis: Option<u64>) -> Test {
    Test { name: name.into(), group, measured: millis.map(Duration::from_millis) }
}

fn suite(millis: &[u64]) -> Vec<Test> {
    let one = |(place, &millis): (usize, &u64)| test(format!("t{place}"), 0, Some(millis));
    millis.iter().enumerate().map(one).collect()
}

fn cut(shards: usize, retries: u32) -> Cut {
    Cut { shards, by: By::Time, retries, start: Duration::ZERO, batch_bytes: 1 << 20 }
}

fn loads(millis: &[u64], shares: &[Vec<usize>]) -> Vec<u64> {
    shares.iter().map(|share| share.iter().map(|&test| millis[test]).sum()).collect()
}

/// The longest share of the best of all splits.
fn best(millis: &[u64], shards: usize) -> u64 {
    fn of(left: &[u64], loads: &mut [u64], best: &mut u64) {
        let longest = loads.iter().copied().max().unwrap_or(0);
        match left.split_first() {
            _ if longest >= *best => {}
            None => *best = longest,
            Some((first, rest)) => {
                let mut tried = BTreeSet::new();
                for share in 0..loads.len() {
                    if tried.insert(loads[share]) {
                        loads[share] += first;
                        of(rest, loads, best);
                        loads[share] -= first;
                    }
                }
            }
        }
    }
    let mut found = u64::MAX;
    of(millis, &mut vec![0; shards], &mut found);
    found
}

#[test]
fn a_split_by_count_goes_in_turn_and_one_by_slice_keeps_neighbours() {
    let tests = suite(&[1; 7]);
    assert_eq!(split(By::Count, &tests, 3), [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
    assert_eq!(split(By::Slice, &tests, 3), [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
    assert_eq!(split(By::Slice, &tests[..1], 3), [vec![0], vec![], vec![]]);
    assert_eq!(split(By::Count, &tests[..1], 0), [vec![0]]);
}

#[test]
fn a_split_by_hash_is_the_same_everywhere_and_for_ever() {
    let names = ["lease::an_unrenewed_lease_expires", "queue::first_come_first_served", "a", "b", "c", "d"];
    let tests: Vec<Test> = names.into_iter().map(|name| test(name, 0, None)).collect();
    assert_eq!(split(By::Hash, &tests, 2), [vec![2, 4], vec![0, 1, 3, 5]]);
    let without: Vec<Test> = tests[2..].to_vec();
    assert_eq!(split(By::Hash, &without, 2), [vec![0, 2], vec![1, 3]]);
}

#[test]
fn what_was_never_measured_takes_as_long_as_the_median() {
    let mut tests = suite(&[1, 100, 3000]);
    tests.push(test("new", 0, None));
    assert_eq!(split::micros(&tests), [1000, 100_000, 3_000_000, 100_000]);
}

#[test]
fn the_longest_first_alone_is_not_good_enough() {
    let millis = [3, 3, 2, 2, 2];
    assert_eq!(loads(&millis, &split(By::Time, &suite(&millis), 2)), [6, 6]);
}

proptest! {
    #[test]
    fn every_test_is_in_exactly_one_share(
        millis in prop::collection::vec(prop::option::of(0_u64..10_000), 0..200),
        shards in 0_usize..20,
    ) {
        let one = |(place, &millis): (usize, &Option<u64>)| test(format!("t{place}"), 0, millis);
        let tests: Vec<Test> = millis.iter().enumerate().map(one).collect();
        for by in [By::Time, By::Count, By::Slice, By::Hash] {
            let shares = split(by, &tests, shards);
            prop_assert_eq!(shares.len(), shards.max(1));
            let mut all: Vec<usize> = shares.into_iter().flatten().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..tests.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_split_by_time_is_within_a_tenth_of_the_best(
        millis in prop::collection::vec(1_u64..1000, 1..11),
        shards in 1_usize..5,
    ) {
        let longest = loads(&millis, &split(By::Time, &suite(&millis), shards)).into_iter().max().unwrap();
        let best = best(&millis, shards);
        prop_assert!(longest * 10 <= best * 11, "{longest} for {best}");
    }

    #[test]
    fn a_large_split_by_time_is_within_a_tenth_of_what_no_split_can_beat(
        millis in prop::collection::vec((0_u32..14, 1_u64..100), 100..400),
        shards in 2_usize..9,
    ) {
        // From a millisecond to a minute, few of them long.
        let mut millis: Vec<u64> = millis.into_iter().map(|(power, some)| some << power.saturating_sub(6)).collect();
        let longest = loads(&millis, &split(By::Time, &suite(&millis), shards)).into_iter().max().unwrap();
        millis.sort_unstable();
        let even = millis.iter().sum::<u64>().div_ceil(shards as u64);
        let bound = even.max(millis[millis.len() - 1]);
        prop_assert!(longest * 10 <= bound * 11, "{longest} for {bound}");
    }
}

/// What a test of a simulated suite does each time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Nature {
    Good,
    Skipped,
    Bad,
    /// Fails so many times.
    Flaky(u32),
    /// Ends its process: it and who comes after it in its batch are not heard of.
    Deadly,
}

/// Runs a batch as a process would.
fn run(batch: &Batch, natures: &[Nature], runs: &mut [u32]) -> Told {
    let mut told = Told { ran: true, ..Told::default() };
    for &test in &batch.tests {
        runs[test] += 1;
        let verdict = match natures[test] {
            Nature::Good => PASSED,
            Nature::Skipped => Verdict::Skipped,
            Nature::Flaky(times) if runs[test] > times => PASSED,
            Nature::Bad | Nature::Flaky(_) => Verdict::Failed,
            Nature::Deadly => {
                told.failed = true;
                return told;
            }
        };
        told.failed |= verdict == Verdict::Failed;
        told.verdicts.push((test, verdict));
    }
    told
}

/// Lets all lanes work, each batch as long as it takes, and gives what came of it.
fn drive(work: &mut Work, shards: usize, mut run: impl FnMut(&Batch) -> (u64, Told)) -> u64 {
    let mut clocks = vec![(0_u64, None::<(Batch, Told)>); shards];
    let mut last = 0;
    loop {
        for (lane, clock) in clocks.iter_mut().enumerate() {
            if clock.1.is_none()
                && let Some(batch) = work.next(lane)
            {
                let (took, told) = run(&batch);
                *clock = (clock.0.max(last) + took, Some((batch, told)));
            }
        }
        let due = (0..shards).filter(|&lane| clocks[lane].1.is_some()).min_by_key(|&lane| clocks[lane].0);
        let Some(lane) = due else { return last };
        let (batch, told) = clocks[lane].1.take().unwrap();
        last = clocks[lane].0;
        work.report(batch.number, &told).unwrap();
    }
}

fn nature() -> impl Strategy<Value = Nature> {
    prop_oneof![
        6 => Just(Nature::Good),
        1 => Just(Nature::Skipped),
        1 => Just(Nature::Bad),
        1 => (1_u32..4).prop_map(Nature::Flaky),
        1 => Just(Nature::Deadly),
    ]
}

proptest! {
    #[test]
    fn every_test_comes_to_the_end_that_is_its_own(
        natures in prop::collection::vec(nature(), 0..60),
        groups in 1_u32..4,
        shards in 1_usize..6,
        retries in 0_u32..3,
    ) {
        let one = |place: usize| test(format!("t{place}"), u32::try_from(place).unwrap() % groups, Some(10));
        let tests: Vec<Test> = (0..natures.len()).map(one).collect();
        let mut work = Work::new(&tests, &cut(shards, retries));
        let mut runs = vec![0; tests.len()];
        drive(&mut work, shards, |batch| {
            let mut of: BTreeSet<u32> = batch.tests.iter().map(|&test| tests[test].group).collect();
            assert!(of.pop_first().is_some() && of.is_empty(), "one group in a batch");
            (batch.tests.len() as u64, run(batch, &natures, &mut runs))
        });
        prop_assert!(work.is_complete());
        let mut well = true;
        for (place, nature) in natures.iter().enumerate() {
            let wanted = match nature {
                Nature::Good => How::Passed,
                Nature::Skipped => How::Skipped,
                Nature::Flaky(times) if *times <= retries => How::Flaky,
                Nature::Bad | Nature::Flaky(_) => How::Failed,
                Nature::Deadly => How::Silent,
            };
            let found = work.found(place);
            prop_assert_eq!(found.how, wanted, "{} {:?}", place, nature);
            prop_assert!(found.tries <= retries + 1);
            well &= !matches!(wanted, How::Failed | How::Silent);
        }
        prop_assert_eq!(work.has_succeeded(), well);
    }

    #[test]
    fn a_report_of_anything_is_refused_or_taken_and_never_a_panic(
        reports in prop::collection::vec(
            (0_usize..12, prop::collection::vec((0_usize..12, 0_u8..4), 0..6), any::<bool>(), any::<bool>()), 0..60),
    ) {
        let mut work = Work::new(&suite(&[10; 8]), &cut(2, 1));
        for (batch, verdicts, failed, ran) in reports {
            let _ = (work.next(0), work.next(1), work.next(2));
            let of = |kind| [PASSED, Verdict::Failed, Verdict::Skipped, Verdict::Silent][usize::from(kind)];
            let verdicts = verdicts.into_iter().map(|(test, kind)| (test, of(kind))).collect();
            let before = (work.is_complete(), (0..8).map(|test| work.found(test)).collect::<Vec<_>>());
            if work.report(batch, &Told { verdicts, failed, ran }).is_err() {
                let after = (work.is_complete(), (0..8).map(|test| work.found(test)).collect::<Vec<_>>());
                prop_assert_eq!(before, after);
            }
        }
    }

    #[test]
    fn who_is_done_takes_over_from_who_is_not(
        millis in prop::collection::vec(10_u64..1000, 60..200),
        shards in 2_usize..6,
    ) {
        // Measured as if all were alike, by slices: as uneven as it comes.
        let tests = suite(&vec![10; millis.len()]);
        let slices = Cut { by: By::Slice, ..cut(shards, 0) };
        let mut work = Work::new(&tests, &slices);
        let took = drive(&mut work, shards, |batch| {
            let told = Told { ran: true, failed: false, verdicts: batch.tests.iter().map(|&test| (test, PASSED)).collect() };
            (batch.tests.iter().map(|&test| millis[test]).sum(), told)
        });
        let alone = loads(&millis, &split(By::Slice, &tests, shards)).into_iter().max().unwrap();
        let longest = millis.iter().max().unwrap();
        prop_assert!(work.has_succeeded());
        // No later than without, but for the last test that somebody begins.
        prop_assert!(took <= alone + longest, "{took} for {alone}");
    }
}

#[test]
fn a_lane_that_is_ten_times_slower_loses_most_of_its_share() {
    let tests = suite(&[100; 100]);
    let mut work = Work::new(&tests, &cut(2, 0));
    let took = drive(&mut work, 2, |batch| {
        let told = Told {
            ran: true,
            failed: false,
            verdicts: batch.tests.iter().map(|&test| (test, PASSED)).collect(),
        };
        (batch.tests.len() as u64 * if batch.lane == 0 { 1000 } else { 100 }, told)
    });
    // Its first batch is three quarters of its share: that is what it is stuck with.
    assert!(took <= 38_000, "{took}");
    assert!(work.moved() >= 10);
}

#[test]
fn reports_that_cannot_be_are_refused() {
    let mut work = Work::new(&suite(&[1, 1]), &cut(1, 0));
    let told = |verdicts: &[(usize, Verdict)]| Told { verdicts: verdicts.to_vec(), failed: false, ran: true };
    assert_eq!(work.report(0, &told(&[])), Err(Refusal::Unknown { batch: 0, handed: 0 }));
    let batch = work.next(0).unwrap();
    assert_eq!(batch.tests, [0, 1]);
    assert_eq!(work.report(0, &told(&[(2, PASSED)])), Err(Refusal::NotItsTest { batch: 0, test: 2 }));
    let twice = told(&[(0, PASSED), (0, Verdict::Failed)]);
    assert_eq!(work.report(0, &twice), Err(Refusal::NotItsTest { batch: 0, test: 0 }));
    assert!(!work.is_complete());
    assert_eq!(work.report(0, &told(&[(0, PASSED), (1, PASSED)])), Ok(()));
    assert_eq!(work.report(0, &told(&[(0, PASSED), (1, PASSED)])), Err(Refusal::Repeated { batch: 0 }));
    assert!(work.has_succeeded());
}

#[test]
fn a_process_that_fails_after_tests_that_all_passed_is_no_success() {
    let mut work = Work::new(&suite(&[1]), &cut(1, 0));
    work.next(0).unwrap();
    work.report(0, &Told { verdicts: vec![(0, PASSED)], failed: true, ran: true }).unwrap();
    assert_eq!((work.is_complete(), work.has_succeeded(), work.unexplained()), (true, false, 1));
}

#[test]
fn what_cannot_be_started_is_not_started_again_for_each_of_its_tests() {
    let mut work = Work::new(&suite(&[1; 50]), &cut(1, 3));
    drive(&mut work, 1, |_| (1, Told::default()));
    assert_eq!((work.found(0).how, work.has_succeeded()), (How::Silent, false));
    // A share is handed out in a few batches, each of which is tried once.
    assert!(work.batches() < 8, "{}", work.batches());
}

#[test]
fn a_suite_that_never_reports_is_started_a_limited_number_of_times() {
    let mut work = Work::new(&suite(&[1; 3000]), &cut(1, 0));
    drive(&mut work, 1, |_| (1, Told { ran: true, failed: true, verdicts: Vec::new() }));
    assert!(work.is_complete() && !work.has_succeeded());
    assert!(work.batches() <= AGAIN_LIMIT + 20, "{}", work.batches());
}

#[test]
fn the_names_of_a_batch_fit_into_its_command() {
    let tests: Vec<Test> = (0..100).map(|place| test(format!("{place:0>100}"), 0, Some(1))).collect();
    let mut work = Work::new(&tests, &Cut { batch_bytes: 1160, ..cut(1, 0) });
    assert_eq!(work.next(0).unwrap().tests.len(), 10);
}

#[test]
fn a_failure_that_does_not_come_back_leaves_suspects_and_one_that_does_leaves_none() {
    for (comes_back, wanted) in [(false, [true, true, false]), (true, [false, false, false])] {
        let mut tests = suite(&[1, 1, 1]);
        tests[2].group = 1;
        let mut work = Work::new(&tests, &cut(1, 0));
        let mut is_first = true;
        drive(&mut work, 1, |batch| {
            let fails = batch.tests.contains(&0) && (comes_back || std::mem::take(&mut is_first));
            let verdict = if fails { Verdict::Failed } else { PASSED };
            let silent = fails && batch.tests.len() > 1;
            let verdicts =
                if silent { vec![] } else { batch.tests.iter().map(|&test| (test, verdict)).collect() };
            (1, Told { verdicts, failed: fails, ran: true })
        });
        let suspects = [0, 1, 2].map(|test| work.found(test).is_suspect);
        assert_eq!((suspects, work.has_succeeded()), (wanted, !comes_back));
    }
}
