//! The worker: the actor on a machine that runs what the scheduler side grants.
//!
//! **Role.** Holds every attempt of this machine, hands what is granted to the host, which starts it as
//! resources permit, reports until told to forget. **Decides with** `policy::lease`. **Parent** the machine
//! side; its sibling `processes` (dynamic) holds an [`attempt`] actor for each that runs, and is restarted
//! with it. One that has ended before anybody heard that it ran needs none.
//! **Hears** the scheduler side, the link, the host's port, attempts, itself. **Tells** the scheduler side
//! through an outlet, attempts, the host.
//! **On crash** nothing happens to any process: the next worker asks the host what there is and registers.
//! **Invariant.** The host knows the capacity and the lease before it is given anything to start; every
//! attempt held is reported until it is forgotten.
//!
//! A stop of the worker leaves everything running in the host, for the daemon that comes after an upgrade;
//! [`WorkerMessage::Drain`] is for a machine that is taken out of service.

mod artifacts;
pub mod attempt;
pub mod capacity;
mod draining;
pub mod environment;
pub mod gauge;
mod heartbeat;
mod held;
mod hosting;
mod keeping;
pub mod labels;
mod orders;
pub mod output;
pub mod place;
pub mod report;
mod show;
mod signals;
pub mod space;
pub mod stages;
pub mod suites;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::id::{Epoch, Incarnation, NodeId, NodeSession, Token};
use policy::lease::{LeaseTerms, WorkerLease};
use policy::resources::Resources;
use policy::strain::Watch;
use policy::task::{AttemptOutcome, LossReason, Progress, Usage};
use supervision::{Actor, ActorError, Address, Dynamic, Fact, Me, Message, Reply};

use crate::artifact::Depot;
use crate::clock::Clock;
use crate::outlet::Outlet;
use crate::output::retention::Retention;
use crate::output::spool::OutputLimits;
use crate::process::port::{HostEvent, HostPort};
use crate::process::protocol::{Command, HostDirectory, Hosted, StopReason};
use crate::provision::Provisions;
use crate::wire::fleet::{
    ArtifactPiece, ArtifactRefusal, FromWorker, OutputPiece, OutputRefusal, Phase, Registration, Report,
    ToWorker,
};
use crate::workspace::Workspaces;
use attempt::{AttemptActor, AttemptMessage};
use environment::BaseEnvironment;
use gauge::Gauge;
use held::HeldAttempt;
use output::Reading;
use space::SpaceMessage;
use stages::Hooks;

/// What a worker can be told.
#[derive(Debug, strum::IntoStaticStr)]
pub enum WorkerMessage {
    /// There is a connection to the scheduler side.
    LinkUp,
    /// There is none any more.
    LinkDown,
    /// The scheduler side speaks.
    Scheduler(ToWorker),
    /// The port to the host speaks.
    Host(HostEvent),
    /// An attempt knows more than the host says.
    AttemptChanged {
        /// Which.
        token: Token,
        /// How far.
        phase: Phase,
    },
    /// Take nothing new; answer when nothing is held any more.
    Drain {
        /// What still runs then is taken away; never where there is none.
        within: Option<Duration>,
        /// Told when done.
        done: Reply<()>,
    },
    /// Timer: what a drain still finds running is taken away.
    DrainOverdue,
    /// Timer: a heartbeat is due.
    HeartbeatDue,
    /// Everything that was in the mailbox with the first report has been handled.
    ReportsDue,
    /// A file of output was looked at.
    OutputLooked {
        /// For whom.
        reading: Reading,
        /// What was found; `None` where there is no file.
        piece: Result<Option<OutputPiece>, OutputRefusal>,
    },
    /// Timer: somebody still waits for output.
    LookAtOutput(Reading),
    /// What is kept of an attempt was looked at.
    ArtifactLooked {
        /// The request that is answered.
        request: u64,
        /// What was found.
        piece: Result<ArtifactPiece, ArtifactRefusal>,
    },
    /// What attempts said of how far they are was read.
    ProgressRead(Vec<(Token, Progress)>),
    /// Something has come of work on a workspace.
    Workspace(SpaceMessage),
    /// Timer: old output may have to go.
    RetentionDue,
    /// Old output has gone, and the artifacts of so many attempts.
    Retained(Result<usize, Box<str>>, usize),
}

impl Message for WorkerMessage {
    fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything a worker needs to start.
#[derive(Clone)]
pub struct WorkerArgs {
    /// Its name in the fleet.
    pub node: NodeId,
    /// The life of its daemon.
    pub incarnation: Incarnation,
    /// The life of its operating system.
    pub boot: Box<str>,
    /// What it has for tasks.
    pub capacity: Resources,
    /// What is known of it.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// The version of the program.
    pub version: Box<str>,
    /// What every task inherits.
    pub base: BaseEnvironment,
    /// How much output of an attempt is kept.
    pub output: OutputLimits,
    /// How much output is kept in all.
    pub retention: Retention,
    /// Where the host keeps its things.
    pub directory: HostDirectory,
    /// How the machine is looked at.
    pub gauge: Gauge,
    /// The directories of attempts' own.
    pub spaces: Arc<Workspaces>,
    /// What is kept of what attempts leave behind.
    pub depot: Arc<Depot>,
    /// What is done around every attempt; `None` where nothing but its command can be run.
    pub hooks: Option<Arc<Hooks>>,
    /// What else it gives to attempts.
    pub provisions: Arc<Provisions>,
    /// The only reader of time.
    pub clock: Clock,
    /// The scheduler side.
    pub outlet: Outlet<FromWorker>,
    /// The host; its events come as [`WorkerMessage::Host`].
    pub port: Arc<dyn HostPort>,
    /// The supervisor of attempt actors, restarted with this actor.
    pub attempts: Dynamic<AttemptActor>,
}

impl fmt::Debug for WorkerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerArgs").field("node", &self.node).finish_non_exhaustive()
    }
}

/// See the module docs.
pub struct Worker {
    args: WorkerArgs,
    /// What the host is to be told to start, in order.
    granted: VecDeque<Token>,
    held: BTreeMap<Token, HeldAttempt>,
    lease: WorkerLease,
    terms: LeaseTerms,
    epoch: Option<Epoch>,
    session: Option<NodeSession>,
    /// The first session of this life.
    first_session: Option<NodeSession>,
    sequence: u64,
    linked: bool,
    /// Whether the host has told what it holds: before, nothing true can be said.
    host_known: bool,
    inventory: Vec<Hosted>,
    reports: Vec<Report>,
    readers: u32,
    /// Readers of artifacts.
    collectors: u32,
    /// Whether what attempts say of how far they are is being read.
    is_reading_progress: bool,
    watch: Watch,
    spaces: space::Jobs,
    /// What is said of the machine because of what it gives.
    gives: Vec<(Box<str>, Box<str>)>,
    stillness: report::Stillness,
    drain: Option<Vec<Reply<()>>>,
    /// Whether nothing is to be started; `None` until the scheduler side has said.
    is_halted: Option<bool>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("node", &self.args.node).field("held", &self.held.len()).finish()
    }
}

impl Actor for Worker {
    const KIND: &'static str = "worker";
    type Message = WorkerMessage;
    type Args = WorkerArgs;

    fn start(args: WorkerArgs, me: &Me<WorkerMessage>) -> Result<Self, ActorError> {
        let terms = LeaseTerms::default();
        // A port that is connected already, from an earlier life of this actor, says it again.
        args.port.command(Command::Inventory);
        me.after(terms.heartbeat, WorkerMessage::HeartbeatDue);
        me.after(keeping::RETENTION_EVERY, WorkerMessage::RetentionDue);
        let gives = args.provisions.labels();
        Ok(Self {
            args,
            gives,
            granted: VecDeque::new(),
            held: BTreeMap::new(),
            lease: WorkerLease::new(terms),
            terms,
            epoch: None,
            session: None,
            first_session: None,
            sequence: 0,
            linked: false,
            host_known: false,
            inventory: Vec::new(),
            reports: Vec::new(),
            readers: 0,
            collectors: 0,
            is_reading_progress: false,
            watch: Watch::default(),
            spaces: space::Jobs::default(),
            stillness: report::Stillness::default(),
            drain: None,
            is_halted: None,
        })
    }

    fn handle(&mut self, message: WorkerMessage, me: &Me<WorkerMessage>) -> Result<(), ActorError> {
        match message {
            WorkerMessage::LinkUp => self.link_up(),
            WorkerMessage::LinkDown => self.link_down(),
            WorkerMessage::Scheduler(message) => self.scheduler_said(message, me),
            WorkerMessage::Host(event) => self.host_said(event, me),
            WorkerMessage::AttemptChanged { token, phase } => self.attempt_changed(token, phase, me),
            WorkerMessage::Drain { within, done } => self.drain(within, done, me),
            WorkerMessage::DrainOverdue => self.stop_all(StopReason::Evict, me),
            WorkerMessage::HeartbeatDue => self.heartbeat_due(me),
            WorkerMessage::ReportsDue => self.reports_due(),
            WorkerMessage::OutputLooked { reading, piece } => self.output_looked(reading, piece, me),
            WorkerMessage::ArtifactLooked { request, piece } => self.artifact_looked(request, piece),
            WorkerMessage::LookAtOutput(reading) => self.look_at_output(reading, me),
            WorkerMessage::ProgressRead(progress) => self.progress_read(progress),
            WorkerMessage::Workspace(message) => self.space_said(message, me),
            WorkerMessage::RetentionDue => self.retention_due(me),
            WorkerMessage::Retained(outcome, artifacts) => self.retained(outcome, artifacts, me),
        }
        Ok(())
    }

    fn show(&self) -> Vec<Fact> {
        self.facts()
    }
}

impl Worker {
    fn link_up(&mut self) {
        self.linked = true;
        self.session = None;
        self.register();
    }

    fn link_down(&mut self) {
        self.linked = false;
        self.session = None;
    }

    /// Says who this is and all that is here, once that is known.
    fn register(&mut self) {
        if !self.linked || !self.host_known || self.session.is_some() {
            return;
        }
        let WorkerArgs { node, incarnation, boot, capacity, labels, version, .. } = self.args.clone();
        let inventory = self.held();
        let labels = labels.into_iter().chain(self.gives.clone()).collect();
        let registration = Registration { node, incarnation, boot, capacity, labels, version, inventory };
        self.tell(FromWorker::Register(registration));
    }

    /// Ends what has no process.
    fn ended(&mut self, token: Token, outcome: AttemptOutcome, me: &Me<WorkerMessage>) {
        self.attempt_changed(token, Phase::ended(outcome, Usage::default()), me);
    }

    fn attempt_changed(&mut self, token: Token, mut phase: Phase, me: &Me<WorkerMessage>) {
        if self.settles_first(token, &phase, me) {
            return;
        }
        if let Phase::Ended { report, .. } = &mut phase {
            let steps = report.take().map(|report| report.steps).unwrap_or_default();
            *report = self.read_report(token);
            if !steps.is_empty() {
                report.get_or_insert_default().steps = steps;
            }
            let (workspace, artifacts) = self.space_end(token);
            if workspace.is_some() || artifacts.is_some() {
                let report = report.get_or_insert_default();
                (report.workspace, report.artifacts) = (workspace, artifacts);
            }
        }
        let Some(held) = self.held.get_mut(&token) else { return };
        if held.phase == phase || matches!(held.phase, Phase::Ended { .. }) {
            return;
        }
        let (node, attempt) = (&self.args.node, held.grant.as_ref().map(|grant| grant.attempt.0));
        tracing::debug!(%node, task = %held.task, attempt, %token, phase = <&str>::from(&phase), "changed");
        held.phase = phase.clone();
        if phase != Phase::Staged {
            held.grant = None;
        }
        let report = Report { token, task: held.task, phase };
        if matches!(report.phase, Phase::Ended { .. })
            && let Some(follower) = held.attempt.take().filter(Address::is_bound)
        {
            follower.tell(AttemptMessage::Ended);
        }
        self.report(report, me);
    }

    fn report(&mut self, report: Report, me: &Me<WorkerMessage>) {
        if self.reports.is_empty() {
            // Stands in the mailbox behind all that has happened by now: one message for all of it.
            me.address().tell(WorkerMessage::ReportsDue);
        }
        self.reports.push(report);
    }

    fn reports_due(&mut self) {
        let reports = std::mem::take(&mut self.reports);
        // Without a session they are part of the inventory of the next registration.
        if let Some(session) = self.session {
            self.tell(FromWorker::Reports { session, reports });
        }
    }

    fn heartbeat_due(&mut self, me: &Me<WorkerMessage>) {
        me.after(self.terms.heartbeat, WorkerMessage::HeartbeatDue);
        self.follow_orphaned(me);
        if self.lease.must_kill(self.args.clock.now()) {
            self.lose_staged(me);
        }
        self.register();
        self.measure();
        self.heartbeat();
    }

    /// The right to start these is gone and the scheduler grants them elsewhere; the host kills the others, and what
    /// it turns out never to have heard of is not started under a later lease.
    fn lose_staged(&mut self, me: &Me<WorkerMessage>) {
        for held in self.held.values_mut().filter(|held| held.waits_in_host()) {
            held.grant = None;
        }
        for token in self.tokens(HeldAttempt::waits_here) {
            self.ended(token, AttemptOutcome::Lost(LossReason::LeaseLost), me);
        }
    }

    fn tokens(&self, wanted: impl Fn(&HeldAttempt) -> bool) -> Vec<Token> {
        self.held.iter().filter(|(_, held)| wanted(held)).map(|(token, _)| *token).collect()
    }

    fn tell(&self, message: FromWorker) {
        // What is lost is said again: reports in heartbeats, a registration with the next one.
        self.args.outlet.send(message);
    }
}
