//! Leases whose tasks are not awake: a right that nobody uses, and nobody gives back before its end. And attempts whose
//! leases nobody knows: what runs without a right.

use std::collections::BTreeSet;

use supervision::ProbeId;

use crate::client::Client;
use crate::console::ask::actors::name_of;
use crate::console::ask::gather::Gathered;
use crate::console::fault::Fault;
use crate::console::lint::{Code, Lint};
use crate::wire::inspect::{ActorRow, Look, Sight};

/// Leases that are asked: one question each.
const ASKED: usize = 32;

/// Those that were there at both looks, without their tasks at either.
pub(super) async fn leases(
    client: &Client,
    (before, after): (&[Gathered], &[Gathered]),
) -> Result<Vec<Lint>, Fault> {
    let (Some(before), Some(after)) = (whole(before), whole(after)) else { return Ok(Vec::new()) };
    let earlier: BTreeSet<ProbeId> = before.iter().map(|row| row.probe).collect();
    let awake: BTreeSet<&str> =
        before.iter().chain(after).filter(|row| &*row.kind == "task").map(|row| &*row.name).collect();
    let mut lints = Vec::new();
    let leases = after.iter().filter(|row| &*row.kind == "lease" && earlier.contains(&row.probe));
    for lease in leases.take(ASKED) {
        let Sight::State(facts) = client.inspect(None, Look::State(lease.probe)).await? else { continue };
        let task = facts.iter().find(|fact| &*fact.name == "task").map(|fact| &*fact.value);
        lints.extend(task.and_then(|task| of(lease, task, &awake)));
    }
    Ok(lints)
}

/// Attempts that are there at both looks, under leases that are there at neither. A machine that the scheduler has given up
/// may still run what it had; there its own lease ends it.
pub(super) fn attempts(before: &[Gathered], after: &[Gathered]) -> Vec<Lint> {
    let (Some(earlier), Some(now)) = (whole(before), whole(after)) else { return Vec::new() };
    let leases: BTreeSet<&str> =
        earlier.iter().chain(now).filter(|row| &*row.kind == "lease").map(|row| &*row.name).collect();
    let machines = |sides: &'_ [Gathered]| -> BTreeSet<String> {
        sides.iter().filter(|side| side.machine.is_some()).flat_map(named_attempts).collect()
    };
    let there = machines(before);
    let lost = |side: &Gathered| -> Vec<Lint> {
        let rows = side.rows.as_deref().unwrap_or_default().iter().filter(|row| &*row.kind == "attempt");
        let rows = rows.filter(|row| !leases.contains(&*row.name));
        let rows = rows.map(|row| name_of(row, side.machine.as_ref())).filter(|name| there.contains(name));
        rows.map(|about| Lint {
            code: Code::OrphanProcess,
            fix: format!("state {about}; the worker stops it when it is told, or at its lease's end"),
            evidence: "no lease of the scheduler's has its token".to_owned(),
            since: None,
            about,
        })
        .collect()
    };
    after.iter().filter(|side| side.machine.is_some()).flat_map(lost).collect()
}

fn named_attempts(side: &Gathered) -> Vec<String> {
    let rows = side.rows.as_deref().unwrap_or_default().iter().filter(|row| &*row.kind == "attempt");
    rows.map(|row| name_of(row, side.machine.as_ref())).collect()
}

/// The actors of the scheduler side, where all of them are told: what is left out may be there.
fn whole(sides: &[Gathered]) -> Option<&[ActorRow]> {
    let side = sides.iter().find(|side| side.machine.is_none())?;
    let rows = side.rows.as_ref().ok()?;
    (side.more == 0 && rows.iter().all(|row| row.more == 0 && row.answered)).then_some(rows)
}

pub(super) fn of(lease: &ActorRow, task: &str, awake: &BTreeSet<&str>) -> Option<Lint> {
    (!awake.contains(task)).then(|| Lint {
        code: Code::OrphanLease,
        about: name_of(lease, None),
        since: None,
        evidence: format!("{task} is not awake"),
        fix: format!("task {task}; it ends by itself when the node's lease does"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::actor;

    fn side(rows: Vec<ActorRow>) -> [Gathered; 1] {
        [Gathered { machine: None, rows: Ok(rows), more: 0 }]
    }

    #[test]
    fn what_is_not_told_whole_says_nothing() {
        assert!(whole(&side(vec![actor()])).is_some());
        assert!(whole(&side(vec![ActorRow { more: 1, ..actor() }])).is_none());
        assert!(whole(&side(vec![ActorRow { answered: false, ..actor() }])).is_none());
        assert!(whole(&[Gathered { machine: Some("mac".into()), rows: Ok(Vec::new()), more: 0 }]).is_none());
    }

    #[test]
    fn an_attempt_without_a_lease_at_both_looks_is_an_orphan() {
        let one = |kind: &str, name: &str| ActorRow { kind: kind.into(), name: name.into(), ..actor() };
        let sides = |leases: &[&str], attempts: &[&str]| {
            let rows = |kind: &str, names: &[&str]| Ok(names.iter().map(|name| one(kind, name)).collect());
            [
                Gathered { machine: None, rows: rows("lease", leases), more: 0 },
                Gathered { machine: Some("mac".into()), rows: rows("attempt", attempts), more: 0 },
            ]
        };
        let told = |before: &[Gathered], after: &[Gathered]| {
            attempts(before, after).into_iter().map(|lint| lint.about).collect::<Vec<_>>()
        };
        let (well, gone) = (sides(&["1.7"], &["1.7"]), sides(&[], &["1.7"]));
        assert!(told(&well, &well).is_empty());
        assert!(told(&well, &gone).is_empty(), "it has just ended");
        assert!(told(&sides(&[], &[]), &gone).is_empty(), "it has just come");
        assert_eq!(told(&gone, &gone), ["attempt/1.7@mac"]);
    }

    #[test]
    fn a_lease_without_its_task_is_named_with_both() {
        let lease = ActorRow { kind: "lease".into(), name: "1.7".into(), ..actor() };
        let lint = of(&lease, "t3", &BTreeSet::from(["t4"])).expect("t3 is not awake");
        assert_eq!((lint.about.as_str(), lint.evidence.as_str()), ("lease/1.7", "t3 is not awake"));
    }
}
