//! (i) What does a decision cost, without actors, log and processes?
//!
//! The machines of `policy` joined as the scheduler joins them. Beside each figure stands the least that
//! anybody would have to do for it: subtract what a task needs from the next node, walk a graph once, put a
//! number into an ordered map and take it out again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use policy::demand::Demand;
use policy::dependency::{Dependency, On};
use policy::event::Item;
use policy::fleet::Asker;
use policy::id::{TaskId, TaskRange};
use policy::placement::ShapeId;
use policy::queue::{Arrival, Pick, Queue};
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::TaskSpec;

use crate::support::machines::{Core, Machines, SHAPES, need, rooms};
use crate::support::{report, work};

/// Dependencies of a task in a random graph, at the most.
const DEPENDENCIES: usize = 3;

pub(crate) fn ask() {
    report::title("(i) core: decisions without actors, log and processes", "near constant, whatever waits");
    placing();
    graph();
    queue();
    curve();
}

fn per_task(count: usize, took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / count as f64
}

fn line(what: &str, count: usize, ours: Duration, limit: (&str, Duration)) {
    let (ours_each, limit_each) = (per_task(count, ours), per_task(count, limit.1));
    let beside =
        format!("{} {limit_each:.3} µs: {:.1} ×; all {}", limit.0, ours_each / limit_each, report::ms(ours));
    report::row(what, &format!("{ours_each:.3} µs each"), &beside);
}

/// 10,000 ready tasks of 20 shapes, each to the best of 1,000 nodes.
fn placing() {
    let (tasks, nodes) = report::size((10_000, 1_000), (1_000, 1_000));
    let needs: Vec<_> = (0..SHAPES).map(need).collect();
    let mut machines = Machines::new(nodes);
    let demands: Vec<_> = needs.iter().cloned().map(Demand::resources).map(Arc::new).collect();
    let start = Instant::now();
    for task in 0..tasks {
        let kind = task % demands.len();
        machines.start(&demands[kind], ShapeId(kind as u32)).expect("there is room");
    }
    let ours = start.elapsed();
    let mut machines = Machines::new(nodes);
    let some = tasks / 10;
    let start = Instant::now();
    for task in 0..some {
        let kind = task % demands.len();
        let place = machines.fleet.place(&demands[kind], Asker::default()).expect("there is room").place;
        machines.fleet.take(place, &demands[kind].resources);
    }
    let anew = format!("{:.3} µs each", per_task(some, start.elapsed()));
    report::row(&format!("placing {some} on {nodes} nodes, all looked at"), &anew, "");
    let mut free = rooms(nodes);
    let start = Instant::now();
    for task in 0..tasks {
        free[task % nodes].take(&needs[task % needs.len()]);
    }
    line(&format!("placing {tasks} tasks on {nodes} nodes"), tasks, ours, ("next node", start.elapsed()));
}

/// Each task waits for up to three that stand before it.
fn random(count: usize) -> Submission {
    let mut rng = Rng::with_seed(7);
    let spec = work::spec(Path::new("/bin/true"));
    let specs: Vec<_> =
        (0..SHAPES).map(|shape| Arc::new(TaskSpec { resources: need(shape), ..spec.clone() })).collect();
    let items = (0..count).map(|place| {
        let some = if place == 0 { 0 } else { rng.usize(..=DEPENDENCIES) };
        let mut dependencies: Vec<u32> = (0..some).map(|_| rng.usize(..place) as u32).collect();
        dependencies.sort_unstable();
        dependencies.dedup();
        let dependencies = dependencies.into_iter().map(Dependency::from).collect();
        Item { spec: Arc::clone(&specs[place % specs.len()]), dependencies, ..Item::new(spec.clone()) }
    });
    work::graph(items.collect())
}

/// A random graph through the whole core, on 10 nodes; beside a pass in the order of the dependencies.
fn graph() {
    let count = report::size(100_000, 10_000);
    let submission = random(count);
    let mut core = Core::new(10);
    let start = Instant::now();
    core.admit(&submission);
    let mut ended = 0;
    loop {
        while core.decide() {}
        if !core.end_one() {
            break;
        }
        ended += 1;
    }
    let ours = start.elapsed();
    assert_eq!(ended, count, "all of it has run");
    let start = Instant::now();
    assert_eq!(walk(&submission), count);
    line(&format!("a random graph of {count} tasks"), count, ours, ("one walk", start.elapsed()));
}

fn walk(submission: &Submission) -> usize {
    let mut left: Vec<usize> = submission.items.iter().map(|item| item.dependencies.len()).collect();
    let mut dependents = vec![Vec::new(); left.len()];
    for (place, item) in submission.items.iter().enumerate() {
        item.dependencies.iter().for_each(|before| {
            if let On::Item(before) = before.on {
                dependents[before as usize].push(place);
            }
        });
    }
    let mut ready: Vec<usize> = (0..left.len()).filter(|place| left[*place] == 0).collect();
    let mut walked = 0;
    while let Some(place) = ready.pop() {
        walked += 1;
        for dependent in std::mem::take(&mut dependents[place]) {
            left[dependent] -= 1;
            if left[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    walked
}

/// Pushing a million, taking some and putting them back, removing some, taking all.
fn queue() {
    let count = report::size(1_000_000, 100_000);
    let tasks = |number: usize| TaskRange { first: TaskId(1 + 2 * number as u64), count: 1 };
    let shape = |number: usize| ShapeId((number % SHAPES as usize) as u32);
    let mut queue = Queue::new();
    let start = Instant::now();
    let demand = Demand::resources(Resources::cpus(1000));
    (0..count).for_each(|number| {
        queue.push(tasks(number), shape(number), &demand, Arrival(1 + number as u64));
    });
    let pushed = start.elapsed();
    let bytes = queue.bytes();
    let fitting: Vec<_> = (0..SHAPES as usize).map(shape).collect();
    let one = Pick { want: 1, fitting: fitting.into(), ..Pick::default() };
    let start = Instant::now();
    for _ in 0..count {
        let taken = queue.pick(&one).pop().expect("a million wait");
        queue.put_back(taken);
    }
    let returned = start.elapsed();
    let start = Instant::now();
    (0..count).step_by(10).for_each(|number| queue.remove(tasks(number), shape(number)));
    let removed = start.elapsed();
    let start = Instant::now();
    while !queue.pick(&one).is_empty() {}
    let taken = start.elapsed();
    let [map_pushed, map_returned, map_removed, map_taken] = ordered_map(count);
    line(&format!("queue: push {count}"), count, pushed, ("ordered map", map_pushed));
    line("queue: take one and put it back", count, returned, ("ordered map", map_returned));
    line("queue: remove every tenth", count / 10, removed, ("ordered map", map_removed));
    line("queue: take all the rest", count - count / 10, taken, ("ordered map", map_taken));
    report::row("queue: memory", &format!("{:.1} bytes each", bytes as f64 / count as f64), "");
}

fn ordered_map(count: usize) -> [Duration; 4] {
    let mut map = BTreeMap::new();
    let timed = |act: &mut dyn FnMut()| {
        let start = Instant::now();
        act();
        start.elapsed()
    };
    let pushed = timed(&mut || map.extend((0..count).map(|number| (number, number))));
    let returned = timed(&mut || {
        for _ in 0..count {
            let (number, task) = map.pop_first().expect("a million");
            map.insert(number, task);
        }
    });
    let removed = timed(&mut || map.retain(|number, _| number % 10 != 0));
    let taken = timed(&mut || while map.pop_first().is_some() {});
    [pushed, returned, removed, taken]
}

/// What one decision and one end cost with so many waiting behind, and with so many needs and nodes.
fn curve() {
    let sizes: &[u64] = report::size(&[1_000, 10_000, 100_000, 1_000_000], &[1_000, 100_000]);
    let mut first = None;
    for &waiting in sizes {
        let each = end_and_decide(Core::new(20), waiting, SHAPES);
        let base = *first.get_or_insert(each);
        let beside = format!("{:.2} ×", each / base);
        report::row(&format!("{waiting} waiting: end one, decide one"), &format!("{each:.2} µs"), &beside);
    }
    let waiting = report::size(100_000, 10_000);
    for (nodes, needs) in [(20, 20), (1_000, 20), (20, 1_000), (20, 10_000)] {
        let each = end_and_decide(Core::new(nodes), waiting, needs);
        report::row(&format!("{nodes} nodes, {needs} needs: the same"), &format!("{each:.2} µs"), "");
    }
}

/// Microseconds for one end and the decision that follows, in a fleet that is full.
fn end_and_decide(mut core: Core, waiting: u64, needs: u64) -> f64 {
    core.crowd(waiting, needs);
    while core.decide() {}
    // Where each costs more, fewer say as much.
    let decisions = report::size(20_000, 2_000).min(waiting as usize / 2) / (needs / SHAPES).min(20) as usize;
    let (mut decided, start) = (0, Instant::now());
    while decided < decisions && core.end_one() {
        while core.decide() {
            decided += 1;
        }
    }
    per_task(decided.max(1), start.elapsed())
}
