//! Gangs: how many members there may be, and what they cannot be besides.

use std::collections::BTreeSet;

use crate::admission::Findings;
use crate::constraint::{Condition, NODE, Test};
use crate::event::{ArraySpec, Item};
use crate::gang::GANG_LIMIT;

pub(super) fn check(item: &Item, found: &mut Findings) {
    let Some(members) = item.spec.gang else { return };
    if !(2..=GANG_LIMIT).contains(&members) {
        found.push("gang", &members, format_args!("must be 2 to {GANG_LIMIT} machines"));
    }
    if item.array != Some(ArraySpec::of_gang(members)) {
        found.push("gang", &members, "is an array of its own: its indices are from 0, and all run at once");
    }
    if let Some(most) = nodes_named(&item.spec.constraints.require).filter(|most| *most < members as usize) {
        let names = format_args!("needs as many machines, and its conditions name {most}");
        found.push("gang", &members, names);
    }
    if item.spec.claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        found.push("gang", &members, "cannot claim locks, pools, amounts or rates");
    }
    if item.spec.is_preemptible {
        found.push(
            "gang",
            &members,
            "cannot be preemptible: all of it would have to go for one of its machines",
        );
    }
}

/// How many nodes can meet what is said of their names, whoever joins; `None` where that is any number.
fn nodes_named(conditions: &[Condition]) -> Option<usize> {
    let mut named: Option<BTreeSet<&str>> = None;
    for condition in conditions.iter().filter(|condition| *condition.label == *NODE) {
        let these: BTreeSet<&str> = match &condition.test {
            Test::Is(one) => [&**one].into(),
            Test::In(several) => several.iter().map(|one| &**one).collect(),
            _ => continue,
        };
        named = Some(match named {
            Some(before) => &before & &these,
            None => these,
        });
    }
    let is_other = |name: &str, test: &Test| match test {
        Test::IsNot(other) => **other == *name,
        Test::NotIn(others) => others.iter().any(|other| **other == *name),
        _ => false,
    };
    let of_name = || conditions.iter().filter(|condition| *condition.label == *NODE);
    let may = |name: &&&str| !of_name().any(|condition| is_other(name, &condition.test));
    Some(named?.iter().filter(may).count())
}
