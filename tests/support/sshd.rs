//! An sshd of one's own on loopback, with throw-away keys, and two homes: of who is reached, and of who reaches.
//!
//! For tests and for benchmarks, which include it by its path.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the program may be.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd"];

/// It listens from its start until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Sshd {
    root: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Sshd {
    /// With its files below a directory; `None` where there is no such program.
    pub(crate) fn new(root: &Path) -> Option<Self> {
        program()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let mut sshd = Self { root: root.to_owned(), port, running: None };
        sshd.prepare();
        drop(listener);
        sshd.start();
        Some(sshd)
    }

    fn prepare(&self) {
        let at = |name: &str| self.root.join(name).display().to_string();
        for home in ["here", "there"] {
            fs::create_dir(self.root.join(home)).expect("it can be made");
        }
        for key in ["host_key", "user_key"] {
            let mut keygen = Command::new("ssh-keygen");
            let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
            assert!(made.expect("ssh-keygen runs").success());
        }
        let public = fs::read_to_string(at("host_key.pub")).expect("it was made");
        let lines = [
            format!("Port {}", self.port),
            format!("HostKey {}", at("host_key")),
            format!("AuthorizedKeysFile {}", at("user_key.pub")),
            format!("SetEnv HOME={}", at("there")),
            "ListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes".into(),
            "PasswordAuthentication no\nKbdInteractiveAuthentication no".into(),
            "MaxStartups 100\nMaxSessions 50".into(),
        ];
        for (name, text) in [
            ("known_hosts", format!("box {public}")),
            ("no_hosts", String::new()),
            ("sshd_config", lines.join("\n") + "\n"),
        ] {
            fs::write(self.root.join(name), text).expect("it can be written");
        }
        self.ssh_config("ssh_config", "known_hosts");
    }

    /// A configuration of `ssh` in which the machine is called `box`.
    pub(crate) fn ssh_config(&self, name: &str, known_hosts: &str) -> PathBuf {
        let at = |name: &str| self.root.join(name).display().to_string();
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().expect("a user");
        let lines = [
            "Host box\nHostName 127.0.0.1\nHostKeyAlias box\nIdentitiesOnly yes".to_owned(),
            format!("Port {}\nUser {}", self.port, user.name),
            format!("IdentityFile {}", at("user_key")),
            format!("UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null", at(known_hosts)),
        ];
        let path = self.root.join(name);
        fs::write(&path, lines.join("\n") + "\n").expect("it can be written");
        path
    }

    /// Adds a line to its configuration, by which it goes from its next start on.
    pub(crate) fn configure(&self, line: &str) {
        let config = self.root.join("sshd_config");
        let before = fs::read_to_string(&config).expect("it is there");
        fs::write(&config, format!("{before}{line}\n")).expect("it can be written");
    }

    /// Starts it, and waits until it listens.
    pub(crate) fn start(&mut self) {
        if nix::unistd::geteuid().is_root() {
            // Where it separates its privileges, as the service's own start makes it.
            let _ = fs::create_dir_all("/run/sshd");
            let _ = fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755));
        }
        let log = self.root.join("sshd.log");
        let log = fs::File::options().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(program().expect("it was there"));
        command.args(["-D", "-e", "-f"]).arg(self.root.join("sshd_config")).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(command.spawn().expect("it starts"));
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "sshd does not listen");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Ends it: from now on nobody gets in.
    pub(crate) fn stop(&mut self) {
        if let Some(mut sshd) = self.running.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> Option<&'static str> {
    PROGRAMS.into_iter().find(|path| Path::new(path).exists())
}
