//! The attempt actor: one per attempt that runs on this machine, or is about to.
//!
//! **Role.** Sees one attempt through on the host: has it started, has it stopped, and says so again when
//! the host has been away. **Parent** processes (dynamic, temporary). **Hears** the worker. **Tells** the
//! worker how far it is, the host what to do.
//! **On crash** nothing happens to the process: the worker finds nobody behind the address and starts
//! another one from what it knows. **Invariant.** It tells the worker one end, and nothing after it.
//!
//! What it costs: one start and three messages, about 10 µs of an attempt's millisecond.

use std::sync::Arc;

use policy::id::Token;
use policy::task::{AttemptOutcome, LossReason, Usage};
use supervision::{Actor, ActorError, Address, Me, Message};

use crate::process::port::HostPort;
use crate::process::protocol::{Command, Start, StopReason};
use crate::wire::fleet::Phase;
use crate::worker::WorkerMessage;

/// What an attempt can be told.
#[derive(Debug, strum::IntoStaticStr)]
pub enum AttemptMessage {
    /// End it. Said again, it changes nothing.
    Stop(StopReason),
    /// The host says that its process runs.
    Started {
        /// The process.
        pid: u32,
    },
    /// The host says that it is over.
    Ended {
        /// How.
        outcome: AttemptOutcome,
        /// What it used.
        usage: Usage,
    },
    /// The host is back and does not hold it.
    Missing,
    /// The host is back and holds it.
    Present,
}

impl Message for AttemptMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything an attempt needs to start.
pub struct AttemptArgs {
    /// Its grant.
    pub token: Token,
    /// What to start; `None` where the host holds it already.
    pub start: Option<Box<Start>>,
    /// The host.
    pub port: Arc<dyn HostPort>,
    /// Whom to tell.
    pub worker: Address<WorkerMessage>,
}

impl std::fmt::Debug for AttemptArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttemptArgs").field("token", &self.token).finish_non_exhaustive()
    }
}

/// See the module docs.
pub struct AttemptActor {
    token: Token,
    /// Until the host says that it runs.
    start: Option<Box<Start>>,
    stop: Option<StopReason>,
    port: Arc<dyn HostPort>,
    worker: Address<WorkerMessage>,
}

impl std::fmt::Debug for AttemptActor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttemptActor").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Actor for AttemptActor {
    const KIND: &'static str = "attempt";
    type Message = AttemptMessage;
    type Args = AttemptArgs;

    fn start(args: AttemptArgs, _: &Me<AttemptMessage>) -> Result<Self, ActorError> {
        let AttemptArgs { token, start, port, worker } = args;
        let attempt = Self { token, start, stop: None, port, worker };
        attempt.command_start();
        Ok(attempt)
    }

    fn handle(&mut self, message: AttemptMessage, me: &Me<AttemptMessage>) -> Result<(), ActorError> {
        match message {
            AttemptMessage::Stop(why) => self.stop(why),
            AttemptMessage::Started { pid } => self.started(pid),
            AttemptMessage::Ended { outcome, usage } => self.ended(outcome, usage, me),
            AttemptMessage::Missing => self.missing(me),
            AttemptMessage::Present => self.command_stop(),
        }
        Ok(())
    }
}

impl AttemptActor {
    fn stop(&mut self, why: StopReason) {
        self.stop.get_or_insert(why);
        self.command_stop();
    }

    fn started(&mut self, pid: u32) {
        self.start = None;
        self.tell(Phase::Running { pid });
    }

    fn ended(&mut self, outcome: AttemptOutcome, usage: Usage, me: &Me<AttemptMessage>) {
        self.tell(Phase::ended(outcome, usage));
        me.stop();
    }

    /// Either the command was lost with the connection, or the host's memory with its disk.
    fn missing(&mut self, me: &Me<AttemptMessage>) {
        if self.start.is_some() {
            self.command_start();
            self.command_stop();
        } else {
            self.ended(AttemptOutcome::Lost(LossReason::HostDied), Usage::default(), me);
        }
    }

    fn tell(&self, phase: Phase) {
        self.worker.tell(WorkerMessage::AttemptChanged { token: self.token, phase });
    }

    fn command_start(&self) {
        if let Some(start) = &self.start {
            self.port.command(Command::Start(start.clone()));
        }
    }

    fn command_stop(&self) {
        if let Some(why) = self.stop {
            self.port.command(Command::Stop { token: self.token, why });
        }
    }
}
