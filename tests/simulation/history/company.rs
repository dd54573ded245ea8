//! Who ran beside whom: by the records, and by the processes that truly ran. Part of I6.

use std::collections::BTreeMap;

use policy::constraint::Company;
use policy::event::{Event, TaskEvent};
use policy::id::{NodeId, TaskId, Token};
use policy::time::Timestamp;

use super::index::Index;
use super::truth::{overlap, together};
use super::{Findings, History, Process};

/// Where an attempt is by the records, and what its task says of those beside it.
#[derive(Clone, Copy)]
struct Held<'a> {
    node: &'a NodeId,
    company: &'a Company,
    at: Timestamp,
}

pub(super) fn check(history: &History, index: &Index<'_>, findings: &mut Findings) {
    let mut held: BTreeMap<TaskId, Held<'_>> = BTreeMap::new();
    let mut of_token: BTreeMap<Token, Held<'_>> = BTreeMap::new();
    for (_, record) in &history.records {
        let Event::Task { task, event, .. } = &record.event else { continue };
        match event {
            TaskEvent::Granted { token, node, .. } => {
                let item = index.item_of(*task);
                let company = item.and_then(|item| item.spec.constraints.company.as_deref());
                let Some(one) = company.map(|company| Held { node, company, at: record.at }) else {
                    continue;
                };
                held.remove(task);
                beside(history, (*task, one), &held, findings);
                held.insert(*task, one);
                of_token.insert(*token, one);
            }
            TaskEvent::AttemptEnded { .. } => drop(held.remove(task)),
            _ => {}
        }
    }
    in_truth(history, &of_token, findings);
}

/// One that is granted beside all these.
fn beside(
    history: &History,
    (task, one): (TaskId, Held<'_>),
    held: &BTreeMap<TaskId, Held<'_>>,
    findings: &mut Findings,
) {
    for (other, also) in held.iter().filter(|(_, also)| also.node == one.node) {
        findings.expect("I6", !one.company.excludes(also.company), || {
            format!("{task} was granted to {} beside {other}, from which it is to be apart", one.node)
        });
    }
    let value = |node: &NodeId, label: &str| history.labels.get(node)?.get(label).map(ToOwned::to_owned);
    for rule in &one.company.spread {
        let here = value(one.node, &rule.per);
        // Of two that were chosen in one moment either may be recorded first; who has no such rule may come behind.
        let first = |also: &&Held<'_>| also.at < one.at || also.company.spread.contains(rule);
        let others = held.values().filter(|also| also.company.group == one.company.group).filter(first);
        let there = 1 + others.filter(|also| value(also.node, &rule.per) == here).count();
        findings.expect("I6", there <= rule.max as usize, || {
            format!("{task} is the {there}th of {:?} where {} is {here:?}", one.company.group, rule.per)
        });
    }
}

/// Who is to be apart has not run together.
fn in_truth(history: &History, of_token: &BTreeMap<Token, Held<'_>>, findings: &mut Findings) {
    let known: Vec<(&Process, &Held<'_>)> = history
        .processes
        .iter()
        .filter_map(|process| Some((process, of_token.get(&process.token)?)))
        .collect();
    for (place, (one, says)) in known.iter().enumerate() {
        for (other, also) in known[place + 1..].iter().filter(|(other, _)| other.node == one.node) {
            let may = !says.company.excludes(also.company);
            let beside = || together(one, other, history.until) <= overlap(history, [one, other]);
            findings.expect("I6", may || beside(), || {
                format!("they are to be apart and ran together: {one:?} and {other:?}")
            });
        }
    }
}
