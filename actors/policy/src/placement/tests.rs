//! Which node and which request are chosen, and what is told where none is.

use proptest::prelude::*;

use super::*;
use crate::constraint::{Condition, Constraints};

fn node(capacity: Resources, free: Resources) -> Room {
    Room { capacity, free, staged: 0, staged_limit: 0 }
}

fn cpus(capacity: u64, free: u64) -> Room {
    node(Resources::cpus(capacity), Resources::cpus(free))
}

/// One set of labels for each room: `n0`, `n1`, ….
fn named(rooms: &[Room]) -> Vec<Labels> {
    (0..rooms.len()).map(|number| Labels::of(&format!("n{number}"), [])).collect()
}

fn candidates<'a>(rooms: &'a [Room], labels: &'a [Labels]) -> Vec<Candidate<'a>> {
    let both = rooms.iter().zip(labels);
    both.map(|(room, labels)| Candidate {
        room,
        labels,
        accepting: Ok(()),
        held: Held::No,
        against: None,
        dislike: 0,
    })
    .collect()
}

fn chosen(demand: &Demand, rooms: &[Room]) -> Result<Choice, NoFit> {
    place(Search::of(demand), &candidates(rooms, &named(rooms)))
}

fn placed_of(demand: &Demand, rooms: &[Room]) -> Result<usize, NoFit> {
    chosen(demand, rooms).map(|choice| choice.place)
}

fn placed(need: u64, rooms: &[Room]) -> Option<usize> {
    placed_of(&Demand::resources(Resources::cpus(need)), rooms).ok()
}

#[test]
fn the_fullest_node_that_fits_is_taken_and_of_equals_the_first() {
    assert_eq!(placed(2, &[cpus(8, 8), cpus(8, 1), cpus(8, 4), cpus(8, 4)]), Some(2));
    assert_eq!(placed(2, &[cpus(8, 8), cpus(8, 8)]), Some(0));
    assert_eq!(placed(2, &[cpus(8, 1), cpus(8, 1)]), None);
    assert_eq!(placed(2, &[]), None);
}

#[test]
fn the_scarcest_resource_decides() {
    let both = |cpu_millis, memory_bytes| Resources { cpu_millis, memory_bytes, ..Resources::default() };
    let rooms = [node(both(10, 100), both(9, 20)), node(both(10, 100), both(5, 90))];
    assert_eq!(placed_of(&Demand::resources(both(1, 10)), &rooms), Ok(0));
    assert_eq!(placed_of(&Demand::resources(both(4, 1)), &rooms), Ok(1));
}

#[test]
fn a_task_waits_on_a_node_only_where_none_is_free() {
    let staging = |free, staged| Room { staged, staged_limit: 4, ..cpus(8, free) };
    assert_eq!(placed(8, &[staging(0, 1), staging(8, 0)]), Some(1));
    assert_eq!(placed(8, &[staging(0, 2), staging(8, 1)]), Some(1));
    assert_eq!(placed(8, &[staging(7, 0), staging(8, 0)]), Some(1), "nobody waits on either yet");
    assert_eq!(placed(8, &[staging(0, 4), staging(8, 4)]), None);
}

fn texts(refusal: &NoFit) -> Vec<String> {
    refusal.reasons.iter().map(|(place, reason)| format!("{place}: {reason}")).collect()
}

#[test]
fn every_node_has_its_reason() {
    let rooms =
        [cpus(1, 1), cpus(8, 1), cpus(8, 8), Room { staged: 2, staged_limit: 2, ..cpus(8, 8) }, cpus(8, 8)];
    let mut labels = named(&rooms);
    labels[4] = Labels::of("n4", [("production", "yes")]);
    let mut nodes = candidates(&rooms, &labels);
    nodes[2].accepting = Err("draining");
    let demand = Demand {
        constraints: Constraints::requiring(vec!["production!=yes".parse().unwrap()]),
        ..Demand::resources(Resources::cpus(2))
    };
    let refusal = place(Search::of(&demand), &nodes).unwrap_err();
    assert_eq!(
        texts(&refusal),
        [
            "0: too small: needs 0.002 cpus, 0.001 available",
            "1: needs 0.002 cpus, 0.001 available",
            "2: draining",
            "3: 2 others wait there for their turn",
            "4: label production!=yes missing (it is yes)",
        ]
    );
    assert!(!refusal.never);
}

#[test]
fn what_is_held_for_one_is_given_to_nobody_else_and_both_are_told() {
    let (rooms, kept) = ([cpus(8, 6)], Resources::cpus(5));
    let labels = named(&rooms);
    let mut nodes = candidates(&rooms, &labels);
    nodes[0].held = Held::For(TaskId(7), &kept);
    let asks = |cores| Demand::resources(Resources::cpus(cores));
    let refused = |demand: &Demand, nodes: &[Candidate<'_>]| {
        place(Search::of(demand), nodes).map_err(|refusal| texts(&refusal).remove(0)).map(|one| one.place)
    };
    assert_eq!(refused(&asks(1), &nodes), Ok(0), "it does not delay it");
    assert_eq!(refused(&asks(2), &nodes), Err("0: what is free there is kept for t7".into()));
    assert_eq!(refused(&asks(7), &nodes), Err("0: needs 0.007 cpus, 0.006 available".into()));
    nodes[0].held = Held::ForIt;
    assert_eq!(refused(&asks(5), &nodes), Ok(0));
    assert_eq!(refused(&asks(7), &nodes), Err("0: is kept for it: needs 0.007 cpus, 0.006 available".into()));
}

#[test]
fn a_task_that_no_node_can_ever_run_is_reported_as_such() {
    let never = |need: u64, rooms: &[Room]| {
        placed_of(&Demand::resources(Resources::cpus(need)), rooms).unwrap_err().never
    };
    assert!(never(9, &[cpus(8, 8), cpus(4, 0)]));
    assert!(!never(8, &[cpus(8, 7), cpus(4, 0)]));
    assert!(!never(8, &[]), "a node that is large enough may come");
    let pinned = Demand {
        constraints: Constraints::requiring(vec![Condition::is("node", "n1")]),
        ..Demand::resources(Resources::cpus(5))
    };
    assert!(placed_of(&pinned, &[cpus(8, 8), cpus(4, 4)]).unwrap_err().never, "none is both");
    assert!(!placed_of(&pinned, &[cpus(8, 8), cpus(8, 4)]).unwrap_err().never);
    assert_eq!(placed_of(&pinned, &[cpus(8, 8), cpus(8, 8)]), Ok(1));
}

#[test]
fn what_is_preferred_goes_before_the_best_fit_and_behind_starting_at_once() {
    let prefer = |text: &str| Demand {
        constraints: Constraints { prefer: vec![text.parse().unwrap()], ..Constraints::default() },
        ..Demand::resources(Resources::cpus(2))
    };
    assert_eq!(placed_of(&prefer("node=n0"), &[cpus(8, 8), cpus(8, 2)]), Ok(0));
    assert_eq!(placed_of(&prefer("node=n9"), &[cpus(8, 8), cpus(8, 2)]), Ok(1));
    let waits = Room { staged: 1, staged_limit: 4, ..cpus(8, 0) };
    assert_eq!(placed_of(&prefer("node=n0"), &[waits, cpus(8, 8)]), Ok(1));
}

/// Eight cores, or two and a GPU.
fn either() -> Demand {
    let second = Resources { gpu_slots: 1, ..Resources::cpus(2) };
    Demand { alternatives: vec![second], ..Demand::resources(Resources::cpus(8)) }
}

#[test]
fn of_several_requests_the_best_is_granted_that_starts_at_once() {
    let gpu = |cpu_millis| Resources { gpu_slots: 1, ..Resources::cpus(cpu_millis) };
    let granted = |rooms: &[Room]| chosen(&either(), rooms).map(|one| (one.place, one.request.0)).ok();
    let with_gpu = |free| node(gpu(8), free);
    assert_eq!(granted(&[with_gpu(gpu(8)), cpus(8, 8)]), Some((0, 0)), "it fills the first by its cores");
    assert_eq!(granted(&[with_gpu(gpu(7)), cpus(8, 8)]), Some((1, 0)));
    assert_eq!(granted(&[with_gpu(gpu(7)), cpus(8, 7)]), Some((0, 1)));
    assert_eq!(granted(&[with_gpu(Resources::cpus(7)), cpus(8, 7)]), None);
    let staging = Room { staged_limit: 1, ..cpus(8, 0) };
    assert_eq!(granted(&[staging.clone(), with_gpu(gpu(7))]), Some((1, 1)), "the other one would wait");
    assert_eq!(granted(&[staging, with_gpu(Resources::cpus(7))]), Some((0, 0)));
}

#[test]
fn a_node_is_too_small_only_for_all_requests_and_short_of_the_best_it_could_take() {
    let gpu = Resources { gpu_slots: 1, ..Resources::cpus(4) };
    let refusal = chosen(&either(), &[cpus(4, 4), node(gpu, Resources::cpus(4))]).unwrap_err();
    assert_eq!(
        texts(&refusal),
        ["0: too small: needs 0.008 cpus, 0.004 available", "1: needs 1 gpu slots, 0 available"]
    );
    assert!(!refusal.never);
}

fn after_failure(avoid_failed: AvoidFailed, rooms: &[Room]) -> Result<usize, NoFit> {
    let constraints = Constraints { avoid_failed, ..Constraints::default() };
    let demand = Demand { constraints, ..Demand::resources(Resources::cpus(2)) };
    let choice = place(Search { demand: &demand, failed_on: Some(0) }, &candidates(rooms, &named(rooms)));
    choice.map(|choice| choice.place)
}

#[test]
fn the_node_of_the_last_failure_is_taken_last_or_not_at_all() {
    let both = [cpus(8, 2), cpus(8, 8)];
    assert_eq!(after_failure(AvoidFailed::No, &both), Ok(0));
    assert_eq!(after_failure(AvoidFailed::Prefer, &both), Ok(1));
    assert_eq!(after_failure(AvoidFailed::Require, &both), Ok(1));
    let other_full = [cpus(8, 2), cpus(8, 0)];
    assert_eq!(after_failure(AvoidFailed::Prefer, &other_full), Ok(0));
    let refusal = after_failure(AvoidFailed::Require, &other_full).unwrap_err();
    assert_eq!(texts(&refusal), ["0: it failed there last", "1: needs 0.002 cpus, 0 available"]);
    assert!(!refusal.never);
}

#[test]
fn where_no_other_node_could_ever_run_it_it_runs_again_where_it_failed() {
    assert_eq!(after_failure(AvoidFailed::Require, &[cpus(8, 8), cpus(1, 1)]), Ok(0));
    assert_eq!(after_failure(AvoidFailed::Require, &[cpus(8, 8)]), Ok(0));
}

proptest! {
    #[test]
    fn no_node_is_ever_given_more_than_it_has_or_what_it_must_not(
        capacities in prop::collection::vec((1_u64..20, 0_u64..4, 0_u8..3), 1..6),
        needs in prop::collection::vec((0_u64..20, 0_u64..4, 0_u8..5, prop::option::of(0_usize..6)), 1..60),
    ) {
        let both = |cpu_millis, gpu_slots| Resources { cpu_millis, gpu_slots, ..Resources::default() };
        let room = |(cpu, gpu, _): &(u64, u64, u8)| node(both(*cpu, *gpu), both(*cpu, *gpu));
        let mut rooms: Vec<_> = capacities.iter().map(room).collect();
        let rack = |number: usize, one: &(u64, u64, u8)| {
            Labels::of(&format!("n{number}"), [("rack", ["a", "b", "c"][usize::from(one.2)])])
        };
        let labels: Vec<_> = capacities.iter().enumerate().map(|(number, one)| rack(number, one)).collect();
        for (cpu, gpu, rack, failed_on) in needs {
            let wanted = ["a", "b", "c"].get(usize::from(rack)).map(|rack| Condition::is("rack", rack));
            let constraints = Constraints::requiring(wanted.into_iter().collect());
            let alternatives = vec![both(cpu / 2, gpu + 1), both(cpu * 2, 0)];
            let demand = Demand { constraints, alternatives, ..Demand::resources(both(cpu, gpu)) };
            let may = |(room, labels): (&Room, &Labels)| {
                demand.requests().any(|(_, need)| room.free.covers(need)) && demand.constraints.met(labels)
            };
            let fits = rooms.iter().zip(&labels).any(may);
            let nodes = candidates(&rooms, &labels);
            let placed = place(Search { demand: &demand, failed_on }, &nodes);
            prop_assert_eq!(placed.is_ok(), fits);
            prop_assert_eq!(feasible(&demand, &nodes), fits);
            if let Ok(Choice { place, request }) = placed {
                prop_assert!(demand.constraints.met(&labels[place]));
                let better = demand.requests().take(usize::from(request.0));
                let refused = better.map(|(_, need)| need).all(|need| {
                    let may = |(room, labels): (&Room, &Labels)| room.free.covers(need) && demand.constraints.met(labels);
                    !rooms.iter().zip(&labels).any(may)
                });
                prop_assert!(refused, "no better request was to be had");
                prop_assert!(rooms[place].take(demand.request(request)));
            }
        }
    }
}
