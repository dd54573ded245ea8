//! A process host as the real one is: it enforces deadlines and timeouts by itself, survives its daemon,
//! stages what has no room yet, remembers every end until told to forget. Its processes do what their arguments say, in true time.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::process::port::HostEvent;
use actors::process::protocol::{Command, HostReport, Hosted, HostedPhase, Start, StopReason};
use actors::worker::WorkerMessage;
use policy::bounds::{AttemptBounds, Overrun, Running};
use policy::id::{AttemptNumber, TaskId, Token};
use policy::resources::Resources;
use policy::slots::Slots;
use policy::task::{AttemptOutcome, LossReason, SpawnFailure, Usage};
use policy::time::Moment;

use super::machine::Node;
use super::program::Program;
use super::steps::Around;
use super::world::{Core, Event, Planted};
use crate::history::Process;

/// Milliseconds that a host may take to notice that its deadline has passed: with the usual kill no more than the
/// quarter of a second that I5 allows after a sleep.
const NOTICE_TAKES: u64 = 150;

/// The host of a machine.
pub(super) struct Host {
    is_up: bool,
    /// The connection to the daemon.
    port: Option<u64>,
    ports: u64,
    /// On its machine's clock: from then on nothing may run.
    pub(super) deadline: Option<Moment>,
    /// On its machine's clock: from then on nothing may be started.
    pub(super) start_until: Option<Moment>,
    /// Whether the worker has said that nothing is to be started.
    pub(super) is_halted: bool,
    /// The machine sleeps until then, in milliseconds.
    sleeps_until: u64,
    /// `None` until its worker has said what there is.
    pub(super) slots: Option<Slots>,
    pub(super) attempts: BTreeMap<Token, Attempt>,
    pub(super) runs: u64,
    /// When the last message arrives that is on its way to the host, to the daemon.
    busy_until: (u64, u64),
}

pub(super) struct Attempt {
    pub(super) task: TaskId,
    attempt: AttemptNumber,
    pub(super) need: Resources,
    grace: Duration,
    pub(super) bounds: AttemptBounds,
    /// What its present process does.
    pub(super) program: Program,
    /// `None` where it is its command alone.
    pub(super) around: Option<Box<Around>>,
    pub(super) phase: HostedPhase,
    pub(super) stop: Option<(StopReason, u64)>,
    /// Its place among all processes that ever ran.
    process: Option<usize>,
    /// Tells what is due for it from what was due for an earlier one.
    pub(super) run: u64,
    pub(super) began: u64,
    /// The same on its machine's clock.
    pub(super) since: Moment,
}

/// What a daemon and its host say to each other.
#[derive(Debug)]
pub(super) enum Told {
    Command(Command),
    Event(HostEvent),
}

/// What becomes due for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Spawned,
    /// The process ends by itself.
    Exits,
    /// A signal has had its effect.
    Dies,
    TimesOut(Overrun),
    /// The grace is over.
    Kill,
}

impl Host {
    pub(super) fn new() -> Self {
        Self {
            is_up: true,
            port: None,
            ports: 0,
            deadline: None,
            sleeps_until: 0,
            start_until: None,
            is_halted: false,
            slots: None,
            attempts: BTreeMap::new(),
            runs: 0,
            busy_until: (0, 0),
        }
    }

    pub(super) fn lose_port(&mut self) {
        self.port = None;
    }

    fn inventory(&self) -> HostReport {
        let hosted = |(token, one): (&Token, &Attempt)| Hosted {
            token: *token,
            task: one.task,
            attempt: one.attempt,
            need: one.need.clone(),
            phase: one.phase.clone(),
        };
        HostReport::Inventory { attempts: self.attempts.iter().map(hosted).collect(), last: true }
    }

    pub(super) fn is_staged(&self, token: Token) -> bool {
        self.attempts.get(&token).is_some_and(|one| one.phase == HostedPhase::Staged)
    }

    fn live(&self) -> Vec<Token> {
        let lives = |one: &Attempt| !matches!(one.phase, HostedPhase::Ended { .. });
        self.attempts.iter().filter(|(_, one)| lives(one)).map(|(token, _)| *token).collect()
    }
}

/// The daemon's way to its host and back.
impl Core {
    pub(super) fn find_host(&mut self, node: usize, life: u64) {
        let Node { life: now, daemon, agent, .. } = &self.nodes[node];
        if *now != life || daemon.is_none() || agent.is_some() {
            return;
        }
        if !self.nodes[node].host.is_up {
            return self.plan(100, Event::FindHost { node, life });
        }
        let now = self.now();
        let host = &mut self.nodes[node].host;
        host.ports += 1;
        host.port = Some(host.ports);
        host.busy_until = (now, now);
        let inventory = host.inventory();
        self.tell_daemon(node, HostEvent::Connected { pid: 1 });
        self.tell_daemon(node, HostEvent::Reports(vec![inventory]));
    }

    /// The connection between daemon and host breaks, and is made anew.
    pub(super) fn break_port(&mut self, node: usize) {
        if self.nodes[node].host.port.take().is_some() {
            self.tell_worker(node, WorkerMessage::Host(HostEvent::Disconnected));
            let (pause, life) = (self.rng.u64(2..300), self.nodes[node].life);
            self.plan(pause, Event::FindHost { node, life });
        }
    }

    pub(super) fn tell_host(&mut self, node: usize, told: Told) {
        let Some(port) = self.nodes[node].host.port else { return };
        let at = (self.now() + self.rng.u64(0..3)).max(self.nodes[node].host.busy_until.0);
        self.nodes[node].host.busy_until.0 = at;
        self.plan_at(at, Event::Command { node, port, told });
    }

    fn tell_daemon(&mut self, node: usize, event: HostEvent) {
        let Some(port) = self.nodes[node].host.port else { return };
        let at = (self.now() + self.rng.u64(0..3)).max(self.nodes[node].host.busy_until.1);
        self.nodes[node].host.busy_until.1 = at;
        self.plan_at(at, Event::Command { node, port, told: Told::Event(event) });
    }

    fn report(&mut self, node: usize, report: HostReport) {
        self.tell_daemon(node, HostEvent::Reports(vec![report]));
    }

    pub(super) fn told(&mut self, node: usize, port: u64, told: Told) {
        if self.nodes[node].host.port != Some(port) {
            return;
        }
        if let Some(wakes) = self.sleeping(node) {
            return self.plan_at(wakes, Event::Command { node, port, told });
        }
        match told {
            Told::Event(event) => self.tell_worker(node, WorkerMessage::Host(event)),
            Told::Command(command) => self.obey(node, command),
        }
    }
}

/// What the host does.
impl Core {
    fn obey(&mut self, node: usize, command: Command) {
        match command {
            Command::Hello { .. } | Command::Retire | Command::Signal { .. } => {}
            Command::Start(start) => self.start(node, &start),
            Command::Stop { token, why } => self.stop(node, token, why),
            Command::Lease { start_until, kill_at } => {
                let left = kill_at.since(self.nodes[node].clock.now());
                let notices = self.rng.u64(1..NOTICE_TAKES);
                let host = &mut self.nodes[node].host;
                (host.start_until, host.deadline) = (Some(start_until), Some(kill_at));
                self.plan(
                    u64::try_from(left.as_millis()).unwrap_or(u64::MAX) + notices,
                    Event::HostDeadline { node },
                );
                self.begin_staged(node);
            }
            Command::Capacity(capacity) => self.set_capacity(node, capacity),
            Command::Recall(tokens) => self.recall(node, tokens),
            Command::Halt(is_halted) => {
                self.nodes[node].host.is_halted = is_halted;
                self.begin_staged(node);
            }
            Command::Forget(tokens) => {
                let host = &mut self.nodes[node].host;
                let over = |one: &Attempt| matches!(one.phase, HostedPhase::Ended { .. });
                host.attempts.retain(|token, one| !(tokens.contains(token) && over(one)));
            }
            Command::Inventory => {
                let inventory = self.nodes[node].host.inventory();
                self.report(node, inventory);
            }
        }
    }

    fn start(&mut self, node: usize, start: &Start) {
        let token = start.token;
        if let Some(known) = self.nodes[node].host.attempts.get(&token) {
            if let HostedPhase::Ended { outcome, usage, steps } = known.phase.clone() {
                self.report(node, HostReport::Ended { token, outcome, usage, steps });
            }
            return;
        }
        let (now, clock) = (self.now(), self.nodes[node].clock.now());
        let host = &mut self.nodes[node].host;
        host.runs += 1;
        let late = host.deadline.is_some_and(|deadline| clock >= deadline);
        let around = Around::of(start);
        let attempt = Attempt {
            task: start.task,
            attempt: start.attempt,
            need: start.need.clone(),
            grace: start.grace,
            bounds: start.bounds,
            program: around.as_ref().map_or_else(|| Program::of(&start.argv), |around| around.program()),
            around,
            phase: HostedPhase::Staged,
            stop: None,
            process: None,
            run: host.runs,
            began: now,
            since: clock,
        };
        host.attempts.insert(token, attempt);
        if late && self.nature.planted != Planted::NoDeadline {
            return self.end(node, token, AttemptOutcome::Lost(LossReason::LeaseLost));
        }
        match &mut self.nodes[node].host.slots {
            Some(slots) => slots.stage(token, start.need.clone()),
            None => self.begin(node, token),
        }
        self.begin_staged(node);
    }

    pub(super) fn turn(&mut self, node: usize, (token, run): (Token, u64), turn: Turn) {
        if let Some(wakes) = self.sleeping(node) {
            return self.plan_at(wakes, Event::Host { node, token, run, turn });
        }
        let Some(attempt) = self.nodes[node].host.attempts.get(&token).filter(|one| one.run == run) else {
            return;
        };
        match (&attempt.phase, turn) {
            (HostedPhase::Starting, Turn::Spawned) => self.spawned(node, token, run),
            (HostedPhase::Running { .. }, Turn::Exits) if attempt.program.kills => {
                let down_for = self.rng.u64(10..2000);
                self.note(format!("{} takes the host of n{node} down", token));
                self.crash_host(node, down_for);
            }
            (HostedPhase::Running { .. }, Turn::Exits | Turn::Dies) => {
                let by_itself = AttemptOutcome::Exited(attempt.program.exit_code(attempt.attempt));
                let outcome = attempt.stop.map_or(by_itself, |(why, _)| why.outcome());
                self.step_ended(node, token, outcome);
            }
            (HostedPhase::Running { .. } | HostedPhase::Starting, Turn::TimesOut(overrun))
                if attempt.stop.is_none() =>
            {
                self.stop(node, token, StopReason::Timeout(overrun));
            }
            (HostedPhase::Running { .. }, Turn::Kill) => {
                let (most, takes) = (self.nature.kill_takes, self.rng.u64(0..self.nature.kill_takes));
                let takes = if self.nature.house.is_stubborn { most - 1 } else { takes };
                self.plan(takes, Event::Host { node, token, run, turn: Turn::Dies });
            }
            _ => {}
        }
    }

    fn spawned(&mut self, node: usize, token: Token, run: u64) {
        let is_missing = self.nodes[node].host.attempts[&token].program.is_missing;
        if self.must_wait(node, (token, run)) {
            return;
        }
        if self.is_broken(node) {
            let failure = SpawnFailure::of_node("no more processes");
            return self.step_ended(node, token, AttemptOutcome::SpawnFailed(failure));
        }
        if is_missing {
            let failure = SpawnFailure::of_task("command not found");
            return self.step_ended(node, token, AttemptOutcome::SpawnFailed(failure));
        }
        self.run(node, token, run);
        let step = self.step_begins(node, token);
        let pid = u32::try_from(run).unwrap_or(u32::MAX);
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return };
        attempt.phase = HostedPhase::Running { pid, step };
        let (stop, length) = (attempt.stop.take(), attempt.program.length);
        self.plan(length, Event::Host { node, token, run, turn: Turn::Exits });
        self.report(node, HostReport::Started { token, pid, step });
        if let Some((why, _)) = stop {
            self.stop(node, token, why);
        }
    }

    /// Whether a machine can start nothing just now.
    fn is_broken(&self, node: usize) -> bool {
        let now = self.now();
        self.broken.iter().any(|(one, from, until)| *one == node && (*from..*until).contains(&now))
    }

    /// A process truly begins.
    pub(super) fn run(&mut self, node: usize, token: Token, run: u64) {
        let (started, place, name) = (self.clock.wall(), self.processes.len(), self.nodes[node].name.clone());
        // Of several processes one is written down for all: it holds its room from the first to the last.
        let first = |one: &&mut Attempt| one.run == run && one.process.is_none();
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token).filter(first) else { return };
        attempt.process = Some(place);
        let (task, need) = (attempt.task, attempt.need.clone());
        let frozen = Vec::new();
        self.processes.push(Process { task, token, node: name, need, started, ended: None, frozen });
    }

    fn stop(&mut self, node: usize, token: Token, why: StopReason) {
        let now = self.now();
        if self.nodes[node].host.is_staged(token) {
            return self.end(node, token, why.outcome());
        }
        if self.is_stopped_between(node, token, why) {
            return;
        }
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return };
        let grace = u64::try_from(attempt.grace.as_millis()).unwrap_or(u64::MAX);
        let kill_at = match why {
            StopReason::LeaseLost | StopReason::OverLimit(_) => now,
            StopReason::Timeout(overrun) => {
                let (began, asked) = (Moment(attempt.began * 1000), Moment(now * 1000));
                let running = Running { since: began, heard: began };
                attempt.bounds.kill_at(overrun.limit, attempt.grace, running, asked).0 / 1000
            }
            _ => now + grace,
        };
        let (run, obeys, is_first) = (attempt.run, attempt.program.obeys_after, attempt.stop.is_none());
        let (why, kill_at) =
            attempt.stop.map_or((why, kill_at), |(first, before)| (first, before.min(kill_at)));
        attempt.stop = Some((why, kill_at));
        if !matches!(attempt.phase, HostedPhase::Running { .. }) {
            return;
        }
        if let Some(after) = obeys.filter(|_| is_first) {
            self.plan(after, Event::Host { node, token, run, turn: Turn::Dies });
        }
        self.plan_at(kill_at, Event::Host { node, token, run, turn: Turn::Kill });
    }

    pub(super) fn end(&mut self, node: usize, token: Token, outcome: AttemptOutcome) {
        let (now, wall) = (self.now(), self.clock.wall());
        self.close_step(node, token, None);
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return };
        let usage = Usage { wall: Duration::from_millis(now - attempt.began), ..Usage::default() };
        let steps = attempt.around.as_ref().map(|around| around.ends.clone()).unwrap_or_default();
        attempt.phase = HostedPhase::Ended { outcome: outcome.clone(), usage, steps: steps.clone() };
        if let Some(place) = attempt.process {
            self.processes[place].ended = Some(wall);
        }
        if let Some(slots) = &mut self.nodes[node].host.slots {
            slots.end(token);
        }
        self.report(node, HostReport::Ended { token, outcome, usage, steps });
        self.begin_staged(node);
    }

    pub(super) fn host_deadline(&mut self, node: usize) {
        if let Some(wakes) = self.sleeping(node) {
            return self.plan_at(wakes, Event::HostDeadline { node });
        }
        let clock = self.nodes[node].clock.now();
        let passed = self.nodes[node].host.deadline.is_some_and(|deadline| deadline <= clock);
        if passed && self.nature.planted != Planted::NoDeadline {
            for token in self.nodes[node].host.live() {
                self.stop(node, token, StopReason::LeaseLost);
            }
        }
        // Its clock may be slow: what was planned in true time is then too early, and it looks again.
        let left = self.nodes[node].host.deadline.map_or(u64::MAX, |deadline| {
            u64::try_from(deadline.since(clock).as_millis()).unwrap_or(u64::MAX)
        });
        if !passed && left < NOTICE_TAKES {
            self.plan(left + 1, Event::HostDeadline { node });
        }
    }

    /// The machine sleeps: its daemon says and hears nothing, its host and its processes stand still, and
    /// its clock goes on.
    pub(super) fn sleep(&mut self, node: usize, length: u64) {
        if self.sleeping(node).is_some() {
            return;
        }
        self.cut_link(node, (true, true), length);
        if self.nodes[node].agent.is_some() {
            // Its actors go on: nothing of that passes where the cut is healed before it wakes.
            self.stall_link(node, (true, true), length);
        }
        self.nodes[node].host.sleeps_until = self.now() + length;
        let asleep = (self.clock.wall(), self.clock.wall() + Duration::from_millis(length));
        let host = &self.nodes[node].host;
        let hosted = host.live().into_iter().filter_map(|token| host.attempts[&token].process);
        for place in hosted.chain(self.going(node)).collect::<Vec<_>>() {
            self.processes[place].frozen.push(asleep);
        }
    }

    /// Until when the machine sleeps, if it does.
    pub(super) fn sleeping(&self, node: usize) -> Option<u64> {
        Some(self.nodes[node].host.sleeps_until).filter(|until| *until > self.now())
    }

    /// The host dies, and its processes with it; what it remembers is on its disk.
    pub(super) fn crash_host(&mut self, node: usize, restart_after: u64) {
        self.break_port(node);
        self.end_all(node, LossReason::HostDied);
        (self.nodes[node].host.is_up, self.nodes[node].host.is_halted) = (false, false);
        self.plan(restart_after, Event::StartHost { node });
    }

    pub(super) fn host_reboots(&mut self, node: usize) {
        self.end_all(node, LossReason::Rebooted);
        let host = &mut self.nodes[node].host;
        (host.is_up, host.is_halted, host.port, host.sleeps_until) = (false, false, None, 0);
        (host.deadline, host.start_until) = (None, None);
    }

    fn end_all(&mut self, node: usize, reason: LossReason) {
        let host = &mut self.nodes[node].host;
        (host.port, host.slots) = (None, None);
        // Of what has not been started nothing is on its disk.
        host.attempts.retain(|_, one| one.phase != HostedPhase::Staged);
        for token in self.nodes[node].host.live() {
            self.end(node, token, AttemptOutcome::Lost(reason));
        }
    }

    pub(super) fn start_host(&mut self, node: usize) {
        self.nodes[node].host.is_up = true;
    }
}
