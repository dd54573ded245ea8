//! A host in a directory of its own, and the worker's end of it.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use actors::clock::Clock;
use actors::output::reader;
use actors::output::spool::OutputLimits;
use actors::process::port::{HostEvent, HostListener, HostPort, HostProgram, LocalHost};
use actors::process::protocol::{Command, HostDirectory, HostReport, Hosted, HostedPhase, Start, StopReason};
use actors::wire::fleet::{OutputFrom, OutputPart};
use policy::id::{AttemptNumber, TaskId, Token};
use policy::output::Stream;
use policy::resources::Resources;
use policy::task::{AttemptOutcome, Qos, Usage};
use policy::text::OsText;
use policy::time::Moment;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
});

pub(crate) struct Bed {
    home: tempfile::TempDir,
    port: Option<LocalHost>,
    events: Receiver<HostEvent>,
    heard: Vec<HostReport>,
    pub(crate) host: i32,
    program: HostProgram,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(HostProgram::new(std::env::current_exe().unwrap()))
    }

    /// With a host that is started so.
    pub(crate) fn with(program: HostProgram) -> Self {
        let home = tempfile::Builder::new().prefix("crab").tempdir().unwrap();
        let mut bed = Self { home, port: None, events: channel().1, heard: Vec::new(), host: 0, program };
        bed.connect();
        bed
    }

    pub(crate) fn directory(&self) -> HostDirectory {
        HostDirectory::new(self.home.path().join("host"))
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// As a new daemon would.
    pub(crate) fn connect(&mut self) {
        let (told, events) = channel();
        let listener: HostListener = Arc::new(move |event| drop(told.send(event)));
        let _runtime = RUNTIME.enter();
        self.port = Some(LocalHost::open(self.directory(), self.program.clone(), listener));
        self.events = events;
        self.heard.clear();
        self.wait_connected();
    }

    pub(crate) fn wait_connected(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(HostEvent::Connected { pid }) => break self.host = i32::try_from(pid).unwrap(),
                Ok(_) => {}
                Err(error) => panic!("no host: {error}"),
            }
        }
        self.wait("the first inventory", |report| {
            matches!(report, HostReport::Inventory { last: true, .. }).then_some(())
        });
    }

    /// As a daemon that dies.
    pub(crate) fn disconnect(&mut self) {
        self.port = None;
    }

    pub(crate) fn command(&self, command: Command) {
        self.port.as_ref().unwrap().command(command);
    }

    pub(crate) fn start(&self, token: u64, argv: &[&str]) {
        self.start_with(token, argv, |_| {});
    }

    pub(crate) fn sh(&self, token: u64, script: &str) {
        self.start(token, &["sh", "-c", script]);
    }

    pub(crate) fn start_with(&self, token: u64, argv: &[&str], change: impl FnOnce(&mut Start)) {
        let mut start = start_of(token, argv, self.home.path().to_str().unwrap());
        change(&mut start);
        self.command(Command::Start(Box::new(start)));
    }

    pub(crate) fn stop(&self, token: u64, why: StopReason) {
        self.command(Command::Stop { token: Token(token), why });
    }

    pub(crate) fn kill_at(&self, moment: Moment) {
        self.command(Command::Lease { start_until: moment, kill_at: moment });
    }

    /// Waits for a report, whatever came before it.
    pub(crate) fn wait<T>(&mut self, what: &str, wanted: impl Fn(&HostReport) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.heard.iter().find_map(&wanted) {
                return found;
            }
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(HostEvent::Reports(reports)) => self.heard.extend(reports),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("waited for {what}, heard {:?}", self.heard),
                Err(RecvTimeoutError::Disconnected) => panic!("the port ended"),
            }
        }
    }

    /// All reports that were waited for or came with those.
    pub(crate) fn heard(&self) -> &[HostReport] {
        &self.heard
    }

    pub(crate) fn started(&mut self, token: u64) -> i32 {
        self.wait("a start", |report| match report {
            HostReport::Started { token: t, pid, .. } if t.0 == token => i32::try_from(*pid).ok(),
            _ => None,
        })
    }

    pub(crate) fn ended_with(&mut self, token: u64) -> (AttemptOutcome, Usage) {
        self.wait("an end", |report| match report {
            HostReport::Ended { token: t, outcome, usage, .. } if t.0 == token => {
                Some((outcome.clone(), *usage))
            }
            // After a break of the connection.
            HostReport::Inventory { attempts, .. } => {
                attempts.iter().find_map(|hosted| match &hosted.phase {
                    HostedPhase::Ended { outcome, usage, .. } if hosted.token.0 == token => {
                        Some((outcome.clone(), *usage))
                    }
                    _ => None,
                })
            }
            _ => None,
        })
    }

    /// How many such reports have been heard and not been thrown away.
    pub(crate) fn told(&self, wanted: impl Fn(&HostReport) -> bool) -> usize {
        self.heard.iter().filter(|report| wanted(report)).count()
    }

    /// Waits for the next end, whosever.
    pub(crate) fn ended_next(&mut self) {
        loop {
            while let Some(report) = self.heard.pop() {
                if matches!(report, HostReport::Ended { .. }) {
                    return;
                }
            }
            match self.events.recv_timeout(PATIENCE).unwrap() {
                HostEvent::Reports(reports) => self.heard.extend(reports),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn ended(&mut self, token: u64) -> AttemptOutcome {
        self.ended_with(token).0
    }

    /// All that the host holds now.
    pub(crate) fn inventory(&mut self) -> Vec<Hosted> {
        self.heard.retain(|report| !matches!(report, HostReport::Inventory { .. }));
        self.command(Command::Inventory);
        self.wait("the inventory", |report| match report {
            HostReport::Inventory { attempts, last: true } => Some(attempts.clone()),
            _ => None,
        })
    }

    pub(crate) fn parts(&self, token: u64) -> Vec<OutputPart> {
        let path = self.directory().spool(Token(token));
        let (mut parts, mut cursor) = (Vec::new(), 0);
        loop {
            let piece = match reader::read(&path, OutputFrom::Cursor(cursor), u32::MAX) {
                // Who writes nothing has no spool.
                Err(error) if error.kind() == ErrorKind::NotFound => return parts,
                piece => piece.unwrap(),
            };
            parts.extend(piece.parts);
            cursor = piece.next;
            if piece.complete {
                return parts;
            }
        }
    }

    pub(crate) fn output(&self, token: u64) -> String {
        let bytes: Vec<u8> = self.parts(token).into_iter().flat_map(|part| part.bytes).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn stdout(&self, token: u64) -> Vec<u8> {
        let parts = self.parts(token).into_iter().filter(|part| part.stream == Stream::Stdout);
        parts.flat_map(|part| part.bytes).collect()
    }

    /// Waits until a file in the home has some content.
    pub(crate) fn file(&self, name: &str) -> String {
        until(&format!("file {name}"), || {
            std::fs::read_to_string(self.home.path().join(name)).ok().filter(|text| text.ends_with('\n'))
        })
        .trim()
        .to_owned()
    }

    pub(crate) fn pid_in(&self, name: &str) -> i32 {
        self.file(name).parse().unwrap()
    }
}

/// A start of a task that says nothing of itself.
pub(crate) fn start_of(token: u64, argv: &[&str], directory: &str) -> Start {
    Start {
        token: Token(token),
        task: TaskId(token),
        attempt: AttemptNumber(1),
        need: Resources::cpus(1000),
        argv: argv.iter().map(|word| OsText::from(*word)).collect(),
        directory: directory.into(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        bounds: policy::bounds::AttemptBounds::default(),
        limits: policy::excess::UseLimits::default(),
        grace: Duration::from_secs(5),
        output: OutputLimits::default(),
        qos: Qos::Default,
        stages: None,
    }
}

/// No test leaves processes behind: the host ends everything and itself.
impl Drop for Bed {
    fn drop(&mut self) {
        if self.port.is_some() && !std::thread::panicking() {
            self.kill_at(Clock::system().now());
            self.command(Command::Retire);
            let host = self.host;
            until("the host's end", || (!is_alive(host)).then_some(()));
        } else if self.host != 0 {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.host), nix::sys::signal::SIGKILL);
        }
    }
}

/// Whether a process lives: neither gone nor a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    actors::process::os::processes().iter().any(|process| process.pid == pid && !process.zombie)
}

/// Waits for something that only looking shows.
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let (_never, pause) = channel::<()>();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what}");
        let _ = pause.recv_timeout(Duration::from_millis(5));
    }
}
