//! How long tests took before: a file for each suite in the data directory, written whole.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::client::key_of;
use anyhow::Context;
use policy::shards::{How, Test, Work};
use serde::{Deserialize, Serialize};

use super::results::Results;
use super::runner::Suite;

/// Below the data directory.
const DIRECTORY: &str = "test-times";
/// Suites that are remembered, 256: each directory with each set of arguments is one. The one that was not run for longest goes.
const SUITES_LIMIT: usize = 256;
/// Bytes of a file, 256 MiB: a million tests.
const FILE_LIMIT_BYTES: u64 = 256 << 20;
const VERSION: u32 = 1;

/// Of one suite.
#[derive(Debug)]
pub(super) struct Times {
    path: PathBuf,
    tests: BTreeMap<Box<str>, Time>,
    unread: Option<String>,
}

/// Of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Time {
    /// About how long it takes: what was known before and what was measured last count alike.
    micros: u64,
    /// How often it was run, and in how many of these runs it was flaky.
    runs: u32,
    flaky: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    v: u32,
    tests: BTreeMap<Box<str>, Time>,
}

impl Times {
    /// What is known of this suite: it is the same where it has the same runner, directory and arguments.
    pub(super) fn read(
        data_dir: &Path,
        suite: &Suite,
        (directory, args): (Option<&Path>, &[OsString]),
    ) -> Self {
        let here = std::path::absolute(directory.unwrap_or_else(|| Path::new("."))).unwrap_or_default();
        let words = args.iter().map(|word| word.to_string_lossy().into_owned());
        let words: Vec<String> =
            [suite.runner.to_string(), here.display().to_string()].into_iter().chain(words).collect();
        let key = key_of(&words.iter().map(|word| format!("{}:{word}", word.len())).collect::<String>());
        let path = data_dir.join(DIRECTORY).join(format!("{:032x}.json", key.0));
        match read(&path) {
            Ok(tests) => Self { path, tests, unread: None },
            Err(error) => Self { path, tests: BTreeMap::new(), unread: Some(error.to_string()) },
        }
    }

    /// Why nothing is known, where that is no good reason.
    pub(super) fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    pub(super) fn tell(&self, tests: &mut [Test]) {
        for test in tests {
            test.measured = self.tests.get(&test.name).map(|time| Duration::from_micros(time.micros));
        }
    }

    /// Keeps what this run has added. Tests that are gone are forgotten.
    pub(super) fn keep(&self, suite: &Suite, work: &Work, results: &Results) -> anyhow::Result<()> {
        let mut tests = BTreeMap::new();
        for (place, test) in suite.tests.iter().enumerate() {
            let found = work.found(place);
            let took = results.of(place).took.filter(|_| matches!(found.how, How::Passed | How::Flaky));
            let before = self.tests.get(&test.name).copied();
            let time = match (took, before) {
                (Some(took), before) => after(before, took, found.how == How::Flaky),
                (None, Some(before)) => before,
                (None, None) => continue,
            };
            tests.insert(test.name.clone(), time);
        }
        let directory = self.path.parent().context("the data directory has no name")?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        write_whole(&self.path, &serde_json::to_vec(&Kept { v: VERSION, tests })?)?;
        Ok(forget_oldest(directory)?)
    }
}

fn after(before: Option<Time>, took: Duration, flaky: bool) -> Time {
    let measured = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let Time { micros, runs, flaky: flaked } = before.unwrap_or_default();
    Time {
        micros: if before.is_some() { micros.midpoint(measured) } else { measured },
        runs: runs.saturating_add(1),
        flaky: flaked.saturating_add(u32::from(flaky)),
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<Box<str>, Time>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT_BYTES).read_to_end(&mut bytes)?;
    let kept: Kept = serde_json::from_slice(&bytes)?;
    // What a later program writes is no trouble: it is measured anew.
    Ok(if kept.v == VERSION { kept.tests } else { BTreeMap::new() })
}

/// All of it or nothing, in place of what was there. Two of us leave what the later one wrote.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = path.with_file_name(name);
    let file = File::options().write(true).create(true).truncate(true).mode(0o644).open(&fresh);
    let written = file.and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&fresh, path));
    written.inspect_err(|_| {
        // It is of no use to anybody.
        let _ = fs::remove_file(&fresh);
    })
}

fn forget_oldest(directory: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort_unstable();
    let over = files.len().saturating_sub(SUITES_LIMIT);
    files.into_iter().take(over).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use policy::shards::{By, Cut};

    use super::*;

    fn times(path: PathBuf) -> Times {
        let tests = read(&path).unwrap_or_default();
        Times { path, tests, unread: None }
    }

    #[test]
    fn what_was_known_and_what_was_measured_count_alike() {
        let first = after(None, Duration::from_millis(100), false);
        assert_eq!(first, Time { micros: 100_000, runs: 1, flaky: 0 });
        let second = after(Some(first), Duration::from_millis(300), true);
        assert_eq!(second, Time { micros: 200_000, runs: 2, flaky: 1 });
        assert_eq!(after(Some(Time { micros: u64::MAX, ..first }), Duration::MAX, false).micros, u64::MAX);
    }

    #[test]
    fn a_file_that_is_none_of_ours_is_told_and_not_fatal() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x");
        assert_eq!(read(&path).unwrap().len(), 0);
        for (text, is_read) in
            [("{\"v\":1,\"tests\":{}}", true), ("{\"v\":9,\"tests\":{}}", true), ("{\"v\":1,", false)]
        {
            write_whole(&path, text.as_bytes()).unwrap();
            assert_eq!(read(&path).is_ok(), is_read, "{text}");
        }
    }

    #[test]
    fn the_suites_that_were_not_run_for_longest_are_forgotten() {
        let place = tempfile::tempdir().unwrap();
        for name in 0..SUITES_LIMIT + 3 {
            let file = File::create(place.path().join(format!("{name}"))).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(name as u64)).unwrap();
        }
        forget_oldest(place.path()).unwrap();
        let left = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(
            (left, place.path().join("2").exists(), place.path().join("3").exists()),
            (SUITES_LIMIT, false, true)
        );
    }

    #[test]
    fn tests_that_are_gone_are_forgotten_and_those_that_did_not_run_are_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("times/x");
        let before = Time { micros: 7, runs: 1, flaky: 0 };
        let kept = [("g a".into(), before), ("g gone".into(), before)].into();
        let (suite, times) =
            (Suite::for_test(&[("g", "a"), ("g", "b")]), Times { tests: kept, ..times(path) });
        let cut = Cut { shards: 1, by: By::Time, retries: 0, start: Duration::ZERO, batch_bytes: 9 };
        let (work, results) = (Work::new(&suite.tests, &cut), Results::new(2));
        times.keep(&suite, &work, &results).unwrap();
        assert_eq!(read(&times.path).unwrap(), [("g a".into(), before)].into());
    }
}
