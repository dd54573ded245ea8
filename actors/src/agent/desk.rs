//! The desk: what an agent has in place of the process host.
//!
//! **Role.** Calls a function for each attempt when its turn comes, stops it when told to or when its time is over, and
//! tells how it ended. **Decides with** `policy::slots`, `policy::bounds`. **Parent** the machine side, before the worker.
//! **Hears** the worker, by its port; its functions' ends; itself. **Tells** the worker what a host would.
//! **On crash** its functions end where they await, and are lost: the next desk knows none of them, and the worker, which is
//! restarted with it, reports so whatever was granted before (`HostPort::remembers`).
//! **Invariant.** Nothing is called beyond the capacity or later than the lease allows; how an attempt ended is told when its
//! function is gone.

mod called;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::handler;
use policy::id::Token;
use policy::output::Stream;
use policy::sample::{Pace, Sample};
use policy::signal::TaskSignal;
use policy::slots::Slots;
use policy::task::{AttemptOutcome, LossReason, SpawnFailure, Usage};
use policy::time::Moment;
use supervision::{Actor, ActorError, Address, Fact, Me, Message};
use tokio::sync::watch;
use tokio::task::JoinError;

use self::called::Called;
use super::Handlers;
use super::call::{Call, Paper};
use crate::clock::Clock;
use crate::output::spool::SpoolWriter;
use crate::process::port::{HostEvent, HostListener, HostPort};
use crate::process::protocol::{
    Command, HostDirectory, HostReport, Hosted, HostedPhase, INVENTORY_PART, SAMPLES_PART, Start, StopReason,
};

/// Between two looks at the time while there are attempts: the lease clock runs while the machine sleeps, timers do not.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Ends that the worker has not let go of; beyond it nothing more is called.
const ENDED_LIMIT: usize = 100_000;
/// What one exits with that refuses.
const REFUSED: i32 = 1;
/// What one exits with that panics, as a program of Rust does.
const PANICKED: i32 = 101;

/// What a desk can be told.
#[derive(Debug, strum::IntoStaticStr)]
pub enum DeskMessage {
    /// The worker wants something.
    Command(Command),
    /// A function is gone.
    Over {
        /// Whose it was.
        token: Token,
        /// What it has come to.
        end: Result<Result<(), String>, JoinError>,
    },
    /// Timer: something may be due.
    LookDue,
}

impl Message for DeskMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything a desk needs to start.
#[derive(Clone)]
pub struct DeskArgs {
    /// What is called.
    pub handlers: Handlers,
    /// Where output and reports are kept.
    pub directory: HostDirectory,
    /// The time.
    pub clock: Clock,
    /// The worker.
    pub listener: HostListener,
}

impl fmt::Debug for DeskArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeskArgs({:?})", self.handlers)
    }
}

/// The worker's way to a desk.
#[derive(Debug)]
pub struct DeskPort(pub Address<DeskMessage>);

impl HostPort for DeskPort {
    fn command(&self, command: Command) {
        self.0.tell(DeskMessage::Command(command));
    }

    fn signal(&self, _: Token, _: TaskSignal) -> Result<(), Box<str>> {
        Err("an agent's function handles it, which hears no signals; crab cancel is told to it".into())
    }

    fn remembers(&self) -> bool {
        false
    }
}

/// See the module docs.
pub struct Desk {
    args: DeskArgs,
    slots: Slots,
    staged: BTreeMap<Token, Start>,
    called: BTreeMap<Token, Called>,
    ended: BTreeMap<Token, Hosted>,
    start_until: Option<Moment>,
    kill_at: Option<Moment>,
    is_halted: bool,
    sampling: Pace,
    is_looking: bool,
    reports: Vec<HostReport>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("called", &self.called.len()).finish_non_exhaustive()
    }
}

impl Actor for Desk {
    const KIND: &'static str = "desk";
    type Message = DeskMessage;
    type Args = DeskArgs;

    fn start(args: DeskArgs, _: &Me<DeskMessage>) -> Result<Self, ActorError> {
        Ok(Self {
            slots: Slots::new(args.handlers.capacity()),
            sampling: Pace::of_samples(args.clock.now()),
            args,
            staged: BTreeMap::new(),
            called: BTreeMap::new(),
            ended: BTreeMap::new(),
            start_until: None,
            kill_at: None,
            is_halted: false,
            is_looking: false,
            reports: Vec::new(),
        })
    }

    fn handle(&mut self, message: DeskMessage, me: &Me<DeskMessage>) -> Result<(), ActorError> {
        match message {
            DeskMessage::Command(command) => self.obey(command),
            DeskMessage::Over { token, end } => self.over(token, end),
            DeskMessage::LookDue => self.is_looking = false,
        }
        self.enforce();
        self.call_next(me);
        self.look_later(me);
        self.tell();
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        vec![Fact::new("called", self.called.len()), Fact::new("waiting", self.staged.len())]
    }
}

impl Desk {
    fn obey(&mut self, command: Command) {
        match command {
            // Of a connection, of a program that outlives its worker, and of processes: nothing of this.
            Command::Hello { .. } | Command::Retire | Command::Signal { .. } => {}
            Command::Start(start) => self.stage(*start),
            Command::Stop { token, why } => self.stop(token, why),
            Command::Lease { start_until, kill_at } => {
                (self.start_until, self.kill_at) = (Some(start_until.min(kill_at)), Some(kill_at));
            }
            Command::Forget(tokens) => self.ended.retain(|token, _| !tokens.contains(token)),
            Command::Inventory => self.tell_inventory(),
            Command::Capacity(capacity) => {
                let evicted = self.slots.set_capacity(capacity);
                evicted.into_iter().for_each(|token| self.recall(token));
            }
            Command::Recall(tokens) => tokens.into_iter().for_each(|token| self.recall(token)),
            Command::Halt(is_halted) => self.is_halted = is_halted,
        }
    }

    fn stage(&mut self, start: Start) {
        let token = start.token;
        if let Some(Hosted { phase: HostedPhase::Ended { outcome, usage, .. }, .. }) = self.ended.get(&token)
        {
            let (outcome, usage) = (outcome.clone(), *usage);
            return self.reports.push(HostReport::Ended { token, outcome, usage, steps: Vec::new() });
        }
        if self.slots.holds(token) {
            return;
        }
        if self.ended.len() >= ENDED_LIMIT || !self.slots.capacity().covers(&start.need) {
            return self.end(&start, AttemptOutcome::Lost(LossReason::Evicted), Usage::default());
        }
        self.slots.stage(token, start.need.clone());
        self.staged.insert(token, start);
    }

    fn stop(&mut self, token: Token, why: StopReason) {
        if let Some(start) = self.staged.remove(&token) {
            return self.end(&start, why.outcome(), Usage::default());
        }
        let now = self.args.clock.now();
        if let Some(called) = self.called.get_mut(&token) {
            called.stop(why, now);
        }
    }

    /// Gives back what has not been called.
    fn recall(&mut self, token: Token) {
        if let Some(start) = self.staged.remove(&token) {
            self.end(&start, AttemptOutcome::Lost(LossReason::Evicted), Usage::default());
        }
    }

    /// Does what the time asks for.
    fn enforce(&mut self) {
        let now = self.args.clock.now();
        if self.kill_at.is_some_and(|kill_at| now >= kill_at) {
            let all: Vec<Token> = self.staged.keys().chain(self.called.keys()).copied().collect();
            all.into_iter().for_each(|token| self.stop(token, StopReason::LeaseLost));
        }
        for (token, called) in &mut self.called {
            if called.enforce(now) {
                self.reports.push(HostReport::Unkillable { token: *token, pids: vec![std::process::id()] });
            }
        }
        if self.sampling.is_due(now) {
            self.sampling.looked((now, now));
            self.sample();
        }
    }

    /// What lasts is looked at: the worker then reads how far it says it is.
    fn sample(&mut self) {
        let at = self.args.clock.wall();
        let of =
            |called: &Called| Sample { at, output_bytes: called.paper.seen_bytes(), ..Sample::default() };
        let all = self.called.iter().take(SAMPLES_PART).map(|(token, called)| (*token, of(called)));
        let all: Vec<_> = all.collect();
        if !all.is_empty() {
            self.reports.push(HostReport::Sampled(all));
        }
    }

    fn may_call(&self, now: Moment) -> bool {
        let leased = self.start_until.is_none_or(|until| now < until);
        leased && !self.is_halted && self.slots.next_fits() && !self.args.directory.halt().exists()
    }

    fn call_next(&mut self, me: &Me<DeskMessage>) {
        let now = self.args.clock.now();
        while self.may_call(now) {
            let start = self.slots.start_next().and_then(|token| self.staged.remove(&token));
            let Some(start) = start else { break };
            let late = start.bounds.deadline.and_then(|deadline| deadline.exceeded(now));
            match late {
                Some(overrun) => {
                    self.end(&start, AttemptOutcome::TimedOut(overrun.into()), Usage::default());
                }
                None => self.call(start, now, me),
            }
        }
    }

    fn call(&mut self, start: Start, now: Moment, me: &Me<DeskMessage>) {
        let (token, start) = (start.token, Arc::new(start));
        let kind = handler::wanted(&start.need).unwrap_or_default();
        let Some(function) = self.args.handlers.of(kind).cloned() else {
            let nobody = SpawnFailure::of_node(format!("this agent does not handle {kind:?}"));
            return self.end(&start, AttemptOutcome::SpawnFailed(nobody), Usage::default());
        };
        let spool = SpoolWriter::new(self.args.directory.spool(token), start.output);
        let paper = Arc::new(Paper::new(spool, self.args.directory.report(token), self.args.clock));
        let (tell, told) = watch::channel(None);
        let call = Call::new(Arc::clone(&start), told, Arc::clone(&paper));
        let running = tokio::spawn(async move { function(call).await });
        let abort = running.abort_handle();
        me.run(async move { DeskMessage::Over { token, end: running.await } });
        let called = Called::new(start, (now, paper), tell, abort);
        self.called.insert(token, called);
        self.reports.push(HostReport::Started { token, pid: std::process::id(), step: None });
    }

    fn over(&mut self, token: Token, end: Result<Result<(), String>, JoinError>) {
        let Some(called) = self.called.remove(&token) else { return };
        let (outcome, said) = come_to(end);
        if let Some(said) = said {
            called.paper.write(Stream::Stderr, &format!("{said}\n"));
        }
        let ((stdout_bytes, stderr_bytes), trouble) = called.paper.finish();
        if let Some(error) = trouble {
            self.reports.push(HostReport::Trouble(format!("writing output: {error}").into()));
        }
        let wall = self.args.clock.now().since(called.since);
        let usage = Usage { wall, stdout_bytes, stderr_bytes, ..Usage::default() };
        let stopped = called.stopped().map(StopReason::outcome);
        self.end(&called.start, stopped.unwrap_or(outcome), usage);
    }

    fn end(&mut self, start: &Start, outcome: AttemptOutcome, usage: Usage) {
        let token = start.token;
        self.slots.end(token);
        let steps = Vec::new();
        self.reports.push(HostReport::Ended { token, outcome: outcome.clone(), usage, steps });
        self.ended.insert(token, hosted(start, HostedPhase::Ended { outcome, usage, steps: Vec::new() }));
    }

    fn tell_inventory(&mut self) {
        let pid = std::process::id();
        let called = self
            .called
            .values()
            .map(|called| hosted(&called.start, HostedPhase::Running { pid, step: None }));
        let staged = self.staged.values().map(|start| hosted(start, HostedPhase::Staged));
        let all: Vec<Hosted> = called.chain(staged).chain(self.ended.values().cloned()).collect();
        let parts = all.len().div_ceil(INVENTORY_PART).max(1);
        let mut rest = all.into_iter();
        for part in 1..=parts {
            let attempts = rest.by_ref().take(INVENTORY_PART).collect();
            self.reports.push(HostReport::Inventory { attempts, last: part == parts });
        }
    }

    fn look_later(&mut self, me: &Me<DeskMessage>) {
        let is_idle = self.called.is_empty() && self.staged.is_empty();
        if !self.is_looking && !is_idle {
            self.is_looking = true;
            me.after(LOOK_EVERY, DeskMessage::LookDue);
        }
    }

    fn tell(&mut self) {
        if !self.reports.is_empty() {
            (self.args.listener)(HostEvent::Reports(std::mem::take(&mut self.reports)));
        }
    }
}

fn hosted(start: &Start, phase: HostedPhase) -> Hosted {
    let Start { token, task, attempt, ref need, .. } = *start;
    Hosted { token, task, attempt, need: need.clone(), phase }
}

/// What a function has come to as the end of a command, and what is to be said of it.
fn come_to(end: Result<Result<(), String>, JoinError>) -> (AttemptOutcome, Option<String>) {
    match end {
        Ok(Ok(())) => (AttemptOutcome::Exited(0), None),
        Ok(Err(error)) => (AttemptOutcome::Exited(REFUSED), Some(error)),
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text =
                text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
            (AttemptOutcome::Exited(PANICKED), Some(format!("panicked: {text}")))
        }
        // Dropped, for which there was a reason.
        Err(_) => (AttemptOutcome::Lost(LossReason::Evicted), None),
    }
}

#[cfg(test)]
mod tests;
