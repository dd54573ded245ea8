//! What the node says of the attempt, and its end.

use policy::breaker::Verdict;
use policy::budget::{self, Charge};
use policy::event::{Next, TaskEvent};
use policy::id::Token;
use policy::lifecycle::{AttemptEnd, EndRules};
use policy::stages;
use policy::task::{AttemptOutcome, LossReason, TaskReport, Usage};
use policy::trap;
use supervision::Me;

use crate::log::Appended;
use crate::node::{Closing, NodeMessage};
use crate::task::{Purpose, Step, TaskActor, TaskMessage};
use crate::wire::fleet::Phase;

impl TaskActor {
    pub(super) fn reported(
        &mut self,
        token: Token,
        (phase, ran): (Phase, Option<u32>),
        order: u64,
        me: &Me<TaskMessage>,
    ) {
        match phase {
            Phase::Staged => {}
            Phase::Running { pid, step } => {
                if let Some(appended) = self.started(token, pid, order) {
                    self.tell_scheduler(Step::Noted, appended);
                }
                if let Some(step) = step {
                    self.step_began(token, step, pid);
                }
            }
            Phase::Ended { outcome, usage, report } => {
                // The scheduler hears of the end, which goes on from here.
                let _ = ran.and_then(|pid| self.started(token, pid, order));
                self.ended(AttemptEnd { token, outcome, usage, order, report }, me);
            }
        }
    }

    fn started(&mut self, token: Token, pid: u32, order: u64) -> Option<Appended> {
        let event = self.story.life.started(token, pid, order).ok()?;
        let appended = self.append(|_| event.clone());
        trap!(TaskWrote);
        Some(appended)
    }

    fn step_began(&mut self, token: Token, step: stages::Step, pid: u32) {
        if let Ok(event) = self.story.life.step_began(token, step, pid) {
            let appended = self.append(|_| event.clone());
            self.tell_scheduler(Step::Noted, appended);
        }
    }

    pub(super) fn lost(&mut self, token: Token, reason: LossReason, me: &Me<TaskMessage>) {
        let outcome = AttemptOutcome::Lost(reason);
        let usage = Usage::default();
        self.ended(AttemptEnd { token, outcome, usage, order: 0, report: None }, me);
    }

    fn ended(&mut self, mut end: AttemptEnd, me: &Me<TaskMessage>) {
        self.warn_of_report(&mut end);
        let token = end.token;
        let rules = EndRules {
            retry: &self.item.item.spec.retry,
            poison_after: self.args.side.limits().poison_after,
            excused: self.excused(),
            jitter_per_mille: jitter_of(token),
        };
        let verdict = Verdict::from(&end.outcome);
        let Ok(event) = self.story.life.attempt_ended(end, rules) else { return };
        let appended = self.append(|_| event.clone());
        trap!(TaskWrote);
        let TaskEvent::AttemptEnded { next, report, outcome, usage, .. } = event else { return };
        self.tell_scheduler(self.over(next, &outcome, &usage, report), appended);
        self.close_attempt(token, verdict, appended.number);
        me.stop();
    }

    /// Of how many of its deaths it was known not to be to blame when it was placed; after a restart it is known of none.
    fn excused(&self) -> u32 {
        match &self.args.purpose {
            Purpose::Grant { terms, .. } => terms.excused,
            _ => 0,
        }
    }

    /// The node may forget the attempt once the record with this number is on disk.
    pub(super) fn close_attempt(&self, token: Token, verdict: Verdict, number: u64) {
        if let Some(node) = self.node().cloned() {
            let at = Token::numbered(self.args.side.epoch(), number);
            let closing = Closing { verdict, at, kind: self.item.item.spec.kind.clone() };
            let closed = NodeMessage::AttemptClosed { token, closing };
            self.args.side.log.when_durable(number, move || node.tell(closed));
        }
    }

    /// What cannot be understood in a report is an event of its own, and nothing more.
    fn warn_of_report(&mut self, end: &mut AttemptEnd) {
        let Some(report) = &mut end.report else { return };
        let faults = std::mem::take(&mut report.faults);
        if report.is_empty() {
            end.report = None;
        }
        if !faults.is_empty()
            && let Ok(event) = self.story.life.report_ignored(end.token, faults)
        {
            let appended = self.append(|_| event.clone());
            self.tell_scheduler(Step::Noted, appended);
        }
    }

    /// What the end of an attempt means to the scheduler.
    pub(super) fn over(
        &self,
        next: Next,
        outcome: &AttemptOutcome,
        usage: &Usage,
        report: Option<Box<TaskReport>>,
    ) -> Step {
        let charge = Charge::of(usage, report.as_deref());
        let is_retry = budget::is_retry(&next, outcome, report.as_deref());
        let evicted_for = self.story.life.evicted_for().filter(|_| outcome.is_put_off());
        let is_suspect = self.story.life.is_suspect();
        let has_died = outcome.is_death() && self.story.life.has_just_died();
        Step::Over { next, report, charge, is_retry, evicted_for, is_suspect, has_died }
    }
}

/// Spreads waits without a source of chance: the token's own bits, mixed.
fn jitter_of(token: Token) -> u32 {
    let mixed = token.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    u32::try_from(mixed % 1001).unwrap_or(0)
}
