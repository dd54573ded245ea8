//! The ways to the nodes beside what `policy::fleet` knows of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::constraint::Company;
use policy::directive::Directives;
use policy::fleet::Said;
use policy::id::{NodeId, TaskId};
use policy::node::Room;
use policy::preempt::Evicted;
use supervision::Address;

use super::Dispatch;
use super::evict::Evicting;
use crate::node::{NodeMessage, Reservation};

/// The way to a node, and what is to be sent there.
#[derive(Debug)]
pub(super) struct Door {
    address: Address<NodeMessage>,
    batch: Vec<Reservation>,
}

impl Dispatch {
    /// With no nodes yet, under what operators have said, and with what tasks have put up with.
    pub(in crate::scheduler) fn under(
        directives: &Arc<Directives>,
        evicted: BTreeMap<TaskId, Evicted>,
    ) -> Self {
        let evicting = Evicting::after(evicted);
        Self { directives: Arc::clone(directives), evicting, ..Self::default() }
    }

    pub(in crate::scheduler) fn add_node(&mut self, id: &NodeId, address: Address<NodeMessage>) {
        let place = self.fleet.add(id);
        self.fleet.set_closed(id, self.directives.closed(id));
        self.doors.insert(place, Door { address, batch: Vec::new() });
    }

    pub(in crate::scheduler) fn knows(&self, id: &NodeId) -> bool {
        self.fleet.knows(id)
    }

    /// What a node said, less what it had not heard when it said so.
    pub(in crate::scheduler) fn node_changed(&mut self, id: &NodeId, room: Option<Room>, reservations: u64) {
        if self.fleet.changed(id, room, reservations) {
            self.ordering.set_fleet(self.fleet.capacity());
        }
        self.sent_behind = 0;
        self.is_stale = true;
    }

    /// What is said of a node, and what it says itself against sending anything there.
    pub(in crate::scheduler) fn described(&mut self, id: &NodeId, said: Said) {
        self.fleet.described(id, said);
    }

    /// What operators say against sending anything anywhere.
    pub(in crate::scheduler) fn set_directives(&mut self, directives: &Arc<Directives>) {
        self.directives = Arc::clone(directives);
        for id in self.fleet.ids() {
            self.fleet.set_closed(&id, directives.closed(&id));
        }
    }

    /// A node is forgotten.
    pub(in crate::scheduler) fn remove_node(&mut self, id: &NodeId) {
        if let Some(place) = self.fleet.remove(id) {
            self.doors.remove(place);
        }
        self.ordering.set_fleet(self.fleet.capacity());
    }

    /// A task that says something of those beside it is on a node.
    pub(in crate::scheduler) fn enter(&mut self, task: TaskId, node: &NodeId, company: &Arc<Company>) {
        self.fleet.enter(task, node, company);
    }

    /// A task is on its node no more: others may come that could not beside it.
    pub(in crate::scheduler) fn leave(&mut self, task: TaskId) {
        self.is_stale |= self.fleet.leave(task);
    }

    /// An attempt is sent to a node, with all others of its round.
    pub(super) fn take(&mut self, place: usize, reservation: Reservation) {
        self.fleet.take(place, &reservation.need);
        self.doors[place].batch.push(reservation);
    }

    pub(super) fn send_batches(&mut self) {
        for door in self.doors.iter_mut().filter(|door| !door.batch.is_empty()) {
            door.address.tell(NodeMessage::Reserve(std::mem::take(&mut door.batch)));
        }
    }
}
