//! Where gangs are placed, what is kept for them, and what is said where they are not.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::constraint::{Company, Constraints, Labels, Spread};
use crate::fleet::Said;
use crate::node::Room;
use crate::reserve::LineId;
use crate::resources::Resources;
use crate::task::Priority;

const SHAPE: ShapeId = ShapeId(7);
const LINE: LineId = LineId { priority: Priority::Normal, shape: SHAPE };

fn name(place: usize) -> NodeId {
    format!("n{place}").as_str().into()
}

fn room(free: u64) -> Room {
    Room { capacity: Resources::cpus(4000), free: Resources::cpus(free), staged: 0, staged_limit: 5 }
}

/// Nodes of four cores, of which so many are free.
fn fleet(free: &[u64]) -> Fleet {
    let mut fleet = Fleet::default();
    for (place, free) in free.iter().enumerate() {
        let (id, rack) = (name(place), if place % 2 == 0 { "left" } else { "right" });
        fleet.add(&id);
        fleet.changed(&id, Some(room(free * 1000)), 0);
        let labels = Arc::new(Labels::of(&name(place).to_string(), [("rack", rack)]));
        fleet.described(&id, Said { labels, ..Said::default() });
    }
    fleet
}

fn gang(members: u32, cores: u64) -> Demand {
    Demand { gang: Some(members), ..Demand::resources(Resources::cpus(cores * 1000)) }
}

fn members(count: u32) -> Vec<(TaskId, Asker<'static>)> {
    (0..u64::from(count)).map(|task| (TaskId(task), Asker { line: Some(LINE), ..Asker::default() })).collect()
}

#[test]
fn a_gang_is_placed_whole_each_member_on_a_node_of_its_own_or_not_at_all() {
    let mut three = fleet(&[4, 2, 3]);
    let mut places: Vec<_> =
        three.choose_gang(&gang(3, 2), &members(3)).unwrap().iter().map(|choice| choice.place).collect();
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2]);
    assert_eq!(three.choose_gang(&gang(3, 3), &members(3)), None, "two have room");
    assert!(three.choose_gang(&gang(3, 3), &members(2)).is_some(), "those that are left of it");
}

#[test]
fn nobody_of_a_gang_waits_on_a_node_for_its_turn() {
    let mut fleet = fleet(&[4, 0]);
    let (one, both) = (Demand::resources(Resources::cpus(1000)), gang(2, 1));
    assert_eq!(fleet.times(&one, SHAPE, 99), 4 + 5 + 5, "others do");
    assert_eq!((fleet.times(&both, SHAPE, 99), fleet.choose_gang(&both, &members(2))), (0, None));
    let why = fleet.hindrance(&both, Asker::default()).unwrap();
    assert_eq!(
        why.to_string(),
        "it needs 2 machines at once, and 1 has room now: n1 0 others wait there for their turn"
    );
}

#[test]
fn room_is_kept_for_a_gang_on_all_nodes_that_it_needs_or_on_none() {
    let mut fleet = fleet(&[0, 1, 2, 3]);
    let (large, other) = (gang(3, 4), LineId { priority: Priority::High, ..LINE });
    assert!(fleet.hold(LINE, TaskId(1), &large));
    let held = |fleet: &Fleet| fleet.nodes.iter().map(|node| node.hold.is_some()).collect::<Vec<_>>();
    assert_eq!(held(&fleet), [false, true, true, true], "those that lack least");
    assert_eq!(fleet.holds(), [(LINE, TaskId(1))]);
    assert!(!fleet.hold(other, TaskId(9), &gang(2, 4)), "one is left");
    assert!(fleet.awaits_holds(&gang(2, 4)) && !fleet.awaits_holds(&gang(5, 4)));
    fleet.changed(&name(3), None, 0);
    assert!(fleet.hold(LINE, TaskId(1), &large), "another one in its place");
    assert_eq!(held(&fleet)[..3], [true; 3]);
    fleet.changed(&name(0), None, 0);
    assert!(!fleet.hold(LINE, TaskId(1), &large));
    assert!(fleet.holds().is_empty(), "and nothing is kept of what is not enough");
}

#[test]
fn members_that_are_spread_are_so_among_each_other() {
    let mut four = fleet(&[4; 4]);
    let rule = |per: &str, max| Spread { per: per.into(), max };
    let mut demand = gang(3, 1);
    let company = Company { group: Some("ring".into()), spread: vec![rule("rack", 1)], ..Company::default() };
    demand.constraints = Constraints { company: Some(Arc::new(company.clone())), ..Constraints::default() };
    assert_eq!((four.times(&demand, SHAPE, 9), four.choose_gang(&demand, &members(3))), (0, None));
    let why = four.hindrance(&demand, Asker::default()).unwrap();
    assert!(why.to_string().contains("and 2 have room now") && why.is_for_ever(), "{why}");
    assert_eq!(four.never_fits(&demand).map(|misfit| misfit.gang), Some(Some((3, 2))), "there are two racks");
    let company = Company { spread: vec![rule("rack", 2)], ..company };
    demand.constraints.company = Some(Arc::new(company));
    assert_eq!(four.never_fits(&demand), None);
    assert_eq!(four.times(&demand, SHAPE, 9), 1);
    assert!(four.choose_gang(&demand, &members(3)).is_some());
}

#[test]
fn a_gang_that_needs_more_machines_than_there_are_is_told_so() {
    let mut three = fleet(&[0, 0, 0]);
    assert_eq!(three.never_fits(&gang(3, 4)), None, "though they are busy");
    let misfit = three.never_fits(&gang(4, 4)).unwrap();
    assert_eq!(misfit, Misfit { nodes: Vec::new(), gang: Some((4, 3)) });
    assert_eq!(three.never_fits(&gang(2, 5)).unwrap().gang, Some((2, 0)));
    assert!(three.hindrance(&gang(4, 4), Asker::default()).unwrap().is_for_ever());
    three.changed(&name(0), None, 0);
    assert_eq!(three.never_fits(&gang(3, 4)), None, "it is merely away");
}

proptest! {
    /// What is counted, what is done and what is said are one.
    #[test]
    fn a_gang_starts_exactly_where_enough_nodes_have_room(
        free in proptest::collection::vec(0..5u64, 0..7), count in 2..6u32, cores in 1..5u64,
    ) {
        let mut fleet = fleet(&free);
        let demand = gang(count, cores);
        let with_room = free.iter().filter(|free| **free >= cores).count();
        let fits = with_room >= count as usize;
        prop_assert_eq!(fleet.times(&demand, SHAPE, 9), u32::from(fits));
        prop_assert_eq!(fleet.hindrance(&demand, Asker::default()).is_none(), fits);
        let chosen = fleet.choose_gang(&demand, &members(count));
        prop_assert_eq!(chosen.is_some(), fits);
        let mut places: Vec<_> = chosen.unwrap_or_default().iter().map(|choice| choice.place).collect();
        prop_assert!(places.iter().all(|place| free[*place] >= cores));
        places.sort_unstable();
        places.dedup();
        prop_assert_eq!(places.len(), if fits { count as usize } else { 0 });
        // Holding is all or none as well, whatever is free.
        let held = fleet.hold(LINE, TaskId(1), &demand);
        prop_assert_eq!(held, free.len() >= count as usize);
        let holds = fleet.nodes.iter().filter(|node| node.hold.is_some()).count();
        prop_assert_eq!(holds, if held { count as usize } else { 0 });
    }
}
