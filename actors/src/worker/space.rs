//! The worker's dealings with workspaces, with what else is given to attempts, and with what is kept of them: one that wants any
//! of it is handed to the host when it is there, and its end is told when that is removed or kept. Whoever wants none passes by.
//!
//! All work on them is done on threads for blocking work, a few at a time; a result that nobody waits for any more is undone.
//! What is given up while its workspace is being made is over when that has stopped.

use std::collections::VecDeque;

use policy::artifact::Summary;
use policy::id::Token;
use policy::task::{AttemptOutcome, LossReason, TaskSpec};
use policy::workspace::WorkspaceEnd;
use supervision::Me;

use super::held::HeldAttempt;
use super::place::{self, Place, Wanted};
use super::{Worker, WorkerArgs, WorkerMessage};
use crate::wire::fleet::{Grant, Phase};
use crate::workspace::{Cancel, Unmade, WORKED_ON_AT_ONCE, Wish};

/// What comes of work on workspaces.
#[derive(Debug)]
pub enum SpaceMessage {
    /// One was made, or could not be.
    Prepared {
        /// For which attempt.
        token: Token,
        /// What there is.
        made: Result<Place, Unmade>,
    },
    /// One was removed or kept.
    Settled {
        /// Of which attempt.
        token: Token,
        /// What became of it.
        end: SpaceEnd,
    },
    /// What nobody holds any more was looked after.
    Swept,
    /// What the machine gives was looked for again, and this is to be said of it.
    Labelled(Vec<(Box<str>, Box<str>)>),
}

/// What became of the workspace of an attempt, and of what it left there.
#[derive(Debug, Default)]
pub struct SpaceEnd {
    workspace: Option<WorkspaceEnd>,
    artifacts: Option<Summary>,
}

/// The workspace of an attempt.
#[derive(Debug)]
pub(super) struct HeldSpace {
    step: Step,
    /// How the attempt ended, until that is told.
    ending: Option<Phase>,
    /// Whether it may have begun: otherwise it has left nothing.
    has_begun: bool,
}

#[derive(Debug)]
enum Step {
    /// Nobody has begun to make it.
    Wanted,
    Preparing(Cancel),
    Ready(Place),
    /// It is being removed or kept.
    Settling,
    /// That is done.
    Settled(SpaceEnd),
}

/// Work on workspaces, under way and to be done: making them does not hold up removing them.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    prepare: Lane,
    settle: Lane,
}

/// Work of one sort, in order, at most [`WORKED_ON_AT_ONCE`] at once.
#[derive(Debug, Default)]
struct Lane {
    running: u32,
    waiting: VecDeque<Token>,
}

impl Lane {
    fn next(&mut self) -> Option<Token> {
        let token = (self.running < WORKED_ON_AT_ONCE).then(|| self.waiting.pop_front()).flatten()?;
        self.running += 1;
        Some(token)
    }

    /// One is done, or needed no doing.
    fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

impl HeldSpace {
    fn at(step: Step) -> Box<Self> {
        Box::new(Self { step, ending: None, has_begun: false })
    }

    pub(super) fn ready(&self) -> Option<&Place> {
        match &self.step {
            Step::Ready(place) => Some(place),
            Step::Wanted | Step::Preparing(_) | Step::Settling | Step::Settled(_) => None,
        }
    }
}

impl Worker {
    /// Whether this one has to wait for its workspace, which is then made.
    pub(super) fn waits_for_space(&mut self, token: Token) -> bool {
        let Some(held) = self.held.get_mut(&token) else { return false };
        let wants_nothing = |grant: &Grant| {
            let TaskSpec { workspace, provision, artifacts, .. } = &*grant.spec;
            workspace.is_none() && provision.is_none() && artifacts.is_none()
        };
        if held.grant.as_ref().is_none_or(wants_nothing) {
            return false;
        }
        match &held.space {
            Some(space) => space.ready().is_none(),
            None => {
                held.space = Some(HeldSpace::at(Step::Wanted));
                self.spaces.prepare.waiting.push_back(token);
                true
            }
        }
    }

    /// Whether an end has to wait until its workspace is removed or kept, which is then done.
    pub(super) fn settles_first(&mut self, token: Token, phase: &Phase, me: &Me<WorkerMessage>) -> bool {
        if !matches!(phase, Phase::Ended { .. }) {
            return false;
        }
        let WorkerArgs { spaces, provisions, depot, .. } = &self.args;
        let is_known = spaces.holds(token) || provisions.holds(token) || depot.holds(token);
        let over = |held: &HeldAttempt| matches!(held.phase, Phase::Ended { .. });
        let Some(held) = self.held.get_mut(&token).filter(|held| !over(held)) else { return false };
        if held.space.is_none() && is_known {
            // Of an earlier life of this worker.
            held.space = Some(Box::new(HeldSpace { has_begun: true, ..*HeldSpace::at(Step::Settling) }));
            self.spaces.settle.waiting.push_back(token);
        }
        let Some(space) = &mut held.space else { return false };
        match &space.step {
            Step::Wanted | Step::Settled(_) => return false,
            Step::Preparing(cancel) => cancel.cancel(),
            Step::Ready(_) => {
                space.has_begun = matches!(held.phase, Phase::Running { .. });
                space.step = Step::Settling;
                self.spaces.settle.waiting.push_back(token);
            }
            Step::Settling => {}
        }
        space.ending.get_or_insert_with(|| phase.clone());
        self.work_on_spaces(me);
        true
    }

    /// What the end of an attempt tells of its workspace, and of what was kept.
    pub(super) fn space_end(&mut self, token: Token) -> (Option<Box<WorkspaceEnd>>, Option<Box<Summary>>) {
        let space = self.held.get_mut(&token).and_then(|held| held.space.take());
        match space.map(|space| space.step) {
            Some(Step::Settled(end)) => (end.workspace.map(Box::new), end.artifacts.map(Box::new)),
            Some(Step::Wanted | Step::Preparing(_) | Step::Ready(_) | Step::Settling) | None => (None, None),
        }
    }

    pub(super) fn space_said(&mut self, message: SpaceMessage, me: &Me<WorkerMessage>) {
        match message {
            SpaceMessage::Prepared { token, made } => self.space_prepared(token, made, me),
            SpaceMessage::Settled { token, end } => self.space_settled(token, end, me),
            SpaceMessage::Swept => {}
            SpaceMessage::Labelled(labels) => self.labelled(labels),
        }
    }

    /// Begins what waits, as far as it may be done at once.
    pub(super) fn work_on_spaces(&mut self, me: &Me<WorkerMessage>) {
        while let Some(token) = self.spaces.settle.next() {
            if !self.settle_space(token, me) {
                self.spaces.settle.done();
            }
        }
        while let Some(token) = self.spaces.prepare.next() {
            if !self.prepare_space(token, me) {
                self.spaces.prepare.done();
            }
        }
    }

    fn prepare_space(&mut self, token: Token, me: &Me<WorkerMessage>) -> bool {
        let Some(held) = self.held.get_mut(&token) else { return false };
        let Some(space) = held.space.as_mut().filter(|space| matches!(space.step, Step::Wanted)) else {
            return false;
        };
        let Some(grant) = &held.grant else { return false };
        let workspace = grant.spec.workspace.as_deref().cloned();
        let (task, name) = (held.task, &grant.spec.name);
        let wanted = Wanted {
            token,
            space: workspace.map(|workspace| Wish { token, task, name: name.clone(), workspace }),
            provision: grant.spec.provision.as_deref().cloned(),
            keep: place::keeping(&self.args, grant),
            report: self.args.directory.report(token),
        };
        let (cancel, spaces) = (Cancel::default(), self.args.spaces.clone());
        let (provisions, depot) = (self.args.provisions.clone(), self.args.depot.clone());
        space.step = Step::Preparing(cancel.clone());
        me.run_blocking(move || {
            let made = wanted.make((&spaces, &provisions, &depot), &cancel);
            WorkerMessage::Workspace(SpaceMessage::Prepared { token, made })
        });
        true
    }

    fn settle_space(&mut self, token: Token, me: &Me<WorkerMessage>) -> bool {
        let Some(space) = self.held.get(&token).and_then(|held| held.space.as_deref()) else { return false };
        let outcome = match &space.ending {
            Some(Phase::Ended { outcome, .. }) => Some(outcome.clone()),
            _ => None,
        };
        let has_begun = space.has_begun;
        let WorkerArgs { spaces, provisions, depot, .. } = self.args.clone();
        me.run_blocking(move || {
            provisions.take_back(token, None);
            let artifacts = has_begun.then(|| depot.keep(token, outcome.as_ref())).flatten();
            depot.forget(token);
            let end = SpaceEnd { artifacts, workspace: spaces.settle(token, outcome.as_ref()) };
            WorkerMessage::Workspace(SpaceMessage::Settled { token, end })
        });
        true
    }

    fn space_prepared(&mut self, token: Token, made: Result<Place, Unmade>, me: &Me<WorkerMessage>) {
        self.spaces.prepare.done();
        let held = self.held.get_mut(&token).filter(|held| held.phase == Phase::Staged);
        let space = held.and_then(|held| held.space.as_deref_mut());
        let waiting = space.filter(|space| matches!(space.step, Step::Preparing(_)));
        match (waiting, made) {
            (Some(HeldSpace { step, ending: None, .. }), Ok(place)) => {
                *step = Step::Ready(place);
                self.granted.push_front(token);
            }
            (Some(HeldSpace { step, ending: Some(_), .. }), Ok(_)) => {
                *step = Step::Settling;
                self.spaces.settle.waiting.push_back(token);
            }
            (Some(space), Err(unmade)) => {
                space.step = Step::Settled(SpaceEnd::default());
                let outcome = match (space.ending.take(), unmade) {
                    (Some(Phase::Ended { outcome, .. }), _) => outcome,
                    (_, Unmade::Failed(failure)) => AttemptOutcome::SpawnFailed(failure),
                    (_, Unmade::Cancelled) => AttemptOutcome::Lost(LossReason::Evicted),
                };
                self.ended(token, outcome, me);
            }
            (None, Ok(place)) => self.abandon_space(token, place, me),
            (None, Err(_)) => {}
        }
        self.start_ready(me);
        self.work_on_spaces(me);
    }

    fn space_settled(&mut self, token: Token, end: SpaceEnd, me: &Me<WorkerMessage>) {
        self.spaces.settle.done();
        if let Some(space) = self.held.get_mut(&token).and_then(|held| held.space.as_deref_mut()) {
            space.step = Step::Settled(end);
            if let Some(phase) = space.ending.take() {
                self.attempt_changed(token, phase, me);
            }
        }
        self.work_on_spaces(me);
    }

    /// Nobody waits for it any more, and nobody has worked in it.
    fn abandon_space(&self, token: Token, place: Place, me: &Me<WorkerMessage>) {
        let WorkerArgs { spaces, provisions, depot, .. } = self.args.clone();
        me.run_blocking(move || {
            depot.forget(token);
            if let Some(space) = place.space {
                spaces.abandon(token, space.made);
            }
            if let Some(given) = place.given {
                provisions.take_back(token, Some(given.number));
            }
            WorkerMessage::Workspace(SpaceMessage::Swept)
        });
    }

    /// Looks after what attempts have left that nobody holds any more, and after the room that kept ones take. The host must
    /// have told what it holds.
    pub(super) fn sweep_spaces(&self, me: &Me<WorkerMessage>) {
        let WorkerArgs { spaces, provisions, depot, .. } = self.args.clone();
        let (mut left, mut given, mut wanted) = (spaces.unsettled(), provisions.all(), depot.unsettled());
        if spaces.is_empty() && given.is_empty() && wanted.is_empty() || !self.host_known {
            return;
        }
        left.retain(|(token, _)| !self.held.contains_key(token));
        given.retain(|(token, _)| !self.held.contains_key(token));
        wanted.retain(|token| !self.held.contains_key(token));
        me.run_blocking(move || {
            wanted.into_iter().for_each(|token| depot.forget(token));
            given.into_iter().for_each(|(token, number)| provisions.take_back(token, Some(number)));
            spaces.sweep(&left);
            let reclaimed = spaces.reclaim();
            if reclaimed > 0 {
                tracing::info!(
                    reclaimed,
                    "removed kept workspaces: their time was over, or their room was needed"
                );
            }
            WorkerMessage::Workspace(SpaceMessage::Swept)
        });
    }

    /// Secrets come and go while the daemon runs: what is said of the machine follows.
    pub(super) fn look_for_labels(&self, me: &Me<WorkerMessage>) {
        let provisions = self.args.provisions.clone();
        if !provisions.is_nothing() {
            me.run_blocking(move || WorkerMessage::Workspace(SpaceMessage::Labelled(provisions.labels())));
        }
    }

    fn labelled(&mut self, labels: Vec<(Box<str>, Box<str>)>) {
        if labels != self.gives {
            self.gives = labels;
            self.reregister();
        }
    }
}
