//! (h) What do dependencies cost: layers in which every task waits for two of the layer before?

use std::path::Path;

use crate::support::daemon::Daemon;
use crate::support::{bare, report, work};

pub(crate) fn ask() {
    report::title("(h) layers: 100 × 100 tasks, two dependencies each", "as (a) and (d)");
    let (layers, width) = report::size((100, 100), (10, 20));
    let count = layers * width;
    let program = Path::new("/bin/true");
    let spec = work::spec(program);
    let instant = report::per_second(count, crate::dispatch::run(work::layers(&spec, layers, width)));
    report::row("tasks that take no time", &format!("{instant:.0}/s"), "");
    let limit = report::per_second(count, bare::spawn_and_wait(program, count, 2));
    let ours = report::per_second(count, Daemon::with_two_slots().run(work::layers(&spec, layers, width)));
    report::row("bare spawn and wait, no dependencies", &format!("{limit:.0}/s"), "");
    report::row("ours", &format!("{ours:.0}/s"), &format!("{:.0} % of bare", 100.0 * ours / limit));
}
