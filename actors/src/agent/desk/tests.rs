//! A desk on a paused clock, with a worker that only notes what it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use policy::bounds::TimeLimit;
use policy::id::{AttemptNumber, TaskId};
use policy::resources::Resources;
use supervision::{Intensity, Running, Strategy, SupervisorArgs};

use super::called::GOING_ON;
use super::*;
use crate::agent::Agent;
use crate::output::reader;
use crate::output::spool::OutputLimits;
use crate::wire::fleet::OutputFrom;

struct Bed {
    desk: Address<DeskMessage>,
    told: Arc<Mutex<Vec<HostReport>>>,
    directory: HostDirectory,
    clock: Clock,
    _home: tempfile::TempDir,
    _tree: Running,
}

fn start(token: u64, kind: &str, payload: &str) -> Start {
    Start {
        token: Token(token),
        task: TaskId(token),
        attempt: AttemptNumber(1),
        need: handler::need(kind),
        argv: vec![payload.into()],
        directory: "/".into(),
        environment: vec![("CRAB_GRAPH".into(), "g1".into())],
        bounds: Default::default(),
        limits: Default::default(),
        grace: Duration::from_secs(5),
        output: OutputLimits::default(),
        qos: Default::default(),
        stages: None,
    }
}

impl Bed {
    async fn of(agent: Agent) -> Self {
        let (home, clock) = (tempfile::tempdir().unwrap(), Clock::simulated());
        let directory = HostDirectory::new(home.path());
        std::fs::create_dir(directory.output()).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let listener: HostListener = Arc::new(move |event| {
            if let HostEvent::Reports(reports) = event {
                hears.lock().unwrap().extend(reports);
            }
        });
        let args = DeskArgs { handlers: agent.handlers, directory: directory.clone(), clock, listener };
        let desk = Address::new(Desk::KIND, "");
        let child = supervision::Child::worker::<Desk>(Desk::KIND, &desk, move || args.clone());
        let tree = SupervisorArgs::new("machine", Strategy::OneForAll, Intensity::NONE, vec![child]);
        let tree = supervision::supervisor::start(tree).await.unwrap();
        Self { desk, told, directory, clock, _home: home, _tree: tree }
    }

    fn command(&self, command: Command) {
        self.desk.tell(DeskMessage::Command(command));
    }

    fn starts(&self, start: Start) {
        self.command(Command::Start(Box::new(start)));
    }

    /// Waits for the next report that is wanted, and takes all up to it.
    async fn until(&self, wanted: impl Fn(&HostReport) -> bool) -> HostReport {
        loop {
            if let Some(found) = self.take(&wanted) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn take(&self, wanted: impl Fn(&HostReport) -> bool) -> Option<HostReport> {
        let mut told = self.told.lock().unwrap();
        let place = told.iter().position(wanted)?;
        told.drain(..=place).next_back()
    }

    async fn end(&self, token: u64) -> (AttemptOutcome, Usage) {
        let is_end =
            |report: &HostReport| matches!(report, HostReport::Ended { token: of, .. } if of.0 == token);
        let HostReport::Ended { outcome, usage, .. } = self.until(is_end).await else { panic!() };
        (outcome, usage)
    }

    async fn started(&self, token: u64) {
        self.until(|report| matches!(report, HostReport::Started { token: of, .. } if of.0 == token)).await;
    }

    fn written(&self, token: u64) -> String {
        let piece =
            reader::read(&self.directory.spool(Token(token)), OutputFrom::Cursor(0), 1 << 16).unwrap();
        assert!(piece.complete);
        piece.parts.iter().map(|part| String::from_utf8(part.bytes.clone()).unwrap()).collect()
    }
}

fn agent() -> Agent {
    Agent::named("a")
}

#[tokio::test(start_paused = true)]
async fn a_function_is_told_the_payload_and_what_it_says_is_kept() {
    let greeter = agent().handle("greet", 1, |call| async move {
        call.print(format_args!("hello, {}", String::from_utf8_lossy(call.payload())));
        call.complain(call.variable("CRAB_GRAPH").unwrap_or_default());
        call.progress(0.5, "greeting")?;
        call.result("greeted", 1)?;
        std::io::Result::Ok(())
    });
    let bed = Bed::of(greeter).await;
    bed.starts(start(1, "greet", "world"));
    let (outcome, usage) = bed.end(1).await;
    assert_eq!((outcome, usage.stdout_bytes, usage.stderr_bytes), (AttemptOutcome::Exited(0), 13, 3));
    assert_eq!(bed.written(1), "hello, world\ng1\n");
    let report = std::fs::read_to_string(bed.directory.report(Token(1))).unwrap();
    assert_eq!(report, "{\"doing\":\"greeting\",\"progress\":0.5}\n{\"result\":{\"greeted\":1}}\n");
}

#[tokio::test(start_paused = true)]
async fn an_error_exits_with_1_and_a_panic_with_101_and_both_are_written_down() {
    let agent =
        agent().handle("refuse", 1, |_| async { Err("no such picture") }).handle("panic", 1, |call| {
            assert!(call.payload().is_empty(), "planted {}", call.task());
            async { Ok::<(), String>(()) }
        });
    let bed = Bed::of(agent).await;
    bed.starts(start(1, "refuse", ""));
    assert_eq!(bed.end(1).await.0, AttemptOutcome::Exited(1));
    assert_eq!(bed.written(1), "no such picture\n");
    bed.starts(start(2, "panic", "x"));
    assert_eq!(bed.end(2).await.0, AttemptOutcome::Exited(101));
    assert_eq!(bed.written(2), "panicked: planted t2\n");
    bed.starts(start(3, "panic", ""));
    assert_eq!(bed.end(3).await.0, AttemptOutcome::Exited(0), "the desk goes on");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_called_at_once_than_it_handles_and_the_others_wait_in_order() {
    let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (of_most, of_now) = (Arc::clone(&most), now);
    let agent = agent().handle("wait", 2, move |_| {
        let (most, now) = (Arc::clone(&of_most), Arc::clone(&of_now));
        async move {
            most.fetch_max(now.fetch_add(1, Relaxed) + 1, Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Relaxed);
            Ok::<(), String>(())
        }
    });
    let bed = Bed::of(agent).await;
    (1..=5).for_each(|token| bed.starts(start(token, "wait", "")));
    bed.starts(start(5, "wait", ""));
    bed.starts(Start { need: Resources::cpus(1), ..start(9, "wait", "") });
    assert_eq!(bed.end(9).await.0, AttemptOutcome::Lost(LossReason::Evicted), "no machine's work");
    for token in 1..=5 {
        assert_eq!(bed.end(token).await.0, AttemptOutcome::Exited(0));
    }
    assert_eq!(most.load(Relaxed), 2);
    bed.starts(start(3, "wait", ""));
    assert_eq!(bed.end(3).await.0, AttemptOutcome::Exited(0), "an end that is not forgotten is told again");
    bed.command(Command::Forget((1..=5).chain([9]).map(Token).collect()));
    bed.command(Command::Inventory);
    let empty = |report: &HostReport| matches!(report, HostReport::Inventory { attempts, last: true } if attempts.is_empty());
    bed.until(empty).await;
}

/// Ends when it is told to, or never.
fn stubborn() -> Agent {
    agent()
        .handle("listens", 4, |call| async move {
            let why = call.cancelled().await;
            call.print(format_args!("{why:?}"));
            Ok::<(), String>(())
        })
        .handle("deaf", 4, |_| std::future::pending::<Result<(), String>>())
}

#[tokio::test(start_paused = true)]
async fn who_is_cancelled_may_end_by_itself_and_is_dropped_after_its_grace() {
    let bed = Bed::of(stubborn()).await;
    bed.starts(start(1, "listens", ""));
    bed.starts(start(2, "deaf", ""));
    bed.started(2).await;
    let asked = bed.clock.now();
    for token in [1, 2].map(Token) {
        bed.command(Command::Stop { token, why: StopReason::Cancel });
    }
    assert_eq!(bed.end(1).await.0, AttemptOutcome::Cancelled);
    assert_eq!(bed.written(1), "Cancel\n");
    assert!(bed.clock.now().since(asked) < Duration::from_secs(1));
    assert_eq!(bed.end(2).await.0, AttemptOutcome::Cancelled);
    let took = bed.clock.now().since(asked);
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_its_lease_and_nothing_is_called_after_it() {
    let bed = Bed::of(stubborn()).await;
    let now = bed.clock.now();
    let lease = |seconds: u64| Command::Lease {
        start_until: now + Duration::from_secs(seconds - 1),
        kill_at: now + Duration::from_secs(seconds),
    };
    bed.command(lease(10));
    bed.starts(start(1, "deaf", ""));
    bed.started(1).await;
    assert_eq!(bed.end(1).await.0, AttemptOutcome::Lost(LossReason::LeaseLost));
    let took = bed.clock.now().since(now);
    assert!(took >= Duration::from_secs(10) && took < Duration::from_millis(10_300), "{took:?}");
    bed.starts(start(2, "deaf", ""));
    assert_eq!(bed.end(2).await.0, AttemptOutcome::Lost(LossReason::LeaseLost));
    bed.command(lease(60));
    bed.starts(start(3, "deaf", ""));
    bed.started(3).await;
}

#[tokio::test(start_paused = true)]
async fn limits_of_time_hold_and_what_is_halted_or_recalled_is_not_called() {
    let bed = Bed::of(stubborn()).await;
    let mut timed = start(1, "listens", "");
    timed.bounds.timeout = Some(Duration::from_secs(3));
    bed.starts(timed);
    let (outcome, _) = bed.end(1).await;
    assert!(matches!(outcome, AttemptOutcome::TimedOut(over) if over.limit == TimeLimit::Timeout));
    bed.command(Command::Halt(true));
    bed.starts(start(2, "listens", ""));
    bed.starts(start(3, "listens", ""));
    bed.command(Command::Recall(vec![Token(2)]));
    assert_eq!(bed.end(2).await.0, AttemptOutcome::Lost(LossReason::Evicted));
    bed.command(Command::Halt(false));
    bed.started(3).await;
    let samples = bed.until(|report| matches!(report, HostReport::Sampled(_))).await;
    assert!(matches!(samples, HostReport::Sampled(of) if of.len() == 1 && of[0].0 == Token(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_await_is_told_of_as_what_cannot_be_stopped() {
    let agent = agent().handle("busy", 1, |call| async move {
        while call.payload() == b"busy" && !call.is_cancelled() {
            std::thread::yield_now();
        }
        // Hears, and goes on all the same for longer than is waited.
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv_timeout(GOING_ON + Duration::from_secs(1));
        Ok::<(), String>(())
    });
    let bed = Bed::of(agent).await;
    let real = Clock::system();
    let begun = real.now();
    bed.starts(Start { grace: Duration::ZERO, ..start(1, "busy", "busy") });
    bed.started(1).await;
    bed.command(Command::Stop { token: Token(1), why: StopReason::Cancel });
    bed.until(|report| matches!(report, HostReport::Unkillable { .. })).await;
    assert!(real.now().since(begun) >= GOING_ON);
    assert_eq!(bed.end(1).await.0, AttemptOutcome::Cancelled, "when it is gone, and not before");
}
