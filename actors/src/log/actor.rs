//! The log's keeper: one per log.
//!
//! **Role.** Puts the log under supervision: a broken log ends this actor, and with it the scheduler side,
//! which starts again from what is durable. Where the log is driven (in simulations) it also does the
//! syncing, a moment after the first append.
//! **Parent** the scheduler side's root.   **Hears** itself: HealthChanged, Appended, SyncDue.
//! **Tells** nobody; whoever waits for a record says so to the [`Log`].
//! **On crash** everything that stands on the log starts again; a broken log has to be opened anew.
//! **Invariant.** While it lives, the log is not broken.

use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Fact, Me, Message};
use tokio::task::JoinHandle;

use crate::log::shared::STALL_RETRY;
use crate::log::{Log, LogHealth, Step};

/// How long a driven log lets appends gather before it syncs: what a sync takes on the build machine.
const SYNC_DELAY: Duration = Duration::from_micros(200);

/// What the keeper can be told.
#[derive(Debug, IntoStaticStr)]
pub enum LogMessage {
    /// The log is in another state than it was.
    HealthChanged(LogHealth),
    /// Something waits to be made durable, by us.
    Appended,
    /// Timer: enough has gathered.
    SyncDue,
}

impl Message for LogMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything the keeper needs to start.
#[derive(Debug, Clone)]
pub struct LogArgs {
    /// The log, open.
    pub log: Log,
}

/// See the module docs.
#[derive(Debug)]
pub struct LogActor {
    log: Log,
    /// Waits for the first append; it holds the log, so it ends with us.
    gathering: Option<JoinHandle<()>>,
}

/// The log is of no use any more.
#[derive(Debug, thiserror::Error)]
#[error("the log is broken: {0}")]
struct LogBroken(Arc<str>);

impl Actor for LogActor {
    const KIND: &'static str = "log";
    type Message = LogMessage;
    type Args = LogArgs;

    fn start(args: LogArgs, me: &Me<LogMessage>) -> Result<Self, ActorError> {
        let actor = Self { log: args.log, gathering: None };
        actor.health_changed(actor.log.health(), me)?;
        if actor.log.is_driven() {
            me.after(SYNC_DELAY, LogMessage::SyncDue);
        }
        Ok(actor)
    }

    fn handle(&mut self, message: LogMessage, me: &Me<LogMessage>) -> Result<(), ActorError> {
        match message {
            LogMessage::HealthChanged(health) => self.health_changed(health, me)?,
            LogMessage::Appended => drop(me.after(SYNC_DELAY, LogMessage::SyncDue)),
            LogMessage::SyncDue => self.sync_due(me),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        vec![
            Fact::new("last record", self.log.last()),
            Fact::new("last durable record", self.log.durable()),
            Fact::new("not durable", crate::say::size(self.log.pending_bytes() as u64)),
            Fact::new("end", crate::say::size(self.log.durable_end())),
            Fact::new("health", format!("{:?}", self.log.health())),
        ]
    }
}

impl LogActor {
    fn health_changed(&self, health: LogHealth, me: &Me<LogMessage>) -> Result<(), ActorError> {
        match health {
            LogHealth::Broken { reason } => return Err(LogBroken(reason).into()),
            LogHealth::Closed => {}
            LogHealth::Good | LogHealth::Stalled { .. } => self.await_change(health, me),
        }
        Ok(())
    }

    fn sync_due(&mut self, me: &Me<LogMessage>) {
        match self.log.sync_now() {
            Step::Idle | Step::Wrote => self.await_append(me),
            Step::Stalled => drop(me.after(STALL_RETRY, LogMessage::SyncDue)),
            // The change of health is on its way to us.
            Step::Broken => {}
        }
    }

    fn await_change(&self, from: LogHealth, me: &Me<LogMessage>) {
        let mut changes = self.log.subscribe_health();
        me.run(async move {
            let changed = changes.wait_for(|now| *now != from).await;
            LogMessage::HealthChanged(changed.map_or(LogHealth::Closed, |now| now.clone()))
        });
    }

    fn await_append(&mut self, me: &Me<LogMessage>) {
        let log = self.log.clone();
        self.gathering = Some(me.run(async move {
            log.appended().await;
            LogMessage::Appended
        }));
    }
}

impl Drop for LogActor {
    fn drop(&mut self) {
        if let Some(gathering) = &self.gathering {
            gathering.abort();
        }
    }
}
