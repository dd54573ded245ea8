//! Who makes room, against all sets there are.

use proptest::prelude::*;

use super::search::missing;
use super::*;

const REQUEST: RequestNumber = RequestNumber(0);

fn running(task: u64, need: &Resources, priority: Priority, ran: u64) -> Running<'_> {
    Running {
        task: TaskId(task),
        need,
        priority,
        is_preemptible: true,
        ran: Duration::from_secs(ran),
        evictions: 0,
        is_leaving: false,
    }
}

fn for_critical(need: &Resources, capacity: &Resources, running: Vec<Running<'_>>) -> Option<Vec<u64>> {
    let site = Site { place: 0, capacity, is_kept: false, running };
    let chosen = choose(Priority::Critical, &[(REQUEST, need)], [site], &Claimed::default())?;
    Some(chosen.victims.into_iter().map(|task| task.0).collect())
}

#[test]
fn the_least_urgent_go_before_the_fewest_and_these_before_those_that_have_run_shortest() {
    let (one, two, all) = (Resources::cpus(1000), Resources::cpus(2000), Resources::cpus(4000));
    let of = |tasks: Vec<Running<'_>>| for_critical(&two, &all, tasks);
    let low = Priority::Low;
    let normal = running(1, &two, Priority::Normal, 1);
    assert_eq!(
        of(vec![normal.clone(), running(2, &one, low, 90), running(3, &one, low, 90)]),
        Some(vec![2, 3])
    );
    assert_eq!(
        of(vec![running(1, &two, low, 90), running(2, &one, low, 1), running(3, &one, low, 1)]),
        Some(vec![1])
    );
    assert_eq!(of(vec![running(1, &two, low, 90), running(2, &two, low, 60)]), Some(vec![2]));
    assert_eq!(
        of(vec![running(1, &two, low, 60), running(2, &two, low, 60)]),
        Some(vec![1]),
        "ties are stable"
    );
}

#[test]
fn only_what_says_so_is_less_urgent_and_was_not_put_off_too_often_makes_room() {
    let (need, all) = (Resources::cpus(2000), Resources::cpus(2000));
    let victim = running(1, &need, Priority::Low, 5);
    assert_eq!(for_critical(&need, &all, vec![victim.clone()]), Some(vec![1]));
    for spared in [
        Running { is_preemptible: false, ..victim.clone() },
        Running { priority: Priority::High, ..victim.clone() },
        Running { evictions: EVICTIONS_LIMIT, ..victim.clone() },
    ] {
        assert_eq!(for_critical(&need, &all, vec![spared]), None);
    }
    let site = Site { place: 0, capacity: &all, is_kept: false, running: vec![victim] };
    assert_eq!(choose(Priority::Low, &[(REQUEST, &need)], [site], &Claimed::default()), None);
}

#[test]
fn nobody_more_is_stopped_where_enough_leaves_already() {
    let (need, all) = (Resources::cpus(2000), Resources::cpus(3000));
    let leaving = Running { is_leaving: true, ..running(1, &need, Priority::Low, 5) };
    let one = Resources::cpus(1000);
    let stays = running(2, &one, Priority::Low, 1);
    assert_eq!(for_critical(&need, &all, vec![leaving, stays]), Some(vec![]));
}

#[test]
fn the_node_where_it_costs_least_makes_room() {
    let (one, two, all) = (Resources::cpus(1000), Resources::cpus(2000), Resources::cpus(2000));
    let sites = || {
        let many = vec![running(1, &one, Priority::Low, 1), running(2, &one, Priority::Low, 1)];
        let long = vec![running(3, &two, Priority::Low, 9)];
        let short = vec![running(4, &two, Priority::Low, 3)];
        [many, long, short].into_iter().enumerate().map(|(place, running)| Site {
            place,
            capacity: &all,
            is_kept: false,
            running,
        })
    };
    let chosen = choose(Priority::Critical, &[(REQUEST, &two)], sites(), &Claimed::default());
    assert_eq!(chosen, Some(Eviction { place: 2, request: REQUEST, victims: vec![TaskId(4)] }));
    let either = [(REQUEST, &two), (RequestNumber(1), &one)];
    let chosen = choose(Priority::Critical, &either, sites(), &Claimed::default());
    assert_eq!(
        chosen.map(|chosen| (chosen.request, chosen.victims)),
        Some((RequestNumber(1), vec![TaskId(1)]))
    );
}

#[test]
fn a_node_that_is_held_is_taken_last_and_never_for_what_is_free_there() {
    let (one, two, all) = (Resources::cpus(1000), Resources::cpus(2000), Resources::cpus(3000));
    let chosen = |need: &Resources, held: bool| {
        let low = vec![running(1, &one, Priority::Low, 1)];
        let normal = vec![running(2, &two, Priority::Normal, 9)];
        let site = |place, is_kept, running| Site { place, capacity: &all, is_kept, running };
        let sites = [site(0, true, low), site(1, held, normal)];
        choose(Priority::Critical, &[(REQUEST, need)], sites, &Claimed::default()).map(|chosen| chosen.place)
    };
    assert_eq!(chosen(&all, false), Some(1), "dearer and held for nobody");
    assert_eq!(chosen(&all, true), Some(0));
    assert_eq!(chosen(&one, true), None, "there is room, and it is kept");
}

#[test]
fn a_class_that_has_its_slice_of_what_runs_has_nobody_evicted() {
    let short = |runs, waits| is_short_of_its_slice(Priority::Critical, Shares::default(), runs, waits);
    assert!(short([4, 0, 0, 0], [0, 0, 0, 9]));
    assert!(short([1, 0, 0, 3], [3, 0, 0, 1]), "beside low tasks it may have ten of eleven");
    assert!(!short([1, 0, 0, 10], [9, 0, 0, 9]));
    assert!(short([2, 1, 1, 3], [1, 1, 1, 9]));
    assert!(!short([2, 1, 1, 4], [1, 1, 1, 9]), "half of it where all others wait");
    assert!(!short([0, 0, 0, 0], [1, 1, 1, 1]), "nobody runs");
}

#[test]
fn a_full_machine_of_many_kinds_is_answered_within_the_steps() {
    let needs: Vec<_> = (1..=200)
        .map(|n| Resources { memory_bytes: 777 * n, gpu_slots: n % 3, ..Resources::cpus(1000 + n * 7) })
        .collect();
    let (all, need) = (
        Resources { memory_bytes: 20_000_000, gpu_slots: 300, ..Resources::cpus(400_000) },
        Resources { memory_bytes: 10_000_000, gpu_slots: 150, ..Resources::cpus(200_000) },
    );
    let tasks = needs
        .iter()
        .zip(1..)
        .map(|(need, task)| running(task, need, Priority::Low, task % 17))
        .collect::<Vec<_>>();
    let victims = for_critical(&need, &all, tasks.clone()).expect("there is enough");
    let enough = |victims: &[u64]| missing_with(&need, &all, &tasks, victims).is_empty();
    assert!(enough(&victims));
    for spared in &victims {
        let others: Vec<_> = victims.iter().copied().filter(|one| one != spared).collect();
        assert!(!enough(&others), "{spared} need not go");
    }
}

fn missing_with<'a>(
    need: &'a Resources,
    capacity: &Resources,
    tasks: &[Running<'_>],
    gone: &[u64],
) -> Vec<(&'a str, u64)> {
    let staying: Vec<_> = tasks.iter().filter(|one| !gone.contains(&one.task.0)).cloned().collect();
    missing(need, capacity, &staying)
}

/// The cheapest of all sets of those on a node and those who hold something of the fleet's elsewhere.
fn by_force(
    need: &Resources,
    capacity: &Resources,
    tasks: &[Running<'_>],
    claimed: &Claimed<'_>,
) -> Option<(Cost, Vec<TaskId>)> {
    let is_there = |task| tasks.iter().any(|one| one.task == task);
    let elsewhere = claimed.holders.iter().map(|(one, _)| one).filter(|one| !is_there(one.task));
    let all: Vec<_> = tasks.iter().chain(elsewhere).collect();
    let found = (0u32..1 << all.len()).filter_map(|set| {
        let chosen: Vec<_> =
            (0..all.len()).filter(|place| set & 1 << place != 0).map(|place| all[place]).collect();
        let ids: Vec<_> = chosen.iter().map(|one| one.task).collect();
        let numbers: Vec<_> = ids.iter().map(|task| task.0).collect();
        let is_had = |(place, missing): (usize, &u64)| {
            let gone = claimed.holders.iter().filter(|(one, _)| ids.contains(&one.task));
            gone.map(|(_, gives)| gives[place]).sum::<u64>() >= *missing
        };
        let is_right = chosen.iter().all(|one| one.may_yield_to(Priority::Critical))
            && missing_with(need, capacity, tasks, &numbers).is_empty()
            && claimed.missing.iter().enumerate().all(is_had);
        is_right.then(|| (chosen.iter().fold(Cost::default(), |cost, one| cost.with(one)), ids))
    });
    found
        .map(|(cost, mut ids)| {
            ids.sort_unstable();
            (cost, ids)
        })
        .min()
}

fn needs() -> impl Strategy<Value = Resources> {
    (0u64..5, 0u64..4, 0u64..2).prop_map(|(cpus, memory_bytes, gpu_slots)| Resources {
        memory_bytes,
        gpu_slots,
        ..Resources::cpus(cpus * 500)
    })
}

fn tasks() -> impl Strategy<Value = Vec<(Resources, u8, u8, u64)>> {
    prop::collection::vec((needs(), 0u8..4, 0u8..8, 0u64..4), 0..6)
}

fn made(tasks: &[(Resources, u8, u8, u64)], first: u64) -> Vec<Running<'_>> {
    let priorities = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
    let mut made = Vec::new();
    for ((need, priority, how, ran), task) in tasks.iter().zip(first..) {
        // Not in the order of their ids.
        let one = running(task * 7 % 1013, need, priorities[usize::from(*priority)], *ran);
        let evictions = if *how == 1 { EVICTIONS_LIMIT } else { 0 };
        made.push(Running { is_preemptible: *how != 0, evictions, is_leaving: *how == 2, ..one });
    }
    made.sort_by_key(|one| one.task);
    made
}

proptest! {
    #[test]
    fn who_makes_room_is_the_cheapest_set_of_all(
        one in tasks(), other in tasks(), need in needs(), cpus in 0u64..12, memory_bytes in 0u64..8,
        claims in prop::option::of(((1u64..3, 0u64..4), prop::collection::vec((0u64..3, 0u64..3), 14))),
    ) {
        let capacity = Resources { memory_bytes, gpu_slots: 2, ..Resources::cpus(cpus * 500) };
        let nodes = [made(&one, 1), made(&other, 100)];
        let held = |((lock, pool), holds): ((u64, u64), Vec<(u64, u64)>)| {
            let given = nodes.iter().flatten().cloned().zip(holds).map(|(one, (lock, pool))| (one, vec![lock, pool]));
            Claimed { missing: vec![lock, pool], holders: given.filter(|(one, gives)| !one.is_leaving && gives != &[0, 0]).collect() }
        };
        let claimed = claims.map(held).unwrap_or_default();
        let sites = nodes.iter().enumerate().map(|(place, running)| Site { place, capacity: &capacity, is_kept: false, running: running.clone() });
        let chosen = choose(Priority::Critical, &[(REQUEST, &need)], sites, &claimed);
        let forced = nodes.iter().enumerate().filter(|_| capacity.covers(&need)).filter_map(|(place, tasks)| {
            let (cost, victims) = by_force(&need, &capacity, tasks, &claimed)?;
            Some((cost, place, victims))
        });
        let forced = forced.min().map(|(_, place, victims)| Eviction { place, request: REQUEST, victims });
        prop_assert_eq!(chosen, forced);
    }
}

#[test]
fn who_has_the_lock_goes_wherever_it_runs_and_nobody_whose_room_is_not_needed() {
    let (one, all) = (Resources::cpus(1000), Resources::cpus(1000));
    let has_lock = running(1, &one, Priority::Low, 90);
    let claimed = Claimed { missing: vec![1], holders: vec![(has_lock, vec![1])] };
    let chosen = |there: Vec<Running<'_>>| {
        let site = Site { place: 0, capacity: &all, is_kept: false, running: there };
        let chosen = choose(Priority::Critical, &[(REQUEST, &one)], [site], &claimed)?;
        Some(chosen.victims.into_iter().map(|task| task.0).collect::<Vec<_>>())
    };
    assert_eq!(chosen(Vec::new()), Some(vec![1]), "there is room here");
    assert_eq!(chosen(vec![running(2, &one, Priority::Low, 1)]), Some(vec![1, 2]));
    let firm = Running { is_preemptible: false, ..running(2, &one, Priority::Low, 1) };
    assert_eq!(chosen(vec![firm]), None, "one set is enough or nobody goes");
}

#[test]
fn who_has_the_lock_is_found_behind_many_who_have_only_room() {
    let (one, all) = (Resources::cpus(1), Resources::cpus(1000));
    let there: Vec<_> = (2..1002).map(|task| running(task, &one, Priority::Low, 0)).collect();
    let has_lock = running(1, &one, Priority::Normal, 90);
    let claimed = Claimed { missing: vec![1], holders: vec![(has_lock, vec![1])] };
    let site = Site { place: 0, capacity: &all, is_kept: false, running: there };
    let chosen = choose(Priority::Critical, &[(REQUEST, &one)], [site], &claimed).expect("both go");
    assert_eq!(chosen.victims, [TaskId(1), TaskId(2)]);
}

#[test]
fn under_strain_the_least_urgent_that_allows_it_goes_and_one_at_a_time() {
    let need = Resources::cpus(1000);
    let of = |task, priority, ran| running(task, &need, priority, ran);
    let all = [of(1, Priority::Normal, 1), of(2, Priority::Low, 90), of(3, Priority::Low, 60)];
    assert_eq!(least_valuable(&all), Some(TaskId(3)));
    let stays = Running { is_preemptible: false, ..of(1, Priority::Low, 1) };
    assert_eq!(least_valuable(&[stays]), None);
    let often = Running { evictions: EVICTIONS_LIMIT, ..of(1, Priority::Critical, 1) };
    assert_eq!(least_valuable(&[often]), Some(TaskId(1)), "the system would not ask");
    let leaving = Running { is_leaving: true, ..of(4, Priority::Low, 1) };
    assert_eq!(least_valuable(&[of(1, Priority::Low, 1), leaving]), None);
}
