//! The wall clocks of the daemons, and of their process hosts: each machine has one of its own that can be set, where libfaketime
//! is installed (Debian: `libfaketime`). The clocks on which leases run are left alone, as nothing sets those of a machine.
//!
//! Must not know when they are set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use policy::time::Timestamp;

/// How far a clock is set: so far that it cannot be taken for anything else.
const HOUR: Duration = Duration::from_secs(3600);

/// Where distributions put it, below a directory that is called after the machine, or not.
const DIRECTORIES: [&str; 2] = ["/usr/lib", "/usr/lib64"];
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The library by which clocks are set; `None` where it is not installed.
pub(super) fn library() -> Option<PathBuf> {
    let below = |directory: &str| {
        let inner = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        [directory.into()].into_iter().chain(inner).map(|at| at.join(LIBRARY)).find(|file| file.is_file())
    };
    DIRECTORIES.into_iter().find_map(below)
}

/// Has a program go by the clock that `file` sets. It looks there once a second.
pub(super) fn wear(command: &mut Command, library: &Path, file: &Path) {
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_CACHE_DURATION", "1");
    command.env("NO_FAKE_STAT", "1").env("FAKETIME_DISABLE_SHM", "1");
}

/// Sets a clock so many hours off the true time.
pub(super) fn set(file: &Path, hours: i8) {
    let unfinished = file.with_extension("new");
    fs::write(&unfinished, format!("{:+}\n", i64::from(hours) * 3600)).expect("room for a line");
    fs::rename(unfinished, file).expect("a name for it");
}

/// When it truly was, where a clock that is set by whole hours said `at`, less than half an hour from `about`.
pub(super) fn truth(at: Timestamp, about: Timestamp) -> Timestamp {
    let hour = i128::try_from(HOUR.as_micros()).expect("it is short");
    let off = i128::from(at.0) - i128::from(about.0);
    let hours = (off + off.signum() * hour / 2) / hour;
    Timestamp(u64::try_from(i128::from(at.0) - hours * hour).expect("it was after 1970"))
}

#[test]
fn whole_hours_are_taken_off_and_nothing_else() {
    let about = Timestamp(1_000_000_000_000_000);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let at = about + minutes(25);
    for wrong in [at, at + HOUR, Timestamp(at.0 - 3_600_000_000)] {
        assert_eq!(truth(wrong, about), at);
    }
    let before = Timestamp(about.0 - 1_500_000_000);
    assert_eq!((truth(before, about), truth(before + HOUR, about)), (before, before));
}
