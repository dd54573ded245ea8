//! How fast tiny processes go through, beside the bare loop that can do no more than that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::process::protocol::HostDirectory;
use actors::wire::fleet::{FromWorker, Phase, Report};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use policy::id::Token;

use crate::bed::Bed;
use crate::worker::{Instantly, Machine, grant};

crate::tests![tiny_processes_against_the_bare_loop, what_the_worker_takes_for_an_attempt];

const COUNT: u64 = 2000;
const COUNT_F: f64 = 2000.0;
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

/// Processor time of the host itself.
fn host_micros(host: i32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{host}/stat")).unwrap_or_default();
    let ticks = stat.split(' ').skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
    ticks * 10_000.0
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
    let rate = rate(COUNT, since);
    println!("the host takes {:.0} µs for an attempt, starting included", host_micros(bed.host) / COUNT_F);
    rate
}

fn what_the_worker_takes_for_an_attempt() {
    let home = tempfile::tempdir().unwrap();
    let directory = HostDirectory::new(home.path());
    let mut machine = Machine::with_port(&directory, |worker| Arc::new(Instantly(worker)));
    machine.welcome();
    let (count, batch) = (10_000, 50);
    let since = own_cpu();
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
    let micros = (own_cpu() - since).as_secs_f64() * 1_000_000.0 / 10_000.0;
    println!("worker, attempt actors and this test take {micros:.1} µs of processor time for an attempt");
    machine.stop();
}

fn own_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.try_into().unwrap())
}
