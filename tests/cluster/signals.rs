//! What the daemon does on signals.

use actors::client::{ClientError, random_key};
use nix::sys::signal::Signal;
use policy::event::{ArraySpec, Item};
use policy::submission::Submission;

use crate::support::place::Place;
use crate::support::waiting::{SOON, until_true};

#[test]
fn sigterm_stops_the_daemon_in_order_and_leaves_nothing() {
    let place = Place::new();
    let daemon = place.single("2");
    place.run(&["run", "--", "true"]).expect(0);
    assert_eq!(daemon.stop().code(), Some(0));
    place.run(&["status"]).expect(6).says(&["cannot reach the daemon", "start it with `crabd`"]);
    let daemon = place.single("2");
    let events = place.run(&["events", "--json", "--after", "0"]).expect(0).json();
    assert!(events.iter().any(|event| event["event"] == "scheduler.stopped"));
    assert_eq!(events.iter().filter(|event| event["event"] == "scheduler.started").count(), 2);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn sigint_and_sigterm_while_tasks_run_end_with_success() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let place = Place::new();
        let daemon = place.single("2");
        place.run(&["submit", "--array", "1-50", "--", "sleep", "1000"]).expect(0);
        until_true("some run", SOON, || place.attempts().len() == 2);
        daemon.signal(signal);
        assert_eq!(daemon.ended().code(), Some(0));
        assert_eq!(place.attempts().len(), 2, "they go on");
    }
}

/// A submission of fifty tasks.
fn fifty() -> Submission {
    let array = Some(ArraySpec { first: 1, count: 50, parallel_limit: None });
    let item = Item { array, ..super::nothing_lost::task(0, std::path::Path::new("/dev/null")) };
    Submission::new(random_key(), "fifty", vec![item])
}

#[test]
fn sighup_takes_over_the_limits_and_says_what_it_cannot() {
    let place = Place::new();
    let config = place.file("crabd.toml", "").display().to_string();
    let daemon = place.daemon(&["--cpus", "1", "--config", &config]);
    place.run(&["submit", "--array", "1-5", "--", "sleep", "1000"]).expect(0);
    place.file("crabd.toml", "[limits]\nwaiting_tasks = 8\n[lease]\nttl = \"20s\"\n");
    daemon.signal(Signal::SIGHUP);
    until_true("it says so", SOON, || daemon.said().contains("took over the configuration"));
    until_true("what waits is named", SOON, || daemon.said().contains("lease.ttl"));
    let refused = place.ask(|client| async move { client.submit(fifty()).await });
    assert!(
        matches!(&refused, Err(ClientError::Busy { reason, .. }) if reason.contains("limit of 8")),
        "{refused:?}"
    );
    place.file("crabd.toml", "[limits]\nwaiting_tasks = 0\n");
    daemon.signal(Signal::SIGHUP);
    until_true("it says no", SOON, || daemon.said().contains("not reloaded"));
    assert!(daemon.said().contains("limits.waiting_tasks = 0 must be at least 1"));
    place.run(&["status"]).expect(0);
}
