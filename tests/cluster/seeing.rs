//! What can be seen: metrics and probes over HTTP, timelines, events by time and type, the overview.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::fleet::free_address;
use crate::support::place::{Daemon, Place};
use crate::support::waiting::{SOON, until_true};

/// A daemon that answers collectors on an address.
fn measured(place: &Place, address: &str) -> Daemon {
    let config = place.file("crabd.toml", format!("[metrics]\nlisten = \"{address}\"\n"));
    let daemon = place.daemon(&["--cpus", "2", "--name", "one", "--config", &config.display().to_string()]);
    place.wait_nodes(1);
    daemon
}

/// Status and body of an answer.
fn get(address: &str, path: &str) -> (u16, String) {
    let answer = say(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, body.to_owned())
}

fn say(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(SOON)).expect("it can be set");
    stream.write_all(bytes).expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it ends");
    answer
}

#[test]
fn collectors_and_probes_are_told_the_truth() {
    let (place, address) = (Place::new(), free_address());
    let daemon = measured(&place, &address);
    place.run(&["run", "--", "true"]).expect(0);
    place.run(&["run", "--", "false"]).expect(1);
    let (status, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in [
        "knittingcrab_tasks_ended_total{outcome=\"succeeded\"} 1",
        "knittingcrab_tasks_ended_total{outcome=\"failed\"} 1",
        "knittingcrab_nodes{health=\"up\"} 1.0",
        "knittingcrab_capacity{resource=\"cpu-cores\"} 2.0",
        "knittingcrab_runnable_latency_seconds_count{priority=\"normal\"} 2",
    ] {
        assert!(text.lines().any(|is| is == line), "{line} is not in {text}");
    }
    assert!(!text.contains("t1\""), "no task is named");
    let json: Value = serde_json::from_str(&get(&address, "/metrics.json").1).expect("it is JSON");
    assert_eq!((&json["task_outcomes"]["completed"], &json["workers"]["healthy"]), (&1.into(), &1.into()));
    let told = place.run(&["metrics", "--json"]).expect(0).json().remove(0);
    assert_eq!(told["task_outcomes"], json["task_outcomes"]);
    assert!(place.run(&["metrics"]).expect(0).text().ends_with("# EOF\n"));
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.ended().success());
    assert!(TcpStream::connect(&address).is_err(), "nobody claims to be there");
}

#[test]
fn whoever_asks_for_what_is_not_there_or_says_nothing_holds_up_nobody() {
    let (place, address) = (Place::new(), free_address());
    let _daemon = measured(&place, &address);
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(&address, "/etc/passwd").0, 404);
    assert!(say(&address, b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(say(&address, b"nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    // One that says nothing is let go, and holds up nobody meanwhile.
    let mut silent = TcpStream::connect(&address).expect("somebody listens");
    silent.set_read_timeout(Some(SOON)).expect("it can be set");
    let started = Instant::now();
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(silent.read(&mut [0; 8]).expect("it is closed"), 0);
    assert!(started.elapsed() >= Duration::from_secs(5), "it was given time");
}

#[test]
fn metrics_for_everybody_must_be_asked_for() {
    let place = Place::new();
    let file = place.file("open.toml", "[metrics]\nlisten = \"0.0.0.0:9464\"\n").display().to_string();
    place.run(&["config", "check", &file]).expect(2).says(&["metrics.public = true"]);
    let file = place
        .file("open.toml", "[metrics]\nlisten = \"0.0.0.0:9464\"\npublic = true\n")
        .display()
        .to_string();
    place.run(&["config", "check", &file]).expect(0);
}

#[test]
fn where_the_time_of_a_task_went_is_told() {
    let place = Place::new();
    let _daemon = place.single("1");
    let file = place.file(
        "graph.toml",
        "[task.first]\nshell = \"sleep 0.4\"\n\
         [task.second]\nshell = '[ \"$CRAB_ATTEMPT\" = 2 ]'\nafter = [\"first\"]\n\
         retry = { attempts = 2, backoff = \"300ms\" }\n",
    );
    let graph = place.run(&["submit", "--json", &file.display().to_string()]).expect(0).json().remove(0);
    let graph = graph["graph"].as_str().expect("an id").to_owned();
    place.run(&["wait", &graph]).expect(0);
    let told = place.run(&["timeline", "--json", &graph]).expect(0).json();
    let phases = |row: &Value| -> Vec<String> {
        let phases = row["phases"].as_array().expect("a list");
        phases.iter().map(|phase| phase["phase"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(told.len(), 2);
    assert!(
        phases(&told[0]).contains(&"run".to_owned()) && !phases(&told[0]).contains(&"back-off".to_owned())
    );
    let second = phases(&told[1]);
    assert_eq!(second[0], "dependencies");
    assert!(second.contains(&"back-off".to_owned()), "{second:?}");
    for row in &told {
        let all = row["phases"].as_array().expect("a list");
        assert!(all.windows(2).all(|two| two[0]["to"] == two[1]["from"]), "without gaps: {row}");
    }
    let blame = place.run(&["blame", "--json", "second"]).expect(0).json().remove(0);
    assert!(blame["spent_s"]["dependencies"].as_f64() >= Some(0.4), "{blame}");
    assert!(blame["spent_s"]["back-off"].as_f64() >= Some(0.25), "{blame}");
    assert_eq!(blame["waited_for"][0]["name"], "first");
    let drawn = place.run(&["timeline", &graph]).expect(0).text();
    let row = drawn.lines().find(|line| line.contains("second")).expect("a row");
    assert!(row.contains('.') && row.contains('~') && row.trim_end().ends_with("ok"), "{drawn}");
    let one = place.run(&["timeline", "second"]).expect(0).text();
    assert!(one.contains("waits for what it depends on") && one.contains("exited with 1"), "{one}");
    assert!(place.run(&["blame", "second"]).expect(0).text().contains("waited longest for"));
}

#[test]
fn events_are_found_by_time_and_by_type() {
    let place = Place::new();
    let _daemon = place.single("2");
    place.run(&["run", "--", "true"]).expect(0);
    let names = |args: &[&str]| -> Vec<String> {
        let all = [&["events", "--json"], args].concat();
        let events = place.run(&all).expect(0).json();
        events.iter().map(|event| event["event"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&["--type", "task.granted,node.joined"]), ["node.joined", "task.granted"]);
    assert!(names(&["--type", "task.*"]).iter().all(|name| name.starts_with("task.")));
    assert!(names(&["--since", "1h"]).contains(&"node.joined".to_owned()));
    until_true("what was is longer ago", SOON, || names(&["--since", "100ms"]).is_empty());
}

#[test]
fn the_overview_tells_what_is_used_what_runs_and_why_the_oldest_waits() {
    let place = Place::new();
    let _daemon = place.single("2");
    let running = place.submit(&["--name", "long", "--cpus", "2", "--", "sleep", "600"]);
    place.wait_state(&running, "running");
    let waiting = place.submit(&["--name", "late", "--priority", "high", "--", "true"]);
    let text = place.run(&["status"]).expect(0).text();
    for words in [
        "cpu 100.0 % (2 of 2)",
        &format!("one runs {running} long"),
        &format!("{waiting} late, high priority"),
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    let told = place.run(&["status", "--json"]).expect(0).json().remove(0);
    assert_eq!(told["oldest"][0]["task"], waiting.as_str());
    assert!(
        told["oldest"][0]["waits_for"].as_str().expect("a reason").contains("no node has room"),
        "{told}"
    );
    let array = place.submit(&["--name", "build", "--array", "17-120", "--", "true"]);
    let last: u64 = array.trim_start_matches('t').parse().expect("an id");
    let last = format!("t{}", last + 103);
    let words = format!("{array}..{last} build[17..120]: 104 waiting, normal priority");
    place.run(&["status"]).expect(0).tells(&words);
    let told = place.run(&["status", "--json"]).expect(0).json().remove(0);
    let told = &told["oldest"][1];
    assert_eq!(
        (&told["task"], &told["last_task"], &told["name"], &told["tasks"], &told["indices"]),
        (
            &array.as_str().into(),
            &last.as_str().into(),
            &"build[17]".into(),
            &104.into(),
            &vec![17, 120].into()
        )
    );
    place.run(&["cancel", &running]).expect(0);
}
