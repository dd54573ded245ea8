//! The lease actor: one per granted attempt.
//!
//! **Role.** Holds the deadline after which an attempt's right to run has ended for certain.
//! **Parent** leases (dynamic, transient). Sleeps at first, as an entry of its supervisor's; the node's next tick or
//! the first message wakes it. **Hears** node: `Release`; itself: `Due`.
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
use policy::trap;
use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Address, Fact, Me, Message};
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

    fn show(&self) -> Vec<Fact> {
        vec![
            Fact::new("token", self.args.token),
            Fact::new("task", self.args.task.probe().name()),
            Fact::new("ends in", crate::say::length(remaining(&self.args))),
        ]
    }
}

impl LeaseActor {
    fn release(&mut self, me: &Me<LeaseMessage>) {
        self.timer.abort();
        me.stop();
    }

    fn due(&mut self, me: &Me<LeaseMessage>) {
        trap!(Lease);
        let rest = remaining(&self.args);
        if rest.is_zero() {
            tracing::debug!(token = %self.args.token, "expired");
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hears what a task would hear.
    struct Probe(mpsc::Sender<TaskMessage>);

    impl Actor for Probe {
        const KIND: &'static str = "probe";
        type Message = TaskMessage;
        type Args = mpsc::Sender<TaskMessage>;

        fn start(sender: Self::Args, _: &Me<TaskMessage>) -> Result<Self, ActorError> {
            Ok(Self(sender))
        }

        fn handle(&mut self, message: TaskMessage, _: &Me<TaskMessage>) -> Result<(), ActorError> {
            let _ = self.0.send(message);
            Ok(())
        }
    }

    struct Bed {
        clock: Clock,
        deadline: NodeDeadline,
        lease: Address<LeaseMessage>,
        heard: mpsc::Receiver<TaskMessage>,
    }

    const TTL: Duration = Duration::from_secs(17);

    async fn lease() -> Bed {
        let clock = Clock::simulated();
        let (sender, heard) = mpsc::channel();
        let (task, lease) = (Address::new("task", "t1"), Address::new("lease", "1"));
        supervision::spawn::<Probe>(sender, task.clone(), None).await.expect("the probe starts");
        let deadline = NodeDeadline::new(clock.now() + TTL);
        let args = LeaseArgs { token: Token(1), deadline: deadline.clone(), task, clock };
        supervision::spawn::<LeaseActor>(args, lease.clone(), None).await.expect("the lease starts");
        Bed { clock, deadline, lease, heard }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unrenewed_lease_expires_at_its_deadline_and_says_so_once() {
        let bed = lease().await;
        tokio::time::sleep(TTL - Duration::from_millis(1)).await;
        assert!(bed.heard.try_recv().is_err());
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(matches!(bed.heard.try_recv(), Ok(TaskMessage::LeaseExpired { token: Token(1) })));
        assert!(bed.heard.try_recv().is_err());
        assert!(!bed.lease.is_bound());
    }

    #[tokio::test(start_paused = true)]
    async fn moving_the_nodes_deadline_renews_the_lease_without_telling_it() {
        let bed = lease().await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            bed.deadline.renew(bed.clock.now() + TTL);
        }
        assert!(bed.heard.try_recv().is_err());
        tokio::time::sleep(TTL + Duration::from_millis(1)).await;
        assert!(matches!(bed.heard.try_recv(), Ok(TaskMessage::LeaseExpired { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_released_lease_ends_without_a_word() {
        let bed = lease().await;
        bed.lease.tell(LeaseMessage::Release);
        tokio::time::sleep(TTL * 2).await;
        assert!(bed.heard.try_recv().is_err());
        assert!(!bed.lease.is_bound());
    }
}
