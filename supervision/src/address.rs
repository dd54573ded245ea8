//! The handle of an actor that survives its restarts.
//!
//! An address is made before its actor and outlives it: whoever holds one needs not know whether the
//! actor behind it is the first, a restarted one, or none at the moment. The supervisor binds the
//! actor; everybody else only tells and asks. Must not know any concrete message.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::describe::Fact;
use crate::envelope::{Content, Envelope, Message};
use crate::probe::{Probe, ProbeId};

/// Where messages of type `M` can be sent. Cheap to clone.
pub struct Address<M: Message>(Arc<Inner<M>>);

struct Inner<M: Message> {
    actor: ArcSwapOption<ActorRef<Envelope<M>>>,
    probe: Arc<Probe>,
    /// Who brings the actor to life, where it sleeps until it is told something.
    sleeper: OnceLock<Arc<dyn Activate>>,
}

/// Brings an actor to life that sleeps behind its address.
pub(crate) trait Activate: Send + Sync {
    /// On return it stands behind its address, unless it does not sleep here.
    fn activate(&self, probe: ProbeId);
}

impl<M: Message> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Message> fmt::Debug for Address<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({} {:?})", self.0.probe.kind(), self.0.probe.name())
    }
}

/// Why an [`Address::ask`] has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No actor stands behind the address.
    #[error("nobody is behind the address")]
    Nobody,
    /// The actor ended, or dropped the question, before it answered.
    #[error("the actor dropped the question")]
    Dropped,
    /// The deadline passed first.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

impl<M: Message> Address<M> {
    /// Makes an address nobody stands behind yet, for an actor of `kind` with its own `name`.
    #[must_use]
    pub fn new(kind: &'static str, name: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner {
            actor: ArcSwapOption::empty(),
            probe: Probe::new(kind, name),
            sleeper: OnceLock::new(),
        }))
    }

    /// The counters of this address.
    #[must_use]
    pub fn probe(&self) -> &Arc<Probe> {
        &self.0.probe
    }

    /// Sends a message. One that finds nobody is counted and dropped: whoever needs to know uses
    /// [`Self::try_tell`], or a protocol that sends again.
    pub fn tell(&self, message: M) {
        let _ = self.try_tell(message);
    }

    /// Sends a message, or gives back `false` where nobody stands behind the address.
    pub fn try_tell(&self, message: M) -> bool {
        self.put(Content::Message(message))
    }

    /// Asks the actor to show its state. Where nobody is behind the address, the answer is dropped.
    pub fn look(&self, reply: Reply<Vec<Fact>>) {
        let _ = self.put(Content::Look(reply));
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where messages enter a mailbox")]
    fn put(&self, content: Content<M>) -> bool {
        let mut actor = self.0.actor.load();
        if actor.is_none()
            && let Some(sleeper) = self.0.sleeper.get()
        {
            sleeper.activate(self.0.probe.id());
            actor = self.0.actor.load();
        }
        let Some(actor) = actor.as_ref() else {
            self.0.probe.undelivered();
            return false;
        };
        self.0.probe.enqueued();
        let sent = actor.send_message(Envelope::with(content)).is_ok();
        if !sent {
            self.0.probe.refused();
            self.0.probe.undelivered();
        }
        sent
    }

    /// Asks and waits for the answer, at most for `deadline`. For programs, tests and spawned tasks:
    /// a handler never waits for another actor.
    ///
    /// Cancel safe: a dropped question leaves nothing behind but an answer nobody reads.
    ///
    /// # Errors
    /// Nobody behind the address, the question dropped, or the deadline passed.
    pub async fn ask<R: Send + 'static>(
        &self,
        deadline: Duration,
        question: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let (reply, answer) = Reply::channel();
        if !self.try_tell(question(reply)) {
            return Err(AskError::Nobody);
        }
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(AskError::Dropped),
            Err(_) => Err(AskError::Late(deadline)),
        }
    }

    /// What is told to the address from now on, and finds nobody, goes to whoever `sleeper` brings to life.
    pub(crate) fn sleep(&self, sleeper: Arc<dyn Activate>) {
        // Said again, it is the same one.
        let _ = self.0.sleeper.set(sleeper);
    }

    /// Whether an actor stands behind the address now.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.0.actor.load().is_some()
    }

    /// Puts `actor` behind the address, in place of an earlier life that may not have left it yet.
    pub(crate) fn bind(&self, actor: ActorRef<Envelope<M>>) {
        if self.is_bound() {
            self.0.probe.mailbox_gone();
        }
        self.0.actor.store(Some(Arc::new(actor)));
    }

    /// Takes the actor away, if it is still the one with this id. A later life that is bound in the
    /// same moment stays: the exchange fails then.
    pub(crate) fn unbind(&self, id: ractor::ActorId) {
        let current = self.0.actor.load();
        if current.as_ref().is_none_or(|actor| actor.get_id() != id) {
            return;
        }
        let before = self.0.actor.compare_and_swap(&*current, None);
        if before.as_ref().is_some_and(|actor| actor.get_id() == id) {
            self.0.probe.mailbox_gone();
        }
    }
}

/// Where the answer to a question goes; answering consumes it.
#[derive(Debug)]
pub struct Reply<R>(oneshot::Sender<R>);

impl<R> Reply<R> {
    /// Makes a reply and the place where it arrives.
    #[must_use]
    pub fn channel() -> (Self, oneshot::Receiver<R>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Whether the asker has left: an answer would be read by nobody.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.0.is_closed()
    }

    /// Answers. An asker that has left is not our failure.
    pub fn send(self, answer: R) {
        let _ = self.0.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::spawn;
    use crate::testing::{Scene, Worker, WorkerMessage};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_leaving_of_an_earlier_life_leaves_the_later_one_bound() {
        let scene = Scene::new();
        let address = Scene::address("a");
        let (earlier, ended) = spawn::<Worker>(scene.args("a"), address.clone(), None).await.expect("starts");
        let (later, _) = spawn::<Worker>(scene.args("a"), address.clone(), None).await.expect("starts");
        earlier.stop(None);
        ended.await.expect("no panic");
        assert_eq!(address.ask(SECOND, WorkerMessage::Echo).await, Ok(()));
        later.kill();
        later.wait(None).await.expect("no deadline");
        assert_eq!(address.ask(SECOND, WorkerMessage::Echo).await, Err(AskError::Nobody));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_start_leaves_nobody_behind_the_address() {
        let scene = Scene::new();
        let (address, args) = (Scene::address("a"), scene.args("a"));
        args.bad_starts.store(1, std::sync::atomic::Ordering::Relaxed);
        let _ = spawn::<Worker>(args, address.clone(), None).await.expect_err("does not start");
        assert!(!address.is_bound());
        assert!(!address.try_tell(WorkerMessage::End));
        assert_eq!(address.probe().read().undelivered, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_to_an_actor_that_ends_is_dropped() {
        let scene = Scene::new();
        let address = Scene::address("a");
        let (cell, _) = spawn::<Worker>(scene.args("a"), address.clone(), None).await.expect("starts");
        cell.stop(None);
        let answer = address.ask(SECOND, WorkerMessage::Echo).await;
        assert_eq!(answer, Err(AskError::Dropped));
        assert_eq!(address.probe().read().dropped, 1);
    }
}
