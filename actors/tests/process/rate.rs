//! How fast tiny processes go through, beside the bare loop that can do no more than that.

use std::time::Instant;

use crate::bed::Bed;

crate::tests![tiny_processes_against_the_bare_loop];

const COUNT: u64 = 2000;
const SLOTS: u64 = 2;

fn tiny_processes_against_the_bare_loop() {
    for _ in 0..3 {
        let bare = bare();
        let hosted = hosted();
        println!("bare {bare:.0}/s, hosted {hosted:.0}/s: {:.1} %", hosted * 100.0 / bare);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn rate(since: Instant) -> f64 {
    COUNT as f64 / since.elapsed().as_secs_f64()
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
    rate(since)
}

/// As a worker with two slots and a few staged behind them would.
fn hosted() -> f64 {
    let mut bed = Bed::new();
    let since = Instant::now();
    for token in 1..=SLOTS {
        bed.start(token, &["/bin/true"]);
    }
    for token in 1..=COUNT {
        bed.ended_next();
        if token + SLOTS <= COUNT {
            bed.start(token + SLOTS, &["/bin/true"]);
        }
    }
    rate(since)
}
