//! A machine that is strained takes nothing heavy, or nothing, and says so, with the real programs.

use crate::support::place::{Daemon, Place};
use crate::support::program::run;
use crate::support::waiting::{SOON, until, until_true};

/// A daemon with two cores whose limits are such that it is strained from the first look on, and not by anything else.
fn strained(place: &Place, level: &str) -> Daemon {
    let rest = "memory_stall_warn = 0\nmemory_stall_critical = 0\nio_stall_warn = 0\nload_warn = 0\n";
    let limit = format!("[strain]\nmemory_free_critical = 0\nmemory_free_{level} = 100\n{rest}");
    let limit = limit.replace("memory_free_critical = 0\nmemory_free_critical", "memory_free_critical");
    let config = place.file("strained.toml", limit).display().to_string();
    let daemon = place.daemon(&["--cpus", "2", "--name", "one", "--config", &config]);
    until_true("it is strained", SOON, || {
        place.run(&["nodes", "--json"]).expect(0).json().iter().any(|node| node["strain"] == level)
    });
    daemon
}

#[test]
fn a_machine_that_warns_takes_what_is_light_and_says_why_the_heavy_wait() {
    let place = Place::new();
    let daemon = strained(&place, "warn");
    let heavy = place.submit(&["--cpus", "2", "--", "true"]);
    let light = place.submit(&["--cpus", "1", "--", "true"]);
    place.wait_state(&light, "succeeded");
    until("it is told why", SOON, || {
        let text = place.run(&["explain", &heavy]).expect(0).text();
        text.contains("takes nothing heavy while it is strained, warn: ").then_some(())
    });
    assert_eq!(place.show(&heavy)["state"], "ready");
    let nodes = place.run(&["nodes"]).expect(0).text();
    assert!(nodes.contains("strained (warn: ") && nodes.contains("% of its memory is free"), "{nodes}");
    assert_eq!(place.rows("nodes")[0]["strain"], "warn");
    let why = place.ask_top("why one").expect(0).text();
    assert!(why.contains("nothing heavy comes while it is strained"), "{why}");
    let lints = run(&mut place.top(&["--json", "-e", "lints"])).expect(3).json();
    assert!(lints.iter().any(|lint| lint["lint"] == "strained"), "{lints:?}");
    let events = place.run(&["events", "--type", "node.*"]).expect(0).text();
    assert!(events.contains("is strained otherwise than before, warn: "), "{events}");
    assert!(place.run(&["metrics"]).expect(0).text().contains("node_strain{node=\"one\"} 1"));
    place.run(&["cancel", &heavy]).expect(0);
    assert!(daemon.stop().success());
    place.wait_gone();
}

#[test]
fn a_machine_under_critical_strain_takes_nothing() {
    let place = Place::new();
    let daemon = strained(&place, "critical");
    let light = place.submit(&["--", "true"]);
    until("it is told why", SOON, || {
        let text = place.run(&["explain", &light]).expect(0).text();
        text.contains("takes nothing while it is strained, critical: ").then_some(())
    });
    place.run(&["cancel", &light]).expect(0);
    assert!(daemon.stop().success());
    place.wait_gone();
}
