//! What the host remembers across its own death: no process without a record.
//!
//! An append-only file of checksummed entries, handed to the operating system before what they say is
//! done. That outlives any death of host and daemon. It does not outlive a loss of power, and need not:
//! the boot has another name then, every process is dead, and the scheduler hears that they were lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use policy::id::{AttemptNumber, TaskId, Token};
use policy::resources::Resources;
use policy::stages::{Step, StepEnd};
use policy::task::{AttemptOutcome, Usage};
use policy::time::Moment;
use serde::{Deserialize, Serialize};

use crate::wire::codec;

/// The version of [`Entry`].
const VERSION: u16 = 1;
/// Bytes of the largest entry; an entry names resources, never arguments.
const ENTRY_LIMIT_BYTES: usize = 64 * 1024;
/// Bytes before an entry: length and checksum.
const HEAD_BYTES: usize = 8;
/// Bytes from which on the file is written anew with only what is still held.
const COMPACT_BYTES: u64 = 4 * 1024 * 1024;

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The first.
    Opened { version: u16, boot: Box<str> },
    /// This will be started next.
    Starting { token: Token, task: TaskId, attempt: AttemptNumber, need: Resources, at: Moment },
    /// It runs, in a group of its own with the same number.
    Running { token: Token, pid: i32 },
    /// It is over.
    Ended { token: Token, outcome: AttemptOutcome, usage: Usage },
    /// The worker knows.
    Forgot { token: Token },
    /// This of its commands will be begun next; nothing of the one before is left.
    Step { token: Token, step: Step },
    /// How its commands went; its end follows.
    Steps { token: Token, steps: Vec<StepEnd> },
}

/// What the journal says of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    pub(super) token: Token,
    pub(super) task: TaskId,
    pub(super) attempt: AttemptNumber,
    pub(super) need: Resources,
    /// When it was about to start.
    pub(super) at: Moment,
    pub(super) pid: Option<i32>,
    /// Which of its commands that is, where it has several.
    pub(super) step: Option<Step>,
    /// How its commands went so far.
    pub(super) steps: Vec<StepEnd>,
    pub(super) end: Option<(AttemptOutcome, Usage)>,
}

/// All that a journal says.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The life of the operating system it was written in.
    pub(super) boot: Box<str>,
    /// What was not forgotten, in order of token.
    pub(super) attempts: Vec<Remembered>,
}

/// Writes the journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    pending: Vec<u8>,
}

impl Journal {
    /// Begins a new journal in place of an old one, with what is still held.
    pub(super) fn begin<'a>(
        path: &Path,
        boot: &str,
        held: impl Iterator<Item = &'a Remembered>,
    ) -> io::Result<Self> {
        let mut pending = Vec::new();
        write_entry(&mut pending, &Entry::Opened { version: VERSION, boot: boot.into() });
        for attempt in held {
            attempt.entries().iter().for_each(|entry| write_entry(&mut pending, entry));
        }
        let fresh = path.with_extension("journal.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&pending)?;
        fs::rename(&fresh, path)?;
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self { path: path.into(), file, length: pending.len() as u64, pending: Vec::new() })
    }

    /// Takes an entry; it is not written before [`Self::flush`].
    pub(super) fn append(&mut self, entry: &Entry) {
        write_entry(&mut self.pending, entry);
    }

    /// Whether entries wait to be written.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes what waits. After an error it still waits, and nothing torn stands in the file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.pending) {
            self.file.set_len(self.length)?;
            return Err(error);
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Whether it should be written anew.
    pub(super) fn is_large(&self, held: usize) -> bool {
        self.length > COMPACT_BYTES.max(held as u64 * 1024)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Remembered {
    /// What is written before it is started.
    pub(super) fn starting(&self) -> Entry {
        let Self { token, task, attempt, ref need, at, .. } = *self;
        Entry::Starting { token, task, attempt, need: need.clone(), at }
    }

    fn entries(&self) -> Vec<Entry> {
        let Self { token, pid, step, ref steps, ref end, .. } = *self;
        let starting = self.starting();
        let begins = step.map(|step| Entry::Step { token, step });
        let steps = (!steps.is_empty()).then(|| Entry::Steps { token, steps: steps.clone() });
        let running = pid.map(|pid| Entry::Running { token, pid });
        let ended = end.clone().map(|(outcome, usage)| Entry::Ended { token, outcome, usage });
        [Some(starting), begins, running, steps, ended].into_iter().flatten().collect()
    }
}

/// Reads a journal up to its last whole entry; one that does not exist says nothing.
pub(super) fn read(path: &Path) -> io::Result<Memory> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
        read => read?,
    };
    let (mut memory, mut rest) = (Memory::default(), bytes.as_slice());
    while let Some((entry, after)) = next_entry(rest) {
        rest = after;
        memory.apply(entry);
    }
    Ok(memory)
}

impl Memory {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Opened { boot, .. } => self.boot = boot,
            Entry::Starting { token, task, attempt, need, at } => {
                let fresh = Remembered {
                    token,
                    task,
                    attempt,
                    need,
                    at,
                    pid: None,
                    step: None,
                    steps: Vec::new(),
                    end: None,
                };
                if let Err(place) = self.attempts.binary_search_by_key(&token, |known| known.token) {
                    self.attempts.insert(place, fresh);
                }
            }
            Entry::Step { token, step } => self.change(token, |known| {
                (known.pid, known.step) = (None, Some(step));
            }),
            Entry::Steps { token, steps } => self.change(token, |known| known.steps = steps),
            Entry::Running { token, pid } => self.change(token, |known| known.pid = Some(pid)),
            Entry::Ended { token, outcome, usage } => {
                self.change(token, |known| known.end = Some((outcome, usage)));
            }
            Entry::Forgot { token } => self.attempts.retain(|known| known.token != token),
        }
    }

    fn change(&mut self, token: Token, change: impl FnOnce(&mut Remembered)) {
        if let Ok(place) = self.attempts.binary_search_by_key(&token, |known| known.token) {
            change(&mut self.attempts[place]);
        }
    }
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    let bytes = codec::encode(entry);
    // An entry is far below ENTRY_LIMIT_BYTES.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    out.extend_from_slice(&bytes);
}

fn next_entry(bytes: &[u8]) -> Option<(Entry, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [a, b, c, d, checksum @ ..] = *head;
    let size = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    let body = rest.get(..size).filter(|body| crc32fast::hash(body) == u32::from_le_bytes(checksum))?;
    Some((codec::decode(body, ENTRY_LIMIT_BYTES).ok()?, &rest[size..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starting(token: u64) -> Entry {
        Entry::Starting {
            token: Token(token),
            task: TaskId(token),
            attempt: AttemptNumber(1),
            need: Resources::cpus(1000),
            at: Moment(5),
        }
    }

    fn written() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.journal");
        let mut journal = Journal::begin(&path, "boot-1", [].iter()).unwrap();
        for entry in [
            starting(1),
            starting(2),
            starting(3),
            Entry::Running { token: Token(1), pid: 10 },
            Entry::Running { token: Token(2), pid: 11 },
            Entry::Ended { token: Token(2), outcome: AttemptOutcome::Exited(3), usage: Usage::default() },
            Entry::Forgot { token: Token(3) },
        ] {
            journal.append(&entry);
        }
        journal.flush().unwrap();
        (dir, path)
    }

    #[test]
    fn what_was_written_is_remembered_also_after_compaction() {
        let (_dir, path) = written();
        let memory = read(&path).unwrap();
        assert_eq!(&*memory.boot, "boot-1");
        assert_eq!(memory.attempts.iter().map(|known| known.token.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(memory.attempts[0].pid, Some(10));
        assert_eq!(memory.attempts[1].end.as_ref().unwrap().0, AttemptOutcome::Exited(3));
        drop(Journal::begin(&path, "boot-1", memory.attempts.iter()).unwrap());
        assert_eq!(read(&path).unwrap().attempts, memory.attempts);
    }

    #[test]
    fn a_torn_end_takes_only_the_last_entry_with_it() {
        let (_dir, path) = written();
        let whole = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(whole - 1).unwrap();
        assert_eq!(read(&path).unwrap().attempts.len(), 3, "only the forgetting is lost");
    }

    #[test]
    fn no_journal_says_nothing() {
        assert!(read(Path::new("/nonexistent/journal")).unwrap().attempts.is_empty());
    }
}
