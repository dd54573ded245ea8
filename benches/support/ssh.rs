//! A machine behind SSH on this one, and what is run on it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::sshd::Sshd;

/// It listens until dropped.
pub(crate) struct Machine {
    _sshd: Sshd,
    root: TempDir,
}

impl Machine {
    /// With a repository `r`; `None` where there is no sshd or no tmux.
    pub(crate) fn start() -> Option<Self> {
        Command::new("tmux").arg("-V").stdout(Stdio::null()).status().ok()?;
        let root = tempfile::Builder::new().prefix("kcb").tempdir().expect("a directory");
        let sshd = Sshd::new(root.path())?;
        fs::create_dir_all(root.path().join("there/engineering/code/clone-base/r")).expect("it can be made");
        Some(Self { _sshd: sshd, root })
    }

    /// The home of who reaches it.
    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("here")
    }

    /// The configuration of `ssh`, in which it is called `box`.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.root.path().join("ssh_config")
    }

    /// A file beside it.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(name);
        fs::write(&path, text).expect("it can be written");
        path
    }

    /// `ssh box true`, over a connection that is shared with all such calls.
    pub(crate) fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        let socket = format!("ControlPath={}", self.home().join("m").display());
        command.arg("-F").arg(self.ssh_config()).args(["-T", "-o", "ControlMaster=auto", "-o", &socket]);
        command.args(["-o", "ControlPersist=30", "box", "true"]).stdin(Stdio::null());
        command
    }

    /// `aivcs-session exec`, in a session of this work.
    pub(crate) fn exec(&self, work: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aivcs-session"));
        command.env("HOME", self.home()).env("AIVCS_SSH_CONFIG", self.ssh_config()).stdin(Stdio::null());
        command.args(["--host", "box", "exec", "--repo", "r", "--work", work, "--role", "runner"]);
        command.args(["--tied", "10s", "--", "/bin/true"]);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let mut tmux = Command::new("tmux");
        tmux.env("TMUX_TMPDIR", self.root.path().join("there/.aivcs-session")).env_remove("TMUX");
        let _ = tmux.args(["-L", "aivcs", "kill-server"]).stderr(Stdio::null()).status();
        let mut bye = Command::new("ssh");
        let socket = format!("ControlPath={}", self.home().join("m").display());
        bye.arg("-F").arg(self.ssh_config()).args(["-O", "exit", "-o", &socket, "box"]);
        let _ = bye.stderr(Stdio::null()).status();
    }
}
