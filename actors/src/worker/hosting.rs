//! The worker's dealings with its host: what it says, what it still holds, what is started on it.

use policy::id::Token;
use policy::planted;
use policy::task::{AttemptOutcome, LossReason};
use policy::time::Moment;
use rustc_hash::FxHashSet;
use supervision::{Address, Me};

use super::attempt::{AttemptArgs, AttemptMessage};
use super::held::HeldAttempt;
use super::{Worker, WorkerArgs, WorkerMessage, place, stages};
use crate::process::port::HostEvent;
use crate::process::protocol::{Command, HostReport, Hosted, HostedPhase, Start, StopReason};
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
                self.look_for_reports();
                let ended = |report: &HostReport| match report {
                    HostReport::Ended { token, .. } => Some(*token),
                    _ => None,
                };
                let over: FxHashSet<Token> = reports.iter().filter_map(ended).collect();
                for report in reports {
                    self.host_reported(report, &over, me);
                }
            }
        }
    }

    /// One report of several, in which the ends of `over` are told.
    fn host_reported(&mut self, report: HostReport, over: &FxHashSet<Token>, me: &Me<WorkerMessage>) {
        match report {
            HostReport::Hello { .. } => {}
            HostReport::Started { token, pid, step } => {
                if !over.contains(&token) {
                    self.follow(token, me);
                }
                self.attempt_changed(token, Phase::Running { pid, step }, me);
            }
            HostReport::Ended { token, outcome, usage, steps } => {
                self.attempt_changed(token, Phase::ended_after(outcome, usage, steps), me);
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
            HostReport::Sampled(samples) => self.sampled(samples, me),
            HostReport::Trouble(text) => tracing::warn!(%text, "the process host has trouble"),
        }
    }

    /// Gives an attempt that runs an actor of its own, unless it has one.
    fn follow(&mut self, token: Token, me: &Me<WorkerMessage>) {
        let followed = |held: &HeldAttempt| held.attempt.as_ref().is_some_and(Address::is_bound);
        let Some(held) = self.held.get(&token).filter(|held| !followed(held)) else { return };
        let attempt = self.start_attempt(token, held.stop, me);
        if let Some(held) = self.held.get_mut(&token) {
            held.attempt = attempt;
        }
    }

    /// Makes what is held here and what the host holds the same.
    fn reconcile(&mut self, hosted: Vec<Hosted>, me: &Me<WorkerMessage>) {
        // Before anything is said again that depends on it.
        self.args.port.command(Command::Capacity(self.args.capacity.clone()));
        if let Some(is_halted) = self.is_halted {
            self.args.port.command(Command::Halt(is_halted));
        }
        self.send_lease();
        let there: FxHashSet<Token> = hosted.iter().map(|attempt| attempt.token).collect();
        for token in
            self.tokens(|held| held.is_hosted).into_iter().rev().filter(|token| !there.contains(token))
        {
            self.missing(token, me);
        }
        for attempt in hosted {
            self.present(attempt, me);
        }
        self.host_known = true;
        self.register();
        self.start_ready(me);
        self.sweep_spaces(me);
    }

    /// The host does not hold what it was told to start: the command was lost, or the host's memory. It has
    /// written down whatever it had begun.
    fn missing(&mut self, token: Token, me: &Me<WorkerMessage>) {
        let Some(held) = self.held.get_mut(&token) else { return };
        match (&held.attempt, held.stop) {
            _ if matches!(held.phase, Phase::Ended { .. }) => {}
            (Some(attempt), _) => attempt.tell(AttemptMessage::Missing),
            (None, Some(why)) => self.ended(token, why.outcome(), me),
            (None, None) if held.grant.is_some() => {
                held.is_hosted = false;
                self.granted.push_front(token);
            }
            (None, None) => self.ended(token, AttemptOutcome::Lost(LossReason::HostDied), me),
        }
    }

    /// The host holds this.
    fn present(&mut self, hosted: Hosted, me: &Me<WorkerMessage>) {
        let Hosted { token, task, phase, .. } = hosted;
        let is_new = !self.held.contains_key(&token);
        let held = self.held.entry(token).or_insert_with(|| HeldAttempt::new(task, Phase::Staged));
        held.is_hosted = true;
        let stop = held.stop;
        let phase = match phase {
            HostedPhase::Staged => Phase::Staged,
            HostedPhase::Starting if !is_new => Phase::Staged,
            // Of an earlier life of this worker, which may have told of it.
            HostedPhase::Starting => Phase::Running { pid: 0, step: None },
            HostedPhase::Running { pid, step } => Phase::Running { pid, step },
            HostedPhase::Ended { outcome, usage, steps } => Phase::ended_after(outcome, usage, steps),
        };
        match phase {
            Phase::Running { .. } => {
                self.follow(token, me);
                self.tell_attempt(token, AttemptMessage::Present);
            }
            Phase::Staged => {
                if let Some(why) = stop {
                    self.args.port.command(Command::Stop { token, why });
                }
            }
            Phase::Ended { .. } => {}
        }
        if phase != Phase::Staged {
            self.attempt_changed(token, phase, me);
        }
    }

    fn tell_attempt(&self, token: Token, message: AttemptMessage) {
        if let Some(attempt) = self.held.get(&token).and_then(|held| held.attempt.as_ref()) {
            attempt.tell(message);
        }
    }

    /// Hands everything that was granted to the host, as long as there is one and the right to: it starts
    /// each when its turn comes. Who wants a workspace is handed over when that is there, and holds up nobody.
    pub(super) fn start_ready(&mut self, me: &Me<WorkerMessage>) {
        while self.host_known && self.drain.is_none() && self.lease.may_start(self.args.clock.now()) {
            let Some(token) = self.granted.pop_front() else { break };
            if self.waits_for_space(token) {
                continue;
            }
            let Some(held) = self.held.get_mut(&token) else { continue };
            let Some(grant) = held.grant.as_ref().filter(|_| !held.is_hosted) else { continue };
            if let Some(failure) = stages::refused(&self.args, grant) {
                self.ended(token, AttemptOutcome::SpawnFailed(failure), me);
                continue;
            }
            let mut start = start_of(&self.args, grant);
            place::move_in(&mut start, grant, held.space.as_deref(), &self.args.directory.report(token));
            // In a sandbox its report was there before.
            let is_walled = grant.spec.provision.as_ref().is_some_and(|one| one.sandbox.is_some());
            let given = if is_walled { Moment::default() } else { self.args.clock.now() };
            (held.is_hosted, held.given) = (true, given);
            self.args.port.command(Command::Start(Box::new(start)));
        }
        self.work_on_spaces(me);
    }

    fn start_attempt(
        &self,
        token: Token,
        stop: Option<StopReason>,
        me: &Me<WorkerMessage>,
    ) -> Option<Address<AttemptMessage>> {
        let address = Address::new("attempt", token.to_string());
        let port = self.args.port.clone();
        let args = AttemptArgs { token, stop, port, worker: me.address().clone() };
        match self.args.attempts.start(args, &address) {
            Ok(()) => Some(address),
            Err(refusal) => {
                // Tried again with the next heartbeat.
                tracing::error!(%token, %refusal, "an attempt cannot be followed");
                None
            }
        }
    }

    /// The host enforces the lease's end also when this daemon is dead by then.
    pub(super) fn send_lease(&self) {
        let lease = self.lease.start_until().zip(self.lease.kill_at());
        if let Some((start_until, kill_at)) = lease.filter(|_| !planted!(NoHostDeadline)) {
            self.args.port.command(Command::Lease { start_until, kill_at });
        }
    }

    /// Follows again attempts whose actor has died; the host tells how far they are.
    pub(super) fn follow_orphaned(&mut self, me: &Me<WorkerMessage>) {
        let unfollowed = |held: &HeldAttempt| {
            matches!(held.phase, Phase::Running { .. })
                && !held.attempt.as_ref().is_some_and(Address::is_bound)
        };
        let tokens = self.tokens(unfollowed);
        tokens.iter().for_each(|token| self.follow(*token, me));
        if !tokens.is_empty() {
            self.args.port.command(Command::Inventory);
        }
    }
}

fn start_of(args: &WorkerArgs, grant: &Grant) -> Start {
    let spec = &grant.spec;
    Start {
        token: grant.token,
        task: grant.task,
        attempt: grant.attempt,
        need: grant.need().clone(),
        argv: spec.argv.clone(),
        directory: spec.directory.clone().unwrap_or_else(|| place::home(args)),
        environment: args.base.with(grant, &args.node, &args.directory.report(grant.token)),
        bounds: grant.bounds((args.clock.now(), args.clock.wall())),
        limits: spec.limits.as_deref().copied().unwrap_or_default(),
        grace: spec.grace,
        output: args.output,
        qos: spec.qos,
        stages: stages::plan(args, grant),
    }
}
