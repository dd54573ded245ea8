//! What tasks with shards become, and what is said of wrong ones.

use policy::event::{Item, SubmissionKey};
use policy::shards::DRIVER;
use policy::submission::Submission;
use proptest::prelude::*;

use super::*;
use crate::taskfile::{Given, parse};

fn context() -> Context {
    let (name, tenant) = ("build".into(), "ann".into());
    let (into, parameters) = (None, Given::new());
    Context { directory: "/srv/repo".into(), name, tenant, key: SubmissionKey(7), into, parameters }
}

fn read(text: &str) -> Submission {
    parse(text, Path::new("build.toml"), &context()).unwrap_or_else(|refused| panic!("{refused}"))
}

fn faults(text: &str) -> String {
    parse(text, Path::new("build.toml"), &context()).expect_err("a wrong file").to_string()
}

fn words(item: &Item) -> Vec<String> {
    item.spec.argv.iter().map(ToString::to_string).collect()
}

/// What `crab test` reads of it.
fn shards_of(item: &Item) -> TaskSpec {
    let words = words(item);
    let at = words.iter().position(|word| word == "--item").expect("it is told") + 1;
    let elsewhere = Context { tenant: "nobody".into(), ..context() };
    let submission = parse(&words[at], Path::new("item.json"), &elsewhere).expect("it is sound");
    TaskSpec::clone(&submission.items[0].spec)
}

const RICH: &str = r#"
    [defaults]
    env = { A = "1", B = "2" }
    memory = "1 GiB"
    timeout = "5m"
    require = "os=linux"
    [task.unit]
    after = "build"
    command = ["cargo", "test", "-p", "parser", "--", "--ignored"]
    cpus = 2
    env = { B = "3 {{x}} \"q\"" }
    soft_timeout = "90s"
    deadline = "2h"
    retry = { attempts = 3, backoff = "2s", losses = 4 }
    locks = ["repo"]
    gate = "test -e ok"
    workspace = { worktree = "." }
    labels = { team = "red" }
    evaluation = { run = "r1", gate = true }
    memory_limit = "2 GiB"
    grace = "7s"
    qos = "background"
    [task.build]
    command = ["true"]
"#;

#[test]
fn a_task_with_shards_waits_for_them_and_takes_nothing_that_they_need() {
    let text = format!("{RICH}\n[task.unit.shard]\ncount = 4\nby = \"hash\"\njunit = \"out/r.xml\"");
    let item = &read(&text).items[0];
    let words = words(item);
    let at = words.iter().position(|word| word == "--item").expect("it is told");
    assert_eq!(words[..4], ["/bin/sh", "-c", "exec \"$CRAB\" test \"$@\"", "crab"]);
    assert_eq!(words[4..12].join(" "), "--shards 4 --by hash --retries 2 --junit /srv/repo/out/r.xml");
    assert_eq!(words[at - 2..at].join(" "), "--base /srv/repo");
    assert_eq!(words[at + 2..].join(" "), "--runner cargo -- -p parser -- --ignored");
    let spec = &*item.spec;
    assert_eq!(spec.resources, driver_need());
    assert_eq!((spec.timeout, spec.grace, spec.retry.max_attempts), (None, Duration::from_secs(12), 1));
    assert!(
        spec.bounds.as_ref().is_some_and(|bounds| bounds.deadline.is_some() && bounds.soft_timeout.is_none())
    );
    assert!(spec.claims.is_none() && spec.stages.is_none() && spec.workspace.is_none());
    assert_eq!(spec.directory, Some("/srv/repo".into()));
    let about = spec.about.as_deref().expect("its labels are its own");
    assert!(about.labels.contains_key("team") && about.evaluation.is_none());
    assert_eq!((item.dependencies.len(), item.array), (1, None));
}

#[test]
fn what_is_said_of_the_task_holds_for_each_shard() {
    let text = format!("{RICH}\n[task.unit.shard]\ncount = 4");
    let plain = TaskSpec::clone(&read(RICH).items[0].spec);
    let shard = shards_of(&read(&text).items[0]);
    assert_eq!(shard, TaskSpec { argv: shard.argv.clone(), ..plain });
}

#[test]
fn each_command_is_run_by_the_runner_that_knows_it() {
    let end = |shard: &str, command: &str| {
        let text = format!("[task.t]\nshard = {shard}\n{command}");
        let words = words(&read(&text).items[0]);
        let at = words.iter().position(|word| word == "--item").expect("it is told");
        words[at + 2..].join(" ")
    };
    let of = |words: &str| end("2", &format!("command = [{words}]"));
    assert_eq!(of(r#""cargo", "nextest", "run", "-p", "x""#), "--runner nextest -- -p x");
    assert_eq!(of(r#""pytest", "tests""#), "--runner pytest -- tests");
    assert_eq!(of(r#""go", "test", "./...""#), "--runner go -- ./...");
    assert_eq!(of(r#""swift", "test""#), "--runner swift --");
    assert_eq!(of(r#""xcodebuild", "-scheme", "App", "test""#), "--runner xcodebuild -- -scheme App");
    let listed = end(r#"{ list = "ls cases", run = "./check {tests}" }"#, "cpus = 1");
    assert_eq!(listed, "--list ls cases --run ./check {tests} --");
    // Without a count as many as there is room for.
    let item = &read("[task.t]\ncommand = [\"pytest\"]\nshard = { by = \"count\" }").items[0];
    assert!(!words(item).contains(&"--shards".to_owned()));
}

#[test]
fn a_command_that_divides_itself_is_an_array_that_is_told_its_count() {
    let text = "[task.t]\nshell = \"x\"\ncpus = 2\nshard = { count = 3, own = true }\n[task.u]\nafter = \"t\"\nshell = \"y\"";
    let submission = read(text);
    let item = &submission.items[0];
    assert_eq!(item.array, Some(ArraySpec { first: 0, count: 3, parallel_limit: None }));
    assert_eq!(item.spec.environment, [("CRAB_SHARD_TOTAL".into(), "3".into())]);
    assert_eq!(item.spec.resources.cpu_millis, 2000);
    let asked: Vec<String> = item.spec.constraints.require.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ["shards"]);
    assert!(!item.spec.resources.named.contains_key(DRIVER));
}

#[test]
fn what_cannot_be_divided_is_refused_with_what_can() {
    for (text, expected) in [
        (
            "command = [\"cargo\", \"test\"]\nshard = 0",
            "3: task \"t\": shard = 0: must be a whole number between 1 and 1,024, or",
        ),
        ("command = [\"cargo\", \"test\"]\nshard = 1025", "between 1 and 1,024"),
        (
            "command = [\"cargo\", \"test\"]\nshard = { count = 0 }",
            "shard.count = 0: must be a whole number between 1 and 1,024",
        ),
        (
            "command = [\"cargo\", \"test\"]\nshard = { by = \"size\" }",
            "shard.by = \"size\": must be time, count, slice or hash",
        ),
        ("command = [\"cargo\", \"test\"]\nshard = { cuont = 2 }", "did you mean \"count\"?"),
        (
            "command = [\"make\", \"check\"]\nshard = 2",
            "3: task \"t\": shard: divides the tests of cargo test",
        ),
        ("shell = \"cargo test\"\nshard = 2", "own = true"),
        ("command = [\"cargo\", \"test\"]\nshard = 2\narray = \"1-2\"", "stands beside array"),
        ("command = [\"cargo\", \"test\"]\nshard = 2\ngang = 2", "stands beside gang"),
        ("handler = \"h\"\nshard = 2", "stands beside handler"),
        ("command = [\"x\"]\nshard = { list = \"a\", run = \"b\" }", "take the place of command"),
        ("shard = { list = \"a\" }", "list and run need each other"),
        ("shell = \"x\"\nshard = { own = true }", "needs a count"),
        ("shell = \"x\"\nshard = { count = 2, own = true, retries = 1 }", "shard.retries: means nothing"),
    ] {
        let told = faults(&format!("[task.t]\n{text}"));
        assert!(told.contains(expected), "{text}: {told}");
    }
}

proptest! {
    #[test]
    fn however_a_task_is_written_its_shards_are_what_it_would_be_alone(
        cpus in 1..64_u32,
        memory in proptest::option::of(1..64_u32),
        timeout in proptest::option::of(1..9999_u32),
        value in "[^\\p{C}'\"\\\\]{0,20}",
        retries in 0..9_u32,
        count in 1..=1024_u32,
    ) {
        let memory = memory.map(|gib| format!("memory = \"{gib} GiB\"\n")).unwrap_or_default();
        let timeout = timeout.map(|seconds| format!("timeout = {seconds}\n")).unwrap_or_default();
        let text = format!(
            "[defaults]\n{memory}[task.'{value}t']\ncommand = [\"pytest\"]\ncpus = {cpus}\nretries = {retries}\n\
             env = {{ X = '{value}' }}\n{timeout}"
        );
        let alone = TaskSpec::clone(&read(&text).items[0].spec);
        let shards = read(&format!("{text}shard = {count}\n"));
        let shard = shards_of(&shards.items[0]);
        prop_assert_eq!(&shard, &TaskSpec { argv: shard.argv.clone(), ..alone });
        prop_assert_eq!(&shards.items[0].spec.resources, &driver_need());
    }
}
