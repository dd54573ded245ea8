//! The worker's dealings with its host: what it says, what it still holds, what is started on it.

use policy::id::Token;
use policy::planted;
use policy::task::{AttemptOutcome, LossReason, Usage};
use rustc_hash::FxHashSet;
use supervision::{Address, Me};

use super::attempt::{AttemptArgs, AttemptMessage};
use super::{HeldAttempt, Worker, WorkerMessage};
use crate::process::port::HostEvent;
use crate::process::protocol::{Command, HostReport, Hosted, HostedPhase, Start};
use crate::wire::fleet::{Grant, Phase};

impl Worker {
    pub(super) fn host_said(&mut self, event: HostEvent, me: &Me<WorkerMessage>) {
        match event {
            HostEvent::Connected { pid } => {
                tracing::debug!(pid, "connected to the process host");
                self.inventory.clear();
            }
            HostEvent::Disconnected => {
                self.host_known = false;
                self.inventory.clear();
            }
            HostEvent::NoHost(reason) => tracing::error!(%reason, "no process host: nothing can run here"),
            HostEvent::Reports(reports) => {
                for report in reports {
                    self.host_reported(report, me);
                }
            }
        }
    }

    fn host_reported(&mut self, report: HostReport, me: &Me<WorkerMessage>) {
        match report {
            HostReport::Hello { .. } => {}
            HostReport::Started { token, pid } => self.tell_attempt(token, AttemptMessage::Started { pid }),
            HostReport::Ended { token, outcome, usage } => {
                self.tell_attempt(token, AttemptMessage::Ended { outcome, usage });
            }
            HostReport::Inventory { attempts, last } => {
                self.inventory.extend(attempts);
                if last {
                    let hosted = std::mem::take(&mut self.inventory);
                    self.reconcile(hosted, me);
                }
            }
            HostReport::Unkillable { token, pids } => {
                tracing::error!(%token, ?pids, "processes survive being killed; the attempt keeps its resources");
            }
            HostReport::Trouble(text) => tracing::warn!(%text, "the process host has trouble"),
        }
    }

    fn tell_attempt(&self, token: Token, message: AttemptMessage) {
        if let Some(attempt) = self.held.get(&token).and_then(|held| held.attempt.as_ref()) {
            attempt.tell(message);
        }
    }

    /// Makes what is held here and what the host holds the same.
    fn reconcile(&mut self, hosted: Vec<Hosted>, me: &Me<WorkerMessage>) {
        let there: FxHashSet<Token> = hosted.iter().map(|attempt| attempt.token).collect();
        for (token, held) in &self.held {
            if let Some(attempt) = held.attempt.as_ref().filter(|_| !there.contains(token)) {
                attempt.tell(AttemptMessage::Missing);
            }
        }
        for attempt in hosted {
            if !self.held.contains_key(&attempt.token) {
                self.adopt(&attempt, me);
            }
            let told = match attempt.phase {
                HostedPhase::Starting => AttemptMessage::Present,
                HostedPhase::Running { pid } => {
                    self.tell_attempt(attempt.token, AttemptMessage::Started { pid });
                    AttemptMessage::Present
                }
                HostedPhase::Ended { outcome, usage } => AttemptMessage::Ended { outcome, usage },
            };
            self.tell_attempt(attempt.token, told);
        }
        self.host_known = true;
        self.send_deadline();
        self.register();
        self.start_ready(me);
    }

    /// Takes over what an earlier life of this worker had started.
    fn adopt(&mut self, hosted: &Hosted, me: &Me<WorkerMessage>) {
        let Hosted { token, task, ref need, ref phase, .. } = *hosted;
        let (attempt, phase) = match phase {
            HostedPhase::Ended { outcome, usage } => {
                let report = self.read_report(token);
                (None, Phase::Ended { outcome: outcome.clone(), usage: *usage, report })
            }
            HostedPhase::Starting | HostedPhase::Running { .. } => {
                let pid = if let HostedPhase::Running { pid } = phase { *pid } else { 0 };
                if !self.slots.adopt(token, need.clone()) {
                    tracing::warn!(%token, "an adopted attempt exceeds what is free here");
                }
                (self.start_attempt(token, None, me), Phase::Running { pid })
            }
        };
        self.held.insert(token, HeldAttempt { task, phase, grant: None, attempt });
    }

    /// Starts what is next, as long as there are resources, a host and the right to.
    pub(super) fn start_ready(&mut self, me: &Me<WorkerMessage>) {
        while self.host_known && self.drain.is_none() && self.lease.may_start(self.args.clock.now()) {
            let Some(token) = self.slots.start_next() else { return };
            let Some(grant) = self.held.get_mut(&token).and_then(|held| held.grant.take()) else { continue };
            let start = Box::new(self.start_of(&grant));
            let attempt = self.start_attempt(token, Some(start), me);
            if attempt.is_none() {
                let outcome = AttemptOutcome::Lost(LossReason::Evicted);
                self.attempt_changed(token, Phase::ended(outcome, Usage::default()), me);
            } else if let Some(held) = self.held.get_mut(&token) {
                held.attempt = attempt;
            }
        }
    }

    pub(super) fn start_attempt(
        &self,
        token: Token,
        start: Option<Box<Start>>,
        me: &Me<WorkerMessage>,
    ) -> Option<Address<AttemptMessage>> {
        let address = Address::new("attempt", token.to_string());
        let port = self.args.port.clone();
        let args = AttemptArgs { token, start, port, worker: me.address().clone() };
        match self.args.attempts.start(args, &address) {
            Ok(()) => Some(address),
            Err(refusal) => {
                tracing::error!(%token, %refusal, "an attempt cannot be followed");
                None
            }
        }
    }

    fn start_of(&self, grant: &Grant) -> Start {
        let spec = &grant.spec;
        let home = || self.args.base.get("HOME").cloned().unwrap_or_else(|| "/".into());
        Start {
            token: grant.token,
            task: grant.task,
            attempt: grant.attempt,
            need: spec.resources.clone(),
            argv: spec.argv.clone(),
            directory: spec.directory.clone().unwrap_or_else(home),
            environment: self.args.base.with(
                grant,
                &self.args.node,
                &self.args.directory.report(grant.token),
            ),
            timeout: grant.timeout(),
            grace: spec.grace,
            output: self.args.output,
        }
    }

    /// The host enforces the lease's end also when this daemon is dead by then.
    pub(super) fn send_deadline(&self) {
        if let Some(kill_at) = self.lease.kill_at().filter(|_| !planted!(NoHostDeadline)) {
            self.args.port.command(Command::Deadline(kill_at));
        }
    }

    /// Follows again attempts whose actor has died; the host tells how far they are.
    pub(super) fn follow_orphaned(&mut self, me: &Me<WorkerMessage>) {
        let unfollowed = |held: &HeldAttempt| match (&held.phase, &held.attempt) {
            (Phase::Staged | Phase::Running { .. }, Some(attempt)) => !attempt.is_bound(),
            (Phase::Running { .. }, None) => true,
            (Phase::Staged | Phase::Ended { .. }, _) => false,
        };
        let tokens: Vec<Token> =
            self.held.iter().filter(|(_, held)| unfollowed(held)).map(|(token, _)| *token).collect();
        for token in &tokens {
            let attempt = self.start_attempt(*token, None, me);
            if let Some(held) = self.held.get_mut(token) {
                held.attempt = attempt;
            }
        }
        if !tokens.is_empty() {
            self.args.port.command(Command::Inventory);
        }
    }
}
