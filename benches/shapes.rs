//! (k) What do many shapes and priorities cost, and is the turn of a few soon while many wait?
//!
//! The real scheduler side on a real log, and a worker that ends at once whatever it is told to run. Beside
//! the mixture stands the same number of tasks of one shape and one priority, in the same run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::event::Item;
use policy::submission::Submission;
use policy::task::{Priority, TaskSpec};

use crate::dispatch::run;
use crate::support::instant::{Fleet, block_on};
use crate::support::machines::{SHAPES, need};
use crate::support::{report, work};

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(1);

pub(crate) fn ask() {
    report::title(
        "(k) many shapes: 20 needs × 4 priorities, 16 cores, no process",
        "as one shape; no stall over 10 ms",
    );
    let count = report::size(20_000, 2_000);
    for round in 1..=report::size(3, 1) {
        let one = report::per_second(count, run(mixture(count, 1, &PRIORITIES[1..2])));
        let many = report::per_second(count, run(mixture(count, SHAPES, &PRIORITIES)));
        let stall = longest_stall(mixture(count, SHAPES, &PRIORITIES));
        let beside = format!("{:.2} × of one shape; longest stall {}", many / one, report::ms(stall));
        report::row(&format!("round {round}: one shape"), &format!("{one:.0}/s"), "");
        report::row("  20 shapes × 4 priorities", &format!("{many:.0}/s"), &beside);
    }
    for (what, urgent, flood) in [
        ("one Low behind a flood of Critical", Priority::Low, Priority::Critical),
        ("one Critical behind a flood of Low", Priority::Critical, Priority::Low),
    ] {
        let (waited, all) = behind(urgent, flood);
        report::row(what, &report::ms(waited), &format!("the flood itself takes {}", report::ms(all)));
    }
}

fn mixture(count: usize, shapes: u64, priorities: &[Priority]) -> Submission {
    let spec = work::spec(Path::new("/bin/true"));
    let items = (0..count).map(|place| {
        let resources = need(place as u64 % shapes);
        let priority = priorities[place / shapes as usize % priorities.len()];
        let name = format!("t{place}").into();
        Item::new(TaskSpec { name, resources, priority, ..spec.clone() })
    });
    work::graph(items.collect())
}

/// The longest time in which nothing ended although something could have.
fn longest_stall(submission: Submission) -> Duration {
    block_on(async move {
        let fleet = Fleet::start().await;
        let graph = fleet.client.submit(submission).await.expect("admitted").graph;
        let (mut ended, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
        loop {
            let tasks = fleet.client.graph(graph).await.expect("known").tasks;
            if tasks.succeeded > ended {
                longest = longest.max(since.elapsed());
                (ended, since) = (tasks.succeeded, Instant::now());
            }
            if tasks.succeeded == tasks.total() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        fleet.stop().await;
        longest
    })
}

/// How long one task waits that comes after a flood of another priority, and the flood itself.
fn behind(urgent: Priority, flood: Priority) -> (Duration, Duration) {
    block_on(async move {
        let fleet = Fleet::start().await;
        let spec = work::spec(Path::new("/bin/true"));
        let crowd = TaskSpec { priority: flood, ..spec.clone() };
        let start = Instant::now();
        let crowd =
            fleet.client.submit(work::array(crowd, report::size(50_000, 5_000))).await.expect("admitted");
        let one = Item { spec: Arc::new(TaskSpec { priority: urgent, ..spec.clone() }), ..Item::new(spec) };
        let asked = Instant::now();
        let one = fleet.client.submit(work::graph(vec![one])).await.expect("admitted");
        fleet.client.wait(one.graph, None).await.expect("it ends");
        let waited = asked.elapsed();
        fleet.client.wait(crowd.graph, None).await.expect("it ends");
        let all = start.elapsed();
        fleet.stop().await;
        (waited, all)
    })
}
