//! The worker actor with a real host: what the scheduler side sees of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use actors::clock::Clock;
use actors::outlet::Outlet;
use actors::output::retention::Retention;
use actors::output::spool::OutputLimits;
use actors::process::port::{HostEvent, HostPort, HostProgram, LocalHost};
use actors::process::protocol::{Command, HostDirectory, HostReport};
use actors::wire::fleet::{FromWorker, Grant, OutputFrom, OutputRead, Phase, ToWorker};
use actors::worker::environment::BaseEnvironment;
use actors::worker::{Worker, WorkerArgs, WorkerMessage};
use policy::id::{AttemptNumber, Epoch, GraphId, Incarnation, NodeSession, TaskId, Token};
use policy::lease::LeaseTerms;
use policy::resources::Resources;
use policy::task::{AttemptOutcome, RequestNumber, TaskReport, TaskSpec, Usage};
use supervision::dynamic::Options;
use supervision::supervisor::{self, SupervisorArgs};
use supervision::{Address, Child, Dynamic, Intensity, Running, Strategy};

use crate::bed::{PATIENCE, RUNTIME};

crate::tests![
    a_worker_runs_what_it_is_granted,
    an_attempt_reports_of_itself,
    a_new_worker_adopts_what_an_old_one_started
];

const SESSION: NodeSession = NodeSession(1);

pub(crate) struct Machine {
    worker: Address<WorkerMessage>,
    told: Receiver<FromWorker>,
    tree: Option<Running>,
    port: Option<Arc<dyn HostPort>>,
}

impl Machine {
    fn start(directory: &HostDirectory) -> Self {
        Self::with_port(directory, |worker| {
            let program = HostProgram::new(std::env::current_exe().unwrap());
            let listener = Arc::new(move |event| worker.tell(WorkerMessage::Host(event)));
            Arc::new(LocalHost::open(directory.clone(), program, listener))
        })
    }

    pub(crate) fn with_port(
        directory: &HostDirectory,
        port: impl FnOnce(Address<WorkerMessage>) -> Arc<dyn HostPort>,
    ) -> Self {
        let _runtime = RUNTIME.enter();
        let (outlet, told) = channel();
        let worker = Address::new("worker", "");
        let port = port(worker.clone());
        let attempts = Dynamic::temporary("processes", Options::default());
        let args = WorkerArgs {
            node: "node".into(),
            incarnation: Incarnation(1),
            boot: "boot".into(),
            capacity: Resources::cpus(2000),
            labels: Vec::new(),
            version: "1".into(),
            base: BaseEnvironment::of([("PATH".into(), "/usr/bin:/bin".into())], &["PATH"]),
            output: OutputLimits::default(),
            retention: Retention::default(),
            directory: directory.clone(),
            spaces: actors::workspace::Workspaces::none(Clock::system()),
            depot: actors::artifact::Depot::none(Clock::system()),
            hooks: Some(Arc::default()),
            provisions: actors::provision::Provisions::none(),
            gauge: Default::default(),
            clock: Clock::system(),
            outlet: Outlet::new(move |message| outlet.send(message).is_ok()),
            port: port.clone(),
            attempts: attempts.clone(),
        };
        let child = Child::worker::<Worker>("worker", &worker, move || args.clone());
        let children = vec![attempts.child(), child];
        let tree = SupervisorArgs::new("machine", Strategy::OneForAll, Intensity::NONE, children);
        let tree = RUNTIME.block_on(supervisor::start(tree)).unwrap();
        worker.tell(WorkerMessage::LinkUp);
        Self { worker, told, tree: Some(tree), port: Some(port) }
    }

    /// As the scheduler side: welcomes, and answers the first heartbeat.
    pub(crate) fn welcome(&self) -> Vec<Token> {
        let held = self.wait(|told| match told {
            FromWorker::Register(registration) => Some(registration.inventory),
            _ => None,
        });
        self.say(ToWorker::Welcome { session: SESSION, epoch: Epoch(1), terms: LeaseTerms::default() });
        let heard = self.wait(|told| match told {
            FromWorker::Heartbeat { session, sequence, sent, .. } => {
                Some(ToWorker::HeartbeatHeard { session, sent, sequence })
            }
            _ => None,
        });
        self.say(heard);
        held.into_iter().map(|held| held.token).collect()
    }

    pub(crate) fn say(&self, message: ToWorker) {
        self.worker.tell(WorkerMessage::Scheduler(message));
    }

    pub(crate) fn wait<T>(&self, wanted: impl Fn(FromWorker) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(found) = wanted(self.told.recv_timeout(left).unwrap()) {
                return found;
            }
        }
    }

    fn ended(&self, token: u64) -> AttemptOutcome {
        self.end(token).0
    }

    fn end(&self, token: u64) -> (AttemptOutcome, Option<Box<TaskReport>>) {
        self.wait(|told| match told {
            FromWorker::Reports { reports, .. } => {
                reports.into_iter().find_map(|report| match report.phase {
                    Phase::Ended { outcome, report: said, .. } if report.token.0 == token => {
                        Some((outcome, said))
                    }
                    _ => None,
                })
            }
            _ => None,
        })
    }

    pub(crate) fn run(&self, grants: Vec<Grant>) {
        self.say(ToWorker::Run { session: SESSION, grants });
    }

    pub(crate) fn forget(&self, tokens: Vec<Token>) {
        self.say(ToWorker::Forget { session: SESSION, tokens });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut tree) = self.tree.take() {
            RUNTIME.block_on(tree.stop());
        }
        self.port = None;
    }
}

pub(crate) fn grant(token: u64, argv: &[&str]) -> Grant {
    Grant {
        token: Token(token),
        task: TaskId(token),
        graph: GraphId(1),
        attempt: AttemptNumber(1),
        array_index: None,
        request: RequestNumber::default(),
        spec: Arc::new(TaskSpec {
            tenant: "me".into(),
            grace: Duration::from_secs(1),
            ..TaskSpec::new("t", argv.iter().map(|word| (*word).into()).collect())
        }),
        indices: policy::claims::Indices::new(),
        stretch_percent: 100,
        deadline: None,
        gang: Vec::new(),
    }
}

fn a_worker_runs_what_it_is_granted() {
    let home = tempfile::Builder::new().prefix("crab").tempdir().unwrap();
    let mut machine = Machine::start(&HostDirectory::new(home.path()));
    assert!(machine.welcome().is_empty());
    machine
        .run(vec![grant(1, &["sh", "-c", "echo $CRAB_TASK $CRAB_ATTEMPT; exit 3"]), grant(2, &["nonsense"])]);
    assert_eq!(machine.ended(1), AttemptOutcome::Exited(3));
    let read = OutputRead { from: OutputFrom::Cursor(0), max_bytes: 100, wait: Duration::from_secs(5) };
    machine.say(ToWorker::ReadOutput { request: 7, token: Token(1), read });
    let piece = machine.wait(|told| match told {
        FromWorker::Output { request: 7, piece } => Some(piece.unwrap()),
        _ => None,
    });
    assert_eq!(piece.parts[0].bytes, b"t1 1\n");
    retire(&mut machine, &[1, 2]);
}

fn an_attempt_reports_of_itself() {
    let home = tempfile::Builder::new().prefix("crab").tempdir().unwrap();
    let mut machine = Machine::start(&HostDirectory::new(home.path()));
    machine.welcome();
    let script = "echo '{\"cost\": 3}' >>$CRAB_REPORT; echo nonsense >>$CRAB_REPORT; exit 1";
    machine.run(vec![grant(1, &["sh", "-c", script])]);
    let (outcome, report) = machine.end(1);
    let report = report.unwrap();
    assert_eq!((outcome, report.cost), (AttemptOutcome::Exited(1), 3));
    assert!(report.faults[0].contains("nonsense"), "{:?}", report.faults);
    retire(&mut machine, &[1]);
}

fn a_new_worker_adopts_what_an_old_one_started() {
    let home = tempfile::Builder::new().prefix("crab").tempdir().unwrap();
    let go = home.path().join("go");
    let script = format!("while ! [ -e {} ]; do sleep 0.01; done; exit 4", go.display());
    let directory = HostDirectory::new(home.path());
    let mut old = Machine::start(&directory);
    old.welcome();
    old.run(vec![grant(1, &["sh", "-c", &script])]);
    old.wait(|told| matches!(told, FromWorker::Reports { .. }).then_some(()));
    old.stop();
    let mut new = Machine::start(&directory);
    assert_eq!(new.welcome(), [Token(1)]);
    std::fs::write(go, "").unwrap();
    assert_eq!(new.ended(1), AttemptOutcome::Exited(4));
    retire(&mut new, &[1]);
}

/// Leaves nothing behind: a host that has nothing to do goes when it is told to.
fn retire(machine: &mut Machine, tokens: &[u64]) {
    machine.forget(tokens.iter().map(|token| Token(*token)).collect());
    let (done, drained) = supervision::Reply::channel();
    machine.worker.tell(WorkerMessage::Drain { within: None, done });
    RUNTIME.block_on(drained).unwrap();
    machine.wait(|told| matches!(told, FromWorker::Goodbye { .. }).then_some(()));
    machine.stop();
}

/// A host that does everything at once, to measure what the worker itself takes.
pub(crate) struct Instantly(pub(crate) Address<WorkerMessage>);

impl HostPort for Instantly {
    fn command(&self, command: Command) {
        let reports = match command {
            Command::Start(start) => {
                let token = start.token;
                let ended = HostReport::Ended {
                    token,
                    outcome: AttemptOutcome::Exited(0),
                    usage: Usage::default(),
                    steps: Vec::new(),
                };
                vec![HostReport::Started { token, pid: 1, step: None }, ended]
            }
            Command::Inventory => vec![HostReport::Inventory { attempts: Vec::new(), last: true }],
            _ => return,
        };
        self.0.tell(WorkerMessage::Host(HostEvent::Reports(reports)));
    }
}
