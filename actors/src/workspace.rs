//! Directories of attempts' own: made before an attempt starts, looked through and removed or kept after its end.
//!
//! What becomes of one is decided by `policy::workspace`. Everything here blocks, and is called on threads for such work;
//! calls for one attempt come one after the other. Nothing outside the root is ever removed, and no link is followed by
//! what removes; git alone writes to repositories, one administrative command at a time on each (`git`).
//!
//! # What is on disk
//! Below the root, which is this user's alone: `records/TOKEN`, and `TOKEN/` with the workspace `TOKEN/crab-TOKEN` and, where
//! it is wanted, `TOKEN/home` and `TOKEN/tmp`. The record is there before the directory and goes after it, so a daemon that was
//! killed at any moment finds all that it has left; a directory without a record is kept.
//! Must not know of leases, hosts or schedulers.

mod cancel;
mod copy;
mod disk;
mod git;
pub(crate) mod ground;
mod here;
pub mod keeping;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::id::{TaskId, Token};
use policy::task::{AttemptOutcome, SpawnFailure};
use policy::text::OsText;
use policy::workspace::{Fate, Reclaim, Unsaved, WhyKept, Workspace, WorkspaceEnd, fate};

use crate::clock::Clock;
use crate::taskfile::path_text;
pub use cancel::Cancel;
use ground::{Away, Ground, Work};
use here::Here;
use record::{Record, State};

/// Workspaces that a machine makes, or looks through and removes, at once: they keep its disk busy, not its cores.
pub const WORKED_ON_AT_ONCE: u32 = 4;
/// How long making one may take: a checkout of gigabytes from a slow disk.
const PREPARE_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// How long looking through one may take.
const LOOK_DEADLINE: Duration = Duration::from_secs(5 * 60);
/// How long who gives one up waits until it is removed, where that is not on this machine's disk; what takes longer is
/// removed later.
const GIVEN_UP_DEADLINE: Duration = Duration::from_secs(5);

/// Which workspace is wanted, and for whom.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The grant.
    pub token: Token,
    /// The task.
    pub task: TaskId,
    /// What it is called.
    pub name: Arc<str>,
    /// What is wanted.
    pub workspace: Workspace,
}

/// A workspace, ready to be worked in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Tells it from others of the same attempt.
    pub made: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Directories for HOME and TMPDIR, where they were wanted.
    pub home: Option<(PathBuf, PathBuf)>,
}

/// Why there is no workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmade {
    /// Nobody wants it any more.
    Cancelled,
    /// It cannot be made.
    Failed(SpawnFailure),
}

impl Unmade {
    pub(crate) fn of_task(reason: impl Into<String>) -> Self {
        Self::Failed(SpawnFailure::of_task(format!("no workspace: {}", reason.into())))
    }

    pub(crate) fn of_node(reason: impl Into<String>) -> Self {
        Self::Failed(SpawnFailure::of_node(format!("no workspace: {}", reason.into())))
    }

    /// What went wrong on this machine's own disk.
    fn of_disk(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::of_node(format!("{what} {}: {error}", path.display()))
    }
}

/// How workspaces are kept on a machine.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// Where their records are.
    pub(crate) root: PathBuf,
    /// Where they are themselves.
    pub(crate) ground: Arc<dyn Ground>,
    /// When kept ones go.
    pub(crate) reclaim: Reclaim,
}

impl Keeping {
    /// Below `root` on this machine's disk; git finds this environment.
    #[must_use]
    pub fn here(root: PathBuf, environment: Vec<(OsString, OsString)>, reclaim: Reclaim) -> Self {
        // What cannot be made absolute is refused when it is opened.
        let root = std::path::absolute(&root).unwrap_or(root);
        let ground = Arc::new(Here { root: root.clone(), environment });
        Self { root, ground, reclaim }
    }

    /// What the machine says of its workspaces.
    pub(crate) fn says(&self) -> Box<str> {
        self.ground.says()
    }
}

/// All workspaces of a machine. It outlives the actor that uses it, and so do the calls that are under way.
#[derive(Debug)]
pub struct Workspaces {
    keeping: Option<Keeping>,
    clock: Clock,
    known: Mutex<BTreeMap<Token, Known>>,
    /// How many of those known are not merely kept: nobody who has none pays for those who have.
    in_use: AtomicUsize,
}

/// What is known of a workspace without looking at the disk.
#[derive(Debug, Clone)]
struct Known {
    made: u64,
    /// Held by whoever works on it.
    turn: Arc<Mutex<()>>,
    is_kept: bool,
}

impl Workspaces {
    /// A machine that makes none.
    #[must_use]
    pub fn none(clock: Clock) -> Arc<Self> {
        Arc::new(Self { keeping: None, clock, known: Mutex::default(), in_use: AtomicUsize::new(0) })
    }

    /// Those below a root, with what earlier daemons have left there.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn open(keeping: Keeping, clock: Clock) -> io::Result<Arc<Self>> {
        let found = record::all(&keeping.root)?;
        let known: BTreeMap<Token, Known> = found
            .into_iter()
            .map(|record| {
                let is_kept = matches!(record.state, State::Kept { .. });
                (record.token, Known { made: record.made, turn: Arc::default(), is_kept })
            })
            .collect();
        let in_use = AtomicUsize::new(known.values().filter(|one| !one.is_kept).count());
        Ok(Arc::new(Self { keeping: Some(keeping), clock, known: Mutex::new(known), in_use }))
    }

    /// Whether there is none at all, and none was kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }

    /// Whether an attempt has one that nobody has settled.
    #[must_use]
    pub fn holds(&self, token: Token) -> bool {
        self.in_use.load(Ordering::Acquire) > 0 && self.known().get(&token).is_some_and(|one| !one.is_kept)
    }

    /// Those that nobody has settled.
    #[must_use]
    pub fn unsettled(&self) -> Vec<(Token, u64)> {
        let known = self.known();
        known.iter().filter(|(_, one)| !one.is_kept).map(|(token, one)| (*token, one.made)).collect()
    }

    /// Makes one. What is there of an earlier try for the same attempt, which was never begun, is removed before.
    ///
    /// # Errors
    /// When it cannot be made, or is not wanted any more; nothing is left of it then.
    pub fn prepare(&self, wish: &Wish, cancel: &Cancel) -> Result<Prepared, Unmade> {
        let Some(keeping) = &self.keeping else {
            return Err(Unmade::of_node("this machine makes none"));
        };
        let made = self.clock.wall().0;
        let began = self.clock.now();
        let turn = self.enter(wish.token, made)?;
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = Record::new(wish, made);
        let work = self.work(cancel, PREPARE_DEADLINE);
        let done = self.make(keeping, &work, &mut record).and_then(|prepared| {
            record.prepared = self.clock.now().since(began);
            record.state = State::Ready;
            record.write(&keeping.root).map_err(|error| Unmade::of_disk("writing", &keeping.root, &error))?;
            if cancel.is_cancelled() { Err(Unmade::Cancelled) } else { Ok(prepared) }
        });
        if done.is_err() {
            match Record::read(&keeping.root, wish.token) {
                // Nothing was begun.
                Ok(None) => self.leave(wish.token, made),
                Ok(Some(_)) | Err(_) if cancel.is_cancelled() => {
                    self.remove_within(keeping, record, GIVEN_UP_DEADLINE);
                }
                Ok(Some(_)) | Err(_) => self.remove(keeping, record),
            }
        }
        done
    }

    fn make(&self, keeping: &Keeping, work: &Work<'_>, record: &mut Record) -> Result<Prepared, Unmade> {
        let root = &keeping.root;
        let failed = |what: &'static str| move |error: io::Error| Unmade::of_disk(what, root, &error);
        disk::own_root(root).map_err(failed("the directory of workspaces"))?;
        if let Some(left) = Record::read(root, record.token).map_err(failed("reading a record in"))? {
            self.erase(keeping, left, LOOK_DEADLINE)
                .map_err(failed("removing what an earlier try has left in"))?;
        }
        record.write(root).map_err(failed("writing a record in"))?;
        keeping.ground.make(record, work)
    }

    /// An attempt is over, and nothing of it runs: its workspace is removed or kept. `outcome` is not known of one that
    /// ended while nobody looked. `None` where there is none.
    pub fn settle(&self, token: Token, outcome: Option<&AttemptOutcome>) -> Option<WorkspaceEnd> {
        self.settle_if(token, outcome, |_| true)
    }

    fn settle_if(
        &self,
        token: Token,
        outcome: Option<&AttemptOutcome>,
        is_meant: impl Fn(&Record) -> bool,
    ) -> Option<WorkspaceEnd> {
        let keeping = self.keeping.as_ref()?;
        let turn = self.known().get(&token)?.turn.clone();
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let record = match Record::read(&keeping.root, token) {
            Ok(record) => record.filter(is_meant)?,
            Err(error) => {
                tracing::error!(%token, %error, "the record of a workspace cannot be read; it stays");
                return None;
            }
        };
        let prepared = record.prepared;
        match &record.state {
            // Nobody has worked in it.
            State::Preparing => {
                self.remove(keeping, record);
                None
            }
            State::Removing => {
                self.remove(keeping, record);
                Some(WorkspaceEnd { prepared, kept: None })
            }
            State::Kept { why, .. } => {
                let kept = Some((path_text(&keeping.ground.path(&record)), why.clone()));
                Some(WorkspaceEnd { prepared, kept })
            }
            State::Ready => Some(self.settle_ready(keeping, record, outcome)),
        }
    }

    fn settle_ready(
        &self,
        keeping: &Keeping,
        record: Record,
        outcome: Option<&AttemptOutcome>,
    ) -> WorkspaceEnd {
        let (prepared, token) = (record.prepared, record.token);
        let (keep, path) = (record.workspace.keep, path_text(&keeping.ground.path(&record)));
        let unsaved = if keep.looks() { self.look(keeping, &record) } else { Ok(Unsaved::Nothing) };
        let unsaved = match unsaved {
            Ok(unsaved) => unsaved,
            // It stays as it is until it can be looked through, and is then removed or kept.
            Err(Away(why)) => return WorkspaceEnd { prepared, kept: Some((path, WhyKept::Unknown(why))) },
        };
        let kept = match fate(keep, outcome, unsaved) {
            Fate::Remove => {
                self.remove(keeping, record);
                None
            }
            Fate::Keep(why) => {
                tracing::info!(%token, task = %record.task, %why, "kept a workspace");
                self.keep(keeping, record, why.clone());
                Some((path, why))
            }
        };
        WorkspaceEnd { prepared, kept }
    }

    fn look(&self, keeping: &Keeping, record: &Record) -> Result<Unsaved, Away> {
        keeping.ground.look(record, &self.work(&Cancel::default(), LOOK_DEADLINE))
    }

    /// The one that was made then is not wanted: nobody has worked in it.
    pub fn abandon(&self, token: Token, made: u64) {
        let Some(keeping) = &self.keeping else { return };
        let Some(known) = self.known().get(&token).filter(|known| known.made == made).cloned() else {
            return;
        };
        let _turn = known.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some(record)) = Record::read(&keeping.root, token)
            && record.made == made
            && !matches!(record.state, State::Kept { .. })
        {
            self.remove(keeping, record);
        }
    }

    /// Those that attempts have left that nobody holds any more, as they were found.
    pub fn sweep(&self, left: &[(Token, u64)]) {
        for (token, made) in left {
            self.settle_if(*token, None, |record| record.made == *made);
        }
    }

    /// Takes it from the disk, whatever is in it, and from what git knows. What cannot be removed now is removed later.
    fn remove(&self, keeping: &Keeping, record: Record) {
        self.remove_within(keeping, record, LOOK_DEADLINE);
    }

    fn remove_within(&self, keeping: &Keeping, record: Record, within: Duration) {
        let (token, made) = (record.token, record.made);
        match self.erase(keeping, record, within) {
            Ok(()) => self.leave(token, made),
            Err(error) => {
                tracing::warn!(%token, %error, "a workspace cannot be removed; this is tried again");
            }
        }
    }

    fn erase(&self, keeping: &Keeping, mut record: Record, within: Duration) -> io::Result<()> {
        let (root, token) = (&keeping.root, record.token);
        disk::own_root(root)?;
        record.state = State::Removing;
        record.write(root)?;
        keeping.ground.erase(&record, &self.work(&Cancel::default(), within))?;
        record::forget(root, token)
    }

    fn work<'w>(&self, cancel: &'w Cancel, within: Duration) -> Work<'w> {
        Work { cancel, clock: self.clock, until: self.clock.now() + within }
    }

    /// Takes note of one that is about to be made.
    fn enter(&self, token: Token, made: u64) -> Result<Arc<Mutex<()>>, Unmade> {
        let mut known = self.known();
        let turn = known.get(&token).map(|known| known.turn.clone()).unwrap_or_default();
        let entered = Known { made, turn: turn.clone(), is_kept: false };
        match known.insert(token, entered) {
            Some(before) if before.is_kept => {
                known.insert(token, before);
                Err(Unmade::of_node("one of this attempt is kept already"))
            }
            Some(_) => Ok(turn),
            None => {
                self.in_use.fetch_add(1, Ordering::AcqRel);
                Ok(turn)
            }
        }
    }

    /// The one that was made then is gone; another one of the same attempt may be on its way.
    fn leave(&self, token: Token, made: u64) {
        let mut known = self.known();
        if known.get(&token).is_some_and(|one| one.made == made)
            && known.remove(&token).is_some_and(|one| !one.is_kept)
        {
            self.in_use.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Token, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path, byte for byte.
pub(crate) fn path_of(text: &OsText) -> PathBuf {
    OsString::from_vec(text.as_bytes().to_vec()).into()
}
