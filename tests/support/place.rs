//! A data directory of a test's own, with the daemons that use it. Whatever becomes of the test, nothing is
//! left of them.

use std::fs::File;
use std::future::Future;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use actors::client::{Client, ClientError, Endpoint};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::program::{Ran, run, wait};
use crate::support::residue::{self, Left};
use crate::support::waiting::{SOON, until, until_true};

/// A data directory, with room for a test's files beside it.
#[derive(Debug)]
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    /// With a short path, as a socket in it must have one.
    pub(crate) fn new() -> Self {
        Self { root: tempfile::Builder::new().prefix("kc").tempdir().expect("there is room") }
    }

    /// Where the test keeps files of its own.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("d")
    }

    /// Writes a file of the test's own and tells its path.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(name);
        crate::support::program::write(&path, text);
        path
    }

    /// A daemon on this directory that is not started yet.
    pub(crate) fn crabd(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crabd"));
        // A group of its own: a Ctrl-C at the test is not one at the daemon.
        command.env_remove("CRAB_DATA_DIR").env_remove("CRAB_ADDRESS").process_group(0);
        command.arg("--data-dir").arg(self.data()).args(args);
        command
    }

    /// Starts a daemon and waits until it answers.
    pub(crate) fn daemon(&self, args: &[&str]) -> Daemon {
        let daemon = Daemon::spawn(self, args);
        self.wait_ready();
        daemon
    }

    /// A daemon with both sides and `cpus` to give.
    pub(crate) fn single(&self, cpus: &str) -> Daemon {
        let daemon = self.daemon(&["--cpus", cpus, "--name", "one"]);
        self.wait_nodes(1);
        daemon
    }

    /// As [`Self::single`], for work that fits no machine yet.
    pub(crate) fn patient(&self, cpus: &str) -> Daemon {
        let config = self.file("patient.toml", "[scheduler]\nunschedulable = \"warn\"\n");
        let daemon =
            self.daemon(&["--cpus", cpus, "--name", "one", "--config", &config.display().to_string()]);
        self.wait_nodes(1);
        daemon
    }

    pub(crate) fn wait_ready(&self) {
        until_true("the daemon answers", SOON, || {
            self.ask(|client| async move { client.hello().await }).is_ok()
        });
    }

    /// Waits until so many nodes are up.
    pub(crate) fn wait_nodes(&self, nodes: usize) {
        let up = |node: &actors::wire::client::NodeRow| node.health == actors::wire::client::NodeHealth::Up;
        until_true("the nodes are up", SOON, || {
            let rows = self.ask(|client| async move { client.nodes().await });
            rows.is_ok_and(|rows| rows.iter().filter(|row| up(row)).count() == nodes)
        });
    }

    /// The command line for this directory.
    pub(crate) fn crab(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crab"));
        command.env_remove("CRAB_ADDRESS").env("CRAB_DATA_DIR", self.data()).env("USER", "tester");
        command.current_dir(self.root()).process_group(0).args(args);
        command
    }

    /// The window on the actors, for this directory.
    pub(crate) fn top(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-top"));
        command.env_remove("CRAB_ADDRESS").env("CRAB_DATA_DIR", self.data()).env("USER", "tester");
        command.current_dir(self.root()).process_group(0).args(args);
        command
    }

    /// One line of it, and the answer.
    pub(crate) fn ask_top(&self, line: &str) -> Ran {
        run(&mut self.top(&["-e", line]))
    }

    /// One line of it, and the answer as JSON, a value for each row.
    pub(crate) fn rows(&self, line: &str) -> Vec<serde_json::Value> {
        run(&mut self.top(&["--json", "-e", line])).expect(0).json()
    }

    /// Runs the command line to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.crab(args))
    }

    /// Submits and tells the graph's first task, by its number.
    pub(crate) fn submit(&self, args: &[&str]) -> String {
        let all = [&["submit", "--json"], args].concat();
        let told = self.run(&all).expect(0).json();
        told[0]["first_task"].as_str().expect("an id").to_owned()
    }

    /// One task as `crab show --json` tells it.
    pub(crate) fn show(&self, task: &str) -> serde_json::Value {
        self.run(&["show", "--json", task]).expect(0).json().remove(0)
    }

    /// Waits until a task is in a state.
    pub(crate) fn wait_state(&self, task: &str, state: &str) -> serde_json::Value {
        until(&format!("{task} is {state}"), SOON, || {
            Some(self.show(task)).filter(|shown| shown["state"] == state)
        })
    }

    /// Asks the daemon over the library.
    pub(crate) fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(question(Client::connect(Endpoint::of_data_dir(&self.data()))))
    }

    /// Processes of this directory.
    pub(crate) fn left(&self) -> Vec<Left> {
        residue::of(&self.data())
    }

    /// The process host.
    pub(crate) fn host_pid(&self) -> Option<i32> {
        let directory = self.data().join("host").display().to_string();
        self.left()
            .iter()
            .find(|left| !left.is_attempt && left.what.contains(&directory))
            .map(|left| left.pid)
    }

    /// Ends the process host as the power cord does it.
    pub(crate) fn kill_host(&self) {
        let host = self.host_pid().expect("there is a host");
        kill(Pid::from_raw(host), Signal::SIGKILL).expect("it is there");
    }

    /// Processes of attempts.
    pub(crate) fn attempts(&self) -> Vec<Left> {
        self.left().into_iter().filter(|left| left.is_attempt).collect()
    }

    /// Waits until no process of this directory is there, and panics where one stays.
    pub(crate) fn wait_gone(&self) {
        until("nothing is left", SOON, || {
            let left = self.left();
            left.is_empty().then_some(())
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        residue::clear(&self.data());
    }
}

/// A daemon's process.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, and waits for nothing.
    pub(crate) fn spawn(place: &Place, args: &[&str]) -> Self {
        Self::of(&mut place.crabd(args), place)
    }

    /// Starts it as it was prepared.
    pub(crate) fn of(command: &mut Command, place: &Place) -> Self {
        let log = place.root().join("crabd.log");
        let file = File::options().create(true).append(true).open(&log).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Self { child: command.spawn().expect("the daemon starts"), log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, signal).expect("it is there");
    }

    /// As the power cord does it.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it is ours");
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        wait(&mut self.child, SOON)
    }

    /// How it ended by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        wait(&mut self.child, SOON)
    }

    /// What it has said so far, in all its lives.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
