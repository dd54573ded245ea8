//! What is heard of the tests of one batch, line by line. Knows the names, and nothing of how runners write.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use policy::shards::Verdict;
use policy::time::Timestamp;

/// Bytes that are kept of what one test wrote, 16 KiB: a screen or two of its failure.
const SAID_LIMIT_BYTES: usize = 16 << 10;
/// And of all of a batch, 4 MiB.
const ALL_SAID_LIMIT_BYTES: usize = 4 << 20;
/// Lines that are kept of the end of what the batch wrote, for tests that say nothing of themselves.
const LAST_LINES: usize = 20;
/// Bytes of each of these.
const LAST_LINE_BYTES: usize = 500;

/// What is known of the tests of a batch so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    known: HashMap<Box<str>, usize>,
    verdicts: BTreeMap<usize, Verdict>,
    took: BTreeMap<usize, Duration>,
    said: BTreeMap<usize, String>,
    all_said: usize,
    begun: Option<usize>,
    /// Of the line that is being read, and of the end that was heard last: between these the next test ran.
    now: Timestamp,
    since: Option<Timestamp>,
    last: VecDeque<String>,
}

impl Heard {
    /// Of these tests, by the names that their runner uses.
    pub(super) fn of<'t>(tests: impl IntoIterator<Item = (usize, &'t str)>) -> Self {
        let known = tests.into_iter().map(|(test, id)| (Box::from(id), test)).collect();
        Self { known, ..Self::default() }
    }

    /// A line begins to be read.
    pub(super) fn line(&mut self, now: Timestamp, line: &str) {
        self.now = now;
        self.since.get_or_insert(now);
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(head(line, LAST_LINE_BYTES).to_owned());
    }

    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.known.get(id).copied()
    }

    /// By a name that ends like this, where these characters are all one.
    pub(super) fn find_spelled(&self, alike: &[char], end: &str) -> Option<usize> {
        let plain = |name: &str| name.replace(alike, "/");
        let end = plain(end);
        let is_it = |name: &str| {
            plain(name).strip_suffix(&*end).is_some_and(|head| head.is_empty() || head.ends_with('/'))
        };
        let mut found = self.known.iter().filter(|(name, _)| is_it(name)).map(|(_, test)| *test);
        found.next().filter(|_| found.next().is_none())
    }

    pub(super) fn skipped(&self) -> usize {
        self.verdicts.values().filter(|verdict| **verdict == Verdict::Skipped).count()
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// It runs: whatever ends the process now is its doing.
    pub(super) fn begin(&mut self, test: usize) {
        self.begun = Some(test);
    }

    pub(super) fn begun(&self) -> Option<usize> {
        self.begun
    }

    /// It has ended so. Of what is said twice the worse holds.
    pub(super) fn end(&mut self, test: usize, verdict: Verdict, took: Option<Duration>) {
        let before = self.verdicts.get(&test).copied();
        if before.is_none() {
            let passed = self.since.map(|since| self.now.since(since));
            if let Some(took) = took.or(passed).filter(|_| verdict != Verdict::Skipped) {
                self.took.insert(test, took);
            }
            self.since = Some(self.now);
        }
        if before.is_none_or(|before| before.is_well()) {
            self.verdicts.insert(test, verdict);
        }
        if self.begun == Some(test) {
            self.begun = None;
        }
    }

    /// All of which nothing was heard have passed: the runner says so of the whole.
    pub(super) fn rest_passed(&mut self) {
        let rest: Vec<usize> =
            self.known.values().copied().filter(|test| !self.verdicts.contains_key(test)).collect();
        rest.into_iter().for_each(|test| self.end(test, Verdict::Passed, None));
    }

    /// What it wrote, a line at a time.
    pub(super) fn say(&mut self, test: usize, line: &str) {
        let said = self.said.entry(test).or_default();
        let room = SAID_LIMIT_BYTES
            .saturating_sub(said.len())
            .min(ALL_SAID_LIMIT_BYTES.saturating_sub(self.all_said));
        let part = head(line, room.saturating_sub(1));
        if room > 1 && (!part.is_empty() || line.is_empty()) {
            said.push_str(part);
            said.push('\n');
            self.all_said += part.len() + 1;
        }
    }

    /// Something is missing here: what was begun may have ended.
    pub(super) fn gap(&mut self) {
        self.begun = None;
    }

    /// Nothing follows. Tests that ran when the process ended have not told of their ends; of others nothing is known.
    pub(super) fn finish(mut self) -> Told {
        if let Some(test) = self.begun.take() {
            self.verdicts.entry(test).or_insert(Verdict::Silent);
        }
        let said = self.said.into_iter().map(|(test, said)| (test, said.trim().to_owned())).collect();
        Told { verdicts: self.verdicts, took: self.took, said, last: self.last.into() }
    }
}

/// All that a batch said.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) verdicts: BTreeMap<usize, Verdict>,
    pub(super) took: BTreeMap<usize, Duration>,
    pub(super) said: BTreeMap<usize, String>,
    pub(super) last: Vec<String>,
}

/// As much of a text as has room, whole characters.
fn head(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or("")
}
