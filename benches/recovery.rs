//! (f) How soon after `kill -9` with many waiting tasks is the next one granted?
//!
//! Counted from the start of the new daemon's process to the moment a client has seen the first grant.

use std::path::Path;
use std::time::{Duration, Instant};

use actors::client::Client;
use actors::wire::client::EventFilter;
use policy::event::{Event, TaskEvent};
use policy::submission::Submission;

use crate::support::daemon::{Daemon, block_on};
use crate::support::{report, work};

/// How long the daemon runs before it is killed.
const RUNS_FOR: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What is given up after.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn ask() {
    report::title("(f) recovery: kill -9 with 100,000 waiting", "granting again within 2 s");
    let count = report::size(100_000, 10_000);
    let spec = work::spec(Path::new("/bin/true"));
    of("separate tasks", || work::separate(&spec, count));
    of("one array", || work::array(spec.clone(), count));
}

fn of(what: &str, submission: impl Fn() -> Submission) {
    let mut took = Vec::new();
    for _ in 0..report::size(3, 1) {
        took.push(once(submission()));
    }
    let (middle, worst) = (report::median(&took), report::quantile(&took, 1.0));
    report::row(what, &format!("{middle:.0} ms"), &format!("worst {worst:.0} ms"));
}

fn once(submission: Submission) -> f64 {
    let mut daemon = Daemon::with_two_slots();
    let last = block_on(async {
        let client = daemon.client();
        client.submit(submission).await.expect("admitted");
        tokio::time::sleep(RUNS_FOR).await;
        client.hello().await.expect("it answers").durable
    });
    daemon.kill();
    let start = Instant::now();
    daemon.start_again();
    block_on(async {
        let client = loop {
            let client = daemon.client();
            if client.hello().await.is_ok() {
                break client;
            }
            assert!(start.elapsed() < PATIENCE, "the daemon does not come back");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        first_grant(&client, last).await;
    });
    start.elapsed().as_secs_f64() * 1e3
}

/// Returns when a record after the new reign's first says that something was granted.
async fn first_grant(client: &Client, mut after: u64) {
    let mut reigns = false;
    loop {
        let page = client.events_page(after, EventFilter::All, Duration::from_secs(1)).await.expect("events");
        for record in page.records {
            reigns |= matches!(record.event, Event::Scheduler(_));
            if reigns && matches!(record.event, Event::Task { event: TaskEvent::Granted { .. }, .. }) {
                return;
            }
        }
        after = page.next_after;
    }
}
