//! The worker's end of the host's socket.
//!
//! A port carries commands to a host and brings its reports; it finds the host, starts one where there is
//! none, and connects again after every break. Commands given while there is no connection are dropped:
//! after each [`HostEvent::Connected`] the inventory follows, and the worker says again what it wants. After
//! a [`Command::Retire`] it starts no host again.
//! Must not know what attempts are for.

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use policy::id::Token;
use policy::layout::Layout;
use policy::signal::TaskSignal;
use policy::task::{AttemptOutcome, SpawnFailure, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::process::frame::{self, Inbox};
use crate::process::host;
use crate::process::protocol::{
    Command, HOST_ARGUMENT, HOST_PROTOCOL, HOST_PROTOCOL_OLDEST, HostDirectory, HostReport, SIGNALS_SINCE,
    STAGES_SINCE, host_layout,
};
use crate::wire::codec::CodecError;

/// How a worker commands its host; a simulated machine has its own.
pub trait HostPort: Send + Sync + 'static {
    /// Tells the host. Nothing happens where there is no connection.
    fn command(&self, command: Command);

    /// Has it signal something to what an attempt runs.
    ///
    /// # Errors
    /// Why that cannot be: what runs attempts there has no signals, or a host is of an earlier version.
    fn signal(&self, token: Token, signal: TaskSignal) -> Result<(), Box<str>> {
        self.command(Command::Signal { token, signal });
        Ok(())
    }

    /// Whether what it has begun is known after its death. What keeps nothing is started anew with its worker, which
    /// gives it nothing that its life before may have begun.
    fn remembers(&self) -> bool {
        true
    }
}

/// What a worker hears from its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostEvent {
    /// There is a host; its inventory follows.
    Connected {
        /// Its process.
        pid: u32,
    },
    /// The connection broke; the port looks for a host again.
    Disconnected,
    /// What the host says, in order.
    Reports(Vec<HostReport>),
    /// There is no host and none could be started; the port tries again.
    NoHost(Box<str>),
}

/// Where events of a port go. Must not block.
pub type HostListener = Arc<dyn Fn(HostEvent) + Send + Sync>;

/// How to start a host.
#[derive(Debug, Clone)]
pub struct HostProgram {
    /// The program: usually this one.
    pub program: PathBuf,
    /// What makes it the host; the directory is added.
    pub arguments: Vec<OsString>,
}

impl HostProgram {
    /// `program`, which becomes the host where its first argument is [`HOST_ARGUMENT`].
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { program, arguments: vec![HOST_ARGUMENT.into()] }
    }
}

/// The first pause between two tries to connect; doubled up to [`PAUSE_LIMIT`].
const PAUSE: Duration = Duration::from_millis(2);
/// The longest pause.
const PAUSE_LIMIT: Duration = Duration::from_millis(500);
/// How long a started host may take to listen before somebody is told.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// How long a host may take to answer `Hello`.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);
/// Why a task with hooks or a gate is not started by a host of before [`STAGES_SINCE`].
const TOO_OLD: &str =
    "its process host is of an earlier version and runs no hooks or gates, until nothing runs there";
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes written at once: many small commands, or one large.
const WRITE_BYTES: usize = 256 * 1024;

/// The port to the host of this machine.
pub struct LocalHost {
    commands: mpsc::UnboundedSender<Command>,
    /// Of the host that it is connected to, or was last.
    version: Arc<AtomicU16>,
    task: JoinHandle<()>,
}

impl fmt::Debug for LocalHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHost").finish_non_exhaustive()
    }
}

impl LocalHost {
    /// Begins to look for the host of `directory`. Must be called within a tokio runtime.
    #[must_use]
    pub fn open(directory: HostDirectory, program: HostProgram, listener: HostListener) -> Self {
        let (commands, queue) = mpsc::unbounded_channel();
        let version = Arc::new(AtomicU16::new(HOST_PROTOCOL));
        let known = Arc::clone(&version);
        let link = Link { directory, program, listener, child: None, started: None, refused: false, known };
        Self { commands, version, task: tokio::spawn(link.run(queue)) }
    }
}

impl HostPort for LocalHost {
    fn command(&self, command: Command) {
        // The task ends only with this port.
        let _ = self.commands.send(command);
    }

    fn signal(&self, token: Token, signal: TaskSignal) -> Result<(), Box<str>> {
        if self.version.load(Ordering::Relaxed) < SIGNALS_SINCE {
            return Err("its process host is of an earlier version, until nothing runs there".into());
        }
        self.command(Command::Signal { token, signal });
        Ok(())
    }
}

impl Drop for LocalHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    inbox: Inbox,
    version: u16,
    pid: u32,
}

/// Keeps one connection after the other.
struct Link {
    directory: HostDirectory,
    program: HostProgram,
    listener: HostListener,
    child: Option<Child>,
    started: Option<Instant>,
    /// Somebody was told.
    refused: bool,
    known: Arc<AtomicU16>,
}

impl Link {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Command>) {
        loop {
            let Connection { mut reader, mut writer, inbox, version, pid } = self.connect().await;
            while queue.try_recv().is_ok() {}
            self.known.store(version, Ordering::Relaxed);
            (self.listener)(HostEvent::Connected { pid });
            let mut retired = false;
            let to = Recipient { listener: &self.listener, version };
            tokio::select! {
                biased;
                _ = read(&mut reader, inbox, to) => {}
                _ = write(&mut writer, &mut queue, to, &mut retired) => {}
            }
            (self.listener)(HostEvent::Disconnected);
            if retired {
                return;
            }
        }
    }

    /// Tries until a host has answered.
    async fn connect(&mut self) -> Connection {
        let mut pause = PAUSE;
        loop {
            match timeout(HELLO_PATIENCE, self.greet()).await {
                Ok(Ok(connection)) => {
                    self.refused = false;
                    return connection;
                }
                Ok(Err(error)) => self.start_host(&error),
                Err(_) => self.start_host(&io::Error::new(ErrorKind::TimedOut, "the host does not answer")),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_LIMIT);
        }
    }

    async fn greet(&self) -> io::Result<Connection> {
        let missing = || io::Error::new(ErrorKind::NotFound, "no host has been here");
        let id = host::read_id(&self.directory).ok_or_else(missing)?;
        let too_long = || io::Error::new(ErrorKind::InvalidInput, "the path is too long for a socket");
        let stream = UnixStream::connect(self.directory.socket().ok_or_else(too_long)?).await?;
        let (mut reader, mut writer) = stream.into_split();
        let mut out = Vec::new();
        for command in [Command::Hello { version: HOST_PROTOCOL, host: id }, Command::Inventory] {
            frame::append(&mut out, &command).map_err(io::Error::other)?;
        }
        writer.write_all(&out).await?;
        let mut inbox = Inbox::default();
        loop {
            let greeting = inbox.take::<HostReport>().map_err(io::Error::other)?;
            match greeting {
                Some(HostReport::Hello { version: version @ HOST_PROTOCOL_OLDEST..=HOST_PROTOCOL, pid }) => {
                    return Ok(Connection { reader, writer, inbox, version, pid });
                }
                Some(_) => {
                    // It has what it was given under its lease, and makes room when that is over.
                    let mut out = Vec::new();
                    frame::append(&mut out, &Command::Retire).map_err(io::Error::other)?;
                    writer.write_all(&out).await?;
                    return Err(io::Error::other(
                        "a host of another version is here, and was told to retire",
                    ));
                }
                None => fill(&mut reader, &mut inbox).await?,
            }
        }
    }

    /// Starts a host, unless the one started before still may come to listen.
    fn start_host(&mut self, reason: &io::Error) {
        let lives = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        let late = self.started.is_some_and(|started| started.elapsed() >= START_PATIENCE);
        if lives {
            if late && !self.refused {
                self.refused = true;
                (self.listener)(HostEvent::NoHost(reason.to_string().into()));
            }
            return;
        }
        self.started = Some(Instant::now());
        match spawn_host(&self.directory, &self.program) {
            Ok(child) => self.child = Some(child),
            Err(error) => (self.listener)(HostEvent::NoHost(error.to_string().into())),
        }
    }
}

/// Detached: it makes a session of its own, and what it has to say before it listens goes to its log.
fn spawn_host(directory: &HostDirectory, program: &HostProgram) -> io::Result<Child> {
    host::prepare(directory).map_err(io::Error::other)?;
    let log = OpenOptions::new().create(true).append(true).open(directory.log())?;
    std::process::Command::new(&program.program)
        .args(&program.arguments)
        .arg(directory.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}

async fn fill(reader: &mut OwnedReadHalf, inbox: &mut Inbox) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    match reader.read(&mut buffer).await? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        read => {
            inbox.push(&buffer[..read]);
            Ok(())
        }
    }
}

/// Brings reports until the connection breaks.
async fn read(reader: &mut OwnedReadHalf, mut inbox: Inbox, from: Recipient<'_>) -> io::Result<()> {
    loop {
        let mut reports = Vec::new();
        while let Some(report) = from.layout().apply(|| inbox.take()).map_err(io::Error::other)? {
            reports.push(report);
        }
        if !reports.is_empty() {
            (from.listener)(HostEvent::Reports(reports));
        }
        fill(reader, &mut inbox).await?;
    }
}

/// Whom commands go to and reports come from, and who is told.
#[derive(Clone, Copy)]
struct Recipient<'l> {
    listener: &'l HostListener,
    version: u16,
}

impl Recipient<'_> {
    fn layout(self) -> Layout {
        host_layout(self.version)
    }
}

/// Takes commands until the connection breaks; whatever waits goes into one write.
async fn write(
    writer: &mut OwnedWriteHalf,
    queue: &mut mpsc::UnboundedReceiver<Command>,
    to: Recipient<'_>,
    retired: &mut bool,
) -> io::Result<()> {
    let mut out = Vec::new();
    while let Some(command) = queue.recv().await {
        out.clear();
        let mut next = Some(command);
        while let Some(command) = next {
            *retired |= command == Command::Retire;
            let command = command.spoken_in(to.version);
            if let Command::Start(start) = &command
                && start.stages.is_some()
                && to.version < STAGES_SINCE
            {
                let failure = SpawnFailure::of_node(TOO_OLD);
                refuse(&command, failure, to.listener);
            } else if let Err(error) = to.layout().apply(|| frame::append(&mut out, &command)) {
                refuse(&command, too_long(&error), to.listener);
            }
            next = if out.len() < WRITE_BYTES { queue.try_recv().ok() } else { None };
        }
        writer.write_all(&out).await?;
    }
    Ok(())
}

/// Only a start can be this large, and no operating system would have run it.
fn too_long(error: &CodecError) -> SpawnFailure {
    SpawnFailure::of_task(format!("command and environment are too long: {error}"))
}

fn refuse(command: &Command, failure: SpawnFailure, listener: &HostListener) {
    if let Command::Start(start) = command {
        let outcome = AttemptOutcome::SpawnFailed(failure);
        let (usage, steps) = (Usage::default(), Vec::new());
        let ended = HostReport::Ended { token: start.token, outcome, usage, steps };
        listener(HostEvent::Reports(vec![ended]));
    }
}
