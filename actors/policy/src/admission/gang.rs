//! Gangs: how many members there may be, and what they cannot be besides.

use crate::admission::Findings;
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
