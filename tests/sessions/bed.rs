//! A machine behind SSH: an sshd of the test's own with throw-away keys, and two homes, here and there.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::program::{Ran, Running, run, write};
use crate::support::residue;
use crate::support::sshd::Sshd;
use crate::support::waiting::{SOON, until};

/// A machine, and a user's directory from which it is reached.
#[derive(Debug)]
pub(super) struct Bed {
    root: TempDir,
    sshd: Sshd,
}

impl Bed {
    /// With a repository called `r`.
    pub(super) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("kcs").tempdir().expect("there is room");
        let sshd = Sshd::new(root.path()).expect("sshd is missing: install openssh-server");
        let bed = Self { root, sshd };
        bed.repository("r");
        bed
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    /// The home directory on the machine.
    pub(super) fn home(&self) -> PathBuf {
        self.root().join("there")
    }

    pub(super) fn base(&self) -> PathBuf {
        self.home().join("engineering/code/clone-base")
    }

    /// A repository's directory on the machine.
    pub(super) fn repository(&self, name: &str) -> PathBuf {
        let at = self.base().join(name);
        fs::create_dir_all(&at).expect("it can be made");
        at
    }

    /// The files of a session on the machine.
    pub(super) fn session(&self, tmux: &str) -> PathBuf {
        self.home().join(".aivcs-session/s").join(tmux)
    }

    /// A configuration of `ssh` in which the machine is called `box`.
    pub(super) fn ssh_config(&self, name: &str, known_hosts: &str) -> PathBuf {
        self.sshd.ssh_config(name, known_hosts)
    }

    /// Starts the server, and waits until it listens.
    pub(super) fn start_sshd(&mut self) {
        self.sshd.start();
    }

    /// The next command that comes over SSH begins so much later. Of a machine to which nobody is connected.
    pub(super) fn slow_once(&mut self, seconds: u32) {
        let (slow, login) = (self.root().join("slow"), self.root().join("login"));
        write(&slow, "");
        let slow = slow.display();
        let script = format!(
            "#!/bin/sh\nif mv {slow} {slow}.used 2>/dev/null; then sleep {seconds}; fi\nexec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
        );
        write(&login, script);
        self.sshd.configure(&format!("ForceCommand /bin/sh {}", login.display()));
        self.stop_sshd();
        self.start_sshd();
    }

    /// Ends the server: from now on nobody gets in.
    pub(super) fn stop_sshd(&mut self) {
        self.sshd.stop();
    }

    /// The program without a machine: it is about this one, whose home is the same as there.
    pub(super) fn here(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aivcs-session"));
        for variable in
            ["AIVCS_HOST", "AIVCS_USER", "AIVCS_BASE_DIR", "AIVCS_SSH_CONFIG", "TMUX", "TMUX_PANE"]
        {
            command.env_remove(variable);
        }
        command.env("HOME", self.home()).current_dir(self.root()).process_group(0).args(args);
        command
    }

    /// The program about the machine.
    pub(super) fn there(&self, args: &[&str]) -> Command {
        let mut command = self.here(&["--host", "box"]);
        command.env("HOME", self.root().join("here")).env("AIVCS_SSH_CONFIG", self.root().join("ssh_config"));
        command.args(args);
        command
    }

    /// Runs it to its end.
    pub(super) fn run(&self, args: &[&str]) -> Ran {
        run(&mut self.there(args))
    }

    /// Starts it.
    pub(super) fn start(&self, args: &[&str]) -> Running {
        Running::start(&mut self.there(args))
    }

    /// The sessions that are in tmux.
    pub(super) fn list(&self) -> Vec<serde_json::Value> {
        self.run(&["list", "--json"]).expect(0).json()
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.list().iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect();
        names.sort();
        names
    }

    /// tmux on the socket of the sessions.
    pub(super) fn tmux(&self, args: &[&str]) -> Ran {
        let mut command = Command::new("tmux");
        command.env("TMUX_TMPDIR", self.home().join(".aivcs-session")).env("HOME", self.home());
        run(command.env_remove("TMUX").args(["-L", "aivcs"]).args(args))
    }

    /// Processes whose command line has this text.
    pub(super) fn processes(&self, text: &str) -> Vec<i32> {
        residue::naming(text, 0).into_iter().map(|left| left.pid).collect()
    }

    /// Who follows attempts on the machine: each waits for the end of its input.
    pub(super) fn readers(&self) -> usize {
        let found = residue::within(&self.home().display().to_string());
        found.iter().filter(|left| left.what.trim_end() == "cat").count()
    }

    /// Waits for a file on the machine, and tells what is in it.
    pub(super) fn wait_file(&self, path: &Path) -> String {
        until(&format!("{} is there", path.display()), SOON, || {
            fs::read_to_string(path).ok().filter(|text| !text.is_empty())
        })
    }

    /// Kills every `ssh` of the test: the connections of all that run now.
    pub(super) fn cut(&self) {
        let directory = self.root().join("here").display().to_string();
        for left in residue::naming(&directory, 0).iter().filter(|left| left.what.starts_with("ssh")) {
            let _ = kill(Pid::from_raw(left.pid), Signal::SIGKILL);
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]);
        self.stop_sshd();
        let directory = self.root().display().to_string();
        for _ in 0..3 {
            for left in residue::within(&directory) {
                let _ = kill(Pid::from_raw(left.pid), Signal::SIGKILL);
            }
        }
    }
}
