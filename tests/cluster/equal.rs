//! The same graph gives the same results in one process and on a fleet.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::fleet::Fleet;
use crate::support::place::Place;

/// By name: how a task ended, after how many attempts, and what it wrote.
type Results = BTreeMap<String, (String, u64, u64)>;

/// A graph of everything: an array, a dependency, a failure, a skip, output of both kinds.
const MIXED: &str = "name = \"mixed\"\n[task.a]\narray = \"1-6%2\"\nshell = \"echo $CRAB_ARRAY_INDEX; echo e >&2\"\n\
    [task.b]\nafter = [\"a\"]\nshell = \"exit 3\"\nretries = 1\n[task.c]\nafter = [\"b\"]\ncommand = [\"true\"]\n\
    [task.d]\nafter = [\"a\"]\nshell = \"kill -9 $$\"\n";

#[test]
fn a_graph_has_the_same_results_embedded_and_on_a_fleet() {
    let mut fleet = Fleet::start(2);
    let alone = Place::new();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("actors/examples");
    let example = |name: &str| examples.join(name).display().to_string();
    let mixed = alone.file("mixed.toml", MIXED).display().to_string();
    let graphs =
        [(example("hello.toml"), 0), (example("diamond.toml"), 0), (example("array.toml"), 0), (mixed, 1)];
    for (file, code) in graphs {
        let here = results(&alone.run(&["run", "--json", &file]).expect(code).json());
        let there = results(&fleet.scheduler.run(&["run", "--json", &file]).expect(code).json());
        assert!(!here.is_empty());
        assert_eq!(here, there, "{file}");
    }
    fleet.nothing_runs();
    fleet.stop();
    assert_eq!(alone.left(), []);
}

/// What the events of a run say.
fn results(events: &[Value]) -> Results {
    let first = |event: &Value| event["graph"].as_str().and_then(|graph| graph[1..].parse::<u64>().ok());
    let first = events.iter().find_map(first).expect("a graph");
    let mut results = Results::new();
    for event in events
        .iter()
        .filter(|event| event["event"] == "task.attempt-ended" || event["event"] == "task.finished")
    {
        let number = event["task"].as_str().and_then(|task| task[1..].parse::<u64>().ok()).expect("a task");
        let result = results.entry(format!("{}", number - first)).or_default();
        let end = &event["outcome"];
        let written = |stream: &str| event["usage"][stream].as_u64().unwrap_or(0);
        *result = (
            format!("{} {} {}", end["kind"], end["exit_code"], end["signal"]),
            result.1 + 1,
            written("stdout_bytes") * 1000 + written("stderr_bytes"),
        );
    }
    results
}
