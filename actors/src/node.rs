//! The node actor: the scheduler side's half of one machine.
//!
//! **Role.** Owns the node's capacity (P4), its lease (P3) and what it was granted.
//! **Decides with** `policy::{slots, node, lease}`. **Parent** nodes (dynamic, never restarted alone).
//! **Hears** the machine's worker through the link: `Heard`; scheduler: `Reserve`, `Cancel`, `Evict`, `Relieve`, `ReadOutput`, `ReadArtifact`,
//! `Heed`;
//! tasks: `Granted`, `Declined`, `StopAttempt`, `AttemptClosed`.
//! **Tells** worker through its outlet; tasks; scheduler: `NodeChanged`, `Returned`, `NodeGone`.
//! **Its crash** restarts the core: what it was granted is known from the records of the tasks.
//! **Invariant.** A worker is told to run only what is in `attempts` under a durable grant, and told again
//! until it reports it.

mod artifacts;
mod askers;
mod attempts;
mod breaker;
mod directives;
mod message;
mod output;
mod registration;
mod reports;
mod show;
mod signals;
mod strain;

use std::sync::Arc;
use std::time::Duration;

use policy::breaker::Board;
use policy::event::{Event, NodeEvent};
use policy::id::{NodeId, NodeSession, TaskId, Token};
use policy::lease::{NodeLease, Standing};
use policy::node::{Pace, Room};
use policy::planted;
use policy::strain::Strain;
use policy::task::LossReason;
use supervision::{Actor, ActorError, Address, Fact, Me};

use crate::lease::NodeDeadline;
use crate::meters::NodeNews;
use crate::node::artifacts::Collectors;
use crate::node::attempts::{Attempts, Closed, Restoring};
pub use crate::node::breaker::Closing;
use crate::node::directives::Heeding;
pub use crate::node::message::{Live, NodeMessage, Reservation, Restored, Terms};
use crate::node::output::Readers;
use crate::node::registration::Machine;
use crate::node::signals::Signals;
use crate::outlet::Outlet;
use crate::scheduler::SchedulerMessage;
use crate::side::Side;
use crate::task::{Acknowledge, Purpose, Seat, TaskMessage};
use crate::wire::fleet::{FromWorker, GRANTS_PER_MESSAGE, Grant, ToWorker};

/// Between two looks at the lease: well below the grace, so that expiry is noticed in time.
const TICK: Duration = Duration::from_millis(500);

/// Everything a node needs to start.
#[derive(Debug, Clone)]
pub struct NodeArgs {
    /// Its name.
    pub node: NodeId,
    /// Whom it knows.
    pub side: Arc<Side>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct NodeActor {
    args: NodeArgs,
    /// `None` until it registers for the first time.
    machine: Option<Machine>,
    outlet: Option<Outlet<ToWorker>>,
    lease: NodeLease,
    deadline: NodeDeadline,
    standing: Standing,
    attempts: Attempts,
    pace: Pace,
    readers: Readers,
    collectors: Collectors,
    signals: Signals,
    breakers: Board,
    heeding: Heeding,
    /// How strained the machine is, as the last heartbeat told it.
    strain: Strain,
    /// How what runs here does, as the last heartbeat told it.
    live: Live,
    flush_asked: bool,
    room_changed: bool,
    /// Reservations handled so far: the scheduler counts what it sent.
    reservations: u64,
}

impl Actor for NodeActor {
    const KIND: &'static str = "node";
    type Message = NodeMessage;
    type Args = NodeArgs;

    fn start(args: NodeArgs, me: &Me<NodeMessage>) -> Result<Self, ActorError> {
        let lease = NodeLease::new(args.side.terms, args.side.clock.now());
        me.after(TICK, NodeMessage::Tick);
        Ok(Self {
            machine: None,
            outlet: None,
            deadline: NodeDeadline::new(lease.expires()),
            lease,
            standing: Standing::Good,
            attempts: Attempts::default(),
            pace: Pace::default(),
            readers: Readers::default(),
            collectors: Collectors::default(),
            signals: Signals::default(),
            breakers: Board::default(),
            heeding: Heeding::default(),
            strain: Strain::default(),
            live: Live::default(),
            flush_asked: false,
            room_changed: false,
            reservations: 0,
            args,
        })
    }

    fn handle(&mut self, message: NodeMessage, me: &Me<NodeMessage>) -> Result<(), ActorError> {
        match message {
            NodeMessage::Heard { message, outlet } => self.heard(message, outlet),
            NodeMessage::Disconnected(outlet) => self.disconnected(&outlet),
            NodeMessage::Reserve(reservations) => self.reserve(reservations, me),
            NodeMessage::Restore(restored) => self.restore(restored, me),
            NodeMessage::Granted { grant, task } => self.granted(grant, task),
            NodeMessage::Declined { task } => self.declined(task),
            NodeMessage::StopAttempt { token, cause } => self.attempts.ask_stop(token, cause),
            NodeMessage::AttemptClosed { token, closing } => self.closed(token, &closing),
            NodeMessage::RestoreBreaker { key, recorded } => self.restore_breaker(&key, &recorded),
            NodeMessage::ResetBreaker { key, reply } => reply.send(self.reset_breaker(&key)),
            NodeMessage::HandBack { token, reply } => reply.send(self.attempts.hand_back_one(token)),
            NodeMessage::Cancel { task, acknowledge } => self.cancel(task, acknowledge),
            NodeMessage::Evict { task, by, is_recall } => self.evict(task, (by, is_recall)),
            NodeMessage::Relieve { task } => self.relieve(task),
            NodeMessage::ReadOutput { token, read, reply } => self.read_output(token, read, reply),
            NodeMessage::ReadArtifact { token, read, reply } => self.read_artifact(token, read, reply),
            NodeMessage::Signal { token, signal, reply } => self.signal(token, signal, reply),
            NodeMessage::Live(reply) => reply.send(self.live.clone()),
            NodeMessage::Describe(reply) => reply.send(self.describe()),
            NodeMessage::Heed => self.hear(),
            NodeMessage::Retire => self.retire(me),
            NodeMessage::Tick => self.tick(me),
            NodeMessage::Flush => self.flush(),
        }
        self.ask_flush(me);
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        self.facts()
    }
}

impl NodeActor {
    fn heard(&mut self, message: FromWorker, outlet: Outlet<ToWorker>) {
        match message {
            FromWorker::Register(registration) => self.register(registration, outlet),
            FromWorker::Heartbeat { session, sequence, sent, inventory, halt, samples, progress, strain } => {
                // One that was overtaken by a later one tells of what is past.
                if self.is_current(session, &outlet) && self.is_later(sequence) {
                    self.renew();
                    outlet.send(ToWorker::HeartbeatHeard { session, sent, sequence });
                    self.halt_heard(halt);
                    self.strain_heard(strain);
                    self.live = Live { samples, progress };
                    self.reconcile(inventory);
                }
            }
            FromWorker::Reports { session, reports } => {
                if self.is_current(session, &outlet) {
                    self.reports(reports);
                }
            }
            FromWorker::Output { request, piece } => self.readers.answer(request, piece),
            FromWorker::Artifact { request, answer } => self.collectors.answer(request, answer.into()),
            FromWorker::Signalled { request, refused } => {
                self.signals.answer(request, refused.map_or(Ok(()), Err))
            }
            // The side's inspector takes these before they come here.
            FromWorker::Inspected { .. } => {}
            FromWorker::Goodbye { session } => {
                if self.is_current(session, &outlet) {
                    self.goodbye(session);
                }
            }
        }
    }

    fn disconnected(&mut self, outlet: &Outlet<ToWorker>) {
        if self.outlet.as_ref().is_some_and(|current| current.is_same(outlet)) {
            self.outlet = None;
            self.room_changed = true;
            self.drop_askers();
        }
    }

    fn reserve(&mut self, reservations: Vec<Reservation>, me: &Me<NodeMessage>) {
        let (mut returned, mut room) = (Vec::new(), self.room());
        for Reservation { seat, need, terms, kind } in reservations {
            self.reservations += 1;
            let may = !self.strain.refuses_need(&need, &room.capacity);
            let session = self.session_for(seat.task, kind.as_deref()).filter(|_| may && room.take(&need));
            if let Some(session) = session {
                self.attempts.reserve(seat.task, need);
                let node = me.address().clone();
                let name = self.args.node.clone();
                if self.wake(seat, Purpose::Grant { node, name, session, terms }).is_none() {
                    self.attempts.unreserve(seat.task);
                    self.breakers.declined(seat.task);
                    returned.push(seat.task);
                }
            } else {
                self.breakers.declined(seat.task);
                returned.push(seat.task);
            }
        }
        if !returned.is_empty() {
            self.args.side.scheduler.tell(SchedulerMessage::Returned { tasks: returned });
        }
        self.room_changed = true;
    }

    fn restore(&mut self, restored: Vec<Restored>, me: &Me<NodeMessage>) {
        for Restored { seat, token, need, kind, started } in restored {
            self.breakers.restored(seat.task, kind.as_deref(), token);
            let Some(address) = self.wake(seat, Purpose::Resume { node: me.address().clone() }) else {
                continue;
            };
            let lease = self.args.side.start_lease(token, &self.deadline, &address);
            self.attempts.restore(token, need, Restoring { task: seat.task, address, lease, started });
        }
    }

    fn granted(&mut self, grant: Box<Grant>, task: Address<TaskMessage>) {
        self.breakers.granted(grant.task, grant.spec.kind.as_deref(), grant.token);
        let Some(grant) = self.attempts.complete(grant) else { return };
        let lease = self.args.side.start_lease(grant.token, &self.deadline, &task);
        self.attempts.grant(grant, task, lease);
    }

    fn declined(&mut self, task: TaskId) {
        self.attempts.unreserve(task);
        self.breakers.declined(task);
        self.room_changed = true;
    }

    fn closed(&mut self, token: Token, closing: &Closing) {
        if let Some(Closed { lease, was_known }) = self.attempts.close(token) {
            self.args.side.end_lease(&lease);
            self.room_changed |= !was_known;
        }
        self.judge(token, closing);
        // The end of a trial opens or closes one.
        self.room_changed |= !self.breakers.is_closed();
    }

    fn cancel(&mut self, task: TaskId, acknowledge: Acknowledge) {
        match self.attempts.awake(task) {
            Some(address) => address.tell(TaskMessage::Cancel(acknowledge)),
            None => self.args.side.scheduler.tell(SchedulerMessage::NotAwake { task, acknowledge }),
        }
    }

    /// Of one that is not awake the attempt is over: there is nothing to make room with.
    fn evict(&self, task: TaskId, (by, is_recall): (TaskId, bool)) {
        if let Some(address) = self.attempts.awake(task) {
            address.tell(TaskMessage::Evict { by, is_recall });
        }
    }
}

impl NodeActor {
    /// Wakes the actor of a task and remembers its address.
    fn wake(&mut self, seat: Seat, purpose: Purpose) -> Option<Address<TaskMessage>> {
        let address = self.args.side.wake(seat, purpose)?;
        self.attempts.wake(seat.task, address.clone());
        Some(address)
    }

    fn tick(&mut self, me: &Me<NodeMessage>) {
        let now = self.args.side.clock.now();
        let standing = self.lease.standing(now);
        if let Some(session) = self.session().filter(|_| standing != self.standing) {
            match standing {
                Standing::Good => self.news(NodeEvent::Recovered, NodeNews::Recovered),
                Standing::Suspect => self.news(NodeEvent::Suspected, NodeNews::Suspected),
                Standing::Expired => self.lost(NodeEvent::Lost { session }),
            }
        }
        self.standing = standing;
        if standing == Standing::Expired {
            self.attempts.lose_all(LossReason::LeaseExpired);
        } else {
            self.attempts.insist();
        }
        // What has been granted for a while lasts: its lease keeps the deadline by itself from now on.
        self.attempts.leases().for_each(|lease| self.args.side.leases.wake(lease));
        self.tick_breakers();
        self.heed();
        // Whatever waits for company has waited long enough.
        if self.attempts.has_outgoing() {
            self.flush_soon(me);
        }
        me.after(TICK, NodeMessage::Tick);
    }

    /// Sends what has gathered, in the order stop, run, forget: what frees goes first.
    fn flush(&mut self) {
        self.flush_asked = false;
        if let (Some(outlet), Some(session)) = (&self.outlet, self.session()) {
            for message in self.attempts.outgoing(session, GRANTS_PER_MESSAGE) {
                outlet.send(message);
            }
        } else {
            // Nobody to tell: the next registration's inventory shows what is to be said again.
            self.attempts.drop_outgoing();
        }
        if std::mem::take(&mut self.room_changed) {
            self.args.side.scheduler.tell(SchedulerMessage::NodeChanged {
                node: self.args.node.clone(),
                room: self.session().and(self.outlet.as_ref()).map(|_| self.room()),
                reservations: self.reservations,
                said: self.said(),
            });
        }
    }

    fn ask_flush(&mut self, me: &Me<NodeMessage>) {
        if self.room_changed || self.attempts.has_urgent() {
            self.flush_soon(me);
        }
    }

    /// Asks itself to flush once everything that waits in the mailbox now has been handled, so that one
    /// message carries what many have led to.
    fn flush_soon(&mut self, me: &Me<NodeMessage>) {
        if !self.flush_asked {
            self.flush_asked = true;
            me.address().tell(NodeMessage::Flush);
        }
    }

    fn lost(&mut self, event: NodeEvent) {
        self.news(event, NodeNews::Lost);
        if let Some(machine) = &mut self.machine {
            machine.session = None;
        }
        self.outlet = None;
        self.drop_askers();
        self.room_changed = true;
    }

    fn goodbye(&mut self, session: NodeSession) {
        self.attempts.lose_all(LossReason::Evicted);
        self.lost(NodeEvent::Left { session });
    }

    /// What the scheduler may still send here.
    fn room(&self) -> Room {
        self.attempts.room(&self.pace)
    }

    fn session(&self) -> Option<NodeSession> {
        self.machine.as_ref().and_then(|machine| machine.session)
    }

    /// Whether a message is of the present session; one of another is answered with `Reregister`.
    fn is_current(&self, session: NodeSession, outlet: &Outlet<ToWorker>) -> bool {
        let current = self.session() == Some(session) || planted!(StaleSession);
        if !current {
            outlet.send(ToWorker::Reregister);
        }
        current
    }

    /// Whether this is the latest heartbeat of the session so far.
    fn is_later(&mut self, sequence: u64) -> bool {
        let Some(machine) = &mut self.machine else { return false };
        let is_later = sequence > machine.heartbeat;
        machine.heartbeat = machine.heartbeat.max(sequence);
        is_later
    }

    fn renew(&mut self) {
        self.lease.heard(self.args.side.clock.now());
        self.deadline.renew(self.lease.expires());
    }

    fn log(&self, event: NodeEvent) {
        tracing::debug!(node = %self.args.node, kind = <&str>::from(&event), "recorded");
        self.args.side.log.append(&Event::Node(self.args.node.clone(), event), 0, 0);
    }
}
