//! git, as the system's program: the worktrees of repositories, and what in them is nowhere else.
//!
//! # How it is called
//! Without a terminal, a prompt, hooks, housekeeping or anything of the daemon's environment that names repositories; with a
//! deadline, in a process group of its own, which is killed when the deadline passes or nobody wants the answer any more.
//! No argument that somebody else wrote can be taken for an option: paths are absolute, and what names a commit does not begin
//! with `-` (`policy::admission`).
//!
//! # Who may administer a repository
//! One at a time: whoever adds or removes a worktree holds a lock (`flock`) on the repository's own directory, which nobody
//! has to clean up after a crash, and which other daemons and runs of this user wait for too. Checking files out needs no lock.

mod said;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use policy::time::Moment;
use policy::workspace::Unsaved;

use super::record::{Copied, Worktree};
use super::{Cancel, Unmade};
use crate::clock::Clock;
use crate::taskfile::path_text;
use said::{SAID_LIMIT_BYTES, Said, collect, message, said};

/// Between two looks whether it has ended: it takes some milliseconds at the least.
const LOOK: Duration = Duration::from_millis(5);
/// Between two looks whether a repository is free.
const LOCK_LOOK: Duration = Duration::from_millis(20);
/// Commits that are counted: more is as good as this.
const COMMITS_LIMIT: &str = "--max-count=1000";
/// Before every command.
const ALWAYS: [&str; 10] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "maintenance.auto=false",
    "-c",
    "advice.detachedHead=false",
];

/// What was changed, each name ended by a byte 0.
const STATUS: [&str; 6] =
    ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none"];

/// Of a repository's worktrees, what they have in common.
const COMMON: [&str; 3] = ["rev-parse", "--path-format=absolute", "--git-common-dir"];

/// See the module.
pub(super) struct Git<'g> {
    pub(super) environment: &'g [(OsString, OsString)],
    pub(super) cancel: &'g Cancel,
    pub(super) clock: Clock,
    pub(super) until: Moment,
}

/// Why it did not do what it was to.
enum GitError {
    Cancelled,
    /// It could not be run to its end.
    Unrun(String),
    /// It refused.
    Refused(String),
}

impl GitError {
    fn text(self) -> String {
        match self {
            Self::Cancelled => "cancelled".to_owned(),
            Self::Unrun(text) | Self::Refused(text) => text,
        }
    }

    /// Nobody's fault but the machine's.
    fn of_node(self, what: &str) -> Unmade {
        match self {
            Self::Cancelled => Unmade::Cancelled,
            Self::Unrun(text) | Self::Refused(text) => Unmade::of_node(format!("{what}: {text}")),
        }
    }

    /// The task's fault where git refused.
    fn of_task(self, what: &str) -> Unmade {
        match self {
            Self::Refused(text) => Unmade::of_task(format!("{what}: {text}")),
            other => other.of_node(what),
        }
    }
}

impl Git<'_> {
    /// Adds a worktree of a commit at `path`, on no branch, with its files.
    pub(super) fn add(&self, repository: &Path, commit: &str, path: &Path) -> Result<Worktree, Unmade> {
        let shown = repository.display();
        let is_directory = fs::metadata(repository).is_ok_and(|found| found.is_dir());
        if !is_directory {
            return Err(Unmade::of_task(format!("there is no directory {shown} on this machine")));
        }
        let common = self
            .path(repository, &COMMON)
            .map_err(|error| error.of_task(&format!("{shown} is no repository of git")))?;
        let named = format!("{commit}^{{commit}}");
        let id =
            self.line(repository, &["rev-parse", "--verify", "--quiet", &named]).map_err(
                |error| match error {
                    GitError::Refused(_) => {
                        Unmade::of_task(format!("there is no commit {commit:?} in {shown}"))
                    }
                    other => other.of_node(&format!("looking for {commit:?} in {shown}")),
                },
            )?;
        let adding = |error: GitError| error.of_node(&format!("adding a worktree of {shown}"));
        let lock = self.lock(&common).map_err(adding)?;
        let words = ["worktree", "add", "--detach", "--no-checkout", "--quiet"].map(OsStr::new);
        let add = [&words[..], &[path.as_os_str(), OsStr::new(&id)]].concat();
        self.run(repository, &add).map_err(adding)?;
        drop(lock);
        let admin = self.path(path, &["rev-parse", "--absolute-git-dir"]).map_err(adding)?;
        let checkout = ["reset", "--hard", "--quiet"].map(OsStr::new);
        self.run(path, &checkout)
            .map_err(|error| error.of_node(&format!("checking out {commit} of {shown}")))?;
        Ok(Worktree { admin: path_text(&admin), commit: id.into() })
    }

    /// What a worktree holds that is nowhere else.
    pub(super) fn look(&self, worktree: &Worktree, path: &Path) -> Unsaved {
        let is_there = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let admin = super::path_of(&worktree.admin);
        if !admin.is_dir() {
            return match is_there {
                true => Unsaved::Unknown("its repository does not know it any more".into()),
                false => Unsaved::Nothing,
            };
        }
        let of_git = [b"--git-dir=".as_slice(), worktree.admin.as_bytes()].concat();
        let of_git = OsString::from_vec(of_git);
        let commits = [
            "rev-list",
            COMMITS_LIMIT,
            "--count",
            "HEAD",
            "--not",
            &worktree.commit,
            "--branches",
            "--remotes",
            "--tags",
        ];
        let commits: Vec<&OsStr> =
            [&of_git].into_iter().map(OsString::as_os_str).chain(commits.map(OsStr::new)).collect();
        let counted = || -> Result<Unsaved, GitError> {
            let changed = if is_there { self.changed(Some(&of_git), path)?.entries } else { 0 };
            let commits = String::from_utf8_lossy(&self.run(&admin, &commits)?.out).trim().parse();
            let commits = commits.map_err(|_| GitError::Unrun("git counted no commits".to_owned()))?;
            Ok(unsaved(changed, commits))
        };
        counted().unwrap_or_else(|error| Unsaved::Unknown(error.text().into()))
    }

    /// The worktree is gone: git is to forget it as well. Where there is no repository any more nobody remembers; where it was
    /// never added, nobody has to be waited for.
    pub(super) fn forget(&self, repository: &Path, path: &Path) -> io::Result<()> {
        let error = |error: GitError| io::Error::other(format!("git: {}", error.text()));
        let common = match self.path(repository, &COMMON) {
            Ok(common) => common,
            Err(GitError::Refused(_)) => return Ok(()),
            Err(other) => return Err(error(other)),
        };
        match self.knows(repository, path) {
            Ok(false) => return Ok(()),
            // Looked at while another one is being added, its list cannot be read.
            Ok(true) | Err(GitError::Refused(_)) => {}
            Err(other) => return Err(error(other)),
        }
        let words = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
        let remove = [&words[..], &[path.as_os_str()]].concat();
        let lock = self.lock(&common).map_err(error)?;
        let removed = self.run(repository, &remove);
        drop(lock);
        match removed {
            Ok(_) => Ok(()),
            // It does not know it, which is what was wanted.
            Err(GitError::Refused(text)) if text.contains("is not a working tree") => Ok(()),
            Err(other) => Err(error(other)),
        }
    }

    /// Whether a worktree of this name is among those of the repository, or may be.
    fn knows(&self, repository: &Path, path: &Path) -> Result<bool, GitError> {
        let said = self.run(repository, &["worktree", "list", "--porcelain"].map(OsStr::new))?;
        let name = path.file_name().unwrap_or_default().as_bytes();
        let is_it = |line: &[u8]| line.strip_suffix(name).is_some_and(|before| before.ends_with(b"/"));
        Ok(said.out.len() >= SAID_LIMIT_BYTES || said.out.split(|byte| *byte == b'\n').any(is_it))
    }

    /// What a copy is like before anybody works in it; `None` where it is no repository.
    pub(super) fn state_of_copy(&self, path: &Path) -> Result<Option<Copied>, Unmade> {
        self.copied(path).map_err(|error| error.of_node("looking at the copy"))
    }

    /// What a copy holds that was not in it before: in one that is a repository, changes and commits. Of others nobody
    /// can tell what is of worth; their task says whether they stay.
    pub(super) fn look_at_copy(&self, before: Option<&Copied>, path: &Path) -> Unsaved {
        let Some(before) = before else { return Unsaved::Nothing };
        let counted = || -> Result<Unsaved, GitError> {
            let Some(now) = self.copied(path)? else {
                return Err(GitError::Unrun("it was a repository and is none any more".to_owned()));
            };
            if now == *before {
                return Ok(Unsaved::Nothing);
            }
            let changed = self.changed(None, path)?.entries;
            let commits = u32::from(now.commit != before.commit);
            // Something has changed, or else it would be as before.
            Ok(unsaved(changed.max(1 - commits), commits))
        };
        counted().unwrap_or_else(|error| Unsaved::Unknown(error.text().into()))
    }

    fn copied(&self, path: &Path) -> Result<Option<Copied>, GitError> {
        if !fs::symlink_metadata(path.join(".git")).is_ok_and(|found| found.is_dir()) {
            return Ok(None);
        }
        let commit = match self.line(path, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]) {
            Ok(commit) => commit,
            Err(GitError::Refused(_)) => String::new(),
            Err(error) => return Err(error),
        };
        let said = self.changed(None, path)?;
        let references =
            self.run(path, &["for-each-ref", "--format=%(objectname) %(refname)"].map(OsStr::new))?;
        let mut digest = blake3::Hasher::new();
        digest.update(said.digest.as_bytes());
        digest.update(references.digest.as_bytes());
        for entry in said.out.split(|byte| *byte == 0).filter_map(|entry| entry.get(3..)) {
            // A file that was changed before may be changed again: its size and time tell.
            if let Ok(found) = fs::symlink_metadata(path.join(OsStr::from_bytes(entry))) {
                digest.update(&found.len().to_le_bytes());
                digest.update(&found.mtime().to_le_bytes());
                digest.update(&found.mtime_nsec().to_le_bytes());
            }
        }
        Ok(Some(Copied { commit: commit.into(), changes: *digest.finalize().as_bytes() }))
    }

    /// What was changed and is not ignored.
    fn changed(&self, of_git: Option<&OsString>, path: &Path) -> Result<Said, GitError> {
        let tree = OsString::from_vec([b"--work-tree=".as_slice(), path.as_os_str().as_bytes()].concat());
        let own = [b"--git-dir=".as_slice(), path.join(".git").as_os_str().as_bytes()].concat();
        let own = OsString::from_vec(own);
        let words: Vec<&OsStr> = [of_git.unwrap_or(&own), &tree]
            .into_iter()
            .map(OsString::as_os_str)
            .chain(STATUS.map(OsStr::new))
            .collect();
        self.run(path, &words)
    }

    /// Waits until nobody else administers the repository.
    fn lock(&self, common: &Path) -> Result<Flock<File>, GitError> {
        let unrun =
            |error: &dyn std::fmt::Display| GitError::Unrun(format!("locking {}: {error}", common.display()));
        let mut file = File::open(common).map_err(|error| unrun(&error))?;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((file, nix::Error::EWOULDBLOCK)) => file,
                Err((_, error)) => return Err(unrun(&error)),
            };
            self.pause(LOCK_LOOK).map_err(|error| match error {
                GitError::Unrun(_) => GitError::Unrun("others administer it for too long".to_owned()),
                other => other,
            })?;
        }
    }

    fn pause(&self, length: Duration) -> Result<(), GitError> {
        if self.cancel.wait(length) {
            return Err(GitError::Cancelled);
        }
        if self.clock.now() >= self.until {
            return Err(GitError::Unrun("it took too long".to_owned()));
        }
        Ok(())
    }

    fn line(&self, at: &Path, words: &[&str]) -> Result<String, GitError> {
        let said = self.run(at, &words.iter().map(OsStr::new).collect::<Vec<_>>())?;
        Ok(String::from_utf8_lossy(&said.out).trim().to_owned())
    }

    /// The path that it says.
    fn path(&self, at: &Path, words: &[&str]) -> Result<PathBuf, GitError> {
        let said = self.run(at, &words.iter().map(OsStr::new).collect::<Vec<_>>())?;
        let path = said.out.strip_suffix(b"\n").unwrap_or(&said.out);
        Ok(OsStr::from_bytes(path).into())
    }

    /// Runs it to its end.
    fn run(&self, at: &Path, words: &[&OsStr]) -> Result<Said, GitError> {
        let mut child = self.command(at, words).spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => GitError::Unrun("git is not installed on this machine".to_owned()),
            _ => GitError::Unrun(format!("git cannot be run: {error}")),
        })?;
        let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let ended = self.ended(&mut child);
        if ended.is_err() {
            // It is not waited for yet, so its number is still its own.
            if let Ok(group) = i32::try_from(child.id()) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
            let _ = child.wait();
        }
        let status = ended?;
        let heard = said(&out).zip(said(&err));
        let (out, err) = heard.ok_or_else(|| GitError::Unrun("what git said was held up".to_owned()))?;
        if status.success() { Ok(out) } else { Err(GitError::Refused(message(&err.out, status))) }
    }

    fn command(&self, at: &Path, words: &[&OsStr]) -> Command {
        let mut command = Command::new("git");
        let own = |(name, _): &&(OsString, OsString)| !name.as_bytes().starts_with(b"GIT_");
        command.env_clear().envs(self.environment.iter().filter(own).map(|(name, value)| (name, value)));
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        command.env("GIT_ASKPASS", "/bin/false").env("SSH_ASKPASS", "/bin/false").env("GIT_PAGER", "cat");
        command.args(ALWAYS).arg("-C").arg(at).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    fn ended(&self, child: &mut Child) -> Result<ExitStatus, GitError> {
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => self.pause(LOOK)?,
                Err(error) => return Err(GitError::Unrun(format!("git is lost: {error}"))),
            }
        }
    }
}

fn unsaved(changed: u32, commits: u32) -> Unsaved {
    if changed == 0 && commits == 0 { Unsaved::Nothing } else { Unsaved::Work { changed, commits } }
}
