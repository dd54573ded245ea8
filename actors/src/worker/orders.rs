//! What the scheduler side says to the worker, one function per message.

use policy::id::{Epoch, NodeSession, TaskId, Token};
use policy::lease::{LeaseTerms, WorkerLease};
use policy::planted;
use policy::task::{AttemptOutcome, LossReason, Usage};
use policy::time::Moment;
use supervision::Me;

use super::attempt::AttemptMessage;
use super::held::HeldAttempt;
use super::{Worker, WorkerMessage};
use crate::process::protocol::{Command, StopReason};
use crate::wire::fleet::{Grant, Phase, Report, StopCause, ToWorker};

impl Worker {
    pub(super) fn scheduler_said(&mut self, message: ToWorker, me: &Me<WorkerMessage>) {
        match message {
            ToWorker::Welcome { session, epoch, terms } => self.welcome(session, epoch, terms),
            ToWorker::HeartbeatHeard { session, sent, .. } if self.is_now(session) => self.heard(sent, me),
            ToWorker::Run { session, grants } if self.is_now(session) => self.run(grants, me),
            ToWorker::Stop { session, tokens, cause } if self.is_now(session) => {
                tokens.into_iter().for_each(|token| self.stop(token, reason(cause), me));
            }
            ToWorker::Halt { session, halted } if self.is_now(session) => self.halt(halted),
            ToWorker::Forget { session, tokens } if self.is_now(session) => self.forget(tokens),
            ToWorker::Reregister => self.reregister(),
            ToWorker::ReadOutput { request, token, read } => self.read_output(request, token, read, me),
            ToWorker::ReadArtifact { request, token, read } => self.read_artifact(request, token, read, me),
            ToWorker::Signal { request, token, signal } => self.signal(request, token, signal),
            // Of a session that is over; and what the machine's inspector takes before it comes here.
            ToWorker::Inspect { .. }
            | ToWorker::HeartbeatHeard { .. }
            | ToWorker::Run { .. }
            | ToWorker::Stop { .. }
            | ToWorker::Halt { .. }
            | ToWorker::Forget { .. } => {}
        }
    }

    fn is_now(&self, session: NodeSession) -> bool {
        self.session == Some(session)
    }

    /// Without a session a registration is on its way already. Another one would end the session that it
    /// brings, whose first message would ask for another one, and so on for ever.
    pub(super) fn reregister(&mut self) {
        if self.session.take().is_some() {
            self.register();
        }
    }

    fn welcome(&mut self, session: NodeSession, epoch: Epoch, terms: LeaseTerms) {
        if self.epoch.is_some_and(|known| epoch < known) {
            return;
        }
        if terms != self.terms {
            // The host keeps the deadline it was told until the new lease begins.
            self.lease = WorkerLease::new(terms);
            self.terms = terms;
        }
        self.forget_unstarted();
        (self.epoch, self.session) = (Some(epoch), Some(session));
        // The least: a scheduler side that has lost its log counts from one again.
        self.first_session = self.first_session.into_iter().chain([session]).min();
        self.heartbeat();
    }

    /// What an earlier session granted and nobody has begun may be granted elsewhere by now. Whoever still wants it
    /// from here sends it again, since the next heartbeat does not name it. One whose workspace is being made goes on, as one
    /// does that waits in the host, until it is said not to.
    fn forget_unstarted(&mut self) {
        for token in self.tokens(|held| held.waits_here() && held.space.is_none()) {
            self.held.remove(&token);
        }
        self.granted.retain(|token| self.held.contains_key(token));
    }

    fn heard(&mut self, sent: Moment, me: &Me<WorkerMessage>) {
        let now = self.args.clock.now();
        if self.lease.must_kill(now) {
            self.lose_staged(me);
        }
        if sent > now {
            tracing::warn!(%sent, "an answer to a heartbeat that was not sent yet");
            return;
        }
        self.lease.heard(if planted!(LeaseFromAnswer) { self.args.clock.now() } else { sent });
        self.send_lease();
        self.start_ready(me);
    }

    fn run(&mut self, grants: Vec<Grant>, me: &Me<WorkerMessage>) {
        for grant in grants {
            let (token, task) = (grant.token, grant.task);
            if self.held.contains_key(&token) {
                continue;
            }
            let refused = self.refused(&grant);
            self.held
                .insert(token, HeldAttempt { grant: Some(grant), ..HeldAttempt::new(task, Phase::Staged) });
            match refused {
                None => self.granted.push_back(token),
                Some(reason) => self.ended(token, AttemptOutcome::Lost(reason), me),
            }
        }
        self.start_ready(me);
    }

    /// Why it is not run here. What was granted before this life began comes because nobody has reported it; a life
    /// before may have begun it all the same, and where nothing is kept nobody can say that it has not.
    fn refused(&self, grant: &Grant) -> Option<LossReason> {
        let is_since = self.first_session.is_some_and(|first| grant.token.is_since(first));
        if !is_since && !self.args.port.remembers() && !planted!(HandledAgain) {
            return Some(LossReason::HostDied);
        }
        let possible = self.drain.is_none() && self.args.capacity.covers(grant.need());
        (!possible).then_some(LossReason::Evicted)
    }

    pub(super) fn stop(&mut self, token: Token, why: StopReason, me: &Me<WorkerMessage>) {
        let Some(held) = self.held.get_mut(&token) else {
            let outcome = match why {
                StopReason::Drain | StopReason::Preempt => why.outcome(),
                _ => AttemptOutcome::Lost(LossReason::Unknown),
            };
            let phase = Phase::ended(outcome, Usage::default());
            // Nobody here knows its task any more; the token says it all.
            return self.report(Report { token, task: TaskId(0), phase }, me);
        };
        match (&held.phase, &held.attempt) {
            (_, Some(attempt)) => attempt.tell(AttemptMessage::Stop(why)),
            (Phase::Staged, None) if held.is_hosted => {
                held.stop.get_or_insert(why);
                self.args.port.command(Command::Stop { token, why });
            }
            (Phase::Staged | Phase::Running { .. }, None) => self.ended(token, why.outcome(), me),
            (Phase::Ended { .. }, None) => {
                let report = Report { token, task: held.task, phase: held.phase.clone() };
                self.report(report, me);
            }
        }
    }

    fn halt(&mut self, is_halted: bool) {
        self.is_halted = Some(is_halted);
        self.args.port.command(Command::Halt(is_halted));
    }

    fn forget(&mut self, mut tokens: Vec<Token>) {
        let held = &mut self.held;
        tokens.retain(|token| {
            let over = held.get(token).is_some_and(|held| matches!(held.phase, Phase::Ended { .. }));
            over && held.remove(token).is_some()
        });
        if !tokens.is_empty() {
            self.args.port.command(Command::Forget(tokens));
        }
        self.finish_drain();
    }
}

/// As the host is told it.
fn reason(cause: StopCause) -> StopReason {
    match cause {
        StopCause::Drain => StopReason::Drain,
        StopCause::Preempt => StopReason::Preempt,
        StopCause::End => StopReason::Cancel,
    }
}
