//! The lease actor: one per granted attempt.
//!
//! **Role.** Holds the deadline after which an attempt's right to run has ended for certain.
//! **Parent** leases (dynamic, transient). **Hears** node: `Release`; itself: `Due`.
//! **Tells** task: `LeaseExpired`, at most once.
//! **On crash** it is started again and reads the deadline anew: a crash never makes a lease end early,
//! which could let two nodes run one task.
//! **Invariant.** The task hears of the end only when the node's deadline has passed.
//!
//! # Why the deadline is shared
//! One heartbeat renews all leases of a node. So the deadline is the node's, kept by its node actor in one
//! cell; a lease that comes due looks there and goes back to sleep if it was moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy::id::Token;
use policy::time::Moment;
use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Address, Me, Message};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::task::TaskMessage;

/// Until when, on the scheduler's lease clock, a node may run what it was granted.
#[derive(Debug, Clone)]
pub struct NodeDeadline(Arc<AtomicU64>);

impl NodeDeadline {
    /// A deadline at this moment.
    #[must_use]
    pub fn new(at: Moment) -> Self {
        Self(Arc::new(AtomicU64::new(at.0)))
    }

    /// Moves it, for all leases at once.
    pub fn renew(&self, at: Moment) {
        self.0.store(at.0, Ordering::Relaxed);
    }

    /// When it is.
    #[must_use]
    pub fn at(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

/// What a lease can be told.
#[derive(Debug, Clone, Copy, IntoStaticStr)]
pub enum LeaseMessage {
    /// The attempt is over: the lease ends without a word.
    Release,
    /// Timer: the deadline known when it was set has passed.
    Due,
}

impl Message for LeaseMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything a lease needs to start.
#[derive(Debug, Clone)]
pub struct LeaseArgs {
    /// The grant it belongs to.
    pub token: Token,
    /// The node's deadline.
    pub deadline: NodeDeadline,
    /// Who is told of the end.
    pub task: Address<TaskMessage>,
    /// The time.
    pub clock: Clock,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct LeaseActor {
    args: LeaseArgs,
    timer: JoinHandle<()>,
}

impl Actor for LeaseActor {
    const KIND: &'static str = "lease";
    type Message = LeaseMessage;
    type Args = LeaseArgs;

    fn start(args: LeaseArgs, me: &Me<LeaseMessage>) -> Result<Self, ActorError> {
        let timer = me.after(remaining(&args), LeaseMessage::Due);
        Ok(Self { args, timer })
    }

    fn handle(&mut self, message: LeaseMessage, me: &Me<LeaseMessage>) -> Result<(), ActorError> {
        match message {
            LeaseMessage::Release => self.release(me),
            LeaseMessage::Due => self.due(me),
        }
        Ok(())
    }
}

impl LeaseActor {
    fn release(&mut self, me: &Me<LeaseMessage>) {
        self.timer.abort();
        me.stop();
    }

    fn due(&mut self, me: &Me<LeaseMessage>) {
        let rest = remaining(&self.args);
        if rest.is_zero() {
            self.args.task.tell(TaskMessage::LeaseExpired { token: self.args.token });
            me.stop();
        } else {
            self.timer = me.after(rest, LeaseMessage::Due);
        }
    }
}

impl Drop for LeaseActor {
    fn drop(&mut self) {
        self.timer.abort();
    }
}

fn remaining(args: &LeaseArgs) -> Duration {
    args.deadline.at().since(args.clock.now())
}
