//! The worker on a paused clock, with a host and a scheduler side that only note what they are told.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use policy::id::{AttemptNumber, GraphId, TaskId};
use policy::sample::Sample;
use policy::task::{RequestNumber, TaskSpec};
use policy::time::Moment;
use supervision::dynamic::Options;
use supervision::{Intensity, Strategy};
use supervision::{Running, SupervisorArgs};

use super::*;
use crate::process::protocol::{HostReport, HostedPhase};
use crate::wire::fleet::{Grant, Held, OutputFrom, OutputRead, StopCause};

pub(crate) fn grant(token: u64, cpu_millis: u64) -> Grant {
    Grant {
        token: Token(token),
        task: TaskId(token),
        graph: GraphId(1),
        attempt: AttemptNumber(1),
        array_index: None,
        request: RequestNumber::default(),
        spec: Arc::new(TaskSpec {
            resources: Resources::cpus(cpu_millis),
            tenant: "me".into(),
            grace: Duration::from_secs(1),
            ..TaskSpec::new("t", vec!["true".into()])
        }),
        indices: policy::claims::Indices::new(),
        stretch_percent: 100,
        deadline: None,
        gang: Vec::new(),
    }
}

#[derive(Default)]
struct Notes {
    commands: Mutex<Vec<Command>>,
    told: Mutex<Vec<FromWorker>>,
    /// Whether the next command makes whoever gives it panic.
    fails: AtomicBool,
    /// Whether nothing is kept of what was begun, as an agent keeps nothing.
    forgets: bool,
}

impl HostPort for Notes {
    fn command(&self, command: Command) {
        assert!(!self.fails.swap(false, Relaxed), "planted");
        self.commands.lock().unwrap().push(command);
    }

    fn remembers(&self) -> bool {
        !self.forgets
    }
}

struct Machine {
    notes: Arc<Notes>,
    attempts: Dynamic<AttemptActor>,
    worker: Address<WorkerMessage>,
    clock: Clock,
    _home: tempfile::TempDir,
    _tree: Running,
}

const SESSION: NodeSession = NodeSession(3);

impl Machine {
    async fn start() -> Self {
        Self::start_with(Notes::default()).await
    }

    async fn start_with(notes: Notes) -> Self {
        let notes = Arc::new(notes);
        let home = tempfile::tempdir().unwrap();
        let told = notes.clone();
        let outlet = Outlet::new(move |message| {
            told.told.lock().unwrap().push(message);
            true
        });
        let attempts = Dynamic::temporary("processes", Options::default());
        let clock = Clock::simulated();
        let args = WorkerArgs {
            node: "node".into(),
            incarnation: Incarnation(1),
            boot: "boot".into(),
            capacity: Resources::cpus(2000),
            labels: Vec::new(),
            version: "1".into(),
            base: BaseEnvironment::default(),
            output: OutputLimits::default(),
            retention: Retention::default(),
            directory: HostDirectory::new(home.path()),
            spaces: Workspaces::none(clock),
            depot: Depot::none(clock),
            hooks: Some(Arc::default()),
            provisions: Provisions::none(),
            gauge: Default::default(),
            clock,
            outlet,
            port: notes.clone(),
            attempts: attempts.clone(),
        };
        let worker = Address::new("worker", "");
        let child = supervision::Child::worker::<Worker>("worker", &worker, move || args.clone());
        let tree = SupervisorArgs::new(
            "machine",
            Strategy::OneForAll,
            Intensity::NONE,
            vec![attempts.child(), child],
        );
        let tree = supervision::supervisor::start(tree).await.unwrap();
        Self { notes, attempts, worker, clock, _home: home, _tree: tree }
    }

    /// Connected, registered, with a lease.
    async fn ready(hosted: Vec<Hosted>) -> Self {
        let machine = Self::start().await;
        machine.begin(hosted).await;
        machine
    }

    async fn begin(&self, hosted: Vec<Hosted>) {
        self.worker.tell(WorkerMessage::LinkUp);
        self.host(HostReport::Inventory { attempts: hosted, last: true });
        self.welcome(SESSION);
        self.heard(self.clock.now());
        self.settle().await;
    }

    fn welcome(&self, session: NodeSession) {
        self.scheduler(ToWorker::Welcome { session, epoch: Epoch(1), terms: LeaseTerms::default() });
    }

    fn host(&self, report: HostReport) {
        self.worker.tell(WorkerMessage::Host(HostEvent::Reports(vec![report])));
    }

    fn scheduler(&self, message: ToWorker) {
        self.worker.tell(WorkerMessage::Scheduler(message));
    }

    fn heard(&self, sent: Moment) {
        self.scheduler(ToWorker::HeartbeatHeard { session: SESSION, sent, sequence: 1 });
    }

    fn run(&self, grants: Vec<Grant>) {
        self.scheduler(ToWorker::Run { session: SESSION, grants });
    }

    fn end(&self, token: u64) {
        let (outcome, usage) = (AttemptOutcome::Exited(0), Usage::default());
        self.host(HostReport::Ended { token: Token(token), outcome, usage, steps: Vec::new() });
    }

    /// Lets everything that can happen now happen: time stands still while anybody is busy.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Everything told since the last call.
    async fn told(&self) -> Vec<FromWorker> {
        self.settle().await;
        std::mem::take(&mut self.notes.told.lock().unwrap())
    }

    async fn commands(&self) -> Vec<Command> {
        self.settle().await;
        std::mem::take(&mut self.notes.commands.lock().unwrap())
    }

    /// Tokens whose start was commanded since the last call.
    async fn starts(&self) -> Vec<u64> {
        let commands = self.commands().await;
        commands
            .iter()
            .filter_map(
                |command| if let Command::Start(start) = command { Some(start.token.0) } else { None },
            )
            .collect()
    }

    async fn reports(&self) -> Vec<(u64, Phase)> {
        let told = self.told().await;
        told.into_iter()
            .filter_map(
                |message| {
                    if let FromWorker::Reports { reports, .. } = message { Some(reports) } else { None }
                },
            )
            .flatten()
            .map(|report| (report.token.0, report.phase))
            .collect()
    }
}

fn hosted(token: u64, phase: HostedPhase) -> Hosted {
    let (token, task) = (Token(token), TaskId(token));
    Hosted { token, task, attempt: AttemptNumber(1), need: Resources::cpus(1000), phase }
}

fn over(outcome: AttemptOutcome) -> Phase {
    Phase::ended(outcome, Usage::default())
}

#[tokio::test(start_paused = true)]
async fn it_registers_only_when_the_host_has_told_what_it_holds() {
    let machine = Machine::start().await;
    machine.worker.tell(WorkerMessage::LinkUp);
    assert!(machine.told().await.is_empty());
    machine.host(HostReport::Inventory {
        attempts: vec![hosted(5, HostedPhase::Running { pid: 9, step: None })],
        last: true,
    });
    let told = machine.told().await;
    let FromWorker::Register(registration) = &told[0] else { panic!("{told:?}") };
    assert_eq!(
        registration.inventory,
        [Held { token: Token(5), task: TaskId(5), phase: Phase::Running { pid: 9, step: None } }]
    );
}

#[tokio::test(start_paused = true)]
async fn grants_go_to_the_host_in_order_and_what_it_says_is_reported_in_order() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000), grant(2, 2000), grant(3, 1000)]);
    assert_eq!(machine.starts().await, [1, 2, 3], "it starts them as its capacity permits");
    machine.host(HostReport::Started { token: Token(1), pid: 7, step: None });
    machine.end(1);
    machine.host(HostReport::Started { token: Token(2), pid: 8, step: None });
    let reports = machine.reports().await;
    let running = |pid| Phase::Running { pid, step: None };
    assert_eq!(reports, [(1, running(7)), (1, over(AttemptOutcome::Exited(0))), (2, running(8))]);
}

#[tokio::test(start_paused = true)]
async fn the_host_knows_capacity_and_lease_before_it_is_given_anything() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000)]);
    machine.commands().await;
    machine.worker.tell(WorkerMessage::Host(HostEvent::Disconnected));
    machine.worker.tell(WorkerMessage::Host(HostEvent::Connected { pid: 1 }));
    machine.host(HostReport::Inventory { attempts: Vec::new(), last: true });
    let commands = machine.commands().await;
    let kinds = commands.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    let (start_until, kill_at) = (Moment(0), Moment(0));
    let expected = [Command::Capacity(Resources::default()), Command::Lease { start_until, kill_at }];
    assert_eq!(kinds[..2], expected.map(|command| std::mem::discriminant(&command)), "{commands:?}");
    assert!(matches!(&commands[2..], [Command::Start(start)] if start.token == Token(1)), "{commands:?}");
}

#[tokio::test(start_paused = true)]
async fn one_larger_than_the_machine_is_handed_back() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 2001)]);
    assert_eq!(machine.reports().await, [(1, over(AttemptOutcome::Lost(LossReason::Evicted)))]);
    assert!(machine.starts().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_twice_runs_once() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000)]);
    machine.run(vec![grant(1, 1000)]);
    machine.end(1);
    machine.settle().await;
    machine.run(vec![grant(1, 1000)]);
    assert_eq!(machine.starts().await, [1]);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_kept_what_was_granted_before_this_life_is_lost_and_not_begun_again() {
    let machine = Machine::start_with(Notes { forgets: true, ..Notes::default() }).await;
    machine.begin(Vec::new()).await;
    machine.run(vec![grant(SESSION.0 - 1, 1000), grant(SESSION.0 + 1, 1000)]);
    assert_eq!(machine.starts().await, [SESSION.0 + 1]);
    let lost = over(AttemptOutcome::Lost(LossReason::HostDied));
    assert_eq!(machine.reports().await, [(SESSION.0 - 1, lost)]);
    // A new session is no new life: what was on its way when the old one ended is run.
    machine.welcome(NodeSession(9));
    machine.scheduler(ToWorker::Run { session: NodeSession(9), grants: vec![grant(SESSION.0 + 2, 1000)] });
    assert_eq!(machine.starts().await, [SESSION.0 + 2]);
    // Nor is a log that counts from one again.
    machine.welcome(NodeSession(1));
    machine.scheduler(ToWorker::Run { session: NodeSession(1), grants: vec![grant(SESSION.0, 1000)] });
    assert_eq!(machine.starts().await, [SESSION.0]);
    // What keeps what it has begun is given it in any case.
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(SESSION.0 - 1, 1000)]);
    assert_eq!(machine.starts().await, [SESSION.0 - 1]);
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_without_the_right_to_run_it() {
    let machine = Machine::ready(Vec::new()).await;
    machine.starts().await;
    tokio::time::sleep(Duration::from_secs(14)).await;
    machine.run(vec![grant(1, 1000)]);
    assert!(machine.starts().await.is_empty());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(machine.reports().await, [(1, over(AttemptOutcome::Lost(LossReason::LeaseLost)))]);
}

#[tokio::test(start_paused = true)]
async fn every_heard_heartbeat_moves_the_hosts_deadline() {
    let machine = Machine::ready(Vec::new()).await;
    machine.commands().await;
    let sent = machine.clock.now();
    machine.heard(sent);
    let (start_until, kill_at) = (sent + Duration::from_secs(13), sent + Duration::from_secs(14));
    assert_eq!(machine.commands().await, [Command::Lease { start_until, kill_at }]);
    machine.heard(sent + Duration::from_secs(99));
    assert!(machine.commands().await.is_empty(), "an answer from the future counts for nothing");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_told_with_every_heartbeat_until_it_is_forgotten() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000)]);
    machine.settle().await;
    machine.end(1);
    machine.told().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = machine.told().await;
    let FromWorker::Heartbeat { inventory, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!(inventory[0].phase, over(AttemptOutcome::Exited(0)));
    machine.commands().await;
    machine.scheduler(ToWorker::Forget { session: SESSION, tokens: vec![Token(1), Token(2)] });
    assert_eq!(machine.commands().await, [Command::Forget(vec![Token(1)])]);
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_told_of_with_what_it_uses() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000), grant(2, 1000)]);
    machine.settle().await;
    machine.host(HostReport::Started { token: Token(1), pid: 7, step: None });
    let sample = Sample { processes: 3, ..Sample::default() };
    // The second ends before its sample comes, of the third nobody knows.
    machine.host(HostReport::Started { token: Token(2), pid: 8, step: None });
    machine.end(2);
    machine.host(HostReport::Sampled((1..4).map(|token| (Token(token), sample)).collect()));
    machine.told().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let told = machine.told().await;
    let FromWorker::Heartbeat { samples, .. } = &told[0] else { panic!("{told:?}") };
    assert_eq!(*samples, [(grant(1, 1000).task, sample)]);
}

#[tokio::test(start_paused = true)]
async fn stopping_reaches_what_the_host_has_and_ends_what_waits() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 2000)]);
    machine.commands().await;
    machine.worker.tell(WorkerMessage::Host(HostEvent::Disconnected));
    machine.run(vec![grant(2, 2000)]);
    let tokens = vec![Token(1), Token(2), Token(9)];
    machine.scheduler(ToWorker::Stop { session: SESSION, tokens, cause: StopCause::End });
    assert_eq!(machine.commands().await, [Command::Stop { token: Token(1), why: StopReason::Cancel }]);
    let expected =
        [(2, over(AttemptOutcome::Cancelled)), (9, over(AttemptOutcome::Lost(LossReason::Unknown)))];
    assert_eq!(machine.reports().await, expected);
}

#[tokio::test(start_paused = true)]
async fn messages_of_an_old_session_change_nothing() {
    let machine = Machine::ready(Vec::new()).await;
    machine.commands().await;
    machine.scheduler(ToWorker::Run { session: NodeSession(2), grants: vec![grant(1, 1000)] });
    assert!(machine.starts().await.is_empty());
    let terms = LeaseTerms::default();
    machine.scheduler(ToWorker::Welcome { session: NodeSession(9), epoch: Epoch(0), terms });
    machine.run(vec![grant(2, 1000)]);
    assert_eq!(machine.starts().await, [2], "nor does a welcome of an older reign");
}

#[tokio::test(start_paused = true)]
async fn after_a_break_the_host_is_told_again_what_it_missed() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000), grant(2, 1000)]);
    machine.host(HostReport::Started { token: Token(1), pid: 7, step: None });
    machine.commands().await;
    machine.worker.tell(WorkerMessage::Host(HostEvent::Disconnected));
    machine.run(vec![grant(3, 1000)]);
    machine.worker.tell(WorkerMessage::Host(HostEvent::Connected { pid: 1 }));
    assert!(machine.commands().await.is_empty());
    machine.reports().await;
    machine.host(HostReport::Inventory { attempts: Vec::new(), last: true });
    assert_eq!(machine.starts().await, [2, 3], "the second is said again, before the third");
    assert_eq!(machine.reports().await, [(1, over(AttemptOutcome::Lost(LossReason::HostDied)))]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_actor_has_died_is_followed_again() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000)]);
    machine.host(HostReport::Started { token: Token(1), pid: 7, step: None });
    machine.commands().await;
    machine.notes.fails.store(true, Relaxed);
    machine.scheduler(ToWorker::Stop { session: SESSION, tokens: vec![Token(1)], cause: StopCause::End });
    machine.settle().await;
    assert_eq!(machine.attempts.count(), 0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(machine.commands().await, [Command::Inventory]);
    machine.end(1);
    machine.settle().await;
    assert_eq!(machine.reports().await.last(), Some(&(1, over(AttemptOutcome::Exited(0)))));
    assert_eq!(machine.attempts.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_daemon_gave_the_host_is_adopted() {
    let ended =
        HostedPhase::Ended { outcome: AttemptOutcome::Exited(4), usage: Usage::default(), steps: Vec::new() };
    let running = HostedPhase::Running { pid: 5, step: None };
    let machine =
        Machine::ready(vec![hosted(1, running), hosted(2, ended), hosted(3, HostedPhase::Staged)]).await;
    let told = machine.told().await;
    let FromWorker::Register(registration) = &told[0] else { panic!("{told:?}") };
    let phases: Vec<_> = registration.inventory.iter().map(|held| held.phase.clone()).collect();
    let expected = [Phase::Running { pid: 5, step: None }, over(AttemptOutcome::Exited(4)), Phase::Staged];
    assert_eq!(phases, expected);
    machine.run(vec![grant(3, 1000)]);
    assert!(machine.starts().await.is_empty(), "the host has it already");
    machine.end(1);
    machine.host(HostReport::Started { token: Token(3), pid: 6, step: None });
    let expected = [(1, over(AttemptOutcome::Exited(0))), (3, Phase::Running { pid: 6, step: None })];
    assert_eq!(machine.reports().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_back_what_waits_and_says_goodbye_when_nothing_is_held() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 2000), grant(2, 2000)]);
    machine.host(HostReport::Started { token: Token(1), pid: 7, step: None });
    machine.told().await;
    machine.commands().await;
    let (done, mut drained) = Reply::channel();
    machine.worker.tell(WorkerMessage::Drain { within: Some(Duration::from_secs(1)), done });
    assert_eq!(machine.commands().await, [Command::Recall(vec![Token(2)])]);
    let outcome = AttemptOutcome::Lost(LossReason::Evicted);
    machine.host(HostReport::Ended { token: Token(2), outcome, usage: Usage::default(), steps: Vec::new() });
    assert_eq!(machine.reports().await, [(2, over(AttemptOutcome::Lost(LossReason::Evicted)))]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(machine.commands().await.contains(&Command::Stop { token: Token(1), why: StopReason::Evict }));
    machine.end(1);
    machine.scheduler(ToWorker::Forget { session: SESSION, tokens: vec![Token(2)] });
    machine.settle().await;
    assert!(drained.try_recv().is_err());
    machine.scheduler(ToWorker::Forget { session: SESSION, tokens: vec![Token(1)] });
    assert_eq!(drained.await, Ok(()));
    assert!(machine.told().await.contains(&FromWorker::Goodbye { session: SESSION }));
}

#[tokio::test(start_paused = true)]
async fn readers_of_output_that_is_not_there_wait_or_are_told() {
    let machine = Machine::ready(Vec::new()).await;
    machine.run(vec![grant(1, 1000)]);
    machine.told().await;
    let read = OutputRead { from: OutputFrom::Cursor(0), max_bytes: 100, wait: Duration::from_secs(1) };
    let ask = |request, token| machine.scheduler(ToWorker::ReadOutput { request, token: Token(token), read });
    ask(1, 1);
    ask(2, 99);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let answers = machine.told().await;
    assert!(answers.contains(&FromWorker::Output { request: 2, piece: Err(OutputRefusal::Gone) }));
    assert!(answers.contains(&FromWorker::Output { request: 1, piece: Ok(OutputPiece::default()) }));
    (0..=64).for_each(|request| ask(request, 1));
    let refused = FromWorker::Output { request: 64, piece: Err(OutputRefusal::Busy { limit: 64 }) };
    assert_eq!(machine.told().await, [refused]);
}
