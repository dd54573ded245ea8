//! The shape of an actor of ours, and what it knows of itself. `host.rs` runs it on ractor.
//!
//! # Why not ractor's own trait
//! Our handlers are plain functions: a handler that cannot await cannot wait for another actor, so the
//! rule is kept by the compiler. The host opens envelopes and keeps the probe, in one place.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ractor::{ActorCell, ActorRef, SpawnErr, SupervisionEvent};
use tokio::task::JoinHandle;

use crate::address::{Address, Reply};
use crate::describe::{Described, Errand, Fact, Inquiry};
use crate::envelope::{Envelope, Message};
use crate::host;

/// Why an actor gives up: a broken invariant, never a refusal. Its supervisor decides what follows.
pub type ActorError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An actor: private state that changes only by handling one message after the other.
pub trait Actor: Sized + Send + 'static {
    /// What kind of actor this is, as shown to people: `lease`, `node`.
    const KIND: &'static str;
    /// Whether it is ready only once it says so with [`Me::ready`]: for an actor that has to read or
    /// recover something first. A supervisor starts the next child only then. OTP's `init_ack`.
    const READY_WHEN_TOLD: bool = false;
    /// What it can be told.
    type Message: Message;
    /// Everything it needs to start.
    type Args: Send + 'static;

    /// Builds the state and arms the first timers. No waiting, because it runs on whichever thread
    /// starts the actor; whatever takes time goes through [`Me::run`] and comes back as a message.
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

    /// Translates a request that every actor may get into a message of its own; `None` where it has
    /// nothing special to do. An actor that translates [`Request::Stop`] has to call [`Me::stop`] in
    /// the end; all others are stopped after the message they handle.
    fn request(request: Request) -> Option<Self::Message> {
        drop(request);
        None
    }

    /// What it holds, for an operator who looks: short facts, a few dozen at the most, and nothing secret.
    /// Runs like a message, behind those that wait.
    fn show(&self) -> Vec<Fact> {
        Vec::new()
    }

    /// Last words after an orderly stop. Does not run on a kill or a panic: nothing may depend on it.
    fn stopped(&mut self) {}
}

/// What any actor may be asked; OTP's system messages.
#[derive(Debug)]
pub enum Request {
    /// Stop in order, which may take messages: supervisors stop their children first.
    Stop,
    /// Describe your children.
    Describe(Inquiry, Reply<Described>),
    /// Do this to the child it is about, or hand it on to those below.
    Run(Errand),
}

/// What is called once an actor is ready.
pub(crate) type ReadyHook = Box<dyn FnOnce() + Send>;

/// What an actor knows of itself.
pub struct Me<M: Message> {
    address: Address<M>,
    actor: ActorRef<Envelope<M>>,
    ready: Option<Arc<Mutex<Option<ReadyHook>>>>,
}

impl<M: Message> fmt::Debug for Me<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Me({:?})", self.address)
    }
}

impl<M: Message> Clone for Me<M> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), actor: self.actor.clone(), ready: self.ready.clone() }
    }
}

impl<M: Message> Me<M> {
    pub(crate) fn new(address: Address<M>, actor: ActorRef<Envelope<M>>, ready: Option<ReadyHook>) -> Self {
        Self { address, actor, ready: ready.map(|hook| Arc::new(Mutex::new(Some(hook)))) }
    }

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

    pub(crate) fn actor(&self) -> &ActorRef<Envelope<M>> {
        &self.actor
    }

    /// Ends this actor after the message being handled; what still waits is dropped.
    pub fn stop(&self) {
        self.actor.stop(None);
    }

    /// Tells the supervisor that this actor is ready, where [`Actor::READY_WHEN_TOLD`]. Saying it again
    /// does nothing.
    pub fn ready(&self) {
        let hook =
            self.ready.as_ref().and_then(|ready| ready.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(hook) = hook {
            hook();
        }
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
    pub(crate) fn tell_this_life(&self, message: M) {
        self.address.probe().enqueued();
        if self.actor.send_message(Envelope::new(message)).is_err() {
            self.address.probe().refused();
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
    host::spawn_now::<A>(host::Start { args, address, ready: None }, supervisor)
}
