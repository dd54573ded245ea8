//! What is explained is what is done: by random fleets with everything that can stand in the way.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::constraint::{AvoidFailed, Condition, Constraints};
use crate::id::TaskId;
use crate::strain::{Level, Strain};
use crate::task::Priority;

/// Random situations in one run.
const SITUATIONS: u32 = 10_000;

/// For whom room is held.
const HELD_FOR: TaskId = TaskId(9);

/// One node: its cores, how many are taken, its rack, and what speaks against it.
type Drawn = (u64, u64, usize, u8);

const AWAY: u8 = 1;
const CORDONED: u8 = 2;
const HALTED: u8 = 3;
const TRIPPED: u8 = 4;
const TRIPPED_FOR_KIND: u8 = 5;
const WARNS: u8 = 6;
const CRITICAL: u8 = 7;
const RACKS: [&str; 3] = ["a", "b", "c"];

fn id(place: usize) -> NodeId {
    format!("n{place}").as_str().into()
}

fn free((cores, taken, ..): &Drawn) -> Resources {
    Resources::cpus(cores.saturating_sub(*taken) * 1000)
}

fn fleet(nodes: &[Drawn]) -> Fleet {
    let mut fleet = Fleet::default();
    for (place, drawn) in nodes.iter().enumerate() {
        let (cores, _, rack, what) = *drawn;
        let id = id(place);
        fleet.add(&id);
        let room =
            Room { capacity: Resources::cpus(cores * 1000), free: free(drawn), staged: 0, staged_limit: 0 };
        fleet.changed(&id, (what != AWAY).then_some(room), 0);
        let tripped = match what {
            TRIPPED => vec![(None, Seen::Open(Duration::from_secs(9)))],
            TRIPPED_FOR_KIND => vec![(Some("build".into()), Seen::HalfOpen { free: false })],
            _ => Vec::new(),
        };
        let labels = Arc::new(Labels::of(&id.0, [("rack", RACKS[rack])]));
        let level = match what {
            WARNS => Level::Warn,
            CRITICAL => Level::Critical,
            _ => Level::Normal,
        };
        let strain = Strain { level, seen: None, heavy_percent: 50 };
        fleet.described(&id, Said { labels, tripped, halted_here: what == HALTED, strain });
        fleet.set_closed(&id, (what == CORDONED).then_some(Closed::Cordoned));
    }
    fleet
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(SITUATIONS))]

    #[test]
    fn what_is_explained_is_what_is_done_in_ten_thousand_situations(
        nodes in prop::collection::vec((0_u64..6, 0_u64..6, 0_usize..3, 0_u8..12), 0..6),
        (cores, rack, is_build) in (0_u64..7, 0_usize..6, any::<bool>()),
        (failed_on, must_avoid, apart) in (prop::option::of(0_usize..6), any::<bool>(), 0_u8..64),
        held in prop::option::of(1_u64..6),
    ) {
        let require = RACKS.get(rack).map(|rack| Condition::is("rack", rack));
        let avoid_failed = if must_avoid { AvoidFailed::Require } else { AvoidFailed::Prefer };
        let constraints =
            Constraints { avoid_failed, ..Constraints::requiring(require.into_iter().collect()) };
        let kind = is_build.then(|| "build".into());
        let demand = Demand { constraints, kind, ..Demand::resources(Resources::cpus(cores * 1000)) };
        let mut fleet = fleet(&nodes);
        let line = |shape| LineId { priority: Priority::Normal, shape: ShapeId(shape) };
        if let Some(kept) = held {
            let is_held = fleet.hold(line(1), HELD_FOR, &Demand::resources(Resources::cpus(kept * 1000)));
            prop_assert_eq!(is_held, !fleet.holds().is_empty());
        }
        let on_hold: Vec<_> = fleet.nodes.iter().map(|node| node.hold.is_some()).collect();
        let failed = failed_on.map(id);
        let kept_from: Vec<_> = (0..6).filter(|place| apart & (1 << place) != 0 && apart % 3 == 0).map(id).collect();
        let asker = Asker { line: Some(line(0)), failed_on: failed.as_ref(), apart: &kept_from };

        let (placed, why) = (fleet.place(&demand, asker), fleet.hindrance(&demand, asker));
        prop_assert_eq!(placed.is_some(), why.is_none(), "{:?} and {:?}", placed, why);
        let speaks_against = |place: usize| match nodes[place].3 {
            CORDONED | HALTED | TRIPPED | CRITICAL => true,
            TRIPPED_FOR_KIND => is_build,
            WARNS => cores * 2 > nodes[place].0,
            _ => false,
        };
        let is_shut = |place: usize| kept_from.contains(&id(place)) || speaks_against(place);
        let is_met = |place: usize| rack >= RACKS.len() || nodes[place].2 == rack;
        if let Some(Choice { place, .. }) = placed {
            prop_assert!(nodes[place].3 != AWAY && !is_shut(place) && is_met(place));
            prop_assert!(free(&nodes[place]).covers(&demand.resources));
        }
        let Some(why) = why else { return Ok(()) };
        let Hindrance::NoNode { never, nodes: told } = &why else { panic!("{why}") };
        let up: Vec<_> = (0..nodes.len()).filter(|place| nodes[*place].3 != AWAY).collect();
        prop_assert_eq!(told.len(), up.len(), "each node that is up has its reason");
        for (place, (node, reason)) in up.iter().copied().zip(told) {
            prop_assert_eq!(node, &id(place));
            let has_room = free(&nodes[place]).covers(&demand.resources);
            let is_true = match reason {
                Reason::Unmet(_) => !is_met(place),
                Reason::TooSmall(_) => nodes[place].0 < cores,
                Reason::NotAccepting(_) => is_shut(place),
                Reason::FailedThere => failed_on == Some(place) && must_avoid,
                Reason::Short(_) => !has_room,
                Reason::KeptFor(task) => has_room && on_hold[place] && *task == HELD_FOR,
                // Nothing is staged, and nothing is held for the one who asks.
                Reason::Keeping(_)
                | Reason::Behind { .. }
                | Reason::Beside { .. }
                | Reason::Shunned { .. }
                | Reason::Spread { .. } => false,
            };
            prop_assert!(is_true, "{} is told {:?}", node, reason);
            prop_assert_eq!(reason.is_for_ever(), !is_met(place) || nodes[place].0 < cores);
        }
        let all_for_ever = !told.is_empty() && told.iter().all(|(_, reason)| reason.is_for_ever());
        prop_assert_eq!(*never, all_for_ever);
    }
}
