//! (g) What does it cost that many others wait?
//!
//! Three curves that should be flat: the rate of processes at the head of a long array, the rate of
//! dispatch at the head of one, and how long one urgent task takes while others wait for what nobody has.

use std::path::Path;
use std::time::{Duration, Instant};

use actors::client::Client;
use actors::wire::client::Target;
use policy::resources::Resources;
use policy::submission::Submission;
use policy::task::{Priority, TaskSpec};

use crate::support::daemon::{Daemon, block_on};
use crate::support::instant::{self, Fleet};
use crate::support::{report, work};

/// Between two looks at how many have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn ask() {
    report::title("(g) growth: with so many waiting behind", "a flat curve");
    let sizes: &[usize] = report::size(&[1_000, 10_000, 100_000, 1_000_000], &[1_000, 100_000]);
    let mut first = None;
    for &waiting in sizes {
        let measured = [processes(waiting), dispatch(waiting), latency(waiting)];
        let [base_processes, base_dispatch, base_latency] = *first.get_or_insert(measured);
        let [processes, dispatch, latency] = measured;
        report::row(
            &format!("{waiting} waiting"),
            &format!("{processes:.0} processes/s"),
            &format!(
                "({:.2} ×), {dispatch:.0} tasks/s ({:.2} ×), one urgent: p50 {latency:.2} ms ({:.2} ×)",
                processes / base_processes,
                dispatch / base_dispatch,
                latency / base_latency
            ),
        );
    }
}

/// The rate of the first of an array that is followed by `waiting` more.
async fn rate_of_first(client: &Client, wanted: usize, waiting: usize) -> f64 {
    let submission = work::array(work::spec(Path::new("/bin/true")), wanted + waiting);
    let start = Instant::now();
    let graph = client.submit(submission).await.expect("admitted").graph;
    let rate = loop {
        let ended = client.graph(graph).await.expect("known").tasks.succeeded as usize;
        if ended >= wanted {
            break report::per_second(ended, start.elapsed());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    client.cancel(Target::Graph(graph)).await.expect("cancelled");
    rate
}

fn processes(waiting: usize) -> f64 {
    let daemon = Daemon::with_two_slots();
    block_on(async {
        let client = daemon.client();
        client.hello().await.expect("it answers");
        rate_of_first(&client, report::size(3_000, 200), waiting).await
    })
}

fn dispatch(waiting: usize) -> f64 {
    instant::block_on(async move {
        let fleet = Fleet::start().await;
        let rate = rate_of_first(&fleet.client, report::size(50_000, 5_000), waiting).await;
        fleet.stop().await;
        rate
    })
}

/// The median time of one urgent task while `waiting` others need what no node has.
fn latency(waiting: usize) -> f64 {
    let spec = work::spec(Path::new("/bin/true"));
    let unfit = TaskSpec { resources: Resources::cpus(64_000_000), ..spec.clone() };
    let urgent = TaskSpec { priority: Priority::High, ..spec };
    let behind =
        if waiting > 100_000 { work::array(unfit, waiting) } else { work::separate(&unfit, waiting) };
    let daemon = Daemon::that_others_can_join();
    block_on(async {
        let client = daemon.client();
        client.submit(behind).await.expect("admitted");
        let mut took = Vec::new();
        for _ in 0..report::size(200, 20) {
            took.push(one(&client, work::array(urgent.clone(), 1)).await.as_secs_f64() * 1e3);
        }
        report::median(&took)
    })
}

async fn one(client: &Client, submission: Submission) -> Duration {
    let start = Instant::now();
    let submitted = client.submit(submission).await.expect("admitted");
    client.wait(submitted.graph, None).await.expect("it ends");
    start.elapsed()
}
