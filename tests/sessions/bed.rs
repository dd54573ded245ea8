//! A machine behind SSH: an sshd of the test's own with throw-away keys, and two homes, here and there.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::program::{Ran, Running, run, write};
use crate::support::residue;
use crate::support::waiting::{SOON, until, until_true};

/// A machine, and a user's directory from which it is reached.
#[derive(Debug)]
pub(super) struct Bed {
    root: TempDir,
    port: u16,
    sshd: Option<Child>,
}

impl Bed {
    /// With a repository called `r`.
    pub(super) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("kcs").tempdir().expect("there is room");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let mut bed = Self { root, port, sshd: None };
        bed.prepare();
        drop(listener);
        bed.start_sshd();
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

    fn prepare(&self) {
        let at = |name: &str| self.root().join(name).display().to_string();
        for home in ["here", "there"] {
            fs::create_dir(self.root().join(home)).expect("it can be made");
        }
        for key in ["host_key", "user_key"] {
            let args = ["-q", "-t", "ed25519", "-N", "", "-f", &at(key)];
            run(Command::new("ssh-keygen").args(args)).expect(0);
        }
        let public = fs::read_to_string(at("host_key.pub")).expect("it was made");
        write(&self.root().join("known_hosts"), format!("box {public}"));
        write(&self.root().join("no_hosts"), "");
        let lines = [
            format!("Port {}", self.port),
            format!("HostKey {}", at("host_key")),
            format!("AuthorizedKeysFile {}", at("user_key.pub")),
            format!("SetEnv HOME={}", at("there")),
            "ListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes".into(),
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100".into(),
        ];
        write(&self.root().join("sshd_config"), lines.join("\n") + "\n");
        self.ssh_config("ssh_config", "known_hosts");
    }

    /// A configuration of `ssh` in which the machine is called `box`.
    pub(super) fn ssh_config(&self, name: &str, known_hosts: &str) -> PathBuf {
        let at = |name: &str| self.root().join(name).display().to_string();
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user");
        let lines = [
            "Host box\nHostName 127.0.0.1\nHostKeyAlias box\nIdentitiesOnly yes".to_owned(),
            format!("Port {}\nUser {}", self.port, user.name),
            format!("IdentityFile {}", at("user_key")),
            format!("UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null", at(known_hosts)),
        ];
        let path = self.root().join(name);
        write(&path, lines.join("\n") + "\n");
        path
    }

    /// Starts the server, and waits until it listens.
    pub(super) fn start_sshd(&mut self) {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd"];
        let sshd = sshd.into_iter().find(|path| Path::new(path).exists());
        let sshd = sshd.expect("sshd is missing: install openssh-server");
        if nix::unistd::geteuid().is_root() {
            // Where it separates its privileges, as the service's own start makes it.
            let _ = fs::create_dir_all("/run/sshd");
            let _ = fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755));
        }
        let log =
            fs::File::options().create(true).append(true).open(self.root().join("sshd.log")).expect("a log");
        let mut command = Command::new(sshd);
        command.args(["-D", "-e", "-f"]).arg(self.root().join("sshd_config")).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.sshd = Some(command.spawn().expect("it starts"));
        let port = self.port;
        until_true("sshd listens", SOON, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
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
        let config = self.root().join("sshd_config");
        let before = fs::read_to_string(&config).expect("it is there");
        write(&config, format!("{before}ForceCommand /bin/sh {}\n", login.display()));
        self.stop_sshd();
        self.start_sshd();
    }

    /// Ends the server: from now on nobody gets in.
    pub(super) fn stop_sshd(&mut self) {
        if let Some(mut sshd) = self.sshd.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
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

    /// Waits for a file on the machine, and tells what is in it.
    pub(super) fn wait_file(&self, path: &Path) -> String {
        until(&format!("{} is there", path.display()), SOON, || {
            fs::read_to_string(path).ok().filter(|text| !text.is_empty())
        })
    }

    /// Kills every `ssh` of the test: the connections of all that run now.
    pub(super) fn cut(&self) {
        let directory = self.root().join("here").display().to_string();
        for pid in self.processes(&directory) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
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
