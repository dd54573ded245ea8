//! The supervisor actor: fixed, ordered children of different types.
//!
//! **Role.** Starts its children in order, restarts them by strategy, stops them in reverse.
//! **Decides with** the machine below it, which holds OTP's rules.   **Parent** a supervisor, or the program ([`start`]).
//! **Hears** anybody: Stop, Describe, CountChildren; its children: ends and readiness; itself: timers.
//! **Tells** its parent that all are ready, by its end that it gave up ([`Ending`]).
//! **On crash** ractor kills its children, without last words and in no order; its parent starts it anew.
//! **Invariant.** It ends only when no child lives, save one that cannot be killed, which it then says.
//!
//! # What a kill can do
//! A kill takes effect when the handler that runs returns; our handlers are plain functions, so one that
//! never returns cannot be ended by anything but the end of the process. The supervisor waits for the
//! deadline, kills, waits a little, and then ends as [`Ending::Stuck`]. That is escalated up to the root
//! without any restart: a second life beside a stuck first one would break what the actor stands for.
//! A handler that blocks a thread may also hold up the one actor that tokio was to run next on it, and
//! where that is the supervisor itself, nothing helps: blocking work belongs into [`Me::run_blocking`].

mod child;
mod machine;
pub(crate) mod report;
mod step;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ractor::{ActorCell, SpawnErr, SupervisionEvent};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use child::Child;
pub(crate) use child::{ask_stop, do_to};
pub(crate) use machine::KILL_GRACE;

use crate::actor::{Actor, ActorError, Me, Request};
use crate::address::{Address, AskError, Reply};
use crate::describe::{self, Counts, Described, Description, Errand, Fact, Inquiry, Pending};
use crate::envelope::Message;
use crate::exit::{Ending, Exit, SHUTDOWN};
use crate::host::{Start, spawn_now};
use crate::intensity::Intensity;
use crate::spec::{self, Kind};
use crate::strategy::Strategy;
use machine::Machine;
use step::{Effect, Input, Timer};

/// What a supervisor can be told.
#[derive(Debug)]
pub enum SupervisorMessage {
    /// Stop all children in reverse order, then end.
    Stop,
    /// Describe the children and all below them.
    Describe {
        /// How much, and until when.
        inquiry: Inquiry,
        /// The children, in order of their start.
        reply: Reply<Described>,
    },
    /// Do this to the child it is about, or hand it on to those below.
    Run(Errand),
    /// Count the children.
    CountChildren {
        /// The counts of this supervisor alone.
        reply: Reply<Counts>,
    },
    /// What it tells itself.
    Own(Own),
}

/// What a supervisor tells itself; nobody else can make one.
#[derive(Debug)]
pub struct Own(OwnMessage);

#[derive(Debug)]
enum OwnMessage {
    Ready { child: usize, life: u32 },
    Rang(Timer),
}

impl Message for SupervisorMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Stop => "Stop",
            Self::Describe { .. } => "Describe",
            Self::Run(_) => "Run",
            Self::CountChildren { .. } => "CountChildren",
            Self::Own(Own(OwnMessage::Ready { .. })) => "Ready",
            Self::Own(Own(OwnMessage::Rang(_))) => "Rang",
        }
    }
}

/// Everything a supervisor needs to start.
#[derive(Debug, Clone)]
pub struct SupervisorArgs {
    pub(crate) name: Box<str>,
    strategy: Strategy,
    intensity: Intensity,
    children: Vec<Child>,
    /// Where the root leaves how it ended.
    ending: Option<Arc<OnceLock<Ending>>>,
}

impl SupervisorArgs {
    /// A supervisor called `name` for `children`, which start in this order.
    #[must_use]
    pub fn new(
        name: impl Into<Box<str>>,
        strategy: Strategy,
        intensity: Intensity,
        children: Vec<Child>,
    ) -> Self {
        Self { name: name.into(), strategy, intensity, children, ending: None }
    }
}

/// See the module docs.
#[derive(Debug)]
pub struct Supervisor {
    name: Box<str>,
    machine: Machine,
    children: Vec<Slot>,
    ending: Option<Arc<OnceLock<Ending>>>,
    began: Instant,
}

#[derive(Debug)]
struct Slot {
    child: Child,
    cell: Option<ActorCell>,
}

impl Actor for Supervisor {
    const KIND: &'static str = "supervisor";
    const READY_WHEN_TOLD: bool = true;
    type Message = SupervisorMessage;
    type Args = SupervisorArgs;

    fn start(args: SupervisorArgs, me: &Me<SupervisorMessage>) -> Result<Self, ActorError> {
        spec::validate(args.children.iter().map(|child| &child.spec), args.intensity)?;
        let specs = args.children.iter().map(|child| child.spec.clone());
        let mut supervisor = Self {
            name: args.name,
            machine: Machine::new(args.strategy, args.intensity, specs),
            children: args.children.into_iter().map(|child| Slot { child, cell: None }).collect(),
            ending: args.ending,
            began: Instant::now(),
        };
        supervisor.drive(Input::Begin, me)?;
        Ok(supervisor)
    }

    fn handle(&mut self, message: SupervisorMessage, me: &Me<SupervisorMessage>) -> Result<(), ActorError> {
        match message {
            SupervisorMessage::Stop => self.drive(Input::Stop, me),
            SupervisorMessage::Describe { inquiry, reply } => {
                self.describe(&inquiry, reply);
                Ok(())
            }
            SupervisorMessage::Run(errand) => {
                self.run(&errand);
                Ok(())
            }
            SupervisorMessage::CountChildren { reply } => {
                reply.send(self.machine.counts());
                Ok(())
            }
            SupervisorMessage::Own(Own(OwnMessage::Ready { child, life })) => self.ready(child, life, me),
            SupervisorMessage::Own(Own(OwnMessage::Rang(timer))) => self.drive(Input::Rang(timer), me),
        }
    }

    fn supervise(&mut self, event: SupervisionEvent, me: &Me<SupervisorMessage>) -> Result<(), ActorError> {
        let Some((cell, exit)) = Exit::of_event(event) else { return Ok(()) };
        let Some(index) = self.children.iter().position(|child| child.cell.as_ref() == Some(&cell)) else {
            return Ok(());
        };
        self.children[index].cell = None;
        self.drive(Input::Ended(index, exit), me)
    }

    fn request(request: Request) -> Option<SupervisorMessage> {
        Some(match request {
            Request::Stop => SupervisorMessage::Stop,
            Request::Describe(inquiry, reply) => SupervisorMessage::Describe { inquiry, reply },
            Request::Run(errand) => SupervisorMessage::Run(errand),
        })
    }

    fn show(&self) -> Vec<Fact> {
        let child = |index: usize| {
            let spec = self.machine.spec(index);
            let (state, life) = (self.machine.state(index), self.machine.life(index));
            Fact::new(spec.name.as_str(), format!("{state:?}, life {life}, {:?}", spec.restart))
        };
        (0..self.children.len()).map(child).collect()
    }
}

impl Supervisor {
    fn run(&self, errand: &Errand) {
        for Slot { child, cell } in &self.children {
            if let Some(cell) = cell {
                child.starter.run(errand, cell);
            }
        }
    }

    fn describe(&self, inquiry: &Inquiry, reply: Reply<Described>) {
        let wanted = self.children.iter().enumerate().filter(|(_, Slot { child, .. })| {
            child.spec.kind == Kind::Supervisor || inquiry.wants(&child.spec.name, child.starter.probe())
        });
        let pending = wanted.map(|(index, Slot { child, cell })| {
            let state = self.machine.state(index);
            let reading = child.starter.probe().read();
            Pending {
                child: Description::leaf(&*child.spec.name, child.spec.kind, state, reading),
                below: cell.as_ref().and_then(|_| child.starter.describe(inquiry)),
            }
        });
        describe::answer(pending.collect(), inquiry, reply);
    }

    fn ready(&mut self, child: usize, life: u32, me: &Me<SupervisorMessage>) -> Result<(), ActorError> {
        if self.machine.life(child) == life { self.drive(Input::Ready(child), me) } else { Ok(()) }
    }

    /// Tells the machine what happened and does what it wants done, until nothing is left to do now.
    fn drive(&mut self, input: Input, me: &Me<SupervisorMessage>) -> Result<(), ActorError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.machine.step(input, self.began.elapsed()) {
                if let Some(next) = self.perform(effect, me)? {
                    inputs.push_back(next);
                }
            }
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect, me: &Me<SupervisorMessage>) -> Result<Option<Input>, ActorError> {
        match effect {
            Effect::Start(child) => return Ok(self.start_child(child, me)),
            Effect::AskStop(child) => self.with_cell(child, |child, cell| child.starter.ask_stop(cell)),
            Effect::Kill(child) => self.with_cell(child, |_, cell| cell.kill()),
            Effect::Arm(timer, after) => {
                me.after(after, SupervisorMessage::Own(Own(OwnMessage::Rang(timer))));
            }
            Effect::AllReady => me.ready(),
            Effect::Report(report) => report::tell(&self.name, &self.machine, &report),
            Effect::Finish(ending) => self.finish(ending, me)?,
        }
        Ok(None)
    }

    fn start_child(&mut self, index: usize, me: &Me<SupervisorMessage>) -> Option<Input> {
        let life = self.machine.life(index);
        let child = &mut self.children[index];
        if life > 1 {
            child.child.starter.probe().restarted();
        }
        let myself = me.clone();
        let ready = SupervisorMessage::Own(Own(OwnMessage::Ready { child: index, life }));
        match child.child.starter.start(me.cell(), Box::new(move || myself.tell_this_life(ready))) {
            Ok(cell) => {
                child.cell = Some(cell);
                None
            }
            Err(exit) => Some(Input::Ended(index, exit)),
        }
    }

    fn with_cell(&self, index: usize, act: impl FnOnce(&Child, &ActorCell)) {
        let Slot { child, cell } = &self.children[index];
        if let Some(cell) = cell {
            act(child, cell);
        }
    }

    fn finish(&mut self, ending: Ending, me: &Me<SupervisorMessage>) -> Result<(), ActorError> {
        if let Some(slot) = &self.ending {
            let _ = slot.set(ending.clone());
        }
        if ending == Ending::Stopped {
            me.cell().stop(Some(SHUTDOWN.to_owned()));
            return Ok(());
        }
        Err(Box::new(ending))
    }
}

/// Why a tree did not start. What had been started is stopped by then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Its root has a wrong list of children.
    #[error(transparent)]
    Spec(#[from] spec::SpecError),
    /// A child could not start, or something failed before all had.
    #[error(transparent)]
    Ended(#[from] Ending),
}

/// Starts a tree with a root nobody supervises, and waits until every child of it is ready.
///
/// Not cancel safe: a tree that is starting goes on without whoever waited for it.
///
/// # Errors
/// The first failure; children started before it have been stopped, in reverse order.
pub async fn start(args: SupervisorArgs) -> Result<Running, StartError> {
    let address = Address::new(Supervisor::KIND, &*args.name);
    start_behind(address, args).await
}

/// As [`start`], with a root behind `address`, for who has to know it before there is a tree.
///
/// # Errors
/// As [`start`].
pub async fn start_behind(
    address: Address<SupervisorMessage>,
    mut args: SupervisorArgs,
) -> Result<Running, StartError> {
    let ending = Arc::new(OnceLock::new());
    args.ending = Some(Arc::clone(&ending));
    let (ready, is_ready) = oneshot::channel();
    let ready = Box::new(move || {
        let _ = ready.send(());
    });
    let start = Start::<Supervisor> { args, address: address.clone(), ready: Some(ready) };
    let (_, ended) = spawn_now(start, None).map_err(|error| start_error(&error, &ending))?;
    let mut running = Running { address, ended: Some(ended), ending };
    tokio::select! {
        biased;
        Ok(()) = is_ready => Ok(running),
        ending = running.join() => Err(StartError::Ended(ending)),
    }
}

fn start_error(error: &SpawnErr, ending: &OnceLock<Ending>) -> StartError {
    if let SpawnErr::StartupFailed(error) = error
        && let Some(error) = error.downcast_ref::<spec::SpecError>()
    {
        return StartError::Spec(error.clone());
    }
    StartError::Ended(ending.get().cloned().unwrap_or(Ending::Killed))
}

/// A tree that runs. Dropping this leaves it running.
#[derive(Debug)]
pub struct Running {
    address: Address<SupervisorMessage>,
    ended: Option<JoinHandle<()>>,
    ending: Arc<OnceLock<Ending>>,
}

impl Running {
    /// The root's address.
    #[must_use]
    pub fn address(&self) -> &Address<SupervisorMessage> {
        &self.address
    }

    /// Waits until the tree has ended and says why. Cancel safe, and may be asked again.
    pub async fn join(&mut self) -> Ending {
        if let Some(ended) = &mut self.ended {
            let _ = ended.await;
            self.ended = None;
        }
        self.ending.get().cloned().unwrap_or(Ending::Killed)
    }

    /// Stops the tree in order and waits for its end. Cancel safe: the tree stops all the same.
    pub async fn stop(&mut self) -> Ending {
        self.address.tell(SupervisorMessage::Stop);
        self.join().await
    }

    /// The whole tree as it is now.
    ///
    /// # Errors
    /// When the root has ended or does not answer in time.
    pub async fn which_children(&self, inquiry: Inquiry) -> Result<Vec<Description>, AskError> {
        // The root answers at the deadline at the latest; this is for a root that does not answer at all.
        let patience = inquiry.deadline + Duration::from_millis(100);
        let described = self.address.ask(patience, |reply| SupervisorMessage::Describe { inquiry, reply });
        Ok(described.await?.children)
    }

    /// The children of the root, counted.
    ///
    /// # Errors
    /// When the root has ended or does not answer in time.
    pub async fn count_children(&self, deadline: Duration) -> Result<Counts, AskError> {
        self.address.ask(deadline, |reply| SupervisorMessage::CountChildren { reply }).await
    }
}

#[cfg(test)]
mod tests;
