//! (c) How long does it take to submit one task and to know its end?

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::support::daemon::{Daemon, block_on};
use crate::support::{bare, peers, report, work};

pub(crate) fn ask() {
    report::title("(c) single: submit one and wait", "command line p50 ≤ 5 ms, open client ≤ 2.5 ms");
    let times = report::size(300, 30);
    let program = Path::new("/bin/true");
    let daemon = Daemon::with_two_slots();
    let (mut bares, mut versions, mut runs, mut submits, mut opens, mut syncs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..times {
        bares.push(bare::spawn_and_wait(program, 1, 1).as_secs_f64() * 1e3);
        syncs.push(bare::write_and_sync(daemon.directory(), 256, 3).as_secs_f64() * 1e3);
        versions.push(timed(daemon.crab().arg("--version")));
        runs.push(timed(daemon.crab().args(["run", "-q", "--", "/bin/true"])));
        submits.push(timed(daemon.crab().args(["submit", "-q", "--wait", "--", "/bin/true"])));
    }
    block_on(async {
        let client = daemon.client();
        client.hello().await.expect("it answers");
        for _ in 0..times {
            let start = Instant::now();
            let submitted = client.submit(work::array(work::spec(program), 1)).await.expect("admitted");
            client.wait(submitted.graph, None).await.expect("it ends");
            opens.push(start.elapsed().as_secs_f64() * 1e3);
        }
    });
    let (bare, sync) = (report::median(&bares), report::median(&syncs));
    let line = |what: &str, values: &[f64], limit: Option<f64>| {
        let (p50, p99) = (report::median(values), report::quantile(values, 0.99));
        let beside = limit.map_or_else(String::new, |limit| format!(", {:.2} × the limit", p50 / limit));
        report::row(what, &format!("p50 {p50:.2} ms"), &format!("p99 {p99:.2} ms{beside}"));
    };
    line("bare spawn and wait", &bares, None);
    line("three writes, each synced", &syncs, None);
    line("crab --version", &versions, None);
    let whole = bare + sync + report::median(&versions);
    line("crab run -- /bin/true", &runs, Some(whole));
    line("crab submit --wait -- /bin/true", &submits, Some(whole));
    line("open client: submit and wait", &opens, Some(bare + sync));
    if let Some(spooler) = peers::task_spooler_alone(program, times.min(100)) {
        report::row("tsp -nf /bin/true", &format!("p50 {spooler:.2} ms"), "keeps nothing on disk");
    }
}

fn timed(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
    start.elapsed().as_secs_f64() * 1e3
}
