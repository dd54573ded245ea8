//! Removes old output: by age, and the oldest first where there is too much.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use policy::id::Token;
use policy::time::Timestamp;

/// How much output a machine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of all spools of ended attempts together.
    pub total_bytes: u64,
    /// How long after its last byte.
    pub age: Duration,
}

impl Default for Retention {
    /// 10 GiB and 7 days.
    fn default() -> Self {
        Self { total_bytes: 10 << 30, age: Duration::from_secs(7 * 24 * 3600) }
    }
}

struct Spool {
    written: Timestamp,
    path: PathBuf,
    bytes: u64,
}

/// Removes what is to go from `directory`, except the output of the attempts that `runs` names; gives back
/// how many files went.
///
/// # Errors
/// When the directory cannot be read; a file that cannot be removed is met again next time.
pub fn apply(
    directory: &Path,
    retention: Retention,
    now: Timestamp,
    runs: impl Fn(Token) -> bool,
) -> io::Result<usize> {
    let mut spools = list(directory, runs)?;
    spools.sort_by_key(|spool| spool.written);
    let mut total: u64 = spools.iter().map(|spool| spool.bytes).sum();
    let mut removed = 0;
    for spool in spools {
        if total <= retention.total_bytes && now.since(spool.written) <= retention.age {
            break;
        }
        total -= spool.bytes;
        removed += usize::from(fs::remove_file(&spool.path).is_ok());
    }
    Ok(removed)
}

fn list(directory: &Path, runs: impl Fn(Token) -> bool) -> io::Result<Vec<Spool>> {
    let mut spools = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let token = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if token.is_none_or(|token| runs(Token(token))) {
            continue;
        }
        // A file that has just gone needs no removing.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let written = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        spools.push(Spool { written: Timestamp::default() + written, path, bytes: metadata.len() });
    }
    Ok(spools)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fill(ages: &[u64]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (token, age) in ages.iter().enumerate() {
            let path = dir.path().join(format!("{token}.spool"));
            fs::write(&path, [0; 100]).unwrap();
            let written = UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        }
        dir
    }

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    #[test]
    fn the_old_go_but_not_those_that_run() {
        let dir = fill(&[50, 40, 5]);
        let retention = Retention { total_bytes: 1000, age: Duration::from_secs(30) };
        assert_eq!(apply(dir.path(), retention, NOW, |token| token == Token(1)).unwrap(), 1);
        assert_eq!(names(dir.path()), ["1.spool", "2.spool"]);
    }

    #[test]
    fn the_oldest_go_first_where_there_is_too_much() {
        let dir = fill(&[1, 3, 2]);
        let retention = Retention { total_bytes: 200, age: Duration::from_secs(30) };
        assert_eq!(apply(dir.path(), retention, NOW, |_| false).unwrap(), 1);
        assert_eq!(names(dir.path()), ["0.spool", "2.spool"]);
    }
}
