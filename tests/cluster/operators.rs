//! Operators: cordon, drain, pause, halt, and the restart of a whole fleet, machine by machine.

use policy::id::TaskId;
use serde_json::{Value, json};

use super::fleet::Fleet;
use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

fn node(place: &Place, name: &str) -> Value {
    let rows = place.run(&["nodes", "--json"]).expect(0).json();
    rows.into_iter().find(|row| row["node"] == name).unwrap_or(Value::Null)
}

fn status(place: &Place) -> Value {
    place.run(&["status", "--json"]).expect(0).json().remove(0)
}

fn explains(place: &Place, task: &str, words: &str) {
    until_true(&format!("{task} waits since {words}"), SOON, || {
        let told = place.run(&["explain", "--json", task]).expect(0).json().remove(0);
        told["hindrances"]
            .as_array()
            .expect("a list")
            .iter()
            .any(|one| one["text"].as_str().is_some_and(|text| text.contains(words)))
    });
}

fn events(place: &Place) -> Vec<Value> {
    place.run(&["events", "--json", "--after", "0"]).expect(0).json()
}

/// A number of tasks that take a moment, as one array.
fn array(fleet: &Fleet, tasks: u32, seconds: &str) -> String {
    let range = format!("1-{tasks}");
    let told = fleet.scheduler.run(&["submit", "--json", "--array", &range, "--", "sleep", seconds]);
    told.expect(0).json()[0]["graph"].as_str().expect("an id").to_owned()
}

#[test]
fn a_cordoned_node_takes_nothing_new_and_stays_so_after_a_restart_until_it_is_taken_back() {
    let place = Place::new();
    let daemon = place.single("2");
    let running = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&running, "running");
    place.run(&["node", "cordon", "one"]).expect(0);
    let waiting = place.submit(&["--", "true"]);
    explains(&place, &waiting, "one is cordoned");
    assert_eq!(node(&place, "one")["cordoned"], true);
    assert_eq!(place.show(&running)["state"], "running");
    assert!(daemon.stop().success());
    let _daemon = place.single("2");
    explains(&place, &waiting, "one is cordoned");
    let again = place.run(&["node", "cordon", "one", "--json"]).expect(0).json().remove(0);
    assert_eq!((&again["directive"], &again["changed"]), (&"cordon".into(), &false.into()));
    place.run(&["node", "uncordon", "one"]).expect(0);
    place.wait_state(&waiting, "succeeded");
    let said: Vec<_> = events(&place).into_iter().filter(|event| event["by"].is_string()).collect();
    let names: Vec<_> = said.iter().map(|event| event["event"].as_str().expect("a name")).collect();
    assert_eq!(names, ["operator.cordon", "operator.uncordon"], "once each");
    assert!(said[0]["by"].as_str().expect("a text").starts_with("tester@"), "{}", said[0]);
    place.run(&["node", "cordon", "nobody"]).expect(1).says(&["there is no node nobody"]);
    place.run(&["cancel", &running]).expect(0);
}

#[test]
fn what_is_paused_waits_and_the_rest_goes_on() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.run(&["pause", "queue", "low"]).expect(0);
    place.run(&["pause", "tenant", "ann"]).expect(0);
    let low = place.submit(&["--priority", "low", "--", "true"]);
    let hers = place.submit(&["--tenant", "ann", "--", "true"]);
    let other = place.submit(&["--tenant", "bob", "--", "true"]);
    place.wait_state(&other, "succeeded");
    explains(&place, &low, "low priority is paused by an operator");
    explains(&place, &hers, "tenant \"ann\" is paused by an operator");
    assert_eq!(status(&place)["paused"].as_array().expect("a list").len(), 2);
    place.run(&["resume", "queue", "low"]).expect(0);
    place.wait_state(&low, "succeeded");
    assert_eq!(place.show(&hers)["state"], "ready");
    place.run(&["resume", "tenant", "ann"]).expect(0);
    place.wait_state(&hers, "succeeded");
    place.run(&["pause"]).expect(0);
    let next = place.submit(&["--", "true"]);
    explains(&place, &next, "everything is paused by an operator");
    assert!(place.run(&["status"]).expect(0).text().contains("paused  everything"));
    place.run(&["resume"]).expect(0);
    place.wait_state(&next, "succeeded");
}

#[test]
fn a_halt_starts_nothing_not_even_what_was_granted_and_outlives_the_daemon() {
    let place = Place::new();
    let daemon = place.single("1");
    let running = place.submit(&["--", "sh", "-c", "while ! [ -e go ]; do sleep 0.05; done"]);
    place.wait_state(&running, "running");
    place.run(&["halt"]).expect(0);
    let next = place.submit(&["--", "true"]);
    explains(&place, &next, "everything is halted by an operator");
    assert_eq!(status(&place)["halted"], true);
    assert!(daemon.stop().success());
    let _daemon = place.single("1");
    place.file("go", "");
    place.wait_state(&running, "succeeded");
    explains(&place, &next, "everything is halted by an operator");
    place.run(&["unhalt"]).expect(0);
    place.wait_state(&next, "succeeded");
}

#[test]
fn a_machine_is_halted_by_hand_while_its_scheduler_hangs() {
    use nix::sys::signal::Signal;
    let place = Place::new();
    let daemon = place.single("1");
    let first = place.submit(&["--", "true"]);
    place.wait_state(&first, "succeeded");
    // A stopped daemon has granted what the host starts by itself, one after the other.
    let graph =
        place.run(&["submit", "--json", "--array", "1-100", "--", "sh", "-c", "echo >> ran; sleep 0.05"]);
    let graph = graph.expect(0).json()[0]["graph"].as_str().expect("an id").to_owned();
    let ran = || std::fs::read_to_string(place.root().join("ran")).unwrap_or_default().lines().count();
    until_true("some have run", SOON, || ran() >= 3);
    daemon.signal(Signal::SIGSTOP);
    place.run(&["halt", "--here"]).expect(0);
    until_true("what had begun is over", SOON, || place.attempts().is_empty());
    let so_far = ran();
    daemon.signal(Signal::SIGCONT);
    until_true("the scheduler hears of it", SOON, || node(&place, "one")["halted_here"] == true);
    assert_eq!(ran(), so_far, "nothing was started");
    let next = place.submit(&["--", "true"]);
    explains(&place, &next, "was halted on the machine itself");
    place.run(&["unhalt", "--here"]).expect(0);
    place.run(&["wait", &graph, &next]).expect(0);
}

#[test]
fn a_drained_node_gives_back_what_runs_at_the_deadline_and_no_task_is_the_worse_for_it() {
    let fleet = Fleet::start(2);
    let place = &fleet.scheduler;
    // No loss at all is forgiven to these.
    let task = "command = [\"sleep\", \"600\"]\nretry = { losses = 0 }\ncpus = 1\n";
    let file = place.file("task.toml", format!("[task.a]\n{task}[task.b]\n{task}")).display().to_string();
    let first: TaskId = place.submit(&[&file]).parse().expect("an id");
    let tasks = [first.to_string(), TaskId(first.0 + 1).to_string()];
    for task in &tasks {
        place.wait_state(task, "running");
    }
    let on = |task: &String| place.show(task)["node"].as_str().map(ToOwned::to_owned);
    let drained = on(&tasks[0]).expect("it runs");
    place.run(&["node", "drain", &drained, "--wait", "--timeout", "1ms"]).expect(3);
    assert_eq!(node(place, &drained)["draining"], true);
    place.run(&["node", "drain", &drained, "--deadline", "100ms", "--wait"]).expect(0);
    assert_eq!(node(place, &drained)["drained"], true);
    for task in &tasks {
        until_true("it runs elsewhere", SOON, || {
            let shown = place.show(task);
            shown["state"] == "running" && shown["node"].as_str() != Some(&drained)
        });
    }
    assert!(events(place).iter().any(|event| event["event"] == "node.drained"));
    for task in &tasks {
        place.run(&["cancel", task]).expect(0);
    }
}

#[test]
fn a_whole_fleet_is_restarted_without_a_failed_task() {
    let mut fleet = Fleet::start(3);
    let graph = array(&fleet, 60, "0.4");
    for number in 0..3 {
        let name = format!("worker{number}");
        fleet.scheduler.run(&["node", "drain", &name, "--wait"]).expect(0);
        fleet.stop_worker(number);
        fleet.start_worker(number);
        until_true("it is back", SOON, || node(&fleet.scheduler, &name)["health"] == "up");
        assert_eq!(node(&fleet.scheduler, &name)["draining"], true, "until an operator says otherwise");
        fleet.scheduler.run(&["node", "uncordon", &name]).expect(0);
    }
    // The scheduler itself: what runs goes on meanwhile.
    fleet.stop_scheduler();
    fleet.start_scheduler();
    fleet.scheduler.wait_nodes(3);
    let ended = fleet.scheduler.run(&["wait", "--json", &graph]).expect(0).json().remove(0);
    assert_eq!(ended["tasks"]["succeeded"], 60, "{ended}");
    let lost = |event: &&Value| event["outcome"]["kind"] == "lost";
    let events = events(&fleet.scheduler);
    let lost: Vec<_> =
        events.iter().filter(lost).filter(|event| event["outcome"]["reason"] != "drained").collect();
    assert!(lost.is_empty(), "{lost:?}\n{}", fleet.logs());
    fleet.stop();
}

#[test]
fn a_machine_that_is_gone_is_forgotten() {
    let mut fleet = Fleet::start(2);
    fleet.scheduler.run(&["node", "cordon", "worker1"]).expect(0);
    fleet
        .scheduler
        .run(&["node", "remove", "worker1"])
        .expect(1)
        .says(&["drain it and stop its daemon first"]);
    fleet.kill_worker(1);
    until_true("it is lost", SOON, || node(&fleet.scheduler, "worker1")["health"] == "lost");
    fleet.scheduler.run(&["node", "remove", "worker1"]).expect(0);
    until_true("it is forgotten", SOON, || node(&fleet.scheduler, "worker1").is_null());
    fleet.start_worker(1);
    fleet.scheduler.wait_nodes(2);
    assert_eq!(node(&fleet.scheduler, "worker1")["cordoned"], false, "with what was said of it");
    fleet.stop();
}

#[test]
fn why_something_was_said_is_shown_with_what_holds_and_kept() {
    let place = Place::new();
    let daemon = place.single("2");
    place.run(&["node", "cordon", "one", "--reason", "new disk"]).expect(0);
    place.run(&["pause", "queue", "low", "--reason", "people wait"]).expect(0);
    place.ask_top("pause tenant=ann reason='too loud'").expect(0).tells("done");
    place
        .run(&["node", "cordon", "one", "--reason", &"x".repeat(201)])
        .expect(1)
        .says(&["at most 200 bytes"]);
    let check = || {
        let said = node(&place, "one")["said"].clone();
        assert_eq!(said["reason"], "new disk");
        assert!(said["by"].as_str().expect("a text").starts_with("tester@"), "{said}");
        let paused = status(&place)["paused"].clone();
        assert_eq!(
            (&paused[0]["priority"], &paused[0]["said"]["reason"]),
            (&"low".into(), &"people wait".into())
        );
        assert_eq!((&paused[1]["tenant"], &paused[1]["said"]["reason"]), (&"ann".into(), &"too loud".into()));
        place.run(&["nodes"]).expect(0).tells(": new disk)");
        let shown = place.run(&["status"]).expect(0).text();
        assert!(shown.contains("low priority (tester@") && shown.contains(": people wait)"), "{shown}");
        let top = place.ask_top("status").expect(0).text();
        assert!(top.contains("low priority, by tester@") && top.contains("new disk"), "{top}");
    };
    check();
    assert!(daemon.stop().success());
    let _daemon = place.single("2");
    check();
    let reasons: Vec<_> = events(&place).into_iter().filter(|event| event["by"].is_string()).collect();
    let reasons: Vec<_> = reasons.iter().map(|event| event["reason"].as_str().unwrap_or_default()).collect();
    assert_eq!(reasons, ["new disk", "people wait", "too loud"]);
    place.run(&["node", "uncordon", "one", "--reason", "done"]).expect(0);
    assert_eq!(node(&place, "one")["said"], Value::Null);
}

#[test]
fn labels_that_operators_put_on_a_machine_hold_after_restarts_until_they_are_taken_back() {
    let place = Place::new();
    let daemon = place.patient("2");
    let waiting = place.submit(&["--require", "rack=left", "--require", "gate=yes", "--", "true"]);
    explains(&place, &waiting, "rack=left");
    place.run(&["node", "label", "one", "rack=left", "spare=no", "--reason", "moved"]).expect(0);
    place.ask_top("label one gate yes").expect(0).tells("done");
    place.wait_state(&waiting, "succeeded");
    place.run(&["node", "label", "one"]).expect(0).tells("rack=left   (put there)");
    assert!(daemon.stop().success());
    let _daemon = place.patient("2");
    let again = place.submit(&["--require", "rack=left", "--", "true"]);
    place.wait_state(&again, "succeeded");
    assert_eq!(node(&place, "one")["labels_put"], json!({ "gate": "yes", "rack": "left", "spare": "no" }));

    place.run(&["node", "label", "one", "rack-"]).expect(0);
    place.ask_top("label one spare").expect(0).tells("done");
    place.ask_top("label one spare").expect(0).tells("it was so already");
    let late = place.submit(&["--require", "rack=left", "--", "true"]);
    explains(&place, &late, "rack=left");
    let row = node(&place, "one");
    assert_eq!((&row["labels_put"], &row["labels"]["gate"]), (&json!({ "gate": "yes" }), &"yes".into()));
    place.run(&["cancel", &late]).expect(0);

    for (label, why) in [
        ("os=macos", "\"os\" is for the machine alone to say"),
        ("a b=c", "a label's name has 1 to 100 letters"),
        ("rack=", "a label's value has 1 to 100 characters"),
    ] {
        place.run(&["node", "label", "one", label]).expect(1).says(&["labels: ", why]);
    }
    place.run(&["node", "label", "one", "rack"]).expect(2).says(&["must be name=value"]);
    place.run(&["node", "label", "nobody", "rack=left"]).expect(1).says(&["there is no node nobody"]);
    let said: Vec<_> =
        events(&place).into_iter().filter(|event| event["event"] == "operator.label").collect();
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(
        (&said[0]["reason"], &said[0]["labels"]),
        (&"moved".into(), &json!({ "rack": "left", "spare": "no" }))
    );
    assert_eq!(said[3]["labels"], json!({ "gate": "yes" }), "all that holds then");
}
