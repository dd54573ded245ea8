//! What a worker holds, for an operator who looks.

use supervision::Fact;

use super::Worker;
use crate::wire::fleet::Phase;

/// Attempts that are shown: what fits on a screen.
const SHOWN: usize = 32;

impl Worker {
    pub(super) fn facts(&self) -> Vec<Fact> {
        let session = self.session.map_or_else(|| "none".to_owned(), |session| session.0.to_string());
        let left = |deadline: policy::time::Moment| crate::say::length(deadline.since(self.args.clock.now()));
        let lease = self.lease.deadline().map_or_else(|| "there is none".to_owned(), left);
        let mut facts = vec![
            Fact::new("connected", self.linked),
            Fact::new("host known", self.host_known),
            Fact::new("session", session),
            Fact::new("lease ends in", lease),
            Fact::new("heartbeats", self.sequence),
            Fact::new("held", self.held.len()),
            Fact::new("to be started", self.granted.len()),
            Fact::new("reports to be sent", self.reports.len()),
            Fact::new("readers of output", self.readers),
            Fact::new("draining", self.drain.is_some()),
        ];
        facts.extend(self.held.iter().take(SHOWN).map(|(token, held)| {
            let phase = match &held.phase {
                Phase::Staged => "staged".to_owned(),
                Phase::Running { pid, step: None } => format!("runs, pid {pid}"),
                Phase::Running { pid, step: Some(step) } => format!("runs: {step}, pid {pid}"),
                Phase::Ended { outcome, .. } => format!("over: {outcome}"),
            };
            Fact::new(format!("{} under {token}", held.task), phase)
        }));
        facts
    }
}
