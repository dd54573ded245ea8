//! A scheduler and its workers, each a daemon on a directory of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;

use actors::client::COOKIE_NAME;

use crate::support::place::{Daemon, Place};

/// Leases short enough to see one end within a test, long enough for a machine that is busy.
pub(crate) const LEASES: &str =
    "[lease]\nheartbeat = \"1s\"\nttl = \"5s\"\ngrace = \"2s\"\nkill_margin = \"1s\"\n";

/// A fleet on loopback. A daemon that was killed is `None` until it is started again.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) scheduler: Place,
    pub(crate) workers: Vec<Place>,
    pub(crate) address: String,
    head: Option<Daemon>,
    members: Vec<Option<Daemon>>,
}

impl Fleet {
    /// Starts all and waits until every worker has joined.
    pub(crate) fn start(workers: usize) -> Self {
        Self::labelled(&vec![&[][..]; workers])
    }

    /// As [`Self::start`], one worker for each set of labels.
    pub(crate) fn labelled(labels: &[&[(&str, &str)]]) -> Self {
        let scheduler = Place::new();
        scheduler.file("crabd.toml", LEASES);
        let mut fleet =
            Self { scheduler, workers: Vec::new(), address: free_address(), head: None, members: Vec::new() };
        fleet.start_scheduler();
        for (number, labels) in labels.iter().enumerate() {
            let place = Place::new();
            let lines = labels.iter().map(|(name, value)| format!("{name:?} = {value:?}\n"));
            place.file("crabd.toml", format!("[worker.labels]\n{}", lines.collect::<String>()));
            fs::DirBuilder::new().mode(0o700).create(place.data()).expect("a directory");
            let cookie = place.data().join(COOKIE_NAME);
            // Copying keeps the permissions, which must be the owner's alone.
            fs::copy(fleet.scheduler.data().join(COOKIE_NAME), cookie).expect("a cookie");
            fleet.workers.push(place);
            fleet.members.push(None);
            fleet.start_worker(number);
        }
        fleet.scheduler.wait_nodes(labels.len());
        fleet
    }

    pub(crate) fn start_scheduler(&mut self) {
        let config = self.scheduler.root().join("crabd.toml").display().to_string();
        let args = ["--name", "head", "--no-worker", "--listen", &self.address, "--config", &config];
        self.head = Some(self.scheduler.daemon(&args));
    }

    pub(crate) fn start_worker(&mut self, number: usize) {
        let name = format!("worker{number}");
        let config = self.workers[number].root().join("crabd.toml").display().to_string();
        let args = ["--name", &name, "--cpus", "2", "--join", &self.address, "--config", &config];
        self.members[number] = Some(Daemon::spawn(&self.workers[number], &args));
    }

    pub(crate) fn kill_scheduler(&mut self) {
        self.head.take().expect("it runs").kill();
    }

    pub(crate) fn kill_worker(&mut self, number: usize) {
        self.members[number].take().expect("it runs").kill();
    }

    /// Stops a worker in order; what runs there goes on.
    pub(crate) fn stop_worker(&mut self, number: usize) {
        assert!(self.members[number].take().expect("it runs").stop().success());
    }

    /// Stops the scheduler in order.
    pub(crate) fn stop_scheduler(&mut self) {
        assert!(self.head.take().expect("it runs").stop().success());
    }

    /// The scheduler's process.
    pub(crate) fn scheduler_pid(&self) -> u32 {
        self.head.as_ref().expect("it runs").id()
    }

    /// A worker that runs.
    pub(crate) fn worker(&self, number: usize) -> &Daemon {
        self.members[number].as_ref().expect("it runs")
    }

    /// Stops all in order: the workers first.
    pub(crate) fn stop(&mut self) {
        for member in self.members.iter_mut().rev() {
            assert!(member.take().expect("it runs").stop().success());
        }
        assert!(self.head.take().expect("it runs").stop().success());
    }

    /// Panics where a process of an attempt is still there.
    pub(crate) fn nothing_runs(&self) {
        for place in &self.workers {
            assert_eq!(place.attempts(), [], "processes of attempts");
        }
    }

    /// What the daemons have said, for a test that fails.
    pub(crate) fn logs(&self) -> String {
        let all = std::iter::once(&self.scheduler).chain(&self.workers);
        all.map(|place| fs::read_to_string(place.root().join("crabd.log")).unwrap_or_default()).collect()
    }
}

/// An address that was free a moment ago: the daemon cannot tell which one it was given.
pub(crate) fn free_address() -> String {
    let probe = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    probe.local_addr().expect("it is bound").to_string()
}
