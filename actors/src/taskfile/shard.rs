//! The field `shard`: the tests of a task run in so many pieces at once.
//!
//! Where its command runs tests that `crab test` knows to divide, the task becomes one that waits: it has `crab test` run them,
//! which hands in a task for each piece, and all else that is said of the task holds for each of these. A command that divides
//! its tests itself becomes an array whose members are told which of how many they are. How tests are divided is not known here.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use policy::admission::AdmissionLimits;
use policy::bounds::TimeBounds;
use policy::constraint::{Condition, Constraints, SHARDS, Test};
use policy::event::ArraySpec;
use policy::shards::{SHARDS_LIMIT, TOTAL_VARIABLE, driver_need};
use policy::task::{About, Qos, RetryPolicy, TaskSpec};
use policy::text::OsText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value as Json};

use super::Context;
use super::build::{absolute, path_text, value};
use super::fault::Fault;
use super::field::small;
use super::reader::{At, Read, Reader};
use super::shape::{Sharding, Task};
use super::tree::{Node, Value};

/// How much longer than its shards such a task may take to end: it tells what came of them.
const TELLS_FOR: Duration = Duration::from_secs(5);
/// What starts `crab` where its machine says that it is.
const SCRIPT: &str = "exec \"$CRAB\" test \"$@\"";
/// Fields that are about the task itself, not about its shards.
const OWN_FIELDS: [&str; 8] = ["shard", "after", "command", "shell", "array", "gang", "handler", "payload"];

const EXPECTED: &str =
    "must be a whole number between 1 and 1,024, or a table such as { count = 4, by = \"time\" }";
const UNKNOWN: &str = "divides the tests of cargo test, cargo nextest run, pytest, go test, swift test and xcodebuild test; for \
                       others say how they are listed and run ({ list = \"ls cases\", run = \"./check {tests}\" } instead of a \
                       command), or { count = 4, own = true } where the command divides them itself, by CRAB_SHARD_INDEX \
                       and CRAB_SHARD_TOTAL";

/// How many, and how.
#[derive(Debug, Clone, Default)]
pub(super) struct Shard(Box<Sharding>);

/// A number of shards.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count(u32);

impl Read for Count {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        small(node, reader, (1, SHARDS_LIMIT.into())).map(Self)
    }
}

impl Read for Shard {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let sharding = match &node.value {
            Value::Table(_) => Sharding::read(node, reader)?,
            Value::Number(digits)
                if digits.parse().is_ok_and(|count| (1..=SHARDS_LIMIT).contains(&count)) =>
            {
                let line = reader.source.line(node.span.start);
                let count = Count::read(node, reader)?;
                Sharding { count: Some(At { value: count, line }), ..Sharding::default() }
            }
            _ => return reader.wrong(node, EXPECTED),
        };
        Some(Self(Box::new(sharding)))
    }
}

fn count_schema() -> Json {
    serde_json::json!({ "type": "integer", "minimum": 1, "maximum": SHARDS_LIMIT })
}

impl JsonSchema for Count {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": SHARDS_LIMIT })
    }
}

impl JsonSchema for Shard {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Shard".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<Sharding>();
        json_schema!({
            "anyOf": [count_schema(), table],
            "examples": [4, { "count": 4, "by": "time", "retries": 2, "junit": "results.xml" }]
        })
    }
}

/// What a task with shards becomes.
#[derive(Debug)]
enum Division<'t> {
    /// `crab test` divides its tests: what says who runs them, and what that one is told.
    Suite(Vec<&'t str>, Vec<&'t str>),
    /// It divides them itself.
    Own(u32),
}

/// `Err` where nobody knows how to divide them.
fn division(task: &Task) -> Option<Result<Division<'_>, &'static str>> {
    let sharding = &*value(&task.shard)?.0;
    let is_own = value(&sharding.own).is_some_and(|own| own.0);
    let divided = match (value(&sharding.list), value(&sharding.run), value(&task.command)) {
        _ if is_own => match value(&sharding.count) {
            Some(count) => Ok(Division::Own(count.0)),
            None => Err("own = true needs a count: the command is told it in CRAB_SHARD_TOTAL"),
        },
        (Some(list), Some(run), _) => {
            Ok(Division::Suite(vec!["--list", &list.0, "--run", &run.0], Vec::new()))
        }
        (Some(_), None, _) | (None, Some(_), _) => Err("list and run need each other"),
        (None, None, Some(words)) => suite(&words.0).ok_or(UNKNOWN),
        (None, None, None) => Err(UNKNOWN),
    };
    Some(divided)
}

/// The runner of this command, and what that is told.
fn suite(words: &[String]) -> Option<Division<'_>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (runner, told) = match &*words {
        ["cargo", "test", told @ ..] => ("cargo", told.to_vec()),
        ["cargo", "nextest", "run", told @ ..] => ("nextest", told.to_vec()),
        ["pytest", told @ ..] => ("pytest", told.to_vec()),
        ["go", "test", told @ ..] => ("go", told.to_vec()),
        ["swift", "test", told @ ..] => ("swift", told.to_vec()),
        ["xcodebuild", told @ ..] if told.contains(&"test") => {
            ("xcodebuild", told.iter().copied().filter(|word| *word != "test").collect())
        }
        _ => return None,
    };
    Some(Division::Suite(vec!["--runner", runner], told))
}

/// Whether something else than a command says what is run.
pub(super) fn takes_the_place_of_a_command(task: &Task) -> bool {
    value(&task.shard).is_some_and(|shard| shard.0.list.is_some() && shard.0.run.is_some())
}

/// What excludes or needs each other.
pub(super) fn conflicts(name: &str, task: &At<Task>) -> Vec<Fault> {
    let Task { shard: Some(shard), array, gang, handler, command, shell, .. } = &task.value else {
        return Vec::new();
    };
    let fault = |field: &str, expected: &str| Fault {
        line: shard.line,
        task: Some(name.to_owned()),
        field: field.to_owned(),
        value: String::new(),
        expected: expected.to_owned(),
    };
    let sharding = &*shard.value.0;
    let beside = [("array", array.is_some()), ("gang", gang.is_some()), ("handler", handler.is_some())];
    let beside = beside.into_iter().filter(|(_, is_there)| *is_there);
    let beside = beside.map(|(other, _)| fault("shard", &format!("stands beside {other}: keep one of them")));
    let has_command = command.is_some() || shell.is_some();
    let listed = (sharding.list.is_some() && has_command)
        .then(|| fault("shard.list", "list and run take the place of command and shell: keep one of them"));
    let is_own = value(&sharding.own).is_some_and(|own| own.0);
    let of_suites = [
        ("by", sharding.by.is_some()),
        ("retries", sharding.retries.is_some()),
        ("junit", sharding.junit.is_some()),
        ("list", sharding.list.is_some()),
        ("run", sharding.run.is_some()),
    ];
    let idle = of_suites.into_iter().filter(|(_, is_there)| is_own && *is_there);
    let idle = idle
        .map(|(field, _)| fault(&format!("shard.{field}"), "means nothing where the command divides itself"));
    let beside: Vec<Fault> = beside.chain(listed).chain(idle).collect();
    let unknown = division(&task.value).and_then(Result::err).filter(|_| beside.is_empty());
    let unknown = unknown.map(|expected| fault("shard", expected));
    beside.into_iter().chain(unknown).collect()
}

/// Its indices, where it divides itself.
pub(super) fn array(task: &Task) -> Option<ArraySpec> {
    match division(task)?.ok()? {
        Division::Own(count) => Some(ArraySpec { first: 0, count: count.into(), parallel_limit: None }),
        Division::Suite(..) => None,
    }
}

/// What becomes of a task that is otherwise `spec`; `root` is the file that it is in.
pub(super) fn apply(spec: TaskSpec, task: &Task, (root, context): (&Node, &Context)) -> TaskSpec {
    match division(task).and_then(Result::ok) {
        None => spec,
        Some(Division::Own(count)) => told(spec, count),
        Some(Division::Suite(runner, args)) => {
            let argv = argv(&spec, task, (runner, args), (root, context));
            driver(spec, argv, &context.directory)
        }
    }
}

/// Machines of before do not tell members which they are: each would run all tests.
fn told(mut spec: TaskSpec, count: u32) -> TaskSpec {
    spec.environment.retain(|(name, _)| name.as_bytes() != TOTAL_VARIABLE.as_bytes());
    spec.environment.push((TOTAL_VARIABLE.into(), OsText::from(count.to_string())));
    spec.constraints.require.push(Condition { label: SHARDS.into(), test: Test::Exists });
    spec
}

/// The task that waits: next to nothing of a machine, and all that is about the task itself.
fn driver(spec: TaskSpec, argv: Vec<OsText>, base: &Path) -> TaskSpec {
    // What shards have a workspace for is listed where that is made from.
    let directory = match spec.workspace {
        Some(_) => Some(path_text(base)),
        None => spec.directory,
    };
    let deadline = spec.bounds.as_ref().and_then(|bounds| bounds.deadline);
    let bounds = deadline.map(|_| Box::new(TimeBounds { deadline, ..TimeBounds::default() }));
    // What is judged are the shards: where they may run is nothing to whoever waits for them.
    let about = spec.about.map(|about| Box::new(About { evaluation: None, ..*about }));
    let longest = AdmissionLimits::default().grace.max(spec.grace);
    TaskSpec {
        argv,
        directory,
        bounds,
        about: about.filter(|about| !about.is_empty()),
        resources: driver_need(),
        alternatives: Vec::new(),
        constraints: Constraints::default(),
        // What fails is run again by itself, test by test.
        retry: RetryPolicy { max_attempts: 1, ..RetryPolicy::default() },
        timeout: None,
        grace: (spec.grace + TELLS_FOR).min(longest),
        workspace: None,
        provision: None,
        stages: None,
        artifacts: None,
        limits: None,
        claims: None,
        kind: None,
        qos: Qos::default(),
        is_preemptible: false,
        ..spec
    }
}

fn argv(
    spec: &TaskSpec,
    task: &Task,
    (runner, args): (Vec<&str>, Vec<&str>),
    (root, context): (&Node, &Context),
) -> Vec<OsText> {
    let Some(Shard(sharding)) = value(&task.shard) else { return Vec::new() };
    let of_task = spec.retry.max_attempts.saturating_sub(1);
    let retries = value(&sharding.retries).map_or(of_task, |retries| retries.0);
    let mut words: Vec<OsText> = ["/bin/sh", "-c", SCRIPT, "crab"].map(OsText::from).into();
    let mut say = |option: &str, value: OsText| words.extend([option.into(), value]);
    if let Some(count) = value(&sharding.count) {
        say("--shards", count.0.to_string().as_str().into());
    }
    if let Some(by) = value(&sharding.by) {
        say("--by", by.0.to_string().as_str().into());
    }
    say("--retries", retries.to_string().as_str().into());
    if let Some(junit) = value(&sharding.junit) {
        say("--junit", path_text(&absolute(&context.directory, &junit.0)));
    }
    say("--base", path_text(&context.directory));
    say("--item", item(root, (&spec.name, &spec.tenant)).as_str().into());
    words.extend(runner.into_iter().chain(["--"]).chain(args).map(OsText::from));
    words
}

/// All that holds for each shard: a task file of its own, of one task whose command nobody looks at.
fn item(root: &Node, (name, tenant): (&str, &str)) -> String {
    let mut fields = match plain(field(field(Some(root), "task"), name)) {
        Json::Object(fields) => fields,
        _ => Map::new(),
    };
    OWN_FIELDS.iter().for_each(|field| drop(fields.remove(*field)));
    fields.insert("command".to_owned(), vec!["true"].into());
    fields.insert("tenant".to_owned(), tenant.into());
    let mut file = Map::new();
    if let defaults @ Json::Object(_) = plain(field(Some(root), "defaults")) {
        file.insert("defaults".to_owned(), defaults);
    }
    file.insert("task".to_owned(), Json::Object(Map::from_iter([(name.to_owned(), Json::Object(fields))])));
    Json::Object(file).to_string()
}

fn field<'n>(table: Option<&'n Node>, key: &str) -> Option<&'n Node> {
    match &table?.value {
        Value::Table(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
        _ => None,
    }
}

/// As JSON. What that cannot hold is refused where the file is read.
fn plain(node: Option<&Node>) -> Json {
    match node.map(|node| &node.value) {
        None | Some(Value::Null | Value::Date) => Json::Null,
        Some(Value::Boolean(value)) => (*value).into(),
        Some(Value::Number(digits)) => digits.parse().map_or(Json::Null, Json::Number),
        Some(Value::Text(text)) => text.as_str().into(),
        Some(Value::List(nodes)) => nodes.iter().map(|node| plain(Some(node))).collect(),
        Some(Value::Table(entries)) => {
            entries.iter().map(|entry| (entry.key.clone(), plain(Some(&entry.node)))).collect()
        }
    }
}

#[cfg(test)]
mod tests;
