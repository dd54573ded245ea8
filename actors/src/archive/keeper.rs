//! The archive's keeper: folds closed segments of the log into snapshots, now and then.
//!
//! **Role.** Bounds what recovery has to read and what the log takes on disk.
//! **Parent** the scheduler side's core. **Hears** itself: `Due`, `Folded`. **Tells** scheduler: `Known`.
//! **Its crash** restarts the core; a fold that was under way is done again from where the store says.
//! **Invariant.** At most one fold is under way.

use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use supervision::{Actor, ActorError, Me, Message};

use crate::scheduler::SchedulerMessage;
use crate::side::Side;

/// Between two looks: a segment of the log takes longer to fill under any load.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Before the next segment, where several wait: others need the disk, too.
const NEXT_AFTER: Duration = Duration::from_millis(100);

/// How long the scheduler may take to say what it knows.
const KNOWN_DEADLINE: Duration = Duration::from_secs(60);

/// What the keeper can be told.
#[derive(Debug, IntoStaticStr)]
pub enum KeeperMessage {
    /// Timer: there may be something to fold.
    Due,
    /// A fold is over; `false` where it failed or found nothing.
    Folded(bool),
}

impl Message for KeeperMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything the keeper needs to start.
#[derive(Debug, Clone)]
pub struct KeeperArgs {
    /// Whom it knows.
    pub side: Arc<Side>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct KeeperActor {
    side: Arc<Side>,
}

impl Actor for KeeperActor {
    const KIND: &'static str = "keeper";
    type Message = KeeperMessage;
    type Args = KeeperArgs;

    fn start(args: KeeperArgs, me: &Me<KeeperMessage>) -> Result<Self, ActorError> {
        me.after(LOOK_EVERY, KeeperMessage::Due);
        Ok(Self { side: args.side })
    }

    fn handle(&mut self, message: KeeperMessage, me: &Me<KeeperMessage>) -> Result<(), ActorError> {
        match message {
            KeeperMessage::Due => self.due(me),
            KeeperMessage::Folded(more) => {
                me.after(if more { NEXT_AFTER } else { LOOK_EVERY }, KeeperMessage::Due);
            }
        }
        Ok(())
    }
}

impl KeeperActor {
    fn due(&self, me: &Me<KeeperMessage>) {
        if self.side.archive.unfolded_bytes() == 0 {
            me.after(LOOK_EVERY, KeeperMessage::Due);
            return;
        }
        let side = Arc::clone(&self.side);
        me.run(async move { KeeperMessage::Folded(fold(side).await) });
    }
}

async fn fold(side: Arc<Side>) -> bool {
    let asked = side.scheduler.ask(KNOWN_DEADLINE, SchedulerMessage::Known);
    let Ok(known) = asked.await else { return false };
    let keep = side.limits().log_bytes;
    let folded = tokio::task::spawn_blocking(move || side.archive.fold(&known, keep)).await;
    match folded {
        Ok(Ok(done)) => {
            tracing::info!(records = done.records, kept = done.changes, "folded a segment of the log");
            done.records > 0
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "a segment of the log could not be folded; trying again");
            false
        }
        Err(error) => {
            tracing::error!(%error, "folding panicked; trying again");
            false
        }
    }
}
