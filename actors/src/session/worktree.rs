//! Workspaces on a machine behind SSH: worktrees of the repository in which its tasks run.
//!
//! Records of them are here, as of all workspaces (`crate::workspace`); they themselves are in `~/.aivcs-session/w` there, made,
//! looked through and removed by `remote/worktree.sh`. What ran in one is ended before it is looked through or removed: where
//! nobody follows an attempt any more it ends by itself, but later.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use policy::id::Token;
use policy::workspace::{Reclaim, Source, Unsaved, worktrees_of};

use super::node::SshNode;
use super::refusal::Why;
use super::reply::Reply;
use super::script::{Script, Space};
use super::words::unhex;
use super::{SessionError, Sessions};
use crate::taskfile::path_text;
use crate::workspace::ground::{Away, Ground, Work};
use crate::workspace::record::{Record, Worktree};
use crate::workspace::{Keeping, Prepared, Unmade, path_of};

/// How long what is small there may take, once connected.
const SMALL_DEADLINE: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
struct Worktrees {
    sessions: Sessions,
    node: SshNode,
    base: Box<str>,
}

/// Worktrees of the repository of `node`, below `base` there, with their records below `root` here.
#[must_use]
pub fn keeping(root: PathBuf, node: SshNode, sessions: Sessions, base: &str, reclaim: Reclaim) -> Keeping {
    let ground = Worktrees { sessions, node, base: base.into() };
    Keeping { root, ground: Arc::new(ground), reclaim }
}

impl Worktrees {
    /// What one is called there: two schedulers that share a machine call theirs differently.
    fn name(&self, token: Token) -> String {
        format!("crab-{}-{}", self.node.tag, token.0)
    }

    fn key(&self, record: &Record) -> Box<str> {
        self.node.key_of(record.task, record.token)
    }

    fn ask(&self, space: &Space<'_>, within: Duration) -> Result<Reply, SessionError> {
        self.sessions.insist(&Script::space(space)?, within, false)
    }
}

impl Ground for Worktrees {
    fn says(&self) -> Box<str> {
        worktrees_of(&self.node.repo)
    }

    fn make(&self, record: &mut Record, work: &Work<'_>) -> Result<Prepared, Unmade> {
        let commit = match &record.workspace.source {
            Source::Worktree { commit, .. } if !record.workspace.private_home => commit.clone(),
            _ => return Err(Unmade::of_task("a machine behind SSH makes worktrees of its repository alone")),
        };
        let name = self.name(record.token);
        let key = self.key(record);
        let add =
            Space::Add { name: &name, key: &key, base: &self.base, repo: &self.node.repo, commit: &commit };
        // Once: what was begun may still be under way. It is stopped and undone there when nobody waits for it any more.
        let within = work.until.since(work.clock.now());
        let script = Script::space(&add).map_err(SessionError::Unsayable);
        let reply = script.and_then(|script| self.sessions.attended(&script, within, work.cancel));
        let reply = reply.map_err(|error| unmade(&error, &commit))?;
        let (path, worktree) =
            made(&reply).ok_or_else(|| Unmade::of_node("its machine says something else"))?;
        (record.worktree, record.elsewhere) = (Some(worktree), Some(path_text(&path)));
        Ok(Prepared { made: record.made, path, home: None })
    }

    fn look(&self, record: &Record, work: &Work<'_>) -> Result<Unsaved, Away> {
        let Some(worktree) = &record.worktree else { return Ok(Unsaved::Nothing) };
        let (name, key) = (self.name(record.token), self.key(record));
        let (admin, commit) = (worktree.admin.as_bytes(), &*worktree.commit);
        let look = Space::Look { name: &name, key: &key, admin, commit };
        match self.ask(&look, work.until.since(work.clock.now())) {
            Ok(reply) => Ok(found(&reply)),
            Err(error) => Err(Away(error.to_string().into())),
        }
    }

    fn erase(&self, record: &Record, work: &Work<'_>) -> io::Result<()> {
        let (name, key) = (self.name(record.token), self.key(record));
        let erase = Space::Erase { name: &name, key: &key, base: &self.base, repo: &self.node.repo };
        self.ask(&erase, work.until.since(work.clock.now())).map(drop).map_err(io::Error::other)
    }

    fn path(&self, record: &Record) -> PathBuf {
        let said = record.elsewhere.as_ref().map(path_of);
        said.unwrap_or_else(|| format!("~/.aivcs-session/w/{}", self.name(record.token)).into())
    }

    fn bytes(&self, record: &Record) -> u64 {
        let name = self.name(record.token);
        let reply = self.ask(&Space::Measure { name: &name }, SMALL_DEADLINE);
        reply.ok().and_then(|reply| reply.number("bytes")).unwrap_or(0)
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }
}

/// Where it was made, and as what git knows it.
fn made(reply: &Reply) -> Option<(PathBuf, Worktree)> {
    let [path, admin, commit] = reply.find("made")? else { return None };
    let path = OsString::from_vec(unhex(path)?).into();
    Some((path, Worktree { admin: unhex(admin)?.into(), commit: commit.clone() }))
}

fn found(reply: &Reply) -> Unsaved {
    let unknown = |why: &str| Unsaved::Unknown(why.into());
    match (reply.find("unsaved"), reply.word("unknown")) {
        (Some([changed, commits]), None) => match (changed.parse(), commits.parse()) {
            (Ok(0), Ok(0)) => Unsaved::Nothing,
            (Ok(changed), Ok(commits)) => Unsaved::Work { changed, commits },
            _ => unknown("its machine says something else"),
        },
        (_, Some(why)) => unknown(&String::from_utf8_lossy(&unhex(why).unwrap_or_default())),
        _ => unknown("its machine says something else"),
    }
}

/// The task's fault where what it names is not there.
fn unmade(error: &SessionError, commit: &str) -> Unmade {
    match error {
        SessionError::Refused(refusal) => match &refusal.why {
            Why::NoCommit(at) => {
                Unmade::of_task(format!("there is no commit {commit:?} in {at} on {}", refusal.host))
            }
            Why::NoRepository(_) => Unmade::of_task(error.to_string()),
            _ => Unmade::of_node(error.to_string()),
        },
        SessionError::Unsayable(_) => Unmade::of_task(error.to_string()),
        SessionError::GivenUp => Unmade::Cancelled,
        _ => Unmade::of_node(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_one_is_understood_and_nothing_else_is_taken_for_nothing() {
        let said = |text: &str| found(&Reply::read(text.as_bytes()).unwrap());
        assert_eq!(said("unsaved 0 0\nend\n"), Unsaved::Nothing);
        assert_eq!(said("unsaved 2 1\nend\n"), Unsaved::Work { changed: 2, commits: 1 });
        assert_eq!(said("unknown 6e6f\nend\n"), Unsaved::Unknown("no".into()));
        for strange in ["unsaved x 0\nend\n", "unsaved 0\nend\n", "end\n", "unsaved 0 0\nunknown 6e6f\nend\n"]
        {
            assert!(matches!(said(strange), Unsaved::Unknown(_)), "{strange:?}");
        }
        let reply = Reply::read(b"made 2f77 2f61 abc\nend\n").unwrap();
        let (path, worktree) = made(&reply).unwrap();
        assert_eq!((path, worktree.admin.as_bytes()), (PathBuf::from("/w"), &b"/a"[..]));
    }
}
