//! How urgent tasks are, said anew: who waits goes into another queue, also after a restart, and whatever else is refused
//! with what can be done.

use serde_json::Value;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

fn priority(place: &Place, task: &str) -> Value {
    place.show(task)["priority"].clone()
}

/// What has started until now, in order.
fn started(place: &Place) -> Vec<String> {
    let events = place.run(&["events", "--json", "--after", "0", "--type", "task.granted"]).expect(0).json();
    events.iter().map(|event| event["task"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn what_was_said_to_be_urgent_starts_first_also_after_a_restart() {
    let place = Place::new();
    let daemon = place.single("1");
    let running = place.submit(&["--name", "running", "--", "sleep", "600"]);
    place.wait_state(&running, "running");
    let first = place.submit(&["--name", "first", "--", "true"]);
    let second = place.submit(&["--name", "second", "--", "true"]);
    let lowered = place.submit(&["--name", "lowered", "--priority", "high", "--", "true"]);
    let asked = place.run(&["prio", &second, "Critical", "--json", "--reason", "it burns"]).expect(0).json();
    assert_eq!((&asked[0]["target"], &asked[0]["tasks"]), (&second.as_str().into(), &1.into()), "{asked:?}");
    place.run(&["prio", &second, "critical"]).expect(0).says(&["has critical priority already"]);
    place.ask_top(&format!("prio {lowered} low")).expect(0).tells("1 task will go by it");
    let sent = format!(r#"send task/{lowered} {{"prio":{{"priority":"low"}}}}"#);
    place.ask_top(&sent).expect(0).tells("it was so already");
    assert_eq!((priority(&place, &second), priority(&place, &lowered)), ("critical".into(), "low".into()));
    let refused = place.run(&["prio", &running, "low"]).expect(1);
    refused.says(&["has been given its machine", "`requeue"]);
    place.run(&["prio", "t99", "low"]).expect(4);
    place.ask_top(&format!("prio {second} urgent")).expect(2).says(&["allowed: low, normal, high, critical"]);
    place.ask_top(&format!("step -1; prio {second} low")).expect(7).says(&["the past cannot be changed"]);

    assert!(daemon.stop().success());
    let _daemon = place.single("1");
    assert_eq!((priority(&place, &second), priority(&place, &lowered)), ("critical".into(), "low".into()));
    place.run(&["cancel", &running]).expect(0);
    for task in [&first, &second, &lowered] {
        place.wait_state(task, "succeeded");
    }
    assert_eq!(started(&place)[1..], [second.clone(), first, lowered]);
    place.run(&["prio", &second, "low"]).expect(1).says(&["has succeeded"]);

    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let said = named("task.prioritised");
    assert_eq!((said.len(), &said[0]["task"], &said[0]["priority"]), (2, &second.into(), &"critical".into()));
    let operated = named("scheduler.operated");
    assert_eq!((&operated[0]["reason"], operated.len()), (&"it burns".into(), 7), "also what was refused");
    assert!(operated[0]["by"].as_str().expect("a text").starts_with("tester@"), "{}", operated[0]);
    let at =
        format!("at seq={}; tasks | where name = lowered", said[1]["number"].as_u64().expect("a number") - 1);
    assert_eq!(place.rows(&at)[0]["priority"], "high", "as it was before that was said");
}

#[test]
fn an_array_and_a_graph_are_moved_as_a_whole_as_far_as_they_wait() {
    let place = Place::new();
    let _daemon = place.single("1");
    let running = place.submit(&["--", "sleep", "600"]);
    place.wait_state(&running, "running");
    place.submit(&["--name", "many", "--array", "1-5", "--", "true"]);
    let queued = |priority: &str| {
        place.run(&["status", "--json"]).expect(0).json()[0]["queued"][priority].as_u64().expect("a number")
    };
    assert_eq!(queued("normal"), 5);
    place.ask_top("prio many high").expect(0).tells("5 tasks will go by it");
    until_true("they are in the other queue", SOON, || (queued("normal"), queued("high")) == (0, 5));
    let events =
        place.run(&["events", "--json", "--after", "0", "--type", "task.prioritised"]).expect(0).json();
    assert_eq!(events[0]["tasks"], 5, "one record for all of them");
    place.run(&["cancel", &running]).expect(0);
    place.run(&["wait", "many"]).expect(0);
    place.run(&["prio", "many", "low"]).expect(1).says(&["waits for its start any more"]);
}
