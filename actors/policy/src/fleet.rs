//! The nodes as dispatching sees them: what each said last, less what was sent there since.
//!
//! Whoever sends tasks to nodes says so here at once and hears from the nodes later, so that a node is never sent
//! more than it has. It knows neither queues nor how a node is reached.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::breaker::{Key, Seen, Tripped};
use crate::constraint::Labels;
use crate::demand::Demand;
use crate::directive::Closed;
use crate::hindrance::Hindrance;
use crate::id::NodeId;
use crate::node::Room;
use crate::placement::{self, Candidate, Choice, NoFit, Reason, Search};
use crate::resources::Resources;

/// Thousandths of a core.
const CORE_MILLIS: u64 = 1000;

/// See the module. A node is named by its place, which is in the order of their names.
#[derive(Debug, Default)]
pub struct Fleet {
    nodes: Vec<Site>,
}

/// One node.
#[derive(Debug)]
struct Site {
    id: NodeId,
    /// `None` while it takes nothing.
    room: Option<Room>,
    /// What it had when it was there last.
    last_room: Option<Room>,
    said: Said,
    /// What an operator has said of it.
    closed: Option<Closed>,
    /// Reservations ever sent.
    sent: u64,
    /// What was sent and is not in `room` yet, by number.
    unseen: VecDeque<(u64, Resources)>,
}

/// What a node says beside its room.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// What is said of it.
    pub labels: Arc<Labels>,
    /// Breakers that let nothing through.
    pub tripped: Vec<(Key, Seen)>,
    /// Whether somebody has halted it on the machine itself.
    pub halted_here: bool,
}

/// Why nothing is sent to a node that is up.
#[derive(Debug)]
enum Shut {
    Closed(Closed),
    HaltedHere,
    Tripped(Tripped),
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) => closed.fmt(f),
            Self::HaltedHere => f.write_str("was halted on the machine itself"),
            Self::Tripped(tripped) => tripped.fmt(f),
        }
    }
}

impl Site {
    /// Whether tasks of a demand are sent here though it is up.
    fn open_to(&self, demand: &Demand) -> Result<(), Shut> {
        if let Some(closed) = self.closed {
            return Err(Shut::Closed(closed));
        }
        if self.said.halted_here {
            return Err(Shut::HaltedHere);
        }
        let concerned = |(kind, _): &&(Key, Seen)| kind.is_none() || *kind == demand.kind;
        let tripped = self.said.tripped.iter().find(concerned).cloned();
        tripped.map_or(Ok(()), |(kind, seen)| Err(Shut::Tripped(Tripped { kind, seen })))
    }
}

impl Fleet {
    /// A node of which nothing is known yet; gives back its place, behind which all others move by one.
    pub fn add(&mut self, id: &NodeId) -> usize {
        let place = self.nodes.partition_point(|node| node.id < *id);
        let node = Site {
            id: id.clone(),
            room: None,
            last_room: None,
            said: Said::default(),
            closed: None,
            sent: 0,
            unseen: VecDeque::new(),
        };
        self.nodes.insert(place, node);
        place
    }

    /// A node is forgotten; gives back the place it had.
    pub fn remove(&mut self, id: &NodeId) -> Option<usize> {
        let place = self.place_of(id)?;
        self.nodes.remove(place);
        Some(place)
    }

    /// All of them, by name.
    #[must_use]
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.id.clone()).collect()
    }

    /// Whether there is such a node.
    #[must_use]
    pub fn knows(&self, id: &NodeId) -> bool {
        self.place_of(id).is_some()
    }

    /// The node at a place.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    pub fn id(&self, place: usize) -> &NodeId {
        &self.nodes[place].id
    }

    fn place_of(&self, id: &NodeId) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.id.cmp(id)).ok()
    }

    /// What a node said, which takes into account as many reservations; less what it had not heard of when it said so.
    /// Whether its capacity is another one.
    pub fn changed(&mut self, id: &NodeId, room: Option<Room>, reservations: u64) -> bool {
        let Some(place) = self.place_of(id) else { return false };
        let node = &mut self.nodes[place];
        node.unseen.retain(|(number, _)| *number > reservations);
        let capacity = |room: &Option<Room>| room.as_ref().map(|room| room.capacity.clone());
        let is_other = capacity(&node.room) != capacity(&room);
        node.last_room = room.clone().or_else(|| node.last_room.take());
        node.room = room;
        if let Some(room) = &mut node.room {
            for (_, need) in &node.unseen {
                room.take(need);
            }
        }
        is_other
    }

    /// What is said of a node, and what it says itself against sending anything there.
    pub fn described(&mut self, id: &NodeId, said: Said) {
        if let Some(place) = self.place_of(id) {
            self.nodes[place].said = said;
        }
    }

    /// What an operator says against sending anything there.
    pub fn set_closed(&mut self, id: &NodeId, closed: Option<Closed>) {
        if let Some(place) = self.place_of(id) {
            self.nodes[place].closed = closed;
        }
    }

    /// An attempt that needs this is sent there.
    ///
    /// # Panics
    ///
    /// When there is no such node.
    pub fn take(&mut self, place: usize, need: &Resources) {
        let node = &mut self.nodes[place];
        if let Some(room) = &mut node.room {
            room.take(need);
        }
        node.sent += 1;
        node.unseen.push_back((node.sent, need.clone()));
    }

    /// How many attempts of a demand fit now, up to `limit`.
    #[must_use]
    pub fn times(&self, demand: &Demand, limit: u32) -> u32 {
        let open = self
            .nodes
            .iter()
            .filter(|node| node.open_to(demand).is_ok() && demand.constraints.met(&node.said.labels));
        // Of several requests that of which most fit: what is counted too much comes back to its queue.
        let of = |room: &Room| demand.requests().map(|(_, need)| room.times(need, limit)).max().unwrap_or(0);
        let times = open.filter_map(|node| node.room.as_ref()).map(of);
        times.fold(0, u32::saturating_add).min(limit)
    }

    /// The node for an attempt of a task whose last one did not succeed on `failed_on`: the one that suits it best; and
    /// the request that is granted.
    #[must_use]
    pub fn place(&self, demand: &Demand, failed_on: Option<&NodeId>) -> Option<Choice> {
        self.search(demand, failed_on).ok()
    }

    /// Why no node takes it now; `None` where one does.
    #[must_use]
    pub fn hindrance(&self, demand: &Demand, failed_on: Option<&NodeId>) -> Option<Hindrance> {
        let NoFit { reasons, never } = self.search(demand, failed_on).err()?;
        let named = reasons.into_iter().map(|(place, reason)| (self.nodes[place].id.clone(), reason));
        Some(Hindrance::NoNode { never, nodes: named.collect() })
    }

    /// Why none of the nodes that are known, be they away for the moment, can ever run tasks of this demand; `None`
    /// where one can, or none was ever there.
    #[must_use]
    pub fn never_fits(&self, demand: &Demand) -> Option<Vec<(NodeId, Reason)>> {
        let known: Vec<_> =
            self.nodes.iter().filter_map(|node| Some((node, node.last_room.as_ref()?))).collect();
        let accepting = |node: &Site| if node.room.is_some() { Ok(()) } else { Err("is away") };
        let candidates: Vec<_> = known
            .iter()
            .map(|(node, room)| Candidate { room, labels: &node.said.labels, accepting: accepting(node) })
            .collect();
        let no_fit = placement::place(Search::of(demand), &candidates).err().filter(|no_fit| no_fit.never)?;
        let reasons = no_fit.reasons.into_iter().map(|(place, reason)| (known[place].0.id.clone(), reason));
        Some(reasons.collect())
    }

    /// Asks `placement` among the nodes that are up, and translates its places into those of all nodes.
    fn search(&self, demand: &Demand, failed_on: Option<&NodeId>) -> Result<Choice, NoFit> {
        let up = self
            .nodes
            .iter()
            .enumerate()
            .filter_map(|(place, node)| Some((place, node, node.room.as_ref()?)));
        let up: Vec<_> = up
            .map(|(place, node, room)| {
                (place, node, room, node.open_to(demand).err().map(|tripped| tripped.to_string()))
            })
            .collect();
        let candidates: Vec<_> = up
            .iter()
            .map(|(_, node, room, shut)| Candidate {
                room,
                labels: &node.said.labels,
                accepting: shut.as_deref().map_or(Ok(()), Err),
            })
            .collect();
        let failed_on = failed_on.and_then(|failed| up.iter().position(|(_, node, ..)| node.id == *failed));
        let found = placement::place(Search { demand, failed_on }, &candidates);
        found.map(|choice| Choice { place: up[choice.place].0, ..choice }).map_err(|no_fit| NoFit {
            reasons: no_fit.reasons.into_iter().map(|(place, reason)| (up[place].0, reason)).collect(),
            ..no_fit
        })
    }

    /// Cores of all nodes that are up: what runs at once where nothing holds it back, more or less.
    #[must_use]
    pub fn cores(&self) -> u64 {
        self.up().map(|room| (room.capacity.cpu_millis / CORE_MILLIS).max(1)).sum()
    }

    /// All that the nodes have that are up.
    #[must_use]
    pub fn capacity(&self) -> Resources {
        self.up().fold(Resources::default(), |sum, room| sum.checked_add(&room.capacity).unwrap_or(sum))
    }

    /// Whether any node is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up().next().is_some()
    }

    fn up(&self) -> impl Iterator<Item = &Room> {
        self.nodes.iter().filter_map(|node| node.room.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::Constraints;

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
        fleet.place(demand, failed_on.map(NodeId::from).as_ref()).map(|choice| choice.place)
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
        assert_eq!(fleet.times(&one, 9), 2);
        assert_eq!(placed(&fleet, &one, None), Some(1));
        fleet.take(1, &one.resources);
        fleet.take(1, &one.resources);
        assert_eq!((fleet.times(&one, 9), placed(&fleet, &one, None)), (0, None));
        let room = |free| Room {
            capacity: Resources::cpus(2000),
            free: Resources::cpus(free),
            staged: 0,
            staged_limit: 0,
        };
        assert!(!fleet.changed(&NodeId::from("b"), Some(room(1000)), 1), "it has heard of the first");
        assert_eq!(fleet.times(&one, 9), 0);
        fleet.changed(&NodeId::from("b"), Some(room(1000)), 2);
        assert_eq!(fleet.times(&one, 9), 1, "and of both, and one is over");
    }

    #[test]
    fn who_is_away_or_shut_takes_nothing_and_says_so() {
        let mut fleet = fleet(&["a", "b"], 2);
        fleet.changed(&NodeId::from("a"), None, 0);
        let hindrance = fleet.hindrance(&on("a"), None).unwrap();
        assert_eq!(hindrance.to_string(), "no node can ever run it: b label node=a missing (it is b)");
        assert!(hindrance.is_for_ever());
        let (labels, tripped) = (Arc::new(Labels::of("b", [])), vec![(None, Seen::HalfOpen { free: false })]);
        fleet.described(&NodeId::from("b"), Said { labels, tripped, halted_here: false });
        assert_eq!(fleet.times(&on("b"), 9), 0);
        assert!(!fleet.hindrance(&on("b"), None).unwrap().is_for_ever());
        fleet.changed(&NodeId::from("b"), None, 0);
        assert_eq!(fleet.hindrance(&on("b"), None).unwrap().to_string(), "no node is up");
        assert!(!fleet.is_up());
    }

    #[test]
    fn the_node_of_the_last_failure_is_known_by_its_name() {
        let fleet = fleet(&["a", "b"], 2);
        let demand = Demand::resources(Resources::cpus(1000));
        assert_eq!(placed(&fleet, &demand, Some("a")), Some(1));
        assert_eq!(placed(&fleet, &demand, Some("gone")), Some(0));
    }
}
