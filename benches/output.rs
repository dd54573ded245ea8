//! (s) What does output cost: one task that writes as fast as it can, and a thousand that print at once, beside a redirect to files?

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actors::client::Client;
use policy::id::{AttemptNumber, TaskId};
use policy::task::TaskSpec;

use crate::support::daemon::{Daemon, block_on};
use crate::support::{report, work};

/// What each of many prints: some 100 KB, all of which is kept.
const LINES: u32 = 20_000;

pub(crate) fn ask() {
    report::title(
        "(s) output: one that writes at full speed; many at once",
        "200 MB/s; no byte lost within the limits",
    );
    one();
    many();
}

fn one() {
    let daemon = Daemon::with_cores("2");
    let scratch = tempfile::tempdir().expect("a directory");
    let bytes: u64 = report::size(2_000_000_000, 200_000_000);
    let write = format!("exec head -c {bytes} /dev/zero");
    for round in 1..=report::size(3, 1) {
        let file = scratch.path().join("plain");
        let bare = shell(&format!("{write} > {}", file.display()));
        let ours = daemon.run(work::graph(vec![policy::event::Item::new(script(&write))]));
        let rate = |took: Duration| bytes as f64 / 1e6 / took.as_secs_f64();
        report::row(
            &format!("round {round}: {} MB by one task", bytes / 1_000_000),
            &format!("{:.0} MB/s", rate(ours)),
            &format!("to a plain file {:.0} MB/s: {:.0} %", rate(bare), 100.0 * rate(ours) / rate(bare)),
        );
    }
    report::row("  the most memory of crabd; of its host", &daemon.peaks(), "36 MiB of each stream are kept");
}

fn many() {
    let daemon = Daemon::with_cores("1000");
    let scratch = tempfile::tempdir().expect("a directory");
    let count = report::size(1_000, 50);
    let print = format!("exec seq 1 {LINES}");
    let bare = shell(&format!(
        "cd {} && for i in $(seq {count}); do seq 1 {LINES} > $i & done; wait",
        scratch.path().display()
    ));
    // The daemon's first process starts its host, which is not what is asked.
    daemon.run(work::array(work::spec(Path::new("/bin/true")), 1));
    let ours = daemon.run(work::array(script(&print), count));
    let expected: String = (1..=LINES).map(|line| format!("{line}\n")).collect();
    let read = Instant::now();
    block_on(async {
        let client = daemon.client();
        for task in 0..count as u64 {
            // The first task of all was the one before.
            let told = output(&client, TaskId(task + 2)).await;
            assert!(told == expected.as_bytes(), "{} bytes of {} came", told.len(), expected.len());
        }
    });
    let all = count * expected.len();
    let rate = |took: Duration| format!("{:.0} MB/s", all as f64 / 1e6 / took.as_secs_f64());
    report::row(
        &format!("{count} tasks at once, {} MB in all", all / 1_000_000),
        &rate(ours),
        &format!(
            "the shell to as many files {}: {:.0} %",
            rate(bare),
            100.0 * bare.as_secs_f64() / ours.as_secs_f64()
        ),
    );
    report::row("  every byte of it read back, one after the other", &rate(read.elapsed()), "");
    report::row("  the most memory of crabd; of its host", &daemon.peaks(), "");
}

fn script(text: &str) -> TaskSpec {
    TaskSpec { argv: vec!["/bin/sh".into(), "-c".into(), text.into()], ..work::spec(Path::new("/bin/sh")) }
}

fn shell(text: &str) -> Duration {
    let start = Instant::now();
    let status = Command::new("/bin/sh").args(["-c", text]).stdin(Stdio::null()).status().expect("it starts");
    assert!(status.success());
    start.elapsed()
}

/// All that a task has written.
async fn output(client: &Client, task: TaskId) -> Vec<u8> {
    let mut output = client.output(task, AttemptNumber(1));
    let mut bytes = Vec::new();
    while let Some(piece) = output.next().await.expect("it can be read") {
        piece.parts.into_iter().for_each(|part| bytes.extend(part.bytes));
    }
    bytes
}
