//! The configuration as its user meets it: checked before it is used, shown with where each value comes from,
//! taken over while the daemon runs.

use nix::sys::signal::Signal;

use crate::support::place::Place;
use crate::support::program::run;
use crate::support::waiting::{SOON, until_true};

/// A setting as the daemon shows it.
fn setting(place: &Place, key: &str) -> serde_json::Value {
    let rows = place.run(&["config", "show", "--json", "--only", key]).expect(0).json();
    rows.into_iter().find(|row| row["key"] == key).expect("it is a key")
}

#[test]
fn a_file_is_checked_before_it_is_used() {
    let place = Place::new();
    let wrong = place.file("wrong.toml", "[limits]\n\nwaiting_tasks = 0\n").display().to_string();
    place.run(&["config", "check", &wrong]).expect(2).says(&["limits.waiting_tasks = 0", "at least 1"]);
    let unknown = place.file("unknown.toml", "[lease]\ntlt = \"3s\"\n").display().to_string();
    place.run(&["config", "check", &unknown]).expect(2).says(&["line 2", "tlt"]);
    let sound = place.file("sound.toml", "[lease]\nttl = \"20s\"\n").display().to_string();
    assert!(place.run(&["config", "check", &sound]).expect(0).text().contains("sound, 1 key set"));
    let shown = place.run(&["config", "show", &sound, "--origin", "--only", "lease"]).expect(0).text();
    assert!(shown.contains(&format!("{sound}:2")) && shown.contains("at least three heartbeats"), "{shown}");
    place.run(&["config", "show"]).expect(6).says(&["start it with `crabd`"]);
}

#[test]
fn what_holds_is_shown_with_where_it_comes_from_and_changes_with_the_file() {
    let place = Place::new();
    let file = place.file("crabd.toml", "[limits]\nwaiting_tasks = 7\n[lease]\nttl = \"20s\"\n");
    let path = file.display().to_string();
    let daemon = place.daemon(&["--config", &path, "--cpus", "2", "--name", "one"]);
    let row = setting(&place, "limits.waiting_tasks");
    let line = serde_json::json!(2);
    assert_eq!((&row["value"], &row["origin"], &row["line"]), (&"7".into(), &"file".into(), &line));
    assert_eq!(setting(&place, "worker.cpus")["origin"], "command-line");
    assert_eq!(setting(&place, "lease.grace")["origin"], "usual");
    place.file("crabd.toml", "[limits]\nwaiting_tasks = 8\n[lease]\nttl = \"30s\"\n");
    daemon.signal(Signal::SIGHUP);
    until_true("it is taken over", SOON, || setting(&place, "limits.waiting_tasks")["value"] == "8");
    assert_eq!(setting(&place, "lease.ttl")["value"], "\"20s\"", "it holds after a restart");
    assert!(daemon.said().contains("lease.ttl"), "{}", daemon.said());
}

#[test]
#[cfg(not(feature = "otel"))]
fn traces_are_refused_by_a_daemon_that_was_built_without_them() {
    let place = Place::new();
    let config = "[telemetry]\nendpoint = \"http://localhost:4318\"\n";
    let config = place.file("crabd.toml", config).display().to_string();
    place.run(&["config", "check", &config]).expect(0);
    let ran = run(&mut place.crabd(&["--config", &config]));
    assert_ne!(ran.code, Some(0));
    ran.says(&["built without traces", "--features otel"]);
    let wrong = place.file("wrong.toml", "[telemetry]\nendpoint = \"https://localhost\"\n");
    let wrong = wrong.display().to_string();
    place.run(&["config", "check", &wrong]).expect(2).says(&["telemetry.endpoint", "http://HOST"]);
}

#[test]
fn a_site_can_say_how_long_attempts_may_run_whose_tasks_do_not_and_say_it_anew() {
    let place = Place::new();
    let config = place.file("crabd.toml", "[scheduler]\ndefault_timeout = \"1s\"\n");
    let daemon = place.daemon(&["--config", &config.display().to_string(), "--cpus", "2"]);
    place.wait_nodes(1);
    place.run(&["run", "--", "sleep", "1000"]).expect(124).says(&["timed out"]);
    place.run(&["run", "--timeout", "1m", "--", "sleep", "1.5"]).expect(0);
    let again = ["submit", "--key", "one", "--", "true"];
    place.run(&again).expect(0);
    place.file("crabd.toml", "");
    daemon.signal(Signal::SIGHUP);
    until_true("it is taken over", SOON, || setting(&place, "scheduler.default_timeout")["origin"] != "file");
    place.run(&["run", "--", "sleep", "1.5"]).expect(0);
    assert!(place.run(&again).expect(0).text().contains("submitted before"));
}
