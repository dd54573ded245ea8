//! How to get to a machine: the command line that takes a script on its standard input.
//!
//! No word of a caller is in it but the host, the user, the port and the identity file, each an argument of its
//! own and checked. What the other side's login shell reads is one constant.
//!
//! # Why the system's `ssh`, and its multiplexing by hand
//! The user's keys, agent, configuration, known hosts and jump hosts work as everywhere, and on a Mac it is
//! Apple's signed program that asks for the network. The `openssh` crate wraps the same program, but its master
//! ends with the process that made it: each of the short lives of a command line would pay for a handshake. A
//! master that outlives them (`ControlPersist`) is three options.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::session::SessionName;
use policy::session::target::{Remote, Target};

use super::words::hex;

/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that nobody uses stays, so that the next question costs no handshake.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a Unix socket's path on macOS, the smaller of both systems, without the zero at its end.
const SOCKET_PATH_LIMIT: usize = 103;
/// What `ssh` appends to it while it makes one.
const SOCKET_SUFFIX_BYTES: usize = 17;
/// What every login shell takes for the same: a shell that reads our script.
const REMOTE_SHELL: &str = "exec /bin/sh -s";
/// Attaches the terminal. In single quotes, which have the same meaning in every login shell for a text without
/// quotes, backslashes, exclamation marks and newlines.
const REMOTE_ATTACH: &str = r#"exec /bin/sh -c 'TMUX_TMPDIR="$HOME/.aivcs-session"; export TMUX_TMPDIR; unset TMUX; exec "$1" -L aivcs attach-session -t "=$2"' sh"#;

/// How a machine is reached.
#[derive(Debug, Clone)]
pub struct Way {
    target: Target,
    identity: Option<PathBuf>,
    config: Option<PathBuf>,
    /// Whether somebody can be asked for a password, or whether a host is known.
    person: bool,
    control: Option<PathBuf>,
    /// Where a connection is that somebody else holds; it goes before our own while it is there.
    held: Option<PathBuf>,
    own: bool,
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(pub Vec<OsString>);

impl Way {
    /// To `target`. With `person`, `ssh` may ask on the terminal.
    #[must_use]
    pub fn new(target: Target, person: bool) -> Self {
        Self { target, identity: None, config: None, person, control: None, held: None, own: false }
    }

    /// With this private key alone.
    #[must_use]
    pub fn identity(mut self, identity: Option<PathBuf>) -> Self {
        self.identity = identity;
        self
    }

    /// With this configuration in place of the user's.
    #[must_use]
    pub fn config(mut self, config: Option<PathBuf>) -> Self {
        self.config = config;
        self
    }

    /// Shares its connection with nobody else: it goes with this process.
    #[must_use]
    pub fn alone(mut self, alone: bool) -> Self {
        self.own = alone;
        self
    }

    /// Over a connection that somebody else holds, as long as that is there.
    #[must_use]
    pub fn held(mut self, held: Option<PathBuf>) -> Self {
        self.held = held;
        self
    }

    /// Where its connection is, for others to go over as well.
    #[must_use]
    pub fn control(&self) -> Option<&Path> {
        self.control.as_deref()
    }

    /// Whether it shares its connection with nobody else.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.own
    }

    /// Shares one connection among all who go this way from a directory below `home`, where its path is fit
    /// for a socket.
    ///
    /// # Errors
    /// The directory cannot be made, or others can enter it.
    pub fn sharing(mut self, home: &Path) -> io::Result<Self> {
        let Target::There(remote) = &self.target else { return Ok(self) };
        let directory = home.join(".aivcs-session").join("m");
        let name = self.control_name(remote);
        let path = directory.join(name);
        let is_plain = !path.as_os_str().as_bytes().iter().any(|byte| b"%$\"\n".contains(byte));
        if is_plain && path.as_os_str().len() + SOCKET_SUFFIX_BYTES <= SOCKET_PATH_LIMIT {
            make_private(&directory)?;
            self.control = Some(path);
        }
        Ok(self)
    }

    /// Other keys, users and ports are other connections.
    fn control_name(&self, remote: &Remote) -> String {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.as_os_str().as_bytes().to_vec());
        let mut hasher = blake3::Hasher::new();
        for part in [
            Some(remote.host.as_bytes().to_vec()),
            remote.user.as_ref().map(|user| user.as_bytes().to_vec()),
            remote.port.map(|port| port.to_string().into_bytes()),
            path(&self.identity),
            path(&self.config),
            self.own.then(|| std::process::id().to_string().into_bytes()),
        ] {
            let part = part.unwrap_or_default();
            hasher.update(&(part.len() as u64).to_le_bytes()).update(&part);
        }
        hex(&hasher.finalize().as_bytes()[..8])
    }

    /// Which machine, as people know it.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether a connection is shared: not on this machine, nor where its socket's path would be too long.
    #[must_use]
    pub fn shares(&self) -> bool {
        self.control.is_some()
    }

    /// Whether `ssh` may ask on the terminal.
    #[must_use]
    pub fn has_person(&self) -> bool {
        self.person
    }

    /// Runs a script that comes on standard input.
    #[must_use]
    pub fn script(&self) -> CommandLine {
        match &self.target {
            Target::Here => CommandLine(["/bin/sh", "-s"].map(OsString::from).into()),
            Target::There(remote) => self.ssh(remote, false, REMOTE_SHELL.into()),
        }
    }

    /// Attaches the terminal to a session, with the tmux that was found there; `None` where its path is one that
    /// a login shell could misread.
    #[must_use]
    pub fn attach(&self, tmux: &str, name: &SessionName) -> Option<CommandLine> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
        if !tmux.starts_with('/') || !tmux.chars().all(is_plain) {
            return None;
        }
        Some(match &self.target {
            Target::Here => {
                let inner = REMOTE_ATTACH.split('\'').nth(1).unwrap_or_default();
                let argv = ["/bin/sh", "-c", inner, "sh", tmux, &name.tmux()];
                CommandLine(argv.map(OsString::from).into())
            }
            Target::There(remote) => {
                self.ssh(remote, true, format!("{REMOTE_ATTACH} {tmux} {}", name.tmux()))
            }
        })
    }

    /// Ends the shared connection, with all who use it; `None` where there is none.
    #[must_use]
    pub fn hang_up(&self) -> Option<CommandLine> {
        self.tell("exit")
    }

    /// Has the next question make another connection, while those who use this one go on; `None` where there is none.
    #[must_use]
    pub fn leave(&self) -> Option<CommandLine> {
        self.tell("stop")
    }

    fn tell(&self, word: &str) -> Option<CommandLine> {
        let (Target::There(remote), Some(control)) = (&self.target, &self.control) else { return None };
        if !control.exists() {
            return None;
        }
        let mut argv = self.begin();
        argv.extend(["-O".into(), word.into(), "-o".into(), option("ControlPath=", control.as_os_str())]);
        argv.extend(["--".into(), OsString::from(&*remote.host)]);
        Some(CommandLine(argv))
    }

    /// Over which connection it goes, and whether it may make that.
    fn over(&self) -> Option<(&Path, bool)> {
        let held = self.held.as_deref().filter(|held| held.exists());
        held.map(|held| (held, false)).or_else(|| Some((self.control.as_deref()?, true)))
    }

    fn begin(&self) -> Vec<OsString> {
        let mut argv = vec!["ssh".into()];
        if let Some(config) = &self.config {
            argv.extend(["-F".into(), config.into()]);
        }
        argv
    }

    fn ssh(&self, remote: &Remote, terminal: bool, command: String) -> CommandLine {
        let mut argv = self.begin();
        argv.push(if terminal { "-tt" } else { "-T" }.into());
        let connect = format!("ConnectTimeout={}", CONNECT_TIMEOUT.as_secs());
        let mut options = vec![
            // Whatever the user's configuration says: an unknown host is refused, or a person is asked.
            if self.person { "StrictHostKeyChecking=ask" } else { "StrictHostKeyChecking=yes" },
            if self.person { "BatchMode=no" } else { "BatchMode=yes" },
            &connect,
            "ConnectionAttempts=1",
            "ServerAliveInterval=5",
            "ServerAliveCountMax=3",
            "ClearAllForwardings=yes",
            "ForwardX11=no",
            "PermitLocalCommand=no",
            "RemoteCommand=none",
        ];
        if !terminal {
            options.extend(["ForwardAgent=no", "LogLevel=ERROR"]);
        }
        argv.extend(options.into_iter().flat_map(|option| ["-o".into(), option.into()]));
        if let Some((control, makes)) = self.over() {
            let master = if makes { "ControlMaster=auto" } else { "ControlMaster=no" };
            argv.extend(["-o", master, "-o"].map(OsString::from));
            argv.push(option("ControlPath=", control.as_os_str()));
            if makes {
                argv.extend(["-o".into(), format!("ControlPersist={}", IDLE_TIMEOUT.as_secs()).into()]);
            }
        }
        if let Some(user) = &remote.user {
            argv.extend(["-l".into(), OsString::from(&**user)]);
        }
        if let Some(port) = remote.port {
            argv.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(identity) = &self.identity {
            argv.extend(["-o".into(), "IdentitiesOnly=yes".into(), "-i".into(), identity.into()]);
        }
        argv.extend(["--".into(), OsString::from(&*remote.host), command.into()]);
        CommandLine(argv)
    }
}

fn option(name: &str, value: &OsStr) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

/// A directory of our own that nobody else can enter: who can, can use the connections in it.
fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    for made in directory.ancestors().take(2) {
        let found = fs::symlink_metadata(made)?;
        if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o077 != 0 {
            let why = format!("{} is not a directory that only you can enter (chmod 700)", made.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
    }
    Ok(())
}

/// As it would be typed.
impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<_> = self.0.iter().map(|word| super::words::shown(word.as_bytes())).collect();
        f.pad(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(person: bool) -> Way {
        Way::new(Target::new(Some("mac-1"), Some("me"), Some(2222)).unwrap(), person)
    }

    #[test]
    fn the_host_comes_behind_all_options_and_its_key_is_checked() {
        let line = there(false).identity(Some("/keys/a b".into())).script().to_string();
        assert!(
            line.ends_with("-l me -p 2222 -o IdentitiesOnly=yes -i '/keys/a b' -- mac-1 'exec /bin/sh -s'"),
            "{line}"
        );
        assert!(line.contains("StrictHostKeyChecking=yes") && line.contains("BatchMode=yes"), "{line}");
        let asked = there(true).script().to_string();
        assert!(asked.contains("StrictHostKeyChecking=ask") && asked.contains("BatchMode=no"), "{asked}");
    }

    #[test]
    fn other_keys_are_other_connections_and_a_long_path_is_none() {
        let home = tempfile::Builder::new().prefix("kc").tempdir().unwrap();
        let one = there(false).sharing(home.path()).unwrap();
        let other = there(false).identity(Some("k".into())).sharing(home.path()).unwrap();
        assert!(one.shares() && other.shares());
        assert_ne!(one.control, other.control);
        let long = home.path().join("x".repeat(80));
        assert!(!there(false).sharing(&long).unwrap().shares());
        assert!(!long.exists());
        assert!(!Way::new(Target::Here, false).sharing(home.path()).unwrap().shares());
    }

    #[test]
    fn a_connection_that_somebody_holds_goes_before_our_own_and_is_never_made_nor_ended() {
        let home = tempfile::Builder::new().prefix("kc").tempdir().unwrap();
        let held = home.path().join("held");
        let way = there(false).sharing(home.path()).unwrap().held(Some(held.clone()));
        let line = way.script().to_string();
        assert!(line.contains("ControlMaster=auto") && !line.contains("/held"), "{line}");
        fs::write(&held, "").unwrap();
        let line = way.script().to_string();
        assert!(line.contains("ControlMaster=no -o ControlPath=") && line.contains("/held"), "{line}");
        assert!(!line.contains("ControlPersist"), "{line}");
        assert_eq!((way.hang_up(), way.leave()), (None, None), "there is none of our own");
    }

    #[test]
    fn a_directory_that_others_enter_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::Builder::new().prefix("kc").tempdir().unwrap();
        there(false).sharing(home.path()).unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(home.path().join(".aivcs-session"), open).unwrap();
        assert!(there(false).sharing(home.path()).is_err());
    }

    #[test]
    fn a_terminal_is_attached_to_one_session_by_its_whole_name() {
        let name = SessionName::parse("aivcs__a.b__w__agent").unwrap();
        let line = there(true).attach("/usr/bin/tmux", &name).unwrap();
        let command = line.0.last().unwrap().to_str().unwrap();
        assert!(command.ends_with("sh /usr/bin/tmux aivcs__aDb__w__agent"), "{command}");
        assert!(!command.contains(['!', '\\', '\n']));
        assert_eq!(there(true).attach("/opt/a b/tmux", &name), None);
        assert_eq!(there(true).attach("tmux", &name), None);
    }
}
