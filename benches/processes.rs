//! (a) How many tiny processes a second, through a daemon and a worker with two slots, durably?

use std::path::{Path, PathBuf};

use crate::support::daemon::Daemon;
use crate::support::{bare, peers, report, work};

/// Alternations of bare and ours, so that both see the same machine.
const ROUNDS: usize = 5;

pub(crate) fn ask() {
    report::title("(a) processes: 10,000 tiny ones, two slots", "≥ 85 % of bare spawn and wait");
    let directory = tempfile::tempdir().expect("a directory");
    let static_program = bare::static_program(directory.path());
    for program in static_program.into_iter().chain([PathBuf::from("/bin/true")]) {
        of(&program);
    }
}

fn of(program: &Path) {
    let daemon = Daemon::with_two_slots();
    let count = report::size(10_000, 500) / ROUNDS;
    let before = daemon.costs();
    let (mut limits, mut arrays, mut separates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        limits.push(report::per_second(count, bare::spawn_and_wait(program, count, 2)));
        arrays.push(report::per_second(count, daemon.run(work::array(work::spec(program), count))));
        separates.push(report::per_second(count, daemon.run(work::separate(&work::spec(program), count))));
    }
    let limit = report::median(&limits);
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    report::row(&format!("bare spawn and wait, {name}"), &format!("{limit:.0}/s"), "");
    for (how, rates) in [("ours, one array", &arrays), ("ours, separate tasks", &separates)] {
        let rate = report::median(rates);
        let ratios: Vec<f64> = rates.iter().zip(&limits).map(|(ours, bare)| 100.0 * ours / bare).collect();
        let (low, middle, high) =
            (report::quantile(&ratios, 0.0), report::median(&ratios), report::quantile(&ratios, 1.0));
        report::row(how, &format!("{rate:.0}/s"), &format!("{middle:.0} % of bare ({low:.0} to {high:.0})"));
    }
    let after = daemon.costs();
    let both = 2 * ROUNDS * count;
    report::row("processor time of crabd, for each", &after.daemon.each(before.daemon, both), "");
    report::row("processor time of the process host, for each", &after.host.each(before.host, both), "");
    peers::two_at_a_time(program, count, report::median(&arrays));
}
