//! A graph for other programs: its execution as a trace of Chrome's format (also Perfetto's), its shape for Graphviz.

use std::collections::{BTreeMap, BTreeSet};

use policy::id::GraphId;
use policy::time::Timestamp;
use serde_json::{Value, json};

use crate::console::Console;
use crate::console::fault::{Fault, Sort};
use crate::console::syntax::Line;
use crate::wire::client::{Target, TaskDetail, TaskFilter};

/// Tasks of one export: one question each, a second or two.
const TASKS_LIMIT: usize = 5000;

/// What can be written.
pub const FORMATS: &[&str] = &["chrome", "dot"];

impl Console {
    /// Answers `export FORMAT GRAPH`: the text of a file.
    ///
    /// # Errors
    /// No such format or graph, or too many tasks.
    pub async fn export(&self, line: &Line) -> Result<String, Fault> {
        let mut words = line.plain();
        let (Some(format), Some(graph)) = (words.next(), words.next()) else {
            return Err(Fault::usage(line.span.clone(), "export wants: export chrome|dot GRAPH"));
        };
        if !FORMATS.contains(&format.text.as_str()) {
            let text = format!("there is no format {}", format.text);
            return Err(Fault::usage(format.span.clone(), text).possible(FORMATS));
        }
        let graph = match self.target(graph).await? {
            Target::Graph(graph) => graph,
            Target::Task(task) => self.eye()?.task(task).await?.row.graph,
        };
        let details = self.details(graph).await?;
        Ok(if format.text == "dot" { dot(graph, &details) } else { chrome(&details, self.now()).to_string() })
    }

    async fn details(&self, graph: GraphId) -> Result<Vec<TaskDetail>, Fault> {
        let eye = self.eye()?;
        let filter = TaskFilter { graph: Some(graph), states: Vec::new() };
        let rows = eye.tasks(&filter, TASKS_LIMIT + 1).await?;
        if rows.len() > TASKS_LIMIT {
            return Err(Fault::of(Sort::Refused, format!("{graph} has more than {TASKS_LIMIT} tasks")));
        }
        let mut details = Vec::with_capacity(rows.len());
        for row in rows {
            details.push(eye.task(row.task).await?);
        }
        Ok(details)
    }
}

/// Each attempt as a bar on its machine, in a lane of its own where several ran at once. What still runs ends now.
fn chrome(details: &[TaskDetail], now: Timestamp) -> Value {
    let mut machines: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    let mut attempts: Vec<_> = details
        .iter()
        .flat_map(|detail| {
            detail.attempts.iter().filter_map(move |attempt| Some((attempt.started?, detail, attempt)))
        })
        .collect();
    attempts.sort_by_key(|(started, detail, _)| (*started, detail.row.task));
    let mut events = Vec::new();
    for (started, detail, attempt) in attempts {
        let ended = attempt.ended.unwrap_or(now).max(started);
        let lanes = machines.entry(attempt.node.to_string()).or_default();
        let lane = lanes.iter().position(|free| *free <= started).unwrap_or(lanes.len());
        if lane == lanes.len() {
            lanes.push(ended);
        } else {
            lanes[lane] = ended;
        }
        events.push(json!({
            "name": &*detail.row.name, "cat": "attempt", "ph": "X", "ts": started.0, "dur": ended.0 - started.0,
            "pid": attempt.node.to_string(), "tid": lane,
            "args": {
                "task": detail.row.task.to_string(), "attempt": attempt.number.0,
                "outcome": attempt.outcome.as_ref().map(ToString::to_string),
                "queued_us": started.0.saturating_sub(attempt.granted.0),
            },
        }));
    }
    // Names of machines in place of the numbers that the format wants.
    let number = |name: &str| machines.keys().position(|known| known == name).map_or(0, |at| at + 1);
    for event in &mut events {
        let machine = event["pid"].as_str().map(number);
        event["pid"] = machine.into();
    }
    let named = machines.keys().map(|name| {
        json!({"name": "process_name", "ph": "M", "pid": number(name), "tid": 0, "args": {"name": name}})
    });
    let all: Vec<Value> = named.chain(events).collect();
    json!({"displayTimeUnit": "ms", "traceEvents": all})
}

/// Items as boxes, dependencies as arrows; arrays are one box.
fn dot(graph: GraphId, details: &[TaskDetail]) -> String {
    let base = |detail: &TaskDetail| detail.spec.name.to_string();
    let quoted = |name: &str| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let mut items: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let mut edges = BTreeSet::new();
    for detail in details {
        *items.entry(base(detail)).or_default().entry(detail.row.state.to_string()).or_default() += 1;
        edges.extend(detail.dependencies.iter().map(|(on, _)| (on.to_string(), base(detail))));
    }
    let mut text = format!("digraph {graph} {{\n  rankdir=LR; node [shape=box];\n");
    for (name, states) in &items {
        let many = states.values().sum::<u64>() > 1;
        let states =
            states.iter().map(|(state, count)| if many { format!("{count} {state}") } else { state.clone() });
        let label = format!("{name}\n{}", states.collect::<Vec<_>>().join(", "));
        text.push_str(&format!("  {} [label={}];\n", quoted(name), quoted(&label).replace('\n', "\\n")));
    }
    for (on, name) in &edges {
        text.push_str(&format!("  {} -> {};\n", quoted(on), quoted(name)));
    }
    text.push_str("}\n");
    text
}
