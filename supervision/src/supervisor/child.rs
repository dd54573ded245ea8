//! A child of a fixed supervisor: its spec, and how to start an actor of whatever type behind its address.
//!
//! The type of the actor ends here: the supervisor sees only [`Starter`].

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ractor::ActorCell;
use tokio::sync::oneshot;

use crate::actor::{Actor, ReadyHook, Request};
use crate::address::Address;
use crate::describe::{self, Deed, Described, Errand, Inquiry};
use crate::envelope::Message;
use crate::exit::{Exit, Panicked, SHUTDOWN};
use crate::host::{Start, spawn_now};
use crate::probe::Probe;
use crate::spec::{Backoff, ChildSpec, Restart, Shutdown};
use crate::supervisor::{Supervisor, SupervisorArgs, SupervisorMessage};

/// A child: what it is as data, and how it is started. Cheap to clone.
#[derive(Clone)]
pub struct Child {
    pub(crate) spec: ChildSpec,
    pub(crate) starter: Arc<dyn Starter>,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

impl Child {
    /// A permanent worker of type `A` behind `address`, stopped within 5 s. `args` makes what it starts
    /// with, anew at each start.
    #[must_use]
    pub fn worker<A: Actor>(
        name: impl Into<String>,
        address: &Address<A::Message>,
        args: impl Fn() -> A::Args + Send + Sync + 'static,
    ) -> Self {
        Self::with_spec::<A>(ChildSpec::worker(name), address, args)
    }

    /// A permanent supervisor below this one, waited for when it stops.
    #[must_use]
    pub fn supervisor(args: SupervisorArgs) -> Self {
        let spec = ChildSpec::supervisor(&*args.name);
        let address = Address::<SupervisorMessage>::new(Supervisor::KIND, &*args.name);
        Self::with_spec::<Supervisor>(spec, &address, move || args.clone())
    }

    /// An actor of type `A` behind `address` with a spec made by hand.
    #[must_use]
    pub fn with_spec<A: Actor>(
        spec: ChildSpec,
        address: &Address<A::Message>,
        args: impl Fn() -> A::Args + Send + Sync + 'static,
    ) -> Self {
        let starter = Behind::<A, _> { address: address.clone(), args };
        Self { spec, starter: Arc::new(starter) }
    }

    /// The same, with another rule for when it comes back.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.spec.restart = restart;
        self
    }

    /// The same, stopped in another way.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.spec.shutdown = shutdown;
        self
    }

    /// The same, with a wait before each restart.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.spec.backoff = Some(backoff);
        self
    }
}

/// What a supervisor can do with a child, whatever its type.
pub(crate) trait Starter: Send + Sync {
    /// Starts it here and now. `ready` is called when it is ready, perhaps before this returns.
    fn start(&self, supervisor: ActorCell, ready: ReadyHook) -> Result<ActorCell, Exit>;
    /// Asks the child living in `cell` to stop.
    fn ask_stop(&self, cell: &ActorCell);
    /// Asks for its children; `None` where it has none.
    fn describe(&self, inquiry: &Inquiry) -> Option<oneshot::Receiver<Described>>;
    /// Does the errand to the child living in `cell`, or hands it on to those below it.
    fn run(&self, errand: &Errand, cell: &ActorCell);
    /// Its counters.
    fn probe(&self) -> &Arc<Probe>;
}

struct Behind<A: Actor, F> {
    address: Address<A::Message>,
    args: F,
}

impl<A: Actor, F: Fn() -> A::Args + Send + Sync> Starter for Behind<A, F> {
    fn start(&self, supervisor: ActorCell, ready: ReadyHook) -> Result<ActorCell, Exit> {
        let args = catch_unwind(AssertUnwindSafe(&self.args))
            .map_err(|panic| Exit::StartFailed(Panicked::new(&*panic).to_string()))?;
        let start = Start { args, address: self.address.clone(), ready: Some(ready) };
        let started = spawn_now::<A>(start, Some(supervisor));
        started.map(|(cell, _)| cell).map_err(|error| Exit::of_spawn_error(&error))
    }

    fn ask_stop(&self, cell: &ActorCell) {
        ask_stop::<A>(&self.address, cell);
    }

    fn describe(&self, inquiry: &Inquiry) -> Option<oneshot::Receiver<Described>> {
        let (request, answer) = describe::ask_below(inquiry);
        let message = A::request(request)?;
        self.address.tell(message);
        Some(answer)
    }

    fn run(&self, errand: &Errand, cell: &ActorCell) {
        match errand.take_for(self.address.probe()) {
            Some(deed) => do_to(deed, &self.address, cell),
            None => {
                if let Some(message) = A::request(Request::Run(errand.clone())) {
                    self.address.tell(message);
                }
            }
        }
    }

    fn probe(&self) -> &Arc<Probe> {
        self.address.probe()
    }
}

/// Does what was to be done to the actor living in `cell` behind `address`.
pub(crate) fn do_to<M: Message>(deed: Deed, address: &Address<M>, cell: &ActorCell) {
    match deed {
        Deed::Look(reply) => address.look(reply),
        Deed::Probe(reply) => reply.send(Arc::clone(address.probe())),
        Deed::Kill(reply) => {
            cell.kill();
            reply.send(());
        }
    }
}

/// Asks an actor to stop: by a message where it has one for that, otherwise after the message it handles.
pub(crate) fn ask_stop<A: Actor>(address: &Address<A::Message>, cell: &ActorCell) {
    let asked = A::request(Request::Stop).is_some_and(|message| address.try_tell(message));
    if !asked {
        cell.stop(Some(SHUTDOWN.to_owned()));
    }
}
