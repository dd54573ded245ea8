//! (b) How long does one link of a chain of dependent tiny tasks take?
//!
//! The limit: the process itself, and two syncs, since neither a grant nor an end may be believed before it
//! is on disk.

use std::path::Path;

use crate::support::daemon::Daemon;
use crate::support::{bare, report, work};

pub(crate) fn ask() {
    report::title("(b) chain: 1,000 dependent tiny tasks", "≤ 2 ms per link");
    let (count, rounds) = (report::size(1_000, 50), report::size(3, 1));
    let program = Path::new("/bin/true");
    let daemon = Daemon::with_two_slots();
    let (mut spawns, mut syncs, mut links) = (Vec::new(), Vec::new(), Vec::new());
    let each = |took: std::time::Duration| took.as_secs_f64() * 1e3 / count as f64;
    for _ in 0..rounds {
        spawns.push(each(bare::spawn_and_wait(program, count, 1)));
        syncs.push(each(bare::write_and_sync(daemon.directory(), 256, 2 * count)));
        links.push(each(daemon.run(work::chain(&work::spec(program), count))));
    }
    let (spawn, sync, link) = (report::median(&spawns), report::median(&syncs), report::median(&links));
    report::row("bare spawn and wait, one after the other", &format!("{spawn:.2} ms"), "");
    report::row("two writes, each synced", &format!("{sync:.2} ms"), "");
    let beside = format!("{:.2} × process and syncs", link / (spawn + sync));
    report::row("ours, per link", &format!("{link:.2} ms"), &beside);
}
