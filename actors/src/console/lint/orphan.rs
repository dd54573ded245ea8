//! Leases whose tasks are not awake: a right that nobody uses, and nobody gives back before its end.

use std::collections::BTreeSet;

use supervision::ProbeId;

use crate::client::Client;
use crate::console::ask::actors::{Gathered, name_of};
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
        lints.extend(task.filter(|task| !awake.contains(task)).map(|task| of(lease, task)));
    }
    Ok(lints)
}

/// The actors of the scheduler side, where all of them are told: what is left out may be there.
fn whole(sides: &[Gathered]) -> Option<&[ActorRow]> {
    let side = sides.iter().find(|side| side.machine.is_none())?;
    let rows = side.rows.as_ref().ok()?;
    (side.more == 0 && rows.iter().all(|row| row.more == 0 && row.answered)).then_some(rows)
}

fn of(lease: &ActorRow, task: &str) -> Lint {
    Lint {
        code: Code::OrphanLease,
        about: name_of(lease, None),
        since: None,
        evidence: format!("{task} is not awake"),
        fix: format!("task {task}; it ends by itself when the node's lease does"),
    }
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
    fn a_lease_without_its_task_is_named_with_both() {
        let lint = of(&ActorRow { kind: "lease".into(), name: "1.7".into(), ..actor() }, "t3");
        assert_eq!((lint.about.as_str(), lint.evidence.as_str()), ("lease/1.7", "t3 is not awake"));
    }
}
