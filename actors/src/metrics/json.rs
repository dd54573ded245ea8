//! A sample as JSON. The names are a promise, as those of `crab --json` are.

use policy::resources::Resources;
use serde::Serialize;

use crate::say::rfc3339;
use crate::wire::client::{NodeHealth, Sample, Status};

/// See the module. What the scheduler did not say is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    v: u32,
    timestamp: String,
    queue: Option<Queue>,
    workers: Option<Workers>,
    resources: Option<Utilisation>,
    scheduling: Scheduling,
    task_outcomes: Outcomes,
}

/// Tasks that are ready, by priority.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Queue {
    total: u64,
    critical: u64,
    high: u64,
    normal: u64,
    low: u64,
}

/// Machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Workers {
    healthy: u64,
    /// Late with their heartbeats.
    stale: u64,
    lost: u64,
    /// Late and heard of again in time, since the daemon was started.
    recovered: u64,
}

/// What is taken of what the machines that are up have, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Utilisation {
    cpu_percent: f64,
    memory_percent: f64,
    metal_percent: f64,
}

/// Since the daemon was started.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Scheduling {
    /// From being able to run to being sent to a machine: the moving average of the last hundred or so.
    runnable_latency_ms: f64,
    starvation_mitigations: u64,
    circuit_breaker_trips: u64,
    /// Attempts that made room for more urgent tasks.
    evictions: u64,
}

/// Since the daemon was started.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Outcomes {
    completed: u64,
    /// By their own fault, with no attempt left.
    failed: u64,
    /// Given up for another reason: lost too often, set aside, out of retries.
    abandoned: u64,
    cancelled: u64,
    skipped: u64,
    /// Attempts that were followed by another.
    retried: u64,
}

impl From<&Sample> for Metrics {
    fn from(sample: &Sample) -> Self {
        let (meters, status) = (&sample.meters, sample.status.as_deref());
        let ends = &meters.ends;
        Self {
            v: 1,
            timestamp: rfc3339(sample.at),
            queue: status.map(queue),
            workers: status.map(|status| workers(status, meters.nodes.recovered)),
            resources: status.map(utilisation),
            scheduling: Scheduling {
                runnable_latency_ms: meters.usual_wait.as_secs_f64() * 1000.0,
                starvation_mitigations: meters.aged,
                circuit_breaker_trips: meters.trips,
                evictions: meters.evicted,
            },
            task_outcomes: Outcomes {
                completed: ends.succeeded,
                failed: ends.failed,
                abandoned: ends.lost + ends.poisoned + ends.out_of_retries,
                cancelled: ends.cancelled,
                skipped: ends.skipped,
                retried: meters.retried,
            },
        }
    }
}

fn queue(status: &Status) -> Queue {
    let [low, normal, high, critical] = status.queued;
    Queue { total: status.queued.iter().sum(), critical, high, normal, low }
}

fn workers(status: &Status, recovered: u64) -> Workers {
    let count = |health| status.nodes.iter().filter(|node| node.health == health).count() as u64;
    let (healthy, stale) = (count(NodeHealth::Up), count(NodeHealth::Suspect));
    Workers { healthy, stale, lost: count(NodeHealth::Lost), recovered }
}

fn utilisation(status: &Status) -> Utilisation {
    let percent = |of: fn(&Resources) -> u64| {
        let up = || status.nodes.iter().filter(|node| node.health != NodeHealth::Lost);
        let all: u64 = up().map(|node| of(&node.capacity)).sum();
        let taken: u64 = up().map(|node| of(&node.allocated)).sum();
        // Of nothing nothing is taken. One digit is as much as a person reads.
        if all == 0 { 0.0 } else { (taken as f64 * 1000.0 / all as f64).round() / 10.0 }
    };
    Utilisation {
        cpu_percent: percent(|resources| resources.cpu_millis),
        memory_percent: percent(|resources| resources.memory_bytes),
        metal_percent: percent(|resources| resources.gpu_slots),
    }
}
