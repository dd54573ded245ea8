//! The nodes as the dispatcher sees them: what room each has said it has, and what speaks against sending anything
//! there.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use policy::breaker::{Key, Seen, Tripped};
use policy::demand::Demand;
use policy::directive::{Closed, Directives};
use policy::id::NodeId;
use policy::node::Room;
use policy::resources::Resources;
use supervision::Address;

use super::Dispatch;
use crate::node::{NodeMessage, Reservation};

/// A node as the dispatcher sees it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) address: Address<NodeMessage>,
    pub(super) room: Option<Room>,
    /// What it had when it was there last.
    pub(super) last_room: Option<Room>,
    /// Reservations ever sent.
    pub(super) sent: u64,
    /// What was sent and is not in `room` yet, by number.
    pub(super) unseen: VecDeque<(u64, Resources)>,
    pub(super) batch: Vec<Reservation>,
    /// Breakers that let nothing through.
    pub(super) tripped: Vec<(Key, Seen)>,
    /// What an operator has said of it.
    pub(super) closed: Option<Closed>,
    /// Whether somebody has halted it on the machine itself.
    pub(super) halted_here: bool,
}

/// Why nothing is sent to a node that is up.
#[derive(Debug)]
pub(super) enum Shut {
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

impl Node {
    /// What is left here for tasks of a demand.
    ///
    /// # Errors
    /// Why nothing is sent here though it is up.
    pub(super) fn open_to(&self, demand: &Demand) -> Result<(), Shut> {
        if let Some(closed) = self.closed {
            return Err(Shut::Closed(closed));
        }
        if self.halted_here {
            return Err(Shut::HaltedHere);
        }
        let concerned = |(kind, _): &&(Key, Seen)| kind.is_none() || *kind == demand.kind;
        let tripped = self.tripped.iter().find(concerned).cloned();
        tripped.map_or(Ok(()), |(kind, seen)| Err(Shut::Tripped(Tripped { kind, seen })))
    }
}

impl Dispatch {
    /// With no nodes yet, under what operators have said.
    pub(in crate::scheduler) fn under(directives: &Arc<Directives>) -> Self {
        Self { directives: Arc::clone(directives), ..Self::default() }
    }

    pub(in crate::scheduler) fn add_node(&mut self, id: &NodeId, address: Address<NodeMessage>) {
        let place = self.nodes.partition_point(|node| node.id < *id);
        let node = Node {
            id: id.clone(),
            address,
            room: None,
            last_room: None,
            sent: 0,
            unseen: VecDeque::new(),
            batch: Vec::new(),
            tripped: Vec::new(),
            closed: self.directives.closed(id),
            halted_here: false,
        };
        self.nodes.insert(place, node);
    }

    pub(in crate::scheduler) fn knows(&self, id: &NodeId) -> bool {
        self.nodes.binary_search_by(|node| node.id.cmp(id)).is_ok()
    }

    /// What a node said, less what it had not heard when it said so.
    pub(in crate::scheduler) fn node_changed(&mut self, id: &NodeId, room: Option<Room>, reservations: u64) {
        let Ok(place) = self.nodes.binary_search_by(|node| node.id.cmp(id)) else { return };
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
        if is_other {
            self.ordering.set_fleet(self.capacity());
        }
        self.is_stale = true;
    }

    /// What the node itself says against sending anything there.
    pub(in crate::scheduler) fn shut(&mut self, id: &NodeId, tripped: Vec<(Key, Seen)>, halted_here: bool) {
        if let Ok(place) = self.nodes.binary_search_by(|node| node.id.cmp(id)) {
            let node = &mut self.nodes[place];
            (node.tripped, node.halted_here) = (tripped, halted_here);
        }
    }

    /// What operators say against sending anything anywhere.
    pub(in crate::scheduler) fn set_directives(&mut self, directives: &Arc<Directives>) {
        self.directives = Arc::clone(directives);
        for node in &mut self.nodes {
            node.closed = directives.closed(&node.id);
        }
    }

    /// A node is forgotten.
    pub(in crate::scheduler) fn remove_node(&mut self, id: &NodeId) {
        self.nodes.retain(|node| node.id != *id);
        self.ordering.set_fleet(self.capacity());
    }
}
