//! Which test belongs to which share. Every test is in exactly one, and the same tests give the same shares on every machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::Test;
use super::lane::GUESS;

/// By what the shares are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum By {
    /// So that all take equally long, by the times of earlier runs; what is not known takes as long as the median.
    #[default]
    Time,
    /// One after the other in turn: neighbours, which are often alike, go to different shares.
    Count,
    /// Stretches of the list: neighbours stay together.
    Slice,
    /// By the name alone: a test stays where it is, whatever others come and go.
    Hash,
}

/// Improvements of a split by time, 10,000: each makes the longest share shorter, and some dozens do it as a rule.
const IMPROVEMENTS_LIMIT: usize = 10_000;

/// Tests of a share up to which any two of them may change places together, 32: some five hundred pairs. With more there are enough single
/// ones to choose from.
const PAIRED_LIMIT: usize = 32;

/// Tests up to which all splits are looked through, 24, and steps of that, 100,000: a millisecond. With more tests exchanges come close enough,
/// with fewer they may end 10 % away.
const SEARCHED_LIMIT: usize = 24;
const STEPS_LIMIT: u32 = 100_000;

/// As many shares as that, some of them empty where there are fewer tests; at least one.
#[must_use]
pub fn split(by: By, tests: &[Test], shards: usize) -> Vec<Vec<usize>> {
    let shards = shards.max(1);
    let mut shares = vec![Vec::new(); shards];
    match by {
        By::Time => return by_time(&micros(tests), shards),
        By::Count => (0..tests.len()).for_each(|test| shares[test % shards].push(test)),
        By::Slice => {
            for (place, share) in shares.iter_mut().enumerate() {
                let edge = |place: usize| share_edge(tests.len(), place, shards);
                share.extend(edge(place)..edge(place + 1));
            }
        }
        By::Hash => {
            for (place, test) in tests.iter().enumerate() {
                let share = stable_hash(&test.name) % shards as u64;
                shares[usize::try_from(share).unwrap_or(0)].push(place);
            }
        }
    }
    shares
}

fn share_edge(tests: usize, place: usize, shards: usize) -> usize {
    let (whole, over) = (tests / shards, tests % shards);
    whole * place + over.min(place)
}

/// FNV-1a of 64 bits: written down here because it must never change.
fn stable_hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // Its low bits are its weakest.
    hash ^ (hash >> 32)
}

/// How long each is expected to take, at least 1.
pub(super) fn micros(tests: &[Test]) -> Vec<u64> {
    let of = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    let mut known: Vec<u64> = tests.iter().filter_map(|test| test.measured.map(of)).collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or_else(|| of(GUESS));
    tests.iter().map(|test| test.measured.map_or(median, of)).collect()
}

/// How long the tests of a share are expected to take, one after the other.
#[must_use]
pub fn expected(tests: &[Test], share: &[usize]) -> Duration {
    let micros = micros(tests);
    let sum =
        share.iter().filter_map(|&test| micros.get(test)).fold(0_u64, |sum, &one| sum.saturating_add(one));
    Duration::from_micros(sum)
}

/// The longest first, each to whom has least; and then, as long as that helps, one of the longest share's to another, or
/// against one of another's.
fn by_time(micros: &[u64], shards: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..micros.len()).collect();
    order.sort_by_key(|&test| (Reverse(micros[test]), test));
    let mut loads: BinaryHeap<Reverse<(u64, usize)>> = (0..shards).map(|share| Reverse((0, share))).collect();
    let mut shares = vec![Vec::new(); shards];
    for test in order {
        let Some(Reverse((load, share))) = loads.pop() else { break };
        shares[share].push(test);
        loads.push(Reverse((load.saturating_add(micros[test]), share)));
    }
    for _ in 0..IMPROVEMENTS_LIMIT {
        if !improve(&mut shares, micros) {
            break;
        }
    }
    if micros.len() <= SEARCHED_LIMIT {
        shares = Search::of(shares, micros).best();
    }
    shares.iter_mut().for_each(|share| share.sort_unstable());
    shares
}

/// Makes the longest share shorter, where one exchange with another can.
fn improve(shares: &mut [Vec<usize>], micros: &[u64]) -> bool {
    let load = |share: &Vec<usize>| share.iter().fold(0_u64, |sum, &test| sum.saturating_add(micros[test]));
    let loads: Vec<u64> = shares.iter().map(load).collect();
    let longest = (0..loads.len()).max_by_key(|&share| (loads[share], Reverse(share)));
    let Some(longest) = longest.filter(|&longest| !is_good(&loads, loads[longest])) else { return false };
    let mut others: Vec<usize> = (0..loads.len()).filter(|&share| share != longest).collect();
    others.sort_by_key(|&share| (loads[share], share));
    for other in others {
        let gap = loads[longest] - loads[other];
        let (given, taken) = (handfuls(&shares[longest], micros), handfuls(&shares[other], micros));
        if let Some((given, taken)) = exchange(&given, &taken, gap) {
            let (given, taken) = (given.tests.clone(), taken.tests.clone());
            shares[longest].retain(|test| !given.contains(test));
            shares[other].retain(|test| !taken.contains(test));
            shares[longest].extend(taken);
            shares[other].extend(given);
            return true;
        }
    }
    false
}

/// Whether the longest is within a hundredth of what all would take were they alike: nobody measures more exactly.
fn is_good(loads: &[u64], longest: u64) -> bool {
    let sum: u128 = loads.iter().map(|&load| u128::from(load)).sum();
    u128::from(longest) * loads.len() as u128 * 100 <= sum * 101
}

/// At most two tests that change places together.
#[derive(Debug)]
struct Handful {
    micros: u64,
    tests: Vec<usize>,
}

/// Nothing, each test alone, and where there are few also any two: by how long they take.
fn handfuls(share: &[usize], micros: &[u64]) -> Vec<Handful> {
    let mut found = vec![Handful { micros: 0, tests: Vec::new() }];
    for (place, &one) in share.iter().enumerate() {
        found.push(Handful { micros: micros[one], tests: vec![one] });
        let others = if share.len() <= PAIRED_LIMIT { &share[place + 1..] } else { &[] };
        found.extend(others.iter().map(|&other| Handful {
            micros: micros[one].saturating_add(micros[other]),
            tests: vec![one, other],
        }));
    }
    found.sort_by(|a, b| (a.micros, &a.tests).cmp(&(b.micros, &b.tests)));
    found
}

/// What to give and what to take for it, so that both differ least afterwards: what changes places on the whole must be more than nothing and
/// less than the gap.
fn exchange<'h>(from: &'h [Handful], to: &'h [Handful], gap: u64) -> Option<(&'h Handful, &'h Handful)> {
    let mut best: Option<(u64, &Handful, &Handful)> = None;
    for give in from {
        // Taking this much back for it would make both alike.
        let ideal = give.micros.saturating_sub(gap / 2);
        let after = to.partition_point(|take| take.micros < ideal);
        for take in
            [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|place| to.get(place))
        {
            let moved = give.micros.saturating_sub(take.micros);
            let left = moved.abs_diff(gap.saturating_sub(moved));
            if moved > 0 && moved < gap && best.is_none_or(|(least, ..)| left < least) {
                best = Some((left, give, take));
            }
        }
    }
    best.map(|(_, give, take)| (give, take))
}

/// Looks through all splits of a few tests, as far as it gets.
struct Search<'m> {
    micros: &'m [u64],
    /// The longest first: then what is too long is seen early.
    order: Vec<usize>,
    shares: Vec<Vec<usize>>,
    loads: Vec<u64>,
    best: Vec<Vec<usize>>,
    longest: u64,
    steps: u32,
}

impl<'m> Search<'m> {
    fn of(best: Vec<Vec<usize>>, micros: &'m [u64]) -> Self {
        let load =
            |share: &Vec<usize>| share.iter().fold(0_u64, |sum, &test| sum.saturating_add(micros[test]));
        let mut order: Vec<usize> = (0..micros.len()).collect();
        order.sort_by_key(|&test| (Reverse(micros[test]), test));
        let longest = best.iter().map(load).max().unwrap_or(0);
        let (shares, loads) = (vec![Vec::new(); best.len()], vec![0; best.len()]);
        Self { micros, order, shares, loads, best, longest, steps: 0 }
    }

    fn best(mut self) -> Vec<Vec<usize>> {
        self.place(0);
        self.best
    }

    /// Tries every share for the test of this place in the order, and so on.
    fn place(&mut self, place: usize) {
        self.steps += 1;
        let Some(&test) = self.order.get(place) else {
            self.longest = self.loads.iter().copied().max().unwrap_or(0);
            self.best.clone_from(&self.shares);
            return;
        };
        for share in 0..self.shares.len() {
            let load = self.loads[share];
            let longer = load.saturating_add(self.micros[test]);
            // A share that is as long as an earlier one leads to nothing new.
            let is_known = self.loads[..share].contains(&load);
            if is_known || longer >= self.longest || self.steps >= STEPS_LIMIT {
                continue;
            }
            self.loads[share] = longer;
            self.shares[share].push(test);
            self.place(place + 1);
            self.shares[share].pop();
            self.loads[share] = load;
        }
    }
}
