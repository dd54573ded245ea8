//! Priority that is lent, with the real programs.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until_true};

/// Starts between the lending and the start of what is lent to: those of other slices, and what was sent to the machine.
const FEW: usize = 4;

fn configured(place: &Place, lends: bool) -> String {
    place.file("lending.toml", format!("[scheduler]\nlend_priority = {lends}\n")).display().to_string()
}

fn daemon(place: &Place, lends: bool) -> Daemon {
    let daemon = place.daemon(&["--cpus", "1", "--name", "one", "--config", &configured(place, lends)]);
    place.wait_nodes(1);
    daemon
}

fn explain(place: &Place, task: &str) -> Value {
    place.run(&["explain", "--json", task]).expect(0).json().remove(0)
}

/// A critical task, and what it depends on: a low one, and a low one before that.
fn chain(place: &Place, name: &str) {
    let text = format!(
        "[task.{name}-first]\ncommand = [\"true\"]\npriority = \"low\"\n\
         [task.{name}-second]\ncommand = [\"true\"]\npriority = \"low\"\nafter = [\"{name}-first\"]\n\
         [task.{name}-urgent]\ncommand = [\"true\"]\npriority = \"critical\"\nafter = [\"{name}-second\"]\n"
    );
    let file = place.file(&format!("{name}.toml"), text).display().to_string();
    place.run(&["submit", &file]).expect(0);
}

#[test]
fn what_a_critical_task_waits_for_goes_ahead_of_a_flood_while_it_waits_also_after_a_restart() {
    let place = Place::new();
    let first = daemon(&place, false);
    let hold = place.submit(&["--name", "hold", "--", "sh", "-c", "while ! [ -e go ]; do sleep 0.05; done"]);
    place.wait_state(&hold, "running");
    for priority in ["low", "normal"] {
        place.submit(&["--priority", priority, "--array", "1-60", "--", "true"]);
    }
    chain(&place, "kept");
    chain(&place, "gone");
    assert_eq!(explain(&place, "kept-first")["lent"], Value::Null);
    let lints = place.ask_top("lints").expect(3).text();
    assert!(lints.contains("inversion") && lints.contains("lend_priority = true under"), "{lints}");

    configured(&place, true);
    first.signal(Signal::SIGHUP);
    let served = |task: &str| explain(&place, task)["lent"]["runs_as"].clone();
    until_true("it is lent", SOON, || {
        served("kept-first") == "critical" && served("gone-second") == "critical"
    });
    let text = place.run(&["explain", "kept-first"]).expect(0).text();
    let urgent = explain(&place, "kept-urgent")["task"]["task"].as_str().expect("an id").to_owned();
    assert!(text.contains(&format!("runs as critical: lent by {urgent}")), "{text}");
    let text = place.run(&["explain", "kept-urgent"]).expect(0).text();
    assert!(text.contains("less urgent, runs as critical"), "{text}");
    let lints = place.ask_top("lints").expect(3).text();
    assert!(lints.contains("is served as critical while it is waited for"), "{lints}");
    place.run(&["cancel", "gone-urgent"]).expect(0);
    until_true("it is nobody's", SOON, || served("gone-first").is_null() && served("gone-second").is_null());

    first.kill();
    let second = daemon(&place, true);
    assert_eq!((served("kept-first"), served("gone-first")), ("critical".into(), Value::Null));
    place.file("go", "");
    place.wait_state("kept-urgent", "succeeded");
    let events: Vec<Value> = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    let kept = explain(&place, "kept-first")["task"]["task"].clone();
    let lent = |event: &Value| event["event"] == "task.priority-lent" && event["task"] == kept;
    let since = events.iter().rposition(lent).expect("it is told");
    assert_eq!(
        (&events[since]["served_as"], &events[since]["by"]),
        (&"critical".into(), &urgent.as_str().into())
    );
    let granted = events[since..].iter().filter(|event| event["event"] == "task.granted");
    let before = granted.take_while(|event| event["task"] != kept).count();
    assert!(before <= FEW, "{before} started before it");
    assert!(second.stop().success());
    place.wait_gone();
}
