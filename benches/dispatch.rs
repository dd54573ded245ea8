//! (d) How many tasks a second can be scheduled, durably, when running them takes no time?
//!
//! The real scheduler side on a real log, every task an actor while it lives, and a worker that ends at once
//! whatever it is told to run. The limit: as many records appended to a log by one thread, with nobody else.

use std::path::Path;
use std::time::{Duration, Instant};

use actors::clock::Clock;
use actors::log::{Log, LogLimits};
use policy::event::{Event, TaskEvent};
use policy::id::TaskId;
use policy::submission::Submission;

use crate::support::instant::{self, Fleet};
use crate::support::{report, work};

/// Records of a task from its grant to its end.
const RECORDS_PER_TASK: usize = 3;

pub(crate) fn ask() {
    report::title("(d) dispatch: tasks that take no time, durable", "≥ 30,000/s");
    let count = report::size(100_000, 5_000);
    for round in 1..=report::size(3, 1) {
        let limit = report::per_second(count, log_alone(count));
        let beside = |rate: f64| format!("{:.1} % of the log alone", 100.0 * rate / limit);
        let spec = work::spec(Path::new("/bin/true"));
        let separate = report::per_second(count, run(work::separate(&spec, count)));
        let array = report::per_second(count, run(work::array(spec, count)));
        report::row(&format!("round {round}: log alone, 3 records a task"), &format!("{limit:.0}/s"), "");
        report::row("  separate tasks", &format!("{separate:.0}/s"), &beside(separate));
        report::row("  one array", &format!("{array:.0}/s"), &beside(array));
    }
}

/// From submission to the end of the last.
pub(crate) fn run(submission: Submission) -> Duration {
    let tasks: u64 = submission.items.iter().map(policy::event::Item::tasks).sum();
    instant::block_on(async move {
        let fleet = Fleet::start().await;
        let start = Instant::now();
        let submitted = fleet.client.submit(submission).await.expect("admitted");
        let row = fleet.client.wait(submitted.graph, None).await.expect("it ends");
        let took = start.elapsed();
        assert_eq!(row.tasks.succeeded, tasks, "{:?}", row.tasks);
        fleet.stop().await;
        took
    })
}

fn log_alone(count: usize) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open_directory(directory.path(), LogLimits::default(), Clock::system()).expect("opens");
    let start = Instant::now();
    for number in 0..count * RECORDS_PER_TASK {
        let task = TaskId(number as u64);
        let event = TaskEvent::CancelAsked;
        log.append(&Event::Task { task, sequence: 1, previous: 0, event }, 0, 0);
    }
    log.settle().expect("durable");
    start.elapsed()
}
