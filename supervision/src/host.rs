//! Runs an [`Actor`] as a ractor actor: binds its address, opens envelopes, keeps the probe, turns panics
//! into errors that say so.
//!
//! # Why an actor is started in one poll
//! [`Actor::start`] does not wait, so ractor's spawn future is ready when first polled. Polling it in
//! place costs one tokio task per actor instead of two, binds the address before [`spawn_now`] returns
//! (what is told right afterwards is not lost), gives a failed start to the caller at once, and lets a
//! supervisor start a child within a handler.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ractor::{ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::task::JoinHandle;

use crate::actor::{Actor, ActorError, Me, ReadyHook};
use crate::address::Address;
use crate::envelope::{Content, Envelope, Handling, Message, Origin, current_origin};
use crate::exit::Panicked;
use crate::trace::Marks;

/// What it takes to start an actor.
pub(crate) struct Start<A: Actor> {
    pub(crate) args: A::Args,
    pub(crate) address: Address<A::Message>,
    pub(crate) ready: Option<ReadyHook>,
}

/// Starts an actor here and now: on return it has started and stands behind its address. Must be called
/// within a tokio runtime.
///
/// # Errors
/// When [`Actor::start`] fails or panics, or the supervisor is shutting down.
pub(crate) fn spawn_now<A: Actor>(
    start: Start<A>,
    supervisor: Option<ActorCell>,
) -> Result<(ActorCell, JoinHandle<()>), SpawnErr> {
    let host = Host::<A>(PhantomData);
    let spawning = async move {
        match supervisor {
            Some(cell) => ractor::Actor::spawn_linked(None, host, start, cell).await,
            None => ractor::Actor::spawn(None, host, start).await,
        }
    };
    // Without a budget: a used-up one would make ractor's ports seem to be waiting.
    let spawning = pin!(tokio::task::unconstrained(spawning));
    match spawning.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(started) => started.map(|(actor, ended)| (actor.get_cell(), ended)),
        Poll::Pending => Err(SpawnErr::StartupFailed("the start of an actor waited".into())),
    }
}

struct Host<A>(PhantomData<fn() -> A>);

struct HostState<A: Actor> {
    actor: A,
    me: Bound<A::Message>,
}

impl<A: Actor> ractor::Actor for Host<A> {
    type Msg = Envelope<A::Message>;
    type State = HostState<A>;
    type Arguments = Start<A>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        start: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let me = Bound::new(Me::new(start.address, myself, start.ready));
        // What it says and tells while it starts is its own, and not that of the supervisor whose handler starts it.
        let origin = Origin { from: Some(me.0.address().probe().id()), ..current_origin() };
        let starting = Handling::start(origin, A::KIND);
        let actor = guarded(|| A::start(start.args, &me.0))?;
        drop(starting);
        if !A::READY_WHEN_TOLD {
            me.0.ready();
        }
        Ok(HostState { actor, me })
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        envelope: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let me = &state.me.0;
        let probe = me.address().probe();
        let handling = Handling::start(envelope.origin_of_answers(probe.id()), A::KIND);
        let (kind, number) = (envelope.content.kind(), envelope.number);
        // It is gone once it has been handled.
        let shown = probe.tap().is_on().then(|| envelope.content.shown()).flatten();
        let since = probe.handling(kind, envelope.enqueued);
        let outcome = match envelope.content {
            Content::Message(message) => guarded(|| state.actor.handle(message, me)),
            Content::Look(reply) => {
                // A panic while showing has changed nothing: the answer is missing, the actor goes on.
                if let Ok(facts) = guarded(|| Ok(state.actor.show())) {
                    reply.send(facts);
                }
                Ok(())
            }
        };
        probe.handled(since);
        if probe.tap().is_on() {
            let (origin, enqueued) = (envelope.origin, envelope.enqueued);
            probe.tap().take(&Marks { number, kind, shown, origin, enqueued, since });
        }
        drop(handling);
        state.me.leave_on_error(outcome)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let outcome = guarded(|| state.actor.supervise(event, &state.me.0));
        state.me.leave_on_error(outcome)
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        state.me.leave();
        guarded(|| {
            state.actor.stopped();
            Ok(())
        })
    }
}

/// Calls into the actor. A panic leaves its state behind half changed; nobody sees that state again,
/// because the actor ends with the error.
fn guarded<T>(call: impl FnOnce() -> Result<T, ActorError>) -> Result<T, ActorError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Box::new(Panicked::new(&*panic))))
}

/// An actor behind its address; leaves the address at the latest when dropped, which for a killed actor
/// is when its supervisor has seen the end.
struct Bound<M: Message>(Me<M>);

impl<M: Message> Bound<M> {
    fn new(me: Me<M>) -> Self {
        me.address().bind(me.actor().clone());
        Self(me)
    }

    fn leave(&self) {
        self.0.address().unbind(self.0.actor().get_id());
    }

    fn leave_on_error(&self, outcome: Result<(), ActorError>) -> Result<(), ActorError> {
        if outcome.is_err() {
            self.leave();
        }
        outcome
    }
}

impl<M: Message> Drop for Bound<M> {
    fn drop(&mut self) {
        self.leave();
    }
}
