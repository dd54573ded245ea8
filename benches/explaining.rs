//! (m) How long does it take to explain one of 100,000 waiting tasks?
//!
//! The real scheduler side with a worker that is full: each answer says what hinders the task, who holds what it needs, who
//! is before it and when it should start, asked by the client while nothing else happens. The scheduler does nothing else
//! meanwhile, so this is also how long others wait for it.

use std::path::Path;
use std::time::Instant;

use policy::event::Item;
use policy::explain::Verdict;
use policy::submission::Submission;
use policy::task::{Priority, TaskSpec};

use crate::support::instant::{Fleet, block_on};
use crate::support::machines::{SHAPES, need};
use crate::support::{report, work};

const PRIORITIES: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
/// Questions, of tasks all over the queue.
const QUESTIONS: usize = 200;

pub(crate) fn ask() {
    report::title("(m) explain one task, the fleet full", "≤ 5 ms with 100,000 waiting");
    for waiting in report::size(&[1_000, 10_000, 100_000][..], &[1_000, 10_000][..]) {
        let (one, many) = (of(*waiting, 1), of(*waiting, SHAPES));
        for (kinds, took) in [("one need", one), ("20 needs × 4 priorities", many)] {
            let (usual, worst) = (report::median(&took), report::quantile(&took, 1.0));
            let what = format!("{waiting} waiting, {kinds}");
            report::row(&what, &format!("p50 {usual:.2} ms"), &format!("the longest {worst:.2} ms"));
        }
    }
}

/// Milliseconds for each answer.
fn of(waiting: usize, needs: u64) -> Vec<f64> {
    block_on(async {
        let fleet = Fleet::start_full().await;
        let graph = fleet.client.submit(crowd(waiting, needs)).await.expect("admitted");
        let first = graph.first;
        let mut took = Vec::with_capacity(QUESTIONS);
        for question in 0..QUESTIONS {
            let task = policy::id::TaskId(first.0 + (question * waiting / QUESTIONS) as u64);
            let start = Instant::now();
            let told = fleet.client.explain(task).await.expect("it is known");
            took.push(start.elapsed().as_secs_f64() * 1e3);
            let is_known = matches!(told.verdict, Verdict::NotNow | Verdict::RunsNext | Verdict::Active);
            assert!(is_known, "{:?}", told.verdict);
        }
        fleet.stop().await;
        took
    })
}

fn crowd(count: usize, needs: u64) -> Submission {
    let spec = work::spec(Path::new("/bin/true"));
    let items = (0..count).map(|place| {
        let priority = if needs == 1 { Priority::Normal } else { PRIORITIES[place % PRIORITIES.len()] };
        let (name, resources) = (format!("t{place}").into(), need(place as u64 % needs + needs / 2));
        Item::new(TaskSpec { name, resources, priority, ..spec.clone() })
    });
    work::graph(items.collect())
}
