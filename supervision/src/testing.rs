//! A worker that ends in every way there is, and a scene that writes down what happens, for the tests of
//! both kinds of supervisor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Actor, ActorError, Address, Child, Inquiry, Me, Message, Reply, Running};

/// What the worker can be told.
pub(crate) enum WorkerMessage {
    End,
    Fail,
    Panic,
    Kill,
    BeReady,
    Echo(Reply<()>),
    /// Does not return before the other side is dropped.
    Block(Receiver<()>),
}

impl Message for WorkerMessage {
    fn kind(&self) -> &'static str {
        "worker's"
    }
}

/// What the worker starts with.
#[derive(Debug, Clone)]
pub(crate) struct WorkerArgs {
    pub(crate) name: &'static str,
    pub(crate) journal: UnboundedSender<String>,
    /// So many starts are still going to fail.
    pub(crate) bad_starts: Arc<AtomicU32>,
    pub(crate) panics: bool,
}

/// Writes `+name` when it starts and `-name` when it stops in order. `LATE`: ready only when told.
pub(crate) struct Worker<const LATE: bool = false>(WorkerArgs);

impl<const LATE: bool> Actor for Worker<LATE> {
    const KIND: &'static str = "worker";
    const READY_WHEN_TOLD: bool = LATE;
    type Message = WorkerMessage;
    type Args = WorkerArgs;

    fn start(args: WorkerArgs, _: &Me<WorkerMessage>) -> Result<Self, ActorError> {
        let fewer = |left: u32| left.checked_sub(1);
        if args.bad_starts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            args.write('!');
            assert!(!args.panics, "cannot start");
            return Err("cannot start".into());
        }
        args.write('+');
        Ok(Self(args))
    }

    fn handle(&mut self, message: WorkerMessage, me: &Me<WorkerMessage>) -> Result<(), ActorError> {
        match message {
            WorkerMessage::End => me.stop(),
            WorkerMessage::Fail => return Err("told to fail".into()),
            WorkerMessage::Panic => panic!("told to panic"),
            WorkerMessage::Kill => me.cell().kill(),
            WorkerMessage::BeReady => me.ready(),
            WorkerMessage::Echo(reply) => reply.send(()),
            WorkerMessage::Block(until) => {
                self.0.write('~');
                assert!(until.recv().is_err());
            }
        }
        Ok(())
    }

    fn stopped(&mut self) {
        self.0.write('-');
    }
}

impl WorkerArgs {
    fn write(&self, what: char) {
        let _ = self.journal.send(format!("{what}{}", self.name));
    }
}

/// Where a test happens: makes workers and reads what they wrote.
pub(crate) struct Scene {
    written: UnboundedSender<String>,
    journal: UnboundedReceiver<String>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (written, journal) = unbounded_channel();
        Self { written, journal }
    }

    pub(crate) fn args(&self, name: &'static str) -> WorkerArgs {
        WorkerArgs { name, journal: self.written.clone(), bad_starts: Arc::default(), panics: false }
    }

    pub(crate) fn address(name: &str) -> Address<WorkerMessage> {
        Address::new("worker", name)
    }

    /// A permanent worker that writes to the journal.
    pub(crate) fn worker(&self, name: &'static str) -> (Child, Address<WorkerMessage>) {
        self.worker_with(self.args(name))
    }

    pub(crate) fn worker_with(&self, args: WorkerArgs) -> (Child, Address<WorkerMessage>) {
        let address = Self::address(args.name);
        (Child::worker::<Worker>(args.name, &address, move || args.clone()), address)
    }

    /// The next so many entries; waits for them.
    pub(crate) async fn next(&mut self, entries: usize) -> Vec<String> {
        let mut read = Vec::new();
        for _ in 0..entries {
            read.push(self.journal.recv().await.expect("the scene holds a sender"));
        }
        read
    }

    /// Makes a worker block its thread, and returns when it does. What that thread was to run next
    /// (tokio's LIFO slot) would be blocked with it: so first the worker has said all it says at its
    /// start, and then every supervisor above it has heard that.
    pub(crate) async fn block(
        &mut self,
        tree: &Running,
        address: &Address<WorkerMessage>,
        until: Receiver<()>,
    ) {
        address.ask(Duration::from_secs(5), WorkerMessage::Echo).await.expect("it answers");
        tree.which_children(Inquiry::default()).await.expect("the root answers");
        address.tell(WorkerMessage::Block(until));
        while !self.next(1).await[0].starts_with('~') {}
    }

    /// What has been written by now, all actors being idle.
    pub(crate) async fn all(&mut self) -> String {
        until_idle().await;
        let mut read = Vec::new();
        while let Ok(entry) = self.journal.try_recv() {
            read.push(entry);
        }
        read.join(" ")
    }
}

/// On the paused clock time moves only when nothing else can: so this returns when all are idle.
pub(crate) async fn until_idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
