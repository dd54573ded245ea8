//! The attempt actor: one per attempt that runs on this machine.
//!
//! **Role.** Sees one attempt through on the host: has it stopped, and says so again when the host has been
//! away. **Parent** processes (dynamic, temporary). **Hears** the worker. **Tells** the host what to do, the
//! worker that the host has lost it.
//! **On crash** nothing happens to the process: the worker finds nobody behind the address and starts
//! another one from what it knows. **Invariant.** What it was asked for first is what the host is told.

use std::sync::Arc;

use policy::id::Token;
use policy::task::{AttemptOutcome, LossReason, Usage};
use supervision::{Actor, ActorError, Address, Fact, Me, Message};

use crate::process::port::HostPort;
use crate::process::protocol::{Command, StopReason};
use crate::wire::fleet::Phase;
use crate::worker::WorkerMessage;

/// What an attempt can be told.
#[derive(Debug, strum::IntoStaticStr)]
pub enum AttemptMessage {
    /// End it. Said again, it changes nothing.
    Stop(StopReason),
    /// It is over.
    Ended,
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
    /// Why it is to stop, where somebody has asked for that already.
    pub stop: Option<StopReason>,
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
        let AttemptArgs { token, stop, port, worker } = args;
        Ok(Self { token, stop, port, worker })
    }

    fn handle(&mut self, message: AttemptMessage, me: &Me<AttemptMessage>) -> Result<(), ActorError> {
        match message {
            AttemptMessage::Stop(why) => self.stop(why),
            AttemptMessage::Ended => me.stop(),
            AttemptMessage::Missing => self.missing(me),
            AttemptMessage::Present => self.command_stop(),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        let stop = self.stop.map_or_else(|| "no".to_owned(), |why| format!("{why:?}"));
        vec![Fact::new("token", self.token), Fact::new("to be stopped", stop)]
    }
}

impl AttemptActor {
    fn stop(&mut self, why: StopReason) {
        self.stop.get_or_insert(why);
        self.command_stop();
    }

    /// The host's memory went with its disk.
    fn missing(&self, me: &Me<AttemptMessage>) {
        let (outcome, usage) = (AttemptOutcome::Lost(LossReason::HostDied), Usage::default());
        let phase = Phase::ended(outcome, usage);
        self.worker.tell(WorkerMessage::AttemptChanged { token: self.token, phase });
        me.stop();
    }

    fn command_stop(&self) {
        if let Some(why) = self.stop {
            self.port.command(Command::Stop { token: self.token, why });
        }
    }
}
