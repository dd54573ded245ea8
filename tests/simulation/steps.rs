//! What is done around the command of an attempt in a simulated host: one process after the other, each when the one before is
//! gone, as `policy::stages` says. In some worlds tasks have hooks and gates, of which some fail.

use std::sync::Arc;
use std::time::Duration;

use actors::process::protocol::{HostedPhase, StagePlan, Start, StopReason};
use fastrand::Rng;
use policy::bounds::{AttemptBounds, Overrun, TimeLimit};
use policy::id::Token;
use policy::stages::{Course, Stage, Stages, Step, StepEnd, StepOutcome, Turn as Follows};
use policy::submission::Submission;
use policy::task::{AttemptOutcome, TaskSpec};
use policy::text::OsText;
use policy::time::Timestamp;

use super::host::Turn;
use super::house::House;
use super::program::Program;
use super::world::{Core, Event, Planted, World};
use crate::history::Ran;

/// Milliseconds after which a host looks again at what it must not begin: its lease is over, and somebody will say so.
const LOOKS_AGAIN: u64 = 40;

/// How far an attempt is that has more than its command.
pub(super) struct Around {
    plan: Box<StagePlan>,
    argv: Vec<OsText>,
    course: Course,
    pub(super) ends: Vec<StepEnd>,
    began: (u64, Timestamp),
    /// Its present process among all that ever ran.
    open: Option<usize>,
    /// In milliseconds: since when commands after are done.
    closing_since: Option<u64>,
    is_lost: bool,
}

impl Around {
    /// Of what is started; `None` where that is a command alone.
    pub(super) fn of(start: &Start) -> Option<Box<Self>> {
        let plan = start.stages.clone()?;
        let (course, argv) = (Course::new(plan.plan()), start.argv.clone());
        let (ends, began) = (Vec::new(), (0, Timestamp(0)));
        let (open, closing_since, is_lost) = (None, None, false);
        Some(Box::new(Self { plan, argv, course, ends, began, open, closing_since, is_lost }))
    }

    pub(super) fn step(&self) -> Step {
        self.course.at()
    }

    pub(super) fn program(&self) -> Program {
        Program::of(self.plan.argv(self.step()).unwrap_or(&self.argv))
    }

    /// Whether it is to be stopped for this and goes on all the same.
    fn ignores(&mut self, why: StopReason) -> bool {
        self.is_lost |= why == StopReason::LeaseLost;
        let is_own = matches!(why, StopReason::LeaseLost | StopReason::Timeout(_) | StopReason::OverLimit(_));
        self.course.is_closing() && !is_own
    }

    /// The outcome of what it was asked to be stopped for.
    fn asked(&self, stop: Option<StopReason>) -> Option<AttemptOutcome> {
        self.is_lost.then(|| StopReason::LeaseLost.outcome()).or_else(|| stop.map(StopReason::outcome))
    }

    fn is_out_of_time(&self, now: u64) -> bool {
        self.left(now).is_some_and(|left| left == 0)
    }

    /// Milliseconds left to commands after, while they are done.
    fn left(&self, now: u64) -> Option<u64> {
        let allowed = u64::try_from(self.plan.after_timeout.as_millis()).unwrap_or(u64::MAX);
        Some(self.closing_since?.saturating_add(allowed).saturating_sub(now))
    }
}

impl Core {
    /// Whether the next process of an attempt must not be begun now: then it is looked at again.
    pub(super) fn must_wait(&mut self, node: usize, (token, run): (Token, u64)) -> bool {
        let clock = self.nodes[node].clock.now();
        let host = &self.nodes[node].host;
        let is_late = host.deadline.is_some_and(|deadline| deadline <= clock);
        let goes_on = host.attempts[&token].around.as_ref().is_some_and(|around| !around.ends.is_empty());
        let waits = goes_on && is_late && self.nature.planted != Planted::NoDeadline;
        if waits {
            self.plan(LOOKS_AGAIN, Event::Host { node, token, run, turn: Turn::Spawned });
        }
        waits
    }

    /// A process of an attempt truly begins, and is written down where it has several.
    pub(super) fn step_begins(&mut self, node: usize, token: Token) -> Option<Step> {
        let (now, started, place) = (self.now(), self.clock.wall(), self.steps.len());
        let attempt = self.nodes[node].host.attempts.get_mut(&token)?;
        let task = attempt.task;
        let around = attempt.around.as_mut()?;
        (around.began, around.open) = ((now, started), Some(place));
        let step = around.step();
        self.steps.push(Ran { task, token, step, started, ended: None, end: None });
        Some(step)
    }

    /// The present process of an attempt is over, or could not be started: what follows.
    pub(super) fn step_ended(&mut self, node: usize, token: Token, how: AttemptOutcome) {
        let now = self.now();
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return };
        let stop = attempt.stop.map(|(why, _)| why);
        if attempt.around.is_none() {
            return self.end(node, token, how);
        }
        if attempt.around.as_ref().is_some_and(|around| around.open.is_none()) {
            self.step_begins(node, token);
        }
        self.close_step(node, token, Some(StepOutcome::of(&how)));
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return };
        let Some(around) = &mut attempt.around else { return };
        let (step, at) = (around.step(), around.began.1);
        let took = Duration::from_millis(now - around.began.0);
        around.ends.push(StepEnd { step, at, took, end: StepOutcome::of(&how), said: "".into() });
        let follows = if around.is_out_of_time(now) {
            around.course.give_up()
        } else {
            let asked = around.asked(stop);
            around.course.ended(&how, "", asked.as_ref())
        };
        self.follow(node, token, follows);
    }

    /// Writes down that the present process is gone.
    pub(super) fn close_step(&mut self, node: usize, token: Token, end: Option<StepOutcome>) {
        let wall = self.clock.wall();
        let attempt = self.nodes[node].host.attempts.get_mut(&token);
        if let Some(place) = attempt.and_then(|one| one.around.as_mut()?.open.take()) {
            (self.steps[place].ended, self.steps[place].end) = (Some(wall), end);
        }
    }

    fn follow(&mut self, node: usize, token: Token, follows: Follows) {
        match follows {
            Follows::Over(outcome) => self.end(node, token, outcome),
            Follows::Begin(step) => self.prepare(node, token, step),
        }
    }

    /// As before its first process, but that it has its room.
    fn prepare(&mut self, node: usize, token: Token, step: Step) {
        let (now, spawning) = (self.now(), self.rng.u64(0..20));
        let host = &mut self.nodes[node].host;
        host.runs += 1;
        let Some(attempt) = host.attempts.get_mut(&token) else { return };
        let Some(around) = &mut attempt.around else { return };
        (attempt.run, attempt.phase, attempt.stop) = (host.runs, HostedPhase::Starting, None);
        attempt.program = around.program();
        let run = attempt.run;
        if step.stage == Stage::After {
            attempt.bounds = AttemptBounds::default();
            around.closing_since.get_or_insert(now);
        }
        let left = around.left(now);
        let allowed = around.plan.after_timeout;
        self.plan(spawning, Event::Host { node, token, run, turn: Turn::Spawned });
        self.plan_limits(node, token);
        if let Some(left) = left {
            let overrun = Overrun { limit: TimeLimit::Timeout, allowed, used: allowed };
            self.plan(left, Event::Host { node, token, run, turn: Turn::TimesOut(overrun) });
        }
    }

    /// Whether a stop has no more to do: what is done after goes on, or its next process was not begun yet and is not.
    pub(super) fn is_stopped_between(&mut self, node: usize, token: Token, why: StopReason) -> bool {
        let Some(attempt) = self.nodes[node].host.attempts.get_mut(&token) else { return true };
        let is_starting = attempt.phase == HostedPhase::Starting;
        let Some(around) = &mut attempt.around else { return false };
        if why == StopReason::LeaseLost {
            self.lost.insert(token);
        }
        if around.ignores(why) {
            return true;
        }
        // A limit of time is looked at where something runs; a start that is on its way is stopped once it is there.
        let is_of_time = matches!(why, StopReason::Timeout(_) | StopReason::OverLimit(_));
        if !is_starting || is_of_time || around.ends.is_empty() || self.rng.bool() {
            return false;
        }
        let asked = around.asked(Some(why)).unwrap_or_else(|| why.outcome());
        let before = around.step();
        match around.course.stopped(&asked) {
            Follows::Begin(next) if next == before => {}
            follows => self.follow(node, token, follows),
        }
        true
    }
}

/// Whether tasks of this world have something done around their commands.
pub(super) fn has_stages(seed: u64, house: &House) -> bool {
    // Of chance of its own, so that other seeds stay as they are; crowds are made for shares alone.
    Rng::with_seed(seed ^ 0x57A6).u32(..3) == 0 && house.crowd.is_none()
}

/// Gives some items hooks and gates.
pub(super) fn surround(submission: &mut Submission, world: &World) {
    if !world.core().nature.has_stages {
        return;
    }
    let key = u64::try_from(submission.key.0 & u128::from(u64::MAX)).expect("it is masked");
    let mut rng = Rng::with_seed(key.rotate_left(17));
    for item in &mut submission.items {
        let stages = stages(&mut rng);
        if rng.bool() && !stages.is_empty() {
            Arc::make_mut(&mut item.spec).stages = Some(Box::new(stages));
        }
    }
}

fn stages(rng: &mut Rng) -> Stages {
    let before = (0..rng.usize(..3)).map(|_| command(rng, 8)).collect();
    let gate = rng.bool().then(|| command(rng, 3));
    let after = (0..rng.usize(..3)).map(|_| command(rng, 4)).collect();
    Stages { before, gate, after }
}

/// One of `one_of` fails, in its first attempts at least; one of sixteen takes longer than commands after may.
fn command(rng: &mut Rng, one_of: u32) -> Vec<OsText> {
    let length = if rng.u32(..16) == 0 { rng.u64(20_000..40_000) } else { rng.u64(1..400) };
    let fails = if rng.u32(..one_of) == 0 { rng.u32(1..4) } else { 0 };
    let obeys_after = (rng.u32(..5) > 0).then(|| rng.u64(0..300));
    Program { length, fails, obeys_after, is_missing: rng.u32(..40) == 0, kills: false }.argv()
}

/// How long what is around a command takes at the most.
pub(super) fn longest(spec: &TaskSpec) -> Duration {
    let commands = spec.stages.iter().flat_map(|stages| stages.commands());
    let of = |(_, argv): (_, &[OsText])| Duration::from_millis(Program::of(argv).length) + spec.grace;
    commands.map(of).sum()
}
