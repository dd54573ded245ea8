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
use crate::id::{NodeId, TaskId};
use crate::node::Room;
use crate::placement::{self, Candidate, Choice, Held, NoFit, Reason, Search, ShapeId};
use crate::reserve::LineId;
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
    /// Who is to have the room that is left here.
    hold: Option<Hold>,
}

/// Room that is held for the first of a line, see `reserve`.
#[derive(Debug, Clone)]
struct Hold {
    line: LineId,
    /// Who was first when it began.
    task: TaskId,
    /// What it needs.
    need: Resources,
}

/// Who looks for a node.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asker<'a> {
    /// The line in which it stands, where room may be held for it.
    pub line: Option<LineId>,
    /// Where its last attempt did not succeed.
    pub failed_on: Option<&'a NodeId>,
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
    /// As a line sees it; `None` while it is not up.
    fn candidate<'a>(
        &'a self,
        line: Option<LineId>,
        accepting: Result<(), &'a str>,
    ) -> Option<Candidate<'a>> {
        let held = match &self.hold {
            None => Held::No,
            Some(hold) if Some(hold.line) == line => Held::ForIt,
            Some(hold) => Held::For(hold.task, &hold.need),
        };
        Some(Candidate { room: self.room.as_ref()?, labels: &self.said.labels, accepting, held })
    }

    /// How many attempts fit now that need this and are of this shape.
    fn times(&self, need: &Resources, shape: ShapeId, limit: u32) -> u32 {
        match (&self.room, &self.hold) {
            (None, _) => 0,
            (Some(room), Some(hold)) if hold.line.shape != shape => {
                room.times_beside(need, &hold.need, limit)
            }
            (Some(room), _) => room.times(need, limit),
        }
    }

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
            hold: None,
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

    /// How many attempts of a demand, which is that of this shape, fit now, up to `limit`.
    #[must_use]
    pub fn times(&self, demand: &Demand, shape: ShapeId, limit: u32) -> u32 {
        // Of several requests that of which most fit: what is counted too much comes back to its queue.
        let of = |node: &Site| demand.requests().map(|(_, need)| node.times(need, shape, limit)).max();
        self.open_to(demand).filter_map(of).fold(0, u32::saturating_add).min(limit)
    }

    /// Whether some node could run it if it were empty.
    #[must_use]
    pub fn could_take(&self, demand: &Demand) -> bool {
        self.open_to(demand)
            .any(|node| node.candidate(None, Ok(())).is_some_and(|node| node.could_take(demand)))
    }

    fn open_to(&self, demand: &Demand) -> impl Iterator<Item = &Site> {
        let is_open = |node: &&Site| node.open_to(demand).is_ok();
        self.nodes.iter().filter(is_open).filter(|node| demand.constraints.met(&node.said.labels))
    }

    /// The node for an attempt: the one that suits it best; and the request that is granted.
    #[must_use]
    pub fn place(&self, demand: &Demand, asker: Asker<'_>) -> Option<Choice> {
        self.search(demand, asker).ok()
    }

    /// Why no node takes it now; `None` where one does.
    #[must_use]
    pub fn hindrance(&self, demand: &Demand, asker: Asker<'_>) -> Option<Hindrance> {
        let NoFit { reasons, never } = self.search(demand, asker).err()?;
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
            .map(|(node, room)| Candidate {
                room,
                labels: &node.said.labels,
                accepting: accepting(node),
                held: Held::No,
            })
            .collect();
        let no_fit = placement::place(Search::of(demand), &candidates).err().filter(|no_fit| no_fit.never)?;
        let reasons = no_fit.reasons.into_iter().map(|(place, reason)| (known[place].0.id.clone(), reason));
        Some(reasons.collect())
    }

    /// Asks `placement` among the nodes that are up, and translates its places into those of all nodes.
    fn search(&self, demand: &Demand, asker: Asker<'_>) -> Result<Choice, NoFit> {
        let shut = |node: &Site| node.open_to(demand).err().map(|shut| shut.to_string());
        let up = self.nodes.iter().enumerate().filter(|(_, node)| node.room.is_some());
        let up: Vec<_> = up.map(|(place, node)| (place, node, shut(node))).collect();
        let mut candidates = Vec::with_capacity(up.len());
        for (_, node, shut) in &up {
            candidates.extend(node.candidate(asker.line, shut.as_deref().map_or(Ok(()), Err)));
        }
        let failed_on =
            asker.failed_on.and_then(|failed| up.iter().position(|(_, node, _)| node.id == *failed));
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

/// Room that is held.
impl Fleet {
    /// Holds for the first of a line the node that lacks least of what it needs, among those that are held for nobody; what
    /// is held for it already stays, as long as it can run there. `false` where there is none.
    pub fn hold(&mut self, line: LineId, task: TaskId, demand: &Demand) -> bool {
        let able: Vec<_> = (0..self.nodes.len()).filter_map(|place| self.lacking(place, demand)).collect();
        let is_its = |place: usize| self.nodes[place].hold.as_ref().is_some_and(|hold| hold.line == line);
        if able.iter().any(|(_, place, _)| is_its(*place)) {
            return true;
        }
        let free = able.into_iter().filter(|(_, place, _)| self.nodes[*place].hold.is_none());
        let best = free.min_by_key(|(lacking, place, _)| (*lacking, *place));
        self.release(line);
        let Some((_, place, need)) = best else { return false };
        self.nodes[place].hold = Some(Hold { line, task, need });
        true
    }

    /// How much a node lacks of the first request that it could ever take; `None` where it takes nothing of the kind.
    fn lacking(&self, place: usize, demand: &Demand) -> Option<(u128, usize, Resources)> {
        let node = &self.nodes[place];
        let room = node.room.as_ref()?;
        let is_open = node.open_to(demand).is_ok() && demand.constraints.met(&node.said.labels);
        let need = demand.requests().map(|(_, need)| need).find(|need| room.capacity.covers(need));
        need.filter(|_| is_open).map(|need| (placement::lacking(need, room), place, need.clone()))
    }

    /// Nothing is held for this line any more.
    pub fn release(&mut self, line: LineId) {
        for node in &mut self.nodes {
            if node.hold.as_ref().is_some_and(|hold| hold.line == line) {
                node.hold = None;
            }
        }
    }

    /// For whom room is held, and who was first there.
    #[must_use]
    pub fn holds(&self) -> Vec<(LineId, TaskId)> {
        self.nodes.iter().filter_map(|node| node.hold.as_ref()).map(|hold| (hold.line, hold.task)).collect()
    }
}

#[cfg(test)]
mod tests;
