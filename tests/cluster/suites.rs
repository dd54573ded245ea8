//! `crab test`: real suites in pieces, by the runners there are here. A shell script is one as well: it prints its tests and runs
//! those it is given.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::fleet::Fleet;
use super::trust::{head, invited};
use crate::support::place::{Daemon, Place};
use crate::support::program::{Ran, Running, run};
use crate::support::waiting::{SOON, until_true};

const TEST: &[&str] =
    &["v", "test", "group", "outcome", "tries", "failures", "suspect", "duration_s", "task", "said"];
const WHOLE: &[&str] = &[
    "v",
    "graph",
    "runner",
    "shards",
    "tests",
    "batches",
    "moved",
    "failed_batches",
    "succeeded",
    "duration_s",
    "tests_s",
];

/// Tests by name, with what came of them, and the whole.
fn read(ran: &Ran) -> (BTreeMap<String, Value>, Value) {
    let mut lines = ran.json();
    let whole = lines.pop().expect("a line for the whole");
    let name = |line: &Value| line["test"].as_str().expect("a name").to_owned();
    for line in &lines {
        assert_eq!(line.as_object().expect("an object").len(), TEST.len(), "{line}");
        assert!(TEST.iter().all(|field| line.get(field).is_some()), "{line}");
    }
    assert!(WHOLE.iter().all(|field| whole.get(field).is_some()), "{whole}");
    (lines.iter().map(|line| (name(line), line.clone())).collect(), whole)
}

fn outcomes(tests: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    tests.iter().map(|(name, test)| (name.as_str(), test["outcome"].as_str().unwrap_or_default())).collect()
}

/// A suite of the shell: each test is a line, and `run` runs each of its arguments as `$1`, after having noted it.
fn shell(place: &Place, names: &[&str], run: &str) -> [String; 4] {
    let ledger = place.root().join("ledger");
    let script = format!(
        "one() {{ {run}; }}\nfor test in \"$@\"; do echo \"$test $CRAB_SHARD_INDEX/$CRAB_SHARD_TOTAL\" >> {}; one \"$test\" || exit 1; done\n",
        ledger.display()
    );
    let path = place.file("run.sh", script);
    let list = format!("printf '%s\\n' {}", names.join(" "));
    ["--list".to_owned(), list, "--run".to_owned(), format!("sh {} {{tests}}", path.display())]
}

/// Which tests were run, in order, as the suite itself has noted.
fn ledger(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.root().join("ledger")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Of `crab` for a suite in two shards.
fn words(suite: &[String]) -> Vec<&str> {
    ["test", "--json", "--shards", "2"].into_iter().chain(suite.iter().map(String::as_str)).collect()
}

fn crab_test(place: &Place, more: &[&str], suite: &[String]) -> Ran {
    let suite: Vec<&str> = suite.iter().map(String::as_str).collect();
    place.run(&[&["test", "--shards", "2"], more, &suite].concat())
}

#[test]
fn every_test_runs_once_in_one_of_the_shards_and_one_file_tells_of_all() {
    let place = Place::new();
    let _daemon = place.single("2");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let suite = shell(&place, &names, "true");
    let ran = crab_test(&place, &["--json", "--junit", "out.xml", "--name", "unit"], &suite).expect(0);
    let (tests, whole) = read(&ran);
    assert_eq!(outcomes(&tests), names.map(|name| (name, "passed")));
    assert_eq!(
        (&whole["tests"]["total"], &whole["succeeded"], &whole["shards"]),
        (&8.into(), &true.into(), &2.into())
    );
    let mut noted = ledger(&place);
    noted.sort_unstable();
    let of: Vec<&str> = noted.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(of, names);
    assert!(["0/2", "1/2"].iter().all(|shard| noted.iter().any(|line| line.ends_with(shard))), "{noted:?}");
    let junit = fs::read_to_string(place.root().join("out.xml")).expect("it was written");
    assert!(junit.contains("<testsuite name=\"unit\" tests=\"8\" failures=\"0\""), "{junit}");
    // Its tasks are those of one graph, which goes by the name.
    let graphs = place.run(&["list", "--json"]).expect(0).json();
    assert_eq!((graphs.len(), &graphs[0]["name"]), (1, &"unit".into()));
}

#[test]
fn what_failed_alone_is_run_again_and_what_passes_then_is_flaky() {
    let place = Place::new();
    let _daemon = place.single("2");
    // It fails in its batch, and alone; the third time it does not.
    let mark = place.root().join("mark");
    let fails = format!(
        "case $1 in bad) false;; shaky) ! mkdir {0}1 2>/dev/null && ! mkdir {0}2 2>/dev/null;; esac",
        mark.display()
    );
    let suite = shell(&place, &["good", "shaky", "bad", "fine"], &fails);
    let ran = crab_test(&place, &["--json", "--retries", "2", "--by", "slice"], &suite).expect(1);
    let (tests, whole) = read(&ran);
    let wanted = [("bad", "failed"), ("fine", "passed"), ("good", "passed"), ("shaky", "flaky")];
    assert_eq!((outcomes(&tests), &whole["tests"]["flaky"]), (wanted.to_vec(), &1.into()));
    assert_eq!((&tests["shaky"]["tries"], &tests["shaky"]["failures"]), (&2.into(), &1.into()));
    assert_eq!((&tests["bad"]["tries"], &tests["bad"]["failures"]), (&3.into(), &3.into()));
    let runs = |name: &str| ledger(&place).iter().filter(|line| line.starts_with(name)).count();
    // Those that did not fail are run once more where their batch failed without telling by whom, and never for a retry.
    assert!(runs("bad") == 4 && runs("good") <= 2 && runs("fine") <= 2, "{:?}", ledger(&place));
    let told = crab_test(&place, &["--retries", "1"], &suite).expect(1);
    assert!(
        told.text().contains("failed bad") && told.text().contains("3 passed, 1 failed"),
        "{}",
        told.text()
    );
}

#[test]
fn a_failure_that_does_not_come_back_names_all_that_may_have_caused_it() {
    let place = Place::new();
    let _daemon = place.single("2");
    let mark = place.root().join("mark");
    let suite = shell(&place, &["a", "b"], &format!("[ $1 != b ] || ! mkdir {} 2>/dev/null", mark.display()));
    let words = ["test", "--json", "--shards", "1"];
    let words: Vec<&str> = words.into_iter().chain(suite.iter().map(String::as_str)).collect();
    let (tests, _) = read(&place.run(&words).expect(0));
    assert_eq!(outcomes(&tests), [("a", "passed"), ("b", "passed")]);
    assert!(tests.values().all(|test| test["suspect"] == true), "{tests:?}");
}

#[test]
fn a_suite_runs_without_a_daemon_and_its_times_make_the_next_split() {
    let place = Place::new();
    let suite = shell(&place, &["slow", "quick", "brisk", "rapid"], "[ $1 != slow ] || sleep 0.4");
    for _ in 0..2 {
        let ran = crab_test(&place, &["--json"], &suite).expect(0);
        assert_eq!(read(&ran).1["succeeded"], true);
    }
    let plan = crab_test(&place, &["--json", "--plan"], &suite).expect(0).json();
    assert_eq!(plan.len(), 2);
    let of_slow = plan
        .iter()
        .find(|share| share["tests"].as_array().is_some_and(|tests| tests.contains(&"slow".into())));
    let of_slow = of_slow.expect("it is somewhere");
    assert!(of_slow["expected_s"].as_f64().is_some_and(|expected| expected > 0.1), "{plan:?}");
    let files = fs::read_dir(place.data().join("test-times")).expect("times are kept").count();
    assert_eq!(files, 1);
}

/// Tests of a suite of which one is in no hurry.
const SIX: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A suite of which one test has begun, and ends once there is a file of this path.
fn in_the_midst(place: &Place) -> (Running, PathBuf) {
    let (begun, go) = (place.root().join("begun"), place.root().join("go"));
    let waits = format!(
        "[ $1 != c ] || {{ touch {}; until [ -e {} ]; do sleep 0.05; done; }}",
        begun.display(),
        go.display()
    );
    let suite = shell(place, &SIX, &waits);
    let running = Running::start(&mut place.crab(&words(&suite)));
    until_true("it is in the midst of a shard", SOON, || begun.exists());
    (running, go)
}

#[test]
fn a_host_that_is_killed_in_the_midst_of_a_shard_costs_no_result() {
    let place = Place::new();
    let _daemon = place.single("2");
    let (running, go) = in_the_midst(&place);
    place.kill_host();
    fs::write(&go, "").expect("a file");
    let (tests, whole) = read(&running.end().expect(0));
    assert_eq!(outcomes(&tests), SIX.map(|name| (name, "passed")));
    assert_eq!(whole["tests"]["passed"], 6);
    assert_eq!(place.attempts(), []);
}

#[test]
fn a_suite_whose_build_replaces_this_very_program_runs_all_the_same() {
    let place = Place::new();
    let own = place.root().join("crab");
    fs::copy(env!("CARGO_BIN_EXE_crab"), &own).expect("there is room");
    let list = format!("cp {0} {0}.new && mv {0}.new {0} && echo a", own.display());
    let mut command = Command::new(&own);
    command.env("CRAB_DATA_DIR", place.data()).env_remove("CRAB_ADDRESS").current_dir(place.root());
    command.args(["test", "--json", "--list", &list, "--run", "true"]);
    assert_eq!(outcomes(&read(&run(&mut command).expect(0)).0), [("a", "passed")]);
}

#[test]
fn a_daemon_that_is_killed_and_started_again_costs_no_result() {
    let place = Place::new();
    let daemon = place.single("2");
    let (running, go) = in_the_midst(&place);
    daemon.kill();
    let _daemon = place.single("2");
    fs::write(&go, "").expect("a file");
    let (tests, _) = read(&running.end().expect(0));
    assert_eq!(outcomes(&tests), SIX.map(|name| (name, "passed")));
    // What ran went on, and nothing was run twice.
    assert_eq!(ledger(&place).len(), 6);
}

/// A program of a test's own on the path, which says what the real one is documented to say: it is not here to be asked.
fn pretend(place: &Place, name: &str, script: &str) -> String {
    let bin = place.root().join("bin");
    fs::create_dir_all(&bin).expect("a directory");
    crate::support::program::write(&bin.join(name), format!("#!/bin/sh\n{script}"));
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
    format!("{}:{}", bin.display(), std::env::var("PATH").expect("there is one"))
}

fn with_pretended(place: &Place, name: &str, script: &str, args: &[&str]) -> Ran {
    let path = pretend(place, name, script);
    let env = format!("PATH={path}");
    let mut command = place.crab(&[&["test", "--json", "--shards", "2", "--env", &env], args].concat());
    run(command.env("PATH", path))
}

#[test]
fn what_go_is_documented_to_say_is_understood() {
    let place = Place::new();
    let script = r#"case "$*" in
*-list*)
    for p in a b; do
        for t in TestOne TestTwo ExampleX "ok m/$p 0.1s"; do
            printf '{"Action":"output","Package":"m/%s","Output":"%s\\n"}\n' $p "$t"
        done
    done;;
*)
    for package; do :; done
    while [ $1 != -run ]; do shift; done
    for t in $(echo "$2" | tr -d '^()$' | tr '|' ' '); do
        how=pass; [ $package$t != m/bTestTwo ] || how=fail
        printf '{"Action":"%s","Package":"%s","Test":"%s","Elapsed":0.5}\n' $how $package $t
    done;;
esac
"#;
    let ran =
        with_pretended(&place, "go", script, &["--runner", "go", "--", "-tags", "x", "./..."]).expect(1);
    let (tests, _) = read(&ran);
    let of = |name: &str| tests[name]["outcome"].as_str().unwrap_or_default().to_owned();
    assert_eq!((tests.len(), of("m/a TestOne"), of("m/b TestTwo")), (6, "passed".into(), "failed".into()));
    assert_eq!(tests["m/a ExampleX"]["duration_s"], 0.5);
}

#[test]
fn what_swift_and_xcodebuild_are_documented_to_say_is_understood() {
    let place = Place::new();
    let swift = "case \"$*\" in\n'test list'*) echo Building; echo Mod.Cls/testA; echo Mod.Cls/testB;;\n\
        *) echo \"$*\" | grep -q testA && echo \"Test Case '-[Mod.Cls testA]' passed (0.25 seconds).\"\n\
        echo \"$*\" | grep -q testB && { echo \"Test Case 'Cls.testB' failed (0.5 seconds)\"; exit 1; }; exit 0;;\nesac\n";
    let (tests, _) = read(&with_pretended(&place, "swift", swift, &["--runner", "swift"]).expect(1));
    assert_eq!(outcomes(&tests), [("Mod.Cls/testA", "passed"), ("Mod.Cls/testB", "failed")]);
    let xcodebuild = "case \"$*\" in\nbuild-for-testing*) echo built;;\n\
        *-enumerate-tests*) echo noise; echo '{\"errors\":[],\"values\":[{\"testPlan\":\"P\",\"disabledTests\":[],\"enabledTests\":[{\"identifier\":\"Mod/Cls/testA\"}]}]}';;\n\
        *-only-testing:Mod/Cls/testA*) echo \"Test Case '-[Mod.Cls testA]' passed (0.25 seconds).\";;\n*) exit 9;;\nesac\n";
    let args = ["--runner", "xcodebuild", "--", "-scheme", "App"];
    let (tests, _) = read(&with_pretended(&place, "xcodebuild", xcodebuild, &args).expect(0));
    assert_eq!(outcomes(&tests), [("Mod/Cls/testA", "passed")]);
}

#[test]
fn a_suite_in_a_task_file_is_a_task_that_waits_for_its_shards() {
    let place = Place::new();
    let _daemon = place.single("2");
    let suite = shell(&place, &["a", "b"], "true");
    let words: Vec<String> = words(&suite).iter().map(|word| format!("{word:?}")).collect();
    let text = format!(
        "[task.tests]\ncpus = 0.1\ncommand = [{:?}, {}]\nenv = {{ CRAB_DATA_DIR = {:?} }}\n[task.after]\nafter = [\"tests\"]\ncommand = [\"true\"]\n",
        env!("CARGO_BIN_EXE_crab"),
        words.join(", "),
        place.data().display().to_string()
    );
    let file = place.file("graph.toml", text).display().to_string();
    place.run(&["submit", "--wait", &file]).expect(0);
    assert_eq!(ledger(&place).len(), 2);
    // The file's two tasks, and the suite's graph.
    assert_eq!(place.run(&["list", "--json"]).expect(0).json().len(), 2);
}

/// A task file in which a suite of the shell is a task with shards, and another one comes after it.
fn sharded(place: &Place, suite: &[String], more: &str) -> String {
    let text = format!(
        "[task.unit]\n{more}\nshard = {{ count = 2, junit = \"out.xml\", list = {:?}, run = {:?} }}\n\
         [task.after]\nafter = [\"unit\"]\ncommand = [\"touch\", \"after\"]\n",
        suite[1], suite[3]
    );
    place.file("graph.toml", text).display().to_string()
}

#[test]
fn a_task_with_shards_takes_nothing_that_they_need_and_ends_as_they_do() {
    let place = Place::new();
    // One core, which each shard wants whole.
    let _daemon = place.single("1");
    let suite = shell(&place, &["a", "b", "c"], "true");
    let file = sharded(&place, &suite, "cpus = 1\ntimeout = \"1m\"");
    place.run(&["submit", "--wait", &file]).expect(0);
    let mut noted = ledger(&place);
    noted.sort_unstable();
    assert_eq!(noted.len(), 3, "{noted:?}");
    assert!(noted.iter().all(|line| line.ends_with("/2")), "{noted:?}");
    let junit = fs::read_to_string(place.root().join("out.xml")).expect("it was written");
    assert!(junit.contains("<testsuite name=\"unit\" tests=\"3\" failures=\"0\""), "{junit}");
    assert!(place.root().join("after").exists());
    // What it writes is the summary; its shards are a graph that goes by its name, and have what it was said to have.
    let said = place.run(&["logs", "t1"]).expect(0);
    assert!(said.text().contains("3 passed"), "{}", said.text());
    let graphs = place.run(&["list", "--json"]).expect(0).json();
    let names: Vec<_> = graphs.iter().map(|graph| graph["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["unit", "graph"]);
    let shard = &place.show("t3")["spec"];
    assert_eq!(
        (&shard["resources"]["cpu_millis"], &shard["timeout_s"]),
        (&1000.into(), &60.0.into()),
        "{shard}"
    );
}

#[test]
fn tasks_that_wait_for_their_shards_take_no_place_of_those_who_may_run_at_once() {
    let place = Place::new();
    let config = place.file("crabd.toml", "[tenants.default]\nmax_running = 1\n").display().to_string();
    let _daemon = place.daemon(&["--cpus", "2", "--name", "one", "--config", &config]);
    place.wait_nodes(1);
    let suite = shell(&place, &["a", "b"], "true");
    let file = sharded(&place, &suite, "cpus = 1");
    // Two of them: a place for each would be one more than there is.
    let first = place.submit(&[&file]);
    place.run(&["submit", "--wait", &file]).expect(0);
    place.wait_state(&first, "succeeded");
    assert_eq!(ledger(&place).len(), 4);
}

#[test]
fn without_a_daemon_shards_run_on_the_scheduler_of_the_run_and_times_are_remembered() {
    let place = Place::new();
    let cores = std::thread::available_parallelism().expect("there are cores");
    let mark = place.root().join("mark");
    let suite = shell(&place, &["a", "b"], &format!("[ $1 != b ] || ! mkdir {} 2>/dev/null", mark.display()));
    // All of the machine for each shard, and a test that passes the second time, alone.
    let file = sharded(&place, &suite, &format!("cpus = {cores}\nretries = 1"));
    place.run(&["run", &file]).expect(0);
    assert!(place.root().join("after").exists());
    let junit = fs::read_to_string(place.root().join("out.xml")).expect("it was written");
    assert!(junit.contains("flakyFailure") || junit.contains("failures=\"0\""), "{junit}");
    let files = fs::read_dir(place.data().join("test-times")).expect("times are kept").count();
    assert_eq!(files, 1);
}

#[test]
fn tests_that_fail_in_shards_fail_the_task_and_are_named_in_what_it_writes() {
    let place = Place::new();
    let _daemon = place.single("2");
    let suite = shell(&place, &["good", "bad"], "[ $1 != bad ]");
    let file = sharded(&place, &suite, "cpus = 0.5\nretries = 1");
    place.run(&["submit", "--wait", &file]).expect(1);
    assert!(!place.root().join("after").exists());
    let said = place.run(&["logs", "t1"]).expect(0);
    assert!(
        said.text().contains("failed bad") && said.text().contains("1 passed, 1 failed"),
        "{}",
        said.text()
    );
}

#[test]
fn a_task_with_shards_that_is_cancelled_takes_them_with_it() {
    let place = Place::new();
    let _daemon = place.single("2");
    let begun = place.root().join("begun");
    let suite = shell(&place, &["a", "b"], &format!("touch {}; sleep 1000", begun.display()));
    let file = sharded(&place, &suite, "cpus = 1");
    place.run(&["submit", &file]).expect(0);
    until_true("it runs", SOON, || begun.exists());
    place.run(&["cancel", "t1"]).expect(0);
    place.wait_state("t1", "cancelled");
    place.wait_state("t3", "cancelled");
    until_true("nothing runs any more", SOON, || place.attempts().is_empty());
}

#[test]
fn a_command_that_divides_itself_finds_which_shard_it_is() {
    let place = Place::new();
    let file = place.file(
        "own.toml",
        "[task.own]\nshard = { count = 3, own = true }\nshell = \"echo $CRAB_SHARD_INDEX/$CRAB_SHARD_TOTAL >> ledger\"\n",
    );
    place.run(&["run", &file.display().to_string()]).expect(0);
    let mut noted = ledger(&place);
    noted.sort_unstable();
    assert_eq!(noted, ["0/3", "1/3", "2/3"]);
}

#[test]
fn in_a_fleet_a_worker_that_may_ask_the_scheduler_has_suites_run() {
    let fleet = Fleet::start(2);
    let suite = shell(&fleet.scheduler, &["a", "b", "c", "d"], "true");
    // Both cores of a machine for each shard, so that both machines are needed at once.
    let file = sharded(&fleet.scheduler, &suite, "cpus = 2");
    fleet.scheduler.run(&["submit", "--wait", &file]).expect(0);
    assert_eq!(ledger(&fleet.scheduler).len(), 4, "{}", fleet.logs());
    let shards = ["t3", "t4"].map(|shard| fleet.scheduler.show(shard)["node"].clone());
    assert_ne!(shards[0], shards[1]);
}

/// A worker's certificate asks the scheduler nothing: suites are driven by the user whose data directory the machine names.
#[test]
fn with_certificates_a_worker_has_suites_run_by_a_user_that_may_submit() {
    let (head, daemon, address) = head();
    let agent = Place::new();
    let line = invited(&head, &["driver", "--role", "agent"]);
    agent.run(&["--address", &line, "nodes"]).expect(0);
    let worker = Place::new();
    let config = format!("[worker]\nsuites = {:?}\n", agent.data().display().to_string());
    let config = worker.file("worker.toml", config).display().to_string();
    let line = invited(&head, &["mac-2", "--role", "worker"]);
    // The first time with the invitation, and then by its certificate.
    for join in [&line, &address] {
        let member = Daemon::spawn(&worker, &["--cpus", "2", "--config", &config, "--join", join]);
        head.wait_nodes(1);
        let suite = shell(&worker, &["a", "b", "c"], "true");
        let file = sharded(&worker, &suite, "cpus = 1");
        head.run(&["submit", "--wait", &file]).expect(0);
        assert_eq!(ledger(&worker).len(), 3);
        fs::remove_file(worker.root().join("ledger")).expect("it was written");
        assert!(member.stop().success());
        until_true("it is away", SOON, || {
            head.run(&["nodes", "--json"]).expect(0).json()[0]["health"] != "up"
        });
    }
    assert!(daemon.stop().success());
}

#[test]
fn an_interruption_cancels_what_runs_and_is_told_by_the_exit_code() {
    let place = Place::new();
    let _daemon = place.single("2");
    let begun = place.root().join("begun");
    let suite = shell(&place, &["a", "b"], &format!("touch {}; sleep 1000", begun.display()));
    let running = Running::start(&mut place.crab(&words(&suite)));
    until_true("it runs", SOON, || begun.exists());
    running.signal(Signal::SIGINT);
    let (tests, whole) = read(&running.end().expect(130));
    assert!(tests.values().all(|test| test["outcome"] != "passed"), "{tests:?}");
    assert_eq!(whole["succeeded"], false);
    until_true("nothing runs any more", SOON, || place.attempts().is_empty());
}

#[test]
fn what_cannot_be_run_is_refused_with_the_reason() {
    let place = Place::new();
    place.run(&["test"]).expect(2).says(&["name it with --runner"]);
    place.run(&["test", "--list", "exit 3", "--run", "true"]).expect(1).says(&["cannot be listed"]);
    place.run(&["test", "--list", "true", "--run", "true"]).expect(1).says(&["has no tests"]);
    place.run(&["test", "--list", "true"]).expect(2);
    place.run(&["test", "--array", "1-3", "--list", "echo a", "--run", "true"]).expect(2).says(&["--array"]);
    // What runs them is not there: each has failed, and says so.
    let gone = ["test", "--json", "--list", "echo a; echo b", "--run", "true", "--directory", "/nowhere"];
    let (tests, _) = read(&place.run(&gone).expect(1));
    assert_eq!(outcomes(&tests), [("a", "silent"), ("b", "silent")]);
}

/// A package with a test of each kind.
fn package(place: &Place) -> PathBuf {
    let root = place.root().join("pack");
    fs::create_dir_all(root.join("src")).expect("a directory");
    fs::create_dir_all(root.join("tests")).expect("a directory");
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    write("Cargo.toml", "[package]\nname = \"pack\"\nedition = \"2024\"\n[workspace]\n");
    write(
        "src/lib.rs",
        "#[cfg(test)] mod tests {
    #[test] fn good() {}
    #[test] fn bad() { panic!(\"<bad> & \\\"worse\\\"\") }
    #[test] fn shaky() { let mark = std::env::var(\"MARK\").unwrap(); assert!(std::fs::create_dir(mark).is_err()); }
    #[test] #[should_panic] fn panics() { panic!() }
    #[test] #[ignore = \"slow\"] fn slow() {}
    #[test] fn ends_its_process() { std::process::abort() }
    #[test] fn zz_comes_last() {}
    #[test] fn knows_its_package() { assert!(std::env::var(\"CARGO_MANIFEST_DIR\").unwrap().ends_with(\"pack\")) }
}\n",
    );
    write(
        "tests/other.rs",
        "#[test] fn elsewhere() { assert!(std::path::Path::new(\"Cargo.toml\").exists()) }\n",
    );
    root
}

/// Runs `crab test` in a package, which is built below the test's own place.
fn in_package(place: &Place, args: &[&str]) -> Ran {
    let root = package(place);
    let mark = format!("MARK={}", place.root().join("mark").display());
    let _ = fs::remove_dir(place.root().join("mark"));
    let words = [&["test", "--json", "--shards", "2", "--retries", "1", "--env", &mark], args].concat();
    let mut command = place.crab(&words);
    command
        .current_dir(root)
        .env("CARGO_TARGET_DIR", place.root().join("target"))
        .env_remove("RUSTC_WRAPPER");
    run(&mut command)
}

const PACKAGE: [(&str, &str); 9] = [
    ("pack tests::bad", "failed"),
    ("pack tests::ends_its_process", "silent"),
    ("pack tests::good", "passed"),
    ("pack tests::knows_its_package", "passed"),
    ("pack tests::panics", "passed"),
    ("pack tests::shaky", "flaky"),
    ("pack tests::slow", "skipped"),
    ("pack tests::zz_comes_last", "passed"),
    ("pack::other elsewhere", "passed"),
];

#[test]
fn tests_of_cargo_come_to_their_own_ends_whatever_the_others_do() {
    let place = Place::new();
    let ran = in_package(&place, &["--junit", "out.xml", "--", "--offline"]).expect(1);
    let (tests, whole) = read(&ran);
    assert_eq!(outcomes(&tests), PACKAGE);
    assert!(tests["pack tests::bad"]["said"].as_str().is_some_and(|said| said.contains("<bad> & \"worse\"")));
    assert!(
        tests["pack tests::ends_its_process"]["said"]
            .as_str()
            .is_some_and(|said| said.contains("did not report"))
    );
    assert_eq!((&whole["runner"], &whole["tests"]["flaky"]), (&"cargo".into(), &1.into()));
    let junit = fs::read_to_string(place.root().join("pack/out.xml")).expect("it was written");
    assert!(junit.contains("&lt;bad&gt; &amp;") && junit.contains("<flakyFailure"), "{junit}");
    let some = in_package(&place, &["--", "--offline", "--lib", "--", "good"]).expect(0);
    assert_eq!(outcomes(&read(&some).0), [("pack tests::good", "passed")]);
}

#[test]
fn tests_of_cargo_are_run_in_shards_where_a_task_file_says_so() {
    let place = Place::new();
    let root = package(&place);
    let (mark, target) = (place.root().join("mark"), place.root().join("target"));
    let text = format!(
        "[task.pack]\ndirectory = \"pack\"\ncommand = [\"cargo\", \"test\", \"--offline\", \"--lib\", \"--\", \"s\"]\n\
         env = {{ MARK = {:?}, CARGO_TARGET_DIR = {:?}, RUSTC_WRAPPER = \"\" }}\nshard = {{ count = 2, retries = 1, junit = \"out.xml\" }}\n",
        mark.display().to_string(),
        target.display().to_string()
    );
    let file = place.file("cargo.toml", text).display().to_string();
    let _daemon = place.single("2");
    place.run(&["submit", "--wait", &file]).expect(1);
    let said = place.run(&["logs", "t1"]).expect(0);
    assert!(
        said.text().contains("silent tests::ends_its_process") || said.text().contains("ends_its_process"),
        "{}",
        said.text()
    );
    let junit = fs::read_to_string(place.root().join("out.xml")).expect("it was written");
    assert!(junit.contains("<flakyFailure") && junit.contains("knows_its_package"), "{junit}");
    assert!(root.exists());
}

/// Whether a program is here; where it is not, the test says that it was left out.
fn is_here(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let is_here = command.status().is_ok_and(|status| status.success());
    if !is_here {
        println!("left out: there is no {}", words.join(" "));
    }
    is_here
}

#[test]
fn tests_of_nextest_come_to_the_same_ends() {
    if !is_here(&["cargo", "nextest", "--version"]) {
        return;
    }
    let place = Place::new();
    let ran = in_package(&place, &["--runner", "nextest", "--", "--offline"]).expect(1);
    let (tests, _) = read(&ran);
    // It gives each test a process: the one that ends its own has failed, and what is ignored is not listed.
    let wanted = PACKAGE.into_iter().filter(|(_, outcome)| *outcome != "skipped");
    let wanted: Vec<_> =
        wanted.map(|(name, how)| (name, if how == "silent" { "failed" } else { how })).collect();
    assert_eq!(outcomes(&tests), wanted);
}

#[test]
fn tests_of_pytest_come_to_their_ends() {
    if !is_here(&["pytest", "--version"]) {
        return;
    }
    let place = Place::new();
    let mark = place.root().join("mark");
    place.file(
        "test_some.py",
        format!(
            "import os, pytest\n@pytest.mark.parametrize('x', ['a b', 'c'])\ndef test_each(x): pass\n\
             def test_bad(): assert 1 == 2\n@pytest.mark.skip\ndef test_skipped(): pass\n\
             def test_shaky():\n    if not os.path.exists('{0}'):\n        os.mkdir('{0}')\n        assert False\n\
             def test_dies(): os._exit(3)\ndef test_zz(): pass\n",
            mark.display()
        ),
    );
    let words = ["test", "--json", "--runner", "pytest", "--shards", "2", "--retries", "1"];
    let (tests, _) = read(&place.run(&words).expect(1));
    let wanted = [
        ("test_some.py::test_bad", "failed"),
        ("test_some.py::test_dies", "silent"),
        ("test_some.py::test_each[a b]", "passed"),
        ("test_some.py::test_each[c]", "passed"),
        ("test_some.py::test_shaky", "flaky"),
        ("test_some.py::test_skipped", "skipped"),
        ("test_some.py::test_zz", "passed"),
    ];
    assert_eq!(outcomes(&tests), wanted);
}

#[test]
fn tests_of_go_come_to_their_ends() {
    if !is_here(&["go", "version"]) {
        return;
    }
    let place = Place::new();
    place.file("go.mod", "module example\n");
    place.file(
        "a_test.go",
        "package example\nimport \"testing\"\nfunc TestGood(t *testing.T) {}\nfunc TestBad(t *testing.T) { t.Fatal(\"bad\") }\n",
    );
    let (tests, _) = read(&place.run(&["test", "--json", "--shards", "2"]).expect(1));
    assert_eq!(outcomes(&tests), [("example TestBad", "failed"), ("example TestGood", "passed")]);
}
