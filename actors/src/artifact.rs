//! What attempts leave behind on a machine and is to be kept: found, copied, read and let go of.
//!
//! Which files those are, and when they go, is decided by `policy::artifact`. Everything here blocks, and is called on threads
//! for such work; it outlives the actor that uses it. No link is followed below the directory of a task, and what cannot be
//! kept is said in the manifest: it never changes how an attempt ended.
//!
//! # What is on disk
//! Below the root, which is this user's alone: `wanted/TOKEN` (`record`) from before an attempt starts until its artifacts are
//! kept, and `TOKEN/` with `manifest` and the files by number. That directory is filled under another name, and has its own
//! when all of it is on disk: so whoever hears of an attempt's end finds what it left, and a daemon that was killed at any
//! moment finds what is still to be kept. Must not know of leases, hosts or schedulers.

mod collect;
mod find;
mod manifest;
mod read;
mod record;
pub(crate) mod source;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy::artifact::{Collection, Expiry, KeepLimits, Manifest, Summary, expired};
use policy::id::Token;
use policy::task::AttemptOutcome;

use crate::clock::Clock;
pub use record::Wanted;
use source::Source;

/// How long keeping what one attempt left may take: a gigabyte on a slow disk. Its end is not told before.
pub const KEEP_DEADLINE: Duration = Duration::from_secs(120);
/// This user's alone.
const OWN_MODE: u32 = 0o700;
/// What the names of directories end with that are being filled.
const UNFINISHED: &str = "new";

/// How a machine keeps artifacts.
#[derive(Debug, Clone)]
pub struct Storing {
    /// Where.
    pub root: PathBuf,
    /// How much of one attempt.
    pub limits: KeepLimits,
    /// How much of all, and for how long.
    pub expiry: Expiry,
    /// From where they are brought; `None` where they lie on this machine's disk.
    pub(crate) source: Option<Arc<dyn Source>>,
}

impl Storing {
    /// Below this directory, within the usual limits.
    #[must_use]
    pub fn usual(root: PathBuf) -> Self {
        Self { root, limits: KeepLimits::default(), expiry: Expiry::default(), source: None }
    }
}

/// All artifacts of a machine.
#[derive(Debug)]
pub struct Depot {
    storing: Option<Storing>,
    clock: Clock,
    known: Mutex<Known>,
    /// Tells directories that are being filled from each other.
    next: AtomicU64,
}

/// What is known without looking at the disk.
#[derive(Debug, Default)]
struct Known {
    /// What is to be kept of attempts that are not over.
    wanted: BTreeMap<Token, Arc<Wanted>>,
    kept: BTreeMap<Token, Collection>,
}

impl Depot {
    /// A machine that keeps none.
    #[must_use]
    pub fn none(clock: Clock) -> Arc<Self> {
        Arc::new(Self { storing: None, clock, known: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// One that keeps them so, with what earlier daemons have left. What they had begun to fill is removed.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub fn open(storing: Storing, clock: Clock) -> io::Result<Arc<Self>> {
        let root = std::path::absolute(&storing.root)?;
        let storing = Storing { root, ..storing };
        let wanted = record::all(&storing.root)?;
        let wanted = wanted.into_iter().map(|wanted| (wanted.token, Arc::new(wanted))).collect();
        let mut kept = BTreeMap::new();
        for token in tokens(&storing.root)? {
            kept.insert(token, manifest::collection(&storing.root.join(token.0.to_string()), token));
        }
        let known = Mutex::new(Known { wanted, kept });
        Ok(Arc::new(Self { storing: Some(storing), clock, known, next: AtomicU64::new(0) }))
    }

    /// Whether any are kept here.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.storing.is_some()
    }

    /// An attempt is about to start: this is to be kept at its end. Where that cannot be written down it is known as long as
    /// this daemon lives.
    pub fn expect(&self, wanted: Wanted) {
        let Some(storing) = &self.storing else { return };
        let token = wanted.token;
        if let Err(error) = own_root(&storing.root).and_then(|()| record::write(&storing.root, &wanted)) {
            tracing::warn!(%token, %error, "what is to be kept of an attempt cannot be written down");
        }
        self.known().wanted.insert(token, Arc::new(wanted));
    }

    /// Whether something is to be kept of an attempt, or is.
    #[must_use]
    pub fn holds(&self, token: Token) -> bool {
        if self.storing.is_none() {
            return false;
        }
        let known = self.known();
        known.wanted.contains_key(&token) || known.kept.contains_key(&token)
    }

    /// Those of which something is to be kept.
    #[must_use]
    pub fn unsettled(&self) -> Vec<Token> {
        self.known().wanted.keys().copied().collect()
    }

    /// Nothing is to be kept of an attempt after all: it has not begun.
    pub fn forget(&self, token: Token) {
        let Some(storing) = &self.storing else { return };
        if self.known().wanted.remove(&token).is_some() {
            record::remove(&storing.root, token);
        }
    }

    /// An attempt is over, and nothing of it runs: keeps what it left. Again, or after a daemon that did so and was killed, it
    /// tells what is kept already. `None` where nothing was to be.
    pub fn keep(&self, token: Token, outcome: Option<&AttemptOutcome>) -> Option<Summary> {
        let storing = self.storing.as_ref()?;
        let wanted = self.known().wanted.get(&token).cloned();
        let is_kept = self.known().kept.contains_key(&token);
        let summary = match wanted {
            _ if is_kept => self.manifest_of(storing, token).map(|manifest| manifest.summary()),
            // What lies there is of an attempt before.
            Some(_) if matches!(outcome, Some(AttemptOutcome::SpawnFailed(_))) => None,
            Some(wanted) => Some(self.collect(storing, &wanted, outcome)),
            None => None,
        };
        self.forget(token);
        summary
    }

    fn collect(&self, storing: &Storing, wanted: &Wanted, outcome: Option<&AttemptOutcome>) -> Summary {
        let token = wanted.token;
        let unfinished = self.unfinished(storing, token);
        let kept = own_root(&storing.root).and_then(|()| make(&unfinished));
        let kept = kept.and_then(|()| match &storing.source {
            None => collect::collect(wanted, storing.limits, &unfinished, self.clock),
            Some(source) => self.bring((storing, &**source), (wanted, outcome), &unfinished),
        });
        let kept = kept.and_then(|manifest| self.shelve(storing, &unfinished, manifest));
        match kept {
            Ok(manifest) => {
                let summary = manifest.summary();
                if summary.left_out > 0 || summary.fault.is_some() {
                    let (kept, left_out) = (summary.files, summary.left_out);
                    tracing::info!(%token, task = %wanted.task, kept, left_out, fault = summary.fault, "not all artifacts were kept");
                }
                summary
            }
            Err(error) => {
                tracing::warn!(%token, task = %wanted.task, %error, "no artifacts can be kept");
                let _ = fs::remove_dir_all(&unfinished);
                Summary { fault: Some(format!("none can be kept: {error}").into()), ..Summary::default() }
            }
        }
    }

    /// What lies elsewhere is kept of what has come of it here; that goes again, whatever has become of it.
    fn bring(
        &self,
        (storing, source): (&Storing, &dyn Source),
        (wanted, outcome): (&Wanted, Option<&AttemptOutcome>),
        unfinished: &Path,
    ) -> io::Result<Manifest> {
        let here = self.unfinished(storing, wanted.token);
        make(&here)?;
        let brought = source.bring(wanted, outcome, storing.limits, &here);
        let kept = collect::brought(wanted, storing.limits, (&here, brought), (unfinished, self.clock));
        fs::remove_dir_all(here).and(kept)
    }

    /// A directory that is being filled.
    fn unfinished(&self, storing: &Storing, token: Token) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        storing.root.join(format!("{}-{number}.{UNFINISHED}", token.0))
    }

    /// All of it is on disk: from now on it is there.
    fn shelve(&self, storing: &Storing, unfinished: &Path, manifest: Manifest) -> io::Result<Manifest> {
        let (token, place) = (manifest.token, storing.root.join(manifest.token.0.to_string()));
        match fs::rename(unfinished, &place) {
            // Another thread did the same for an earlier life of the worker.
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
                let _ = fs::remove_dir_all(unfinished);
                return manifest::read(&place);
            }
            renamed => renamed?,
        }
        fs::File::open(&storing.root)?.sync_all()?;
        let collection = Collection { token, since: manifest.at, bytes: manifest.bytes() };
        self.known().kept.insert(token, collection);
        Ok(manifest)
    }

    fn manifest_of(&self, storing: &Storing, token: Token) -> Option<Manifest> {
        let read = manifest::read(&storing.root.join(token.0.to_string()));
        read.inspect_err(|error| tracing::warn!(%token, %error, "a manifest cannot be read")).ok()
    }

    /// Removes what is too old or too much; gives back of how many attempts something went.
    pub fn expire(&self) -> usize {
        let Some(storing) = &self.storing else { return 0 };
        let kept: Vec<Collection> = self.known().kept.values().copied().collect();
        let gone = expired(&kept, storing.expiry, self.clock.wall());
        for token in &gone {
            if let Err(error) = remove(&storing.root, *token) {
                tracing::warn!(%token, %error, "old artifacts cannot be removed; this is tried again");
                continue;
            }
            self.known().kept.remove(token);
        }
        gone.len()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes it away under another name first: what is half removed is not there.
fn remove(root: &Path, token: Token) -> io::Result<()> {
    let (place, going) = (root.join(token.0.to_string()), root.join(format!("{}.{UNFINISHED}", token.0)));
    match fs::rename(&place, &going) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        renamed => renamed.and_then(|()| fs::remove_dir_all(going)),
    }
}

/// Of which attempts something is kept; what is not whole is removed.
fn tokens(root: &Path) -> io::Result<Vec<Token>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            fs::remove_dir_all(&path)?;
        } else if let Some(token) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) {
            found.push(Token(token));
        }
    }
    Ok(found)
}

fn own_root(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(OWN_MODE).create(root)
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(OWN_MODE).create(path)
}
