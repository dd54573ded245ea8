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

/// The shape of `actors/examples/workspace.toml` with nothing to compile: stages one after the other that
/// leave files for the next, shards side by side in one directory, and a summary of them all.
const WORKSPACE: &str = r#"
name = "workspace"
[defaults]
directory = "DIRECTORY"
[task.fetch]
shell = "test -e fetched || { touch fetched; exit 75; }"
retry = { attempts = 4, backoff = "10ms", exit_codes = [75] }
[task.format]
command = ["true"]
cpus = 0.5
[task.check]
after = ["fetch"]
shell = "test -e fetched && echo checked > checked"
[task.build]
after = ["check"]
shell = "cat checked && for shard in 1 2 3 4 5 6 7 8; do echo $shard > shard-$shard; done"
[task.test]
after = ["build"]
array = "1-8"
shell = "cat shard-$CRAB_ARRAY_INDEX && echo passed > passed-$CRAB_ARRAY_INDEX"
[task.test-all]
after = ["build"]
shell = "cat shard-*"
memory = "64 MiB"
[task.summary]
after = ["format", "test", "test-all"]
shell = "cat passed-* | wc -l"
cpus = 0.1
"#;

#[test]
fn stages_shards_and_a_summary_come_to_the_same_embedded_and_on_a_fleet() {
    let mut fleet = Fleet::start(2);
    let alone = Place::new();
    let file = |place: &Place, name: &str| {
        let directory = place.root().join(name);
        std::fs::create_dir(&directory).expect("a directory");
        let directory = directory.display().to_string();
        place.file(&format!("{name}.toml"), WORKSPACE.replace("DIRECTORY", &directory)).display().to_string()
    };
    let here = results(&alone.run(&["run", "--json", &file(&alone, "here")]).expect(0).json());
    let there = results(&fleet.scheduler.run(&["run", "--json", &file(&alone, "there")]).expect(0).json());
    assert_eq!(here.len(), 4 + 8 + 2);
    assert_eq!(
        here["0"],
        ("\"succeeded\" 0 null".to_owned(), 2, 0),
        "the first try of the first stage fails"
    );
    assert_eq!(here, there);
    assert_eq!(fleet.scheduler.run(&["logs", "summary"]).expect(0).text().trim(), "8");
    fleet.nothing_runs();
    fleet.stop();
}

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
