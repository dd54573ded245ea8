//! What the worker says of its attempts.

use policy::event::NodeEvent;
use policy::planted;
use policy::task::AttemptOutcome;

use crate::node::NodeActor;
use crate::wire::fleet::{Held, Phase, Report};

impl NodeActor {
    /// What has happened since the worker spoke last. The start of what has ended meanwhile goes to its task with
    /// the end: the shortest attempts are half of all messages otherwise.
    pub(super) fn reports(&mut self, reports: Vec<Report>) {
        let mut reports = reports.into_iter().peekable();
        while let Some(report) = reports.next() {
            let is_end =
                |next: &Report| next.token == report.token && matches!(next.phase, Phase::Ended { .. });
            match report.phase {
                Phase::Running { pid, step: None } => match reports.next_if(is_end) {
                    Some(end) => self.report(end, Some(pid)),
                    None => self.report(report, None),
                },
                _ => self.report(report, None),
            }
        }
    }

    /// One report on one attempt, which ran as `ran` where nobody was told of that.
    fn report(&mut self, Report { token, task, phase }: Report, ran: Option<u32>) {
        // What was stopped says nothing of how long attempts take.
        if let Phase::Ended { usage, outcome, .. } = &phase
            && self.attempts.is_running(token)
            && !matches!(outcome, AttemptOutcome::Cancelled | AttemptOutcome::Lost(_))
        {
            self.pace.observe(usage.wall);
        }
        let token = if planted!(NoFence) { self.attempts.current(task).unwrap_or(token) } else { token };
        if !self.attempts.report(token, phase, ran) {
            self.log(NodeEvent::StaleReport { task, token });
        }
        self.room_changed = true;
    }

    /// Compares what the worker holds with what it should hold.
    pub(super) fn reconcile(&mut self, inventory: Vec<Held>) {
        let held = inventory.iter().map(|held| held.token).collect();
        for Held { token, task, phase } in inventory {
            if self.attempts.is_news(token, &phase) {
                self.report(Report { token, task, phase }, None);
            }
        }
        self.attempts.missing(&held);
    }
}
