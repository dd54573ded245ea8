//! What attempts have left goes when it is too old or too much.

use std::time::Duration;

use supervision::Me;

use super::{Worker, WorkerMessage};
use crate::output::retention;
use crate::wire::fleet::Phase;

/// Between two looks for output that is too old or too much.
pub(super) const RETENTION_EVERY: Duration = Duration::from_secs(60);

impl Worker {
    pub(super) fn retention_due(&self, me: &Me<WorkerMessage>) {
        self.sweep_spaces(me);
        self.look_for_labels(me);
        let running = self.tokens(|held| !matches!(held.phase, Phase::Ended { .. }));
        let (directory, retention) = (self.args.directory.output(), self.args.retention);
        let (now, depot) = (self.args.clock.wall(), self.args.depot.clone());
        me.run_blocking(move || {
            let runs = |token| running.binary_search(&token).is_ok();
            let removed = retention::apply(&directory, retention, now, runs);
            WorkerMessage::Retained(removed.map_err(|error| error.to_string().into()), depot.expire())
        });
    }

    pub(super) fn retained(
        &self,
        outcome: Result<usize, Box<str>>,
        artifacts: usize,
        me: &Me<WorkerMessage>,
    ) {
        if artifacts > 0 {
            tracing::info!(attempts = artifacts, "removed old artifacts");
        }
        match outcome {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed old output"),
            Err(error) => tracing::warn!(%error, "old output cannot be removed"),
        }
        me.after(RETENTION_EVERY, WorkerMessage::RetentionDue);
    }
}
