//! What was claimed: by the records, and by the processes that truly ran. Part of I6.

use std::collections::{BTreeMap, BTreeSet};

use policy::claims::{Claims, Indices, Mode};
use policy::event::{Event, TaskEvent};
use policy::id::{TaskId, Token};
use policy::time::Timestamp;

use super::index::Index;
use super::truth::{overlap, together};
use super::{Findings, History, Process};

/// A slice of a window, by which what was taken may count longer; never shorter.
const SLICES: u32 = 60;

/// What one attempt holds by the records.
struct Held<'a> {
    claims: &'a Claims,
    indices: &'a Indices,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut held: BTreeMap<TaskId, Held<'_>> = BTreeMap::new();
    let mut of_token: BTreeMap<Token, Held<'_>> = BTreeMap::new();
    let mut taken: BTreeMap<(&str, &str), Vec<(Timestamp, u64)>> = BTreeMap::new();
    for (_, record) in &history.records {
        let Event::Task { task, event, .. } = &record.event else { continue };
        match event {
            TaskEvent::Granted { token, indices, .. } => {
                let Some(claims) = index.item_of(*task).and_then(|item| item.spec.claims.as_deref()) else {
                    continue;
                };
                for (rate, needs) in &claims.rates {
                    let calls = ("calls", needs.get("calls").copied().unwrap_or(1));
                    let tokens = ("tokens", needs.get("tokens").copied().unwrap_or(0));
                    for (unit, amount) in [calls, tokens] {
                        taken.entry((rate, unit)).or_default().push((record.at, amount));
                    }
                }
                held.insert(*task, Held { claims, indices });
                of_token.insert(*token, Held { claims, indices });
                on_record(history, &held, findings);
            }
            TaskEvent::AttemptEnded { .. } => drop(held.remove(task)),
            _ => {}
        }
    }
    windows(history, &taken, findings);
    in_truth(history, &of_token, findings);
}

/// Nothing is held twice or beyond what there is.
fn on_record(history: &History, held: &BTreeMap<TaskId, Held<'_>>, findings: &mut Findings) {
    let mut locks: BTreeMap<&str, Vec<Mode>> = BTreeMap::new();
    let mut indices = BTreeSet::new();
    let mut amounts: BTreeMap<&str, u64> = BTreeMap::new();
    for (task, one) in held {
        for (lock, mode) in &one.claims.locks {
            locks.entry(lock).or_default().push(*mode);
        }
        for (pool, count) in &one.claims.pools {
            let got = one.indices.get(pool).map_or(0, Vec::len);
            findings
                .expect("I6", got == *count as usize, || format!("{task} has {got} of {count} of {pool}"));
        }
        for (pool, index) in one.indices.iter().flat_map(|(pool, all)| all.iter().map(move |one| (pool, one)))
        {
            findings.expect("I6", indices.insert((pool, index)), || {
                format!("{task} has {index} of {pool}, which another has")
            });
        }
        for (name, amount) in &one.claims.amounts {
            *amounts.entry(name).or_default() += amount;
        }
    }
    for (lock, modes) in locks {
        let readers = history.claims.readers.get(lock).map_or(usize::MAX, |readers| *readers as usize);
        let shared = modes.iter().all(|mode| *mode == Mode::Shared) && modes.len() <= readers;
        findings.expect("I6", modes.len() == 1 || shared, || format!("lock {lock} is held as {modes:?}"));
    }
    for (name, amount) in amounts {
        let limit = history.claims.amounts.get(name).copied().unwrap_or(0);
        findings.expect("I6", amount <= limit, || format!("{amount} of {name} are held, there are {limit}"));
    }
}

/// No window, wherever it begins, has more grants than it may.
fn windows(
    history: &History,
    taken: &BTreeMap<(&str, &str), Vec<(Timestamp, u64)>>,
    findings: &mut Findings,
) {
    for ((rate, unit), taken) in taken {
        let rules = history.claims.rates.get(*rate).map_or(&[][..], |rule| rule.windows.as_slice());
        for rule in rules.iter().filter(|rule| *rule.unit == **unit) {
            let length = rule.length - rule.length / SLICES;
            for (place, (at, _)) in taken.iter().enumerate() {
                let within = taken[..=place].iter().rev().take_while(|(then, _)| at.since(*then) < length);
                let used: u64 = within.map(|(_, amount)| amount).sum();
                findings.expect("I6", used <= rule.limit, || {
                    format!("{used} {unit} of {rate} within {:?}, {} may", rule.length, rule.limit)
                });
            }
        }
    }
}

/// Who may not hold something together has not run together.
fn in_truth(history: &History, of_token: &BTreeMap<Token, Held<'_>>, findings: &mut Findings) {
    let claiming: Vec<(&Process, &Held<'_>)> = history
        .processes
        .iter()
        .filter_map(|process| Some((process, of_token.get(&process.token)?)))
        .collect();
    for (place, (one, holds)) in claiming.iter().enumerate() {
        for (other, also) in &claiming[place + 1..] {
            let exclude = conflict(holds, also);
            let beside = || together(one, other, history.until) <= overlap(history, [one, other]);
            findings.expect("I6", exclude.is_none() || beside(), || {
                format!("{exclude:?} was held by two at once: {one:?} and {other:?}")
            });
        }
    }
}

/// Something that the two may not hold together.
fn conflict<'a>(one: &Held<'a>, other: &Held<'_>) -> Option<&'a str> {
    let lock = one.claims.locks.iter().find(|(lock, mode)| {
        let others = other.claims.locks.get(*lock);
        others.is_some_and(|others| *others == Mode::Exclusive || **mode == Mode::Exclusive)
    });
    let index = one.indices.iter().find(|(pool, indices)| {
        other.indices.get(*pool).is_some_and(|others| others.iter().any(|index| indices.contains(index)))
    });
    lock.map(|(lock, _)| &**lock).or_else(|| index.map(|(pool, _)| &**pool))
}
