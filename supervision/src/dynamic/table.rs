//! The children of one shard, shared between the shard's actor and whoever starts a child.
//!
//! Short critical sections only: nothing of a child runs under the lock. Entries are found by actor id,
//! and listed in the order of ids, which is the order of starts.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ractor::{ActorCell, ActorId};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::actor::Actor;
use crate::address::Address;
use crate::describe::{ChildState, Described, Description, First, Inquiry};
use crate::dynamic::shard::ShardMessage;
use crate::exit::Exit;
use crate::probe::{Probe, ProbeId};
use crate::spec::Kind;

/// A child that runs or waits for its restart.
pub(crate) struct Entry<A: Actor> {
    pub(crate) cell: ActorCell,
    pub(crate) address: Address<A::Message>,
    /// For children that come back.
    pub(crate) kept: Option<Box<Kept<A>>>,
}

/// A child that sleeps: what stands for it until it is told something.
pub(crate) struct Sleeping<A: Actor> {
    pub(crate) address: Address<A::Message>,
    pub(crate) args: A::Args,
}

/// An actor that lives, behind its address.
pub(crate) type Living<A> = (ActorCell, Address<<A as Actor>::Message>);

/// What a restart needs.
pub(crate) struct Kept<A: Actor> {
    pub(crate) args: A::Args,
    pub(crate) failures: u32,
    pub(crate) since: Instant,
}

impl<A: Actor> Kept<A> {
    pub(crate) fn new(args: A::Args) -> Box<Self> {
        Box::new(Self { args, failures: 0, since: Instant::now() })
    }
}

/// What became of a child that should be entered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Enrolment {
    /// It is entered.
    Done,
    /// It has already ended and stays away.
    EndedAlready,
    /// It is entered, but has already ended in this way: the shard must be told.
    FailedAlready(Exit),
    /// The shard has ended or is ending: the child must not live.
    Closed,
}

pub(crate) struct Table<A: Actor> {
    /// Counts the lives of the shard: a start that began in an earlier one must not be entered.
    life: u64,
    /// The shard's actor while children may be started.
    supervisor: Option<ActorCell>,
    children: FxHashMap<ActorId, Entry<A>>,
    /// Ends that were heard before the start had entered the child: the two run on different threads.
    early: FxHashMap<ActorId, Exit>,
    /// Children whose restart is delayed, by ticket.
    waiting: BTreeMap<u64, Entry<A>>,
    next_ticket: u64,
    /// Children that nobody has told anything yet.
    asleep: FxHashMap<ProbeId, Sleeping<A>>,
}

impl<A: Actor> Table<A> {
    /// Begins a life of the shard, without children; returns how many were left from the last one, which
    /// ractor killed together with their supervisor.
    pub(crate) fn open(&mut self, supervisor: ActorCell) -> usize {
        let left = self.clear();
        self.supervisor = Some(supervisor);
        left
    }

    /// Ends a life of the shard; returns how many children were still entered.
    pub(crate) fn clear(&mut self) -> usize {
        let left = self.children.len() + self.waiting.len() + self.asleep.len();
        self.life += 1;
        self.supervisor = None;
        self.children.clear();
        self.early.clear();
        self.waiting.clear();
        self.asleep.clear();
        left
    }

    /// Stops taking children; returns those alive, oldest first, and how many will not be restarted.
    pub(crate) fn close(&mut self) -> (Vec<Living<A>>, usize) {
        self.supervisor = None;
        let given_up = self.waiting.len() + self.asleep.len();
        self.waiting.clear();
        self.asleep.clear();
        (self.living(), given_up)
    }

    /// Those alive, oldest first.
    pub(crate) fn living(&self) -> Vec<Living<A>> {
        let mut living: Vec<_> =
            self.children.values().map(|entry| (entry.cell.clone(), entry.address.clone())).collect();
        living.sort_unstable_by_key(|(cell, _)| cell.get_id());
        living
    }

    /// The life and the supervisor for a new child; `None` while none may be started.
    pub(crate) fn open_life(&self) -> Option<(u64, ActorCell)> {
        self.supervisor.clone().map(|supervisor| (self.life, supervisor))
    }

    /// Enters a child that sleeps; `false` while none may be started.
    pub(crate) fn lay(&mut self, child: Sleeping<A>) -> bool {
        if self.supervisor.is_none() {
            return false;
        }
        self.asleep.insert(child.address.probe().id(), child);
        true
    }

    /// Takes out a child that sleeps.
    pub(crate) fn rouse(&mut self, probe: ProbeId) -> Option<Sleeping<A>> {
        self.asleep.remove(&probe)
    }

    /// Enters a child started in `life`.
    pub(crate) fn enrol(&mut self, life: u64, entry: Entry<A>) -> Enrolment {
        if life != self.life || self.supervisor.is_none() {
            return Enrolment::Closed;
        }
        let id = entry.cell.get_id();
        match self.early.remove(&id) {
            Some(exit) if exit.is_orderly() || entry.kept.is_none() => Enrolment::EndedAlready,
            Some(exit) => {
                self.children.insert(id, entry);
                Enrolment::FailedAlready(exit)
            }
            None => {
                self.children.insert(id, entry);
                Enrolment::Done
            }
        }
    }

    /// Takes out a child that ended. One that is not entered yet is remembered for [`Self::enrol`].
    pub(crate) fn ended(&mut self, id: ActorId, exit: &Exit) -> Option<Entry<A>> {
        let entry = self.children.remove(&id);
        if entry.is_none() && self.supervisor.is_some() {
            self.early.insert(id, exit.clone());
        }
        entry
    }

    /// Puts a child aside until its delay is over.
    pub(crate) fn wait(&mut self, entry: Entry<A>) -> u64 {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, entry);
        self.next_ticket
    }

    /// Takes a child whose delay is over.
    pub(crate) fn waited(&mut self, ticket: u64) -> Option<Entry<A>> {
        self.waiting.remove(&ticket)
    }

    /// Children alive.
    pub(crate) fn alive(&self) -> usize {
        self.children.len()
    }

    /// Children that sleep.
    pub(crate) fn asleep(&self) -> usize {
        self.asleep.len()
    }

    /// Children waiting for their restart.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The child with this probe, if it lives here.
    pub(crate) fn find(&self, probe: ProbeId) -> Option<Living<A>> {
        let entry = self.children.values().find(|entry| entry.address.probe().id() == probe)?;
        Some((entry.cell.clone(), entry.address.clone()))
    }

    /// The children that are wanted, as many as are asked for.
    pub(crate) fn describe(&self, inquiry: &Inquiry) -> Described {
        let state = if self.supervisor.is_some() { ChildState::Running } else { ChildState::Stopping };
        let living = self.children.iter().map(|(id, entry)| (&**entry.address.probe(), state, id.pid()));
        let asleep =
            self.asleep.iter().map(|(id, child)| (&**child.address.probe(), ChildState::Asleep, id.0));
        let waiting = self
            .waiting
            .iter()
            .map(|(ticket, entry)| (&**entry.address.probe(), ChildState::Restarting, *ticket));
        let wanted = |(probe, ..): &Line<'_>| inquiry.wants(probe.name(), probe);
        // Those that live in the order of their starts, then those that sleep, then those that wait.
        let mut all: Vec<_> = living.chain(asleep).chain(waiting).filter(wanted).collect();
        let key = |(probe, state, order): &Line<'_>| {
            let depth = match inquiry.first {
                First::Oldest => 0,
                First::Deepest => probe.depth(),
            };
            (Reverse(depth), *state == ChildState::Restarting, *state == ChildState::Asleep, *order)
        };
        let more = all.len().saturating_sub(inquiry.children_limit);
        if more > 0 {
            all.select_nth_unstable_by_key(inquiry.children_limit, key);
            all.truncate(inquiry.children_limit);
        }
        all.sort_unstable_by_key(key);
        let described =
            |(probe, state, _): Line<'_>| Description::leaf(probe.name(), Kind::Worker, state, probe.read());
        Described { children: all.into_iter().map(described).collect(), more }
    }
}

/// A child to be described, and its place among those of its state.
type Line<'a> = (&'a Probe, ChildState, u64);

/// A table and the address of the shard it belongs to.
pub(crate) struct Shared<A: Actor> {
    address: Address<ShardMessage>,
    table: Mutex<Table<A>>,
}

impl<A: Actor> Shared<A> {
    pub(crate) fn new(name: &str, index: usize) -> Self {
        let table = Table {
            life: 0,
            supervisor: None,
            children: FxHashMap::default(),
            early: FxHashMap::default(),
            waiting: BTreeMap::new(),
            next_ticket: 0,
            asleep: FxHashMap::default(),
        };
        Self { address: Address::new("shard", format!("{name}/{index}")), table: Mutex::new(table) }
    }

    pub(crate) fn address(&self) -> &Address<ShardMessage> {
        &self.address
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Table<A>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tell_ended(&self, id: ActorId, exit: Exit) {
        self.address.tell(ShardMessage::ended(id, exit));
    }
}
