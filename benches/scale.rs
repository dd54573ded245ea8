//! (r) What does a node cost the scheduler, with 10 of them and with 200?
//!
//! The scheduler is a daemon of its own. The nodes are agents in this process, each with a worker, a connection and a lease
//! of its own as every machine has them, and twenty slots; what they handle takes no time. So the figures are of heartbeats,
//! leases, placement and messages. The daemon's processor time is told, because this process takes the rest of the machine.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use actors::agent::{Agent, Handling};
use actors::client::Endpoint;
use actors::wire::client::NodeHealth;
use policy::task::TaskSpec;

use crate::support::daemon::Daemon;
use crate::support::{report, work};

/// Slots of each node.
const SLOTS: u32 = 20;
/// The kind that all of them handle.
const KIND: &str = "nothing";
/// Between two looks whether all have joined.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(crate) fn ask() {
    report::title("(r) scale: nodes of twenty slots", "a node costs about as much with 200 as with 10");
    for nodes in report::size(vec![10, 50, 200], vec![10, 50]) {
        of(nodes);
    }
}

fn of(nodes: usize) {
    let daemon = Daemon::without_worker();
    // The nodes live in it while this thread waits.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let agents = runtime.block_on(join(&daemon, nodes));
    let joined = begun.elapsed();
    let quiet = report::size(Duration::from_secs(15), Duration::from_secs(3));
    let before = daemon.costs().daemon;
    runtime.block_on(async { tokio::time::sleep(quiet).await });
    let idle = daemon.costs().daemon.share(before, quiet);
    let count = report::size(40_000, 4_000);
    let spec = TaskSpec { tenant: "bench".into(), ..TaskSpec::for_handler("t", KIND, "") };
    let before = daemon.costs().daemon;
    let took = daemon.run(work::separate(&spec, count));
    let busy = daemon.costs().daemon.each(before, count);
    report::row(
        &format!("{nodes} nodes: all joined; idle, the scheduler's cpu"),
        &format!("{:.0} ms; {idle:.1} %", joined.as_secs_f64() * 1e3),
        &format!("{:.0} µs a second for each node", idle * 1e4 / nodes as f64),
    );
    let rate = report::per_second(count, took);
    report::row(
        &format!("  {count} tasks that take no time"),
        &format!("{rate:.0}/s"),
        &format!("{busy} each"),
    );
    runtime.block_on(leave(agents));
}

/// Starts so many nodes and waits until the scheduler has all of them.
async fn join(daemon: &Daemon, nodes: usize) -> Vec<Handling> {
    let endpoint = Endpoint::of_data_dir(daemon.directory());
    let mut agents = Vec::new();
    for number in 0..nodes {
        let agent = Agent::named(&format!("n{number}")).in_directory(daemon.directory().to_owned());
        let agent = agent.handle(KIND, SLOTS, |_| async { Ok::<(), String>(()) });
        agents.push(agent.start(&endpoint).await.expect("it starts"));
    }
    let client = daemon.client();
    loop {
        let rows = client.nodes().await.expect("it answers");
        let up: BTreeSet<_> =
            rows.into_iter().filter(|row| row.health == NodeHealth::Up).map(|row| row.node).collect();
        if up.len() == nodes {
            return agents;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn leave(agents: Vec<Handling>) {
    for agent in agents {
        agent.stop(None).await;
    }
}
