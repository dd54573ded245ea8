//! What is written down of a workspace, before there is one and as long as there is.
//!
//! A format of ours: JSON with a version; each version keeps a sample that a test reads. What is not understood is
//! taken for work that somebody wants to keep.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::id::{TaskId, Token};
use policy::text::OsText;
use policy::time::Timestamp;
use policy::workspace::{Keep, Source, WhyKept, Workspace};
use serde::{Deserialize, Serialize};

use super::Wish;

/// The version of records that this program writes, and the latest that it reads.
pub(super) const RECORD_VERSION: u8 = 1;

/// Where records are, below the root.
const RECORDS: &str = "records";
/// What the names of those end with that are being written.
const UNFINISHED: &str = "new";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u8,
    pub(crate) token: Token,
    pub(crate) task: TaskId,
    pub(super) name: Box<str>,
    pub(crate) workspace: Workspace,
    /// When, in microseconds since 1970; tells it from others of the same attempt.
    pub(crate) made: u64,
    /// How long making it took.
    pub(super) prepared: Duration,
    pub(super) state: State,
    /// Of a worktree that was added.
    pub(crate) worktree: Option<Worktree>,
    /// Of a copy of a repository.
    pub(super) copied: Option<Copied>,
    /// Where it is, if that does not follow from the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) elsewhere: Option<OsText>,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum State {
    /// It is being made: nobody has worked in it.
    Preparing,
    /// An attempt works in it.
    Ready,
    /// The attempt is over, and it stays.
    Kept { since: Timestamp, bytes: u64, why: WhyKept },
    /// It goes.
    Removing,
}

/// A worktree, as git knew it before anybody worked in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Worktree {
    /// Where git keeps what belongs to it alone.
    pub(crate) admin: OsText,
    /// The id of the commit.
    pub(crate) commit: Box<str>,
}

/// What a copy of a repository was like before anybody worked in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    /// The id of its commit; empty where there is none.
    pub(super) commit: Box<str>,
    /// A digest of its branches, and of all that was changed and not committed.
    pub(super) changes: [u8; 32],
}

impl Record {
    pub(super) fn new(wish: &Wish, made: u64) -> Self {
        Self {
            version: RECORD_VERSION,
            token: wish.token,
            task: wish.task,
            name: (*wish.name).into(),
            workspace: wish.workspace.clone(),
            made,
            prepared: Duration::ZERO,
            state: State::Preparing,
            worktree: None,
            copied: None,
            elsewhere: None,
        }
    }

    /// Of a directory that nobody has written anything down of.
    fn unknown(token: Token, why: &str) -> Self {
        let workspace = Workspace { source: Source::Scratch, keep: Keep::Unsaved, private_home: false };
        let wish = Wish { token, task: TaskId(0), name: "unknown".into(), workspace };
        let why = WhyKept::Unknown(why.into());
        let state = State::Kept { since: Timestamp::default(), bytes: 0, why };
        Self { state, ..Self::new(&wish, 0) }
    }

    /// That of one attempt, if there is one.
    pub(crate) fn read(root: &Path, token: Token) -> io::Result<Option<Self>> {
        match fs::read(path(root, token)) {
            Ok(bytes) => Self::parse(&bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> io::Result<Self> {
        let record: Self = serde_json::from_slice(bytes).map_err(io::Error::other)?;
        if record.version > RECORD_VERSION {
            let found = record.version;
            return Err(io::Error::other(format!(
                "it has format version {found}, this program knows {RECORD_VERSION}"
            )));
        }
        Ok(record)
    }

    /// In the place of what is there of it, whole or not at all.
    pub(super) fn write(&self, root: &Path) -> io::Result<()> {
        let path = path(root, self.token);
        let unfinished = path.with_extension(UNFINISHED);
        let mut file =
            fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(self).map_err(io::Error::other)?)?;
        file.sync_data()?;
        fs::rename(unfinished, path)
    }
}

/// Where records are.
pub(super) fn directory(root: &Path) -> PathBuf {
    root.join(RECORDS)
}

fn path(root: &Path, token: Token) -> PathBuf {
    directory(root).join(token.0.to_string())
}

/// All that belongs to the workspace of an attempt.
pub(super) fn outer(root: &Path, token: Token) -> PathBuf {
    root.join(token.0.to_string())
}

/// The workspace of an attempt. Its name is one of its own, since git calls a worktree after it.
pub(super) fn inner(root: &Path, token: Token) -> PathBuf {
    outer(root, token).join(format!("crab-{}", token.0))
}

/// The workspace is gone.
pub(super) fn forget(root: &Path, token: Token) -> io::Result<()> {
    absent_is_fine(fs::remove_file(path(root, token)))
}

/// What was not there needs no removing.
pub(super) fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Of all that is below the root; what has no record, or none that can be read, is kept.
pub(super) fn all(root: &Path) -> io::Result<Vec<Record>> {
    let mut tokens = tokens(root)?;
    tokens.extend(self::tokens(&directory(root))?);
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens.into_iter().filter_map(|token| find(root, token)).collect())
}

/// That of one attempt, kept where there is none or it cannot be read; `None` where nothing is below the root.
pub(super) fn find(root: &Path, token: Token) -> Option<Record> {
    match Record::read(root, token) {
        Ok(Some(record)) if record.token == token => Some(record),
        Ok(None) if fs::symlink_metadata(outer(root, token)).is_err() => None,
        Ok(_) => Some(Record::unknown(token, "there is no record of it")),
        Err(error) => Some(Record::unknown(token, &format!("its record cannot be read: {error}"))),
    }
}

/// Names in a directory that are those of attempts; none where it is not there.
fn tokens(directory: &Path) -> io::Result<Vec<Token>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut tokens = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let token = name.to_str().and_then(|name| name.parse::<u64>().ok().filter(|n| n.to_string() == name));
        tokens.extend(token.map(Token));
    }
    Ok(tokens)
}
