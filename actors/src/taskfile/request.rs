//! What a task holds while it runs, and the field `alternatives`: several requests, the best first.

use std::borrow::Cow;

use policy::resources::Resources;
use policy::task::{DEFAULT_CPU_MILLIS, REQUESTS_LIMIT};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::build::{pick, value};
use super::reader::{Read, Reader};
use super::shape::{Common, Request};
use super::tree::{Node, Value};

/// Requests in order of preference.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(pub(super) Vec<Request>);

const EXPECTED: &str =
    "must be a list of requests, the best first, such as [{ cpus = 8 }, { cpus = 2, gpu = 1 }]";

impl Read for Requests {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::List(nodes) = &node.value else { return reader.wrong(node, EXPECTED) };
        if !(1..=REQUESTS_LIMIT).contains(&nodes.len()) {
            return reader.wrong(node, format!("{EXPECTED}, at most {REQUESTS_LIMIT}"));
        }
        // All of them, so that every fault is heard of.
        let read: Vec<_> = nodes.iter().map(|one| Request::read(one, reader)).collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }
}

impl JsonSchema for Requests {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Requests".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<Request>();
        json_schema!({
            "type": "array", "items": one, "minItems": 1, "maxItems": REQUESTS_LIMIT,
            "examples": [[{ "cpus": 8 }, { "cpus": 2, "gpu": 1 }]]
        })
    }
}

/// The first request of a task, and the others in order.
pub(super) fn requests(own: &Common, defaults: &Common) -> (Resources, Vec<Resources>) {
    let base = base(own, defaults);
    let Some(Requests(requests)) = pick(&own.alternatives, &defaults.alternatives) else {
        return (base, Vec::new());
    };
    let mut requests = requests.iter().map(|request| over(&base, request));
    let first = requests.next().unwrap_or_else(|| base.clone());
    (first, requests.collect())
}

fn base(own: &Common, defaults: &Common) -> Resources {
    let mut named = value(&defaults.resources).map(|amounts| amounts.0.clone()).unwrap_or_default();
    if let Some(amounts) = value(&own.resources) {
        named.extend(amounts.0.clone());
    }
    Resources {
        cpu_millis: pick(&own.cpus, &defaults.cpus).map_or(DEFAULT_CPU_MILLIS, |cpus| cpus.0),
        memory_bytes: pick(&own.memory, &defaults.memory).map_or(0, |memory| memory.0),
        gpu_slots: pick(&own.gpu, &defaults.gpu).map_or(0, |gpu| gpu.0),
        disk_bytes: pick(&own.disk, &defaults.disk).map_or(0, |disk| disk.0),
        named,
    }
}

/// What a request says, and for the rest what the task does.
fn over(base: &Resources, request: &Request) -> Resources {
    let mut named = base.named.clone();
    if let Some(amounts) = value(&request.resources) {
        named.extend(amounts.0.clone());
    }
    Resources {
        cpu_millis: value(&request.cpus).map_or(base.cpu_millis, |cpus| cpus.0),
        memory_bytes: value(&request.memory).map_or(base.memory_bytes, |memory| memory.0),
        gpu_slots: value(&request.gpu).map_or(base.gpu_slots, |gpu| gpu.0),
        disk_bytes: value(&request.disk).map_or(base.disk_bytes, |disk| disk.0),
        named,
    }
}
