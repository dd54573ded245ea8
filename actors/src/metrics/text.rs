//! A sample as Prometheus reads it: OpenMetrics text.
//!
//! What there is stands in `families`, one line each. No label ever names a task, a graph or a tenant: what is kept
//! by collectors grows with every value that a label takes.

use std::fmt;

use policy::pressure::Mode;
use policy::resources::Resources;
use policy::task::Priority;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use strum::VariantArray;

use crate::wire::client::{NodeHealth, NodeRow, Sample, Status, WAIT_BOUNDS, WaitsRow};

/// What the body is, as HTTP names it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A sample as text.
#[must_use]
pub fn text(sample: &Sample) -> String {
    let mut registry = Registry::with_prefix("knittingcrab");
    registry.register_collector(Box::new(Collected(sample.clone())));
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Collected(Sample);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in families(&self.0) {
            let Family { name, help, unit, points } = family;
            let kind = match &points {
                Points::Gauge(_) => MetricType::Gauge,
                Points::Counter(_) => MetricType::Counter,
                Points::Histogram(_) => MetricType::Histogram,
            };
            points.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)?;
        }
        Ok(())
    }
}

/// Labels of one point.
type Labels = Vec<(&'static str, String)>;

/// One metric with all its points.
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    points: Points,
}

enum Points {
    Gauge(Vec<(Labels, f64)>),
    Counter(Vec<(Labels, u64)>),
    Histogram(Vec<(Labels, WaitsRow)>),
}

impl Points {
    fn encode(self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(points) => {
                points.iter().try_for_each(|(labels, value)| of(&mut encoder, labels)?.encode_gauge(value))
            }
            Self::Counter(points) => points.iter().try_for_each(|(labels, value)| {
                of(&mut encoder, labels)?.encode_counter::<NoLabelSet, _, f64>(value, None)
            }),
            Self::Histogram(points) => points.iter().try_for_each(|(labels, waits)| {
                let bounds = WAIT_BOUNDS.iter().map(|bound| bound.as_secs_f64()).chain([f64::INFINITY]);
                let buckets: Vec<_> = bounds.zip(waits.buckets.iter().copied()).collect();
                let (sum, count) = (waits.sum.as_secs_f64(), waits.count());
                of(&mut encoder, labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }),
        }
    }
}

fn of<'e>(encoder: &'e mut MetricEncoder<'_>, labels: &'e Labels) -> Result<MetricEncoder<'e>, fmt::Error> {
    encoder.encode_family(labels)
}

fn gauge(name: &'static str, help: &'static str, points: Vec<(Labels, f64)>) -> Family {
    Family { name, help, unit: None, points: Points::Gauge(points) }
}

fn counter(name: &'static str, help: &'static str, points: Vec<(Labels, u64)>) -> Family {
    Family { name, help, unit: None, points: Points::Counter(points) }
}

fn one<N>(value: N) -> Vec<(Labels, N)> {
    vec![(Vec::new(), value)]
}

fn labelled<N>(label: &'static str, points: impl IntoIterator<Item = (String, N)>) -> Vec<(Labels, N)> {
    points.into_iter().map(|(value, number)| (vec![(label, value)], number)).collect()
}

fn flag(is_set: bool) -> f64 {
    if is_set { 1.0 } else { 0.0 }
}

fn by_priority<N>(of: impl Fn(usize) -> N) -> Vec<(Labels, N)> {
    labelled("priority", Priority::VARIANTS.iter().map(|one| (one.to_string(), of(*one as usize))))
}

fn families(sample: &Sample) -> Vec<Family> {
    let mut all = of_daemon(sample);
    all.extend(of_counts(sample));
    if let Some(status) = &sample.status {
        all.extend(of_queue(status));
        all.extend(of_fleet(&status.nodes));
    }
    all
}

fn of_daemon(sample: &Sample) -> Vec<Family> {
    let server = &sample.server;
    let busy = sample
        .actors
        .iter()
        .map(|actor| (actor.name.to_string(), actor.busy.map_or(0.0, |busy| busy.as_secs_f64())));
    let each = |of: fn(&crate::wire::client::ActorRow) -> u64| {
        labelled("actor", sample.actors.iter().map(|actor| (actor.name.to_string(), of(actor))))
    };
    let version = vec![("version", server.version.to_string()), ("name", server.name.to_string())];
    let depths = each(|actor| actor.depth).into_iter().map(|(labels, depth)| (labels, depth as f64));
    vec![
        gauge("build", "The daemon that answers; always 1.", vec![(version, 1.0)]),
        gauge(
            "scheduler_answers",
            "Whether the scheduler answered within two seconds.",
            one(flag(sample.status.is_some())),
        ),
        gauge(
            "log_writable",
            "Whether events can be written to disk.",
            one(flag(sample.log_trouble.is_none())),
        ),
        counter("log_records", "Events that are durable, since the log began.", one(server.durable)),
        gauge("epoch", "The scheduler's reign: grows with each start.", one(f64::from(server.epoch))),
        Family {
            name: "uptime",
            help: "Since the daemon was started.",
            unit: Some(Unit::Seconds),
            points: Points::Gauge(one(sample.at.since(server.started).as_secs_f64())),
        },
        gauge("actor_mailbox_depth", "Messages that wait for an actor.", depths.collect()),
        Family {
            name: "actor_busy",
            help: "How long an actor has been handling its present message.",
            unit: Some(Unit::Seconds),
            points: Points::Gauge(labelled("actor", busy)),
        },
        counter("actor_handled", "Messages that an actor has handled.", each(|actor| actor.handled)),
        counter(
            "actor_restarts",
            "How often an actor was started again.",
            each(|actor| u64::from(actor.restarts)),
        ),
    ]
}

fn of_counts(sample: &Sample) -> Vec<Family> {
    let meters = &sample.meters;
    let ends = &meters.ends;
    let ended = [
        ("succeeded", ends.succeeded),
        ("failed", ends.failed),
        ("lost", ends.lost),
        ("cancelled", ends.cancelled),
        ("skipped", ends.skipped),
        ("poisoned", ends.poisoned),
        ("out-of-retries", ends.out_of_retries),
    ];
    let nodes = &meters.nodes;
    let news = [
        ("joined", nodes.joined),
        ("suspected", nodes.suspected),
        ("recovered", nodes.recovered),
        ("lost", nodes.lost),
    ];
    let named =
        |points: &[(&str, u64)]| points.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
    vec![
        counter("tasks_ended", "Tasks that have ended, by how.", labelled("outcome", named(&ended))),
        counter(
            "attempts_retried",
            "Attempts that were over and were followed by another.",
            one(meters.retried),
        ),
        counter("tasks_aged", "Tasks served as more urgent, since they had waited long.", one(meters.aged)),
        counter(
            "attempts_evicted",
            "Attempts that were stopped to make room for more urgent tasks.",
            one(meters.evicted),
        ),
        counter("breaker_trips", "Breakers of machines that opened.", one(meters.trips)),
        counter("spans_sent", "Spans of traces that were taken by their receiver.", one(meters.spans_sent)),
        counter(
            "spans_dropped",
            "Spans of traces that found no room or no taker.",
            one(meters.spans_dropped),
        ),
        counter("node_events", "What became of machines.", labelled("event", named(&news))),
        Family {
            name: "runnable_latency",
            help: "From being able to run to being sent to a machine.",
            unit: Some(Unit::Seconds),
            points: Points::Histogram(by_priority(|one| meters.waits[one].clone())),
        },
    ]
}

fn of_queue(status: &Status) -> Vec<Family> {
    let tasks = &status.tasks;
    let states = [
        ("waiting", tasks.waiting),
        ("ready", tasks.ready),
        ("backing-off", tasks.backing_off),
        ("active", tasks.active),
    ];
    let states = states.map(|(state, count)| (state.to_owned(), count as f64));
    let pressure = &status.pressure;
    let modes = Mode::VARIANTS.iter().map(|mode| (mode.to_string(), flag(pressure.mode == *mode)));
    vec![
        gauge("tasks", "Tasks that have not ended, by state.", labelled("state", states)),
        gauge(
            "queued_tasks",
            "Tasks that are ready, by priority.",
            by_priority(|one| status.queued[one] as f64),
        ),
        gauge("graphs", "Graphs that have not ended.", one(status.graphs as f64)),
        gauge("awake_tasks", "Actors of tasks.", one(status.awake as f64)),
        gauge(
            "pressure_depth",
            "Tasks and arrays that have not ended; an array counts once.",
            one(pressure.depth as f64),
        ),
        gauge("pressure_limit", "How many there may be.", one(pressure.limit as f64)),
        gauge("pressure_mode", "The mode that holds is 1.", labelled("mode", modes)),
        counter("submissions_shed", "Submissions that were told to come back.", one(pressure.shed)),
        gauge("halted", "Whether an operator has halted everything.", one(flag(status.halted))),
        gauge("paused", "How much operators have paused.", one(status.paused.len() as f64)),
        gauge("warnings", "Troubles that an operator should know of.", one(status.warnings.len() as f64)),
    ]
}

fn of_fleet(nodes: &[NodeRow]) -> Vec<Family> {
    let health = [NodeHealth::Up, NodeHealth::Suspect, NodeHealth::Lost]
        .map(|health| (health.to_string(), nodes.iter().filter(|node| node.health == health).count() as f64));
    let up = || nodes.iter().filter(|node| node.health != NodeHealth::Lost);
    let sum = |of: fn(&NodeRow) -> &Resources| {
        let total = up().map(of).fold(Resources::default(), |sum, one| sum.checked_add(one).unwrap_or(sum));
        let resources = [
            ("cpu-cores", total.cpu_millis as f64 / 1000.0),
            ("memory-bytes", total.memory_bytes as f64),
            ("gpu-slots", total.gpu_slots as f64),
        ];
        labelled("resource", resources.map(|(name, amount)| (name.to_owned(), amount)))
    };
    let each = |of: fn(&NodeRow) -> f64| {
        labelled("node", nodes.iter().map(|node| (node.node.to_string(), of(node))))
    };
    vec![
        gauge("nodes", "Machines, by how they are.", labelled("health", health)),
        gauge("capacity", "What the machines that are up have.", sum(|node| &node.capacity)),
        gauge("allocated", "What of that is taken.", sum(|node| &node.allocated)),
        gauge(
            "node_up",
            "Whether a machine was heard of in time.",
            each(|node| flag(node.health == NodeHealth::Up)),
        ),
        gauge("node_running", "Attempts that run on a machine.", each(|node| f64::from(node.running))),
        gauge(
            "node_staged",
            "Attempts that wait on a machine for their turn.",
            each(|node| f64::from(node.staged)),
        ),
        gauge(
            "node_closed",
            "Whether a machine takes no new work, as an operator has said.",
            each(|node| {
                let directed = &node.directed;
                flag(directed.cordoned || directed.draining || directed.halted || directed.halted_here)
            }),
        ),
        gauge(
            "node_strain",
            "How strained a machine is: 0 normal, 1 warn, 2 critical.",
            each(|node| f64::from(node.strain.level as u8)),
        ),
        gauge(
            "node_breakers",
            "Breakers of a machine that are not closed.",
            each(|node| node.breakers.len() as f64),
        ),
    ]
}
