//! What runs when: dependencies, arrays, priorities, retries, timeouts, and the same submission twice.

use serde_json::Value;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

/// The events of everything, as JSON.
fn events(place: &Place) -> Vec<Value> {
    place.run(&["events", "--json", "--after", "0"]).expect(0).json()
}

/// The tasks of these events of one kind, in order.
fn tasks_of<'e>(events: &'e [Value], kind: &str) -> Vec<&'e str> {
    events.iter().filter(|event| event["event"] == kind).filter_map(|event| event["task"].as_str()).collect()
}

#[test]
fn an_array_runs_no_more_at_once_than_its_limit() {
    let place = Place::new();
    let _daemon = place.single("8");
    place.run(&["submit", "--wait", "--array", "1-30%3", "--", "sleep", "0.02"]).expect(0);
    let (mut running, mut most, mut ended) = (0, 0, 0);
    for event in events(&place) {
        match event["event"].as_str() {
            Some("task.granted") => running += 1,
            Some("task.attempt-ended") => (running, ended) = (running - 1, ended + 1),
            _ => {}
        }
        most = most.max(running);
    }
    assert_eq!((most, ended), (3, 30));
    let last = place.show("t30");
    assert_eq!((&last["name"], &last["array_index"]), (&"sleep[30]".into(), &30.into()));
}

/// What a task of the third sort asks for.
const SMALL: [&str; 4] = ["--cpus", "0.1", "--resource", "licence=1"];

#[test]
fn a_node_is_never_given_more_than_it_has() {
    let place = Place::new();
    let _daemon = place.daemon(&["--cpus", "3", "--resource", "licence=2", "--name", "one"]);
    // Each task says itself when it begins and when it is about to end: the order of these lines is the true one.
    let ledger = place.root().join("ledger");
    for (need, given) in
        [("2000 0", ["--cpus", "2"].as_slice()), ("500 0", &["--cpus", "0.5"]), ("100 1", &SMALL)]
    {
        let script = format!("echo + {need} >> {0}; echo - {need} >> {0}", ledger.display());
        let words = [&["submit", "--array", "1-10"], given, &["--", "/bin/sh", "-c", &script]].concat();
        place.run(&words).expect(0);
    }
    place.run(&["wait", "g1", "g11", "g21"]).expect(0);
    let (mut cpu, mut licences) = (0_i64, 0_i64);
    let lines = std::fs::read_to_string(&ledger).expect("tasks have written");
    for line in lines.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let amount = |place: usize| words[place].parse::<i64>().expect("a number");
        let sign = if words[0] == "+" { 1 } else { -1 };
        (cpu, licences) = (cpu + sign * amount(1), licences + sign * amount(2));
        assert!(cpu <= 3000 && licences <= 2, "{cpu} {licences} after {line}");
    }
    assert_eq!((lines.lines().count(), cpu, licences), (60, 0, 0));
}

#[test]
fn dependencies_come_first_and_what_depends_on_a_failure_is_skipped() {
    let place = Place::new();
    let _daemon = place.single("4");
    let text = "[task.c]\nafter = [\"a\", \"b\"]\ncommand = [\"true\"]\n[task.a]\narray = \"1-5\"\ncommand = [\"true\"]\n\
                [task.b]\ncommand = [\"sleep\", \"0.1\"]\n[task.bad]\nafter = [\"c\"]\ncommand = [\"false\"]\n\
                [task.never]\nafter = [\"bad\"]\ncommand = [\"true\"]\n[task.nor]\nafter = [\"never\"]\ncommand = [\"true\"]\n";
    let file = place.file("graph.toml", text).display().to_string();
    let first = place.submit(&[&file]);
    let graph = first.replace('t', "g");
    place.run(&["wait", &graph]).expect(1);
    let rows = place.run(&["status", &graph, "--json"]).expect(0).json();
    let state = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name && !row["task"].is_null());
        row.map(|row| row["state"].clone()).unwrap_or_default()
    };
    let states = ["c", "a[5]", "b", "bad", "never", "nor"].map(state);
    assert_eq!(states, ["succeeded", "succeeded", "succeeded", "failed", "skipped", "skipped"]);
    let events = events(&place);
    let place_of = |kind: &str, task: &str| {
        events.iter().position(|event| event["event"] == kind && event["task"] == task)
    };
    let id = |name: &str| rows.iter().find(|row| row["name"] == name).expect("it is there")["task"].clone();
    let task = |name: &str| id(name).as_str().expect("an id").to_owned();
    for needed in ["a[1]", "a[2]", "a[3]", "a[4]", "a[5]", "b"] {
        assert!(
            place_of("task.attempt-ended", &task(needed)) < place_of("task.granted", &task("c")),
            "{needed}"
        );
    }
    assert_eq!(place_of("task.granted", &task("never")), None);
}

#[test]
fn a_failing_task_is_tried_again_after_growing_waits() {
    let place = Place::new();
    let _daemon = place.single("1");
    let task = place.submit(&["--retries", "3", "--", "/bin/sh", "-c", "test $CRAB_ATTEMPT = 4"]);
    place.run(&["wait", &task]).expect(0);
    let shown = place.show(&task);
    assert_eq!((&shown["attempts"], &shown["state"]), (&4.into(), &"succeeded".into()));
    let events = shown["events"].as_array().expect("a list").clone();
    let waits: Vec<f64> = events.iter().filter_map(|event| event["retry_after_s"].as_f64()).collect();
    assert_eq!(waits.len(), 3);
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
    assert!(waits[0] > 0.01 && waits[2] < 2.0, "{waits:?}");
    // Not sooner than was said: the events' own times tell.
    let at = |event: &Value| event["at"].as_str().expect("a time").to_owned();
    let ends = events.iter().filter(|event| event["event"] == "task.attempt-ended").map(at);
    let grants = events.iter().filter(|event| event["event"] == "task.granted").map(at);
    assert!(ends.zip(grants.skip(1)).all(|(end, grant)| end < grant));
    let spent = place.submit(&["--retries", "1", "--", "false"]);
    place.run(&["wait", &spent]).expect(1);
    assert_eq!(place.show(&spent)["attempts"], 2);
    place.run(&["retry", &spent]).expect(0);
    until_true("it was tried again", SOON, || place.show(&spent)["attempts"].as_u64() > Some(2));
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped() {
    let place = Place::new();
    let _daemon = place.single("1");
    place.run(&["run", "--timeout", "1s", "--", "sleep", "1000"]).expect(124).says(&["timed out"]);
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    let args = ["run", "--timeout", "1s", "--grace", "1s", "--", "/bin/sh", "-c", stubborn];
    place.run(&args).expect(124);
    assert_eq!(place.show("t2")["outcome"]["kind"], "timed-out");
    assert_eq!(place.attempts(), []);
}

#[test]
fn what_waits_longer_than_it_may_ends_and_says_why() {
    let place = Place::new();
    let _daemon = place.single("1");
    let first = place.submit(&["--", "/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.02; done"]);
    place.wait_state(&first, "running");
    let queued = place.submit(&["--queue-timeout", "300ms", "--", "true"]);
    let overdue = place.submit(&["--deadline", "500ms", "--array", "1-3", "--", "true"]);
    place.run(&["wait", &queued]).expect(1);
    let outcome = place.show(&queued)["outcome"].clone();
    assert_eq!((&outcome["kind"], &outcome["limit"]), (&"timed-out".into(), &"queue_timeout".into()));
    assert!(outcome["used_s"].as_f64().is_some_and(|used| (0.3..20.0).contains(&used)), "{outcome}");
    place.run(&["wait", &overdue]).expect(1);
    let told = place.run(&["show", &overdue]).expect(0).text();
    assert!(
        told.contains("deadline is 0.5s after its submission")
            || told.contains("deadline is 500ms after its"),
        "{told}"
    );
    place.run(&["cancel", &first]).expect(0);
    place.run(&["wait", &first]).expect(1);
    let running = place.submit(&["--deadline", "1s", "--retries", "3", "--", "sleep", "1000"]);
    place.run(&["wait", &running]).expect(1);
    let shown = place.show(&running);
    assert_eq!((&shown["outcome"]["limit"], &shown["attempts"]), (&"deadline".into(), &1.into()));
    assert_eq!(place.attempts(), []);
}

#[test]
fn on_one_slot_the_more_urgent_start_first() {
    let place = Place::new();
    let _daemon = place.single("1");
    let first = place.submit(&["--", "/bin/sh", "-c", "while [ ! -e go ]; do sleep 0.02; done"]);
    place.wait_state(&first, "running");
    for priority in ["low", "normal", "high", "critical"] {
        place
            .run(&["submit", "--priority", priority, "--array", "1-3", "--name", priority, "--", "true"])
            .expect(0);
    }
    place.file("go", "");
    place.run(&["wait", "low", "normal", "high", "critical"]).expect(0);
    let events = events(&place);
    let order: Vec<String> = tasks_of(&events, "task.granted")
        .iter()
        .skip(1)
        .map(|task| place.show(task)["priority"].to_string())
        .collect();
    // Time is shared, and the most urgent get most of it; who comes first of all is certain.
    let average = |priority: &str| {
        let places = order.iter().enumerate().filter(|(_, is)| is.contains(priority)).map(|(place, _)| place);
        places.sum::<usize>()
    };
    assert!(order[0].contains("critical"), "{order:?}");
    let sums = ["critical", "high", "normal", "low"].map(average);
    assert!(sums.is_sorted(), "{order:?}");
}

#[test]
fn the_same_key_is_the_same_submission_also_after_a_restart() {
    let place = Place::new();
    let daemon = place.single("1");
    let submit = |args: &[&str]| {
        let all = [&["submit", "--json", "--key", "k1"], args].concat();
        place.run(&all)
    };
    let first = submit(&["--", "true"]).expect(0).json().remove(0);
    let second = submit(&["--", "true"]).expect(0).json().remove(0);
    assert_eq!((&first["graph"], &first["repeated"]), (&second["graph"], &false.into()));
    assert_eq!(second["repeated"], true);
    submit(&["--", "false"]).expect(5).says(&["the key was used for another submission, g1"]);
    daemon.kill();
    let _daemon = place.single("1");
    assert_eq!(submit(&["--", "true"]).expect(0).json()[0]["graph"], first["graph"]);
    assert_eq!(place.run(&["list", "--json"]).expect(0).json().len(), 1);
}
