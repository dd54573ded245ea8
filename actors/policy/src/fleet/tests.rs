//! What a fleet takes, refuses and keeps; and a large task behind a stream of small ones.

use proptest::prelude::*;

use super::*;
use crate::constraint::Constraints;
use crate::id::TaskId;
use crate::queue::{Arrival, Pick, Queue};
use crate::reserve::Reserve;
use crate::strain::{Level, Sign, Strain, Symptom};
use crate::task::{Priority, RequestNumber};

/// The shape that tests ask for where it does not matter.
const ANY: ShapeId = ShapeId(0);
fn fleet(names: &[&str], cores: u64) -> Fleet {
    let mut fleet = Fleet::default();
    for name in names {
        let (id, capacity) = (NodeId::from(*name), Resources::cpus(cores * 1000));
        fleet.add(&id);
        let room = Room { free: capacity.clone(), capacity, staged: 0, staged_limit: 0 };
        assert!(fleet.changed(&id, Some(room), 0), "it is new");
        fleet.described(&id, Said { labels: Arc::new(Labels::of(name, [])), ..Said::default() });
    }
    fleet
}

fn placed(fleet: &Fleet, demand: &Demand, failed_on: Option<&str>) -> Option<usize> {
    let failed_on = failed_on.map(NodeId::from);
    let asker = Asker { failed_on: failed_on.as_ref(), ..Asker::default() };
    fleet.place(demand, asker).map(|choice| choice.place)
}

fn on(node: &str) -> Demand {
    let constraints = Constraints::requiring(vec![format!("node={node}").parse().unwrap()]);
    Demand { constraints, ..Demand::resources(Resources::cpus(1000)) }
}

#[test]
fn what_was_sent_counts_until_the_node_has_heard_of_it() {
    let mut fleet = fleet(&["b", "a"], 2);
    assert_eq!((fleet.id(0), fleet.cores()), (&NodeId::from("a"), 4));
    let one = on("b");
    assert_eq!(fleet.times(&one, ANY, 9), 2);
    assert_eq!(placed(&fleet, &one, None), Some(1));
    fleet.take(1, &one.resources);
    fleet.take(1, &one.resources);
    assert_eq!((fleet.times(&one, ANY, 9), placed(&fleet, &one, None)), (0, None));
    let room = |free| Room {
        capacity: Resources::cpus(2000),
        free: Resources::cpus(free),
        staged: 0,
        staged_limit: 0,
    };
    assert!(!fleet.changed(&NodeId::from("b"), Some(room(1000)), 1), "it has heard of the first");
    assert_eq!(fleet.times(&one, ANY, 9), 0);
    fleet.changed(&NodeId::from("b"), Some(room(1000)), 2);
    assert_eq!(fleet.times(&one, ANY, 9), 1, "and of both, and one is over");
}

#[test]
fn who_may_have_taken_a_machine_down_is_kept_apart_from_others_of_the_kind_and_told_so() {
    let fleet = fleet(&["a", "b"], 2);
    let demand = Demand::resources(Resources::cpus(1000));
    let apart = ["a".into(), "b".into()];
    let asker = |count| Asker { apart: &apart[..count], ..Asker::default() };
    assert_eq!(fleet.place(&demand, asker(1)).map(|choice| choice.place), Some(1));
    assert_eq!(fleet.place(&demand, asker(2)), None);
    let why = fleet.hindrance(&demand, asker(2)).expect("it has to wait");
    assert!(!why.is_for_ever() && why.to_string().contains("they are kept apart"), "{why}");
}

#[test]
fn a_strained_node_takes_nothing_heavy_or_nothing_and_says_why() {
    let mut fleet = fleet(&["a"], 4);
    let mut refusal = |level, cores: u64| {
        let seen = Symptom { sign: Sign::MemoryFree, value: 7, limit: 10 };
        let strain = Strain { level, seen: Some(seen), heavy_percent: 50 };
        fleet.described(&NodeId::from("a"), Said { strain, ..Said::default() });
        let demand = Demand::resources(Resources::cpus(cores * 1000));
        assert_eq!(fleet.times(&demand, ANY, 9) == 0, fleet.hindrance(&demand, Asker::default()).is_some());
        fleet.hindrance(&demand, Asker::default()).map(|hindrance| hindrance.to_string())
    };
    assert_eq!((refusal(Level::Normal, 3), refusal(Level::Warn, 2)), (None, None));
    let told = refusal(Level::Warn, 3).unwrap();
    assert_eq!(
        told,
        "no node has room now: a takes nothing heavy while it is strained, warn: 7 % of its memory is free, less than \
         10 %"
    );
    assert!(refusal(Level::Critical, 1).is_some());
}

#[test]
fn who_is_away_or_shut_takes_nothing_and_says_so() {
    let mut fleet = fleet(&["a", "b"], 2);
    fleet.changed(&NodeId::from("a"), None, 0);
    let hindrance = fleet.hindrance(&on("a"), Asker::default()).unwrap();
    assert_eq!(hindrance.to_string(), "no node can ever run it: b label node=a missing (it is b)");
    assert!(hindrance.is_for_ever());
    let (labels, tripped) = (Arc::new(Labels::of("b", [])), vec![(None, Seen::HalfOpen { free: false })]);
    fleet.described(&NodeId::from("b"), Said { labels, tripped, ..Said::default() });
    assert_eq!(fleet.times(&on("b"), ANY, 9), 0);
    assert!(!fleet.hindrance(&on("b"), Asker::default()).unwrap().is_for_ever());
    fleet.changed(&NodeId::from("b"), None, 0);
    assert_eq!(fleet.hindrance(&on("b"), Asker::default()).unwrap().to_string(), "no node is up");
    assert!(!fleet.is_up());
}

#[test]
fn the_node_of_the_last_failure_is_known_by_its_name() {
    let fleet = fleet(&["a", "b"], 2);
    let demand = Demand::resources(Resources::cpus(1000));
    assert_eq!(placed(&fleet, &demand, Some("a")), Some(1));
    assert_eq!(placed(&fleet, &demand, Some("gone")), Some(0));
}

/// Nodes of four cores, all of which are wanted by one task, while small ones keep coming.
struct Stream {
    fleet: Fleet,
    queue: Queue,
    reserve: Reserve,
    /// Where each attempt runs, and what it needs.
    running: Vec<(usize, ShapeId)>,
    /// Reservations that each node has heard of.
    heard: Vec<u64>,
    arrivals: u64,
}

const SMALL: ShapeId = ShapeId(1);
const LARGE: ShapeId = ShapeId(2);

fn demand(shape: ShapeId) -> Demand {
    let tenant = if shape == SMALL { "many" } else { "one" };
    let cores = if shape == SMALL { 1000 } else { 4000 };
    Demand { tenant: tenant.into(), ..Demand::resources(Resources::cpus(cores)) }
}

impl Stream {
    fn new(nodes: usize) -> Self {
        let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self {
            fleet: fleet(&names, 4),
            queue: Queue::new(),
            reserve: Reserve::default(),
            running: Vec::new(),
            heard: vec![0; nodes],
            arrivals: 1,
        }
    }

    fn push(&mut self, shape: ShapeId) {
        let (task, arrival) = (TaskId(self.arrivals), Arrival(self.arrivals));
        self.queue.push(task, shape, &demand(shape), arrival);
        self.arrivals += 1;
    }

    /// One attempt ends, and its node says so.
    fn end(&mut self, which: usize) {
        let (place, shape) = self.running.remove(which);
        self.queue.ended(&[shape]);
        let held =
            self.running.iter().filter(|(on, _)| *on == place).map(|(_, shape)| demand(*shape).resources);
        let free = held
            .fold(Resources::cpus(4000), |left, need| left.checked_sub(&need).expect("never over-committed"));
        let room = Room { capacity: Resources::cpus(4000), free, staged: 0, staged_limit: 0 };
        let id = self.fleet.id(place).clone();
        self.fleet.changed(&id, Some(room), self.heard[place]);
    }

    /// A round of dispatch, as the scheduler makes it. How many were started.
    fn round(&mut self) -> usize {
        let fits = |shape: &ShapeId| self.fleet.times(&demand(*shape), *shape, 9) > 0;
        let queued: Vec<ShapeId> = self.queue.lanes().map(|(shape, ..)| shape).collect();
        let (mut fitting, mut stuck): (Vec<_>, Vec<_>) = queued.into_iter().partition(fits);
        fitting.sort_unstable();
        stuck.sort_unstable();
        let is_due = !stuck.is_empty() && self.reserve.is_due(Priority::Normal);
        let normal = |is: bool| [false, is, false, false];
        let (has_fitting, has_stuck) = (!fitting.is_empty(), !stuck.is_empty());
        let is_held = fitting.contains(&LARGE) && !self.fleet.holds().is_empty();
        let first = if is_held { vec![LARGE] } else { Vec::new() };
        let pick = Pick {
            first,
            want: 1,
            fitting: fitting.into(),
            now: Arrival(self.arrivals),
            stuck: stuck.into(),
            ..Pick::default()
        };
        let skipped = self.queue.skipped(&pick, &pick.stuck).filter(|_| is_due);
        let mut started = 0;
        for taken in self.queue.pick(&pick) {
            let line = LineId { priority: Priority::Normal, shape: taken.shape };
            let asker = Asker { line: Some(line), ..Asker::default() };
            let Some(choice) = self.fleet.place(&demand(taken.shape), asker) else {
                self.queue.put_back(taken);
                continue;
            };
            self.fleet.take(choice.place, &demand(taken.shape).resources);
            self.heard[choice.place] += 1;
            self.running.push((choice.place, taken.shape));
            self.fleet.release(line);
            self.reserve.served(line);
            started += 1;
        }
        if started > 0 {
            if is_due {
                self.reserve.turn(Priority::Normal, skipped.map(|skipped| skipped.shape));
            }
            self.reserve.started([5, 15, 30, 50], normal(has_fitting), normal(has_stuck));
        }
        let fleet = &mut self.fleet;
        self.reserve.hold(|line| fleet.hold(line, TaskId(0), &demand(line.shape)));
        self.reserve.check();
        started
    }
}

proptest! {
    #[test]
    fn a_large_task_starts_when_what_ran_on_its_node_has_ended(
        nodes in 1_usize..4,
        ends in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut stream = Stream::new(nodes);
        (0..nodes * 4 + 3).for_each(|_| stream.push(SMALL));
        while stream.round() > 0 {}
        stream.push(LARGE);
        let (mut starts, mut before) = (0, None);
        for end in ends {
            if stream.running.iter().any(|(_, shape)| *shape == LARGE) {
                break;
            }
            // What ran on the node when it was held: as long as some of it does, the large one may wait.
            let place = (0..nodes).find(|place| stream.fleet.nodes[*place].hold.is_some());
            if let (Some(place), None) = (place, &before) {
                before = Some((place, stream.running.iter().filter(|(on, _)| *on == place).count()));
            }
            let which = end.index(stream.running.len());
            let ended_on = stream.running[which].0;
            if let Some((place, left)) = &mut before {
                *left -= usize::from(ended_on == *place);
            }
            stream.end(which);
            stream.push(SMALL);
            loop {
                let started = stream.round();
                starts += started;
                if started == 0 {
                    break;
                }
            }
            let has_started = stream.running.iter().any(|(_, shape)| *shape == LARGE);
            match before {
                Some((_, left)) => prop_assert!(has_started || left > 0, "it has room and does not start"),
                None => prop_assert!(starts <= 3, "a node is held after two missed turns"),
            }
        }
        let waits = before.is_some_and(|(_, left)| left > 0);
        prop_assert!(waits || stream.running.iter().any(|(_, shape)| *shape == LARGE), "sixty ends are enough");
    }
}

#[test]
fn a_node_that_is_held_makes_room_only_for_the_more_urgent_and_then_is_held_for_them() {
    let mut fleet = fleet(&["a", "b"], 2);
    let demand = Demand::resources(Resources::cpus(2000));
    let line = |priority, shape| LineId { priority, shape: ShapeId(shape) };
    let (normal, critical) = (line(Priority::Normal, 1), line(Priority::Critical, 2));
    let held = |fleet: &Fleet, line| {
        fleet.yielding(line, &demand).map(|(place, .., kept)| (place, kept)).collect::<Vec<_>>()
    };
    assert!(fleet.hold(normal, TaskId(1), &demand));
    assert_eq!(held(&fleet, critical), [(0, true), (1, false)]);
    assert_eq!(held(&fleet, line(Priority::Normal, 3)), [(1, false)]);
    assert_eq!(held(&fleet, normal), [(0, false), (1, false)], "it is its own");
    let wanted = (&demand, RequestNumber::default());
    assert_eq!(fleet.hold_at(0, (critical, TaskId(2)), wanted), Some(normal));
    assert_eq!(fleet.holds(), [(critical, TaskId(2))]);
    assert_eq!(fleet.hold_at(1, (critical, TaskId(2)), wanted), None);
    assert_eq!(fleet.holds(), [(critical, TaskId(2))], "on both");
    assert_eq!(held(&fleet, critical), [], "for another of the line elsewhere");
    assert_eq!(held(&fleet, line(Priority::Critical, 3)), [], "nobody displaces their like");
}

/// What may happen to a fleet between two looks.
#[derive(Debug, Clone)]
enum Change {
    /// A node says what is free there, in cores, and how many wait.
    Says(usize, u64, u32),
    Away(usize),
    Halted(usize, bool),
    Closed(usize, bool),
    /// A task of this need is looked for a node, and sent there.
    Place(usize, Option<usize>),
    Hold(usize),
    /// A node is held for a need, since others make room there.
    HoldAt(usize, usize),
    Unstage(usize),
    Release(usize),
    Joins(usize),
    Leaves(usize),
    Forget(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let (node, need) = (0_usize..6, 0_usize..4);
    prop_oneof![
        1 => (node.clone(), 0_u64..9, 0_u32..3).prop_map(|(node, free, staged)| Change::Says(node, free, staged)),
        1 => node.clone().prop_map(Change::Away),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, is)| Change::Halted(node, is)),
        1 => (node.clone(), any::<bool>()).prop_map(|(node, is)| Change::Closed(node, is)),
        4 => (need.clone(), prop::option::of(node.clone())).prop_map(|(need, node)| Change::Place(need, node)),
        1 => need.clone().prop_map(Change::Hold),
        1 => (node.clone(), need.clone()).prop_map(|(node, need)| Change::HoldAt(node, need)),
        1 => node.clone().prop_map(Change::Unstage),
        1 => need.clone().prop_map(Change::Release),
        1 => node.clone().prop_map(Change::Joins),
        1 => node.prop_map(Change::Leaves),
        1 => need.prop_map(Change::Forget),
    ]
}

/// Four needs: small, large, one of two requests, and one that is choosy.
fn needs() -> Vec<Arc<Demand>> {
    let cores = |cores: u64| Demand::resources(Resources::cpus(cores * 1000));
    let either = Demand { alternatives: vec![Resources::cpus(2000)], ..cores(6) };
    let rack = |text: &str| vec![text.parse().unwrap()];
    let prefer = vec!["rack=left".parse().unwrap()];
    let constraints = Constraints { require: rack("rack"), prefer, ..Constraints::default() };
    let choosy = Demand { constraints, ..cores(2) };
    [cores(1), cores(5), either, choosy].map(Arc::new).into()
}

/// The shape of the need at this place.
fn shape_of(need: usize) -> ShapeId {
    ShapeId(u32::try_from(need).unwrap())
}

fn apply(fleet: &mut Fleet, change: &Change, needs: &[Arc<Demand>]) {
    let name = |node: usize| NodeId::from(format!("n{node}").as_str());
    let line = |need: usize| LineId { priority: Priority::Normal, shape: shape_of(need) };
    let capacity = |node: usize| Resources::cpus(if node.is_multiple_of(2) { 8000 } else { 4000 });
    match *change {
        Change::Says(node, free, staged) => {
            let (capacity, free) = (capacity(node), Resources::cpus(free * 1000));
            let free = if capacity.covers(&free) { free } else { capacity.clone() };
            fleet.changed(&name(node), Some(Room { capacity, free, staged, staged_limit: 2 }), u64::MAX);
        }
        Change::Away(node) => drop(fleet.changed(&name(node), None, u64::MAX)),
        Change::Halted(node, halted_here) => {
            let racks = [("rack", if node < 3 { "left" } else { "right" })];
            let labels = Labels::of(&name(node).to_string(), racks.into_iter().filter(|_| node != 1));
            let level = if node.is_multiple_of(2) { Level::Warn } else { Level::Normal };
            let strain = Strain { level, seen: None, heavy_percent: 50 };
            let said = Said { labels: Arc::new(labels), halted_here, strain, tripped: Vec::new() };
            fleet.described(&name(node), said);
        }
        Change::Closed(node, is) => fleet.set_closed(&name(node), is.then_some(Closed::Cordoned)),
        Change::Place(need, failed_on) => {
            let failed_on = failed_on.map(name);
            let asker = Asker { line: Some(line(need)), failed_on: failed_on.as_ref(), ..Asker::default() };
            if let Some(choice) = fleet.choose(&needs[need], shape_of(need), asker) {
                fleet.take(choice.place, needs[need].request(choice.request));
            }
        }
        Change::Hold(need) => drop(fleet.hold(line(need), TaskId(1), &needs[need])),
        Change::HoldAt(node, need) => {
            let wanted = (&*needs[need], RequestNumber::default());
            let _ = fleet.hold_at(node, (line(need), TaskId(1)), wanted);
        }
        Change::Unstage(node) => fleet.unstage(&name(node)),
        Change::Release(need) => fleet.release(line(need)),
        Change::Joins(node) if !fleet.knows(&name(node)) => drop(fleet.add(&name(node))),
        Change::Joins(_) => {}
        Change::Leaves(node) => drop(fleet.remove(&name(node))),
        Change::Forget(need) => fleet.forget_unused(0, |shape| shape != shape_of(need)),
    }
}

proptest! {
    #[test]
    fn what_is_kept_is_what_would_be_found_anew(
        changes in prop::collection::vec((change(), any::<prop::sample::Selector>()), 1..60),
    ) {
        let (needs, mut fleet) = (needs(), Fleet::default());
        (0..5).for_each(|node| apply(&mut fleet, &Change::Joins(node), &needs));
        (0..5).for_each(|node| apply(&mut fleet, &Change::Halted(node, false), &needs));
        (0..5).for_each(|node| apply(&mut fleet, &Change::Says(node, 8, 0), &needs));
        for (change, looked_for) in changes {
            apply(&mut fleet, &change, &needs);
            // Some are asked for and some are not, so that what is kept of these is older.
            let need = looked_for.select(0..needs.len());
            let (demand, shape) = (&needs[need], shape_of(need));
            prop_assert_eq!(fleet.room_for(demand, shape), fleet.times(demand, shape, COUNTED_LIMIT));
            prop_assert_eq!(fleet.is_able(demand, shape), fleet.could_take(demand));
            for priority in [Priority::Normal, Priority::High] {
                let asker = Asker { line: Some(LineId { priority, shape }), ..Asker::default() };
                let choice = fleet.choose(demand, shape, asker);
                prop_assert_eq!(choice, fleet.place(demand, asker));
                // Over all cases some 15,000 situations: what is told of a wait is what is done.
                let hindrance = fleet.hindrance(demand, asker);
                prop_assert_eq!(choice.is_none(), hindrance.is_some(), "{:?}", hindrance);
            }
        }
    }

    #[test]
    fn a_number_that_is_given_to_another_need_has_nothing_of_the_one_before(cores in 1_u64..9) {
        let mut fleet = fleet(&["a", "b"], 4);
        let need = |cores: u64| Arc::new(Demand::resources(Resources::cpus(cores * 1000)));
        prop_assert_eq!(fleet.room_for(&need(1), ANY), 8);
        prop_assert_eq!(fleet.room_for(&need(cores), ANY), 2 * u32::try_from(4 / cores).unwrap());
    }
}
