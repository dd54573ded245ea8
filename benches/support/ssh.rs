//! A machine behind SSH on this one: an sshd with throw-away keys, and a home for who is reached and for who reaches.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long sshd may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// It listens until dropped.
pub(crate) struct Machine {
    root: TempDir,
    sshd: Child,
}

impl Machine {
    /// With a repository `r`; `None` where there is no sshd or no tmux.
    pub(crate) fn start() -> Option<Self> {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd"];
        let sshd = sshd.into_iter().find(|path| Path::new(path).exists())?;
        Command::new("tmux").arg("-V").stdout(Stdio::null()).status().ok()?;
        let root = tempfile::Builder::new().prefix("kcb").tempdir().expect("a directory");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        prepare(root.path(), port);
        drop(listener);
        // Where it separates its privileges, as the service's own start makes it.
        let _ = fs::create_dir_all("/run/sshd");
        let mut command = Command::new(sshd);
        command.args(["-D", "-f"]).arg(root.path().join("sshd_config"));
        let sshd = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "sshd does not listen");
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Some(Self { root, sshd })
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
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

fn prepare(root: &Path, port: u16) {
    let at = |name: &str| root.join(name).display().to_string();
    fs::create_dir(root.join("here")).expect("it can be made");
    fs::create_dir_all(root.join("there/engineering/code/clone-base/r")).expect("it can be made");
    for key in ["host_key", "user_key"] {
        let mut keygen = Command::new("ssh-keygen");
        let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
        assert!(made.expect("ssh-keygen runs").success());
    }
    let public = fs::read_to_string(at("host_key.pub")).expect("it was made");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user");
    let files = [
        ("known_hosts", format!("box {public}")),
        (
            "sshd_config",
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nSetEnv HOME={}\nPidFile none\n\
                 UsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\nMaxSessions 50\n",
                at("host_key"),
                at("user_key.pub"),
                at("there"),
            ),
        ),
        (
            "ssh_config",
            format!(
                "Host box\nHostName 127.0.0.1\nHostKeyAlias box\nIdentitiesOnly yes\nPort {port}\nUser {}\nIdentityFile {}\n\
                 UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\n",
                user.name,
                at("user_key"),
                at("known_hosts"),
            ),
        ),
    ];
    for (name, text) in files {
        fs::write(root.join(name), text).expect("it can be written");
    }
}
