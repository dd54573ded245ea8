//! Who may come in: handshakes under way and sessions, each within its limits, and the session that a
//! returning peer takes the place of. Must not read streams.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use supervision::Reply;
use tokio::sync::oneshot;

use super::Limits;
use super::cluster::Cluster;
use super::handshake::{Guest, Identity};
use super::life::{EndReason, Life};
use super::peer::{Door, Outlet, Peer, PeerId, Via};
use super::preamble::{Key, Purpose, Refusal, Role};
use super::session::{Handle, Receive, Session, Wire};
use crate::trust::Fleet;

/// What the listening side shares among its tasks.
pub(crate) struct Hall {
    pub(crate) identity: Identity,
    pub(crate) cluster: Cluster,
    pub(crate) limits: Limits,
    /// Who has certificates, where anybody has.
    pub(crate) fleet: Option<Arc<Fleet>>,
    door: Arc<dyn Door>,
    refused: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closing: bool,
    next_peer: u64,
    next_ticket: u64,
    /// The oldest first. TCP only: local programs have passed the system's check of their user.
    waiting: BTreeMap<u64, (IpAddr, oneshot::Sender<()>)>,
    sessions: FxHashMap<PeerId, Held>,
}

#[derive(Clone)]
struct Held {
    peer: Peer,
    purpose: Purpose,
    session: Arc<Session>,
    life: Life,
}

impl Hall {
    pub(crate) fn new(
        identity: Identity,
        door: Arc<dyn Door>,
        cluster: Cluster,
        (limits, fleet): (Limits, Option<Arc<Fleet>>),
    ) -> Arc<Self> {
        let (refused, state) = (AtomicU64::new(0), Mutex::default());
        Arc::new(Self { identity, cluster, limits, fleet, door, refused, state })
    }

    /// Room for one handshake over TCP, or none. The oldest gives way to a new one: a good client needs a
    /// few milliseconds, one that stalls would otherwise keep its place for the whole deadline.
    pub(crate) fn ticket(self: &Arc<Self>, ip: IpAddr) -> Option<Ticket> {
        let mut state = self.state();
        let of_this_ip = state.waiting.values().filter(|(waiting, _)| *waiting == ip).count();
        if of_this_ip >= self.limits.pending_handshakes_per_ip {
            return None;
        }
        while state.waiting.len() >= self.limits.pending_handshakes {
            state.waiting.pop_first();
        }
        let (evict, evicted) = oneshot::channel();
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(number, (ip, evict));
        Some(Ticket { hall: Arc::clone(self), number, evicted })
    }

    /// Whoever hears what comes in.
    pub(crate) fn door(&self) -> &dyn Door {
        &*self.door
    }

    /// Counts a refusal; `true` when it is worth a line in the log: strangers must not be able to fill it.
    pub(crate) fn count_refusal(&self) -> bool {
        (self.refused.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two()
    }

    /// Gives a believed client its place. It must be [`Place::opened`] before anything comes in.
    pub(crate) fn place(
        self: &Arc<Self>,
        guest: &Guest,
        via: Via,
        (key, wire): (Key, Arc<dyn Wire>),
    ) -> Result<Place, Refusal> {
        let mut state = self.state();
        if state.closing {
            return Err(Refusal::ShuttingDown);
        }
        let same = state.same_as(guest);
        if let Some(newer) =
            same.iter().map(|held| held.peer.incarnation).find(|i| *i > guest.hello.incarnation)
        {
            return Err(Refusal::Superseded(newer));
        }
        if state.sessions.len() - same.len() >= self.limits.connections {
            return Err(Refusal::Full(u32::try_from(self.limits.connections).unwrap_or(u32::MAX)));
        }
        let peer = state.peer(guest, via);
        let life = Life::default();
        let session = Session::new(key, life.clone(), &self.limits, wire);
        let held = Held { peer, purpose: guest.hello.purpose, session, life };
        state.sessions.insert(held.peer.id, held.clone());
        for old in &same {
            old.life.end(EndReason::Displaced);
            state.sessions.remove(&old.peer.id);
        }
        Ok(Place { hall: Arc::clone(self), held, displaced: same })
    }

    /// No more clients are taken.
    pub(crate) fn close(&self) {
        self.state().closing = true;
    }

    /// Who is in.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        let mut peers: Vec<_> = self.state().sessions.values().map(|held| held.peer.clone()).collect();
        peers.sort_by_key(|peer| peer.id);
        peers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The sessions that this client takes the place of: a node of the cluster is in once, and so is a worker, whatever
    /// carries it.
    fn same_as(&self, guest: &Guest) -> Vec<Held> {
        let Guest { hello, .. } = guest;
        let is_once = |purpose, role| purpose == Purpose::Cluster || role == Role::Worker;
        let same = |held: &&Held| {
            is_once(held.purpose, held.peer.role)
                && is_once(hello.purpose, hello.role)
                && held.peer.role == hello.role
                && *held.peer.name == *hello.name
        };
        self.sessions.values().filter(same).cloned().collect()
    }

    fn peer(&mut self, Guest { hello, protocol, caller }: &Guest, via: Via) -> Peer {
        self.next_peer += 1;
        Peer {
            id: PeerId(self.next_peer),
            role: hello.role,
            name: hello.name.as_str().into(),
            incarnation: hello.incarnation,
            protocol: *protocol,
            via,
            caller: caller.clone(),
        }
    }
}

/// Room for one handshake, given back when dropped.
pub(crate) struct Ticket {
    hall: Arc<Hall>,
    number: u64,
    pub(crate) evicted: oneshot::Receiver<()>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.hall.state().waiting.remove(&self.number);
    }
}

/// A session's place in the hall. Dropping it ends the session and tells the door.
pub(crate) struct Place {
    hall: Arc<Hall>,
    held: Held,
    displaced: Vec<Held>,
}

impl Place {
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.held.session
    }

    pub(crate) fn life(&self) -> &Life {
        &self.held.life
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.held.peer
    }

    /// Tells the door: first of those whose place it takes, then of this one.
    pub(crate) fn opened(&mut self) {
        for old in self.displaced.drain(..) {
            old.session.finish();
            self.hall.cluster.detach(&old.session);
        }
        let Held { peer, session, .. } = &self.held;
        let door = Arc::clone(&self.hall.door);
        door.connected(peer, Outlet::new(Arc::new(Handle(Arc::clone(session)))));
        session.set_receiver(Box::new(Visitor { peer: peer.clone(), door }));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.held.life.end(EndReason::Stopped);
        self.hall.cluster.detach(&self.held.session);
        self.hall.state().sessions.remove(&self.held.peer.id);
        self.held.session.finish();
    }
}

/// Speaks to the door for one peer.
struct Visitor {
    peer: Peer,
    door: Arc<dyn Door>,
}

impl Receive for Visitor {
    fn cast(&mut self, frame: Vec<u8>) {
        self.door.cast(&self.peer, frame);
    }

    fn call(&mut self, frame: Vec<u8>, reply: Reply<Vec<u8>>) {
        self.door.call(&self.peer, frame, reply);
    }

    fn gone(&mut self) {
        self.door.gone(&self.peer);
    }
}
