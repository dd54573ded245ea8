//! How fast tiny processes go through, beside the bare loop that can do no more than that.

use std::sync::Arc;
use std::time::Instant;

use actors::process::protocol::HostDirectory;
use actors::wire::fleet::{FromWorker, Phase, Report};
use policy::id::Token;

use crate::bed::Bed;
use crate::worker::{Instantly, Machine, grant};

crate::tests![tiny_processes_against_the_bare_loop, what_the_worker_takes_for_an_attempt];

const COUNT: u64 = 2000;
const SLOTS: u64 = 2;
/// Attempts commanded at once where the host has some staged.
const AHEAD: u64 = 4;

fn tiny_processes_against_the_bare_loop() {
    for _ in 0..4 {
        let bare = bare();
        let (two, ahead) = (hosted(SLOTS), hosted(AHEAD));
        let percent = |rate: f64| rate * 100.0 / bare;
        println!(
            "bare {bare:.0}/s; hosted {two:.0}/s ({:.1} %) with {SLOTS} at once, {ahead:.0}/s ({:.1} %) with {AHEAD}",
            percent(two),
            percent(ahead)
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

fn bare() -> f64 {
    let since = Instant::now();
    let spawners: Vec<_> = (0..SLOTS)
        .map(|_| {
            std::thread::spawn(|| {
                for _ in 0..COUNT / SLOTS {
                    std::process::Command::new("/bin/true").spawn().unwrap().wait().unwrap();
                }
            })
        })
        .collect();
    spawners.into_iter().for_each(|spawner| spawner.join().unwrap());
    rate(COUNT, since)
}

fn hosted(at_once: u64) -> f64 {
    let mut bed = Bed::new();
    let since = Instant::now();
    for token in 1..=at_once {
        bed.start(token, &["/bin/true"]);
    }
    for token in 1..=COUNT {
        bed.ended_next();
        if token + at_once <= COUNT {
            bed.start(token + at_once, &["/bin/true"]);
        }
    }
    rate(COUNT, since)
}

fn what_the_worker_takes_for_an_attempt() {
    let home = tempfile::tempdir().unwrap();
    let directory = HostDirectory::new(home.path());
    let mut machine = Machine::with_port(&directory, |worker| Arc::new(Instantly(worker)));
    machine.welcome();
    let (count, batch) = (10_000, 50);
    let since = Instant::now();
    for first in (1..=count).step_by(50) {
        let last = first + batch - 1;
        machine.run((first..=last).map(|token| grant(token, &["/bin/true"])).collect());
        machine.wait(|told| match told {
            FromWorker::Reports { reports, .. } => {
                let is_last =
                    |report: &Report| report.token.0 == last && matches!(report.phase, Phase::Ended { .. });
                reports.iter().any(is_last).then_some(())
            }
            _ => None,
        });
        machine.forget((first..=last).map(Token).collect());
    }
    println!("the worker takes {:.1} µs for an attempt", 1_000_000.0 / rate(count, since));
    machine.stop();
}
