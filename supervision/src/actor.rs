//! The shape of an actor of ours, and the host that runs it on ractor.
//!
//! # Why not ractor's own trait
//! Our handlers are plain functions: a handler that cannot await cannot wait for another actor, so the
//! rule is kept by the compiler. The host opens envelopes and keeps the probe, in one place.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::task::JoinHandle;

use crate::address::Address;
use crate::envelope::{Envelope, Handling, Message};

/// Why an actor gives up: a broken invariant, never a refusal. Its supervisor decides what follows.
pub type ActorError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An actor: private state that changes only by handling one message after the other.
pub trait Actor: Sized + Send + 'static {
    /// What kind of actor this is, as shown to people: `lease`, `node`.
    const KIND: &'static str;
    /// What it can be told.
    type Message: Message;
    /// Everything it needs to start.
    type Args: Send + 'static;

    /// Builds the state and arms the first timers. No waiting; whatever takes time goes through
    /// [`Me::run`] and comes back as a message.
    ///
    /// # Errors
    /// When the actor cannot exist; the supervisor decides what follows.
    fn start(args: Self::Args, me: &Me<Self::Message>) -> Result<Self, ActorError>;

    /// Handles one message: a table with one line per variant.
    ///
    /// # Errors
    /// When an invariant is broken; the actor ends and its supervisor decides what follows.
    fn handle(&mut self, message: Self::Message, me: &Me<Self::Message>) -> Result<(), ActorError>;

    /// A child ended or started. Only supervisors care.
    ///
    /// # Errors
    /// To end this actor as well, which is how a failure escalates.
    fn supervise(&mut self, event: SupervisionEvent, me: &Me<Self::Message>) -> Result<(), ActorError> {
        let _ = (event, me);
        Ok(())
    }

    /// Last words after an orderly stop. Does not run on a kill or a panic: nothing may depend on it.
    fn stopped(&mut self) {}
}

/// What an actor knows of itself.
pub struct Me<M: Message> {
    address: Address<M>,
    actor: ActorRef<Envelope<M>>,
}

impl<M: Message> fmt::Debug for Me<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({:?})", self.address)
    }
}

impl<M: Message> Clone for Me<M> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), actor: self.actor.clone() }
    }
}

impl<M: Message> Me<M> {
    /// The actor's own address.
    #[must_use]
    pub fn address(&self) -> &Address<M> {
        &self.address
    }

    /// The ractor cell, for linking children.
    #[must_use]
    pub fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }

    /// Ends this actor after the message being handled; what still waits is dropped.
    pub fn stop(&self) {
        self.actor.stop(None);
    }

    /// Tells itself `message` after `delay`. A timer of an actor that has ended does nothing.
    /// Aborting the handle takes the timer back.
    pub fn after(&self, delay: Duration, message: M) -> JoinHandle<()> {
        let me = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            me.tell_this_life(message);
        })
    }

    /// Runs `work` outside the actor and tells itself what came of it.
    pub fn run(&self, work: impl Future<Output = M> + Send + 'static) -> JoinHandle<()> {
        let me = self.clone();
        tokio::spawn(async move { me.tell_this_life(work.await) })
    }

    /// Runs `work`, which may block, on a thread for such work and tells itself what came of it.
    pub fn run_blocking(&self, work: impl FnOnce() -> M + Send + 'static) -> JoinHandle<()> {
        let me = self.clone();
        tokio::task::spawn_blocking(move || me.tell_this_life(work()))
    }

    /// Tells this very actor, not a later one behind the same address: a timer or a result belongs to
    /// the life that asked for it.
    #[expect(clippy::disallowed_methods, reason = "timers and results enter the mailbox here")]
    fn tell_this_life(&self, message: M) {
        self.address.probe().enqueued();
        if self.actor.send_message(Envelope::new(message)).is_err() {
            self.address.probe().undelivered();
        }
    }
}

/// Starts an actor behind `address`, linked to `supervisor` where there is one.
///
/// # Errors
/// When [`Actor::start`] fails or panics, or the supervisor is shutting down.
pub async fn spawn<A: Actor>(
    args: A::Args,
    address: Address<A::Message>,
    supervisor: Option<ActorCell>,
) -> Result<(ActorCell, JoinHandle<()>), SpawnErr> {
    let host = Host::<A>(PhantomData);
    let started = match supervisor {
        Some(cell) => ractor::Actor::spawn_linked(None, host, (args, address), cell).await,
        None => ractor::Actor::spawn(None, host, (args, address)).await,
    };
    started.map(|(actor, ended)| (actor.get_cell(), ended))
}

/// Runs an [`Actor`] as a ractor actor.
struct Host<A>(PhantomData<fn() -> A>);

struct HostState<A: Actor> {
    actor: A,
    me: Arc<Me<A::Message>>,
}

impl<A: Actor> ractor::Actor for Host<A> {
    type Msg = Envelope<A::Message>;
    type State = HostState<A>;
    type Arguments = (A::Args, Address<A::Message>);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (args, address): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let me = Arc::new(Me { address: address.clone(), actor: myself.clone() });
        address.bind(myself.clone());
        let unbind = UnbindUnlessStarted { me: Some(Arc::clone(&me)) };
        let actor = A::start(args, &me)?;
        unbind.started();
        Ok(HostState { actor, me })
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let probe = state.me.address.probe();
        let handling = Handling::start(envelope.origin_of_answers(probe.id()));
        let since = probe.handling(envelope.message.kind(), envelope.enqueued);
        let outcome = state.actor.handle(envelope.message, &state.me);
        probe.handled(since);
        drop(handling);
        outcome
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.actor.supervise(event, &state.me)
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.actor.stopped();
        Ok(())
    }
}

impl<A: Actor> Drop for HostState<A> {
    fn drop(&mut self) {
        self.me.address.unbind(self.me.actor.get_id());
    }
}

/// Takes the actor from behind its address when `start` fails or panics.
struct UnbindUnlessStarted<M: Message> {
    me: Option<Arc<Me<M>>>,
}

impl<M: Message> UnbindUnlessStarted<M> {
    fn started(mut self) {
        self.me = None;
    }
}

impl<M: Message> Drop for UnbindUnlessStarted<M> {
    fn drop(&mut self) {
        if let Some(me) = &self.me {
            me.address.unbind(me.actor.get_id());
        }
    }
}
