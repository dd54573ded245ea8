//! Others that run processes, where they are installed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::report;

/// Whether there is such a program.
pub(crate) fn is_here(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Has every peer that is here run `count` processes two at a time; none of them keeps anything on disk.
pub(crate) fn two_at_a_time(program: &Path, count: usize, ours_per_second: f64) {
    let few = count.min(report::size(300, 40));
    let line = |name: &str, count: usize, took: Duration| {
        let rate = report::per_second(count, took);
        report::row(name, &format!("{rate:.0}/s"), &format!("ours is {:.2} ×", ours_per_second / rate));
    };
    line("xargs -P2", count, fed("xargs", &["-P2", "-n1"], program, count));
    if is_here("parallel") {
        line("parallel -j2", few, fed("parallel", &["--will-cite", "-j2", "-n1"], program, few));
    }
    if is_here("tsp") {
        line("tsp -S 2", few, task_spooler(program, few));
    }
}

fn fed(peer: &str, arguments: &[&str], program: &Path, count: usize) -> Duration {
    let start = Instant::now();
    let mut child = Command::new(peer)
        .args(arguments)
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let lines: String = (0..count).map(|number| format!("{number}\n")).collect();
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("fed");
    assert!(child.wait().expect("it ends").success());
    start.elapsed()
}

fn task_spooler(program: &Path, count: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    let spooler = || {
        let mut command = Command::new("tsp");
        command.env("TS_SOCKET", directory.path().join("socket")).env("TS_MAXFINISHED", "10");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let run = |arguments: &[&str]| assert!(spooler().args(arguments).status().expect("it runs").success());
    run(&["-S", "2"]);
    let start = Instant::now();
    for _ in 0..count {
        assert!(spooler().arg("-n").arg(program).status().expect("it runs").success());
    }
    run(&["-w"]);
    let took = start.elapsed();
    run(&["-K"]);
    took
}

/// The median of how long `tsp` takes to run one process and wait for it, with its server up already.
pub(crate) fn task_spooler_alone(program: &Path, times: usize) -> Option<f64> {
    if !is_here("tsp") {
        return None;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let spooler = || {
        let mut command = Command::new("tsp");
        command.env("TS_SOCKET", directory.path().join("socket")).stdout(Stdio::null());
        command
    };
    let mut took = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        spooler().arg("-nf").arg(program).status().expect("it runs");
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let _ = spooler().arg("-K").status();
    Some(report::median(&took))
}
