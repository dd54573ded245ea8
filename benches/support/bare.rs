//! The limits: what the machine does without anybody in between.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs `count` processes from `spawners` threads, each of which starts one (`posix_spawn`) and waits for
/// it: no output is read, nothing is recorded.
pub(crate) fn spawn_and_wait(program: &Path, count: usize, spawners: usize) -> Duration {
    let (left, start) = (AtomicUsize::new(count), Instant::now());
    let take = |left: &AtomicUsize| {
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    };
    std::thread::scope(|scope| {
        for _ in 0..spawners {
            scope.spawn(|| {
                while take(&left) {
                    let mut command = Command::new(program);
                    let status = command.env_clear().stdin(Stdio::null()).status().expect("it starts");
                    assert!(status.success());
                }
            });
        }
    });
    start.elapsed()
}

/// A program that does nothing, linked statically: the cheapest process there is. `None` where it cannot be made.
pub(crate) fn static_program(directory: &Path) -> Option<PathBuf> {
    let (source, program) = (directory.join("nothing.c"), directory.join("nothing"));
    std::fs::write(&source, "int main(void) { return 0; }\n").ok()?;
    let compiler = ["musl-gcc", "cc"].into_iter().find(|compiler| {
        let made = Command::new(compiler).args(["-static", "-O2", "-o"]).arg(&program).arg(&source).output();
        made.is_ok_and(|made| made.status.success())
    });
    compiler.map(|_| program)
}

/// Appends `bytes` to a file and syncs it, `count` times.
pub(crate) fn write_and_sync(directory: &Path, bytes: usize, count: usize) -> Duration {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("synced")).expect("a file");
    let (block, start) = (vec![7; bytes], Instant::now());
    for _ in 0..count {
        file.write_all(&block).expect("written");
        file.sync_data().expect("synced");
    }
    start.elapsed()
}
