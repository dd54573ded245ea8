//! The real daemon as a process of its own, in a directory of its own.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actors::client::{COOKIE_NAME, Client, Endpoint};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use policy::submission::Submission;
use tempfile::TempDir;

use super::costs::Costs;

/// How long a start may take.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A daemon that runs until dropped.
pub(crate) struct Daemon {
    child: Child,
    directory: TempDir,
    arguments: Vec<String>,
}

impl Daemon {
    /// With a worker of two slots.
    pub(crate) fn with_two_slots() -> Self {
        Self::warm(vec!["--cpus", "2", "--memory", "1 GiB"])
    }

    /// With a worker of two slots, and others may join: it takes in what no machine has yet.
    pub(crate) fn that_others_can_join() -> Self {
        Self::warm(vec!["--cpus", "2", "--memory", "1 GiB", "--listen", "127.0.0.1:0"])
    }

    /// The head of a fleet, at this address of the machine.
    pub(crate) fn head(address: &str) -> Self {
        Self::start(vec!["--no-worker", "--listen", address])
    }

    /// A machine with two slots in the fleet of a head at this address.
    pub(crate) fn member(head: &Self, address: &str, name: &str) -> Self {
        let directory = directory();
        // Copying keeps the permissions, which must be the owner's alone.
        std::fs::copy(head.directory().join(COOKIE_NAME), directory.path().join(COOKIE_NAME))
            .expect("a cookie");
        Self::start_in(directory, vec!["--name", name, "--cpus", "2", "--memory", "1 GiB", "--join", address])
    }

    fn warm(arguments: Vec<&'static str>) -> Self {
        let daemon = Self::start(arguments);
        // The first process of all also starts the host.
        let warm = super::work::array(super::work::spec(Path::new("/bin/true")), 20);
        daemon.run(warm);
        daemon
    }

    /// With a worker of so many slots.
    pub(crate) fn with_cores(cores: &'static str) -> Self {
        Self::start(vec!["--cpus", cores, "--memory", "1 GiB"])
    }

    /// Without a worker, as a file says, for a user whose home this is.
    pub(crate) fn of_config(file: &Path, home: &Path) -> Self {
        let (directory, file) = (directory(), file.display().to_string());
        let arguments: Vec<_> =
            ["--name", "bench", "--no-worker", "--config", &file].map(ToOwned::to_owned).into();
        let child =
            command(directory.path(), &arguments).env("HOME", home).spawn().expect("the daemon starts");
        let daemon = Self { child, directory, arguments };
        daemon.until_it_answers();
        daemon
    }

    /// Without a worker.
    pub(crate) fn without_worker() -> Self {
        Self::start(vec!["--no-worker"])
    }

    fn start(arguments: Vec<&str>) -> Self {
        let daemon = Self::start_in(directory(), [vec!["--name", "bench"], arguments].concat());
        daemon.until_it_answers();
        daemon
    }

    fn start_in(directory: TempDir, arguments: Vec<&str>) -> Self {
        let arguments: Vec<_> = arguments.into_iter().map(ToOwned::to_owned).collect();
        let child = spawn(directory.path(), &arguments);
        Self { child, directory, arguments }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it is there");
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Starts it again on what it has left.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.directory.path(), &self.arguments);
    }

    /// Where it keeps everything.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A client with a connection of its own.
    pub(crate) fn client(&self) -> Client {
        let directory = self.directory.path();
        Client::connect_with(Endpoint::of_data_dir(directory), directory.to_owned())
    }

    /// Submits and waits for the end: how long that took.
    pub(crate) fn run(&self, submission: Submission) -> Duration {
        block_on(async {
            let client = self.client();
            client.hello().await.expect("it answers");
            let tasks: u64 = submission.items.iter().map(policy::event::Item::tasks).sum();
            let start = Instant::now();
            let submitted = client.submit(submission).await.expect("admitted");
            let row = client.wait(submitted.graph, None).await.expect("it ends");
            assert_eq!(row.tasks.succeeded, tasks, "{:?}", row.tasks);
            start.elapsed()
        })
    }

    /// What it holds in memory, in MB.
    pub(crate) fn resident_mb(&self) -> f64 {
        let pid = self.child.id().to_string();
        let output = Command::new("ps").args(["-o", "rss=", "-p", &pid]).output().expect("ps runs");
        let kib: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
        kib * 1024.0 / 1e6
    }

    /// The most memory that it and its process host have had so far, in words.
    pub(crate) fn peaks(&self) -> String {
        let [daemon, host] = super::costs::peaks_mb(self.child.id(), self.directory.path());
        format!("{daemon:.0} MB; {host:.0} MB")
    }

    /// What it and its process host have taken so far.
    pub(crate) fn costs(&self) -> Costs {
        Costs::of(self.child.id(), self.directory.path())
    }

    /// The command line, speaking to this daemon.
    pub(crate) fn crab(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crab"));
        command.env("CRAB_DATA_DIR", self.directory.path()).stdout(Stdio::null());
        command
    }

    /// Waits until it can be asked.
    pub(crate) fn until_it_answers(&self) {
        let start = Instant::now();
        block_on(async {
            while self.client().hello().await.is_err() {
                assert!(start.elapsed() < START_PATIENCE, "the daemon does not answer");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The process host ends by itself a little later.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn directory() -> TempDir {
    let private = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("crab-bench-").permissions(private).tempdir().expect("a directory")
}

fn spawn(directory: &Path, arguments: &[String]) -> Child {
    command(directory, arguments).spawn().expect("the daemon starts")
}

fn command(directory: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crabd"));
    command.arg("--data-dir").arg(directory).args(arguments);
    command.env("CRAB_LOG", "error").stdin(Stdio::null());
    command
}

/// Runs a client's part on one thread, as a command line does.
pub(crate) fn block_on<R>(part: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(part)
}
