//! What the daemon does on signals.

use actors::client::{ClientError, random_key};
use nix::sys::signal::Signal;
use policy::event::{ArraySpec, Item};
use policy::submission::Submission;

use crate::support::place::Place;
use crate::support::program::run;
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
fn a_signal_reaches_what_a_task_runs_and_nothing_that_does_not_run() {
    let place = Place::new();
    let daemon = place.single("1");
    let script =
        "trap 'echo again' HUP; trap 'echo heard; exit 7' USR1; echo ready; while :; do sleep 0.05; done";
    let task = place.submit(&["--name", "server", "--", "sh", "-c", script]);
    let waits = place.submit(&["--name", "waits", "--", "true"]);
    until_true("it listens", SOON, || place.run(&["logs", &task]).text().contains("ready"));
    place.run(&["signal", &waits, "USR1"]).expect(1).says(&["it does not run, it is ready"]);
    place.run(&["signal", &task, "KILL"]).expect(2).says(&["must be one of HUP, INT", "crab cancel"]);
    place.run(&["signal", "t99", "HUP"]).expect(4);
    let top = |line: &str| run(&mut place.top(&["--yes", "-e", line]));
    top("signal server hup").expect(0).tells(&format!("HUP was sent to what {task} runs on one"));
    until_true("it is heard", SOON, || place.run(&["logs", &task]).text().contains("again"));
    top(&format!("send task/{task} {{\"signal\":{{\"signal\":\"KILL\"}}}}"))
        .expect(2)
        .says(&["allowed: HUP, INT"]);
    top(&format!("signal {waits} HUP")).expect(7).says(&["is ready: nothing of it runs"]);
    top(&format!("step 0; signal {task} HUP")).expect(7).says(&["the past cannot be changed"]);
    top(&format!("signal {task} HUP reason=why")).expect(2).says(&["without a reason"]);
    let everywhere = ["--yes", "--reason", "why", "-e", &format!("signal {task} HUP")];
    run(&mut place.top(&everywhere)).expect(7).says(&["without a reason"]);
    let told = place.run(&["signal", "server", "usr1", "--json"]).expect(0).json().remove(0);
    assert_eq!(
        (&told["task"], &told["signal"], &told["node"]),
        (&task.as_str().into(), &"USR1".into(), &"one".into())
    );
    assert_eq!(place.wait_state(&task, "failed")["outcome"]["exit_code"], 7);
    place.run(&["logs", &task]).expect(0).tells("heard");
    place.run(&["signal", &task, "USR1"]).expect(1).says(&["it does not run, it is failed"]);
    let events = place.run(&["events", "--json", "--type", "audit.done"]).expect(0).json();
    assert_eq!(events.len(), 2, "{events:?}");
    for (event, signal) in events.iter().zip(["HUP", "USR1"]) {
        assert!(event.to_string().contains(&format!("signal {signal} {task}")), "{event:?}");
    }
    assert!(daemon.stop().success());
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
