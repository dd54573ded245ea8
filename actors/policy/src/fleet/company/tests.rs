//! Who is let in beside whom, who is told why not, and what is kept for whom is kept away from.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::breaker::{Key, Seen};
use crate::constraint::{Constraints, Labels};
use crate::demand::Demand;
use crate::fleet::{Asker, COUNTED_LIMIT, Fleet, Said};
use crate::hindrance::Hindrance;
use crate::node::Room;
use crate::placement::ShapeId;
use crate::reserve::LineId;
use crate::resources::Resources;
use crate::task::Priority;

/// Four nodes of four cores in two racks, and one in none.
const RACKS: [Option<&str>; 5] = [Some("left"), Some("left"), Some("right"), Some("right"), None];

fn name(node: usize) -> NodeId {
    NodeId::from(format!("n{node}").as_str())
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    for (node, rack) in RACKS.iter().enumerate() {
        let (id, capacity) = (name(node), Resources::cpus(4000));
        fleet.add(&id);
        fleet.changed(&id, Some(Room { free: capacity.clone(), capacity, staged: 0, staged_limit: 0 }), 0);
        let labels = Labels::of(&id.to_string(), rack.map(|rack| ("rack", rack)));
        let tripped: Vec<(Key, Seen)> = Vec::new();
        fleet.described(&id, Said { labels: Arc::new(labels), tripped, ..Said::default() });
    }
    fleet
}

fn of(group: &str, spread: &[&str], apart: &[&str], rather: &[&str]) -> Arc<Demand> {
    let company = Company {
        group: (!group.is_empty()).then(|| group.into()),
        spread: spread.iter().map(|one| one.parse().unwrap()).collect(),
        apart: apart.iter().map(|one| Arc::from(*one)).collect(),
        prefer_apart: rather.iter().map(|one| one.parse().unwrap()).collect(),
    };
    let constraints = Constraints { company: Some(Arc::new(company)), ..Constraints::default() };
    Arc::new(Demand { constraints, ..Demand::resources(Resources::cpus(1000)) })
}

fn company(demand: &Demand) -> &Arc<Company> {
    demand.constraints.company.as_ref().unwrap()
}

/// Places so many and tells where they are.
fn place(fleet: &mut Fleet, demand: &Arc<Demand>, tasks: std::ops::Range<u64>) -> Vec<usize> {
    let mut places = Vec::new();
    for task in tasks {
        let Some(choice) = fleet.choose(demand, ShapeId(0), Asker::default()) else { break };
        fleet.take(choice.place, &demand.resources);
        fleet.enter(TaskId(task), &name(choice.place), company(demand));
        places.push(choice.place);
    }
    places
}

/// Why it waits, of all nodes.
fn why(fleet: &Fleet, demand: &Demand) -> String {
    let told = fleet.hindrance(demand, Asker::default()).expect("it waits");
    let Hindrance::NoNode { nodes, .. } = told else { panic!("{told}") };
    nodes.iter().map(|(node, reason)| format!("{node} {reason}; ")).collect()
}

#[test]
fn a_group_is_spread_over_nodes_and_who_waits_is_told() {
    let (mut fleet, one) = (fleet(), of("web", &["node=1"], &[], &[]));
    assert_eq!(fleet.room_for(&one, ShapeId(0)), 5);
    assert_eq!(place(&mut fleet, &one, 1..9), [0, 1, 2, 3, 4]);
    assert_eq!(fleet.room_for(&one, ShapeId(0)), 0);
    let told = why(&fleet, &one);
    assert!(told.contains("n0 1 of group web run where node=n0, as many as may"), "{told}");
    assert!(!fleet.hindrance(&one, Asker::default()).unwrap().is_for_ever());
    assert!(fleet.leave(TaskId(3)) && !fleet.leave(TaskId(3)));
    assert_eq!((fleet.room_for(&one, ShapeId(0)), place(&mut fleet, &one, 9..12)), (1, vec![2]));
}

#[test]
fn by_a_label_all_nodes_of_a_value_count_and_one_without_it_never_runs_any() {
    let (mut fleet, one) = (fleet(), of("web", &["rack=3"], &[], &[]));
    assert_eq!(fleet.room_for(&one, ShapeId(0)), 6);
    let places = place(&mut fleet, &one, 1..20);
    assert_eq!(places.iter().filter(|place| **place < 2).count(), 3);
    assert_eq!((places.len(), places.contains(&4)), (6, false));
    assert!(why(&fleet, &one).contains("n4 label rack missing"), "{}", why(&fleet, &one));
}

#[test]
fn what_is_on_a_node_that_was_not_heard_of_again_counts_wherever_it_may_be() {
    let (mut fleet, one) = (fleet(), of("web", &["rack=1", "node=1"], &[], &[]));
    let silent = NodeId::from("n9");
    fleet.add(&silent);
    fleet.enter(TaskId(1), &silent, company(&one));
    assert_eq!(fleet.room_for(&one, ShapeId(0)), 0, "it may be in either rack");
    let labels = Arc::new(Labels::of("n9", [("rack", "left")]));
    fleet.described(&silent, Said { labels, ..Said::default() });
    assert_eq!(place(&mut fleet, &one, 2..9), [2], "it is in the left one");
}

#[test]
fn who_is_to_be_apart_is_apart_whoever_comes_first() {
    let (quiet, loud) = (of("quiet", &[], &["loud"], &[]), of("loud", &[], &[], &[]));
    let mut fleet = fleet();
    assert_eq!(place(&mut fleet, &loud, 1..4), [0, 0, 0]);
    assert_eq!(place(&mut fleet, &quiet, 4..5), [1]);
    assert_eq!(place(&mut fleet, &loud, 5..7), [0, 2]);
    (6..40).for_each(|task| drop(place(&mut fleet, &loud, task..task + 1)));
    place(&mut fleet, &quiet, 50..60);
    assert!(why(&fleet, &loud).contains("n1 one runs there that is to be apart from group loud"));
    assert!(why(&fleet, &quiet).contains("n0 one of group loud runs there, from which it is to be apart"));
}

#[test]
fn one_that_is_apart_from_its_own_group_is_alone_of_it() {
    let (mut fleet, alone) = (fleet(), of("bench", &[], &["bench"], &[]));
    assert_eq!(fleet.room_for(&alone, ShapeId(0)), 5);
    assert_eq!(place(&mut fleet, &alone, 1..9), [0, 1, 2, 3, 4]);
}

#[test]
fn what_it_would_rather_not_run_beside_is_avoided_as_long_as_there_is_room_elsewhere() {
    let (mut fleet, soft) = (fleet(), of("web", &[], &[], &["web"]));
    let places = place(&mut fleet, &soft, 1..11);
    assert_eq!(places, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    assert_eq!(place(&mut fleet, &soft, 11..99).len(), 10, "and where there is none it runs all the same");
}

#[test]
fn a_node_that_is_held_is_kept_free_of_those_from_whom_it_is_to_be_apart() {
    let (quiet, loud) = (of("quiet", &[], &["loud"], &[]), of("loud", &[], &[], &[]));
    let mut fleet = fleet();
    (0..5).for_each(|node| fleet.enter(TaskId(10 + node as u64), &name(node), company(&loud)));
    let line = LineId { priority: Priority::Normal, shape: ShapeId(9) };
    assert!(fleet.hold(line, TaskId(7), &quiet), "they pass");
    fleet.choose(&loud, ShapeId(1), Asker::default()).expect("the other nodes take it");
    assert_eq!(fleet.holds(), [(line, TaskId(7))]);
    fleet.leave(TaskId(10));
    assert_eq!(
        fleet.choose(&quiet, ShapeId(9), Asker { line: Some(line), ..Asker::default() }).unwrap().place,
        0
    );
    let loud_there = fleet.choose(&loud, ShapeId(1), Asker::default()).unwrap().place;
    assert_ne!(loud_there, 0, "it is kept");
    let spread = of("web", &["node=1"], &[], &[]);
    (0..5).for_each(|node| fleet.enter(TaskId(20 + node as u64), &name(node), company(&spread)));
    let other = LineId { shape: ShapeId(8), ..line };
    assert!(!fleet.hold(other, TaskId(8), &spread), "nothing stands idle for a place that is taken");
}

proptest! {
    #[test]
    fn no_rule_is_ever_broken_and_room_is_told_exactly_where_there_is_none(
        steps in prop::collection::vec((0_usize..4, any::<bool>(), any::<prop::sample::Index>()), 1..80),
    ) {
        let kinds = [
            of("web", &["node=1", "rack=2"], &[], &[]),
            of("web", &["rack=3"], &["builds"], &["5:web"]),
            of("builds", &[], &["lonely"], &[]),
            of("lonely", &["node=2"], &["lonely"], &[]),
        ];
        let (mut fleet, mut running, mut next) = (fleet(), BTreeMap::<u64, (usize, usize)>::new(), 1);
        for (kind, starts, which) in steps {
            if !starts && !running.is_empty() {
                let task = *running.keys().nth(which.index(running.len())).unwrap();
                running.remove(&task);
                prop_assert!(fleet.leave(TaskId(task)));
                continue;
            }
            let (demand, shape) = (&kinds[kind], ShapeId(u32::try_from(kind).unwrap()));
            let choice = fleet.choose(demand, shape, Asker::default());
            prop_assert_eq!(fleet.times(demand, shape, COUNTED_LIMIT) > 0, choice.is_some());
            let Some(choice) = choice else { continue };
            let here = company(demand);
            for (other, place) in running.values() {
                prop_assert!(*place != choice.place || !here.excludes(company(&kinds[*other])));
            }
            for rule in &here.spread {
                let value = |place: usize| if &*rule.per == "node" { Some(place) } else {
                    RACKS[place].map(|rack| usize::from(rack == "left"))
                };
                let of_group = |one: &&(usize, usize)| company(&kinds[one.0]).group == here.group;
                let there = running.values().filter(of_group).filter(|one| value(one.1) == value(choice.place));
                prop_assert!(value(choice.place).is_some() && there.count() < rule.max as usize);
            }
            fleet.enter(TaskId(next), &name(choice.place), here);
            running.insert(next, (kind, choice.place));
            next += 1;
        }
    }
}
